"""What would have been predicted for another universe: delete, cut, move, make heavier; every hop's answer at once."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.explain.errors import unit_of
from gnnlib.graph.graph import GraphSpec
from gnnlib.training.run import Run
from pages import _results, _session
from pages._exports import downloads
from pages._layout import heading, metric_strip, next_step
from pages._node import ego_of, ego_picture
from pages._sidebar import plain, run_title

KINDS = {
    "delete": "Delete",
    "cut": "Cut an edge",
    "move": "Move",
    "mass": "Mass",
}

SEVERAL = 8  # neighbours of the object to begin with


def main() -> None:
    run = _results.run_in_view("What if", "What a model would have predicted for another universe.")
    if run is None:
        return
    heading(
        "What if",
        f"Change the universe and ask **{plain(run_title(run))}** again; edges and their features are built anew.",
    )
    if sentence := _results.of_another_task(run):
        st.info(plain(sentence))
        return
    with _session.explained():
        rows = _results.replay(run).data.catalog
        at = chosen_place(run, rows)
        session(run, rows, at)
    _session.settle()
    next_step("compare.py", "Next: compare two runs", ":material/compare:")


def chosen_place(run: Run, rows: Catalog) -> int:
    """The object selected last, else of a fixed random few one with about `SEVERAL` neighbours."""
    places = _session.selected_rows(rows.row_ids)
    if len(places):
        return int(places[-1])
    few = _results.replay(run).sample(50)
    degree = _results.replay(run).data.graph.degrees()[few]
    return int(few[np.argmin(np.abs(degree - SEVERAL))])


def session(run: Run, rows: Catalog, at: int) -> None:
    """The changes about one object, their picture and what comes of them."""
    row_id = rows.row_ids[at].item()
    key = f"changes_{run.id}_{row_id}"
    done: list = st.session_state.setdefault(key, [])
    picture, controls = st.columns([3, 2], gap="medium")
    table = ego_of(run.id, _results.written(run), at)
    with controls:
        st.subheader(f"Row {plain(row_id)}", anchor=False)
        if not len(_session.selected_rows(rows.row_ids)):
            st.caption("An object with neighbours; select another one on any page.")
        add_change(run.spec.graph, rows, row_id, table, done)
        for number, change in enumerate(done, 1):
            st.markdown(f"{number}. {plain(change)}")
        if not done:
            st.caption("No change yet.")
        with st.container(horizontal=True):
            if st.button("Undo", icon=":material/undo:", disabled=not done, key="undo_change"):
                done.pop()
                st.rerun()
            if st.button("Start over", disabled=not done, key="clear_changes"):
                done.clear()
                st.rerun()
    with picture:
        ego_picture(run, rows, at, "deletion", key="whatif_canvas", height=380)
    results(run, row_id, tuple(done))


def add_change(how: GraphSpec, rows: Catalog, row_id: int | str, table: pd.DataFrame, done: list) -> None:
    from gnnlib.explain.whatif import Change

    near = table[(table["hop"] == 1) & ~table["self_loop"]]
    offered = [name for name in KINDS if (name not in ("delete", "cut") or len(near))]
    offered = [name for name in offered if name != "mass" or rows.roles.mass]
    if how.method == "edge_list":  # the edges are read from a file, whoever is there
        offered = [name for name in offered if name in ("cut", "mass")]
    if not offered:
        st.caption("Nothing about this object can be changed.")
        return
    kind = st.segmented_control(
        "Change", offered, default=offered[0], required=True, format_func=KINDS.__getitem__, key="change_kind"
    )
    with st.form("change", border=False):
        if kind in ("delete", "cut"):
            effect = dict(zip(near["source"].tolist(), near["deletion"].tolist(), strict=True))
            source = st.selectbox(
                "Neighbour",
                list(effect),
                format_func=lambda name: f"{name} (alone {effect[name]:+.3f})",
                key=f"change_source_{row_id}",
            )
            change = (
                Change(kind="delete", row=source) if kind == "delete" else Change(kind="cut", row=row_id, source=source)
            )
        elif kind == "move":
            unit = f" [{rows.length_unit}]" if rows.length_unit else ""
            with st.container(horizontal=True):
                steps = [
                    st.number_input(f"Δ{axis}{unit}", value=0.0, step=0.5, format="%.3g", key=f"change_{axis}")
                    for axis in "xyz"[: len(rows.axes)]
                ]
            shift = (*steps, 0.0) if len(steps) == 2 else tuple(steps)
            change = Change(kind="move", row=row_id, shift=shift)
        else:
            whose = st.selectbox("Object", [row_id, *near["source"].tolist()], key=f"change_mass_{row_id}")
            dex = st.number_input("by [dex]", value=0.3, step=0.1, format="%.2f", key="change_dex")
            change = Change(kind="mass", row=whose, dex=dex)
        if st.form_submit_button("Apply", type="primary", key="apply_change") and change not in done:
            done.append(change)


def results(run: Run, row_id: int | str, changes: tuple) -> None:
    from gnnlib.explain.whatif import what_if

    began = time.perf_counter()
    try:
        found = what_if(_results.replay(run), changes, row_id)
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        return
    took = time.perf_counter() - began
    unit = unit_of(run.spec.target)
    named = f" {unit}" if unit else ""
    own = found.table[found.table["row"] == row_id].iloc[0]
    others = found.table[found.table["row"] != row_id]
    metric_strip(
        [
            ("Before", f"{own['before']:.3f}", "Out-of-fold prediction of the object"),
            ("After", f"{own['after']:.3f}", None),
            ("Change", f"{own['change']:+.4f}{named}", None),
            ("Other predictions changed", f"{len(others):,}", "Tested objects of the same fold"),
        ]
    )
    if not changes:
        return
    st.caption(f"Answered in {took:.2f} s.")
    hops, objects = st.columns([2, 3], gap="medium")
    four = st.column_config.NumberColumn(format="%.4f")
    with hops:
        st.subheader("By hop", anchor=False, help="Edges from what was changed, before or after, whichever is nearer.")
        st.dataframe(
            found.hops,
            hide_index=True,
            column_config={
                "mean": st.column_config.NumberColumn(f"mean change{named and f' [{unit}]'}", format="%.4f"),
                "largest": st.column_config.NumberColumn(f"largest{named and f' [{unit}]'}", format="%.4f"),
            },
        )
    with objects:
        st.subheader("Changed predictions", anchor=False)
        st.dataframe(
            found.table, hide_index=True, height=260, column_config=dict.fromkeys(["before", "after", "change"], four)
        )
    record = found.table.assign(changes="; ".join(map(str, changes)))
    downloads("What changed", f"whatif_{run.id}_{row_id}", lambda: record)


main()
