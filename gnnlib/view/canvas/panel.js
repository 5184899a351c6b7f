// The elements around the picture: figures, sliders, buttons, colour bars, the card under the pointer, words for
// screen readers.

import { css, shades } from "./colors.js";
import { icon } from "./icons.js";
import { niceStep, scaleTicks } from "./numbers.js";

const BUTTONS = [
  ["reset", "Reset view", "Home"], ["fit", "Fit the selection, or everything", "F"],
  null,
  ["x", "Look along x", "X"], ["y", "Look along y", "Y"], ["z", "Look along z", "Z"],
  ["parallel", "Orthographic view", "O"], ["spin", "Turn slowly", "T"],
  null,
  ["box", "Select with a box", "B"], ["lasso", "Select with a lasso", "L"],
  null,
  ["picture", "Save a picture", "P"], ["help", "Mouse and keys", "?"],
];
const HELP = [
  ["drag", "rotate"], ["wheel, pinch", "zoom"], ["right drag, Shift + drag", "pan"],
  ["click", "select"], ["Shift + click", "add or take away"], ["double click", "fly there"],
  ["B, L", "select with box, lasso; Shift adds"], ["Esc", "clear"],
  ["arrows, + −", "rotate, zoom"], ["Enter", "select what is in the middle"],
  ["X Y Z, Home, F", "along an axis, reset, fit"], ["O, T, P", "orthographic, turn, picture"],
];
const SIZES = { shown: "As shown", "1920x1080": "1920 × 1080", "3840x2160": "3840 × 2160", "2400x2400": "2400 × 2400" };

export const count = (n) => n.toLocaleString("en");

export class Panel {
  /** act: what the buttons do, by name; slid(name, value, settled): a slider moved. */
  constructor(parent, { act, slid }) {
    this.act = act;
    this.slid = slid;
    this.root = element("div", "filament");
    this.stage = element("div", "stage", this.root);
    this.canvas = element("canvas", "graph", this.stage);
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.overlay = element("canvas", "overlay", this.stage);
    this.legend = element("div", "legend", this.stage);
    this.figures = element("div", "figures", this.legend);
    this.thinned = element("div", "thinned", this.legend);
    this.caption = element("div", "caption", this.legend);
    this.chosen = element("div", "chosen", this.legend);
    this.chosenText = element("span", "", this.chosen);
    const clear = element("button", "clear", this.chosen, "Clear");
    clear.title = "Clear the selection (Esc)";
    clear.addEventListener("click", () => act.clear());
    this.chosen.hidden = true;
    this.makeTools();
    this.bars = element("div", "bars", this.stage);
    this.hint = element("div", "hint", this.stage, "drag: rotate · wheel: zoom · right drag: pan · click: select");
    this.tip = element("div", "tip", this.stage);
    this.tip.hidden = true;
    this.message = element("div", "message", this.stage);
    this.spoken = element("div", "spoken", this.root);
    this.spoken.setAttribute("aria-live", "polite");
    this.controls = element("div", "controls", this.root);
    this.sliders = {
      radius: this.slider("radius", "Linking length"),
      attention: this.slider("attention", "Attention at least"),
    };
    parent.appendChild(this.root);
  }

  dress(style) {
    if (style) this.root.prepend(element("style", "", null, style));
  }

  // ------------------------------------------------------------------------------------------ sliders

  slider(name, title) {
    const label = element("label", name, this.controls);
    element("span", "name", label, title);
    const input = element("input", "", label);
    input.type = "range";
    const output = element("output", "", label);
    input.addEventListener("input", () => this.slid(name, Number(input.value), false));
    input.addEventListener("change", () => this.slid(name, Number(input.value), true));
    return { label, input, output };
  }

  /** The slider of a control that has a range; none where it is undefined. */
  setSlider(name, control) {
    const { label, input } = this.sliders[name];
    label.hidden = control.max === undefined;
    this.controls.hidden = Object.values(this.sliders).every((slider) => slider.label.hidden);
    if (label.hidden) return;
    const step = niceStep((control.max - control.min) / 300 || 1);
    Object.assign(input, { min: control.min, max: control.max, step });
  }

