"""The card of an object: its edges, hops, velocities and look-alikes against plain computations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gnnlib.explain import node
from gnnlib.explain.attention import heads

from .test_replay import without


def ids_of(replay) -> dict[int, int]:
    return {row_id: row for row, row_id in enumerate(replay.data.catalog.row_ids)}


@pytest.mark.parametrize("kind", ["attention", "message_passing"])
def test_the_ego_table_holds_every_edge_with_its_effect(replays, kind):
    replay = replays[kind]
    row = replay.sample(3)[1]
    table = node.ego_table(replay, row)
    fold, at = replay.place(row)
    place = ids_of(replay)
    assert (table[table["hop"] == 1]["receiver"] == replay.data.catalog.row_ids[row]).all()
    assert (table["hop"] == 1).sum() == fold.graph.degrees()[at]
    assert table["hop"].max() == replay.run.spec.model.depth
    ends = fold.graph.edge_index
    for _, edge in table.iloc[[0, len(table) // 2, -1]].iterrows():
        source, receiver = (fold.node_of[place[edge[end]]] for end in ("source", "receiver"))
        (number,) = np.flatnonzero((ends[0] == source) & (ends[1] == receiver))
        assert edge["deletion"] == pytest.approx(without(fold, [number], at) - fold.prediction[at], abs=4e-6)
        assert edge["separation"] == fold.graph.lengths[number]


def test_velocities_are_those_of_source_minus_receiver(replays):
    replay = replays["attention"]
    table, place, catalog = node.ego_table(replay, replay.sample(1)[0]), ids_of(replay), replay.data.catalog
    edge = table.iloc[0]
    source, receiver = place[edge["source"]], place[edge["receiver"]]
    apart = catalog.positions()[source] - catalog.positions()[receiver]
    apart -= catalog.box * np.round(apart / catalog.box)
    moving = catalog.velocities()[source] - catalog.velocities()[receiver]
    assert edge["separation"] == pytest.approx(np.linalg.norm(apart))
    assert edge["approach"] == pytest.approx(moving @ apart / np.linalg.norm(apart))
    assert edge["speed"] == pytest.approx(np.linalg.norm(moving))


def test_attention_on_the_card_is_that_of_the_folder(replays):
    replay = replays["attention"]
    row = replay.sample(1)[0]
    table = node.ego_table(replay, row).query("hop == 1").set_index("source")
    stored = replay.run.attention
    stored = stored[stored["receiver"] == replay.data.catalog.row_ids[row]].set_index("source")
    names = heads(stored)
    np.testing.assert_allclose(table.loc[stored.index, names], stored[names], rtol=3e-5, atol=1e-6)


def test_a_large_ego_graph_is_deleted_at_the_first_hop_only(replays, monkeypatch):
    monkeypatch.setattr(node, "EDGES_DELETED", 0)
    table = node.ego_table(replays["attention"], replays["attention"].sample(1)[0])
    assert table.loc[table["hop"] == 1, "deletion"].notna().all()
    assert table.loc[table["hop"] > 1, "deletion"].isna().all()


def test_the_output_is_a_linear_function_of_the_latent_layer(replays):
    fold = replays["attention"].folds[0]
    with_one = np.column_stack([fold.latent.astype(np.float64), np.ones(len(fold.latent))])
    fitted = with_one @ np.linalg.lstsq(with_one, fold.prediction, rcond=None)[0]
    np.testing.assert_allclose(fitted, fold.prediction, atol=1e-4)


def test_similar_objects_are_the_nearest_of_the_same_fold(replays):
    replay = replays["attention"]
    row = replay.sample(1, seed=4)[0]
    table, place = node.similar(replay, row, 5), ids_of(replay)
    rows = np.array([place[row_id] for row_id in table["row"]])
    assert row not in rows and (replay.fold_of[rows] == replay.fold_of[row]).all()
    assert table["distance"].is_monotonic_increasing
    fold, at = replay.place(row)
    tested = np.flatnonzero(fold.tested)
    away = np.sort(np.linalg.norm(fold.latent[tested] - fold.latent[at], axis=1))
    ratio = table["distance"] / away[1:6]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    np.testing.assert_allclose(table["prediction"], replay.prediction[rows])


def test_the_ego_graph_stands_around_its_object_without_a_box(replays):
    replay = replays["attention"]
    for row in replay.sample(12):
        ego = node.ego_graph(replay, row)
        assert ego.rows[0] == row and ego.hops[0] == 0 and pd.Series(ego.hops).is_monotonic_increasing
        source, receiver = ego.graph.edge_index
        apart = ego.graph.positions[source] - ego.graph.positions[receiver]
        np.testing.assert_allclose(apart, ego.graph.separations, atol=1e-9)
        table = node.ego_table(replay, row)
        pairs = set(zip(ego.graph.row_ids[source], ego.graph.row_ids[receiver], strict=True))
        assert pairs == set(zip(table["source"], table["receiver"], strict=True))


def test_of_a_model_that_looks_everywhere_the_edges_into_the_object_are_listed(replays):
    replay = replays["message_passing"]
    whole = replay.folds[0].model.reach
    row = int(replay.sample(1)[0])
    expected = node.ego_table(replay, row)
    fold, _ = replay.place(row)
    fold.model.reach = None
    try:
        table, ego = node.ego_table(replay, row), node.ego_graph(replay, row)
    finally:
        fold.model.reach = whole
    assert table["source"].tolist() == expected["source"].tolist()
    np.testing.assert_allclose(table["deletion"], expected["deletion"], atol=4e-6)
    assert ego.graph.n_edges == len(table) and set(ego.hops) == {0, 1}
