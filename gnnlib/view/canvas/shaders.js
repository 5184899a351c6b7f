// The shaders. Every vertex looks up its node or edge by its number (gl_VertexID) in textures of ROW texels a row.

export const ROW = 2048;
export const NO_IMAGE = 13; // the edge crosses no periodic face, see gnnlib/view/scene.py

const FETCH = `#version 300 es
precision highp float;
precision highp int;
uniform highp sampler2D u_nodes;   // xyz position, w colour value in 0..1, below 0 without one
uniform sampler2D u_map;
uniform mat4 u_matrix;
uniform vec4 u_depth;              // distance from the eye along the line of sight
uniform float u_parallel;          // by what lengths are divided where the view is orthographic, else 0
uniform vec4 u_fog;                // depth where it starts, 1 / its range, its strength, colour kept when dimmed
uniform vec3 u_plain;              // colour of an item without a value
ivec2 texel(int i) { return ivec2(i & ${ROW - 1}, i >> 11); }
vec3 mapped(float value) {
  return value < 0.0 ? u_plain : texelFetch(u_map, ivec2(min(255, int(value * 256.0)), 0), 0).rgb;
}
float depth(vec3 place) { return dot(u_depth, vec4(place, 1.0)); }
float divisor(float depth) { return u_parallel > 0.0 ? u_parallel : depth; }
float fog(float depth) { return 1.0 - u_fog.z * clamp((depth - u_fog.x) * u_fog.y, 0.0, 1.0); }
vec3 dimmed(vec3 color) { return mix(vec3(dot(color, vec3(0.3, 0.59, 0.11))), color, u_fog.w); }
`;

export const NODE_VERTEX = `${FETCH}
uniform highp sampler2D u_sizes;
uniform vec4 u_size;               // world radius of the smallest, pixels of a unit at depth 1, limits in pixels
uniform vec4 u_ahead;              // what one unit towards the eye adds to a projected point
uniform int u_stride;              // 1: every node
uniform float u_spread;            // 1 for the node itself, more for its glow
uniform float u_opacity;
out vec4 v_color;
flat out float v_pixels;
void main() {
  int place = gl_VertexID * u_stride;
  vec4 node = texelFetch(u_nodes, texel(place), 0);
  float size = texelFetch(u_sizes, texel(place), 0).r;
  gl_Position = u_matrix * vec4(node.xyz, 1.0);
  float away = depth(node.xyz);
  float pixels = u_size.x * (1.0 + 5.0 * size * size) * u_size.y / divisor(away);
  float faint = clamp(pixels / u_size.z, 0.6, 1.0);
  pixels = clamp(pixels, u_size.z, u_size.w);
  // The front of the ball as drawn, so that a satellite inside its host does not punch a hole into it.
  vec4 front = gl_Position + u_ahead * (pixels / u_size.y) * divisor(away);
  if (front.w > 0.0) gl_Position.z = front.z / front.w * gl_Position.w;
  pixels *= u_spread;
  gl_PointSize = 2.0 * pixels + 1.0;
  v_pixels = pixels;
  v_color = vec4(dimmed(mapped(node.w)), u_opacity * faint * fog(away));
}`;

export const NODE_FRAGMENT = `#version 300 es
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

export const EDGE_VERTEX = `${FETCH}
uniform highp usampler2D u_segments; // places of the two nodes; the periodic image in the second's five highest bits
uniform sampler2D u_weights;         // of an edge, in 0..1: its colour, width and opacity, and 1 where it has a colour
uniform bool u_colored;
uniform highp sampler2D u_values;    // of an edge, exactly
uniform float u_sieve;               // edges below this value are hidden
uniform bool u_sieved;
uniform bool u_shaped;               // width and opacity differ from edge to edge
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
out float v_width;
void main() {
  int segment = gl_VertexID / u_corners;
  int corner = gl_VertexID - segment * u_corners;
  segment *= u_stride;
  if (u_sieved && !(texelFetch(u_values, texel(segment), 0).r >= u_sieve)) {
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0); // all corners outside the picture
    return;
  }
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
  vec4 weight = u_colored || u_shaped ? texelFetch(u_weights, texel(segment), 0) : vec4(0.0);
  float width = u_width * (u_shaped ? 0.45 + 3.0 * weight.g * weight.g : 1.0);
  vec3 place = at_end ? to.xyz : from.xyz;
  gl_Position = u_matrix * vec4(place, 1.0);
  v_side = 0.0;
  v_width = width;
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
    gl_Position.xy += vec2(-along.y, along.x) * v_side * (width + 1.0) / u_screen * gl_Position.w;
  }
  float strength = u_opacity * fog(depth(place));
  if (image != ${NO_IMAGE}u && at_end) strength *= 0.12; // a ghost fades towards the face it leaves through
  if (u_shaped) strength *= 0.12 + 0.88 * weight.b;
  vec3 tone;
  if (u_colored) {
    tone = weight.a > 0.5 ? mapped(weight.r) : u_plain;
    if (!u_shaped) strength *= mix(0.25, 1.0, weight.r);
  } else {
    float value = at_end ? to.w : from.w;
    tone = value < 0.0 || u_tint <= 0.0 ? u_ink : mix(u_ink, mapped(value), u_tint);
  }
  v_color = vec4(dimmed(tone), strength);
}`;

export const EDGE_FRAGMENT = `#version 300 es
precision highp float;
in vec4 v_color;
in float v_side;
in float v_width;
out vec4 color;
void main() {
  float cover = clamp((1.0 - abs(v_side)) * (v_width + 1.0) * 0.5 + (v_width < 0.0 ? 1.0 : 0.0), 0.0, 1.0);
  color = vec4(v_color.rgb, v_color.a * cover);
}`;

export const FRAME_VERTEX = `#version 300 es
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

export const FRAME_FRAGMENT = `#version 300 es
precision highp float;
in vec4 v_color;
out vec4 color;
void main() { color = v_color; }`;
