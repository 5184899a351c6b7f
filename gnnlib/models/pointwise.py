"""Pointwise: the same frame and head without edges, so what a graph model gains over it is the neighbours' doing."""

from __future__ import annotations

from torch import Tensor, nn

from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import Stack, Update


class PointwiseLayer(nn.Module):
    """xi_i' = psi(xi_i)."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.update = Update(spec.latent, 0, spec.hidden, spec.dropout)

    def forward(self, xi: Tensor, edge_index: Tensor, edge_attr: Tensor) -> tuple[Tensor, None]:
        return self.update(xi, xi[:, :0]), None


def build(spec: ModelSpec, n_features: int, n_edge_features: int, n_targets: int) -> Stack:
    return Stack(spec, n_features, n_targets, lambda: PointwiseLayer(spec), edges=False)
