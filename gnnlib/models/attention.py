"""Attention: each node weighs its neighbours, with logits that see both ends and the edge (GATv2).

Brody et al. 2022 (arXiv 2105.14491) for the weights. A softmax forgets how many neighbours there are (Xu et al. 2019),
so each head also hands on a gated, un-normalised sum, which counts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnnlib.models.segments import segment_softmax, segment_sum
from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import PairLinear, Stack, Update

_NEGATIVE_SLOPE = 0.2


class AttentionLayer(nn.Module):
    """xi_i' = psi(xi_i, sum_j alpha_ij v_ij, asinh sum_j sigmoid(g_ij) v_ij), heads concatenated.

    alpha_ij = softmax over the edges of i of a^T LeakyReLU(W_r xi_i + W_s xi_j + W_e e_ij), one a head; g_ij is another
    such logit without the softmax; v_ij = phi(xi_i, xi_j, e_ij) holds the edge features too. No self-loop is ever
    added: a node's own state reaches psi beside the messages.
    """

    def __init__(self, spec: ModelSpec, n_edge_features: int) -> None:
        super().__init__()
        self.heads, self.channels = spec.heads, max(spec.hidden // spec.heads, 4)
        width = self.heads * self.channels
        self.pair = PairLinear(spec.latent, n_edge_features, width)
        self.attend = nn.Parameter(torch.empty(self.heads, self.channels))
        self.gate = nn.Parameter(torch.empty(self.heads, self.channels))
        nn.init.xavier_uniform_(self.attend)
        nn.init.xavier_uniform_(self.gate)
        self.value = PairLinear(spec.latent, n_edge_features, width)
        self.update = Update(spec.latent, 2 * width, spec.hidden, spec.dropout)

    def _by_head(self, edges: Tensor) -> Tensor:
        return edges.view(-1, self.heads, self.channels)

    def weigh(self, xi: Tensor, edge_index: Tensor, edge_attr: Tensor) -> tuple[Tensor, Tensor]:
        """Attention weights alpha [M, H] (sum to 1 over the edges of a receiver) and gates [M, H] between 0 and 1."""
        pair = nn.functional.leaky_relu(self._by_head(self.pair(xi, edge_index, edge_attr)), _NEGATIVE_SLOPE)
        alpha = segment_softmax((pair * self.attend).sum(-1), edge_index[1], len(xi))
        return alpha, (pair * self.gate).sum(-1).sigmoid()

    def message(self, xi: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """phi: the values that are weighed, [M, H, channels]."""
        return self._by_head(nn.functional.silu(self.value(xi, edge_index, edge_attr)))

    def forward(self, xi: Tensor, edge_index: Tensor, edge_attr: Tensor) -> tuple[Tensor, Tensor]:
        alpha, gate = self.weigh(xi, edge_index, edge_attr)
        values = self.message(xi, edge_index, edge_attr)
        attended = segment_sum(alpha.unsqueeze(-1) * values, edge_index[1], len(xi))
        counted = segment_sum(gate.unsqueeze(-1) * values, edge_index[1], len(xi)).asinh()
        return self.update(xi, torch.cat([attended, counted], dim=-1).flatten(1)), alpha


def build(spec: ModelSpec, n_features: int, n_edge_features: int, n_targets: int) -> Stack:
    return Stack(spec, n_features, n_targets, lambda: AttentionLayer(spec, n_edge_features))
