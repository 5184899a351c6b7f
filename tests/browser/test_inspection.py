"""A visitor looks into the bundled run: an object's card, whether to believe attention, another universe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from gnnlib.training.run import load_run

from .visitor import drawn, expect_figure, open_page, seen, settled, visiting

pytestmark = pytest.mark.browser
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve(PROJECT / "app.py", FILAMENT_RUNS=str(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def connected() -> int:
    """A row id with several attended neighbours."""
    counts = load_run("demo").attention["receiver"].value_counts()
    return int(counts[counts.between(6, 12)].index.min())


@pytest.fixture
def page(chromium: Any, address: str, connected: int) -> Iterator[Any]:
    with visiting(chromium, f"{address}/predictions?selected={connected}") as page:
        seen(page.get_by_role("heading", name="Predictions", exact=True, level=1))
        settled(page)
        yield page


def test_the_card_of_an_object_and_its_link(page: Any, connected: int) -> None:
    stored = load_run("demo").predictions.set_index("row_id").loc[connected]
    seen(page.get_by_role("heading", name=f"Row {connected}", exact=True))
    expect_figure(page, "Prediction", f"{stored['prediction']:.3f}")
    seen(page.get_by_text("edges into the object"))
    assert drawn(page, "ego_canvas")["nodes"] > 6
    page.get_by_text("Link", exact=True).click()
    link = page.get_by_test_id("stCode").inner_text().strip()
    assert link.endswith(f"run=demo&selected={connected}")
    page.goto(link)
    seen(page.get_by_role("heading", name=f"Row {connected}", exact=True))


def test_attention_is_judged_in_words(page: Any) -> None:
    open_page(page, "Trust")
    page.get_by_role("button", name="Ask the model").click()
    page.get_by_text("predicts the deletion effect with").wait_for(timeout=180_000)
    seen(page.get_by_text("Rank correlation with the deletion effect"))
    settled(page)


def test_a_neighbour_is_deleted_and_comes_back(page: Any) -> None:
    open_page(page, "What if")
    expect_figure(page, "Change", "+0.0000 dex")
    page.get_by_role("button", name="Apply").click()
    seen(page.get_by_text("Answered in"))
    change = page.get_by_test_id("stMetric").filter(has=page.get_by_text("Change", exact=True)).first
    expect(change.get_by_test_id("stMetricValue")).not_to_have_text("+0.0000 dex")
    page.get_by_role("button", name="Undo").click()
    expect_figure(page, "Change", "+0.0000 dex")
