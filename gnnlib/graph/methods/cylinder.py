"""Pairs in a cylinder: one radius across the line of sight and another, usually longer, along it.

For redshift space, where peculiar velocities stretch structures along the line of sight, as group finders link
galaxies (Huchra & Geller 1982; Eke et al. 2004, 2PIGG).
"""

from __future__ import annotations

import numpy as np

from gnnlib.errors import InputError
from gnnlib.graph import cells
from gnnlib.graph.compiled import compiled, in_threads
from gnnlib.graph.edges import MAX_EDGES, Neighbors, Points, check_size, join
from gnnlib.graph.graph import GraphSpec
from gnnlib.graph.space import check_radius, periodic_sides

RADIAL = 3


def find(points: Points, spec: GraphSpec) -> Neighbors:
    """All pairs with a separation <= spec.radius across the line of sight and <= spec.along along it, both ways.

    spec.line_of_sight: "x", "y" or "z" for a distant observer, or "radial" for one at the origin, who sees a pair along
    the vector l to its middle: |s . l| / |l| along and |s x l| / |l| across (Fisher et al. 1994); in open space only.
    """
    axis = "xyz".find(spec.line_of_sight) if spec.line_of_sight != "radial" else RADIAL
    if axis == RADIAL and points.box is not None:
        raise InputError("A radial line of sight needs open space; take x, y or z, or switch periodic off.")
    across = None if points.box is None else np.where(np.arange(3) == axis, 0.0, points.box)
    radius = check_radius(spec.radius, across)
    along, limit = spec.along, periodic_sides(points.box)[axis] / 2 if axis < RADIAL else np.inf
    if along is None or not np.isfinite(along) or along <= 0:
        raise InputError(f"A cylinder needs a positive length along the line of sight, not {along}; give one.")
    if along > limit:
        raise InputError(
            f"The length along the line of sight {along:g} is over half the periodic side of the box, {limit:g}, where "
            "a pair could be joined twice; give a smaller one or switch periodic off."
        )
    widths = np.where(np.arange(3) == axis, along, radius) if axis < RADIAL else np.hypot(radius, along)
    cell_list = cells.sort_into_cells(points.positions, radius, points.box, widths)
    shared, n = (*cells.arrays(cell_list), float(along), axis), len(points.positions)
    cause = f"a cylinder of {radius:g} across and {along:g} along"
    sampled = np.zeros(n, dtype=np.int64)
    step = max(1, n // cells.SAMPLE)
    _count(*shared, sampled, step, 0, n)
    if sampled.sum() * step > 4 * MAX_EDGES:
        check_size(float(sampled.sum() * step), cause, estimated=True)
    counts = np.zeros(n, dtype=np.int64)
    in_threads(_count, n, *shared, counts, 1)
    check_size(int(counts.sum()), cause)
    ends = np.cumsum(counts)
    sources, receivers = np.empty(ends[-1], dtype=np.int64), np.empty(ends[-1], dtype=np.int64)
    in_threads(_fill, n, *shared, ends - counts, sources, receivers)
    return join(points, sources, receivers)


@compiled
def _joined(points, box, bound, along, axis, a, b):
    if axis < RADIAL:
        d = abs(points[axis, b] - points[axis, a])
        if min(d, box[axis] - d) > along:
            return False
        squared = 0.0
        for other in range(3):
            if other != axis:
                d = abs(points[other, b] - points[other, a])
                d = min(d, box[other] - d)
                squared += d * d
        return squared <= bound
    sx, sy, sz = points[0, b] - points[0, a], points[1, b] - points[1, a], points[2, b] - points[2, a]
    lx, ly, lz = points[0, b] + points[0, a], points[1, b] + points[1, a], points[2, b] + points[2, a]
    far = np.sqrt(lx * lx + ly * ly + lz * lz)
    if far == 0.0:  # the observer stands in the middle: all of the separation is along
        return np.sqrt(sx * sx + sy * sy + sz * sz) <= along
    if abs(sx * lx + sy * ly + sz * lz) / far > along:
        return False
    cx, cy, cz = (sy * lz - sz * ly) / far, (sz * lx - sx * lz) / far, (sx * ly - sy * lx) / far
    return cx * cx + cy * cy + cz * cz <= bound


@compiled
def _count(points, nodes, keys, starts, shift, shape, box, bound, along, axis, counts, step, start, stop):
    ranges = np.empty((cells.MAX_RANGES, 2), dtype=np.int64)
    for a in range(start, stop, step):
        n_ranges = cells.find_ranges(keys, starts, shift, shape, box, keys[a], ranges)
        for r in range(n_ranges):
            for b in range(ranges[r, 0], ranges[r, 1]):
                counts[a] += a != b and _joined(points, box, bound, along, axis, a, b)


@compiled
def _fill(points, nodes, keys, starts, shift, shape, box, bound, along, axis, offsets, sources, receivers, start, stop):
    ranges = np.empty((cells.MAX_RANGES, 2), dtype=np.int64)
    for a in range(start, stop):
        n_ranges = cells.find_ranges(keys, starts, shift, shape, box, keys[a], ranges)
        at = offsets[a]
        for r in range(n_ranges):
            for b in range(ranges[r, 0], ranges[r, 1]):
                if a != b and _joined(points, box, bound, along, axis, a, b):
                    sources[at], receivers[at] = nodes[b], nodes[a]
                    at += 1
