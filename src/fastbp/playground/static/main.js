// The page: connects the controls, the address and the views with the server.

import { fromFragment, toFragment } from "./address.js";
import { describeChart, drawChart, drawLegend, short } from "./charts.js";
import { Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { describeSurfaces, drawSurface, drawSurfaceLegend, drawUnits } from "./surfaces.js";
import { showAdvice, showLayers, showMeasures, showProblems } from "./tables.js";

const byId = (id) => document.getElementById(id);
const TRAINING_BUTTONS = ["run", "one-epoch", "one-step"];
const BUTTONS = [...TRAINING_BUTTONS, "restart"];
const STORED_FILE = "fastbp-playground-file";
const CONTINUES = { field: "continues", message: "The training continues with the previous settings." };
const QUIET_SECONDS = 2; // the texts for screen readers change at most this often during training
// The address changes once per second during training; a pause or a step changes it at once, but at most five times more in total.
// Safari reports an error after 100 changes in 30 seconds.
const ADDRESS_INTERVAL = 1000, ADDRESS_BURST = 4000; // milliseconds

const page = {
  options: null, controls: null, data: null, frame: null, file: storedFile(),
  candidate: null, accepted: null, // a file that the server has not accepted yet, and the file that it has
  sent: new Map(), // the files that were sent, by their numbers, until the server accepts one
  position: { epoch: 0, step: 0 }, // where the training of the next settings starts
  isDrawing: false, isClosed: false, described: 0, addressDue: 0, addressTimer: null,
};

page.nFiles = page.file?.number ?? 0;

const connection = new Connection({
  options: receiveOptions,
  data: receiveData,
  frame: receiveFrame,
  problem: receiveProblems,
}, (event) => {
  page.isClosed = true;
  // with the code 1013, the server has sent a message with the reason
  setStatus(event.code === 1013 ? "The page is not connected to the server." : "The connection to the server has ended. Start the server again, and reload the page.");
  for (const id of BUTTONS) byId(id).disabled = true;
});

// ---------------------------------------------------------------- messages of the server

function receiveOptions(options) {
  page.options = options;
  page.controls = new Controls(options, () => configure());
  readAddress();
}

function receiveData(data) {
  // otherwise, the controls show these settings already, and a value that is being typed must not be replaced
  const isUnknown = page.data === null || data.problems.length > 0;
  page.data = data;
  page.position = { epoch: 0, step: 0 };
  if (data.settings.data === "csv") acceptFile(data.file);
  if (isUnknown) page.controls.write(data.settings);
  setProblems(data.problems);
  byId("code").textContent = data.code;
  drawSurfaceLegend(data);
  for (const id of BUTTONS) byId(id).disabled = false;
}

function receiveProblems({ problems, file }) {
  if (problems.some(({ field }) => field === "csv")) dropFile(file);
  // a problem of the server does not concern the settings
  const isTraining = page.data && problems.every(({ field }) => field !== "server");
  setProblems(isTraining ? [...problems, CONTINUES] : problems);
  if (!page.frame) setStatus("There is no network yet. Correct the settings.");
}

/** Draw a frame before the next repaint, and confirm it; the server sends no further frames before. */
function receiveFrame(frame) {
  page.frame = frame;
  if (page.isDrawing) return connection.send("drawn");
  page.isDrawing = true;
  const isReduced = matchMedia("(prefers-reduced-motion: reduce)").matches && isTraining(frame);
  setTimeout(() => requestAnimationFrame(() => {
    page.isDrawing = false;
    draw();
    connection.send("drawn");
  }), isReduced ? 1000 : 0);
}

// ---------------------------------------------------------------- settings

function readAddress() {
  const { settings, epoch, step } = fromFragment(location.hash.slice(1), page.options.defaults);
  page.position = { epoch, step };
  page.controls.write(settings);
  configure(settings);
}

function configure(settings = page.controls.read(), { type = "configure" } = {}) {
  const file = page.candidate ?? page.file;
  const csv = settings.data === "csv" && file !== page.accepted ? file.text : null;
  page.controls.showFields();
  showFileName();
  setProblems([]);
  if (!page.frame) setStatus("Preparing the network. If the kernels are not compiled yet, this takes up to a minute.");
  if (csv !== null) page.sent.set(file.number, file);
  connection.send(type, { settings, csv, file: file?.number, ...(type === "restart" ? {} : page.position) });
}

byId("file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (!file) return;
  if (file.size > page.options.max_bytes) {
    const limit = page.options.max_bytes.toLocaleString("en-US");
    receiveProblems({ problems: [{ field: "csv", message: `The file must have at most ${limit} bytes, got ${file.size.toLocaleString("en-US")}. Remove rows from it.` }] });
    return;
  }
  const text = await file.text();
  page.nFiles += 1;
  page.candidate = { name: file.name, text, number: page.nFiles };
  configure();
});

/** Store the file that the server uses; another one may have been chosen since it was sent. */
function acceptFile(number) {
  const file = page.sent.get(number);
  if (!file) return;
  page.file = page.accepted = file;
  if (page.candidate === file) page.candidate = null;
  for (const key of page.sent.keys()) if (key <= number) page.sent.delete(key);
  showFileName();
  try {
    sessionStorage.setItem(STORED_FILE, JSON.stringify(page.file));
  } catch {
    // without space in the storage, the file must be chosen again after a reload
  }
}

/** Forget a file that was rejected; the browser reports a choice of the same file only if the control is empty. */
function dropFile(number) {
  page.sent.delete(number);
  if (Number.isInteger(number) && page.candidate?.number !== number) return;
  page.candidate = null;
  byId("file").value = "";
}

function showFileName() {
  byId("file-name").textContent = page.file ? `The file is ${page.file.name}.` : "";
}

