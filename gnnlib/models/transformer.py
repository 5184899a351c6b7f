"""Transformer-style attention: scaled dot products of queries and keys, in which the edge takes part.

Vaswani et al. 2017 (arXiv 1706.03762) on the neighbours of a node, with edge features in keys and values as Shi et al.
2021 (arXiv 2009.03509) put them there.
"""

from __future__ import annotations

from torch import Tensor, nn

from gnnlib.models.edges import Edges
from gnnlib.models.segments import segment_softmax, segment_sum
from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import Frame, Stack, Step, Update


class TransformerLayer(nn.Module):
    """xi_i' = psi(xi_i, sum_j alpha_ij (V xi_j + V_e e_ij)), heads side by side.

    alpha_ij is the softmax over the edges of i of q_i . (K xi_j + K_e e_ij) / sqrt(channels), q_i = Q xi_i.
    """

    def __init__(self, spec: ModelSpec, n_edge_features: int) -> None:
        super().__init__()
        self.heads, self.channels = spec.heads, max(spec.hidden // spec.heads, 2)
        self.width = self.heads * self.channels
        self.query = nn.Linear(spec.latent, self.width)
        self.source = nn.Linear(spec.latent, 2 * self.width, bias=False)
        self.edge = nn.Linear(n_edge_features, 2 * self.width, bias=False) if n_edge_features else None
        self.update = Update(spec.latent, self.width, spec.hidden, spec.dropout)

    def forward(self, xi: Tensor, edges: Edges, carried: None = None) -> Step:
        offered = self.source(xi).index_select(0, edges.source)
        if self.edge is not None:
            offered = offered + self.edge(edges.attr)
        key, value = offered.unflatten(-1, (2, self.heads, self.channels)).unbind(1)
        query = self.query(xi).unflatten(-1, (self.heads, self.channels)).index_select(0, edges.receiver)
        alpha = segment_softmax((query * key).sum(-1) / self.channels**0.5, edges.receiver, edges.n)
        attended = segment_sum((alpha.unsqueeze(-1) * value).flatten(1), edges.receiver, edges.n)
        return Step(self.update(xi, attended), alpha)


def build(frame: Frame) -> Stack:
    return Stack(frame, lambda level: TransformerLayer(frame.spec, frame.n_edge_features))
