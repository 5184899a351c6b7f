"""What a run's model attended to: weights on the edges in space, against separation, and of one object."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.explain.attention import (
    ALL_HEADS,
    LARGEST,
    between_folds,
    between_heads,
    between_runs,
    by_kind,
    by_quantity,
    by_separation,
    edge_quantities,
    entropy,
    head_label,
    to_themselves,
    top_edges,
    weights,
)
from gnnlib.explain.attention import relative as relative_to_share
from gnnlib.graph.graph import Graph
from gnnlib.training.run import Run, list_runs
from gnnlib.view import charts
from gnnlib.view.colors import colors_of
from gnnlib.view.export import Shot
from gnnlib.view.scene import Scene, graph_scene
from pages import _results, _session
from pages._exports import downloads
from pages._layout import heading, next_step
from pages._linked import ego, linked_canvas
from pages._node import own_row
from pages._scene_files import scene_files
from pages._sidebar import in_words, plain, run_label, run_title


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
    about(run, rows, which)
    edges, row = st.columns(2, gap="medium")
    with edges:
        edges_of_node(run, which, graph, attention)
    with row:
        own_values(rows)
    downloads("Attention of every edge", f"attention_{run.id}", lambda: _results.attention(run))
    next_step("trust.py", "Next: whether to believe it", ":material/balance:")


def choice(run: Run) -> tuple[str, bool]:
    """Which weights, and whether relative to an equal share."""
    which = st.selectbox(
        "Weights",
        [ALL_HEADS, LARGEST, *_results.attention_heads(run)],
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
def scene_of(run_id: str, moment: float, which: str, relative: bool, file: str | None) -> Scene:
    run = _session.load_run(run_id)
    rows, graph, _ = _results.outcome(run)
    attention = _results.edge_attention(run, which, relative)
    assert attention is not None
    known = np.isfinite(attention)
    return graph_scene(
        graph.with_edges(known),
        rows,
        size_by=rows.roles.mass,
        edge_colors=colors_of(attention[known], "attention × degree" if relative else "attention", color_map="plasma"),
        details=(rows.roles.mass,) if rows.roles.mass else (),
        file=file,
    )


def canvas(run: Run, which: str, relative: bool) -> None:
    file = _session.drawn_file(_results.outcome(run)[0])
    scene = scene_of(run.id, _results.written(run), which, relative, file)
    assert scene.edge_colors is not None
    low, high = scene.edge_colors.limits
    state = linked_canvas(
        scene, key=f"attention_canvas_{relative}", height=600, attention_control=(min(low, 0.0), high, min(low, 0.0))
    )
    if scene.caption:
        st.caption(in_words(scene.caption))
    scene_files(scene, Shot(attention=state.attention), _session.seen())
    _session.settle()


def about(run: Run, rows: Catalog, which: str) -> None:
    """Whom objects attend to, and whether heads, folds and other runs say the same."""
    part = st.segmented_control(
        "About attention",
        ["What draws attention", "Do heads and folds agree?", "Another run"],
        default="What draws attention",
        required=True,
        key="attention_about",
        persist_state="session",
        label_visibility="collapsed",
    )
    if part == "What draws attention":
        what_draws_attention(run, rows, which)
    elif part == "Another run":
        another_run(run, which)
    else:
        agreement(run, which)


QUANTITIES = {
    "separation": "separation",
    "mass_ratio": "log₁₀ mass of the neighbour / own mass",
    "speed": "relative speed [km/s]",
    "approach": "relative velocity along the edge [km/s], receding positive",
}


def what_draws_attention(run: Run, rows: Catalog, which: str) -> None:
    along, kinds = st.columns(2, gap="medium")
    moment = _results.written(run)
    with along:
        profiles = profiles_of(run.id, moment, which)
        name = st.selectbox(
            "Attention against",
            list(profiles),
            format_func=lambda name: QUANTITIES[name].split(" [")[0],
            key="attention_against",
            persist_state="session",
        )
        unit = f" [{rows.length_unit}]" if name == "separation" and rows.length_unit else ""
        st.plotly_chart(charts.attention_profile(profiles[name], QUANTITIES[name] + unit), key="profile")
        st.caption("Attention × degree: 1 where a neighbour gets no more than its share. Band: 16–84 % of the edges.")
    with kinds:
        st.subheader("Centrals and satellites", anchor=False)
        table = kinds_of(run.id, moment, which)
        if table is None:
            st.caption("The catalog has no column that tells centrals from satellites.")
        else:
            st.plotly_chart(charts.attention_by_kind(table), key="attention_by_kind")
            st.caption("From the neighbour to the object that listens; median and 16–84 % of the edges.")
        own = to_themselves(_results.attention(run), which)
        st.caption(
            "No object listens to itself: this graph has no self-loops."
            if own is None
            else f"Self-loops are in no figure here; on average an object gives its own {own:.3f} of its attention."
        )


def agreement(run: Run, which: str) -> None:
    spread, heads, folds = st.columns(3, gap="medium")
    found = agreement_of(run.id, _results.written(run))
    names = [head_label(name) for name in found["heads"].index]
    with spread:
        st.subheader("How spread out", anchor=False)
        st.plotly_chart(
            charts.head_entropy(found["entropy"], [head_label(name) for name in found["entropy"]["head"]]),
            key="head_entropy",
        )
    with heads:
        st.subheader("Between heads", anchor=False)
        st.plotly_chart(charts.agreement(found["heads"], names), key="head_agreement")
    with folds:
        st.subheader("Between folds", anchor=False)
        try:
            table = fold_agreement(run.id, _results.written(run))
            st.plotly_chart(charts.agreement(table, list(table.index)), key="fold_agreement")
        except InputError as error:
            st.caption(str(error))
    st.caption(
        "Spread: 0 where all attention is on one edge, 1 where every edge has an even share. Agreement: rank "
        "correlation of the weights among the neighbours of one object, in the mean over objects. For the folds "
        "each model was asked about the same 300 objects."
    )


def another_run(run: Run, which: str) -> None:
    """Agreement with a run of another seed, or of other choices, on the same catalog."""
    others = [
        other
        for other in list_runs()
        if other.id != run.id
        and other.status.state == "finished"
        and _results.attention_heads(other)
        and other.spec.catalog.path == run.spec.catalog.path
    ]
    if not others:
        st.info("There is no other finished attention run on this catalog; train one with another seed to compare.")
        return
    chosen = st.selectbox("Run", others, format_func=run_label, key="attention_other_run")
    head = which if which in (ALL_HEADS, LARGEST) else ALL_HEADS
    rho, error, objects = between_runs(_results.attention(run), _results.attention(chosen), head)
    if not objects:
        st.info("The two runs have no object in common that attends to the same three neighbours.")
        return
    st.metric("Agreement (rank correlation)", f"{rho:+.3f} ± {error:.3f}", width="content")
    st.caption(f"{head_label(head)}, mean over {objects:,} objects with at least three common neighbours.")


@st.cache_data(max_entries=8, show_spinner=False)
def profiles_of(run_id: str, moment: float, which: str) -> dict[str, pd.DataFrame]:
    run = _session.load_run(run_id)
    table, rows = _results.attention(run), _results.outcome(run)[0]
    known = edge_quantities(table, rows)
    others = {str(name): by_quantity(table, known[name].to_numpy(), which) for name in known if name != "separation"}
    return {"separation": by_separation(table, which), **others}


@st.cache_data(max_entries=8, show_spinner=False)
def kinds_of(run_id: str, moment: float, which: str) -> pd.DataFrame | None:
    run = _session.load_run(run_id)
    rows = _results.outcome(run)[0]
    central = _results.central_flag(run, rows)
    return None if central is None else by_kind(_results.attention(run), rows, central, which)


@st.cache_data(max_entries=4, show_spinner="Comparing heads")
def agreement_of(run_id: str, moment: float) -> dict[str, pd.DataFrame]:
    table = _results.attention(_session.load_run(run_id))
    return {"entropy": entropy(table), "heads": between_heads(table)}


@st.cache_data(max_entries=4, show_spinner="Asking every fold's model about the same objects")
def fold_agreement(run_id: str, moment: float) -> pd.DataFrame:
    return between_folds(_results.replay(_session.load_run(run_id)))


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
