"""The surroundings of one node: whom it listens to, where they stand around it, and how they are joined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gnnlib.graph.graph import Graph

MOST = 150  # neighbours in the picture; more hide each other


@dataclass(frozen=True)
class Ego:
    """Node `at` and the sources of its edges, the most important first.

    places: [K] nodes. separations: [K, 3] neighbour minus node, minimum image. lengths: [K]. weights: [K] of the edges,
    NaN where unknown, or None. links: [L, 2] pairs of neighbours, by their positions in `places`, that an edge joins.
    degree: how many neighbours there are in all; K is at most MOST.
    """

    at: int
    places: np.ndarray
    separations: np.ndarray
    lengths: np.ndarray
    weights: np.ndarray | None
    links: np.ndarray
    degree: int


def ego_of(graph: Graph, at: int, within: float | None = None, weights: np.ndarray | None = None) -> Ego:
    """The surroundings of node `at`. within: only edges up to this length. weights: [M] of the edges; the larger, the
    more important; without them the nearer is."""
    edges = _into(graph, at, within)
    edges = edges[graph.edge_index[0, edges] != at]
    degree = len(edges)
    rank = graph.lengths[edges] if weights is None else -np.nan_to_num(weights[edges], nan=-np.inf)
    edges = edges[np.argsort(rank, kind="stable")[:MOST]]
    places = graph.edge_index[0, edges]
    links = []
    for here, place in enumerate(places):
        sources = graph.edge_index[0, _into(graph, int(place), within)]
        there = np.flatnonzero(np.isin(places, sources))
        links.append(np.sort(np.column_stack([np.full(len(there), here), there]), axis=1))
    joined = np.concatenate(links) if links else np.empty((0, 2), dtype=np.int64)
    joined = np.unique(joined[joined[:, 0] != joined[:, 1]], axis=0)
    known = None if weights is None else weights[edges]
    return Ego(at, places, graph.separations[edges], graph.lengths[edges], known, joined, degree)


def _into(graph: Graph, at: int, within: float | None) -> np.ndarray:
    """Places of the edges that lead to a node: they lie together, because edges are sorted by receiver."""
    first, last = np.searchsorted(graph.edge_index[1], [at, at + 1])
    edges = np.arange(first, last)
    return edges if within is None else edges[graph.lengths[edges] <= within]
