"""Message passing against the plain form in PyG and against loops over the edges; segment reductions against PyG."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.utils import scatter, softmax

from gnnlib.models import messages
from gnnlib.models.message_passing import MessagePassingLayer, aggregate
from gnnlib.models.registry import build_model
from gnnlib.models.segments import segment_max, segment_mean, segment_softmax, segment_sum
from gnnlib.models.stack import PairLinear
from tests.models.graphs import N_EDGE_FEATURES, N_FEATURES, edges_of, random_graph, small_spec
from tests.models.plain import PlainModel, own_gradients

NAMES = ("sum", "mean", "max", "std")
REDUCTION = {"sum": np.sum, "mean": np.mean, "max": np.max, "std": np.std}


def by_loop(messages: np.ndarray, receiver: np.ndarray, n: int) -> np.ndarray:
    rows = []
    for node in range(n):
        mine = messages[receiver == node]
        empty = np.zeros(messages.shape[1])
        rows.append(np.concatenate([REDUCTION[name](mine, axis=0) if len(mine) else empty for name in NAMES]))
    return np.array(rows)


@pytest.fixture(params=[1, 400, 1 << 20], ids=["a receiver", "some", "all"])
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of one receiver, of some and of the whole graph."""
    monkeypatch.setitem(messages._WORKING_SET, "cpu", request.param * 8 * 16)


def test_all_aggregations_equal_a_loop_over_the_nodes(piece: None) -> None:
    layers = [MessagePassingLayer(small_spec("message_passing", aggregation=NAMES), 4).double() for _ in range(2)]
    x, edge_index, edge_attr = random_graph()
    xi = torch.randn(2, len(x), 8, dtype=torch.float64)
    edges = edges_of(len(x), edge_index, edge_attr)
    found = aggregate(layers, list(xi), edges).detach().numpy()
    for layer, state, mine in zip(layers, xi, found, strict=True):
        expected = by_loop(layer.phi(layer.pair(state, edges)).detach().numpy(), edge_index[1].numpy(), len(x))
        np.testing.assert_allclose(mine, expected, atol=1.1e-3)  # std: its root is kept smooth at 0
        np.testing.assert_allclose(mine[:, :24], expected[:, :24], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "fields",
    [
        {"unshared": 1, "depth": 4},
        {"unshared": 3, "depth": 1, "self_path": True},
        {"unshared": 2, "depth": 2, "aggregation": ("max", "mean")},
        {"unshared": 2, "aggregation": ("mean",), "n_edge_features": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outputs_and_gradients_equal_the_plain_form(fields: dict, dtype: torch.dtype, piece: None) -> None:
    """To 1e-5 of the largest in single precision. PyG's std has another floor under its root, so it is not here."""
    given = dict(fields)
    width = given.pop("n_edge_features", N_EDGE_FEATURES)
    model = build_model(small_spec("message_passing", **given), N_FEATURES, width).to(dtype)
    plain = PlainModel(model)
    x, edge_index, edge_attr = random_graph(dtype=dtype)
    shuffled = torch.randperm(len(edge_attr), generator=torch.Generator().manual_seed(0))
    edge_index, edge_attr = edge_index[:, shuffled], edge_attr[shuffled, :width]
    inputs = [(x.clone().requires_grad_(), edge_attr.clone().requires_grad_()) for _ in range(2)]
    tilt = torch.linspace(-1, 1, len(x), dtype=dtype).unsqueeze(1)
    outputs = [
        model(inputs[0][0], edge_index, inputs[0][1]).mean,
        plain(inputs[1][0], edge_index, inputs[1][1]),
    ]
    found = []
    for output, phi in zip(outputs, (lambda: own_gradients(model), plain.gradients), strict=True):
        model.zero_grad()
        (output * tilt).sum().backward()
        found.append(phi())
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    pairs = [
        outputs,
        *zip(*found, strict=True),
        *zip(*([v.grad for v in two if v.numel()] for two in inputs), strict=True),
    ]
    for one, other in pairs:
        assert (one - other).abs().max() <= tolerance * other.abs().max()


def test_gradients_equal_differences() -> None:
    """The gradient that is written out, with every aggregation, with ties and a receiver without edges."""
    generator = torch.Generator().manual_seed(0)
    edges = edges_of(5, torch.tensor([[1, 2, 3, 0, 3], [0, 0, 0, 1, 3]]), torch.zeros(5, 2, dtype=torch.float64))
    shapes = [(5, 6), (5, 6), (5, 2), (6, 2), (2, 2, 3), (2, 2)]
    inputs = [torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(lambda *given: messages.aggregated_messages(*given, edges, NAMES), inputs)


def test_equal_messages_share_the_gradient_of_their_maximum() -> None:
    edges = edges_of(2, torch.tensor([[1, 1], [0, 0]]), torch.zeros(2, 1))
    attr = torch.zeros(2, 1, requires_grad=True)
    ones = torch.ones(2, 1)
    (top,) = messages.aggregated_messages(
        ones, ones, attr, ones[:1], torch.ones(1, 1, 1), torch.zeros(1, 1), edges, ("max",)
    )
    top.sum().backward()
    assert attr.grad[0] == attr.grad[1] > 0


def test_messages_equal_a_layer_on_the_concatenated_pair() -> None:
    """W_r x_i + W_s x_j + W_e e_ij computed per node is W [x_i, x_j, e_ij] computed per edge."""
    x, edge_index, edge_attr = random_graph()
    pair = PairLinear(x.shape[1], N_EDGE_FEATURES, 16).double()
    whole = torch.cat([pair.receiver.weight, pair.source.weight, pair.edge.weight], dim=1)
    concatenated = torch.cat([x[edge_index[1]], x[edge_index[0]], edge_attr], dim=1)
    expected = concatenated @ whole.T + pair.receiver.bias
    torch.testing.assert_close(pair(x, edges_of(len(x), edge_index, edge_attr)), expected)


MEANT = {"sum": segment_sum, "mean": segment_mean, "max": segment_max}


@pytest.mark.parametrize("name", MEANT)
def test_reductions_equal_pyg_scatter(name: str) -> None:
    values, receiver = torch.randn(200, 3, 5), torch.randint(0, 30, (200,))
    torch.testing.assert_close(MEANT[name](values, receiver, 35), scatter(values, receiver, 0, 35, name))


def test_softmax_equals_pyg_and_survives_large_logits() -> None:
    logits, receiver = 500 * torch.randn(200, 3, dtype=torch.float64), torch.randint(0, 30, (200,))
    torch.testing.assert_close(segment_softmax(logits, receiver, 30), softmax(logits, receiver, num_nodes=30))


def test_the_spread_of_equal_messages_is_zero_with_a_finite_gradient() -> None:
    edges = edges_of(4, torch.tensor([[0, 1, 2, 0, 3, 1], [0, 0, 0, 1, 1, 2]]), torch.zeros(6, 0))
    rows, weight = torch.ones(4, 2, requires_grad=True), torch.ones(1, 3, 2)
    (spread,) = messages.aggregated_messages(rows, rows, edges.attr, None, weight, torch.zeros(1, 3), edges, ("std",))
    spread.sum().backward()
    assert not spread.any() and rows.grad.isfinite().all()
