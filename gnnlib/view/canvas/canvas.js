// The renderer of a scene: WebGL 2, no libraries. Nodes and edges are pulled from textures by vertex number, so that an
// edge costs eight bytes, a smaller linking length is a shorter draw call, and a colour change touches no geometry.
// Coordinates: z up, the origin in the middle of the scene's frame; the camera turns about a target.

const ROW = 2048; // texels in a row of a data texture
const NO_IMAGE = 13; // the edge crosses no periodic face, see gnnlib/view/scene.py
const FIELD_OF_VIEW = (30 * Math.PI) / 180;
const HOME = { azimuth: (-58 * Math.PI) / 180, elevation: (20 * Math.PI) / 180 };
const PICK_REACH = 7; // CSS pixels around a small node that still count as a click on it
const MOST_PIXELS = 22; // greatest radius of a node in CSS pixels
const LABEL_ROOM = [66, 44]; // CSS pixels beside and above the frame for ticks and names of the axes
const AXES = ["x", "y", "z"];

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

// ---------------------------------------------------------------------------------------------------- shaders

const FETCH = `#version 300 es
precision highp float;
precision highp int;
uniform highp sampler2D u_nodes;   // xyz position, w colour value in 0..1, below 0 without one
uniform sampler2D u_map;
uniform mat4 u_matrix;
uniform vec4 u_fog;                // depth where it starts, 1 / its range, its strength, colour kept when dimmed
uniform vec3 u_plain;              // colour of an item without a value
ivec2 texel(int i) { return ivec2(i & ${ROW - 1}, i >> 11); }
vec3 mapped(float value) { return value < 0.0 ? u_plain : texelFetch(u_map, ivec2(min(255, int(value * 256.0)), 0), 0).rgb; }
float fog(float depth) { return 1.0 - u_fog.z * clamp((depth - u_fog.x) * u_fog.y, 0.0, 1.0); }
vec3 dimmed(vec3 color) { return mix(vec3(dot(color, vec3(0.3, 0.59, 0.11))), color, u_fog.w); }
`;

const NODE_VERTEX = `${FETCH}
uniform highp sampler2D u_sizes;
uniform vec4 u_size;               // world radius of the smallest, pixels of a unit at depth 1, least and greatest pixels
uniform vec4 u_ahead;              // what one unit towards the eye adds to a projected point
uniform float u_spread;            // 1 for the node itself, more for its glow
uniform float u_opacity;
out vec4 v_color;
flat out float v_pixels;
void main() {
  vec4 node = texelFetch(u_nodes, texel(gl_VertexID), 0);
  float size = texelFetch(u_sizes, texel(gl_VertexID), 0).r;
  gl_Position = u_matrix * vec4(node.xyz, 1.0);
  float pixels = u_size.x * (1.0 + 5.0 * size * size) * u_size.y / gl_Position.w;
  float faint = clamp(pixels / u_size.z, 0.45, 1.0);
  pixels = clamp(pixels, u_size.z, u_size.w);
  // The front of the ball as drawn, so that a satellite inside its host does not punch a hole into it.
  vec4 front = gl_Position + u_ahead * (pixels / u_size.y) * gl_Position.w;
  if (front.w > 0.0) gl_Position.z = front.z / front.w * gl_Position.w;
  pixels *= u_spread;
  gl_PointSize = 2.0 * pixels + 1.0;
  v_pixels = pixels;
  v_color = vec4(dimmed(mapped(node.w)), u_opacity * faint * fog(gl_Position.w));
}`;

