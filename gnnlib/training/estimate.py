"""What a run will take, before it is started: the time of a few real steps, and the memory of the largest of them.

The first fold's networks are trained for a moment on the run's own graph; all else is arithmetic, so it holds as far as
folds are alike. Baselines that are no networks come on top.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from gnnlib.graph.features import GROUPS
from gnnlib.graph.graph import Graph
from gnnlib.models.memory import step_memory
from gnnlib.models.stack import Stack
from gnnlib.training.baselines import BASELINES
from gnnlib.training.crossvalidation import NETWORK_SHARE, set_up
from gnnlib.training.data import TrainingData
from gnnlib.training.devices import describe, free_memory, resolve
from gnnlib.training.handmade import HandMade
from gnnlib.training.loop import Batches, EpochReport, FoldData, fit
from gnnlib.training.run import Run
from gnnlib.training.spec import RunSpec

SAME = ("model", "task", "features", "batch_size", "seeds", "baselines", "device")  # of runs that take alike
PATIENCE_S = 3.0  # how long one network is tried
SIZED = 3  # batches whose size is looked at


@dataclass(frozen=True)
class Estimate:
    """seconds: of all folds. memory: bytes at the peak of a step or a prediction, with the fold it is of;
    free: bytes that the device has left, None where it does not tell. steps: that were timed. device: in words.
    """

    seconds: float
    memory: float
    free: int | None
    steps: int
    device: str

    @property
    def fits(self) -> bool:
        return self.free is None or self.memory < self.free


def estimate(data: TrainingData) -> Estimate:
    """Train on the first fold for a few seconds. Raises InputError as training does."""
    spec, device = data.spec, resolve(data.spec.device)
    began = time.perf_counter()
    made = HandMade(data, data.folds[0])
    own = made.nodes("own")[0]
    model, fold, _ = set_up(data, 0, spec, own)
    ready = time.perf_counter() - began
    one, steps = _seconds(data, spec, own, device)
    networks = one * spec.seeds
    trained = sum(BASELINES[name].trained for name in data.baselines)
    if trained:  # the networks without edges, all of nearly the same size
        without = {"name": "pointwise", "global_state": False, "velocities": False}
        alone = spec.model_copy(update={"model": spec.model.model_copy(update=without)})
        networks += trained * _seconds(data, alone, own, device)[0]
    if device.type == "cuda":
        torch.cuda.empty_cache()  # the process that asks is not the one that trains
    return Estimate(
        seconds=spec.folds * (ready + networks) / NETWORK_SHARE,
        memory=_memory(model, fold, spec, data.graph.subgraph(data.folds[0].inference_graph)),
        free=free_memory(device),
        steps=steps,
        device=describe(device),
    )


def _seconds(data: TrainingData, spec: RunSpec, features: np.ndarray, device: torch.device) -> tuple[float, int]:
    """Of one network of the first fold, from as many steps as can be had in a moment; and how many those were."""
    model, fold, _ = set_up(data, 0, spec, features)
    an_epoch = len(Batches(fold, model.reach, spec.batch_size))
    moments: list[float] = []
    epochs: list[EpochReport] = []

    def enough() -> bool:
        moments.append(time.perf_counter())
        return len(moments) > 2 and moments[-1] - moments[0] > PATIENCE_S

    fit(model, fold, spec.model_copy(update={"epochs": 2}), device, epochs.append, enough)
    if len(epochs) == 2:  # the first one warms up
        return spec.epochs * (epochs[1].seconds - epochs[0].seconds), 2 * an_epoch
    a_step = (moments[-1] - moments[1]) / (len(moments) - 2)
    return spec.epochs * an_epoch * a_step, len(moments) - 1


def _memory(model: Stack, fold: FoldData, spec: RunSpec, asked: Graph) -> float:
    """Bytes of the fold, and of a step on the largest of some of its batches or of the prediction on the graph `asked`,
    whichever is more.
    """
    widths = fold.x.shape[1], fold.edge_attr.shape[1]
    batches = islice(Batches(fold, model.reach, spec.batch_size), SIZED)
    sizes = [(len(batch.x), batch.edge_index.shape[1]) for batch in batches]
    steps = [float(step_memory(spec.model, *widths).at(*size)) for size in sizes]
    prediction = float(step_memory(spec.model, *widths, training=False).at(asked.n_nodes, asked.n_edges))
    tensors = (fold.x, fold.y, fold.edge_index, fold.edge_attr, fold.geometry.vectors)
    return sum(tensor.nbytes for tensor in tensors) + max(*steps, prediction)


def whole_graph(spec: RunSpec, n_nodes: int, n_edges: int) -> float:
    """Bytes of a step on all rows at once, which no batch exceeds."""
    columns = sum(len(GROUPS[name].columns) for name in spec.graph.edge_features)
    return float(step_memory(spec.model, max(1, len(spec.features)), columns).at(n_nodes, n_edges))


def from_runs(spec: RunSpec, n_edges: int, runs: Sequence[Run]) -> tuple[float, Run] | None:
    """What a finished run of the same networks and baselines on this device took, in proportion to edges, epochs and
    folds: seconds, and the run. None where there is none.
    """
    here = describe(resolve(spec.device))
    for run in runs:
        if run.status.state != "finished":
            continue
        other, results = run.spec, run.results
        if any(getattr(other, name) != getattr(spec, name) for name in SAME) or results["device"] != here:
            continue
        work = (n_edges / max(1, results["graph"]["edges"])) * (spec.epochs / other.epochs) * (spec.folds / other.folds)
        return results["seconds"] * work, run
    return None
