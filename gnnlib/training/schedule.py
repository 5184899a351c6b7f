"""The learning rate over a training: its share of the full rate, from the number of steps taken and of all steps."""

from __future__ import annotations

import math
from collections.abc import Callable

WARM_UP = 0.2


def one_cycle(done: int, steps: int) -> float:
    """Up along a cosine for a fifth of the steps, then down to 0 (Smith & Topin 2019, arXiv 1708.07120)."""
    top = max(1, round(WARM_UP * steps))
    if done < top:
        return 0.5 * (1 - math.cos(math.pi * (done + 1) / (top + 1)))
    return 0.5 * (1 + math.cos(math.pi * (done - top) / max(1, steps - top)))


def cosine(done: int, steps: int) -> float:
    """Down to 0 along half a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * done / steps))


def step(done: int, steps: int) -> float:
    """A fifth of the rate from half of the steps on, a twenty-fifth from three quarters on (Wu & Jespersen 2023)."""
    return 1 / 25 if done >= 0.75 * steps else 1 / 5 if done >= 0.5 * steps else 1.0


def constant(done: int, steps: int) -> float:
    """The full rate all the time."""
    return 1.0


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "one_cycle": one_cycle,
    "cosine": cosine,
    "step": step,
    "constant": constant,
}
