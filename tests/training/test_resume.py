"""A training that is killed, however often and whenever, comes to the numbers of one that never was."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from gnnlib.cli import main
from gnnlib.models.registry import build_model
from gnnlib.models.spec import ModelSpec
from gnnlib.training.loop import FoldData, fit
from gnnlib.training.resume import Checkpoint
from gnnlib.training.run import Run, create_run
from gnnlib.training.scaling import Scalers
from gnnlib.training.worker import cancel, execute, launch

from .conftest import run_spec
from .test_loop import CPU, masks, planted
from .test_loop import run_spec as loop_spec
from .test_worker import wait_for

# The command of a worker, which keeps its training far more often than a real one so that a second is enough to kill it
# in many states.
EAGER = "import gnnlib.training.resume as r; r.SHORTEST_S, r.SHARE = 0.02, 1.0; from gnnlib.cli import main; main()"


def always(path: Path) -> Checkpoint:
    checkpoint = Checkpoint(path)
    checkpoint.saved = -1e9
    return checkpoint


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_training_stopped_at_any_step_goes_on_to_the_same_weights_and_losses(tmp_path, dropout):
    graph, x, y = planted()
    train, validation, _ = masks()
    scalers = Scalers.fit(graph, x, y, train)
    data = FoldData.build(graph, x, y, train, validation, scalers)
    spec = loop_spec(epochs=4, model=ModelSpec(hidden=16, latent=8, heads=2, dropout=dropout))

    def train_until(stop, checkpoint):
        model = build_model(spec.model, 1, scalers.n_edge_features)
        return fit(model, data, spec, CPU, should_stop=stop, checkpoint=checkpoint)

    whole = train_until(lambda: False, None)
    steps = 0
    for stride in (1, 7, 1000):  # a step, some, all that are left
        asked = [0]

        def stop(stride=stride, asked=asked) -> bool:
            asked[0] += 1
            return asked[0] > stride

        again = train_until(stop, always(tmp_path / "fit.safetensors"))
        steps += asked[0] - again.stopped
        assert again.stopped == (stride < 1000)
    assert steps == 4 * 16 + 4 * (steps // 64 - 1)
    assert all(torch.equal(whole.state_dict[name], again.state_dict[name]) for name in whole.state_dict)
    for one, other in zip(whole.history, again.history, strict=True):
        assert (one.train_loss, one.validation_loss, one.learning_rate) == (
            other.train_loss,
            other.validation_loss,
            other.learning_rate,
        )
    assert again.best_epoch == whole.best_epoch


def test_a_damaged_checkpoint_is_as_good_as_none(tmp_path):
    path = tmp_path / "fit.safetensors"
    assert Checkpoint(path).load() is None
    Checkpoint(path).save({"a": torch.arange(3)}, {"b": [1.5, None]})
    tensors, facts = Checkpoint(path).load()
    assert tensors["a"].tolist() == [0, 1, 2] and facts == {"b": [1.5, None]}
    path.write_bytes(path.read_bytes()[:-5])
    assert Checkpoint(path).load() is None


def work(run: Run) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", EAGER, "train", str(run.folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def left_by(run: Run) -> dict[str, object]:
    """All that a run leaves, without the seconds that it took."""
    tables = {name: (run.folder / f"{name}.parquet").read_bytes() for name in ("predictions", "attention")}
    results = run.results
    for part in (results, *results["folds"]):
        part.pop("seconds")
    return {
        **tables,
        "checkpoint": (run.folder / "checkpoint.safetensors").read_bytes(),
        "results": results,
        "metrics": run.metrics.drop(columns=["seconds", "rows_per_s", "edges_per_s", "memory"]).to_json(),
    }


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_in_the_files_of_one_that_was_not(halos, tmp_path):
    spec = run_spec(halos, epochs=12, baselines=("linear", "mlp"), model=ModelSpec(hidden=8, latent=4, dropout=0.2))
    whole, killed = create_run(spec, tmp_path / "a"), create_run(spec, tmp_path / "b")
    assert work(whole).wait() == 0
    chance = random.Random()
    for epochs in (1, chance.randint(2, 11), 12, chance.randint(13, 24)):  # of both folds, that metrics.jsonl has seen
        worker = work(killed)
        wait_for(lambda: len(killed.metrics) >= epochs, "the worker to train")  # noqa: B023
        time.sleep(chance.uniform(0, 0.3))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert work(killed).wait() == 0
    assert killed.status.state == "finished" and "Fold 1 of 2 is kept from before" in killed.log
    assert left_by(killed) == left_by(whole)
    assert not [file.name for file in killed.folder.iterdir() if file.name.startswith(".") or file.is_dir()]


def test_a_cancelled_run_keeps_its_best_weights_and_goes_on_when_started_again(halos, tmp_path):
    spec = run_spec(halos, epochs=100_000, baselines=())
    run = create_run(spec, tmp_path)
    launch(run)
    wait_for(lambda: len(run.metrics) > 20, "the run to train")
    cancel(run)
    wait_for(lambda: run.status.state == "cancelled" and not run.has_worker, "the run to be cancelled")
    best = load_file(run.folder / "checkpoint.safetensors")
    assert {name.split(".")[0] for name in best} == {"fold0"} and "fold0.scalers.target.mean" in best
    epochs = len(run.metrics)
    launch(run)
    wait_for(lambda: run.status.state == "running" and len(run.metrics) > epochs, "the run to go on")
    assert run.metrics["epoch"].tolist() == list(range(1, len(run.metrics) + 1))
    cancel(run)
    wait_for(lambda: run.status.state == "cancelled" and not run.has_worker, "the run to be cancelled")


def test_another_catalog_under_the_same_name_starts_the_run_anew(halos, tmp_path):
    path = tmp_path / "halos.csv"
    path.write_bytes(halos.read_bytes())
    run = create_run(run_spec(path), tmp_path)
    execute(run)
    kept = run.folder / "resume"
    assert not kept.exists()
    before = run.predictions
    table = pd.read_csv(path)
    table["stars"] += 1.0
    table.to_csv(path, index=False)
    kept.mkdir()
    (kept / "identity").write_text(json.dumps([run.spec.model_dump(mode="json"), "another checksum"]))
    (kept / "fold0").mkdir()
    run.write_status(state="failed")
    execute(run)
    assert run.predictions["truth"].mean() == pytest.approx(before["truth"].mean() + 1.0)


def test_a_finished_run_says_so_and_is_left_as_it_is(halos, tmp_path, capsys):
    run = create_run(run_spec(halos), tmp_path)
    execute(run)
    before = os.stat(run.folder / "predictions.parquet").st_mtime_ns
    assert main(["train", str(run.folder)]) == 0
    told = capsys.readouterr()
    assert f"Run {run.id} is finished" in told.err and "rmse" in told.out.lower()
    assert os.stat(run.folder / "predictions.parquet").st_mtime_ns == before
