"""One fold's training and prediction: AdamW on batches of rows, a one-cycle rate, the best validation weights kept.

Every random choice follows from `RunSpec.seed`; on the CPU equal runs give equal numbers (on a GPU sums over edges
may differ in the last digits).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse
import torch
from scipy.sparse.csgraph import reverse_cuthill_mckee
from torch import Tensor, nn

from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph
from gnnlib.models.heads import GaussianHead, GraphHead
from gnnlib.models.output import Attention, Output
from gnnlib.models.stack import Stack
from gnnlib.training.devices import training_cores
from gnnlib.training.loss import BETA, gaussian_nll, sigma_scale
from gnnlib.training.scaling import Scalers
from gnnlib.training.spec import RunSpec

_GRADIENT_NORM = 1.0
_WARM_UP = 0.2
_FEWEST_STEPS = 16  # of the optimizer in an epoch, as far as there are rows
_PATCH = 32  # training rows that stay together in a batch
_SMALLEST_CALIBRATION = 20  # validation rows below which sigma is left as the network gave it


@dataclass(frozen=True)
class FoldData:
    """What `fit` sees of a fold, already scaled: x [n, F], y [n, T], edge_index [2, M] sorted by receiver,
    edge_attr [M, D].

    train, validation: [n] bool, disjoint; rows in neither (a buffer) pass messages and are never in the loss.
    Nothing here belongs to the test part.
    """

    x: Tensor
    y: Tensor
    edge_index: Tensor
    edge_attr: Tensor
    train: Tensor
    validation: Tensor

    @classmethod
    def build(
        cls,
        graph: Graph,
        features: np.ndarray,
        target: np.ndarray,
        train: np.ndarray,
        validation: np.ndarray,
        scalers: Scalers,
    ) -> FoldData:
        """From the training graph and its n nodes' unscaled features [n, F], target [n] or [n, T] and masks [n]."""
        x, edge_index, edge_attr = _inputs(graph, features, scalers)
        y = torch.nan_to_num(scalers.target.transform(target[:, None] if target.ndim == 1 else target))
        return cls(x, y, edge_index, edge_attr, torch.from_numpy(train), torch.from_numpy(validation))

    def to(self, device: torch.device) -> FoldData:
        return FoldData(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class Batch(NamedTuple):
    """Some rows of a fold with all that their outputs depend on: their receptive field as a graph of its own.

    x [b, F], edge_index [2, m], edge_attr [m, D]; rows: indices [r] of the rows that count, with their y [r, T]; share:
    r as a fraction of all training rows.
    """

    x: Tensor
    edge_index: Tensor
    edge_attr: Tensor
    rows: Tensor
    y: Tensor
    share: float


class Batches:
    """The training rows of a fold in batches, shuffled anew at each pass; outputs are exactly those of the whole graph.

    reach: how many edges away a row's output can depend on, None for the whole graph. batch_size: rows in a batch at most; a small
    catalog gets smaller batches, so that a pass is always a fair number of steps. A batch is some patches of
    neighbouring rows, so that their receptive fields overlap.
    """

    def __init__(self, data: FoldData, reach: int | None, batch_size: int) -> None:
        self.data, self.reach = data, reach
        self.edges_of = torch.bincount(data.edge_index[1], minlength=len(data.x))
        self.first_edge = torch.cumsum(self.edges_of, dim=0) - self.edges_of
        along = _along_the_graph(data)
        self.n_train = int(data.train.sum())
        size = max(1, min(batch_size, self.n_train // _FEWEST_STEPS))
        self.patches = along[data.train[along]].split(min(_PATCH, size))
        self.per_batch = max(1, size // _PATCH)

    def __len__(self) -> int:
        return -(-len(self.patches) // self.per_batch)

    def __iter__(self) -> Iterator[Batch]:
        for chosen in torch.randperm(len(self.patches)).split(self.per_batch):
            yield self.around(torch.cat([self.patches[number] for number in chosen.tolist()]))

    def around(self, rows: Tensor) -> Batch:
        """The nodes `rows` (indices [r]) and whatever reaches them in `reach` steps."""
        nodes, edges = rows, rows.new_zeros(0)
        if self.reach is None:
            share = len(rows) / self.n_train
            return Batch(self.data.x, self.data.edge_index, self.data.edge_attr, rows, self.data.y[rows], share)
        for _ in range(self.reach):
            edges = self._edges_into(nodes)
            reached = torch.zeros_like(self.data.train)
            reached[nodes] = reached[self.data.edge_index[0, edges]] = True
            nodes = reached.nonzero().flatten()
        number = torch.empty_like(self.edges_of)
        number[nodes] = torch.arange(len(nodes), device=nodes.device)
        inside = number[self.data.edge_index[:, edges]]
        share = len(rows) / self.n_train
        return Batch(self.data.x[nodes], inside, self.data.edge_attr[edges], number[rows], self.data.y[rows], share)

    def _edges_into(self, nodes: Tensor) -> Tensor:
        """Indices of the edges whose receiver is among `nodes`; they lie together, sorted by receiver."""
        counts = self.edges_of[nodes]
        skipped = self.first_edge[nodes] - (torch.cumsum(counts, dim=0) - counts)
        return torch.arange(int(counts.sum()), device=nodes.device) + torch.repeat_interleave(skipped, counts)


def _along_the_graph(data: FoldData) -> Tensor:
    """All nodes in an order that keeps neighbours together (reverse Cuthill-McKee), [n]."""
    source, receiver = data.edge_index.cpu().numpy()
    n = len(data.x)
    links = scipy.sparse.csr_array((np.ones(len(source), dtype=bool), (receiver, source)), shape=(n, n))
    return torch.from_numpy(reverse_cuthill_mckee(links).astype(np.int64)).to(data.x.device)


@dataclass(frozen=True)
class EpochReport:
    """One line of the log. Losses: mean negative log-likelihood of the scaled target, None without validation rows."""

    epoch: int
    epochs: int
    train_loss: float
    validation_loss: float | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class FitResult:
    """state_dict: the weights of `best_epoch` (the last, and 0, without validation rows), on the CPU. stopped: by
    `should_stop`, before all epochs were done."""

    state_dict: dict[str, Tensor]
    history: tuple[EpochReport, ...]
    best_epoch: int
    seconds: float
    stopped: bool


@dataclass(frozen=True)
class Prediction:
    """mean, sigma: [n] (or [n, T]) float64 in the target's unit. attention: one entry a layer, on the CPU, or ()."""

    mean: np.ndarray
    sigma: np.ndarray
    attention: tuple[Attention, ...]


def fit(
    model: Stack,
    data: FoldData,
    spec: RunSpec,
    device: torch.device,
    on_epoch: Callable[[EpochReport], None] = lambda report: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> FitResult:
    """Train `model` in place on one fold and leave in it the best validation weights (without validation, the last).

    on_epoch is called after each epoch; should_stop is asked before each step, and True ends the training there.
    Raises InputError where the loss stops being finite or memory runs out.
    """
    started = time.perf_counter()
    devices = [device] if device.type == "cuda" else []
    with _plain_words(spec, device), training_cores(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(spec.seed)
        model.to(device)
        data = data.to(device)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=True
        )
        batches = Batches(data, model.reach, spec.batch_size)
        steps = spec.epochs * len(batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: one_cycle(done, steps))
        checked = batches.around(data.validation.nonzero().flatten()) if data.validation.any() else None
        history: list[EpochReport] = []
        best, best_epoch, best_state, stopped = float("inf"), 0, _copy(model), False
        for epoch in range(1, spec.epochs + 1):
            train_loss = 0.0
            for batch in batches:
                if stopped := should_stop():
                    break
                output = _forward(model, batch, training=True)
                optimizer.zero_grad(set_to_none=True)
                _loss(output, batch, BETA).backward()
                nn.utils.clip_grad_norm_(model.parameters(), _GRADIENT_NORM)
                optimizer.step()
                rate = float(schedule.get_last_lr()[0])
                schedule.step()
                train_loss += _loss(output, batch).item() * batch.share
            if stopped:
                break
            validation_loss = _loss(_forward(model, checked), checked).item() if checked else None
            if not np.isfinite(train_loss):
                raise InputError(
                    f"Training stopped at epoch {epoch}: the loss is no longer a number; lower the learning rate "
                    f"(now {spec.learning_rate:g}) or look for extreme values in the features."
                )
            if validation_loss is not None and validation_loss < best:
                best, best_epoch, best_state = validation_loss, epoch, _copy(model)
            seconds = time.perf_counter() - started
            history.append(EpochReport(epoch, spec.epochs, train_loss, validation_loss, rate, seconds))
            on_epoch(history[-1])
        if best_epoch:
            model.load_state_dict(best_state)
            if checked and len(checked.y) >= _SMALLEST_CALIBRATION:
                _calibrate(model, checked)
    return FitResult(_copy(model), tuple(history), best_epoch, time.perf_counter() - started, stopped)


def one_cycle(done: int, steps: int) -> float:
    """Share of the full learning rate after `done` of `steps`: up along a cosine for a fifth of them, then down to 0.

    Smith & Topin 2019 (arXiv 1708.07120).
    """
    top = max(1, round(_WARM_UP * steps))
    if done < top:
        return 0.5 * (1 - math.cos(math.pi * (done + 1) / (top + 1)))
    return 0.5 * (1 + math.cos(math.pi * (done - top) / max(1, steps - top)))


def predict(model: Stack, graph: Graph, features: np.ndarray, scalers: Scalers, device: torch.device) -> Prediction:
    """Mean and sigma of every node of `graph` in the target's unit, with the attention over the graph's own edges.

    features: [n, F], unscaled, one row a node. Raises InputError where a feature is missing or infinite.
    """
    if bad := int((~np.isfinite(features)).any(axis=1).sum()):
        raise InputError(f"{bad} rows to predict have missing or infinite features; remove them with a cut.")
    model.to(device).eval()
    with torch.no_grad(), training_cores():
        output = model(*(tensor.to(device) for tensor in _inputs(graph, features, scalers)))
    mean = scalers.target.inverse(output.mean.cpu().double().numpy())
    sigma = scalers.target.scale * (0.5 * output.log_variance).exp().cpu().double().numpy()
    attention = tuple(Attention(*(part.cpu() for part in layer)) for layer in output.attention)
    if mean.shape[1] == 1:
        mean, sigma = mean[:, 0], sigma[:, 0]
    return Prediction(mean, sigma, attention)


def _inputs(graph: Graph, features: np.ndarray, scalers: Scalers) -> tuple[Tensor, Tensor, Tensor]:
    x = scalers.features.transform(features)
    return x, torch.from_numpy(np.ascontiguousarray(graph.edge_index)), scalers.edge_attributes(graph)


def _forward(model: Stack, batch: Batch, training: bool = False) -> Output:
    """The output for the rows of `batch` alone."""
    model.train(training)
    with torch.set_grad_enabled(training):
        output = model(batch.x, batch.edge_index, batch.edge_attr)
    log_variance = None if output.log_variance is None else output.log_variance[batch.rows]
    return Output(output.mean[batch.rows], log_variance)


def _loss(output: Output, batch: Batch, beta: float = 0.0) -> Tensor:
    assert output.log_variance is not None  # of a regression
    return gaussian_nll(output.mean, output.log_variance, batch.y, beta)


def _calibrate(model: Stack, checked: Batch) -> None:
    """Scale sigma by what the validation rows say of it."""
    output = _forward(model, checked)
    assert output.log_variance is not None and isinstance(model.head, GaussianHead | GraphHead)
    factor = sigma_scale(output.mean, output.log_variance, checked.y)
    model.head.sigma_scale.mul_(factor)


def _copy(model: Stack) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


@contextmanager
def _plain_words(spec: RunSpec, device: torch.device) -> Iterator[None]:
    """Memory that runs out, as a sentence: torch raises a RuntimeError of its own kind for each device."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "memory" not in str(error):
            raise
        raise InputError(
            f"The {device.type} ran out of memory; use a smaller linking length, fewer unshared copies "
            f"(now {spec.model.unshared}) or a smaller hidden width (now {spec.model.hidden})."
        ) from error
