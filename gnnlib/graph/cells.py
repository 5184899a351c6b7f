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
BLOCK = 512  # edges written at once
CROWDED = 64  # points of different cells in a bucket, from which on sorting all points is quicker


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
    n, n_cells = len(positions), math.prod(shape.astype(np.int64).tolist())
    by_row = np.empty(n, dtype=np.int64)
    in_threads(_number, n, positions, low, scale, shape, by_row)
    shift = max(0, (n_cells // (BUCKETS_A_POINT * n)).bit_length())
    starts = np.zeros((n_cells >> shift) + 2, dtype=np.int64)  # one more for the key after the last
    nodes = np.empty(n, dtype=np.int64)
    if not _sort_by_bucket(by_row, shift, starts, nodes):
        nodes = np.argsort(by_row, kind="stable")
    points, keys = np.empty((3, n)), np.empty(n, dtype=np.int64)
    in_threads(_take, n, positions, by_row, nodes, points, keys)
    return CellList(
        points=points,
        nodes=nodes,
        keys=keys,
        starts=starts,
        shift=shift,
        shape=shape.astype(np.int64),
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


@dataclass(frozen=True)
class Partners:
    """Who is within the radius of whom, in the order of the cells.

    places: [M] int32, places of partners among the sorted points, those of one point after the other, by length and
    then by row. kept: [N] int64, how many each point has there. counts: [N] int64, how many there are of each node, in
    the order of the rows, also of those that were not kept.
    """

    places: np.ndarray
    kept: np.ndarray
    counts: np.ndarray


def find_partners(cells: CellList, most: int | None = None) -> Partners:
    """The partners of every point, its `most` nearest where that is given."""
    found = np.empty(len(cells.nodes), dtype=np.int64)
    most = len(found) if most is None else most
    stretches = in_threads(_find, len(found), *arrays(cells), most, found)
    counts = np.empty_like(found)
    counts[cells.nodes] = found
    places = stretches[0] if len(stretches) == 1 else np.concatenate(stretches)
    return Partners(places, np.minimum(found, most), counts)


def list_pairs(cells: CellList, partners: Partners) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """edge_index [2, M] int64, separations [M, 3], lengths [M], by receiver, then length, then source.

    Partners are found in the order of the cells, where what is read lies together, and kept in four bytes each; the
    edges are written in the order of their receivers. Written as they are found, each receiver's would go to four
    places far from the last ones, which takes longer than finding them.
    """
    n, n_edges = len(cells.nodes), len(partners.places)
    kept, begins, place = np.empty((3, n), dtype=np.int64)  # of each row
    kept[cells.nodes], begins[cells.nodes] = partners.kept, np.cumsum(partners.kept) - partners.kept
    place[cells.nodes] = np.arange(n)
    starts = np.concatenate([[0], np.cumsum(kept)])
    points = np.empty((n, 4))  # a point and its row, a whole number below 2^53, side by side
    points[:, :3], points[:, 3] = cells.points.T, cells.nodes
    edge_index = np.empty((2, n_edges), dtype=np.int64)
    separations, lengths = np.empty((n_edges, 3)), np.empty(n_edges)
    shared = points, cells.box, partners.places, begins, place, starts
    in_threads(_list, n, *shared, edge_index, separations, lengths)
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
def _find(points, nodes, keys, starts, shift, shape, box, bound, most, counts, start, stop):
    ranges = np.empty((MAX_RANGES, 2), dtype=np.int64)
    partners, reach = np.empty(64, dtype=np.int64), np.empty(64)
    spare, spare_reach, buckets = np.empty(64, dtype=np.int64), np.empty(64), np.empty(65, dtype=np.int64)
    near, near_points, squares = np.empty(64, dtype=np.int32), np.empty((3, 64)), np.empty(64)
    places, used = np.empty(max(64, 16 * (stop - start)), dtype=np.int32), 0
    key, candidates = -1, 0
    for a in range(start, stop):
        if keys[a] != key:  # side by side, the candidates of all points in a cell are one long loop for each of them
            key = keys[a]
            n_ranges = find_ranges(keys, starts, shift, shape, box, key, ranges)
            candidates = 0
            for r in range(n_ranges):
                candidates += ranges[r, 1] - ranges[r, 0]
            if candidates > len(partners):
                partners, reach = np.empty(2 * candidates, dtype=np.int64), np.empty(2 * candidates)
                spare, spare_reach = np.empty(2 * candidates, dtype=np.int64), np.empty(2 * candidates)
                buckets, squares = np.empty(2 * candidates + 1, dtype=np.int64), np.empty(2 * candidates)
                near, near_points = np.empty(2 * candidates, dtype=np.int32), np.empty((3, 2 * candidates))
            at = 0
            for r in range(n_ranges):
                for b in range(ranges[r, 0], ranges[r, 1]):
                    near[at] = b
                    near_points[0, at], near_points[1, at] = points[0, b], points[1, b]
                    near_points[2, at] = points[2, b]
                    at += 1
        squared_distances(points, box, a, near_points, 0, candidates, squares)
        found = 0
        for e in range(candidates):
            partners[found], reach[found] = near[e], squares[e]  # overwritten unless it counts: no branch
            found += (squares[e] <= bound) & (near[e] != a)
        for e in range(found):
            reach[e] = np.sqrt(reach[e])
        sort_by_length(partners, reach, nodes, found, spare, spare_reach, buckets)
        counts[a] = found
        found = min(found, most)
        if used + found > len(places):
            longer = np.empty(2 * (used + found), dtype=np.int32)
            longer[:used] = places[:used]
            places = longer
        for e in range(found):
            places[used + e] = partners[e]
        used += found
    return places[:used]


@compiled
def _list(points, box, places, begins, place, starts, edge_index, separations, lengths, start, stop):
    block = np.empty((3, BLOCK))
    a, done = start, starts[start]  # receivers and edges fetched so far
    inside = 0  # edges of the receiver a that were
    while a < stop:
        # First fetch what lies all over memory, and nothing else: so the processor waits for many places at once.
        size = 0
        while a < stop and size < BLOCK:
            x, y, z = points[place[a], 0], points[place[a], 1], points[place[a], 2]
            first, found = begins[a] + inside, starts[a + 1] - starts[a] - inside
            fits = min(found, BLOCK - size)
            for e in range(fits):
                b = places[first + e]
                block[0, size + e], block[1, size + e] = points[b, 0] - x, points[b, 1] - y
                block[2, size + e] = points[b, 2] - z
                edge_index[0, done + size + e], edge_index[1, done + size + e] = np.int64(points[b, 3]), a
            size += fits
            if fits < found:
                inside += fits
            else:
                a, inside = a + 1, 0
        dx, dy, dz, length = block[0, :size], block[1, :size], block[2, :size], lengths[done : done + size]
        for e in range(size):
            dx[e] = nearest_image(dx[e], box[0])
            dy[e] = nearest_image(dy[e], box[1])
            dz[e] = nearest_image(dz[e], box[2])
            length[e] = np.sqrt(dx[e] * dx[e] + dy[e] * dy[e] + dz[e] * dz[e])  # as `squared_distance` rounds it
        for e in range(size):
            separations[done + e, 0], separations[done + e, 1], separations[done + e, 2] = dx[e], dy[e], dz[e]
        done += size


@compiled
def _number(positions, low, scale, shape, keys, start, stop):
    """The cell of each point."""
    for a in range(start, stop):
        key = np.int64(0)
        for axis in range(3):
            at = np.int64(min((positions[a, axis] - low[axis]) * scale[axis], shape[axis] - 1.0))
            key = key * np.int64(shape[axis]) + at
        keys[a] = key


@compiled
def _sort_by_bucket(by_row, shift, starts, nodes):
    """Fill `starts` with the first point of each bucket and `nodes` with the rows in the order of their keys, then of
    the rows themselves; returns False, with nothing in order, where a bucket holds too many points for that."""
    for a in range(len(by_row)):
        starts[(by_row[a] >> shift) + 1] += 1
    crowded = False
    for b in range(len(starts) - 1):
        crowded |= starts[b + 1] > CROWDED
        starts[b + 1] += starts[b]
    if crowded and shift > 0:
        return False
    for a in range(len(by_row)):
        b = by_row[a] >> shift
        nodes[starts[b]] = a
        starts[b] += 1
    for b in range(len(starts) - 1, 0, -1):
        starts[b] = starts[b - 1]
    starts[0] = 0
    if shift > 0:
        for b in range(len(starts) - 1):
            for e in range(starts[b] + 1, starts[b + 1]):
                node, at = nodes[e], e
                while at > starts[b] and by_row[nodes[at - 1]] > by_row[node]:
                    nodes[at] = nodes[at - 1]
                    at -= 1
                nodes[at] = node
    return True


@compiled
def _take(positions, by_row, nodes, points, keys, start, stop):
    for a in range(start, stop):
        row = nodes[a]
        keys[a] = by_row[row]
        for axis in range(3):
            points[axis, a] = positions[row, axis]
