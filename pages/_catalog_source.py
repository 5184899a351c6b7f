"""Where the catalog of the Catalog page comes from: the sample, an upload, a path on the server or a survey's service.

A file is asked for (`ask`) and read in the page's own run, with a bar for long ones; large ones are shown first.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from gnnlib.catalog.peek import Peek, peek
from gnnlib.catalog.raw import Report
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError
from gnnlib.view.upload import upload
from pages import _files, _session
from pages._layout import key_for, number_columns, put, why_not
from pages._remote import remote
from pages._sidebar import plain

SOURCES = {"sample": "Sample", "upload": "Upload", "path": "Path on the server", "remote": "Remote"}
LARGE = 200_000_000  # bytes; such files are looked into before they are read
SLOW = 0.4  # seconds of reading after which a bar says how far it is


def choose_source() -> str:
    """The control in the page's head."""
    put("source", st.session_state.get("source") or current())
    chosen = st.segmented_control(
        "Source",
        list(SOURCES),
        format_func=SOURCES.__getitem__,
        required=True,
        key="source",
        persist_state="session",
        on_change=_back_to_sample,
    )
    return str(chosen)


def current() -> str:
    path = _session.catalog_spec().path
    if path == "sample":
        return "sample"
    if not Path(path).is_relative_to(_session.temporary_folder()):
        return "path"
    return "remote" if "fetched-" in path else "upload"


def source(chosen: str) -> None:
    """The widgets of the chosen source, and whatever is being read."""
    if chosen == "upload":
        in_use = [Path(spec.path) for spec in (_session.catalog_spec(), st.session_state.get("asked")) if spec]
        upload(
            _session.temporary_folder(),
            key="uploaded",
            label="FITS, VOTable, ECSV, text, Parquet, HDF5, NumPy; several files for SUBFIND chunks or boxes",
            in_use=in_use,
            on_change=_take_upload,
        )
    elif chosen == "path":
        _server_path()
    elif chosen == "remote":
        remote(_take_fetched)
    why_not("source")
    if asked := st.session_state.get("asked"):
        if _bytes(Path(asked.path)) > LARGE and not _session.is_loaded(asked) and not st.session_state.get("agreed"):
            _look_first(asked)
        else:
            _read(asked)


def ask(spec: CatalogSpec) -> None:
    """Have a catalog read and shown in the run that follows."""
    st.session_state.asked, st.session_state.agreed = spec, False
    st.session_state.setdefault("refused", {}).pop("source", None)


def _back_to_sample() -> None:
    st.session_state.setdefault("refused", {}).pop("source", None)
    st.session_state.asked = None
    if st.session_state.source == "sample" and _session.catalog_spec().path != "sample":
        ask(_session.SAMPLE)


def _take_upload(paths: Sequence[Path]) -> None:
    if paths:
        ask(CatalogSpec(path=str(paths[0] if len(paths) == 1 else paths[0].parent)))


def _take_fetched(path: Path) -> None:
    ask(CatalogSpec(path=str(path)))
    st.rerun()


def _server_path() -> None:
    folders = _files.allowed_folders()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "File, or folder of chunks or catalogs, on the server",
            key="path",
            persist_state="session",
            placeholder=str(folders[0] / "catalog.fits") if folders else "reading by path is off; use Upload",
            help="Readable: " + ", ".join(f"`{folder}`" for folder in folders) if folders else None,
            on_change=_take_path,
        )
        if folders:
            with st.popover("Browse", icon=":material/folder_open:", width="content"):
                _browse()


def _take_path() -> None:
    said = st.session_state.path
    try:
        ask(CatalogSpec(path=str(_files.server_path(said))))
    except InputError as error:
        _session.refuse("source", said, str(error))


@st.fragment(key="browse")
def _browse() -> None:
    """The folders that may be read, and the catalogs in them."""
    state = st.session_state
    try:
        listing = _files.browse(state.get("browsed", ""))
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        state.browsed = ""
        return
    with st.container(horizontal=True, vertical_alignment="center", width=560):
        st.caption(plain(listing.folder or "Folders that may be read"), width="stretch")
        if listing.parent is not None:
            st.button("Up", key="browse_up", icon=":material/arrow_upward:", on_click=_enter, args=(listing.parent,))
        if listing.folder is not None:
            st.button(
                "Open this folder",
                key="browse_open",
                on_click=_open,
                args=(str(listing.folder),),
                help="As one catalog: the chunks of a simulation, or the parts of a Parquet table",
            )
    if not listing.entries:
        st.caption("There is no catalog and no folder in it.")
        return
    state.listed = [(str(entry.path), entry.is_folder) for entry in listing.entries]
    table = pd.DataFrame(
        {
            "name": [entry.name + ("/" if entry.is_folder else "") for entry in listing.entries],
            "size": ["" if entry.is_folder else size_of(entry.size) for entry in listing.entries],
            "changed": [entry.changed for entry in listing.entries],
        }
    )
    st.dataframe(
        table,
        key=key_for("browsed", str(listing.folder)),
        hide_index=True,
        height=35 * min(len(table) + 1, 9) + 3,
        width=560,
        on_select=_click,
        selection_mode="single-row",
        column_config={
            "name": "Name",
            "size": st.column_config.TextColumn("Size", alignment="right"),
            "changed": st.column_config.DatetimeColumn("Changed", format="YYYY-MM-DD HH:mm"),
        },
    )
    if listing.left_out:
        st.caption(f"{listing.left_out:,} more are not listed; write the path instead.")
    if state.pop("browse_done", False):
        st.rerun()


