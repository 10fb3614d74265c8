// The controls of the settings: fills them, reads them, and marks invalid ones.

import { numberOf } from "./address.js";

const LABELS = {
  data: { circles: "Circles", xor: "XOR", moons: "Moons", spirals: "Spirals", regression: "Regression", csv: "CSV file" },
  target: { auto: "Automatic", classes: "Classes", numbers: "Numbers" },
  speed: { 0: "No limit" },
};
const byId = (id) => document.getElementById(id);

export class Controls {
  /** `options` is the message of the server with choices and limits; `onChange` is called after each change by the user. */
  constructor(options, onChange) {
    this.options = options;
    this.onChange = onChange;
    this.form = byId("settings");
    for (const [name, values] of Object.entries({ ...options.choices, speed: options.speeds })) {
      if (name !== "activation") fillSelect(byId(name), values, LABELS[name] ?? {});
    }
    for (const [name, { min, max }] of Object.entries(options.limits)) {
      byId(name).title = `${min} to ${max}`;
    }
    this.form.addEventListener("change", (event) => {
      if (event.target.id !== "file") onChange();
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    byId("add-layer").addEventListener("click", () => this.addLayer());
  }

  /** The values of all controls; texts that are not numbers stay texts, which the server rejects with a message. */
  read() {
    const settings = {};
    for (const control of this.form.querySelectorAll("[name]")) {
      settings[control.name] = control.type === "checkbox" ? control.checked : control.value;
    }
    for (const name of [...Object.keys(this.options.limits), "speed"]) settings[name] = numberOf(settings[name]);
    settings.layers = [...byId("layers").children].map((row) => ({
      units: numberOf(row.querySelector("input").value), activation: row.querySelector("select").value,
    }));
    // the same order as in the defaults, so that equal settings have equal addresses
    return Object.fromEntries(Object.keys(this.options.defaults).map((name) => [name, settings[name]]));
  }

  /** Show settings in the controls. */
  write(settings) {
    for (const control of this.form.querySelectorAll("[name]")) {
      if (control.type === "checkbox") control.checked = settings[control.name] === true;
      else if (control.value !== String(settings[control.name])) control.value = settings[control.name];
    }
    if (JSON.stringify(this.read().layers) !== JSON.stringify(settings.layers)) this.#writeLayers(settings.layers);
    this.showFields();
  }

  /** Mark the controls that have a problem, and remove the other marks. */
  mark(problems) {
    for (const control of this.form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
    for (const { field } of problems) {
      const controls = field === "layers" ? byId("layers").querySelectorAll("input, select") : [byId(field === "csv" ? "file" : field)];
      for (const control of controls) {
        if (!control?.closest("#settings")) continue;
        control.setAttribute("aria-invalid", "true");
        control.setAttribute("aria-errormessage", `problem-${field}`);
      }
    }
  }

  addLayer() {
    const last = this.read().layers.at(-1);
    this.#writeLayers([...this.read().layers, { units: 4, activation: last?.activation ?? "tanh" }]);
    byId("layers").lastElementChild.querySelector("input").focus();
    this.onChange();
  }

  #removeLayer(index) {
    this.#writeLayers(this.read().layers.filter((_, i) => i !== index));
    // the focus must not be lost with the button
    (byId("layers").children[Math.max(0, index - 1)]?.querySelector("button") ?? byId("add-layer")).focus();
    this.onChange();
  }

  #writeLayers(layers) {
    byId("layers").replaceChildren(...layers.map((layer, index) => this.#layerRow(layer, index)));
    byId("no-layers").hidden = layers.length > 0;
    byId("add-layer").disabled = layers.length >= this.options.max_layers;
  }

  #layerRow(layer, index) {
    const row = document.createElement("li");
    const title = `Hidden layer ${index + 1}`;
    const units = Object.assign(document.createElement("input"), { inputMode: "numeric", title: `1 to ${this.options.max_units}` });
    units.value = layer.units;
    units.setAttribute("aria-label", `${title}: units`);
    const activation = document.createElement("select");
    fillSelect(activation, this.options.choices.activation, {});
    activation.value = layer.activation;
    activation.setAttribute("aria-label", `${title}: activation`);
    const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "Remove" });
    remove.setAttribute("aria-label", `Remove hidden layer ${index + 1}`);
    remove.addEventListener("click", () => this.#removeLayer(index));
    const label = Object.assign(document.createElement("span"), { className: "layer-title", textContent: `${title}: units, activation` });
    row.append(label, units, activation, remove);
    return row;
  }

  /** Show only the controls that apply to the data set. */
  showFields() {
    const isCsv = byId("data").value === "csv";
    for (const element of this.form.querySelectorAll(".csv-only")) element.hidden = !isCsv;
    for (const element of this.form.querySelectorAll(".built-in-only")) element.hidden = isCsv;
  }
}

function fillSelect(select, values, labels) {
  select.replaceChildren(...values.map((value) => new Option(labels[value] ?? String(value), value)));
}
