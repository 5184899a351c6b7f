"""Who is joined to whom: one function, `find`, in front of a table of methods that all give the exact edge set.

Radius graphs come from the compiled cell list in `cells`, k-nearest-neighbour graphs from scipy's cKDTree
(Maneewongvatana & Mount 1999). No method caps the number of neighbours; periodic boxes use the minimum image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from gnnlib.errors import InputError
from gnnlib.graph.graph import GraphSpec

MAX_EDGES = 60_000_000  # 48 bytes each here, about as many again for the features
INFINITE = 1e150  # squares of larger positions overflow
KNN_CHUNK = 2_000_000  # candidates examined at once
BOX_TOLERANCE = 1e-6  # float32 positions may overshoot the box by this fraction


@dataclass(frozen=True)
class Neighbors:
    """The edges of a graph, sorted by receiver, then by length, then by source; a self-loop comes first.

    edge_index: [2, M] int64, row 0 the source j, row 1 the receiver i. separations: [M, 3] float64, source minus
    receiver, minimum image where periodic. lengths: [M] float64, the norm of the separations.
    """

    edge_index: np.ndarray
    separations: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True)
class Method:
    """A way to find neighbours. label: its name for people. find: (positions in the box, spec, box) -> Neighbors."""

    label: str
    find: Callable[[np.ndarray, GraphSpec, np.ndarray | None], Neighbors]


def find(positions: np.ndarray, spec: GraphSpec, box: np.ndarray | None) -> Neighbors:
    """The exact edges of the graph that `spec` describes.

    positions: [N, 3], any float dtype; computed in float64. box: [3] side lengths in the same unit, or None where space
    is open; used unless spec.periodic is False. In a box, positions may lie anywhere (0..L, -L/2..L/2); they
    are taken modulo the box. A radius graph joins every pair whose length is <= spec.radius, in both directions; a knn
    graph gives each receiver its spec.k nearest others, equal lengths in the order of the rows.
    Raises InputError for a radius, k, box or positions that cannot be used and for more than 60 million edges.
    """
    if spec.periodic and box is None:
        raise InputError("A periodic graph needs a box: give the catalog's box side lengths, or switch periodic off.")
    box = None if spec.periodic is False else check_box(box)
    neighbors = METHODS[spec.method].find(inside_box(positions, box), spec, box)
    return _with_self_loops(neighbors, len(positions)) if spec.self_loops else neighbors


def check_box(box: np.ndarray | None) -> np.ndarray | None:
    """The box as [3] float64, or None. Raises InputError unless it has three positive finite sides."""
    if box is None:
        return None
    box = np.asarray(box, dtype=np.float64)
    if box.shape != (3,) or not np.all(np.isfinite(box) & (box > 0)):
        raise InputError(f"The box must have three positive side lengths, not {box.tolist()}; correct the box.")
    return box


def inside_box(positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """Positions [N, 3] as float64, wrapped into [0, box) where there is one.

    Raises InputError where there are none, where any is missing or infinite, or where they span more than the box.
    """
    positions = np.ascontiguousarray(positions, dtype=np.float64)
    if len(positions) == 0:
        raise InputError("The catalog has no rows, so there is nothing to join; loosen the cut or choose another one.")
    bad = int(np.sum(~(np.abs(positions) < INFINITE).all(axis=1)))  # NaN is not below anything
    if bad:
        raise InputError(
            f"{bad} of {len(positions)} rows have a missing or infinite position; cut these rows before joining."
        )
    if box is None:
        return positions
    extent = np.ptp(positions, axis=0)
    axis = int(np.argmax(extent / box))
    if extent[axis] > box[axis] * (1 + BOX_TOLERANCE):
        raise InputError(
            f"Positions span {extent[axis]:.6g} along axis {'xyz'[axis]}, more than the box side {box[axis]:.6g}; "
            "correct the box or its unit, or switch periodic off."
        )
    wrapped = np.mod(positions, box)
    return np.where(wrapped < box, wrapped, 0.0)  # mod of a tiny negative number rounds up to the side itself


def check_radius(radius: float | None, box: np.ndarray | None) -> float:
    """The linking length if it can be used. Raises InputError otherwise, naming the limit of a periodic box."""
    if radius is None:
        raise InputError("A radius graph needs a linking length; give a radius in the unit of the positions.")
    if not np.isfinite(radius) or radius <= 0:
        raise InputError(f"The linking length must be a positive number, not {radius:g}; give a larger radius.")
    if box is not None and radius > box.min() / 2:
        raise InputError(
            f"The linking length {radius:g} is over half the shortest side of the periodic box, {box.min() / 2:g}, "
            "where a pair could be joined twice; give a smaller radius or switch periodic off."
        )
    return float(radius)


def count_edges(positions: np.ndarray, radius: float, box: np.ndarray | None) -> float:
    """Directed edges of a radius graph, without building it; above 240 million an estimate from a sample.

    positions: [N, 3] as `inside_box` returns them. radius: as `check_radius` returns it. box: [3] or None.
    """
    from gnnlib.graph import cells

    cell_list = cells.sort_into_cells(positions, radius, box)
    estimate = cells.estimate_pairs(cell_list)
    return estimate if estimate > 4 * MAX_EDGES else float(cells.count_pairs(cell_list).sum())


def _radius(positions: np.ndarray, spec: GraphSpec, box: np.ndarray | None) -> Neighbors:
    from gnnlib.graph import cells  # numba takes half a second to import, which no first page should wait for

    radius = check_radius(spec.radius, box)
    cell_list = cells.sort_into_cells(positions, radius, box)
    estimate = cells.estimate_pairs(cell_list)
    if estimate > 4 * MAX_EDGES:  # counting itself would take long
        raise _too_many(f"about {estimate:,.0f}", f"the linking length {radius:g}")
    counts = cells.count_pairs(cell_list)
    if counts.sum() > MAX_EDGES:
        raise _too_many(f"{counts.sum():,}", f"the linking length {radius:g}")
    return Neighbors(*cells.list_pairs(cell_list, counts))


def _too_many(number: str, cause: str) -> InputError:
    return InputError(
        f"With {cause} the graph would have {number} edges, more than the {MAX_EDGES:,} that fit in memory; "
        "make it smaller or cut the catalog."
    )


def _nearest(positions: np.ndarray, spec: GraphSpec, box: np.ndarray | None) -> Neighbors:
    n, k = len(positions), spec.k
    if k is None or k < 1:
        raise InputError(f"A nearest-neighbour graph needs k of at least 1, not {k}; give a larger k.")
    if k >= n:
        raise InputError(
            f"The catalog has {n} rows, too few for {k} neighbours each; choose k below {n} or keep more rows."
        )
    if n * k > MAX_EDGES:
        raise _too_many(f"{n * k:,}", f"k = {k}")
    # Of points at one place only the first k + 1 can ever be among someone's k nearest, ties going by row.
    known = np.flatnonzero(_rank_at_place(positions) <= k)
    tree = cKDTree(positions[known], boxsize=box)
    sources, lengths = np.empty((n, k), dtype=np.int64), np.empty((n, k))
    unsettled, width = np.lexsort(positions.T), k + 2  # neighbouring queries touch the same part of the tree
    while len(unsettled):
        width = min(width, len(known))
        left = []
        for rows in np.array_split(unsettled, len(unsettled) * width // KNN_CHUNK + 1):
            reach, found = tree.query(positions[rows], k=width, workers=-1)
            candidates = known[found]
            distance = np.linalg.norm(minimum_image(positions[candidates] - positions[rows, None], box), axis=-1)
            distance[candidates == rows[:, None]] = np.inf
            order = np.lexsort((candidates, distance))[:, :k]
            sources[rows] = np.take_along_axis(candidates, order, axis=1)
            lengths[rows] = np.take_along_axis(distance, order, axis=1)
            # Where the farthest candidate is as far as the k-th, others as far may be missing: look wider.
            left.append(rows[(reach[:, -1] <= lengths[rows, -1] * (1 + 1e-12)) & (width < len(known))])
        unsettled, width = np.concatenate(left), 2 * width
    receivers = np.repeat(np.arange(n), k)
    separations = minimum_image(positions[sources.ravel()] - positions[receivers], box)
    return Neighbors(np.stack([sources.ravel(), receivers]), separations, lengths.ravel())


def minimum_image(separations: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """Separations [..., 3] between points inside `box`, moved to the nearest image; as they are where it is None."""
    if box is None:
        return separations
    return separations - box * ((separations > box / 2).astype(np.int8) - (separations < -box / 2).astype(np.int8))


def _rank_at_place(positions: np.ndarray) -> np.ndarray:
    """How many earlier rows lie at exactly the same place, [N] int64."""
    order = np.lexsort(positions.T)  # stable: equal places stay in the order of the rows
    ordered = positions[order]
    starts = np.concatenate([[True], np.any(ordered[1:] != ordered[:-1], axis=1)])
    first = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - first
    return rank


def _with_self_loops(neighbors: Neighbors, n_nodes: int) -> Neighbors:
    """One edge i -> i of zero length before the other edges of each receiver."""
    nodes = np.arange(n_nodes)
    before = np.searchsorted(neighbors.edge_index[1], nodes)
    return Neighbors(
        np.insert(neighbors.edge_index, before, nodes, axis=1),
        np.insert(neighbors.separations, before, 0.0, axis=0),
        np.insert(neighbors.lengths, before, 0.0),
    )


METHODS: dict[str, Method] = {
    "radius": Method("Linking length", _radius),
    "knn": Method("Nearest neighbours", _nearest),
}
