"""What is asked again equals what the run's folder holds, row by row and edge by edge."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from gnnlib.errors import InputError
from gnnlib.explain.attention import heads
from gnnlib.explain.replay import FoldReplay, Replay
from gnnlib.training.run import Run

from .conftest import KINDS

pytestmark = pytest.mark.parametrize("kind", list(KINDS))


def test_predictions_are_those_of_the_folder(replays, kind):
    replay = replays[kind]
    stored = replay.run.predictions.set_index("row_id").reindex(replay.data.catalog.row_ids)
    np.testing.assert_allclose(replay.prediction, stored["prediction"], atol=2e-6)


def test_a_receptive_field_gives_what_the_whole_graph_gives(replays, kind):
    replay = replays[kind]
    rows = replay.sample(40, with_edges=False)
    for fold, at, nodes in replay.by_fold(rows):
        np.testing.assert_allclose(fold.fields(nodes).predict()[0], replay.prediction[rows[at]], atol=2e-6)
        assert sum(len(part) for part in fold.fields(nodes).parts()) == len(at)


def test_attention_of_a_field_is_that_of_the_folder_on_the_same_edges(replays, kind):
    replay = replays[kind]
    if kind != "attention":
        fold, node = replay.place(0)
        assert fold.fields(np.array([node])).attention() is None
        return
    stored, ids = replay.run.attention.set_index(["receiver", "source"]), replay.data.catalog.row_ids
    for row in replay.sample(15):
        fold, node = replay.place(row)
        field = fold.fields(np.array([node]))
        source, receiver = field.edge_index[:, field.near]
        assert set(receiver) == {field.centres[0]}
        names = pd.MultiIndex.from_arrays([np.full(len(source), ids[row]), ids[fold.rows[field.node[source]]]])
        expected = stored.loc[names, heads(stored.reset_index())].to_numpy()
        assert len(expected) == len(stored.loc[ids[row]])
        np.testing.assert_allclose(field.attention()[field.near], expected, rtol=3e-5, atol=1e-6)
        np.testing.assert_allclose(field.attention()[field.near].sum(axis=0), 1, atol=1e-5)


def without(fold: FoldReplay, edges: np.ndarray, node: int) -> float:
    """Brute force: the whole fold's graph without some edges, asked again."""
    keep = np.ones(fold.graph.n_edges, dtype=bool)
    keep[edges] = False
    graph = replace(
        fold.graph,
        edge_index=fold.graph.edge_index[:, keep],
        separations=fold.graph.separations[keep],
        lengths=fold.graph.lengths[keep],
        edge_features=fold.graph.edge_features[keep],
    )
    vectors = fold.geometry.vectors[torch.from_numpy(keep)]
    again = replace(
        fold,
        graph=graph,
        edge_attr=fold.scalers.edge_attributes(graph),
        geometry=fold.geometry._replace(vectors=vectors),
    )
    return float(again.prediction[node])


def test_fields_without_some_edges_equal_the_whole_graph_without_them(replays, kind):
    replay, rng = replays[kind], np.random.default_rng(0)
    fold, _, nodes = next(replay.by_fold(replay.sample(6)))
    fields = fold.fields(nodes)
    keep = rng.random((3, len(fields.edge))) < 0.6
    predicted = fields.predict(keep)
    for copy in range(3):
        for number, node in enumerate(nodes):
            gone = fields.edge[(fields.of_edge == number) & ~keep[copy]]
            assert predicted[copy, number] == pytest.approx(without(fold, gone, node), abs=2e-6)


def test_fields_taken_twice_are_the_same_fields(replays, kind):
    fold, _, nodes = next(replays[kind].by_fold(replays[kind].sample(8)))
    fields, order = fold.fields(nodes), np.array([2, 0, 2, 1])
    np.testing.assert_allclose(fields.take(order).predict()[0], fields.predict()[0, order], atol=2e-6)


def test_a_changed_catalog_and_a_lost_checkpoint_are_refused(runs, kind, tmp_path):
    folder = shutil.copytree(runs[kind].folder, tmp_path / "copy")
    table = pd.read_parquet(folder / "predictions.parquet")
    table.assign(truth=table["truth"] + 1).to_parquet(folder / "predictions.parquet")
    with pytest.raises(InputError, match="catalog has changed"):
        Replay.open(Run(folder))
    table.to_parquet(folder / "predictions.parquet")
    (folder / "checkpoint.safetensors").unlink()
    with pytest.raises(InputError, match="no readable checkpoint"):
        Replay.open(Run(folder))
