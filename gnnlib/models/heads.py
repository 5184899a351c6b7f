"""rho: from the concatenated node states to what a task asks of nodes, pairs of nodes or whole graphs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gnnlib.errors import InputError
from gnnlib.models.segments import segment_max, segment_mean, segment_softmax, segment_sum, symlog
from gnnlib.models.spec import ModelSpec, Task

_LOG_VARIANCE_LIMIT = 12.0  # sigma stays between e^-6 and e^6 standard deviations of the target


class Where(NamedTuple):
    """What the head answers for; node tasks need none.

    pairs: [2, P] node numbers (edge task). pair_attr: [P, D] edge attributes of the pairs, None where unknown.
    graph_of: [N] the number of the graph each node is in, below n_graphs; None where all nodes are one graph.
    """

    pairs: Tensor | None = None
    pair_attr: Tensor | None = None
    graph_of: Tensor | None = None
    n_graphs: int = 0


class GaussianHead(nn.Module):
    """rho: states [N, width] -> mean [N, T], log-variance [N, T] (natural logarithm); Wu & Jespersen 2023.

    `sigma_scale` [T] multiplies sigma. It is 1 during training and set once afterwards from the validation rows
    (`gnnlib.training.loss.sigma_scale`), and it travels with the weights.
    """

    sigma_scale: Tensor

    def __init__(self, width: int, hidden: int, n_targets: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.rho = _rho(width, hidden, 2 * n_targets, dropout)
        self.register_buffer("sigma_scale", torch.ones(n_targets))

    def forward(self, states: Tensor, where: Where) -> tuple[Tensor, Tensor]:
        mean, raw = self.rho(states).chunk(2, dim=-1)
        log_variance = _LOG_VARIANCE_LIMIT * torch.tanh(raw / _LOG_VARIANCE_LIMIT)
        return mean, log_variance + 2 * self.sigma_scale.log()


class ClassHead(nn.Module):
    """rho: states [N, width] -> a logit for each class [N, C]."""

    def __init__(self, width: int, hidden: int, n_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.rho = _rho(width, hidden, n_classes, dropout)

    def forward(self, states: Tensor, where: Where) -> tuple[Tensor, None]:
        return self.rho(states), None


class PairHead(nn.Module):
    """rho(s_a + s_b, |s_a - s_b|, edge) -> a logit for each pair of nodes [P, 1], the same for (a, b) and (b, a).

    The edge enters by `Where.pair_attr`, which must itself be the same both ways for the logit to be; a pair that is no
    edge, or of which nothing is known, has zeros there and says so by a column of its own.
    """

    def __init__(self, width: int, hidden: int, n_edge_features: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.n_edge_features = n_edge_features
        self.rho = _rho(2 * width + n_edge_features + 1, hidden, 1, dropout)

    def forward(self, states: Tensor, where: Where) -> tuple[Tensor, None]:
        if where.pairs is None:
            raise InputError("The edge task needs the pairs of objects to answer for; give `where.pairs` [2, P].")
        one, other = (states.index_select(0, end) for end in where.pairs)
        known = states.new_full((len(one), 1), float(where.pair_attr is not None))
        attr = states.new_zeros((len(one), self.n_edge_features)) if where.pair_attr is None else where.pair_attr
        return self.rho(torch.cat([one + other, (one - other).abs(), attr, known], dim=-1)), None


class GraphHead(nn.Module):
    """All nodes of a graph read out as one state, then a Gaussian: states [N, width] -> mean, log-variance [G, T].

    readout: "mean", "max", "sum" (through symlog, since sizes span decades) or "attention": a softmax over the
    nodes of a graph weighs them (Li et al. 2016, arXiv 1511.05493). A graph without nodes is read as zeros.
    """

    def __init__(self, width: int, hidden: int, n_targets: int, readout: str, dropout: float = 0.0) -> None:
        super().__init__()
        self.readout = readout
        self.gaussian = GaussianHead(width, hidden, n_targets, dropout)
        self.score = nn.Linear(width, 1) if readout == "attention" else None

    @property
    def sigma_scale(self) -> Tensor:
        return self.gaussian.sigma_scale

    def read(self, states: Tensor, graph_of: Tensor, n_graphs: int) -> Tensor:
        """[G, width]."""
        if self.score is not None:
            weights = segment_softmax(self.score(states), graph_of, n_graphs)
            return segment_sum(weights * states, graph_of, n_graphs)
        if self.readout == "sum":
            return symlog(segment_sum(states, graph_of, n_graphs))
        return {"mean": segment_mean, "max": segment_max}[self.readout](states, graph_of, n_graphs)

    def forward(self, states: Tensor, where: Where) -> tuple[Tensor, Tensor]:
        return self.gaussian(self.read(states, *graphs(where, states)), where)


Head = GaussianHead | ClassHead | PairHead | GraphHead


def make_head(task: Task, spec: ModelSpec, width: int, n_edge_features: int, n_outputs: int) -> Head:
    """The head of a task on states [N, width]; n_outputs: targets T, or classes C of a node classification."""
    if task == "node_regression":
        return GaussianHead(width, spec.hidden, n_outputs, spec.dropout)
    if task == "node_classification":
        return ClassHead(width, spec.hidden, n_outputs, spec.dropout)
    if task == "edge_classification":
        return PairHead(width, spec.hidden, n_edge_features, spec.dropout)
    return GraphHead(width, spec.hidden, n_outputs, spec.readout, spec.dropout)


def graphs(where: Where, states: Tensor) -> tuple[Tensor, int]:
    """graph_of [N] and the number of graphs; all nodes are one graph where nothing else is said."""
    if where.graph_of is None:
        return torch.zeros(len(states), dtype=torch.int64, device=states.device), 1
    return where.graph_of, where.n_graphs


def _rho(width: int, hidden: int, n_outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, n_outputs))
