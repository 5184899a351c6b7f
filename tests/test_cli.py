"""The command line: one JSON object on standard output, one sentence for input that cannot be used, nothing half-
written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from gnnlib.cli import SAMPLE_TASK, main, split_list
from gnnlib.training.baselines import DEFAULTS
from gnnlib.training.metrics import METRICS
from gnnlib.training.presets import PRESETS
from gnnlib.training.run import load_run

PROJECT = Path(__file__).resolve().parent.parent
SIDE = 30.0
TRAIN = ["--target", "stars", "--features", "mass", "--radius", "4", "--epochs", "2", "--folds", "2", "--device", "cpu"]


def frame(n_rows: int = 200, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    positions = rng.uniform(0, SIDE, (n_rows, 3))
    values = {**dict(zip("xyz", positions.T, strict=True)), "mass": 10 ** rng.normal(12, 0.4, n_rows)}
    return pd.DataFrame(
        {**values, "stars": rng.normal(10, 1, n_rows), "cluster": rng.integers(0, 9, n_rows), **columns}
    )


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    frame().to_csv(tmp_path / "halos.csv", index=False)
    return tmp_path / "halos.csv"


@pytest.fixture(autouse=True)
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FILAMENT_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    """The one JSON object of a command that succeeds."""
    assert main([str(argument) for argument in arguments] + ["--json"]) == 0
    return json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one sentence of a command that is refused."""
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1 and "Traceback" not in printed.err
    return printed.err.strip()


def test_catalog_tells_rows_columns_and_roles(csv, capsys):
    told = answer(capsys, "catalog", csv, "--box", SIDE)
    assert set(told) == {"rows", "columns", "roles", "box", "periodic", "warnings"}
    assert told["rows"] == 200 and told["box"] == [SIDE] * 3 and told["periodic"] is True
    assert {"name": "mass", "missing": 0}.items() <= {**told["columns"][3]}.items()
    assert set(told["columns"][0]) == {"name", "unit", "dtype", "missing"}
    assert list(told["roles"]["position"]) == ["x", "y", "z"]


def test_graph_counts_the_pairs_that_brute_force_finds(csv, capsys):
    positions = frame()[["x", "y", "z"]].to_numpy()
    separation = positions[:, None] - positions
    told = answer(capsys, "graph", csv, "--method", "radius", "--radius", 4, "--box", SIDE, "--no-periodic")
    assert told["edges"] == np.sum((separation**2).sum(-1) <= 16) - 200
    separation -= SIDE * np.round(separation / SIDE)
    told = answer(capsys, "graph", csv, "--radius", 4, "--box", f"{SIDE},{SIDE},{SIDE}")
    edges = np.sum((separation**2).sum(-1) <= 16) - 200
    assert told["edges"] == edges and told["mean_degree"] == pytest.approx(edges / 200)
    figures = {
        "nodes",
        "edges",
        "mean_degree",
        "max_degree",
        "isolated_fraction",
        "components",
        "truncated",
        "warnings",
    }
    assert set(told) >= figures | {"largest_component_fraction"}
    told = answer(capsys, "graph", csv, "--k", 5, "--where", "mass > 1e12", "--self-loops")
    assert told["nodes"] == np.sum(frame()["mass"] > 1e12) and told["edges"] == 5 * told["nodes"]


def test_train_tells_metrics_baselines_and_where_the_predictions_are(csv, runs_folder, capsys):
    told = answer(capsys, "train", csv, *TRAIN, "--model", "attention", "--group", "cluster", "--seed", 3)
    told_of_all = {"run", "task", "folds", "metrics", "baselines", "out_of_fold", "device", "seconds", "warnings"}
    assert set(told) == told_of_all | {"coverage"} and set(told["coverage"]) == {"0.68", "0.95"}
    assert told["task"] == "node regression" and told["folds"] == 2
    for metrics in (told["metrics"], *told["baselines"].values()):
        assert set(metrics) == set(METRICS) and all(set(value) == {"mean", "std"} for value in metrics.values())
    assert told["baselines"]["mean"]["rho"]["mean"] is None
    assert len(pd.read_parquet(told["out_of_fold"])) == 200
    spec = load_run(told["run"]).spec
    assert (spec.split, spec.group, spec.seed) == ("group", "cluster", 3)
    listed = answer(capsys, "runs")["runs"]
    assert (listed[0]["id"], listed[0]["state"]) == (told["run"], "finished")
    for reference in (runs_folder / told["run"], told["run"]):
        again = answer(capsys, "train", reference)
        assert again["metrics"] == told["metrics"]
    assert told["run"] not in [run["id"] for run in answer(capsys, "runs", "--delete", told["run"])["runs"]]
    assert [run["id"] for run in answer(capsys, "runs", "--deleted")["runs"]] == [told["run"]]
    assert told["run"] in [run["id"] for run in answer(capsys, "runs", "--restore", told["run"])["runs"]]


