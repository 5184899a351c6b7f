"""Bring a catalog: where it comes from, what its columns mean, what is wrong with it, and which rows to keep."""

from __future__ import annotations

from typing import Any

import streamlit as st

from gnnlib.catalog import missing
from gnnlib.catalog.missing import Suspect
from gnnlib.catalog.select import Suggestion, suggest_cuts
from gnnlib.catalog.summary import Summary, summarize
from gnnlib.catalog.table import Catalog, CatalogSpec
from gnnlib.errors import InputError
from pages import _catalog_remarks, _session
from pages._catalog_columns import columns
from pages._catalog_derived import derived
from pages._catalog_figure import figure
from pages._catalog_gaps import gaps
from pages._catalog_source import choose_source, choose_table, source
from pages._catalog_space import space
from pages._catalog_subsets import subsets
from pages._catalog_table import table
from pages._layout import heading, metric_strip, next_step
from pages._sidebar import plain

SECTIONS = {
    "Table": ":material/table_rows: Table",
    "Columns": ":material/view_column: Columns",
    "Space": ":material/explore: Space",
    "Gaps": ":material/grid_off: Gaps",
    "Subsets": ":material/filter_alt: Subsets",
    "New columns": ":material/function: New columns",
}
_SPEC: dict[str | type, Any] = {CatalogSpec: lambda spec: spec.model_dump_json()}


def main() -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        heading("Catalog", "One row an object: halos, galaxies or stars, with positions in 3D or on the sky.")
        chosen = choose_source()
    source(chosen)
    with _session.explained():
        rows, whole = _session.catalog(), _session.whole()
        kept = _session.kept_rows()
        summary = summary_of(whole)
        suspects, offered = findings_of(rows)
    origin(rows)
    strip(rows, whole, summary, suspects)
    _catalog_remarks.show(_catalog_remarks.remarks(rows, whole, summary, suspects, offered))
    section = st.segmented_control(
        "Section",
        list(SECTIONS),
        format_func=SECTIONS.__getitem__,
        default="Table",
        required=True,
        key="catalog_section",
        persist_state="session",
        label_visibility="collapsed",
        wrap=True,
    )
    meaning, look = st.columns([5, 3], gap="medium")
    with meaning:
        if section == "Columns":
            columns(whole, summary)
        elif section == "Space":
            space(whole)
        elif section == "Gaps":
            gaps(whole, suspects_of(whole))
        elif section == "Subsets":
            subsets(whole, int(kept.sum()), offered)
        elif section == "New columns":
            derived(whole)
        else:
            table(whole, kept)
    with look:
        figure(whole, kept)
    next_step("graph.py", "Next: build the graph", ":material/hub:")


# What is found out about it, once for all sessions


def _settled(spec: CatalogSpec, **without: object) -> CatalogSpec:
    """The choices that matter to a finding, so that the others do not work it out anew."""
    return spec.model_copy(update={"where": None, **without})


@st.cache_resource(max_entries=6, show_spinner="Looking over the columns", hash_funcs=_SPEC)
def _summary(spec: CatalogSpec, moment: float) -> Summary:
    return summarize(_session.whole(spec))


def summary_of(whole: Catalog) -> Summary:
    return _summary(_settled(whole.spec), _session.stamp(whole.spec))


@st.cache_resource(max_entries=6, show_spinner=False, hash_funcs=_SPEC)
def _suspects(spec: CatalogSpec, moment: float) -> tuple[Suspect, ...]:
    return missing.find(_session.whole(spec))


def suspects_of(whole: Catalog) -> tuple[Suspect, ...]:
    """Values that may stand for missing ones in the catalog as it is without any rule about them."""
    try:
        return _suspects(_settled(whole.spec, missing={}), _session.stamp(whole.spec))
    except InputError:  # a choice that holds only once the values are masked
        return summary_of(whole).suspects


@st.cache_resource(max_entries=6, show_spinner=False, hash_funcs=_SPEC)
def _findings(spec: CatalogSpec, moment: float) -> tuple[tuple[Suspect, ...], tuple[Suggestion, ...]]:
    rows = _session.catalog(spec)
    return missing.find(rows), suggest_cuts(rows)


def findings_of(rows: Catalog) -> tuple[tuple[Suspect, ...], tuple[Suggestion, ...]]:
    """What the rows that are kept still call for: values that may stand for missing ones, and cuts."""
    return _findings(rows.spec, _session.stamp(rows.spec))


# The head


def origin(rows: Catalog) -> None:
    """Where the rows came from, what was inferred, and the way back."""
    told = rows.provenance
    parts = [f"**{plain(told.get('file', rows.name))}**", plain(told.get("format", ""))]
    if told.get("table"):
        parts.append(f"table {plain(told['table'])}")
    if rows.inferred:
        parts.append(f"inferred: {', '.join(rows.inferred)}")
    before = st.session_state.get("catalog_before", ())
    spec = rows.spec
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(horizontal=True, vertical_alignment="center", width="content", gap="small"):
            st.caption(" · ".join(part for part in parts if part), width="content")
            choose_table()
            with st.popover("Provenance", type="tertiary"):
                for name, value in told.items():
                    st.markdown(f"**{plain(name)}** {plain(value)}")
        with st.container(horizontal=True, width="content"):
            st.button(
                "Undo",
                key="undo",
                type="tertiary",
                icon=":material/undo:",
                disabled=not before,
                on_click=_session.take_back,
            )
            st.button(
                "Reset to what the file says",
                key="reset",
                type="tertiary",
                icon=":material/restart_alt:",
                disabled=spec == CatalogSpec(path=spec.path, table=spec.table),
                on_click=_session.as_the_file_says,
            )


def strip(rows: Catalog, whole: Catalog, summary: Summary, suspects: tuple[Suspect, ...]) -> None:
    empty = sum(column.missing for column in summary.columns)
    marks = sum(suspect.rows for suspect in suspects if suspect.column not in whole.spec.missing)
    extent = " × ".join(length_text(high - low) for low, high in summary.extent) if summary.extent else "unknown"
    cut = (
        [("Cut away", f"{len(whole) - len(rows):,}", "Rows that the cut takes away")] if len(rows) < len(whole) else []
    )
    metric_strip(
        [
            ("Rows", f"{len(rows):,}", "That are kept"),
            *cut,
            ("Columns", f"{len(summary.columns):,}", None),
            ("Missing values", f"{empty:,}", "NaN, masked or empty cells, of all rows"),
            (
                "Sentinels",
                f"{marks:,}",
                "Values such as -99 or 1e37 that seem to stand for a missing one, in the rows kept",
            ),
            ("Duplicate rows", f"{summary.duplicates:,}", "Rows that repeat an earlier one in every column"),
            ("Same position", f"{summary.duplicate_positions:,}", "Rows at exactly the position of an earlier one"),
            (f"Extent [{rows.length_unit}]" if rows.length_unit else "Extent", extent, "Range of the positions"),
        ]
    )


def length_text(length: float) -> str:
    """Four digits, without a power of ten where that can be."""
    return f"{length:,.0f}" if 1000 <= length < 1e7 else f"{length:.4g}"


main()
