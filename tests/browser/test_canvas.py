"""The canvas in a real browser: what is clicked is what Python gets, what is drawn is what was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .apps.clustered import clustered_graph

pytestmark = pytest.mark.browser
APPS = Path(__file__).parent / "apps"
NODES, RADIUS = 300, 9.0
WAIT = 30_000


@pytest.fixture(scope="module")
def address(serve: Callable[..., str]) -> str:
    return serve(APPS / "canvas_app.py", NODES=str(NODES), RADIUS=str(RADIUS))


@pytest.fixture(scope="module")
def graph() -> Any:
    return clustered_graph(NODES, box=100.0, radius=RADIUS, seed=0)[0]


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """A fresh visitor who looks at the drawn graph; any error in the page's JavaScript fails the test."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.requests = []
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(address)
    page.wait_for_function("() => window.__filament?.graph?.report().frames > 0", timeout=WAIT)
    yield page
    context.close()
    assert not errors


def report(page: Any) -> dict[str, Any]:
    return page.evaluate("window.__filament.graph.report()")


def told(page: Any) -> dict[str, Any]:
    """What Python says it knows of the canvas."""
    return json.loads(page.locator("code").inner_text())


def wait_told(page: Any, name: str, value: Any) -> None:
    script = """([name, value]) => JSON.stringify(JSON.parse(document.querySelector('code').innerText)[name])
                                     === JSON.stringify(value)"""
    page.wait_for_function(script, arg=[name, value], timeout=WAIT)


def screen(page: Any, row_id: int) -> dict[str, Any]:
    return page.evaluate(f"window.__filament.graph.screen({row_id})")


def in_view(page: Any, count: int, skip: int = 0) -> list[int]:
    """Row ids that a click on their own place on the screen would hit, not hidden behind others."""
    found = []
    for row_id in range(1000 + skip, 1000 + NODES):
        place = screen(page, row_id)
        if place["picked"] == str(row_id):
            found.append(row_id)
        if len(found) == count:
            break
    return found


def click(page: Any, row_id: int) -> None:
    place = screen(page, row_id)
    page.mouse.click(place["x"], place["y"])


def slide(page: Any, name: str, value: float) -> None:
    page.locator(f".controls .{name} input").fill(str(value))


def neighbours(graph: Any, row_id: int) -> set[int]:
    return set((graph.edge_index[0][graph.edge_index[1] == row_id - 1000] + 1000).tolist())


def test_a_clicked_node_is_the_row_that_python_gets(page: Any, graph: Any) -> None:
    for row_id in in_view(page, 3):
        click(page, row_id)
        wait_told(page, "selected", [row_id])
        assert report(page)["selection"] == [str(row_id)]
        assert report(page)["neighbours"] == len(neighbours(graph, row_id))


def test_shift_click_adds_and_takes_away_and_escape_clears(page: Any) -> None:
    first, second = in_view(page, 2, skip=40)
    click(page, first)
    wait_told(page, "selected", [first])
    page.keyboard.down("Shift")
    click(page, second)
    page.keyboard.up("Shift")
    wait_told(page, "selected", [first, second])
    page.keyboard.down("Shift")
    click(page, first)
    page.keyboard.up("Shift")
    wait_told(page, "selected", [second])
    page.keyboard.press("Escape")
    wait_told(page, "selected", [])
    assert report(page)["selection"] == []


def test_python_can_move_the_selection_and_the_next_click_still_counts(page: Any) -> None:
    (other,) = in_view(page, 1, skip=100)
    page.get_by_role("button", name="Select 7 and 8").click()
    wait_told(page, "selected", [1007, 1008])
    page.wait_for_function("() => window.__filament.graph.report().selection.length === 2", timeout=WAIT)
    click(page, other)
    wait_told(page, "selected", [other])
    assert report(page)["selection"] == [str(other)]


def test_every_pair_is_drawn_once_at_the_largest_linking_length(page: Any, graph: Any) -> None:
    assert report(page)["drawn"] == report(page)["edges"] == graph.n_edges // 2


