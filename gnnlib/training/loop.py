"""One fold's training and prediction: AdamW on batches of rows, the best validation weights kept.

Every random choice follows from `RunSpec.seed`; on the CPU equal runs give equal numbers (on a GPU sums over edges
may differ in the last digits).
"""

from __future__ import annotations

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
from gnnlib.graph.partition import blocks
from gnnlib.models.geometry import Geometry
from gnnlib.models.heads import GaussianHead, GraphHead, Where
from gnnlib.models.output import Attention, Output
from gnnlib.models.spec import Task
from gnnlib.models.stack import Stack
from gnnlib.training import distributed
from gnnlib.training.devices import training_cores, used_memory
from gnnlib.training.loss import BETA, balance, class_loss, gaussian_nll, pair_loss, sigma_scale
from gnnlib.training.resume import Checkpoint
from gnnlib.training.room import Room, ran_out
from gnnlib.training.scaling import Scalers
from gnnlib.training.schedule import SCHEDULES
from gnnlib.training.spec import RunSpec

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

    @classmethod
    def to_predict(cls, graph: Graph, features: np.ndarray, scalers: Scalers, asked: Asked) -> FoldData:
        """From a graph whose examples have no known target; all of them may be asked for."""
        x, edge_index, edge_attr = _inputs(graph, features, scalers)
        where = asked.where(scalers)
        count = graph.n_nodes if where.graph_of is None else where.n_graphs
        count = count if where.pairs is None else where.pairs.shape[1]
        none = torch.zeros(count, dtype=torch.bool)
        y, geometry = torch.zeros(count, 0), asked.geometry(graph, scalers)
        return cls(x, y, edge_index, edge_attr, none, none, geometry, where, asked.task)

    def to(self, device: torch.device) -> FoldData:
        moved = {name: _moved(getattr(self, name), device) for name in self.__dataclass_fields__ if name != "task"}
        return replace(self, **moved)


class Batch(NamedTuple):
    """Some examples of a fold with all that their outputs depend on: their receptive field as a graph of its own.

    x [b, F], edge_index [2, m], edge_attr [m, D]; rows: indices [r] of the outputs that count, with their y [r, T];
    examples [r], nodes [b] and edges [m]: their numbers in the fold; geometry and where as the model takes them.
    """

    x: Tensor
    edge_index: Tensor
    edge_attr: Tensor
    rows: Tensor
    y: Tensor
    examples: Tensor
    nodes: Tensor
    edges: Tensor
    geometry: Geometry
    where: Where


class Fields:
    """The receptive fields of a fold's examples; outputs on them are those on the whole graph.

    reach: how many edges away an output can depend on, None for the whole graph.
    """

    def __init__(self, data: FoldData, reach: int | None) -> None:
        self.data, self.reach = data, reach
        self.edges_of = torch.bincount(data.edge_index[1], minlength=len(data.x))
        self.first_edge = torch.cumsum(self.edges_of, dim=0) - self.edges_of

    def pieces(self, examples: Tensor, room: Room) -> Iterator[Batch]:
        """The examples in as few parts, in their order, as memory has room for; a whole graph cannot be divided."""
        waiting = [examples] if len(examples) else []
        while waiting:
            part = waiting.pop()
            batch = self.around(part)
            if self.divisible and len(part) > 1 and not room.fits(len(batch.nodes), len(batch.edges)):
                waiting += reversed(part.tensor_split(2))
            else:
                yield batch

    def each(self, examples: Tensor, room: Room, work: Callable[[Batch], None]) -> None:
        """Do `work` on the pieces of the examples, which are divided further where memory runs out all the same."""
        for batch in self.pieces(examples, room):
            try:
                work(batch)
                continue
            except (RuntimeError, MemoryError) as error:
                if not (ran_out(error) and self.divisible and len(batch.y) > 1):
                    raise
            room.shrink(len(batch.nodes), len(batch.edges))
            self.each(batch.examples, room, work)

    @property
    def divisible(self) -> bool:
        """Whether examples can be worked on apart: an output depends on less than the whole graph."""
        return self.reach is not None or self.data.where.graph_of is not None

    def around(self, examples: Tensor) -> Batch:
        """The nodes that `examples` (indices [r]) are about and whatever reaches them in `reach` steps."""
        data = self.data
        nodes, edges = self.nodes_of(examples), examples.new_zeros(0)
        if self.reach is None and data.where.graph_of is None:
            nodes = torch.arange(len(data.x), device=nodes.device)
            edges = torch.arange(data.edge_index.shape[1], device=nodes.device)
        else:
            # a graph of the graph task is there with all of its nodes, and no edge leaves it
            for _ in range(1 if self.reach is None else self.reach):
                edges = self._edges_into(nodes.sort().values)  # sorted by receiver, as layers want them
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
            examples=examples,
            nodes=nodes,
            edges=edges,
            geometry=Geometry(data.geometry.vectors[edges], None if velocity is None else velocity[nodes]),
            where=self._where(examples, nodes, number),
        )

    def nodes_of(self, examples: Tensor) -> Tensor:
        """The nodes that the examples are about themselves."""
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


