"""What a graph looks like in numbers: for one graph, or for every linking length up to the one it was built with."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from gnnlib.catalog.table import rows_of
from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph
from gnnlib.graph.neighbors import count_edges
from gnnlib.graph.space import check_box, extent, inside_box, mean_separation, periodic_sides, shortest_side

SUGGESTED_DEGREE = 10
SUGGESTED_REACH = 3.0  # mean separations; beyond it a uniform catalog has over a hundred neighbours a node
MOST_EDGES = 6_000_000  # directed edges at the largest suggested linking length ...
MOST_EDGES_A_NODE = 16  # ... or this many a node where that is more
SAMPLE = 2_000
SOME_FILES = 20  # of a folder of catalogs that are asked for a linking length
CORRELATION_BINS = 24
FEW_PAIRS = 40

QUANTILES = {"degree_p16": 0.16, "degree_median": 0.5, "degree_p84": 0.84}
# Mean over all directions u of |u_x|, |u_x u_y| and |u_x u_y u_z| in one, two and three dimensions.
DIRECTIONS = {
    1: (1.0, 1.0),
    2: (1.0, 2 / np.pi, 1 / np.pi),
    3: (1.0, 1 / 2, 2 / (3 * np.pi), 1 / (4 * np.pi)),
}
SHELL = {1: 2.0, 2: 2 * np.pi, 3: 4 * np.pi}  # measure of the unit sphere

Figures = dict[str, int | float | bool]


def summarize(graph: Graph) -> Figures:
    """Figures of one graph, self-loops not counted.

    nodes; edges (directed); mean_degree, max_degree and isolated_fraction by in-degree; degree_p16, degree_median and
    degree_p84: the smallest degree that 16, 50 and 84 % of the nodes do not exceed; components and
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
        **{name: _quantile(degrees, share) for name, share in QUANTILES.items()},
        "isolated_fraction": int(np.sum(degrees == 0)) / nodes,
        "components": int(components),
        "largest_component_fraction": int(np.bincount(label).max(initial=0)) / nodes,
        "truncated": graph.truncated,
    }


def _quantile(degrees: np.ndarray, share: float) -> int:
    return int(np.quantile(degrees, share, method="inverted_cdf")) if len(degrees) else 0


class RadiusSweep:
    """The figures and the edges of a radius graph at every smaller linking length, without building it again.

    graph: a radius graph without a cap; its linking length, `largest`, is the longest one the sweep answers for. Each
    pair is kept once, sorted by length, so the edges of a smaller graph are the first ones: pairs [2, H] int32, lengths
    [H]. After this, figures take microseconds, degrees milliseconds. mean_separation: (volume / N)^(1/3).
    Raises InputError for a graph of another method.
    """

    def __init__(self, graph: Graph) -> None:
        from gnnlib.graph.components import by_length, growth  # numba takes half a second to import

        if graph.spec.method != "radius" or graph.spec.radius is None or graph.spec.cap is not None:
            raise InputError("Figures at every linking length need a radius graph without a cap; choose 'radius'.")
        self.largest = graph.spec.radius
        self.n_nodes = graph.n_nodes
        self.truncated = graph.truncated
        self.pairs, self.lengths = by_length(graph.edge_index, graph.lengths)
        self._growth, self._quantiles = growth(self.pairs, self.n_nodes, tuple(QUANTILES.values()))
        self.mean_separation = mean_separation(graph.positions, graph.box, graph.file_of)
        members = [graph.n_nodes] if graph.file_of is None else np.bincount(graph.file_of).tolist()
        self._all_pairs = sum(n * (n - 1) for n in members) / 2  # of the same file, those that can be joined
        spread = np.ptp(graph.positions, axis=0) > 0
        self._sides = extent(graph.positions, graph.box)[spread]
        self._periodic = np.isfinite(periodic_sides(graph.box))[spread]

    @property
    def percolation_radius(self) -> float | None:
        """The shortest linking length at which half of the nodes or more are one component; None if none up to
        `largest` does."""
        from gnnlib.graph.components import EDGES, LARGEST

        rows = np.flatnonzero(2 * self._growth[:, LARGEST] >= self.n_nodes)
        if not len(rows):
            return None
        edges = self._growth[rows[0], EDGES]
        return float(self.lengths[edges - 1]) if edges else 0.0

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
            **{
                name: np.searchsorted(steps, pairs, side="right") - 1
                for name, steps in zip(QUANTILES, self._quantiles, strict=True)
            },
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

    def correlation_bounds(self) -> np.ndarray:
        """Bounds [R + 1] for `pair_correlation`, equal steps of the logarithm: from the length within which there are
        some dozens of pairs, but not over a third of `largest`, up to `largest`."""
        apart = self.lengths[np.searchsorted(self.lengths, 0.0, side="right") :]
        shortest = float(apart[min(FEW_PAIRS, len(apart)) - 1]) if len(apart) else 0.0
        return np.geomspace(np.clip(shortest, self.largest / 300, self.largest / 3), self.largest, CORRELATION_BINS + 1)

    def pair_correlation(self, bounds: np.ndarray) -> np.ndarray:
        """xi [R] between successive `bounds` [R + 1] of the length: pairs found over pairs expected, minus 1.

        The estimator of Peebles & Hauser (1974), DD/RR - 1, where RR needs no random catalog: the pairs of a uniform
        one in the same cuboid, or in as many as there are files (the periodic box, and along open axes the extent of
        the positions), follow from the mean overlap of the cuboid with itself shifted by r (its set covariance, Stoyan
        & Stoyan 1994). Made for catalogs that fill their box: with a survey's footprint it also measures the footprint.
        NaN beyond the shortest open side.
        """
        bounds = np.asarray(bounds, dtype=np.float64)
        found = np.diff(self._count(bounds))
        dims = len(self._sides)
        if not dims:
            return np.full(len(found), np.nan)
        # Overlap: the mean over directions of prod(side - r |u|) over open axes, times the periodic sides.
        overlap = np.polynomial.Polynomial([float(np.prod(self._sides[self._periodic]))])
        open_sides = self._sides[~self._periodic]
        symmetric = np.polynomial.Polynomial([1.0])
        for side in open_sides:
            symmetric = symmetric * np.polynomial.Polynomial([side, -1.0])
        overlap = overlap * np.polynomial.Polynomial(symmetric.coef * DIRECTIONS[dims][: len(symmetric.coef)])
        shell = np.polynomial.Polynomial([0.0] * (dims - 1) + [SHELL[dims]])
        expected = np.diff((overlap * shell).integ()(bounds)) * self._all_pairs / float(np.prod(self._sides)) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            xi = found / expected - 1
        xi[bounds[1:] > open_sides.min(initial=np.inf)] = np.nan
        return xi

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


