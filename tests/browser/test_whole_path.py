"""The app as a person meets it, from a catalog to predictions and attention: on the sample and on real TNG chunks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest
from playwright.sync_api import expect

from .visitor import drawn, expect_figure, fill, open_page, open_section, read_path, seen, settled, visiting

pytestmark = pytest.mark.browser
PROJECT = Path(__file__).resolve().parents[2]
TRAINED = 400_000


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], runs: Path) -> str:
    folders = str(PROJECT.parent / "shared" / "data")
    return serve(PROJECT / "app.py", FILAMENT_RUNS=str(runs), FILAMENT_DATA_DIRS=folders)


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    with visiting(chromium, address) as page:
        yield page


def start_training(page: Any, runs: Path) -> Path:
    """Press the button, follow the progress to its end, and return the run's folder."""
    before = set(runs.iterdir())
    page.get_by_role("button", name="Start training").click()
    seen(page.get_by_role("button", name="Cancel"))
    page.reload()  # the run goes on without the page
    seen(page.get_by_role("heading", name="Train", exact=True, level=1))
    (run,) = [folder for folder in runs.iterdir() if folder not in before and (folder / "spec.json").exists()]
    for _ in range(TRAINED // 1000):
        state = json.loads((run / "status.json").read_text())["state"]
        if state not in ("queued", "running"):
            break
        page.wait_for_timeout(1000)
    assert state == "finished"
    page.get_by_role("button", name="Cancel").wait_for(state="detached")
    settled(page)
    return run


def set_epochs(page: Any, epochs: int) -> None:
    page.get_by_text("Architecture and optimisation").click()
    page.get_by_role("spinbutton", name="Epochs").fill(str(epochs))
    page.keyboard.press("Enter")
    settled(page)


def look_at_results(page: Any, run: Path) -> None:
    """Predictions and attention of the run in view agree with its folder, and an object's card opens."""
    results = json.loads((run / "results.json").read_text())
    open_page(page, "Predictions")
    expect_figure(page, "R²", f"{results['metrics']['r2']['mean']:.3f}")
    assert drawn(page, "residual_canvas")["nodes"] > 1000
    seen(page.get_by_text("The largest residual."))
    open_page(page, "Attention")
    assert drawn(page, "attention_canvas_True")["edges"] > 1000
    seen(page.get_by_text("Centrals and satellites"))


def test_the_first_start_shows_the_sample_its_graph_and_a_finished_run(page: Any) -> None:
    seen(page.get_by_role("heading", name="Graph", exact=True, level=1))
    assert drawn(page, "graph")["nodes"] > 15_000
    seen(page.get_by_text("Filament sample"))
    for title, canvas in (("Predictions", "residual_canvas"), ("Attention", "attention_canvas_True")):
        open_page(page, title)
        assert drawn(page, canvas)["nodes"] > 15_000


def test_whole_path_on_the_sample(page: Any, runs: Path) -> None:
    seen(page.get_by_role("heading", name="Graph", exact=True, level=1))
    drawn(page, "graph")
    open_page(page, "Catalog")
    expect_figure(page, "Rows", re.compile(r"[1-4]\d,\d{3}"))
    open_page(page, "Train")
    set_epochs(page, 3)
    run = start_training(page, runs)
    look_at_results(page, run)


@pytest.mark.slow
def test_whole_path_on_the_tng_chunks(page: Any, runs: Path, tng_chunks: Path) -> None:
    rows = 0
    for chunk in tng_chunks.glob("*.hdf5"):
        with h5py.File(chunk) as file:
            rows += int(file["Header"].attrs["Nsubgroups_ThisFile"])
    open_page(page, "Catalog")
    read_path(page, tng_chunks)
    seen(page.get_by_text(f"{rows:,} rows"))
    settled(page)
    expect_figure(page, "Rows", f"{rows:,}")
    seen(page.get_by_text("are missing, so the box is not filled"))
    open_section(page, "Subsets")
    fill(page, "Keep rows where", "SubhaloMassType_stars > 1e8 & SubhaloFlag & SubhaloMassType_dm > 0")
    seen(page.get_by_text(f"of {rows:,} rows are kept"))
    settled(page)

    open_page(page, "Graph")
    assert drawn(page, "graph")["nodes"] == 1947
    assert page.get_by_text("110.7 Mpc box, periodic").first.is_visible()  # 75000 ckpc/h with h = 0.6774

    open_page(page, "Train")
    expect(page.get_by_role("combobox", name="Target")).to_have_value("log10(SubhaloMassType_stars)")
    features = page.get_by_test_id("stMultiSelect").filter(has=page.get_by_text("Features", exact=True))
    others = features.get_by_role("button", name=re.compile(r"^Remove (?!log10\(SubhaloMassType_dm\))"))
    expect(features.get_by_role("button", name="Remove log10(SubhaloMassType_dm)")).to_have_count(1)
    for left in reversed(range(others.count())):
        others.last.click()
        expect(others).to_have_count(left)
    settled(page)
    set_epochs(page, 10)
    page.get_by_text("Folds", exact=True).first.click()
    page.get_by_test_id("stButtonGroup").get_by_text("Groups", exact=True).click()
    settled(page)
    run = start_training(page, runs)
    spec = json.loads((run / "spec.json").read_text())
    assert spec["target"] == "log10(SubhaloMassType_stars)"
    assert spec["features"] == ["log10(SubhaloMassType_dm)"]
    assert (spec["split"], spec["group"]) == ("group", "SubhaloGrNr")
    look_at_results(page, run)


def test_a_file_that_is_no_table_ends_in_a_sentence(page: Any, shared_data: Path) -> None:
    tree = shared_data / "sim" / "rockstar" / "tree_0_0_0.dat"
    open_page(page, "Catalog")
    read_path(page, tree)
    seen(page.get_by_test_id("stAlert").filter(has_text=tree.name))
    seen(page.get_by_text("Filament sample"))
