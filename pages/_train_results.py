"""What a run reached: its scores beside the baselines, in the figures of its task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.training.run import Run
from gnnlib.view import charts, charts_tasks
from pages import _results
from pages._layout import dark, metric_strip
from pages._sidebar import plain

POINTS = 5_000  # of a parity plot


def results_of(run: Run) -> None:
    results = run.results
    if not results:
        return
    if not results["complete"]:
        st.caption(f"Scores after {len(results['folds'])} of {run.spec.folds} folds")
    told: Mapping[str, Any] = results
    target = results["target"]
    if results.get("more_targets"):
        target = st.segmented_control(
            "Target", list(run.spec.targets), default=run.spec.target, required=True, key=f"target_shown_{run.id}"
        )
        told = results if target == run.spec.target else results["more_targets"][target]
    metric_strip(_results.score_strip(told["metrics"])[:4] + coverage(told), border=False)
    model, metric = _results.model_label(run), _results.compared(run)
    label = _results.METRICS[metric][0]
    st.plotly_chart(
        charts.model_comparison(_results.scores(told, model, metric), f"{label} of {target}", model), key="comparison"
    )
    st.dataframe(_results.score_table(told, model), hide_index=True)
    of_the_task(run, told)
    calibration(told)
    for sentence in results["warnings"]:
        st.caption(f":material/info: {plain(sentence)}")
    if _results.split_of(run) == "random":
        st.warning("Random split: neighbours of test objects were trained on, so these scores are too good.")


def coverage(told: Mapping[str, Any]) -> list[tuple[str, str, str | None]]:
    """How often the truth lies in the intervals that promise 68 and 95 %."""
    return [
        (
            f"In {float(level):.0%}",
            f"{share:.1%}",
            f"Share of test objects whose truth lies in their {float(level):.0%} interval, which validation rows set",
        )
        for level, share in told.get("coverage", {}).items()
        if share is not None
    ]


def of_the_task(run: Run, told: Mapping[str, Any]) -> None:
    task = run.spec.task
    if task == "node_classification" and "confusion" in told:
        st.caption("True classes in rows, predicted ones in columns; shares of the true class, over all folds.")
        st.plotly_chart(charts_tasks.confusion(np.array(told["confusion"]), told["classes"], dark()), key="confusion")
    elif task == "edge_classification" and "pairs" in told:
        pairs = told["pairs"]
        st.caption(
            f"{pairs['total']:,} pairs, of which {pairs['together']:,} belong together; {pairs['tested']:,} are "
            f"tested. {plain(pairs['sampling'])} A guess has an average precision of "
            f"{pairs['together'] / pairs['total']:.3f} and a ROC AUC of 0.5."
        )
    elif task == "graph_regression" and "graphs" in told:
        graphs = told["graphs"]
        st.caption(
            f"{graphs['total']:,} groups of {graphs['smallest']:,} to {graphs['largest']:,} members. The baseline "
            "“Count only” knows nothing but the number of members."
        )
        parity_of_groups(run)


def parity_of_groups(run: Run) -> None:
    """Prediction against truth, one point a group, of the model or of the baseline that counts members."""
    table = run.predictions
    if len(table) > POINTS:
        table = table.sample(POINTS, random_state=0)
    ways = {"By the model": "prediction", "By count only": "baseline_count"}
    by = st.segmented_control(
        "Predicted",
        [way for way, column in ways.items() if column in table],
        default="By the model",
        required=True,
        key="groups_by",
        label_visibility="collapsed",
    )
    figure = charts.parity(
        table["truth"].to_numpy(),
        table[ways[by]].to_numpy(),
        table["graph_id"].to_numpy(),
        run.spec.target,
        np.log10(table["n_nodes"].to_numpy()),
        "log₁₀ members",
    )
    st.plotly_chart(figure, key="groups")


def calibration(told: Mapping[str, Any]) -> None:
    """The share of truths inside the interval of every level."""
    curve = told.get("intervals", {}).get("curve")
    if not curve:
        return
    with st.expander("Are the uncertainties right?", icon=":material/target:"):
        st.plotly_chart(
            charts.calibration(pd.DataFrame({"level": curve["level"], "inside": curve["covered"]})), key="calibration"
        )
        st.caption(
            "On the dashed line intervals hold what they promise. They are widened or narrowed by what the validation "
            "rows of each fold say (split conformal prediction), and judged on test rows."
        )
