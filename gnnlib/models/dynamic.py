"""Dynamic: after listening along the given edges, each node listens to those most like it, wherever they are.

The second half of a layer is the EdgeConv of Wang et al. 2019 (DGCNN, arXiv 1801.07829) on a k-NN graph in latent space
that is found anew each time. Theirs starts from the positions of the points, which no model here may know; the given
edges stand for them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnnlib.models.edges import Edges
from gnnlib.models.segments import segment_max, segment_mean
from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import Frame, PairLinear, Stack, Step, Update

_DISTANCES = 200_000  # held at once by the search: little enough for a cache


class DynamicLayer(nn.Module):
    """z_i = psi(xi_i, max_j phi(xi_i, xi_j, e_ij), mean_j ..) over the edges of i, then
    xi_i' = psi'(z_i, max_k phi'(z_i, z_k - z_i)) over the k nodes nearest to i in z.
    """

    def __init__(self, spec: ModelSpec, n_edge_features: int) -> None:
        super().__init__()
        self.neighbours = spec.neighbours
        self.pair = PairLinear(spec.latent, n_edge_features, spec.hidden)
        self.phi = nn.Sequential(nn.SiLU(), nn.Linear(spec.hidden, spec.latent))
        self.near = Update(spec.latent, 2 * spec.latent, spec.hidden, spec.dropout)
        self.latent_pair = PairLinear(spec.latent, 0, spec.hidden)
        self.latent_phi = nn.Sequential(nn.SiLU(), nn.Linear(spec.hidden, spec.latent))
        self.alike = Update(spec.latent, spec.latent, spec.hidden, spec.dropout)

    def forward(self, xi: Tensor, edges: Edges, carried: None = None) -> Step:
        message = self.phi(self.pair(xi, edges))
        heard = [reduce(message, edges.receiver, edges.n) for reduce in (segment_max, segment_mean)]
        z = self.near(xi, torch.cat(heard, dim=-1))
        source, receiver = found = nearest(z.detach(), self.neighbours, edges.graph_of)
        # W (z_k - z_i) + W' z_i is W z_k + (W' - W) z_i: a linear layer on (z_i, z_k), its weights as free
        pair = self.latent_pair.receiver(z).index_select(0, receiver) + self.latent_pair.source(z).index_select(
            0, source
        )
        return Step(self.alike(z, segment_max(self.latent_phi(pair), receiver, edges.n)), found=found)


def nearest(states: Tensor, k: int, graph_of: Tensor) -> Tensor:
    """The k nodes nearest to each in states [N, latent], itself left out, of its own graph: [2, E] (source, receiver).

    Exact, by all distances, a piece of them at a time: N^2 work and bounded memory. Where a graph has fewer than k
    other nodes, all of them.
    """
    n = len(states)
    k = min(k, n - 1)
    if k < 1:
        return torch.zeros((2, 0), dtype=torch.int64, device=states.device)
    pieces = []
    for rows in torch.arange(n, device=states.device).split(max(1, _DISTANCES // n)):
        distance = torch.cdist(states[rows], states, compute_mode="donot_use_mm_for_euclid_dist")
        distance.masked_fill_(graph_of[rows, None] != graph_of, float("inf"))
        distance[torch.arange(len(rows), device=states.device), rows] = float("inf")
        values, source = distance.topk(k, dim=1, largest=False)
        kept = values.isfinite()
        pieces.append(torch.stack([source[kept], rows[:, None].expand_as(source)[kept]]))
    return torch.cat(pieces, dim=1)


def build(frame: Frame) -> Stack:
    return Stack(frame, lambda level: DynamicLayer(frame.spec, frame.n_edge_features), steps=None)
