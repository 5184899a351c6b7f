"""What a run gave, ready to be shown: the graph of its rows, its tables, its scores beside the baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.expressions import evaluate
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.explain.attention import ALL_HEADS, read_attention, relative, weights
from gnnlib.graph.graph import Graph
from gnnlib.training.baselines import BASELINES
from gnnlib.training.run import Run
from gnnlib.training.spec import RunSpec
from gnnlib.training.tasks.classes import labels
from pages import _session
from pages._layout import heading, next_step

if TYPE_CHECKING:
    from gnnlib.explain.replay import Replay

# metric -> (label, what one unit of it is multiplied by, format, meaning)
METRICS = {
    "r2": ("R²", 1.0, "{:.3f}", "Share of the variance explained; 1 is perfect, 0 is the mean"),
    "rmse": ("RMSE", 1.0, "{:.3f}", "Root mean square error, in the unit of the target (dex for a logarithm)"),
    "nmad": ("NMAD", 1.0, "{:.3f}", "1.4826 × median absolute deviation of the residual: scatter without the outliers"),
    "mae": ("MAE", 1.0, "{:.3f}", "Mean absolute error"),
    "rho": ("ρ", 1.0, "{:.3f}", "Pearson correlation of prediction and truth"),
    "bias": ("Bias [10⁻³]", 1e3, "{:+.1f}", "Mean residual, prediction minus truth, in thousandths (10⁻³ dex)"),
    "f_outlier": ("Outliers [%]", 1.0, "{:.2f}", "Rows with a residual beyond 3 NMAD"),
    "accuracy": ("Accuracy", 1.0, "{:.3f}", "Share of objects whose most probable class is the true one"),
    "balanced_accuracy": ("Balanced accuracy", 1.0, "{:.3f}", "The mean of the accuracies of the classes"),
    "average_precision": ("Average precision", 1.0, "{:.3f}", "Area under precision against recall; 1 is perfect"),
    "roc_auc": ("ROC AUC", 1.0, "{:.3f}", "Chance that a pair that belongs together ranks above one that does not"),
    "log_loss": ("Log loss", 1.0, "{:.3f}", "Mean of -ln of the probability of what is true; 0 is perfect"),
}
# the metric that is drawn in a chart, of tasks that have no RMSE
COMPARED = {"node_classification": "log_loss", "edge_classification": "average_precision"}
# the metric that says most in a list of runs
LISTED = {"node_classification": "accuracy", "edge_classification": "average_precision"}
LONG = 1e5
OF_OBJECTS = ("node_regression", "node_classification")  # tasks with a prediction for each object
CHANGED = "The catalog has changed since run '{}' was trained on it; train again, or open another run."
KINDS = {"all": "All", "centrals": "Centrals", "satellites": "Satellites"}


def run_in_view(title: str, meaning: str) -> Run | None:
    """The run in view; None where it has no predictions, which a page of this title and meaning then says."""
    with _session.explained():
        run = _session.current_run()
    if run is not None and written(run):
        return run
    heading(title, meaning)
    st.info("The run in view has no predictions yet. Train a model, or open another run from the sidebar.")
    next_step("train.py", "Train a model", ":material/model_training:")
    return None


def split_of(run: Run) -> str:
    """How the rows were divided into folds, in words; a folder of catalogs by its files, whatever was asked for."""
    return str(run.results.get("split", run.spec.split)) if run.results else run.spec.split


def written(run: Run) -> float:
    """When the run's predictions were written; 0 before."""
    path = run.folder / "predictions.parquet"
    return path.stat().st_mtime if path.exists() else 0.0


@st.cache_resource(max_entries=4, show_spinner="Opening the run")
def _outcome(run_id: str, moment: float) -> tuple[Catalog, Graph, pd.DataFrame]:
    from gnnlib.graph.build import build_graph

    run = _session.load_run(run_id)
    if run.spec.task not in OF_OBJECTS:
        raise InputError(of_another_task(run))
    spec, predictions = run.spec, run.predictions
    rows = _session.catalog(spec.catalog)
    used = rows.take(np.isin(rows.row_ids, predictions["row_id"].to_numpy()))
    graph = build_graph(used, spec.graph)
    _same_catalog(run_id, used, spec, predictions)
    return used, graph, predictions.set_index("row_id").reindex(used.row_ids)


def _same_catalog(run_id: str, used: Catalog, spec: RunSpec, predictions: pd.DataFrame) -> None:
    """Raises InputError where the file is not the one the run was trained on: its rows have other targets."""
    known = predictions.set_index("row_id")["truth"].reindex(used.row_ids).to_numpy()
    if spec.task == "node_classification":
        same = bool((labels(spec.target, used).values == known).all())
    else:
        now = np.asarray(evaluate(spec.target, used), dtype=np.float64)
        same = np.allclose(known, now, rtol=1e-4, atol=1e-6)
    if len(used) != len(predictions) or not same:
        raise InputError(CHANGED.format(run_id))


def outcome(run: Run) -> tuple[Catalog, Graph, pd.DataFrame]:
    """The rows that the run used, their graph, and its predictions in the same order (index: row id)."""
    return _outcome(run.id, written(run))


@st.cache_resource(max_entries=2, show_spinner="Opening the model")
def _replay(run_id: str, moment: float) -> Replay:
    from gnnlib.explain.replay import Replay

    found = Replay.open(_session.load_run(run_id))
    _ = found.prediction  # once for all who ask
    return found


def replay(run: Run) -> Replay:
    """The run's models, ready to be asked again; shared, so it must not be changed. Raises InputError, see there."""
    return _replay(run.id, written(run))


