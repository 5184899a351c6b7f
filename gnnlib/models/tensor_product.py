"""Tensor products: nodes carry scalars and vectors, and messages multiply them with the spherical harmonics of an edge.

Thomas et al. 2018 (arXiv 1802.08219), channel by channel as in NequIP (Batzner et al. 2022, arXiv 2101.03164), built of
e3nn (Geiger & Smidt 2022, arXiv 2207.09453). Only the scalars, and the lengths of the vectors, reach the output.
"""

from __future__ import annotations

import torch
from e3nn import o3
from torch import Tensor, nn

from gnnlib.errors import InputError
from gnnlib.models.edges import Edges
from gnnlib.models.segments import segment_mean, segment_sum, symlog
from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import Frame, PairLinear, Stack, Step, Update

_HARMONICS = o3.Irreps("1x0e + 1x1o + 1x2e")
_FLOOR = 1e-8  # under the root, so that the length of a zero vector has a gradient
_SHORT = 1e-3  # separations below this, in the unit of the vectors, lose their direction smoothly


class TensorProductLayer(nn.Module):
    """m_ij = w(xi_i, xi_j, |r_ij|, e_ij) (xi_j, V_j) x Y(r_ij), then scalars to psi and vectors to V_i.

    State: scalars xi [N, latent] and C = latent / 4 vectors V [N, C, 3], which start at zero or at C multiples of the
    peculiar velocity. Kept of the product are its scalars (mean and symlog of the sum) and its vectors (mean), each
    path with a weight of its own from the edge: 0 x 0 -> 0, 1 x 1 -> 0, 0 x 1 -> 1, 1 x 0 -> 1, 1 x 2 -> 1.
    """

    def __init__(self, spec: ModelSpec, n_edge_features: int, first: bool) -> None:
        super().__init__()
        latent, self.vectors = spec.latent, spec.latent // 4
        nodes = o3.Irreps([(latent, "0e"), (self.vectors, "1o")])
        paths = [(0, 0, "0e"), (1, 1, "0e"), (0, 1, "1o"), (1, 0, "1o"), (1, 2, "1o")]
        out = o3.Irreps([(nodes[node].mul, kind) for node, _, kind in paths])
        self.product = o3.TensorProduct(
            nodes,
            _HARMONICS,
            out,
            [(node, harmonic, number, "uvu", True) for number, (node, harmonic, _) in enumerate(paths)],
            shared_weights=False,
            internal_weights=False,
            _optimize_einsums=False,  # channel by channel there is nothing to reorder, and looking for it takes longest
        )
        self.scalars = latent + self.vectors
        channels = latent + 2 * self.vectors
        self.pair = PairLinear(latent, n_edge_features + 2, spec.hidden)
        self.weigh = nn.Sequential(nn.SiLU(), nn.Linear(spec.hidden, self.product.weight_numel))
        self.mix = nn.Linear(channels, self.vectors, bias=False)
        self.start = nn.Linear(1, self.vectors, bias=False) if spec.velocities and first else None
        self.update = Update(latent, 2 * self.scalars + self.vectors, spec.hidden, spec.dropout)

    def forward(self, xi: Tensor, edges: Edges, carried: Tensor | None) -> Step:
        assert edges.vectors is not None
        own = self._first(xi, edges) if carried is None else carried
        length = (edges.vectors.square().sum(-1, keepdim=True) + _FLOOR).sqrt()
        told = torch.cat([edges.attr, length, length.log1p()], dim=-1)
        weights = self.weigh(self.pair(xi, edges, told))
        unit = edges.vectors / (length + _SHORT)
        harmonics = o3.spherical_harmonics(_HARMONICS, unit, normalize=False, normalization="component")
        state = torch.cat([xi, own.flatten(1)], dim=-1)
        message = self.product(state.index_select(0, edges.source), harmonics, weights)
        heard = segment_mean(message, edges.receiver, edges.n)
        counted = symlog(segment_sum(message[:, : self.scalars], edges.receiver, edges.n))
        pushed = heard[:, self.scalars :].unflatten(-1, (-1, 3))
        own = own + self.mix(pushed.transpose(1, 2)).transpose(1, 2)
        lengths = (own.square().sum(-1) + _FLOOR).sqrt()
        return Step(self.update(xi, torch.cat([heard[:, : self.scalars], counted, lengths], dim=-1)), carried=own)

    def _first(self, xi: Tensor, edges: Edges) -> Tensor:
        if self.start is None:
            return xi.new_zeros(edges.n, self.vectors, 3)
        if edges.velocity is None:
            raise InputError("This model is set to use velocities and the catalog has none; switch them off.")
        return self.start(edges.velocity.unsqueeze(-1)).transpose(1, 2)


def build(frame: Frame) -> Stack:
    return Stack(
        frame, lambda level: TensorProductLayer(frame.spec, frame.n_edge_features, level == 0), needs_geometry=True
    )
