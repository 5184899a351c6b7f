"""The 3D picture, and the 2D figures that share its selection: what is brushed in one is selected everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.graph.graph import Graph
from gnnlib.view import charts
from gnnlib.view.brush import clicked, enclosed
from gnnlib.view.canvas import CanvasState, graph_canvas
from gnnlib.view.ego import ego_of
from gnnlib.view.scene import Scene
from pages import _session
from pages._layout import number_columns
from pages._shown import shown_label, shown_values

Modes = tuple[Literal["points", "box", "lasso"], ...]
AXES = ("x", "y", "z")
BUTTONS = [["select2d", "lasso2d", "zoom2d", "pan2d", "resetScale2d"]]
NOTHING: Mapping[str, Any] = {}
HINT = "Drag to select; double-click to select nothing."


def linked_canvas(
    scene: Scene, key: str, height: int, on_select: Callable[[tuple[str, ...]], None] = _session.select, **controls: Any
) -> CanvasState:
    """The picture of a page, with the selection and the point of view of all pages. controls: those of `graph_canvas`;
    on_select: takes what a person has just selected in it."""
    state = graph_canvas(
        scene,
        key=key,
        height=height,
        selection=_session.selected_ids(scene.row_ids),
        camera="main",
        view=_session.view(),
        on_view=_session.show_view,
        on_select=on_select,
        **controls,
    )
    _session.select(state.selected)
    return state


def linked_chart(figure: go.Figure, name: str, chosen: Callable[[Mapping[str, Any]], np.ndarray], modes: Modes) -> None:
    """A figure in which a person selects objects. chosen: takes the brush and returns the row ids it means."""
    made = st.session_state.setdefault("brushes", {})
    number, selection = made.get(name, (0, None))
    if selection is not None and selection != _session.selection():
        # Selected anew elsewhere: a fresh figure, without the outline that no longer says what is selected.
        number, selection = number + 1, None
        made[name] = number, None
    key = f"{name}_{number}"
    figure.update_layout(dragmode="select" if "box" in modes else False, modebar={"bgcolor": "rgba(0,0,0,0)"})
    st.plotly_chart(
        figure,
        key=key,
        on_select=partial(_take, name, key, number, chosen),
        selection_mode=modes,
        config={
            "displayModeBar": "hover" if "lasso" in modes else False,
            "modeBarButtons": BUTTONS,
            "displaylogo": False,
        },
    )


def _take(name: str, key: str, number: int, chosen: Callable[[Mapping[str, Any]], np.ndarray]) -> None:
    brush = st.session_state[key]["selection"]
    _session.select(chosen(brush).tolist())
    st.session_state.brushes[name] = number, _session.selection()


def linked_points(figure: go.Figure, name: str, row_ids: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """A scatter plot of the rows [N] at x, y [N]; it may show only some of them."""

    def chosen(brush: Mapping[str, Any]) -> np.ndarray:
        if brush.get("box") or brush.get("lasso"):
            return row_ids[enclosed(brush, x, y)]
        return row_ids[np.isin(row_ids.astype(str), clicked(brush))]

    linked_chart(figure, name, chosen, ("points", "box", "lasso"))


def linked_table(
    table: pd.DataFrame, key: str, choose: Callable[[int], None], height: int = 280, config: Mapping[str, Any] = NOTHING
) -> None:
    """A table of which one row can be chosen. choose: takes the place of the row. config: of columns, by name."""
    st.dataframe(
        table,
        hide_index=True,
        height=height,
        on_select=partial(_choose, key, choose),
        selection_mode="single-row",
        key=key,
        column_config=number_columns(table) | dict(config),
    )


def _choose(key: str, choose: Callable[[int], None]) -> None:
    chosen = st.session_state[key]["selection"]["rows"]
    if chosen:
        choose(chosen[0])


def selected_mask(row_ids: np.ndarray) -> np.ndarray:
    """[N] bool: which rows are selected."""
    mask = np.zeros(len(row_ids), dtype=bool)
    mask[_session.selected_rows(row_ids)] = True
    return mask


def linked_histogram(rows: Catalog, degree: np.ndarray | None = None) -> None:
    """How one column, or the degree, is spread; a stretch of it selects the objects in it."""
    numeric = [str(name) for name in rows.table.columns if rows.table[name].dtype.kind in "iuf"]
    options = ["degree", *numeric] if degree is not None else numeric
    with st.container(horizontal=True, vertical_alignment="bottom"):
        column = st.selectbox(
            "Histogram of",
            options,
            key="histogram_of",
            persist_state="session",
            format_func=lambda name: "degree" if name == "degree" and degree is not None else shown_label(rows, name),
        )
        values = (
            degree
            if column == "degree" and degree is not None
            else shown_values(rows, column, rows.table[column].to_numpy(dtype=np.float64))
        )
        log = column != "degree" and st.toggle("log", value=spans_decades(values), key=f"histogram_log_{column}")
    selected = selected_mask(rows.row_ids)
    if column == "degree" and degree is not None:
        figure = charts.degree_histogram(degree, selected)
    else:
        figure = charts.histogram(values, shown_label(rows, column), log, selected=selected)
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.log10(values) if log else values
    linked_chart(figure, f"histogram_{column}_{log}", lambda brush: rows.row_ids[enclosed(brush, along)], ("box",))
    st.caption(HINT)


def spans_decades(values: np.ndarray) -> bool:
    """True for positive numbers that are far apart."""
    positive = values[np.isfinite(values) & (values > 0)]
    return bool(positive.size and np.isfinite(values).sum() == positive.size and positive.max() > 300 * positive.min())


def linked_slice(rows: Catalog) -> None:
    """A slab through space seen along one axis; it moves to an object that is selected."""
    points = rows.positions()
    finite = np.isfinite(points).all(axis=1)
    low, high = points[finite].min(axis=0), points[finite].max(axis=0)
    if not (high - low > 0).all():
        return
    unit = f" [{rows.length_unit}]" if rows.length_unit else ""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seen = st.segmented_control(
            "Slice along", AXES, default="z", required=True, key="slice_along", persist_state="session"
        )
        along = AXES.index(str(seen))
        depth = float(high[along] - low[along])
        place_slab(rows, points, along, float(low[along]), depth)
        st.slider(
            f"{seen}{unit}",
            float(low[along]),
            float(high[along]),
            step=depth / 200,
            format="%.4g",
            key=f"slice_{seen}",
        )
    near, far = st.session_state[f"slice_{seen}"]
    if (own := _session.in_file(rows, _session.drawn_file(rows))) is not None:
        finite &= own
    inside = np.flatnonzero(finite & (points[:, along] >= near) & (points[:, along] <= far))
    across, up = (axis for axis in range(3) if axis != along)
    x, y = points[inside, across], points[inside, up]
    figure = charts.positions(
        x,
        y,
        (f"{AXES[across]}{unit}", f"{AXES[up]}{unit}"),
        row_ids=rows.row_ids[inside],
        selected=rows.row_ids[_session.selected_rows(rows.row_ids)],
    )
    linked_points(figure, f"slice_{seen}", rows.row_ids[inside], x, y)
    st.caption(f"{len(inside):,} of {len(rows):,} objects. {HINT}")


def place_slab(rows: Catalog, points: np.ndarray, along: int, low: float, depth: float) -> None:
    """Set the slider of the slab before it is shown: a tenth of the depth in the middle; around the object
    that was selected elsewhere, where that lies outside."""
    state, key = st.session_state, f"slice_{AXES[along]}"
    span = state.get(key) or (low + 0.45 * depth, low + 0.55 * depth)
    places = _session.selected_rows(rows.row_ids)
    last = (key, _session.selection())
    if len(places) == 1 and state.get("slice_followed") != last:
        at = float(points[places[0], along])
        if np.isfinite(at) and not span[0] <= at <= span[1]:
            half = (span[1] - span[0]) / 2
            span = (at - half, at + half)
    state.slice_followed = last
    span = max(low, span[0]), min(low + depth, span[1])
    if span[0] >= span[1]:
        span = low, low + depth
    state[key] = span


def ego(graph: Graph, at: int, within: float | None = None, weights: np.ndarray | None = None) -> None:
    """Node `at` among its neighbours; a click on one of them selects it."""
    found = ego_of(graph, at, within, weights)
    if not found.degree:
        st.caption("It has no neighbours.")
        return
    figure = charts.ego_graph(found, graph.row_ids, graph.length_unit)

    def chosen(brush: Mapping[str, Any]) -> np.ndarray:
        picked = clicked(brush)
        return np.array(picked[-1:] or [str(graph.row_ids[at])])

    linked_chart(figure, "ego", chosen, ("points",))
    nearest = "nearest" if weights is None else "most attended"
    few = f"; the {len(found.places)} {nearest} are shown" if len(found.places) < found.degree else ""
    st.caption(f"{found.degree:,} neighbours where they are around it{few}. Click one to go there.")
