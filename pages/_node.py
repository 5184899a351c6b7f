"""The card of one object: its row, what was predicted for it, the edges behind that, and objects like it."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode, urlsplit, urlunsplit

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.explain.attention import HEAD, head_label
from gnnlib.explain.errors import percentile, unit_of
from gnnlib.training.run import Run
from gnnlib.view.canvas import graph_canvas
from gnnlib.view.colors import colors_of
from gnnlib.view.scene import Scene, graph_scene
from pages import _results, _session
from pages._layout import number_columns
from pages._sidebar import plain

STRENGTHS = {"deletion": "deletion effect", "attention": "attention", "gradient": "gradient × input"}


def shown_place(rows: Catalog, predictions: pd.DataFrame) -> int:
    """The object that the card is about: the one selected last, else the one with the largest residual."""
    places = _session.selected_rows(rows.row_ids)
    return int(places[-1]) if len(places) else int(np.nanargmax(np.abs(predictions["residual"])))


def node_card(run: Run, rows: Catalog, predictions: pd.DataFrame) -> None:
    """What was predicted for the object, its row, objects like it and its link."""
    at = shown_place(rows, predictions)
    row = predictions.iloc[at]
    with st.container(border=True):
        st.subheader(f"Row {plain(rows.row_ids[at])}", anchor=False)
        if not len(_session.selected_rows(rows.row_ids)):
            st.caption("The largest residual. Click another object in the picture, in a plot or in the table.")
        figures(row, predictions)
        part = st.segmented_control(
            "About the object",
            ["Its row", "Similar objects", "Link"],
            default="Its row",
            required=True,
            key="card_part",
            persist_state="session",
            label_visibility="collapsed",
        )
        if part == "Its row":
            st.dataframe(own_row(rows, at), hide_index=True, height=215)
        elif part == "Similar objects":
            similar_objects(run, rows.row_ids[at])
        else:
            st.caption("Opens this object of this run, for whoever may open the server.")
            st.code(permanent_link(run, rows.row_ids[at]), language=None, wrap_lines=True)


def figures(row: pd.Series, predictions: pd.DataFrame) -> None:
    """Prediction with its interval, truth, residual with its rank."""
    known = np.isfinite(row["sigma"]) and row["sigma"] > 0
    with st.container(horizontal=True, gap="medium"):
        st.metric("Prediction", f"{row['prediction']:.3f}", width="content")
        st.metric("Truth", f"{row['truth']:.3f}", width="content")
        pull = f"{abs(row['residual']) / row['sigma']:.1f} σ" if known else None
        st.metric("Residual", f"{row['residual']:+.3f}", pull, delta_color="off", delta_arrow="off", width="content")
    rank = percentile(predictions["residual"].to_numpy(), row["residual"])
    said = f"Its residual is larger than that of {rank:.1f} % of the objects."
    if found := interval(row):
        low, high, how = found
        said = f"{how} {low:.3f} to {high:.3f}, predicted by fold {int(row['fold']) + 1}, out of fold. {said}"
    st.caption(said)


def interval(row: pd.Series) -> tuple[float, float, str] | None:
    """Where the truth lies in 68 of 100 cases, and what the interval is called: the one that the validation rows of the
    fold set (`gnnlib.training.conformal`), ± sigma for a run that is older than those; None without a sigma.
    """
    low, high = (float(row.get(f"{end}_68", np.nan)) for end in ("lower", "upper"))
    if np.isfinite(low) and np.isfinite(high):
        return low, high, "68 % interval (conformal)"
    if np.isfinite(row["sigma"]) and row["sigma"] > 0:
        return row["prediction"] - row["sigma"], row["prediction"] + row["sigma"], "68 % interval (± σ)"
    return None


def own_row(rows: Catalog, at: int) -> pd.DataFrame:
    """Column with its unit, and value, of one row."""
    values = rows.table.iloc[at]
    return pd.DataFrame(
        {
            "column": [rows.columns[str(name)].label for name in values.index],
            "value": [f"{value:.6g}" if isinstance(value, float | np.floating) else str(value) for value in values],
        }
    )


def similar_objects(run: Run, row_id: object) -> None:
    """The nearest in the last hidden layer; selecting one goes there."""
    from gnnlib.explain.node import similar

    try:
        table = similar(_results.replay(run), _results.asked_place(run, row_id))
    except InputError as error:
        st.caption(str(error))
        return
    st.session_state.similar_rows = table["row"].tolist()
    st.dataframe(
        table,
        hide_index=True,
        height=215,
        key=f"similar_{row_id}",
        on_select=lambda: go_to_similar(f"similar_{row_id}"),
        selection_mode="single-row",
        column_config={
            name: st.column_config.NumberColumn(format="%.3f") for name in ("distance", "truth", "prediction")
        },
    )
    st.caption("Nearest in the last hidden layer, among the objects of its fold; 1 is a typical distance.")


def go_to_similar(key: str) -> None:
    chosen = st.session_state[key]["selection"]["rows"]
    if chosen:
        _session.select([st.session_state.similar_rows[chosen[0]]])


def permanent_link(run: Run, row_id: object) -> str:
    """The address of this object in this run."""
    here = urlsplit(st.context.url or "")
    query = urlencode({"run": run.id, "selected": str(row_id)})
    return urlunsplit((here.scheme, here.netloc, here.path, query, ""))


@st.cache_data(max_entries=32, show_spinner=False)
def ego_of(run_id: str, moment: float, at: int) -> pd.DataFrame:
    from gnnlib.explain.node import ego_table

    return ego_table(_results.replay(_session.load_run(run_id)), at)


@st.cache_resource(max_entries=16, show_spinner=False)
def ego_scene(run_id: str, moment: float, at: int, strength: str) -> Scene:
    """The object among all that its prediction depends on, its edges coloured by what they do."""
    from gnnlib.explain.node import ego_graph

    run = _session.load_run(run_id)
    replay = _results.replay(run)
    rows, found, table = replay.data.catalog, ego_graph(replay, at), ego_of(run_id, moment, at)
    around = replace(
        rows,
        table=rows.table.iloc[found.rows].reset_index(drop=True),
        row_ids=rows.row_ids[found.rows],
        box=None,
        periodic_axes=(False, False, False),
        files=None,
    )
    known = strengths(table, strength)
    known.index = pd.MultiIndex.from_frame(table[["source", "receiver"]])
    ends = pd.MultiIndex.from_arrays(found.graph.row_ids[found.graph.edge_index])
    values = known.reindex(ends).fillna(0.0).to_numpy()
    hops = np.array(["0, the object", *(str(hop) for hop in found.hops[1:])])
    coloured = values if len(values) else None
    return graph_scene(
        found.graph,
        around,
        color_by=colors_of(hops, "steps away"),
        size_by=rows.roles.mass,
        edge_colors=None if coloured is None else colors_of(np.abs(coloured), STRENGTHS[strength], color_map="plasma"),
        details=(rows.roles.mass,) if rows.roles.mass else (),
    )


def strengths(table: pd.DataFrame, strength: str) -> pd.Series:
    """One number an edge of the ego table: an effect, or the mean attention of all heads."""
    if strength == "attention":
        return table[[name for name in table if HEAD.fullmatch(str(name))]].mean(axis=1)
    return table[strength].abs()


def neighbourhood(run: Run, rows: Catalog, predictions: pd.DataFrame) -> None:
    """All edges behind one prediction, in space and as a table. A run that cannot be asked again says why."""
    at = shown_place(rows, predictions)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(
            f"What the prediction of row {plain(rows.row_ids[at])} rests on",
            anchor=False,
            help="Every edge that the prediction depends on. Deletion effect: the prediction without the edge minus "
            "that with it, by asking the model again. Gradient × input: the same from the model's derivative.",
        )
        offered = [name for name in STRENGTHS if name != "attention" or _results.attention_heads(run)]
        strength = st.segmented_control(
            "Edges coloured by",
            offered,
            default="deletion",
            required=True,
            format_func=STRENGTHS.__getitem__,
            key="ego_strength",
            persist_state="session",
            label_visibility="collapsed",
        )
    try:
        asked = _results.asked_place(run, rows.row_ids[at])
        table = ego_of(run.id, _results.written(run), asked)
    except InputError as error:
        st.caption(str(error))
        return
    if table.empty:
        st.caption("No edge leads to it, so its prediction rests on its own features alone.")
        return
    picture, listed = st.columns([2, 3], gap="medium")
    with picture:
        ego_picture(run, _results.replay(run).data.catalog, asked, str(strength), key="ego_canvas", height=340)
    with listed:
        edge_table(run, table)


def ego_picture(run: Run, rows: Catalog, at: int, strength: str, key: str, height: int) -> None:
    """An object among its neighbours in 3D; a click on one selects it. rows, at: as the run's models see them."""
    scene = ego_scene(run.id, _results.written(run), at, strength)
    own = rows.row_ids[at].item()
    state = graph_canvas(scene, key=key, height=height, selection=[own])
    if state.selected and state.selected[-1] != own:
        _session.select(state.selected[-1:])


