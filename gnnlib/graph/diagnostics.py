"""What a graph looks like in numbers: for one graph, or for every linking length up to the one it was built with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph
from gnnlib.graph.neighbors import check_box, count_edges, inside_box

SUGGESTED_DEGREE = 10
SUGGESTED_REACH = 3.0  # mean separations; beyond it a uniform catalog has over a hundred neighbours a node
MOST_EDGES = 6_000_000  # directed edges at the largest suggested linking length ...
MOST_EDGES_A_NODE = 16  # ... or this many a node where that is more
SAMPLE = 2_000

Figures = dict[str, int | float | bool]


def summarize(graph: Graph) -> Figures:
    """Figures of one graph, self-loops not counted.

    nodes; edges (directed); mean_degree, max_degree and isolated_fraction by in-degree; components and
    largest_component_fraction (of the nodes) with edges taken both ways; truncated: whether a cap removed edges.
    """
    degrees = graph.degrees()
    source, receiver = graph.edge_index
    links = coo_matrix((np.ones(len(source), dtype=bool), (source, receiver)), shape=(graph.n_nodes,) * 2)
    components, label = connected_components(links, directed=False)
    nodes, edges = max(graph.n_nodes, 1), int(degrees.sum())
    return {
        "nodes": graph.n_nodes,
        "edges": edges,
        "mean_degree": edges / nodes,
        "max_degree": int(degrees.max(initial=0)),
        "isolated_fraction": int(np.sum(degrees == 0)) / nodes,
        "components": int(components),
        "largest_component_fraction": int(np.bincount(label).max(initial=0)) / nodes,
        "truncated": graph.truncated,
    }


def degree_histogram(degrees: np.ndarray) -> np.ndarray:
    """Number of nodes of degree 0, 1, 2, ... up to the largest, int64, from the degree of each node [N]."""
    return np.bincount(degrees)


class RadiusSweep:
    """The figures and the edges of a radius graph at every smaller linking length, without building it again.

    graph: a radius graph; its linking length is the largest one the sweep answers for. Each pair is kept once, sorted
    by length, so the edges of a smaller graph are the first ones. After this, figures take microseconds, degrees
    milliseconds. Raises InputError for a graph of another method.
    """

    def __init__(self, graph: Graph) -> None:
        from gnnlib.graph.components import growth  # numba takes half a second to import

        if graph.spec.method != "radius" or graph.spec.radius is None:
            raise InputError("Figures at every linking length need a radius graph; choose the method 'radius'.")
        self.largest = graph.spec.radius
        self.n_nodes = graph.n_nodes
        self.truncated = graph.truncated
        once = np.flatnonzero(graph.edge_index[0] < graph.edge_index[1])
        once = once[np.argsort(graph.lengths[once], kind="stable")]
        self.lengths = graph.lengths[once]
        self.pairs = graph.edge_index[:, once].astype(np.int32, order="C")
        self._growth = growth(self.pairs, self.n_nodes)

    def at(self, radius: float) -> Figures:
        """What `summarize` says of the graph with this linking length, 0 <= radius <= largest (else InputError)."""
        curves = self.curves(np.array([radius]))
        figures: Figures = {name: values[0].item() for name, values in curves.items() if name != "radius"}
        return {"nodes": self.n_nodes, **figures, "truncated": self.truncated}

    def curves(self, radii: np.ndarray) -> dict[str, np.ndarray]:
        """The figures of `at` at each of `radii` [R], and "radius": name -> [R]."""
        from gnnlib.graph.components import COMPONENTS, EDGES, ISOLATED, LARGEST, MAX_DEGREE

        pairs = self._count(radii)
        state = self._growth[np.searchsorted(self._growth[:, EDGES], pairs, side="right") - 1]
        nodes = max(self.n_nodes, 1)
        return {
            "radius": np.asarray(radii, dtype=np.float64),
            "edges": 2 * pairs,
            "mean_degree": 2 * pairs / nodes,
            "max_degree": state[:, MAX_DEGREE],
            "isolated_fraction": state[:, ISOLATED] / nodes,
            "components": state[:, COMPONENTS],
            "largest_component_fraction": state[:, LARGEST] / nodes,
        }

    def edges_at(self, radius: float) -> tuple[np.ndarray, np.ndarray]:
        """Each joined pair once, [2, H] int32, and the lengths [H] ascending; views, so do not write to them."""
        (count,) = self._count(np.array([radius]))
        return self.pairs[:, :count], self.lengths[:count]

    def degrees_at(self, radius: float) -> np.ndarray:
        """Degree of each node [N] int64."""
        first, second = self.edges_at(radius)[0]
        return np.bincount(first, minlength=self.n_nodes) + np.bincount(second, minlength=self.n_nodes)

    def _count(self, radii: np.ndarray) -> np.ndarray:
        """Pairs within each radius."""
        radii = np.asarray(radii, dtype=np.float64)
        outside = ~((radii >= 0) & (radii <= self.largest))  # so that NaN counts as outside
        if outside.any():
            raise InputError(
                f"The linking length {radii[outside][0]:g} is not between 0 and {self.largest:g}, for which the graph "
                "was built; choose one within or build the graph again."
            )
        return np.searchsorted(self.lengths, radii, side="right")


class RadiusRange(NamedTuple):
    """Linking lengths to offer for a catalog: the one to begin with and the largest, in the unit of the positions."""

    typical: float
    largest: float


def suggest_radius_range(positions: np.ndarray, box: np.ndarray | None) -> RadiusRange:
    """A linking length that joins half of the nodes to ten others or more, and the largest worth keeping in memory.

    The largest is three mean separations (volume / N)^(1/3), of the box or of the extent of the positions [N, 3], or
    twice the typical one if that is more, but at most half of the shortest side of a periodic box and so small that
    the graph has at most 6 million directed edges, or 16 a node. Two digits.
    Raises InputError where `neighbors.find` would.
    """
    box = check_box(box)
    points = inside_box(positions, box)
    n = len(points)
    sides = np.ptp(points, axis=0) if box is None else box
    sides = sides[sides > 0]  # a plane or a line has its own mean separation
    separation = float(np.prod(sides ** (1 / len(sides))) * n ** (-1 / len(sides))) if len(sides) else 1.0
    sample = points[:: n // SAMPLE + 1]
    neighbor = min(SUGGESTED_DEGREE, n - 1) + 1  # the nearest point is the node itself
    reach, _ = cKDTree(points, boxsize=box).query(sample, k=[neighbor])
    typical = float(np.median(reach)) or separation
    largest = max(SUGGESTED_REACH * separation, 2 * typical)
    if box is not None:
        largest = min(largest, box.min() / 2)
    most = max(MOST_EDGES, MOST_EDGES_A_NODE * n)
    for _ in range(12):  # ends earlier unless more points than that lie at one place
        edges = count_edges(points, largest, box)
        if edges <= most:
            break
        largest *= 0.95 * max((most / edges) ** (1 / 3), 0.3)
    largest = _two_digits_down(largest)
    return RadiusRange(min(_two_digits_down(typical), largest), largest)


def _two_digits_down(value: float) -> float:
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(f"{np.floor(value / unit * (1 + 1e-9)) * unit:.2g}")
