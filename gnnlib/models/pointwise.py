"""Pointwise: the same frame and head without edges, so what a graph model gains over it is the neighbours' doing."""

from __future__ import annotations

from torch import Tensor, nn

from gnnlib.models.edges import Edges
from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import Frame, Stack, Step, Update


class PointwiseLayer(nn.Module):
    """xi_i' = psi(xi_i)."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.update = Update(spec.latent, 0, spec.hidden, spec.dropout)

    def forward(self, xi: Tensor, edges: Edges, carried: None = None) -> Step:
        return Step(self.update(xi, xi[:, :0]))


def build(frame: Frame) -> Stack:
    return Stack(frame, lambda level: PointwiseLayer(frame.spec), steps=0)
