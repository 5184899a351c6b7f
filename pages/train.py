"""Start a training, watch it, and see what it reached; a process of its own does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.models.spec import Aggregation, ModelSpec
from gnnlib.training.baselines import BASELINES, usable
from gnnlib.training.presets import PRESETS
from gnnlib.training.run import ACTIVE, Run, create_run, list_runs, runs_directory
from gnnlib.training.spec import RunSpec
from gnnlib.view import charts
from gnnlib.view.upload.places import keep
from pages import _results, _session
from pages._layout import heading, key_for, metric_strip, next_step
from pages._sidebar import graph_label, plain, run_title

SPLITS = {"slabs": "Slabs", "blocks": "Blocks", "group": "Groups", "random": "Random (leaks)"}
SPLIT_MEANINGS = {
    "slabs": "Slabs of equal counts along the longest axis, with a buffer between train and test.",
    "blocks": "Blocks in three dimensions, with a buffer between train and test.",
    "group": "Blocks of whole groups, with a buffer between train and test.",
    "random": "Neighbours of test objects are trained on, so the scores are too good. For comparison only.",
}
LISTED = 200
DEVICES = {"auto": "Automatic", "cuda": "CUDA", "mps": "Apple MPS", "cpu": "CPU"}


def main() -> None:
    heading("Train", "A model learns the target from each object's features and from its neighbours.")
    with _session.explained():
        rows = _session.catalog()
        rows.positions()
    new, watch = st.columns([2, 3], gap="medium")
    with new:
        form(rows)
    with watch:
        run_in_view()
    runs_table()
    next_step("predictions.py", "Next: look at the predictions", ":material/scatter_plot:")


# A new run


def form(rows: Catalog) -> None:
    from gnnlib.models.registry import MODELS

    key = key_for("", rows.spec.path, rows.roles)
    with st.container(border=True):
        st.subheader("New run", anchor=False)
        preset = st.segmented_control(
            "Preset",
            list(PRESETS),
            default=next(iter(PRESETS)),
            format_func=lambda name: name.replace("_", " ").capitalize(),
            required=True,
            key="preset",
            persist_state="session",
            help="Demo: under half a minute on a laptop. Standard: the setting to report.",
        )
        target = st.selectbox(
            "Target",
            options(rows, (rows.roles.target,) if rows.roles.target else ()),
            key=f"target_{key}",
            accept_new_options=True,
            persist_state="session",
            help="A column or an expression such as log10(stellar_mass).",
        )
        features = st.multiselect(
            "Features",
            options(rows, rows.roles.features),
            [logarithm(rows, name) for name in rows.roles.features if logarithm(rows, name) != target],
            key=f"features_{key}",
            accept_new_options=True,
            persist_state="session",
            help="Columns or expressions. Positions cannot be features: the edges carry them.",
        )
        where = st.text_input(
            "Keep rows where",
            rows.spec.where or "",
            key=key_for("train_where", rows.spec.path, rows.spec.where),
            placeholder="all rows",
            persist_state="session",
        )
        model = st.selectbox(
            "Model",
            list(MODELS),
            format_func=lambda name: MODELS[name].label,
            key="model",
            persist_state="session",
        )
        st.caption(MODELS[model].description)
        chosen = PRESETS[preset]
        with st.expander("Architecture and optimisation", icon=":material/tune:"):
            knobs, optimisation = architecture(model, preset, chosen)
        with st.expander("Folds", icon=":material/grid_view:"):
            folds = cross_validation(rows, chosen, preset, knobs["depth"])
        device = device_choice()
        name = st.text_input("Name", key="run_name", placeholder="optional", max_chars=80)
        with st.container(horizontal=True, vertical_alignment="center"):
            start = st.button("Start training", type="primary", icon=":material/play_arrow:", key="start")
            st.caption(f"on the graph in view: {plain(graph_label(_session.graph_spec(), rows.length_unit))}")
        if start:
            begin(
                rows,
                where,
                {
                    "target": target or "",
                    "features": tuple(features),
                    "model": {"name": model, **knobs},
                    "preset": preset,
                    "device": device,
                    "name": name.strip(),
                    **optimisation,
                    **folds,
                },
            )


def logarithm(rows: Catalog, name: str) -> str:
    """`log10(name)` for a positive column of wide range, else the name: what is best learnt."""
    values = rows.values(name)
    if not name.isidentifier() or values.dtype.kind not in "iuf":
        return name
    finite = values[np.isfinite(values)]
    wide = finite.size and finite.min() > 0 and finite.max() > 5 * finite.min()
    return f"log10({name})" if wide else name


def options(rows: Catalog, first: tuple[str, ...]) -> list[str]:
    """What can be chosen as target or feature: the columns found for it, in their best form, then all others."""
    best = [logarithm(rows, name) for name in first]
    others = [str(name) for name in rows.table.columns if name not in rows.roles.position]
    return list(dict.fromkeys([*best, *others]))


def architecture(model: str, preset: str, chosen: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The knobs of the model and of the optimisation, starting from the preset."""
    start = ModelSpec.model_validate(_model_fields(chosen) | {"name": model})
    left, right = st.columns(2)

    def number(place: Any, label: str, name: str, meaning: str, most: int) -> int:
        return place.number_input(
            label, 1, most, getattr(start, name), help=meaning, key=f"{name}_{preset}_{model}", persist_state="session"
        )

    knobs: dict[str, Any] = {
        "hidden": number(left, "Hidden width", "hidden", "Width of the layers inside φ, ψ and ρ", 1024),
        "latent": number(right, "Latent width", "latent", "Width of a node's state ξ", 1024),
        "unshared": number(left, "Unshared copies U", "unshared", "Message functions in parallel", 16),
        "depth": number(right, "Depth", "depth", "Stacked layers; each reaches one edge further", 8),
    }
    if model == "attention":
        knobs["heads"] = number(left, "Heads", "heads", "Attention heads in each copy", 16)
    if model == "message_passing":
        knobs["aggregation"] = (
            tuple(
                st.pills(
                    "Aggregation",
                    get_args(Aggregation),
                    selection_mode="multi",
                    default=list(start.aggregation),
                    key=f"aggregation_{preset}",
                )
            )
            or start.aggregation
        )
    knobs["dropout"] = right.number_input(
        "Dropout", 0.0, 0.9, start.dropout, 0.05, key=f"dropout_{preset}", persist_state="session"
    )
    fallback = {name: field.default for name, field in RunSpec.model_fields.items()} | chosen
    optimisation = {
        "epochs": left.number_input("Epochs", 1, 100_000, fallback["epochs"], key=f"epochs_{preset}"),
        "batch_size": right.number_input(
            "Batch size",
            1,
            1_000_000,
            fallback["batch_size"],
            key=f"batch_{preset}",
            help="Rows a step, each with all the neighbours its output depends on",
        ),
        "learning_rate": left.number_input(
            "Learning rate", 1e-6, 1.0, fallback["learning_rate"], 1e-3, format="%.4g", key=f"rate_{preset}"
        ),
        "weight_decay": right.number_input(
            "Weight decay", 0.0, 1.0, fallback["weight_decay"], 1e-4, format="%.4g", key=f"decay_{preset}"
        ),
        "seed": left.number_input("Seed", 0, 2**31 - 1, fallback["seed"], key="seed"),
    }
    wanted = st.pills(
        "Baselines",
        [name for name in BASELINES if usable(name, "node_regression")],
        selection_mode="multi",
        default=list(fallback["baselines"]),
        format_func=lambda name: BASELINES[name].label,
        key=f"baselines_{preset}",
    )
    return knobs, optimisation | {"baselines": tuple(wanted)}