class Batches(Fields):
    """The training examples of a fold in batches, shuffled anew at each pass.

    batch_size: examples in a batch at most; a small catalog gets smaller batches, so that a pass is always a fair
    number of steps. A batch is some patches of neighbouring examples, so that their receptive fields overlap.
    """

    def __init__(self, data: FoldData, reach: int | None, batch_size: int) -> None:
        super().__init__(data, reach)
        along, together = _along_the_graph(data), 1 if data.where.graph_of is not None else _PATCH
        self.n_train = int(data.train.sum())
        size = max(1, min(batch_size, self.n_train // _FEWEST_STEPS))
        self.patches = along[data.train[along]].split(min(together, size))
        self.per_batch = max(1, size // together)

    def __len__(self) -> int:
        return -(-len(self.patches) // self.per_batch)

    def __iter__(self) -> Iterator[Batch]:
        return map(self.around, self.of(self.shuffled()))

    def shuffled(self) -> Tensor:
        """An order of the patches for one pass, drawn from torch's random state."""
        return torch.randperm(len(self.patches))

    def of(self, order: Tensor, done: int = 0) -> Iterator[Tensor]:
        """The examples [r] of each batch of a pass in this order, without the first `done` batches."""
        for chosen in order.split(self.per_batch)[done:]:
            yield torch.cat([self.patches[number] for number in chosen.tolist()])


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
    validation rows. rows_per_s, edges_per_s: training examples, and edges of their receptive fields, a second of this
    epoch; memory: bytes on the device at the peak so far."""

    epoch: int
    epochs: int
    train_loss: float
    validation_loss: float | None
    learning_rate: float
    seconds: float
    rows_per_s: float | None = None
    edges_per_s: float | None = None
    memory: int | None = None


@dataclass(frozen=True)
class FitResult:
    """state_dict: the weights of `best_epoch` (the last, and 0, without validation rows), on the CPU. stopped: by
    `should_stop`, before all epochs were done (`RunSpec.patience` is no stop). watched: what these weights say of the
    validation examples."""

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
    note: Callable[[str], None] = lambda sentence: None,
    on_start: Callable[[str], None] = lambda sentence: None,
) -> FitResult:
    """Train `model` in place on one fold and leave in it the best validation weights (without validation, the last).

    on_start is called with a sentence about the size of a step before the first one, on_epoch after each epoch;
    should_stop is asked before each step, and True ends the training there.
    checkpoint: where the training is kept every few seconds and goes on from if it was there; on_epoch is told of the
    epochs before it once more, and all numbers are those of a training that was never interrupted. note: called with a
    sentence where something goes another way than asked for. A step that does not fit into memory is taken in parts,
    with the same gradient. Raises InputError where the loss stops being finite or memory runs out all the same.
    """
    devices = [device] if device.type == "cuda" else []
    with _plain_words(spec, device), training_cores(), torch.random.fork_rng(devices=devices):
        fitting = _Fitting(model.to(device), data.to(device), spec, device, checkpoint, note)
        on_start(fitting.foreseen())
        for report in fitting.history:
            on_epoch(report)
        while not fitting.over:
            if not fitting.epoch(should_stop):
                break
            on_epoch(fitting.history[-1])
        fitting.keep()
        return fitting.finish()


class _Fitting:
    """One training under way; after each step all that the next one depends on is in here and in torch's random
    state.
    """

    def __init__(
        self,
        model: Stack,
        data: FoldData,
        spec: RunSpec,
        device: torch.device,
        checkpoint: Checkpoint | None,
        note: Callable[[str], None],
    ) -> None:
        self.model, self.spec, self.device, self.checkpoint, self.note = model, spec, device, checkpoint, note
        limit = spec.memory_gb and spec.memory_gb * 1e9
        shape = (spec.model, data.x.shape[1], data.edge_attr.shape[1], device, limit)
        self.room, self.room_to_watch = Room(*shape), Room(*shape, training=False)
        torch.manual_seed(spec.seed)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=True
        )
        self.batches = Batches(data, model.reach, spec.batch_size)
        self.weights = balance(data.y[data.train]) if data.task == "edge_classification" else None
        self.watched = data.validation.nonzero().flatten()
        self.watched_batch: Batch | None = None  # of all this process watches, where it fits
        self.history: list[EpochReport] = []
        self.best, self.best_epoch, self.best_state = float("inf"), 0, _copy(model)
        self.order: Tensor | None = None  # of the patches in the epoch under way
        self.done, self.train_loss = 0, 0.0  # its steps so far, and their part of its loss
        self.stopped, self.divided = False, set[str]()
        self.compiled: Callable[..., Output] | None = torch.compile(model, dynamic=True) if spec.compile else None
        self.started = time.perf_counter()
        if checkpoint is not None and (kept := checkpoint.load()) is not None:
            self._restore(*kept)

    def foreseen(self) -> str:
        """What a step will work on and the memory that this will take, in a sentence."""
        batch = self.batches.around(next(self.batches.of(torch.arange(len(self.batches.patches)))))
        need = self.room.need(len(batch.nodes), len(batch.edges))
        room = f" of {self.room.bytes / 1e9:.1f} GB" if np.isfinite(self.room.bytes) else ""
        return (
            f"A step of {len(batch.y)} rows works on {len(batch.nodes)} nodes and {len(batch.edges)} edges, "
            f"which takes about {need / 1e9:.2f} GB{room}; {len(self.batches)} steps an epoch."
        )

    @property
    def over(self) -> bool:
        """Whether all epochs are done, or the last `patience` of them were no better than one before."""
        done, patience = len(self.history), self.spec.patience
        return done >= self.spec.epochs or (
            patience is not None and len(self.watched) > 0 and done - self.best_epoch >= patience
        )

    def epoch(self, should_stop: Callable[[], bool]) -> bool:
        """Train for an epoch, or what is left of it, and add it to the history. False where it was stopped."""
        if self.order is None:
            self.order, self.done, self.train_loss = self.batches.shuffled(), 0, 0.0
            distributed.of_the_first(self.order, self.device)
        number, began, rows, edges = len(self.history) + 1, time.perf_counter(), 0, 0
        for examples in self.batches.of(self.order, self.done):
            if distributed.agreed(should_stop(), self.device):
                self.stopped = True
                return False
            edges += self.step(examples)
            rows += len(examples)
            self.done += 1
            if self.checkpoint is not None and self.checkpoint.due and self.done < len(self.batches):
                self.keep()
        if not np.isfinite(self.train_loss):
            raise InputError(
                f"Training stopped at epoch {number}: the loss is no longer a number; lower the learning rate "
                f"(now {self.spec.learning_rate:g}) or look for extreme values in the features."
            )
        seconds, validation_loss = time.perf_counter() - began, None
        if len(self.watched):
            validation_loss = self.loss(self.watch(), self.batches.data.y[self.watched]).item()
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
                rows_per_s=rows / seconds,
                edges_per_s=edges / seconds,
                memory=used_memory(self.device),
            )
        )
        self.order = None
        if self.checkpoint is not None and self.checkpoint.due:
            self.keep()
        return True

    def step(self, examples: Tensor) -> int:
        """One step of the optimizer on a batch; returns the edges that were worked on."""
        steps, share = len(self.batches), SCHEDULES[self.spec.schedule]
        rate = self.spec.learning_rate * share(len(self.history) * steps + self.done, self.spec.epochs * steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, edges = self.gradient(examples)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.spec.clip)
        self.optimizer.step()
        self.train_loss += loss * (len(examples) / self.batches.n_train)
        return int(edges)

    def gradient(self, examples: Tensor) -> tuple[float, float]:
        """Leave the gradient of the loss on a batch in the weights, whatever it takes; returns the loss and the edges.

        Where memory runs out the batch is divided further, and where the compiled model fails the plain one takes over.
        """
        mine = distributed.share(examples)
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            loss, edges, pieces, batch = 0.0, 0, 0, None
            try:
                for batch in self.batches.pieces(mine, self.room):
                    share = len(batch.y) / len(examples)
                    output = self.train_on(batch)
                    (self.loss(output, batch.y, BETA) * share).backward()
                    loss += self.loss(output, batch.y).item() * share
                    edges += len(batch.edges)
                    pieces += 1
                break
            except Exception as error:
                if ran_out(error) and batch is not None and self.batches.divisible and len(batch.y) > 1:
                    self.room.shrink(len(batch.nodes), len(batch.edges))
                elif self.compiled is not None and not ran_out(error):
                    self.note(f"The model could not be compiled ({type(error).__name__}) and runs as it is.")
                    self.compiled = None
                    continue
                else:
                    raise
            if self.device.type == "cuda":  # outside of the except, whose traceback holds on to the step's tensors
                torch.cuda.empty_cache()
        self.say("A training step", len(examples), pieces)
        total, all_edges = distributed.add_gradients(self.model, loss, float(edges))
        return total, all_edges

    def say(self, what: str, examples: int, parts: int) -> None:
        """Note once what is done in parts."""
        if parts > 1 and what not in self.divided:
            self.divided.add(what)
            self.note(f"{what} on {examples} rows does not fit into memory at once and is taken in {parts} parts.")

    def train_on(self, batch: Batch) -> Output:
        """The output for the examples of a batch, from which gradients can be taken."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.spec.amp):
            return _forward(self.model, batch, training=True, call=self.compiled)

    def watch(self) -> Output:
        """What the model says of the validation examples, without attention, on every process."""
        divided = len(self.watched) >= distributed.size()
        mine, parts = distributed.share(self.watched) if divided else self.watched, []

        def work(batch: Batch) -> None:
            parts.append(_forward(self.model, batch))
            self.watched_batch = batch if len(batch.y) == len(mine) else None

        if self.watched_batch is not None:
            work(self.watched_batch)
        else:
            self.batches.each(mine, self.room_to_watch, work)
            self.say("Validation", len(mine), len(parts))
        mean = torch.cat([part.mean for part in parts])
        spread = [part.log_variance for part in parts if part.log_variance is not None]
        output = Output(mean, torch.cat(spread) if spread else None)
        return distributed.whole(output) if divided else output

    def loss(self, output: Output, y: Tensor, beta: float = 0.0) -> Tensor:
        """A scalar; beta: see `loss.gaussian_nll`, of regressions only."""
        if self.weights is not None:
            return pair_loss(output.mean, y, self.weights)
        if output.log_variance is None:
            return class_loss(output.mean, y)
        return gaussian_nll(output.mean, output.log_variance, y, beta)

    def finish(self) -> FitResult:
        """The best weights, put into the model with their sigma calibrated."""
        if self.best_epoch:
            self.model.load_state_dict(self.best_state)
        y, watched = self.batches.data.y[self.watched], Output(torch.zeros(0, 1), torch.zeros(0, 1))
        if len(self.watched):
            watched = self.watch()
        if self.best_epoch and watched.log_variance is not None and len(y) >= _SMALLEST_CALIBRATION:
            assert isinstance(self.model.head, GaussianHead | GraphHead)
            self.model.head.sigma_scale.mul_(sigma_scale(watched.mean, watched.log_variance, y))
            watched = self.watch()
        seconds = time.perf_counter() - self.started
        return FitResult(_copy(self.model), watched, tuple(self.history), self.best_epoch, seconds, self.stopped)

    def keep(self) -> None:
        """Write the checkpoint, where there is one to write."""
        if self.checkpoint is None or distributed.rank() > 0:
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
            "room": self.room.bytes,  # so that the steps are divided as they were
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
        self.done, self.train_loss, self.room.bytes = facts["done"], facts["train_loss"], facts["room"]
        self.history = [EpochReport(**report) for report in facts["history"]]
        self.best_epoch = facts["best_epoch"]
        if self.best_epoch and (loss := self.history[self.best_epoch - 1].validation_loss) is not None:
            self.best = loss
        self.started -= facts["seconds"]


def predict(
    model: Stack,
    graph: Graph,
    features: np.ndarray,
    scalers: Scalers,
    device: torch.device,
    asked: Asked = NODES,
    examples: np.ndarray | None = None,
    room: Room | None = None,
) -> Prediction:
    """What `model` says of every example of `graph`, with the attention over the graph's own edges.

    features: [n, F], unscaled, one row a node. examples: [r] bool, to predict only some of them; where that is done in
    parts, the attention is that over the edges into them. room: what may be worked on at once; where the graph is
    larger, blocks of space are
    predicted one after the other, each with all that reaches it, which gives the same numbers. Raises InputError where
    a feature is missing or infinite.
    """
    if bad := int((~np.isfinite(features)).any(axis=1).sum()):
        raise InputError(f"{bad} rows to predict have missing or infinite features; remove them with a cut.")
    model.to(device).eval()
    data = FoldData.to_predict(graph, features, scalers, asked).to(device)
    fields = Fields(data, model.reach)
    with torch.no_grad(), training_cores():
        if room is not None and fields.divisible and not room.fits(graph.n_nodes, graph.n_edges):
            output = _in_parts(model, fields, graph, examples, room)
        else:
            output = model(data.x, data.edge_index, data.edge_attr, data.geometry, data.where)
            if examples is not None:
                output = _rows(output, torch.from_numpy(np.flatnonzero(examples)).to(device))
    return told(output, scalers, asked.task)


def _in_parts(model: Stack, fields: Fields, graph: Graph, examples: np.ndarray | None, room: Room) -> Output:
    """The output for the examples that are wanted, in their order, block of space by block of space."""
    data = fields.data
    wanted = np.arange(len(data.y)) if examples is None else np.flatnonzero(examples)
    done: list[Tensor] = []
    outputs: list[Output] = []
    edges: list[Tensor] = []  # into the nodes that the examples are about: the attention over them is whole

    def work(batch: Batch) -> None:
        output = model(batch.x, batch.edge_index, batch.edge_attr, batch.geometry, batch.where)
        about = torch.zeros(len(data.x), dtype=torch.bool, device=data.x.device)
        about[fields.nodes_of(batch.examples)] = True
        chosen = about[batch.nodes][batch.edge_index[1]]
        done.append(batch.examples)
        edges.append(batch.edges[chosen])
        attention = tuple(layer._replace(weights=layer.weights[chosen].cpu()) for layer in output.attention)
        outputs.append(_rows(output, batch.rows)._replace(attention=attention))

    count = min(len(wanted), int(np.ceil(2 * room.need(graph.n_nodes, graph.n_edges) / room.bytes)))
    block = blocks(_places(data, graph)[wanted], count, np.ones(len(wanted)))
    for number in range(count):
        fields.each(torch.from_numpy(wanted[block == number]).to(data.x.device), room, work)
    order = torch.argsort(torch.cat(done))
    spread = [output.log_variance for output in outputs if output.log_variance is not None]
    unique, first = np.unique(torch.cat(edges).cpu().numpy(), return_index=True)
    over = data.edge_index[:, torch.from_numpy(unique).to(data.x.device)].cpu()
    return Output(
        torch.cat([output.mean for output in outputs])[order],
        torch.cat(spread)[order] if spread else None,
        tuple(
            Attention(over, torch.cat([layer.weights for layer in layers])[torch.from_numpy(first)], over[0] == over[1])
            for layers in zip(*(output.attention for output in outputs), strict=True)
        ),
    )


def _rows(output: Output, rows: Tensor) -> Output:
    """The output for some of the examples; the attention as it is."""
    return output._replace(
        mean=output.mean[rows], log_variance=None if output.log_variance is None else output.log_variance[rows]
    )


def _places(data: FoldData, graph: Graph) -> np.ndarray:
    """Where each example is, [r, 3]: a node, the receiver of a pair, a node of a graph."""
    if data.where.pairs is not None:
        return graph.places[data.where.pairs[1].cpu().numpy()]
    if data.where.graph_of is not None:
        return graph.places[np.unique(data.where.graph_of.cpu().numpy(), return_index=True)[1]]
    return graph.places


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


def _forward(model: Stack, batch: Batch, training: bool = False, call: Callable[..., Output] | None = None) -> Output:
    """The output for the examples of `batch` alone, in single precision. call: the model in its compiled form."""
    model.train(training)
    with torch.set_grad_enabled(training):
        output = (model if call is None else call)(
            batch.x, batch.edge_index, batch.edge_attr, batch.geometry, batch.where
        )
    log_variance = None if output.log_variance is None else output.log_variance[batch.rows].float()
    return Output(output.mean[batch.rows].float(), log_variance)


def _copy(model: Stack) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


@contextmanager
def _plain_words(spec: RunSpec, device: torch.device) -> Iterator[None]:
    """Memory that runs out, as a sentence: torch raises a RuntimeError of its own kind for each device."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        raise InputError(
            f"The {device.type} ran out of memory; use a smaller linking length, fewer unshared copies "
            f"(now {spec.model.unshared}) or a smaller hidden width (now {spec.model.hidden})."
        ) from error
