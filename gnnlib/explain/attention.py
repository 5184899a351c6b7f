"""What a trained model attended to: weights by catalog row ids, made comparable between objects.

A weight is a share: with twice the neighbours it is half as large without any change of interest. Relative attention,
weight x number of attended edges, takes that out: 1 is no preference, 3 is three times an even share. Attention is
what the model used, which is not proof of what drives the target (Jain & Wallace 2019, arXiv 1902.10186).
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.graph.space import periodic_sides
from gnnlib.training.run import Run

ALL_HEADS = "mean"  # in place of a head's name: the mean over layers and heads
HEAD = re.compile(r"layer(\d+)_head(\d+)")


def read_attention(run: Run) -> pd.DataFrame:
    """The attention of every tested receiver of a run, one row an edge, sorted by fold, receiver and source.

    Columns: source, receiver (catalog row ids), fold, self_loop, length (catalog's length unit), and a float32
    layer{l}_head{h} for each head, which sums to 1 over the edges of a receiver. Raises InputError if the run has no
    attention.
    """
    if not (run.folder / "attention.parquet").exists() and run.results:
        raise InputError(f"The model '{run.spec.model.name}' of run '{run.id}' has no attention; train 'attention'.")
    return run.attention


def heads(table: pd.DataFrame) -> list[str]:
    """The columns of `table` that are heads, in order."""
    return [name for name in table.columns if HEAD.fullmatch(name)]


def head_label(name: str) -> str:
    """A head's name for people: "layer0_head2" -> "Layer 1, head 3"."""
    if name == ALL_HEADS:
        return "Mean of all heads"
    found = HEAD.fullmatch(name)
    if found is None:
        raise InputError(f"There is no attention head '{name}'.")
    return f"Layer {int(found[1]) + 1}, head {int(found[2]) + 1}"


def weights(table: pd.DataFrame, head: str = ALL_HEADS) -> np.ndarray:
    """The attention of one head, or the mean of all, [M] float64. Raises InputError if there is no such head."""
    if head == ALL_HEADS:
        return table[heads(table)].to_numpy(dtype=np.float64).mean(axis=1)
    if head not in heads(table):
        raise InputError(f"There is no attention head '{head}'; choose one of {', '.join(heads(table))}.")
    return table[head].to_numpy(dtype=np.float64)


def degrees(table: pd.DataFrame) -> np.ndarray:
    """The number of edges that the receiver of each edge attended over, self-loops counted, [M] int64."""
    _, place, counts = np.unique(table["receiver"].to_numpy(), return_inverse=True, return_counts=True)
    return counts[place]


def relative(table: pd.DataFrame, head: str = ALL_HEADS) -> np.ndarray:
    """Attention x degree [M]: 1 where a receiver has no preference. All edges of a receiver must be in the table."""
    return weights(table, head) * degrees(table)


def node_edges(run: Run, row_id: int | str, catalog: Catalog | None = None) -> pd.DataFrame:
    """What one object attended to: an edge a row, the strongest first.

    Columns of `read_attention`, then attention (mean of all heads) and relative_attention. With the run's catalog
    also separation_x, _y, _z: source minus receiver, minimum image, in the catalog's length unit. Raises InputError
    if the run has no attention.
    """
    table = read_attention(run)
    table = table[table["receiver"].astype(str) == str(row_id)].reset_index(drop=True)
    table["attention"], table["relative_attention"] = weights(table), relative(table)
    if catalog is not None:
        for axis, values in zip("xyz", _separations(table, catalog).T, strict=True):
            table[f"separation_{axis}"] = values
    return table.sort_values("attention", ascending=False, ignore_index=True)


def top_edges(table: pd.DataFrame, count: int, head: str = ALL_HEADS) -> pd.DataFrame:
    """The `count` edges of highest relative attention: source, receiver, length, attention, relative_attention."""
    edges = table[["source", "receiver", "length"]].assign(
        attention=weights(table, head), relative_attention=relative(table, head)
    )
    edges = edges[~table["self_loop"].to_numpy()]
    return edges.nlargest(count, "relative_attention").reset_index(drop=True)


def by_separation(table: pd.DataFrame, head: str = ALL_HEADS, bins: int = 15) -> pd.DataFrame:
    """How relative attention depends on separation: median, 16th and 84th percentile in bins of equal width.

    Columns: low, high (bounds of the bin, catalog's length unit), edges, p16, median, p84. Self-loops and empty bins
    are left out.
    """
    columns = ["low", "high", "edges", "p16", "median", "p84"]
    real = ~table["self_loop"].to_numpy()
    values, lengths = relative(table, head)[real], table["length"].to_numpy(dtype=np.float64)[real]
    if not len(values):
        return pd.DataFrame(columns=columns)
    bounds = np.linspace(0.0, lengths.max() or 1.0, bins + 1)
    place = np.clip(np.digitize(lengths, bounds) - 1, 0, bins - 1)
    rows = [
        (bounds[b], bounds[b + 1], int(np.sum(place == b)), *np.percentile(values[place == b], (16, 50, 84)))
        for b in np.unique(place)
    ]
    return pd.DataFrame(rows, columns=columns)


def _separations(table: pd.DataFrame, catalog: Catalog) -> np.ndarray:
    """[M, 3]: position of the source minus that of the receiver, minimum image. Raises InputError for unknown row
    ids.
    """
    place = pd.Index(catalog.row_ids)
    source, receiver = place.get_indexer(table["source"]), place.get_indexer(table["receiver"])
    if (source < 0).any() or (receiver < 0).any():
        raise InputError("The run's row ids are not in this catalog; open the catalog that the run was trained on.")
    positions = catalog.positions()
    separation = positions[source] - positions[receiver]
    box = catalog.periodic_box
    return separation if box is None else separation - box * np.round(separation / periodic_sides(box))
