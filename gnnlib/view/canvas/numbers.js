// Small mathematics: directions of the screen, round numbers for axes, searching sorted lengths.

/** How many of the ascending values are not above `value`. */
export function upperBound(values, value) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function largest(sizes, n, count) {
  const order = Uint32Array.from({ length: n }, (_, place) => place);
  order.sort((a, b) => sizes[b] - sizes[a]);
  return sizes[order[0]] > sizes[order[n - 1]] ? order.slice(0, count) : new Uint32Array(0);
}

/** Directions of the screen in the scene: to the right, upwards and towards the eye. */
export function basis(azimuth, elevation) {
  const [ca, sa, ce, se] = [Math.cos(azimuth), Math.sin(azimuth), Math.cos(elevation), Math.sin(elevation)];
  return { right: [-sa, ca, 0], up: [-se * ca, -se * sa, ce], back: [ce * ca, ce * sa, se] };
}

export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

export const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);

/** 0 ... n - 1 (n a power of two) in an order whose first half, quarter, ... are evenly spaced. */
export function bitReversed(n) {
  if (n === 1) return [0];
  const half = bitReversed(n / 2).map((k) => 2 * k);
  return [...half, ...half.map((k) => k + 1)];
}

/** The round number (1, 2 or 5 times a power of ten) nearest below `length`. */
export function niceStep(length) {
  const power = 10 ** Math.floor(Math.log10(length));
  return power * (length / power >= 5 ? 5 : length / power >= 2 ? 2 : 1);
}

export function ticks(low, high, wanted) {
  const rough = (high - low) / wanted;
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.99) ?? 10);
  const out = [];
  for (let n = Math.ceil(low / step - 1e-6); n * step <= high + 1e-6 * step; n++) out.push(n * step);
  return out;
}

/** A number with as many decimals as a range of this size needs. */
export function tidy(value, range) {
  const size = Math.abs(range);
  if (size >= 1e5 || size < 1e-3) return value === 0 ? "0" : value.toExponential(1).replace("e+", "e");
  const decimals = Math.max(0, Math.min(4, 1 - Math.floor(Math.log10(size))));
  return String(Number(value.toFixed(decimals)));
}

/** Four digits of a number, with a power of ten where it is very large or small. */
export function readable(value) {
  const short = Number(value.toPrecision(4));
  const size = Math.abs(short);
  if (size === 0 || (size < 1e6 && size >= 1e-4)) return String(short);
  const [digits, exponent] = short.toExponential().split("e");
  return `${digits} × ${raised(Number(exponent))}`;
}

function raised(exponent) {
  const digits = [...String(Math.abs(exponent))].map((digit) => RAISED[digit]).join("");
  return `10${exponent < 0 ? "⁻" : ""}${digits}`;
}

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A power of ten as one reads it. */
export function decade(exponent) {
  if (exponent >= -2 && exponent <= 3) return String(Number((10 ** exponent).toPrecision(1)));
  return raised(exponent);
}

/** Where the ticks of a colour bar lie, as a share of its length, and what they say. */
export function scaleTicks(color) {
  const [low, high] = color.limits;
  if (!color.log)
    return ticks(low, high, 4).map((tick) => ({ share: (tick - low) / (high - low), text: tidy(tick, high - low) }));
  const [from, to] = [Math.log10(low), Math.log10(high)];
  const place = (value) => (value - from) / (to - from);
  const step = Math.max(1, Math.ceil((to - from) / 5));
  const whole = ticks(from, to, 5).filter((tick) => Number.isInteger(Number(tick.toFixed(6))));
  if (to - from >= 1.5)
    return whole.filter((tick) => Math.round(tick) % step === 0)
      .map((tick) => ({ share: place(tick), text: decade(Math.round(tick)) }));
  return ticks(low, high, 3).map((tick) => ({ share: place(Math.log10(tick)), text: tidy(tick, high - low) }));
}