def test_the_linking_length_draws_exactly_the_edges_within_it_before_python_hears_of_it(page: Any, graph: Any) -> None:
    box = page.locator(".controls .radius input").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 8, y)
    page.mouse.down()
    seen = []
    for share in (0.8, 0.55, 0.3):
        page.mouse.move(box["x"] + share * box["width"], y)
        page.wait_for_timeout(50)
        now = report(page)
        assert now["drawn"] == np.sum(graph.lengths <= now["radius"]) // 2
        seen.append(now["radius"])
    assert RADIUS > seen[0] > seen[1] > seen[2]
    assert told(page)["radius"] == RADIUS
    page.mouse.up()
    wait_told(page, "radius", seen[2])
    assert report(page)["drawn"] == np.sum(graph.lengths <= seen[2]) // 2


def test_a_widget_change_keeps_camera_selection_and_radius_and_sends_no_geometry_again(page: Any, graph: Any) -> None:
    (row_id,) = in_view(page, 1)
    page.mouse.move(500, 400)
    page.mouse.down()
    page.mouse.move(620, 440, steps=4)
    page.mouse.up()
    page.mouse.wheel(0, -240)
    click(page, row_id) if screen(page, row_id)["picked"] == str(row_id) else None
    slide(page, "radius", 6)
    wait_told(page, "radius", 6)
    before = report(page)
    page.requests.clear()
    page.get_by_role("combobox").first.click()
    page.get_by_role("option", name="residual").click()
    page.wait_for_function(
        "old => window.__filament.graph.report().loaded.nodeColor !== old",
        arg=before["loaded"]["nodeColor"],
        timeout=WAIT,
    )
    after = report(page)
    for name in ("camera", "selection", "radius", "drawn"):
        assert after[name] == before[name], name
    for name in ("positions", "pairs", "lengths", "sizes"):
        assert after["loaded"][name] == before["loaded"][name]
    asked = [url for url in page.requests if "/filament/arrays/" in url]
    assert len(asked) == 1 and asked[0].endswith(after["loaded"]["nodeColor"])


def test_rotating_zooming_and_resetting_move_the_camera_as_the_hand_does(page: Any) -> None:
    start = report(page)["camera"]
    page.mouse.move(500, 400)
    page.mouse.down()
    page.mouse.move(600, 430, steps=3)
    page.mouse.up()
    turned = report(page)["camera"]
    assert turned["azimuth"] < start["azimuth"] and turned["elevation"] > start["elevation"]
    assert turned["distance"] == start["distance"]
    page.mouse.wheel(0, -300)
    page.wait_for_function("d => window.__filament.graph.report().camera.distance < d", arg=start["distance"])
    page.mouse.move(500, 400)
    page.mouse.down(button="right")
    page.mouse.move(540, 400)
    page.mouse.up(button="right")
    panned = report(page)["camera"]
    assert panned["target"] != turned["target"] and panned["azimuth"] == turned["azimuth"]
    page.get_by_role("button", name="Reset view").click()
    page.wait_for_function("d => window.__filament.graph.report().camera.distance === d", arg=start["distance"])
    assert report(page)["camera"]["target"] == pytest.approx(start["target"])
    assert report(page)["camera"]["azimuth"] == pytest.approx(start["azimuth"])


def test_the_keyboard_alone_turns_zooms_and_resets(page: Any) -> None:
    view = page.get_by_role("application")
    assert "300 nodes" in view.get_attribute("aria-label")
    view.focus()
    start = report(page)["camera"]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("+")
    moved = report(page)["camera"]
    assert moved["azimuth"] < start["azimuth"] and moved["elevation"] > start["elevation"]
    assert moved["distance"] < start["distance"]
    page.keyboard.press("Home")
    page.wait_for_function("d => window.__filament.graph.report().camera.distance === d", arg=start["distance"])


def test_a_double_click_flies_to_the_node(page: Any) -> None:
    (row_id,) = in_view(page, 1, skip=60)
    place = screen(page, row_id)
    page.mouse.dblclick(place["x"], place["y"])
    page.wait_for_timeout(300)
    box = page.locator("canvas.graph").bounding_box()
    now = screen(page, row_id)
    assert now["x"] == pytest.approx(box["x"] + box["width"] / 2, abs=2)
    assert now["y"] == pytest.approx(box["y"] + box["height"] / 2, abs=2)
    assert now["depth"] < place["depth"]


