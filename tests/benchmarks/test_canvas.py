"""The canvas against a Plotly Scatter3d figure of the same nodes and edges in the same browser: bytes on the wire, heap
of the page, time to the first picture and time a frame, asserted as ratios; what a click and a drag cost is printed.

The browser draws in software, so times say nothing about a graphics card.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser.conftest import chromium, serve  # noqa: F401

pytestmark = pytest.mark.benchmark
APP = Path(__file__).parent / "apps" / "canvas_app.py"
WAIT = 240_000
SIZES = [(10_000, 50_000), (100_000, 1_000_000)]
LEAST_PLOTLY = """() => {
    const scene = document.querySelector(".js-plotly-plot")?._fullLayout?.scene?._scene;
    return Boolean(scene?.glplot && Object.keys(scene.traces ?? {}).length === 2);
}"""
FRAMES = """seconds => new Promise((done) => {
    const times = [];
    const tick = (now) => {
        times.push(now);
        if (now - times[0] > 1000 * seconds) done((times.at(-1) - times[0]) / (times.length - 1));
        else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
})"""


class Wire:
    """Counts the bytes of WebSocket frames and of arrays that a page receives and sends."""

    def __init__(self, client: Any) -> None:
        self.received = self.sent = 0
        self.arrays: set[str] = set()
        client.send("Network.enable")
        client.on("Network.webSocketFrameReceived", lambda event: self._frame(event, "received"))
        client.on("Network.webSocketFrameSent", lambda event: self._frame(event, "sent"))
        client.on("Network.responseReceived", self._response)
        client.on("Network.loadingFinished", self._finished)

    def _frame(self, event: dict[str, Any], way: str) -> None:
        frame = event["response"]
        size = len(frame["payloadData"]) * (3 / 4 if frame["opcode"] == 2 else 1)
        setattr(self, way, getattr(self, way) + int(size))

    def _response(self, event: dict[str, Any]) -> None:
        if "/filament/" in event["response"]["url"]:
            self.arrays.add(event["requestId"])

    def _finished(self, event: dict[str, Any]) -> None:
        if event["requestId"] in self.arrays:
            self.received += int(event["encodedDataLength"])

    def start(self) -> None:
        self.received = self.sent = 0
        self.arrays.clear()


def heap(client: Any) -> tuple[float, float]:
    """JavaScript objects, and the memory behind typed arrays, in MB after a collection."""
    client.send("HeapProfiler.enable")
    client.send("HeapProfiler.collectGarbage")
    found = client.send("Runtime.getHeapUsage")
    return found["usedSize"] / 1e6, found.get("backingStorageSize", 0) / 1e6


def opened(browser: Any, address: str) -> tuple[Any, Any, Wire]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT)
    client = context.new_cdp_session(page)
    wire = Wire(client)
    page.goto(address)
    page.get_by_text("ready").wait_for(timeout=WAIT)
    page.wait_for_timeout(1500)
    return page, client, wire


def drawn(browser: Any, address: str, what: str, is_drawn: str) -> tuple[dict[str, float], Any, Wire]:
    """Bytes (MB), seconds to the first picture and heap (MB) of drawing with the canvas or with Plotly."""
    page, client, wire = opened(browser, address)
    before, buffers = heap(client)
    wire.start()
    start = time.perf_counter()
    page.get_by_text(what, exact=True).click()
    page.wait_for_function(is_drawn, timeout=WAIT)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    seconds = time.perf_counter() - start
    page.wait_for_timeout(1000)
    received = wire.received / 1e6
    after, more = heap(client)
    return {"MB": received, "seconds": seconds, "heap": after - before, "buffers": more - buffers}, page, wire


def frame_while_dragged(page: Any, selector: str) -> float:
    """Milliseconds between frames while a mouse turns the view."""
    box = page.locator(selector).first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    waiting = page.evaluate_handle(f"() => {{ window.frames_ = ({FRAMES})(4); }}")
    until = time.perf_counter() + 4.5
    step = 0
    while time.perf_counter() < until:
        step += 1
        page.mouse.move(x + 5 * (step % 40), y)
    took = page.evaluate("() => window.frames_")
    page.mouse.up()
    waiting.dispose()
    return float(took)


@pytest.mark.parametrize(("nodes", "edges"), SIZES)
def test_the_canvas_against_plotly(
    chromium: Any,  # noqa: F811
    serve: Callable[..., str],  # noqa: F811
    nodes: int,
    edges: int,
) -> None:
    address = serve(APP, NODES=str(nodes), EDGES=str(edges))
    ours, page, wire = drawn(chromium, address, "canvas", "() => window.__filament?.graph?.report().frames > 0")
    report = page.evaluate("window.__filament.graph.report()")
    assert report["nodes"] == nodes and report["within"] == edges
    page.evaluate("window.__filament.graph.budget(Infinity)")
    ours["frame"] = min(page.evaluate("window.__filament.graph.fullFrame()") for _ in range(3))
    page.evaluate("window.__filament.graph.budget(100000)")
    ours["drag"] = frame_while_dragged(page, "canvas.graph")
    page.wait_for_timeout(3000)
    clicks, costs = clicked(page, wire)
    moved = wire_of_a_drag_and_a_threshold(page, wire)
    page.context.close()

    theirs, page, _ = drawn(chromium, address, "plotly", LEAST_PLOTLY)
    theirs["drag"] = frame_while_dragged(page, ".js-plotly-plot .gl-container, .js-plotly-plot")
    page.context.close()

    def ratio(name: str, other: str | None = None) -> float:
        return theirs[other or name] / ours[name]

    print(f"\n{nodes:,} nodes, {edges:,} edges, drawn in software: {report['software']}")
    print(f"  bytes      canvas {ours['MB']:.2f} MB, Plotly {theirs['MB']:.1f} MB: {ratio('MB'):.1f} times")
    print(
        f"  heap       canvas {ours['heap']:.1f} MB (+ {ours['buffers']:.0f} of arrays), "
        f"Plotly {theirs['heap']:.0f} MB (+ {theirs['buffers']:.0f}): {ratio('heap'):.0f} times"
    )
    print(
        f"  first      canvas {ours['seconds']:.2f} s, Plotly {theirs['seconds']:.1f} s: {ratio('seconds'):.1f} times"
    )
    print(
        f"  a frame    canvas {ours['frame']:.0f} ms with every edge, {ours['drag']:.0f} ms while dragged, Plotly "
        f"{theirs['drag']:.0f} ms: {ratio('frame', 'drag'):.1f} and {ratio('drag'):.1f} times"
    )
    print(f"  click to card {', '.join(f'{seconds:.2f}' for seconds in clicks)} s, at most {max(costs):,} bytes")
    print(f"  a drag, a threshold: {moved[0]:,} and {moved[1]:,} bytes")
    assert max(costs) < 3000
    assert max(moved) < 5000 and not wire.arrays  # two runs of an empty fragment for the address; no geometry
    assert ratio("MB") > 4
    assert ratio("seconds") > (8 if edges >= 1_000_000 else 1)
    assert ratio("drag") > 10
    assert theirs["heap"] + theirs["buffers"] > 20 * (ours["heap"] + ours["buffers"])


def clicked(page: Any, wire: Wire) -> tuple[list[float], list[int]]:
    """Seconds from a click to the card of its node, and the bytes it cost, for a few nodes."""
    seconds, costs = [], []
    script = """async (from) => {
        const { graph } = window.__filament;
        for (let id = from; ; id++) {
            const place = await graph.screen(id);
            if (place?.picked === String(id)) return { id, x: place.x, y: place.y };
        }
    }"""
    for place in (0, 500, 1000, 1500):
        node = page.evaluate(script, place)
        wire.start()
        start = time.perf_counter()
        page.mouse.click(node["x"], node["y"])
        page.locator("code", has_text=f"node {node['id']}:").wait_for(timeout=WAIT)
        seconds.append(time.perf_counter() - start)
        page.wait_for_timeout(800)
        costs.append(wire.received + wire.sent)
    return seconds[1:], costs[1:]  # the first also loads what a card needs


def wire_of_a_drag_and_a_threshold(page: Any, wire: Wire) -> tuple[int, int]:
    wire.start()
    page.locator("canvas.graph").focus()
    page.keyboard.press("ArrowLeft")
    drag = answered(page, wire)
    wire.start()
    slider = page.locator(".controls .radius input")
    slider.fill(str(float(slider.input_value()) / 2))
    return drag, answered(page, wire)


def answered(page: Any, wire: Wire) -> int:
    """Bytes until the page has answered and then was still for two seconds."""
    total, still = 0, 0
    for _ in range(WAIT // 200):
        page.wait_for_timeout(200)
        now = wire.received + wire.sent
        still = still + 1 if now and now == total else 0
        total = now
        if still == 10:
            return total
    raise AssertionError("The page did not answer.")
