"""The card of one object: its row, what was predicted for it, and its neighbours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.graph.graph import Graph
from gnnlib.training.run import Run
from pages import _session
from pages._linked import ego
from pages._sidebar import plain


def node_card(run: Run, rows: Catalog, graph: Graph, predictions: pd.DataFrame, attention: np.ndarray | None) -> None:
    """The object selected last, else the one with the largest residual.

    attention: one value an edge of the graph, NaN where unknown, or None.
    """
    places = _session.selected_rows(rows.row_ids)
    with st.container(border=True):
        at = int(places[-1]) if len(places) else int(np.nanargmax(np.abs(predictions["residual"])))
        row = predictions.iloc[at]
        st.subheader(f"Row {plain(rows.row_ids[at])}", anchor=False)
        if not len(places):
            st.caption("The largest residual. Click another object in the picture, in a plot or in the table.")
        with st.container(horizontal=True, gap="medium"):
            sigma = "" if not np.isfinite(row["sigma"]) else f" ± {row['sigma']:.3f}"
            st.metric("Prediction", f"{row['prediction']:.3f}{sigma}", width="content")
            st.metric("Truth", f"{row['truth']:.3f}", width="content")
            pull = ""
            if np.isfinite(row["sigma"]) and row["sigma"] > 0:
                pull = f"{abs(row['residual']) / row['sigma']:.1f} σ"
            st.metric(
                "Residual",
                f"{row['residual']:+.3f}",
                pull or None,
                delta_color="off",
                delta_arrow="off",
                width="content",
            )
        left, right = st.columns(2)
        with left:
            ego(graph, at, weights=attention)
        with right:
            own, others = st.tabs(["Its row", "Its neighbours"])
            own.dataframe(own_row(rows, at), hide_index=True, height=250)
            others.dataframe(neighbours(graph, at, attention), hide_index=True, height=250)


def own_row(rows: Catalog, at: int) -> pd.DataFrame:
    """Column with its unit, and value, of one row."""
    values = rows.table.iloc[at]
    return pd.DataFrame(
        {
            "column": [rows.columns[str(name)].label for name in values.index],
            "value": [f"{value:.6g}" if isinstance(value, float | np.floating) else str(value) for value in values],
        }
    )


def neighbours(graph: Graph, at: int, attention: np.ndarray | None) -> pd.DataFrame:
    """The sources of the node's edges: row id, separation and, where known, attention; the most important first."""
    edges = np.flatnonzero(graph.edge_index[1] == at)
    source = graph.edge_index[0, edges]
    table = pd.DataFrame(
        {
            "row": graph.row_ids[source],
            f"separation [{graph.length_unit}]" if graph.length_unit else "separation": graph.lengths[edges],
        }
    )
    if attention is None:
        return table.sort_values(table.columns[1], ignore_index=True)
    table["attention"] = attention[edges]
    return table.sort_values("attention", ascending=False, ignore_index=True)