def shortened(graph: Graph, radius: float, uncapped: np.ndarray | None = None) -> Graph:
    """The radius graph of a smaller linking length, from the one at hand: its edges up to `radius`.

    That holds under a cap, too, which keeps the nearest: those of them within `radius` are the nearest within it.
    uncapped: degree of each node [N] without the cap at `radius`, from which `notes` tells what the cap removed. Edge
    features stay those of the graph at hand, though the groups that look at a node's neighbours or at the linking
    length ("cosines", "velocity_space", "radial_basis") would be others.
    """
    from gnnlib.graph.methods.radius import removed  # numba takes half a second to import

    if graph.spec.method != "radius" or graph.spec.radius is None or radius > graph.spec.radius:
        raise InputError(f"Edges up to {radius:g} need a radius graph of at least that linking length; build it anew.")
    short = replace(
        graph.with_edges(graph.lengths <= radius),
        spec=graph.spec.model_copy(update={"radius": radius}),
        truncated=False,
        notes=(),
    )
    if uncapped is None or graph.spec.cap is None or not (lost := uncapped - short.degrees()).any():
        return short
    return replace(short, truncated=True, notes=(removed(graph.spec.cap, lost, uncapped),))


class RadiusRange(NamedTuple):
    """Linking lengths to offer for a catalog: the one to begin with and the largest, in the unit of the positions."""

    typical: float
    largest: float


def suggest_radius_range(
    positions: np.ndarray, box: np.ndarray | None, file_of: np.ndarray | None = None
) -> RadiusRange:
    """A linking length that joins half of the nodes to ten others or more, and the largest worth keeping in memory.

    The largest is three mean separations (volume / N)^(1/3), of the box or of the extent of the positions [N, 3], or
    twice the typical one if that is more, but at most half of the shortest periodic side and so small that the graph
    has at most 6 million directed edges, or 16 a node. Two digits. file_of: [N], which of several spaces each is in:
    then the middle one of those that some of them ask for. Raises InputError where `neighbors.find` would.
    """
    box = check_box(box)
    points = inside_box(positions, box)
    n = len(points)
    if file_of is not None:
        files = [rows for rows in rows_of(file_of) if len(rows) > 1] or [np.arange(n)]
        found = [suggest_radius_range(points[rows], box) for rows in files[:: len(files) // SOME_FILES + 1]]
        typical, largest = np.median(found, axis=0).tolist()
        while largest > typical and count_edges(points, largest, box, file_of) > max(MOST_EDGES, MOST_EDGES_A_NODE * n):
            largest *= 0.9
        largest = _two_digits_down(largest)
        return RadiusRange(min(_two_digits_down(typical), largest), largest)
    separation = mean_separation(points, box)
    sample = points[:: n // SAMPLE + 1]
    neighbor = min(SUGGESTED_DEGREE, n - 1) + 1  # the nearest point is the node itself
    reach, _ = cKDTree(points, boxsize=box).query(sample, k=[neighbor])
    typical = float(np.median(reach)) or separation
    largest = min(max(SUGGESTED_REACH * separation, 2 * typical), shortest_side(box) / 2)
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
