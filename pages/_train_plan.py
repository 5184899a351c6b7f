"""Before the start: what a run would take, and how its folds lie in space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.errors import InputError
from gnnlib.training.run import list_runs
from gnnlib.training.spec import RunSpec
from gnnlib.training.splits import PARTS
from gnnlib.view.canvas import graph_canvas
from pages import _session
from pages._sidebar import in_words, plain, run_title
from pages._words import duration, memory

if TYPE_CHECKING:
    from gnnlib.training.data import TrainingData
    from gnnlib.training.estimate import Estimate
    from gnnlib.view.scene import Scene

DRAWN = "folds_drawn"  # in the session: whether folds are shown in 3D
LOOKED_AT = 60  # runs among which one like the new one is looked for


def prepared(spec: RunSpec) -> TrainingData:
    """The rows, graph and folds of a run; shared, so they must not be changed. Raises InputError as training does."""
    return _prepared(_bare(spec), _session.stamp(spec.catalog))


def _bare(spec: RunSpec) -> str:
    return spec.model_copy(update={"name": ""}).model_dump_json()


@st.cache_resource(max_entries=2, show_spinner="Checking catalog, graph and folds")
def _prepared(text: str, changed: float) -> TrainingData:
    from gnnlib.training.worker import check

    return check(RunSpec.model_validate_json(text))


@st.cache_data(max_entries=32, show_spinner="Training for a few seconds to see what it takes")
def _measured(text: str, changed: float) -> Estimate:
    from gnnlib.training.estimate import estimate

    return estimate(_prepared(text, changed))


def plan(spec: RunSpec) -> None:
    """Time and memory: measured where asked for, else what earlier runs and the graph's size say."""
    text, changed = _bare(spec), _session.stamp(spec.catalog)
    if st.session_state.get("measured_plan") == text:
        try:
            said(_measured(text, changed))
            return
        except InputError as error:
            st.warning(str(error), icon=":material/warning:")
            return
    with st.container(gap=None):
        st.caption(guess(spec))
        if st.button("Measure on a few steps", icon=":material/timer:", key="measure", type="tertiary"):
            st.session_state.measured_plan = text
            st.rerun()


def said(found: Estimate) -> None:
    """A measured estimate in words."""
    free = "" if found.free is None else f" of the {memory(found.free)} that are free"
    st.caption(
        f":material/timer: About **{duration(found.seconds)}** and **{memory(found.memory)}**{free} on "
        f"{plain(found.device)}. Measured on {found.steps} steps of the first fold; baselines that are no networks "
        "come on top."
    )
    if not found.fits:
        st.warning("A step does not fit into memory at once, so it will be taken in parts, which takes longer.")


def guess(spec: RunSpec) -> str:
    """What is known without training: the time of an earlier run like this one, the memory of the whole graph."""
    from gnnlib.training.devices import free_memory, resolve
    from gnnlib.training.estimate import from_runs, whole_graph

    try:
        graph = _session.graph(spec.catalog.model_copy(update={"where": _session.catalog_spec().where}), spec.graph)
    except InputError:
        return "The graph in view is too large to be looked at first."
    most, free = whole_graph(spec, graph.n_nodes, graph.n_edges), free_memory(resolve(spec.device))
    left = "" if free is None else f" of {memory(free)} free"
    held = f":material/memory: At most **{memory(most)}**{left}: a step on the whole graph."
    like = from_runs(spec, graph.n_edges, list_runs()[:LOOKED_AT])
    if like is None:
        return f"{held} No run like it yet tells the time."
    seconds, run = like
    return f":material/timer: About **{duration(seconds)}**, as run {plain(run_title(run))} took. {held}"


# Folds in space


@st.cache_resource(max_entries=8, show_spinner="Preparing the view")
def _scene(text: str, changed: float, number: int) -> Scene:
    from gnnlib.view.folds import fold_scene

    return fold_scene(_prepared(text, changed), number)


def fold_canvas(spec: RunSpec, number: int) -> None:
    """The rows in 3D, coloured by what they are for."""
    scene = _scene(_bare(spec), _session.stamp(spec.catalog), number)
    graph_canvas(scene, key="folds_canvas", height=430, camera="main", view=_session.view(), on_view=_session.show_view)
    if scene.caption:
        st.caption(in_words(scene.caption))


def files_of_fold(data: TrainingData, number: int) -> None:
    """The files of a folder of catalogs, with what each is for."""
    assert data.catalog.files is not None
    names = data.catalog.table[data.catalog.files.column]
    parts = pd.Series(np.array(PARTS)[data.folds[number].parts()])
    table = pd.DataFrame({"file": names, "part": parts}).groupby("file", sort=False)["part"]
    st.dataframe(table.agg(lambda part: " and ".join(dict.fromkeys(part))).reset_index(), hide_index=True, height=430)


def folds_in_space(spec: RunSpec) -> None:
    """One fold in 3D, coloured by what its rows are for, with their counts."""
    st.subheader("Folds in space", anchor=False)
    try:
        data = prepared(spec)
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        return
    number = st.segmented_control(
        "Fold",
        list(range(len(data.folds))),
        default=0,
        format_func=lambda at: f"Fold {at + 1}",
        required=True,
        key=f"fold_shown_{len(data.folds)}",
        label_visibility="collapsed",
    )
    fold, unit = data.folds[number], data.graph.length_unit
    picture, words = st.columns([4, 1], gap="medium")
    with picture:
        if data.graph.file_of is not None:
            files_of_fold(data, number)
        else:
            fold_canvas(spec, number)
    with words:
        parts = {"train": fold.train, "validation": fold.validation, "buffer": fold.buffer, "test": fold.test}
        counts = pd.DataFrame({"part": list(parts), "rows": [int(np.sum(mask)) for mask in parts.values()]})
        st.dataframe(counts, hide_index=True)
        if data.graph.file_of is not None:
            st.caption("Whole files: no buffer is needed.")
        elif data.steps:
            st.caption(f"Buffer: {data.steps} step{'s' * (data.steps > 1)} along the edges.")
        else:
            st.caption(f"Buffer: {data.buffer:.4g} {unit}".strip() + ".")
        if data.split == "random":
            st.warning("Random: train and test are mixed, so scores leak.")
    for sentence in data.warnings:
        st.caption(f":material/info: {plain(sentence)}")
