"""The canvas's Python side: whose word counts when page and browser both change a value, and exact row ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from gnnlib.view.canvas.component import _imposed, _settle
from gnnlib.view.payload import is_sequence, text_of


class Session:
    """One value shared by a page and a browser, run by run."""

    def __init__(self) -> None:
        self.memory: dict[str, Any] = {}
        self.report: dict[str, Any] | None = None

    def run(self, given: Any) -> Any:
        return _settle(self.memory, "selection", given, self.report)

    def click(self, value: Any, revision: int | None = None) -> None:
        now = self.memory.get("selection", {}).get("revision", 0)
        self.report = {"value": value, "revision": now if revision is None else revision}


def test_a_click_counts_while_the_page_passes_what_it_always_passed() -> None:
    session = Session()
    assert session.run(()) == ()
    session.click(("a",))
    assert session.run(()) == ("a",)
    assert session.run(()) == ("a",)


def test_a_page_that_hands_back_what_it_got_one_run_late_takes_no_click_away() -> None:
    session = Session()
    session.run(())
    session.click(("a",))
    assert session.run(()) == ("a",)
    session.click(("b",))
    assert session.run(("a",)) == ("b",)
    assert session.run(("b",)) == ("b",)


def test_a_page_can_clear_or_move_the_selection() -> None:
    session = Session()
    session.run(())
    session.click(("a",))
    session.run(())
    session.run(("a",))
    assert session.run(()) == ()
    assert session.run(("c",)) == ("c",)
    assert session.memory["selection"]["revision"] == 2


def test_a_report_from_before_the_page_moved_the_selection_no_longer_counts() -> None:
    session = Session()
    session.run(())
    session.click(("a",))
    session.run(())
    session.run(("c",))
    session.click(("b",), revision=0)
    assert session.run(("c",)) == ("c",)
    session.click(("b",))
    assert session.run(("c",)) == ("b",)


def test_the_last_value_survives_a_page_switch_that_drops_the_element() -> None:
    session = Session()
    session.run(())
    session.click(("a",))
    session.run(())
    session.report = None
    assert session.run(("a",)) == ("a",)


def test_row_ids_beyond_the_reach_of_javascript_numbers_stay_exact() -> None:
    ids = np.array([2**60 + 1, 2**60 + 3, -5])
    assert text_of(ids).tobytes().decode().split("\n") == [str(value) for value in ids]
    assert not is_sequence(ids)
    assert is_sequence(np.arange(7, 20)) and not is_sequence(np.array(["1", "2"]))


def test_text_ids_keep_one_line_each() -> None:
    assert text_of(np.array(["NGC 1", "a\nb"], dtype=object)).tobytes().decode().split("\n") == ["NGC 1", "a b"]


def test_the_page_of_the_browser_tests_runs_and_sends_no_numbers_as_json(monkeypatch: Any) -> None:
    apps = Path(__file__).parents[1] / "browser" / "apps"
    monkeypatch.syspath_prepend(str(apps))
    test = AppTest.from_file(str(apps / "canvas_page.py"), default_timeout=30).run()
    assert not test.exception
    sent = test.get("bidi_component")[0].proto
    assert '"nodes": 300' in sent.json and len(sent.json) < 4_000
    assert len(sent.js_content) < 1_000


def test_what_the_browser_is_sent_stays_the_same_after_a_click_and_changes_when_the_page_decides() -> None:
    session = Session()
    session.run(())
    before = _imposed(session.memory, "selection")
    session.click(("a",))
    assert session.run(("a",)) == ("a",)
    assert _imposed(session.memory, "selection") == before == {"value": (), "revision": 0}
    session.run(("c",))
    assert _imposed(session.memory, "selection") == {"value": ("c",), "revision": 1}
