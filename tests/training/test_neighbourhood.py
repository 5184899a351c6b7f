"""Hand-made features against a loop over all pairs; what they may not know of; what an empty surrounding looks like."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.catalog.table import CatalogSpec
from gnnlib.graph.graph import GraphSpec
from gnnlib.training.data import prepare
from gnnlib.training.handmade import HandMade
from gnnlib.training.neighbourhood import LENGTHS, NEAREST, Neighbourhood

from .conftest import SIDE, run_spec, write_catalog


@pytest.mark.parametrize("periodic", [True, False])
def test_surroundings_are_those_of_a_loop_over_all_pairs(halos, periodic):
    catalog = CatalogSpec(path=str(halos), box=(SIDE, SIDE, SIDE) if periodic else None, periodic=periodic)
    data = prepare(run_spec(halos, catalog=catalog, features=("log10(mass)", "is_central"), buffer=0.0))
    graph, features = data.graph, data.features
    train = np.ones(graph.n_nodes, dtype=bool)
    told = Neighbourhood.fit(graph, features, train)
    found = told.describe(graph, features)
    apart = graph.positions[:, None] - graph.positions[None]
    if periodic:
        apart -= SIDE * np.round(apart / SIDE)
    distance = np.linalg.norm(apart, axis=-1)
    np.fill_diagonal(distance, np.inf)
    longest, middle = graph.lengths.max(), np.median(graph.lengths)
    for row in range(graph.n_nodes):
        near = np.argsort(distance[row])
        inside = features[distance[row] <= 4.0]
        expected = [np.log10(1 + (distance[row] <= longest * length * (1 + 1e-9)).sum()) for length in LENGTHS]
        empty = features.mean(axis=0)
        expected += list(inside.mean(axis=0) if len(inside) else empty)
        expected += list(inside.max(axis=0) if len(inside) else empty)
        expected += list(inside.sum(axis=0))
        expected += [np.log10(distance[row, near[k - 1]] / middle + 1e-6) for k in NEAREST]
        for k in NEAREST:
            expected += list(features[near[:k]].mean(axis=0)) + (list(features[near[:k]].max(axis=0)) if k > 1 else [])
        np.testing.assert_allclose(found[row], expected, rtol=1e-9, atol=1e-12)


def test_a_graph_smaller_than_the_neighbours_asked_for_is_described_in_finite_numbers(halos):
    data = prepare(run_spec(halos, buffer=0.0))
    few = np.zeros(data.graph.n_nodes, dtype=bool)
    few[:4] = True
    told = Neighbourhood.fit(data.graph, data.features, ~few)
    for graph, features in (
        (data.graph.subgraph(few), data.features[few]),
        (data.graph.subgraph(few & (np.cumsum(few) == 1)), data.features[:1]),
    ):
        found = told.describe(graph, features)
        assert len(found) == graph.n_nodes and np.isfinite(found).all()


def test_neither_targets_nor_rows_of_the_other_part_reach_hand_made_features(tmp_path):
    """Other targets change nothing, other test rows nothing in training; and nothing of training rows reaches test rows
    but the mean of their features, which stands for neighbours that are not there.
    """
    path = write_catalog(tmp_path / "a.csv", n_rows=240)
    data = prepare(run_spec(path))
    fold = data.folds[0]
    learned, tested = HandMade(data, fold)("neighbours")
    rng = np.random.default_rng(0)
    for touched, unchanged in ((fold.test, 0), (fold.train, 1)):
        features = data.features.copy()
        features[touched] = rng.permutation(features[touched])
        changed = HandMade(
            data.__class__(**{**vars(data), "features": features, "target": rng.normal(size=240)}), fold
        )("neighbours")
        np.testing.assert_allclose(changed[unchanged], (learned, tested)[unchanged], rtol=1e-12)
        assert not np.allclose(changed[1 - unchanged], (learned, tested)[1 - unchanged])


def test_feature_space_graphs_and_points_at_one_place_are_described(tmp_path):
    path = write_catalog(tmp_path / "a.csv", n_rows=240, x=1.0, y=1.0, z=1.0)
    data = prepare(run_spec(path, graph=GraphSpec(method="knn", k=3, columns=("log10(mass)",)), split="random"))
    for values in HandMade(data, data.folds[0])("neighbours"):
        assert np.isfinite(values).all()