def test_options_of_the_optimisation_go_into_the_run(csv, runs_folder, capsys):
    options = ["--schedule", "step", "--patience", 5, "--clip", 0.5, "--amp", "--memory-gb", 2, "--batch-size", 64]
    told = answer(capsys, "train", csv, *TRAIN, *options, "--learning-rate", 0.005, "--baselines", "mean")
    spec = load_run(told["run"]).spec
    assert (spec.schedule, spec.patience, spec.clip, spec.amp, spec.compile) == ("step", 5, 0.5, True, False)
    assert (spec.memory_gb, spec.batch_size, spec.learning_rate) == (2.0, 64, 0.005)


def test_the_sample_and_a_preset_say_what_to_train_and_options_go_before_them(capsys):
    small = ["--where", "halo_mass > 1e13", "--epochs", "1", "--folds", "2"]
    told = answer(capsys, "train", "sample", "--preset", "demo", *small)
    assert set(told["baselines"]) == set(DEFAULTS["node_regression"])
    spec = load_run(told["run"]).spec
    assert (spec.target, spec.features) == (SAMPLE_TASK["target"], SAMPLE_TASK["features"])
    assert (spec.preset, spec.graph.radius, spec.epochs, spec.folds) == ("demo", 3.0, 1, 2)
    assert spec.model.hidden == PRESETS["demo"]["model"]["hidden"]
    assert set(pd.read_parquet(told["out_of_fold"])["fold"]) == {0, 1}


def test_a_model_can_be_trained_on_positions_only(csv, capsys):
    told = answer(capsys, "train", csv, *TRAIN, "--features", "none", "--epochs", "1")
    assert load_run(told["run"]).spec.features == ()


def test_tables_are_printed_for_people(csv, capsys):
    for arguments in (["catalog", csv], ["graph", csv, "--radius", "4"], ["runs"]):
        assert main([str(argument) for argument in arguments]) == 0
        assert capsys.readouterr().out.strip()
    assert main(["train", str(csv), *TRAIN]) == 0
    printed = capsys.readouterr()
    assert "±" in printed.out and "random_forest" in printed.out and "Fold 1 of 2" in printed.err


def test_features_are_divided_at_commas_outside_parentheses():
    assert split_list("a, log10(b), where(c > 0, c, 1) ,d") == ["a", "log10(b)", "where(c > 0, c, 1)", "d"]


def write_empty(folder: Path) -> Path:
    (folder / "bad.csv").write_text("")
    return folder / "bad.csv"


def write_truncated_fits(folder: Path) -> Path:
    Table.from_pandas(frame()).write(folder / "whole.fits")
    (folder / "bad.fits").write_bytes((folder / "whole.fits").read_bytes()[:7000])
    return folder / "bad.fits"


def write_text(folder: Path) -> Path:
    (folder / "bad.csv").write_text("name,remark\n" + "M31,a galaxy\nM33,another\n" * 50)
    return folder / "bad.csv"


def write_binary(folder: Path) -> Path:
    (folder / "bad.parquet").write_bytes(bytes(range(256)) * 10)
    return folder / "bad.parquet"


