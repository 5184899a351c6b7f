"""The space that points lie in: open, or periodic along some or all of its axes.

Everywhere a `box` is [3] side lengths with 0 where that axis is open, or None where all are. Separations are those of
the minimum image (Allen & Tildesley 1987): each component, taken modulo the side, is at most half of it.
"""

from __future__ import annotations

import numpy as np

from gnnlib.errors import InputError

INFINITE = 1e150  # squares of larger positions overflow
BOX_TOLERANCE = 1e-6  # float32 positions may overshoot the box by this fraction


def check_box(box: np.ndarray | None) -> np.ndarray | None:
    """The box as [3] float64, or None. Raises InputError unless it has three finite sides, 0 or more, not all 0."""
    if box is None:
        return None
    box = np.asarray(box, dtype=np.float64)
    if box.shape != (3,) or not np.all(np.isfinite(box) & (box >= 0)) or not box.any():
        raise InputError(
            f"The box must have three side lengths, positive or 0 where an axis is open, not {box.tolist()}; "
            "correct the box."
        )
    return box


def periodic_sides(box: np.ndarray | None) -> np.ndarray:
    """Sides [3] of the box, infinite where an axis is open."""
    return np.full(3, np.inf) if box is None else np.where(box > 0, box, np.inf)


def shortest_side(box: np.ndarray | None) -> float:
    """The shortest periodic side; infinite where there is none."""
    return float(periodic_sides(box).min())


def extent(positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """How far space reaches along each axis [3]: the side where it is periodic, else the spread of positions [N, 3]."""
    spread = np.ptp(positions, axis=0)
    return spread if box is None else np.where(box > 0, box, spread)


def inside_box(positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """Positions [N, 3] as float64, wrapped into [0, side) along the periodic axes.

    Raises InputError where there are none, where any is missing or infinite, or where they span more than the box.
    """
    positions = np.ascontiguousarray(positions, dtype=np.float64)
    if len(positions) == 0:
        raise InputError("The catalog has no rows, so there is nothing to join; loosen the cut or choose another one.")
    low, high = positions.min(axis=0), positions.max(axis=0)
    if not np.all((np.abs(low) < INFINITE) & (np.abs(high) < INFINITE)):  # NaN is not below anything
        bad = int(np.sum(~(np.abs(positions) < INFINITE).all(axis=1)))
        raise InputError(
            f"{bad} of {len(positions)} rows have a missing or infinite position; cut these rows before joining."
        )
    if box is None:
        return positions
    spread, sides = high - low, periodic_sides(box)
    widest = int(np.argmax(spread / sides))
    if spread[widest] > sides[widest] * (1 + BOX_TOLERANCE):
        raise InputError(
            f"Positions span {spread[widest]:.6g} along axis {'xyz'[widest]}, more than the box side "
            f"{box[widest]:.6g}; correct the box or its unit, or switch periodic off."
        )
    outside = np.flatnonzero((box > 0) & ((low < 0) | (high >= box)))
    wrapped = positions.copy() if len(outside) else positions
    for axis in outside:
        along = np.mod(positions[:, axis], box[axis])
        # mod of a tiny negative number rounds up to the side itself
        wrapped[:, axis] = np.where(along < box[axis], along, 0.0)
    return wrapped


def minimum_image(separations: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """Separations [..., 3] between points inside `box`, moved to the nearest image; as they are where it is None."""
    if box is None:
        return separations
    half = periodic_sides(box) / 2
    return separations - box * ((separations > half).astype(np.int8) - (separations < -half).astype(np.int8))


def apart(positions: np.ndarray, file_of: np.ndarray | None) -> np.ndarray:
    """Positions [N, 3] with the spaces that file_of [N] tells apart side by side along x, a whole width between them;
    as they are where it is None."""
    if file_of is None or not len(positions):
        return positions
    step = 2 * float(np.ptp(positions, axis=0).max()) or 1.0
    return positions + np.outer(file_of * step, [1.0, 0.0, 0.0])


def mean_separation(positions: np.ndarray, box: np.ndarray | None, file_of: np.ndarray | None = None) -> float:
    """(volume / N)^(1/3) of the box, or of the extent of positions [N, 3] along open axes; 1 where all coincide.

    Axes along which nothing extends do not count: a plane has (area / N)^(1/2), a line length / N. file_of: [N], which
    of several spaces of that volume each is in.
    """
    sides = extent(positions, box)
    sides = sides[(np.ptp(positions, axis=0) > 0) & (sides > 0)]
    if not len(sides):
        return 1.0
    density = len(positions) / (1 if file_of is None else len(np.unique(file_of)))
    return float(np.prod(sides ** (1 / len(sides))) * density ** (-1 / len(sides)))


def check_radius(radius: float | None, box: np.ndarray | None) -> float:
    """The linking length if it can be used. Raises InputError otherwise, naming the limit of a periodic box."""
    if radius is None:
        raise InputError("A radius graph needs a linking length; give a radius in the unit of the positions.")
    if not np.isfinite(radius) or radius <= 0:
        raise InputError(f"The linking length must be a positive number, not {radius:g}; give a larger radius.")
    if radius > shortest_side(box) / 2:
        raise InputError(
            f"The linking length {radius:g} is over half the shortest periodic side of the box, "
            f"{shortest_side(box) / 2:g}, where a pair could be joined twice; give a smaller radius or switch periodic "
            "off."
        )
    return float(radius)