def _model_fields(chosen: dict[str, Any]) -> dict[str, Any]:
    model = chosen.get("model", {})
    return dict(model) if isinstance(model, dict) else model.model_dump()


def cross_validation(rows: Catalog, chosen: dict[str, Any], preset: str, depth: int) -> dict[str, Any]:
    """How the rows are divided into test, train and buffer."""
    fallback = {name: field.default for name, field in RunSpec.model_fields.items()} | chosen
    split = st.segmented_control(
        "Split",
        list(SPLITS),
        default=fallback["split"],
        format_func=SPLITS.__getitem__,
        required=True,
        key=f"split_{preset}",
    )
    if split == "random":
        st.warning(SPLIT_MEANINGS[split], icon=":material/warning:")
    else:
        st.caption(SPLIT_MEANINGS[split])
    left, right = st.columns(2)
    folds: dict[str, Any] = {
        "split": split,
        "folds": left.number_input("Folds", 2, 20, fallback["folds"], key=f"folds_{preset}"),
        "central": rows.roles.central,
    }
    spec = _session.graph_spec()
    default = "0"
    if split != "random":
        default = f"{(spec.radius or 0) * depth:.4g}" if spec.method == "radius" else "edge length × depth"
    folds["buffer"] = right.number_input(
        f"Buffer [{rows.length_unit}]" if rows.length_unit else "Buffer",
        min_value=0.0,
        value=None,
        placeholder=f"default: {default}",
        help="Rows closer to a test row than this are neither trained on nor watched. Default: linking length × depth.",
        key="buffer",
    )
    if split == "group":
        options = [str(name) for name in rows.table.columns]
        at = options.index(rows.roles.group) if rows.roles.group else None
        folds["group"] = st.selectbox("Group id", options, index=at, key="split_group")
    return folds


