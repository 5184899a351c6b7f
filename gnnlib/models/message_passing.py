"""Message passing: messages phi(x_i, x_j, e_ij), several aggregations side by side, update psi.

Wu & Jespersen 2023 (arXiv 2306.12327); several aggregations concatenated as in Corso et al. 2020 (arXiv 2004.05718).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gnnlib.models.edges import Edges
from gnnlib.models.messages import aggregated_messages
from gnnlib.models.segments import symlog
from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import Frame, PairLinear, Stack, Step, Update


class MessagePassingLayer(nn.Module):
    """xi_i' = psi(xi_i, aggregate_j phi(xi_i, xi_j, e_ij)). The aggregates pass through symlog.

    phi is a linear layer on the pair, SiLU and a second linear layer. own False: psi sees the aggregates alone, as the
    last layer of a model with `self_path`, where the node's own features go to rho by themselves (the papers' halo and
    environment networks).
    """

    def __init__(self, spec: ModelSpec, n_edge_features: int, own: bool = True) -> None:
        super().__init__()
        self.aggregation = spec.aggregation
        self.pair = PairLinear(spec.latent, n_edge_features, spec.hidden)
        self.phi = nn.Sequential(nn.SiLU(), nn.Linear(spec.hidden, spec.latent))
        self.update = Update(spec.latent, spec.latent * len(spec.aggregation), spec.hidden, spec.dropout, own)

    @property
    def end(self) -> nn.Linear:
        """The second linear layer of phi."""
        end = self.phi[1]
        assert isinstance(end, nn.Linear)
        return end


def aggregate(layers: list[MessagePassingLayer], xis: list[Tensor], edges: Edges) -> Tensor:
    """Every aggregation of each layer's messages side by side, [U, N, A * latent]: all layers in one pass."""
    pairs, ends = [layer.pair for layer in layers], [layer.end for layer in layers]
    edge = [pair.edge.weight for pair in pairs if pair.edge is not None]
    aggregates = aggregated_messages(
        torch.cat([pair.receiver(xi) for pair, xi in zip(pairs, xis, strict=True)], dim=1),
        torch.cat([pair.source(xi) for pair, xi in zip(pairs, xis, strict=True)], dim=1),
        edges.attr,
        torch.cat(edge) if edge else None,
        torch.stack([end.weight for end in ends]),
        torch.stack([end.bias for end in ends]),
        edges,
        layers[0].aggregation,
    )
    return torch.cat(aggregates, dim=-1).transpose(0, 1)


class MessagePassing(Stack):
    """A stack whose unshared copies send their messages together."""

    def advance(self, layers: list[Any], ahead: list[Step], edges: Edges) -> list[Step]:
        aggregates = symlog(aggregate(layers, [step.xi for step in ahead], edges))
        return [Step(layer.update(step.xi, mine)) for layer, step, mine in zip(layers, ahead, aggregates, strict=True)]


def build(frame: Frame) -> Stack:
    spec = frame.spec

    def make_layer(level: int) -> MessagePassingLayer:
        return MessagePassingLayer(spec, frame.n_edge_features, own=not spec.self_path or level < spec.depth - 1)

    return MessagePassing(frame, make_layer)
