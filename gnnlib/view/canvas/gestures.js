// What hands do: pointers, wheel and keys become turns, zooms, clicks and outlines of the view they are given.

const STILL = 4; // CSS pixels that a click may move
const STEP = 0.09; // radians an arrow key turns
const CLOSE = 3; // CSS pixels between two points of a lasso

export class Gestures {
  /**
   * view: {camera, ready(), click(x, y, adds), doubleClick(x, y), hover(point or null), outline(points), enclose(points,
   * adds), escape(), middle(), act} as in canvas.js.
   */
  constructor(canvas, view) {
    Object.assign(this, { canvas, view, touches: new Map(), tool: null });
    const on = (name, handle, options) =>
      canvas.addEventListener(name, (event) => this.view.ready() && handle(event), options);
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.up(event));
    on("pointercancel", (event) => this.up(event));
    on("pointerleave", () => this.view.hover(null));
    on("dblclick", (event) => {
      const { x, y } = this.at(event);
      if (!this.tool) this.view.doubleClick(x, y);
    });
    on("wheel", (event) => this.wheel(event), { passive: false });
    on("keydown", (event) => this.key(event));
  }

  /** tool: "box", "lasso", or null to turn the view. */
  use(tool) {
    this.tool = tool;
    this.path = null;
    this.canvas.classList.toggle("drawing", tool !== null);
    this.view.outline([]);
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  down(event) {
    const { canvas, touches, view } = this;
    canvas.setPointerCapture(event.pointerId);
    touches.set(event.pointerId, this.at(event));
    this.press = { ...this.at(event), still: touches.size === 1 };
    view.camera.flight = null;
    if (view.camera.spinning) view.act.spin();
    this.path = this.tool && touches.size === 1 && event.button === 0 ? [this.at(event)] : null;
    if (!this.path) view.outline([]);
  }

  move(event) {
    const { canvas, touches, view } = this;
    const now = this.at(event);
    const before = touches.get(event.pointerId);
    if (!before) {
      view.hover(event.pointerType === "touch" ? null : now);
      return;
    }
    if (Math.hypot(now.x - this.press.x, now.y - this.press.y) > STILL) this.press.still = false;
    if (this.press.still) return;
    view.hover(null);
    if (this.path) {
      this.draw(now);
      return;
    }
    canvas.classList.add("dragging");
    const { camera } = view;
    if (touches.size >= 2) {
      const other = [...touches].find(([id]) => id !== event.pointerId)[1];
      const spread = (point) => Math.max(10, Math.hypot(point.x - other.x, point.y - other.y));
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      camera.zoom(spread(before) / spread(now), middle.x, middle.y);
      camera.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    } else if (event.buttons & 2 || event.buttons & 4 || event.shiftKey) {
      camera.pan(now.x - before.x, now.y - before.y);
    } else {
      camera.turn((now.x - before.x) * 0.007, (now.y - before.y) * 0.007);
    }
    touches.set(event.pointerId, now);
  }

  draw(now) {
    const first = this.path[0];
    if (this.tool === "box") {
      this.path = [first, { x: now.x, y: first.y }, now, { x: first.x, y: now.y }];
    } else {
      const last = this.path.at(-1);
      if (Math.hypot(now.x - last.x, now.y - last.y) >= CLOSE) this.path.push(now);
    }
    this.view.outline(this.path);
  }

  up(event) {
    const { canvas, touches, view } = this;
    const was = touches.delete(event.pointerId);
    if (touches.size) {
      this.press = { ...[...touches.values()][0], still: false };
      return;
    }
    canvas.classList.remove("dragging");
    const { path } = this;
    this.path = null;
    view.outline([]);
    if (!was || event.type !== "pointerup" || event.button !== 0) return;
    const adds = event.shiftKey || event.ctrlKey || event.metaKey;
    if (this.press.still) {
      const { x, y } = this.at(event);
      view.click(x, y, adds);
    } else if (path?.length > 2) view.enclose(path, adds);
  }

  wheel(event) {
    event.preventDefault();
    const { x, y } = this.at(event);
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.view.camera.zoom(Math.exp(Math.max(-0.5, Math.min(0.5, event.deltaY * lines * 0.0015))), x, y);
  }

  key(event) {
    const { camera, act } = this.view;
    const keys = {
      ArrowLeft: () => camera.turn(-STEP, 0),
      ArrowRight: () => camera.turn(STEP, 0),
      ArrowUp: () => camera.turn(0, STEP),
      ArrowDown: () => camera.turn(0, -STEP),
      "+": () => camera.zoom(0.85),
      "=": () => camera.zoom(0.85),
      "-": () => camera.zoom(1 / 0.85),
      Home: act.reset,
      Escape: () => this.view.escape(),
      Enter: () => this.view.middle(event.shiftKey),
      "?": act.help,
      f: act.fit,
      x: act.x,
      y: act.y,
      z: act.z,
      o: act.parallel,
      t: act.spin,
      b: act.box,
      l: act.lasso,
      p: act.picture,
    };
    const does = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (!does || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    does();
  }
}
