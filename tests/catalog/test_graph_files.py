"""The nodes of a graph file as a catalog, with the edges of the same file."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from gnnlib.catalog.read import read_catalog, read_first
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError
from gnnlib.graph import Graph, GraphSpec, build_graph, exchange
from tests.graph.point_sets import points
from tests.graph.test_build import catalog_of

X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)


def a_graph(ids: bool) -> Graph:
    graph = build_graph(catalog_of(points("clustered", 60)), GraphSpec(radius=2.0))
    return replace(graph, row_ids=np.array([f"halo {n}" for n in range(60)], dtype=object)) if ids else graph


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("suffix", ["pt", "graphml"])
def test_a_graph_that_was_written_is_a_catalog_with_its_edges(tmp_path: Path, suffix: str, ids: bool) -> None:
    graph, file = a_graph(ids), tmp_path / f"graph.{suffix}"
    if suffix == "pt":
        exchange.write_pyg(graph, file, X, np.arange(60.0))
    else:
        exchange.write_graphml(graph, file)
    catalog = read_catalog(file)
    np.testing.assert_array_equal(catalog.positions(), graph.positions)
    assert catalog.row_ids.tolist() == graph.row_ids.tolist()
    assert catalog.length_unit == graph.length_unit
    np.testing.assert_array_equal(catalog.box, graph.box)
    assert f"{graph.n_edges:,} edges, too" in " ".join(catalog.warnings)
    if suffix == "pt":
        np.testing.assert_array_equal(catalog.values("feature_1"), X[:, 0])
        np.testing.assert_array_equal(catalog.values("target"), np.arange(60.0))
    again = build_graph(catalog, GraphSpec(method="edge_list", edges=str(file), direction="directed"))
    assert np.array_equal(again.edge_index, graph.edge_index)
    assert len(read_first(CatalogSpec(path=str(file)), 5).table) == 5


def test_a_graph_from_elsewhere_has_numbers_as_row_ids_and_two_axes(tmp_path: Path) -> None:
    pos = torch.rand(9, 2)
    ring = torch.stack([torch.arange(9), (torch.arange(9) + 1) % 9])
    torch.save(Data(pos=pos, edge_index=ring, vel=torch.rand(9, 3), edge_attr=torch.rand(9, 4)), tmp_path / "ring.pt")
    catalog = read_catalog(tmp_path / "ring.pt")
    assert catalog.roles.position == ("x", "y") and list(catalog.table) == ["x", "y", "vel_1", "vel_2", "vel_3"]
    graph = build_graph(catalog, GraphSpec(method="edge_list", edges=str(tmp_path / "ring.pt"), direction="directed"))
    assert set(map(tuple, graph.edge_index.T.tolist())) == set(map(tuple, ring.T.tolist()))


def test_what_people_draw_with_networkx_is_read(tmp_path: Path) -> None:
    drawn = nx.path_graph(4)
    for node in drawn:
        drawn.nodes[node].update(x=float(node), y=2.0, mass=10.0 + node)
    nx.write_graphml(drawn, tmp_path / "path.graphml")
    catalog = read_catalog(tmp_path / "path.graphml")
    assert catalog.values("mass").tolist() == [10, 11, 12, 13] and catalog.row_ids.tolist() == ["0", "1", "2", "3"]


def test_files_that_are_no_graphs_of_places_say_so(tmp_path: Path) -> None:
    torch.save(Data(x=torch.rand(3, 2), edge_index=torch.zeros(2, 0, dtype=torch.long)), tmp_path / "placeless.pt")
    buffer = io.BytesIO()
    torch.save({"weight": torch.rand(3)}, buffer)
    (tmp_path / "weights.pt").write_bytes(buffer.getvalue())
    (tmp_path / "cut.pt").write_bytes(buffer.getvalue()[:100])
    (tmp_path / "cut.graphml").write_text("<graphml><graph>")
    for name, why in (
        ("placeless.pt", "without positions"),
        ("weights.pt", "without positions"),
        ("cut.pt", "cannot be read as a graph"),
        ("cut.graphml", "cannot be read as GraphML"),
    ):
        with pytest.raises(InputError, match=why):
            read_catalog(tmp_path / name)
