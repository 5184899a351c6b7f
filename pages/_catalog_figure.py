"""The figure beside every section of the Catalog page: where the objects are, or how one column is spread."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from gnnlib.catalog.expressions import quote
from gnnlib.catalog.table import Catalog, CatalogSpec
from gnnlib.errors import InputError
from gnnlib.view import charts
from gnnlib.view.scene import Scene, catalog_scene
from pages import _session
from pages._layout import put
from pages._linked import HINT, linked_canvas, linked_points
from pages._shown import shown_label, shown_values, stored_value
from pages._sidebar import plain

POSITIONS = "\0positions"
AXES = ("x", "y", "z")
SPACE = "3D"


def figure(whole: Catalog, kept: np.ndarray) -> None:
    """Rows that are kept in colour, rows that a cut takes away in grey."""
    names = [str(name) for name in whole.table.columns]
    options = [POSITIONS, *names] if whole.roles.position else names
    if st.session_state.get("figure_of") not in options:
        numbers = [name for name in names if whole.table[name].dtype.kind in "iuf"]
        first = POSITIONS if whole.roles.position else whole.roles.target or whole.roles.mass or numbers[0]
        put("figure_of", first)
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    shown = bar.selectbox(
        "Figure",
        options,
        key="figure_of",
        persist_state="session",
        format_func=lambda name: "positions" if name == POSITIONS else shown_label(whole, name),
    )
    if shown == POSITIONS:
        _positions(whole, kept, bar)
    else:
        _distribution(whole, kept, shown, bar)


def _positions(whole: Catalog, kept: np.ndarray, bar: Any) -> None:
    try:
        points = whole.positions()
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        return
    along = 2
    if len(whole.axes) == 3:
        ways = (*AXES, SPACE)
        if st.session_state.get("figure_along") is None:
            put("figure_along", AXES[int(np.ptp(np.nan_to_num(points[kept]), axis=0).argmin())])
        seen = bar.segmented_control("Seen along", ways, key="figure_along", required=True, persist_state="session")
        if seen == SPACE:
            _space(_session.catalog_spec())
            return
        along = AXES.index(str(seen))
    unit = f" [{whole.length_unit}]" if whole.length_unit else ""
    across, up = (axis for axis in range(3) if axis != along)
    names = [*whole.axes, ""]
    file = _session.drawn_file(_session.catalog())
    row_ids, own = whole.row_ids, _session.in_file(whole, file)
    if own is not None:
        row_ids, points, kept = row_ids[own], points[own], kept[own]
    shown = charts.positions(
        points[:, across],
        points[:, up],
        (f"{names[across]}{unit}", f"{names[up]}{unit}"),
        kept=kept,
        row_ids=row_ids,
        selected=row_ids[_session.selected_rows(row_ids)],
    )
    linked_points(shown, f"positions_{AXES[along]}", row_ids[kept], points[kept, across], points[kept, up])
    st.caption(HINT if own is None else f"File {plain(file)} alone. {HINT}")


@st.cache_resource(
    max_entries=2,
    show_spinner="Preparing the view",
    hash_funcs={CatalogSpec: lambda spec: spec.model_dump_json()},
)
def _scene(spec: CatalogSpec, moment: float, file: str | None) -> Scene:
    rows = _session.catalog(spec)
    mass = rows.roles.mass
    cut = _session.cut_positions(spec, file) if spec.where else None
    return catalog_scene(rows, color_by=mass, details=(mass,) if mass else (), context=cut, file=file)


def _space(spec: CatalogSpec) -> None:
    """The rows that are kept in 3D, coloured by mass; those that a cut takes away stand around them in grey."""
    try:
        scene = _scene(spec, _session.stamp(spec), _session.drawn_file(_session.catalog(spec)))
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        return
    linked_canvas(scene, key="catalog_canvas", height=420)
    _session.settle()


def _distribution(whole: Catalog, kept: np.ndarray, name: str, bar: Any) -> None:
    column = whole.table[name]
    if column.dtype.kind not in "iuf":
        st.plotly_chart(charts.category_counts(column, name, kept=kept))
        return
    values = shown_values(whole, name, column.to_numpy(dtype=np.float64))
    log = bar.toggle("log", value=_spans_decades(values), key=f"log_{name}")
    st.plotly_chart(
        charts.histogram(values, shown_label(whole, name), log, kept=kept),
        key="figure_histogram",
        on_select=lambda: _take_range(whole, name, log),
        selection_mode="box",
        config={"displayModeBar": False},
    )
    missing = int((~np.isfinite(values)).sum())
    without = int((values <= 0).sum()) if log else 0
    said = [f"{missing:,} rows without a value"] if missing else []
    said += [f"{without:,} rows that are not positive and so have no logarithm"] if without else []
    st.caption(
        (f"Left out: {'; '.join(said)}. " if said else "") + "Drag across the figure to make a subset of a range."
    )


def _take_range(whole: Catalog, name: str, log: bool) -> None:
    """A stretch of the histogram becomes the condition of a subset that is about to be made."""
    boxes = st.session_state.figure_histogram["selection"]["box"]
    if boxes:
        low, high = sorted(float(end) for end in boxes[0]["x"])
        if log:
            low, high = 10.0**low, 10.0**high
        low, high = stored_value(whole, name, low), stored_value(whole, name, high)
        st.session_state.subset_draft = f"{low:.4g} <= {quote(name)} <= {high:.4g}"
        st.session_state.catalog_section = "Subsets"


def _spans_decades(values: np.ndarray) -> bool:
    """True for a column without negative values whose values are far apart."""
    values = values[np.isfinite(values) & (values != 0)]
    if not values.size or values.min() < 0:
        return False
    low, high = np.percentile(values[:: max(1, len(values) // 100_000)], [1, 99])
    return bool(high > 300 * low)