@st.cache_data(show_spinner=False)
def usable_devices() -> dict[str, str]:
    """Name -> what it is, of the devices this machine has; "auto" says which one it takes."""
    from gnnlib.training.devices import describe, resolve

    found = {}
    for name in DEVICES:
        try:
            found[name] = describe(resolve(name))
        except InputError:
            continue
    return found


def device_choice() -> str:
    found = usable_devices()
    return st.selectbox(
        "Device",
        list(found),
        format_func=lambda name: f"{DEVICES[name]}: {found[name]}",
        key="device",
        persist_state="session",
    )


def begin(rows: Catalog, where: str, choices: dict[str, Any]) -> None:
    """Check everything, write the run and start its worker."""
    from pydantic import ValidationError

    from gnnlib.training.worker import check, launch

    try:
        if not choices["target"]:
            raise InputError("No target is chosen; name a column or an expression.")
        if not choices["features"]:
            raise InputError("No features are chosen; name at least one column or expression.")
        source = rows.spec.model_copy(update={"where": where.strip() or None})
        if source.path != "sample":
            kept = keep(Path(source.path), _session.temporary_folder(), runs_directory() / ".uploads")
            source = source.model_copy(update={"path": str(kept)})
        spec = RunSpec.model_validate({"catalog": source, "graph": _session.graph_spec(), **choices})
        with st.spinner("Checking catalog, graph and folds"):
            check(spec)
        run = create_run(spec)
        launch(run)
    except ValidationError as error:
        first = error.errors()[0]
        st.error(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.")
    except InputError as error:
        st.error(str(error), icon=":material/error:")
    else:
        _session.open_run(run.id)
        st.rerun()


# The run in view


def run_in_view() -> None:
    with _session.explained():
        run = _session.current_run()
    if run is None:
        st.info("No run is open. Start one on the left, or open one from the list below.")
        return
    state = run.status.state
    st.fragment(monitor, run_every=1.0 if state in ACTIVE else None)(run.id, state)


def monitor(run_id: str, before: str) -> None:
    """State, losses and scores of the run; runs every second while the run is under way."""
    run = _session.load_run(run_id)
    status = run.status
    active = status.state in ACTIVE
    if status.state != before:
        st.rerun()  # so that the sidebar and the list say so too
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.subheader(plain(run_title(run)), anchor=False)
            if active:
                st.button("Cancel", icon=":material/stop_circle:", key="cancel", on_click=stop, args=(run_id,))
        if active:
            left = f", about {duration(status.eta_s)} left" if status.eta_s else ""
            st.progress(min(max(status.progress, 0.0), 1.0), f"{status.message.rstrip('.')}{left}")
        elif status.state in ("failed", "damaged"):
            st.error(status.message)
        elif status.state == "cancelled":
            st.warning(status.message)
        history = run.metrics
        if not history.empty:
            st.plotly_chart(charts.loss_curves(history), key="losses")
            st.caption("Thick: validation; thin: training. Each fold starts anew.")
        elif active:
            st.caption("The first epoch is under way.")
        if status.state != "damaged":
            scores_of(run)
            provenance(run)


def scores_of(run: Run) -> None:
    results = run.results
    if not results:
        return
    if not results["complete"]:
        st.caption(f"Scores after {len(results['folds'])} of {run.spec.folds} folds")
    metric_strip(_results.score_strip(results["metrics"])[:4], border=False)
    metric = _results.compared(run)
    chart = charts.model_comparison(
        _results.scores(results, _results.model_label(run), metric),
        f"{_results.METRICS[metric][0]} of {results['target']}",
        _results.model_label(run),
    )
    st.plotly_chart(chart, key="comparison")
    st.dataframe(_results.score_table(results, _results.model_label(run)), hide_index=True)
    for sentence in results["warnings"]:
        st.caption(f":material/info: {plain(sentence)}")
    if run.spec.split == "random":
        st.warning("Random split: neighbours of test objects were trained on, so these scores are too good.")


def provenance(run: Run) -> None:
    """What was trained, in one line, with the log behind a click."""
    spec = run.spec
    where = run.environment.get("device", spec.device)
    st.caption(
        plain(
            f"{spec.model.name.replace('_', ' ')}, depth {spec.model.depth}, hidden {spec.model.hidden}, "
            f"{spec.folds} folds ({spec.split}), {spec.epochs} epochs, seed {spec.seed}, {where}"
        )
    )
    with st.expander("Log and specification", icon=":material/article:"):
        st.code(run.log[-6000:] or "The log is empty.", language=None, height=180)
        st.code(spec.model_dump_json(indent=1), language="json", height=220)


def stop(run_id: str) -> None:
    from gnnlib.training.worker import cancel

    try:
        cancel(_session.load_run(run_id))
    except InputError as error:
        st.session_state.notice = str(error)


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


# All runs


def runs_table() -> None:
    runs = list_runs()[:LISTED]
    st.subheader("Runs", anchor=False)
    if not runs:
        st.caption("There are none yet.")
        return
    table = pd.DataFrame([row_of(run) for run in runs])
    st.dataframe(
        table,
        hide_index=True,
        on_select=open_selected,
        selection_mode="single-row",
        key="runs",
        column_config={
            "R²": st.column_config.NumberColumn(format="%.3f"),
            "RMSE": st.column_config.NumberColumn(format="%.3f"),
            "started": st.column_config.DatetimeColumn(format="MMM D, HH:mm"),
            "progress": st.column_config.ProgressColumn("Progress", format="percent", min_value=0, max_value=1),
        },
    )
    st.caption("Select a row to open the run.")
    st.session_state.listed_runs = [run.id for run in runs]


def row_of(run: Run) -> dict[str, Any]:
    status = run.status
    row: dict[str, Any] = {"run": run_title(run), "state": status.state, "progress": status.progress}
    if status.state == "damaged":
        return row
    spec = run.spec
    metrics = run.results.get("metrics", {}) if status.state == "finished" else {}
    return row | {
        "model": spec.model.name.replace("_", " "),
        "target": spec.predicted,
        "graph": graph_label(spec.graph, run.results.get("length_unit", "")),
        "R²": metrics.get("r2", {}).get("mean"),
        "RMSE": metrics.get("rmse", {}).get("mean"),
        "started": status.started,
        "id": run.id,
    }


def open_selected() -> None:
    rows = st.session_state.runs["selection"]["rows"]
    if rows:
        try:
            _session.open_run(st.session_state.listed_runs[rows[0]])
        except InputError as error:
            st.session_state.notice = str(error)


main()
