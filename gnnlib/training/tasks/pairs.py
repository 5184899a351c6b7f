"""Pairs of nodes: do the two ends of an edge belong together?

The pairs are the edges of the graph, each once, whichever way it points. A column that is equal at both ends (a group's
id) makes a pair positive, and every other edge is a negative: none is sampled. Or a file says so, pair by pair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from gnnlib.catalog.expressions import evaluate
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph
from gnnlib.graph.methods.edge_list import read_labelled
from gnnlib.training.spec import RunSpec

CLASSES = ("apart", "together")


@dataclass(frozen=True)
class LabelledPairs:
    """pairs: a graph over the same nodes whose edges are the P pairs. truth: [P] float64, 1 where they belong together.
    notes: sentences for the reader.
    """

    pairs: Graph
    truth: np.ndarray
    notes: list[str]


def is_file(label: str, catalog: Catalog) -> bool:
    """Whether a label names a file of pairs rather than a column."""
    return label.strip() not in catalog.columns and Path(label).expanduser().is_file()


def label(spec: RunSpec, catalog: Catalog, graph: Graph) -> LabelledPairs:
    """The pairs of the graph with their truth. Raises InputError where there are none, or all are of one kind."""
    assert spec.label is not None
    pairs = _each_once(graph)
    if is_file(spec.label, catalog):
        pairs, truth, notes = _from_file(Path(spec.label).expanduser(), pairs)
    else:
        group = _groups(spec.label, catalog)
        truth, notes = group[pairs.edge_index[0]] == group[pairs.edge_index[1]], []
    positive = int(truth.sum())
    if not 0 < positive < len(truth):
        kind = "are alike" if len(truth) else "exist"
        raise InputError(
            f"{'All' if len(truth) else 'No'} pairs of the graph {kind} ({positive:,} of {len(truth):,} belong "
            f"together by '{spec.label}'), so there is nothing to tell apart; change the linking length or the label."
        )
    return LabelledPairs(pairs, truth.astype(np.float64), notes)


def _each_once(graph: Graph) -> Graph:
    """The graph with one edge of each pair of nodes and no self-loop.

    Where the graph has both directions, the features of the pair are the mean of theirs: the same either way round.
    """
    source, receiver = graph.edge_index
    key = np.minimum(source, receiver) * graph.n_nodes + np.maximum(source, receiver)
    first, pair, counts = np.unique(key, return_index=True, return_inverse=True, return_counts=True)[1:]
    features = np.zeros((len(first), graph.edge_features.shape[1]))
    np.add.at(features, pair, graph.edge_features)
    once = graph.with_edges(first)
    once = replace(once, edge_features=(features / counts[:, None]).astype(np.float32))
    return once.with_edges(~once.self_loop)


def _groups(name: str, catalog: Catalog) -> np.ndarray:
    """Numbers [N] that are equal where the column is; each row without a value (or a negative id) by itself."""
    values = catalog.table[name.strip()] if name.strip() in catalog.columns else pd.Series(evaluate(name, catalog))
    codes, known = pd.factorize(values)
    alone = codes < 0
    if values.dtype.kind in "if":
        alone |= values.to_numpy() < 0
    codes[alone] = len(known) + np.arange(int(alone.sum()))
    return codes


def _from_file(path: Path, pairs: Graph) -> tuple[Graph, np.ndarray, list[str]]:
    """The pairs that the file labels, their truth [P] bool."""
    ends, labels = read_labelled(str(path))
    place = pd.Index(pairs.row_ids.astype(str)).get_indexer(pd.Index(ends.astype(str).ravel())).reshape(ends.shape)
    n = pairs.n_nodes
    known = (place >= 0).all(axis=1)
    key = np.where(known, place.min(axis=1) * n + place.max(axis=1), -1)
    table = pd.Series(labels, key)[known]
    if bool(table.groupby(level=0).nunique().gt(1).any()):
        raise InputError(f"'{path.name}' labels a pair in two ways; keep one line a pair.")
    table = table[~table.index.duplicated()]
    source, receiver = pairs.edge_index
    found = table.reindex(np.minimum(source, receiver) * n + np.maximum(source, receiver))
    labelled = found.notna().to_numpy()
    notes = []
    if lost := len(ends) - int(labelled.sum()):
        notes.append(f"{lost:,} of {len(ends):,} pairs in '{path.name}' are not edges of the graph: left out.")
    return pairs.with_edges(labelled), found[labelled].to_numpy(dtype=bool), notes
