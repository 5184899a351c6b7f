"""The table of the Catalog page: every row can be reached, by sorting, by searching or page by page.

Rows are sorted and searched on the server and only one page of them travels to the browser. Rows that a cut takes away
stay in their places, in grey. Rows selected here are selected on every page, and the other way round.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.table import Catalog, CatalogSpec
from gnnlib.view.charts import FAINT
from pages import _session
from pages._layout import key_for, put
from pages._shown import shown_label, shown_measure, shown_values
from pages._sidebar import plain

PAGE = 100  # rows
SELECTED = 4  # selected rows that are shown above the others
WIDE = 40  # columns; a wider table shows those with a role and the first few
ROW = "__row__"  # its own name, since a table may have a column called row


@st.fragment(key="table")
def table(whole: Catalog, kept: np.ndarray) -> None:
    """Search, sort and select among all rows of a catalog."""
    names = [str(name) for name in whole.table.columns]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        find = st.text_input(
            "Find rows",
            key="table_find",
            persist_state="session",
            type="search",
            live="400ms",
            placeholder="row id, name or other text",
            icon=":material/search:",
            help="Rows whose id is this, or with a text column that contains it. For numbers use a cut.",
            on_change=_first_page,
        )
        if st.session_state.get("table_sort") not in (ROW, *names):
            put("table_sort", ROW)
        st.selectbox(
            "Sort by",
            [ROW, *names],
            key="table_sort",
            persist_state="session",
            format_func=lambda name: "row" if name == ROW else name,
            on_change=_first_page,
            width=150,
            help="Or click the head of a column; a second click turns the order round.",
        )
        shown = _columns(whole, names)
    with st.container(horizontal=True, vertical_alignment="center"):
        down = st.toggle("Descending", key="table_down", persist_state="session", on_change=_first_page)
        if not kept.all():
            st.toggle("Hide cut rows", key="table_hide", persist_state="session", on_change=_first_page)
    hide = bool(st.session_state.get("table_hide")) and not kept.all()
    spec = whole.spec
    moment = _session.stamp(spec)
    order = _order(spec, moment, st.session_state.table_sort, bool(down))
    if find.strip():
        order = order[_found(spec, moment, find.strip())[order]]
    if hide:
        order = order[kept[order]]
    if not len(order):
        st.info(f"No row has '{plain(find)}' as its id or in a text column.", icon=":material/search_off:")
        return
    pages = math.ceil(len(order) / PAGE)
    _follow_selection(whole, order)
    page = min(max(1, st.session_state.get("table_page", 1)), pages)
    places = order[(page - 1) * PAGE : page * PAGE]
    _selected(whole, kept, shown)
    _grid(whole, places, kept, shown)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        first = (page - 1) * PAGE + 1
        of = f"{len(order):,} rows" if len(order) == len(whole) else f"{len(order):,} of {len(whole):,} rows"
        grey = ", those cut away in grey" if not (kept.all() or hide) else ""
        st.caption(f"Rows {first:,} to {first + len(places) - 1:,} of {of}{grey}.")
        if pages > 1:
            key = f"table_turn_{page}_{pages}"
            st.pagination(pages, default=page, key=key, on_change=_turn, args=(key,))
    _session.settle()


def _first_page() -> None:
    st.session_state.table_page = 1


def _turn(key: str) -> None:
    st.session_state.table_page = st.session_state[key]


def _columns(whole: Catalog, names: list[str]) -> list[str]:
    """Which columns are shown."""
    key = key_for("table_columns", whole.spec.path, whole.spec.table, *names)
    if key not in st.session_state:
        st.session_state[key] = names if len(names) <= WIDE else led_by_roles(whole, names)[:24]
    with st.popover(f"{len(st.session_state[key])} of {len(names)} columns", icon=":material/view_column:"):
        st.multiselect(
            "Columns of the table", names, key=key, persist_state="session", help="Type to search for a column."
        )
        with st.container(horizontal=True):
            st.button("All", key="columns_all", on_click=_show, args=(key, names))
            st.button("Those with a role", key="columns_roles", on_click=_show, args=(key, with_roles(whole)))
            st.button("Roles first", key="columns_lead", on_click=_show, args=(key, led_by_roles(whole, names)))
    return [name for name in st.session_state[key] if name in names]


def _show(key: str, names: list[str]) -> None:
    st.session_state[key] = names


def with_roles(whole: Catalog) -> list[str]:
    """The columns that play a part, each once."""
    roles = whole.roles
    parts = [roles.row_id, *roles.position, *roles.velocity, roles.mass, roles.target, roles.group, roles.central]
    return list(dict.fromkeys(name for name in [*parts, *roles.features] if name))


def led_by_roles(whole: Catalog, names: list[str]) -> list[str]:
    """All columns, those with a role first."""
    return list(dict.fromkeys([*(name for name in with_roles(whole) if name in names), *names]))


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs={CatalogSpec: lambda spec: spec.model_dump_json()})
def _order(spec: CatalogSpec, moment: float, column: str, down: bool) -> np.ndarray:
    """Places of all rows, sorted by a column; rows without a value come last, equal ones stay in the file's order."""
    rows = _session.whole(spec)
    if column == ROW and rows.files:  # text, in which LH_0:10 would stand before LH_0:2
        return np.arange(len(rows))[:: -1 if down else 1]
    values = pd.Series(rows.row_ids) if column == ROW else rows.table[column]
    if column == ROW and not down and rows.row_ids.dtype.kind in "iu" and (np.diff(rows.row_ids) > 0).all():
        return np.arange(len(rows))
    try:
        ordered = values.sort_values(ascending=not down, kind="stable", na_position="last")
    except TypeError:  # text and numbers in one column
        ordered = values.astype(str).sort_values(ascending=not down, kind="stable")
    return ordered.index.to_numpy()


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs={CatalogSpec: lambda spec: spec.model_dump_json()})
def _found(spec: CatalogSpec, moment: float, text: str) -> np.ndarray:
    """Rows [N] with this id, or with a text column that contains it, whatever the case."""
    rows = _session.whole(spec)
    found = np.zeros(len(rows), dtype=bool)
    if rows.row_ids.dtype.kind not in "iu":
        found |= pd.Series(rows.row_ids).str.contains(text, case=False, regex=False).to_numpy(dtype=bool)
    elif text.lstrip("-").isdecimal() and abs(int(text)) < 2**63:
        found |= rows.row_ids == int(text)
    for name in rows.table.columns:
        column = rows.table[name]
        if column.dtype.kind in "iufbM":
            continue
        words = column.astype("str").str.contains(text, case=False, regex=False)
        found |= (words.fillna(False).astype(bool) & column.notna()).to_numpy()
    return found