def edge_table(run: Run, table: pd.DataFrame) -> None:
    unit = unit_of(run.spec.target)
    named = f" [{unit}]" if unit else ""
    rows = _results.outcome(run)[0]
    config = {
        "separation": st.column_config.NumberColumn(
            f"separation [{rows.length_unit}]" if rows.length_unit else "separation", format="%.3f"
        ),
        "approach": st.column_config.NumberColumn(
            "along [km/s]", format="%.0f", help="Velocity of the source relative to the receiver, away from it"
        ),
        "speed": st.column_config.NumberColumn("relative speed [km/s]", format="%.0f"),
        "deletion": st.column_config.NumberColumn(f"deletion{named}", format="%+.4f"),
        "gradient": st.column_config.NumberColumn(f"gradient × input{named}", format="%+.4f"),
        "self_loop": st.column_config.CheckboxColumn("self-loop"),
    }
    heads = {
        str(name): st.column_config.NumberColumn(head_label(str(name)), format="%.3f")
        for name in table
        if HEAD.fullmatch(str(name))
    }
    shown = table if table["self_loop"].any() else table.drop(columns="self_loop")
    order = [name for name in ("hop", "source", "receiver", "separation", "deletion", "gradient") if name in shown]
    order += [str(name) for name in shown if name not in order]
    st.dataframe(
        shown, hide_index=True, height=340, column_order=order, column_config=number_columns(shown) | config | heads
    )
    first = table[table["hop"] == 1]
    deeper = f" and {len(table) - len(first):,} behind them" if len(table) > len(first) else ""
    unknown = (
        " Of a graph this large only the edges into the object are deleted." if table["deletion"].isna().any() else ""
    )
    st.caption(f"{len(first):,} edges into the object{deeper}, largest effect first.{unknown}")