function storedFile() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED_FILE));
  } catch {
    return null;
  }
}

function setProblems(problems) {
  showProblems(problems);
  page.controls?.mark(problems);
}

// ---------------------------------------------------------------- views

function draw() {
  const { data, frame } = page;
  if (!data || !frame) return;
  byId("epoch").textContent = frame.epoch;
  byId("step").textContent = `${frame.step} of ${data.n_batches}`;
  byId("run").textContent = isTraining(frame) ? "Pause" : "Start";
  document.body.dataset.state = frame.state;
  for (const id of TRAINING_BUTTONS) byId(id).disabled = page.isClosed || ["finished", "diverged"].includes(frame.state);
  showMeasures(data, frame);
  showLayers(frame);
  showAdvice(frame);
  drawSurface(data, frame);
  drawUnits(data, frame);
  const charts = drawCharts(data, frame);
  setStatus(statusText(data, frame));
  const now = performance.now() / 1000;
  if (!isTraining(frame) || now - page.described > QUIET_SECONDS) {
    page.described = now;
    describeSurfaces(data, frame);
    for (const [svg, title, lines] of charts) describeChart(svg, title, frame.history.epochs, lines);
  }
  scheduleAddress();
}

function isTraining(frame) {
  return frame.state === "running" || frame.state === "replaying";
}

function drawCharts(data, frame) {
  const { epochs, losses, gradients } = frame.history;
  const ofLosses = [{ name: "training", values: losses.train }, { name: "test", values: losses.test }];
  const ofLayers = frame.layers.map(({ layer }, index) => ({
    name: index === frame.layers.length - 1 ? `layer ${layer} (output)` : `layer ${layer}`, values: gradients.map((norms) => norms[index]),
  }));
  drawChart(byId("loss"), epochs, ofLosses, { isLog: false, yLabel: data.loss_name });
  drawChart(byId("gradients"), epochs, ofLayers, { isLog: true, yLabel: "norm of the gradient" });
  showLegend("loss-legend", ofLosses);
  showLegend("gradients-legend", ofLayers);
  return [[byId("loss"), `Loss (${data.loss_name})`, ofLosses], [byId("gradients"), "Gradient norms", ofLayers]];
}

function showLegend(id, lines) {
  const names = lines.map(({ name }) => name), shown = names.join();
  if (byId(id).dataset.shown === shown) return;
  byId(id).dataset.shown = shown;
  drawLegend(byId(id), names);
}

function statusText(data, frame) {
  const { train, test } = frame.measures;
  const numbers = `Training loss ${short(train.loss)}, test loss ${short(test.loss)}, ${data.score_name} ${short(train.score)} (training) and ${short(test.score)} (test).`;
  switch (frame.state) {
    case "running": return "Training.";
    case "replaying": return "Training up to the epoch in the address.";
    case "finished": return `Finished after ${frame.epoch} epochs. ${numbers}`;
    case "diverged": return "Training has diverged. See the advice.";
    default: return frame.epoch + frame.step || frame.target ? `Paused at epoch ${frame.epoch}, step ${frame.step}. ${pausedText(frame)}${numbers}` : "Ready. Press Start.";
  }
}

function pausedText({ target }) {
  return target ? `Press Start to continue to epoch ${target.epoch}, step ${target.step} of the address. ` : "";
}

function setStatus(text) {
  if (byId("status").textContent !== text) byId("status").textContent = text;
}

/** Write the address now, or later if it was written recently, so that the last state is always written. */
function scheduleAddress() {
  clearTimeout(page.addressTimer);
  const wait = page.addressDue - (isTraining(page.frame) ? 0 : ADDRESS_BURST) - performance.now();
  if (wait <= 0) writeAddress();
  else page.addressTimer = setTimeout(writeAddress, wait);
}

/** Write the settings and the position to the address; the position is that of the old address until training has reached it. */
function writeAddress() {
  const { epoch, step } = page.frame.target ?? page.frame, fragment = `#${toFragment(page.data.settings, epoch, step)}`;
  if (fragment === location.hash) return;
  page.addressDue = Math.max(page.addressDue, performance.now()) + ADDRESS_INTERVAL;
  history.replaceState(null, "", fragment);
}

// ---------------------------------------------------------------- buttons, keys and the window

const actions = {
  run: () => connection.send(page.frame && isTraining(page.frame) ? "pause" : "start"),
  "one-epoch": () => connection.send("epoch"),
  "one-step": () => connection.send("step"),
  restart: () => configure(undefined, { type: "restart" }),
};
for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);

const KEYS = { s: "run", e: "one-epoch", t: "one-step", r: "restart" };
document.addEventListener("keydown", (event) => {
  const button = byId(KEYS[event.key]);
  if (!button || button.disabled || event.altKey || event.ctrlKey || event.metaKey || !byId("use-shortcuts").checked) return;
  if (event.target.closest("input:not([type=checkbox]), select, textarea")) return;
  event.preventDefault();
  button.click();
});

byId("copy").addEventListener("click", async () => {
  if (page.frame) writeAddress();
  try {
    await navigator.clipboard.writeText(location.href);
    byId("copied").textContent = "Copied.";
  } catch {
    byId("copied").textContent = "The browser does not allow copying. Copy the address from the address bar.";
  }
});

// the link must not change the address, which contains the settings
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("views").focus();
});

addEventListener("hashchange", readAddress);
new ResizeObserver(() => draw()).observe(byId("views"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  if (page.data) drawSurfaceLegend(page.data);
  draw();
});

// on a narrow screen, the settings are folded, so that the views come first
const narrow = matchMedia("(max-width: 52rem)");
const foldSettings = () => { byId("panel").open = !narrow.matches; };
narrow.addEventListener("change", foldSettings);
foldSettings();