def _follow_selection(whole: Catalog, order: np.ndarray) -> None:
    """Turn to the page of an object that was selected elsewhere."""
    if st.session_state.get("table_seen") == _session.selection():
        return
    st.session_state.table_seen = _session.selection()
    places = _session.selected_rows(whole.row_ids)
    if len(places):
        at = np.flatnonzero(order == places[-1])
        if len(at):
            st.session_state.table_page = int(at[0]) // PAGE + 1


def _page(whole: Catalog, places: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Some rows of the table as they are shown, led by their ids as text, since long ones are no JavaScript numbers."""
    page = whole.table[names].iloc[places].reset_index(drop=True)
    for name, kind in page.dtypes.items():
        if kind.kind in "iuf" and shown_measure(whole, str(name)) != whole.columns[str(name)].measure:
            page[name] = shown_values(whole, str(name), page[name].to_numpy())
    page.insert(0, ROW, [str(row_id) for row_id in whole.row_ids[places]])
    return page


def _styled(page: pd.DataFrame, cut: np.ndarray) -> Any:
    """Readable numbers, and rows that are cut away in grey."""
    formats: dict[Any, Any] = {name: _number for name, kind in page.dtypes.items() if kind.kind == "f"}
    formats |= {name: str for name, kind in page.dtypes.items() if kind.kind in "iu"}
    grey = [f"color: {FAINT}; font-style: italic" if away else "" for away in cut]
    return page.style.format(formats, na_rep="–").apply(lambda column: grey, axis=0)


def _heads(whole: Catalog, page: pd.DataFrame) -> dict[str, Any]:
    ids = _wide_enough(max(page[ROW], key=len))
    heads = {name: _head(whole, str(name)) for name in page.columns if name != ROW}
    return {ROW: st.column_config.TextColumn("row", pinned=True, width=ids), **heads}


def _wide_enough(text: str) -> int | None:
    """Pixels for a column whose text the grid would cut off; None where it finds a width by itself."""
    return min(300, 8 * len(text) + 24) if len(text) > 7 else None


def _selected(whole: Catalog, kept: np.ndarray, names: list[str]) -> None:
    """The objects selected here or on another page, wherever in the table they are; the last one first."""
    places = _session.selected_rows(whole.row_ids)[::-1]
    if not len(places):
        return
    page = _page(whole, places[:SELECTED], names)
    more = f", the last {SELECTED} of them" if len(places) > SELECTED else ""
    st.caption(f"Selected: {len(places):,}{more}")
    st.dataframe(
        _styled(page, ~kept[places[:SELECTED]]),
        key="table_selected",
        hide_index=True,
        placeholder="–",
        height=35 * (len(page) + 1) + 3,
        column_config=_heads(whole, page),
    )


def _grid(whole: Catalog, places: np.ndarray, kept: np.ndarray, names: list[str]) -> None:
    page = _page(whole, places, names)
    ids = page[ROW].tolist()
    chosen = set(_session.selection())
    sort = st.session_state.table_sort
    st.session_state.table_listed = ids
    st.session_state.table_grid = {
        "selection": {
            "rows": [at for at, row_id in enumerate(ids) if row_id in chosen],
            "columns": [sort] if sort in page.columns and sort != ROW else [],
        }
    }
    st.dataframe(
        _styled(page, ~kept[places]),
        key="table_grid",
        hide_index=True,
        placeholder="–",
        height=35 * min(len(page) + 1, 14) + 3,
        column_config=_heads(whole, page),
        on_select=_take,
        selection_mode=["multi-row", "single-column"],
    )


def _head(whole: Catalog, name: str) -> Any:
    """The head of a column: its name with its unit, and what is said about it."""
    column, label = whole.columns[name], shown_label(whole, name)
    said = [column.description] if column.description else []
    said += ["unit inferred"] if column.inferred else []
    said += [f"shown in other units than the file's {column.unit_label}"] if label != column.label else []
    help_text = "; ".join(said) or None
    kind = whole.table[name].dtype.kind
    width = _wide_enough(label) if len(label) > 12 else None
    if kind == "b":
        return st.column_config.CheckboxColumn(label, help=help_text, width=width)
    if kind in "iuf":
        return st.column_config.NumberColumn(label, help=help_text, width=width)
    return st.column_config.TextColumn(label, help=help_text)


def _number(value: float) -> str:
    return "–" if not math.isfinite(value) and math.isnan(value) else f"{value:.7g}"


def _take() -> None:
    """Rows clicked in the grid join or leave the selection; a clicked head sorts."""
    state = st.session_state
    picked = state.table_grid["selection"]
    listed: list[str] = state.table_listed
    here = {listed[at] for at in picked["rows"] if at < len(listed)}
    before = _session.selection()
    stay = [row_id for row_id in before if row_id not in listed or row_id in here]
    now = (*stay, *(row_id for row_id in listed if row_id in here and row_id not in stay))
    if now != before:
        _session.select(now)
        state.table_seen = _session.selection()
    head = picked["columns"][0] if picked["columns"] else None
    sort = state.table_sort
    if head == sort or (head is None and sort != ROW and now == before):  # a second click on the head that sorts
        state.table_down, state.table_page = not state.get("table_down"), 1
    elif head is not None:
        state.table_sort, state.table_down, state.table_page = head, False, 1
