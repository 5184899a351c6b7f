// The renderer of a scene: WebGL 2, no libraries. Nodes and edges are pulled from textures by vertex number, so that an
// edge costs eight bytes, a smaller linking length is a shorter draw call, and a colour change touches no geometry.
// Coordinates: z up, the origin in the middle of the scene's frame; the camera turns about a target.

import { css, luminance, parseColor, scaled, shades } from "./colors.js";
import { basis, bitReversed, distance, dot, largest, niceStep, ticks, tidy, upperBound } from "./numbers.js";
import * as shaders from "./shaders.js";
import { blend, corners, dataTexture, mapTexture, program, rendersInSoftware, resize, rows, use } from "./webgl.js";

const FIELD_OF_VIEW = (30 * Math.PI) / 180;
const HOME = { azimuth: (-58 * Math.PI) / 180, elevation: (20 * Math.PI) / 180 };
const PICK_REACH = 7; // CSS pixels around a small node that still count as a click on it
const MOST_STRIDE = 32; // at least every 32nd edge is drawn while the view moves
const MOST_PIXELS = 22; // greatest radius of a node in CSS pixels
const LABEL_ROOM = [66, 44]; // CSS pixels beside and above the frame for ticks and names of the axes
const NARROW = 560; // CSS pixels, as in canvas.css
const AXES = ["x", "y", "z"];

const { NO_IMAGE, ROW } = shaders;

const views = new WeakMap(); // where Streamlit put the element -> its View
const cameras = new Map(); // camera name -> point of view, kept across pages
const fetched = new Map(); // hash -> promise of its bytes, the most recent ones

/** Called by the loader at every change of data or theme; returns what to do when the element goes away. */
export function mount(component, base) {
  const parent = component.parentElement;
  if (!views.has(parent)) views.set(parent, new View(parent, base));
  const view = views.get(parent);
  view.update(component);
  return () => {
    views.delete(parent);
    view.destroy();
  };
}

