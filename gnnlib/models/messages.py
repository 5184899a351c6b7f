"""phi and its aggregation in one pass over the edges, a piece at a time that fits the cache, with its own gradient.

Messages of all unshared copies are computed side by side: W_2 silu(W_r x_i + W_s x_j + W_e e_ij) + b. What is kept for
the gradient is one truth value a message (whether it is the largest); everything else is computed again, which in a
cache costs less than fetching it from memory. So a step needs few bytes an edge, and a gradient of gradients there is
not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnlib.models.edges import Edges

_VARIANCE_FLOOR = 1e-6  # keeps the gradient of the root finite where all messages agree
_WORKING_SET = {"cpu": 2 << 20}  # bytes of one [edges of a piece, U * hidden] array
_DEVICE_WORKING_SET = 1 << 30  # of a processor that wants much to do at once


def aggregated_messages(
    of_receiver: Tensor,
    of_source: Tensor,
    attr: Tensor,
    edge_weight: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    edges: Edges,
    names: tuple[str, ...],
) -> tuple[Tensor, ...]:
    """The aggregations `names` over the edges of each receiver, each [N, U, L], zeros without edges; float32 or better.

    of_receiver, of_source: [N, U * W], the node parts of phi's first layer; attr: [M, D]; edge_weight: [U * W, D] or
    None; weight: [U, L, W] and bias: [U, L] of phi's second layer.
    """
    if edge_weight is None:
        edge_weight, attr = of_receiver.new_zeros(of_receiver.shape[1], 0), attr[:, :0]
    return _Messages.apply(of_receiver, of_source, attr, edge_weight, weight, bias, edges, names)


class _Room:
    """Arrays that every piece uses anew: what was just written is in the cache, fresh memory is not even mapped."""

    def __init__(self, longest: int, like: Tensor) -> None:
        self.longest, self.like = longest, like
        self.arrays: dict[str, Tensor] = {}

    def take(self, name: str, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        """[rows, width], with whatever was in it."""
        if name not in self.arrays:
            self.arrays[name] = self.like.new_empty((self.longest, width), dtype=dtype)
        return self.arrays[name][:rows]


class _Piece:
    """One piece of the work: the edges `at` with receivers `nodes`, both slices, and phi's hidden layer on them."""

    def __init__(self, tensors: tuple[Tensor, ...], edges: Edges, nodes: slice, at: slice, room: _Room) -> None:
        of_receiver, of_source, attr, edge_weight, self.weight, self.bias = tensors
        self.nodes, self.at, self.n, self.room = nodes, at, nodes.stop - nodes.start, room
        self.source, receiver = edges.source[at], edges.receiver[at]
        self.local = receiver - nodes.start
        self.attr = attr[at]
        self.hidden, self.spare, self.gate = (
            room.take(name, len(receiver), of_receiver.shape[1], of_receiver.dtype)
            for name in ("hidden", "spare", "gate")
        )
        torch.index_select(of_source, 0, self.source, out=self.hidden)
        torch.index_select(of_receiver, 0, receiver, out=self.spare)
        self.hidden.add_(self.spare)
        if attr.shape[1]:
            self.hidden.addmm_(self.attr, edge_weight.T)

    def by_copy(self, values: Tensor) -> Tensor:
        """[m, U * width] as [U, m, width], without moving anything."""
        return values.unflatten(1, (len(self.weight), -1)).transpose(0, 1)

    def messages(self, activated: Tensor) -> Tensor:
        """[m, U * L]."""
        out = self.room.take("message", len(activated), self.bias.numel(), activated.dtype)
        for copy, part in enumerate(self.by_copy(out)):
            torch.addmm(self.bias[copy], self.by_copy(activated)[copy], self.weight[copy].T, out=part)
        return out

    def sum(self, values: Tensor) -> Tensor:
        """[n, ...] over the edges of each receiver, in float32 or better."""
        kind = torch.promote_types(values.dtype, torch.float32)
        total = torch.zeros((self.n, *values.shape[1:]), dtype=kind, device=values.device)
        return total.index_add_(0, self.local, values.to(kind))

    def spread(self, values: Tensor, name: str) -> Tensor:
        """[n, width] of the receivers to each of their edges; each name is one array, good until it is asked for
        again."""
        out = self.room.take(name, len(self.local), values.shape[1], values.dtype)
        return torch.index_select(values, 0, self.local, out=out)


