"""Training from end to end: the files, the numbers in them, and what becomes of a run that is stopped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from gnnlib.errors import InputError
from gnnlib.explain.attention import heads, read_attention
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.registry import build_model
from gnnlib.models.spec import ModelSpec
from gnnlib.training.crossvalidation import _shortened
from gnnlib.training.data import prepare
from gnnlib.training.loop import predict
from gnnlib.training.metrics import evaluate
from gnnlib.training.run import WORKER_ENDED, Run, create_run, list_runs, load_run
from gnnlib.training.scaling import Scalers
from gnnlib.training.worker import ALLOCATOR, cancel, execute, launch, train

from .conftest import run_spec, write_catalog

BASELINES = ("mean", "linear", "random_forest", "boosted_trees", "mlp")


@pytest.fixture(scope="module")
def finished(halos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    spec = run_spec(
        halos, baselines=BASELINES, central="is_central", model=ModelSpec(hidden=8, latent=4, heads=2, depth=2)
    )
    return train(spec.model_copy(update={"graph": GraphSpec(radius=2.5)}), tmp_path_factory.mktemp("runs"))


def test_a_finished_run_says_so_and_keeps_every_epoch(finished):
    status = finished.status
    assert (status.state, status.progress, status.eta_s, status.pid) == ("finished", 1.0, None, None)
    assert finished.metrics["fold"].tolist() == [0, 0, 0, 1, 1, 1]
    assert finished.metrics["epoch"].tolist() == [1, 2, 3, 1, 2, 3]
    assert np.isfinite(finished.metrics["train_loss"]).all()
    assert not [file.name for file in finished.folder.iterdir() if file.suffix == ".tmp"]
    assert {"python", "packages", "device", "catalog"} <= set(finished.environment)
    assert len(finished.environment["catalog"]["sha256"]) == 64
    assert "Fold 2 of 2" in finished.log


def test_every_row_is_predicted_once_and_out_of_fold(finished):
    data, table = prepare(finished.spec), finished.predictions
    assert sorted(table["row_id"]) == sorted(data.catalog.row_ids)
    truth = pd.Series(data.target, data.catalog.row_ids)
    np.testing.assert_allclose(table["truth"], truth[table["row_id"]])
    np.testing.assert_allclose(table["residual"], table["prediction"] - table["truth"])
    assert (table["sigma"] > 0).all()
    for number, fold in enumerate(data.folds):
        assert set(table["row_id"][table["fold"] == number]) == set(data.catalog.row_ids[fold.test])


def test_the_intervals_of_the_predictions_are_those_of_the_results(finished):
    table = finished.predictions
    for number, part in table.groupby("fold"):
        for level, factor in finished.results["folds"][number]["intervals"]["factor"].items():
            low, high = (part[f"{end}_{100 * float(level):.0f}"] for end in ("lower", "upper"))
            np.testing.assert_allclose(high - low, 2 * factor * part["sigma"], rtol=1e-4)
            np.testing.assert_allclose((high + low) / 2, part["prediction"], rtol=1e-5, atol=1e-6)
    inside = table["truth"].between(table["lower_68"], table["upper_68"]).mean()
    assert inside == pytest.approx(finished.results["coverage"]["0.68"], abs=2 / len(table))


def test_results_are_the_metrics_of_the_predictions(finished):
    results, table = finished.results, finished.predictions
    assert results["complete"] and results["rows"] == len(table)
    by_fold = [part for _, part in table.groupby("fold")]
    for name in ("prediction", *(f"baseline_{name}" for name in BASELINES)):
        figures = [evaluate(part["truth"].to_numpy(), part[name].to_numpy()) for part in by_fold]
        told = results["metrics"] if name == "prediction" else results["baselines"][name.removeprefix("baseline_")]
        assert told["rmse"]["mean"] == pytest.approx(np.mean([fold["rmse"] for fold in figures]))
        assert told["r2"]["std"] == pytest.approx(np.std([fold["r2"] for fold in figures]))
    assert set(results["by_kind"]) == {"all", "centrals", "satellites"}
    assert sum(fold["n_test"] for fold in results["folds"]) == results["rows"]
    for fold in results["folds"]:
        assert fold["n_test"] + fold["n_train"] + fold["n_validation"] + fold["n_buffer"] == results["rows"]


def test_attention_is_kept_for_every_edge_of_every_tested_row(finished):
    data, table = prepare(finished.spec), read_attention(finished)
    assert heads(table) == [f"layer{layer}_head{head}" for layer in range(2) for head in range(2)]
    graph = data.graph
    known = pd.Series(graph.lengths, pd.MultiIndex.from_arrays(graph.row_ids[graph.edge_index]))
    assert len(table) == graph.n_edges
    edges = pd.MultiIndex.from_frame(table[["source", "receiver"]])
    assert edges.is_unique
    np.testing.assert_allclose(table["length"], known[edges], rtol=3e-5)
    fold_of = finished.predictions.set_index("row_id")["fold"]
    np.testing.assert_array_equal(table["fold"], fold_of[table["receiver"]])
    for head in heads(table):
        np.testing.assert_allclose(table.groupby("receiver")[head].sum(), 1.0, rtol=1e-4)


def test_the_checkpoint_gives_the_predictions_back(finished):
    data, state = prepare(finished.spec), load_file(finished.folder / "checkpoint.safetensors")
    for number, fold in enumerate(data.folds):
        own = {name.split(".", 1)[1]: value for name, value in state.items() if name.startswith(f"fold{number}.")}
        scalers = Scalers.from_state({name[8:]: own.pop(name) for name in list(own) if name.startswith("scalers.")})
        model = build_model(finished.spec.model, data.features.shape[1], scalers.n_edge_features)
        model.load_state_dict(own)
        rows = fold.inference_graph
        again = predict(model, data.graph.subgraph(rows), data.features[rows], scalers, torch.device("cpu"))
        told = finished.predictions.set_index("row_id").loc[data.catalog.row_ids[rows & fold.test], "prediction"]
        np.testing.assert_allclose(again.mean[fold.test[rows]], told, rtol=1e-5)


def test_scalers_come_from_the_training_rows_only(finished):
    data, state = prepare(finished.spec), load_file(finished.folder / "checkpoint.safetensors")
    for number, fold in enumerate(data.folds):
        mean = state[f"fold{number}.scalers.target.mean"].numpy()
        np.testing.assert_allclose(mean, data.target[fold.train].mean())


def test_the_target_of_test_rows_is_never_seen(halos, tmp_path):
    """Other labels for the rows of fold 0 change nothing in what fold 0's model and its baselines predict."""
    spec = run_spec(halos, folds=2, baselines=BASELINES)
    tested = prepare(spec).folds[0].test
    frame = pd.read_csv(halos)
    frame.loc[tested, "stars"] = 100.0 + np.arange(tested.sum())
    frame.to_csv(tmp_path / "other.csv", index=False)
    other = spec.model_copy(update={"catalog": spec.catalog.model_copy(update={"path": str(tmp_path / "other.csv")})})
    a, b = (train(either, tmp_path / "runs").predictions for either in (spec, other))
    columns = ["prediction", "sigma", *(f"baseline_{name}" for name in BASELINES)]
    first = a["fold"] == 0
    pd.testing.assert_frame_equal(a.loc[first, ["row_id", *columns]], b.loc[first, ["row_id", *columns]])


