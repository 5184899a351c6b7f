"""The frame all models share: encode, U unshared copies of `depth` layers, concatenate, rho (Wu & Jespersen 2023)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gnnlib.models.heads import GaussianHead
from gnnlib.models.output import Attention, Output
from gnnlib.models.spec import ModelSpec


class Stack(nn.Module):
    """x -> xi^(0) -> U chains of layers -> rho([xi^(0), xi^(1,depth), .., xi^(U,depth)]).

    make_layer: called U * depth times; a layer is a module (xi [N, latent], edge_index [2, M], edge_attr [M, D]) ->
    (next xi [N, latent], attention weights [M, heads] or None). The encoded input xi^(0) is kept beside the
    copies, so what a node says about itself never has to pass through its neighbours. edges: whether the layers
    look at them; `reach` is how many edges away a node's output can depend on.
    """

    def __init__(
        self, spec: ModelSpec, n_features: int, n_targets: int, make_layer: Callable[[], nn.Module], edges: bool = True
    ) -> None:
        super().__init__()
        self.reach = spec.depth if edges else 0
        self.encode = nn.Sequential(
            nn.Linear(n_features, spec.hidden),
            nn.SiLU(),
            nn.Linear(spec.hidden, spec.latent),
            nn.LayerNorm(spec.latent),
        )
        self.layers = nn.ModuleList(make_layer() for _ in range(spec.unshared * spec.depth))
        self.depth = spec.depth
        self.head = GaussianHead(spec.latent * (spec.unshared + 1), spec.hidden, n_targets, spec.dropout)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Output:
        """x [N, F], edge_index [2, M] (source, receiver), edge_attr [M, D] -> Output; edges may come in any order."""
        encoded = self.encode(x)
        xi, states = encoded, [encoded]
        weights: list[list[Tensor]] = [[] for _ in range(self.depth)]
        for number, layer in enumerate(self.layers):
            level = number % self.depth
            xi, attention = layer(encoded if level == 0 else xi, edge_index, edge_attr)
            if attention is not None:
                weights[level].append(attention)
            if level == self.depth - 1:
                states.append(xi)
        mean, log_variance = self.head(torch.cat(states, dim=-1))
        self_loop = edge_index[0] == edge_index[1]
        attended = tuple(
            Attention(edge_index, torch.cat(of_level, dim=-1), self_loop) for of_level in weights if of_level
        )
        return Output(mean, log_variance, attended)


class Update(nn.Module):
    """psi: xi_i + MLP(xi_i, aggregated messages), then LayerNorm. [N, latent] and [N, width] -> [N, latent]."""

    def __init__(self, latent: int, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.psi = nn.Sequential(
            nn.Linear(latent + width, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, latent)
        )
        self.norm = nn.LayerNorm(latent)

    def forward(self, xi: Tensor, aggregated: Tensor) -> Tensor:
        return self.norm(xi + self.psi(torch.cat([xi, aggregated], dim=-1)))


class PairLinear(nn.Module):
    """W_r x_i + W_s x_j + W_e e_ij for every edge: the first linear layer of phi(x_i, x_j, e_ij), [M, width].

    The node parts are multiplied once a node and gathered afterwards, which is the same sum at a fraction of the work.
    """

    def __init__(self, latent: int, n_edge_features: int, width: int) -> None:
        super().__init__()
        self.receiver = nn.Linear(latent, width)
        self.source = nn.Linear(latent, width, bias=False)
        self.edge = nn.Linear(n_edge_features, width, bias=False) if n_edge_features else None

    def forward(self, xi: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        source, receiver = edge_index
        pair = self.receiver(xi).index_select(0, receiver) + self.source(xi).index_select(0, source)
        return pair if self.edge is None else pair + self.edge(edge_attr)
