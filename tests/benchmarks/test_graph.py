"""How fast graphs are built, and read at another radius, against scipy's KD-tree in the same run: equality is asserted,
times are printed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from gnnlib.graph import Graph, GraphSpec, RadiusSweep, find, suggest_radius_range, summarize
from gnnlib.graph.neighbors import minimum_image

pytestmark = pytest.mark.benchmark
BOX = np.full(3, 100.0)
REPEATS = 3


def clustered(n: int) -> np.ndarray:
    """A third of the points anywhere, the others in blobs of forty."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, BOX, (n // 40, 3))
    members = centres[rng.integers(len(centres), size=n - n // 3)] + rng.normal(0, 70 * n ** (-1 / 3), (n - n // 3, 3))
    return np.mod(np.concatenate([rng.uniform(0, BOX, (n // 3, 3)), members]), BOX)


def radius_of_degree(positions: np.ndarray, degree: float) -> float:
    """The linking length with this mean degree."""
    tree = cKDTree(positions, boxsize=BOX)
    radii = np.geomspace(0.05, 20, 200)
    pairs = tree.count_neighbors(tree, radii) / len(positions) - 1
    return float(np.interp(degree, pairs, radii))


def kd_tree_edges(positions: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """edge_index [2, M] and lengths [M] as one writes them with scipy; in no order."""
    half = cKDTree(positions, boxsize=BOX).query_pairs(radius, output_type="ndarray")
    edge_index = np.concatenate([half, half[:, ::-1]]).T
    separations = minimum_image(positions[edge_index[0]] - positions[edge_index[1]], BOX)
    return edge_index, np.linalg.norm(separations, axis=1)


def best_of(repeats: int, function: Callable[[], Any]) -> tuple[float, Any]:
    """Shortest wall time in seconds, and what the function returned last."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = function()
        times.append(time.perf_counter() - start)
    return min(times), found


@pytest.mark.parametrize("degree", [10, 50])
@pytest.mark.parametrize("n", [20_000, 100_000])
def test_radius_graph_against_a_kd_tree(n: int, degree: int) -> None:
    positions = clustered(n)
    radius = radius_of_degree(positions, degree)
    find(positions[:100], GraphSpec(radius=radius), BOX)  # compiled, or loaded
    ours, found = best_of(REPEATS, lambda: find(positions, GraphSpec(radius=radius), BOX))
    theirs, (edge_index, _) = best_of(REPEATS, lambda: kd_tree_edges(positions, radius))
    numbers = [np.sort(edges[0] * n + edges[1]) for edges in (found.edge_index, edge_index)]
    assert np.array_equal(*numbers)
    edges = len(found.lengths)
    print(
        f"\n{n:,} points, {edges / n:.1f} neighbours: cells {ours:.3f} s [{ours / edges * 1e9:.0f} ns an edge], "
        f"KD-tree {theirs:.3f} s, ratio {ours / theirs:.2f}"
    )


@pytest.mark.parametrize("n", [20_000, 100_000])
def test_another_radius_against_a_rebuild(n: int) -> None:
    positions = clustered(n)
    typical, largest = suggest_radius_range(positions, BOX)
    wide = graph_of(positions, largest)
    building, sweep = best_of(1, lambda: RadiusSweep(wide))
    reading, figures = best_of(REPEATS, lambda: (sweep.at(typical), sweep.degrees_at(typical)))
    rebuilding, expected = best_of(REPEATS, lambda: summarize(graph_of(positions, typical)))
    assert figures[0] == expected
    print(
        f"\n{n:,} points, {wide.n_edges:,} edges at {largest:g}: sweep {building:.2f} s once, then "
        f"{reading * 1e3:.2f} ms a radius; rebuild {rebuilding * 1e3:.0f} ms, ratio {reading / rebuilding:.4f}"
    )


def graph_of(positions: np.ndarray, radius: float) -> Graph:
    """A graph without features."""
    spec = GraphSpec(radius=radius)
    found = find(positions, spec, BOX)
    return Graph(
        positions=positions,
        edge_index=found.edge_index,
        separations=found.separations,
        lengths=found.lengths,
        edge_features=np.empty((len(found.lengths), 0), dtype=np.float32),
        edge_feature_names=(),
        row_ids=np.arange(len(positions)),
        spec=spec,
        box=BOX,
    )
