"""Bring a catalog: where it comes from, what its columns mean, what is wrong with it, and which rows to keep."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.summary import Summary, summarize
from gnnlib.catalog.table import Catalog, CatalogSpec, Roles
from gnnlib.errors import InputError
from gnnlib.view import charts
from pages import _files, _session
from pages._layout import heading, key_for, metric_strip, next_step, number_columns

SOURCES = {"sample": "Sample", "upload": "Upload", "path": "Path on the server"}
NONE = "none"


def main() -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        heading("Catalog", "One row an object: halos, galaxies or stars, with positions in 3D or on the sky.")
        source = st.segmented_control(
            "Source",
            list(SOURCES),
            format_func=SOURCES.__getitem__,
            default=current_source(),
            required=True,
            key="source",
            persist_state="session",
            on_change=back_to_sample,
        )
    if source == "upload":
        upload()
    elif source == "path":
        server_path()
    if problem := st.session_state.pop("catalog_problem", None):
        st.error(problem, icon=":material/error:")

    with _session.explained():
        rows = _session.catalog()
        summary = summary_of(_session.catalog_spec())
    for sentence in summary.warnings:
        st.warning(sentence, icon=":material/info:")
    strip(rows, summary)
    if rows.spec.names or all(re.fullmatch(r"col\d+", str(name)) for name in rows.table.columns):
        name_columns(rows)
    meaning, look = st.columns([3, 2], gap="medium")
    with meaning:
        columns_table(rows, summary)
        roles_card(rows)
    with look:
        figure(rows)
        scale_card(rows)
    cut_card(rows)
    st.subheader("First rows")
    first = _session.table_of(rows).head(200)
    st.dataframe(first, hide_index=True, height=250, column_config=number_columns(first))
    next_step("graph.py", "Next: build the graph", ":material/hub:")


# Where the catalog comes from


def current_source() -> str:
    path = _session.catalog_spec().path
    if path == "sample":
        return "sample"
    return "upload" if path.startswith(str(_session.temporary_folder())) else "path"


def back_to_sample() -> None:
    if st.session_state.source == "sample":
        take(_session.SAMPLE)


def take(spec: CatalogSpec) -> None:
    """Read a catalog and show it; where it cannot be read, say why and keep the one in view."""
    try:
        _session.catalog(spec)
    except InputError as error:
        st.session_state.catalog_problem = str(error)
    else:
        _session.show_catalog(spec)


def change(**choices: object) -> None:
    """The catalog in view with other choices about it."""
    take(CatalogSpec.model_validate(_session.catalog_spec().model_dump() | choices))


def upload() -> None:
    files = st.file_uploader(
        "FITS, VOTable, ECSV, CSV or text, Parquet, HDF5 (several files for a TNG/SUBFIND group catalog), NumPy .npz",
        accept_multiple_files=True,
        key="uploaded",
    )
    if not files:
        return
    try:
        path = str(_files.store(files, _session.temporary_folder()))
    except InputError as error:
        st.session_state.catalog_problem = str(error)
        return
    before, problem = st.session_state.get("upload_seen", (None, None))
    if path != before:
        take(CatalogSpec(path=path))
        st.session_state.upload_seen = path, st.session_state.pop("catalog_problem", None)
        st.rerun()
    st.session_state.catalog_problem = problem


def server_path() -> None:
    folders = _files.allowed_folders()
    st.text_input(
        "File, or folder of chunks, on the server",
        key="path",
        persist_state="session",
        placeholder=str(folders[0] / "catalog.fits") if folders else "reading by path is off; use Upload",
        help="Readable: " + ", ".join(f"`{folder}`" for folder in folders) if folders else None,
        on_change=take_path,
    )


def take_path() -> None:
    try:
        take(CatalogSpec(path=str(_files.server_path(st.session_state.path))))
    except InputError as error:
        st.session_state.catalog_problem = str(error)


# What is in it


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs={CatalogSpec: lambda spec: spec.model_dump_json()})
def _summary(spec: CatalogSpec, changed: float) -> Summary:
    return summarize(_session.catalog(spec))


def summary_of(spec: CatalogSpec) -> Summary:
    return _summary(spec, _session.stamp(spec))


def strip(rows: Catalog, summary: Summary) -> None:
    missing = sum(column.missing for column in summary.columns)
    sentinels = sum(sum(column.sentinels.values()) for column in summary.columns)
    extent = " × ".join(f"{high - low:.4g}" for low, high in summary.extent) if summary.extent else "unknown"
    metric_strip(
        [
            ("Rows", f"{len(rows):,}", None),
            ("Columns", f"{len(summary.columns):,}", None),
            ("Missing values", f"{missing:,}", "NaN, masked or empty cells"),
            ("Sentinels", f"{sentinels:,}", "Values such as -99 or 1e37 that stand for a missing one"),
            ("Duplicate rows", f"{summary.duplicates:,}", "Rows that repeat an earlier one in every column"),
            ("Same position", f"{summary.duplicate_positions:,}", "Rows at exactly the position of an earlier one"),
            (f"Extent [{rows.length_unit}]" if rows.length_unit else "Extent", extent, "Range of the positions"),
        ]
    )


def name_columns(rows: Catalog) -> None:
    """For files without a header."""
    key = key_for("names", rows.spec.path, rows.spec.names)
    st.text_input(
        "Names of the columns, in order",
        ", ".join(map(str, rows.table.columns)),
        key=key,
        on_change=lambda: change(names=[part.strip() for part in st.session_state[key].split(",")]),
        help="The file has no header. Separate the names by commas; names such as x, y, z or vx are recognised.",
    )


def columns_table(rows: Catalog, summary: Summary) -> None:
    st.subheader("Columns", help="Double-click a unit to correct it: Mpc/h, 1e10 Msun/h, km/s, ...")
    found = [
        {
            "column": column.name,
            "unit": rows.columns[column.name].unit_label,
            "from": "inferred" if rows.columns[column.name].inferred else "stated",
            "type": column.dtype,
            "min": short(column.min),
            "max": short(column.max),
            "missing": column.missing,
            "sentinels": ", ".join(f"{value} ({count:,})" for value, count in column.sentinels.items()),
        }
        for column in summary.columns
    ]
    table = pd.DataFrame(found)
    key = key_for("columns", rows.spec.path, *rows.table.columns)
    st.data_editor(
        table,
        key=key,
        hide_index=True,
        height=min(360, 37 * (len(table) + 1) + 2),
        disabled=[name for name in table.columns if name != "unit"],
        column_config={
            "column": st.column_config.TextColumn("Column", pinned=True),
            "unit": st.column_config.TextColumn("Unit"),
            "from": st.column_config.TextColumn("Unit is"),
            "type": st.column_config.TextColumn("Type"),
            "min": st.column_config.TextColumn("Min", alignment="right"),
            "max": st.column_config.TextColumn("Max", alignment="right"),
            "missing": st.column_config.NumberColumn("Missing"),
            "sentinels": st.column_config.TextColumn("Sentinels"),
        },
        on_change=correct_units,
        args=(key, [str(name) for name in table["column"]]),
    )


def short(number: float | None) -> str:
    return "" if number is None else f"{number:.4g}"


def correct_units(key: str, names: list[str]) -> None:
    edited = {names[row]: cells["unit"] or "" for row, cells in st.session_state[key]["edited_rows"].items()}
    change(units=_session.catalog_spec().units | edited)


@st.fragment
def figure(rows: Catalog) -> None:
    """The distribution of one column, or the positions from one side."""
    names = [str(name) for name in rows.table.columns]
    first = rows.roles.target or rows.roles.mass or (rows.roles.features or tuple(names))[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.selectbox("Distribution of", ["positions", *names], index=1 + names.index(first), key="figure_of")
        log = st.toggle("log", value=spans_decades(rows, shown), key=f"log_{shown}", disabled=shown == "positions")
    if shown == "positions":
        with _session.explained():
            points = rows.positions()
        unit = f" [{rows.length_unit}]" if rows.length_unit else ""
        axes = np.argsort(-np.ptp(np.nan_to_num(points), axis=0), kind="stable")[:2]
        labels = [f"{name}{unit}" for name in np.array([*rows.roles.position, ""])[axes]]
        st.plotly_chart(charts.positions(points[:, axes[0]], points[:, axes[1]], (labels[0], labels[1])))
    elif pd.api.types.is_numeric_dtype(rows.table[shown]):
        st.plotly_chart(charts.histogram(rows.values(shown), rows.columns[shown].label, log))
    else:
        st.plotly_chart(charts.category_counts(rows.table[shown], shown))


def spans_decades(rows: Catalog, name: str) -> bool:
    """True for a positive column whose values are far apart."""
    if name == "positions" or rows.table[name].dtype.kind not in "iuf":
        return False
    values = rows.values(name)
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() / values.min() > 300)


# What a person says about it


def roles_card(rows: Catalog) -> None:
    """One selector a role, with what was found preselected."""
    roles, names = rows.roles, [str(name) for name in rows.table.columns]
    with st.container(border=True):
        st.subheader("Roles", help="Which column plays which part; proposals come from names and units.")
        vector: dict[str, Any] = {"max_selections": 3, "on_change": change_roles, "wrap": True}
        vectors, numbers, flags = st.columns(3)
        with vectors:
            st.multiselect("Position", names, list(roles.position), key=role_key("position"), **vector)
            st.multiselect("Velocity", names, list(roles.velocity), key=role_key("velocity"), **vector)
        with numbers:
            pick("mass", "Mass", names, roles.mass)
            pick("target", "Target", names, roles.target)
        with flags:
            pick("group", "Group id", names, roles.group)
            pick("central", "Central flag", names, roles.central)
        features, row_id = st.columns([2, 1])
        with features:
            st.multiselect(
                "Features", names, list(roles.features), key=role_key("features"), on_change=change_roles, wrap=True
            )
        with row_id:
            pick("row_id", "Row id", names, roles.row_id)


def pick(role: str, label: str, names: list[str], found: str | None) -> None:
    options = [NONE, *names]
    st.selectbox(label, options, index=options.index(found) if found else 0, key=role_key(role), on_change=change_roles)


def role_key(role: str) -> str:
    rows = _session.catalog()
    return key_for(role, rows.spec.path, rows.roles, *rows.table.columns)


def change_roles() -> None:
    chosen = {role: st.session_state[role_key(role)] for role in Roles.model_fields}
    change(roles={role: None if value == NONE else value for role, value in chosen.items()})


def scale_card(rows: Catalog) -> None:
    """h, the box and whether it is periodic: from the file where it says so, else asked."""
    said = rows.spec
    key = key_for("scale", said.path, rows.h, rows.box, rows.periodic, rows.length_unit)
    with st.container(border=True):
        st.subheader("Scale and box")
        known = "from the file" if rows.h is not None and said.h is None and "h" not in rows.inferred else "0.6774"
        h = st.number_input(
            "h",
            min_value=0.0,
            max_value=2.0,
            value=rows.h,
            step=0.0001,
            format="%.4f",
            placeholder=f"unknown, e.g. {known}",
            help="Hubble parameter in 100 km/s/Mpc; removes h from Mpc/h and Msun/h.",
            key=f"h_{key}",
        )
        unit = f" [{rows.length_unit}]" if rows.length_unit else ""
        side = st.text_input(
            f"Box size{unit}",
            value="" if rows.box is None else ", ".join(f"{side:.6g}" for side in dict.fromkeys(rows.box.tolist())),
            placeholder="none; one side, or three",
            help="One side length, or three separated by commas; empty where there is no box.",
            key=f"box_{key}",
        )
        periodic = st.toggle(
            "Periodic", value=rows.periodic, key=f"periodic_{key}", help="Neighbours across opposite faces"
        )
        if st.button("Apply", key="apply_scale", width="stretch"):
            try:
                box = sides(side)
            except InputError as error:
                st.error(str(error))
                return
            if periodic and box is None:
                st.error("A periodic catalog needs a box; give its side length.")
                return
            change(
                h=h or None,
                box=box if box != (tuple(rows.box.tolist()) if rows.box is not None else None) else said.box,
                periodic=periodic,
            )
            st.rerun()


def sides(text: str) -> tuple[float, float, float] | None:
    """Box sides from `75` or `75, 75, 100`; None where the text is empty."""
    if not text.strip():
        return None
    try:
        numbers = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not all(np.isfinite(n) and n > 0 for n in numbers):
        raise InputError(f"The box size '{text}' is not one positive number or three; write 75 or 75, 75, 100.")
    return (numbers * 3)[0], (numbers * 3)[1], (numbers * 3)[2]


def cut_card(rows: Catalog) -> None:
    """An expression that keeps some of the rows, and how many that are."""
    whole = _session.catalog_spec().model_copy(update={"where": None})
    total = len(_session.catalog(whole))
    with st.container(border=True):
        entry, count = st.columns([3, 2], gap="medium", vertical_alignment="bottom")
        entry.text_input(
            "Keep rows where",
            value=rows.spec.where or "",
            placeholder="all rows; for example log10(halo_mass) > 12 & is_central",
            help="Columns, numbers, + - * / **, comparisons, &, |, ~ and functions such as log10, sqrt, abs.",
            key=key_for("where", rows.spec.path, rows.spec.where),
            on_change=apply_cut,
        )
        share = len(rows) / total if total else 0.0
        count.progress(share, f"{len(rows):,} of {total:,} rows are kept" if rows.spec.where else f"All {total:,} rows")
        if problem := st.session_state.pop("cut_problem", None):
            st.error(problem, icon=":material/error:")


def apply_cut() -> None:
    where = st.session_state[key_for("where", _session.catalog_spec().path, _session.catalog_spec().where)].strip()
    change(where=where or None)
    st.session_state.cut_problem = st.session_state.pop("catalog_problem", None)


main()
