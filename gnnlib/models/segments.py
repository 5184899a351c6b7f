"""Reductions over the edges of each receiver, in plain torch and exact for any edge order.

`values` is [M, ...], `receiver` [M] int64, the result [n, ...]. A receiver without edges gets zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor


def segment_sum(values: Tensor, receiver: Tensor, n: int) -> Tensor:
    return values.new_zeros((n, *values.shape[1:])).index_add(0, receiver, values)


def segment_mean(values: Tensor, receiver: Tensor, n: int) -> Tensor:
    count = segment_count(receiver, n, values).clamp(min=1)
    return segment_sum(values, receiver, n) / count.view(-1, *[1] * (values.ndim - 1))


def segment_max(values: Tensor, receiver: Tensor, n: int) -> Tensor:
    index = receiver.view(-1, *[1] * (values.ndim - 1)).expand_as(values)
    zeros = values.new_zeros((n, *values.shape[1:]))
    return zeros.scatter_reduce(0, index, values, "amax", include_self=False)


def segment_softmax(logits: Tensor, receiver: Tensor, n: int) -> Tensor:
    """exp(logits) divided by its sum over the edges of the same receiver, [M, ...]."""
    exponential = (logits - segment_max(logits.detach(), receiver, n)[receiver]).exp()
    return exponential / segment_sum(exponential, receiver, n)[receiver]


def symlog(values: Tensor) -> Tensor:
    """sign(v) log(1 + |v|): linear near 0, logarithmic far out. Sums over edges span decades."""
    return values.sign() * values.abs().log1p()


def segment_count(receiver: Tensor, n: int, like: Tensor) -> Tensor:
    """Edges of each receiver, [n], in the type of `like`."""
    return torch.bincount(receiver, minlength=n).to(like.dtype)
