"""Positions only: what surroundings tell is found, and where they tell nothing, nothing is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gnnlib.cli import main
from gnnlib.training.data import prepare
from gnnlib.training.worker import train

from .conftest import run_spec, write_catalog


def test_without_features_a_model_sees_the_surroundings_alone(tmp_path: Path) -> None:
    path = write_catalog(tmp_path / "halos.csv", n_rows=600)
    of_neighbours = "stars - 0.5 * log10(mass)"  # what is left of the target is made of their number
    spec = run_spec(path, target=of_neighbours, features=(), epochs=15, buffer=4.0, baselines=("mean", "linear"))
    data = prepare(spec)
    assert data.features.shape == (len(data.catalog), 1) and (data.features == 1).all()
    results = train(spec, tmp_path).results
    assert max(figures["r2"]["mean"] for figures in results["baselines"].values()) < 0.05  # they see no edges
    assert results["metrics"]["r2"]["mean"] > 0.5


@pytest.mark.slow
def test_halo_mass_is_not_found_in_positions(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = shared_data / "sim" / "nbody_1200mpch" / "Halo3D_300.txt"
    arguments = ["train", str(catalog), "--position", "col1,col2,col3", "--target", "log10(col7)", "--features", "none"]
    arguments += [
        "--radius",
        "12",
        "--preset",
        "demo",
        "--split",
        "blocks",
        "--epochs",
        "8",
        "--runs-dir",
        str(tmp_path),
        "--json",
    ]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["r2"]["mean"] < 0.15
