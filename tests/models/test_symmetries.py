"""What every model in the registry must do, whatever it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Roles
from gnnlib.errors import InputError
from gnnlib.graph.build import build_graph
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.output import Output
from gnnlib.models.registry import MODELS, build_model
from gnnlib.models.spec import ModelSpec
from tests.models.graphs import N_EDGE_FEATURES, N_FEATURES, random_graph, small_spec

every_model = pytest.mark.parametrize("name", MODELS)


def model_of(name: str, **fields: object) -> torch.nn.Module:
    return build_model(small_spec(name, **fields), N_FEATURES, N_EDGE_FEATURES).double().eval()


def same(one: Output, other: Output, **tolerance: float) -> None:
    torch.testing.assert_close(one.mean, other.mean, **tolerance)
    torch.testing.assert_close(one.log_variance, other.log_variance, **tolerance)


@every_model
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_renumbered_nodes_give_renumbered_outputs(name: str, seed: int) -> None:
    x, edge_index, edge_attr = random_graph(seed=seed)
    model = model_of(name)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    number = torch.argsort(order)  # old node -> new node
    before, after = model(x, edge_index, edge_attr), model(x[order], number[edge_index], edge_attr)
    same(Output(before.mean[order], before.log_variance[order]), after)


@every_model
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_order_of_the_edges_does_not_matter(name: str, seed: int) -> None:
    x, edge_index, edge_attr = random_graph(seed=seed)
    model = model_of(name)
    order = torch.randperm(len(edge_attr), generator=torch.Generator().manual_seed(seed))
    before, after = model(x, edge_index, edge_attr), model(x, edge_index[:, order], edge_attr[order])
    same(before, after)
    for one, other in zip(before.attention, after.attention, strict=True):
        torch.testing.assert_close(one.weights[order], other.weights)


@every_model
def test_outputs_have_the_promised_shapes(name: str) -> None:
    x, edge_index, edge_attr = random_graph()
    model = build_model(small_spec(name), N_FEATURES, N_EDGE_FEATURES, n_outputs=2).double()
    output = model(x, edge_index, edge_attr)
    assert output.mean.shape == output.log_variance.shape == (len(x), 2)


@every_model
def test_a_graph_without_edges_gives_finite_outputs_and_gradients(name: str) -> None:
    x, _, _ = random_graph()
    model = model_of(name)
    output = model(x, torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, N_EDGE_FEATURES, dtype=torch.float64))
    (output.mean.square().sum() + output.log_variance.sum()).backward()
    assert output.mean.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@every_model
def test_an_isolated_node_depends_on_itself_only(name: str) -> None:
    x, edge_index, edge_attr = random_graph()
    model = model_of(name)
    elsewhere = x.clone()
    elsewhere[:-5] += 1.0
    before, after = model(x, edge_index, edge_attr), model(elsewhere, edge_index, edge_attr)
    torch.testing.assert_close(before.mean[-5:], after.mean[-5:])


@every_model
def test_a_node_sees_no_further_than_its_depth(name: str) -> None:
    """A chain 0 -> 1 -> ... -> 9: with depth 2, node 9 may depend on nodes 7, 8 and 9."""
    x = torch.randn(10, N_FEATURES, dtype=torch.float64, requires_grad=True)
    chain = torch.stack([torch.arange(9), torch.arange(1, 10)])
    output = model_of(name)(x, chain, torch.ones(9, N_EDGE_FEATURES, dtype=torch.float64))
    output.mean[9].sum().backward()
    reached = set(torch.nonzero(x.grad.abs().sum(dim=1)).flatten().tolist())
    assert reached == ({9} if name == "pointwise" else {7, 8, 9})


@every_model
def test_every_weight_gets_a_gradient(name: str) -> None:
    model = model_of(name)
    output = model(*random_graph())
    (output.mean.square().sum() + output.log_variance.square().sum()).backward()
    silent = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@every_model
def test_a_graph_without_edge_features_is_accepted(name: str) -> None:
    x, edge_index, _ = random_graph()
    model = build_model(small_spec(name), N_FEATURES, 0).double()
    assert model(x, edge_index, torch.zeros(edge_index.shape[1], 0, dtype=torch.float64)).mean.isfinite().all()


@every_model
def test_equal_seeds_build_equal_weights_and_leave_the_random_state_alone(name: str) -> None:
    before = torch.get_rng_state()
    one, same_seed, other = (build_model(small_spec(name), 2, 2, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[key], same_seed[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def catalog_of(positions: np.ndarray, velocities: np.ndarray) -> Catalog:
    names = ("x", "y", "z", "vx", "vy", "vz")
    return Catalog(
        table=pd.DataFrame(dict(zip(names, np.hstack([positions, velocities]).T, strict=True))),
        columns={name: Column(name) for name in names},
        roles=Roles(position=names[:3], velocity=names[3:]),
        row_ids=np.arange(len(positions)),
        spec=CatalogSpec(path="memory"),
        name="memory",
    )


@every_model
def test_predictions_do_not_change_when_the_catalog_is_turned_mirrored_and_moved(name: str) -> None:
    rng = np.random.default_rng(0)
    positions, velocities = rng.uniform(0, 10, (80, 3)), rng.normal(0, 100, (80, 3))
    turn = Rotation.random(rng=1).as_matrix() @ np.diag([1.0, 1.0, -1.0])
    x = torch.from_numpy(rng.normal(size=(80, N_FEATURES)))
    outputs = []
    for catalog in (
        catalog_of(positions, velocities),
        catalog_of(positions @ turn.T + [50.0, -20.0, 7.0], velocities @ turn.T + [300.0, 0.0, -40.0]),
    ):
        graph = build_graph(catalog, GraphSpec(radius=2.5))
        model = build_model(small_spec(name), N_FEATURES, graph.edge_features.shape[1]).double().eval()
        scaled = graph.edge_features / np.array([1.0, 1.0, 1.0, 100.0, 100.0])
        outputs.append(model(x, torch.from_numpy(graph.edge_index), torch.from_numpy(scaled)))
    same(*outputs, rtol=0, atol=1e-5)  # the edge features are float32


def test_an_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="no model 'oracle'; choose one of attention"):
        build_model(ModelSpec(name="oracle"), 1, 1)


@every_model
def test_every_model_says_what_it_is(name: str) -> None:
    assert MODELS[name].label and MODELS[name].description.endswith(".")
