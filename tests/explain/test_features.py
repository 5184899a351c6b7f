"""Importance: what the target is made of matters, and ablations equal their brute force."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.explain import features


def test_what_the_target_is_made_of_matters(replays):
    table = features.importance(replays["attention"]).set_index("block")
    assert set(table["kind"]) == {"node features", "edge features", "graph"}
    assert table.loc["log10(mass)", "increase"] > 10 * abs(table.loc["edges: relative velocity", "increase"])
    assert table.loc["no graph", "increase"] > 0
    assert table["increase"].is_monotonic_decreasing


def test_without_a_graph_the_error_is_that_of_no_edges(replays):
    replay = replays["message_passing"]
    table = features.importance(replay).set_index("block")
    squares = [
        (fold.without_edges()[fold.tested] - replay.target[fold.rows[fold.tested]]) ** 2 for fold in replay.folds
    ]
    assert table.loc["no graph", "rmse"] == pytest.approx(np.sqrt(np.concatenate(squares).mean()), abs=1e-6)


def test_radius_ablation_ends_at_the_error_of_the_run(replays):
    replay = replays["attention"]
    table = features.radius_ablation(replay, steps=4)
    residual = replay.run.predictions["residual"]
    assert table["rmse"].iloc[-1] == pytest.approx(np.sqrt((residual**2).mean()), abs=1e-5)
    assert table["edges"].iloc[0] == 0 and table["edges"].iloc[-1] == 1
    assert table["rmse"].iloc[0] > table["rmse"].iloc[-1]


def test_a_model_without_edges_has_node_features_only(replays):
    table = features.importance(replays["pointwise"])
    assert set(table["kind"]) == {"node features"} and len(table) == 2
