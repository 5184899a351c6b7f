// What the graphics card holds and draws: nodes, edges and the frame of a scene, from textures by vertex number. An edge
// costs eight bytes, a smaller linking length is a shorter draw call, and a colour change touches no geometry.

import { scaled } from "./colors.js";
import { largest } from "./numbers.js";
import * as shaders from "./shaders.js";
import { blend, corners, dataTexture, mapTexture, program, rendersInSoftware, resize, rows, use } from "./webgl.js";

const { ROW } = shaders;
export const MOST_PIXELS = 22; // greatest radius of a node in CSS pixels
const TEXTURES = ["nodes", "sizes", "segments", "weights", "values", "nodeMap", "edgeMap", "context", "contextSizes"];
const LISTS = ["edges", "lit", "nodes", "glow"];
const THIN_IN_SOFTWARE = 4000; // edges beyond which a software renderer draws plain lines, several times as fast

export class Painter {
  static software; // whether the browser draws without a graphics card; found out once

  constructor(canvas, camera, edges) {
    Object.assign(this, { canvas, camera, edges });
    if (Painter.software === undefined) Painter.software = rendersInSoftware();
    const options = { alpha: false, antialias: !Painter.software, powerPreference: "high-performance" };
    this.gl = canvas.getContext("webgl2", options);
    if (this.gl) this.start();
  }

  start() {
    const { gl } = this;
    this.programs = {
      node: program(gl, shaders.NODE_VERTEX, shaders.NODE_FRAGMENT),
      edge: program(gl, shaders.EDGE_VERTEX, shaders.EDGE_FRAGMENT),
      frame: program(gl, shaders.FRAME_VERTEX, shaders.FRAME_FRAGMENT),
    };
    this.textures = Object.fromEntries(TEXTURES.map((name) => [name, gl.createTexture()]));
    this.lists = Object.fromEntries(LISTS.map((name) => [name, { buffer: gl.createBuffer(), count: 0 }]));
    this.shownColors = null;
    this.listed = null; // what the list of edges holds
    this.valued = null; // what the values of edges on the graphics card are
    gl.bindVertexArray(gl.createVertexArray());
  }

  release() {
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }

  // ------------------------------------------------------------------------------------------ to the graphics card

  /** Upload what depends on the arrays named, or on the colours of the theme. */
  upload(scene, arrays, theme, names) {
    const { gl, textures, edges } = this;
    this.scene = scene;
    this.theme = theme;
    const changed = (...which) => which.some((name) => names.includes(name));
    const colors = scene.node_color;
    const told = (color) => color && { ...color, values: null };
    const shown = JSON.stringify([told(colors), told(scene.edge_color), theme.dark]);
    const recolored = shown !== this.shownColors;
    this.shownColors = shown;
    if (changed("positions", "nodeColor") || recolored) {
      const texels = new Float32Array(4 * rows(scene.nodes) * ROW);
      const value = scaled(arrays.nodeColor, colors);
      for (let i = 0; i < scene.nodes; i++) {
        texels[4 * i] = arrays.positions[3 * i];
        texels[4 * i + 1] = arrays.positions[3 * i + 1];
        texels[4 * i + 2] = arrays.positions[3 * i + 2];
        texels[4 * i + 3] = colors ? value[i] : -1;
      }
      dataTexture(gl, textures.nodes, gl.RGBA32F, gl.RGBA, gl.FLOAT, texels);
      mapTexture(gl, textures.nodeMap, colors, theme.dark);
    }
    if (changed("positions", "sizes")) {
      const texels = new Float32Array(rows(scene.nodes) * ROW).fill(0.12);
      if (scene.sizes) texels.set(arrays.sizes.subarray(0, scene.nodes));
      this.sizes = texels;
      dataTexture(gl, textures.sizes, gl.R32F, gl.RED, gl.FLOAT, texels);
      this.list("glow", largest(texels, scene.nodes, Math.min(400, Math.ceil(scene.nodes * 0.03))));
    }
    if (changed("context") && scene.context) {
      const places = rows(scene.context_nodes) * ROW;
      const texels = new Float32Array(4 * places).fill(-1);
      for (let i = 0; i < scene.context_nodes; i++)
        for (let axis = 0; axis < 3; axis++) texels[4 * i + axis] = arrays.context[3 * i + axis];
      dataTexture(gl, textures.context, gl.RGBA32F, gl.RGBA, gl.FLOAT, texels);
      dataTexture(gl, textures.contextSizes, gl.R32F, gl.RED, gl.FLOAT, new Float32Array(places));
    }
    if (changed("pairs", "lengths")) {
      this.valued = null;
      const texels = new Uint32Array(2 * rows(edges.segments.length / 2) * ROW);
      texels.set(edges.segments);
      dataTexture(gl, textures.segments, gl.RG32UI, gl.RG_INTEGER, gl.UNSIGNED_INT, texels);
    }
    if (changed("pairs", "lengths", "edgeColor", "edgeWidth", "edgeOpacity") || recolored) {
      this.uploadWeights(scene, arrays);
      mapTexture(gl, textures.edgeMap, scene.edge_color, theme.dark);
    }
  }

