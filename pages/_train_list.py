"""All runs: open one, compare several, delete with a way back."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from gnnlib.errors import InputError
from gnnlib.training.compare import differences, same_test
from gnnlib.training.run import ACTIVE, Run, deleted_runs, list_runs, restore_run
from gnnlib.view import charts
from pages import _results, _session
from pages._sidebar import graph_label, plain, run_title

LISTED = 200
COMPARED = 8  # runs side by side, as many as there are colours


def all_runs() -> None:
    runs = list_runs()[:LISTED]
    st.subheader("Runs", anchor=False)
    way_back()
    if not runs:
        st.caption("There are none yet.")
        return
    table = pd.DataFrame([row_of(run) for run in runs])
    st.session_state.listed_runs = [run.id for run in runs]
    st.dataframe(
        table,
        hide_index=True,
        on_select=open_selected,
        selection_mode="multi-row",
        key="runs",
        column_config={
            "R²": st.column_config.NumberColumn(format="%.3f"),
            "RMSE": st.column_config.NumberColumn(format="%.3f"),
            "score": st.column_config.TextColumn(help="The figure that says most for the run's task"),
            "started": st.column_config.DatetimeColumn(format="MMM D, HH:mm"),
            "progress": st.column_config.ProgressColumn("Progress", format="percent", min_value=0, max_value=1),
        },
    )
    chosen = [runs[at] for at in st.session_state.runs["selection"]["rows"] if at < len(runs)]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption("Select a run to open it, several to see them side by side.", width="stretch")
        removable = [run for run in chosen if not run.read_only and run.status.state not in ACTIVE]
        if removable:
            what = "the run" if len(removable) == 1 else f"{len(removable)} runs"
            st.button(
                f"Delete {what}",
                icon=":material/delete:",
                key="delete_runs",
                on_click=delete,
                args=([run.id for run in removable],),
            )
        trash()
    side_by_side([run for run in chosen if run.status.state != "damaged"])


def row_of(run: Run) -> dict[str, Any]:
    status = run.status
    row: dict[str, Any] = {"run": run_title(run), "state": status.state, "progress": status.progress}
    if status.state == "damaged":
        return row
    spec = run.spec
    results = run.results if status.state == "finished" else {}
    return row | {
        "model": spec.model.name.replace("_", " "),
        "predicts": spec.predicted,
        "graph": graph_label(spec.graph, results.get("length_unit", "")),
        "score": score_of(run, results),
        "notes": run.notes.strip().split("\n")[0][:60],
        "started": status.started,
        "id": run.id,
    }


def score_of(run: Run, results: dict[str, Any]) -> str:
    """`R² 0.912` or the like; "" before the run is finished."""
    if not results:
        return ""
    name = _results.listed(run)
    return f"{_results.METRICS[name][0]} {_results.shown_metric(name, results['metrics'][name]['mean'])}"


def open_selected() -> None:
    rows = st.session_state.runs["selection"]["rows"]
    if len(rows) == 1:
        try:
            _session.open_run(st.session_state.listed_runs[rows[0]])
        except InputError as error:
            st.session_state.notice = str(error)


# Side by side


def side_by_side(runs: list[Run]) -> None:
    """Curves, scores and settings of the selected runs."""
    if len(runs) < 2:
        return
    st.subheader("Side by side", anchor=False)
    if len(runs) > COMPARED:
        st.caption(f"The first {COMPARED} of {len(runs)} selected runs.")
    named = unlike(runs[:COMPARED])
    curves, settings = st.columns([3, 2], gap="medium")
    with curves:
        histories = {name: history for name, run in named.items() if not (history := run.metrics).empty}
        if histories:
            st.plotly_chart(charts.losses_of_runs(histories), key="losses_of_runs")
            st.caption("Validation loss: mean of the folds, and what they span.")
    with settings:
        st.caption("In what they differ")
        st.dataframe(differences({name: run.spec for name, run in named.items()}), hide_index=True, height=290)
    scored = [(name, run) for name, run in named.items() if run.results]
    if scored:
        rows = [
            {"run": name, "predicts": run.spec.predicted, "folds": folds_of(run)}
            | _results.score_row(run.results["metrics"])
            for name, run in scored
        ]
        st.dataframe(pd.DataFrame(rows).fillna("–"), hide_index=True)
        if not same_test([run.spec for _, run in scored]):
            st.caption(":material/info: Targets, rows or folds differ, so these scores are not of the same test.")


def folds_of(run: Run) -> str:
    split = _results.split_of(run)
    return f"{run.spec.folds} {split}" + (" (leaks)" if split == "random" else "")


def unlike(runs: list[Run]) -> dict[str, Run]:
    """The runs by their titles; those that share one are told apart by when they were started."""
    titles = [run_title(run) for run in runs]
    found: dict[str, Run] = {}
    for title, run in zip(titles, runs, strict=True):
        when = (
            "bundled"
            if run.read_only
            else f"{run.id[4:6]}-{run.id[6:8]} {run.id[9:11]}:{run.id[11:13]}:{run.id[13:15]}"
        )
        found[title if titles.count(title) == 1 else f"{title} · {when}"] = run
    return found


# Deleting


def delete(run_ids: list[str]) -> None:
    gone = []
    for run_id in run_ids:
        try:
            run = _session.load_run(run_id)
            title = run_title(run)
            run.delete()
            gone.append((run_id, title))
        except InputError as error:
            st.session_state.notice = str(error)
    st.session_state.just_deleted = gone
    if st.session_state.run_id in [run_id for run_id, _ in gone]:
        st.session_state.run_id = None


def way_back() -> None:
    """What was deleted last, with the button that undoes it."""
    gone = st.session_state.get("just_deleted") or []
    if not gone:
        return
    titles = ", ".join(title for _, title in gone)
    with st.container(border=True, horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f":material/delete: Deleted: {plain(titles)}", width="stretch")
        ids = [run_id for run_id, _ in gone]
        st.button("Undo", icon=":material/undo:", key="undo_delete", on_click=restore, args=(ids,))


def trash() -> None:
    """Everything that was deleted, to be brought back."""
    deleted = deleted_runs()[:LISTED]
    if not deleted:
        return
    with st.popover("Deleted runs", icon=":material/restore_from_trash:"):
        titles = {run.folder.name: run_title(run) for run in deleted}
        wanted = st.selectbox(
            "Deleted run", list(titles), format_func=lambda name: f"{titles[name]} · {name[:15]}", key="deleted_run"
        )
        st.button("Bring it back", icon=":material/undo:", key="bring_back", on_click=restore, args=([wanted],))


def restore(run_ids: list[str]) -> None:
    for run_id in run_ids:
        try:
            restore_run(run_id)
            _session.open_run(run_id)
        except InputError as error:
            st.session_state.notice = str(error)
    st.session_state.just_deleted = []
