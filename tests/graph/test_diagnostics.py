"""Figures agree with networkx, and a sweep says at every linking length what a graph built for it would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.errors import InputError
from gnnlib.graph import GraphSpec, RadiusSweep, diagnostics, find, suggest_radius_range, summarize
from gnnlib.graph.diagnostics import shortened

from .point_sets import ANYWHERE, BOX, BOXES, INSIDE, graph_of, lengths_between, point_sets, points

SPECS = [GraphSpec(radius=0.5), GraphSpec(radius=1.2, self_loops=True), GraphSpec(method="knn", k=2)]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("kind", ["uniform", "clustered", "duplicates"])
def test_figures_agree_with_networkx(kind: str, spec: GraphSpec) -> None:
    networkx = pytest.importorskip("networkx")  # comes with torch-geometric
    graph = graph_of(points(kind, 250), spec, BOX)
    reference = networkx.DiGraph()
    reference.add_nodes_from(range(250))
    reference.add_edges_from((j, i) for j, i in graph.edge_index.T.tolist() if i != j)
    degrees = np.array([degree for _, degree in reference.in_degree()])
    components = list(networkx.weakly_connected_components(reference))
    assert summarize(graph) == {
        "nodes": 250,
        "edges": reference.number_of_edges(),
        "mean_degree": reference.number_of_edges() / 250,
        "max_degree": degrees.max(),
        "degree_p16": sorted(degrees)[39],
        "degree_median": sorted(degrees)[124],
        "degree_p84": sorted(degrees)[209],
        "isolated_fraction": np.mean(degrees == 0),
        "components": len(components),
        "largest_component_fraction": max(map(len, components)) / 250,
        "truncated": False,
    }


def test_a_graph_without_edges_is_all_isolated_nodes() -> None:
    figures = summarize(graph_of(points("uniform", 30), GraphSpec(radius=1e-6), BOX))
    assert (figures["edges"], figures["max_degree"], figures["isolated_fraction"]) == (0, 0, 1.0)
    assert (figures["components"], figures["largest_component_fraction"]) == (30, 1 / 30)


@settings(max_examples=100, deadline=None)
@given(point_sets(), st.floats(0.05, 3.5), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6), st.booleans())
def test_a_sweep_says_at_each_radius_what_a_new_graph_would(
    positions: np.ndarray, largest: float, shares: list[float], self_loops: bool
) -> None:
    sweep = RadiusSweep(graph_of(positions, GraphSpec(radius=largest, self_loops=self_loops)))
    lengths_themselves = np.unique(sweep.lengths)[:5].tolist()  # exactly at an edge
    for radius in [share * largest for share in shares if share * largest > 0] + lengths_themselves:
        if radius == 0:
            continue  # coincident points are joined at 0; no graph can be asked for that
        graph = graph_of(positions, GraphSpec(radius=radius))
        assert sweep.at(radius) == summarize(graph)
        assert np.array_equal(sweep.degrees_at(radius), graph.degrees())
        sources, lengths = sweep.edges_at(radius)
        once = graph.edge_index[:, graph.edge_index[0] < graph.edge_index[1]]
        assert set(map(tuple, sources.T.tolist())) == set(map(tuple, once.T.tolist()))
        assert np.all(np.diff(lengths) >= 0)


def test_the_curves_are_the_figures_at_each_radius() -> None:
    sweep = RadiusSweep(graph_of(points("clustered", 800), GraphSpec(radius=1.5), BOX))
    radii = np.linspace(0, 1.5, 40)
    curves = sweep.curves(radii)
    assert np.array_equal(curves["radius"], radii)
    for name in curves.keys() - {"radius"}:
        assert curves[name].tolist() == [sweep.at(radius)[name] for radius in radii]


@pytest.mark.parametrize("kind", ANYWHERE)
def test_edges_come_in_order_of_length_however_the_lengths_are_distributed(kind: str) -> None:
    graph = graph_of(points(kind, 1_200), GraphSpec(radius=2.0, self_loops=True))
    sweep = RadiusSweep(graph)
    source, receiver = graph.edge_index
    once = np.flatnonzero(source < receiver)
    once = once[np.lexsort((source[once], receiver[once], graph.lengths[once]))]
    assert np.array_equal(sweep.pairs, graph.edge_index[:, once])
    assert np.array_equal(sweep.lengths, graph.lengths[once])


def test_a_graph_percolates_where_half_of_it_hangs_together() -> None:
    chain = np.cumsum([0, 1, 1, 2, 1, 3, 1, 1, 1, 5])[:, None] * [1.0, 0, 0]
    sweep = RadiusSweep(graph_of(chain, GraphSpec(radius=4.0)))
    assert sweep.percolation_radius == 2.0
    assert sweep.at(2.0)["largest_component_fraction"] == 0.5 > sweep.at(1.99)["largest_component_fraction"]
    assert RadiusSweep(graph_of(chain, GraphSpec(radius=1.5))).percolation_radius is None


@pytest.mark.parametrize("box", BOXES)
def test_the_mean_separation_is_that_of_the_space_the_points_fill(box: np.ndarray | None) -> None:
    positions = points("uniform", 500)
    sides = np.where(BOX > 0 if box is None else box > 0, BOX, 0) if box is not None else np.ptp(positions, axis=0)
    sides = np.where(sides > 0, sides, np.ptp(positions, axis=0))
    sweep = RadiusSweep(graph_of(positions, GraphSpec(radius=1.0), box))
    assert sweep.mean_separation == pytest.approx((np.prod(sides) / 500) ** (1 / 3))
    flat = RadiusSweep(graph_of(points("plane", 500), GraphSpec(radius=1.0), BOX))
    assert flat.mean_separation == pytest.approx(np.sqrt(70 / 500))


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("periodic", [(1, 1, 1), (0, 0, 0), (1, 0, 1)])
def test_points_scattered_at_random_are_not_correlated(dims: int, periodic: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(1)
    box = BOX * periodic if any(periodic[:dims]) else None
    bounds = np.linspace(0, 3.4, 6)
    estimates = []
    for _ in range(8):
        positions = np.zeros((700, 3))
        positions[:, :dims] = rng.uniform(0, BOX[:dims], (700, dims))
        estimates.append(RadiusSweep(graph_of(positions, GraphSpec(radius=3.4), box)).pair_correlation(bounds))
    mean, error = np.mean(estimates, axis=0), np.std(estimates, axis=0) / np.sqrt(7)
    assert np.all(np.abs(mean) < 5 * error + 3e-3)


def test_the_pair_correlation_counts_pairs_over_those_of_a_periodic_box() -> None:
    positions = points("clustered", 600)
    sweep = RadiusSweep(graph_of(positions, GraphSpec(radius=3.0), BOX))
    lengths = lengths_between(positions, BOX)[np.triu_indices(600, 1)]
    bounds = np.array([0.0, 0.2, 1.0, 3.0])
    expected = 600 * 599 / 2 * np.diff(4 / 3 * np.pi * bounds**3) / np.prod(BOX)
    assert np.allclose(sweep.pair_correlation(bounds), np.histogram(lengths, bounds)[0] / expected - 1)
    assert sweep.pair_correlation(bounds)[0] > 10


def test_beyond_the_shortest_open_side_there_is_no_correlation_to_tell() -> None:
    thin = points("uniform", 400) * [1, 1, 0.05]
    xi = RadiusSweep(graph_of(thin, GraphSpec(radius=2.0))).pair_correlation(np.array([0.0, 0.6, 2.0]))
    assert np.isfinite(xi[0]) and np.isnan(xi[1])
    assert np.isnan(RadiusSweep(graph_of(np.ones((5, 3)), GraphSpec(radius=1.0))).pair_correlation(np.arange(2))).all()


@pytest.mark.parametrize("radius", [-0.1, 1.6, float("nan")])
def test_a_radius_outside_the_sweep_is_refused(radius: float) -> None:
    sweep = RadiusSweep(graph_of(points("uniform", 50), GraphSpec(radius=1.5), BOX))
    with pytest.raises(InputError, match=r"not between 0 and 1\.5"):
        sweep.at(radius)


@pytest.mark.parametrize("spec", [GraphSpec(method="knn", k=3), GraphSpec(radius=1.0, cap=3)])
def test_a_sweep_needs_a_radius_graph(spec: GraphSpec) -> None:
    with pytest.raises(InputError, match="need a radius graph without a cap"):
        RadiusSweep(graph_of(points("uniform", 50), spec))


@pytest.mark.parametrize(
    ("kind", "box"), [(kind, None) for kind in ANYWHERE] + [(k, box) for k in INSIDE for box in BOXES[1:]]
)
def test_suggested_linking_lengths_can_be_used_at_once(kind: str, box: np.ndarray | None) -> None:
    positions = points(kind, 1_500)
    typical, largest = suggest_radius_range(positions, box)
    assert 0 < typical <= largest
    graph = graph_of(positions, GraphSpec(radius=largest), box)
    assert graph.n_edges <= diagnostics.MOST_EDGES
    assert 2 < RadiusSweep(graph).at(typical)["mean_degree"] < 200


def test_the_suggested_range_of_a_uniform_box_is_ten_neighbours_and_three_separations() -> None:
    positions = np.random.default_rng(0).uniform(0, 100, (8_000, 3))  # mean separation 5
    typical, largest = suggest_radius_range(positions, np.full(3, 100.0))
    assert largest == pytest.approx(15, rel=0.05)
    assert typical == pytest.approx(5 * (10 / (4 / 3 * np.pi)) ** (1 / 3), rel=0.05)


def test_a_crowded_catalog_is_offered_less_so_that_it_fits_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics, "MOST_EDGES", 20_000)
    monkeypatch.setattr(diagnostics, "MOST_EDGES_A_NODE", 1)
    positions = points("clustered", 2_000)
    typical, largest = suggest_radius_range(positions, BOX)
    assert typical <= largest
    assert graph_of(positions, GraphSpec(radius=largest), BOX).n_edges <= 20_000


@pytest.mark.parametrize("positions", [np.zeros((1, 3)), np.zeros((2, 3)), np.ones((5_000, 3)), np.eye(3)])
def test_a_catalog_of_few_or_coincident_points_is_offered_some_length(positions: np.ndarray) -> None:
    typical, largest = suggest_radius_range(positions, None)
    assert 0 < typical <= largest < np.inf


@pytest.mark.parametrize("direction", ["directed", "symmetric", "mutual"])
@pytest.mark.parametrize("cap", [None, 3])
@pytest.mark.parametrize("kind", ["clustered", "lattice"])
def test_a_shortened_graph_is_the_one_built_for_that_length(kind: str, cap: int | None, direction: str) -> None:
    positions = points(kind, 400)
    wide = graph_of(positions, GraphSpec(radius=2.0, cap=cap, direction=direction, edge_features=("length",)), BOX)
    sweep = RadiusSweep(graph_of(positions, GraphSpec(radius=2.0), BOX))
    for radius in (0.4, 1.0, 1.7, 2.0):
        short = shortened(wide, radius, sweep.degrees_at(radius))
        built = find(positions, short.spec, BOX)
        assert short.spec == wide.spec.model_copy(update={"radius": radius})
        assert np.array_equal(short.edge_index, built.edge_index) and np.array_equal(short.lengths, built.lengths)
        assert (short.notes, short.truncated) == (built.notes, built.truncated)


def test_only_a_radius_graph_can_be_shortened() -> None:
    for spec in (GraphSpec(method="knn", k=2), GraphSpec(method="groups", radius=1.0), GraphSpec(radius=0.5)):
        with pytest.raises(InputError, match="at least that linking length"):
            shortened(graph_of(points("uniform", 50), spec), 0.8)
