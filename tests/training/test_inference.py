"""A finished run on a catalog: the networks' own numbers from parts, and a word where they do not fit or reach."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog.table import CatalogSpec
from gnnlib.cli import main
from gnnlib.errors import InputError
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.spec import ModelSpec
from gnnlib.training import inference
from gnnlib.training.data import prepare
from gnnlib.training.inference import Learned, networks, predict_catalog
from gnnlib.training.loop import predict
from gnnlib.training.run import Run, load_run
from gnnlib.training.worker import train

from .conftest import SIDE, run_spec, write_catalog
from .test_loop import CPU


@pytest.fixture(scope="module")
def finished(halos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    model = ModelSpec(hidden=8, latent=4, heads=2, depth=2)
    return train(run_spec(halos, model=model, baselines=()), tmp_path_factory.mktemp("runs"))


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "MOST_BYTES", 5e4)


def expected(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sigma of all networks on the whole graph of the run's own catalog."""
    data = prepare(run.spec)
    told = [predict(one.model, data.graph, data.features, one.scalers, CPU) for one in networks(run)]
    means = np.stack([one.mean for one in told])
    return means.mean(axis=0), np.sqrt(np.mean([one.sigma**2 for one in told], axis=0) + means.var(axis=0))


def test_parts_give_what_the_networks_say_of_the_whole_graph(finished, tmp_path, small_parts):
    out = tmp_path / "again.parquet"
    summary = predict_catalog(finished, finished.spec.catalog, out)
    table, data = pd.read_parquet(out).set_index("row_id"), prepare(finished.spec)
    assert summary["parts"] > 2 and summary["networks"] == 2 and summary["rows"] == len(table) == 240
    assert table.index.is_unique and not table["extrapolated"].any()
    mean, sigma = expected(finished)
    table = table.loc[data.catalog.row_ids]
    np.testing.assert_allclose(table["prediction"], mean, rtol=1e-5)
    np.testing.assert_allclose(table["sigma"], sigma, rtol=1e-5)
    assert any("catalog that the run was trained on" in sentence for sentence in summary["warnings"])


@pytest.mark.parametrize("graph", [GraphSpec(method="knn", k=4), GraphSpec(method="cylinder", radius=3.0, along=6.0)])
def test_other_graphs_are_predicted_on_as_well(halos, tmp_path, graph, small_parts):
    run = train(run_spec(halos, graph=graph, epochs=1, baselines=(), buffer=0.0), tmp_path)
    predict_catalog(run, run.spec.catalog, tmp_path / "out.parquet")
    table = pd.read_parquet(tmp_path / "out.parquet").set_index("row_id").loc[prepare(run.spec).catalog.row_ids]
    np.testing.assert_allclose(table["prediction"], expected(run)[0], rtol=1e-5)


def test_a_model_of_the_whole_graph_is_not_divided(halos, tmp_path, small_parts):
    run = train(
        run_spec(halos, model=ModelSpec(hidden=8, latent=4, global_state=True), epochs=1, baselines=()), tmp_path
    )
    assert predict_catalog(run, run.spec.catalog, tmp_path / "out.parquet")["parts"] == 1
    table = pd.read_parquet(tmp_path / "out.parquet").set_index("row_id").loc[prepare(run.spec).catalog.row_ids]
    np.testing.assert_allclose(table["prediction"], expected(run)[0], rtol=1e-5)


def test_classes_come_with_their_probabilities(halos, tmp_path):
    spec = run_spec(halos, task="node_classification", target="is_central", epochs=1, baselines=())
    run = train(spec, tmp_path)
    predict_catalog(run, run.spec.catalog, tmp_path / "out.parquet")
    table = pd.read_parquet(tmp_path / "out.parquet")
    shares = table.filter(like="probability_")
    assert list(shares.columns) == ["probability_0", "probability_1"]
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert set(table["prediction"]) <= {"0", "1"}


def test_the_command_writes_another_catalog_and_says_what_is_extrapolated(finished, tmp_path, capsys):
    heavy = write_catalog(tmp_path / "other.csv", 300)
    frame = pd.read_csv(heavy)
    frame["mass"] = frame["mass"].clip(10**11.5, 10**12.5)
    frame.loc[:9, "mass"] = 1e18
    frame.loc[10:12, "mass"] = 0.0
    frame.drop(columns="stars").to_csv(heavy, index=False)
    out = tmp_path / "other.parquet"
    box = ["--box", str(SIDE)]
    assert main(["predict", str(finished.folder), str(heavy), *box, "--out", str(out), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["rows"], summary["left_out"], summary["extrapolated"]) == (297, 3, 10)
    assert any("10 of 297 rows have log10(mass) outside" in sentence for sentence in summary["warnings"])
    assert pd.read_parquet(out)["extrapolated"].sum() == 10


def test_what_does_not_fit_is_refused_in_a_sentence(finished, halos, tmp_path):
    own, out = finished.spec.catalog, tmp_path / "out.parquet"
    with pytest.raises(InputError, match="Lengths are in Mpc here and were in no stated unit"):
        predict_catalog(finished, own.model_copy(update={"units": dict.fromkeys("xyz", "kpc")}), out)
    with pytest.raises(InputError, match="'mass' is in Msun here and was in no stated unit in the training"):
        predict_catalog(finished, own.model_copy(update={"units": {"mass": "Msun"}}), out)
    frame = pd.read_csv(halos).drop(columns="mass")
    frame.to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(InputError, match="mass"):
        predict_catalog(finished, CatalogSpec(path=str(tmp_path / "other.csv")), out)
    assert main(["predict", str(finished.folder), str(halos), "--out", str(tmp_path / "out.csv")]) == 2
    assert not out.exists()


def test_the_bundled_run_predicts_the_sample_without_a_record_of_its_inputs(tmp_path):
    learned = Learned.read(load_run("demo"))
    assert set(learned.ranges) == {"log10(halo_mass)", "log10(v_max)", "is_central"}
    assert len(networks(load_run("demo"))) == 3
