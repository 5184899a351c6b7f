"""The Catalog page as an astronomer meets it: a survey without a header becomes a catalog that says what it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from .visitor import drawn, expect_figure, fill, only, open_page, open_section, pick, read_path, seen, settled, visiting

pytestmark = pytest.mark.browser
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A survey on the sky and a simulation, both made up."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(5)
    n = 400
    sky = pd.DataFrame({"name": [f"NGC{number}" for number in rng.permutation(n) + 100]})
    sky["ra"], sky["dec"] = rng.uniform(150, 170, n).round(5), rng.uniform(-5, 15, n).round(5)
    sky["z"] = rng.uniform(0.02, 0.06, n).round(6)
    sky["rmag"] = rng.uniform(12, 18, n).round(2)
    sky.loc[:11, "rmag"] = -99.99
    sky.to_csv(folder / "survey.txt", sep=" ", header=False, index=False)
    box = pd.DataFrame(rng.uniform(0, 50, (600, 3)).round(4), columns=["x", "y", "z"])
    box["mvir"] = (10 ** rng.uniform(10, 14, 600)).round(0)
    box.to_csv(folder / "box.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], data: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    runs = str(tmp_path_factory.mktemp("runs"))
    return serve(PROJECT / "app.py", FILAMENT_RUNS=runs, FILAMENT_DATA_DIRS=str(data))


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    with visiting(chromium, f"{address}/catalog") as page:
        seen(page.get_by_role("heading", name="Catalog", exact=True, level=1))
        settled(page)
        yield page


def press(page: Any, name: str) -> None:
    """Press the button of this name, once the page holds no older one of the same name."""
    only(page.get_by_role("button", name=name, exact=True)).click()
    settled(page)


def grid_box(page: Any) -> dict[str, float]:
    """Where the first grid is, once it has found its place."""
    before = None
    for _ in range(100):
        grids = page.get_by_test_id("stDataFrame").filter(visible=True)
        box = grids.first.bounding_box() if grids.count() else None
        if box is not None and box == before:
            return box
        before = box
        page.wait_for_timeout(300)
    raise AssertionError("the grid never came to rest")


def write_unit(page: Any, row: int, text: str) -> None:
    """Write into the second column of the table of columns; the grid is drawn on a canvas, so by keyboard."""
    seen(page.get_by_role("heading", name="Roles"))
    cell = page.locator("#portal .gdg-input")
    for _ in range(10):  # a grid that was just drawn may miss the first keys
        box = grid_box(page)
        page.mouse.click(box["x"] + 30, box["y"] + 35 + 18)
        page.wait_for_timeout(300)
        for key in ["ArrowRight", *["ArrowDown"] * row, "Enter"]:
            page.keyboard.press(key)
        page.wait_for_timeout(1000)
        if cell.count():
            break
    cell.fill(text)
    cell.press("Enter")
    settled(page)


def click_row(page: Any, row: int) -> None:
    """Tick the box before a row of the table, by its place on the screen: the grid is drawn on a canvas."""
    box = grid_box(page)
    page.mouse.click(box["x"] + 16, box["y"] + 35 * (row + 1) + 18)
    settled(page)


def test_a_survey_without_a_header_becomes_a_catalog(page: Any, data: Path) -> None:
    table = pd.read_csv(data / "survey.txt", sep=" ", header=None)
    read_path(page, data / "survey.txt")
    expect_figure(page, "Rows", "400")
    press(page, "Name them")
    fill(page, "Names of all columns, in order", "name, ra, dec, z, rmag")
    seen(page.get_by_text("Planck18"))
    expect_figure(page, "Sentinels", "12")

    press(page, "Treat as missing")
    expect_figure(page, "Sentinels", "0")
    expect_figure(page, "Missing values", "12")

    open_section(page, "New columns")
    fill(page, "New column", "cz")
    fill(page, "Expression", "z * 299792.458")
    seen(page.get_by_text(re.compile(r"from 6,?\d+ to|from 6\d+ to")))
    press(page, "Add")
    expect_figure(page, "Columns", re.compile(r"9|8"))

    open_section(page, "Subsets")
    fill(page, "New subset", "near")
    fill(page, "Condition", "cz < 9000")
    kept = int((table[3] * 299792.458 < 9000).sum())
    seen(page.get_by_text(f"{kept} of 400 rows"))
    press(page, "Add")
    page.get_by_text("in force").click()
    expect_figure(page, "Rows", str(kept))
    expect_figure(page, "Cut away", str(400 - kept))

    open_section(page, "Space")
    field = only(page.get_by_role("combobox", name="Cosmology", exact=True))
    field.click()
    field.fill("FlatLambdaCDM(H0=70, Om0=0.3)")
    field.press("Enter")
    seen(page.get_by_text("FlatLambdaCDM(H0=70, Om0=0.3)"))
    expect_figure(page, "Rows", str(kept))

    open_page(page, "Graph")
    report = drawn(page, "graph")
    assert (report["nodes"], report["context"]) == (kept, 400 - kept)
    page.get_by_text("Show cut rows").click()
    page.wait_for_function("() => window.__filament.graph.report().context === 0")

    page.reload()  # the address holds every choice
    seen(page.get_by_role("heading", name="Graph", exact=True, level=1))
    assert drawn(page, "graph")["nodes"] == kept


def test_a_unit_is_corrected_and_the_display_switch_keeps_the_graph(page: Any, data: Path) -> None:
    read_path(page, data / "box.csv")
    expect_figure(page, "Rows", "600")
    press(page, "Set the unit")
    write_unit(page, 0, "Mpc/h")  # of x; y and z have none, so they follow
    seen(page.get_by_text("Extent [Mpc/h]"))
    write_unit(page, 0, "nonsense")
    seen(page.get_by_test_id("stAlert").filter(has_text="nonsense"))
    write_unit(page, 0, "cMpc/h")
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    open_section(page, "Space")
    fill(page, "h", "0.5")
    seen(page.get_by_text("Extent [Mpc]"))

    open_page(page, "Graph")
    before = drawn(page, "graph")
    assert before["radius"] > 0
    page.get_by_role("button", name="Units").click()
    pick(page, "Lengths", "kpc")
    page.wait_for_function(f"() => window.__filament.graph.report().radius > {500 * before['radius']}")
    after = drawn(page, "graph")
    assert after["radius"] == pytest.approx(1000 * before["radius"], rel=1e-3)
    assert after["drawn"] == before["drawn"]


def test_a_row_selected_in_the_table_is_selected_on_the_graph_page_and_the_other_way_round(
    page: Any, data: Path
) -> None:
    table = pd.read_csv(data / "box.csv")
    read_path(page, data / "box.csv")
    expect_figure(page, "Rows", "600")
    pick(page, "Sort by", "mvir")
    page.get_by_text("Descending").click()
    settled(page)
    largest = int(table["mvir"].to_numpy().argmax())
    click_row(page, 0)
    seen(page.get_by_test_id("stSidebar").get_by_text(f"Row {largest}"))
    open_page(page, "Graph")
    drawn(page, "graph")
    page.wait_for_function(f"() => window.__filament.graph.report().selection[0] === '{largest}'")

    places = (page.evaluate(f"window.__filament.graph.screen({row})") for row in range(600) if row != largest)
    place = next(place for place in places if place and place["picked"] not in (None, str(largest)))
    page.mouse.click(place["x"], place["y"])
    page.wait_for_function(f"() => !['{largest}', undefined].includes(window.__filament.graph.report().selection[0])")
    (chosen,) = page.evaluate("window.__filament.graph.report().selection")
    seen(page.get_by_test_id("stSidebar").get_by_text(f"Row {chosen}"))
    open_page(page, "Catalog")
    seen(page.get_by_text("Selected: 1"))
    grid_box(page)
    shown = page.get_by_test_id("stDataFrame").first.locator("td").all_text_contents()
    assert shown[0] == chosen, shown
