"""The server's last word on errors: one sentence for the person, the traceback for the log."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def project_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT))
    sys.modules.pop("app", None)


def failing_page(kind: str) -> None:
    from app import show_one_sentence
    from gnnlib.errors import InputError

    try:
        raise InputError("Column 'mass' is empty; choose another.") if kind == "input" else KeyError("secret/path")
    except Exception as error:
        assert show_one_sentence(error) is True


def test_bad_input_is_explained_in_its_own_words() -> None:
    test = AppTest.from_function(failing_page, args=("input",)).run()
    assert [error.value for error in test.error] == ["Column 'mass' is empty; choose another."]


def test_a_fault_of_ours_shows_a_sentence_and_logs_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="filament"):
        test = AppTest.from_function(failing_page, args=("fault",)).run()
    (error,) = test.error
    assert "secret" not in error.value and "Traceback" not in error.value and error.value.endswith(".")
    assert "KeyError" in caplog.text and "failing_page" in caplog.text
