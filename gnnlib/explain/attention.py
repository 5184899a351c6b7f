"""What a trained model attended to: weights by catalog row ids, made comparable between objects.

A weight is a share: with twice the neighbours it is half as large without any change of interest. Relative attention,
weight x number of attended edges, takes that out: 1 is no preference, 3 is three times an even share. Attention is
what the model used, which is not proof of what drives the target (Jain & Wallace 2019, arXiv 1902.10186).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.explain.ranks import by_group, mean_and_error, standard_ranks
from gnnlib.graph.build import log_masses
from gnnlib.graph.space import periodic_sides
from gnnlib.training.run import Run

if TYPE_CHECKING:  # torch takes seconds to import, and only `between_folds` needs it
    from gnnlib.explain.replay import Replay

ALL_HEADS = "mean"  # in place of a head's name: the mean over layers and heads
LARGEST = "max"  # likewise: the largest of all heads
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
    if name in (ALL_HEADS, LARGEST):
        return {ALL_HEADS: "Mean of all heads", LARGEST: "Largest of all heads"}[name]
    found = HEAD.fullmatch(name)
    if found is None:
        raise InputError(f"There is no attention head '{name}'.")
    return f"Layer {int(found[1]) + 1}, head {int(found[2]) + 1}"


def weights(table: pd.DataFrame, head: str = ALL_HEADS) -> np.ndarray:
    """The attention of one head, or the mean or the largest of all, [M] float64. Raises InputError if there is no such
    head.
    """
    if head in (ALL_HEADS, LARGEST):
        values = table[heads(table)].to_numpy(dtype=np.float64)
        return values.mean(axis=1) if head == ALL_HEADS else values.max(axis=1)
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
    """How relative attention depends on separation, as `by_quantity` in bins of equal width from 0."""
    lengths = table["length"].to_numpy(dtype=np.float64)
    longest = lengths[~table["self_loop"].to_numpy()].max(initial=0.0) or 1.0
    return by_quantity(table, lengths, head, np.linspace(0.0, longest, bins + 1))


def by_quantity(
    table: pd.DataFrame, values: np.ndarray, head: str = ALL_HEADS, bounds: np.ndarray | None = None, bins: int = 15
) -> pd.DataFrame:
    """How relative attention depends on something known of the edges: median, 16th and 84th percentile in bins.

    values: [M]; bounds: of the bins, ascending, else `bins` of them hold equal counts. Columns: low, high (bounds of
    the bin), edges, p16, median, p84. Self-loops, edges whose value is not finite and empty bins are left out.
    """
    real = ~table["self_loop"].to_numpy() & np.isfinite(values)
    share, values = relative(table, head)[real], values[real]
    if bounds is None:
        bounds = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1))) if len(values) else np.zeros(2)
    place = np.clip(np.searchsorted(bounds, values, side="right") - 1, 0, max(len(bounds) - 2, 0))
    rows = [
        (bounds[b], bounds[min(b + 1, len(bounds) - 1)], int(np.sum(place == b)), *_spread(share[place == b]))
        for b in np.unique(place)
    ]
    return pd.DataFrame(rows, columns=["low", "high", "edges", "p16", "median", "p84"])


def edge_quantities(table: pd.DataFrame, catalog: Catalog) -> pd.DataFrame:
    """What the catalog knows of each edge, one row an edge: separation (its length unit) and, where it has the columns,
    mass_ratio (log10 of source over receiver), speed (of the relative velocity, km/s) and approach (its part along the
    edge, receding positive). Raises InputError for row ids that the catalog does not have.
    """
    source, receiver = _places(table, catalog)
    out = pd.DataFrame({"separation": table["length"].to_numpy(dtype=np.float64)})
    masses, velocities = log_masses(catalog), catalog.velocities()
    if masses is not None:
        with np.errstate(invalid="ignore"):
            out["mass_ratio"] = masses[source] - masses[receiver]
    if velocities is not None:
        difference = velocities[source] - velocities[receiver]
        apart = _separations(table, catalog)
        length = np.linalg.norm(apart, axis=1)
        out["speed"] = np.linalg.norm(difference, axis=1)
        along = np.einsum("ma,ma->m", difference, apart)
        out["approach"] = np.divide(along, length, out=np.zeros(len(along)), where=length > 0)
    return out


def by_kind(table: pd.DataFrame, catalog: Catalog, central: np.ndarray, head: str = ALL_HEADS) -> pd.DataFrame:
    """Relative attention between kinds: receiver, source ("central" or "satellite"), edges, p16, median, p84, mean.

    central: [N] bool over the catalog's rows. Self-loops are left out.
    """
    places = _places(table, catalog)
    source, receiver = (np.where(central[end], "central", "satellite") for end in places)
    frame = pd.DataFrame({"receiver": receiver, "source": source, "share": relative(table, head)})
    rows = [
        (*names, len(part), *_spread(part["share"].to_numpy()), float(part["share"].mean()))
        for names, part in frame[~table["self_loop"].to_numpy()].groupby(["receiver", "source"])
    ]
    return pd.DataFrame(rows, columns=["receiver", "source", "edges", "p16", "median", "p84", "mean"])


def entropy(table: pd.DataFrame) -> pd.DataFrame:
    """How spread out each head's attention is: head, receivers, p16, median, p84 of entropy / log(edges).

    1 is an even share, 0 all on one edge. Receivers with one edge say nothing and are left out.
    """
    _, group = np.unique(table["receiver"].to_numpy(), return_inverse=True)
    counts = np.bincount(group)
    rows = []
    for name in heads(table):
        weight = weights(table, name)
        with np.errstate(divide="ignore", invalid="ignore"):
            total = by_group(np.where(weight > 0, -weight * np.log(weight), 0.0), group)
            spread = (total / np.log(counts))[counts > 1]
        if len(spread):
            rows.append((name, len(spread), *_spread(spread)))
    return pd.DataFrame(rows, columns=["head", "receivers", "p16", "median", "p84"])


def between_heads(table: pd.DataFrame) -> pd.DataFrame:
    """Whether heads agree: the mean over receivers of Spearman's rho between each two of them, [heads, heads].

    Over receivers with at least three edges besides a self-loop.
    """
    table = table[~table["self_loop"].to_numpy()]
    table = table[table.groupby("receiver")["receiver"].transform("size") >= 3]
    _, group = np.unique(table["receiver"].to_numpy(), return_inverse=True)
    names = heads(table)
    ranks = [standard_ranks(weights(table, name), group) for name in names]
    return _agreement(ranks, group, names)


def between_runs(first: pd.DataFrame, second: pd.DataFrame, head: str = ALL_HEADS) -> tuple[float, float, int]:
    """Whether two runs attend alike, such as two seeds: the mean over receivers of Spearman's rho on the edges that
    both attended over, its standard error, and how many receivers have three such edges.
    """
    ends = ["source", "receiver"]
    pairs = [
        part.loc[~part["self_loop"].to_numpy(), ends].assign(weight=weights(part, head)[~part["self_loop"].to_numpy()])
        for part in (first, second)
    ]
    both = pairs[0].merge(pairs[1], on=ends, suffixes=("_first", "_second"))
    both = both[both.groupby("receiver")["receiver"].transform("size") >= 3]
    if both.empty:
        return float("nan"), float("nan"), 0
    _, group = np.unique(both["receiver"].to_numpy(), return_inverse=True)
    one, other = (standard_ranks(both[f"weight_{name}"].to_numpy(), group) for name in ("first", "second"))
    return mean_and_error(by_group(one * other, group))


def between_folds(replay: Replay, count: int = 300, seed: int = 0) -> pd.DataFrame:
    """Whether the models of different folds attend alike when asked about the same objects.

    For `count` tested objects drawn at random, the mean attention of each fold's model over the same edges; mean over
    the objects of Spearman's rho between each two folds, [folds, folds].
    """
    rows = replay.sample(count, seed)
    weight: list[list[np.ndarray]] = [[] for _ in replay.folds]
    groups: list[np.ndarray] = []
    for fold, _, nodes in replay.by_fold(rows):
        fields = fold.fields(nodes)
        for number, other in enumerate(replay.folds):
            told = replace(fields, fold=fold.asking(other, replay.data)).attention()
            if told is None:
                raise InputError(f"The model '{replay.run.spec.model.name}' of this run has no attention.")
            weight[number].append(told[fields.near].mean(axis=1))
        groups.append(fields.of_edge[fields.near] + sum(int(part.max()) + 1 for part in groups if len(part)))
    group = np.unique(np.concatenate(groups), return_inverse=True)[1]
    enough = np.bincount(group)[group] >= 3
    group = np.unique(group[enough], return_inverse=True)[1]
    ranks = [standard_ranks(np.concatenate(parts)[enough].astype(np.float64), group) for parts in weight]
    names = [f"fold {fold.number + 1}" for fold in replay.folds]
    return _agreement(ranks, group, names)


def _agreement(ranks: list[np.ndarray], group: np.ndarray, names: list[str]) -> pd.DataFrame:
    """The mean of Spearman's rho between each two, from their standard ranks."""
    out = [[mean_and_error(by_group(one * other, group))[0] for other in ranks] for one in ranks]
    return pd.DataFrame(out, index=names, columns=names)


