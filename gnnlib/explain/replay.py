"""A finished run asked again: each fold's model, its scalers and the graph that its test rows were predicted on.

A run keeps predictions and attention, but not gradients, nor what a prediction would have been without a neighbour.
Those are computed here from checkpoint.safetensors. An output depends on its receptive field only, so a question about
some objects costs as much as their neighbourhoods: `Fields` lays them side by side as one graph without edges between
them, as often as there are questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph
from gnnlib.models.geometry import Geometry
from gnnlib.models.heads import Where
from gnnlib.models.output import Output
from gnnlib.models.registry import build_model
from gnnlib.models.stack import Stack
from gnnlib.training.data import TrainingData, prepare
from gnnlib.training.devices import training_cores
from gnnlib.training.loop import Asked
from gnnlib.training.run import Run
from gnnlib.training.scaling import Scalers

_Part = tuple[np.ndarray, np.ndarray, np.ndarray]  # nodes, edges and hops of one receptive field

EDGES_AT_ONCE = 60_000  # edges in one pass of the model: more do not run faster, and take memory
CHANGED = "The catalog has changed since run '{}' was trained on it; train again, or open another run."


@dataclass(frozen=True)
class FoldReplay:
    """One fold's model with the graph on which its test rows were predicted.

    members: the networks of the fold, of which an ensemble has several. rows: [n] places in the run's catalog of the
    nodes of `graph`. tested: [n] bool. x: [n, F], edge_attr: [M, D], geometry: of all edges, as the model gets them.
    """

    number: int
    members: tuple[Stack, ...]
    scalers: Scalers
    graph: Graph
    rows: np.ndarray
    tested: np.ndarray
    x: Tensor
    edge_attr: Tensor
    geometry: Geometry

    @classmethod
    def build(cls, number: int, members: tuple[Stack, ...], scalers: Scalers, data: TrainingData) -> FoldReplay:
        """From a fold's networks with their scalers, and the rows and graph of all folds."""
        fold = data.folds[number]
        seen = fold.inference_graph
        rows, velocities = np.flatnonzero(seen), velocities_of(data)
        part = data.graph.subgraph(seen)
        x, edge_attr = scalers.features.transform(data.features[seen]), scalers.edge_attributes(part)
        geometry = geometry_of(part, scalers, None if velocities is None else velocities[rows])
        return cls(number, members, scalers, part, rows, fold.test[seen], x, edge_attr, geometry)

    def on(self, graph: Graph, features: np.ndarray, rows: np.ndarray, velocities: np.ndarray | None) -> FoldReplay:
        """The same networks on another graph: of `rows` [n], with unscaled features [n, F] and velocities [n, 3]."""
        return FoldReplay(
            self.number,
            self.members,
            self.scalers,
            graph,
            rows,
            np.isin(rows, self.rows[self.tested]),
            self.scalers.features.transform(features),
            self.scalers.edge_attributes(graph),
            geometry_of(graph, self.scalers, velocities),
        )

    def asking(self, other: FoldReplay, data: TrainingData) -> FoldReplay:
        """This fold's graph as the networks of another fold are given it."""
        velocities = velocities_of(data)
        own = None if velocities is None else velocities[self.rows]
        return other.on(self.graph, data.features[self.rows], self.rows, own)

    @property
    def model(self) -> Stack:
        """The first network: all have the same shape."""
        return self.members[0]

    @property
    def unit(self) -> float:
        """What one unit of the model's output is in the target's unit."""
        return float(self.scalers.target.scale[0])

    @cached_property
    def edge_index(self) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.graph.edge_index))

    @cached_property
    def node_of(self) -> dict[int, int]:
        """Place in the run's catalog -> node of this fold's graph."""
        return {int(row): node for node, row in enumerate(self.rows)}

    @cached_property
    def first_edge(self) -> np.ndarray:
        """[n + 1]: the edges into node i are first_edge[i] to first_edge[i + 1]."""
        counts = np.bincount(self.graph.edge_index[1], minlength=len(self.rows))
        return np.concatenate([[0], np.cumsum(counts)])

    def edges_into(self, nodes: np.ndarray) -> np.ndarray:
        """The edges whose receiver is among `nodes`, receiver by receiver."""
        counts = self.first_edge[nodes + 1] - self.first_edge[nodes]
        return _ranges(self.first_edge[nodes], counts)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, geometry: Geometry, of: Tensor | None = None
    ) -> Output:
        """The output for x [n, F] and edge_attr [m, D], which may be others than the fold's own.

        It is the mean of the members' outputs, with the attention of the first.

        of: [n] ascending, the number of the graph that each node is in, where there are several.
        """
        where = None if of is None else Where(graph_of=of, n_graphs=int(of[-1]) + 1 if len(of) else 0)
        with training_cores():
            outputs = [model(x, edge_index, edge_attr, geometry, where) for model in self.members]
        if len(outputs) == 1:
            return outputs[0]
        return outputs[0]._replace(mean=torch.stack([output.mean for output in outputs]).mean(dim=0))

    def mean(self, output: Output) -> np.ndarray:
        """The predictions [n] float64 of an output, in the target's unit."""
        return self.scalers.target.inverse(output.mean.detach().double().numpy())[:, 0]

    def whole(self) -> Output:
        """The output for every node of the fold's graph."""
        with torch.no_grad():
            return self.forward(self.x, self.edge_index, self.edge_attr, self.geometry)

    @cached_property
    def prediction(self) -> np.ndarray:
        """[n] float64: what the model says of every node of the fold's graph, in the target's unit."""
        return self.mean(self.whole())

    @cached_property
    def latent(self) -> np.ndarray:
        """[n, width] float32: the last hidden layer of each node, which the output is a linear function of."""
        last = [layer for layer in self.model.head.modules() if isinstance(layer, torch.nn.Linear)][-1]
        caught: list[Tensor] = []
        hook = last.register_forward_pre_hook(lambda layer, given: caught.append(given[0]))
        try:
            self.whole()
        finally:
            hook.remove()
        return caught[0].numpy()

    def without_edges(self) -> np.ndarray:
        """[n] float64: what the model says of every node when it hears of no neighbour, in the target's unit."""
        with torch.no_grad():
            none = self.geometry._replace(vectors=self.geometry.vectors[:0])
            return self.mean(self.forward(self.x, self.edge_index[:, :0], self.edge_attr[:0], none))

    def fields(self, nodes: np.ndarray, steps: int | None = None) -> Fields:
        """The receptive fields of `nodes` [K], which may be named more than once, side by side.

        steps: how many edges away they reach, where not as far as the model looks.
        """
        unique, place = np.unique(nodes, return_inverse=True)
        found = [self._field(int(node), self.model.reach if steps is None else steps) for node in unique]
        return Fields.beside(self, nodes, [found[at] for at in place])

    def _field(self, centre: int, steps: int | None) -> _Part:
        """Nodes, edges and hops [nodes] of all that the output of `centre` depends on; the centre is the first node."""
        if steps is None:  # everything
            nodes = np.concatenate([[centre], np.delete(np.arange(len(self.rows)), centre)])
            return nodes, np.arange(self.graph.n_edges), (nodes != centre).astype(np.int64)
        layers, edges = [np.array([centre])], np.empty(0, dtype=np.int64)
        known = layers[0]
        for _ in range(steps):
            into = self.edges_into(layers[-1])
            edges = np.concatenate([edges, into])
            layers.append(np.setdiff1d(self.graph.edge_index[0, into], known))
            known = np.concatenate([known, layers[-1]])
        hops = np.repeat(np.arange(len(layers)), [len(layer) for layer in layers])
        return known, edges, hops


