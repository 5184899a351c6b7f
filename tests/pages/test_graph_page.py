"""The Graph page takes every method, says what a cap removed, and hands the graph on as a link and as files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from streamlit.testing.v1 import AppTest

from gnnlib.catalog.read import read_catalog
from gnnlib.catalog.table import CatalogSpec
from gnnlib.graph import GraphSpec, build_graph, exchange, find
from pages import _exports, _session

Session = Callable[..., AppTest]
RNG = np.random.default_rng(1)
PLACES = pd.DataFrame(RNG.uniform(0, 20, (200, 3)), columns=["x", "y", "z"])
HALOS = PLACES.assign(halo_id=np.arange(200) + 900, halo_mass=10 ** RNG.uniform(11, 14, 200))


@pytest.fixture
def halos(session: Session, data_folder: Path) -> AppTest:
    """The Graph page with a small catalog in view."""
    HALOS.to_csv(data_folder / "halos.csv", index=False)
    app = session("catalog")
    app.segmented_control(key="source").set_value("path").run()
    app.text_input(key="path").set_value("halos.csv").run()
    fine(app)
    return app.switch_page("graph.py").run()


def said(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.warning])


def figure(app: AppTest, label: str) -> str:
    return next(metric.value for metric in app.metric if metric.label == label)


def fine(app: AppTest) -> None:
    assert not app.exception, app.exception[0].stack_trace
    assert not app.error, app.error[0].value


def choose(app: AppTest, method: str) -> AppTest:
    return app.selectbox(key="graph_method").set_value(method).run()


def edges(app: AppTest) -> int:
    return int(figure(app, "Edges").replace(",", ""))


def spec_of(app: AppTest) -> GraphSpec:
    return app.session_state["graph_spec"]


def expected(spec: GraphSpec) -> int:
    return len(find(PLACES.to_numpy(), spec, None).lengths)


@pytest.mark.parametrize("method", ["knn", "cylinder", "delaunay", "groups"])
def test_every_method_begins_with_lengths_that_suit_the_catalog(halos: AppTest, method: str) -> None:
    choose(halos, method)
    fine(halos)
    assert spec_of(halos).method == method
    assert edges(halos) == expected(spec_of(halos)) > 0
    assert "A training step on the whole graph takes about" in said(halos)


def test_a_cap_is_counted_and_its_direction_chosen(halos: AppTest) -> None:
    halos.number_input(key="graph_radius").set_value(4.0).run()
    assert not any(widget.key == "graph_direction" for widget in halos.segmented_control)
    halos.number_input(key="graph_cap").set_value(3).run()
    fine(halos)
    capped = GraphSpec(radius=4.0, cap=3)
    assert edges(halos) == expected(capped)
    assert any("The cap of 3 neighbours removed" in warning.value for warning in halos.warning)
    halos.segmented_control(key="graph_direction").set_value("mutual").run()
    assert edges(halos) == expected(capped.model_copy(update={"direction": "mutual"}))


def test_a_method_comes_back_as_it_was_left(halos: AppTest) -> None:
    halos.number_input(key="graph_radius").set_value(2.5).run()
    choose(halos, "knn")
    halos.multiselect(key="graph_columns").set_value(["halo_mass"]).run()
    fine(halos)
    assert spec_of(halos).columns == ("halo_mass",) and "8 nearest neighbours, in halo\\_mass" in said(halos)
    choose(halos, "radius")
    assert spec_of(halos).radius == 2.5 and spec_of(halos).columns == ()
    choose(halos, "knn")
    assert spec_of(halos).columns == ("halo_mass",)


def test_an_edge_list_joins_once_its_file_is_there(halos: AppTest, data_folder: Path) -> None:
    before = spec_of(halos)
    choose(halos, "edge_list")
    fine(halos)
    assert spec_of(halos) == before and "Until there is a file" in said(halos)
    halos.text_input(key="graph_edges_path").set_value("../outside.csv").run()
    assert "contains '..'" in halos.error[0].value
    pd.DataFrame({"source": [900, 901, 5], "receiver": [902, 900, 900]}).to_csv(data_folder / "mesh.csv", index=False)
    halos.text_input(key="graph_edges_path").set_value("mesh.csv").run()
    fine(halos)
    assert edges(halos) == 2
    assert "1 of 3 edges in 'mesh.csv' name rows that are not in the catalog" in halos.warning[0].value.replace(
        "\\", ""
    )


def test_a_link_carries_any_graph(session: Session) -> None:
    app = session()
    choose(app, "knn")
    app.number_input(key="graph_k").set_value(3).run()
    fine(app)
    again = session("", graph="".join(app.query_params["graph"]))
    fine(again)
    assert spec_of(again) == spec_of(app) and figure(again, "Mean degree") == "3.00"


def test_a_link_opens_no_edge_list_outside_the_allowed_folders(session: Session, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("source,target\n0,1\n")
    link = _session._packed(GraphSpec(method="edge_list", edges=str(tmp_path / "secret.csv")))
    app = session("", graph=str(link))
    assert spec_of(app).method == "radius"
    assert "is not inside a folder this server may read" in said(app)


def test_the_curves_mark_percolation_and_mean_separation(halos: AppTest) -> None:
    text = said(halos)
    assert "Half of the objects are one component" in text and "(percolation)" in text
    volume = np.prod(np.ptp(PLACES.to_numpy(), axis=0))
    assert f"Their mean separation is {(volume / 200) ** (1 / 3):.4g}" in text


@pytest.mark.parametrize("extension", list(_exports.GRAPHS))
def test_the_page_hands_the_graph_on(extension: str, tmp_path: Path) -> None:
    HALOS.to_csv(tmp_path / "small.csv", index=False)
    graph = build_graph(read_catalog(CatalogSpec(path=str(tmp_path / "small.csv"))), GraphSpec(radius=5.0))
    content: Any = io.BytesIO(_exports._graph_file(lambda: graph, extension))
    if extension == "pt":
        assert isinstance(exchange.read_pyg(content).edge_index, torch.Tensor)
    elif extension == "graphml":
        assert exchange.read_graphml(content).n_edges == graph.n_edges
    else:
        found = pd.read_parquet(content) if extension == "parquet" else pd.read_csv(content)
        assert found["source"].tolist() == graph.row_ids[graph.edge_index[0]].tolist()
