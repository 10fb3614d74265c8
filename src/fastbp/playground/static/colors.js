// Colors of the style sheet as numbers, and the pixels of surfaces.

/** The current colors; they change with the color scheme of the browser. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => rgb(style.getPropertyValue(name).trim());
  return {
    classes: [0, 1, 2, 3, 4, 5].map((number) => color(`--class-${number}`)),
    neutral: color("--neutral"), outline: color("--outline"), page: color("--page"), text: color("--text"),
  };
}

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** A color for CSS and canvas. */
export const css = (color) => `rgb(${color.join(" ")})`;

/** The mixture of two colors; share 0 is the first color. */
export const mix = (a, b, share) => a.map((value, i) => Math.round(value + share * (b[i] - value)));

/** The color of a value from -1 to 1: the color of class 0, neutral, the color of class 1. */
export const diverging = (colors, value) => mix(colors.neutral, colors.classes[value < 0 ? 0 : 1], Math.min(1, Math.abs(value)));

/** The bytes in a base64 text. */
export const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** Draw size² cells, whose colors a function of the index returns, on a canvas of size × size pixels. */
export function drawCells(canvas, size, colorOf) {
  if (canvas.width !== size) canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  const image = context.createImageData(size, size);
  for (let i = 0; i < size * size; i += 1) {
    const [red, green, blue] = colorOf(i);
    image.data.set([red, green, blue, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}
