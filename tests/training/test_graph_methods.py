"""Runs on every kind of graph: they train, predict each row once, and their attention lies on edges of the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog.read import read_catalog
from gnnlib.explain.attention import read_attention
from gnnlib.graph.build import build_graph
from gnnlib.graph.graph import GraphSpec
from gnnlib.graph.neighbors import METHODS
from gnnlib.training.run import create_run
from gnnlib.training.worker import execute

from .conftest import run_spec, write_catalog

FEATURES = ("length", "cosines", "radial_basis", "mass_ratio")
GRAPHS = {
    "radius": {"radius": 4.0, "cap": 3, "direction": "symmetric"},
    "knn": {"k": 2, "columns": ("log10(mass)", "stars")},
    "cylinder": {"radius": 2.0, "along": 4.0, "line_of_sight": "x"},
    "delaunay": {"self_loops": True},
    "groups": {"radius": 1.6, "shape": "star"},
    "edge_list": {"direction": "symmetric"},
}


def test_every_method_is_tried() -> None:
    assert set(GRAPHS) == set(METHODS)


@pytest.mark.parametrize("method", list(GRAPHS))
def test_a_run_on_any_graph_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setenv("FILAMENT_RUNS", str(tmp_path / "runs"))
    path = write_catalog(tmp_path / "halos.csv", n_rows=1000 if method == "delaunay" else 240)
    graph = GraphSpec.model_validate(GRAPHS[method] | {"method": method, "edge_features": FEATURES})
    if method == "edge_list":
        ids = pd.read_csv(path)["halo_id"].to_numpy()
        pd.DataFrame({"source": ids[1:], "receiver": ids[:-1]}).to_csv(tmp_path / "edges.csv", index=False)
        graph = graph.model_copy(update={"edges": str(tmp_path / "edges.csv")})
    run = create_run(run_spec(path, graph=graph, epochs=1, baselines=("mean",)))
    execute(run)
    assert run.status.state == "finished", run.status.message
    catalog = read_catalog(run.spec.catalog)
    assert sorted(run.predictions["row_id"]) == sorted(catalog.row_ids)
    assert np.isfinite(run.predictions["prediction"]).all()
    built = build_graph(catalog, graph)
    edges = set(zip(*(built.row_ids[end].tolist() for end in built.edge_index), strict=True))
    attended = read_attention(run)
    attended = attended[~attended["self_loop"]]
    assert len(attended) and set(zip(attended["source"], attended["receiver"], strict=True)) <= edges
