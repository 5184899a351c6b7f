"""What a run will take, said before it is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnnlib.training import estimate as estimates
from gnnlib.training.data import prepare
from gnnlib.training.estimate import estimate, from_runs, whole_graph
from gnnlib.training.worker import train

from .conftest import run_spec


def test_an_estimate_grows_with_what_there_is_to_do(halos: Path) -> None:
    short = estimate(prepare(run_spec(halos, epochs=2)))
    long = estimate(prepare(run_spec(halos, epochs=2000)))
    assert short.steps > 0 and short.seconds > 0 and short.memory > 0
    assert long.seconds > 20 * short.seconds
    assert long.memory == short.memory
    assert short.fits


def test_a_training_that_is_too_long_to_wait_for_is_judged_by_its_first_steps(
    halos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "PATIENCE_S", 0.0)
    found = estimate(prepare(run_spec(halos, epochs=100)))
    assert 0 < found.steps < 10 and found.seconds > 0


def test_baselines_that_are_networks_are_counted(halos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    of_one = estimates._seconds

    def watched(data, spec, *rest):
        tried.append(spec.model.name)
        return of_one(data, spec, *rest)

    monkeypatch.setattr(estimates, "_seconds", watched)
    estimate(prepare(run_spec(halos, baselines=("mean", "mlp"))))
    assert tried == ["attention", "pointwise"]


def test_a_wider_network_on_more_edges_takes_more_memory(halos: Path) -> None:
    spec = run_spec(halos)
    wide = spec.model_copy(update={"model": spec.model.model_copy(update={"hidden": 64})})
    assert whole_graph(spec, 240, 500) < whole_graph(spec, 240, 5000)
    assert whole_graph(spec, 240, 5000) < whole_graph(wide, 240, 5000)


def test_an_earlier_run_tells_the_time_of_one_like_it(halos: Path, tmp_path: Path) -> None:
    spec = run_spec(halos)
    run = train(spec, tmp_path)
    edges, took = run.results["graph"]["edges"], run.results["seconds"]
    found = from_runs(spec.model_copy(update={"epochs": 6, "folds": 4}), edges, [run])
    assert found is not None and found[1].id == run.id
    assert found[0] == pytest.approx(4 * took)
    other = spec.model_copy(update={"model": spec.model.model_copy(update={"hidden": 16})})
    assert from_runs(other, edges, [run]) is None
