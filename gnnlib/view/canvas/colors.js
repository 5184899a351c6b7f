// Colours: reading CSS ones, and the maps that Python sends as a few stops (gnnlib/view/colors.py).

/** The stops of a map; a sequential one without the end that would vanish in the sky or the paper. */
export function shades(color, dark) {
  const stops = (color?.stops ?? ["#888888"]).map(parseColor);
  if (!color || color.categories.length || color.diverging) return stops;
  const [low, high] = dark ? [0.14, 1] : [0, 0.92];
  return stops.map((_, i) => blended(stops, (low + ((high - low) * i) / (stops.length - 1)) * (stops.length - 1)));
}

export function blended(stops, place) {
  const low = Math.min(stops.length - 1, Math.floor(place));
  const high = Math.min(stops.length - 1, low + 1);
  return stops[low].map((channel, c) => channel + (stops[high][c] - channel) * (place - low));
}

/** Values as places in their map, 0 to 1; -1 where there is none. */
export function scaled(values, color) {
  if (!color) return new Float32Array(0);
  const n = color.log ? 0 : color.categories.length;
  const along = color.log ? Math.log10 : (value) => value;
  const [low, high] = color.limits.map(along);
  return values.map((value) => {
    const place = along(value);
    if (Number.isNaN(place) || (color.log && value <= 0)) return -1;
    return n ? (place + 0.5) / n : Math.max(0, Math.min(1, (place - low) / (high - low)));
  });
}

export const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;

export const css = (color, alpha = 1) =>
  `rgb(${color.map((channel) => Math.round(255 * channel)).join(" ")} / ${alpha})`;

/** Any CSS colour as three numbers from 0 to 1. */
export function parseColor(text) {
  const pen = (parseColor.pen ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true }));
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = text;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((channel) => channel / 255);
}
