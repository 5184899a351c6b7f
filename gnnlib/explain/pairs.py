"""What a run said of pairs of objects: curves of its score, and the pairs as edges of the graph they come from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph

POINTS = 1000  # of a curve: more cannot be seen


def precision_recall(truth: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Precision and recall when pairs from a probability on are taken to belong together: threshold, precision, recall.

    truth: [P] 0 or 1, of both kinds. probability: [P]. One row a different probability from the largest down, after
    a first one where nothing is taken: its precision is 1.
    """
    thresholds, found, alarms = _counts(truth, probability)
    taken = found + alarms
    table = {"precision": found / taken, "recall": found / found[-1]}
    return _begun(thresholds, table, {"precision": 1.0, "recall": 0.0})


def roc(truth: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Share of what belongs together that is found, and of what is apart that is taken for it: threshold, found,
    false_alarms; otherwise as `precision_recall`.
    """
    thresholds, found, alarms = _counts(truth, probability)
    table = {"found": found / found[-1], "false_alarms": alarms / alarms[-1]}
    return _begun(thresholds, table, {"found": 0.0, "false_alarms": 0.0})


def _counts(truth: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Different probabilities, largest first, and how many of each kind have at least that one."""
    truth = np.asarray(truth) == 1
    if truth.all() or not truth.any():
        raise InputError("All tested pairs are of one kind, so nothing can be said about telling them apart.")
    order = np.argsort(-probability, kind="stable")
    sorted_probability = probability[order]
    last = np.append(np.flatnonzero(np.diff(sorted_probability)), len(order) - 1)
    found = np.cumsum(truth[order])[last]
    return sorted_probability[last], found, last + 1 - found


def _begun(thresholds: np.ndarray, columns: dict[str, np.ndarray], start: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame(
        {"threshold": np.concatenate([[1.0], thresholds])}
        | {name: np.concatenate([[start[name]], values]) for name, values in columns.items()}
    )


def thinned(curve: pd.DataFrame, most: int = POINTS) -> pd.DataFrame:
    """At most about `most` rows of a curve, evenly along its two axes, its first and last among them."""
    if len(curve) <= most:
        return curve
    steps = np.abs(np.diff(curve.drop(columns="threshold").to_numpy(), axis=0)).sum(axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    kept = np.searchsorted(along, np.linspace(0, along[-1], most))
    return curve.iloc[np.unique(np.concatenate([[0], kept, [len(curve) - 1]]).clip(max=len(curve) - 1))]


def edges_of_pairs(graph: Graph, source: np.ndarray, receiver: np.ndarray) -> np.ndarray:
    """The pair of each directed edge [M], -1 where it is none. source, receiver: [P] row ids of the pairs.

    Raises InputError where a pair is no edge of the graph: then the catalog is no longer what it was.
    """
    place = pd.Index(graph.row_ids)
    one, other = (place.get_indexer(pd.Index(ends)) for ends in (source, receiver))
    n = graph.n_nodes
    pairs = pd.Index(np.minimum(one, other) * n + np.maximum(one, other))
    edges = np.sort(graph.edge_index, axis=0)
    key = edges[0] * n + edges[1]
    if (one < 0).any() or (other < 0).any() or not pairs.isin(pd.Index(key)).all():
        raise InputError("The pairs that this run predicted are not all edges of its graph: the catalog has changed.")
    return pairs.get_indexer(pd.Index(key))


def separations(graph: Graph, pair_of: np.ndarray, n_pairs: int) -> np.ndarray:
    """[P] how far the two ends of each pair are apart; pair_of: of `edges_of_pairs`."""
    found = np.full(n_pairs, np.nan)
    known = pair_of >= 0
    found[pair_of[known]] = graph.lengths[known]
    return found


def surprise(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """[P] how far the probability is from the truth: near 1 for a pair that the run was surely wrong about."""
    return np.abs(np.asarray(truth, dtype=np.float64) - probability)
