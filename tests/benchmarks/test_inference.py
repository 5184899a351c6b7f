"""Predictions of a catalog in parts, beside the same command on the whole graph: memory, time and numbers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog.table import CatalogSpec
from gnnlib.graph.graph import GraphSpec
from gnnlib.training.run import Run, write_json
from gnnlib.training.spec import RunSpec
from gnnlib.training.worker import train

pytestmark = pytest.mark.benchmark
DEGREE = 20
RADIUS = 1.0


def write(path: Path, rows: int) -> float:
    """Uniform points with DEGREE neighbours each within RADIUS; returns the side of their periodic box."""
    rng = np.random.default_rng(rows)
    side = float((rows / DEGREE * 4 / 3 * np.pi * RADIUS**3) ** (1 / 3))
    places = dict(zip("xyz", rng.uniform(0, side, (3, rows)), strict=True))
    mass = rng.normal(12, 0.5, rows)
    columns = {"id": np.arange(rows), **places, "mass": mass, "stars": mass + rng.normal(0, 0.1, rows)}
    pd.DataFrame(columns).to_parquet(path)
    return side


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One network of the default size, trained for a moment: the second fold's is taken out of the results."""
    folder = tmp_path_factory.mktemp("inference")
    side = write(folder / "small.parquet", 4_000)
    spec = RunSpec(
        catalog=CatalogSpec(path=str(folder / "small.parquet"), box=(side, side, side), periodic=True),
        graph=GraphSpec(radius=RADIUS),
        target="stars",
        features=("mass",),
        folds=2,
        epochs=1,
        baselines=(),
    )
    run = train(spec, folder / "runs")
    write_json(run.folder / "results.json", {**run.results, "folds": run.results["folds"][:1]})
    return run


def predicted(run: Run, rows: int, out: Path, *options: str) -> tuple[float, float, pd.DataFrame]:
    """Seconds and peak bytes of the command in a process of its own, and what it wrote, by row."""
    catalog = out.with_name(f"{rows}.parquet")
    side = write(catalog, rows)
    command = [sys.executable, "-m", "gnnlib", "predict", str(run.folder), str(catalog), "--box", str(side)]
    started = time.perf_counter()
    worker = subprocess.Popen([*command, "--out", str(out), *options], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(worker.pid, 0)
    assert status == 0
    return time.perf_counter() - started, 1024.0 * usage.ru_maxrss, pd.read_parquet(out).sort_values("row_id")


def test_parts_of_a_million_rows_take_less_than_five_gigabytes_and_give_the_numbers_of_the_whole(run, tmp_path):
    rows = 100_000
    whole_s, whole_bytes, whole = predicted(run, rows, tmp_path / "whole.parquet", "--memory-gb", "100")
    parts_s, parts_bytes, parts = predicted(run, rows, tmp_path / "parts.parquet", "--memory-gb", "0.3")
    np.testing.assert_array_equal(parts["row_id"], whole["row_id"])
    for name in ("prediction", "sigma"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-5)
    many_s, many_bytes, many = predicted(run, 10 * rows, tmp_path / "many.parquet")
    print(
        f"\n{'rows':>10} {'edges':>12} {'':8} {'s':>7} {'peak GB':>8}\n"
        f"{rows:>10,} {DEGREE * rows:>12,} {'whole':8} {whole_s:7.1f} {whole_bytes / 1e9:8.2f}\n"
        f"{rows:>10,} {DEGREE * rows:>12,} {'parts':8} {parts_s:7.1f} {parts_bytes / 1e9:8.2f}\n"
        f"{10 * rows:>10,} {10 * DEGREE * rows:>12,} {'parts':8} {many_s:7.1f} {many_bytes / 1e9:8.2f}"
    )
    assert len(many) == 10 * rows and np.isfinite(many["prediction"]).all()
    assert many_bytes < 5e9 and parts_bytes < 0.7 * whole_bytes
