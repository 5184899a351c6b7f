"""The uploader's Python side: which list counts, and when the page hears of it."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from gnnlib.view.upload.intake import Intake, intake_of

PAGE = Path(__file__).parents[1] / "browser" / "apps" / "upload_page.py"


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_file(str(PAGE), default_timeout=30).run()


def data(page: AppTest) -> dict[str, Any]:
    """What the element in the browser is given."""
    return json.loads(page.get("bidi_component")[0].proto.json)


def view(page: AppTest) -> dict[str, Any]:
    return json.loads(page.code[0].value)


def arrive(page: AppTest, file_id: str, name: str, content: bytes) -> None:
    """What the route does once a file has come."""
    intake = intake_of(data(page)["token"])
    assert intake is not None
    arrival = intake.begin(file_id * 32, name, len(content))
    turn = intake.claim(arrival, 0)
    assert turn is not None
    intake.write(arrival, turn, content)


def tell(page: AppTest, turn: int, *ids: str) -> AppTest:
    """What the element does once a drop has come."""
    page.session_state["up"] = {"files": {"turn": turn, "ids": [file_id * 32 for file_id in ids]}}
    page.run()
    assert not page.exception
    return page


def test_the_element_is_given_its_limits_a_token_and_little_code(page: AppTest) -> None:
    assert not page.exception
    given = data(page)
    assert given["label"] == "Catalog" and given["largest"] == 2 * 10**9 and given["files"] == []
    assert isinstance(intake_of(given["token"]), Intake)
    assert len(page.get("bidi_component")[0].proto.js_content) < 1_000


def test_files_count_once_the_element_says_that_they_are_all_there(page: AppTest) -> None:
    arrive(page, "a", "groups.0.csv", b"1")
    page.run()
    assert view(page)["files"] == [] and view(page)["told"] is None
    arrive(page, "b", "groups.1.csv", b"2")
    tell(page, 1, "a", "b")
    files = [Path(path) for path in view(page)["files"]]
    assert [file.read_bytes() for file in files] == [b"1", b"2"] and len({file.parent for file in files}) == 1
    assert data(page)["files"] == [
        {"id": "a" * 32, "name": "groups.0.csv", "size": 1},
        {"id": "b" * 32, "name": "groups.1.csv", "size": 1},
    ]


def test_ids_of_files_that_are_not_there_add_nothing(page: AppTest) -> None:
    arrive(page, "a", "a.csv", b"1")
    tell(page, 1, "a", "c")
    assert [Path(path).name for path in view(page)["files"]] == ["a.csv"]


def test_every_list_is_told_once_even_where_the_bytes_are_the_same(page: AppTest) -> None:
    arrive(page, "a", "a.csv", b"bad")
    tell(page, 1, "a").run()
    assert view(page)["told"] == [["a.csv"]] and view(page)["problem"] == "a.csv is no table."
    intake = intake_of(data(page)["token"])
    assert intake is not None
    intake.drop("a" * 32)
    assert view(tell(page, 2))["problem"] is None
    arrive(page, "b", "a.csv", b"bad")
    tell(page, 3, "b").run()
    assert view(page)["told"] == [["a.csv"], [], ["a.csv"]]
    assert view(page)["problem"] == "a.csv is no table."


def test_files_of_former_lists_go_unless_in_use(page: AppTest) -> None:
    arrive(page, "a", "a.csv", b"1")
    tell(page, 1, "a")
    (first,) = view(page)["files"]
    arrive(page, "b", "b.csv", b"bad")
    tell(page, 2, "b").run()
    assert Path(first).exists()  # the page could not read the second, and still shows the first
    (second,) = view(page)["files"]
    arrive(page, "c", "c.csv", b"3")
    tell(page, 3, "c").run()
    assert not Path(first).exists() and not Path(second).exists()
    assert len(view(page)["folders"]) == 1


def test_the_list_survives_a_page_switch_and_ends_with_the_session(page: AppTest) -> None:
    arrive(page, "a", "a.csv", b"1")
    tell(page, 1, "a")
    token, folder = data(page)["token"], Path(view(page)["folder"])
    del page.session_state["up"]
    page.run()
    assert [Path(path).name for path in view(page)["files"]] == ["a.csv"] and data(page)["token"] == token
    del page.session_state["up:upload"], page.session_state["folder"]
    gc.collect()
    assert intake_of(token) is None and not folder.exists()


def test_a_disk_that_cannot_keep_the_files_is_named(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    arrive(page, "a", "a.csv", b"1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Intake, "gather", full)
    tell(page, 1, "a").run()
    assert [error.value for error in page.error] == [
        "The server could not keep the upload (No space left on device); remove it and try again."
    ]
