// The view of a scene: takes what Python sends, lets the parts draw it, and reports what a person chose. No libraries.

import { Camera, NARROW } from "./camera.js";
import { css, luminance, parseColor } from "./colors.js";
import { Edges } from "./edges.js";
import { Gestures } from "./gestures.js";
import { Overlay } from "./overlay.js";
import { Pace } from "./pace.js";
import { Painter } from "./painter.js";
import { Panel } from "./panel.js";
import { Picker } from "./picking.js";
import { Store, Words } from "./store.js";
import { readable } from "./numbers.js";
import { resize } from "./webgl.js";

const SETTLED = 700; // ms without motion or any input after which the point of view is told to Python
const RESTED = 220; // ms without motion after which everything is drawn
const BARS = 36; // CSS pixels that colour bars take at the lower border
const MOST_SAVED = 8192; // pixels along a side of a saved picture
const KINDS = { pairs: Uint32Array, edgeWidth: Uint8Array, edgeOpacity: Uint8Array };

const HEARD = 8000; // ms within which the page begins to answer what a person did

// What a person did last anywhere on the page, and last that the page may answer by running; when it last ran to its end.
const INPUT = ["pointerup", "keyup", "change", "wheel"];
let [lastInput, lastAsked, lastAnswered] = [0, 0, 0];
for (const name of INPUT)
  addEventListener(name, (event) => {
    lastInput = performance.now();
    if (!event.composedPath().some((part) => part.matches?.("canvas.graph"))) lastAsked = lastInput;
  }, { capture: true, passive: true });

const app = () => document.querySelector("[data-test-script-state]");
const running = () => (app()?.dataset.testScriptState ?? "notRunning") !== "notRunning";
const watch = new MutationObserver(() => {
  if (!running()) lastAnswered = performance.now();
});

const reports = new Map(); // key and name -> what a person chose last, {value, revision}, kept while the element is away
const views = new WeakMap(); // where Streamlit put the element -> its View

/**
 * Called by the loader at every change of data or theme; returns what to do when the element goes away. Streamlit also
 * does that where a change overtook a call that was still loading this file; the element then stays, and so does its view.
 */
export function mount(component, base) {
  const parent = component.parentElement;
  if (!views.has(parent)) views.set(parent, new View(parent, new Store(base, component.arrays)));
  const view = views.get(parent);
  if (app()) watch.observe(app(), { attributeFilter: ["data-test-script-state"] });
  view.update(component);
  return () => {
    if (parent.isConnected) return;
    views.delete(parent);
    view.destroy();
  };
}