const NODE_FRAGMENT = `#version 300 es
precision highp float;
in vec4 v_color;
flat in float v_pixels;
uniform float u_spread;
uniform bool u_dark;
out vec4 color;
void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  float r = length(p) * (v_pixels + 0.5) / v_pixels;
  if (u_spread > 1.0) {
    float halo = exp(-5.0 * r * r) - 0.0067;
    if (halo <= 0.0) discard;
    color = vec4(v_color.rgb, v_color.a * halo);
    return;
  }
  float cover = clamp((1.0 - r) * v_pixels + 0.5, 0.0, 1.0);
  if (cover < 0.02) discard;
  // A ball lit from the upper left; small ones stay plain discs.
  float height = sqrt(max(0.0, 1.0 - r * r));
  float light = max(0.0, dot(vec3(p.x, -p.y, height), vec3(-0.42, 0.55, 0.72)));
  float round_ = clamp((v_pixels - 1.5) / 3.0, 0.0, 1.0);
  vec3 lit = u_dark ? v_color.rgb * (0.62 + 0.5 * light) + 0.22 * pow(light, 14.0)
                    : v_color.rgb * (0.66 + 0.42 * light) + 0.16 * pow(light, 18.0);
  vec3 plain = u_dark ? v_color.rgb : v_color.rgb * 0.88;
  color = vec4(mix(plain, lit, round_), cover * v_color.a);
}`;

const EDGE_VERTEX = `${FETCH}
uniform highp usampler2D u_segments; // places of the two nodes; the periodic image in the second's five highest bits
uniform highp sampler2D u_weights;   // edge value in 0..1
uniform bool u_weighted;
uniform int u_corners;               // 2: a line of one pixel; 6: two triangles of u_width pixels
uniform int u_stride;
uniform float u_width;
uniform float u_opacity;
uniform float u_tint;                // how much of its nodes' colour an edge takes
uniform vec2 u_screen;
uniform vec3 u_half;                 // half the box
uniform vec3 u_ink;
out vec4 v_color;
out float v_side;
void main() {
  int segment = gl_VertexID / u_corners;
  int corner = gl_VertexID - segment * u_corners;
  segment *= u_stride;
  uvec2 pair = texelFetch(u_segments, texel(segment), 0).rg;
  bool at_end = corner == 1 || corner == 2 || corner == 4;
  uint image = pair.g >> 27;
  vec4 from, to;
  if (u_corners == 2 && image == ${NO_IMAGE}u) { // a line needs only its own end
    from = to = texelFetch(u_nodes, texel(int(at_end ? pair.g & 0x7ffffffu : pair.r)), 0);
  } else {
    from = texelFetch(u_nodes, texel(int(pair.r)), 0);
    to = texelFetch(u_nodes, texel(int(pair.g & 0x7ffffffu)), 0);
  }
  if (image != ${NO_IMAGE}u) { // towards the ghost of the other node, as far as the face of the box
    vec3 face = vec3(float(image % 3u), float((image / 3u) % 3u), float(image / 9u)) - 1.0;
    vec3 way = to.xyz + 2.0 * face * u_half - from.xyz;
    float reach = 1.0;
    for (int axis = 0; axis < 3; axis++)
      if (face[axis] != 0.0) reach = min(reach, (face[axis] * u_half[axis] - from[axis]) / way[axis]);
    to.xyz = from.xyz + clamp(reach, 0.0, 1.0) * way;
  }
  gl_Position = u_matrix * vec4(at_end ? to.xyz : from.xyz, 1.0);
  v_side = 0.0;
  if (u_corners == 6) {
    vec4 a = u_matrix * vec4(from.xyz, 1.0);
    vec4 b = u_matrix * vec4(to.xyz, 1.0);
    float near = 1e-4 + 1e-3 / max(u_fog.y, 1e-6);
    if (a.w < near && b.w > near) a = mix(a, b, (near - a.w) / (b.w - a.w));
    if (b.w < near && a.w > near) b = mix(b, a, (near - b.w) / (a.w - b.w));
    vec2 along = (b.xy / b.w - a.xy / a.w) * u_screen;
    along = dot(along, along) > 0.0 ? normalize(along) : vec2(1.0, 0.0);
    v_side = corner == 0 || corner == 1 || corner == 3 ? -1.0 : 1.0;
    gl_Position = at_end ? b : a;
    gl_Position.xy += vec2(-along.y, along.x) * v_side * (u_width + 1.0) / u_screen * gl_Position.w;
  }
  float strength = u_opacity * fog(gl_Position.w);
  vec3 tone;
  if (u_weighted) {
    float weight = texelFetch(u_weights, texel(segment), 0).r;
    tone = mapped(weight);
    strength *= mix(0.25, 1.0, max(weight, 0.0));
  } else {
    float value = at_end ? to.w : from.w;
    tone = value < 0.0 || u_tint <= 0.0 ? u_ink : mix(u_ink, mapped(value), u_tint);
  }
  v_color = vec4(dimmed(tone), strength);
}`;

