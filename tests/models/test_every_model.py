"""What every model in the registry must do, whatever it is, for every task."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.models.dynamic import nearest
from gnnlib.models.geometry import Geometry
from gnnlib.models.heads import Where
from gnnlib.models.output import Output
from gnnlib.models.registry import MODELS, build_model
from gnnlib.models.spec import ModelSpec, Task
from gnnlib.models.stack import Stack
from tests.models.graphs import (
    N_EDGE_FEATURES,
    N_FEATURES,
    every_model,
    every_variant,
    random_geometry,
    random_graph,
    small_spec,
)

TASKS = get_args(Task)
N = 40
PAIRS = torch.tensor([[0, 3, 7, 39], [5, 2, 7, 1]])
GRAPH_OF = torch.arange(N) % 3
every_task = pytest.mark.parametrize("task", TASKS)


def model_of(name: str, task: Task = "node_regression", n_outputs: int = 1, **fields: object) -> Stack:
    return build_model(small_spec(name, **fields), N_FEATURES, N_EDGE_FEATURES, n_outputs, task=task).double().eval()


def given(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Geometry]:
    x, edge_index, edge_attr = random_graph(seed=seed)
    return x, edge_index, edge_attr, random_geometry(len(x), len(edge_attr), seed)


def where(task: Task) -> Where:
    if task == "edge_classification":
        return Where(pairs=PAIRS, pair_attr=torch.ones(4, N_EDGE_FEATURES, dtype=torch.float64))
    return Where(graph_of=GRAPH_OF, n_graphs=3) if task == "graph_regression" else Where()


def total(output: Output) -> Tensor:
    spread = 0 if output.log_variance is None else output.log_variance.square().sum()
    return output.mean.square().sum() + spread


ROWS = {"node_regression": N, "node_classification": N, "edge_classification": 4, "graph_regression": 3}


@every_task
@every_variant
def test_every_model_does_every_task(name: str, fields: dict, task: Task) -> None:
    """The promised shapes, and a gradient for every weight."""
    n_outputs = 1 if task == "edge_classification" else 3
    model = model_of(name, task, n_outputs, **fields)
    output = model(*given(), where(task))
    assert output.mean.shape == (ROWS[task], n_outputs)
    assert (output.log_variance is None) == task.endswith("classification")
    assert output.log_variance is None or output.log_variance.shape == output.mean.shape
    total(output).backward()
    silent = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@every_variant
def test_graphs_in_one_batch_do_not_hear_of_each_other(name: str, fields: dict) -> None:
    x, edge_index, edge_attr, geometry = given()
    model = model_of(name, "graph_regression", 2, **{"neighbours": 5, **fields})
    alone = model(x, edge_index, edge_attr, geometry, Where())
    elsewhere = torch.cat([x, 3 * x[:10]])
    velocity = torch.cat([geometry.velocity, geometry.velocity[:10]])
    graph_of = torch.cat([torch.zeros(N), torch.ones(10)]).long()
    both = model(elsewhere, edge_index, edge_attr, Geometry(geometry.vectors, velocity), Where(None, None, graph_of, 2))
    assert both.mean.shape == (2, 2)
    torch.testing.assert_close(both.mean[:1], alone.mean)


@every_variant
def test_a_graph_without_edges_gives_finite_outputs_and_gradients(name: str, fields: dict) -> None:
    x, *_ = given()
    model = model_of(name, **fields)
    nothing = torch.zeros(0, N_EDGE_FEATURES, dtype=torch.float64)
    geometry = Geometry(torch.zeros(0, 3, dtype=torch.float64), random_geometry(N, 0).velocity)
    output = model(x, torch.zeros(2, 0, dtype=torch.int64), nothing, geometry)
    total(output).backward()
    assert output.mean.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@every_variant
def test_two_objects_in_one_place_and_self_loops_stay_finite(name: str, fields: dict) -> None:
    x, edge_index, edge_attr = random_graph(self_loops=True)
    geometry = Geometry(torch.zeros(len(edge_attr), 3, dtype=torch.float64), random_geometry(N, 0).velocity)
    model = model_of(name, **fields)
    total(model(x, edge_index, edge_attr, geometry)).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@every_variant
def test_a_node_sees_no_further_than_the_reach(name: str, fields: dict) -> None:
    """A chain 0 -> 1 -> ... -> 9: with two layers, node 9 may depend on nodes 7, 8 and 9."""
    x = torch.randn(10, N_FEATURES, dtype=torch.float64, requires_grad=True)
    chain = torch.stack([torch.arange(9), torch.arange(1, 10)])
    model = model_of(name, **fields)
    output = model(x, chain, torch.ones(9, N_EDGE_FEATURES, dtype=torch.float64), random_geometry(10, 9))
    output.mean[9].sum().backward()
    reached = set(torch.nonzero(x.grad.abs().sum(dim=1)).flatten().tolist())
    if model.reach is None:
        assert len(reached) > 3
    else:
        assert reached == set(range(9 - model.reach, 10))


@every_variant
def test_a_graph_without_edge_features_is_accepted(name: str, fields: dict) -> None:
    x, edge_index, _, geometry = given()
    model = build_model(small_spec(name, **fields), N_FEATURES, 0).double()
    bare = torch.zeros(edge_index.shape[1], 0, dtype=torch.float64)
    assert model(x, edge_index, bare, geometry).mean.isfinite().all()


@every_variant
def test_equal_seeds_build_equal_weights_and_leave_the_random_state_alone(name: str, fields: dict) -> None:
    before = torch.get_rng_state()
    one, same_seed, other = (build_model(small_spec(name, **fields), 2, 2, seed=s).state_dict() for s in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[key], same_seed[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@every_model
def test_a_model_that_needs_vectors_or_pairs_says_so(name: str) -> None:
    x, edge_index, edge_attr, geometry = given()
    model = model_of(name)
    if model.needs_geometry:
        with pytest.raises(InputError, match="vectors along the edges"):
            model(x, edge_index, edge_attr)
    else:
        torch.testing.assert_close(model(x, edge_index, edge_attr).mean, model(*given()).mean)
    with pytest.raises(InputError, match="needs the pairs"):
        model_of(name, "edge_classification")(x, edge_index, edge_attr, geometry)


@pytest.mark.parametrize("name", ["egnn", "tensor_product"])
def test_velocities_that_are_asked_for_and_missing_are_named(name: str) -> None:
    if MODELS[name].missing:
        pytest.skip(MODELS[name].missing)
    x, edge_index, edge_attr, geometry = given()
    with pytest.raises(InputError, match="catalog has none"):
        model_of(name, velocities=True)(x, edge_index, edge_attr, Geometry(geometry.vectors))


@every_variant
def test_dropout_is_off_in_evaluation(name: str, fields: dict) -> None:
    model = model_of(name, dropout=0.5, **fields)
    assert torch.equal(model(*given()).mean, model(*given()).mean)
    model.train()
    assert not torch.equal(model(*given()).mean, model(*given()).mean)


def test_a_pair_is_the_same_both_ways() -> None:
    model = model_of("message_passing", "edge_classification")
    attr = torch.randn(4, N_EDGE_FEATURES, dtype=torch.float64)
    for known in (attr, None):
        one, other = (model(*given(), Where(pairs, known)).mean for pairs in (PAIRS, PAIRS.flip(0)))
        assert torch.equal(one, other)
    assert not torch.equal(model(*given(), Where(PAIRS, attr)).mean, model(*given(), Where(PAIRS)).mean)


@pytest.mark.parametrize("readout", ["sum", "mean", "max", "attention"])
def test_a_graph_is_read_from_its_own_nodes_in_any_order(readout: str) -> None:
    model = model_of("pointwise", "graph_regression", 2, readout=readout)
    x, edge_index, edge_attr, _ = given()
    batch = model(x, edge_index, edge_attr, None, Where(graph_of=GRAPH_OF, n_graphs=4))
    for number in range(3):
        mine = x[number == GRAPH_OF].flip(0)
        alone = model(mine, edge_index[:, :0], edge_attr[:0])
        torch.testing.assert_close(batch.mean[number], alone.mean[0])
    assert batch.mean[3].isfinite().all()  # a graph without nodes
    total(batch).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_only_the_sum_counts() -> None:
    """Twice the same nodes: the mean, the largest and the attention-weighted state are the same, the sum is not."""
    x, edge_index, edge_attr, _ = given()
    for readout in ("sum", "mean", "max", "attention"):
        model = model_of("pointwise", "graph_regression", readout=readout)
        one, twice = (model(rows, edge_index[:, :0], edge_attr[:0]).mean for rows in (x, torch.cat([x, x])))
        assert torch.allclose(one, twice) == (readout != "sum")


def test_the_dynamic_model_shows_the_edges_it_found() -> None:
    x, edge_index, edge_attr, _ = given()
    output = model_of("dynamic", neighbours=4, unshared=1)(x, edge_index, edge_attr)
    assert [edges.shape for edges in output.edges] == [(2, 4 * N)] * 2
    assert all(output.edges == () for output in [model_of("attention")(x, edge_index, edge_attr)])


def test_nearest_are_those_of_brute_force_within_each_graph() -> None:
    states = torch.randn(60, 5, dtype=torch.float64)
    graph_of = torch.tensor([0] * 40 + [1] * 17 + [2] * 3)
    found = {tuple(edge) for edge in nearest(states, 4, graph_of).T.tolist()}
    expected = set()
    for node in range(60):
        mates = [other for other in range(60) if graph_of[other] == graph_of[node] and other != node]
        mates.sort(key=lambda other: float((states[other] - states[node]).norm()))
        expected |= {(mate, node) for mate in mates[:4]}
    assert found == expected


def test_self_path_takes_a_nodes_own_features_around_the_edges() -> None:
    """Its last layer is told of the node by the messages alone, so nothing of a node without edges is in it."""
    x, edge_index, edge_attr, _ = given()
    model = model_of("message_passing", self_path=True, depth=1, unshared=1)
    heard = model.layers[0].update(x.new_zeros(N, 8), x.new_zeros(N, 24))
    again = model.layers[0].update(x.new_ones(N, 8), x.new_zeros(N, 24))
    assert torch.equal(heard, again)
    assert "own.0.weight" in model.state_dict() and "own.0.weight" not in model_of("message_passing").state_dict()
    lonely = x.clone()
    lonely[-5:] += 1
    before, after = model(x, edge_index, edge_attr).mean, model(lonely, edge_index, edge_attr).mean
    assert (before - after)[-5:].abs().min() > 1e-6


def test_an_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="no model 'oracle'; choose one of attention"):
        build_model(ModelSpec(name="oracle"), 1, 1)


def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnnlib.models.registry.find_spec", lambda package: None)
    with pytest.raises(
        InputError, match=r"needs the package e3nn; install it with: pip install -r requirements-extras"
    ):
        build_model(ModelSpec(name="tensor_product"), 1, 1)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_says_what_it_is(name: str) -> None:
    entry = MODELS[name]
    assert entry.label and entry.description.endswith(".") and r"\xi_i'" in entry.equation
    assert set(entry.fields) <= set(ModelSpec.model_fields)