class View {
  constructor(parent, store) {
    this.store = store;
    this.revisions = {};
    this.have = {}; // what is loaded: name -> hash
    this.arrays = {};
    this.selection = [];
    this.selected = new Set();
    this.neighbours = new Set();
    this.hovered = -1;
    this.sketch = []; // the outline that is being drawn
    this.frames = 0;
    this.act = this.actions();
    this.panel = new Panel(parent, { act: this.act, slid: (...moved) => this.slid(...moved) });
    this.styled = store.style().then((text) => this.panel.dress(text));
    this.camera = new Camera(() => this.moved());
    this.edges = new Edges();
    this.painter = new Painter(this.panel.canvas, this.camera, this.edges);
    this.pace = new Pace(Painter.software);
    this.picker = new Picker(this.camera, this.painter);
    this.gestures = new Gestures(this.panel.canvas, this);
    const { canvas, stage } = this.panel;
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.painter.start();
      if (!this.scene) return;
      this.painter.upload(this.scene, this.arrays, this.theme, Object.keys(this.have));
      this.choose();
    });
    this.resizes = new ResizeObserver(() => this.draw());
    this.resizes.observe(stage);
    if (!this.painter.gl)
      this.panel.say(
        "This browser has no WebGL 2, which the 3D view needs; turn on hardware acceleration or use another browser.",
        store.inlined ? null : { label: "Show a Plotly view", take: () => this.component.setStateValue("plotly", true) },
      );
  }

  destroy() {
    this.gone = true;
    this.resizes.disconnect();
    clearTimeout(this.resting);
    clearTimeout(this.settling);
    this.painter.release();
    this.panel.root.remove();
    if (this.data && window.__filament?.[this.data.key] === this.reporter) delete window.__filament[this.data.key];
  }

  // -------------------------------------------------------------------------------------- what Python sends

  async update(component) {
    this.component = component;
    const data = component.data;
    this.data = data;
    this.panel.root.style.height = typeof data.height === "number" ? `${data.height}px` : data.height;
    this.readTheme();
    for (const name of ["radius", "attention"]) this.takeControl(name, data[name]);
    if (this.revisions.selection !== data.selection.revision) {
      this.revisions.selection = data.selection.revision;
      this.selection = this.latest("selection", data.selection);
    }
    this.publish();
    await this.styled;
    this.readTheme();
    if (this.gone || !this.painter.gl) return;
    const scene = data.scene;
    const wanted = {
      positions: scene.positions,
      pairs: scene.pairs,
      lengths: scene.lengths,
      sizes: scene.sizes,
      context: scene.context,
      nodeColor: scene.node_color?.values,
      edgeColor: scene.edge_color?.values,
      edgeWidth: scene.edge_width,
      edgeOpacity: scene.edge_opacity,
    };
    const names = Object.keys(wanted).filter((name) => this.have[name] !== (wanted[name] ?? null));
    try {
      const buffers = await Promise.all(names.map((name) => (wanted[name] ? this.bytes(wanted[name]) : null)));
      if (this.gone || this.data !== data) return;
      names.forEach((name, i) => {
        this.have[name] = wanted[name] ?? null;
        this.arrays[name] = new (KINDS[name] ?? Float32Array)(buffers[i] ?? 0);
      });
    } catch {
      if (!this.gone) this.panel.say("The graph's data did not arrive; reload the page.");
      return;
    }
    if (JSON.stringify(scene) !== JSON.stringify(this.words?.scene)) this.words = new Words(scene, (hash) => this.bytes(hash));
    this.scene = scene;
    this.panel.say(scene.nodes ? "" : "There is nothing to draw: no row is selected.");
    if (names.includes("pairs") || names.includes("lengths")) this.edges.take(this.arrays.pairs, this.arrays.lengths);
    this.picker.take(this.arrays.positions);
    this.painter.upload(scene, this.arrays, this.theme, names);
    this.placeCamera(data.view);
    this.panel.placeBars(scene, this.theme);
    this.choose();
  }

  bytes(hash) {
    return this.store.bytes(hash, (lost) => this.component.setTriggerValue("lost", lost));
  }

  placeCamera(view) {
    const { centre, box } = this.scene;
    const radius = Math.max(0.5 * Math.hypot(...box), 1e-9);
    const frame = { centre, radius, half: box.map((side) => side / 2), flat: box[2] < 1e-6 * radius };
    const { clientWidth, clientHeight } = this.panel.stage;
    [this.camera.width, this.camera.height] = [clientWidth || 1, clientHeight || 1];
    this.camera.below = this.scene.node_color || this.scene.edge_color ? BARS : 0;
    const first = this.revisions.view === undefined;
    const imposed = !first && this.revisions.view !== view.revision;
    this.revisions.view = view.revision;
    this.camera.place(this.data.camera, frame, first || imposed ? view.value : null, imposed);
    this.toldView ??= this.camera.text();
    this.panel.press("parallel", this.camera.point.orthographic);
  }

  /** A threshold with a slider moves when Python raises its revision; one without is always Python's. */
  takeControl(name, control) {
    this.panel.setSlider(name, control);
    if (control.max === undefined) {
      this.revisions[name] = null;
      this[name] = control.value;
      return;
    }
    if (this.revisions[name] !== control.revision) this[name] = this.latest(name, control);
    this.revisions[name] = control.revision;
    this[name] = Math.max(control.min, Math.min(control.max, this[name]));
    this.panel.showSlider(name, this[name], control, this.unitOf(name));
  }

  unitOf(name) {
    return name === "radius" ? this.data.scene.unit : "";
  }

  slid(name, value, settled) {
    if (settled) {
      this.report(name, value);
      return;
    }
    this[name] = value;
    this.panel.showSlider(name, value, this.data[name], this.unitOf(name));
    this.choose();
  }

  report(name, value) {
    const said = { value, revision: this.revisions[name] };
    reports.set(`${this.data.key} ${name}`, said);
    if (name !== "view") lastAsked = performance.now();
    this.component.setStateValue(name, said);
  }

  /** What a person chose since Python imposed this value, else the value. */
  latest(name, imposed) {
    const said = reports.get(`${this.data.key} ${name}`);
    return said?.revision === imposed.revision ? said.value : imposed.value;
  }

  readTheme() {
    const style = getComputedStyle(this.panel.root);
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
    this.panel.root.style.setProperty("--filament-sky", css(this.theme.sky));
    this.panel.root.style.colorScheme = dark ? "dark" : "light";
    this.draw();
  }

  // ---------------------------------------------------------------------------------------- what is drawn

  /** Work out which edges are drawn and which items are lit, then draw. */
  choose() {
    if (!this.scene || !this.painter.gl) return;
    const { scene, arrays, edges } = this;
    const least = scene.edge_color ? this.attention : null;
    edges.choose({
      radius: this.radius, least, values: arrays.edgeColor, name: this.have.edgeColor, budget: this.pace.most,
      quick: this.pace.budget === Infinity,
    });
    const places = this.selection.map((id) => this.words.placeOf(id));
    if (places.includes(null)) this.words.load().then(() => this.words.ids && this.choose());
    this.selected = new Set(places.filter((place) => place >= 0 && place !== null));
    const { segments, neighbours } = edges.touching(this.selected);
    this.neighbours = neighbours;
    this.painter.choose(segments, Uint32Array.from([...neighbours, ...this.selected]), arrays.edgeColor);
    this.panel.showFigures({
      scene, edges, by: least === null ? "length" : "value", everything: this.pace.everything,
      selection: this.selection, placed: this.selected.size, neighbours: neighbours.size,
    });
    this.draw();
  }

  /** The hand moved the point of view. */
  moved() {
    this.panel.hint.classList.add("used");
    this.panel.press("spin", this.camera.spinning);
    this.inMotion();
    this.draw();
  }

  /** While the view moves, a slow machine draws every 2nd, 4th, ... edge (and node); all as soon as it rests. */
  inMotion() {
    this.moving = true;
    clearTimeout(this.resting);
    clearTimeout(this.settling);
    this.resting = setTimeout(() => {
      this.moving = false;
      this.pace.last = undefined;
      if (this.pace.stride > 1 || this.hastened) this.draw();
      this.hastened = false;
    }, RESTED);
    this.settling = setTimeout(() => this.settle(), SETTLED);
  }

  /** A quick picture first, because Python's answer is waited for; everything as soon as it had time to come. */
  hasten() {
    if (this.moving || this.pace.quick(this.painter.edgesMs) === 1) return;
    this.inMotion();
    this.hastened = true;
  }

  /**
   * Tell Python where one looks from, once nothing moves and the page has answered everything else: a run for the point
   * of view alone would take the place of one that is due.
   */
  settle() {
    if (this.gone || this.camera.spinning || this.camera.flight) return;
    const text = this.camera.text();
    if (text === this.toldView) return;
    const now = performance.now();
    const owed = lastAsked > lastAnswered && now - lastAsked < HEARD;
    if (running() || owed || now - lastInput < SETTLED - RESTED) {
      this.settling = setTimeout(() => this.settle(), RESTED);
      return;
    }
    this.toldView = text;
    this.report("view", text);
  }

  draw() {
    if (this.waiting || !this.scene || !this.painter.gl) return;
    this.waiting = requestAnimationFrame((now) => {
      this.waiting = 0;
      if (this.gone || this.painter.gl.isContextLost()) return;
      const goesOn = this.camera.step(now);
      if (goesOn) this.inMotion();
      if (this.moving && !this.hastened) this.pace.frame(now);
      this.paint();
      if (goesOn) this.draw();
    });
  }

  paint() {
    const { clientWidth: width, clientHeight: height } = this.panel.stage;
    if (!width || !height) return;
    const started = performance.now();
    const ratio = Painter.software ? 1 : Math.min(devicePixelRatio || 1, 2);
    const quick = this.hastened ? this.pace.quick(this.painter.edgesMs) : 1;
    const skip = this.moving ? Math.max(this.pace.stride, quick) : 1;
    this.painter.paint({ width, height, ratio, dim: this.selected.size > 0, skip, measure: !this.moving });
    this.frames++;
    this.paintOverlay();
    this.publish();
    if (this.moving) return;
    this.painter.finish();
    this.tookMs = performance.now() - started;
    const { edges, painter } = this;
    if (edges.drawn && this.pace.rested(painter.edgesMs, edges.drawn, edges.within)) this.choose();
  }

  paintOverlay() {
    const { width, height } = this.camera;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const { overlay, hint, bars } = this.panel;
    resize(overlay, width * ratio, height * ratio);
    const pen = overlay.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const over = new Overlay(pen, this);
    over.axes();
    const narrow = width < NARROW;
    if (!narrow || !bars.childElementCount) over.scaleBar(hint.classList.contains("used") || narrow ? 16 : 38);
    over.rings(this.selected, this.hovered);
    over.drawn(this.sketch);
  }

  /** The picture as a PNG file: as shown, or width x height pixels with its words as large as on the screen. */
  async save(width, height) {
    const { clientWidth, clientHeight } = this.panel.stage;
    const most = Math.min(MOST_SAVED, this.painter.gl.getParameter(this.painter.gl.MAX_RENDERBUFFER_SIZE));
    const side = (value, shown) => Math.max(64, Math.min(most, Math.round(value || shown)));
    const ratio = width ? Math.max(1, width / 1200) : Math.max(1, Math.min(devicePixelRatio || 1, 2));
    const size = [side(width, clientWidth * ratio), side(height, clientHeight * ratio)];
    const [cssWidth, cssHeight] = size.map((pixels) => pixels / ratio);
    this.painter.paint({ width: cssWidth, height: cssHeight, ratio, dim: this.selected.size > 0, skip: 1 });
    const page = document.createElement("canvas");
    [page.width, page.height] = size;
    const pen = page.getContext("2d");
    pen.drawImage(this.painter.canvas, 0, 0, ...size);
    pen.scale(ratio, ratio);
    const over = new Overlay(pen, this);
    over.axes();
    over.scaleBar(16);
    over.rings(this.selected, -1);
    over.bars([this.scene.edge_color, this.scene.node_color].filter(Boolean));
    over.title([this.panel.figures.textContent, this.scene.caption]);
    const bytes = await new Promise((resolve) => page.toBlob(resolve, "image/png"));
    this.draw();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(bytes);
    link.download = `filament_${size.join("x")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  // ---------------------------------------------------------------------------------------------- what people do

  actions() {
    const ready = (does) => () => this.ready() && does();
    const fly = (goal) => ready(() => this.camera.fly(goal()));
    const draw = (tool) => ready(() => this.useTool(this.gestures.tool === tool ? null : tool));
    return {
      clear: () => this.select([]),
      reset: fly(() => this.camera.home()),
      fit: fly(() => this.camera.around(this.everythingChosen())),
      x: fly(() => this.camera.along("x")),
      y: fly(() => this.camera.along("y")),
      z: fly(() => this.camera.along("z")),
      parallel: ready(() => {
        this.camera.setOrthographic(!this.camera.point.orthographic);
        this.panel.press("parallel", this.camera.point.orthographic);
      }),
      spin: ready(() => this.camera.spin(!this.camera.spinning)),
      box: draw("box"),
      lasso: draw("lasso"),
      picture: ready(() => this.panel.showPicture((width, height) => this.save(width, height))),
      help: () => this.panel.showHelp(),
      everything: (all) => {
        this.pace.everything = all;
        this.choose();
      },
    };
  }

  useTool(tool) {
    this.gestures.use(tool);
    for (const name of ["box", "lasso"]) this.panel.press(name, tool === name);
    this.panel.canvas.focus({ preventScroll: true });
  }

  ready() {
    return Boolean(this.scene && this.camera.matrix);
  }

  /** Where the selected nodes and their neighbours are; all nodes where none is selected. */
  *everythingChosen() {
    const p = this.arrays.positions;
    const chosen = this.selected.size ? [...this.selected, ...this.neighbours] : null;
    for (let i = 0; i < (chosen?.length ?? this.scene.nodes); i++) {
      const place = chosen ? chosen[i] : i;
      yield [p[3 * place], p[3 * place + 1], p[3 * place + 2]];
    }
  }

  select(ids) {
    this.selection = ids;
    this.report("selection", ids);
    this.hasten();
    this.choose();
  }

  /** Take nodes into the selection: alone, or beside what is there (one that is there already then leaves). */
  async selectPlaces(places, adds) {
    if (this.scene.first_id === null && !this.words.ids) await this.words.load();
    const ids = places.map((place) => this.words.idOf(place)).filter((id) => id !== undefined);
    if (!ids.length && places.length) return;
    if (!adds) this.select(ids);
    else if (ids.length === 1 && this.selection.includes(ids[0])) this.select(this.selection.filter((id) => id !== ids[0]));
    else this.select([...new Set([...this.selection, ...ids])]);
  }

  click(x, y, adds) {
    this.panel.hint.classList.add("used");
    this.panel.close();
    const place = this.picker.at(x, y);
    if (place >= 0) this.selectPlaces([place], adds);
  }

  doubleClick(x, y) {
    const place = this.picker.at(x, y);
    if (place < 0) return;
    const p = this.arrays.positions;
    const { frame, point } = this.camera;
    const target = [0, 1, 2].map((axis) => p[3 * place + axis] + frame.centre[axis]);
    this.camera.fly({ ...point, target, distance: Math.min(point.distance, 0.35 * frame.radius) });
  }

  middle(adds) {
    const { width, height } = this.camera;
    const place = this.picker.at(width / 2, height / 2, Math.hypot(width, height) / 2);
    if (place >= 0) this.selectPlaces([place], adds);
  }

  outline(points) {
    if (!points.length && !this.sketch.length) return;
    this.sketch = points;
    this.paintOverlay();
  }

  enclose(points, adds) {
    this.panel.hint.classList.add("used");
    const found = this.picker.inside(points);
    if (found.length || !adds) this.selectPlaces(found, adds);
  }

  escape() {
    if (this.panel.open) this.panel.close();
    else if (this.gestures.tool) this.useTool(null);
    else if (this.selection.length) this.select([]);
  }

  hover(point) {
    this.pointer = point;
    if (this.hovering) return;
    this.hovering = requestAnimationFrame(() => {
      this.hovering = 0;
      if (this.gone) return;
      const place = this.pointer ? this.picker.at(this.pointer.x, this.pointer.y) : -1;
      this.panel.canvas.classList.toggle("over", place >= 0);
      if (place === this.hovered && place < 0) return;
      const changed = place !== this.hovered;
      this.hovered = place;
      this.describe(place);
      if (changed) this.paintOverlay();
    });
  }

  /** The card of the node under the pointer. */
  async describe(place) {
    if (place < 0) {
      this.panel.tip.hidden = true;
      return;
    }
    const { scene, words } = this;
    const lines = [];
    const color = scene.node_color;
    if (color) {
      const value = this.arrays.nodeColor[place];
      const named = color.categories[value];
      lines.push([color.label, named || (Number.isFinite(value) ? readable(value) : "no value")]);
    }
    scene.details.forEach(({ label }, which) => {
      if (label !== color?.label) lines.push([label, words.details?.[which]?.[place] ?? "…"]);
    });
    this.panel.showTip(`row ${words.idOf(place) ?? ""}`, lines, this.pointer?.x ?? 0, this.pointer?.y ?? 0);
    if (words.complete) return;
    await words.load();
    if (this.hovered === place && this.words === words && words.complete) this.describe(place);
  }

  /** What tests and curious people may ask: window.__filament[key].report(), .screen(row id), .data(), .budget(edges), .fullFrame(). */
  publish() {
    const where = (window.__filament ??= {});
    this.reporter ??= {
      report: () => ({
        nodes: this.scene?.nodes ?? 0,
        edges: this.scene?.edges ?? 0,
        context: this.scene?.context_nodes ?? 0,
        within: this.edges.within ?? 0,
        drawn: this.edges.drawn,
        selection: [...this.selection],
        neighbours: this.neighbours.size,
        radius: this.radius,
        attention: this.attention,
        camera: this.camera.point ? structuredClone(this.camera.point) : null,
        view: this.camera.point ? this.camera.text() : null,
        frames: this.frames,
        tookMs: this.tookMs,
        software: Painter.software,
        loaded: { ...this.have },
      }),
      screen: async (id) => {
        if (this.scene.first_id === null && !this.words.ids) await this.words.load();
        const place = this.words.placeOf(String(id));
        if (place < 0 || !this.ready()) return null;
        const [x, y, depth] = this.picker.projected(place);
        const box = this.panel.canvas.getBoundingClientRect();
        return { x: box.left + x, y: box.top + y, depth, picked: this.words.idOf(this.picker.at(x, y)) };
      },
      data: () => this.data,
      fullFrame: () => { // ms of a picture with every edge within the thresholds
        const { clientWidth: width, clientHeight: height } = this.panel.stage;
        const started = performance.now();
        this.painter.paint({ width, height, ratio: this.painter.ratio, dim: this.selected.size > 0, skip: 1 });
        this.painter.finish();
        return performance.now() - started;
      },
      budget: (edges) => {
        [this.pace.budget, this.pace.fixed] = [edges, true];
        this.choose();
      },
    };
    where[this.data.key] = this.reporter;
    Object.assign(this.panel.root.dataset, {
      key: this.data.key, nodes: this.scene?.nodes ?? 0, edges: this.edges.drawn, frames: this.frames,
    });
  }
}
