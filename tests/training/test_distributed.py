"""Two processes on one small graph: the gradient, and the whole run, are those of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from gnnlib.models.spec import ModelSpec
from gnnlib.training import distributed
from gnnlib.training.loop import _Fitting
from gnnlib.training.run import create_run, list_runs
from gnnlib.training.worker import train

from .conftest import run_spec
from .test_loop import CPU
from .test_loop import run_spec as loop_spec
from .test_room import DEEP, fold, fresh

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def step(out: Path) -> None:
    """Take the gradient of one batch in this process and those it has joined, and write it."""
    fitting = _Fitting(fresh(), fold()[0], loop_spec(model=DEEP), CPU, None, lambda sentence: None)
    examples = next(fitting.batches.of(torch.arange(len(fitting.batches.patches))))
    loss, _ = fitting.gradient(examples)
    found = {name: value.grad for name, value in fitting.model.named_parameters() if value.grad is not None}
    watched = fitting.watch()
    save_file({**found, "loss": torch.tensor([loss]), "watched": watched.mean, "spread": watched.log_variance}, out)


def test_two_processes_have_the_gradient_of_one(tmp_path):
    step(tmp_path / "alone")
    subprocess.run(
        [*TORCHRUN, "-m", "tests.training.test_distributed", str(tmp_path)],
        check=True,
        timeout=300,
        cwd=Path(__file__).parents[2],
    )
    alone = load_file(tmp_path / "alone")
    for rank in range(2):
        together = load_file(tmp_path / f"rank{rank}")
        assert together.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(together[name], value, rtol=1e-5, atol=1e-6)


def test_a_run_by_torchrun_ends_as_one_by_a_single_process(halos, tmp_path):
    spec = run_spec(halos, model=ModelSpec(hidden=8, latent=4, heads=2), baselines=("linear", "mlp"))
    alone = train(spec, tmp_path / "alone")
    run = create_run(spec, tmp_path / "two")
    subprocess.run([*TORCHRUN, "-m", "gnnlib", "train", str(run.folder)], check=True, timeout=300, capture_output=True)
    assert run.status.state == "finished" and "2 processes train together" in run.log
    assert run.environment["processes"] == 2 and alone.environment["processes"] == 1
    assert len(list_runs(tmp_path / "two")) == 2  # and the bundled one
    assert run.metrics["epoch"].tolist() == alone.metrics["epoch"].tolist()
    np.testing.assert_allclose(run.metrics["validation_loss"], alone.metrics["validation_loss"], rtol=1e-4)
    for name in ("prediction", "sigma", "baseline_linear", "baseline_mlp"):
        np.testing.assert_allclose(run.predictions[name], alone.predictions[name], rtol=1e-4)


def test_one_process_alone_is_the_first_of_one():
    assert (distributed.rank(), distributed.size(), distributed.place()) == (0, 1, "cpu")
    values = torch.arange(5)
    assert torch.equal(distributed.share(values), values) and torch.equal(distributed.add(values), values)
    assert distributed.agreed(True, CPU) and not distributed.agreed(False, CPU)
    assert distributed.text_of_the_first("a run") == "a run"


if __name__ == "__main__":
    with distributed.joined():
        step(Path(sys.argv[1]) / f"rank{distributed.rank()}")
