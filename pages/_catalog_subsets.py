"""Cuts on the Catalog page: the one in force, named subsets with their counts, and those that the catalog calls for."""

from __future__ import annotations

import streamlit as st

from gnnlib.catalog.expressions import Evaluation, quote
from gnnlib.catalog.functions import FUNCTIONS
from gnnlib.catalog.select import Suggestion
from gnnlib.catalog.table import Catalog, CatalogSpec
from gnnlib.errors import InputError
from pages import _session
from pages._layout import put, why_not
from pages._sidebar import plain

GRAMMAR = (
    "Columns and subsets by name (odd names in `` ` ``), numbers, + - * / % **, comparisons (also chained: "
    "`0.01 < z < 0.05`), `in (1, 2)`, &, |, ~. Functions: " + ", ".join(FUNCTIONS) + "."
)


def subsets(whole: Catalog, kept: int, suggestions: tuple[Suggestion, ...]) -> None:
    """The cut in force, the named subsets and a place to make new ones."""
    _in_force(whole, kept)
    named = whole.spec.subsets
    if named:
        st.markdown("**Named subsets**")
        counts = _counts(whole.spec, _session.stamp(whole.spec))
        for number, name in enumerate(named):
            _line(whole, number, name, counts[name])
    _new(whole)
    offered = [suggestion for suggestion in suggestions if suggestion.name not in named]
    if offered:
        st.markdown("**Suggested**")
    for suggestion in offered:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(
                f"`{suggestion.condition}` keeps {suggestion.rows:,} rows. {plain(suggestion.reason)}", width="stretch"
            )
            st.button(
                f"Add {suggestion.name}",
                key=f"suggested_{suggestion.name}",
                on_click=add_and_use,
                args=(suggestion.name, suggestion.condition),
            )


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs={CatalogSpec: lambda spec: spec.model_dump_json()})
def _counts(spec: CatalogSpec, moment: float) -> dict[str, int | str]:
    """Rows in each named subset of the whole catalog, or the sentence why it has none."""
    rows, found = Evaluation(_session.whole(spec)), dict[str, int | str]()
    for name in spec.subsets:
        try:
            found[name] = int(rows.subset(name).sum())
        except InputError as error:
            found[name] = str(error)
    return found


def _in_force(whole: Catalog, kept: int) -> None:
    spec, total = _session.catalog_spec(), len(whole)
    refused = _session.refusal("cut")
    put("cut", refused.said if refused else spec.where or "")
    entry, count = st.columns([3, 2], gap="medium", vertical_alignment="bottom")
    entry.text_input(
        "Keep rows where",
        key="cut",
        placeholder="all rows; for example log10(halo_mass) > 12 & is_central",
        help=GRAMMAR,
        on_change=_take_cut,
    )
    share = kept / total if total else 0.0
    count.progress(share, f"{kept:,} of {total:,} rows are kept" if kept < total else f"All {total:,} rows")
    why_not("cut")
    if spec.where and spec.where.strip() not in spec.subsets and not refused:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input("Name of this cut", key="cut_name", placeholder="a name to keep it as a subset", width=300)
            st.button("Keep as a subset", key="name_cut", on_click=_name_cut)
        why_not("cut_name")


def _take_cut() -> None:
    text = st.session_state.cut
    _session.choose("cut", text, where=text.strip() or None)


def _name_cut() -> None:
    spec, name = _session.catalog_spec(), st.session_state.cut_name.strip()
    if not name:
        _session.refuse("cut_name", name, "Write a name for the subset, such as bright.")
        return
    if name in spec.subsets:
        _session.refuse("cut_name", name, f"There is a subset '{name}' already; write another name.")
        return
    if _session.choose("cut_name", name, subsets=spec.subsets | {name: spec.where}, where=quote(name)):
        st.session_state.cut_name = ""


def parts_of(where: str | None, spec: CatalogSpec) -> list[str] | None:
    """The named subsets that a cut consists of, joined by &; None for any other cut."""
    names = {quote(name): name for name in spec.subsets}
    parts = [part.strip() for part in (where or "").split("&") if part.strip()]
    return [names[part] for part in parts] if all(part in names for part in parts) else None


