// Line charts as SVG: the losses and the gradient norms over the epochs.

const NAMESPACE = "http://www.w3.org/2000/svg";
const MARGIN = { left: 72, right: 12, top: 8, bottom: 34 };

/** A number with at most three significant digits. */
export function short(value) {
  if (value === null || value === undefined) return "not finite";
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)) return value.toExponential(1).replace("-", "−");
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

function element(name, attributes = {}, text = "") {
  const node = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

/** Draw lines over epochs. `lines` are {name, values}; with `isLog`, the vertical axis is logarithmic. */
export function drawChart(svg, epochs, lines, { isLog, yLabel }) {
  const width = svg.clientWidth, height = svg.clientHeight;
  if (!width || !height) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const inner = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
  const x = scale([0, Math.max(1, epochs.at(-1) ?? 1)], [inner.left, inner.right]);
  const y = verticalScale(lines, isLog, inner);
  const parts = [...y.ticks.map((tick) => horizontalTick(tick, y(tick), inner)), ...epochTicks(x, inner)];
  parts.push(element("path", { class: "axis", d: `M${inner.left} ${inner.top}V${inner.bottom}H${inner.right}` }));
  parts.push(element("text", { x: (inner.left + inner.right) / 2, y: height - 4, "text-anchor": "middle" }, "epoch"));
  parts.push(element("text", { transform: `translate(11 ${(inner.top + inner.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, yLabel));
  lines.forEach(({ values }, number) => {
    const isSingle = values.length === 1;
    parts.push(element("path", { class: `line series-${number + 1}${isSingle ? " single" : ""}`, d: pathOf(epochs, values, x, y, isLog) }));
  });
  svg.replaceChildren(...parts);
}

function scale([low, high], [start, end]) {
  return (value) => start + (end - start) * (value - low) / (high - low);
}

function verticalScale(lines, isLog, inner) {
  const values = lines.flatMap((line) => line.values).filter((value) => value !== null && (!isLog || value > 0));
  const range = isLog ? logRange(values) : [0, Math.max(...values, 1e-12)];
  const linear = scale(isLog ? range.map(Math.log10) : range, [inner.bottom, inner.top]);
  const y = isLog ? (value) => linear(Math.log10(Math.max(value, range[0]))) : linear;
  y.ticks = isLog ? powers(range) : niceTicks(range[1]);
  return y;
}

/** Powers of ten around the values, at most ten powers below the largest. */
function logRange(values) {
  if (!values.length) return [0.1, 1];
  const high = Math.ceil(Math.log10(Math.max(...values)) + 1e-9);
  const low = Math.max(high - 12, Math.floor(Math.log10(Math.min(...values)) - 1e-9));
  return [10 ** low, 10 ** Math.max(high, low + 1)];
}

function powers([low, high]) {
  const first = Math.round(Math.log10(low)), last = Math.round(Math.log10(high));
  const step = Math.ceil((last - first) / 5);
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => 10 ** (first + i * step));
}

function niceTicks(high) {
  const power = 10 ** Math.floor(Math.log10(high / 4)), step = power * [1, 2, 5, 10].find((factor) => high / (power * factor) <= 5);
  return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, i) => i * step);
}

function horizontalTick(value, y, inner) {
  const group = element("g");
  group.append(element("path", { class: "grid", d: `M${inner.left} ${y}H${inner.right}` }),
    element("text", { x: inner.left - 6, y: y + 4, "text-anchor": "end" }, short(value)));
  return group;
}

function epochTicks(x, inner) {
  const last = Math.round((inner.right - inner.left) * 1 / (x(1) - x(0)));
  const ticks = niceTicks(last).filter(Number.isInteger);
  return ticks.map((tick) => element("text", { x: x(tick), y: inner.bottom + 15, "text-anchor": "middle" }, String(tick)));
}

/** The path of a line; values that are missing, or not positive on a logarithmic axis, leave a gap. */
function pathOf(epochs, values, x, y, isLog) {
  let isGap = true;
  const parts = values.map((value, i) => {
    if (value === null || (isLog && value <= 0)) {
      isGap = true;
      return "";
    }
    const part = `${isGap ? "M" : "L"}${x(epochs[i]).toFixed(1)} ${y(value).toFixed(1)}`;
    isGap = false;
    return part;
  });
  return parts.length === 1 && parts[0] ? `${parts[0]}h0.01` : parts.join("");
}

/** Fill a legend with the names of the lines, in the order of `drawChart`. */
export function drawLegend(list, names) {
  list.replaceChildren(...names.map((name, number) => {
    const sample = element("svg", { width: 34, height: 10, "aria-hidden": "true" });
    sample.append(element("path", { class: `line series-${number + 1}`, d: "M0 5H34" }));
    const item = document.createElement("li");
    item.append(sample, name);
    return item;
  }));
}

/** A sentence with the first and the last value of each line, for a screen reader. */
export function describeChart(svg, title, epochs, lines) {
  const parts = lines.map(({ name, values }) => `${name} from ${short(values[0])} to ${short(values.at(-1))}`);
  svg.setAttribute("aria-label", `${title}, epochs ${epochs[0]} to ${epochs.at(-1)}: ${parts.join("; ")}.`);
}
