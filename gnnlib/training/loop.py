"""One fold's training and prediction: AdamW on batches of rows, a one-cycle rate, the best validation weights kept.

Every random choice follows from `RunSpec.seed`; on the CPU equal runs give equal numbers (on a GPU sums over edges
may differ in the last digits).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import torch
from scipy.sparse.csgraph import reverse_cuthill_mckee
from scipy.special import expit, softmax
from torch import Tensor, nn

from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph
from gnnlib.models.geometry import Geometry
from gnnlib.models.heads import ClassHead, GaussianHead, GraphHead, PairHead, Where
from gnnlib.models.output import Attention, Output
from gnnlib.models.spec import Task
from gnnlib.models.stack import Stack
from gnnlib.training.devices import training_cores
from gnnlib.training.loss import BETA, balance, class_loss, gaussian_nll, pair_loss, sigma_scale
from gnnlib.training.resume import Checkpoint
from gnnlib.training.scaling import Scalers
from gnnlib.training.spec import RunSpec

_GRADIENT_NORM = 1.0
_WARM_UP = 0.2
_FEWEST_STEPS = 16  # of the optimizer in an epoch, as far as there are rows
_PATCH = 32  # training rows that stay together in a batch
_SMALLEST_CALIBRATION = 20  # validation rows below which sigma is left as the network gave it


@dataclass(frozen=True)
class Asked:
    """What is asked of a graph of n nodes, and what is known of it besides features.

    pairs: of the edge task, a graph over the same nodes whose edges are the P pairs. graph_of: of the graph task, the
    number [n] of the graph each node is in, 0..G-1. velocities: [n, 3] for the models that use them, or None. The
    examples are the nodes, the pairs or the graphs.
    """

    task: Task = "node_regression"
    pairs: Graph | None = None
    graph_of: np.ndarray | None = None
    velocities: np.ndarray | None = None

    def where(self, scalers: Scalers) -> Where:
        """For the head: all pairs, or all graphs."""
        if self.pairs is not None:
            ends = torch.from_numpy(np.ascontiguousarray(self.pairs.edge_index))
            return Where(pairs=ends, pair_attr=scalers.edge_attributes(self.pairs))
        if self.graph_of is not None:
            return Where(graph_of=torch.from_numpy(self.graph_of), n_graphs=int(self.graph_of.max()) + 1)
        return Where()

    def geometry(self, graph: Graph, scalers: Scalers) -> Geometry:
        """Vectors along the edges and velocities in the fold's own units."""
        vectors = torch.from_numpy((graph.separations / scalers.median_length).astype(np.float32))
        if self.velocities is None:
            return Geometry(vectors)
        return Geometry(vectors, torch.from_numpy((self.velocities / scalers.speed).astype(np.float32)))


NODES = Asked()


@dataclass(frozen=True)
class FoldData:
    """What `fit` sees of a fold, already scaled: x [n, F], edge_index [2, M] sorted by receiver, edge_attr [M, D]; of
    the r examples y [r, T], classes as their numbers.

    train, validation: [r] bool, disjoint; examples in neither (a buffer) are never in the loss, their nodes pass
    messages. Nothing here belongs to the test part.
    """

    x: Tensor
    y: Tensor
    edge_index: Tensor
    edge_attr: Tensor
    train: Tensor
    validation: Tensor
    geometry: Geometry
    where: Where
    task: Task

    @classmethod
    def build(
        cls,
        graph: Graph,
        features: np.ndarray,
        target: np.ndarray,
        train: np.ndarray,
        validation: np.ndarray,
        scalers: Scalers,
        asked: Asked = NODES,
    ) -> FoldData:
        """From the training graph, its n nodes' unscaled features [n, F], and the target [r] or [r, T] and masks [r] of
        the examples.
        """
        x, edge_index, edge_attr = _inputs(graph, features, scalers)
        target = target[:, None] if target.ndim == 1 else target
        if asked.task in ("node_classification", "edge_classification"):
            y = torch.from_numpy(target.astype(np.float32))
        else:
            y = torch.nan_to_num(scalers.target.transform(target))
        return cls(
            x,
            y,
            edge_index,
            edge_attr,
            torch.from_numpy(train),
            torch.from_numpy(validation),
            asked.geometry(graph, scalers),
            asked.where(scalers),
            asked.task,
        )

    def to(self, device: torch.device) -> FoldData:
        moved = {name: _moved(getattr(self, name), device) for name in self.__dataclass_fields__ if name != "task"}
        return replace(self, **moved)


