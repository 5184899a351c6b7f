"""The Train page as a person uses it: what a run takes, its folds, two runs side by side, notes, delete and undo."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from .visitor import drawn, open_page, pick, read_path, settled, visiting

pytestmark = pytest.mark.browser
PROJECT = Path(__file__).resolve().parents[2]
TRAINED = 200_000


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 halos in pairs, so that every task has something to learn."""
    rng = np.random.default_rng(5)
    places = np.repeat(rng.uniform(0, 30, (300, 3)), 2, axis=0) + rng.normal(0, 0.2, (600, 3))
    table = pd.DataFrame(places, columns=["x", "y", "z"])
    table["group_id"] = np.repeat(np.arange(300), 2)
    table["halo_mass"] = 10 ** rng.uniform(11, 14, 600)
    table["stellar_mass"] = table["halo_mass"] ** 0.7 * 10 ** rng.normal(0, 0.1, 600)
    path = tmp_path_factory.mktemp("data") / "pairs.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def page(chromium: Any, serve: Callable[..., str], runs: Path, catalog: Path) -> Iterator[Any]:
    address = serve(PROJECT / "app.py", FILAMENT_RUNS=str(runs), FILAMENT_DATA_DIRS=str(catalog.parent))
    with visiting(chromium, address) as page:
        yield page


def train(page: Any, runs: Path) -> Path:
    """Start what the form says and wait until it is finished; returns the run's folder."""
    before = set(runs.iterdir())
    page.get_by_role("button", name="Start training").click()
    page.get_by_role("button", name="Cancel").wait_for()
    (run,) = [folder for folder in runs.iterdir() if folder not in before and (folder / "spec.json").exists()]
    page.get_by_role("button", name="Cancel").wait_for(state="detached", timeout=TRAINED)
    settled(page)
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    return run


def select_runs(page: Any, *rows: int) -> None:
    """Tick rows of the table of runs, counted from 0."""
    table = page.get_by_test_id("stDataFrame").last
    table.scroll_into_view_if_needed()
    for row in rows:
        table.click(position={"x": 18, "y": 35 + 35 * row + 17})
        settled(page)


def test_from_the_form_to_runs_side_by_side_and_back_from_the_trash(page: Any, runs: Path, catalog: Path) -> None:
    open_page(page, "Catalog")
    read_path(page, catalog)
    open_page(page, "Train")
    page.get_by_role("button", name="Measure on a few steps").click()
    page.get_by_text("steps of the first fold").wait_for()
    page.get_by_text("Folds", exact=True).first.click()
    page.get_by_text("Show them in 3D").click()
    assert drawn(page, "folds_canvas")["nodes"] == 600
    train(page, runs)

    pick(page, "Predict", "Whether two objects belong together")
    second = train(page, runs)
    assert json.loads((second / "spec.json").read_text())["label"] == "group_id"
    page.get_by_text("A guess has an average precision of").wait_for()

    select_runs(page, 0, 1)
    page.get_by_role("heading", name="Side by side").wait_for()
    page.get_by_text("these scores are not of the same test").wait_for()
    page.get_by_role("button", name=re.compile("^Delete 2 runs")).click()
    page.get_by_text("Deleted:").wait_for()
    expect(page.get_by_role("heading", name="Side by side")).to_have_count(0)
    assert not second.exists()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Deleted:").wait_for(state="detached")
    assert (second / "results.json").exists()
