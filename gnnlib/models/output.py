"""What every model returns: a Gaussian for each node and, where it has attention, the weights with their own edges."""

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
    """mean, log_variance (natural): [N, T] in the scaled target's unit. attention: one entry a layer, or ()."""

    mean: Tensor
    log_variance: Tensor
    attention: tuple[Attention, ...] = ()