class Batch(NamedTuple):
    """Some examples of a fold with all that their outputs depend on: their receptive field as a graph of its own.

    x [b, F], edge_index [2, m], edge_attr [m, D]; rows: indices [r] of the outputs that count, with their y [r, T];
    share: r as a fraction of all training examples; geometry and where as the model takes them.
    """

    x: Tensor
    edge_index: Tensor
    edge_attr: Tensor
    rows: Tensor
    y: Tensor
    share: float
    geometry: Geometry
    where: Where


class Batches:
    """The training examples of a fold in batches, shuffled anew at each pass; outputs are those of the whole graph.

    reach: how many edges away an output can depend on, None for the whole graph. batch_size: examples in a batch at
    most; a small catalog gets smaller batches, so that a pass is always a fair number of steps. A batch is some patches
    of neighbouring examples, so that their receptive fields overlap.
    """

    def __init__(self, data: FoldData, reach: int | None, batch_size: int) -> None:
        self.data, self.reach = data, reach
        self.edges_of = torch.bincount(data.edge_index[1], minlength=len(data.x))
        self.first_edge = torch.cumsum(self.edges_of, dim=0) - self.edges_of
        along, together = _along_the_graph(data), 1 if data.where.graph_of is not None else _PATCH
        self.n_train = int(data.train.sum())
        size = max(1, min(batch_size, self.n_train // _FEWEST_STEPS))
        self.patches = along[data.train[along]].split(min(together, size))
        self.per_batch = max(1, size // together)

    def __len__(self) -> int:
        return -(-len(self.patches) // self.per_batch)

    def __iter__(self) -> Iterator[Batch]:
        return self.of(self.shuffled())

    def shuffled(self) -> Tensor:
        """An order of the patches for one pass, drawn from torch's random state."""
        return torch.randperm(len(self.patches))

    def of(self, order: Tensor, done: int = 0) -> Iterator[Batch]:
        """The batches of a pass in this order, without the first `done`."""
        for chosen in order.split(self.per_batch)[done:]:
            yield self.around(torch.cat([self.patches[number] for number in chosen.tolist()]))

    def around(self, examples: Tensor) -> Batch:
        """The nodes that `examples` (indices [r]) are about and whatever reaches them in `reach` steps."""
        data = self.data
        nodes, edges = self._nodes_of(examples), examples.new_zeros(0)
        if self.reach is None and data.where.graph_of is None:
            nodes = torch.arange(len(data.x), device=nodes.device)
            edges = torch.arange(data.edge_index.shape[1], device=nodes.device)
        else:
            # a graph of the graph task is there with all of its nodes, and no edge leaves it
            for _ in range(1 if self.reach is None else self.reach):
                edges = self._edges_into(nodes)
                reached = torch.zeros(len(data.x), dtype=torch.bool, device=nodes.device)
                reached[nodes] = reached[data.edge_index[0, edges]] = True
                nodes = reached.nonzero().flatten()
        number = torch.empty_like(self.edges_of)
        number[nodes] = torch.arange(len(nodes), device=nodes.device)
        velocity = data.geometry.velocity
        return Batch(
            x=data.x[nodes],
            edge_index=number[data.edge_index[:, edges]],
            edge_attr=data.edge_attr[edges],
            rows=number[examples] if data.task.startswith("node") else torch.arange(len(examples), device=nodes.device),
            y=data.y[examples],
            share=len(examples) / self.n_train,
            geometry=Geometry(data.geometry.vectors[edges], None if velocity is None else velocity[nodes]),
            where=self._where(examples, nodes, number),
        )

    def _nodes_of(self, examples: Tensor) -> Tensor:
        where = self.data.where
        if where.pairs is not None:
            return torch.unique(where.pairs[:, examples])
        if where.graph_of is not None:
            chosen = torch.zeros(where.n_graphs, dtype=torch.bool, device=examples.device)
            chosen[examples] = True
            return chosen[where.graph_of].nonzero().flatten()
        return examples

    def _where(self, examples: Tensor, nodes: Tensor, number: Tensor) -> Where:
        where = self.data.where
        if where.pairs is not None:
            attr = where.pair_attr
            return Where(pairs=number[where.pairs[:, examples]], pair_attr=None if attr is None else attr[examples])
        if where.graph_of is not None:
            place = torch.empty(where.n_graphs, dtype=torch.int64, device=nodes.device)
            place[examples] = torch.arange(len(examples), device=nodes.device)
            return Where(graph_of=place[where.graph_of[nodes]], n_graphs=len(examples))
        return where

    def _edges_into(self, nodes: Tensor) -> Tensor:
        """Indices of the edges whose receiver is among `nodes`; they lie together, sorted by receiver."""
        counts = self.edges_of[nodes]
        skipped = self.first_edge[nodes] - (torch.cumsum(counts, dim=0) - counts)
        return torch.arange(int(counts.sum()), device=nodes.device) + torch.repeat_interleave(skipped, counts)


def _along_the_graph(data: FoldData) -> Tensor:
    """All examples in an order that keeps neighbours together (reverse Cuthill-McKee), [r]; graphs as they are."""
    if data.where.graph_of is not None:
        return torch.arange(data.where.n_graphs, device=data.x.device)
    source, receiver = data.edge_index.cpu().numpy()
    n = len(data.x)
    links = scipy.sparse.csr_array((np.ones(len(source), dtype=bool), (receiver, source)), shape=(n, n))
    nodes = torch.from_numpy(reverse_cuthill_mckee(links).astype(np.int64)).to(data.x.device)
    if data.where.pairs is None:
        return nodes
    place = torch.empty_like(nodes)
    place[nodes] = torch.arange(n, device=nodes.device)
    return torch.argsort(place[data.where.pairs[1]], stable=True)


@dataclass(frozen=True)
class EpochReport:
    """One line of the log. Losses: mean negative log-likelihood of the scaled target or of the class, None without
    validation rows."""

    epoch: int
    epochs: int
    train_loss: float
    validation_loss: float | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class FitResult:
    """state_dict: the weights of `best_epoch` (the last, and 0, without validation rows), on the CPU. stopped: by
    `should_stop`, before all epochs were done. watched: what these weights say of the validation examples."""

    state_dict: dict[str, Tensor]
    watched: Output
    history: tuple[EpochReport, ...]
    best_epoch: int
    seconds: float
    stopped: bool


@dataclass(frozen=True)
class Prediction:
    """mean, sigma: [r] (or [r, T]) float64 in the target's unit. Of classes mean is their probabilities [r, C], of
    pairs that of belonging together [r], and sigma None. attention: one entry a layer, on the CPU, or ()."""

    mean: np.ndarray
    sigma: np.ndarray | None
    attention: tuple[Attention, ...]

    def of(self, examples: np.ndarray) -> Prediction:
        """That of some of the examples, [r] bool; the attention of all."""
        return Prediction(self.mean[examples], None if self.sigma is None else self.sigma[examples], self.attention)


def fit(
    model: Stack,
    data: FoldData,
    spec: RunSpec,
    device: torch.device,
    on_epoch: Callable[[EpochReport], None] = lambda report: None,
    should_stop: Callable[[], bool] = lambda: False,
    checkpoint: Checkpoint | None = None,
) -> FitResult:
    """Train `model` in place on one fold and leave in it the best validation weights (without validation, the last).

    on_epoch is called after each epoch; should_stop is asked before each step, and True ends the training there.
    checkpoint: where the training is kept every few seconds and goes on from if it was there; on_epoch is told of the
    epochs before it once more, and all numbers are those of a training that was never interrupted. Raises InputError
    where the loss stops being finite or memory runs out.
    """
    devices = [device] if device.type == "cuda" else []
    with _plain_words(spec, device), training_cores(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(spec.seed)
        fitting = _Fitting(model.to(device), data.to(device), spec, device, checkpoint)
        for report in fitting.history:
            on_epoch(report)
        while len(fitting.history) < spec.epochs and not fitting.stopped:
            if fitting.epoch(should_stop):
                on_epoch(fitting.history[-1])
        fitting.keep()
        return fitting.finish()


class _Fitting:
    """One training under way; after each step all that the next one depends on is in here and in torch's random
    state.
    """

    def __init__(
        self, model: Stack, data: FoldData, spec: RunSpec, device: torch.device, checkpoint: Checkpoint | None
    ) -> None:
        self.model, self.spec, self.device, self.checkpoint = model, spec, device, checkpoint
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=True
        )
        self.batches = Batches(data, model.reach, spec.batch_size)
        self.weights = balance(data.y[data.train]) if data.task == "edge_classification" else None
        self.checked = self.batches.around(data.validation.nonzero().flatten()) if data.validation.any() else None
        self.history: list[EpochReport] = []
        self.best, self.best_epoch, self.best_state = float("inf"), 0, _copy(model)
        self.order: Tensor | None = None  # of the patches in the epoch under way
        self.done, self.train_loss = 0, 0.0  # its steps so far, and their part of its loss
        self.stopped = False
        self.started = time.perf_counter()
        if checkpoint is not None and (kept := checkpoint.load()) is not None:
            self._restore(*kept)

    def epoch(self, should_stop: Callable[[], bool]) -> bool:
        """Train for an epoch, or what is left of it, and add it to the history. False where it was stopped."""
        if self.order is None:
            self.order, self.done, self.train_loss = self.batches.shuffled(), 0, 0.0
        number = len(self.history) + 1
        for batch in self.batches.of(self.order, self.done):
            if should_stop():
                self.stopped = True
                return False
            self.step(batch)
            self.done += 1
            if self.checkpoint is not None and self.checkpoint.due and self.done < len(self.batches):
                self.keep()
        if not np.isfinite(self.train_loss):
            raise InputError(
                f"Training stopped at epoch {number}: the loss is no longer a number; lower the learning rate "
                f"(now {self.spec.learning_rate:g}) or look for extreme values in the features."
            )
        checked, validation_loss = self.checked, None
        if checked is not None:
            validation_loss = self.loss(_forward(self.model, checked), checked).item()
            if validation_loss < self.best:
                self.best, self.best_epoch, self.best_state = validation_loss, number, _copy(self.model)
        self.history.append(
            EpochReport(
                epoch=number,
                epochs=self.spec.epochs,
                train_loss=self.train_loss,
                validation_loss=validation_loss,
                learning_rate=self.optimizer.param_groups[0]["lr"],
                seconds=time.perf_counter() - self.started,
            )
        )
        self.order = None
        if self.checkpoint is not None and self.checkpoint.due:
            self.keep()
        return True

    def step(self, batch: Batch) -> None:
        steps = len(self.batches)
        rate = self.spec.learning_rate * one_cycle(len(self.history) * steps + self.done, self.spec.epochs * steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        output = _forward(self.model, batch, training=True)
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(output, batch, BETA).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), _GRADIENT_NORM)
        self.optimizer.step()
        self.train_loss += self.loss(output, batch).item() * batch.share

    def loss(self, output: Output, batch: Batch, beta: float = 0.0) -> Tensor:
        """A scalar; beta: see `loss.gaussian_nll`, of regressions only."""
        if self.weights is not None:
            return pair_loss(output.mean, batch.y, self.weights)
        if output.log_variance is None:
            return class_loss(output.mean, batch.y)
        return gaussian_nll(output.mean, output.log_variance, batch.y, beta)

    def finish(self) -> FitResult:
        """The best weights, put into the model with their sigma calibrated."""
        if self.best_epoch:
            self.model.load_state_dict(self.best_state)
            regression = self.checked is not None and not isinstance(self.model.head, ClassHead | PairHead)
            if self.checked and regression and len(self.checked.y) >= _SMALLEST_CALIBRATION:
                _calibrate(self.model, self.checked)
        seconds = time.perf_counter() - self.started
        watched = _forward(self.model, self.checked) if self.checked else Output(torch.zeros(0, 1), torch.zeros(0, 1))
        return FitResult(_copy(self.model), watched, tuple(self.history), self.best_epoch, seconds, self.stopped)

    def keep(self) -> None:
        """Write the checkpoint, where there is one to write."""
        if self.checkpoint is None:
            return
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best_state.items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        if self.order is not None:
            tensors["order"] = self.order
        facts = {
            "history": [asdict(report) for report in self.history],
            "best_epoch": self.best_epoch,
            "done": self.done,
            "train_loss": self.train_loss,
            "seconds": time.perf_counter() - self.started,
        }
        self.checkpoint.save({name: value.detach() for name, value in tensors.items()}, facts)

    def _restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Be where `keep` was called."""

        def under(prefix: str) -> dict[str, Tensor]:
            return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}

        self.model.load_state_dict(under("model."))
        self.best_state = under("best.")
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in under("optimizer.").items():
            number, part = name.split(".", 1)
            state.setdefault(int(number), {})[part] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        torch.set_rng_state(tensors["random.cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
        self.order = tensors.get("order")
        self.done, self.train_loss = facts["done"], facts["train_loss"]
        self.history = [EpochReport(**report) for report in facts["history"]]
        self.best_epoch = facts["best_epoch"]
        if self.best_epoch and (loss := self.history[self.best_epoch - 1].validation_loss) is not None:
            self.best = loss
        self.started -= facts["seconds"]


def one_cycle(done: int, steps: int) -> float:
    """Share of the full learning rate after `done` of `steps`: up along a cosine for a fifth of them, then down to 0.

    Smith & Topin 2019 (arXiv 1708.07120).
    """
    top = max(1, round(_WARM_UP * steps))
    if done < top:
        return 0.5 * (1 - math.cos(math.pi * (done + 1) / (top + 1)))
    return 0.5 * (1 + math.cos(math.pi * (done - top) / max(1, steps - top)))


def predict(
    model: Stack,
    graph: Graph,
    features: np.ndarray,
    scalers: Scalers,
    device: torch.device,
    asked: Asked = NODES,
) -> Prediction:
    """What `model` says of every example of `graph`, with the attention over the graph's own edges.

    features: [n, F], unscaled, one row a node. Raises InputError where a feature is missing or infinite.
    """
    if bad := int((~np.isfinite(features)).any(axis=1).sum()):
        raise InputError(f"{bad} rows to predict have missing or infinite features; remove them with a cut.")
    model.to(device).eval()
    geometry, where = (_moved(part, device) for part in (asked.geometry(graph, scalers), asked.where(scalers)))
    with torch.no_grad(), training_cores():
        output = model(*(tensor.to(device) for tensor in _inputs(graph, features, scalers)), geometry, where)
    return told(output, scalers, asked.task)


def told(output: Output, scalers: Scalers, task: Task) -> Prediction:
    """A model's output in the target's unit, or as probabilities."""
    attention = tuple(Attention(*(part.cpu() for part in layer)) for layer in output.attention)
    mean = scalers.target.inverse(output.mean.cpu().double().numpy())
    if output.log_variance is None:
        return Prediction(
            softmax(mean, axis=1) if task == "node_classification" else expit(mean[:, 0]), None, attention
        )
    sigma = scalers.target.scale * (0.5 * output.log_variance).exp().cpu().double().numpy()
    if mean.shape[1] == 1:
        mean, sigma = mean[:, 0], sigma[:, 0]
    return Prediction(mean, sigma, attention)


def _moved(value: Any, device: torch.device) -> Any:
    """A tensor, or a named tuple with tensors in it, on the device."""
    if isinstance(value, Tensor):
        return value.to(device)
    return type(value)(*(_moved(part, device) for part in value)) if isinstance(value, tuple) else value


def _inputs(graph: Graph, features: np.ndarray, scalers: Scalers) -> tuple[Tensor, Tensor, Tensor]:
    x = scalers.features.transform(features)
    return x, torch.from_numpy(np.ascontiguousarray(graph.edge_index)), scalers.edge_attributes(graph)


def _forward(model: Stack, batch: Batch, training: bool = False) -> Output:
    """The output for the rows of `batch` alone."""
    model.train(training)
    with torch.set_grad_enabled(training):
        output = model(batch.x, batch.edge_index, batch.edge_attr, batch.geometry, batch.where)
    log_variance = None if output.log_variance is None else output.log_variance[batch.rows]
    return Output(output.mean[batch.rows], log_variance)


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