  /** Four bytes a segment: colour, width, opacity, and whether it has a colour. */
  uploadWeights(scene, arrays) {
    const { gl, edges } = this;
    const n = edges.segments.length / 2;
    this.shaped = Boolean(scene.edge_width || scene.edge_opacity);
    if (!scene.edge_color && !this.shaped) return;
    const texels = new Uint8Array(4 * rows(n) * ROW);
    const value = scene.edge_color ? scaled(arrays.edgeColor, scene.edge_color) : null;
    for (let segment = 0; segment < n; segment++) {
      const edge = edges.edgeOf(segment);
      const color = value ? value[edge] : -1;
      texels[4 * segment] = 255 * Math.max(0, color);
      texels[4 * segment + 1] = scene.edge_width ? arrays.edgeWidth[edge] : 108;
      texels[4 * segment + 2] = scene.edge_opacity ? arrays.edgeOpacity[edge] : 255;
      texels[4 * segment + 3] = color < 0 ? 0 : 255;
    }
    dataTexture(gl, this.textures.weights, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, texels);
  }

  /** The values of the edges, for a threshold on the graphics card: on it once, whatever the threshold. */
  uploadValues(values) {
    const { gl, edges } = this;
    if (this.valued === values) return;
    this.valued = values;
    const n = edges.segments.length / 2;
    const texels = new Float32Array(rows(n) * ROW);
    for (let segment = 0; segment < n; segment++) texels[segment] = values[edges.edgeOf(segment)];
    dataTexture(gl, this.textures.values, gl.R32F, gl.RED, gl.FLOAT, texels);
  }

