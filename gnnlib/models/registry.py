"""The models a run can name: a new one is a file with a `build` function and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from gnnlib.errors import InputError
from gnnlib.models import attention, message_passing, pointwise
from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import Stack


@dataclass(frozen=True)
class ModelEntry:
    """label and description as pages show them; build(spec, n_features, n_edge_features, n_targets) -> module."""

    label: str
    description: str
    build: Callable[[ModelSpec, int, int, int], Stack]


MODELS: dict[str, ModelEntry] = {
    "attention": ModelEntry(
        "Attention",
        "Each object weighs its neighbours by what they are and where they are; the weights can be read afterwards.",
        attention.build,
    ),
    "message_passing": ModelEntry(
        "Message passing",
        "Messages along the edges, summed, averaged and maximised over the neighbours (Wu & Jespersen 2023).",
        message_passing.build,
    ),
    "pointwise": ModelEntry(
        "Pointwise",
        "No edges: each object by its own features only. What the graph models are compared with.",
        pointwise.build,
    ),
}


def build_model(spec: ModelSpec, n_features: int, n_edge_features: int, n_targets: int = 1, seed: int = 0) -> Stack:
    """A freshly initialised model; equal arguments give equal weights, and the global random state is left alone.

    n_features: F of x [N, F]; n_edge_features: D of edge_attr [M, D], 0 allowed; n_targets: T. Its forward is
    (x [N, F], edge_index [2, M], edge_attr [M, D]) -> `Output`. Raises InputError for an unknown model name.
    """
    if spec.name not in MODELS:
        raise InputError(f"There is no model '{spec.name}'; choose one of {', '.join(MODELS)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[spec.name].build(spec, n_features, n_edge_features, n_targets)
