"""The metrics of a run in TensorBoard's and MLflow's own files."""

from __future__ import annotations

import pytest

from gnnlib.errors import InputError
from gnnlib.training import tracking
from gnnlib.training.worker import train

from .conftest import run_spec


def test_tensorboard_gets_every_curve(halos, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(run_spec(halos, baselines=()), tmp_path, logger="tensorboard")
    events = EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    curve = events.Scalars("fold1/validation_loss")
    assert [event.step for event in curve] == [1, 2, 3]
    told = run.metrics[run.metrics["fold"] == 1]["validation_loss"]
    assert [event.value for event in curve] == pytest.approx(told.tolist(), rel=1e-5)


def test_mlflow_gets_the_specification_the_curves_and_the_scores(halos, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = train(run_spec(halos, baselines=()), tmp_path, logger="mlflow")
    (found,) = mlflow.search_runs(experiment_names=["filament"], output_format="list")
    assert found.info.run_name == run.id and found.data.params["model.hidden"] == "8"
    assert found.data.metrics["rmse"] == pytest.approx(run.results["metrics"]["rmse"]["mean"])
    assert "fold0/train_loss" in found.data.metrics


def test_a_logger_that_is_not_installed_is_named(halos, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs the package mlflow; pip install"):
        train(run_spec(halos), tmp_path, logger="mlflow")