def asked_place(run: Run, row_id: object) -> int:
    """Where an object is among the rows that the run's models can be asked about."""
    return int(np.flatnonzero(replay(run).data.catalog.row_ids == row_id)[0])


def central_flag(run: Run, rows: Catalog) -> np.ndarray | None:
    """[N] bool where the run, or the catalog, has a column of zeros and ones for centrals."""
    name = run.spec.central or rows.roles.central
    values = np.asarray(evaluate(name, rows), dtype=np.float64) if name else np.empty(0)
    return values == 1 if name and np.isin(values, (0, 1)).all() else None


def shown_metric(name: str, value: float | None) -> str:
    """As `METRICS` writes it, with a power of ten where that would be long: a target need not be a logarithm."""
    _, scale, form, _ = METRICS[name]
    if value is None or not np.isfinite(value):
        return "–"
    return form.format(scale * value) if abs(scale * value) < LONG else f"{scale * value:.3g}"


def score_strip(metrics: Mapping[str, Mapping[str, float | None]]) -> list[tuple[str, str, str | None]]:
    """Figures for `metric_strip`: the mean over the folds."""
    return [
        (label, shown_metric(name, metrics[name]["mean"]), meaning)
        for name, (label, _, _, meaning) in METRICS.items()
        if name in metrics
    ]


def compared(run: Run) -> str:
    """The metric by which the run's model and its baselines are drawn side by side."""
    return COMPARED.get(run.spec.task, "rmse")


def listed(run: Run) -> str:
    """The metric by which the run appears in a list."""
    return LISTED.get(run.spec.task, "r2")


def of_another_task(run: Run) -> str:
    """What to say of a run on the pages that ask its models about a number of each object; "" where they can."""
    if run.spec.task == "node_regression":
        return ""
    what = {
        "node_classification": "classes of objects",
        "edge_classification": "whether pairs of objects belong together",
        "graph_regression": "a number of each group of objects",
    }[run.spec.task]
    return (
        f"This page is for runs that predict a number of each object, and the run in view predicts {what} "
        f"({run.spec.predicted}). The Predictions page shows what it said, and the Train page its scores."
    )


def score_table(results: Mapping[str, Any], model: str, kind: str = "all") -> pd.DataFrame:
    """The run's model and the baselines, one row each; mean ± standard deviation over the folds."""
    scored = {model: results["by_kind"].get(kind, {})}
    for name, kinds in results["baselines_by_kind"].items():
        scored[BASELINES[name].label if name in BASELINES else name] = kinds.get(kind, {})
    return pd.DataFrame([{"model": name} | score_row(metrics) for name, metrics in scored.items()])


def score_row(metrics: Mapping[str, Mapping[str, float | None]]) -> dict[str, str]:
    """A column a metric: mean ± standard deviation over the folds."""
    return {
        METRICS[name][0]: with_spread(name, value["mean"], value["std"])
        for name, value in metrics.items()
        if name in METRICS
    }


def scores(results: Mapping[str, Any], model: str, metric: str, kind: str = "all") -> dict[str, tuple[float, float]]:
    """One metric of the model and the baselines: name -> (mean, standard deviation), for `charts.model_comparison`."""
    found = {model: results["by_kind"][kind][metric]}
    for name, kinds in results["baselines_by_kind"].items():
        found[BASELINES[name].label if name in BASELINES else name] = kinds[kind][metric]
    return {
        name: (value["mean"], value["std"] or 0.0) for name, value in found.items() if value.get("mean") is not None
    }


def with_spread(name: str, mean: float | None, spread: float | None) -> str:
    """`0.137 ± 0.005`, or a dash where the metric is not defined."""
    if mean is None or spread is None:
        return "–"
    return f"{shown_metric(name, mean)} ± {shown_metric(name, spread).lstrip('+')}"


def model_label(run: Run) -> str:
    """The model's name as a person reads it, without importing the models."""
    return run.spec.model.name.replace("_", " ").capitalize()


def attention_heads(run: Run) -> list[str]:
    """The names of the run's heads, layer by layer; empty where its model has none."""
    import pyarrow.parquet as pq

    path = run.folder / "attention.parquet"
    return [name for name in pq.read_schema(path).names if name.startswith("layer")] if path.exists() else []


@st.cache_resource(max_entries=2, show_spinner="Reading the attention")
def _attention(run_id: str, moment: float) -> pd.DataFrame:
    return read_attention(_session.load_run(run_id))


def attention(run: Run) -> pd.DataFrame:
    """The run's attention, one row an edge; shared, so it must not be changed."""
    return _attention(run.id, written(run))


@st.cache_resource(max_entries=8, show_spinner="Reading the attention")
def _edge_attention(run_id: str, moment: float, head: str, times_degree: bool) -> np.ndarray:
    rows, graph, _ = _outcome(run_id, moment)
    table = _attention(run_id, moment)
    value = relative(table, head) if times_degree else weights(table, head)
    place = pd.Index(rows.row_ids)
    source, receiver = (place.get_indexer(table[end]) for end in ("source", "receiver"))
    known = pd.Series(value, index=receiver * len(rows) + source)
    edge_source, edge_receiver = graph.edge_index
    return known.reindex(edge_receiver * len(rows) + edge_source).to_numpy()


def edge_attention(run: Run, head: str = ALL_HEADS, times_degree: bool = False) -> np.ndarray | None:
    """Attention of each edge of the run's graph [M], NaN where it has none; None where the model has no attention."""
    return _edge_attention(run.id, written(run), head, times_degree) if attention_heads(run) else None