def test_equal_specs_give_equal_predictions(halos, tmp_path):
    a, b = (train(run_spec(halos, baselines=("random_forest", "mlp")), tmp_path).predictions for _ in range(2))
    pd.testing.assert_frame_equal(a, b)


@pytest.mark.parametrize("model", ["message_passing", "pointwise"])
def test_models_without_attention_leave_no_attention_file(halos, tmp_path, model):
    run = train(run_spec(halos, model=ModelSpec(name=model, hidden=8, latent=4), baselines=()), tmp_path)
    assert run.status.state == "finished" and run.results["baselines"] == {}
    with pytest.raises(InputError, match="has no attention"):
        read_attention(run)


def test_a_graph_model_beats_its_own_pointwise_twin_where_neighbours_matter(halos, tmp_path):
    spec = run_spec(halos, epochs=60, baselines=("mlp",), model=ModelSpec(hidden=16, latent=8, heads=2))
    results = train(spec, tmp_path).results
    assert results["metrics"]["rmse"]["mean"] < results["baselines"]["mlp"]["rmse"]["mean"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"target": "nothing"}, "nothing"),
        ({"model": ModelSpec(name="oracle")}, "oracle"),
        ({"baselines": ("luck",)}, "luck"),
    ],
)
def test_bad_input_is_refused_before_a_run_exists(halos, tmp_path, fields, sentence):
    with pytest.raises(InputError, match=sentence):
        train(run_spec(halos, **fields), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_run_that_turns_out_to_be_bad_is_failed_with_its_sentence(tmp_path):
    run = create_run(run_spec(write_catalog(tmp_path / "a.csv", stars=1.0)), tmp_path / "runs")
    with pytest.raises(InputError, match="The target 'stars' is constant"):
        execute(run)
    assert run.status.state == "failed" and "The target 'stars' is constant" in run.status.message
    assert "Traceback" not in run.log


def test_an_unexpected_error_is_one_sentence_and_its_details_are_in_the_log(halos, tmp_path, monkeypatch):
    def broken(*arguments: object) -> bool:
        raise ZeroDivisionError("the details")

    monkeypatch.setattr("gnnlib.training.crossvalidation.cross_validate", broken)
    with pytest.raises(ZeroDivisionError):
        train(run_spec(halos), tmp_path)
    run = list_runs(tmp_path)[0]
    assert run.status.state == "failed"
    assert run.status.message == "Training stopped unexpectedly (ZeroDivisionError); the details are in its log.txt."
    assert "Traceback" in run.log and "the details" in run.log


def test_shortened_weights_differ_by_less_than_the_promised_bits():
    values = np.concatenate([np.random.default_rng(0).random(10_000), [0.0, 1.0, 1e-30]]).astype(np.float32)
    np.testing.assert_allclose(_shortened(values), values, rtol=2e-5)
    assert _shortened(values)[-2] == 1.0 and _shortened(values)[-3] == 0.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    patience = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < patience, f"waited in vain for {what}"
        time.sleep(0.1)


def has_epochs(run: Run) -> bool:
    assert run.status.state != "failed", run.log
    return run.status.state == "running" and len(run.metrics) > 0


@pytest.fixture
def endless(halos: Path, tmp_path: Path) -> Iterator[Callable[[], Run]]:
    """Starts runs in processes of their own that would train for hours; those left over are killed."""
    runs = []

    def start() -> Run:
        runs.append(create_run(run_spec(halos, epochs=100_000), tmp_path / "runs"))
        launch(runs[-1])
        return runs[-1]

    yield start
    for run in runs:
        if run.has_worker and (pid := run.status.pid):
            os.kill(pid, signal.SIGKILL)


def test_one_worker_trains_the_next_waits_and_cancel_lets_it_go_on(endless):
    first = endless()
    wait_for(lambda: has_epochs(first), "the first run to train")
    second = endless()
    wait_for(lambda: first.id in second.status.message, "the second run to queue")
    assert second.status.state == "queued" and second.metrics.empty
    with pytest.raises(InputError, match="already has a worker"):
        launch(first)
    cancel(first)
    wait_for(lambda: first.status.state == "cancelled", "the first run to be cancelled")
    wait_for(lambda: not first.has_worker, "the first worker to end")
    assert (first.folder / "spec.json").exists() and "Cancelled" in first.log
    wait_for(lambda: has_epochs(second), "the second run to train")
    cancel(second)
    wait_for(lambda: second.status.state == "cancelled", "the second run to be cancelled")


def test_a_run_whose_worker_is_killed_is_listed_as_failed_and_can_be_started_again(endless):
    run = endless()
    wait_for(lambda: has_epochs(run), "the run to train")
    assert run.status.pid is not None and run.status.pid != os.getpid()
    if (environment := Path(f"/proc/{run.status.pid}/environ")).exists():
        assert all(name.encode() in environment.read_bytes() for name in ALLOCATOR)
    os.kill(run.status.pid, signal.SIGKILL)
    wait_for(lambda: not run.has_worker, "the worker to be gone")
    listed = next(other for other in list_runs(run.folder.parent) if other.id == run.id)
    assert (listed.status.state, listed.status.message) == ("failed", WORKER_ENDED)
    (run.folder / "spec.json").write_text(run.spec.model_copy(update={"epochs": 2}).model_dump_json())
    launch(run)
    wait_for(lambda: run.status.state == "finished", "the run to finish at the second attempt")
    assert len(run.predictions) == 240 and run.metrics["epochs"].tolist() == [2] * 4


def test_a_run_that_never_started_is_cancelled_at_once(halos, tmp_path):
    run = create_run(run_spec(halos), tmp_path)
    cancel(run)
    assert load_run(run.id, tmp_path).status.state == "cancelled"
    cancel(run)
    assert run.status.state == "cancelled"
