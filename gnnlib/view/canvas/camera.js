// The point of view: where the eye is, how it moves, how space becomes screen, and how a link says it.
// z is up, the origin of projected points the middle of the scene's frame; the eye turns about a target.

import { basis, distance, dot } from "./numbers.js";

export const FIELD_OF_VIEW = Math.PI / 6; // from the lower to the upper border, as gnnlib/view/export.py knows too
export const NARROW = 560; // CSS pixels, as in canvas.css
const OPENING = Math.tan(FIELD_OF_VIEW / 2);
const HOME = { azimuth: (-58 * Math.PI) / 180, elevation: (20 * Math.PI) / 180 };
const ALONG = { x: [0, 0], y: [-Math.PI / 2, 0], z: [-Math.PI / 2, Math.PI / 2] };
const LABEL_ROOM = [66, 44]; // CSS pixels beside and above the frame for ticks and names of the axes
const SPIN = 0.16; // radians a second

const points = new Map(); // name -> point of view, kept across pages

export class Camera {
  /** moved(): called whenever a person changed the point of view. */
  constructor(moved) {
    this.moved = moved;
    this.point = null;
    this.frame = null;
    this.flight = null;
    this.spinning = false;
    [this.width, this.height] = [1, 1];
    this.below = 0; // CSS pixels at the lower border that a view from home keeps free
  }

  /**
   * Look at a frame from the point of view kept under `name` if it saw the same part of space, else from home.
   * asked: the point of view that a link names, taken where nothing was looked at yet, or where it `insists`.
   */
  place(name, frame, asked, insists) {
    this.name = name;
    this.frame = frame;
    const { centre, radius, flat } = frame;
    const read = asked && (insists || !points.has(name)) ? this.read(asked) : null;
    const kept = read ?? points.get(name) ?? stored(name);
    const same =
      kept && distance(kept.centre, centre) < radius && kept.radius / radius < 3 && radius / kept.radius < 3;
    this.point = same ? kept : this.home(kept && kept.flat === flat ? kept : null);
    Object.assign(this.point, { centre, radius, flat, orthographic: Boolean(kept?.orthographic) });
    this.keep();
    this.look();
  }

  keep() {
    points.set(this.name, this.point);
    try {
      sessionStorage.setItem(`filament:${this.name}`, JSON.stringify(this.point));
    } catch {
      // Private windows may refuse storage; the point of view then lasts as long as the page.
    }
  }

  /** The point of view that shows the whole frame, axes included, from these angles. */
  home(angles) {
    const { centre, radius, half, flat } = this.frame;
    const { azimuth, elevation } = angles ?? (flat ? { azimuth: ALONG.z[0], elevation: ALONG.z[1] } : HOME);
    const orthographic = Boolean(this.point?.orthographic);
    const { right, up, back } = basis(azimuth, elevation);
    // Corners of the frame as the screen will show them: shift and step back until they fill it, labels included.
    const size = [this.width, this.height];
    const beside = [this.width < NARROW ? LABEL_ROOM[1] : LABEL_ROOM[0], LABEL_ROOM[1]];
    const room = beside.map((pixels, i) => Math.max(0.4, 1 - (2 * pixels + (i ? this.below : 0)) / size[i]));
    const reach = [OPENING * (size[0] / size[1]) * room[0], OPENING * room[1]];
    const target = [0, 0, 0];
    let away = 4 * radius;
    for (let round = 0; round < 8; round++) {
      const low = [Infinity, Infinity];
      const high = [-Infinity, -Infinity];
      for (let i = 0; i < 8; i++) {
        const corner = half.map((side, axis) => (i & (1 << axis) ? side : -side) - target[axis]);
        const depth = orthographic ? away : Math.max(away - dot(corner, back), 0.05 * away);
        [right, up].forEach((direction, k) => {
          low[k] = Math.min(low[k], dot(corner, direction) / depth);
          high[k] = Math.max(high[k], dot(corner, direction) / depth);
        });
      }
      const middle = [0, 1].map((k) => ((low[k] + high[k]) / 2) * away);
      for (let axis = 0; axis < 3; axis++) target[axis] += right[axis] * middle[0] + up[axis] * middle[1];
      away *= Math.max((high[0] - low[0]) / (2 * reach[0]), (high[1] - low[1]) / (2 * reach[1])) || 1;
    }
    const lift = (this.below * away * OPENING) / this.height;
    for (let axis = 0; axis < 3; axis++) target[axis] += centre[axis] - up[axis] * lift;
    return { target, distance: away, azimuth, elevation, centre, radius, flat, orthographic };
  }

