"""Message passing: messages phi(x_i, x_j, e_ij), several aggregations side by side, update psi.

Wu & Jespersen 2023 (arXiv 2306.12327); several aggregations concatenated as in Corso et al. 2020 (arXiv 2004.05718).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnnlib.models.edges import Edges
from gnnlib.models.segments import segment_max, segment_mean, segment_std, segment_sum, symlog
from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import Frame, PairLinear, Stack, Step, Update

AGGREGATIONS = {"sum": segment_sum, "mean": segment_mean, "max": segment_max, "std": segment_std}


class MessagePassingLayer(nn.Module):
    """xi_i' = psi(xi_i, aggregate_j phi(xi_i, xi_j, e_ij)). The aggregates pass through symlog."""

    def __init__(self, spec: ModelSpec, n_edge_features: int) -> None:
        super().__init__()
        self.aggregation = spec.aggregation
        self.pair = PairLinear(spec.latent, n_edge_features, spec.hidden)
        self.phi = nn.Sequential(nn.SiLU(), nn.Linear(spec.hidden, spec.latent))
        self.update = Update(spec.latent, spec.latent * len(spec.aggregation), spec.hidden, spec.dropout)

    def message(self, xi: Tensor, edges: Edges) -> Tensor:
        """phi: [M, latent]."""
        return self.phi(self.pair(xi, edges))

    def aggregate(self, messages: Tensor, receiver: Tensor, n: int) -> Tensor:
        """Every aggregation of `spec.aggregation`, side by side: [n, latent * A], zeros without edges."""
        return torch.cat([AGGREGATIONS[name](messages, receiver, n) for name in self.aggregation], dim=-1)

    def forward(self, xi: Tensor, edges: Edges, carried: None = None) -> Step:
        messages = self.message(xi, edges)
        return Step(self.update(xi, symlog(self.aggregate(messages, edges.receiver, len(xi)))))


def build(frame: Frame) -> Stack:
    return Stack(frame, lambda level: MessagePassingLayer(frame.spec, frame.n_edge_features))
