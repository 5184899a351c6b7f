"""Predicted intervals hold what they promise on held-out blocks of the bundled sample."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gnnlib.cli import main


@pytest.mark.slow
@pytest.mark.parametrize("split", ["slabs", "blocks"])
def test_intervals_cover_their_share_of_held_out_blocks_of_the_sample(
    split: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "sample", "--preset", "demo", "--split", split, "--baselines", ""]
    assert main([*arguments, "--runs-dir", str(tmp_path), "--json"]) == 0
    covered = json.loads(capsys.readouterr().out)["coverage"]
    assert 0.64 <= covered["0.68"] <= 0.72
    assert 0.93 <= covered["0.95"] <= 0.97
