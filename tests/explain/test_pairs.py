"""Curves of pairs are those of scikit-learn, also thinned, and pairs find their edges whichever way these point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_curve

from gnnlib.errors import InputError
from gnnlib.explain import pairs
from gnnlib.graph.build import build_graph
from gnnlib.graph.graph import GraphSpec
from gnnlib.training.data import prepare
from tests.training.conftest import run_spec, write_catalog


def scored(seed: int, n: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs whose probabilities repeat."""
    rng = np.random.default_rng(seed)
    truth = np.append([0, 1], rng.integers(0, 2, n))
    return truth, np.round(np.clip(0.5 * truth + rng.uniform(0, 0.7, n + 2), 0, 1) * levels) / levels


@given(seed=st.integers(0, 200), n=st.integers(0, 300), levels=st.integers(1, 1000))
def test_the_curves_are_those_of_sklearn(seed, n, levels):
    truth, probability = scored(seed, n, levels)
    precision, recall, thresholds = precision_recall_curve(truth, probability)
    curve = pairs.precision_recall(truth, probability)
    np.testing.assert_allclose(curve["recall"], recall[::-1])
    np.testing.assert_allclose(curve["precision"], precision[::-1])
    np.testing.assert_allclose(curve["threshold"][1:], thresholds[::-1])
    alarms, found, _ = roc_curve(truth, probability, drop_intermediate=False)
    curve = pairs.roc(truth, probability)
    np.testing.assert_allclose(curve["false_alarms"], alarms)
    np.testing.assert_allclose(curve["found"], found)


def test_a_thinned_curve_keeps_its_ends_and_its_shape():
    curve = pairs.roc(*scored(1, 60_000, 10**9))
    few = pairs.thinned(curve, 500)
    assert len(few) <= 502
    assert few.iloc[0].equals(curve.iloc[0]) and few.iloc[-1].equals(curve.iloc[-1])
    areas = [np.trapezoid(table["found"], table["false_alarms"]) for table in (few, curve)]
    assert areas[0] == pytest.approx(areas[1], abs=1e-3)


def test_pairs_of_one_kind_have_no_curve():
    with pytest.raises(InputError, match="one kind"):
        pairs.roc(np.ones(4), np.linspace(0, 1, 4))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = write_catalog(tmp_path_factory.mktemp("pairs") / "halos.csv")
    return prepare(run_spec(path, task="edge_classification", label="is_central", baselines=()))


def test_every_pair_finds_its_edges_whichever_way_they_point(data):
    graph = data.graph
    source, receiver = graph.row_ids[data.pairs.edge_index]
    swapped = np.arange(len(source)) % 2 == 0
    source, receiver = np.where(swapped, receiver, source), np.where(swapped, source, receiver)
    pair_of = pairs.edges_of_pairs(graph, source, receiver)
    ends = np.sort(graph.row_ids[graph.edge_index], axis=0)
    known = pair_of >= 0
    np.testing.assert_array_equal(ends[:, known], np.sort([source, receiver], axis=0)[:, pair_of[known]])
    np.testing.assert_allclose(pairs.separations(graph, pair_of, len(source)), data.pairs.lengths)
    few = pairs.edges_of_pairs(graph, source[:5], receiver[:5])
    assert set(few) == {-1, 0, 1, 2, 3, 4}


def test_a_pair_that_is_no_edge_is_told_of(data):
    with pytest.raises(InputError, match="catalog has changed"):
        pairs.edges_of_pairs(data.graph, np.array([10**9]), data.graph.row_ids[:1])
    short = build_graph(data.catalog, GraphSpec(radius=0.1))
    with pytest.raises(InputError, match="catalog has changed"):
        pairs.edges_of_pairs(short, *data.graph.row_ids[data.pairs.edge_index])
