"""Whole graphs: the rows that share a value of a column (members of a group, a subvolume) are a graph with one target.

No edge joins two graphs, and a fold takes a graph whole, so none is ever partly tested and partly trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gnnlib.catalog.grammar import parse
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph
from gnnlib.training.spec import RunSpec
from gnnlib.training.splits import ROWS_PER_FOLD, Fold, make_folds

SAME = 1e-6  # by how much, of its size, the target may vary among the members of a graph


@dataclass(frozen=True)
class WholeGraphs:
    """graph: of all rows, without the edges between graphs. graph_of: [N] numbers 0..G-1. ids: [G] as the catalog calls
    them. target: [G, 1]. notes: sentences for the reader.
    """

    graph: Graph
    graph_of: np.ndarray
    ids: np.ndarray
    target: np.ndarray
    notes: list[str]


def column_of(spec: RunSpec, catalog: Catalog) -> str:
    """The column that divides the rows into graphs: the one named, else that of the files of a folder of catalogs.

    Raises InputError where there is neither.
    """
    if spec.graph_by:
        return spec.graph_by
    if catalog.files is None:
        raise InputError(
            "The column that divides the rows into graphs is missing (graph_by); only the files of a folder of "
            "catalogs are graphs by themselves."
        )
    return catalog.files.column


def divide(column: str, catalog: Catalog) -> np.ndarray:
    """The number of each row's graph [N], -1 for a row without one (no value, or a negative id).

    Rows of two files of a folder of catalogs are never of one graph.
    """
    values = catalog.values(column)
    codes = pd.factorize(values)[0]
    if values.dtype.kind in "if":
        codes[np.asarray(values) < 0] = -1
    if (file_of := catalog.file_of) is not None:
        codes = np.where(codes < 0, -1, codes * (int(file_of.max(initial=0)) + 1) + file_of)
    return codes


def names(column: str, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
    """What the graphs are called that have these `rows` [G] among their own: the value of the column, after the file's
    name where that is another column."""
    ids = catalog.values(column)[rows]
    if catalog.files is None or column == catalog.files.column:
        return ids
    files = catalog.values(catalog.files.column)[rows]
    return np.array([f"{file}:{one}" for file, one in zip(files, ids, strict=True)])


def is_logarithm(target: str, catalog: Catalog) -> bool:
    """Whether a target is a column of decimal logarithms or log10 of something."""
    if target in catalog.columns:
        return catalog.columns[target].measure.is_log
    tree = parse(target)
    return tree.kind == "call" and tree.value == "log10"


def collect(spec: RunSpec, catalog: Catalog, graph: Graph, number: np.ndarray, values: np.ndarray) -> WholeGraphs:
    """The graphs of the used rows. number: [N] from `divide`; values: [N] the target of each row.

    The sum of a decimal logarithm is the logarithm of the sum, so that the target log10(mass) of a group is that of its
    whole mass. Raises InputError where `spec.aggregate` is "same" and the target is not, or where there are too few
    graphs.
    """
    column = column_of(spec, catalog)
    first, graph_of = np.unique(number, return_index=True, return_inverse=True)[1:]
    ids, n_graphs = names(column, catalog, first), len(first)
    members = pd.Series(values).groupby(graph_of)
    if spec.aggregate == "same":
        spread = (members.max() - members.min()).to_numpy()
        if (differ := spread > SAME * np.maximum(1, members.max().abs().to_numpy())).any():
            raise InputError(
                f"The target '{spec.target}' differs among the members of {int(differ.sum())} of {n_graphs} graphs "
                f"(of '{column}' = {ids[np.argmax(differ)]}, for one); choose a column of the graphs, or an "
                "aggregate (sum, mean, max)."
            )
        target = members.first().to_numpy()
    elif spec.aggregate == "sum" and is_logarithm(spec.target, catalog):  # what the mass of all members is
        top = members.max()
        target = (top + np.log10(pd.Series(10 ** (values - top[graph_of])).groupby(graph_of).sum())).to_numpy()
    else:
        target = members.agg(spec.aggregate).to_numpy()
    if np.ptp(target) == 0:
        raise InputError(f"The target '{spec.target}' is the same for all {n_graphs} graphs; choose another column.")
    source, receiver = graph.edge_index
    inside = graph_of[source] == graph_of[receiver]
    notes = []
    if lost := int((~inside).sum()):
        notes.append(f"{lost:,} of {graph.n_edges:,} directed edges join two graphs and are left out.")
        if graph.spec.method not in ("radius", "cylinder") or graph.spec.cap:
            notes.append(
                "Neighbours were chosen among all rows, so those of other graphs took places; with a linking length "
                "and no cap every graph has all of its edges."
            )
    return WholeGraphs(graph.with_edges(inside), graph_of, ids, target[:, None].astype(np.float64), notes)


def folds(spec: RunSpec, whole: WholeGraphs, groups: np.ndarray | None, buffer: float) -> list[Fold]:
    """Folds of the rows that take every graph whole: those of the graphs' first rows, handed on to all members.

    groups: [N] ids that are kept together, for the split "group"; where these are the graphs themselves, each stands
    alone. No message leaves a graph, so there is a buffer only where one is asked for.
    """
    _, first = np.unique(whole.graph_of, return_index=True)
    of_graphs = None if groups is None else np.asarray(groups)[first]
    if len(first) < ROWS_PER_FOLD * spec.folds:
        of = f"'{spec.graph_by}'" if spec.graph_by else "The folder"
        raise InputError(
            f"{of} divides the rows into {len(first)} graphs, too few for {spec.folds} folds, which need "
            f"{ROWS_PER_FOLD * spec.folds}; use fewer folds or another column."
        )
    width = buffer if spec.buffer is not None else 0.0
    file_of = None if whole.graph.file_of is None else whole.graph.file_of[first]
    found = make_folds(whole.graph.positions[first], whole.graph.box, spec, of_graphs, width, file_of=file_of)
    return [
        Fold(*(mask[whole.graph_of] for mask in (fold.test, fold.train, fold.validation, fold.buffer)))
        for fold in found
    ]


def inside(graph_of: np.ndarray, part: np.ndarray) -> np.ndarray:
    """[G] bool: the graphs of which every row is in `part` [N]."""
    whole = np.ones(int(graph_of.max()) + 1, dtype=bool)
    whole[graph_of[~part]] = False
    return whole
