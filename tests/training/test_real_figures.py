"""The published difficulty of real data: what neighbours add, against the best that trees make of the same neighbours.

Every model sees the same folds: blocks of whole groups. The trees also get features of the neighbourhood made by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnnlib.cli import main
from gnnlib.training.run import load_run

pytestmark = pytest.mark.slow
RIVALS = ("boosted_trees", "boosted_trees_neighbours")


def train(capsys: pytest.CaptureFixture[str], runs: Path, *arguments: str) -> dict[str, Any]:
    """What the command line says of a run with the default network, in five folds."""
    options = ["--model", "attention", "--folds", "5", "--baselines", ",".join(RIVALS), "--runs-dir", str(runs)]
    assert main(["train", *arguments, *options, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def wins(found: dict[str, Any], runs: Path) -> np.ndarray:
    """By how much R2 of the network exceeds that of trees with neighbours, fold by fold [5]."""
    folds = load_run(found["run"], runs).results["folds"]
    return np.array([fold["metrics"]["r2"] - fold["baselines"]["boosted_trees_neighbours"]["r2"] for fold in folds])


def test_neighbours_add_to_dark_matter_mass_on_tng(
    tng_chunks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stellar mass of TNG100-1 subhaloes: R2 about 0.75 from their own mass, 0.86 with neighbours made by hand."""
    arguments = [str(tng_chunks), "--target", "log10(SubhaloMassType_stars)"]
    arguments += ["--features", "log10(SubhaloMassType_dm)", "--where", "SubhaloMassType_stars > 1e8 & SubhaloFlag"]
    arguments += ["--group", "SubhaloGrNr", "--radius", "1.0"]
    found = train(capsys, tmp_path, *arguments)
    assert 0.70 < found["baselines"]["boosted_trees"]["r2"]["mean"] < 0.80
    assert found["metrics"]["r2"]["mean"] >= 0.88
    assert (wins(found, tmp_path) > 0).all()


def test_neighbours_add_to_stellar_mass_on_eco(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Halo mass of ECO groups: R2 about 0.27 from a galaxy itself, 0.54 with redshift-space neighbours made by hand.

    Neighbours lie within 1.5 Mpc across the line of sight and 10 Mpc along it, where groups are drawn out.
    """
    arguments = [str(shared_data / "survey" / "eco_dr1" / "eco_dr1.txt"), "--position", "col2,col3,col4"]
    arguments += ["--unit", "col2=deg", "--unit", "col3=deg", "--unit", "col4=km/s", "--missing", "col7=-99.99:drop"]
    arguments += ["--target", "col16", "--features", "col6,col7,col5", "--group", "col13"]
    arguments += ["--method", "cylinder", "--axis", "radial", "--radius", "1.5", "--along", "10", "--epochs", "20"]
    found = train(capsys, tmp_path, *arguments)
    assert 0.2 < found["baselines"]["boosted_trees"]["r2"]["mean"] < 0.35
    assert found["metrics"]["r2"]["mean"] >= 0.57
    assert wins(found, tmp_path).mean() > 0
