// How much can be drawn: measured frame times decide how many edges a picture holds, at rest and while it moves.

import { MOST_STRIDE } from "./edges.js";

const AIM = 200; // ms that the edges of a picture at rest may take
const LEAST_BUDGET = 25_000; // edges, drawn whatever they cost
const START = 150_000; // edges of the first picture where there is no graphics card
const SLOW = 36; // ms between frames from which fewer are drawn while the view moves
const QUICK = 20;

export class Pace {
  constructor(software) {
    this.budget = software ? START : Infinity; // edges at rest
    this.stride = 1; // every so many-th edge while the view moves
    this.late = 0;
    this.heavy = 0;
    this.everything = false; // a person asked for all edges
    this.fixed = false; // a test keeps the budget as it is
  }

  /** A frame begins while the view moves. */
  frame(now) {
    const took = now - (this.last ?? -Infinity);
    this.last = now;
    if (took > 2000) return;
    if (took > SLOW) this.late++;
    else if (took < QUICK) this.late -= 0.2;
    if (this.late >= 2 && this.stride < MOST_STRIDE) [this.stride, this.late] = [this.stride * 2, 0];
    if (this.late <= -6 && this.stride > 1) [this.stride, this.late] = [this.stride / 2, 0];
  }

  /** So many edges of a picture at rest took so many ms. True where the budget changes by it. */
  rested(took, drawn, within) {
    if (this.everything || this.fixed) return false;
    if (took > 1.6 * AIM && drawn > LEAST_BUDGET) {
      this.heavy += took > 3 * AIM ? 2 : 1; // a machine busy with something else is no reason yet
      if (this.heavy < 2) return false;
      this.heavy = 0;
      this.budget = Math.max(LEAST_BUDGET, rounded((drawn * AIM) / took));
      return true;
    }
    this.heavy = 0;
    if (drawn >= within || took > 0.6 * AIM) return false;
    this.budget = rounded(drawn * Math.min(8, AIM / Math.max(took, 1)));
    return true;
  }

  /** Every so many-th edge where a picture has to be there at once and all edges take so many ms. */
  quick(took) {
    return took > QUICK ? Math.min(MOST_STRIDE, 2 ** Math.ceil(Math.log2(took / QUICK))) : 1;
  }

  get most() {
    return this.everything ? Infinity : this.budget;
  }
}

/** Two digits, so that the number on the canvas is easy to read. */
function rounded(n) {
  const power = 10 ** Math.max(0, Math.floor(Math.log10(n)) - 1);
  return Math.floor(n / power) * power;
}
