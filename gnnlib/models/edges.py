"""The edges as layers see them: sorted by receiver once for all layers, with what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from gnnlib.models.geometry import Geometry


@dataclass(frozen=True)
class Edges:
    """M edges over n nodes, sorted by receiver.

    source, receiver: [M]; attr: [M, D]; vectors: [M, 3] or None; velocity: [n, 3] or None; graph_of [n] with n_graphs:
    the graph of each node. order: [M] the place of each in the edges as they were given, None where that is the same.
    """

    source: Tensor
    receiver: Tensor
    attr: Tensor
    n: int
    vectors: Tensor | None
    velocity: Tensor | None
    graph_of: Tensor
    n_graphs: int
    order: Tensor | None

    @classmethod
    def build(
        cls,
        edge_index: Tensor,
        edge_attr: Tensor,
        geometry: Geometry | None,
        graph_of: Tensor,
        n_graphs: int,
    ) -> Edges:
        """From edge_index [2, M], edge_attr [M, D] in any order, and the graph of each node [n]."""
        vectors, velocity = (None, None) if geometry is None else geometry
        source, receiver = edge_index
        order = None
        if len(receiver) and bool((receiver[1:] < receiver[:-1]).any()):
            order = torch.argsort(receiver, stable=True)
            source, receiver, edge_attr = source[order], receiver[order], edge_attr[order]
            vectors = None if vectors is None else vectors[order]
        return cls(source, receiver, edge_attr, len(graph_of), vectors, velocity, graph_of, n_graphs, order)

    def as_given(self, values: Tensor) -> Tensor:
        """Values of the edges [M, ...] in the order in which the edges were given."""
        if self.order is None:
            return values
        return torch.empty_like(values).index_copy(0, self.order, values)

    @cached_property
    def count(self) -> Tensor:
        """Edges of each receiver, [n]."""
        return torch.bincount(self.receiver, minlength=self.n)

    @cached_property
    def _ends(self) -> np.ndarray:
        """Edges of each receiver and all before it, [n]."""
        return self.count.cumsum(0).cpu().numpy()

    def pieces(self, most: int) -> list[tuple[slice, slice]]:
        """Receivers and their edges, in order, in pieces of at most so many edges or one receiver; only what has
        edges."""
        pieces = []
        node, edge, ends = 0, 0, self._ends
        while edge < len(self.receiver):
            following = max(int(np.searchsorted(ends, edge + most, side="right")), node + 1)
            end = int(ends[following - 1])
            if end > edge:
                pieces.append((slice(node, following), slice(edge, end)))
            node, edge = following, end
        return pieces
