"""What fits into memory: the bytes that a step is predicted to need, against those that are free on the device."""

from __future__ import annotations

import torch

from gnnlib.models.memory import step_memory
from gnnlib.models.spec import ModelSpec
from gnnlib.training.devices import free_memory

SHARE = 0.8  # of the free memory; the rest is for what a prediction of this kind does not see


class Room:
    """How large a graph a model may work on at once. training False: when it predicts.

    limit: bytes, or None for what is free on the device now.
    """

    def __init__(
        self,
        spec: ModelSpec,
        n_features: int,
        n_edge_features: int,
        device: torch.device,
        limit: float | None = None,
        training: bool = True,
    ) -> None:
        self.needed = step_memory(spec, n_features, n_edge_features, training)
        free = free_memory(device)
        self.bytes = limit if limit is not None else float("inf") if free is None else SHARE * free

    def need(self, n_nodes: int, n_edges: int) -> float:
        """Bytes that a graph of this size is predicted to take."""
        return float(self.needed.at(n_nodes, n_edges))

    def fits(self, n_nodes: int, n_edges: int) -> bool:
        return self.need(n_nodes, n_edges) <= self.bytes

    def shrink(self, n_nodes: int, n_edges: int) -> None:
        """A graph of this size did not fit after all: allow half of it from now on."""
        self.bytes = min(self.bytes, self.need(n_nodes, n_edges)) / 2


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out: torch has a RuntimeError of its own kind for each device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "memory" in str(error)
