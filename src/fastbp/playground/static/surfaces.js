// The decision surface with the rows, and the surfaces of the hidden units.

import { bytesOf, css, diverging, drawCells, mix, palette } from "./colors.js";
import { short } from "./charts.js";

const SHAPES = ["circle", "square", "triangle", "diamond", "cross", "star"];
const byId = (id) => document.getElementById(id);
const cells = document.createElement("canvas"); // the surface before it is enlarged

/** Draw the surface of a frame and the rows of the data message on the large canvas. */
export function drawSurface(data, frame) {
  const canvas = byId("surface"), colors = palette();
  const size = Math.round(canvas.clientWidth * devicePixelRatio);
  if (!size) return;
  if (canvas.width !== size) canvas.width = canvas.height = size;
  drawCells(cells, frame.surface.size, cellColor(frame.surface, colors));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(cells, 0, 0, size, size);
  drawPoints(context, size, data, colors);
}

function cellColor(surface, colors) {
  if (surface.values) {
    const values = bytesOf(surface.values);
    return (i) => diverging(colors, (values[i] - 127.5) / 150);
  }
  const classes = bytesOf(surface.classes), confidence = bytesOf(surface.confidence);
  return (i) => mix(colors.neutral, colors.classes[classes[i]], 0.62 * confidence[i] / 255);
}

function drawPoints(context, size, data, colors) {
  const [[left, right], [bottom, top]] = data.limits;
  const radius = Math.max(2.5, Math.min(4.5, 60 / Math.sqrt(data.points.length))) * devicePixelRatio;
  const [low, high] = rangeOf(data.targets);
  data.points.forEach(([x1, x2], row) => {
    const color = data.labels ? colors.classes[data.targets[row]] : diverging(colors, 2 * (data.targets[row] - low) / (high - low) - 1);
    const shape = data.labels ? SHAPES[data.targets[row]] : "circle";
    const x = size * (x1 - left) / (right - left), y = size * (top - x2) / (top - bottom);
    drawMarker(context, shape, x, y, radius, css(color), data.is_test[row], colors);
  });
}

function rangeOf(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}

/** Draw a marker: filled with an outline for a training row, hollow for a test row. */
function drawMarker(context, shape, x, y, radius, color, isTest, colors) {
  context.beginPath();
  tracePath(context, shape, x, y, radius);
  context.fillStyle = isTest ? css(colors.page) : color;
  context.fill();
  context.lineWidth = (isTest ? 3.6 : 1) * devicePixelRatio;
  context.strokeStyle = css(colors.outline);
  context.stroke();
  if (!isTest) return;
  context.lineWidth = 2 * devicePixelRatio;
  context.strokeStyle = color;
  context.stroke();
}

function tracePath(context, shape, x, y, radius) {
  if (shape === "circle") {
    context.arc(x, y, radius, 0, 2 * Math.PI);
    return;
  }
  const [corners, turn, inner] = { square: [4, 0.25, 1], triangle: [3, 0.5, 1], diamond: [4, 0, 1], cross: [4, 0.25, 0.35], star: [5, 0.5, 0.45] }[shape];
  const n = inner === 1 ? corners : 2 * corners;
  for (let i = 0; i < n; i += 1) {
    const length = 1.25 * radius * (inner !== 1 && i % 2 ? inner : 1), angle = 2 * Math.PI * (i / n) + (turn === 0.5 ? Math.PI : 2 * Math.PI * turn / (corners / 2));
    context.lineTo(x + length * Math.sin(angle), y + length * Math.cos(angle));
  }
  context.closePath();
}