  showSlider(name, value, control, unit) {
    const { input, output } = this.sliders[name];
    if (Number(input.value) !== value) input.value = value;
    const digits = control.max >= 100 ? 0 : control.max >= 10 ? 1 : 2;
    output.textContent = `${value.toFixed(digits)}${unit ? ` ${unit}` : ""}`;
    input.setAttribute("aria-valuetext", output.textContent);
  }

  // ------------------------------------------------------------------------------------------ buttons

  makeTools() {
    this.tools = element("div", "tools", this.stage);
    this.tools.setAttribute("role", "toolbar");
    this.tools.setAttribute("aria-label", "View");
    this.buttons = {};
    let group = element("div", "group", this.tools);
    for (const button of BUTTONS) {
      if (!button) {
        group = element("div", "group", this.tools);
        continue;
      }
      const [name, title, key] = button;
      const made = element("button", name, group);
      made.append(icon(name));
      made.title = `${title} (${key})`;
      made.setAttribute("aria-label", title);
      made.addEventListener("click", () => this.act[name]());
      this.buttons[name] = made;
    }
    this.sheet = element("div", "sheet", this.stage);
    this.sheet.hidden = true;
    this.sheet.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.close();
      this.canvas.focus();
    });
  }

  press(name, on) {
    this.buttons[name].setAttribute("aria-pressed", String(on));
  }

  close() {
    this.sheet.hidden = true;
    this.open = null;
    for (const name of ["picture", "help"]) this.buttons[name].setAttribute("aria-expanded", "false");
  }

  /** Open a sheet beside the buttons, or close it where it is open. */
  toggle(name, fill) {
    const opens = this.open !== name;
    this.close();
    if (!opens) return;
    this.open = name;
    this.buttons[name].setAttribute("aria-expanded", "true");
    this.sheet.replaceChildren();
    this.sheet.hidden = false;
    fill(this.sheet);
    this.sheet.querySelector("button, select")?.focus();
  }

  showHelp() {
    this.toggle("help", (sheet) => {
      element("b", "", sheet, "Mouse and keys");
      const list = element("dl", "", sheet);
      for (const [what, does] of HELP) {
        element("dt", "", list, what);
        element("dd", "", list, does);
      }
    });
  }

  /** save(width, height): pixels, or null for the picture as shown. */
  showPicture(save) {
    this.toggle("picture", (sheet) => {
      element("b", "", sheet, "Save a picture");
      const label = element("label", "", sheet, "Size ");
      const size = element("select", "", label);
      for (const [value, text] of Object.entries({ ...SIZES, own: "Other…" })) {
        const option = element("option", "", size, text);
        option.value = value;
      }
      const own = element("div", "own", sheet);
      own.hidden = true;
      const [width, height] = ["Width", "Height"].map((name) => {
        const field = element("label", "", own, `${name} `);
        const input = element("input", "", field);
        Object.assign(input, { type: "number", min: 64, max: 8192, step: 1, value: name === "Width" ? 3000 : 2000 });
        return input;
      });
      size.addEventListener("change", () => (own.hidden = size.value !== "own"));
      const button = element("button", "save", sheet, "Save PNG");
      button.addEventListener("click", () => {
        const chosen = size.value === "own" ? [width.value, height.value] : size.value.split("x");
        save(...(size.value === "shown" ? [null, null] : chosen.map(Number)));
        this.close();
      });
    });
  }

  // ------------------------------------------------------------------------------------------ words and figures

  /** Words in place of the picture; offer: {label, take} puts a button below them. */
  say(text, offer) {
    this.message.replaceChildren();
    this.message.hidden = !text;
    this.tools.hidden = Boolean(text);
    if (!text) return;
    element("p", "", this.message, text);
    if (offer) element("button", "", this.message, offer.label).addEventListener("click", offer.take);
  }

  /** edges: what was chosen to be drawn. moving: every so many-th is drawn now. chosen: [ids selected, places drawn]. */
  showFigures({ scene, edges, everything, by, selection, placed, neighbours }) {
    const thin = edges.drawn < edges.within;
    const of = edges.drawn < scene.all_edges ? ` of ${count(scene.all_edges)}` : "";
    const figures = [`${count(scene.nodes)} nodes`];
    if (scene.context_nodes) figures.push(`${count(scene.context_nodes)} cut rows in grey`);
    if (scene.all_edges)
      figures.push(thin ? `showing ${count(edges.drawn)} of ${count(edges.within)} edges`
                        : `${count(edges.drawn)}${of} edges drawn`);
    this.figures.textContent = figures.join(" · ");
    this.thinned.replaceChildren();
    this.thinned.hidden = !thin && !everything;
    if (thin) {
      this.thinned.append(`Left out to keep the view quick: ${by === "value" ? "the lowest valued" : "the longest"} of each node. `);
      element("button", "link", this.thinned, "Draw all").addEventListener("click", () => this.act.everything(true));
    } else if (everything) {
      this.thinned.append("All edges are drawn, however long it takes. ");
      element("button", "link", this.thinned, "Keep it quick").addEventListener("click", () => this.act.everything(false));
    }
    this.caption.textContent = scene.caption;
    const chosen = selection.length;
    this.chosen.hidden = !chosen;
    const what = chosen === 1 ? `selected ${selection[0]}` : `${count(chosen)} selected`;
    const missing = chosen && !placed ? ", not drawn here" : "";
    const near = scene.edges && !missing ? ` · ${count(neighbours)} neighbours` : missing;
    this.chosenText.textContent = what + near;
    if (this.spokenOf !== this.chosenText.textContent) {
      this.spokenOf = this.chosenText.textContent;
      this.spoken.textContent = chosen ? this.spokenOf : "";
    }
    this.canvas.setAttribute("aria-label", this.summary(scene, chosen));
  }

  /** The picture in words. */
  summary(scene, chosen) {
    const sides = scene.box.map((side) => Number(side.toPrecision(4))).join(" × ");
    const by = (color, what) => {
      if (!color) return "";
      if (color.categories.length) return `${what} are coloured by ${color.label}: ${color.categories.join(", ")}. `;
      const [low, high] = color.limits.map((limit) => Number(limit.toPrecision(3)));
      return `${what} are coloured by ${color.label}, from ${low} to ${high}. `;
    };
    const all = [
      `3D view of a graph: ${this.figures.textContent}. `,
      `${scene.has_box ? "Box" : "Extent"} ${sides} ${scene.unit}. `,
      by(scene.node_color, "Nodes"),
      by(scene.edge_color, "Edges"),
      scene.caption ? `${scene.caption}. ` : "",
      chosen ? `${this.chosenText.textContent}. ` : "",
      "Arrow keys rotate, plus and minus zoom, Home resets the view, Enter selects the node in the middle, ",
      "Escape clears the selection, question mark lists all keys.",
    ];
    return all.join("");
  }

  placeBars(scene, theme) {
    this.bars.replaceChildren();
    for (const color of [scene.edge_color, scene.node_color]) {
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
      const stops = shades(color, theme.dark).map((stop) => css(stop));
      element("div", "ramp", bar).style.background = `linear-gradient(to right, ${stops.join(",")})`;
      const line = element("div", "ticks", bar);
      for (const { share, text } of scaleTicks(color)) element("span", "", line, text).style.left = `${100 * share}%`;
    }
  }

  /** The card of a node beside the pointer. lines: [label, value]. */
  showTip(title, lines, x, y) {
    this.tip.replaceChildren();
    element("b", "", this.tip, title);
    for (const [label, value] of lines) {
      const row = element("div", "", this.tip);
      element("span", "", row, label);
      element("span", "", row, value);
    }
    this.tip.hidden = false;
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight];
    const left = Math.min(x + 14, width - this.tip.offsetWidth - 8);
    const top = y + 16 + this.tip.offsetHeight > height ? y - this.tip.offsetHeight - 10 : y + 16;
    this.tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }
}

export function element(tag, name, parent, text) {
  const made = document.createElement(tag);
  if (tag === "button") made.type = "button";
  if (name) made.className = name;
  if (text) made.textContent = text;
  parent?.appendChild(made);
  return made;
}
