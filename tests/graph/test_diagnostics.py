"""Figures agree with networkx, and a sweep says at every linking length what a graph built for it would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.errors import InputError
from gnnlib.graph import GraphSpec, RadiusSweep, degree_histogram, diagnostics, suggest_radius_range, summarize

from .point_sets import ANYWHERE, BOX, INSIDE, graph_of, point_sets, points

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
        "isolated_fraction": np.mean(degrees == 0),
        "components": len(components),
        "largest_component_fraction": max(map(len, components)) / 250,
        "truncated": False,
    }
    assert degree_histogram(graph.degrees()).tolist() == [np.sum(degrees == d) for d in range(degrees.max() + 1)]


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


@pytest.mark.parametrize("radius", [-0.1, 1.6, float("nan")])
def test_a_radius_outside_the_sweep_is_refused(radius: float) -> None:
    sweep = RadiusSweep(graph_of(points("uniform", 50), GraphSpec(radius=1.5), BOX))
    with pytest.raises(InputError, match=r"not between 0 and 1\.5"):
        sweep.at(radius)


def test_a_sweep_needs_a_radius_graph() -> None:
    with pytest.raises(InputError, match="need a radius graph"):
        RadiusSweep(graph_of(points("uniform", 50), GraphSpec(method="knn", k=3)))


@pytest.mark.parametrize(("kind", "box"), [(kind, None) for kind in ANYWHERE] + [(kind, BOX) for kind in INSIDE])
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
