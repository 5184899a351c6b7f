"""A catalog becomes the graph its specification describes, and says what it left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Roles
from gnnlib.errors import InputError
from gnnlib.graph import GraphSpec, build_graph

from .point_sets import BOX, every_pair_within, pairs, points


def catalog_of(
    positions: np.ndarray, box: np.ndarray | None = BOX, periodic: bool = True, moving: bool = True
) -> Catalog:
    table = pd.DataFrame(positions, columns=["x", "y", "z"][: positions.shape[1]])
    place = tuple(table.columns)
    if moving:
        speeds = np.random.default_rng(3).normal(0, 200, (len(table), 3))
        table[["vx", "vy", "vz"]] = speeds
    return Catalog(
        table=table,
        columns={str(name): Column(str(name)) for name in table.columns},
        roles=Roles(position=place, velocity=("vx", "vy", "vz") if moving else ()),
        row_ids=np.arange(len(table)) * 10 + 7,
        spec=CatalogSpec(path="test"),
        name="test",
        box=box,
        periodic=periodic,
    )


def test_every_row_is_a_node_in_the_order_of_the_rows() -> None:
    catalog = catalog_of(points("uniform", 200))
    graph = build_graph(catalog, GraphSpec(radius=1.4))
    assert np.array_equal(graph.row_ids, catalog.row_ids)
    assert np.array_equal(graph.positions, catalog.positions())
    assert pairs(graph.edge_index) == every_pair_within(graph.positions, 1.4, BOX)
    assert graph.edge_features.shape == (graph.n_edges, 5)
    assert graph.edge_feature_names[0] == "length"
    assert graph.notes == () and not graph.truncated


@pytest.mark.parametrize(
    ("asked", "of_catalog", "wraps"),
    [(None, True, True), (None, False, False), (True, False, True), (False, True, False)],
)
def test_the_specification_decides_on_periodicity_before_the_catalog(
    asked: bool | None, of_catalog: bool, wraps: bool
) -> None:
    graph = build_graph(catalog_of(points("uniform", 200), periodic=of_catalog), GraphSpec(radius=1.4, periodic=asked))
    assert pairs(graph.edge_index) == every_pair_within(graph.positions, 1.4, BOX if wraps else None)
    assert (graph.box is not None) == wraps


def test_a_catalog_without_velocities_gives_a_graph_that_says_so() -> None:
    graph = build_graph(catalog_of(points("uniform", 100), moving=False), GraphSpec(radius=1.4))
    assert graph.edge_feature_names == ("length", "cos_receiver", "cos_source")
    assert "no velocities" in graph.notes[0]
    assert graph.subgraph(np.arange(100) < 50).notes == graph.notes


def test_a_projected_catalog_is_joined_in_its_plane() -> None:
    flat = points("plane", 200)
    graph = build_graph(catalog_of(flat[:, :2], box=None, periodic=False), GraphSpec(radius=0.7))
    assert pairs(graph.edge_index) == every_pair_within(flat, 0.7, None)
    assert not graph.separations[:, 2].any()


def test_a_subgraph_carries_features_of_the_whole_graph() -> None:
    graph = build_graph(catalog_of(points("clustered", 300)), GraphSpec(radius=0.6))
    keep = graph.positions[:, 0] < 5
    part = graph.subgraph(keep)
    kept = np.flatnonzero(keep)
    whole = dict(zip(zip(*graph.edge_index.tolist(), strict=True), graph.edge_features.tolist(), strict=True))
    for source, receiver, features in zip(*kept[part.edge_index].tolist(), part.edge_features.tolist(), strict=True):
        assert whole[source, receiver] == features


def test_a_periodic_graph_without_a_box_is_refused() -> None:
    with pytest.raises(InputError, match="needs a box"):
        build_graph(catalog_of(points("uniform", 20), box=None, periodic=False), GraphSpec(radius=1, periodic=True))
