"""What a run would have predicted for another universe: objects deleted, moved or made heavier, edges cut.

Everything is computed anew from the changed catalog, edges and their features included; only cut edges are taken out
afterwards. The models, their scalers and the folds stay: each object is predicted by the model that tested it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from gnnlib.catalog.expressions import evaluate
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.explain.replay import FoldReplay, Replay
from gnnlib.graph.build import build_graph, reach
from gnnlib.graph.graph import Graph
from gnnlib.graph.space import periodic_sides


class Change(BaseModel):
    """One change. kind "delete": the object `row`; "cut": the edge from `source` to `row`; "move": `row` by `shift`, in
    the catalog's length unit; "mass": of `row` by `dex`, in the column that has the role of mass. row, source: row ids.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["delete", "cut", "move", "mass"]
    row: int | str
    source: int | str | None = None
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    dex: float = 0.0

    def __str__(self) -> str:
        if self.kind == "delete":
            return f"delete {self.row}"
        if self.kind == "cut":
            return f"cut the edge {self.source} → {self.row}"
        if self.kind == "mass":
            return f"mass of {self.row} × {10**self.dex:.3g}"
        return f"move {self.row} by ({', '.join(f'{step:+.3g}' for step in self.shift)})"


@dataclass(frozen=True)
class Outcome:
    """What became of the predictions of the fold that was asked.

    table: one row a tested object whose prediction changed by more than rounding: row (row id), hop (edges from what
    was changed, in the graph before or after, whichever is nearer; -1 where none leads there), before, after, change.
    hops: by hop, objects (that were reached), changed, mean and largest size of the change.
    """

    table: pd.DataFrame
    hops: pd.DataFrame


ROUNDING = 1e-5  # of the target's spread: below it a change is that of single precision
FAR = 3  # edges that are counted for a model that looks at the whole graph


def what_if(replay: Replay, changes: tuple[Change, ...], row: int | str) -> Outcome:
    """What the changes do to the predictions of the fold that tested `row` (row id).

    Raises InputError for a row id that the run does not have, an object deleted that is asked about, or a change that
    the catalog cannot take.
    """
    fold, _ = replay.place(_place(replay, row))
    if replay.run.spec.graph.method == "edge_list" and any(change.kind in ("delete", "move") for change in changes):
        raise InputError(
            "The edges of this graph are read from a file, so no object can be deleted or moved; cut edges."
        )
    catalog, kept = _changed(replay, changes)
    reached, needed = _concerned(replay, fold, catalog, changes)
    needed[_place(replay, row)] = True
    graph = _graph(replay, catalog, kept, needed, changes)
    seen = fold.rows[needed[fold.rows] & kept[fold.rows]]
    after = fold.prediction.copy()
    node = np.searchsorted(fold.rows, seen)
    after[node[reached[seen]]] = _predict(replay, fold, catalog, graph, seen)[reached[seen]]
    touched = np.array([_place(replay, change.row) for change in changes], dtype=np.int64)
    left = fold.tested & kept[fold.rows]
    rows = fold.rows[left]
    before = fold.prediction[left]
    table = pd.DataFrame(
        {
            "row": catalog.row_ids[rows],
            "hop": _hops(replay, fold, graph, touched)[rows],
            "before": before,
            "after": after[left],
            "change": after[left] - before,
        }
    )
    changed = np.abs(table["change"]) > ROUNDING * fold.unit
    summary = (
        table.assign(size=np.abs(table["change"]), changed=changed)[table["hop"] >= 0]
        .groupby("hop")
        .agg(objects=("row", "size"), changed=("changed", "sum"), mean=("size", "mean"), largest=("size", "max"))
        .reset_index()
    )
    table = table[changed | (table["row"] == row)]
    order = np.lexsort([-np.abs(table["change"]), table["row"] != row])  # the row that is asked about comes first
    return Outcome(table.iloc[order].reset_index(drop=True), summary)


def _place(replay: Replay, row_id: int | str) -> int:
    found = np.flatnonzero(replay.data.catalog.row_ids == row_id)
    if not len(found):
        raise InputError(f"The run has no row '{row_id}'; choose an object that it predicted.")
    return int(found[0])