def _click() -> None:
    """A folder is entered, a file is read."""
    state = st.session_state
    key = key_for("browsed", str(_files.browse(state.get("browsed", "")).folder))
    rows = state[key]["selection"]["rows"]
    if rows:
        path, is_folder = state.listed[rows[0]]
        _enter(path) if is_folder else _open(path)


def _enter(path: str) -> None:
    st.session_state.browsed = path


def _open(path: str) -> None:
    st.session_state.path = path
    st.session_state.browse_done = True
    _take_path()


def size_of(count: int) -> str:
    """Bytes as people say them."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"


def _bytes(path: Path) -> int:
    if path.is_dir():
        return sum(child.stat().st_size for child in path.iterdir() if child.is_file())
    return path.stat().st_size if path.is_file() else 0


def _read(spec: CatalogSpec) -> None:
    """Read what was asked for and take it into view; any click in the meantime stops the reading."""
    with st.spinner(f"Reading {plain(Path(spec.path).name)}", show_time=True):
        try:
            _session.raw(spec, _bar())
            _session.show_catalog(spec)
        except InputError as error:
            _session.refuse("source", spec.path, str(error))
    st.session_state.asked = None
    st.rerun()


def _bar() -> Report:
    """A report of the reading that shows itself, with a way out, once the reading takes long."""
    place, cancel, began, shown = st.empty(), st.empty(), time.monotonic(), [False]

    def report(share: float, what: str) -> None:
        if time.monotonic() - began < SLOW:
            return
        place.progress(min(1.0, max(0.0, share)), f"{100 * share:.0f} %: {what}")
        if not shown[0]:
            shown[0] = True
            cancel.button("Cancel", key="cancel_reading", on_click=_cancel)

    return report


def _cancel() -> None:
    st.session_state.asked = None


def _look_first(spec: CatalogSpec) -> None:
    """A file so large that reading it takes a while shows its first rows, and is read once the person says so."""
    path = Path(spec.path)
    with st.container(border=True):
        try:
            found = _peek(spec.path, spec.table, _session.stamp(spec))
        except InputError as error:
            st.error(str(error), icon=":material/error:")
            st.button("Close", key="cancel_load", on_click=_cancel)
            return
        rows = "" if found.rows is None else f"{found.rows:,} rows, "
        st.markdown(
            f"**{plain(path.name)}** · {plain(found.format)} · {rows}{found.table.shape[1]:,} columns, "
            f"{size_of(found.size)}. These are its first rows; reading all of it takes a while."
        )
        if len(found.tables) > 1:
            put("peek_table", found.table_read)
            st.selectbox("Table of the file", list(found.tables), key="peek_table", on_change=_other_table)
        st.dataframe(
            found.table,
            hide_index=True,
            height=35 * min(len(found.table) + 1, 8) + 3,
            column_config=number_columns(found.table)
            | {name: column.label for name, column in found.columns.items() if column.unit},
        )
        for sentence in found.warnings:
            st.caption(f":material/info: {plain(sentence)}")
        with st.container(horizontal=True):
            st.button("Load", key="load", type="primary", icon=":material/download:", on_click=_agree)
            st.button("Cancel", key="cancel_load", on_click=_cancel)


@st.cache_resource(max_entries=4, show_spinner="Looking at the first rows")
def _peek(path: str, table: str | None, moment: float) -> Peek:
    return peek(path, table=table)


def _other_table() -> None:
    st.session_state.asked = st.session_state.asked.model_copy(update={"table": st.session_state.peek_table})


def _agree() -> None:
    st.session_state.agreed = True


def choose_table() -> None:
    """Which table of a file that holds several."""
    spec = _session.catalog_spec()
    raw = _session.raw(spec)
    if len(raw.tables) < 2:
        return
    put("table_read", spec.table if spec.table in raw.tables else raw.table_read)
    st.selectbox(
        "Table of the file",
        list(raw.tables),
        key="table_read",
        on_change=_take_table,
        label_visibility="collapsed",
        width=190,
    )


def _take_table() -> None:
    spec = _session.catalog_spec()
    ask(CatalogSpec(path=spec.path, table=st.session_state.table_read))