class View {
  constructor(parent, base) {
    this.base = base;
    this.revisions = {};
    this.have = {}; // what is loaded: name -> hash
    this.arrays = {};
    this.selection = [];
    this.selected = new Set();
    this.neighbours = new Set();
    this.frames = 0;
    this.stride = 1;
    this.touches = new Map();
    this.build(parent);
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.start();
      this.upload();
    });
    this.start();
    this.listen();
    this.resizes = new ResizeObserver(() => this.draw());
    this.resizes.observe(this.stage);
  }

  build(parent) {
    this.root = element("div", "filament");
    this.stage = element("div", "stage", this.root);
    this.canvas = element("canvas", "graph", this.stage);
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.overlay = element("canvas", "overlay", this.stage);
    this.legend = element("div", "legend", this.stage);
    this.figures = element("div", "figures", this.legend);
    this.caption = element("div", "caption", this.legend);
    this.chosen = element("div", "chosen", this.legend);
    this.chosenText = element("span", "", this.chosen);
    this.clear = element("button", "clear", this.chosen, "Clear");
    this.clear.title = "Clear the selection (Esc)";
    this.chosen.hidden = true;
    this.reset = element("button", "reset", this.stage, "⟲");
    element("span", "word", this.reset, " Reset view");
    this.reset.title = "Reset view (Home)";
    this.reset.setAttribute("aria-label", "Reset view");
    this.bars = element("div", "bars", this.stage);
    this.hint = element("div", "hint", this.stage, "drag: rotate · wheel: zoom · right drag: pan · click: select");
    this.tip = element("div", "tip", this.stage);
    this.tip.hidden = true;
    this.message = element("div", "message", this.stage);
    this.controls = element("div", "controls", this.root);
    this.sliders = {
      radius: this.slider("radius", "Linking length"),
      attention: this.slider("attention", "Attention at least"),
    };
    parent.appendChild(this.root);
  }

  slider(name, title) {
    const label = element("label", name, this.controls);
    element("span", "name", label, title);
    const input = element("input", "", label);
    input.type = "range";
    const output = element("output", "", label);
    input.addEventListener("input", () => {
      this[name] = Number(input.value);
      this.showSlider(name);
      this.choose();
    });
    input.addEventListener("change", () => this.report(name, Number(input.value)));
    return { label, input, output };
  }

  start() {
    if (View.software === undefined) View.software = rendersInSoftware();
    const gl = this.canvas.getContext("webgl2", {
      alpha: false,
      antialias: !View.software,
      powerPreference: "high-performance",
    });
    this.gl = gl;
    if (!gl) {
      this.say(
        "This browser has no WebGL 2, which the 3D view needs; turn on hardware acceleration or use another browser.",
      );
      return;
    }
    this.programs = {
      node: program(gl, shaders.NODE_VERTEX, shaders.NODE_FRAGMENT),
      edge: program(gl, shaders.EDGE_VERTEX, shaders.EDGE_FRAGMENT),
      frame: program(gl, shaders.FRAME_VERTEX, shaders.FRAME_FRAGMENT),
    };
    this.textures = {};
    for (const name of ["nodes", "sizes", "segments", "weights", "nodeMap", "edgeMap"])
      this.textures[name] = gl.createTexture();
    this.lists = {};
    for (const name of ["edges", "lit", "nodes", "glow"]) this.lists[name] = { buffer: gl.createBuffer(), count: 0 };
    gl.bindVertexArray(gl.createVertexArray());
  }

  destroy() {
    this.gone = true;
    this.resizes.disconnect();
    clearTimeout(this.rest);
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext();
    this.root.remove();
    if (this.data && window.__filament?.[this.data.key] === this.reporter) delete window.__filament[this.data.key];
  }

  say(text) {
    this.message.textContent = text;
    this.reset.hidden = Boolean(text);
  }

  // -------------------------------------------------------------------------------------- what Python sends

  async update(component) {
    this.component = component;
    const data = component.data;
    this.data = data;
    this.root.style.height = `${data.height}px`;
    this.readTheme();
    for (const name of ["radius", "attention"]) this.takeControl(name, data[name]);
    if (this.revisions.selection !== data.selection.revision) {
      this.revisions.selection = data.selection.revision;
      this.selection = data.selection.value;
    }
    this.publish();
    if (!this.gl) return;
    const scene = data.scene;
    const wanted = {
      positions: scene.positions,
      pairs: scene.pairs,
      lengths: scene.lengths,
      sizes: scene.sizes,
      nodeColor: scene.node_color?.values,
      edgeColor: scene.edge_color?.values,
    };
    const names = Object.keys(wanted).filter((name) => this.have[name] !== (wanted[name] ?? null));
    try {
      const buffers = await Promise.all(names.map((name) => (wanted[name] ? this.fetch(wanted[name]) : null)));
      if (this.gone || this.data !== data) return;
      names.forEach((name, place) => {
        this.have[name] = wanted[name] ?? null;
        const Kind = name === "pairs" ? Uint32Array : Float32Array;
        this.arrays[name] = new Kind(buffers[place] ?? 0);
      });
    } catch {
      if (!this.gone) this.say("The graph's data did not arrive; reload the page.");
      return;
    }
    this.scene = scene;
    this.ids = null;
    this.details = null;
    this.say(scene.nodes ? "" : "There is nothing to draw: no row is selected.");
    this.upload(names);
    this.fit();
    this.placeBars();
    this.choose();
  }

  /** The bytes with this hash. The server may have dropped them: then Python is asked to send them again. */
  fetch(hash) {
    if (!fetched.has(hash)) {
      const load = async () => {
        for (let attempt = 0; attempt < 4; attempt++) {
          const answer = await fetch(`${this.base}filament/arrays/${hash}`);
          if (answer.ok) return answer.arrayBuffer();
          this.component.setTriggerValue("lost", hash);
          await new Promise((resolve) => setTimeout(resolve, 700 * (attempt + 1)));
        }
        throw new Error(`array ${hash} is not served`);
      };
      const promise = load();
      promise.catch(() => fetched.delete(hash));
      fetched.set(hash, promise);
      if (fetched.size > 32) fetched.delete(fetched.keys().next().value);
    }
    return fetched.get(hash);
  }

  /** A threshold with a slider moves when Python raises its revision; one without is always Python's. */
  takeControl(name, control) {
    const { label, input } = this.sliders[name];
    const shown = control.max !== undefined;
    label.hidden = !shown;
    this.controls.hidden = this.data.radius.max === undefined && this.data.attention.max === undefined;
    if (!shown) {
      this.revisions[name] = null;
      this[name] = control.value;
      return;
    }
    if (this.revisions[name] !== control.revision) this[name] = control.value;
    this.revisions[name] = control.revision;
    this[name] = Math.max(control.min, Math.min(control.max, this[name]));
    const step = niceStep((control.max - control.min) / 300 || 1);
    Object.assign(input, { min: control.min, max: control.max, step });
    input.value = this[name];
    this.showSlider(name);
  }

  showSlider(name) {
    const unit = name === "radius" && this.data.scene.unit ? ` ${this.data.scene.unit}` : "";
    const digits = this.data[name].max >= 100 ? 0 : this.data[name].max >= 10 ? 1 : 2;
    this.sliders[name].output.textContent = `${this[name].toFixed(digits)}${unit}`;
    this.sliders[name].input.setAttribute("aria-valuetext", this.sliders[name].output.textContent);
  }

  report(name, value) {
    this.component.setStateValue(name, { value, revision: this.revisions[name] });
  }

  readTheme() {
    const style = getComputedStyle(this.root);
    const color = (name, fallback) => parseColor(style.getPropertyValue(name).trim() || fallback);
    const page = color("--st-background-color", "#ffffff");
    const dark = luminance(page) < 0.4;
    this.theme = {
      dark,
      sky: dark ? page.map((channel) => channel * 0.72) : page,
      text: color("--st-text-color", dark ? "#eeeeee" : "#222222"),
      primary: color("--st-primary-color", "#f0b35a"),
      font: style.fontFamily,
    };
    this.root.style.setProperty("--filament-sky", css(this.theme.sky));
    this.root.style.colorScheme = dark ? "dark" : "light";
    this.draw();
  }

  // ------------------------------------------------------------------------------------------ to the graphics card

  /** Upload what depends on the arrays named; on everything where no names are given. */
  upload(names = ["positions", "pairs", "lengths", "sizes", "nodeColor", "edgeColor"]) {
    const { gl, arrays, scene, textures } = this;
    if (!scene) return;
    const changed = (...which) => which.some((name) => names.includes(name));
    const colors = scene.node_color;
    const shown = JSON.stringify([colors, scene.edge_color, this.theme.dark]);
    if (changed("positions", "nodeColor") || shown !== this.shownColors) {
      const texels = new Float32Array(4 * rows(scene.nodes) * ROW);
      const value = scaled(arrays.nodeColor, colors);
      for (let i = 0; i < scene.nodes; i++) {
        texels[4 * i] = arrays.positions[3 * i];
        texels[4 * i + 1] = arrays.positions[3 * i + 1];
        texels[4 * i + 2] = arrays.positions[3 * i + 2];
        texels[4 * i + 3] = colors ? value[i] : -1;
      }
      dataTexture(gl, textures.nodes, gl.RGBA32F, gl.RGBA, gl.FLOAT, texels);
      mapTexture(gl, textures.nodeMap, colors, this.theme.dark);
    }
    if (changed("positions", "sizes")) {
      const texels = new Float32Array(rows(scene.nodes) * ROW).fill(0.12);
      if (scene.sizes) texels.set(arrays.sizes.subarray(0, scene.nodes));
      this.sizes = texels;
      dataTexture(gl, textures.sizes, gl.R32F, gl.RED, gl.FLOAT, texels);
      this.list("glow", largest(texels, scene.nodes, Math.min(400, Math.ceil(scene.nodes * 0.03))));
    }
    if (changed("pairs")) this.makeSegments();
    if (changed("lengths")) {
      this.lengthUpTo = new Float64Array(scene.edges + 1);
      for (let edge = 0; edge < scene.edges; edge++)
        this.lengthUpTo[edge + 1] = this.lengthUpTo[edge] + arrays.lengths[edge];
    }
    if (changed("pairs", "edgeColor") || shown !== this.shownColors) {
      const texels = new Float32Array(rows(this.segments.length / 2) * ROW);
      if (scene.edge_color) {
        const value = scaled(arrays.edgeColor, scene.edge_color);
        for (let segment = 0; segment < this.segments.length / 2; segment++)
          texels[segment] = value[this.edgeOf(segment)];
      }
      dataTexture(gl, textures.weights, gl.R32F, gl.RED, gl.FLOAT, texels);
      mapTexture(gl, textures.edgeMap, scene.edge_color, this.theme.dark);
    }
    this.shownColors = shown;
  }

  /** An edge is one segment, or two where it crosses a periodic face: one stub from each of its nodes. */
  makeSegments() {
    const pairs = this.arrays.pairs;
    const edges = this.scene.edges;
    this.firstSegment = new Uint32Array(edges + 1);
    const out = new Uint32Array(4 * edges);
    let n = 0;
    for (let edge = 0; edge < edges; edge++) {
      this.firstSegment[edge] = n;
      const a = pairs[2 * edge];
      const b = pairs[2 * edge + 1] & 0x7ffffff;
      const image = pairs[2 * edge + 1] >>> 27;
      out[2 * n] = a;
      out[2 * n + 1] = pairs[2 * edge + 1];
      n++;
      if (image !== NO_IMAGE) {
        out[2 * n] = b;
        out[2 * n + 1] = (a | ((26 - image) << 27)) >>> 0;
        n++;
      }
    }
    this.firstSegment[edges] = n;
    this.segments = out.slice(0, 2 * n);
    const texels = new Uint32Array(2 * rows(n) * ROW);
    texels.set(this.segments);
    dataTexture(this.gl, this.textures.segments, this.gl.RG32UI, this.gl.RG_INTEGER, this.gl.UNSIGNED_INT, texels);
  }

  edgeOf(segment) {
    let edge = Math.min(segment, this.scene.edges - 1);
    if (this.firstSegment[this.scene.edges] !== this.scene.edges) edge = upperBound(this.firstSegment, segment) - 1;
    return edge;
  }

  list(name, indices) {
    const gl = this.gl;
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.lists[name].buffer);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.DYNAMIC_DRAW);
    this.lists[name].count = indices.length;
  }

  /** Work out which edges are visible and which items are lit, then draw. */
  choose() {
    if (!this.scene || !this.gl) return;
    const { scene, arrays } = this;
    const all = this.radius === null || !scene.edges;
    const within = all ? scene.edges : upperBound(arrays.lengths, Math.fround(this.radius));
    const least = scene.edge_color ? this.attention : null;
    this.visible = null;
    this.drawn = within;
    this.drawnLength = this.lengthUpTo?.[within] ?? 0;
    if (least !== null && scene.edges) {
      const visible = [];
      // In an order of which every first half, quarter, ... is an even sample, for drawing fewer while moving.
      for (const phase of bitReversed(MOST_STRIDE))
        for (let edge = phase; edge < within; edge += MOST_STRIDE)
          if (arrays.edgeColor[edge] >= least) visible.push(edge);
      this.visible = visible;
      this.drawn = visible.length;
      this.drawnLength = visible.reduce((sum, edge) => sum + arrays.lengths[edge], 0);
    }
    this.prefix = this.firstSegment?.[within] ?? 0;
    // Vertices of an edge: a software renderer draws many edges as plain lines, which is several times as fast.
    this.corners = View.software && this.drawn > 4000 ? 2 : 6;
    if (this.visible) this.list("edges", corners(this.visible.flatMap((edge) => this.segmentsOf(edge)), this.corners));
    const places = this.selection.map((id) => this.placeOf(id)).filter((place) => place >= 0);
    this.selected = new Set(places);
    this.neighbours = new Set();
    const lit = [];
    if (places.length) {
      const look = (edge) => {
        const a = arrays.pairs[2 * edge];
        const b = arrays.pairs[2 * edge + 1] & 0x7ffffff;
        if (!this.selected.has(a) && !this.selected.has(b)) return;
        lit.push(...this.segmentsOf(edge));
        for (const end of [a, b]) if (!this.selected.has(end)) this.neighbours.add(end);
      };
      if (this.visible) this.visible.forEach(look);
      else for (let edge = 0; edge < within; edge++) look(edge);
    }
    this.list("lit", corners(lit, 6));
    this.list("nodes", Uint32Array.from([...this.neighbours, ...this.selected]));
    this.showFigures(lit.length);
    this.draw();
  }

  segmentsOf(edge) {
    const first = this.firstSegment[edge];
    return this.firstSegment[edge + 1] - first === 2 ? [first, first + 1] : [first];
  }

  // ------------------------------------------------------------------------------------------------- camera

  /** Keep the point of view if it looks at the same part of space as before, else turn it to the new scene. */
  fit() {
    const { centre, box } = this.scene;
    const radius = Math.max(0.5 * Math.hypot(...box), 1e-9);
    this.frame = { centre, radius, half: box.map((side) => side / 2), flat: box[2] < 1e-6 * radius };
    const name = this.data.camera;
    this.camera = cameras.get(name) ?? stored(name);
    const kept = this.camera;
    const same =
      kept && distance(kept.centre, centre) < radius && kept.radius / radius < 3 && radius / kept.radius < 3;
    if (!same) this.camera = this.home(kept && kept.flat === this.frame.flat ? kept : null);
    Object.assign(this.camera, { centre, radius, flat: this.frame.flat });
    this.keepCamera();
  }

  home(angles) {
    const turned = angles ?? (this.frame.flat ? { azimuth: -Math.PI / 2, elevation: Math.PI / 2 } : HOME);
    const { centre, radius, half, flat } = this.frame;
    const { azimuth, elevation } = turned;
    const { right, up, back } = basis(azimuth, elevation);
    // Corners of the frame as the screen will show them: shift and step back until they fill it, labels included.
    const [width, height] = [this.stage.clientWidth || 1, this.stage.clientHeight || 1];
    const opening = Math.tan(FIELD_OF_VIEW / 2);
    const beside = [width < NARROW ? LABEL_ROOM[1] : LABEL_ROOM[0], LABEL_ROOM[1]];
    const room = beside.map((pixels, i) => Math.max(0.4, 1 - (2 * pixels) / [width, height][i]));
    const reach = [opening * (width / height) * room[0], opening * room[1]];
    const target = [0, 0, 0];
    let away = 4 * radius;
    for (let round = 0; round < 8; round++) {
      const low = [Infinity, Infinity];
      const high = [-Infinity, -Infinity];
      for (let i = 0; i < 8; i++) {
        const corner = half.map((side, axis) => (i & (1 << axis) ? side : -side) - target[axis]);
        const depth = Math.max(away - dot(corner, back), 0.05 * away);
        [right, up].forEach((direction, k) => {
          low[k] = Math.min(low[k], dot(corner, direction) / depth);
          high[k] = Math.max(high[k], dot(corner, direction) / depth);
        });
      }
      const middle = [0, 1].map((k) => ((low[k] + high[k]) / 2) * away);
      for (let axis = 0; axis < 3; axis++) target[axis] += right[axis] * middle[0] + up[axis] * middle[1];
      away *= Math.max((high[0] - low[0]) / (2 * reach[0]), (high[1] - low[1]) / (2 * reach[1])) || 1;
    }
    for (let axis = 0; axis < 3; axis++) target[axis] += centre[axis];
    return { target, distance: away, azimuth, elevation, centre, radius, flat };
  }

  keepCamera() {
    cameras.set(this.data.camera, this.camera);
    try {
      sessionStorage.setItem(`filament:${this.data.camera}`, JSON.stringify(this.camera));
    } catch {
      // Private windows may refuse storage; the camera then lasts as long as the page.
    }
  }

  basis() {
    return basis(this.camera.azimuth, this.camera.elevation);
  }

  turn(dx, dy) {
    this.camera.azimuth -= dx;
    this.camera.elevation = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, this.camera.elevation + dy));
    this.moved();
  }

  /** Multiply the distance by `factor`, keeping what is under the CSS point (x, y) in its place. */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const camera = this.camera;
    const next = Math.max(1e-3 * this.frame.radius, Math.min(40 * this.frame.radius, camera.distance * factor));
    const shift = 1 - next / camera.distance;
    const scale = (2 * camera.distance * Math.tan(FIELD_OF_VIEW / 2)) / this.height;
    this.shift((x - this.width / 2) * scale * shift, (this.height / 2 - y) * scale * shift);
    camera.distance = next;
    this.moved();
  }

  pan(dx, dy) {
    const scale = (2 * this.camera.distance * Math.tan(FIELD_OF_VIEW / 2)) / this.height;
    this.shift(-dx * scale, dy * scale);
    this.moved();
  }

  shift(rightwards, upwards) {
    const { right, up } = this.basis();
    for (let axis = 0; axis < 3; axis++) this.camera.target[axis] += right[axis] * rightwards + up[axis] * upwards;
  }

  moved() {
    this.flight = null;
    this.keepCamera();
    this.hint.classList.add("used");
    this.inMotion();
    this.draw();
  }

  /** While the view moves, a slow machine draws every 2nd, 4th, ... edge (and node); all as soon as it rests. */
  inMotion() {
    this.moving = true;
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      this.moving = false;
      this.lastPaint = 0;
      if (this.stride > 1) this.draw();
    }, 220);
  }

  pace(now) {
    const took = now - (this.lastPaint ?? 0);
    this.lastPaint = now;
    if (!this.moving || took > 2000) return;
    this.slow = took > 36 ? (this.slow ?? 0) + 1 : took < 20 ? (this.slow ?? 0) - 0.2 : this.slow;
    if (this.slow >= 2 && this.stride < MOST_STRIDE) [this.stride, this.slow] = [this.stride * 2, 0];
    if (this.slow <= -6 && this.stride > 1) [this.stride, this.slow] = [this.stride / 2, 0];
  }

  /** Move smoothly to another point of view, or at once where the person asked for less motion. */
  fly(goal) {
    const from = { target: [...this.camera.target], distance: this.camera.distance };
    from.azimuth = this.camera.azimuth;
    from.elevation = this.camera.elevation;
    const turn = 2 * Math.PI;
    goal.azimuth = from.azimuth + (((goal.azimuth - from.azimuth) % turn) + 1.5 * turn) % turn - 0.5 * turn;
    const started = performance.now();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.flight = (now) => {
      const done = still ? 1 : Math.min(1, Math.max(0, (now - started) / 450));
      const ease = done * done * (3 - 2 * done);
      const mix = (a, b) => (done === 1 ? b : a + (b - a) * ease);
      this.camera.target = from.target.map((value, axis) => mix(value, goal.target[axis]));
      this.camera.distance = done === 1 ? goal.distance : from.distance * (goal.distance / from.distance) ** ease;
      this.camera.azimuth = mix(from.azimuth, goal.azimuth);
      this.camera.elevation = mix(from.elevation, goal.elevation);
      this.keepCamera();
      return done < 1;
    };
    this.draw();
  }

  flyTo(place) {
    const { positions } = this.arrays;
    const target = [0, 1, 2].map((axis) => positions[3 * place + axis] + this.frame.centre[axis]);
    this.fly({ ...this.camera, target, distance: Math.min(this.camera.distance, 0.35 * this.frame.radius) });
  }

  // ------------------------------------------------------------------------------------------------- drawing

  draw() {
    if (this.waiting || !this.scene || !this.gl) return;
    this.waiting = requestAnimationFrame((now) => {
      this.waiting = 0;
      if (this.gone || this.gl.isContextLost()) return;
      const flying = this.flight?.(now);
      if (flying) this.inMotion();
      else this.flight = null;
      this.pace(now);
      this.paint();
      if (flying) this.draw();
    });
  }

  paint() {
    const { gl, scene, theme, camera, frame, programs, textures } = this;
    this.width = this.stage.clientWidth;
    this.height = this.stage.clientHeight;
    if (!this.width || !this.height) return;
    const ratio = View.software ? 1 : Math.min(devicePixelRatio || 1, 2);
    this.ratio = ratio;
    resize(this.canvas, this.width * ratio, this.height * ratio);
    this.matrix = this.viewMatrix();
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(...theme.sky, 1);
    gl.depthMask(true);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.enable(gl.BLEND);

    const dim = this.selected.size > 0;
    const skip = this.moving ? this.stride : 1;
    const start = Math.max(0, camera.distance - frame.radius);
    const fog = [start, 1 / (2 * frame.radius), frame.flat ? 0 : 0.5];
    const common = { u_matrix: this.matrix, u_plain: theme.dark ? [0.56, 0.63, 0.74] : [0.36, 0.4, 0.48] };

    gl.depthMask(false);
    blend(gl, false);
    use(gl, programs.frame, {
      u_matrix: this.matrix,
      u_half: frame.half,
      u_color: [...theme.text, (theme.dark ? 0.22 : 0.3) * (scene.has_box ? 1 : 0.6)],
    });
    gl.drawArrays(gl.LINES, 0, 24);

    const nodes = (lit, spread, opacity, skip = 1) => {
      use(gl, programs.node, {
        ...common,
        u_stride: skip,
        u_fog: [...fog, lit ? 1 : 0.15],
        u_size: [this.nodeRadius(), this.pixelScale(), this.leastPixels() * ratio, MOST_PIXELS * ratio],
        u_ahead: this.ahead(),
        u_spread: spread,
        u_opacity: opacity,
        u_dark: theme.dark,
      }, { u_nodes: textures.nodes, u_map: textures.nodeMap, u_sizes: textures.sizes });
    };
    const edges = (lit, thick, width, opacity) => {
      use(gl, programs.edge, {
        ...common,
        u_fog: [...fog, lit ? 1 : 0.15],
        u_weighted: Boolean(scene.edge_color),
        u_corners: thick ? 6 : 2,
        u_stride: this.visible ? 1 : skip,
        u_width: thick ? width * ratio : -1,
        u_opacity: opacity,
        u_tint: lit ? 0.4 : 0,
        u_screen: [this.canvas.width, this.canvas.height],
        u_half: frame.half,
        u_ink: theme.dark ? [0.42, 0.56, 0.86] : theme.text,
      }, { u_nodes: textures.nodes, u_map: scene.edge_color ? textures.edgeMap : textures.nodeMap,
           u_segments: textures.segments, u_weights: textures.weights });
    };
    const points = (name) => this.elements(gl.POINTS, name);

    // Edges below nodes, whatever their depth: the colour of a node is data and stays readable.
    if (this.drawn) {
      blend(gl, theme.dark);
      edges(!dim, this.corners === 6, 0.9, this.edgeOpacity(skip) * (dim ? (theme.dark ? 0.2 : 0.3) : 1));
      const mode = this.corners === 6 ? gl.TRIANGLES : gl.LINES;
      const shown = this.visible ? this.lists.edges.count / this.corners : this.prefix;
      const vertices = Math.ceil(shown / skip) * this.corners;
      if (this.visible) this.elements(mode, "edges", vertices);
      else gl.drawArrays(mode, 0, vertices);
    }
    if (theme.dark && !dim && this.lists.glow.count) {
      blend(gl, true);
      nodes(true, 5, 0.3);
      points("glow");
    }
    blend(gl, false);
    gl.depthMask(!dim); // dimmed nodes hide nothing
    const every = Math.max(1, skip / 4);
    nodes(!dim, 1, dim ? 0.26 : 1, every);
    gl.drawArrays(gl.POINTS, 0, Math.ceil(scene.nodes / every));
    gl.depthMask(false);
    if (dim) {
      if (this.lists.lit.count) {
        blend(gl, false);
        edges(true, true, 1.5, Math.max(0.35, Math.min(0.95, 12 / Math.sqrt(this.lists.lit.count / 6))));
        this.elements(gl.TRIANGLES, "lit");
      }
      blend(gl, false);
      gl.depthMask(true);
      nodes(true, 1, 1);
      points("nodes");
      gl.depthMask(false);
    }
    this.frames++;
    this.paintOverlay();
    this.publish();
  }

  elements(mode, name, count = this.lists[name].count) {
    this.gl.bindBuffer(this.gl.ELEMENT_ARRAY_BUFFER, this.lists[name].buffer);
    this.gl.drawElements(mode, count, this.gl.UNSIGNED_INT, 0);
  }

  /** Fainter the more of the picture edges cover, so stronger where the camera is close. */
  edgeOpacity(skip) {
    const { camera, frame, theme, scene } = this;
    const scale = this.height / (2 * camera.distance * Math.tan(FIELD_OF_VIEW / 2));
    const layers = this.drawnLength / skip / (1.4 * frame.radius * frame.radius * scale || 1);
    const opacity = (theme.dark ? 0.42 : 0.55) / Math.sqrt(layers || 1);
    return Math.max(0.03, Math.min(0.75, opacity * (scene.edge_color ? 1.7 : 1)));
  }

  /** World radius of the smallest node: a share of the mean distance between nodes. */
  nodeRadius() {
    const { half, radius, flat } = this.frame;
    const sides = half.map((side) => Math.max(2 * side, 0.02 * radius));
    const n = Math.max(1, this.scene.nodes);
    const spacing = flat ? Math.sqrt((sides[0] * sides[1]) / n) : Math.cbrt((sides[0] * sides[1] * sides[2]) / n);
    return Math.min(0.045 * spacing, 0.012 * radius);
  }

  ahead() {
    const { back } = this.basis();
    const m = this.matrix;
    return [0, 1, 2, 3].map((row) => back[0] * m[row] + back[1] * m[4 + row] + back[2] * m[8 + row]);
  }

  /** Least radius of a node in CSS pixels: less where there are many, or the screen is small. */
  leastPixels() {
    const screen = Math.max(0.7, Math.min(1, Math.sqrt(this.width * this.height) / 700)) * (this.scene.edges ? 1 : 1.4);
    return Math.max(0.7, Math.min(1.6, 1.6 * screen * (4000 / this.scene.nodes) ** 0.22));
  }

  pixelScale() {
    return this.canvas.height / (2 * Math.tan(FIELD_OF_VIEW / 2));
  }

  viewMatrix() {
    const { right, up, back } = this.basis();
    const target = this.camera.target.map((value, axis) => value - this.frame.centre[axis]);
    const eye = target.map((value, axis) => value + back[axis] * this.camera.distance);
    const far = Math.hypot(...eye) + 2 * this.frame.radius;
    const near = Math.max(this.camera.distance * 0.02, far * 1e-4);
    const f = 1 / Math.tan(FIELD_OF_VIEW / 2);
    const aspect = this.width / this.height;
    const z = (far + near) / (near - far);
    const row = (axis, vector) => [vector[0] * axis, vector[1] * axis, vector[2] * axis, -dot(vector, eye) * axis];
    const x = row(f / aspect, right);
    const y = row(f, up);
    const d = row(1, back);
    const depth = d.map((value) => value * z);
    depth[3] += (2 * far * near) / (near - far);
    const w = d.map((value) => -value);
    return [0, 1, 2, 3].flatMap((column) => [x[column], y[column], depth[column], w[column]]);
  }

  /** CSS pixels and depth of a point given around the middle of the frame; depth is negative behind the camera. */
  project(x, y, z) {
    const m = this.matrix;
    const w = m[3] * x + m[7] * y + m[11] * z + m[15];
    return [
      (0.5 + (0.5 * (m[0] * x + m[4] * y + m[8] * z + m[12])) / w) * this.width,
      (0.5 - (0.5 * (m[1] * x + m[5] * y + m[9] * z + m[13])) / w) * this.height,
      w,
    ];
  }

  projectNode(place) {
    const p = this.arrays.positions;
    return this.project(p[3 * place], p[3 * place + 1], p[3 * place + 2]);
  }

  /** Radius of a node on the screen in CSS pixels, as the shader draws it. */
  nodePixels(place, depth) {
    const pixels = (this.nodeRadius() * (1 + 5 * this.sizes[place] ** 2) * this.pixelScale()) / depth / this.ratio;
    return Math.max(this.leastPixels(), Math.min(MOST_PIXELS, pixels));
  }

  /** The node under a CSS point, or -1: the nearest one whose disc holds the point, else the closest within reach. */
  pick(x, y) {
    let best = -1;
    let bestRank = Infinity;
    for (let place = 0; place < this.scene.nodes; place++) {
      const [px, py, depth] = this.projectNode(place);
      const away = Math.hypot(px - x, py - y);
      if (depth <= 0 || away > MOST_PIXELS + PICK_REACH) continue;
      const radius = this.nodePixels(place, depth);
      if (away > Math.max(radius, PICK_REACH)) continue;
      const front = depth * (1 - (radius * this.ratio) / this.pixelScale());
      const rank = away <= radius + 1 ? front : 1e12 * (1 + away);
      if (rank < bestRank) [best, bestRank] = [place, rank];
    }
    return best;
  }

  // --------------------------------------------------------------------------------- axes, rings and the scale bar

  paintOverlay() {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    resize(this.overlay, this.width * ratio, this.height * ratio);
    const pen = this.overlay.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.font = `11px ${this.theme.font}`;
    pen.lineJoin = "round";
    const back = this.basis().back;
    const eye = this.camera.target.map(
      (value, axis) => value - this.frame.centre[axis] + back[axis] * this.camera.distance,
    );
    const inside = eye.every((value, axis) => Math.abs(value) < this.frame.half[axis]);
    if (!inside) for (let axis = 0; axis < 3; axis++) this.paintAxis(pen, axis, eye);
    this.paintScale(pen);
    pen.lineWidth = 2;
    pen.strokeStyle = css(this.theme.primary);
    let rings = 0;
    for (const place of this.selected) {
      if (rings++ > 500) break;
      this.paintRing(pen, place, 4);
    }
    if (this.hover >= 0 && !this.selected.has(this.hover)) {
      pen.lineWidth = 1.5;
      pen.strokeStyle = css(this.theme.text, 0.8);
      this.paintRing(pen, this.hover, 3);
    }
  }

  paintRing(pen, place, gap) {
    const [x, y, depth] = this.projectNode(place);
    if (depth <= 0) return;
    pen.beginPath();
    pen.arc(x, y, this.nodePixels(place, depth) + gap, 0, 2 * Math.PI);
    pen.stroke();
  }

  /** Ticks and name along the edge of the frame that is on its outline, lowest on the screen (x, y) or leftmost (z). */
  paintAxis(pen, axis, eye) {
    const { half, centre } = this.frame;
    if (half[axis] <= 0) return;
    const [u, v] = [(axis + 1) % 3, (axis + 2) % 3];
    const faces = (side, which) => side * eye[which] > half[which];
    let best = null;
    for (const su of [-1, 1]) {
      for (const sv of [-1, 1]) {
        if (!this.frame.flat && faces(su, u) === faces(sv, v)) continue;
        const at = (t) => {
          const point = [0, 0, 0];
          point[axis] = t;
          point[u] = su * half[u];
          point[v] = sv * half[v];
          return this.project(...point);
        };
        const ends = [at(-half[axis]), at(half[axis])];
        if (ends.some((end) => end[2] <= 0)) continue;
        const rank = axis === 2 ? -(ends[0][0] + ends[1][0]) : ends[0][1] + ends[1][1];
        if (!best || rank > best.rank) best = { rank, at, ends };
      }
    }
    if (!best) return;
    const [a, b] = best.ends;
    const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
    if (length < 60) return;
    const middle = this.project(0, 0, 0);
    let out = [b[1] - a[1], a[0] - b[0]].map((value) => value / length);
    const outwards = [0, 1].reduce((sum, i) => sum + out[i] * ((a[i] + b[i]) / 2 - middle[i]), 0);
    if (outwards < 0) out = out.map((value) => -value);
    const from = centre[axis] - half[axis];
    const to = centre[axis] + half[axis];
    pen.textBaseline = "middle";
    pen.textAlign = Math.abs(out[0]) < 0.35 ? "center" : out[0] < 0 ? "right" : "left";
    pen.strokeStyle = css(this.theme.text, 0.5);
    pen.lineWidth = 1;
    for (const tick of ticks(from, to, Math.max(2, Math.min(6, length / 75)))) {
      const [x, y] = best.at(tick - centre[axis]);
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x + 5 * out[0], y + 5 * out[1]);
      pen.stroke();
      this.text(pen, tidy(tick, to - from), x + 10 * out[0], y + 12 * out[1], 0.72);
    }
    const unit = this.scene.unit ? ` [${this.scene.unit}]` : "";
    const name = `${AXES[axis]}${unit}`;
    const [x, y] = [(a[0] + b[0]) / 2 + 36 * out[0], (a[1] + b[1]) / 2 + 32 * out[1]];
    const wide = pen.measureText(name).width;
    if (pen.textAlign === "right" && x - wide < 4) {
      // No room beside the ticks: above the upper end of the axis.
      const top = a[1] < b[1] ? a : b;
      pen.textAlign = "center";
      this.text(pen, name, Math.max(top[0], 6 + wide / 2), top[1] - 14, 0.9);
    } else this.text(pen, name, x, y, 0.9);
  }

  text(pen, text, x, y, opacity) {
    pen.save();
    pen.lineWidth = 3;
    pen.strokeStyle = css(this.theme.sky, 0.8);
    pen.strokeText(text, x, y);
    pen.fillStyle = css(this.theme.text, opacity);
    pen.fillText(text, x, y);
    pen.restore();
  }

  /** How long a round length is at the depth of the target. */
  paintScale(pen) {
    const perPixel = (2 * this.camera.distance * Math.tan(FIELD_OF_VIEW / 2)) / this.height;
    const step = niceStep(perPixel * 90);
    const pixels = step / perPixel;
    const y = this.height - (this.hint.classList.contains("used") || this.width < NARROW ? 16 : 38);
    if (this.width < NARROW && this.bars.childElementCount) return;
    pen.strokeStyle = css(this.theme.text, 0.75);
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(13, y - 4);
    pen.lineTo(13, y);
    pen.lineTo(13 + pixels, y);
    pen.lineTo(13 + pixels, y - 4);
    pen.stroke();
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    this.text(pen, `${tidy(step, step)} ${this.scene.unit}`.trim(), 20 + pixels, y - 2, 0.8);
  }

  // --------------------------------------------------------------------------------------------- words and figures

  showFigures() {
    const { scene } = this;
    const count = (n) => n.toLocaleString("en");
    const of = this.drawn < scene.edges ? ` of ${count(scene.edges)}` : "";
    this.figures.textContent =
      `${count(scene.nodes)} nodes` + (scene.all_edges ? ` · ${count(this.drawn)}${of} edges drawn` : "");
    this.caption.textContent = scene.caption;
    this.chosen.hidden = !this.selection.length;
    const what = this.selection.length === 1 ? `selected ${this.selection[0]}` : `${this.selection.length} selected`;
    const missing = this.selection.length && !this.selected.size ? ", not drawn here" : "";
    const near = scene.edges && !missing ? ` · ${count(this.neighbours.size)} neighbours` : missing;
    this.chosenText.textContent = what + near;
    this.canvas.setAttribute(
      "aria-label",
      `3D view of a graph: ${this.figures.textContent}. ${scene.caption} ` +
        (this.selection.length ? `${this.chosenText.textContent}. ` : "") +
        "Arrow keys rotate, plus and minus zoom, Home resets the view, Escape clears the selection.",
    );
  }

  placeBars() {
    this.bars.replaceChildren();
    for (const color of [this.scene.edge_color, this.scene.node_color]) {
      if (!color) continue;
      const bar = element("div", "bar", this.bars);
      element("div", "label", bar, color.label).title = color.label;
      if (color.categories.length) {
        bar.classList.add("names");
        const list = element("div", "list", bar);
        color.categories.forEach((name, code) => {
          const item = element("span", "", list);
          element("i", "", item).style.background = color.stops[code];
          item.append(name);
        });
        continue;
      }
      const stops = shades(color, this.theme.dark).map((stop) => css(stop));
      element("div", "ramp", bar).style.background = `linear-gradient(to right, ${stops.join(",")})`;
      const line = element("div", "ticks", bar);
      const [low, high] = color.limits;
      for (const tick of ticks(low, high, 4)) {
        element("span", "", line, tidy(tick, high - low)).style.left = `${(100 * (tick - low)) / (high - low)}%`;
      }
    }
  }

  async showTip(place, x, y) {
    const { scene } = this;
    if (place < 0) {
      this.tip.hidden = true;
      return;
    }
    const id = this.idOf(place);
    this.tip.replaceChildren();
    element("b", "", this.tip, `row ${id ?? ""}`);
    const line = (label, value) => {
      const row = element("div", "", this.tip);
      element("span", "", row, label);
      element("span", "", row, value);
    };
    const color = scene.node_color;
    if (color) {
      const value = this.arrays.nodeColor[place];
      const named = color.categories[value];
      line(color.label, named ?? (Number.isFinite(value) ? String(Number(value.toPrecision(4))) : "no value"));
    }
    scene.details.forEach((detail, which) => line(detail.label, this.details?.[which]?.[place] ?? "…"));
    this.tip.hidden = false;
    const left = Math.min(x + 14, this.width - this.tip.offsetWidth - 8);
    const top = y + 16 + this.tip.offsetHeight > this.height ? y - this.tip.offsetHeight - 10 : y + 16;
    this.tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
    if (!this.ids || (scene.details.length && !this.details)) {
      await this.loadWords();
      if (this.hover === place && this.ids) this.showTip(place, x, y);
    }
  }

  /** Row ids and details are text that nobody needs before the pointer rests on a node or one is chosen. */
  async loadWords() {
    const scene = this.scene;
    const words = async (hash) => new TextDecoder().decode(await this.fetch(hash)).split("\n");
    try {
      const [ids, ...details] = await Promise.all([
        scene.ids ? words(scene.ids) : "sequence",
        ...scene.details.map((detail) => words(detail.values)),
      ]);
      if (this.scene === scene) [this.ids, this.details, this.places] = [ids, details, null];
    } catch {
      this.details = scene.details.map(() => []);
    }
  }

  idOf(place) {
    if (this.scene.first_id !== null) return String(BigInt(this.scene.first_id) + BigInt(place));
    return this.ids?.[place];
  }

  placeOf(id) {
    const { first_id: first, nodes } = this.scene;
    if (first !== null) {
      const place = Number(id) - first;
      return place >= 0 && place < nodes ? place : -1;
    }
    if (!this.ids) {
      this.loadWords().then(() => this.ids && this.choose());
      return -1;
    }
    this.places ??= new Map(this.ids.map((text, place) => [text, place]));
    return this.places.get(id) ?? -1;
  }

  // ---------------------------------------------------------------------------------------------- what people do

  select(ids) {
    this.selection = ids;
    this.choose();
    this.report("selection", ids);
  }

  async click(x, y, add) {
    this.hint.classList.add("used");
    const place = this.pick(x, y);
    if (place < 0) return;
    if (this.scene.first_id === null && !this.ids) await this.loadWords();
    const id = this.idOf(place);
    if (id === undefined) return;
    if (!add) this.select([id]);
    else if (this.selection.includes(id)) this.select(this.selection.filter((other) => other !== id));
    else this.select([...this.selection, id]);
  }

  listen() {
    const { canvas, touches } = this;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const ready = () => this.scene && this.matrix;
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      if (!ready()) return;
      canvas.setPointerCapture(event.pointerId);
      touches.set(event.pointerId, at(event));
      this.press = { ...at(event), still: touches.size === 1 };
      this.flight = null;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!ready()) return;
      const now = at(event);
      const before = touches.get(event.pointerId);
      if (!before) {
        this.hoverAt(event.pointerType === "touch" ? null : now);
        return;
      }
      if (Math.hypot(now.x - this.press.x, now.y - this.press.y) > 4) this.press.still = false;
      if (this.press.still) return;
      this.hoverAt(null);
      canvas.classList.add("dragging");
      if (touches.size >= 2) {
        const other = [...touches].find(([id]) => id !== event.pointerId)[1];
        const spread = (point) => Math.max(10, Math.hypot(point.x - other.x, point.y - other.y));
        const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
        this.zoom(spread(before) / spread(now), middle.x, middle.y);
        this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
      } else if (event.buttons & 2 || event.buttons & 4 || event.shiftKey) {
        this.pan(now.x - before.x, now.y - before.y);
      } else {
        this.turn((now.x - before.x) * 0.007, (now.y - before.y) * 0.007);
      }
      touches.set(event.pointerId, now);
    });
    const release = (event) => {
      const was = touches.delete(event.pointerId);
      if (touches.size) {
        this.press = { ...[...touches.values()][0], still: false };
        return;
      }
      canvas.classList.remove("dragging");
      if (was && event.type === "pointerup" && this.press.still && event.button === 0) {
        const { x, y } = at(event);
        this.click(x, y, event.shiftKey || event.ctrlKey || event.metaKey);
      }
    };
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("pointerleave", () => this.hoverAt(null));
    canvas.addEventListener("dblclick", (event) => {
      if (!ready()) return;
      const { x, y } = at(event);
      const place = this.pick(x, y);
      if (place >= 0) this.flyTo(place);
    });
    canvas.addEventListener("wheel", (event) => {
      if (!ready()) return;
      event.preventDefault();
      const { x, y } = at(event);
      const lines = event.deltaMode === 1 ? 16 : 1;
      this.zoom(Math.exp(Math.max(-0.5, Math.min(0.5, event.deltaY * lines * 0.0015))), x, y);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      if (!ready()) return;
      const step = 0.09;
      const keys = {
        ArrowLeft: () => this.turn(-step, 0),
        ArrowRight: () => this.turn(step, 0),
        ArrowUp: () => this.turn(0, step),
        ArrowDown: () => this.turn(0, -step),
        "+": () => this.zoom(0.85),
        "=": () => this.zoom(0.85),
        "-": () => this.zoom(1 / 0.85),
        Home: () => this.fly(this.home()),
        Escape: () => this.selection.length && this.select([]),
      };
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    this.reset.addEventListener("click", () => ready() && this.fly(this.home()));
    this.clear.addEventListener("click", () => this.select([]));
  }

  hoverAt(point) {
    this.pointer = point;
    if (this.hovering) return;
    this.hovering = requestAnimationFrame(() => {
      this.hovering = 0;
      if (this.gone) return;
      const place = this.pointer ? this.pick(this.pointer.x, this.pointer.y) : -1;
      this.canvas.classList.toggle("over", place >= 0);
      if (place === this.hover && place < 0) return;
      const changed = place !== this.hover;
      this.hover = place;
      this.showTip(place, this.pointer?.x, this.pointer?.y);
      if (changed) this.paintOverlay();
    });
  }

  /** What tests and curious people may ask: window.__filament[key].report() and .screen(row id). */
  publish() {
    const where = (window.__filament ??= {});
    this.reporter ??= {
      report: () => ({
        nodes: this.scene?.nodes ?? 0,
        edges: this.scene?.edges ?? 0,
        drawn: this.drawn ?? 0,
        selection: [...this.selection],
        neighbours: this.neighbours.size,
        radius: this.radius,
        attention: this.attention,
        camera: this.camera ? structuredClone(this.camera) : null,
        frames: this.frames,
        software: View.software,
        loaded: { ...this.have },
      }),
      screen: async (id) => {
        if (this.scene.first_id === null && !this.ids) await this.loadWords();
        const place = this.placeOf(String(id));
        if (place < 0 || !this.matrix) return null;
        const [x, y, depth] = this.projectNode(place);
        const box = this.canvas.getBoundingClientRect();
        return { x: box.left + x, y: box.top + y, depth, picked: this.idOf(this.pick(x, y)) };
      },
    };
    where[this.data.key] = this.reporter;
    Object.assign(this.root.dataset, {
      key: this.data.key, nodes: this.scene?.nodes ?? 0, edges: this.drawn ?? 0, frames: this.frames,
    });
  }
}

function element(tag, name, parent, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  parent?.appendChild(made);
  return made;
}

function stored(name) {
  try {
    const camera = JSON.parse(sessionStorage.getItem(`filament:${name}`));
    const { distance, azimuth, elevation, radius, target, centre } = camera;
    const numbers = [distance, azimuth, elevation, radius, ...target, ...centre];
    return numbers.every(Number.isFinite) ? camera : null;
  } catch {
    return null;
  }
}