  /** The whole frame seen along an axis. */
  along(axis) {
    const [azimuth, elevation] = ALONG[axis];
    return this.home({ azimuth, elevation });
  }

  /** These points (around the middle of the frame), seen from where one looks now. */
  around(places) {
    const low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    for (const place of places) {
      for (let axis = 0; axis < 3; axis++) {
        low[axis] = Math.min(low[axis], place[axis]);
        high[axis] = Math.max(high[axis], place[axis]);
      }
    }
    const radius = Math.max(0.6 * Math.hypot(...low.map((value, axis) => high[axis] - value)), 0.02 * this.frame.radius);
    const narrow = Math.min(1, this.width / this.height);
    const target = low.map((value, axis) => (value + high[axis]) / 2 + this.frame.centre[axis]);
    return { ...this.point, target, distance: radius / (OPENING * narrow) };
  }

  // --------------------------------------------------------------------------------------------- moving

  turn(dx, dy) {
    this.point.azimuth -= dx;
    this.point.elevation = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, this.point.elevation + dy));
    this.rest();
  }

  /** Multiply the distance by `factor`, keeping what is under the CSS point (x, y) in its place. */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const { point, frame } = this;
    const next = Math.max(1e-3 * frame.radius, Math.min(40 * frame.radius, point.distance * factor));
    const shift = 1 - next / point.distance;
    const scale = this.unitsPerPixel();
    this.shift((x - this.width / 2) * scale * shift, (this.height / 2 - y) * scale * shift);
    point.distance = next;
    this.rest();
  }

  pan(dx, dy) {
    const scale = this.unitsPerPixel();
    this.shift(-dx * scale, dy * scale);
    this.rest();
  }

  shift(rightwards, upwards) {
    const { right, up } = this.basis();
    for (let axis = 0; axis < 3; axis++) this.point.target[axis] += right[axis] * rightwards + up[axis] * upwards;
  }

  /** The hand took over: whatever moved by itself stops. */
  rest() {
    this.flight = null;
    this.spinning = false;
    this.keep();
    this.moved();
  }

  setOrthographic(on) {
    this.point.orthographic = on;
    this.keep();
    this.moved();
  }

  spin(on) {
    this.spinning = on;
    this.turnedAt = null;
    this.moved();
  }

  /** Move smoothly to another point of view, or at once where the person asked for less motion. */
  fly(goal) {
    const { target, distance: away, azimuth, elevation } = this.point;
    const from = { target: [...target], away, azimuth, elevation };
    const turn = 2 * Math.PI;
    const to = azimuth + (((((goal.azimuth - azimuth) % turn) + 1.5 * turn) % turn) - 0.5 * turn);
    const started = performance.now();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.spinning = false;
    this.flight = (now) => {
      const done = still ? 1 : Math.min(1, Math.max(0, (now - started) / 450));
      const ease = done * done * (3 - 2 * done);
      const mix = (a, b) => (done === 1 ? b : a + (b - a) * ease);
      const { point } = this;
      point.target = from.target.map((value, axis) => mix(value, goal.target[axis]));
      point.distance = done === 1 ? goal.distance : from.away * (goal.distance / from.away) ** ease;
      point.azimuth = mix(from.azimuth, to);
      point.elevation = mix(from.elevation, goal.elevation);
      return done < 1;
    };
    this.moved();
  }

  /** What moves by itself takes its next step; true while there are more to come. */
  step(now) {
    if (this.flight) {
      if (!this.flight(now)) this.flight = null;
      this.keep();
      return this.flight !== null;
    }
    if (!this.spinning) return false;
    this.point.azimuth += SPIN * Math.min(0.2, (now - (this.turnedAt ?? now)) / 1000);
    this.turnedAt = now;
    this.keep();
    return true;
  }

  // ------------------------------------------------------------------------------------ space on the screen

  basis() {
    return basis(this.point.azimuth, this.point.elevation);
  }

  unitsPerPixel() {
    return (2 * this.point.distance * OPENING) / this.height;
  }

  /** Prepare the projection for a picture of this size in CSS pixels. */
  look(width = this.width, height = this.height) {
    Object.assign(this, { width, height });
    const { point, frame } = this;
    const { right, up, back } = this.basis();
    const target = point.target.map((value, axis) => value - frame.centre[axis]);
    // Seen in parallel nothing is nearer: the eye then stands behind everything, so that nothing lies behind it.
    const away = point.orthographic ? Math.hypot(...target) + 6 * frame.radius : point.distance;
    this.eye = target.map((value, axis) => value + back[axis] * away);
    const row = (scale, vector) => [...vector.map((value) => value * scale), -dot(vector, this.eye) * scale];
    const f = 1 / OPENING;
    const scale = point.orthographic ? f / point.distance : f;
    const x = row((scale * height) / width, right);
    const y = row(scale, up);
    this.depth = row(-1, back); // distance from the eye along the line of sight
    let z;
    if (point.orthographic) {
      const reach = 6 * frame.radius + Math.hypot(...target);
      z = this.depth.map((value) => value / reach);
      z[3] -= 1;
    } else {
      const far = Math.hypot(...this.eye) + 2 * frame.radius;
      const near = Math.max(point.distance * 0.02, far * 1e-4);
      z = this.depth.map((value) => (value * (far + near)) / (far - near));
      z[3] -= (2 * far * near) / (far - near);
    }
    const w = point.orthographic ? [0, 0, 0, 1] : this.depth;
    this.matrix = [0, 1, 2, 3].flatMap((column) => [x[column], y[column], z[column], w[column]]);
  }

  /** By what a length at this depth is divided on the screen. */
  divisor(depth) {
    return this.point.orthographic ? this.point.distance : depth;
  }

  /** CSS pixels of a unit of length where the divisor is 1. */
  get pixelScale() {
    return this.height / (2 * OPENING);
  }

  /** CSS pixels and depth of a point given around the middle of the frame; depth is negative behind the eye. */
  project(x, y, z) {
    const m = this.matrix;
    const d = this.depth;
    const w = m[3] * x + m[7] * y + m[11] * z + m[15];
    return [
      (0.5 + (0.5 * (m[0] * x + m[4] * y + m[8] * z + m[12])) / w) * this.width,
      (0.5 - (0.5 * (m[1] * x + m[5] * y + m[9] * z + m[13])) / w) * this.height,
      d[0] * x + d[1] * y + d[2] * z + d[3],
    ];
  }

  // --------------------------------------------------------------------------------------- as text, for a link

  /**
   * "p_azimuth_elevation_distance_x_y_z": p(erspective) or o(rthographic), degrees, and the distance and the place of
   * the target relative to the middle of the frame in radii of the frame. gnnlib/view/export.py reads it too.
   */
  text() {
    const { azimuth, elevation, distance: away, target, orthographic } = this.point;
    const degrees = (angle) => Number(((((angle * 180) / Math.PI + 540) % 360) - 180).toFixed(2));
    const numbers = [degrees(azimuth), degrees(elevation), away / this.frame.radius];
    target.forEach((value, axis) => numbers.push((value - this.frame.centre[axis]) / this.frame.radius));
    return `${orthographic ? "o" : "p"}_${numbers.map((value) => Number(value.toFixed(4))).join("_")}`;
  }

  /** The point of view that a text describes, or null. */
  read(text) {
    const [kind, ...rest] = String(text).split("_");
    const [azimuth, elevation, away, ...place] = rest.map(Number);
    const sound = "po".includes(kind) && rest.length === 6 && rest.every((value) => value && Number.isFinite(Number(value)));
    if (!sound || away <= 0 || away > 40 || Math.max(...place.map(Math.abs)) > 40) return null;
    const { centre, radius, flat } = this.frame;
    return {
      target: centre.map((value, axis) => value + place[axis] * radius),
      distance: away * radius,
      azimuth: (azimuth * Math.PI) / 180,
      elevation: (Math.max(-90, Math.min(90, elevation)) * Math.PI) / 180,
      orthographic: kind === "o",
      centre,
      radius,
      flat,
    };
  }
}

function stored(name) {
  try {
    const point = JSON.parse(sessionStorage.getItem(`filament:${name}`));
    const { distance: away, azimuth, elevation, radius, target, centre } = point;
    return [away, azimuth, elevation, radius, ...target, ...centre].every(Number.isFinite) ? point : null;
  } catch {
    return null;
  }
}
