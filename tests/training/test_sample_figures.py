"""The environment term planted in the bundled sample is found again, to the scatter that no model can undercut."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gnnlib.catalog.read import read_catalog
from gnnlib.cli import main
from gnnlib.training.run import load_run

pytestmark = pytest.mark.slow


def test_the_demo_comes_within_a_twentieth_of_the_scatter_and_beats_every_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a pointwise model misses is the scatter and the planted term together, added in quadrature."""
    assert main(["train", "sample", "--preset", "demo", "--runs-dir", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    planted = read_catalog("sample").provenance["planted_truth"]
    scatter, term = planted["scatter_dex"], planted["strength_dex"]
    assert found["metrics"]["rmse"]["mean"] <= 1.05 * scatter
    baselines = found["baselines"]
    assert len(baselines) == 10
    for fold in load_run(found["run"], tmp_path).results["folds"]:
        assert all(fold["metrics"]["rmse"] < other["rmse"] for other in fold["baselines"].values())
    pointwise = [name for name in baselines if name not in ("mean", "abundance_matching") and "neighbours" not in name]
    assert len(pointwise) == 4
    # is_central tells a little of the surroundings: satellites have a neighbour
    assert all(baselines[name]["rmse"]["mean"] > 0.9 * np.hypot(scatter, term) for name in pointwise)
