"""DeepSets: each object and a summary of all of them, without edges. The control for who is near whom.

Zaheer et al. 2017 (arXiv 1703.06114). The summary is a mean, so that it does not grow with the number of rows.
"""

from __future__ import annotations

from torch import Tensor, nn

from gnnlib.models.edges import Edges
from gnnlib.models.segments import segment_mean
from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import Frame, Stack, Step, Update


class DeepSetsLayer(nn.Module):
    """xi_i' = psi(xi_i, mean_k phi(xi_k)), k over all nodes of the same graph."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(spec.latent, spec.hidden), nn.SiLU(), nn.Linear(spec.hidden, spec.latent))
        self.update = Update(spec.latent, spec.latent, spec.hidden, spec.dropout)

    def forward(self, xi: Tensor, edges: Edges, carried: None = None) -> Step:
        summary = segment_mean(self.phi(xi), edges.graph_of, edges.n_graphs)
        return Step(self.update(xi, summary.index_select(0, edges.graph_of)))


def build(frame: Frame) -> Stack:
    return Stack(frame, lambda level: DeepSetsLayer(frame.spec), steps=None)