def to_themselves(table: pd.DataFrame, head: str = ALL_HEADS) -> float | None:
    """The mean share that receivers give to their own self-loop; None where there are none."""
    own = table["self_loop"].to_numpy()
    return float(weights(table, head)[own].mean()) if own.any() else None


def _spread(values: np.ndarray) -> tuple[float, float, float]:
    low, median, high = np.percentile(values, (16, 50, 84))
    return float(low), float(median), float(high)


def _places(table: pd.DataFrame, catalog: Catalog) -> tuple[np.ndarray, np.ndarray]:
    """Places [M] of sources and receivers in the catalog. Raises InputError for unknown row ids."""
    place = pd.Index(catalog.row_ids)
    source, receiver = place.get_indexer(table["source"]), place.get_indexer(table["receiver"])
    if (source < 0).any() or (receiver < 0).any():
        raise InputError("The run's row ids are not in this catalog; open the catalog that the run was trained on.")
    return source, receiver


def _separations(table: pd.DataFrame, catalog: Catalog) -> np.ndarray:
    """[M, 3]: position of the source minus that of the receiver, minimum image. Raises InputError for unknown row
    ids.
    """
    source, receiver = _places(table, catalog)
    positions = catalog.positions()
    separation = positions[source] - positions[receiver]
    box = catalog.periodic_box
    return separation if box is None else separation - box * np.round(separation / periodic_sides(box))
