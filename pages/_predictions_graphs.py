"""The Predictions page of a run that predicts a number of each group of objects: parity, groups, residuals in space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.explain.errors import percentile
from gnnlib.explain.graphs import whole_graphs
from gnnlib.graph.build import build_graph
from gnnlib.graph.graph import Graph
from gnnlib.training.data import usable_rows
from gnnlib.training.run import Run
from gnnlib.training.tasks.graphs import column_of
from gnnlib.view import charts
from gnnlib.view.brush import clicked, enclosed
from gnnlib.view.colors import colors_of
from gnnlib.view.export import Shot
from gnnlib.view.scene import Scene, graph_scene
from gnnlib.view.viewpoint import around
from pages import _results, _session
from pages._exports import downloads
from pages._layout import EXTREMES, headed_choice, number_columns
from pages._linked import HINT, linked_canvas, linked_chart, linked_table
from pages._node import interval
from pages._scene_files import scene_files
from pages._sidebar import in_words, plain

LISTED = 1000  # groups in the table
POINTS = 20_000  # of the parity plot
MEMBERS = 500  # of a group, in its card


@dataclass(frozen=True)
class Groups:
    """rows: that the run used. graph: theirs, without edges between groups. table: one row a predicted group, as in
    predictions.parquet. place: [N] of each row's group in it, -1 where that is not predicted (yet). column: what
    divides the rows into groups.
    """

    rows: Catalog
    graph: Graph
    table: pd.DataFrame
    place: np.ndarray
    column: str

    def members(self, group: int) -> np.ndarray:
        """Row ids of the members of the group at this place of the table."""
        return self.rows.row_ids[self.place == group]

    @property
    def shown(self) -> int:
        """The group that the card is about: that of the object selected last, else that of the largest residual."""
        chosen = self.place[_session.selected_rows(self.rows.row_ids)]
        chosen = chosen[chosen >= 0]
        return int(chosen[-1]) if len(chosen) else int(np.nanargmax(np.abs(self.table["residual"])))

    @property
    def selected(self) -> np.ndarray:
        """Places of the groups that have a selected member."""
        chosen = np.unique(self.place[_session.selected_rows(self.rows.row_ids)])
        return chosen[chosen >= 0]


@st.cache_resource(max_entries=4, show_spinner="Opening the run")
def _groups(run_id: str, moment: float) -> Groups:
    run = _session.load_run(run_id)
    rows, predictions = _session.catalog(run.spec.catalog), run.predictions
    rows = rows.take(usable_rows(run.spec, rows))
    graph, place = whole_graphs(run.spec, rows, build_graph(rows, run.spec.graph), predictions)
    return Groups(rows, graph, predictions, place, column_of(run.spec, rows))


@st.cache_resource(max_entries=4, show_spinner="Preparing the view")
def scene_of(run_id: str, moment: float, file: str | None) -> Scene:
    groups = _groups(run_id, moment)
    residual = groups.table["residual"].to_numpy()
    reach = float(np.nanquantile(np.abs(residual), 0.98)) or 1.0
    of_rows = np.where(groups.place < 0, np.nan, residual[groups.place])
    details = [name for name in (groups.column, groups.rows.roles.mass) if name]
    return graph_scene(
        groups.graph,
        groups.rows,
        color_by=colors_of(of_rows, "residual of the group", limits=(-reach, reach), around_zero=True),
        file=file,
        size_by=groups.rows.roles.mass,
        details=tuple(dict.fromkeys(details)),
    )


def show(run: Run) -> None:
    with _session.explained():
        groups = _groups(run.id, _results.written(run))
    inspected(run, groups)
    plot, listed = st.columns([2, 3], gap="medium")
    with plot:
        parity(groups, run.results["target"])
    with listed:
        table(run, groups)
    downloads("Every group with its prediction", f"predictions_{run.id}", lambda: run.predictions)


@st.fragment(key="inspected_groups")
def inspected(run: Run, groups: Groups) -> None:
    """Picture and card. A click runs this part alone, so that the card answers at once; the rest follows."""
    picture, card = st.columns([3, 2], gap="medium")
    with picture:
        residual_map(run, groups)
    with card:
        group_card(run, groups)
    _session.settle()


def residual_map(run: Run, groups: Groups) -> None:
    st.subheader("Residuals in space", anchor=False)
    scene = scene_of(run.id, _results.written(run), _session.drawn_file(groups.rows))

    def choose(row_ids: tuple[str, ...]) -> None:
        """One object stands for its whole group; several that were drawn around for themselves."""
        _session.select(row_ids)
        if len(row_ids) == 1 and len(groups.selected):
            _session.select(groups.members(int(groups.selected[0])).tolist())

    linked_canvas(scene, key="groups_canvas", height=470, on_select=choose)
    if scene.caption:
        st.caption(in_words(scene.caption))
    scene_files(scene, Shot(), _session.seen())


def group_card(run: Run, groups: Groups) -> None:
    """What was predicted for the group, with its interval, and its members."""
    at = groups.shown
    row = groups.table.iloc[at]
    members = np.flatnonzero(groups.place == at)
    with st.container(border=True):
        name = groups.table["graph_id"].iloc[at]  # an id would not survive in `row`, which is all floats
        st.subheader(f"{plain(groups.column)} {plain(name)}", anchor=False)
        if not len(groups.selected):
            st.caption("The group with the largest residual. Click an object, a point or a row to see another one.")
        with st.container(horizontal=True, gap="medium"):
            st.metric("Prediction", f"{row['prediction']:.3f}", width="content")
            st.metric("Truth", f"{row['truth']:.3f}", width="content")
            pull = f"{abs(row['residual']) / row['sigma']:.1f} σ" if row["sigma"] > 0 else None
            st.metric(
                "Residual", f"{row['residual']:+.3f}", pull, delta_color="off", delta_arrow="off", width="content"
            )
            st.metric("Members", f"{row['n_nodes']:,.0f}", width="content")
        st.caption(said_of(row, groups.table))
        st.button(
            "Select its members",
            icon=":material/select_all:",
            key="select_group",
            on_click=go_to,
            args=(run, groups, at),
        )
        names = [name for name in dict.fromkeys((groups.rows.roles.mass, *groups.rows.roles.features[:5])) if name]
        listed = groups.rows.table.iloc[members[:MEMBERS]][names].reset_index(drop=True)
        listed.insert(0, "row", groups.rows.row_ids[members[:MEMBERS]])
        st.dataframe(listed, hide_index=True, height=180, column_config=number_columns(listed), key=f"members_{at}")


def said_of(row: pd.Series, table: pd.DataFrame) -> str:
    """The interval, the fold and the rank of a group."""
    rank = percentile(table["residual"].to_numpy(), row["residual"])
    said = f"Its residual is larger than that of {rank:.1f} % of the groups."
    if found := interval(row):
        low, high, how = found
        said = f"{how} {low:.3f} to {high:.3f}, predicted by fold {int(row['fold']) + 1}, out of fold. {said}"
    return said


def go_to(run: Run, groups: Groups, group: int) -> None:
    """Select the members of a group and move the picture there."""
    rows = groups.place == group
    _session.select(groups.rows.row_ids[rows].tolist())
    _session.draw_file_of(groups.rows, int(np.argmax(rows)))
    scene = scene_of(run.id, _results.written(run), _session.drawn_file(groups.rows))
    _session.show_view(around(scene, groups.graph.positions[rows], groups.graph.box, _session.view()))


def parity(groups: Groups, target: str) -> None:
    st.subheader("Parity", anchor=False)
    part = np.arange(len(groups.table))
    if len(part) > POINTS:
        part = np.unique([*np.random.default_rng(0).choice(part, POINTS, replace=False), *groups.selected])
    shown = groups.table.iloc[part]
    ids = groups.table["graph_id"].to_numpy()
    truth, prediction = (groups.table[name].to_numpy() for name in ("truth", "prediction"))
    figure = charts.parity(
        truth[part],
        prediction[part],
        ids[part],
        target,
        np.log10(shown["n_nodes"].to_numpy()),
        "log₁₀ members",
        ids[groups.selected],
        point="group",
    )

    def chosen(brush: Mapping[str, Any]) -> np.ndarray:
        """The members of the groups that a brush means."""
        if brush.get("box") or brush.get("lasso"):
            meant = enclosed(brush, truth, prediction)
        else:
            meant = np.isin(ids.astype(str), clicked(brush))
        return groups.rows.row_ids[(groups.place >= 0) & meant[groups.place]]

    linked_chart(figure, "groups_parity", chosen, ("points", "box", "lasso"))
    st.caption(f"One point a group; a click selects its members. {HINT}")
    if len(part) < len(ids):
        st.caption(f"{len(part):,} of {len(ids):,} groups, a random subset; the scores are of all.")


def table(run: Run, groups: Groups) -> None:
    """The worst or the best predicted groups; selecting one selects its members and goes there."""
    which = headed_choice("Groups", "Which groups", EXTREMES, "which_groups")
    size = np.abs(groups.table["residual"].to_numpy())
    order = np.argsort(-size if which == "Worst" else size, kind="stable")[:LISTED]
    numbers = ["truth", "prediction", "sigma", "residual"]
    listed = groups.table[["graph_id", "n_nodes", *numbers, "fold"]].iloc[order].reset_index(drop=True)
    config: dict[str, Any] = {name: st.column_config.NumberColumn(format="%.3f") for name in numbers}
    config |= {
        "graph_id": st.column_config.Column(groups.column),
        "n_nodes": st.column_config.NumberColumn("members"),
    }
    linked_table(listed, f"groups_{which}", lambda place: go_to(run, groups, int(order[place])), 440, config)
    extreme = "largest" if which == "Worst" else "smallest"
    st.caption(f"The {len(listed):,} {extreme} residuals; select a row to see the group and its members.")
