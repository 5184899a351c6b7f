"""Message passing as PyG writes it, the reference for values and speed: pairs concatenated, every edge in memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing, MultiAggregation

from gnnlib.models.message_passing import MessagePassingLayer
from gnnlib.models.segments import symlog
from gnnlib.models.stack import Stack


class PlainLayer(MessagePassing):
    """The same function as a `MessagePassingLayer`, with weights of its own that equal that layer's."""

    def __init__(self, layer: MessagePassingLayer) -> None:
        super().__init__(aggr=MultiAggregation(list(layer.aggregation)))
        pair = layer.pair
        parts = [pair.receiver.weight, pair.source.weight, *([pair.edge.weight] if pair.edge is not None else [])]
        first = torch.cat([part.detach() for part in parts], dim=1)
        end = nn.Linear(*layer.phi[1].weight.shape[::-1])
        end.load_state_dict(layer.phi[1].state_dict())
        self.phi = nn.Sequential(nn.Linear(*first.shape[::-1]), nn.SiLU(), end).to(first.dtype)
        self.phi[0].load_state_dict({"weight": first, "bias": pair.receiver.bias.detach()})
        self.update_with = layer.update

    def forward(self, xi: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        aggregated = self.propagate(edge_index, x=xi, edge_attr=edge_attr, size=(len(xi), len(xi)))
        return self.update_with(xi, symlog(aggregated))

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: Tensor) -> Tensor:
        return self.phi(torch.cat([x_i, x_j, edge_attr], dim=-1))


class PlainModel(nn.Module):
    """A message-passing `Stack` copy by copy and layer by layer in the plain form; shares all but phi with it."""

    def __init__(self, model: Stack) -> None:
        super().__init__()
        self.encode, self.own, self.head, self.depth = model.encode, model.own, model.head, model.depth
        self.layers = nn.ModuleList(PlainLayer(layer) for layer in model.layers)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """The head's mean [N, T]."""
        encoded = self.encode(x)
        xi, states = encoded, [encoded if self.own is None else self.own(x)]
        for number, layer in enumerate(self.layers):
            xi = layer(encoded if number % self.depth == 0 else xi, edge_index, edge_attr)
            if number % self.depth == self.depth - 1:
                states.append(xi)
        return self.head.rho(torch.cat(states, dim=-1)).chunk(2, dim=-1)[0]

    def gradients(self) -> list[Tensor]:
        """Of phi, in the order and form of `own_gradients`."""
        return [p.grad for layer in self.layers for p in layer.phi.parameters()]


def own_gradients(model: Stack) -> list[Tensor]:
    """The gradients of phi in a message-passing model, its first layer's put together again."""
    found = []
    for layer in model.layers:
        pair = layer.pair
        parts = [pair.receiver.weight, pair.source.weight, *([pair.edge.weight] if pair.edge is not None else [])]
        found.append(torch.cat([part.grad for part in parts], dim=1))
        found += [pair.receiver.bias.grad, layer.phi[1].weight.grad, layer.phi[1].bias.grad]
    return found
