"""Which inputs a run's predictions rest on, measured on held-out rows: each is destroyed in turn and the error told.

Permutation importance (Breiman 2001) by block: a node feature, or a group of edge features, is dealt out anew among all
objects, or edges, of the fold's graph; then all edges are taken away; then those longer than each of several lengths.
The models are not trained again, so this says what they use, not what could be done without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch

from gnnlib.explain.replay import FoldReplay, Replay
from gnnlib.graph.features import GROUPS

REPEATS = 2


def importance(
    replay: Replay, seed: int = 0, report: Callable[[float, str], None] = lambda share, text: None
) -> pd.DataFrame:
    """The held-out error without each block: block, kind ("node features", "edge features", "graph"), rmse, increase
    (of the RMSE), error (its standard deviation over repeats), the largest increase first.

    A run without edges has only node features.
    """
    rng, rows = np.random.default_rng(seed), []
    blocks = list(_blocks(replay))
    whole = rmse(replay, lambda fold: fold)
    for number, (name, kind, change) in enumerate(blocks):
        report(number / len(blocks), name)
        repeats = 1 if kind == "graph" else REPEATS
        errors = [rmse(replay, lambda fold, change=change: change(fold, rng)) for _ in range(repeats)]  # type: ignore[misc]
        spread = float(np.std(errors, ddof=1)) if repeats > 1 else 0.0
        rows.append((name, kind, float(np.mean(errors)), float(np.mean(errors)) - whole, spread))
    table = pd.DataFrame(rows, columns=["block", "kind", "rmse", "increase", "error"])
    return table.sort_values("increase", ascending=False, ignore_index=True)


def radius_ablation(replay: Replay, steps: int = 8) -> pd.DataFrame:
    """The held-out error with only the edges up to each of `steps` + 1 lengths: length (0 is no edge), rmse, edges
    (share of all).
    """
    lengths = replay.data.graph.lengths
    longest = float(lengths.max(initial=0.0))
    rows = []
    for length in np.linspace(0, longest, steps + 1) if longest else [0.0]:

        def shorter(fold: FoldReplay, length: float = float(length)) -> FoldReplay:
            return kept_edges(fold, (fold.graph.lengths <= length) & (length > 0))

        share = float(np.mean(lengths <= length)) if length else 0.0
        rows.append((float(length), rmse(replay, shorter), share))
    return pd.DataFrame(rows, columns=["length", "rmse", "edges"])


def rmse(replay: Replay, change: Callable[[FoldReplay], FoldReplay]) -> float:
    """The error over all tested rows when each fold's inputs are changed."""
    squares = [
        (change(fold).prediction[fold.tested] - replay.target[fold.rows[fold.tested]]) ** 2 for fold in replay.folds
    ]
    return float(np.sqrt(np.concatenate(squares).mean()))


def kept_edges(fold: FoldReplay, keep: np.ndarray) -> FoldReplay:
    """The fold with only the edges where `keep` [M]; what is told of them stays."""
    edges = torch.from_numpy(keep)
    return replace(
        fold,
        graph=fold.graph.with_edges(keep),
        edge_attr=fold.edge_attr[edges],
        geometry=fold.geometry._replace(vectors=fold.geometry.vectors[edges]),
    )


_Change = Callable[[FoldReplay, np.random.Generator], FoldReplay]


def _blocks(replay: Replay) -> Iterator[tuple[str, str, _Change]]:
    """Name, kind and what destroys it."""
    for place, name in enumerate(replay.run.spec.features):
        yield name, "node features", partial(_dealt_nodes, [place])
    if replay.folds[0].model.reach == 0:
        return
    columns = _edge_columns(replay)
    for name in replay.data.graph.spec.edge_features:
        places = [place for place, column in enumerate(columns) if column in GROUPS[name].columns]
        if places:
            label = f"edges: {GROUPS[name].label}"
            yield label, "edge features", partial(_dealt_edges, places)
    if len(columns) > 1:
        yield "edges: all features", "edge features", partial(_dealt_edges, list(range(len(columns))))
    yield "no graph", "graph", lambda fold, rng: kept_edges(fold, np.zeros(fold.graph.n_edges, dtype=bool))


def _edge_columns(replay: Replay) -> list[str]:
    """The names of what models are told of an edge; the logarithm of the length counts as length."""
    names = list(replay.data.graph.edge_feature_names)
    return names + ["length"] * (replay.folds[0].scalers.n_edge_features - len(names))


def _dealt_nodes(places: list[int], fold: FoldReplay, rng: np.random.Generator) -> FoldReplay:
    x = fold.x.clone()
    x[:, places] = x[torch.from_numpy(rng.permutation(len(x)))][:, places]
    return replace(fold, x=x)


def _dealt_edges(places: list[int], fold: FoldReplay, rng: np.random.Generator) -> FoldReplay:
    edge_attr = fold.edge_attr.clone()
    edge_attr[:, places] = edge_attr[torch.from_numpy(rng.permutation(len(edge_attr)))][:, places]
    return replace(fold, edge_attr=edge_attr)
