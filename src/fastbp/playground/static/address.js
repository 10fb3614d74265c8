// The address of the page: settings, epoch and step as the fragment of the URL, and back.

const NUMBERS = ["noise", "rows", "test_share", "seed", "learning_rate", "alpha", "dropout", "batch_size", "epochs", "speed"];

/** The fragment for settings and a position, for example "data=xor&layers=6-tanh&epoch=12&step=0". */
export function toFragment(settings, epoch, step) {
  const fields = new URLSearchParams();
  for (const [name, value] of Object.entries(settings)) {
    fields.set(name, textOf(name, value));
  }
  fields.set("epoch", epoch);
  fields.set("step", step);
  return fields.toString().replaceAll("%2C", ",");
}

function textOf(name, value) {
  if (name === "layers") return value.map((layer) => `${layer.units}-${layer.activation}`).join(",");
  if (name === "scale") return value ? "1" : "0";
  return String(value);
}

/** Settings and position of a fragment; the server checks them, so values that cannot be converted stay texts. */
export function fromFragment(fragment, defaults) {
  const settings = structuredClone(defaults);
  const position = { epoch: 0, step: 0 };
  for (const [name, text] of new URLSearchParams(fragment)) {
    if (Object.hasOwn(position, name)) position[name] = numberOf(text);
    else settings[name] = valueOf(name, text);
  }
  return { settings, ...position };
}

function valueOf(name, text) {
  if (NUMBERS.includes(name)) return numberOf(text);
  if (name === "scale") return text === "0" ? false : text === "1" ? true : text;
  if (name === "layers") return text === "" ? [] : text.split(",").map(layerOf);
  return text;
}

function layerOf(text) {
  const at = text.indexOf("-");
  return at < 0 ? { units: numberOf(text), activation: "" } : { units: numberOf(text.slice(0, at)), activation: text.slice(at + 1) };
}

/** The number in a text, or the text if it is not a number. */
export function numberOf(text) {
  const trimmed = String(text).trim();
  return trimmed === "" || !Number.isFinite(Number(trimmed)) ? trimmed : Number(trimmed);
}