const EDGE_FRAGMENT = `#version 300 es
precision highp float;
in vec4 v_color;
in float v_side;
uniform float u_width;
out vec4 color;
void main() {
  float cover = clamp((1.0 - abs(v_side)) * (u_width + 1.0) * 0.5 + (u_width < 0.0 ? 1.0 : 0.0), 0.0, 1.0);
  color = vec4(v_color.rgb, v_color.a * cover);
}`;

const FRAME_VERTEX = `#version 300 es
precision highp float;
uniform mat4 u_matrix;
uniform vec3 u_half;
uniform vec4 u_color;
out vec4 v_color;
void main() {
  int edge = gl_VertexID >> 1, axis = edge >> 2, end = gl_VertexID & 1;
  vec3 corner = vec3(0.0);
  corner[axis] = end == 0 ? -1.0 : 1.0;
  corner[(axis + 1) % 3] = (edge & 1) == 0 ? -1.0 : 1.0;
  corner[(axis + 2) % 3] = (edge & 2) == 0 ? -1.0 : 1.0;
  gl_Position = u_matrix * vec4(corner * u_half, 1.0);
  v_color = u_color;
}`;

const FRAME_FRAGMENT = `#version 300 es
precision highp float;
in vec4 v_color;
out vec4 color;
void main() { color = v_color; }`;

