"""Whole graphs find their members again, and a catalog that is no longer the same is told of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog.read import read_catalog
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError
from gnnlib.explain.graphs import whole_graphs
from gnnlib.graph.build import build_graph
from gnnlib.training.spec import RunSpec


@pytest.fixture
def made(tmp_path):
    """90 rows in 9 graphs, of which the run has predicted 7, in an order of its own."""
    rng = np.random.default_rng(1)
    group = rng.permutation(np.repeat(np.arange(9), 10))
    frame = pd.DataFrame(rng.uniform(0, 10, (90, 3)), columns=list("xyz")).assign(
        group=group, mass=rng.uniform(size=90)
    )
    frame.to_csv(tmp_path / "rows.csv", index=False)
    catalog = CatalogSpec(path=str(tmp_path / "rows.csv"))
    spec = RunSpec.model_validate(
        {"catalog": catalog, "graph": {"radius": 2.0}, "task": "graph_regression", "graph_by": "group"}
        | {"target": "mass", "aggregate": "sum", "features": ["mass"]}
    )
    ids = np.array([4, 0, 8, 2, 3, 7, 1])
    truth = frame.groupby("group")["mass"].sum().loc[ids].to_numpy()
    return spec, read_catalog(catalog), pd.DataFrame({"graph_id": ids, "n_nodes": 10, "truth": truth})


def test_every_row_is_a_member_of_its_graph_or_of_none(made):
    spec, catalog, predictions = made
    graph, group = build_graph(catalog, spec.graph), catalog.values("group")
    inside, place = whole_graphs(spec, catalog, graph, predictions)
    kept = group[graph.edge_index[0]] == group[graph.edge_index[1]]
    np.testing.assert_array_equal(inside.edge_index, graph.edge_index[:, kept])
    assert (predictions["graph_id"].to_numpy()[place[place >= 0]] == group[place >= 0]).all()
    assert set(group[place < 0]) == {5, 6}


def test_other_members_and_other_targets_are_told_of(made):
    spec, catalog, predictions = made
    with pytest.raises(InputError, match="has changed"):
        fewer = catalog.take(np.arange(90) != 4)
        whole_graphs(spec, fewer, build_graph(fewer, spec.graph), predictions)
    with pytest.raises(InputError, match="has changed"):
        whole_graphs(
            spec, catalog, build_graph(catalog, spec.graph), predictions.assign(truth=predictions["truth"] + 0.1)
        )
