"""Inputs and targets brought to zero mean and unit variance, with figures taken from the training rows only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph
from gnnlib.models.spec import Task

_SHORTEST = 1e-3  # shortest length in the logarithm, in units of the median training edge


@dataclass(frozen=True)
class Scaler:
    """(values - mean) / scale by column; mean, scale: [F] float64. A constant column keeps scale 1."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> Scaler:
        """values: [N, F]. No rows give mean 0 and scale 1 (a graph without edges)."""
        if not len(values):
            return cls(np.zeros(values.shape[1]), np.ones(values.shape[1]))
        mean, scale = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
        return cls(mean, np.where(scale > 1e-9 * np.maximum(1.0, np.abs(mean)), scale, 1.0))

    def transform(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(((values - self.mean) / self.scale).astype(np.float32))

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        return scaled * self.scale + self.mean


@dataclass(frozen=True)
class Scalers:
    """The scalers of one fold: node features, target, and what the model is told of an edge.

    median_length: of the training edges, in the catalog's length unit. speed: what velocities are divided by, km/s. The
    model gets every column of `Graph.edge_features` and, where "length" is among them, log10 of the length too:
    neighbours matter over decades of distance.
    """

    features: Scaler
    target: Scaler
    edges: Scaler
    median_length: float
    speed: float = 1.0

    @classmethod
    def fit(
        cls,
        graph: Graph,
        features: np.ndarray,
        target: np.ndarray,
        train: np.ndarray,
        learned: np.ndarray | None = None,
        task: Task = "node_regression",
        n_classes: int = 0,
        velocities: np.ndarray | None = None,
    ) -> Scalers:
        """graph: n nodes; features: [n, F]; train: [n] bool; target: [r] or [r, T] of the examples, of which those of
        `learned` [r] bool train (the nodes themselves where None). Edges count where both ends train.

        Logits are not scaled; those of pairs are shifted by the log odds of the training pairs, because both kinds
        weigh the same in training. Raises InputError where a training row has a feature or target that is missing or
        infinite.
        """
        target, learned = _columns(target), train if learned is None else learned
        for name, values, rows in (("features", features, train), ("target", target, learned)):
            if bad := int((~np.isfinite(values[rows])).any(axis=1).sum()):
                raise InputError(
                    f"{bad} training rows have missing or infinite values in the {name}; remove them with a cut."
                )
        if not train.any():
            raise InputError("There is no row left to train on; use fewer folds, a smaller buffer or a weaker cut.")
        source, receiver = graph.edge_index
        inside = train[source] & train[receiver] & ~graph.self_loop
        median = float(np.median(graph.lengths[inside])) if inside.any() else 1.0
        edges = Scaler.fit(_edge_columns(graph, median)[inside])
        return cls(
            Scaler.fit(features[train]),
            _of_target(target[learned], task, n_classes),
            edges,
            median,
            _speed(velocities, train),
        )

    @property
    def n_edge_features(self) -> int:
        """D of the edge attributes the model is given."""
        return len(self.edges.mean)

    def edge_attributes(self, graph: Graph) -> Tensor:
        """[M, D] float32."""
        return self.edges.transform(_edge_columns(graph, self.median_length))

    def state(self) -> dict[str, Tensor]:
        """Everything as named float64 tensors, ready for safetensors."""
        named = {"features": self.features, "target": self.target, "edges": self.edges}
        out = {f"{name}.{part}": torch.from_numpy(getattr(s, part)) for name, s in named.items() for part in _PARTS}
        return out | {
            "median_length": torch.tensor([self.median_length], dtype=torch.float64),
            "speed": torch.tensor([self.speed], dtype=torch.float64),
        }

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> Scalers:
        """The inverse of `state`."""
        features, target, edges = (
            Scaler(*(state[f"{name}.{part}"].numpy() for part in _PARTS)) for name in ("features", "target", "edges")
        )
        return cls(features, target, edges, float(state["median_length"]), float(state.get("speed", 1.0)))


_PARTS = ("mean", "scale")


def _speed(velocities: np.ndarray | None, train: np.ndarray) -> float:
    """The root mean square speed of the training rows in km/s; 1 where none is known."""
    if velocities is None:
        return 1.0
    speed = float(np.sqrt(np.nanmean(np.square(velocities[train]).sum(axis=1))))
    return speed if np.isfinite(speed) and speed > 0 else 1.0


def _of_target(target: np.ndarray, task: Task, n_classes: int) -> Scaler:
    """target: [r, T] of the training examples."""
    if task == "node_classification":
        return Scaler(np.zeros(n_classes), np.ones(n_classes))
    if task == "edge_classification":
        together = target.mean(axis=0)
        return Scaler(np.log(together / (1 - together)), np.ones(1))
    return Scaler.fit(target)


def _columns(values: np.ndarray) -> np.ndarray:
    return values[:, None] if values.ndim == 1 else values


def _edge_columns(graph: Graph, median_length: float) -> np.ndarray:
    """[M, D]: the graph's edge features, and log10 length where the length is among them."""
    if "length" not in graph.spec.edge_features:
        return graph.edge_features
    logarithm = np.log10(np.maximum(graph.lengths, _SHORTEST * median_length) / median_length)
    return np.column_stack([graph.edge_features, logarithm])
