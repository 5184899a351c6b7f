"""A catalog becomes the graph its specification describes, and says what it left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Roles
from gnnlib.errors import InputError
from gnnlib.graph import GraphSpec, build_graph

from .point_sets import BOX, BOXES, every_pair_within, nearest_of_each, pairs, points


def catalog_of(
    positions: np.ndarray,
    box: np.ndarray | None = BOX,
    periodic: tuple[bool, bool, bool] = (True, True, True),
    moving: bool = True,
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
        periodic_axes=periodic,
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
    catalog = catalog_of(points("uniform", 200), periodic=(of_catalog,) * 3)
    graph = build_graph(catalog, GraphSpec(radius=1.4, periodic=asked))
    assert pairs(graph.edge_index) == every_pair_within(graph.positions, 1.4, BOX if wraps else None)
    assert (graph.box is not None) == wraps


@pytest.mark.parametrize("asked", [None, True, False])
def test_a_catalog_may_be_periodic_along_some_axes_only(asked: bool | None) -> None:
    catalog = catalog_of(points("uniform", 200), periodic=(True, True, False))
    graph = build_graph(catalog, GraphSpec(radius=1.4, periodic=asked))
    box = None if asked is False else BOXES[2]
    assert (graph.box is None) if box is None else np.array_equal(graph.box, box)
    assert pairs(graph.edge_index) == every_pair_within(graph.positions, 1.4, box)


def test_a_catalog_without_velocities_gives_a_graph_that_says_so() -> None:
    graph = build_graph(catalog_of(points("uniform", 100), moving=False), GraphSpec(radius=1.4))
    assert graph.edge_feature_names == ("length", "cos_receiver", "cos_source")
    assert "no velocities" in graph.notes[0]
    assert graph.subgraph(np.arange(100) < 50).notes == graph.notes


@pytest.mark.parametrize("unit", ["Msun", "dex(Msun)"])
def test_the_mass_ratio_is_in_dex_however_masses_are_written(unit: str) -> None:
    catalog = catalog_of(points("uniform", 50))
    spec = GraphSpec(radius=3, edge_features=("mass_ratio",))
    without = build_graph(catalog, spec)
    assert without.edge_feature_names == () and "no mass column" in without.notes[0]
    dex = np.linspace(10, 14, 50)
    table = catalog.table.assign(mass=dex if unit.startswith("dex") else 10**dex)
    columns = {**catalog.columns, "mass": Column("mass", unit)}
    roles = catalog.roles.model_copy(update={"mass": "mass"})
    graph = build_graph(replace(catalog, table=table, columns=columns, roles=roles), spec)
    source, receiver = graph.edge_index
    assert np.allclose(graph.edge_features[:, 0], dex[source] - dex[receiver], atol=1e-6)


def test_neighbours_in_the_space_of_columns_and_expressions() -> None:
    catalog = catalog_of(points("uniform", 60))
    graph = build_graph(catalog, GraphSpec(method="knn", k=1, columns=("vx", "abs(vy)")))
    place = np.column_stack([catalog.table["vx"], catalog.table["vy"].abs()])
    place = (place - place.mean(axis=0)) / place.std(axis=0)
    assert np.array_equal(graph.edge_index[0], nearest_of_each(place, 1, None)[:, 0])
    with pytest.raises(InputError, match="nope"):
        build_graph(catalog, GraphSpec(method="knn", k=1, columns=("nope",)))


def test_an_edge_list_names_the_catalogs_row_ids_and_its_notes_reach_the_graph(tmp_path: Path) -> None:
    (tmp_path / "mesh.csv").write_text("source,target\n7,17\n17,27\n8,17\n")
    graph = build_graph(
        catalog_of(points("uniform", 60)), GraphSpec(method="edge_list", edges=str(tmp_path / "mesh.csv"))
    )
    assert graph.edge_index.tolist() == [[0, 1], [1, 2]]
    assert "1 of 3 edges in 'mesh.csv' name rows that are not in the catalog" in graph.notes[0]


def test_a_cap_shows_on_the_graph() -> None:
    graph = build_graph(catalog_of(points("uniform", 100)), GraphSpec(radius=3, cap=2))
    assert graph.truncated and "The cap of 2 neighbours removed" in graph.notes[0]
    assert graph.degrees().max() == 2


def test_a_projected_catalog_is_joined_in_its_plane() -> None:
    flat = points("plane", 200)
    graph = build_graph(catalog_of(flat[:, :2], box=None, periodic=(False,) * 3), GraphSpec(radius=0.7))
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
        build_graph(
            catalog_of(points("uniform", 20), box=None, periodic=(False,) * 3), GraphSpec(radius=1, periodic=True)
        )
