"""The picture of a node's surroundings shows its edges, at their true separations, the most important first."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.graph.graph import Graph
from gnnlib.view import charts, ego
from gnnlib.view.ego import ego_of

from .test_scene import periodic_graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return periodic_graph(300)


@pytest.mark.parametrize("within", [None, 0.7])
def test_it_holds_the_sources_of_every_edge_within_the_length(graph: Graph, within: float | None) -> None:
    source, receiver = graph.edge_index
    short = np.ones(graph.n_edges, dtype=bool) if within is None else graph.lengths <= within
    for at in range(0, 300, 29):
        found = ego_of(graph, at, within)
        expected = source[short & (receiver == at) & (source != at)]
        assert sorted(found.places) == sorted(expected) and found.degree == len(expected)
        assert (np.diff(found.lengths) >= 0).all()
        np.testing.assert_allclose(np.linalg.norm(found.separations, axis=1), found.lengths)
        joined = {frozenset(pair) for pair in zip(source[short], receiver[short], strict=True)}
        pairs = {frozenset(found.places[pair]) for pair in found.links}
        assert pairs == {pair for pair in joined if len(pair) == 2 and pair <= set(found.places)}


def test_of_too_many_the_most_attended_are_kept(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ego, "MOST", 3)
    weights = np.random.default_rng(0).random(graph.n_edges)
    at = int(graph.degrees().argmax())
    found = ego_of(graph, at, weights=weights)
    own = graph.edge_index[1] == at
    assert found.weights is not None and found.degree == own.sum() > 3
    np.testing.assert_array_equal(found.weights, np.sort(weights[own])[::-1][:3])


def test_the_figure_carries_the_neighbours_ids_and_places(graph: Graph) -> None:
    at = int(graph.degrees().argmax())
    found = ego_of(graph, at)
    ids = np.arange(300) + 2**62
    figure = charts.ego_graph(found, ids, "Mpc")
    (points,) = [trace for trace in figure.data if trace.customdata is not None]
    assert list(points.customdata) == [str(row_id) for row_id in ids[found.places]]
    shown = np.column_stack([points.x, points.y])
    axes = ["xyz".index(axis.title.text[1]) for axis in (figure.layout.xaxis, figure.layout.yaxis)]
    np.testing.assert_allclose(shown, found.separations[:, axes])


def test_a_lone_node_has_an_empty_picture(graph: Graph) -> None:
    found = ego_of(graph, 0, within=0.0)
    assert found.degree == 0 and not len(found.links)
    assert charts.ego_graph(found, graph.row_ids).to_json()
