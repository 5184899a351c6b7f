// What is written over the picture: ticks and names of the axes, the scale bar, rings around nodes, a drawn outline;
// and, in a saved picture, the colour bars that the page shows as elements.

import { css, shades } from "./colors.js";
import { niceStep, scaleTicks, ticks, tidy } from "./numbers.js";

const AXES = ["x", "y", "z"];
const MOST_RINGS = 60; // more of them would hide what they surround

export class Overlay {
  /** pen: a 2D context in CSS pixels. */
  constructor(pen, { camera, painter, picker, scene, theme }) {
    Object.assign(this, { pen, camera, painter, picker, scene, theme });
    pen.font = `11px ${theme.font}`;
    pen.lineJoin = "round";
  }

  axes() {
    const { half } = this.camera.frame;
    const inside = this.camera.eye.every((value, axis) => Math.abs(value) < half[axis]);
    if (!inside) for (let axis = 0; axis < 3; axis++) this.axis(axis);
  }

  /** Ticks and name along the edge of the frame that is on its outline, lowest on the screen (x, y) or leftmost (z). */
  axis(axis) {
    const { pen, camera, theme } = this;
    const { half, centre } = camera.frame;
    if (half[axis] <= 0) return;
    const best = this.outline(axis);
    if (!best) return;
    const [a, b] = best.ends;
    const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
    if (length < 60) return;
    const middle = camera.project(0, 0, 0);
    let out = [b[1] - a[1], a[0] - b[0]].map((value) => value / length);
    const outwards = [0, 1].reduce((sum, i) => sum + out[i] * ((a[i] + b[i]) / 2 - middle[i]), 0);
    if (outwards < 0) out = out.map((value) => -value);
    const from = centre[axis] - half[axis];
    const to = centre[axis] + half[axis];
    pen.textBaseline = "middle";
    pen.textAlign = Math.abs(out[0]) < 0.35 ? "center" : out[0] < 0 ? "right" : "left";
    pen.strokeStyle = css(theme.text, 0.5);
    pen.lineWidth = 1;
    for (const tick of ticks(from, to, Math.max(2, Math.min(6, length / 75)))) {
      const [x, y] = best.at(tick - centre[axis]);
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x + 5 * out[0], y + 5 * out[1]);
      pen.stroke();
      this.text(tidy(tick, to - from), x + 10 * out[0], y + 12 * out[1], 0.72);
    }
    const unit = this.scene.unit ? ` [${this.scene.unit}]` : "";
    const name = `${AXES[axis]}${unit}`;
    const [x, y] = [(a[0] + b[0]) / 2 + 36 * out[0], (a[1] + b[1]) / 2 + 32 * out[1]];
    const wide = pen.measureText(name).width;
    if (pen.textAlign === "right" && x - wide < 4) {
      // No room beside the ticks: above the upper end of the axis.
      const top = a[1] < b[1] ? a : b;
      pen.textAlign = "center";
      this.text(name, Math.max(top[0], 6 + wide / 2), top[1] - 14, 0.9);
    } else this.text(name, x, y, 0.9);
  }

  /** The edge of the frame along an axis that carries its ticks: where it lies and its ends on the screen. */
  outline(axis) {
    const { camera } = this;
    const { half, flat } = camera.frame;
    const [u, v] = [(axis + 1) % 3, (axis + 2) % 3];
    const { back } = camera.basis();
    const faces = (side, which) =>
      camera.point.orthographic ? side * back[which] > 0 : side * camera.eye[which] > half[which];
    let best = null;
    for (const su of [-1, 1]) {
      for (const sv of [-1, 1]) {
        if (!flat && faces(su, u) === faces(sv, v)) continue;
        const at = (t) => {
          const point = [0, 0, 0];
          point[axis] = t;
          point[u] = su * half[u];
          point[v] = sv * half[v];
          return camera.project(...point);
        };
        const ends = [at(-half[axis]), at(half[axis])];
        if (ends.some((end) => end[2] <= 0)) continue;
        const rank = axis === 2 ? -(ends[0][0] + ends[1][0]) : ends[0][1] + ends[1][1];
        if (!best || rank > best.rank) best = { rank, at, ends };
      }
    }
    return best;
  }

  text(text, x, y, opacity) {
    const { pen, theme } = this;
    pen.save();
    pen.lineWidth = 3;
    pen.strokeStyle = css(theme.sky, 0.8);
    pen.strokeText(text, x, y);
    pen.fillStyle = css(theme.text, opacity);
    pen.fillText(text, x, y);
    pen.restore();
  }

  /** How long a round length is at the depth of the target, `above` CSS pixels above the lower border. */
  scaleBar(above) {
    const { pen, camera, theme } = this;
    const perPixel = camera.unitsPerPixel();
    const step = niceStep(perPixel * 90);
    const pixels = step / perPixel;
    const y = camera.height - above;
    pen.strokeStyle = css(theme.text, 0.75);
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(13, y - 4);
    pen.lineTo(13, y);
    pen.lineTo(13 + pixels, y);
    pen.lineTo(13 + pixels, y - 4);
    pen.stroke();
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    this.text(`${tidy(step, step)} ${this.scene.unit}`.trim(), 20 + pixels, y - 2, 0.8);
  }

  rings(selected, hover) {
    const { pen, theme } = this;
    pen.lineWidth = 2;
    pen.strokeStyle = css(theme.primary);
    if (selected.size <= MOST_RINGS) for (const place of selected) this.ring(place, 4);
    if (hover < 0 || selected.has(hover)) return;
    pen.lineWidth = 1.5;
    pen.strokeStyle = css(theme.text, 0.8);
    this.ring(hover, 3);
  }

  ring(place, gap) {
    const [x, y, depth] = this.picker.projected(place);
    if (depth <= 0) return;
    this.pen.beginPath();
    this.pen.arc(x, y, this.painter.nodePixels(place, depth) + gap, 0, 2 * Math.PI);
    this.pen.stroke();
  }

  /** The box or lasso that is being drawn. */
  drawn(outline) {
    const { pen, theme } = this;
    if (outline.length < 2) return;
    pen.beginPath();
    outline.forEach(({ x, y }, i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.fillStyle = css(theme.primary, 0.12);
    pen.fill();
    pen.strokeStyle = css(theme.primary);
    pen.lineWidth = 1.5;
    pen.stroke();
  }

  /** Colour bars at the lower right. */
  bars(colors) {
    const { pen, camera, theme } = this;
    const wide = Math.min(190, camera.width / 3);
    let left = camera.width - 14;
    pen.textBaseline = "alphabetic";
    for (const color of colors.toReversed()) {
      left -= wide;
      const top = camera.height - 46;
      pen.textAlign = "left";
      if (color.categories.length) {
        color.categories.forEach((name, code) => {
          const y = camera.height - 12 - 15 * (color.categories.length - 1 - code);
          pen.fillStyle = color.stops[code];
          pen.beginPath();
          pen.arc(left + 5, y - 4, 4.5, 0, 2 * Math.PI);
          pen.fill();
          this.text(name, left + 15, y, 0.9);
        });
        this.text(color.label, left, camera.height - 12 - 15 * color.categories.length - 2, 0.8);
      } else {
        this.text(color.label, left, top + 2, 0.8);
        const stops = shades(color, theme.dark);
        const ramp = pen.createLinearGradient(left, 0, left + wide, 0);
        stops.forEach((stop, i) => ramp.addColorStop(i / (stops.length - 1), css(stop)));
        pen.fillStyle = ramp;
        pen.fillRect(left, top + 8, wide, 8);
        pen.textAlign = "center";
        for (const { share, text } of scaleTicks(color)) this.text(text, left + share * wide, top + 30, 0.8);
      }
      left -= 26;
    }
  }

  /** Words at the upper left, one line each. */
  title(lines) {
    const { pen } = this;
    pen.textAlign = "left";
    pen.textBaseline = "top";
    lines.filter(Boolean).forEach((line, i) => this.text(line, 12, 10 + 15 * i, 0.85));
  }
}
