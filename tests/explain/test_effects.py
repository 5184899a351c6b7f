"""Effects of neighbours against brute force, captum, and every possible mask."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients

from gnnlib.explain import effects
from gnnlib.explain.replay import Fields, FoldReplay

from .test_replay import without

KINDS = ("attention", "message_passing")


def mean_of_members(fold: FoldReplay, x: torch.Tensor, ends: torch.Tensor, attr: torch.Tensor) -> torch.Tensor:
    return torch.stack([model(x, ends, attr).mean[:, 0] for model in fold.members]).mean(dim=0)


def some_fields(replay, count: int = 5) -> tuple[Fields, np.ndarray]:
    fold, _, nodes = next(replay.by_fold(replay.sample(2 * count)))
    return fold.fields(nodes[:count]), nodes[:count]


@pytest.mark.parametrize("kind", KINDS)
def test_deletion_effects_equal_asking_the_whole_graph_without_the_edge(replays, kind, monkeypatch):
    fields, nodes = some_fields(replays[kind])
    edges = np.flatnonzero(fields.near)
    change = effects.deletion(fields)
    for edge, found in zip(edges, change, strict=True):
        node = nodes[fields.of_edge[edge]]
        expected = without(fields.fold, fields.edge[[edge]], node) - fields.fold.prediction[node]
        assert found == pytest.approx(expected, abs=4e-6)
    assert np.abs(change).max() > 1e-3
    monkeypatch.setattr("gnnlib.explain.replay.EDGES_AT_ONCE", 40)
    np.testing.assert_allclose(effects.deletion(fields), change, atol=4e-6)


def test_edges_further_out_can_be_deleted_too(replays):
    fields, nodes = some_fields(replays["attention"], 2)
    far = np.flatnonzero(~fields.near)[::3]
    assert len(far) > 5
    for edge, found in zip(far, effects.deletion(fields, far), strict=True):
        node = nodes[fields.of_edge[edge]]
        expected = without(fields.fold, fields.edge[[edge]], node) - fields.fold.prediction[node]
        assert found == pytest.approx(expected, abs=4e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_finite_differences(replays, kind):
    fields, _ = some_fields(replays[kind])
    for model in fields.fold.members:
        model.double()
    try:
        x, attr = fields.x.double(), fields.edge_attr.double()
        edge = np.flatnonzero(fields.near)[3]
        source, centre = fields.edge_index[0, edge], fields.centres[fields.of_edge[edge]]
        step, total = 1e-5, 0.0
        for place, inputs, which in ((source, x, 0), (edge, attr, 1)):
            nudge = torch.zeros_like(inputs)
            nudge[place] = step * inputs[place]
            both = [[x, attr], [x, attr]]
            both[0][which], both[1][which] = inputs + nudge, inputs - nudge
            ends = torch.from_numpy(fields.edge_index)
            up, down = (mean_of_members(fields.fold, a, ends, b)[centre] for a, b in both)
            total += float(up - down) / (2 * step)
    finally:
        for model in fields.fold.members:
            model.float()
    assert effects.gradient_times_input(fields)[3] == pytest.approx(fields.fold.unit * total, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_integrated_gradients_equal_captums_and_are_complete(replays, kind):
    fields, _ = some_fields(replays[kind], 3)
    found, missing = effects.integrated_gradients(fields, points=24)
    assert np.abs(missing).max() < 5e-3 * fields.fold.unit
    base = torch.zeros_like(fields.x)
    base[fields.centres] = fields.x[fields.centres]
    n = len(fields.node)

    def asked(x: torch.Tensor, edge_attr: torch.Tensor) -> torch.Tensor:
        copies = len(x) // n
        shift = torch.arange(copies).repeat_interleave(fields.edge_index.shape[1]) * n
        ends = torch.from_numpy(fields.edge_index).repeat(1, copies) + shift
        mean = mean_of_members(fields.fold, x, ends, edge_attr).reshape(copies, n)
        return mean[:, torch.from_numpy(fields.centres)].sum(dim=1)

    by_node, by_edge = IntegratedGradients(asked).attribute(
        (fields.x, fields.edge_attr), (base, torch.zeros_like(fields.edge_attr)), n_steps=24
    )
    source = fields.edge_index[0, fields.near]
    expected = by_node.sum(dim=1)[source] + by_edge.sum(dim=1)[torch.from_numpy(fields.near)]
    np.testing.assert_allclose(found, fields.fold.unit * expected.numpy(), atol=2e-3 * fields.fold.unit)


def price(fields: Fields, probability: np.ndarray) -> float:
    """What the mask minimises, by going through every subset of the edges into the one centre."""
    near = np.flatnonzero(fields.near)
    subsets = np.array(list(product([False, True], repeat=len(near))))
    keep = np.ones((len(subsets), len(fields.edge)), dtype=bool)
    keep[:, near] = subsets
    predicted = fields.predict(keep)[:, 0]
    chance = np.where(subsets, probability, 1 - probability).prod(axis=1)
    loss = (predicted - predicted[-1]) ** 2 / (predicted[0] - predicted[-1]) ** 2
    return float(chance @ loss + effects.MASK_SIZE * probability.mean())


@pytest.mark.parametrize("kind", KINDS)
def test_the_learned_mask_is_nearly_as_good_as_the_best_subset(replays, kind):
    replay = replays[kind]
    checked = 0
    for row in replay.sample(60):
        fold, node = replay.place(row)
        fields = fold.fields(np.array([node]))
        count = int(fields.near.sum())
        if 3 <= count <= 7 and checked < 6:
            checked += 1
            mask = effects.learned_mask(fields, steps=150)
            best = min(price(fields, np.array(subset, dtype=float)) for subset in product([0, 1], repeat=count))
            assert price(fields, mask) <= best + 0.1
    assert checked == 6


def test_a_model_without_edges_has_no_effects(replays):
    fields, _ = some_fields(replays["pointwise"])
    assert not fields.near.any()
    assert not len(effects.deletion(fields)) and not len(effects.gradient_times_input(fields))
    assert not len(effects.learned_mask(fields)) and not len(effects.integrated_gradients(fields)[0])
