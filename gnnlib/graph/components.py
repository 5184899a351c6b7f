"""One pass of union-find over edges sorted by length gives the components of the graph at every linking length.

This is Kruskal (1956) read as single-linkage clustering, or friends-of-friends at all linking lengths; union by size
with path halving (Tarjan & van Leeuwen 1984).
"""

from __future__ import annotations

import numpy as np

from gnnlib.graph.compiled import compiled

EDGES, COMPONENTS, LARGEST, ISOLATED, MAX_DEGREE = range(5)


def growth(pairs: np.ndarray, n_nodes: int) -> np.ndarray:
    """How a graph of `n_nodes` grows as the edges `pairs` [2, H], each once, are added in order: [E, 5] int64.

    Each row holds, from EDGES edges on, the number of COMPONENTS, the nodes of the LARGEST, the ISOLATED nodes and the
    MAX_DEGREE; there is a row wherever one of them changes, the first at no edges.
    """
    rows = np.empty((2 * n_nodes + 1, 5), dtype=np.int64)  # n - 1 edges can join components, n - 1 raise the maximum
    return rows[: _grow(pairs, n_nodes, rows)].copy()


@compiled
def _root(parents, node):
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@compiled
def _grow(pairs, n_nodes, rows):
    parents, sizes, degrees = np.arange(n_nodes), np.ones(n_nodes, dtype=np.int64), np.zeros(n_nodes, dtype=np.int64)
    components, largest, isolated, max_degree = n_nodes, 1, n_nodes, 0
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
            isolated -= degrees[node] == 0
            degrees[node] += 1
            if degrees[node] > max_degree:
                max_degree = degrees[node]
                changed = True
        large, small = _root(parents, pairs[0, edge]), _root(parents, pairs[1, edge])
        if large != small:
            if sizes[large] < sizes[small]:
                large, small = small, large
            parents[small] = large
            sizes[large] += sizes[small]
            components -= 1
            largest = max(largest, sizes[large])
            changed = True
    return n_rows
