"""How much memory a training step needs, before it is taken: measured on two small graphs, and linear from there.

Every tensor of a step has a row a node, a row an edge or neither, so memory is fixed + a node's + an edge's share. The
shares are read from a real step, forward and backward, by watching which tensors live at the same time; what a kernel
takes for itself while it runs is not seen (up to a tenth).
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gnnlib.models.geometry import Geometry
from gnnlib.models.registry import build_model
from gnnlib.models.spec import ModelSpec

SIZES = ((500, 10_000), (500, 20_000), (1_000, 20_000))  # nodes and edges of the graphs that are tried


@dataclass(frozen=True)
class StepMemory:
    """Bytes at the peak of a training step beyond its inputs: fixed, and for each node and each edge."""

    fixed: float
    per_node: float
    per_edge: float

    def at(self, n_nodes: np.ndarray | float, n_edges: np.ndarray | float) -> np.ndarray | float:
        """Bytes for graphs of these sizes: numbers, or arrays that broadcast."""
        return self.fixed + self.per_node * n_nodes + self.per_edge * n_edges


@lru_cache(maxsize=64)
def step_memory(spec: ModelSpec, n_features: int, n_edge_features: int, training: bool = True) -> StepMemory:
    """The memory of a training step of this model on a whole graph in float32; a batch needs that of its own part.

    n_features: F of x [N, F]; n_edge_features: D of edge_attr [M, D]. training False: of a prediction. Takes a fraction
    of a second.
    """
    peaks = [_peak(spec, n_features, n_edge_features, nodes, edges, training) for nodes, edges in SIZES]
    sizes = np.array([[1, nodes, edges] for nodes, edges in SIZES], dtype=np.float64)
    fixed, per_node, per_edge = np.linalg.solve(sizes, np.array(peaks, dtype=np.float64))
    return StepMemory(float(fixed), float(per_node), float(per_edge))


def _peak(spec: ModelSpec, n_features: int, n_edge_features: int, n_nodes: int, n_edges: int, training: bool) -> int:
    """Bytes of all tensors alive at once during a step, its inputs and the weights not counted."""
    model = build_model(spec, n_features, n_edge_features)
    x, edge_attr = torch.zeros(n_nodes, n_features), torch.zeros(n_edges, n_edge_features)
    numbers = torch.arange(n_edges)
    edge_index = torch.stack([numbers % n_nodes, numbers * n_nodes // n_edges])
    velocity = torch.zeros(n_nodes, 3) if spec.velocities else None
    geometry = Geometry(torch.zeros(n_edges, 3), velocity) if model.needs_geometry else None
    with _LiveBytes() as live, torch.set_grad_enabled(training):
        output = model(x, edge_index, edge_attr, geometry)
        if training:
            assert output.log_variance is not None
            (output.mean.sum() + output.log_variance.sum()).backward()
    return live.peak


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of storages that operations make, as long as these live."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {leaf.untyped_storage()._cdata for leaf in tree_leaves(args) if isinstance(leaf, torch.Tensor)}
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                if storage._cdata not in given and storage._cdata not in self.known:
                    self._watch(storage)
        return result

    def _watch(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self.known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size
