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
