"""The published difficulty of real data: stellar mass of TNG100-1 subhaloes from dark-matter mass and neighbours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gnnlib.cli import main


@pytest.mark.slow
def test_neighbours_add_to_dark_matter_mass_on_tng(
    tng_chunks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folds by FoF group; R2 about 0.76 without edges, at least 0.80 with them."""
    arguments = ["train", str(tng_chunks), "--target", "log10(SubhaloMassType_stars)"]
    arguments += ["--features", "log10(SubhaloMassType_dm)", "--where", "SubhaloMassType_stars > 1e8 & SubhaloFlag"]
    arguments += ["--group", "SubhaloGrNr", "--radius", "1.0", "--model", "attention", "--folds", "5"]
    assert main([*arguments, "--runs-dir", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    without = max(found["baselines"][name]["r2"]["mean"] for name in ("boosted_trees", "mlp", "random_forest"))
    assert 0.70 < without < 0.80
    assert found["metrics"]["r2"]["mean"] >= 0.80