def _line(whole: Catalog, number: int, name: str, count: int | str) -> None:
    spec, place = _session.catalog_spec(), f"subset_{number}"
    refused = _session.refusal(place)
    said = refused.said if refused else (name, spec.subsets[name])
    put(f"{place}_name", said[0])  # type: ignore[index]
    put(f"{place}_condition", said[1])  # type: ignore[index]
    parts = parts_of(spec.where, spec)
    used = name in parts if parts is not None else False
    called, condition, figure, use, away = st.columns([2, 4, 1.6, 1.3, 0.7], vertical_alignment="center", wrap=False)
    called.text_input("Name", key=f"{place}_name", label_visibility="collapsed", on_change=_change, args=(place, name))
    condition.text_input(
        "Condition", key=f"{place}_condition", label_visibility="collapsed", on_change=_change, args=(place, name)
    )
    figure.markdown(f"{count:,} rows" if isinstance(count, int) else ":red[no rows]", help=None if count else "None")
    put(f"{place}_use", used)
    use.toggle("in force", key=f"{place}_use", on_change=_use, args=(place, name), help="Keep only the rows of it")
    away.button(
        "",
        icon=":material/delete:",
        key=f"{place}_away",
        on_click=_remove,
        args=(name,),
        type="tertiary",
        help="Delete",
    )
    if isinstance(count, str):
        st.error(count, icon=":material/error:")
    why_not(place)


def _change(place: str, name: str) -> None:
    """Another name or condition for a subset; the cut that names it follows."""
    spec = _session.catalog_spec()
    said = (st.session_state[f"{place}_name"], st.session_state[f"{place}_condition"])
    new, condition = said[0].strip(), said[1].strip()
    if new != name and new in spec.subsets:
        _session.refuse(place, said, f"There is a subset '{new}' already; write another name.")
        return
    changed = {new if known == name else known: value for known, value in spec.subsets.items()} | {new: condition}
    parts = parts_of(spec.where, spec)
    where = spec.where
    if parts and new:
        where = " & ".join(quote(new if part == name else part) for part in parts)
    _session.choose(place, said, subsets=changed, where=where)


def _use(place: str, name: str) -> None:
    spec = _session.catalog_spec()
    parts = parts_of(spec.where, spec)
    if st.session_state[f"{place}_use"]:
        where = f"({spec.where}) & {quote(name)}" if parts is None else " & ".join(map(quote, [*parts, name]))
    else:
        where = " & ".join(quote(part) for part in parts or [] if part != name)
    _session.choose(place, (name, spec.subsets[name]), where=where or None)


def _remove(name: str) -> None:
    spec = _session.catalog_spec()
    parts = parts_of(spec.where, spec)
    where = spec.where if parts is None else " & ".join(quote(part) for part in parts if part != name) or None
    _session.choose("cut", spec.where, subsets={k: v for k, v in spec.subsets.items() if k != name}, where=where)


def add_and_use(name: str, condition: str) -> None:
    """Add a subset and put it in force beside what is in force already."""
    spec = _session.catalog_spec()
    parts = parts_of(spec.where, spec)
    where = f"({spec.where}) & {quote(name)}" if parts is None else " & ".join(map(quote, [*parts, name]))
    _session.choose("cut", spec.where, subsets=spec.subsets | {name: condition}, where=where)


@st.fragment(key="new-subset")
def _new(whole: Catalog) -> None:
    """A subset that is about to be made: how many rows it would have is said while it is being written."""
    state = st.session_state
    if draft := state.pop("subset_draft", None):
        state.new_condition = draft
    with st.container(border=True):
        name, condition, add = st.columns([2, 4, 1.6], vertical_alignment="bottom")
        name.text_input("New subset", key="new_name", persist_state="session", placeholder="bright")
        condition.text_input(
            "Condition",
            key="new_condition",
            persist_state="session",
            live="300ms",
            placeholder="log10(mass) > 9 & z < 0.05",
            help=GRAMMAR,
        )
        add.button("Add", key="add_subset", width="stretch", on_click=_add)
        text = state.new_condition.strip()
        if text:
            try:
                found = int(Evaluation(whole).condition(text).sum())
                st.caption(f":material/check: {found:,} of {len(whole):,} rows")
            except InputError as error:
                st.caption(f":material/pending: {plain(str(error))}")
        why_not("new_subset")
    if state.pop("subset_added", False):
        st.rerun()


def _add() -> None:
    state, spec = st.session_state, _session.catalog_spec()
    name, condition = state.new_name.strip(), state.new_condition.strip()
    said = (name, condition)
    if not name or not condition:
        missing = "a name, such as bright" if not name else "a condition, such as mass > 1e10"
        _session.refuse("new_subset", said, f"The subset needs {missing}.")
    elif name in spec.subsets:
        _session.refuse("new_subset", said, f"There is a subset '{name}' already; write another name.")
    else:
        try:
            Evaluation(_session.whole()).condition(condition)
        except InputError as error:
            _session.refuse("new_subset", said, str(error))
            return
        if _session.choose("new_subset", said, subsets=spec.subsets | {name: condition}):
            state.new_name = state.new_condition = ""
            state.subset_added = True
