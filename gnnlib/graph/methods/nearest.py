"""The k nearest neighbours of each object, in space or in the space of chosen columns, from a compiled k-d tree."""

from __future__ import annotations

import numpy as np

from gnnlib.errors import InputError
from gnnlib.graph import kd_tree
from gnnlib.graph.edges import Neighbors, Points, check_size, join, turn
from gnnlib.graph.graph import GraphSpec
from gnnlib.graph.joining import separate
from gnnlib.graph.space import periodic_sides


def find(points: Points, spec: GraphSpec) -> Neighbors:
    """The spec.k nearest others of each receiver, equal distances in the order of the rows; then as spec.direction
    says.

    With spec.columns distances are those between the standardised columns; lengths and separations stay those in space.
    """
    n, k = len(points.positions), spec.k
    if k is None or k < 1:
        raise InputError(f"A nearest-neighbour graph needs k of at least 1, not {k}; give a larger k.")
    if k >= n:
        raise InputError(
            f"The catalog has {n} rows, too few for {k} neighbours each; choose k below {n} or keep more rows."
        )
    check_size(n * k, f"k = {k}")
    receivers = np.repeat(np.arange(n), k)
    if spec.columns:
        features = standardised(points.features, spec.columns)
        sources, _ = kd_tree.nearest(features, k, np.full(features.shape[1], np.inf))
        return turn(join(points, sources.ravel(), receivers), n, spec.direction)
    edge_index, lengths = np.empty((2, n * k), dtype=np.int64), np.empty(n * k)
    edge_index[1] = receivers
    sides = periodic_sides(points.box)
    kd_tree.nearest(points.positions, k, sides, edge_index[0].reshape(n, k), lengths.reshape(n, k))
    return turn(Neighbors(edge_index, separate(points.positions, points.box, edge_index), lengths), n, spec.direction)


def standardised(features: np.ndarray | None, names: tuple[str, ...]) -> np.ndarray:
    """Columns [N, F] of mean 0 and standard deviation 1. Raises InputError where that cannot be."""
    if features is None or features.shape[1] != len(names):
        raise InputError("A search in feature space needs the values of its columns; build the graph from a catalog.")
    features = np.asarray(features, dtype=np.float64)
    for name, values in zip(names, features.T, strict=True):
        if bad := int(np.sum(~np.isfinite(values))):
            raise InputError(
                f"'{name}' is missing or infinite in {bad} of {len(values)} rows, so they have no nearest neighbours; "
                "cut these rows or choose another column."
            )
        if not np.ptp(values) > 0:
            raise InputError(f"'{name}' is the same in all rows, so it tells none apart; choose another column.")
    return (features - features.mean(axis=0)) / features.std(axis=0)
