"""The k nearest points of every point: a bucket k-d tree (Friedman, Bentley & Finkel 1977), compiled.

Points are halved again and again along the widest axis until a bucket holds a few of them, so every bucket of the
implicit tree is on the same level however the points cluster or coincide. A bucket is entered only where its bounding
box is near enough, periodic axes included. Exact: rounding is monotone, so a box is never computed to be farther than a
point in it; equal lengths go by row.
"""

from __future__ import annotations

import numpy as np

from gnnlib.graph.compiled import compiled, in_threads
from gnnlib.graph.joining import squared_distances

BUCKET = 20  # points in a bucket, less than twice as many
DEEPEST = 64


def nearest(
    points: np.ndarray,
    k: int,
    sides: np.ndarray,
    found: np.ndarray | None = None,
    distances: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows [N, k] int64 and distances [N, k] of the k nearest others of each point, nearest first.

    points: [N, D] float64, N > k, inside [0, side) along axes of finite side. sides: [D], infinite where open. found,
    distances: arrays to write the result to, where the caller has them.
    """
    n, dims = points.shape
    levels = max(0, int(np.log2(max(n / BUCKET, 1))))
    ordered, rows = points.copy(), np.arange(n)
    bounds = np.empty(2**levels + 1, dtype=np.int64)
    bounds[0], bounds[-1] = 0, n
    at_once = min(levels, 3)  # the first levels one after the other, the rest in threads
    for level in range(at_once):
        step = 2 ** (levels - level)
        for first in range(0, 2**levels, step):
            _halve(ordered, rows, bounds, first, step)
    in_threads(_build, 2**at_once, ordered, rows, bounds, 2 ** (levels - at_once), serial_below=2)
    boxes, least = np.empty((2 ** (levels + 1), 2, dims)), np.empty(2 ** (levels + 1), dtype=np.int64)
    _enclose(ordered, rows, bounds, boxes, least)
    found = np.empty((n, k), dtype=np.int64) if found is None else found
    distances = np.empty((n, k)) if distances is None else distances
    across = np.ascontiguousarray(ordered.T)
    in_threads(_query, 2**levels, across, rows, bounds, boxes, least, sides, found, distances, serial_below=100)
    return found, distances


@compiled
def _swap(points, rows, a, b):
    rows[a], rows[b] = rows[b], rows[a]
    for axis in range(points.shape[1]):
        points[a, axis], points[b, axis] = points[b, axis], points[a, axis]


@compiled
def _halve(points, rows, bounds, first, step):
    """Divide the points of buckets first .. first + step - 1 at the median of their widest axis (Hoare's select)."""
    start, stop = bounds[first], bounds[first + step]
    middle = (start + stop) // 2
    axis, widest = 0, -1.0
    for candidate in range(points.shape[1]):
        low = high = points[start, candidate]
        for a in range(start, stop):
            low, high = min(low, points[a, candidate]), max(high, points[a, candidate])
        if high - low > widest:
            axis, widest = candidate, high - low
    left, right = start, stop - 1
    while left < right:
        a, b, c = points[left, axis], points[(left + right) // 2, axis], points[right, axis]
        pivot = max(min(a, b), min(max(a, b), c))  # the median of three
        i, j = left, right
        while i <= j:
            while points[i, axis] < pivot:
                i += 1
            while points[j, axis] > pivot:
                j -= 1
            if i <= j:
                _swap(points, rows, i, j)
                i += 1
                j -= 1
        if middle <= j:
            right = j
        elif middle >= i:
            left = i
        else:
            break
    bounds[first + step // 2] = middle


@compiled
def _build(points, rows, bounds, buckets, start, stop):
    """Halve each of the stretches start .. stop, of so many buckets each, down to the buckets."""
    for stretch in range(start, stop):
        step = buckets
        while step > 1:
            for first in range(stretch * buckets, (stretch + 1) * buckets, step):
                _halve(points, rows, bounds, first, step)
            step //= 2


@compiled
def _enclose(points, rows, bounds, boxes, least):
    """Lowest and highest corner and least row of every node; node n has the children 2n and 2n + 1, the root is 1."""
    buckets = len(bounds) - 1
    for node in range(2 * buckets - 1, 0, -1):
        if node >= buckets:
            start, stop = bounds[node - buckets], bounds[node - buckets + 1]
            least[node] = rows[start:stop].min()
            for axis in range(points.shape[1]):
                boxes[node, 0, axis] = points[start:stop, axis].min()
                boxes[node, 1, axis] = points[start:stop, axis].max()
        else:
            first, second = 2 * node, 2 * node + 1
            least[node] = min(least[first], least[second])
            for axis in range(points.shape[1]):
                boxes[node, 0, axis] = min(boxes[first, 0, axis], boxes[second, 0, axis])
                boxes[node, 1, axis] = max(boxes[first, 1, axis], boxes[second, 1, axis])


@compiled
def _between(boxes, one, other, sides):
    """Squared distance of two boxes; never more than that of a point in one and a point in the other."""
    squared = 0.0
    for axis in range(len(sides)):
        below, above = boxes[other, 0, axis] - boxes[one, 1, axis], boxes[one, 0, axis] - boxes[other, 1, axis]
        apart = max(below, above, 0.0)
        if sides[axis] < np.inf:
            apart = min(apart, below + sides[axis], above + sides[axis])
        squared += apart * apart
    return squared


@compiled
def _to_box(points, a, boxes, node, sides):
    """Squared distance from a point to a box; never more than that to a point in the box."""
    squared = 0.0
    for axis in range(len(sides)):
        below, above = boxes[node, 0, axis] - points[axis, a], points[axis, a] - boxes[node, 1, axis]
        apart = max(below, above, 0.0)
        if sides[axis] < np.inf:
            apart = min(apart, below + sides[axis], above + sides[axis])
        squared += apart * apart
    return squared


@compiled
def _look(points, rows, bounds, boxes, least, sides, node, home, first, last, near, near_rows, squares, hits):
    """Let the points first .. last - 1 look for neighbours in the bucket `node`; near: squared distances, ascending."""
    k = near.shape[1]
    start, stop = bounds[node - len(bounds) + 1], bounds[node - len(bounds) + 2]
    for a in range(first, last):
        mine, my_rows = near[a - first], near_rows[a - first]
        limit = mine[k - 1]
        to_box = _to_box(points, a, boxes, node, sides)
        if to_box > limit or (to_box == limit and least[node] > my_rows[k - 1]):
            continue
        if len(sides) == 3:
            squared_distances(points, sides, a, points, start, stop, squares)
        else:
            squares[: stop - start] = 0.0
            for axis in range(len(sides)):
                here, side, along = points[axis, a], sides[axis], points[axis, start:stop]
                for e in range(len(along)):  # one axis after the other: the processor takes several points at once
                    apart = abs(along[e] - here)
                    apart = min(apart, side - apart)
                    squares[e] += apart * apart
        if node == home:
            squares[a - start] = np.inf
        n_hits = 0
        for e in range(stop - start):
            hits[n_hits] = e  # overwritten by the next one unless it counts: no branch
            n_hits += squares[e] <= limit
        for hit in range(n_hits):
            squared, row = squares[hits[hit]], rows[start + hits[hit]]
            if squared == np.inf:
                continue
            if squared > mine[k - 1] or (squared == mine[k - 1] and row > my_rows[k - 1]):
                continue
            at = k - 1
            while at > 0 and (mine[at - 1] > squared or (mine[at - 1] == squared and my_rows[at - 1] > row)):
                mine[at], my_rows[at] = mine[at - 1], my_rows[at - 1]
                at -= 1
            mine[at], my_rows[at] = squared, row


@compiled
def _query(points, rows, bounds, boxes, least, sides, found, distances, start, stop):
    buckets, k = len(bounds) - 1, found.shape[1]
    waiting, how_far = np.empty(DEEPEST, dtype=np.int64), np.empty(DEEPEST)
    squares, hits = np.empty(4 * BUCKET), np.empty(4 * BUCKET, dtype=np.int64)
    near, near_rows = np.empty((4 * BUCKET, k)), np.empty((4 * BUCKET, k), dtype=np.int64)
    for bucket in range(start, stop):  # all of its points together: they have much the same neighbours
        first, last = bounds[bucket], bounds[bucket + 1]
        near[:], near_rows[:] = np.inf, len(rows)
        home = bucket + buckets
        _look(points, rows, bounds, boxes, least, sides, home, home, first, last, near, near_rows, squares, hits)
        ancestor = home
        while ancestor > 1:
            waiting[0], how_far[0], n_waiting = ancestor ^ 1, _between(boxes, home, ancestor ^ 1, sides), 1
            ancestor //= 2
            limit, row = near[: last - first, k - 1].max(), near_rows[: last - first, k - 1].max()
            while n_waiting:
                n_waiting -= 1
                node, squared = waiting[n_waiting], how_far[n_waiting]
                if squared > limit or (squared == limit and least[node] > row):
                    continue
                if node >= buckets:
                    _look(
                        points,
                        rows,
                        bounds,
                        boxes,
                        least,
                        sides,
                        node,
                        home,
                        first,
                        last,
                        near,
                        near_rows,
                        squares,
                        hits,
                    )
                    limit, row = near[: last - first, k - 1].max(), near_rows[: last - first, k - 1].max()
                    continue
                close, far = 2 * node, 2 * node + 1
                to_close, to_far = _between(boxes, home, close, sides), _between(boxes, home, far, sides)
                if to_far < to_close or (to_far == to_close and least[far] < least[close]):
                    close, far, to_close, to_far = far, close, to_far, to_close
                waiting[n_waiting], how_far[n_waiting] = far, to_far
                waiting[n_waiting + 1], how_far[n_waiting + 1] = close, to_close
                n_waiting += 2
        for a in range(first, last):
            for e in range(k):
                found[rows[a], e], distances[rows[a], e] = near_rows[a - first, e], np.sqrt(near[a - first, e])
