"""Edges found in any order become edges in the order that is promised, with their separations and lengths: compiled."""

from __future__ import annotations

import numpy as np

from gnnlib.graph.compiled import compiled, in_threads
from gnnlib.graph.space import periodic_sides

FEW = 96  # edges of a receiver, up to which counting is the quickest way to put them in order


def measure(
    positions: np.ndarray, box: np.ndarray | None, sources: np.ndarray, receivers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """edge_index [2, M] int64, separations [M, 3], lengths [M] by receiver, then length, then source.

    positions: [N, 3] as `space.inside_box` returns them. sources, receivers: [M] rows, each pair at most once.
    """
    n, n_edges = len(positions), len(sources)
    counts = np.bincount(receivers, minlength=n)
    starts = np.concatenate([[0], np.cumsum(counts)])
    by_receiver = np.empty(n_edges, dtype=np.int64)
    _gather(sources, receivers, starts[:-1].copy(), by_receiver)
    edge_index = np.empty((2, n_edges), dtype=np.int64)
    separations, lengths = np.empty((n_edges, 3)), np.empty(n_edges)
    in_threads(_measure, n, positions, periodic_sides(box), starts, by_receiver, edge_index, separations, lengths)
    return edge_index, separations, lengths


def separate(positions: np.ndarray, box: np.ndarray | None, edge_index: np.ndarray) -> np.ndarray:
    """Separations [M, 3], source minus receiver, minimum image."""
    separations = np.empty((edge_index.shape[1], 3))
    in_threads(_separate, len(separations), positions, periodic_sides(box), edge_index, separations)
    return separations


@compiled
def squared_distance(points, sides, a, b):
    """Squared minimum-image distance of columns a and b of points [3, N]; the same for (a, b) and (b, a)."""
    dx = abs(points[0, b] - points[0, a])
    dy = abs(points[1, b] - points[1, a])
    dz = abs(points[2, b] - points[2, a])
    dx, dy, dz = min(dx, sides[0] - dx), min(dy, sides[1] - dy), min(dz, sides[2] - dz)
    return dx * dx + dy * dy + dz * dz


@compiled
def squared_distances(points, sides, a, others, start, stop, squares):
    """`squared_distance` of column a of points [3, N] to the columns start .. stop - 1 of others [3, K], written
    to `squares`.

    Over slices, whose indices are seen to be in bounds: so the compiler lets the processor take eight at once.
    """
    xs, ys, zs = others[0, start:stop], others[1, start:stop], others[2, start:stop]
    x, y, z, side_x, side_y, side_z = points[0, a], points[1, a], points[2, a], sides[0], sides[1], sides[2]
    for e in range(len(xs)):
        dx, dy, dz = abs(xs[e] - x), abs(ys[e] - y), abs(zs[e] - z)
        dx, dy, dz = min(dx, side_x - dx), min(dy, side_y - dy), min(dz, side_z - dz)
        squares[e] = dx * dx + dy * dy + dz * dz


@compiled
def count_near(points, sides, bound, a, start, stop):
    """How many of `squared_distances` are at most `bound`."""
    xs, ys, zs = points[0, start:stop], points[1, start:stop], points[2, start:stop]
    x, y, z, side_x, side_y, side_z = points[0, a], points[1, a], points[2, a], sides[0], sides[1], sides[2]
    near = 0
    for e in range(len(xs)):
        dx, dy, dz = abs(xs[e] - x), abs(ys[e] - y), abs(zs[e] - z)
        dx, dy, dz = min(dx, side_x - dx), min(dy, side_y - dy), min(dz, side_z - dz)
        near += dx * dx + dy * dy + dz * dz <= bound
    return near


@compiled
def nearest_image(separation, side):
    """One component of a separation, moved to the nearest image."""
    if separation > 0.5 * side:
        return separation - side
    if separation < -0.5 * side:
        return separation + side
    return separation


@compiled
def sort_by_length(partners, lengths, nodes, found, spare, spare_lengths, starts):
    """The first `found` partners by length, then by node; the last three arrays are room to work in, one longer.

    Few are put in their places by counting how many are shorter, which the processor does for many lengths at once
    when they are rounded to half their size; those that are then equal are sorted as they are. More by
    a bucket sort: about as many buckets of equal squared length as edges, so that almost nothing is left to move in the
    insertion sort that follows. Where lengths crowd, so that too much is, a Shell sort does the rest.
    """
    longest = 0.0
    for e in range(found):
        longest = max(longest, lengths[e])
    if found < 2 or not longest > 0.0:
        _shell_sort(partners, lengths, nodes, found)
        return
    if found <= FEW:
        rounded, ranked = spare_lengths.view(np.float32)[:found], 0  # keeps their order
        for e in range(found):
            rounded[e] = lengths[e]
        for e in range(found):
            length, fewer = rounded[e], np.int32(0)
            for other in rounded:
                fewer = np.int32(fewer + (other < length))
            starts[e] = fewer
            ranked += int(fewer)
        if 2 * ranked == found * (found - 1):  # no two are equal, even rounded
            for e in range(found):
                spare[starts[e]], spare_lengths[starts[e]] = partners[e], lengths[e]
            for e in range(found):
                partners[e], lengths[e] = spare[e], spare_lengths[e]
        else:
            _shell_sort(partners, lengths, nodes, found)
        return
    scale = np.sqrt(found - 1) / longest
    for bucket in range(found + 1):
        starts[bucket] = 0
    for e in range(found):
        place = lengths[e] * scale
        starts[min(int(place * place), found - 1) + 1] += 1
    for bucket in range(1, found):
        starts[bucket] += starts[bucket - 1]
    for e in range(found):
        place = lengths[e] * scale
        bucket = min(int(place * place), found - 1)
        spare[starts[bucket]], spare_lengths[starts[bucket]] = partners[e], lengths[e]
        starts[bucket] += 1
    moves, most = 0, 8 * found
    for e in range(found):
        partner, length, at = spare[e], spare_lengths[e], e
        while at > 0 and (
            lengths[at - 1] > length or (lengths[at - 1] == length and nodes[partners[at - 1]] > nodes[partner])
        ):
            partners[at], lengths[at] = partners[at - 1], lengths[at - 1]
            at -= 1
        partners[at], lengths[at] = partner, length
        moves += e - at
        if moves > most:
            for rest in range(e + 1, found):
                partners[rest], lengths[rest] = spare[rest], spare_lengths[rest]
            _shell_sort(partners, lengths, nodes, found)
            return


@compiled
def _shell_sort(partners, lengths, nodes, found):
    """Shell sort by length, then by node (gaps of Knuth 1973: 1, 4, 13, 40, ...)."""
    gap = 1
    while 3 * gap + 1 < found:
        gap = 3 * gap + 1
    while gap >= 1:
        for e in range(gap, found):
            partner, length = partners[e], lengths[e]
            at = e
            while at >= gap and (
                lengths[at - gap] > length
                or (lengths[at - gap] == length and nodes[partners[at - gap]] > nodes[partner])
            ):
                partners[at], lengths[at] = partners[at - gap], lengths[at - gap]
                at -= gap
            partners[at], lengths[at] = partner, length
        gap //= 3


@compiled
def _gather(sources, receivers, nexts, by_receiver):
    for e in range(len(sources)):
        by_receiver[nexts[receivers[e]]] = sources[e]
        nexts[receivers[e]] += 1


@compiled
def _measure(positions, sides, starts, by_receiver, edge_index, separations, lengths, start, stop):
    points = positions.T
    places = np.arange(64)
    reach, spare, spare_reach = np.empty(64), np.empty(64, dtype=np.int64), np.empty(64)
    buckets = np.empty(65, dtype=np.int64)
    for a in range(start, stop):
        first, found = starts[a], starts[a + 1] - starts[a]
        if found > len(places):
            places, reach = np.empty(2 * found, dtype=np.int64), np.empty(2 * found)
            spare, spare_reach = np.empty(2 * found, dtype=np.int64), np.empty(2 * found)
            buckets = np.empty(2 * found + 1, dtype=np.int64)
        nodes = by_receiver[first : first + found]
        for e in range(found):
            places[e] = e
            reach[e] = np.sqrt(squared_distance(points, sides, a, nodes[e]))
        sort_by_length(places, reach, nodes, found, spare, spare_reach, buckets)
        for e in range(found):
            b = nodes[places[e]]
            edge_index[0, first + e], edge_index[1, first + e] = b, a
            lengths[first + e] = reach[e]
            for axis in range(3):
                separations[first + e, axis] = nearest_image(points[axis, b] - points[axis, a], sides[axis])


@compiled
def _separate(positions, sides, edge_index, separations, start, stop):
    for e in range(start, stop):
        for axis in range(3):
            apart = positions[edge_index[0, e], axis] - positions[edge_index[1, e], axis]
            separations[e, axis] = nearest_image(apart, sides[axis])