def test_the_attention_slider_hides_weaker_edges(page: Any, graph: Any) -> None:
    page.get_by_text("Attention", exact=True).click()
    page.wait_for_function("() => window.__filament.graph.report().attention === 0", timeout=WAIT)
    page.wait_for_function("() => window.__filament.graph.report().loaded.edgeColor", timeout=WAIT)
    slide(page, "attention", 0.3)
    wait_told(page, "attention", 0.3)
    strong = np.exp(-graph.lengths / 3).astype(np.float32) >= 0.3
    assert report(page)["drawn"] == strong.sum() // 2


def test_the_pointer_over_a_node_shows_its_row_and_value(page: Any) -> None:
    (row_id,) = in_view(page, 1, skip=20)
    place = screen(page, row_id)
    page.mouse.move(place["x"], place["y"])
    tip = page.locator(".tip")
    tip.wait_for(state="visible", timeout=WAIT)
    assert f"row {row_id}" in tip.inner_text() and "mass [unit]" in tip.inner_text()


def test_the_camera_survives_a_reload(page: Any) -> None:
    page.get_by_role("application").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    before = report(page)["camera"]
    page.reload()
    page.wait_for_function("() => window.__filament?.graph?.report().frames > 0", timeout=WAIT)
    assert report(page)["camera"] == before


def test_a_canvas_that_goes_away_and_returns_keeps_camera_and_selection_and_frees_its_context(page: Any) -> None:
    page.on("console", lambda message: page.requests.append(message.text))
    (row_id,) = in_view(page, 1)
    click(page, row_id)
    wait_told(page, "selected", [row_id])
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowLeft")
    camera = report(page)["camera"]
    for _ in range(9):  # a browser keeps 16 contexts, and each canvas probes with one more
        page.get_by_text("Show", exact=True).click()
        page.wait_for_function("() => !window.__filament.graph", timeout=WAIT)
        page.get_by_text("Show", exact=True).click()
        page.wait_for_function("() => window.__filament.graph?.report().frames > 0", timeout=WAIT)
    assert report(page)["camera"] == camera
    assert report(page)["selection"] == [str(row_id)] and told(page)["selected"] == [row_id]
    assert not [text for text in page.requests if "WebGL contexts" in text]


def test_nothing_is_drawn_while_nothing_moves(page: Any) -> None:
    page.wait_for_timeout(500)
    frames = report(page)["frames"]
    page.wait_for_timeout(800)
    assert report(page)["frames"] == frames


def test_a_touch_rotates_and_a_pinch_zooms_on_a_narrow_screen(chromium: Any, address: str) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, reduced_motion="reduce")
    page = context.new_page()
    page.goto(address)
    page.wait_for_function("() => window.__filament?.graph?.report().frames > 0", timeout=WAIT)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    start = report(page)["camera"]
    client = context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": x, "y": y, "id": place} for place, (x, y) in enumerate(points)]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    box = page.locator("canvas.graph").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch("touchStart", (x, y))
    for step in range(1, 5):
        touch("touchMove", (x + 15 * step, y))
    touch("touchEnd")
    turned = report(page)["camera"]
    assert turned["azimuth"] < start["azimuth"] and turned["distance"] == start["distance"]
    touch("touchStart", (x - 30, y), (x + 30, y))
    for step in range(1, 5):
        touch("touchMove", (x - 30 - 10 * step, y), (x + 30 + 10 * step, y))
    touch("touchEnd")
    assert report(page)["camera"]["distance"] < 0.7 * start["distance"]
    context.close()


def test_without_webgl_2_a_sentence_stands_in_its_place(chromium: Any, address: str) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext ="
        " function (kind, ...rest) { return kind === 'webgl2' ? null : get.call(this, kind, ...rest); }"
    )
    page.goto(address)
    page.get_by_text("This browser has no WebGL 2").wait_for(timeout=WAIT)
    context.close()
