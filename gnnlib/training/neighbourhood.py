"""Hand-made features of a node's surroundings, so that a baseline without messages sees what a graph model sees.

How many neighbours within some lengths, how far the n-th nearest is, and what its neighbours are like: the mean,
largest and summed feature over the edges of the graph, the mean and largest over the k nearest. What Wu, Jespersen &
Wechsler (2024, arXiv 2402.07995) compare their graph networks with is the first of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from gnnlib.catalog.table import rows_of
from gnnlib.graph.graph import Graph
from gnnlib.graph.space import inside_box

NEAREST = (1, 3, 5, 10)  # which neighbours' distance is a feature, and over how many the others are described
LENGTHS = (0.25, 0.5, 1.0)  # within which neighbours are counted, in units of the longest training edge
_TINY = 1e-6  # shortest distance in a logarithm, in units of the typical one


@dataclass(frozen=True)
class Neighbourhood:
    """What has to be the same for training and test rows, taken from a fold's training graph.

    lengths: [L] within which neighbours are counted. typical: a distance that others are divided by. filled: [F] the
    features that stand for those of a neighbour where there is none.
    """

    lengths: np.ndarray
    typical: float
    filled: np.ndarray

    @classmethod
    def fit(cls, graph: Graph, features: np.ndarray, train: np.ndarray) -> Neighbourhood:
        """graph: n nodes, none of them a test row; features: [n, F]; train: [n] bool. No target is looked at."""
        lengths = graph.lengths[~graph.self_loop]
        longest, typical = (float(lengths.max()), float(np.median(lengths))) if len(lengths) else (0.0, 1.0)
        return cls(longest * np.array(LENGTHS), typical or 1.0, features[train].mean(axis=0))

    def describe(self, graph: Graph, features: np.ndarray) -> np.ndarray:
        """[n, F'] for every node of `graph` (n nodes), from its edges and the positions and features [n, F] in it."""
        return np.column_stack([*self._along_edges(graph, features), *self._nearest(graph, features)])

    def _along_edges(self, graph: Graph, features: np.ndarray) -> list[np.ndarray]:
        kept = ~graph.self_loop
        (source, receiver), lengths, n = graph.edge_index[:, kept], graph.lengths[kept], graph.n_nodes
        within = [np.bincount(receiver[lengths <= length * (1 + 1e-9)], minlength=n) for length in self.lengths]
        total, largest = np.zeros((n, features.shape[1])), np.tile(self.filled, (n, 1))
        mean = largest.copy()
        if len(receiver):
            starts = np.flatnonzero(np.diff(receiver, prepend=-1))  # edges are sorted by receiver
            reached, of_sources = receiver[starts], features[source]
            total[reached] = np.add.reduceat(of_sources, starts)
            largest[reached] = np.maximum.reduceat(of_sources, starts)
            mean[reached] = total[reached] / np.diff(starts, append=len(receiver))[:, None]
        return [np.log10(1 + np.column_stack(within)), mean, largest, total]

    def _nearest(self, graph: Graph, features: np.ndarray) -> list[np.ndarray]:
        distance, place = _others(inside_box(graph.positions, graph.box), graph.box, graph.file_of)
        missing = ~np.isfinite(distance)
        distance[missing] = np.where(missing, 0, distance).max(initial=self.typical)  # as far as any that is there
        near = np.vstack([features, self.filled])[place]  # [n, k, F]; scipy numbers what is missing n
        parts = [np.log10(distance[:, k - 1] / self.typical + _TINY) for k in NEAREST]
        for k in NEAREST:
            parts += [near[:, :k].mean(axis=1)] + ([near[:, :k].max(axis=1)] if k > 1 else [])
        return parts


def _others(points: np.ndarray, box: np.ndarray | None, file_of: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Distances [n, 10] to the nearest others of each point, of the same file where `file_of` [n] tells files apart,
    and which these are [n, 10]: infinite and n where there are fewer."""
    n, most = len(points), NEAREST[-1]
    if file_of is not None:
        distance, place = np.full((n, most), np.inf), np.full((n, most), n)
        for rows in rows_of(file_of):
            distance[rows], own = _others(points[rows], box, None)
            place[rows] = np.append(rows, n)[own]
        return distance, place
    distance, place = cKDTree(points, boxsize=box).query(points, k=most + 1, workers=-1)
    other = place != np.arange(n)[:, None]
    other[other.all(axis=1), -1] = False  # one of so many at the same place that it did not find itself
    return distance[other].reshape(n, most), place[other].reshape(n, most)
