"""The run in view: how far it is, its curves while it trains, what it reached, and notes on it."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from gnnlib.errors import InputError
from gnnlib.training.run import ACTIVE, Run, Status, list_runs
from gnnlib.view import charts
from pages import _results, _session
from pages._layout import metric_strip
from pages._sidebar import plain, run_title
from pages._train_results import results_of
from pages._words import duration, memory, rate

# column of the history -> what its curve is called, and its axis
CURVES = {
    "loss": ("Loss", ""),
    "learning_rate": ("Learning rate", "learning rate"),
    "rows_per_s": ("Throughput", "rows a second"),
    "memory": ("Memory", "bytes"),
}


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
    if status.state != before:
        st.rerun()  # so that the sidebar and the list say so too
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.subheader(plain(run_title(run)), anchor=False)
            commands(run, status)
        standing(status)
        if status.state == "damaged":
            return
        history = run.metrics
        if not history.empty:
            if status.state in ACTIVE:
                now(run, history)
            curves(history)
        elif status.state == "running":
            st.caption("The first epoch is under way.")
        results_of(run)
        provenance(run)
        notes(run)


def commands(run: Run, status: Status) -> None:
    unstarted = status.state == "queued" and status.started is None and not run.has_worker
    if (status.state in ("cancelled", "failed") or unstarted) and not run.read_only:
        st.button(
            "Start" if unstarted else "Go on",
            icon=":material/resume:",
            key="resume",
            on_click=go_on,
            args=(run.id,),
            help="Trains from where it was left, to the same result",
        )
    if status.state in ACTIVE:
        st.button("Cancel", icon=":material/stop_circle:", key="cancel", on_click=stop, args=(run.id,))


def standing(status: Status) -> None:
    """How the run stands, in words."""
    if status.state == "running":
        left = f", about {duration(status.eta_s)} left" if status.eta_s else ""
        st.progress(min(max(status.progress, 0.0), 1.0), f"{status.message.rstrip('.')}{left}")
    elif status.state == "queued":
        st.info(plain(in_line(status.message)), icon=":material/hourglass_top:")
    elif status.state in ("failed", "damaged"):
        st.error(plain(status.message), icon=":material/error:")
    elif status.state == "cancelled":
        st.warning(plain(status.message), icon=":material/pause_circle:")


def in_line(message: str) -> str:
    """What the queue says, with runs by their titles."""
    for other in list_runs():
        if other.id in message:
            message = message.replace(other.id, f"“{run_title(other)}”")
    return message


def now(run: Run, history: pd.DataFrame) -> None:
    """The figures of the last epoch."""
    last = history.iloc[-1]
    told: list[tuple[str, str, str | None]] = [
        ("Epoch", f"{int(last['epoch'])} / {int(last['epochs'])}", f"Of fold {int(last['fold']) + 1}"),
        ("Training loss", f"{last['train_loss']:.3f}", "Mean negative log-likelihood of the scaled target"),
    ]
    if pd.notna(last["validation_loss"]):
        told.append(("Validation loss", f"{last['validation_loss']:.3f}", "Of rows that are not trained on"))
    told.append(("Learning rate", f"{last['learning_rate']:.2g}", None))
    if pd.notna(last["rows_per_s"]):
        told.append(("Throughput", rate(last["rows_per_s"]), "Rows trained on, each once an epoch"))
    if pd.notna(last["memory"]):
        told.append(("Memory", memory(last["memory"]), "At the peak so far, on the device"))
    metric_strip(told, border=False)
    if device := run.environment.get("device"):
        st.caption(f":material/memory: {plain(device)}")


def curves(history: pd.DataFrame) -> None:
    known = [name for name in CURVES if name == "loss" or history[name].notna().any()]
    which = st.segmented_control(
        "Curve",
        known,
        default="loss",
        format_func=lambda name: CURVES[name][0],
        required=True,
        key="curve",
        label_visibility="collapsed",
    )
    if which == "loss":
        st.plotly_chart(charts.loss_curves(history), key="losses")
        st.caption("Thick: validation; thin: training. Each fold starts anew.")
    else:
        st.plotly_chart(charts.along_training(history, which, CURVES[which][1]), key=f"curve_{which}")


def provenance(run: Run) -> None:
    """What was trained, in one line, with the log behind a click."""
    spec = run.spec
    where = run.environment.get("device", spec.device)
    networks = f", {spec.seeds} networks a fold" if spec.seeds > 1 else ""
    st.caption(
        plain(
            f"{spec.model.name.replace('_', ' ')}, depth {spec.model.depth}, hidden {spec.model.hidden}, "
            f"{spec.folds} folds ({_results.split_of(run)}){networks}, {spec.epochs} epochs, seed {spec.seed}, {where}"
        )
    )
    with st.expander("Log and specification", icon=":material/article:"):
        st.code(run.log[-6000:] or "The log is empty.", language=None, height=180)
        st.code(spec.model_dump_json(indent=1), language="json", height=220)


def notes(run: Run) -> None:
    if run.read_only:
        return
    key = f"notes_{run.id}"
    if key not in st.session_state:
        st.session_state[key] = run.notes
    st.text_area(
        "Notes", key=key, on_change=keep_notes, args=(run.id, key), placeholder="What this run is for", height=80
    )


def keep_notes(run_id: str, key: str) -> None:
    _attempt(lambda: _session.load_run(run_id).write_notes(st.session_state[key]))


def stop(run_id: str) -> None:
    from gnnlib.training.worker import cancel

    _attempt(lambda: cancel(_session.load_run(run_id)))


def go_on(run_id: str) -> None:
    from gnnlib.training.worker import launch

    _attempt(lambda: launch(_session.load_run(run_id)))


def _attempt(action: Callable[[], object]) -> None:
    """Do it; what cannot be done is said at the head of the page."""
    try:
        action()
    except InputError as error:
        st.session_state.notice = str(error)
