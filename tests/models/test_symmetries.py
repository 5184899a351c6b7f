"""Renumbering, moving, turning, mirroring and crossing a periodic face: what changes nothing, for every model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from gnnlib.graph.graph import GraphSpec
from gnnlib.graph.neighbors import find
from gnnlib.models.geometry import Geometry
from gnnlib.models.output import Output
from gnnlib.models.registry import build_model
from tests.models.graphs import N_FEATURES, every_variant, small_spec

N, SIDE = 80, 10.0
LENGTH, SPEED = 2.0, 100.0
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}  # of the largest output
precisions = pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: str(dtype)[6:])


class Scene(NamedTuple):
    """Points with features, and the side of their periodic box or None."""

    positions: np.ndarray
    velocities: np.ndarray
    features: np.ndarray
    side: float | None


def scene(periodic: bool = False) -> Scene:
    rng = np.random.default_rng(0)
    return Scene(
        rng.uniform(0, SIDE, (N, 3)),
        rng.normal(0, SPEED, (N, 3)),
        rng.normal(size=(N, N_FEATURES)),
        SIDE if periodic else None,
    )


def inputs(of: Scene, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Geometry]:
    """The neighbour search's edges, with invariant edge attributes [M, 4] in full precision."""
    found = find(of.positions, GraphSpec(radius=2.5), None if of.side is None else np.full(3, of.side))
    source, receiver = found.edge_index
    apart = (of.velocities[source] - of.velocities[receiver]) / SPEED
    unit = found.separations / found.lengths[:, None]
    along = np.einsum("ma,ma->m", apart, unit)
    attr = np.stack([found.lengths, np.log(found.lengths), along, np.square(apart).sum(axis=1)], axis=1)
    geometry = Geometry(*(torch.from_numpy(v).to(dtype) for v in (found.separations / LENGTH, of.velocities / SPEED)))
    edge_index = torch.from_numpy(found.edge_index)
    return torch.from_numpy(of.features).to(dtype), edge_index, torch.from_numpy(attr).to(dtype), geometry


def model_of(name: str, fields: dict, dtype: torch.dtype) -> torch.nn.Module:
    """Built in the precision asked for: e3nn's coupling constants have that in which they were made."""
    torch.set_default_dtype(dtype)
    try:
        return build_model(small_spec(name, **{"neighbours": 5, **fields}), N_FEATURES, 4).to(dtype).eval()
    finally:
        torch.set_default_dtype(torch.float32)


def answers(name: str, fields: dict, of: Scene, dtype: torch.dtype) -> Output:
    with torch.no_grad():
        return model_of(name, fields, dtype)(*inputs(of, dtype))


def largest_change(one: Output, other: Output) -> float:
    pairs = [(one.mean, other.mean), (one.log_variance, other.log_variance)]
    return max(float(((a - b).abs().max() / a.abs().max()).detach()) for a, b in pairs)


@precisions
@every_variant
def test_renumbered_nodes_give_renumbered_answers(name: str, fields: dict, dtype: torch.dtype) -> None:
    of, order = scene(), np.random.default_rng(1).permutation(N)
    before = answers(name, fields, of, dtype)
    again = answers(name, fields, Scene(*(part[order] for part in of[:3]), None), dtype)
    renumbered = Output(before.mean[order], before.log_variance[order])
    assert largest_change(renumbered, again) <= TOLERANCE[dtype]


@every_variant
def test_the_order_of_the_edges_does_not_matter(name: str, fields: dict) -> None:
    x, edge_index, edge_attr, geometry = inputs(scene(), torch.float64)
    model = model_of(name, fields, torch.float64)
    order = torch.randperm(len(edge_attr), generator=torch.Generator().manual_seed(0))
    before = model(x, edge_index, edge_attr, geometry)
    after = model(x, edge_index[:, order], edge_attr[order], Geometry(geometry.vectors[order], geometry.velocity))
    assert largest_change(before, after) <= 1e-10
    for one, other in zip(before.attention, after.attention, strict=True):
        assert torch.equal(other.edge_index, edge_index[:, order])
        torch.testing.assert_close(one.weights[order], other.weights)


@precisions
@every_variant
def test_a_catalog_that_is_moved_gives_the_same_answers(name: str, fields: dict, dtype: torch.dtype) -> None:
    of = scene()
    moved = of._replace(positions=of.positions + np.array([50.0, -20.0, 7.0]))
    assert largest_change(answers(name, fields, of, dtype), answers(name, fields, moved, dtype)) <= TOLERANCE[dtype]


@precisions
@pytest.mark.parametrize("mirror", [False, True], ids=["turned", "mirrored"])
@every_variant
def test_a_catalog_that_is_turned_gives_the_same_answers(
    name: str, fields: dict, mirror: bool, dtype: torch.dtype
) -> None:
    of = scene()
    turn = Rotation.random(rng=1).as_matrix() @ np.diag([1.0, 1.0, -1.0 if mirror else 1.0])
    turned = of._replace(positions=of.positions @ turn.T, velocities=of.velocities @ turn.T)
    assert largest_change(answers(name, fields, of, dtype), answers(name, fields, turned, dtype)) <= TOLERANCE[dtype]


@precisions
@every_variant
def test_a_periodic_box_may_be_cut_anywhere(name: str, fields: dict, dtype: torch.dtype) -> None:
    of = scene(periodic=True)
    shifted = of._replace(positions=(of.positions + np.array([3.0, 6.0, 9.0])) % SIDE)
    assert largest_change(answers(name, fields, of, dtype), answers(name, fields, shifted, dtype)) <= TOLERANCE[dtype]


@pytest.mark.parametrize("name", ["egnn", "tensor_product"])
def test_equivariant_models_see_angles_that_lengths_do_not_tell(name: str) -> None:
    """Two neighbours at one distance, on the same side or on opposite sides, with equal edge attributes."""
    model = _model_of_two(name)
    edge_index, attr = torch.tensor([[1, 2], [0, 0]]), torch.ones(2, 0, dtype=torch.float64)
    x = torch.ones(3, N_FEATURES, dtype=torch.float64)
    right, left = torch.tensor([[1.0, 0, 0], [1.0, 0, 0]]).double(), torch.tensor([[1.0, 0, 0], [-1.0, 0, 0]]).double()
    one, other = (model(x, edge_index, attr, Geometry(vectors)).mean[0] for vectors in (right, left))
    assert (one - other).abs().max() > 1e-6


def _model_of_two(name: str) -> torch.nn.Module:
    from gnnlib.models.registry import MODELS

    if MODELS[name].missing:
        pytest.skip(MODELS[name].missing)
    return build_model(small_spec(name), N_FEATURES, 0).double().eval()
