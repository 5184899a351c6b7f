"""Where memory is short: the same numbers from parts, foreseen or found out on the way, and a word about it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from gnnlib.models.heads import Where
from gnnlib.models.registry import build_model
from gnnlib.models.spec import ModelSpec
from gnnlib.training.loop import Asked, Batches, Fields, FoldData, fit, predict
from gnnlib.training.room import Room
from gnnlib.training.scaling import Scalers

from .test_loop import CPU, N, masks, planted, run_spec

DEEP = ModelSpec(hidden=16, latent=8, heads=2, depth=2)


@cache
def fold() -> tuple[FoldData, Scalers]:
    graph, x, y = planted()
    train, validation, _ = masks()
    scalers = Scalers.fit(graph, x, y, train)
    return FoldData.build(graph, x, y, train, validation, scalers), scalers


def fitted(model, **fields):
    data, _ = fold()
    notes: list[str] = []
    spec = run_spec(model=DEEP, epochs=2, **fields)
    return fit(model, data, spec, CPU, note=notes.append), notes


def fresh() -> torch.nn.Module:
    return build_model(DEEP, 1, fold()[1].n_edge_features)


def test_steps_in_parts_have_the_gradient_and_losses_of_whole_ones():
    whole, silent = fitted(fresh())
    parts, notes = fitted(fresh(), memory_gb=4e-4)
    assert silent == [] and [note.split(" on ")[0] for note in notes] == ["A training step", "Validation"]
    assert all("does not fit into memory at once and is taken in" in note for note in notes)
    for name, value in whole.state_dict.items():
        torch.testing.assert_close(parts.state_dict[name], value, rtol=1e-3, atol=1e-4)
    for one, other in zip(whole.history, parts.history, strict=True):
        assert other.validation_loss == pytest.approx(one.validation_loss, rel=1e-4)


class Small(torch.nn.Module):
    """A model on a device that holds so many nodes."""

    def __init__(self, model: torch.nn.Module, nodes: int) -> None:
        super().__init__()
        self.model, self.nodes, self.failed = model, nodes, 0
        self.reach, self.head = model.reach, model.head

    def forward(self, x, *rest):
        if len(x) > self.nodes:
            self.failed += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return self.model(x, *rest)


def test_a_step_that_runs_out_of_memory_is_taken_in_parts():
    whole, _ = fitted(fresh())
    small = Small(fresh(), nodes=120)
    parts, notes = fitted(small)
    assert small.failed and [note.split(" on ")[0] for note in notes] == ["A training step", "Validation"]
    for name, value in whole.state_dict.items():
        torch.testing.assert_close(parts.state_dict[f"model.{name}"], value, rtol=1e-3, atol=1e-4)


def narrow(share: float) -> Room:
    """Room for a share of the whole graph."""
    graph, _, _ = planted()
    room = Room(DEEP, 1, 2, CPU, training=False)
    room.bytes = share * room.need(graph.n_nodes, graph.n_edges)
    return room


@pytest.mark.parametrize("name", ["attention", "message_passing", "pointwise"])
def test_predictions_in_parts_are_those_of_the_whole_graph_with_its_attention(name):
    graph, x, _ = planted()
    _, scalers = fold()
    model = build_model(DEEP.model_copy(update={"name": name}), 1, scalers.n_edge_features)
    whole = predict(model, graph, x, scalers, CPU)
    parts = predict(model, graph, x, scalers, CPU, room=narrow(0.5))
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-5)
    np.testing.assert_allclose(parts.sigma, whole.sigma, rtol=1e-5)
    assert len(parts.attention) == len(whole.attention)
    for one, other in zip(parts.attention, whole.attention, strict=True):
        assert torch.equal(one.edge_index, other.edge_index) and torch.equal(one.self_loop, other.self_loop)
        torch.testing.assert_close(one.weights, other.weights, rtol=1e-5, atol=1e-6)


def test_some_rows_are_predicted_alone_in_their_order():
    graph, x, _ = planted()
    _, scalers = fold()
    model, wanted = fresh(), np.arange(N) % 7 == 3
    whole = predict(model, graph, x, scalers, CPU)
    for room in (None, narrow(0.5)):
        some = predict(model, graph, x, scalers, CPU, examples=wanted, room=room)
        np.testing.assert_allclose(some.mean, whole.mean[wanted], rtol=1e-5)


def test_a_prediction_that_runs_out_of_memory_goes_on_in_smaller_parts():
    graph, x, _ = planted()
    _, scalers = fold()
    model, room = fresh(), narrow(0.7)
    small = Small(model, nodes=200)
    parts = predict(small, graph, x, scalers, CPU, room=room)
    assert small.failed
    np.testing.assert_allclose(parts.mean, predict(model, graph, x, scalers, CPU).mean, rtol=1e-5)


@pytest.mark.parametrize("task", ["edge_classification", "graph_regression"])
def test_pairs_and_graphs_are_predicted_in_parts_too(task):
    graph, x, y = planted()
    train = masks()[0]
    scalers = Scalers.fit(graph, x, y, train)
    keep = graph.edge_index[0] < graph.edge_index[1]
    thin = graph.subgraph(np.ones(N, dtype=bool))
    inside = np.arange(N) // 40
    if task == "graph_regression":  # no edge leaves a graph
        within = inside[graph.edge_index[0]] == inside[graph.edge_index[1]]
        thin = graph.with_edges(within)
        asked = Asked(task, graph_of=inside)
    else:
        asked = Asked(task, pairs=graph.with_edges(keep))
    model = build_model(DEEP, 1, scalers.n_edge_features, task=task)
    whole = predict(model, thin, x, scalers, CPU, asked)
    parts = predict(model, thin, x, scalers, CPU, asked, room=narrow(0.2))
    assert len(whole.mean) == (10 if task == "graph_regression" else keep.sum())
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-5, atol=1e-6)
    for one, other in zip(parts.attention, whole.attention, strict=True):
        assert set(map(tuple, one.edge_index.T.tolist())) <= set(map(tuple, other.edge_index.T.tolist()))


def test_a_model_that_looks_at_the_whole_graph_is_never_divided():
    data, scalers = fold()
    fields = Fields(data, None)
    assert not fields.divisible and data.where == Where()
    room = narrow(1e-6)
    (batch,) = fields.pieces(torch.arange(N), room)
    assert len(batch.nodes) == N and len(batch.edges) == data.edge_index.shape[1]
    spec = DEEP.model_copy(update={"global_state": True})
    model = build_model(spec, 1, scalers.n_edge_features)
    graph, x, _ = planted()
    whole = predict(model, graph, x, scalers, CPU)
    np.testing.assert_array_equal(predict(model, graph, x, scalers, CPU, room=room).mean, whole.mean)


def test_pieces_hold_every_example_once_and_fit():
    data, _ = fold()
    batches, room = Batches(data, 2, 64), narrow(0.6)
    rows = torch.arange(N)
    pieces = list(batches.pieces(rows, room))
    assert len(pieces) > 1 and torch.equal(torch.cat([piece.examples for piece in pieces]), rows)
    assert all(room.fits(len(piece.nodes), len(piece.edges)) or len(piece.y) == 1 for piece in pieces)
    room.shrink(100, 1000)
    assert not room.fits(100, 1000)
