"""Two runs point by point: which one is closer, by how much, and for which objects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.explain.errors import paired, paired_summary, unit_of
from gnnlib.training.run import Run, list_runs
from gnnlib.view import charts
from pages import _results, _session
from pages._exports import downloads
from pages._layout import heading, metric_strip, next_step
from pages._linked import HINT, linked_points
from pages._sidebar import plain, run_label, run_title

LISTED = 500


def main() -> None:
    with _session.explained():
        run = _session.current_run()
    others = [] if run is None else comparable(run)
    if run is None or not _results.written(run) or not others:
        heading("Compare", "Two runs, object by object.")
        sentence = "" if run is None else _results.of_another_task(run)
        st.info(
            plain(sentence)
            or "Comparing needs two runs with predictions of the same target for the same catalog. Train a second "
            "model, or open another run from the sidebar."
        )
        next_step("train.py", "Train a model", ":material/model_training:")
        return
    heading("Compare", f"**{plain(run_title(run))}** with another run, object by object.")
    other = st.selectbox("With", others, format_func=run_label, key="compare_with", persist_state="session")
    with _session.explained():
        table = pairs_of(run.id, other.id, _results.written(run), _results.written(other))
    summary, unit = paired_summary(table), unit_of(run.spec.target)
    named = f" {unit}" if unit else ""
    metric_strip(
        [
            ("Objects", f"{summary['rows']:,}", "Predicted by both"),
            ("RMSE of the run in view", f"{summary['rmse_first']:.4f}{named}", None),
            ("RMSE of the other", f"{summary['rmse_second']:.4f}{named}", None),
            ("Other is closer", f"{100 * summary['better']:.1f} %", "Share of the objects"),
        ]
    )
    st.markdown(verdict(summary))
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Residuals", anchor=False)
        figure = charts.point_by_point(shown(table), ("the run in view", "the other"), _session.selection())
        x, y = table["residual_first"].to_numpy(), table["residual_second"].to_numpy()
        linked_points(figure, f"compare_{other.id}", table["row_id"].to_numpy(), x, y)
        st.caption(HINT)
    with right:
        st.subheader("Where they differ most", anchor=False)
        order = np.argsort(-np.abs(table["gain"].to_numpy()), kind="stable")[:LISTED]
        st.dataframe(
            table.iloc[order],
            hide_index=True,
            height=420,
            column_config={
                name: st.column_config.NumberColumn(format="%.3f") for name in table.columns if name != "row_id"
            },
        )
        st.caption("Gain: how much smaller the residual of the other run is.")
    downloads("Both runs, object by object", f"compare_{run.id}_{other.id}", lambda: table)
    next_step("predictions.py", "Back to the predictions", ":material/scatter_plot:")


def comparable(run: Run) -> list[Run]:
    """Runs with predictions of the same number for the objects of the same catalog; none for other tasks."""
    if run.spec.task != "node_regression":
        return []
    return [
        other
        for other in list_runs()
        if other.id != run.id
        and other.status.state != "damaged"
        and _results.written(other)
        and (other.spec.catalog.path, other.spec.target, other.spec.task)
        == (run.spec.catalog.path, run.spec.target, run.spec.task)
    ]


@st.cache_data(max_entries=4, show_spinner=False)
def pairs_of(first: str, second: str, *moments: float) -> pd.DataFrame:
    return paired(_session.load_run(first).predictions, _session.load_run(second).predictions)


def shown(table: pd.DataFrame, most: int = 20_000) -> pd.DataFrame:
    """All objects, or a fixed random part of many."""
    return table if len(table) <= most else table.sample(most, random_state=0)


def verdict(summary: dict[str, float]) -> str:
    certainty = summary["certainty"]
    if abs(certainty) < 2:
        return "The two err alike: their mean squared errors differ by less than two standard errors."
    better = "The other run" if certainty > 0 else "The run in view"
    return f"{better} has the smaller mean squared error, by {abs(certainty):.1f} standard errors of the difference."


main()
