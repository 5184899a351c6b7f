"""A training step of message passing against the plain PyG formulation in the same run, and the memory it takes.

Single precision, forward and backward, the whole model with its head; phi's outputs and gradients are compared as well.
The points stand for no catalog: only the number of edges and how near their ends are numbered matter for the time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from gnnlib.models.registry import build_model
from gnnlib.models.spec import ModelSpec
from gnnlib.training.presets import PRESETS
from tests.benchmarks.timing import best_of
from tests.models.plain import PlainModel, own_gradients
from tests.models.test_memory import peak_of

pytestmark = pytest.mark.benchmark

NODES, EDGES, WIDTH = 10_000, 200_000, 6
DEPTH_4 = ModelSpec(name="message_passing", hidden=64, latent=32, depth=4)
SETUPS = {
    "depth 4": (DEPTH_4, 3.0),
    "hidden 256": (ModelSpec(name="message_passing", hidden=256, latent=32), 1.5),
    "wu2024": (ModelSpec.model_validate(PRESETS["wu2024"]["model"]), 1.5),
}


def graph() -> tuple[Tensor, Tensor, Tensor]:
    """x, edges of nodes whose numbers are near, sorted by receiver, and their attributes."""
    rng = np.random.default_rng(0)
    receiver = np.sort(rng.integers(0, NODES, EDGES))
    source = (receiver + rng.integers(-200, 200, EDGES)) % NODES
    values = (torch.from_numpy(rng.normal(size=(n, WIDTH)).astype(np.float32)) for n in (NODES, EDGES))
    x, edge_attr = values
    return x, torch.from_numpy(np.stack([source, receiver])), edge_attr


def step(model: torch.nn.Module, answer: Callable[[], Tensor]) -> Callable[[], Tensor]:
    def run() -> Tensor:
        model.zero_grad(set_to_none=True)
        mean = answer()
        mean.square().sum().backward()
        return mean.detach()

    return run


@pytest.mark.parametrize("setup", SETUPS)
def test_a_step_against_the_plain_form(setup: str) -> None:
    spec, target = SETUPS[setup]
    x, edge_index, edge_attr = graph()
    model = build_model(spec, WIDTH, WIDTH)
    plain = PlainModel(model)
    runners = {
        "plain": step(plain, lambda: plain(x, edge_index, edge_attr)),
        "ours": step(model, lambda: model(x, edge_index, edge_attr).mean),
    }
    seconds, means = dict.fromkeys(runners, np.inf), {}
    for _ in range(3):  # in turns, so that all meet the same machine
        for name, run in runners.items():
            taken, means[name] = best_of(1, run)
            seconds[name] = min(seconds[name], taken)
    ratio = seconds["plain"] / seconds["ours"]
    print(
        f"\n{setup}, {torch.get_num_threads()} threads: plain {seconds['plain']:.2f} s, ours {seconds['ours']:.2f} s, "
        f"{ratio:.2f} times as fast (aim {target})"
    )
    # Of the largest gradient: where two messages tie for the maximum within rounding, either may be the one to get it.
    for found, expected in (([means["ours"]], [means["plain"]]), (own_gradients(model), plain.gradients())):
        differences = [float((a - b).abs().max()) for a, b in zip(found, expected, strict=True)]
        assert max(differences) <= 1e-5 * max(float(b.abs().max()) for b in expected)


def test_memory_an_edge() -> None:
    """From the allocator's own record, at the peak of a step beyond its inputs."""
    x, edge_index, edge_attr = graph()
    model = build_model(DEPTH_4, WIDTH, WIDTH)
    plain = PlainModel(model)
    ours, theirs = (
        peak_of(step(*given)) / EDGES
        for given in (
            (model, lambda: model(x, edge_index, edge_attr).mean),
            (plain, lambda: plain(x, edge_index, edge_attr)),
        )
    )
    print(f"\nbytes an edge at the peak: plain {theirs:.0f}, ours {ours:.0f}")
    assert ours <= 1_100 < theirs
