"""What a visitor of the whole app does and sees, for the tests of its pages in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import expect

WAIT = 60_000
STILL = """() => {
    const state = document.querySelector("[data-test-script-state]")?.dataset.testScriptState;
    const busy = document.querySelector("[data-testid=stStatusWidget]") || state !== "notRunning";
    if (busy) window.busyAt = performance.now();
    return performance.now() - window.busyAt > 400;
}"""
TROUBLE = re.compile(r"Traceback|Something went wrong|Uncaught")
expect.set_options(timeout=WAIT)


@contextmanager
def visiting(chromium: Any, address: str) -> Iterator[Any]:
    """A new visitor on a laptop's screen; an error in the page's JavaScript fails the test."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(WAIT)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    yield page
    assert not TROUBLE.search(page.inner_text("body"))
    context.close()
    assert not errors, errors


def seen(found: Any) -> None:
    """Until it is there: while a page runs again, an old and a new one can stand side by side."""
    found.filter(visible=True).first.wait_for()


def only(found: Any) -> Any:
    """The one element there is, once no older one of its kind is left."""
    expect(found).to_have_count(1)
    return found


def settled(page: Any) -> None:
    """Until the server has had nothing more to say about the page for a moment."""
    page.evaluate("() => { window.busyAt = performance.now(); }")
    page.wait_for_function(STILL, timeout=WAIT, polling=50)
    assert not TROUBLE.search(page.inner_text("body"))


def open_page(page: Any, title: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title).click()
    seen(page.get_by_role("heading", name=title, exact=True, level=1))
    settled(page)


def open_section(page: Any, name: str) -> None:
    """A section of the Catalog page."""
    only(page.get_by_test_id("stButtonGroup").get_by_role("radio", name=re.compile(rf"\b{name}$"))).click()
    settled(page)


def read_path(page: Any, path: object) -> None:
    """Open a file of the server on the Catalog page."""
    only(page.get_by_test_id("stButtonGroup").get_by_text("Path on the server")).click()
    fill(page, "File, or folder of chunks or catalogs, on the server", str(path))


def fill(page: Any, label: str, text: str) -> None:
    """Write into a field and press Enter."""
    field = only(page.get_by_role("textbox", name=label, exact=True))
    field.fill(text)
    field.press("Enter")
    settled(page)


def pick(page: Any, label: str, option: str) -> None:
    """Choose in a select box."""
    field = only(page.get_by_role("combobox", name=label, exact=True))
    field.click()
    field.fill(option)
    page.get_by_role("option", name=option, exact=True).click()
    settled(page)


def expect_figure(page: Any, label: str, value: str | re.Pattern[str]) -> None:
    """The metric with this label comes to show this value."""
    metric = page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True)).first
    expect(metric.get_by_test_id("stMetricValue")).to_have_text(value)


def drawn(page: Any, key: str) -> dict[str, Any]:
    """The canvas's own report once it has drawn a frame."""
    page.wait_for_function(f"() => window.__filament?.[{json.dumps(key)}]?.report().frames > 0", timeout=WAIT)
    return page.evaluate(f"window.__filament[{json.dumps(key)}].report()")