  list(name, indices) {
    const { gl } = this;
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.lists[name].buffer);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.DYNAMIC_DRAW);
    this.lists[name].count = indices.length;
  }

  /** The edges to draw or the items to light have changed. lit: segments; nodes: places drawn over the dimmed rest. */
  choose(lit, nodes, values) {
    const { edges } = this;
    if (edges.sieve !== null) this.uploadValues(values);
    const most = this.scene.edge_width ? 5 * THIN_IN_SOFTWARE : THIN_IN_SOFTWARE;
    this.corners = Painter.software && edges.drawn > most ? 2 : 6;
    this.litCorners = Painter.software && lit.length > THIN_IN_SOFTWARE ? 2 : 6;
    if (edges.visible && (this.listed?.visible !== edges.visible || this.listed.corners !== this.corners)) {
      this.listed = { visible: edges.visible, corners: this.corners };
      this.list("edges", corners(edges.segmentsOf(edges.visible), this.corners));
    }
    this.list("lit", corners(lit, this.litCorners));
    this.list("nodes", nodes);
  }

  // ------------------------------------------------------------------------------------------------- drawing

  /**
   * Draw a picture of width x height CSS pixels, `ratio` real ones each. dim: only what is lit stands out. skip: every
   * so many-th edge. measure: note in edgesMs how long the edges take.
   */
  paint({ width, height, ratio, dim, skip, measure }) {
    const { gl, scene, theme, camera, programs, textures, edges } = this;
    this.ratio = ratio;
    resize(this.canvas, width * ratio, height * ratio);
    camera.look(width, height);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(...theme.sky, 1);
    gl.depthMask(true);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.enable(gl.BLEND);

    const { frame, point } = camera;
    const fog = [Math.max(0, camera.depth[3] - frame.radius), 1 / (2 * frame.radius), frame.flat ? 0 : 0.5];
    const common = {
      u_matrix: camera.matrix,
      u_depth: camera.depth,
      u_parallel: point.orthographic ? point.distance : 0,
      u_plain: theme.dark ? [0.56, 0.63, 0.74] : [0.36, 0.4, 0.48],
    };

    gl.depthMask(false);
    blend(gl, false);
    use(gl, programs.frame, {
      u_matrix: camera.matrix,
      u_half: frame.half,
      u_color: [...theme.text, (theme.dark ? 0.22 : 0.3) * (scene.has_box ? 1 : 0.6)],
    });
    gl.drawArrays(gl.LINES, 0, 24);

    const nodes = (lit, spread, opacity, every = 1, from = [textures.nodes, textures.sizes]) => {
      use(gl, programs.node, {
        ...common,
        u_stride: every,
        u_fog: [...fog, lit ? 1 : 0.7],
        u_size: [this.nodeRadius(), camera.pixelScale * ratio, this.leastPixels() * ratio, MOST_PIXELS * ratio],
        u_ahead: this.ahead(),
        u_spread: spread,
        u_opacity: opacity,
        u_dark: theme.dark,
      }, { u_nodes: from[0], u_map: textures.nodeMap, u_sizes: from[1] });
    };
    const drawEdges = (lit, each, width, opacity, stride, sieve = null) => {
      use(gl, programs.edge, {
        ...common,
        u_fog: [...fog, lit ? 1 : 0.5],
        u_colored: Boolean(scene.edge_color),
        u_shaped: this.shaped,
        u_sieved: sieve !== null,
        u_sieve: sieve ?? 0,
        u_corners: each,
        u_stride: stride,
        u_width: each === 6 ? width * ratio : -1,
        u_opacity: opacity,
        u_tint: lit ? 0.4 : 0,
        u_screen: [this.canvas.width, this.canvas.height],
        u_half: frame.half,
        u_ink: theme.dark ? [0.42, 0.56, 0.86] : theme.text,
      }, { u_nodes: textures.nodes, u_map: scene.edge_color ? textures.edgeMap : textures.nodeMap,
           u_segments: textures.segments, u_weights: textures.weights, u_values: textures.values });
    };
    const mode = (each) => (each === 6 ? gl.TRIANGLES : gl.LINES);

    const every = Math.max(1, skip / 4);
    if (scene.context) { // what a cut took away: behind everything, and nothing that a pointer finds
      blend(gl, false);
      nodes(false, 1, theme.dark ? 0.3 : 0.34, every, [textures.context, textures.contextSizes]);
      gl.drawArrays(gl.POINTS, 0, Math.ceil(scene.context_nodes / every));
    }
    // Edges below nodes, whatever their depth: the colour of a node is data and stays readable.
    if (edges.drawn) {
      blend(gl, theme.dark);
      const faint = scene.edge_color ? 0.5 : theme.dark ? 0.26 : 0.2;
      const opacity = this.edgeOpacity(skip) * (dim ? faint : 1);
      if (measure) this.finish();
      const started = performance.now();
      drawEdges(!dim, this.corners, 0.9, opacity, edges.visible ? 1 : skip, edges.sieve);
      const shown = edges.visible ? this.lists.edges.count / this.corners : edges.prefix;
      const vertices = Math.ceil(shown / skip) * this.corners;
      if (edges.visible) this.elements(mode(this.corners), "edges", vertices);
      else gl.drawArrays(mode(this.corners), 0, vertices);
      if (measure) this.finish();
      this.edgesMs = performance.now() - started;
    }
    if (theme.dark && !dim && this.lists.glow.count) {
      blend(gl, true);
      nodes(true, 5, 0.3);
      this.elements(gl.POINTS, "glow");
    }
    blend(gl, false);
    gl.depthMask(!dim); // dimmed nodes hide nothing
    nodes(!dim, 1, dim ? (theme.dark ? 0.42 : 0.5) : 1, every);
    gl.drawArrays(gl.POINTS, 0, Math.ceil(scene.nodes / every));
    gl.depthMask(false);
    if (!dim) return;
    if (this.lists.lit.count) {
      const lit = this.lists.lit.count / this.litCorners;
      drawEdges(true, this.litCorners, 1.5, Math.max(0.35, Math.min(0.95, 12 / Math.sqrt(lit))), 1);
      this.elements(mode(this.litCorners), "lit");
    }
    gl.depthMask(true);
    nodes(true, 1, 1);
    this.elements(gl.POINTS, "nodes");
    gl.depthMask(false);
  }

  /** Wait until what was asked for is drawn. */
  finish() {
    this.gl.readPixels(0, 0, 1, 1, this.gl.RGBA, this.gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  elements(mode, name, count = this.lists[name].count) {
    this.gl.bindBuffer(this.gl.ELEMENT_ARRAY_BUFFER, this.lists[name].buffer);
    this.gl.drawElements(mode, count, this.gl.UNSIGNED_INT, 0);
  }

  /** Fainter the more of the picture edges cover, so stronger where the camera is close. */
  edgeOpacity(skip) {
    const { camera, theme, scene } = this;
    const { radius } = camera.frame;
    const layers = this.edges.drawnLength / skip / ((1.4 * radius * radius) / camera.unitsPerPixel() || 1);
    const opacity = (theme.dark ? 0.42 : 0.55) / Math.sqrt(layers || 1);
    return Math.max(0.03, Math.min(0.75, opacity * (scene.edge_color || this.shaped ? 1.7 : 1)));
  }

  /** World radius of the smallest node: a share of the mean distance between nodes. */
  nodeRadius() {
    const { half, radius, flat } = this.camera.frame;
    const sides = half.map((side) => Math.max(2 * side, 0.02 * radius));
    const n = Math.max(1, this.scene.nodes);
    const spacing = flat ? Math.sqrt((sides[0] * sides[1]) / n) : Math.cbrt((sides[0] * sides[1] * sides[2]) / n);
    return this.scene.node_scale * Math.min(0.045 * spacing, 0.012 * radius);
  }

  ahead() {
    const { back } = this.camera.basis();
    const m = this.camera.matrix;
    return [0, 1, 2, 3].map((row) => back[0] * m[row] + back[1] * m[4 + row] + back[2] * m[8 + row]);
  }

  /** Least radius of a node in CSS pixels: less where there are many, or the screen is small. */
  leastPixels() {
    const { width, height } = this.camera;
    const screen = Math.max(0.7, Math.min(1, Math.sqrt(width * height) / 700)) * (this.scene.edges ? 1 : 1.4);
    return Math.max(0.7, Math.min(1.6, 1.6 * screen * (4000 / this.scene.nodes) ** 0.22));
  }

  /** Radius of a node on the screen in CSS pixels, as the shader draws it. */
  nodePixels(place, depth) {
    const { camera } = this;
    const world = this.nodeRadius() * (1 + 5 * this.sizes[place] ** 2);
    const pixels = (world * camera.pixelScale) / camera.divisor(depth);
    return Math.max(this.leastPixels(), Math.min(MOST_PIXELS, pixels));
  }
}
