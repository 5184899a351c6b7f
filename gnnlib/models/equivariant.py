"""E(n)-equivariant message passing: vectors move the nodes, and only their lengths reach the output.

Satorras, Hoogeboom & Welling 2021 (arXiv 2102.09844). A node has no position here, only the displacement it has
gathered so far; what lies between two nodes is their separation plus the difference of their displacements. So the
model cannot know where the origin is, nor which face of a periodic box it looks across.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gnnlib.errors import InputError
from gnnlib.models.edges import Edges
from gnnlib.models.segments import segment_mean, segment_sum, symlog
from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import Frame, PairLinear, Stack, Step, Update

_FLOOR = 1e-8  # under the root, so that the length of a zero vector has a gradient


class Moved(NamedTuple):
    """displacement: [N, 3] since the first layer, in the unit of the vectors. velocity: [N, 3], or None."""

    displacement: Tensor
    velocity: Tensor | None


class EquivariantLayer(nn.Module):
    """m_ij = phi(xi_i, xi_j, |r_ij|, e_ij), xi_i' = psi(xi_i, symlog sum_j m_ij, mean_j m_ij, lengths of what moved).

    r_ij: separation plus the displacement of the source minus that of the receiver. Each layer moves a node by
    s_i = mean_j r_ij / (|r_ij| + 1) phi_x(m_ij); with velocities v_i' = phi_v(xi_i) v_i + s_i, and the node moves by
    v_i' instead. psi is told |s_i|, and |v_i'| and s_i . v_i, so that the vectors of the last layer count too.
    """

    def __init__(self, spec: ModelSpec, n_edge_features: int) -> None:
        super().__init__()
        self.pair = PairLinear(spec.latent, n_edge_features + 2, spec.hidden)
        self.phi = nn.Sequential(nn.SiLU(), nn.Linear(spec.hidden, spec.latent), nn.SiLU())
        self.phi_x = nn.Sequential(nn.Linear(spec.latent, spec.hidden), nn.SiLU(), nn.Linear(spec.hidden, 1))
        self.phi_v = (
            nn.Sequential(nn.Linear(spec.latent, spec.hidden), nn.SiLU(), nn.Linear(spec.hidden, 1))
            if spec.velocities
            else None
        )
        invariants = 1 if self.phi_v is None else 3
        self.update = Update(spec.latent, 2 * spec.latent + invariants, spec.hidden, spec.dropout)

    def forward(self, xi: Tensor, edges: Edges, carried: Moved | None) -> Step:
        assert edges.vectors is not None
        moved = Moved(xi.new_zeros(edges.n, 3), edges.velocity) if carried is None else carried
        shifts = moved.displacement.index_select(0, edges.source) - moved.displacement.index_select(0, edges.receiver)
        between = edges.vectors + shifts
        length = _length(between)
        told = torch.cat([edges.attr, length, length.log1p()], dim=-1)
        message = self.phi(self.pair(xi, edges, told))
        push = segment_mean(between / (length + 1) * self.phi_x(message), edges.receiver, edges.n)
        invariants = [_length(push)]
        velocity = None
        if self.phi_v is not None:
            if moved.velocity is None:
                raise InputError("This model is set to use velocities and the catalog has none; switch them off.")
            invariants.append((push * moved.velocity).sum(-1, keepdim=True))
            velocity = self.phi_v(xi) * moved.velocity + push
            invariants.append(_length(velocity))
        heard = symlog(segment_sum(message, edges.receiver, edges.n))
        mean = segment_mean(message, edges.receiver, edges.n)
        xi = self.update(xi, torch.cat([heard, mean, *invariants], dim=-1))
        return Step(xi, carried=Moved(moved.displacement + (push if velocity is None else velocity), velocity))


def _length(vectors: Tensor) -> Tensor:
    """|v| of [..., 3], [..., 1]."""
    return (vectors.square().sum(-1, keepdim=True) + _FLOOR).sqrt()


def build(frame: Frame) -> Stack:
    return Stack(frame, lambda level: EquivariantLayer(frame.spec, frame.n_edge_features), needs_geometry=True)
