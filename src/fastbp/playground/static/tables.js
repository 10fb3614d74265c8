// The tables and the advice: everything that is shown as text.

import { short } from "./charts.js";

const byId = (id) => document.getElementById(id);
// the label on this page for each parameter of the estimator that advice can name
const CONTROLS = {
  learning_rate_init: "Learning rate", alpha: "L2 penalty (alpha)", dropout: "Dropout", batch_size: "Batch size", solver: "Solver",
  activation: "Hidden layers", hidden_layer_sizes: "Hidden layers", scale: "Standardize the data", max_iter: "Stop after epochs",
  partial_fit: "Stop after epochs",
};

/** Fill the table of losses and scores. */
export function showMeasures(data, frame) {
  byId("loss-name").textContent = data.loss_name;
  byId("score-name").textContent = data.score_name;
  const { train, test } = frame.measures;
  fillRows(byId("measures"), [
    ["training", data.n_train, short(train.loss), short(train.score)],
    ["test", data.n_test, short(test.loss), short(test.score)],
  ]);
}

/** Fill the table of layers. */
export function showLayers(frame) {
  const isOutput = (index) => index === frame.layers.length - 1;
  fillRows(byId("layer-table"), frame.layers.map((layer, index) => [
    isOutput(index) ? `${layer.layer} (output)` : layer.layer, layer.activation, layer.n_units, short(layer.coef_grad_norm),
    frame.epoch || frame.step ? short(layer.update_ratio) : "–", percent(layer.dead_share), percent(layer.saturated_share),
  ]));
}

function percent(share) {
  return share === null ? "–" : `${Math.round(100 * share)} %`;
}

/** Replace the rows of a table; the first cell of each row is its header. */
function fillRows(table, rows) {
  const body = table.tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, number) => {
    const row = body.rows[number] ?? body.insertRow();
    cells.forEach((text, column) => {
      if (!row.cells[column]) {
        const cell = document.createElement(column ? "td" : "th");
        if (!column) cell.scope = "row";
        row.append(cell);
      }
      if (row.cells[column].textContent !== String(text)) row.cells[column].textContent = text;
    });
  });
}

/** Show the advice, and the message of a training that has diverged. */
export function showAdvice(frame) {
  byId("failure").hidden = frame.failure === null;
  byId("failure").textContent = frame.failure ?? "";
  byId("advice").hidden = frame.failure !== null; // the weights are not those of a network that can be improved
  const root = byId("advice"), shown = JSON.stringify([frame.advice, frame.epoch + frame.step > 0]);
  if (root.dataset.shown === shown) return;
  root.dataset.shown = shown;
  if (frame.advice.length) {
    const list = document.createElement("ul");
    list.append(...frame.advice.map(adviceItem));
    root.replaceChildren(list);
  } else {
    root.textContent = frame.epoch + frame.step > 0 ? "No problem was found." : "Advice appears after the first step.";
  }
}

function adviceItem(advice) {
  const item = document.createElement("li");
  const control = CONTROLS[advice.parameter];
  const texts = [["symptom", advice.symptom], ["evidence", advice.evidence], ["remedy", advice.remedy]];
  if (control) texts.push(["help", `Setting on this page: ${control}`]);
  item.append(...texts.map(([className, textContent]) => Object.assign(document.createElement("p"), { className, textContent })));
  item.dataset.problem = advice.problem;
  return item;
}

/** Show problems with settings as a list; an empty list removes it. */
export function showProblems(problems) {
  const list = document.createElement("ul");
  list.append(...problems.map(({ field, message }) => Object.assign(document.createElement("li"), { id: `problem-${field}`, textContent: message })));
  byId("problems").replaceChildren(...(problems.length ? [list] : []));
}
