"""What every model returns: its answers and, where it has attention, the weights with their own edges."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Attention(NamedTuple):
    """The attention of one layer, never apart from the edges it belongs to.

    edge_index: [2, M] (row 0 source, row 1 receiver), the edges that were attended over, in the order of `weights`.
    weights: [M, U * heads], columns ordered copy by copy; each column sums to 1 over the edges of a receiver.
    self_loop: [M] bool, True where an edge joins a node to itself.
    """

    edge_index: Tensor
    weights: Tensor
    self_loop: Tensor


class Output(NamedTuple):
    """R rows: N nodes, P pairs or G graphs, as the task asks.

    mean: [R, T] in the scaled target's unit; classification of nodes: logits [R, C]; of pairs: logits [R, 1].
    log_variance (natural): [R, T]; None for classification. attention: one entry a layer, or (). edges: for models
    that find edges of their own, those of each layer and copy, [2, M_l] (layer by layer, copies side by side), or ().
    """

    mean: Tensor
    log_variance: Tensor | None
    attention: tuple[Attention, ...] = ()
    edges: tuple[Tensor, ...] = ()
