"""Attention: each node weighs its neighbours, with logits that see both ends and the edge (GATv2).

Brody et al. 2022 (arXiv 2105.14491) for the weights. A softmax forgets how many neighbours there are (Xu et al. 2019),
so each head also hands on a gated, un-normalised sum, which counts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnnlib.models.edges import Edges
from gnnlib.models.segments import segment_softmax, segment_sum, symlog
from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import Frame, PairLinear, Stack, Step, Update

_NEGATIVE_SLOPE = 0.2


class AttentionLayer(nn.Module):
    """xi_i' = psi(xi_i, sum_j alpha_ij v_ij, symlog sum_j sigma(g_ij) w_ij), heads side by side.

    Each head's logit is a^T LeakyReLU(W_r xi_i + W_s xi_j + W_e e_ij); a softmax over the edges of i turns it into
    alpha_ij. The gates g_ij are such logits too, without the softmax. v_ij and w_ij are parts of one
    phi(xi_i, xi_j, e_ij), so the edge features are in the values as well. No self-loop is ever added: a node's own
    state reaches psi by itself.
    """

    def __init__(self, spec: ModelSpec, n_edge_features: int) -> None:
        super().__init__()
        self.heads, self.channels = spec.heads, max(spec.hidden // (2 * spec.heads), 2)
        self.width = 2 * self.heads * self.channels
        self.pair = PairLinear(spec.latent, n_edge_features, 2 * self.width)
        self.logits = nn.Linear(self.width, 2 * self.heads, bias=False)
        self.update = Update(spec.latent, self.width, spec.hidden, spec.dropout)

    def weigh(self, pair: Tensor, receiver: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """Attention alpha [M, H], which sums to 1 over the edges of a receiver, and gates [M, H] between 0 and 1."""
        attend, gate = self.logits(nn.functional.leaky_relu(pair, _NEGATIVE_SLOPE)).chunk(2, dim=-1)
        return segment_softmax(attend, receiver, n), gate.sigmoid()

    def forward(self, xi: Tensor, edges: Edges, carried: None = None) -> Step:
        receiver, n = edges.receiver, len(xi)
        pair, value = self.pair(xi, edges).split(self.width, dim=-1)
        alpha, gate = self.weigh(pair, receiver, n)
        messages = nn.functional.silu(value).unflatten(-1, (2 * self.heads, self.channels))
        weighed = messages * torch.cat([alpha, gate], dim=-1).unsqueeze(-1)
        attended, counted = segment_sum(weighed.flatten(1), receiver, n).chunk(2, dim=-1)
        return Step(self.update(xi, torch.cat([attended, symlog(counted)], dim=-1)), alpha)


def build(frame: Frame) -> Stack:
    return Stack(frame, lambda level: AttentionLayer(frame.spec, frame.n_edge_features))
