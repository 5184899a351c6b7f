"""The frame all models share: encode, U unshared copies of `depth` layers, concatenate, rho (Wu & Jespersen 2023)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gnnlib.errors import InputError
from gnnlib.models.edges import Edges
from gnnlib.models.geometry import Geometry
from gnnlib.models.heads import Where, graphs, make_head
from gnnlib.models.output import Attention, Output
from gnnlib.models.segments import segment_mean
from gnnlib.models.spec import ModelSpec, Task


class Step(NamedTuple):
    """What a layer hands on: the next xi [N, latent]; attention [M, heads] over the edges it was given, or None; the
    edges [2, M_l] it found itself, or None; and whatever else its kind of layer passes from one to the next."""

    xi: Tensor
    attention: Tensor | None = None
    found: Tensor | None = None
    carried: Any = None


class Frame(NamedTuple):
    """What every `build` function of a model gets: its spec and what goes in and comes out."""

    spec: ModelSpec
    n_features: int
    n_edge_features: int
    n_outputs: int
    task: Task


class Stack(nn.Module):
    """x -> xi^(0) -> U chains of layers -> rho([xi^(0), xi^(1,depth), .., xi^(U,depth)]).

    make_layer: called U * depth times with the number of the layer in its chain; a layer is a module
    (xi [N, latent], `Edges`, what the layer before carried or None) -> `Step`. The encoded input xi^(0) is kept beside
    the copies, so what a node says about itself never has to pass through its neighbours; with `self_path` an encoding
    of its own stands there.

    reach: how many edges away a node's output can depend on, None for the whole graph. needs_geometry: whether the
    vectors along the edges must be given.
    """

    def __init__(
        self,
        frame: Frame,
        make_layer: Callable[[int], nn.Module],
        steps: int | None = 1,
        needs_geometry: bool = False,
    ) -> None:
        """steps: how many edges away one layer looks, None for the whole graph."""
        super().__init__()
        spec = frame.spec
        self.reach = None if steps is None or spec.global_state else steps * spec.depth
        self.needs_geometry = needs_geometry
        self.encode = _encoder(frame)
        self.layers = nn.ModuleList(make_layer(number % spec.depth) for number in range(spec.unshared * spec.depth))
        self.depth = spec.depth
        width = spec.latent * (spec.unshared + 1)
        self.head = make_head(frame.task, spec, width, frame.n_edge_features, frame.n_outputs)
        self.globals = (
            nn.ModuleList(GlobalState(spec.latent, spec.hidden) for _ in self.layers) if spec.global_state else None
        )
        self.own = _encoder(frame) if spec.self_path else None

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor,
        geometry: Geometry | None = None,
        where: Where | None = None,
    ) -> Output:
        """x [N, F], edge_index [2, M] (source, receiver) in any order, edge_attr [M, D] -> Output.

        Raises InputError where the model needs the geometry, or its task the pairs, and they are missing.
        """
        if self.needs_geometry and geometry is None:
            raise InputError(
                "This model works on the vectors along the edges and was given none; choose a graph in 3D."
            )
        where = where or Where()
        edges = Edges.build(edge_index, edge_attr, geometry, *graphs(where, x))
        encoded = self.encode(x)
        states = [encoded if self.own is None else self.own(x)]
        steps: list[list[Step]] = []
        ahead = [Step(encoded)] * (len(self.layers) // self.depth)
        wholes: list[Tensor | None] = [None] * len(ahead)
        for level in range(self.depth):
            layers = [self.layers[copy * self.depth + level] for copy in range(len(ahead))]
            if self.globals is not None:
                for copy, step in enumerate(ahead):
                    xi, wholes[copy] = self.globals[copy * self.depth + level](step.xi, wholes[copy], edges)
                    ahead[copy] = step._replace(xi=xi)
            ahead = self.advance(layers, ahead, edges)
            steps.append(ahead)
        states += [step.xi for step in ahead]
        mean, log_variance = self.head(torch.cat(states, dim=-1), where)
        return Output(mean, log_variance, _attention(steps, edge_index, edges), _found(steps))

    def advance(self, layers: list[Any], ahead: list[Step], edges: Edges) -> list[Step]:
        """One level of all copies: each layer takes the step before it further."""
        return [layer(step.xi, edges, step.carried) for layer, step in zip(layers, ahead, strict=True)]


def _encoder(frame: Frame) -> nn.Sequential:
    """x [N, F] -> xi [N, latent]."""
    hidden, latent = frame.spec.hidden, frame.spec.latent
    return nn.Sequential(
        nn.Linear(frame.n_features, hidden), nn.SiLU(), nn.Linear(hidden, latent), nn.LayerNorm(latent)
    )


def _attention(steps: list[list[Step]], edge_index: Tensor, edges: Edges) -> tuple[Attention, ...]:
    self_loop = edge_index[0] == edge_index[1]
    weights = [[step.attention for step in level if step.attention is not None] for level in steps]
    return tuple(
        Attention(edge_index, edges.as_given(torch.cat(copies, dim=-1)), self_loop) for copies in weights if copies
    )


def _found(steps: list[list[Step]]) -> tuple[Tensor, ...]:
    found = [[step.found for step in level if step.found is not None] for level in steps]
    return tuple(torch.cat(copies, dim=-1) for copies in found if copies)


class GlobalState(nn.Module):
    """A state u of the whole graph beside those of the nodes (Battaglia et al. 2018, arXiv 1806.01261).

    Before a layer u' = u + MLP(u, mean_i xi_i), and every node hears it: xi_i + W u'. Through the nodes it so enters
    phi and psi, and through them the edges are in it. [N, latent] and u [G, latent] or None -> both anew.
    """

    def __init__(self, latent: int, hidden: int) -> None:
        super().__init__()
        self.update = nn.Sequential(nn.Linear(2 * latent, hidden), nn.SiLU(), nn.Linear(hidden, latent))
        self.norm = nn.LayerNorm(latent)
        self.tell = nn.Linear(latent, latent)

    def forward(self, xi: Tensor, whole: Tensor | None, edges: Edges) -> tuple[Tensor, Tensor]:
        mean = segment_mean(xi, edges.graph_of, edges.n_graphs)
        whole = torch.zeros_like(mean) if whole is None else whole
        whole = self.norm(whole + self.update(torch.cat([whole, mean], dim=-1)))
        return xi + self.tell(whole).index_select(0, edges.graph_of), whole


class Update(nn.Module):
    """psi: xi_i + MLP(xi_i, aggregated messages), then LayerNorm. [N, latent] and [N, width] -> [N, latent].

    own False: MLP(aggregated messages) alone, then LayerNorm; what a node is itself takes another way.
    """

    def __init__(self, latent: int, width: int, hidden: int, dropout: float, own: bool = True) -> None:
        super().__init__()
        self.own = own
        self.psi = nn.Sequential(
            nn.Linear(latent * own + width, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, latent)
        )
        self.norm = nn.LayerNorm(latent)

    def forward(self, xi: Tensor, aggregated: Tensor) -> Tensor:
        if not self.own:
            return self.norm(self.psi(aggregated))
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

    def forward(self, xi: Tensor, edges: Edges, attr: Tensor | None = None) -> Tensor:
        """attr: [M, D], the attributes of the edges where not given."""
        pair = self.receiver(xi).index_select(0, edges.receiver) + self.source(xi).index_select(0, edges.source)
        return pair if self.edge is None else pair + self.edge(edges.attr if attr is None else attr)
