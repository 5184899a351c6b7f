"""One pass of union-find over edges sorted by length gives what the graph is like at every linking length.

This is Kruskal (1956) read as single-linkage clustering, or friends-of-friends at all linking lengths; union by size
with path halving (Tarjan & van Leeuwen 1984). Sorting costs most of it: a bucket sort whose buckets follow the
distribution of the lengths.
"""

from __future__ import annotations

import numpy as np

from gnnlib.graph.compiled import compiled, in_threads

EDGES, COMPONENTS, LARGEST, ISOLATED, MAX_DEGREE = range(5)
BINS = 2**16  # of the histogram that stands for the distribution of lengths
BUCKET = 16  # edges in a bucket, more where many lengths are nearly equal


def by_length(edge_index: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each pair of a graph whose edges go both ways once: [2, H] int32, source below receiver, and lengths [H]; by
    length, then receiver, then source.

    edge_index: [2, M] int64, lengths: [M]. Self-loops are left out.
    """
    scale = lengths.max(initial=0.0)
    scale = BINS / scale if scale > 1e-300 else 0.0
    counts = np.zeros(BINS, dtype=np.int64)
    _histogram(edge_index, lengths, scale, counts)
    ranks = np.concatenate([[0], np.cumsum(counts)])
    half = int(ranks[-1])
    starts = np.zeros(half // BUCKET + 2, dtype=np.int64)
    pairs, sorted_lengths = np.empty((2, half), dtype=np.int32), np.empty(half)
    _scatter(edge_index, lengths, scale, ranks, starts, pairs, sorted_lengths)
    in_threads(_sort_buckets, len(starts) - 1, starts, pairs, sorted_lengths)
    return pairs, sorted_lengths


def growth(pairs: np.ndarray, n_nodes: int, shares: tuple[float, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
    """How a graph of `n_nodes` grows as the edges `pairs` [2, H], each once, are added in order.

    First [E, 5] int64, a row wherever one of its figures changes, the first at no edges: from EDGES edges on, the
    number of COMPONENTS, the nodes of the LARGEST, the ISOLATED nodes and the MAX_DEGREE. Then for each of `shares` the
    number of edges [D + 1] at which the degree that this share of the nodes do not exceed becomes 0, 1, .. D.
    """
    rows = np.empty((2 * n_nodes + 1, 5), dtype=np.int64)  # n - 1 edges can join components, n - 1 raise the maximum
    degrees = np.bincount(pairs[0], minlength=n_nodes) + np.bincount(pairs[1], minlength=n_nodes)
    top = int(degrees.max(initial=0))
    needed = np.array([max(int(np.ceil(share * n_nodes - 1e-9)), 1) for share in shares], dtype=np.int64)
    steps = np.zeros((len(shares), top + 2), dtype=np.int64)
    quantiles = np.zeros(len(shares), dtype=np.int64)
    used = _grow(pairs, n_nodes, needed, np.zeros(top + 2, dtype=np.int64), quantiles, steps, rows)
    return rows[:used].copy(), [steps[q, : quantiles[q] + 1].copy() for q in range(len(shares))]


@compiled
def find_root(parents, node):
    """The root of a node's tree, whose branches are shortened on the way."""
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@compiled
def _histogram(edge_index, lengths, scale, counts):
    for e in range(len(lengths)):
        if edge_index[0, e] < edge_index[1, e]:
            counts[min(int(lengths[e] * scale), len(counts) - 1)] += 1


@compiled
def _bucket(length, scale, ranks):
    """The bucket of a length: about its rank, from the histogram, in a way that rises with the length."""
    place = length * scale
    bin_number = min(int(place), len(ranks) - 2)
    inside = min(place - bin_number, 1.0) * (ranks[bin_number + 1] - ranks[bin_number])
    return (ranks[bin_number] + int(inside)) // BUCKET


@compiled
def _scatter(edge_index, lengths, scale, ranks, starts, pairs, sorted_lengths):
    buckets = len(starts) - 1
    for e in range(len(lengths)):
        if edge_index[0, e] < edge_index[1, e]:
            starts[_bucket(lengths[e], scale, ranks) + 1] += 1
    for b in range(buckets):
        starts[b + 1] += starts[b]
    for e in range(len(lengths)):
        if edge_index[0, e] < edge_index[1, e]:
            b = _bucket(lengths[e], scale, ranks)
            at = starts[b]
            starts[b] += 1
            sorted_lengths[at] = lengths[e]
            pairs[0, at], pairs[1, at] = edge_index[0, e], edge_index[1, e]
    for b in range(buckets, 0, -1):
        starts[b] = starts[b - 1]
    starts[0] = 0


@compiled
def _sort_buckets(starts, pairs, lengths, start, stop):
    for b in range(start, stop):
        first, last = starts[b], starts[b + 1]
        gap = 1
        while 3 * gap + 1 < last - first:  # Shell sort, the gaps of Knuth (1973)
            gap = 3 * gap + 1
        while gap >= 1:
            for e in range(first + gap, last):
                length, source, receiver = lengths[e], pairs[0, e], pairs[1, e]
                at = e
                while at >= first + gap:
                    before = at - gap
                    if lengths[before] < length or (
                        lengths[before] == length
                        and (
                            pairs[1, before] < receiver or (pairs[1, before] == receiver and pairs[0, before] < source)
                        )
                    ):
                        break
                    lengths[at], pairs[0, at], pairs[1, at] = lengths[before], pairs[0, before], pairs[1, before]
                    at = before
                lengths[at], pairs[0, at], pairs[1, at] = length, source, receiver
            gap //= 3


@compiled
def _grow(pairs, n_nodes, needed, with_degree, quantiles, steps, rows):
    parents, sizes = np.arange(n_nodes).astype(np.int32), np.ones(n_nodes, dtype=np.int32)
    degrees, covered = np.zeros(n_nodes, dtype=np.int32), np.zeros(len(needed), dtype=np.int64)
    components, largest, isolated, max_degree = n_nodes, 1, n_nodes, 0
    with_degree[0] = n_nodes
    covered[:] = n_nodes  # nodes of at most the degree at which the quantile stands
    n_rows, changed = 0, True
    for edge in range(pairs.shape[1] + 1):
        if changed:  # by the edges before this one
            rows[n_rows, 0], rows[n_rows, 1], rows[n_rows, 2] = edge, components, largest
            rows[n_rows, 3], rows[n_rows, 4] = isolated, max_degree
            n_rows += 1
        if edge == pairs.shape[1]:
            break
        changed = False
        for end in range(2):
            node = pairs[end, edge]
            degree = degrees[node]
            degrees[node] += 1
            with_degree[degree] -= 1
            with_degree[degree + 1] += 1
            isolated -= degree == 0
            if degree == max_degree:
                max_degree = degree + 1
                changed = True
            for q in range(len(needed)):
                if degree == quantiles[q]:
                    covered[q] -= 1
                    if covered[q] < needed[q]:
                        quantiles[q] += 1
                        covered[q] += with_degree[quantiles[q]]
                        steps[q, quantiles[q]] = edge + 1
        large, small = find_root(parents, pairs[0, edge]), find_root(parents, pairs[1, edge])
        if large != small:
            if sizes[large] < sizes[small]:
                large, small = small, large
            parents[small] = large
            sizes[large] += sizes[small]
            components -= 1
            largest = max(largest, sizes[large])
            changed = True
    return n_rows
