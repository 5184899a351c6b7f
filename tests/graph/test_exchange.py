"""What leaves comes back the same, and a file from elsewhere is read without running anything in it."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import torch
from torch_geometric.data import Data

from gnnlib.errors import InputError
from gnnlib.graph import Graph, GraphSpec, build_graph, exchange, find

from .point_sets import BOX, graph_of, pairs, points
from .test_build import catalog_of

SPECS = [GraphSpec(radius=1.2), GraphSpec(method="knn", k=3, self_loops=True), GraphSpec(radius=2.0, cap=2)]


def graph_with(spec: GraphSpec, text_ids: bool = False, periodic: bool = True) -> Graph:
    graph = build_graph(catalog_of(points("duplicates", 80), periodic=(periodic, False, periodic)), spec)
    return replace(graph, row_ids=np.array([f"halo {n}" for n in range(80)], dtype=object)) if text_ids else graph


def assert_same(one: Graph, other: Graph) -> None:
    for name in ("positions", "edge_index", "separations", "lengths", "edge_features", "row_ids"):
        left, right = getattr(one, name), getattr(other, name)
        assert np.array_equal(left, right), name
        assert left.dtype == right.dtype or name == "row_ids"
    for name in ("edge_feature_names", "spec", "length_unit", "truncated", "notes"):
        assert getattr(one, name) == getattr(other, name), name
    assert (one.box is None) == (other.box is None) and (one.box is None or np.array_equal(one.box, other.box))


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("text_ids", [False, True])
@pytest.mark.parametrize("periodic", [False, True])
def test_a_graph_comes_back_from_pyg_as_it_was(tmp_path: Path, spec: GraphSpec, text_ids: bool, periodic: bool) -> None:
    graph = graph_with(spec, text_ids, periodic)
    x, y = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32), np.arange(80.0)
    exchange.write_pyg(graph, tmp_path / "graph.pt", x, y)
    data = exchange.read_pyg(tmp_path / "graph.pt")
    assert isinstance(data, Data) and data.validate() and data.num_nodes == 80
    assert np.array_equal(data.x, x) and np.array_equal(data.y, y)
    assert data.edge_attr_names == list(graph.edge_feature_names)
    assert_same(exchange.from_pyg(data), graph)


@pytest.mark.parametrize("spec", SPECS[:2])
@pytest.mark.parametrize("text_ids", [False, True])
def test_a_graph_comes_back_from_graphml_as_it_was(tmp_path: Path, spec: GraphSpec, text_ids: bool) -> None:
    graph = graph_with(spec, text_ids)
    exchange.write_graphml(graph, tmp_path / "graph.graphml")
    assert_same(exchange.read_graphml(tmp_path / "graph.graphml"), graph)
    assert nx.read_graphml(tmp_path / "graph.graphml").number_of_edges() == graph.n_edges


@pytest.mark.parametrize("spec", SPECS)
def test_an_edge_list_comes_back_on_its_catalog(tmp_path: Path, spec: GraphSpec) -> None:
    catalog = catalog_of(points("uniform", 80))
    graph = build_graph(catalog, spec)
    exchange.write_parquet(graph, tmp_path / "edges.parquet")
    table = pd.read_parquet(tmp_path / "edges.parquet")
    assert table.columns[:6].tolist() == ["source", "receiver", "dx", "dy", "dz", "length"]
    assert np.array_equal(table["source"], graph.row_ids[graph.edge_index[0]])
    said = pyarrow.parquet.read_schema(tmp_path / "edges.parquet").metadata[b"filament"]
    assert b'"method": "' + spec.method.encode() in said
    again = GraphSpec(method="edge_list", edges=str(tmp_path / "edges.parquet"), self_loops=spec.self_loops)
    back = build_graph(catalog, again)
    assert np.array_equal(back.edge_index, graph.edge_index) and np.array_equal(back.lengths, graph.lengths)


def test_a_graph_from_elsewhere_is_measured_and_put_in_order() -> None:
    edge_index = torch.tensor([[2, 1, 0, 1, 2], [0, 0, 1, 0, 2]])  # one of them twice
    file = io.BytesIO()
    torch.save(
        Data(pos=torch.tensor([[0.0, 0], [3, 4], [1, 0]]), edge_index=edge_index, edge_attr=torch.ones(5, 2)), file
    )
    file.seek(0)
    graph = exchange.from_pyg(exchange.read_pyg(file))
    assert graph.edge_index.tolist() == [[2, 1, 0, 2], [0, 0, 1, 2]]
    assert graph.lengths.tolist() == [1, 5, 5, 0] and graph.separations[1].tolist() == [3, 4, 0]
    assert graph.edge_feature_names == ("feature_0", "feature_1") and graph.spec.method == "edge_list"
    file = io.BytesIO()
    torch.save({"pos": torch.rand(4, 3), "edge_index": torch.tensor([[0], [3]])}, file)
    file.seek(0)
    assert exchange.from_pyg(exchange.read_pyg(file)).n_edges == 1


def test_undirected_graphml_goes_both_ways(tmp_path: Path) -> None:
    drawn = nx.path_graph(3)
    nx.set_node_attributes(drawn, {n: {"x": float(n), "y": 0.0} for n in drawn})
    nx.write_graphml(drawn, tmp_path / "path.graphml")
    graph = exchange.read_graphml(tmp_path / "path.graphml")
    assert pairs(graph.edge_index) == {(0, 1), (1, 0), (1, 2), (2, 1)} and graph.row_ids.tolist() == ["0", "1", "2"]


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save(Trap(), tmp_path / "trap.pt")
    torch.save(Data(pos=torch.rand(2, 3), edge_index=torch.zeros(2, 0), trap=Trap()), tmp_path / "hidden.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Trap()))
    for name in ("trap.pt", "hidden.pt", "plain.pt"):
        with pytest.raises(InputError, match="without running what is in it"):
            exchange.read_pyg(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_xml_entities_are_not_expanded(tmp_path: Path) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY c "&a;&a;&a;">]><graphml>&c;</graphml>'
    (tmp_path / "bomb.graphml").write_text(bomb)
    with pytest.raises(InputError, match="declares XML entities"):
        exchange.read_graphml(tmp_path / "bomb.graphml")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pos": None}, "no positions 'pos'"),
        ({"edge_index": None}, "no 'edge_index'"),
        ({"pos": torch.rand(4, 5)}, "'pos' is \\[4, 5\\]"),
        ({"edge_index": torch.rand(2, 3)}, "whole numbers"),
        ({"edge_index": torch.tensor([[0], [4]])}, "outside 0 to 3"),
        ({"edge_index": torch.tensor([[-1], [0]])}, "outside 0 to 3"),
        ({"pos": torch.full((4, 3), torch.nan)}, "missing or infinite position"),
        ({"edge_attr": torch.rand(7, 2)}, "7 rows of edge features"),
        ({"row_ids": torch.zeros(4)}, "different row ids"),
        ({"box": torch.tensor([1.0, -1, 1])}, "three side lengths"),
        ({"pos": "here"}, "not a plain tensor"),
    ],
)
def test_graphs_that_cannot_be_are_explained(changes: dict, words: str) -> None:
    whole = {"pos": torch.rand(4, 3), "edge_index": torch.tensor([[0, 1], [1, 2]])} | changes
    with pytest.raises(InputError, match=words):
        exchange.from_pyg(Data(**whole))


def test_files_that_cannot_be_read_are_explained(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "text.graphml").write_text("hello")
    nx.write_graphml(nx.path_graph(3), tmp_path / "placeless.graphml")
    torch.save([1, 2], tmp_path / "list.pt")
    for read, name, words in [
        (exchange.read_pyg, "text.pt", "cannot be read as a graph"),
        (exchange.read_pyg, "none.pt", "There is no file 'none.pt'"),
        (exchange.read_pyg, "list.pt", "holds no graph"),
        (exchange.read_graphml, "text.graphml", "cannot be read as GraphML"),
        (exchange.read_graphml, "none.graphml", "There is no file 'none.graphml'"),
        (exchange.read_graphml, "placeless.graphml", "Node '0' in 'placeless.graphml' has no numbers x and y"),
    ]:
        with pytest.raises(InputError, match=words):
            read(tmp_path / name)


def test_large_graphs_are_not_written_as_graphml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_GRAPHML_EDGES", 10)
    with pytest.raises(InputError, match="too many for GraphML"):
        exchange.write_graphml(graph_with(SPECS[0]), io.BytesIO())


@pytest.mark.parametrize("kind", ["pt", "graphml"])
@pytest.mark.parametrize("text_ids", [False, True])
def test_a_graph_file_is_an_edge_list_for_its_catalog(tmp_path: Path, kind: str, text_ids: bool) -> None:
    """Row ids lead back to the rows, also where the catalog has since lost some or is in another order."""
    places = points("uniform", 40)
    ids = np.array([f"h{n}" for n in range(40)], dtype=object) if text_ids else np.arange(40) * 3 + 11
    whole = replace(graph_of(places, GraphSpec(radius=2.5), BOX), row_ids=ids)
    write = {"pt": exchange.write_pyg, "graphml": exchange.write_graphml}[kind]
    write(whole, tmp_path / f"mesh.{kind}")
    kept = np.random.default_rng(0).permutation(40)[:30]
    spec = GraphSpec(method="edge_list", edges=str(tmp_path / f"mesh.{kind}"))
    found = find(places[kept], spec, BOX, row_ids=ids[kept])
    wanted = {(a, b) for a, b in pairs(whole.edge_index) if a in kept and b in kept}
    assert {(kept[a], kept[b]) for a, b in pairs(found.edge_index)} == wanted
    by_number = find(places, spec.model_copy(update={"edge_ids": "indices"}), BOX, row_ids=ids[::-1])
    assert np.array_equal(by_number.edge_index, whole.edge_index)


def test_a_pyg_graph_without_row_ids_names_rows_by_number(tmp_path: Path) -> None:
    torch.save(Data(edge_index=torch.tensor([[0, 2], [1, 0]])), tmp_path / "bare.pt")
    spec = GraphSpec(method="edge_list", edges=str(tmp_path / "bare.pt"))
    assert pairs(find(points("uniform", 5), spec, None).edge_index) == {(0, 1), (2, 0)}
    torch.save(Data(edge_index=torch.tensor([[0], [9]]), row_ids=torch.arange(3)), tmp_path / "wrong.pt")
    with pytest.raises(InputError, match="without a row id"):
        find(points("uniform", 5), spec.model_copy(update={"edges": str(tmp_path / "wrong.pt")}), None)
