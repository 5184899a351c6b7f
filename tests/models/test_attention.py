"""Attention weights against PyG's GATv2Conv, and the promises about the edges they come with."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import GATv2Conv

from gnnlib.models.attention import AttentionLayer
from gnnlib.models.output import Attention
from gnnlib.models.registry import build_model
from gnnlib.models.segments import segment_sum
from tests.models.graphs import N_EDGE_FEATURES, N_FEATURES, edges_of, random_graph, small_spec


def attention_of(edge_index: torch.Tensor, x: torch.Tensor, edge_attr: torch.Tensor) -> tuple[Attention, ...]:
    return (
        build_model(small_spec("attention"), N_FEATURES, N_EDGE_FEATURES).double()(x, edge_index, edge_attr).attention
    )


def test_weights_equal_those_of_pyg_gatv2conv_with_the_same_parameters() -> None:
    spec = small_spec("attention")
    layer = AttentionLayer(spec, N_EDGE_FEATURES).double()
    heads, channels, width = layer.heads, layer.channels, layer.width
    conv = GATv2Conv(
        spec.latent, 2 * channels, heads=heads, edge_dim=N_EDGE_FEATURES, add_self_loops=False, share_weights=False
    ).double()
    with torch.no_grad():  # its heads read their own channels only: block by block in our matrix of logits
        conv.lin_r.weight.copy_(layer.pair.receiver.weight[:width])
        conv.lin_r.bias.copy_(layer.pair.receiver.bias[:width])
        conv.lin_l.weight.copy_(layer.pair.source.weight[:width])
        conv.lin_l.bias.zero_()
        conv.lin_edge.weight.copy_(layer.pair.edge.weight[:width])
        layer.logits.weight[:heads] = torch.block_diag(*conv.att[0])
    _, edge_index, edge_attr = random_graph()
    xi = torch.randn(40, spec.latent, dtype=torch.float64)
    _, (edges, expected) = conv(xi, edge_index, edge_attr, return_attention_weights=True)
    weights = layer(xi, edges_of(40, edge_index, edge_attr)).attention
    assert torch.equal(edges, edge_index)
    torch.testing.assert_close(weights, expected)


@pytest.mark.parametrize("self_loops", [False, True])
def test_weights_come_with_the_given_edges_and_mark_self_loops(self_loops: bool) -> None:
    x, edge_index, edge_attr = random_graph(self_loops=self_loops)
    layers = attention_of(edge_index, x, edge_attr)
    assert len(layers) == 2
    for layer in layers:
        assert torch.equal(layer.edge_index, edge_index)
        assert layer.weights.shape == (edge_index.shape[1], 4)  # two copies of two heads
        assert torch.equal(layer.self_loop, edge_index[0] == edge_index[1])
        assert int(layer.self_loop.sum()) == (35 if self_loops else 0)


def test_weights_are_positive_and_sum_to_one_over_each_receiver() -> None:
    x, edge_index, edge_attr = random_graph(self_loops=True)
    for layer in attention_of(edge_index, x * 30, edge_attr * 30):
        total = segment_sum(layer.weights, edge_index[1], len(x))
        assert (layer.weights >= 0).all()
        torch.testing.assert_close(total[:-5], torch.ones_like(total[:-5]))
        assert not total[-5:].any()


def test_weights_depend_on_both_ends_and_on_the_edge() -> None:
    """GATv2's point: the ranking of neighbours differs from receiver to receiver, here with two receivers of all."""
    x, _, _ = random_graph(n=12)
    edge_index = torch.cartesian_prod(torch.arange(10), torch.tensor([10, 11])).T
    same_edges = torch.ones(20, N_EDGE_FEATURES, dtype=torch.float64)
    weights = attention_of(edge_index, x, same_edges)[0].weights.view(10, 2, -1)
    assert (weights[:, 0] - weights[:, 1]).abs().max() > 1e-3
    nearer = same_edges.clone()
    nearer[0] += 1.0
    assert (attention_of(edge_index, x, nearer)[0].weights[0] - weights[0, 0]).abs().max() > 1e-3


def test_the_layer_tells_two_equal_neighbours_from_one() -> None:
    """A plain softmax average cannot."""
    model = build_model(small_spec("attention"), N_FEATURES, N_EDGE_FEATURES).double()
    x = torch.ones(5, N_FEATURES, dtype=torch.float64)
    edge_index = torch.tensor([[1, 3, 4], [0, 2, 2]])
    mean = model(x, edge_index, torch.ones(3, N_EDGE_FEATURES, dtype=torch.float64)).mean
    assert (mean[0] - mean[2]).abs() > 1e-4


@pytest.mark.parametrize("name", ["message_passing", "pointwise"])
def test_models_without_attention_return_none(name: str) -> None:
    model = build_model(small_spec(name), N_FEATURES, N_EDGE_FEATURES).double()
    assert model(*random_graph()).attention == ()
