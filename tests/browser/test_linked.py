"""One selection and one point of view on every page: what is brushed in a figure or clicked in 3D is so everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from gnnlib.catalog import read_catalog

from .visitor import WAIT, drawn, open_page, settled, visiting

pytestmark = pytest.mark.browser
PROJECT = Path(__file__).resolve().parents[2]
CANVASES = {"Graph": "graph", "Predictions": "residual_canvas", "Attention": "attention_canvas_True"}


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve(PROJECT / "app.py", FILAMENT_RUNS=str(tmp_path_factory.mktemp("runs")))


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    with visiting(chromium, address) as page:
        page.get_by_role("heading", name="Graph", exact=True, level=1).wait_for()
        drawn(page, "graph")
        settled(page)
        yield page


def selected(page: Any, key: str) -> set[str]:
    return set(page.evaluate(f"window.__filament[{json.dumps(key)}].report().selection"))


def wait_selected(page: Any, key: str, ids: set[str]) -> None:
    script = """([key, ids]) => {
        const found = new Set(window.__filament?.[key]?.report().selection);
        return found.size === ids.length && ids.every((id) => found.has(id));
    }"""
    page.wait_for_function(script, arg=[key, sorted(ids)], timeout=WAIT)


def brush(page: Any, title: str, low: float, high: float, bottom: float = 0.02, top: float = 0.98) -> dict[str, Any]:
    """Drag a box across the figure under this heading, from and to shares of its width and height; its outline."""
    figure = page.locator(".js-plotly-plot").filter(has_text=title).first
    area = figure.locator(".nsewdrag").first
    area.scroll_into_view_if_needed()
    settled(page)
    box = area.bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in ((low, bottom), (high, top))]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move((at[0][0] + at[1][0]) / 2, (at[0][1] + at[1][1]) / 2)
    page.mouse.move(*at[1])
    page.mouse.up()
    return figure.evaluate(
        """(figure, [w, h, low, high, bottom, top]) => {
            const { xaxis, yaxis } = figure._fullLayout;
            return { x: [low, high].map((x) => xaxis.p2d(x * w)), y: [bottom, top].map((y) => yaxis.p2d(y * h)) };
        }""",
        [box["width"], box["height"], low, high, bottom, top],
    )


def agrees(found: set[str], ids: np.ndarray, x: np.ndarray, y: np.ndarray | None, outline: dict[str, Any]) -> None:
    """The rows found are those in the outline, give or take a pixel at its border."""

    def within(slack: float) -> set[str]:
        inside = np.ones(len(ids), dtype=bool)
        for values, ends in ((x, outline["x"]), (y, outline["y"])):
            if values is not None:
                low, high = min(ends), max(ends)
                margin = slack * (high - low)
                inside &= (values >= low - margin) & (values <= high + margin)
        return set(map(str, ids[inside]))

    assert within(-0.05) <= found <= within(0.05)
    assert found


def test_a_stretch_of_a_histogram_is_selected_in_3d_and_on_every_page_until_it_is_cleared(page: Any) -> None:
    field = page.get_by_role("combobox", name="Histogram of", exact=True)
    field.click()
    field.fill("v_max")
    page.get_by_role("option", name="v_max").click()
    settled(page)
    rows = read_catalog("sample")
    outline = brush(page, "objects", 0.35, 0.6)
    page.wait_for_function("() => window.__filament.graph.report().selection.length > 0", timeout=WAIT)
    settled(page)
    found = selected(page, "graph")
    values = rows.table["v_max"].to_numpy()
    log = outline["x"][1] < 0.1 * values.max()
    agrees(found, rows.row_ids, np.log10(values) if log else values, None, outline)
    page.get_by_text(f"and {len(found) - 1} more").wait_for()
    for title in ("Predictions", "Attention"):
        open_page(page, title)
        drawn(page, CANVASES[title])
        wait_selected(page, CANVASES[title], found)
    page.locator("canvas.graph").focus()
    page.keyboard.press("Escape")
    open_page(page, "Graph")
    drawn(page, "graph")
    wait_selected(page, "graph", set())


def test_a_box_in_the_parity_plot_selects_its_objects_also_those_it_does_not_draw(page: Any) -> None:
    open_page(page, "Predictions")
    drawn(page, "residual_canvas")
    settled(page)
    outline = brush(page, "predicted", 0.55, 0.75, 0.2, 0.5)
    page.wait_for_function("() => window.__filament.residual_canvas.report().selection.length > 0", timeout=WAIT)
    settled(page)
    table = pd.read_parquet(PROJECT / "assets" / "demo_run" / "predictions.parquet")
    ids = table["row_id"].to_numpy()
    agrees(selected(page, "residual_canvas"), ids, table["truth"].to_numpy(), table["prediction"].to_numpy(), outline)


def test_a_box_in_the_slice_selects_what_lies_in_the_slab(page: Any) -> None:
    outline = brush(page, "y [Mpc]", 0.45, 0.55, 0.45, 0.55)
    page.wait_for_function("() => window.__filament.graph.report().selection.length > 0", timeout=WAIT)
    settled(page)
    rows = read_catalog("sample")
    points = rows.positions()
    low, high = points[:, 2].min(), points[:, 2].max()
    slab = np.abs(points[:, 2] - (low + high) / 2) <= 0.05 * (high - low)
    agrees(selected(page, "graph"), rows.row_ids[slab], points[slab, 0], points[slab, 1], outline)


def in_view(page: Any, first: int = 0) -> dict[str, Any]:
    """A node from a row id on that a click on its place on the screen would hit."""
    script = """async (first) => {
        const { graph } = window.__filament;
        for (let id = first; ; id++) {
            const place = await graph.screen(id);
            if (place?.picked === String(id)) return { id, x: place.x, y: place.y };
        }
    }"""
    return page.evaluate(script, first)


def click_a_node_with_neighbours(page: Any) -> set[str]:
    first = 0
    while True:
        node = in_view(page, first)
        page.mouse.click(node["x"], node["y"])
        wait_selected(page, "graph", {str(node["id"])})
        if page.evaluate("window.__filament.graph.report().neighbours"):
            return {str(node["id"])}
        first = node["id"] + 1


def test_a_click_in_3d_opens_the_object_on_every_page_and_its_neighbours_lead_on(page: Any) -> None:
    (row_id,) = click_a_node_with_neighbours(page)
    page.get_by_text(f"Row {row_id}, ").first.wait_for()
    page.get_by_text("neighbours where they are around it").wait_for()
    open_page(page, "Predictions")
    page.get_by_role("heading", name=f"Row {row_id}", exact=True).wait_for()
    open_page(page, "Attention")
    page.get_by_role("heading", name=f"Edges of row {row_id}", exact=True).wait_for()
    open_page(page, "Catalog")
    page.get_by_text("Selected: 1").wait_for()
    expect(page.get_by_test_id("stSidebar").get_by_text(f"Row {row_id}")).to_be_visible()
    page.get_by_test_id("stButtonGroup").get_by_text("3D", exact=True).click()
    assert drawn(page, "catalog_canvas")["nodes"] == len(read_catalog("sample").table)
    wait_selected(page, "catalog_canvas", {row_id})
    open_page(page, "Graph")
    drawn(page, "graph")
    wait_selected(page, "graph", {row_id})
    around = page.locator(".js-plotly-plot").filter(has_text="Δ").first
    around.scroll_into_view_if_needed()
    settled(page)
    near = around.evaluate(
        """(figure) => {
            const trace = figure._fullData.find((trace) => trace.customdata);
            const { xaxis, yaxis } = figure._fullLayout;
            const box = figure.querySelector(".nsewdrag").getBoundingClientRect();
            const away = (at) => Math.hypot(trace.x[at], trace.y[at]);
            const [far] = [...trace.customdata.keys()].sort((a, b) => away(b) - away(a));
            const [x, y] = [box.left + xaxis.d2p(trace.x[far]), box.top + yaxis.d2p(trace.y[far])];
            return { id: String(trace.customdata[far]), x, y };
        }"""
    )
    page.mouse.move(near["x"], near["y"])
    page.mouse.click(near["x"], near["y"])
    wait_selected(page, "graph", {near["id"]})
    page.get_by_text(f"Row {near['id']}, ").first.wait_for()


def test_the_columns_chosen_are_told_of_an_object_under_the_pointer(page: Any) -> None:
    page.get_by_role("button", name="Appearance").click()
    field = page.get_by_role("combobox", name="Under the pointer", exact=True)
    field.click()
    field.fill("v_max")
    page.get_by_role("option", name="v_max", exact=True).click()
    page.keyboard.press("Escape")
    settled(page)
    script = "() => window.__filament.graph.data().scene.details.some((detail) => detail.label.startsWith('v_max'))"
    page.wait_for_function(script, timeout=WAIT)
    where = in_view(page)
    page.mouse.move(where["x"], where["y"])
    tip = page.locator(".tip")
    tip.get_by_text(f"row {where['id']}").wait_for()
    value = read_catalog("sample").table["v_max"].to_numpy()[where["id"]]
    expect(tip).to_contain_text(f"{value:.5g}")


def test_the_point_of_view_is_the_same_on_every_page_and_in_a_link_for_somebody_else(page: Any, chromium: Any) -> None:
    page.get_by_role("button", name="Orthographic view").click()
    page.get_by_role("button", name="Look along x").click()
    page.locator("canvas.graph").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("+")
    page.wait_for_function(
        "() => new URLSearchParams(location.search).get('view') === window.__filament.graph.report().view", timeout=WAIT
    )
    view = drawn(page, "graph")["view"]
    assert view.startswith("o_5.16_0_")
    for title in ("Predictions", "Attention", "Graph"):
        open_page(page, title)
        seen = drawn(page, CANVASES[title])
        assert seen["view"] == view, title
    with visiting(chromium, page.url) as other:
        assert drawn(other, "graph")["view"] == view


def test_what_is_on_the_screen_is_downloaded_from_every_page(page: Any, tmp_path: Path) -> None:
    import pyvista as pv

    for title in CANVASES:
        open_page(page, title)
        edges = drawn(page, CANVASES[title])["within"]
        settled(page)
        page.get_by_role("button", name="Export the view").click()
        kind = page.get_by_role("combobox", name="As", exact=True)
        kind.click()
        kind.fill("VTK")
        page.get_by_role("option", name="VTK", exact=True).click()
        page.get_by_text("For ParaView and PyVista").wait_for()
        settled(page)
        with page.expect_download() as download:
            page.get_by_role("button", name="Make and download").click()
        download.value.save_as(tmp_path / f"{title}.vtp")
        mesh = pv.read(tmp_path / f"{title}.vtp")
        assert mesh.n_verts == read_catalog("sample").table.shape[0]
        lines = mesh.lines.reshape(-1, 3)[:, 1:]
        stubs = (mesh.point_data["row_id"][lines] == -1).any(axis=1).sum()  # two for an edge through a face
        assert len(lines) - stubs // 2 == edges
        page.keyboard.press("Escape")
