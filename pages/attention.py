"""What a run's model attended to: weights on the edges in space, against separation, and of one object."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.explain.attention import ALL_HEADS, by_separation, head_label, top_edges, weights
from gnnlib.explain.attention import relative as relative_to_share
from gnnlib.graph.graph import Graph
from gnnlib.training.run import Run
from gnnlib.view import charts
from gnnlib.view.canvas import graph_canvas
from gnnlib.view.colors import colors_of
from gnnlib.view.export import Shot
from gnnlib.view.scene import Scene, graph_scene
from pages import _results, _session
from pages._exports import downloads
from pages._layout import heading, next_step
from pages._linked import ego
from pages._node import own_row
from pages._scene_files import scene_files
from pages._sidebar import plain, run_title


def main() -> None:
    with _session.explained():
        run = _session.current_run()
    if run is None or not _results.attention_heads(run):
        heading("Attention", "How much each object listened to each of its neighbours.")
        if run is None:
            st.info("No run is open. Train an attention model, or open a run from the sidebar.")
        else:
            st.info(
                f"The run in view, {plain(run_title(run))}, keeps no attention: only the model 'Attention' weighs its "
                "neighbours. Train one, or open another run from the sidebar."
            )
        next_step("train.py", "Train an attention model", ":material/model_training:")
        return
    heading(
        "Attention",
        f"How much each object of **{plain(run_title(run))}** listened to each neighbour; the weights sum to 1.",
    )
    if sentence := _results.of_another_task(run):
        st.info(plain(sentence))
        downloads("Attention of every edge", f"attention_{run.id}", lambda: _results.attention(run))
        return
    with _session.explained():
        rows, graph, _ = _results.outcome(run)
    picture, controls = st.columns([7, 2], gap="medium")
    with controls:
        which, relative = choice(run)
    with _session.explained():
        attention = _results.edge_attention(run, which, relative)
    assert attention is not None
    with picture:
        canvas(run, which, relative)
    with controls:
        known = np.isfinite(attention)
        st.caption(
            f"{int(known.sum()):,} of {graph.n_edges:,} directed edges carry attention: those of which the "
            "receiver was tested on a graph that holds the edge."
        )
    profile, node = st.columns(2, gap="medium")
    with profile:
        st.subheader("Attention against separation", anchor=False)
        bins = profile_of(run.id, _results.written(run), which)
        st.plotly_chart(charts.attention_by_separation(bins, graph.length_unit), key="profile")
        st.caption("Attention × degree: 1 where a neighbour gets no more than its share. Band: 16–84 % of the edges.")
        own_values(rows)
    with node:
        edges_of_node(run, which, graph, attention)
    downloads("Attention of every edge", f"attention_{run.id}", lambda: _results.attention(run))
    next_step("catalog.py", "Next: try your own catalog", ":material/upload:")


def choice(run: Run) -> tuple[str, bool]:
    """Which weights, and whether relative to an equal share."""
    which = st.selectbox(
        "Weights",
        [ALL_HEADS, *_results.attention_heads(run)],
        format_func=head_label,
        key="attention_head",
        persist_state="session",
    )
    relative = st.toggle(
        "Relative to an equal share",
        value=True,
        key="attention_relative",
        persist_state="session",
        help="Attention × degree of the receiver: 1 means no preference. Without it, objects with few edges stand out.",
    )
    return which, relative


@st.cache_resource(max_entries=4, show_spinner="Preparing the view")
def scene_of(run_id: str, moment: float, which: str, relative: bool) -> Scene:
    run = _session.load_run(run_id)
    rows, graph, _ = _results.outcome(run)
    attention = _results.edge_attention(run, which, relative)
    assert attention is not None
    known = np.isfinite(attention)
    return graph_scene(
        with_edges(graph, known),
        rows,
        size_by=rows.roles.mass,
        edge_colors=colors_of(attention[known], "attention × degree" if relative else "attention", color_map="plasma"),
        details=(rows.roles.mass,) if rows.roles.mass else (),
    )


def with_edges(graph: Graph, keep: np.ndarray) -> Graph:
    """The same nodes with some of the edges."""
    return replace(
        graph,
        edge_index=graph.edge_index[:, keep],
        separations=graph.separations[keep],
        lengths=graph.lengths[keep],
        edge_features=graph.edge_features[keep],
    )


def canvas(run: Run, which: str, relative: bool) -> None:
    scene = scene_of(run.id, _results.written(run), which, relative)
    assert scene.edge_colors is not None
    low, high = scene.edge_colors.limits
    state = graph_canvas(
        scene,
        key=f"attention_canvas_{relative}",
        height=600,
        selection=_session.selected_ids(scene.row_ids),
        attention_control=(min(low, 0.0), high, min(low, 0.0)),
        camera="main",
        view=_session.view(),
        on_view=_session.show_view,
        on_select=_session.select,
    )
    _session.select(state.selected)
    if scene.caption:
        st.caption(scene.caption.capitalize())
    scene_files(scene, Shot(attention=state.attention), _session.seen())
    _session.settle()


@st.cache_data(max_entries=8, show_spinner=False)
def profile_of(run_id: str, moment: float, which: str) -> pd.DataFrame:
    return by_separation(_results.attention(_session.load_run(run_id)), which)


@st.cache_data(max_entries=8, show_spinner=False)
def strongest(run_id: str, moment: float, which: str) -> pd.DataFrame:
    return top_edges(_results.attention(_session.load_run(run_id)), 200, which)


def own_values(rows: Catalog) -> None:
    """The row of the object selected last."""
    places = _session.selected_rows(rows.row_ids)
    if len(places):
        st.subheader(f"Row {plain(rows.row_ids[places[-1]])}", anchor=False)
        st.dataframe(own_row(rows, int(places[-1])), hide_index=True, height=250)


def edges_of_node(run: Run, which: str, graph: Graph, attention: np.ndarray) -> None:
    """The edges of the selected object, the most attended first, self-loops marked; else the strongest of all.

    attention: [M] of the graph's edges, as the picture shows it.
    """
    places = _session.selected_rows(graph.row_ids)
    if not len(places):
        st.subheader("Strongest preferences", anchor=False)
        edges = strongest(run.id, _results.written(run), which)
        caption = "Of all objects. Click one in the picture to see whom it listened to."
    else:
        row_id = graph.row_ids[places[-1]]
        st.subheader(f"Edges of row {plain(row_id)}", anchor=False)
        ego(graph, int(places[-1]), weights=attention)
        table = _results.attention(run)
        own = table[table["receiver"] == row_id]
        edges = own[["source", "length", "self_loop"]].assign(
            attention=weights(own, which), relative_attention=relative_to_share(own, which)
        )
        edges = edges.sort_values("attention", ascending=False, ignore_index=True)
        caption = f"{len(edges)} edges, the most attended first; their weights sum to {edges['attention'].sum():.2f}."
    unit = f" [{graph.length_unit}]" if graph.length_unit else ""
    most = float(edges["attention"].max()) if len(edges) else 1.0
    st.dataframe(
        edges,
        hide_index=True,
        height=290,
        column_config={
            "length": st.column_config.NumberColumn(f"separation{unit}", format="%.3f"),
            "self_loop": st.column_config.CheckboxColumn("self-loop"),
            "attention": st.column_config.ProgressColumn("attention", format="%.3f", min_value=0.0, max_value=most),
            "relative_attention": st.column_config.NumberColumn("× degree", format="%.2f"),
        },
    )
    st.caption(caption)


main()
