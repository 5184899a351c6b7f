"""The Predictions page of a run that tells classes apart: picture, card, confusion, reliability, objects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.explain import classes
from gnnlib.graph.graph import Graph
from gnnlib.training.run import Run
from gnnlib.view import charts_tasks
from gnnlib.view.colors import PALETTE, Colors, class_colors
from gnnlib.view.export import Shot
from gnnlib.view.scene import Scene, graph_scene
from pages import _results, _session
from pages._exports import joined_downloads
from pages._layout import dark, headed_choice
from pages._linked import ego, linked_canvas, linked_table
from pages._node import own_row, permanent_link
from pages._scene_files import scene_files
from pages._sidebar import in_words, plain
from pages._words import chance

LISTED = 1000  # objects in the table
COLOURS = {"prediction": "Predicted", "truth": "True", "right": "Right or wrong"}
ORDERS = {"wrong": "Wrong", "unsure": "Least sure", "right": "Right"}
JUDGED = ("right", "wrong")


def show(run: Run) -> None:
    with _session.explained():
        rows, graph, predictions = _results.outcome(run)
    names = list(run.results["classes"])
    told = predictions.assign(
        probability=classes.probabilities(predictions, names).max(axis=1),
        right=(predictions["truth"] == predictions["prediction"]).to_numpy(),
    )
    inspected(run, rows, graph, told, names)
    matrix, curve = st.columns(2, gap="medium")
    with matrix:
        confusion(told, names)
    with curve:
        reliability(told)
    objects(rows, told, names)
    joined_downloads(run, "The whole catalog with class, probabilities and fold")


@st.cache_resource(max_entries=6, show_spinner="Preparing the view")
def scene_of(run_id: str, moment: float, colour: str, file: str | None) -> Scene:
    run = _session.load_run(run_id)
    rows, graph, predictions = _results.outcome(run)
    if colour == "right":
        wrong = (predictions["truth"] != predictions["prediction"]).to_numpy(dtype=np.float32)
        colours = Colors(wrong, "prediction", (0.0, 1.0), categories=JUDGED)
    else:
        names = list(run.results["classes"])
        if len(names) > len(PALETTE):
            names = predictions["truth"].value_counts().reindex(names).sort_values(ascending=False).index.to_list()
        colours = class_colors(predictions[colour].to_numpy(), f"{COLOURS[colour]} class".lower(), names)
    return graph_scene(
        graph,
        rows,
        color_by=colours,
        file=file,
        size_by=rows.roles.mass,
        details=(rows.roles.mass,) if rows.roles.mass else (),
    )


@st.fragment(key="inspected_classes")
def inspected(run: Run, rows: Catalog, graph: Graph, told: pd.DataFrame, names: list[str]) -> None:
    """Picture and card. A click runs this part alone, so that the card answers at once; the rest follows."""
    picture, card = st.columns([3, 2], gap="medium")
    with picture:
        class_map(run, rows)
    with card:
        object_card(run, rows, graph, told, names)
    _session.settle()


def class_map(run: Run, rows: Catalog) -> None:
    colour = headed_choice("Classes in space", "Coloured by", COLOURS, "classes_colour", persist_state="session")
    scene = scene_of(run.id, _results.written(run), colour, _session.drawn_file(rows))
    linked_canvas(scene, key="classes_canvas", height=470)
    if scene.caption:
        st.caption(in_words(scene.caption))
    scene_files(scene, Shot(), _session.seen())


def shown_place(rows: Catalog, told: pd.DataFrame) -> int:
    """The object that the card is about: the one selected last, else the one most confidently wrong."""
    places = _session.selected_rows(rows.row_ids)
    if len(places):
        return int(places[-1])
    right, probability = told["right"].to_numpy(), told["probability"].to_numpy()
    return int([*classes.ordered(right, probability, "wrong"), *classes.ordered(right, probability, "unsure")][0])


def object_card(run: Run, rows: Catalog, graph: Graph, told: pd.DataFrame, names: list[str]) -> None:
    """What was said of the object with the probability of each class, its row, its neighbours and its link."""
    at = shown_place(rows, told)
    row = told.iloc[at]
    with st.container(border=True):
        st.subheader(f"Row {plain(rows.row_ids[at])}", anchor=False)
        if not len(_session.selected_rows(rows.row_ids)):
            st.caption("The most confidently wrong. Click another object in the picture or in the table.")
        with st.container(horizontal=True, gap="medium"):
            st.metric("Predicted", plain(row["prediction"]), width="content")
            st.metric("Truth", plain(row["truth"]), width="content")
            st.metric("Probability", chance(row["probability"]), width="content", help="Of the predicted class")
        st.caption(verdict(row, told))
        part = st.segmented_control(
            "About the object",
            ["Probabilities", "Its row", "Neighbours", "Link"],
            default="Probabilities",
            required=True,
            key="class_card_part",
            persist_state="session",
            label_visibility="collapsed",
        )
        if part == "Probabilities":
            probabilities(row, names)
        elif part == "Its row":
            st.dataframe(own_row(rows, at), hide_index=True, height=215)
        elif part == "Neighbours":
            ego(graph, at)
        else:
            st.caption("Opens this object of this run, for whoever may open the server.")
            st.code(permanent_link(run, rows.row_ids[at]), language=None, wrap_lines=True)


def verdict(row: pd.Series, told: pd.DataFrame) -> str:
    """Whether it is right, how sure that was among the others, and which fold said so."""
    by = f"predicted by fold {int(row['fold']) + 1}, out of fold."
    less = 100 * float((told["probability"] < row["probability"]).mean())
    return f"{'Right' if row['right'] else 'Wrong'}, {by} The model was less sure of {less:.1f} % of the objects."


def probabilities(row: pd.Series, names: list[str]) -> None:
    table = pd.DataFrame(
        {
            "class": names,
            "probability": [float(row[f"probability_{name}"]) for name in names],
            "truth": [name == row["truth"] for name in names],
        }
    ).sort_values("probability", ascending=False, kind="stable")
    st.dataframe(
        table,
        hide_index=True,
        height=min(250, 38 + 35 * len(names)),
        column_config={
            "probability": st.column_config.ProgressColumn(format="%.4f", min_value=0.0, max_value=1.0),
            "truth": st.column_config.CheckboxColumn(width="small"),
        },
    )


def confusion(told: pd.DataFrame, names: list[str]) -> None:
    st.subheader("Confusion", anchor=False, help="Each row is a true class: how its objects were classified.")
    st.plotly_chart(charts_tasks.confusion(classes.counts(told, names), names, dark()), key="class_confusion")
    wrong = int((~told["right"]).sum())
    st.caption(f"{wrong:,} of {len(told):,} objects are wrong. Shares are of the true class, over all folds.")


def reliability(told: pd.DataFrame) -> None:
    st.subheader("Reliability", anchor=False, help="Whether a class that is given 80 % is right in 80 of 100 cases.")
    table = classes.reliability(told["right"].to_numpy(), told["probability"].to_numpy())
    st.plotly_chart(charts_tasks.reliability(table), key="class_reliability")
    error = 100 * classes.calibration_error(table)
    st.caption(f"Expected calibration error {error:.1f} points: how far probability and share that is right differ.")


def objects(rows: Catalog, told: pd.DataFrame, names: list[str]) -> None:
    """The wrong, the least sure or the right ones, of all classes or of one cell of the confusion matrix."""
    which = headed_choice("Objects", "Which objects", ORDERS, "which_classified")
    chosen = told
    with st.container(horizontal=True):
        for column, label in (("truth", "True class"), ("prediction", "Predicted class")):
            one = st.selectbox(label, names, index=None, placeholder="any", key=f"only_{column}", width=220)
            if one is not None:
                chosen = chosen[chosen[column] == one]
    order = classes.ordered(chosen["right"].to_numpy(), chosen["probability"].to_numpy(), which)
    listed = chosen.iloc[order[:LISTED]]
    table = listed[["truth", "prediction", "probability"]].reset_index(names="row")
    table["of the truth"] = [float(row[f"probability_{row['truth']}"]) for _, row in listed.iterrows()]
    table["fold"] = listed["fold"].to_numpy()
    places = pd.Index(rows.row_ids).get_indexer(listed.index)
    for name in dict.fromkeys(name for name in (rows.roles.mass, *rows.roles.features[:4]) if name):
        if name not in table:
            table[name] = rows.table[name].to_numpy()[places]
    linked_table(
        table,
        f"classified_{which}_{st.session_state.only_truth}_{st.session_state.only_prediction}",
        lambda place: _session.select([table["row"].iloc[place]]),
        config={
            name: st.column_config.ProgressColumn(format="%.3f", min_value=0.0, max_value=1.0, help=meaning)
            for name, meaning in (
                ("probability", "Of the predicted class"),
                ("of the truth", "Probability of the true class"),
            )
        },
    )
    first = {"wrong": "wrong ones, the surest first", "unsure": "ones, the least sure first"}
    of = first.get(which, "right ones, the surest first")
    st.caption(f"{len(table):,} of {len(order):,} {of}; select a row to see the object.")
