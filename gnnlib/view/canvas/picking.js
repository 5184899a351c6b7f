// Which nodes are under a point, inside a drawn outline, or nearest to the middle of the picture: by projecting all.

import { MOST_PIXELS } from "./painter.js";

const REACH = 7; // CSS pixels around a small node that still count as a click on it

export class Picker {
  constructor(camera, painter) {
    Object.assign(this, { camera, painter });
  }

  take(positions) {
    this.positions = positions;
    this.count = positions.length / 3;
  }

  projected(place) {
    const p = this.positions;
    return this.camera.project(p[3 * place], p[3 * place + 1], p[3 * place + 2]);
  }

  /** The node under a CSS point, or -1: the nearest one whose disc holds the point, else the closest within reach. */
  at(x, y, reach = REACH) {
    const { camera, painter } = this;
    let best = -1;
    let bestRank = Infinity;
    for (let place = 0; place < this.count; place++) {
      const [px, py, depth] = this.projected(place);
      const away = Math.hypot(px - x, py - y);
      if (depth <= 0 || away > MOST_PIXELS + reach) continue;
      const radius = painter.nodePixels(place, depth);
      if (away > Math.max(radius, reach)) continue;
      const front = depth - (radius * camera.divisor(depth)) / camera.pixelScale;
      const rank = away <= radius + 1 ? front : 1e12 * (1 + away);
      if (rank < bestRank) [best, bestRank] = [place, rank];
    }
    return best;
  }

  /** The nodes, near and far, that appear inside an outline of CSS points. */
  inside(outline) {
    const [xs, ys] = [outline.map((point) => point.x), outline.map((point) => point.y)];
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const found = [];
    for (let place = 0; place < this.count; place++) {
      const [x, y, depth] = this.projected(place);
      if (depth <= 0 || x < left || x > right || y < top || y > bottom) continue;
      if (holds(outline, x, y)) found.push(place);
    }
    return found;
  }
}

/** Whether a polygon holds a point: a ray from there crosses its border an odd number of times. */
function holds(outline, x, y) {
  let odd = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i++) {
    const [a, b] = [outline[i], outline[j]];
    if (a.y > y !== b.y > y && x < a.x + ((b.x - a.x) * (y - a.y)) / (b.y - a.y)) odd = !odd;
  }
  return odd;
}
