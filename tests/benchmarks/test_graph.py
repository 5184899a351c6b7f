"""How fast graphs are built and read at another radius, against peers in the same run: equality is asserted, times,
ratios and memory are printed. Plots go to runs/benchmarks."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from numba import config
from pykdtree.kdtree import KDTree
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors, radius_neighbors_graph

from gnnlib.graph import Graph, GraphSpec, RadiusSweep, build_graph, find, partition, suggest_radius_range, summarize
from gnnlib.graph.space import minimum_image
from tests.graph.test_build import catalog_of

pytestmark = pytest.mark.benchmark
BOX = np.full(3, 100.0)
REPEATS = 5
REPORT = Path("runs/benchmarks")


def clustered(n: int) -> np.ndarray:
    """A third of the points anywhere, the others in blobs of forty."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, BOX, (n // 40, 3))
    members = centres[rng.integers(len(centres), size=n - n // 3)] + rng.normal(0, 70 * n ** (-1 / 3), (n - n // 3, 3))
    return np.mod(np.concatenate([rng.uniform(0, BOX, (n // 3, 3)), members]), BOX)


def radius_of_degree(positions: np.ndarray, degree: float) -> float:
    """The linking length with this mean degree."""
    tree, few = cKDTree(positions, boxsize=BOX), positions[:: len(positions) // 5_000 + 1]
    radii = np.geomspace(0.05, 20, 60)
    counts: list[float] = []
    for radius in radii:
        counts.append(np.mean(tree.query_ball_point(few, radius, return_length=True)) - 1)
        if counts[-1] > 2 * degree:
            break
    return float(np.interp(degree, counts, radii[: len(counts)]))


def kd_tree_edges(positions: np.ndarray, radius: float) -> np.ndarray:
    """edge_index [2, M] as one writes it with scipy, both ways; in no order and without lengths."""
    half = cKDTree(positions, boxsize=BOX).query_pairs(radius, output_type="ndarray")
    return np.concatenate([half, half[:, ::-1]]).T


def kd_tree_graph(positions: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """The same with lengths."""
    edge_index = kd_tree_edges(positions, radius)
    separations = minimum_image(positions[edge_index[0]] - positions[edge_index[1]], BOX)
    return edge_index, np.linalg.norm(separations, axis=1)


def race(repeats: int, **runners: Callable[[], Any]) -> tuple[dict[str, float], dict[str, Any]]:
    """Shortest wall time of each in seconds, taken in turns so that all meet the same machine, and what each returned
    last."""
    times, found = dict.fromkeys(runners, np.inf), {}
    for _ in range(repeats):
        for name, function in runners.items():
            found.pop(name, None)
            start = time.perf_counter()
            found[name] = function()
            times[name] = min(times[name], time.perf_counter() - start)
    return times, found


def numbers(edge_index: np.ndarray, n: int) -> np.ndarray:
    return np.sort(edge_index[1].astype(np.int64) * n + edge_index[0])


@pytest.mark.parametrize("degree", [10, 50])
@pytest.mark.parametrize("n", [100_000, 1_000_000])
def test_radius_graph_against_a_kd_tree(n: int, degree: int) -> None:
    positions = clustered(n)
    radius = radius_of_degree(positions, degree)
    spec = GraphSpec(radius=radius)
    find(positions[:100], spec, BOX)  # compiled, or loaded
    times, found = race(
        REPEATS if n < 1e6 else 3,
        ours=lambda: find(positions, spec, BOX),
        scipy=lambda: kd_tree_edges(positions, radius),
        with_lengths=lambda: kd_tree_graph(positions, radius),
    )
    assert np.array_equal(numbers(found["ours"].edge_index, n), numbers(found["scipy"], n))
    assert np.allclose(np.sort(found["ours"].lengths), np.sort(found["with_lengths"][1]), rtol=1e-12, atol=1e-12)
    edges = len(found["ours"].lengths)
    print(
        f"\n{n:,} points, {edges / n:.1f} neighbours, {config.NUMBA_NUM_THREADS} threads: ours with lengths, "
        f"separations and in order {times['ours']:.3f} s [{times['ours'] / edges * 1e9:.0f} ns an edge], cKDTree pairs "
        f"{times['scipy']:.3f} s, ratio {times['ours'] / times['scipy']:.2f}; pairs with lengths "
        f"{times['with_lengths']:.3f} s, ratio {times['ours'] / times['with_lengths']:.2f}"
    )


@pytest.mark.parametrize("degree", [10, 50])
def test_open_radius_graph_against_scikit_learn(degree: int) -> None:
    n = 100_000
    positions = clustered(n)
    radius = radius_of_degree(positions, degree)
    spec = GraphSpec(radius=radius)
    find(positions[:100], spec, None)
    times, found = race(
        2, ours=lambda: find(positions, spec, None), sklearn=lambda: radius_neighbors_graph(positions, radius).tocoo()
    )
    theirs = found["sklearn"]
    assert np.array_equal(numbers(found["ours"].edge_index, n), numbers(np.stack([theirs.col, theirs.row]), n))
    print(
        f"\n{n:,} points, {degree} neighbours, open: ours {times['ours']:.3f} s, scikit-learn "
        f"{times['sklearn']:.3f} s, ratio {times['ours'] / times['sklearn']:.3f}"
    )


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("n", [100_000, 1_000_000])
def test_nearest_neighbours_against_every_tree(n: int, periodic: bool) -> None:
    positions, k, box = clustered(n), 16, BOX if periodic else None
    spec = GraphSpec(method="knn", k=k)
    find(positions[:1_000], spec, box)
    receivers = np.repeat(np.arange(n), k)

    def graph_of_rows(rows: np.ndarray) -> np.ndarray:
        return np.stack([rows[:, 1:].ravel().astype(np.int64), receivers])  # the nearest is the point itself

    peers: dict[str, Callable[[], Any]] = {
        "scipy": lambda: graph_of_rows(cKDTree(positions, boxsize=box).query(positions, k=k + 1, workers=-1)[1])
    }
    if not periodic:  # the others know no periodic box
        peers["pykdtree"] = lambda: graph_of_rows(KDTree(positions).query(positions, k=k + 1)[1])
    if not periodic and n < 1e6:
        peers["sklearn"] = lambda: graph_of_rows(
            NearestNeighbors(n_neighbors=k + 1, n_jobs=-1).fit(positions).kneighbors(positions)[1]
        )
    times, found = race(REPEATS if n < 1e6 else 2, ours=lambda: find(positions, spec, box), **peers)
    for name in peers:
        assert np.array_equal(found["ours"].edge_index, found[name]), name
    fastest = min(times[name] for name in peers)
    said = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in times.items())
    print(
        f"\n{n:,} points, k = {k}, {'periodic' if periodic else 'open'}: {said}; ratio to the fastest "
        f"{times['ours'] / fastest:.2f} (ours with lengths and separations)"
    )


@pytest.mark.parametrize(("n", "degree"), [(100_000, 20), (1_000_000, 20)])
def test_every_smaller_radius_is_a_prefix(n: int, degree: int) -> None:
    positions = clustered(n)
    largest = radius_of_degree(positions, degree)
    wide = graph_of(positions, largest)
    times, found = race(REPEATS if n < 1e6 else 2, sweep=lambda: RadiusSweep(wide))
    sweep, radii = found["sweep"], np.linspace(0, largest, 121)
    for radius in (0.3 * largest, 0.8 * largest):
        spec = GraphSpec(radius=radius)
        reading, read = race(
            REPEATS,
            prefix=lambda radius=radius: (sweep.edges_at(radius), sweep.at(radius)),
            degrees=lambda radius=radius: sweep.degrees_at(radius),
            curves=lambda: sweep.curves(radii),
            rebuild=lambda spec=spec: find(positions, spec, BOX),
        )
        half = read["rebuild"].edge_index[:, read["rebuild"].edge_index[0] < read["rebuild"].edge_index[1]]
        assert np.array_equal(numbers(read["prefix"][0][0], n), numbers(half, n))
        print(
            f"\n{n:,} points, {wide.n_edges:,} edges at {largest:.3g}, to {radius:.3g}: prefix and figures "
            f"{reading['prefix'] * 1e3:.2f} ms, degrees {reading['degrees'] * 1e3:.1f} ms, 121 radii "
            f"{reading['curves'] * 1e3:.2f} ms, rebuild {reading['rebuild'] * 1e3:.0f} ms"
        )
    figures = summarize(graph_of(positions, 0.8 * largest))
    assert sweep.at(0.8 * largest) == figures
    print(f"all radii at once, sorting included: {times['sweep']:.3f} s")


@pytest.mark.parametrize("n", [20_000, 100_000])
def test_another_radius_against_a_rebuild(n: int) -> None:
    positions = clustered(n)
    typical, largest = suggest_radius_range(positions, BOX)
    sweep = RadiusSweep(graph_of(positions, largest))
    times, found = race(
        REPEATS,
        reading=lambda: (sweep.at(typical), sweep.degrees_at(typical)),
        rebuilding=lambda: summarize(graph_of(positions, typical)),
    )
    assert found["reading"][0] == found["rebuilding"]
    print(
        f"\n{n:,} points: {times['reading'] * 1e3:.2f} ms a radius, rebuild {times['rebuilding'] * 1e3:.0f} ms, ratio "
        f"{times['reading'] / times['rebuilding']:.4f}"
    )


MEMORY = """
import sys
from pathlib import Path
from tests.benchmarks.test_graph import BOX, clustered
from gnnlib.graph import GraphSpec, find

def held(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(what))

positions = clustered(int(sys.argv[1]))
find(positions[:200], GraphSpec(radius=0.5), BOX)
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew; getrusage would give the parent's
before = held("VmRSS")
found = find(positions, GraphSpec(radius=float(sys.argv[2])), BOX)
print(before, held("VmHWM"), found.edge_index.nbytes + found.separations.nbytes + found.lengths.nbytes)
"""


@pytest.mark.parametrize(("n", "degree"), [(100_000, 20), (1_000_000, 20)])
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the peak from Linux's /proc")
def test_peak_memory_of_a_build(n: int, degree: int) -> None:
    radius = radius_of_degree(clustered(n), degree)
    command = [sys.executable, "-c", MEMORY, str(n), repr(radius)]
    before, peak, size = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert size >= 0.8 * n * degree * 48
    print(
        f"\n{n:,} points, {size // 48:,} edges: {(peak - before) / 1e6:.0f} MB more than before at the peak, "
        f"{(peak - before) / size:.2f} times the result; the whole process {peak / 1e9:.2f} GB"
    )


def test_cost_grows_in_proportion_to_the_points() -> None:
    counts, seconds = [10_000, 30_000, 100_000, 300_000, 1_000_000], []
    for n in counts:
        positions = clustered(n)
        spec = GraphSpec(radius=radius_of_degree(positions, 10))
        find(positions[:100], spec, BOX)
        times, found = race(REPEATS if n < 1e6 else 2, ours=lambda p=positions, s=spec: find(p, s, BOX))
        assert len(found["ours"].lengths) == pytest.approx(10 * n, rel=0.1)
        seconds.append(times["ours"] * 10 * n / len(found["ours"].lengths))
    slope, offset = np.polyfit(np.log(counts), np.log(seconds), 1)
    figure = go.Figure(
        [
            go.Scatter(x=counts, y=seconds, mode="markers", name="measured"),
            go.Scatter(x=counts, y=np.exp(offset) * np.array(counts) ** slope, name=f"slope {slope:.2f}"),
        ],
        {
            "title": "Radius graph, clustered, periodic, 10 neighbours",
            "xaxis": {"type": "log", "title": "points"},
            "yaxis": {"type": "log", "title": "seconds"},
        },
    )
    REPORT.mkdir(parents=True, exist_ok=True)
    figure.write_html(REPORT / "graph_scaling.html", include_plotlyjs="cdn")
    said = ", ".join(f"{n:,}: {time:.3f} s" for n, time in zip(counts, seconds, strict=True))
    print(f"\nslope of log time over log points {slope:.2f} ({said}); plot in {REPORT / 'graph_scaling.html'}")


@pytest.mark.parametrize("n_parts", [8, 27])
def test_the_cost_of_parts(n_parts: int) -> None:
    n, reach = 100_000, 2
    positions = clustered(n)
    catalog = catalog_of(positions, box=BOX)
    graph = build_graph(catalog, GraphSpec(radius=radius_of_degree(positions, 20)))
    start, nodes, edges, largest = time.perf_counter(), 0, 0, 0
    for part in partition(graph, n_parts, reach):
        nodes, edges = nodes + part.graph.n_nodes, edges + part.graph.n_edges
        largest = max(largest, part.graph.n_edges)
        assert part.owned.any()
    seconds = time.perf_counter() - start
    print(
        f"\n{n:,} nodes, {graph.n_edges:,} edges in {n_parts} parts, reach {reach}: {seconds:.2f} s; nodes x"
        f"{nodes / n:.2f}, edges x{edges / graph.n_edges:.2f}, the largest {largest / graph.n_edges:.3f} of the edges"
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