@dataclass(frozen=True)
class Fields:
    """K receptive fields as one graph without edges between them.

    centres: [K] the node of this graph that is asked about. node: [n] and edge: [m] the fold's node and edge of each;
    of: [n] and of_edge: [m] the field they belong to. hop: [n] steps from the centre. edge_index: [2, m] within this
    graph.
    """

    fold: FoldReplay
    centres: np.ndarray
    node: np.ndarray
    of: np.ndarray
    hop: np.ndarray
    edge: np.ndarray
    of_edge: np.ndarray
    edge_index: np.ndarray

    @classmethod
    def beside(cls, fold: FoldReplay, nodes: np.ndarray, parts: list[_Part]) -> Fields:
        """parts: nodes, edges and hops of the field of each of `nodes`."""
        n_of, m_of = (np.array([len(part[at]) for part in parts], dtype=np.int64) for at in (0, 1))
        start = np.cumsum(n_of) - n_of
        node, edge, hop = (
            np.concatenate([part[at] for part in parts]) if parts else np.empty(0, dtype=np.int64) for at in (0, 1, 2)
        )
        ends, number = np.empty((2, len(edge)), dtype=np.int64), np.empty(len(fold.rows), dtype=np.int64)
        at = 0
        for (inside, edges, _), begin in zip(parts, start, strict=True):
            number[inside] = np.arange(begin, begin + len(inside))
            ends[:, at : at + len(edges)] = number[fold.graph.edge_index[:, edges]]
            at += len(edges)
        fields = np.arange(len(nodes))
        return cls(fold, start, node, np.repeat(fields, n_of), hop, edge, np.repeat(fields, m_of), ends)

    def __len__(self) -> int:
        return len(self.centres)

    @cached_property
    def x(self) -> Tensor:
        """[n, F]."""
        return self.fold.x[torch.from_numpy(self.node)]

    @cached_property
    def edge_attr(self) -> Tensor:
        """[m, D]."""
        return self.fold.edge_attr[torch.from_numpy(self.edge)]

    @cached_property
    def near(self) -> np.ndarray:
        """[m] bool: edges from a neighbour straight into a centre; self-loops are not among them."""
        source, receiver = self.edge_index
        is_centre = np.zeros(len(self.node), dtype=bool)
        is_centre[self.centres] = True
        return is_centre[receiver] & (source != receiver)

    def output(self, x: Tensor | None = None, edge_attr: Tensor | None = None) -> Output:
        """The model's output for the fields as they are, or with other inputs; gradients flow."""
        x, edge_attr = self.x if x is None else x, self.edge_attr if edge_attr is None else edge_attr
        ends, of = torch.from_numpy(self.edge_index), torch.from_numpy(self.of)
        return self.fold.forward(x, ends, edge_attr, self.geometry(torch.arange(len(self.edge))), of)

    def geometry(self, edges: Tensor, copies: int = 1) -> Geometry:
        """Of some of the fields' edges, and of the nodes of so many copies."""
        vectors, velocity = self.fold.geometry
        edge, node = torch.from_numpy(self.edge)[edges], torch.from_numpy(self.node)
        return Geometry(vectors[edge], None if velocity is None else velocity[node].repeat(copies, 1))

    def attention(self) -> np.ndarray | None:
        """Attention [m, layers * heads] over the fields' edges, layer by layer; None where the model has none."""
        with torch.no_grad():
            layers = self.output().attention
        return torch.cat([layer.weights for layer in layers], dim=1).numpy() if layers else None

    def predict(self, keep: np.ndarray | None = None) -> np.ndarray:
        """Predictions [S, K] of the centres, in the target's unit, with only the edges that `keep` [S, m] names.

        All edges, and S = 1, where keep is None. What is told of the edges that stay is not computed anew: a deleted
        edge is a message that is not sent.
        """
        if keep is None:
            keep = np.ones((1, len(self.edge)), dtype=bool)
        out = np.empty((len(keep), len(self)))
        for rows in self._chunks(keep):
            copy, edge = np.nonzero(keep[rows])
            ends = torch.from_numpy(self.edge_index[:, edge] + copy * len(self.node))
            copies = len(keep[rows])
            of = torch.from_numpy((self.of + len(self) * np.arange(copies)[:, None]).ravel())
            with torch.no_grad():
                edges = torch.from_numpy(edge)
                x, geometry = self.x.repeat(copies, 1), self.geometry(edges, copies)
                output = self.fold.forward(x, ends, self.edge_attr[edges], geometry, of)
            out[rows] = self.fold.mean(output).reshape(copies, -1)[:, self.centres]
        return out

    def _chunks(self, keep: np.ndarray) -> Iterator[slice]:
        """Runs of the rows of `keep` with a limited number of edges and nodes each."""
        most = max(1, EDGES_AT_ONCE // max(int(keep.sum(axis=1).max(initial=0)), len(self.node), 1))
        for start in range(0, len(keep), most):
            yield slice(start, start + most)

    def parts(self) -> Iterator[Fields]:
        """The same fields, a few at a time, so that each part has a limited number of edges."""
        sizes = np.maximum(np.bincount(self.of_edge, minlength=len(self)), np.bincount(self.of, minlength=len(self)))
        part = np.cumsum(sizes) // EDGES_AT_ONCE
        for number in np.unique(part):
            yield self.take(np.flatnonzero(part == number))

    def take(self, fields: np.ndarray) -> Fields:
        """Some of the fields, in the order of `fields`; each may be named more than once."""
        n_of, m_of = (np.bincount(of, minlength=len(self)) for of in (self.of, self.of_edge))
        first_node, first_edge = np.cumsum(n_of) - n_of, np.cumsum(m_of) - m_of
        nodes, edges = _ranges(first_node[fields], n_of[fields]), _ranges(first_edge[fields], m_of[fields])
        start = np.cumsum(n_of[fields]) - n_of[fields]
        shift = np.repeat(start - first_node[fields], m_of[fields])
        number = np.arange(len(fields))
        return Fields(
            self.fold,
            start,
            self.node[nodes],
            np.repeat(number, n_of[fields]),
            self.hop[nodes],
            self.edge[edges],
            np.repeat(number, m_of[fields]),
            self.edge_index[:, edges] + shift,
        )


@dataclass(frozen=True)
class Replay:
    """A run with everything needed to ask its models again. folds: those that are finished. fold_of: [N] the fold that
    tested each row of the run's catalog, -1 where it is not finished yet.
    """

    run: Run
    data: TrainingData
    folds: tuple[FoldReplay, ...]
    fold_of: np.ndarray

    @classmethod
    def open(cls, run: Run) -> Replay:
        """Raises InputError where the run has no finished fold, is no node regression, or its catalog has changed."""
        predictions, data = run.predictions, prepare(run.spec)
        fold_of = _fold_of(run, data, predictions)
        try:
            stored = load_file(run.folder / "checkpoint.safetensors")
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"Run '{run.id}' has no readable checkpoint.safetensors, so its model cannot be asked; train it again."
            ) from error
        folds = tuple(_fold(run, data, number, stored) for number in np.unique(fold_of[fold_of >= 0]).tolist())
        return cls(run, data, folds, fold_of)

    def __len__(self) -> int:
        return len(self.fold_of)

    @cached_property
    def velocities(self) -> np.ndarray | None:
        """[N, 3] km/s, or None where the catalog has none."""
        return self.data.catalog.velocities()

    @property
    def target(self) -> np.ndarray:
        """[N] float64: the truth, of the first target where there are several."""
        return self.data.first_target

    @cached_property
    def prediction(self) -> np.ndarray:
        """[N] float64: the out-of-fold prediction of each row, NaN where there is none yet."""
        out = np.full(len(self), np.nan)
        for fold in self.folds:
            out[fold.rows[fold.tested]] = fold.prediction[fold.tested]
        return out

    def place(self, row: int) -> tuple[FoldReplay, int]:
        """The fold that tested a row of the run's catalog, and its node there. Raises InputError where none did yet."""
        number = int(self.fold_of[row])
        if number < 0:
            raise InputError(f"Row {self.data.catalog.row_ids[row]} has not been tested yet; its fold is not finished.")
        fold = next(fold for fold in self.folds if fold.number == number)
        return fold, fold.node_of[row]

    def by_fold(self, rows: np.ndarray) -> Iterator[tuple[FoldReplay, np.ndarray, np.ndarray]]:
        """The folds that tested `rows` [K]: the fold, the places in `rows` of its own, and their nodes in its graph."""
        for fold in self.folds:
            at = np.flatnonzero(self.fold_of[rows] == fold.number)
            if len(at):
                yield fold, at, np.array([fold.node_of[int(row)] for row in rows[at]], dtype=np.int64)

    def sample(self, count: int, seed: int = 0, with_edges: bool = True) -> np.ndarray:
        """`count` tested rows at most, drawn at random, ascending; with_edges: only those that receive something."""
        able = self.fold_of >= 0
        if with_edges:
            for fold in self.folds:
                able[fold.rows[fold.tested]] &= fold.graph.degrees()[fold.tested] > 0
        rows = np.flatnonzero(able)
        return np.sort(np.random.default_rng(seed).choice(rows, min(count, len(rows)), replace=False))


