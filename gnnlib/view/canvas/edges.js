// Which edges are drawn: those within the thresholds, and of too many only each node's shortest (or most attended).

import { bitReversed, upperBound } from "./numbers.js";
import { NO_IMAGE } from "./shaders.js";

export const MOST_STRIDE = 32; // at least every 32nd edge is drawn while the view moves
const PLACE = 0x7ffffff; // the bits of a place; those above hold the periodic image
const LEVELS = 4096;

export class Edges {
  constructor() {
    this.count = 0;
    this.drawn = 0;
    this.prefix = 0;
    this.visible = null;
    this.sieve = null;
  }

  /** pairs: [2 M] places with their images, lengths: [M] ascending. */
  take(pairs, lengths) {
    this.pairs = pairs;
    this.lengths = lengths;
    this.count = lengths.length;
    this.ranked = {};
    this.asked = null;
    this.touches = null;
    this.lengthUpTo = new Float64Array(this.count + 1);
    for (let edge = 0; edge < this.count; edge++) this.lengthUpTo[edge + 1] = this.lengthUpTo[edge] + lengths[edge];
    this.makeSegments();
  }

  /** An edge is one segment, or two where it crosses a periodic face: one stub from each of its nodes. */
  makeSegments() {
    const { pairs, count } = this;
    this.firstSegment = new Uint32Array(count + 1);
    const out = new Uint32Array(4 * count);
    let n = 0;
    for (let edge = 0; edge < count; edge++) {
      this.firstSegment[edge] = n;
      const a = pairs[2 * edge];
      const b = pairs[2 * edge + 1] & PLACE;
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
    this.firstSegment[count] = n;
    this.segments = out.slice(0, 2 * n);
  }

  edgeOf(segment) {
    if (this.firstSegment[this.count] === this.count) return segment;
    return upperBound(this.firstSegment, segment) - 1;
  }

  ends(edge) {
    return [this.pairs[2 * edge], this.pairs[2 * edge + 1] & PLACE];
  }

  /** The segments of a list of edges. */
  segmentsOf(edges) {
    const out = new Uint32Array(2 * edges.length);
    let n = 0;
    for (const edge of edges)
      for (let segment = this.firstSegment[edge]; segment < this.firstSegment[edge + 1]; segment++) out[n++] = segment;
    return out.subarray(0, n);
  }

  /**
   * radius: longest edge or null. least: least value or null, of values (name: their hash). budget: most edges to draw.
   * quick: whether the graphics card is quick enough to look at every edge, so that no list has to be made.
   * Afterwards: within, how many the thresholds leave; drawn, how many of them are drawn: the first `prefix` segments,
   * those with a value below `sieve` hidden by the graphics card where it is not null; or the edges in `visible`, whose
   * every first half, quarter, ... is an even sample.
   */
  choose({ radius, least, values, name, budget, quick }) {
    const asked = [radius, least, least === null ? null : name, budget, quick].join();
    if (asked === this.asked) return; // a selection changes nothing here
    this.asked = asked;
    const all = radius === null || !this.count;
    this.reach = all ? this.count : upperBound(this.lengths, Math.fround(radius));
    const passes = least === null ? null : (edge) => values[edge] >= least;
    this.passes = passes;
    this.within = this.reach;
    this.drawnLength = this.lengthUpTo?.[this.reach] ?? 0;
    if (passes) this.measure(values, least);
    this.prefix = this.firstSegment?.[this.reach] ?? 0;
    this.drawn = this.within;
    this.visible = null;
    this.sieve = passes && quick ? least : null;
    const thin = this.within > budget;
    if ((!passes && !thin) || this.sieve !== null) return;
    const keeps = thin ? this.best(passes ? values : null, passes ? name : "length", passes, budget) : passes;
    const visible = new Uint32Array(thin ? budget : this.within);
    let n = 0;
    this.drawnLength = 0;
    for (const phase of bitReversed(MOST_STRIDE)) {
      for (let edge = phase; edge < this.reach; edge += MOST_STRIDE) {
        if (!keeps(edge)) continue;
        this.drawnLength += this.lengths[edge];
        visible[n++] = edge;
      }
    }
    this.visible = visible.subarray(0, n);
    this.drawn = n;
  }

  /** How many edges within the radius have at least this value, and how long they are together. */
  measure(values, least) {
    const { lengths, reach } = this;
    let [n, length] = [0, 0];
    for (let edge = 0; edge < reach; edge++) {
      if (values[edge] >= least) {
        n++;
        length += lengths[edge];
      }
    }
    [this.within, this.drawnLength] = [n, length];
  }

  /**
   * Which edges stay where only `budget` can: going round the nodes, each keeps its shortest (or most valued) edge, then
   * its second, and so on; so no region is emptied. Of the last round an even sample stays.
   */
  best(values, name, passes, budget) {
    const rank = this.ranks(values, name);
    const counts = new Uint32Array(LEVELS);
    for (let edge = 0; edge < this.reach; edge++) if (!passes || passes(edge)) counts[rank[edge]]++;
    let last = 0;
    let room = budget;
    while (last < LEVELS - 1 && counts[last] <= room) room -= counts[last++];
    const share = counts[last] ? Math.min(1, room / counts[last]) : 0;
    return (edge) => {
      if (passes && !passes(edge)) return false;
      if (rank[edge] !== last) return rank[edge] < last;
      // Golden-ratio steps spread the sample evenly whatever the order of the edges.
      return (edge * 0.6180339887498949) % 1 < share * 0.999 && room-- > 0;
    };
  }

  /** [M] how many edges of its nodes come before an edge, counted at the node where it counts most. */
  ranks(values, name) {
    if (this.ranked.name === name) return this.ranked.rank;
    const rank = new Uint16Array(this.count);
    const nodes = this.pairs.reduce((most, end) => Math.max(most, end & PLACE), 0) + 1;
    const before = new Uint32Array(nodes);
    const visit = (edge) => {
      const [a, b] = this.ends(edge);
      rank[edge] = Math.min(before[a]++, before[b]++, LEVELS - 1);
    };
    if (!values) for (let edge = 0; edge < this.count; edge++) visit(edge);
    else for (const edge of descending(values)) visit(edge);
    this.ranked = { name, rank };
    return rank;
  }

  /** The segments of the edges within the thresholds that touch a set of places, and the places at their other ends. */
  touching(places) {
    const neighbours = new Set();
    const found = [];
    if (!places.size || !this.count) return { segments: new Uint32Array(0), neighbours };
    const { first, edges } = this.byNode();
    for (const place of places) {
      for (let i = first[place]; i < first[place + 1]; i++) {
        const edge = edges[i];
        if (edge >= this.reach || (this.passes && !this.passes(edge))) continue;
        const [a, b] = this.ends(edge);
        const other = a === place ? b : a;
        if (!places.has(other)) neighbours.add(other);
        else if (other < place) continue; // both ends are in the set: taken at the lower one
        found.push(edge);
      }
    }
    return { segments: this.segmentsOf(found), neighbours };
  }

  /** The edges of every node: edges[first[n]] to edges[first[n + 1] - 1]. Made when first asked for. */
  byNode() {
    if (this.touches) return this.touches;
    const { pairs, count } = this;
    let nodes = 0;
    for (let end = 0; end < 2 * count; end++) nodes = Math.max(nodes, (pairs[end] & PLACE) + 1);
    const first = new Uint32Array(nodes + 1);
    for (let end = 0; end < 2 * count; end++) first[(pairs[end] & PLACE) + 1]++;
    for (let node = 0; node < nodes; node++) first[node + 1] += first[node];
    const next = first.slice();
    const edges = new Uint32Array(2 * count);
    for (let end = 0; end < 2 * count; end++) edges[next[pairs[end] & PLACE]++] = end >> 1;
    this.touches = { first, edges };
    return this.touches;
  }
}

/** Places of the values from the largest to the smallest, equal within 1/65536 of their range. */
function descending(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const bins = 65_536;
  const scale = high > low ? (bins - 1) / (high - low) : 0;
  const bin = (value) => (Number.isFinite(value) ? Math.floor((high - value) * scale) : bins - 1);
  const start = new Uint32Array(bins + 1);
  for (const value of values) start[bin(value) + 1]++;
  for (let i = 0; i < bins; i++) start[i + 1] += start[i];
  const out = new Uint32Array(values.length);
  values.forEach((value, edge) => (out[start[bin(value)]++] = edge));
  return out;
}
