"""Every pair within a radius: a linked-cell list (Hockney & Eastwood 1981) that keeps only the occupied cells.

Points are sorted by cell, cells are as wide as the radius, so all partners of a point lie in its own and the adjacent
cells; those that follow each other along the last axis are one contiguous range. Cells are looked up in a table of
buckets of adjacent cell numbers, so neither a tiny radius nor a far outlier costs memory. Exact in float64: a pair is
an edge if and only if its minimum-image distance, as float64 rounds it, is at most the radius.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gnnlib.graph.compiled import compiled, in_threads
from gnnlib.graph.joining import count_near, nearest_image, sort_by_length, squared_distances
from gnnlib.graph.space import periodic_sides

MAX_CELLS_AN_AXIS = 2**20  # three of them make a key that fits in 63 bits
ROUNDING_MARGIN = 1e-8  # cells are this much wider than the radius, so rounding cannot move a partner two cells away
MAX_RANGES = 18  # nine rows of cells, each cut in two at most by the periodic face
SMALLEST_EXTENT = 1e-290  # below it cells per unit length overflow; all points then share a cell
SAMPLE = 1_000
BUCKETS_A_POINT = 4


@dataclass(frozen=True)
class CellList:
    """Points sorted by cell.

    points: [3, N] float64. nodes: [N] int64, the row each point came from. keys: [N] int64 ascending cell numbers.
    starts: [B + 1] int64, the first point of each bucket; keys in a bucket agree in all but their last `shift` bits.
    shape: [3] int64 cells along each axis. box: [3] float64, infinite where an axis is open. bound: the largest squared
    length whose square root is within the radius.
    """

    points: np.ndarray
    nodes: np.ndarray
    keys: np.ndarray
    starts: np.ndarray
    shift: int
    shape: np.ndarray
    box: np.ndarray
    bound: float


def sort_into_cells(
    positions: np.ndarray, radius: float, box: np.ndarray | None, widths: np.ndarray | float | None = None
) -> CellList:
    """Cell list of positions [N, 3] as `space.inside_box` returns them, for pairs within `radius`.

    widths: of the cells, [3] or one for all axes; the radius where it is not given.
    """
    widths = np.asarray(radius if widths is None else widths)
    sides = periodic_sides(box)
    low = np.where(np.isfinite(sides), 0.0, positions.min(axis=0))
    extent = np.where(np.isfinite(sides), sides, positions.max(axis=0) - low)
    with np.errstate(over="ignore"):
        shape = np.clip(np.floor(extent / (widths * (1 + ROUNDING_MARGIN))), 1, MAX_CELLS_AN_AXIS)
    scale = np.divide(shape, extent, out=np.zeros(3), where=extent > SMALLEST_EXTENT)
    cell = np.minimum((positions - low) * scale, shape - 1).astype(np.int64)
    shape = shape.astype(np.int64)
    keys = (cell[:, 0] * shape[1] + cell[:, 1]) * shape[2] + cell[:, 2]
    nodes = np.argsort(keys, kind="stable")
    keys = keys[nodes]
    n_cells = math.prod(shape.tolist())
    shift = max(0, (n_cells // (BUCKETS_A_POINT * len(keys))).bit_length())
    in_bucket = np.bincount(keys >> shift, minlength=(n_cells >> shift) + 1)  # one more for the key after the last
    return CellList(
        points=np.ascontiguousarray(positions[nodes].T),
        nodes=nodes,
        keys=keys,
        starts=np.concatenate([[0], np.cumsum(in_bucket)]),
        shift=shift,
        shape=shape,
        box=sides,
        bound=squared_bound(radius),
    )


def squared_bound(radius: float) -> float:
    """The largest float64 whose square root is at most `radius`."""
    radius = min(radius, 1e154)  # beyond it the square overflows; no two positions are that far apart
    bound = np.float64(radius) ** 2
    while np.sqrt(np.nextafter(bound, np.inf)) <= radius:
        bound = np.nextafter(bound, np.inf)
    while np.sqrt(bound) > radius:
        bound = np.nextafter(bound, 0.0)
    return float(bound)


def estimate_pairs(cells: CellList) -> float:
    """Directed pairs within the radius, estimated from at most a thousand points spread over the cells."""
    step = max(1, len(cells.nodes) // SAMPLE)
    counts = np.full(len(cells.nodes), -1, dtype=np.int64)
    _count(*arrays(cells), counts, step, 0, len(counts))
    return float(counts[counts >= 0].mean() * len(counts))


def count_pairs(cells: CellList) -> np.ndarray:
    """Partners of each node within the radius, [N] int64 in the order of the rows."""
    counts = np.empty(len(cells.nodes), dtype=np.int64)
    in_threads(_count, len(counts), *arrays(cells), counts, 1)
    return counts


def list_pairs(cells: CellList, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """edge_index [2, M] int64, separations [M, 3], lengths [M], by receiver, then length, then source.

    counts: [N], the edges of each receiver as `count_pairs` says, or fewer: then its shortest ones.
    """
    ends = np.cumsum(counts)
    n_edges = int(ends[-1])
    edge_index = np.empty((2, n_edges), dtype=np.int64)
    separations, lengths = np.empty((n_edges, 3)), np.empty(n_edges)
    starts = np.concatenate([[0], ends])
    in_threads(_fill, len(counts), *arrays(cells), starts, edge_index, separations, lengths)
    return edge_index, separations, lengths


def arrays(cells: CellList) -> tuple[np.ndarray | int | float, ...]:
    """What a compiled loop takes, in the order in which it takes it."""
    return cells.points, cells.nodes, cells.keys, cells.starts, cells.shift, cells.shape, cells.box, cells.bound


@compiled
def _seek(keys, starts, shift, target):
    """First index whose key is at least `target`: look up its bucket, and bisect where a bucket holds several cells."""
    low, high = starts[target >> shift], starts[(target >> shift) + 1]
    while low < high and keys[low] < target:
        middle = (low + high) // 2
        if keys[middle] < target:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _around(index, size, periodic):
    """First and last cell to search along one axis, the last one inclusive; outside [0, size) means wrapped around."""
    if periodic and size >= 3:
        return index - 1, index + 1
    return max(index - 1, 0), min(index + 1, size - 1)


@compiled
def find_ranges(keys, starts, shift, shape, box, key, ranges):
    """Write to `ranges` [18, 2] the stretches of points in the cell `key` and the adjacent cells; return how many."""
    row, iz = key // shape[2], key % shape[2]
    x0, x1 = _around(row // shape[1], shape[0], box[0] < np.inf)
    y0, y1 = _around(row % shape[1], shape[1], box[1] < np.inf)
    z0, z1 = _around(iz, shape[2], box[2] < np.inf)
    found = 0
    for x in range(x0, x1 + 1):
        for y in range(y0, y1 + 1):
            base = ((x % shape[0]) * shape[1] + y % shape[1]) * shape[2]
            for part in range(2):
                if part == 0:  # the stretch inside the box
                    first, last = max(z0, 0), min(z1, shape[2] - 1)
                elif z0 < 0:  # across the lower face
                    first, last = shape[2] - 1, shape[2] - 1
                elif z1 >= shape[2]:  # across the upper face
                    first, last = 0, 0
                else:
                    break
                begin = _seek(keys, starts, shift, base + first)
                end = _seek(keys, starts, shift, base + last + 1)
                if end > begin:
                    ranges[found, 0], ranges[found, 1] = begin, end
                    found += 1
    return found


@compiled
def _count(points, nodes, keys, starts, shift, shape, box, bound, counts, step, start, stop):
    ranges = np.empty((MAX_RANGES, 2), dtype=np.int64)
    key, n_ranges = -1, 0
    for a in range(start, stop, step):
        if keys[a] != key:
            key = keys[a]
            n_ranges = find_ranges(keys, starts, shift, shape, box, key, ranges)
        total = 0
        for r in range(n_ranges):
            total += count_near(points, box, bound, a, ranges[r, 0], ranges[r, 1])
        counts[nodes[a]] = total - 1  # all but the point itself


@compiled
def _fill(
    points, nodes, keys, starts, shift, shape, box, bound, offsets, edge_index, separations, lengths, start, stop
):
    ranges = np.empty((MAX_RANGES, 2), dtype=np.int64)
    partners, reach = np.empty(64, dtype=np.int64), np.empty(64)
    spare, spare_reach, buckets = np.empty(64, dtype=np.int64), np.empty(64), np.empty(65, dtype=np.int64)
    squares = np.empty(64)
    key, n_ranges = -1, 0
    for a in range(start, stop):
        if keys[a] != key:
            key = keys[a]
            n_ranges = find_ranges(keys, starts, shift, shape, box, key, ranges)
            candidates = 0
            for r in range(n_ranges):
                candidates += ranges[r, 1] - ranges[r, 0]
            if candidates > len(partners):
                partners, reach = np.empty(2 * candidates, dtype=np.int64), np.empty(2 * candidates)
                spare, spare_reach = np.empty(2 * candidates, dtype=np.int64), np.empty(2 * candidates)
                buckets, squares = np.empty(2 * candidates + 1, dtype=np.int64), np.empty(2 * candidates)
        found = 0
        for r in range(n_ranges):
            first, size = ranges[r, 0], ranges[r, 1] - ranges[r, 0]
            squared_distances(points, box, a, first, first + size, squares)
            for e in range(size):
                partners[found], reach[found] = first + e, squares[e]  # overwritten unless it counts: no branch
                found += (squares[e] <= bound) & (first + e != a)
        for e in range(found):
            reach[e] = np.sqrt(reach[e])
        sort_by_length(partners, reach, nodes, found, spare, spare_reach, buckets)
        first = offsets[nodes[a]]
        for e in range(offsets[nodes[a] + 1] - first):
            b = partners[e]
            edge_index[0, first + e], edge_index[1, first + e] = nodes[b], nodes[a]
            lengths[first + e] = reach[e]
            for axis in range(3):
                separations[first + e, axis] = nearest_image(points[axis, b] - points[axis, a], box[axis])
