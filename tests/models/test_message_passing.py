"""Aggregation against a loop over the edges, and the segment reductions against PyG."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.utils import scatter, softmax

from gnnlib.models.message_passing import AGGREGATIONS, MessagePassingLayer
from gnnlib.models.segments import segment_softmax
from gnnlib.models.stack import PairLinear
from tests.models.graphs import N_EDGE_FEATURES, edges_of, random_graph, small_spec

REDUCTION = {"sum": np.sum, "mean": np.mean, "max": np.max, "std": np.std}


def by_loop(messages: np.ndarray, receiver: np.ndarray, n: int, names: tuple[str, ...]) -> np.ndarray:
    rows = []
    for node in range(n):
        mine = messages[receiver == node]
        empty = np.zeros(messages.shape[1])
        rows.append(np.concatenate([REDUCTION[name](mine, axis=0) if len(mine) else empty for name in names]))
    return np.array(rows)


def test_all_aggregations_equal_a_loop_over_the_nodes() -> None:
    names = ("sum", "mean", "max", "std")
    layer = MessagePassingLayer(small_spec("message_passing", aggregation=names), N_EDGE_FEATURES).double()
    x, edge_index, edge_attr = random_graph()
    messages = layer.message(
        torch.randn(len(x), 8, dtype=torch.float64), edges_of(len(x), edge_index, edge_attr)
    ).detach()
    expected = by_loop(messages.numpy(), edge_index[1].numpy(), len(x), names)
    found = layer.aggregate(messages, edge_index[1], len(x)).numpy()
    np.testing.assert_allclose(found, expected, atol=1.1e-3)  # std: its root is kept smooth at 0
    np.testing.assert_allclose(found[:, :24], expected[:, :24], rtol=1e-12, atol=1e-12)


def test_messages_equal_a_layer_on_the_concatenated_pair() -> None:
    """W_r x_i + W_s x_j + W_e e_ij computed per node is W [x_i, x_j, e_ij] computed per edge."""
    x, edge_index, edge_attr = random_graph()
    pair = PairLinear(x.shape[1], N_EDGE_FEATURES, 16).double()
    whole = torch.cat([pair.receiver.weight, pair.source.weight, pair.edge.weight], dim=1)
    concatenated = torch.cat([x[edge_index[1]], x[edge_index[0]], edge_attr], dim=1)
    expected = concatenated @ whole.T + pair.receiver.bias
    torch.testing.assert_close(pair(x, edges_of(len(x), edge_index, edge_attr)), expected)


@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_reductions_equal_pyg_scatter(name: str) -> None:
    values, receiver = torch.randn(200, 3, 5), torch.randint(0, 30, (200,))
    torch.testing.assert_close(AGGREGATIONS[name](values, receiver, 35), scatter(values, receiver, 0, 35, name))


def test_softmax_equals_pyg_and_survives_large_logits() -> None:
    logits, receiver = 500 * torch.randn(200, 3, dtype=torch.float64), torch.randint(0, 30, (200,))
    torch.testing.assert_close(segment_softmax(logits, receiver, 30), softmax(logits, receiver, num_nodes=30))


def test_the_spread_of_equal_messages_is_zero_with_a_finite_gradient() -> None:
    values = torch.ones(6, 2, requires_grad=True)
    spread = AGGREGATIONS["std"](values, torch.tensor([0, 0, 0, 1, 1, 2]), 4)
    spread.sum().backward()
    assert not spread.any() and values.grad.isfinite().all()