/** The legend of the large canvas: one entry per class, or the range of a regression, and the two kinds of rows. */
export function drawSurfaceLegend(data) {
  const colors = palette();
  const entries = data.labels
    ? data.labels.map((label, number) => legendEntry(`${data.names[2]} ${label}`, (canvas) => marker(canvas, SHAPES[number], colors.classes[number], false, colors)))
    : [legendEntry(rangeText(data), (canvas) => bar(canvas, colors))];
  const gray = mix(colors.page, colors.text, 0.5);
  entries.push(legendEntry(`training rows (${data.n_train})`, (canvas) => marker(canvas, "circle", gray, false, colors)));
  entries.push(legendEntry(`test rows (${data.n_test})`, (canvas) => marker(canvas, "circle", gray, true, colors)));
  byId("surface-legend").replaceChildren(...entries);
  const [[left, right], [bottom, top]] = data.limits;
  byId("x-axis").textContent = `horizontal: ${data.names[0]}, ${short(left)} to ${short(right)}`;
  byId("y-axis").textContent = `vertical: ${data.names[1]}, ${short(bottom)} to ${short(top)}`;
}

function rangeText(data) {
  const [low, high] = rangeOf(data.targets);
  return `${data.names[2]} from ${short(low)} to ${short(high)}`;
}

function legendEntry(text, draw) {
  const item = document.createElement("li"), canvas = document.createElement("canvas");
  canvas.setAttribute("aria-hidden", "true");
  draw(canvas);
  item.append(canvas, text);
  return item;
}

function marker(canvas, shape, color, isTest, colors) {
  const size = 16 * devicePixelRatio;
  canvas.width = canvas.height = size;
  canvas.style.width = canvas.style.height = "16px";
  drawMarker(canvas.getContext("2d"), shape, size / 2, size / 2, 5 * devicePixelRatio, css(color), isTest, colors);
}

function bar(canvas, colors) {
  canvas.className = "bar";
  Object.assign(canvas, { width: 64, height: 1 });
  const context = canvas.getContext("2d");
  for (let x = 0; x < 64; x += 1) {
    context.fillStyle = css(diverging(colors, (x - 31.5) / 31.5));
    context.fillRect(x, 0, 1, 1);
  }
}

/** Draw the surface of each hidden unit; the canvases are created again only if the network has changed. */
export function drawUnits(data, frame) {
  const colors = palette(), root = byId("units");
  const shape = JSON.stringify(data.settings.layers);
  if (root.dataset.shape !== shape) {
    root.dataset.shape = shape;
    root.replaceChildren(...data.settings.layers.map(layerOfCanvases));
    if (!data.settings.layers.length) root.textContent = "The network has no hidden units.";
  }
  frame.units.forEach((units, layer) => units.forEach((unit, number) => {
    const values = bytesOf(unit.cells);
    const canvas = root.children[layer].querySelectorAll("canvas")[number];
    drawCells(canvas, Math.round(Math.sqrt(values.length)), (i) => diverging(colors, (values[i] - 128) / 127));
  }));
}

function layerOfCanvases({ units, activation }, index) {
  const layer = Object.assign(document.createElement("div"), { className: "layer" });
  const list = document.createElement("ul");
  for (let unit = 0; unit < units; unit += 1) { // from 0, as in the arrays of Python
    const item = document.createElement("li"), canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Hidden layer ${index + 1}, unit ${unit}`);
    item.append(canvas, `unit ${unit}`);
    list.append(item);
  }
  layer.append(Object.assign(document.createElement("h3"), { textContent: `Hidden layer ${index + 1}: ${activation}` }), list);
  return layer;
}

/** The sentences that replace the canvases for a screen reader. */
export function describeSurfaces(data, frame) {
  const { train, test } = frame.measures;
  const [[left, right], [bottom, top]] = data.limits;
  byId("surface").setAttribute("aria-label",
    `Decision surface after ${frame.epoch} epochs over ${data.names[0]} from ${short(left)} to ${short(right)} and ${data.names[1]} from ${short(bottom)} to ${short(top)}, `
    + `with ${data.n_train} training rows and ${data.n_test} test rows. ${data.score_name} of the training rows ${short(train.score)}, of the test rows ${short(test.score)}.`);
  frame.units.forEach((units, layer) => units.forEach(({ low, high }, number) => {
    byId("units").children[layer].querySelectorAll("canvas")[number].setAttribute("aria-label",
      `Hidden layer ${layer + 1}, unit ${number}: activations from ${short(low)} to ${short(high)}`);
  }));
}