class _Messages(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, ...]:
        *tensors, edges, names = given
        with torch.autocast(given[0].device.type, enabled=False):
            return _Messages._forward(ctx, _same_type(tensors), edges, names)

    @staticmethod
    def _forward(ctx: Any, tensors: tuple[Tensor, ...], edges: Edges, names: tuple[str, ...]) -> tuple[Tensor, ...]:
        of_receiver, weight = tensors[0], tensors[4]
        copies, latent = weight.shape[:2]
        kind = torch.promote_types(of_receiver.dtype, torch.float32)
        out = {name: of_receiver.new_zeros((edges.n, copies * latent), dtype=kind) for name in names}
        largest = None
        if "max" in names and any(ctx.needs_input_grad):
            largest = torch.empty((len(edges.source), copies * latent), dtype=torch.bool, device=of_receiver.device)
        count = edges.count.to(kind).clamp(min=1).unsqueeze(1)
        for piece in _pieces(tensors, edges):
            message = piece.messages(
                piece.hidden.mul_(torch.sigmoid(piece.hidden, out=piece.gate))
            )  # silu, in half its time
            total = piece.sum(message)
            mean = total / count[piece.nodes]
            for name in names:
                if name == "sum":
                    out[name][piece.nodes] = total
                elif name == "mean":
                    out[name][piece.nodes] = mean
                elif name == "std":
                    variance = piece.sum((message - piece.spread(mean, "mean")).square()) / count[piece.nodes]
                    out[name][piece.nodes] = (variance + _VARIANCE_FLOOR).sqrt() - _VARIANCE_FLOOR**0.5
                else:
                    index = piece.local.unsqueeze(1).expand_as(message)
                    top = message.new_zeros(piece.n, message.shape[1])
                    top.scatter_reduce_(0, index, message, "amax", include_self=False)
                    out[name][piece.nodes] = top
                    if largest is not None:
                        torch.eq(message, piece.spread(top, "top"), out=largest[piece.at])
        ctx.edges, ctx.names, ctx.largest = edges, names, largest
        ctx.save_for_backward(*tensors)
        return tuple(values.unflatten(1, (copies, latent)) for values in out.values())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        with torch.autocast(gradients[0].device.type, enabled=False):
            return _Messages._backward(ctx, *gradients)

    @staticmethod
    def _backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        edges, names = ctx.edges, ctx.names
        tensors = ctx.saved_tensors
        of_receiver, _, attr, edge_weight, weight, _ = tensors
        count = edges.count.to(gradients[0].dtype).clamp(min=1).unsqueeze(1)
        of = {name: gradient.flatten(1) for name, gradient in zip(names, gradients, strict=True)}
        evenly = torch.zeros_like(next(iter(of.values())))  # reaches every message of a receiver alike
        evenly = evenly + of["sum"] if "sum" in of else evenly
        evenly = evenly + of["mean"] / count if "mean" in of else evenly
        out = [torch.zeros_like(tensor) for tensor in tensors]
        to_receiver, to_source, to_attr, _, to_weight, to_bias = out
        to_edge_weight = edge_weight.new_zeros(edge_weight.shape[::-1])  # this way round the product is quick
        for piece in _pieces(tensors, edges):
            gate = torch.sigmoid(piece.hidden, out=piece.gate)
            activated = piece.hidden.mul_(gate)
            given = piece.spread(evenly[piece.nodes], "given")
            if "max" in of:
                largest = piece.room.take("largest", len(given), given.shape[1], given.dtype).copy_(
                    ctx.largest[piece.at]
                )
                share = of["max"][piece.nodes] / piece.sum(largest).clamp(min=1)  # ties share alike
                given.addcmul_(piece.spread(share, "share"), largest)
            if "std" in of:
                given += _through_std(piece, piece.messages(activated), count[piece.nodes], of["std"][piece.nodes])
            given = given.to(of_receiver.dtype)
            given_by_copy, active_by_copy = piece.by_copy(given), piece.by_copy(activated)
            to_weight.baddbmm_(given_by_copy.transpose(1, 2), active_by_copy)
            to_bias += given.sum(0).view_as(to_bias)
            onto = piece.spare
            for copy, part in enumerate(piece.by_copy(onto)):
                torch.mm(given_by_copy[copy], weight[copy], out=part)
            slope = gate.addcmul_(gate, activated, value=-1).add_(activated)  # of silu a with its gate s: s - s a + a
            onto.mul_(slope)
            if attr.shape[1]:
                to_edge_weight.addmm_(piece.attr.T, onto)
                if ctx.needs_input_grad[2]:
                    torch.mm(onto, edge_weight, out=to_attr[piece.at])
            to_receiver[piece.nodes].index_add_(0, piece.local, onto)
            to_source.index_add_(0, piece.source, onto)
        out[3] = to_edge_weight.T
        return (*out, None, None)


def _through_std(piece: _Piece, message: Tensor, count: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of the standard deviation to each message [m, U * L]."""
    deviation = message - piece.spread(piece.sum(message) / count, "mean")
    variance = piece.sum(deviation.square()) / count
    return piece.spread(gradient / (count * (variance + _VARIANCE_FLOOR).sqrt()), "mean") * deviation


def _same_type(tensors: list[Tensor]) -> tuple[Tensor, ...]:
    """All in the type of the first, which autocast may have shortened."""
    return tuple(tensor.to(tensors[0].dtype) for tensor in tensors)


def _pieces(tensors: tuple[Tensor, ...], edges: Edges) -> Iterator[_Piece]:
    """The edges in pieces, each with all edges of its receivers; pieces without edges are left out."""
    of_receiver = tensors[0]
    width = of_receiver.shape[1]
    room = _WORKING_SET.get(of_receiver.device.type, _DEVICE_WORKING_SET)
    pieces = edges.pieces(max(1, room // (width * of_receiver.element_size())))
    longest = max((at.stop - at.start for _, at in pieces), default=0)
    space = _Room(longest, of_receiver)
    for nodes, at in pieces:
        yield _Piece(tensors, edges, nodes, at, space)
