// What WebGL 2 needs said in few words: programs, uniforms, textures that hold data.

import { blended, shades } from "./colors.js";
import { ROW } from "./shaders.js";

export function rendersInSoftware() {
  const probe = document.createElement("canvas").getContext("webgl2");
  const info = probe?.getExtension("WEBGL_debug_renderer_info");
  const renderer = String(probe?.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : probe.RENDERER) ?? "");
  probe?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
}

export function program(gl, vertex, fragment) {
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

export function use(gl, { made, uniforms }, values, textures = {}) {
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
export function blend(gl, additive) {
  gl.blendFunc(gl.SRC_ALPHA, additive ? gl.ONE : gl.ONE_MINUS_SRC_ALPHA);
}

export const rows = (n) => Math.max(1, Math.ceil(n / ROW));

export function dataTexture(gl, texture, internal, format, type, texels) {
  const channels = { [gl.RGBA]: 4, [gl.RG_INTEGER]: 2, [gl.RED]: 1 }[format];
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
  gl.texImage2D(gl.TEXTURE_2D, 0, internal, ROW, texels.length / channels / ROW, 0, format, type, texels);
  pointwise(gl);
}

/** No filtering: every texel is one item. */
function pointwise(gl) {
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
}

/** 256 texels of a colour map: blended between the stops, or one flat stretch a category. */
export function mapTexture(gl, texture, color, dark) {
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
  pointwise(gl);
}

export function corners(segments, each) {
  const out = new Uint32Array(segments.length * each);
  for (let i = 0; i < segments.length; i++) for (let c = 0; c < each; c++) out[i * each + c] = segments[i] * each + c;
  return out;
}

export function resize(canvas, width, height) {
  const [w, h] = [Math.max(1, Math.round(width)), Math.max(1, Math.round(height))];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
}
