"""Symmetries of space tried out on a run: what should not matter is changed, and how far predictions follow is told.

The catalog itself is transformed and its graph built anew, so that the search for neighbours, the edge features and the
model are all put to the test. Beside it stands a network that is told absolute positions and therefore fails.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from gnnlib.catalog.table import Catalog, speed_scale
from gnnlib.explain.replay import FoldReplay, Replay
from gnnlib.graph.build import build_graph
from gnnlib.models.registry import build_model
from gnnlib.models.spec import ModelSpec
from gnnlib.models.stack import Stack
from gnnlib.training.loop import FoldData, fit, predict
from gnnlib.training.scaling import Scalers

COUNTER_ROWS = 3000  # that the counter-example is trained on
COUNTER_EPOCHS = 12
TRIALS = {
    "permute": "Permute the rows",
    "rotate": "Rotate",
    "translate": "Translate",
    "shift": "Shift the periodic box",
    "reflect": "Mirror",
}


@dataclass(frozen=True)
class Trial:
    """What a transformation did.

    largest, mean: size of the change of a prediction, in the target's unit, over `objects` tested objects. edges: how
    many are in one of the two graphs only, by rounding at the linking length. spread: the standard deviation of the
    target, to compare with. open_box: whether the box was opened for it.
    """

    largest: float
    mean: float
    objects: int
    edges: int
    spread: float
    open_box: bool


@dataclass(frozen=True)
class Counter:
    """A network without edges that has x, y and z among its features."""

    model: Stack
    scalers: Scalers


def trial(replay: Replay, name: str, seed: int = 0, counter: Counter | None = None) -> Trial:
    """Transform the catalog as one of `TRIALS` says and ask the first fold again: its own model, or `counter`.

    A rotation is by a random angle about a random axis; a periodic box is not the same after it, so the box is opened,
    in the graph that is compared with as well. Translation moves everything, box included, by a random vector, and a
    shift of the periodic box moves objects through its faces.
    """
    rng, catalog = np.random.default_rng(seed), replay.data.catalog
    opened = name == "rotate" or (name == "translate" and replay.data.graph.box is None)
    moved, order = _transformed(catalog, name, rng)
    before, pairs = _ask(replay, catalog, np.arange(len(catalog)), opened, counter)
    after, new_pairs = _ask(replay, moved, order, opened, counter)
    change = np.abs(after - before)
    return Trial(
        largest=float(change.max()),
        mean=float(change.mean()),
        objects=len(change),
        edges=len(np.setxor1d(pairs, new_pairs)),
        spread=float(replay.target.std()),
        open_box=opened and replay.data.graph.box is not None,
    )


def counter_example(replay: Replay, seed: int = 0) -> Counter:
    """Train, in seconds, a network that is told where each object is, on the training rows of the first fold."""
    fold = replay.data.folds[replay.folds[0].number]
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(fold.train)
    chosen = np.zeros(len(replay), dtype=bool)
    chosen[rng.choice(known, min(COUNTER_ROWS, len(known)), replace=False)] = True
    graph = replay.data.graph.subgraph(chosen)
    graph = graph.with_edges(np.zeros(graph.n_edges, dtype=bool))
    features = np.column_stack([replay.data.features, replay.data.catalog.positions()])[chosen]
    train, target = np.ones(len(features), dtype=bool), replay.target[chosen]
    scalers = Scalers.fit(graph, features, target, train)
    model = build_model(ModelSpec(name="pointwise", hidden=32, latent=16), features.shape[1], scalers.n_edge_features)
    data = FoldData.build(graph, features, target, train, ~train, scalers)
    spec = replay.run.spec.model_copy(update={"epochs": COUNTER_EPOCHS, "device": "cpu", "batch_size": 256})
    fit(model, data, spec, torch.device("cpu"))
    return Counter(model.eval(), scalers)


def _transformed(catalog: Catalog, name: str, rng: np.random.Generator) -> tuple[Catalog, np.ndarray]:
    """The changed catalog, and the place in it of each of its old rows."""
    order = np.arange(len(catalog))
    positions, velocities = catalog.positions(), catalog.velocities()
    middle = positions.mean(axis=0)
    sides = np.ptp(positions, axis=0) if catalog.box is None else np.asarray(catalog.box, dtype=np.float64)
    if name == "permute":
        shuffled = rng.permutation(len(catalog))
        table = catalog.table.iloc[shuffled].reset_index(drop=True)
        order[shuffled] = np.arange(len(catalog))
        return replace(catalog, table=table, row_ids=catalog.row_ids[shuffled]), order
    if name == "rotate":
        turn = _rotation(rng, len(catalog.axes))
        positions = (positions - middle) @ turn.T + middle
        velocities = None if velocities is None else velocities @ turn.T
    elif name == "reflect":
        positions = positions.copy()
        positions[:, 0] = sides[0] - positions[:, 0] if catalog.box is not None else -positions[:, 0]
        velocities = None if velocities is None else velocities * np.array([-1.0, 1.0, 1.0])
    elif name == "translate":
        positions = positions + rng.uniform(1, 2, 3) * sides.max() * (np.arange(3) < len(catalog.axes))
    else:
        moved = positions + rng.uniform(0.2, 0.8, 3) * sides * (np.arange(3) < len(catalog.axes))
        periodic = np.array(catalog.periodic_axes)
        positions = np.where(periodic, np.mod(moved, np.where(sides > 0, sides, 1.0)), moved)
    return _with(catalog, positions, velocities), order


def _with(catalog: Catalog, positions: np.ndarray, velocities: np.ndarray | None) -> Catalog:
    table = catalog.table.copy()
    for axis, name in enumerate(catalog.axes):
        table[name] = positions[:, axis] / catalog.length_scale(name)
    if velocities is not None and len(catalog.roles.velocity) == len(catalog.axes):
        for axis, name in enumerate(catalog.roles.velocity):
            table[name] = velocities[:, axis] / speed_scale(catalog.columns[name])
    return replace(catalog, table=table)


def _rotation(rng: np.random.Generator, axes: int) -> np.ndarray:
    """A random rotation [3, 3]; of the plane of the first two axes where a catalog has no more."""
    if axes == 2:
        angle = rng.uniform(0.3, 2.8)
        turn = np.eye(3)
        turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        return turn
    found, upper = np.linalg.qr(rng.normal(size=(3, 3)))
    found = found * np.sign(np.diag(upper))
    return found * np.sign(np.linalg.det(found))


def _ask(
    replay: Replay, catalog: Catalog, order: np.ndarray, opened: bool, counter: Counter | None
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of the tested rows of the first fold, in the order of the run's catalog, and the pairs of its graph.

    order: [N] where each row of the run's catalog is in `catalog`.
    """
    fold: FoldReplay = replay.folds[0]
    how = replay.run.spec.graph.model_copy(update={"periodic": False}) if opened else replay.run.spec.graph
    graph = build_graph(catalog, how)
    seen = np.zeros(len(catalog), dtype=bool)
    seen[order[fold.rows]] = True
    old = np.empty(len(order), dtype=np.int64)
    old[order] = np.arange(len(order))
    rows = old[np.flatnonzero(seen)]
    part, features = graph.subgraph(seen), replay.data.features[rows]
    if counter is None:
        velocities = catalog.velocities() if replay.run.spec.model.velocities else None
        own = None if velocities is None else velocities[seen]
        said = fold.on(part, features, rows, own).prediction
    else:
        told = np.column_stack([features, catalog.positions()[seen]])
        said = predict(counter.model, part, told, counter.scalers, torch.device("cpu")).mean
    source, receiver = rows[part.edge_index]
    out = np.empty(len(order))
    out[rows] = said
    return out[fold.rows[fold.tested]], receiver * len(order) + source
