"""A session of the app without a browser, with folders of its own for runs and data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

SHELL = Path(__file__).resolve().parents[2] / "pages" / "_shell.py"


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder of the server that may be read by path."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("FILAMENT_DATA_DIRS", str(folder))
    return folder


@pytest.fixture
def session(tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Opens a page of the app as a new visitor would: session("catalog", run="demo")."""
    monkeypatch.setenv("FILAMENT_RUNS", str(tmp_path / "runs"))

    def open_page(page: str = "", **address: str) -> AppTest:
        app = AppTest.from_file(str(SHELL), default_timeout=120)
        for name, value in address.items():
            app.query_params[name] = value
        app.run()
        return app.switch_page(f"{page}.py").run() if page else app

    return open_page


@pytest.fixture(autouse=True)
def _nothing_cached() -> None:
    st.cache_data.clear()
