"""What a run said of whole graphs, back on the rows that are their members."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gnnlib.catalog.expressions import evaluate
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph
from gnnlib.training.spec import RunSpec
from gnnlib.training.tasks.graphs import collect, column_of, divide


def whole_graphs(spec: RunSpec, catalog: Catalog, graph: Graph, predictions: pd.DataFrame) -> tuple[Graph, np.ndarray]:
    """The graph [N] without edges between two graphs, and each row's place [N] in `predictions`, -1 where it has none.

    catalog: the rows that were used (`training.data.usable_rows`), of which graph is made. predictions: one row a
    graph. Raises InputError where the graphs do not have the members or targets they had in the training.
    """
    values = np.asarray(evaluate(spec.target, catalog), dtype=np.float64)
    whole = collect(spec, catalog, graph, divide(column_of(spec, catalog), catalog), values)
    found = pd.Index(whole.ids).get_indexer(pd.Index(predictions["graph_id"]))
    members, target = np.bincount(whole.graph_of)[found], whole.target[found, 0]
    same = (found >= 0).all() and np.array_equal(members, predictions["n_nodes"].to_numpy())
    if not (same and np.allclose(target, predictions["truth"], rtol=1e-4, atol=1e-6)):
        raise InputError(
            "The groups do not have the members and targets they had when the run was trained: the catalog has changed "
            "since; train again, or open another run."
        )
    place = np.full(len(whole.ids), -1)
    place[found] = np.arange(len(found))
    return whole.graph, place[whole.graph_of]
