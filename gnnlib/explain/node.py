"""One object of a run: what its prediction is made of, edge by edge, and which objects look the same to the model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from gnnlib.explain import effects
from gnnlib.explain.replay import Fields, Replay
from gnnlib.graph.graph import Graph
from gnnlib.graph.space import periodic_sides

EDGES_DELETED = 400  # edges of an ego graph up to which those beyond the first hop are deleted, too


def ego_table(replay: Replay, row: int) -> pd.DataFrame:
    """The edges that a row's prediction depends on, nearest hop first, then by the size of the deletion effect.

    row: place in the run's catalog. Columns: hop (1 ends at the object itself), source, receiver (row ids),
    self_loop, separation (catalog's length unit), with velocities approach (velocity of the source along the edge,
    receding positive) and speed (all of the difference), both km/s; layer{l}_head{h} for a model with attention;
    deletion (prediction without the edge minus that with it) and gradient (x input), in the target's unit. Beyond the
    first hop deletion is NaN where the ego graph has more than `EDGES_DELETED` edges. Of a model that looks at the
    whole graph only the edges into the row are listed. Raises InputError for a row that is not tested yet.
    """
    fold, node = replay.place(row)
    fields = fold.fields(np.array([node]))
    catalog = replay.data.catalog
    source, receiver = fields.edge_index
    rows = fold.rows[fields.node]
    length = fold.graph.lengths[fields.edge]
    columns: dict[str, np.ndarray] = {
        "hop": fields.hop[receiver] + 1,
        "source": catalog.row_ids[rows[source]],
        "receiver": catalog.row_ids[rows[receiver]],
        "self_loop": source == receiver,
        "separation": length,
    }
    velocities = replay.velocities
    if velocities is not None:
        difference = velocities[rows[source]] - velocities[rows[receiver]]
        along = np.einsum("ma,ma->m", difference, fold.graph.separations[fields.edge])
        columns["approach"] = np.divide(along, length, out=np.zeros(len(along)), where=length > 0)
        columns["speed"] = np.linalg.norm(difference, axis=1)
    weights = fields.attention()
    if weights is not None:
        layers = replay.run.spec.model.depth
        heads = weights.shape[1] // layers
        for place in range(weights.shape[1]):
            columns[f"layer{place // heads}_head{place % heads}"] = weights[:, place].astype(np.float64)
    columns["deletion"] = _deletion(fields)
    columns["gradient"] = effects.gradient_times_input(fields, every=True)
    order = np.lexsort([-np.abs(np.nan_to_num(columns["deletion"])), columns["hop"]])
    if fold.model.reach is None:
        order = order[columns["hop"][order] == 1]
    return pd.DataFrame({name: values[order] for name, values in columns.items()})


def _deletion(fields: Fields) -> np.ndarray:
    chosen = np.arange(len(fields.edge))
    if len(chosen) > EDGES_DELETED:
        chosen = np.flatnonzero(fields.near)
    change = np.full(len(fields.edge), np.nan)
    change[chosen] = effects.deletion(fields, chosen)
    return change


@dataclass(frozen=True)
class Ego:
    """The receptive field of a row as a small graph of its own.

    graph: the row is node 0, the others stand around it where the minimum image puts them, without a box. rows: [n]
    places in the run's catalog. hops: [n] steps from the row.
    """

    graph: Graph
    rows: np.ndarray
    hops: np.ndarray


def ego_graph(replay: Replay, row: int) -> Ego:
    """The objects and edges that a row's prediction depends on; of a model that looks at the whole graph, those one
    step away. Raises InputError for a row that is not tested yet.
    """
    fold, node = replay.place(row)
    fields = fold.fields(np.array([node]), 1 if fold.model.reach is None else None)
    whole, edges = fold.graph, fields.edge
    apart = whole.positions[fields.node] - whole.positions[node]
    if whole.box is not None:
        apart -= whole.box * np.round(apart / periodic_sides(whole.box))
    order = np.lexsort([fields.edge_index[0], fields.edge_index[1]])
    graph = replace(
        whole,
        positions=whole.positions[node] + apart,
        edge_index=fields.edge_index[:, order],
        separations=whole.separations[edges][order],
        lengths=whole.lengths[edges][order],
        edge_features=whole.edge_features[edges][order],
        row_ids=whole.row_ids[fields.node],
        box=None,
        file_of=None,
    )
    return Ego(graph, fold.rows[fields.node], fields.hop)


def similar(replay: Replay, row: int, count: int = 8) -> pd.DataFrame:
    """The objects that look most like a row to the model: nearest in the last hidden layer, among those of its fold.

    Columns: row (row id), distance (1 is the median distance of two objects of the fold), truth, prediction. Models of
    different folds have different hidden layers, so their objects cannot be compared.
    """
    fold, node = replay.place(row)
    latent = fold.latent
    tested = np.flatnonzero(fold.tested)
    away = np.linalg.norm(latent[tested] - latent[node], axis=1)
    away[tested == node] = np.inf
    nearest = np.argsort(away, kind="stable")[: min(count, len(tested) - 1)]
    rows = fold.rows[tested[nearest]]
    return pd.DataFrame(
        {
            "row": replay.data.catalog.row_ids[rows],
            "distance": away[nearest] / _typical(latent[tested]),
            "truth": replay.target[rows],
            "prediction": fold.prediction[tested[nearest]],
        }
    )


def _typical(latent: np.ndarray, pairs: int = 2000) -> float:
    """The median distance of pairs drawn at random."""
    one, other = np.random.default_rng(0).integers(0, len(latent), (2, pairs))
    return float(np.median(np.linalg.norm(latent[one[one != other]] - latent[other[one != other]], axis=1))) or 1.0