def velocities_of(data: TrainingData) -> np.ndarray | None:
    """The velocities [N, 3] of the run's rows where its model asks for them."""
    return data.catalog.velocities() if data.spec.model.velocities else None


def geometry_of(graph: Graph, scalers: Scalers, velocities: np.ndarray | None) -> Geometry:
    """The vectors, and the velocities [n, 3], that a model is given for a graph."""
    return Asked(velocities=velocities).geometry(graph, scalers)


def _fold_of(run: Run, data: TrainingData, predictions: pd.DataFrame) -> np.ndarray:
    """[N] the fold of each row as the run's predictions say; raises InputError where today's rows are others."""
    if run.spec.task != "node_regression":
        raise InputError(f"Run '{run.id}' is no regression of objects; this page can only ask such models.")
    known = predictions.set_index("row_id").reindex(data.catalog.row_ids)
    fold_of = known["fold"].fillna(-1).to_numpy().astype(np.int64)
    there = fold_of >= 0
    same = there.sum() == len(predictions) and np.allclose(
        known["truth"][there], data.first_target[there], rtol=1e-4, atol=1e-6
    )
    for number in np.unique(fold_of[there]) if same else ():
        same &= np.array_equal(data.folds[number].test, fold_of == number)
    if not same:
        raise InputError(CHANGED.format(run.id))
    return fold_of


def _fold(run: Run, data: TrainingData, number: int, stored: dict[str, Tensor]) -> FoldReplay:
    members = []
    for member in range(run.spec.seeds):
        start = f"member{member}.fold{number}." if member else f"fold{number}."
        state = {name.removeprefix(start): value for name, value in stored.items() if name.startswith(start)}
        scaling = {name: state.pop(name) for name in list(state) if name.startswith("scalers.")}
        scalers = Scalers.from_state({name.removeprefix("scalers."): value for name, value in scaling.items()})
        shape = data.features.shape[1], scalers.n_edge_features, len(run.spec.targets)
        model = build_model(run.spec.model, *shape)
        model.load_state_dict(state)
        members.append(model.eval().requires_grad_(False))
    return FoldReplay.build(number, tuple(members), scalers, data)


def _ranges(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """first[0], first[0] + 1, .. (counts[0] of them), first[1], .."""
    skipped = first - (np.cumsum(counts) - counts)
    return np.arange(int(counts.sum())) + np.repeat(skipped, counts)