// ------------------------------------------------------------------------------------------------------ view

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
      this.say("This browser has no WebGL 2, which the 3D view needs; turn on hardware acceleration or use another browser.");
      return;
    }
    this.programs = {
      node: program(gl, NODE_VERTEX, NODE_FRAGMENT),
      edge: program(gl, EDGE_VERTEX, EDGE_FRAGMENT),
      frame: program(gl, FRAME_VERTEX, FRAME_FRAGMENT),
    };
    this.textures = {};
    for (const name of ["nodes", "sizes", "segments", "weights", "nodeMap", "edgeMap"]) this.textures[name] = gl.createTexture();
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

  takeControl(name, control) {
    const { label, input } = this.sliders[name];
    const shown = control.max !== undefined;
    label.hidden = !shown;
    label.style.display = shown ? "" : "none";
    this.controls.hidden = !this.data.radius.max && !this.data.attention.max;
    if (shown) {
      input.min = control.min;
      input.max = control.max;
      input.step = (control.max - control.min) / 500;
    }
    if (!shown || this.revisions[name] !== control.revision) {
      this.revisions[name] = control.revision;
      this[name] = control.value;
      if (shown) input.value = control.value;
    }
    if (shown) this.showSlider(name);
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
      for (let edge = 0; edge < scene.edges; edge++) this.lengthUpTo[edge + 1] = this.lengthUpTo[edge] + arrays.lengths[edge];
    }
    if (changed("pairs", "edgeColor") || shown !== this.shownColors) {
      const texels = new Float32Array(rows(this.segments.length / 2) * ROW);
      if (scene.edge_color) {
        const value = scaled(arrays.edgeColor, scene.edge_color);
        for (let segment = 0; segment < this.segments.length / 2; segment++) texels[segment] = value[this.edgeOf(segment)];
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
    const within = this.radius === null || !scene.edges ? scene.edges : upperBound(arrays.lengths, Math.fround(this.radius));
    const least = scene.edge_color ? this.attention : null;
    this.visible = null;
    this.drawn = within;
    this.drawnLength = this.lengthUpTo?.[within] ?? 0;
    if (least !== null && scene.edges) {
      const visible = [];
      // In an order of which every half, quarter and eighth is an even sample, for drawing fewer while moving.
      for (const phase of [0, 4, 2, 6, 1, 5, 3, 7])
        for (let edge = phase; edge < within; edge += 8) if (arrays.edgeColor[edge] >= least) visible.push(edge);
      this.visible = visible;
      this.drawn = visible.length;
      this.drawnLength = visible.reduce((sum, edge) => sum + arrays.lengths[edge], 0);
      const segments = visible.flatMap((edge) => this.segmentsOf(edge));
      this.list("edges", corners(segments, this.corners));
    }
    this.prefix = this.firstSegment?.[within] ?? 0;
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
        this.neighbours.add(a).add(b);
      };
      if (this.visible) this.visible.forEach(look);
      else for (let edge = 0; edge < within; edge++) look(edge);
    }
    this.list("lit", corners(lit, 6));
    this.list("nodes", Uint32Array.from(new Set([...this.neighbours, ...places])));
    this.showFigures(lit.length);
    this.draw();
  }

  get corners() {
    return View.software ? 2 : 6;
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
    const room = LABEL_ROOM.map((pixels, i) => Math.max(0.4, 1 - (2 * pixels) / [width, height][i]));
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

  /** While the view moves, a slow machine draws every 2nd, 4th or 8th edge; all of them as soon as it rests. */
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
    this.slow = took > 45 ? (this.slow ?? 0) + 1 : took < 20 ? (this.slow ?? 0) - 0.2 : this.slow;
    if (this.slow >= 2 && this.stride < 8) [this.stride, this.slow] = [this.stride * 2, 0];
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
    const fog = [start, 1 / (2 * frame.radius), 0.5];
    const common = { u_matrix: this.matrix, u_plain: theme.dark ? [0.56, 0.63, 0.74] : [0.36, 0.4, 0.48] };

    gl.depthMask(false);
    blend(gl, false);
    use(gl, programs.frame, {
      u_matrix: this.matrix,
      u_half: frame.half,
      u_color: [...theme.text, (theme.dark ? 0.22 : 0.3) * (scene.has_box ? 1 : 0.6)],
    });
    gl.drawArrays(gl.LINES, 0, 24);

    const nodes = (lit, spread, opacity) => {
      use(gl, programs.node, {
        ...common,
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
      edges(!dim, this.corners === 6, 0.9, this.edgeOpacity(skip) * (dim ? 0.4 : 1));
      const mode = this.corners === 6 ? gl.TRIANGLES : gl.LINES;
      if (this.visible) this.elements(mode, "edges", Math.ceil(this.lists.edges.count / this.corners / skip) * this.corners);
      else gl.drawArrays(mode, 0, Math.ceil(this.prefix / skip) * this.corners);
    }
    if (theme.dark && !dim && this.lists.glow.count) {
      blend(gl, true);
      nodes(true, 5, 0.3);
      points("glow");
    }
    blend(gl, false);
    gl.depthMask(!dim); // dimmed nodes hide nothing
    nodes(!dim, 1, dim ? 0.3 : 1);
    gl.drawArrays(gl.POINTS, 0, scene.nodes);
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
    const opacity = (theme.dark ? 0.5 : 0.55) / Math.sqrt(layers || 1);
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
    return [0, 1, 2, 3].map((row) => back[0] * this.matrix[row] + back[1] * this.matrix[4 + row] + back[2] * this.matrix[8 + row]);
  }

  /** Least radius of a node in CSS pixels: less where there are many. */
  leastPixels() {
    return Math.max(0.8, Math.min(1.6, 1.6 * (4000 / this.scene.nodes) ** 0.22));
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
    if (out[0] * ((a[0] + b[0]) / 2 - middle[0]) + out[1] * ((a[1] + b[1]) / 2 - middle[1]) < 0) out = out.map((value) => -value);
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
    const [x, y] = [(a[0] + b[0]) / 2 + 36 * out[0], (a[1] + b[1]) / 2 + 32 * out[1]];
    this.text(pen, `${AXES[axis]}${unit}`, x, y, 0.9);
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
    const y = this.height - (this.hint.classList.contains("used") || this.width < 560 ? 16 : 38);
    const narrow = this.width < 560;
    if (narrow && this.bars.childElementCount) return;
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
    const neighbours = [...this.neighbours].filter((place) => !this.selected.has(place)).length;
    const what = this.selection.length === 1 ? `selected ${this.selection[0]}` : `${this.selection.length} selected`;
    const missing = this.selection.length && !this.selected.size ? ", not drawn here" : "";
    this.chosenText.textContent = what + (scene.edges && !missing ? ` · ${count(neighbours)} neighbours` : missing);
    this.canvas.setAttribute(
      "aria-label",
      `3D view of a graph: ${this.figures.textContent}. ${scene.caption} ${this.selection.length ? this.chosenText.textContent : ""} ` +
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
      canvas.focus({ preventScroll: true });
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
    this.reporter ??= { view: this,
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
      screen: (id) => {
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

// ------------------------------------------------------------------------------------------------- small parts

function element(tag, name, parent, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  parent?.appendChild(made);
  return made;
}

function rendersInSoftware() {
  const probe = document.createElement("canvas").getContext("webgl2");
  const info = probe?.getExtension("WEBGL_debug_renderer_info");
  const renderer = String(probe?.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : probe.RENDERER) ?? "");
  probe?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
}

function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost())
      throw new Error(gl.getShaderInfoLog(shader));
  }
  gl.linkProgram(made);
  const uniforms = new Map();
  for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
    const { name, type } = gl.getActiveUniform(made, i);
    uniforms.set(name, { type, at: gl.getUniformLocation(made, name) });
  }
  return { made, uniforms };
}

function use(gl, { made, uniforms }, values, textures = {}) {
  gl.useProgram(made);
  for (const [name, value] of Object.entries(values)) {
    const uniform = uniforms.get(name);
    if (!uniform) continue;
    if (uniform.type === gl.FLOAT_MAT4) gl.uniformMatrix4fv(uniform.at, false, value);
    else if (uniform.type === gl.INT || uniform.type === gl.BOOL) gl.uniform1i(uniform.at, Number(value));
    else if (uniform.type === gl.FLOAT) gl.uniform1f(uniform.at, value);
    else gl[`uniform${value.length}fv`](uniform.at, value);
  }
  Object.entries(textures).forEach(([name, texture], unit) => {
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    const uniform = uniforms.get(name);
    if (uniform) gl.uniform1i(uniform.at, unit);
  });
}

/** Additive light on a dark sky, ordinary (straight alpha) ink on paper. */
function blend(gl, additive) {
  gl.blendFunc(gl.SRC_ALPHA, additive ? gl.ONE : gl.ONE_MINUS_SRC_ALPHA);
}

const rows = (n) => Math.max(1, Math.ceil(n / ROW));

function dataTexture(gl, texture, internal, format, type, texels) {
  const channels = { [gl.RGBA]: 4, [gl.RG_INTEGER]: 2, [gl.RED]: 1 }[format];
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
  gl.texImage2D(gl.TEXTURE_2D, 0, internal, ROW, texels.length / channels / ROW, 0, format, type, texels);
  for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
}

/** The stops of a map; a sequential one without the end that would vanish in the sky or the paper. */
function shades(color, dark) {
  const stops = (color?.stops ?? ["#888888"]).map(parseColor);
  if (!color || color.categories.length || color.diverging) return stops;
  const [low, high] = dark ? [0.14, 1] : [0, 0.92];
  return stops.map((_, i) => blended(stops, (low + ((high - low) * i) / (stops.length - 1)) * (stops.length - 1)));
}

function blended(stops, place) {
  const low = Math.min(stops.length - 1, Math.floor(place));
  const high = Math.min(stops.length - 1, low + 1);
  return stops[low].map((channel, c) => channel + (stops[high][c] - channel) * (place - low));
}

/** 256 texels of a colour map: blended between the stops, or one flat stretch a category. */
function mapTexture(gl, texture, color, dark) {
  const stops = shades(color, dark);
  const texels = new Uint8Array(1024);
  for (let i = 0; i < 256; i++) {
    const mixed = color?.categories.length
      ? stops[Math.floor((i / 256) * stops.length)]
      : blended(stops, (i / 255) * (stops.length - 1));
    texels.set([...mixed.map((channel) => Math.round(255 * channel)), 255], 4 * i);
  }
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
  for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
}

/** Values as places in their map, 0 to 1; -1 where there is none. */
function scaled(values, color) {
  if (!color) return new Float32Array(0);
  const n = color.categories.length;
  const [low, high] = color.limits;
  return values.map((value) => {
    if (Number.isNaN(value)) return -1;
    return n ? (value + 0.5) / n : Math.max(0, Math.min(1, (value - low) / (high - low)));
  });
}

function corners(segments, each) {
  const out = new Uint32Array(segments.length * each);
  for (let i = 0; i < segments.length; i++) for (let c = 0; c < each; c++) out[i * each + c] = segments[i] * each + c;
  return out;
}

function largest(sizes, n, count) {
  const order = Uint32Array.from({ length: n }, (_, place) => place);
  order.sort((a, b) => sizes[b] - sizes[a]);
  return sizes[order[0]] > sizes[order[n - 1]] ? order.slice(0, count) : new Uint32Array(0);
}

/** How many of the ascending values are not above `value`. */
function upperBound(values, value) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function resize(canvas, width, height) {
  const [w, h] = [Math.max(1, Math.round(width)), Math.max(1, Math.round(height))];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
}

function stored(name) {
  try {
    const camera = JSON.parse(sessionStorage.getItem(`filament:${name}`));
    return camera && [camera.distance, camera.azimuth, camera.elevation, ...camera.target].every(Number.isFinite) ? camera : null;
  } catch {
    return null;
  }
}

/** Directions of the screen in the scene: to the right, upwards and towards the eye. */
function basis(azimuth, elevation) {
  const [ca, sa, ce, se] = [Math.cos(azimuth), Math.sin(azimuth), Math.cos(elevation), Math.sin(elevation)];
  return { right: [-sa, ca, 0], up: [-se * ca, -se * sa, ce], back: [ce * ca, ce * sa, se] };
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
const css = (color, alpha = 1) => `rgb(${color.map((channel) => Math.round(255 * channel)).join(" ")} / ${alpha})`;

/** Any CSS colour as three numbers from 0 to 1. */
function parseColor(text) {
  const pen = (parseColor.pen ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true }));
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = text;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((channel) => channel / 255);
}

/** The round number (1, 2 or 5 times a power of ten) nearest below `length`. */
function niceStep(length) {
  const power = 10 ** Math.floor(Math.log10(length));
  return power * (length / power >= 5 ? 5 : length / power >= 2 ? 2 : 1);
}

function ticks(low, high, wanted) {
  const rough = (high - low) / wanted;
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.99) ?? 10);
  const out = [];
  for (let n = Math.ceil(low / step - 1e-6); n * step <= high + 1e-6 * step; n++) out.push(n * step);
  return out;
}

/** A number with as many decimals as a range of this size needs. */
function tidy(value, range) {
  const size = Math.abs(range);
  if (size >= 1e5 || size < 1e-3) return value === 0 ? "0" : value.toExponential(1).replace("e+", "e");
  const decimals = Math.max(0, Math.min(4, 1 - Math.floor(Math.log10(size))));
  return String(Number(value.toFixed(decimals)));
}
