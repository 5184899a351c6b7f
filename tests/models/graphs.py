"""Small random graphs for the model tests: receiver-sorted or not, with isolated nodes and explicit self-loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gnnlib.models.edges import Edges
from gnnlib.models.geometry import Geometry
from gnnlib.models.registry import MODELS
from gnnlib.models.spec import ModelSpec

N_FEATURES, N_EDGE_FEATURES = 3, 4
SMALL = {"hidden": 16, "latent": 8, "heads": 2, "unshared": 2, "depth": 2}


def _usable(name: str, *rest: dict[str, Any]) -> Any:
    """A parameter of a test, skipped with its reason where the model's package is missing."""
    missing = MODELS[name].missing
    marks = pytest.mark.skipif(bool(missing), reason=missing)
    return pytest.param(name, *rest, marks=marks, id="-".join([name, *(key for fields in rest for key in fields)]))


every_model = pytest.mark.parametrize("name", [_usable(name) for name in MODELS])
# every model as it comes, and with each choice that changes its inner working
every_variant = pytest.mark.parametrize(
    ("name", "fields"),
    [
        *(_usable(name, {}) for name in MODELS),
        _usable("message_passing", {"aggregation": ("sum", "mean", "max", "std"), "self_path": True}),
        _usable("message_passing", {"global_state": True}),
        _usable("attention", {"global_state": True}),
        _usable("egnn", {"velocities": True}),
        _usable("tensor_product", {"velocities": True}),
    ],
)


def small_spec(name: str, **fields: object) -> ModelSpec:
    return ModelSpec.model_validate({"name": name, **SMALL, **fields})


def random_graph(
    n: int = 40, m: int = 150, seed: int = 0, self_loops: bool = False, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """x [n, F], edge_index [2, M], edge_attr [M, D]; no duplicate edges, and the last five nodes have none at all."""
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.cartesian_prod(torch.arange(n - 5), torch.arange(n - 5))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    edge_index = pairs[torch.randperm(len(pairs), generator=generator)[:m]].T
    if self_loops:
        edge_index = torch.cat([edge_index, torch.arange(n - 5).expand(2, -1)], dim=1)
    edge_index = edge_index[:, torch.argsort(edge_index[1], stable=True)]
    x = torch.randn(n, N_FEATURES, generator=generator, dtype=dtype)
    return x, edge_index, torch.randn(edge_index.shape[1], N_EDGE_FEATURES, generator=generator, dtype=dtype)


def edges_of(n: int, edge_index: Tensor, edge_attr: Tensor) -> Edges:
    """The same as layers get them, all nodes in one graph."""
    return Edges.build(edge_index, edge_attr, None, torch.zeros(n, dtype=torch.int64), 1)


def random_geometry(n: int, m: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Geometry:
    generator = torch.Generator().manual_seed(seed + 1)
    vectors = torch.randn(m, 3, generator=generator, dtype=dtype)
    return Geometry(vectors, torch.randn(n, 3, generator=generator, dtype=dtype))
