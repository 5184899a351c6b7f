"""Start a training, watch it, and see what it reached; a process of its own does the work."""

from __future__ import annotations

import streamlit as st

from pages import _session, _train_list, _train_plan, _train_run
from pages._layout import heading, next_step
from pages._train_form import form


def main() -> None:
    heading("Train", "A model learns the target from each object's features and from its neighbours.")
    with _session.explained():
        rows = _session.catalog()
        rows.positions()
    new, watch = st.columns([2, 3], gap="medium")
    with new:
        spec, place = form(rows)
    with watch:
        _train_run.run_in_view()
    if spec is not None and st.session_state.get(_train_plan.DRAWN):
        _train_plan.folds_in_space(spec)
    _train_list.all_runs()
    next_step("predictions.py", "Next: look at the predictions", ":material/scatter_plot:")
    if spec is not None:
        with place:
            _train_plan.plan(spec)


main()
