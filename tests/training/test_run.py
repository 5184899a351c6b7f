"""The run folder: what is written comes back, nothing is ever half there, and damage is listed rather than raised."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog.sample import load_sample
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError
from gnnlib.graph.graph import GraphSpec
from gnnlib.training.baselines import DEFAULTS
from gnnlib.training.presets import PRESETS
from gnnlib.training.run import (
    WORKER_ENDED,
    create_run,
    deleted_runs,
    finite,
    list_runs,
    load_run,
    restore_run,
    write_json,
    written_whole,
)
from gnnlib.training.spec import RunSpec

SPEC = RunSpec(
    catalog=CatalogSpec(path="sample"), graph=GraphSpec(radius=2.0), target="log10(mass)", features=("a", "log10(b)")
)


def own_runs(folder):
    return [run for run in list_runs(folder) if not run.read_only]


def test_a_new_run_comes_back_as_it_was_written(tmp_path):
    run = create_run(SPEC, tmp_path)
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{6}", run.id)
    assert run.id.endswith(SPEC.digest())
    for found in (load_run(run.id, tmp_path), load_run(run.folder), load_run(str(run.folder)), own_runs(tmp_path)[0]):
        assert found.spec == SPEC
        assert found.status.state == "queued"
        assert found.metrics.empty and found.results == {} and found.log == ""
    with pytest.raises(InputError, match="has no predictions; its state is queued"):
        _ = run.predictions


def test_equal_specs_in_one_second_get_runs_of_their_own_newest_first(tmp_path):
    runs = [create_run(SPEC, tmp_path) for _ in range(3)]
    assert len({run.id for run in runs}) == 3
    assert [run.id for run in own_runs(tmp_path)] == sorted((run.id for run in runs), reverse=True)


def test_a_relative_catalog_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = create_run(SPEC.model_copy(update={"catalog": CatalogSpec(path="halos.csv")}), tmp_path / "runs")
    assert run.spec.catalog.path == str(tmp_path / "halos.csv")


def test_runs_live_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("FILAMENT_RUNS", str(tmp_path / "elsewhere"))
    assert own_runs(None) == []
    run = create_run(SPEC)
    assert run.folder.parent == tmp_path / "elsewhere"
    assert load_run(run.id) == run


def test_a_folder_that_cannot_be_written_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        create_run(SPEC, tmp_path / "file")


@pytest.mark.parametrize("reference", ["no-such-run", "../elsewhere", "..", "/", ""])
def test_a_run_that_does_not_exist_is_refused_in_a_sentence(tmp_path, reference):
    with pytest.raises(InputError, match="There is no run"):
        load_run(reference, tmp_path)


def test_damaged_runs_are_listed_as_damaged(tmp_path):
    good = create_run(SPEC, tmp_path)
    for number, (name, text) in enumerate([("spec.json", "{"), ("spec.json", '{"target": 3}'), ("status.json", "")]):
        bad = create_run(SPEC, tmp_path)
        (bad.folder / name).write_text(text)
        assert bad.status.state == "damaged", number
    (tmp_path / "an empty folder").mkdir()
    (tmp_path / "a file").write_text("")
    states = sorted(run.status.state for run in own_runs(tmp_path))
    assert states == ["damaged"] * 4 + ["queued"]
    assert good in list_runs(tmp_path)


def test_damaged_tables_are_refused_in_a_sentence(tmp_path):
    run = create_run(SPEC, tmp_path)
    (run.folder / "predictions.parquet").write_bytes(b"PAR1 not really")
    (run.folder / "results.json").write_text("{")
    with pytest.raises(InputError, match=r"its predictions\.parquet cannot be read"):
        _ = run.predictions
    with pytest.raises(InputError, match=r"its results\.json cannot be read"):
        _ = run.results


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), written_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_the_line_that_is_being_written_is_not_read(tmp_path):
    run = create_run(SPEC, tmp_path)
    line = {
        "fold": 0,
        "epoch": 1,
        "epochs": 9,
        "train_loss": 1.5,
        "validation_loss": None,
        "learning_rate": 0.1,
        "seconds": 1,
    }
    (run.folder / "metrics.jsonl").write_text(json.dumps(line) + "\n" + json.dumps(line)[:30])
    assert run.metrics["epoch"].tolist() == [1]


def test_json_has_no_nan_and_no_numpy():
    value = {
        "a": np.float32(np.nan),
        "b": [np.int64(3), float("inf")],
        "c": (np.arange(2), pd.NA is None),
        4: np.bool_(True),
    }
    assert json.loads(json.dumps(finite(value), allow_nan=False)) == {
        "a": None,
        "b": [3, None],
        "c": [[0, 1], False],
        "4": True,
    }


def test_a_run_whose_worker_is_gone_is_failed_and_one_never_started_is_queued(tmp_path):
    run = create_run(SPEC, tmp_path)
    assert not run.is_stale and run.status.state == "queued"
    with run.worker_lock():
        run.write_status(state="running", started="2026-01-01T00:00:00Z", pid=1)
        assert run.has_worker and run.status.state == "running"
        with pytest.raises(InputError, match="already has a worker"), run.worker_lock():
            pass
    assert run.is_stale
    assert (run.status.state, run.status.message) == ("failed", WORKER_ENDED)


def test_notes_are_kept_with_the_run(tmp_path):
    run = create_run(SPEC, tmp_path)
    assert run.notes == ""
    run.write_notes("tried γ = 0.5\n")
    run.write_notes("tried γ = 0.7\n")
    assert load_run(run.id, tmp_path).notes == "tried γ = 0.7\n"
    with pytest.raises(InputError, match="bundled run cannot be changed"):
        load_run("demo").write_notes("mine")


def test_a_deleted_run_is_gone_from_the_list_and_comes_back(tmp_path):
    run, other = create_run(SPEC, tmp_path), create_run(SPEC, tmp_path)
    run.write_notes("dear to me")
    run.delete()
    assert own_runs(tmp_path) == [other] and [gone.id for gone in deleted_runs(tmp_path)] == [run.id]
    with pytest.raises(InputError, match="There is no run"):
        load_run(run.id, tmp_path)
    assert restore_run(run.id, tmp_path) == run and run.notes == "dear to me"
    assert deleted_runs(tmp_path) == [] and own_runs(tmp_path) == [other, run]
    with pytest.raises(InputError, match="There is no deleted run"):
        restore_run(run.id, tmp_path)


def test_what_is_at_work_bundled_or_in_the_way_is_neither_deleted_nor_replaced(tmp_path):
    run = create_run(SPEC, tmp_path)
    with run.worker_lock(), pytest.raises(InputError, match="already has a worker"):
        run.delete()
    with pytest.raises(InputError, match="bundled"):
        load_run("demo").delete()
    run.delete()
    run.folder.mkdir()
    with pytest.raises(InputError, match="already, so the deleted one cannot come back"):
        restore_run(run.id, tmp_path)


def test_the_bundled_run_is_the_demo_preset_on_the_sample_and_complete():
    run = load_run("demo")
    assert run.read_only and run in list_runs() and run.status.state == "finished"
    spec, rows = run.spec, load_sample().row_ids
    assert spec.catalog.path == "sample" and spec.preset == "demo"
    chosen = {name: value for name, value in PRESETS["demo"].items() if name != "model"}
    assert {name: getattr(spec, name) for name in chosen} == chosen
    assert set(spec.baselines) <= set(DEFAULTS["node_regression"])
    assert sorted(run.predictions["row_id"]) == sorted(rows)
    assert run.attention["receiver"].isin(rows).all() and run.attention["source"].isin(rows).all()
    assert run.results["complete"]
    assert run.results["metrics"]["rmse"]["mean"] < min(b["rmse"]["mean"] for b in run.results["baselines"].values())
    text = "".join(file.read_text() for file in run.folder.iterdir() if file.suffix in (".json", ".txt", ".jsonl"))
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)