@pytest.mark.parametrize(
    ("command", "write"),
    [
        *product(("graph", "train"), (write_empty, write_truncated_fits, write_binary, write_text)),
        *product(("catalog",), (write_empty, write_truncated_fits, write_binary)),
    ],
)
def test_files_that_are_not_catalogs_are_refused(tmp_path, runs_folder, capsys, command, write):
    refusal(capsys, command, write(tmp_path), *{"catalog": [], "graph": ["--radius", "4"], "train": TRAIN}[command])
    assert not runs_folder.exists()


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"mass": np.nan}, [], "mass"),
        ({"mass": 3.0}, [], "constant"),
        ({"stars": 1.0}, [], "constant"),
        ({"x": np.nan}, [], "x|position"),
        ({}, ["--radius", "0"], "radius|linking length"),
        ({}, ["--radius", "-1"], "radius|linking length"),
        ({}, ["--radius", "nan"], "radius|linking length"),
        ({}, ["--radius", "16", "--box", "30"], "half"),
        ({}, ["--box", "20"], "box"),
        ({}, ["--box", "0"], "--box"),
        ({}, ["--box", "a,b"], "--box"),
        ({}, ["--method", "knn", "--k", "5"], "--radius"),
        ({}, ["--method", "groups", "--edge-features", "mass"], "--edge-features"),
        ({}, ["--folds", "1"], "folds"),
        ({}, ["--folds", "nine"], "folds"),
        ({}, ["--epochs", "0"], "epochs"),
        ({}, ["--model", "oracle"], "oracle"),
        ({}, ["--preset", "magic"], "magic"),
        ({}, ["--target", "nothing"], "nothing"),
        ({}, ["--features", "mass,nothing"], "nothing"),
        ({}, ["--features", ","], "--features"),
        ({}, ["--group", "nothing"], "nothing"),
        ({}, ["--where", "mass > 1e30"], "row"),
        ({}, ["--where", "__import__('os')"], ""),
        ({}, ["--buffer", "25"], "buffer"),
        ({}, ["--h", "-1"], "h"),
        ({}, ["--nonsense"], "nonsense"),
    ],
)
def test_bad_input_to_train_is_one_sentence_and_leaves_no_run(tmp_path, runs_folder, capsys, columns, options, words):
    frame(**columns).to_csv(tmp_path / "a.csv", index=False)
    sentence = refusal(capsys, "train", tmp_path / "a.csv", *TRAIN, *options)
    assert any(word in sentence for word in words.split("|")), sentence
    assert not runs_folder.exists()


def test_fewer_rows_than_neighbours_are_refused(tmp_path, runs_folder, capsys):
    frame(25).to_csv(tmp_path / "a.csv", index=False)
    arguments = [tmp_path / "a.csv", "--method", "knn", "--k", 30]
    assert "25" in refusal(capsys, "graph", *arguments)
    refusal(capsys, "train", *arguments, "--target", "stars", "--features", "mass", "--folds", 2)
    assert not runs_folder.exists()


@pytest.mark.parametrize(
    "arguments", [[], ["paint"], ["graph"], ["graph", "no-such-file.csv", "--radius", "1"], ["train", "x"]]
)
def test_usage_errors_are_one_sentence(capsys, arguments):
    refusal(capsys, *arguments)


def test_something_unexpected_is_one_sentence_that_names_its_log(monkeypatch, capsys):
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("the details")

    monkeypatch.setattr("gnnlib.cli.list_runs", broken)
    assert main(["runs"]) == 1
    sentence = capsys.readouterr().err
    log = Path(sentence.split()[-1].rstrip("."))
    if not log.exists():
        log = Path(sentence.split()[-1])
    assert "ZeroDivisionError" in sentence and "the details" in log.read_text()
    log.unlink()


def python(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False, **options
    )


def test_the_program_itself_keeps_standard_output_for_the_json(csv, tmp_path):
    done = python("-m", "gnnlib", "train", str(csv), *TRAIN, "--json", "--runs-dir", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert Path(told["out_of_fold"]).parent == tmp_path / "mine" / told["run"]
    refused = python("-m", "gnnlib", "graph", str(csv), "--radius", "0")
    assert (refused.returncode, refused.stdout, len(refused.stderr.splitlines())) == (2, "", 1)


def test_importing_the_library_does_not_import_torch():
    code = (
        "import sys, gnnlib, gnnlib.cli, gnnlib.training.run; sys.exit(bool({'torch', 'streamlit'} & set(sys.modules)))"
    )
    assert python("-c", code).returncode == 0
