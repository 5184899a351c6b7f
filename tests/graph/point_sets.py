"""Points to join, and the plain O(N^2) answers to compare with."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.graph.neighbors import Neighbors, find

BOX = np.array([10.0, 7.0, 13.0])
BOXES = (None, BOX, BOX * [1, 1, 0], BOX * [0, 0, 1])  # 0: that axis is open


def points(kind: str, n: int, seed: int = 0) -> np.ndarray:
    """[n, 3] float64 of some awkward kind, inside BOX except where the name says otherwise."""
    rng = np.random.default_rng(seed)
    if kind == "uniform":
        return rng.uniform(0, BOX, (n, 3))
    if kind == "clustered":
        centres = rng.uniform(0, BOX, (max(n // 50, 1), 3))
        return np.mod(centres[rng.integers(len(centres), size=n)] + rng.normal(0, 0.2, (n, 3)), BOX)
    if kind == "duplicates":
        return rng.uniform(0, BOX, (max(n // 3, 1), 3))[rng.integers(max(n // 3, 1), size=n)]
    if kind == "lattice":  # many equal lengths, points on the faces of cells
        return np.stack([rng.integers(0, side, n) for side in BOX.astype(int)], axis=1).astype(np.float64)
    if kind == "plane":
        return rng.uniform(0, BOX, (n, 3)) * [1, 1, 0]
    if kind == "line":
        return rng.uniform(0, 1, (n, 1)) * BOX * 0.999
    if kind == "far away":
        return rng.uniform(0, BOX, (n, 3)) + np.array([1e6, -2e6, 3e6])
    if kind == "outlier":
        scattered = rng.uniform(0, BOX, (n, 3))
        scattered[: n > 1] += 1e9
        return scattered
    raise ValueError(kind)


INSIDE = ("uniform", "clustered", "duplicates", "lattice", "plane", "line")
ANYWHERE = (*INSIDE, "far away", "outlier")


@st.composite
def point_sets(draw: st.DrawFn, smallest: int = 1, kinds: tuple[str, ...] = ANYWHERE) -> np.ndarray:
    """Points of any kind, or on a grid of eighths, where pairs lie exactly at a radius and on the faces of cells."""
    if draw(st.booleans()):
        n, seed = draw(st.integers(smallest, 60)), draw(st.integers(0, 2**16))
        return points(draw(st.sampled_from(kinds)), n, seed)
    eighths = st.tuples(*[st.integers(0, 8 * int(side)) for side in BOX])
    return np.array(draw(st.lists(eighths, min_size=smallest, max_size=30)), dtype=np.float64) / 8


def lengths_between(positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """Length [N, N] between every two points."""
    return np.sqrt(squares_between(positions, box))


def squares_between(positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """Squared length [N, N] between every two points of any number of dimensions, the shorter way round."""
    squared = np.zeros((len(positions), len(positions)))
    for axis in range(positions.shape[1]):
        wraps = box is not None and box[axis] > 0
        along = np.mod(positions[:, axis], box[axis]) if wraps else positions[:, axis]
        apart = np.abs(along[None] - along[:, None])
        if wraps:
            apart = np.minimum(apart, np.abs(apart - box[axis]))
        squared = squared + apart * apart
    return squared


def every_pair_within(positions: np.ndarray, radius: float, box: np.ndarray | None) -> set[tuple[int, int]]:
    """(source, receiver) of every pair at most `radius` apart."""
    near = lengths_between(positions, box) <= radius
    np.fill_diagonal(near, False)
    return set(zip(*np.nonzero(near), strict=True))


def nearest_of_each(positions: np.ndarray, k: int, box: np.ndarray | None) -> np.ndarray:
    """The k nearest others of each point [N, k], nearest first, equal lengths in the order of the rows."""
    squares = squares_between(positions, box)
    np.fill_diagonal(squares, np.inf)
    return np.argsort(squares, axis=1, kind="stable")[:, :k]


def pairs(edge_index: np.ndarray) -> set[tuple[int, int]]:
    """(source, receiver) of every edge; fails if one is there twice."""
    found = list(zip(*edge_index, strict=True))
    assert len(found) == len(set(found))
    return set(found)


def both_ways(half: set[tuple[int, int]]) -> set[tuple[int, int]]:
    return half | {(j, i) for i, j in half}


def check_contract(found: Neighbors, positions: np.ndarray, box: np.ndarray | None) -> None:
    """What every method promises: order, types, and separations that lead from the receiver to the source."""
    source, receiver = found.edge_index
    assert found.edge_index.dtype == np.int64
    assert found.separations.shape == (len(source), 3)
    assert found.separations.dtype == found.lengths.dtype == np.float64
    assert np.array_equal(np.lexsort((source, found.lengths, receiver)), np.arange(len(source)))
    assert np.allclose(np.linalg.norm(found.separations, axis=1), found.lengths, rtol=1e-12, atol=0)
    apart = positions[source] - positions[receiver] - found.separations
    if box is not None:
        sides = np.where(box > 0, box, np.inf)
        assert np.all(np.abs(found.separations) <= sides / 2 * (1 + 1e-12))
        apart -= box * np.rint(apart / sides)
    assert np.allclose(apart, 0, atol=1e-9)


def graph_of(positions: np.ndarray, spec: GraphSpec, box: np.ndarray | None = None) -> Graph:
    """A graph without features."""
    neighbors = find(positions, spec, box)
    return Graph(
        positions=positions,
        edge_index=neighbors.edge_index,
        separations=neighbors.separations,
        lengths=neighbors.lengths,
        edge_features=np.empty((len(neighbors.lengths), 0), dtype=np.float32),
        edge_feature_names=(),
        row_ids=np.arange(len(positions)),
        spec=spec,
        box=box,
    )