def _changed(replay: Replay, changes: tuple[Change, ...]) -> tuple[Catalog, np.ndarray]:
    """The catalog with other positions and masses, and which rows [N] are left. Deleted rows keep their place."""
    catalog = replay.data.catalog
    kept, table = np.ones(len(catalog), dtype=bool), catalog.table
    for change in changes:
        at = _place(replay, change.row)
        if change.kind == "delete":
            kept[at] = False
        elif change.kind == "move":
            table = table.copy()
            for name, step in zip(catalog.axes, change.shift, strict=False):
                values = table[name].to_numpy(dtype=np.float64, copy=True)
                values[at] += step / catalog.length_scale(name)
                table[name] = values
        elif change.kind == "mass":
            mass = catalog.roles.mass
            if mass is None:
                raise InputError("The catalog has no mass column; choose one on the Catalog page.")
            table = table.copy()
            values = table[mass].to_numpy(dtype=np.float64, copy=True)
            logarithmic = catalog.columns[mass].unit.startswith("dex")
            values[at] = values[at] + change.dex if logarithmic else values[at] * 10**change.dex
            table[mass] = values
    return replace(catalog, table=table), kept


def _concerned(
    replay: Replay, fold: FoldReplay, catalog: Catalog, changes: tuple[Change, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """[N] bool twice: rows whose prediction can change, and rows that must be there for it to come out exactly.

    A change alters the features of edges up to two edges away, since each node looks towards the mean of its
    neighbours, and messages carry that on. So for a graph with a longest edge predictions change within depth + 2 of
    its lengths, and what these depend on lies within as many again. For other graphs and models: all rows.
    """
    longest, depth = reach(replay.run.spec.graph), fold.model.reach
    everything = np.ones(len(catalog), dtype=bool)
    if longest is None or depth is None or replay.run.spec.graph.cap:
        return everything, everything.copy()
    places = np.array([_place(replay, change.row) for change in changes], dtype=np.int64)
    box, closest = replay.data.graph.box, np.full(len(catalog), np.inf)
    for positions in (replay.data.catalog.positions(), catalog.positions()):
        for place in places:
            apart = positions - positions[place]
            if box is not None:
                apart -= box * np.round(apart / periodic_sides(box))
            closest = np.minimum(closest, np.linalg.norm(apart, axis=1))
    return closest <= (depth + 2) * longest, closest <= (2 * depth + 4) * longest


def _graph(replay: Replay, catalog: Catalog, kept: np.ndarray, near: np.ndarray, changes: tuple[Change, ...]) -> Graph:
    """The graph of the rows that are left and near; its nodes are these rows in their order."""
    graph = build_graph(catalog.take(near & kept), replay.run.spec.graph)
    cut = {(change.source, change.row) for change in changes if change.kind == "cut"}
    if not cut:
        return graph
    ends = zip(*graph.row_ids[graph.edge_index].tolist(), strict=True)
    return graph.with_edges(np.array([pair not in cut for pair in ends], dtype=bool))


def _predict(replay: Replay, fold: FoldReplay, catalog: Catalog, graph: Graph, rows: np.ndarray) -> np.ndarray:
    """What the fold's model says of `rows` [n], which are among the nodes of `graph`."""
    inside = np.isin(graph.row_ids, catalog.row_ids[rows])
    part = graph.subgraph(inside)
    left = catalog.take(np.isin(catalog.row_ids, part.row_ids))
    features = np.column_stack([np.asarray(evaluate(n, left), dtype=np.float64) for n in replay.run.spec.features])
    velocities = left.velocities() if replay.run.spec.model.velocities else None
    return fold.on(part, features, rows, velocities).prediction


def _hops(replay: Replay, fold: FoldReplay, graph: Graph, touched: np.ndarray) -> np.ndarray:
    """[N] how many edges lead from what was touched to each row, in the graph before or after; -1 where none do."""
    number = np.full(len(replay), -1, dtype=np.int64)
    places = pd.Index(replay.data.catalog.row_ids).get_indexer(graph.row_ids)
    edges = np.concatenate([replay.data.graph.edge_index, places[graph.edge_index]], axis=1)
    here = touched
    number[here] = 0
    for hop in range(1, (fold.model.reach or FAR) + 2):
        arrived = np.zeros(len(replay), dtype=bool)
        arrived[edges[1, np.isin(edges[0], here)]] = True
        here = np.flatnonzero(arrived & (number < 0))
        number[here] = hop
    return number
