"""An uploader, Streamlit's own, a second page, and Python's view as text, for tests/browser/test_upload.py."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import streamlit as st

from gnnlib.errors import InputError
from gnnlib.view.upload import upload


def folder() -> Path:
    if "folder" not in st.session_state:
        st.session_state.folder = tempfile.TemporaryDirectory(prefix="filament-test-")
    return Path(st.session_state.folder.name)


def read(files: tuple[Path, ...]) -> str:
    """What the catalog page does with a file: open it, or say in a sentence why not."""
    with files[0].open("rb") as file:
        head = file.read(100)
    if b"bad" in head:
        raise InputError(f"{files[0].name} is no table.")
    return ", ".join(path.name for path in files)


def taken(files: tuple[Path, ...]) -> None:
    state = st.session_state
    state.told = [*state.get("told", []), [path.name for path in files]]
    state.problem = None
    if not files:
        return
    try:
        state.shown = read(files)
        state.in_view = files[0].parent
    except InputError as error:
        state.problem = str(error)


def sending() -> None:
    st.caption(f"Process {os.getpid()}")
    in_view = st.session_state.get("in_view")
    files = upload(folder(), key="up", label="Catalog", in_use=[in_view] if in_view else [], on_change=taken)
    if problem := st.session_state.get("problem"):
        st.error(problem)
    folders = sorted(path.name for path in folder().iterdir() if not path.name.startswith("."))
    said = {name: st.session_state.get(name) for name in ("told", "shown", "problem")}
    st.code(json.dumps({"files": list(map(str, files)), "folder": str(folder()), "folders": folders, **said}))
    st.button("Again")


def peer() -> None:
    st.caption(f"Process {os.getpid()}")
    files = st.file_uploader("Peer", accept_multiple_files=True)
    st.code(json.dumps({"files": [file.name for file in files], "bytes": sum(file.size for file in files)}))


pages = [
    st.Page(sending, title="Sending", default=True),
    st.Page(lambda: st.write("Nothing here"), title="Elsewhere", url_path="elsewhere"),
    st.Page(peer, title="Peer", url_path="peer"),
]
st.navigation(pages).run()
