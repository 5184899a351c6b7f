"""What a run predicted, object by object: scores, parity, residuals in space, and the object one clicks on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.training.run import Run
from gnnlib.view import charts
from gnnlib.view.canvas import graph_canvas
from gnnlib.view.colors import colors_of, column_colors
from gnnlib.view.export import Shot
from gnnlib.view.scene import Scene, graph_scene
from pages import _results, _session
from pages._exports import downloads
from pages._layout import heading, metric_strip, next_step, number_columns
from pages._linked import HINT, linked_points
from pages._node import node_card
from pages._scene_files import scene_files
from pages._sidebar import plain, run_title

POINTS = 20_000  # more points than this in a chart hide each other and make the page heavy


def main() -> None:
    with _session.explained():
        run = _session.current_run()
    if run is None or not _results.written(run):
        heading("Predictions", "What a run predicted for objects it was not trained on.")
        st.info("The run in view has no predictions yet. Train a model, or open another run from the sidebar.")
        next_step("train.py", "Train a model", ":material/model_training:")
        return
    heading("Predictions", f"Of **{plain(run_title(run))}**: every object was predicted by a model that never saw it.")
    if sentence := _results.of_another_task(run):
        st.info(plain(sentence))
        metric_strip(_results.score_strip(run.results["metrics"]))
        comparison(run)
        return
    with _session.explained():
        rows, graph, predictions = _results.outcome(run)
        results = run.results
    metric_strip(_results.score_strip(results["metrics"]))
    if not results["complete"]:
        st.info(f"So far {len(results['folds'])} of {run.spec.folds} folds are tested; the others follow.")
    picture, plot = st.columns([3, 2], gap="medium")
    with picture:
        residual_map(run, rows)
    with plot:
        parity(run, rows, predictions, results["target"])
    card, against = st.columns([3, 2], gap="medium")
    with card:
        node_card(run, rows, graph, predictions, _results.edge_attention(run))
    with against:
        residuals(rows, predictions, results["target"])
    comparison(run)
    objects(rows, predictions)
    downloads(
        "Predictions joined to the catalog",
        f"predictions_{run.id}",
        lambda: joined(_results.outcome(run)[0], predictions),
    )
    next_step("attention.py", "Next: what the model attended to", ":material/flare:")


@st.cache_resource(max_entries=4, show_spinner="Preparing the view")
def scene_of(run_id: str, moment: float) -> Scene:
    rows, graph, predictions = _results.outcome(_session.load_run(run_id))
    residual = predictions["residual"].to_numpy()
    reach = float(np.nanquantile(np.abs(residual), 0.98)) or 1.0
    return graph_scene(
        graph,
        rows,
        color_by=colors_of(residual, "residual", limits=(-reach, reach), around_zero=True),
        size_by=rows.roles.mass,
        details=(rows.roles.mass,) if rows.roles.mass else (),
    )


def residual_map(run: Run, rows: Catalog) -> None:
    st.subheader("Residuals in space", anchor=False)
    scene = scene_of(run.id, _results.written(run))
    state = graph_canvas(
        scene,
        key="residual_canvas",
        height=470,
        selection=_session.selected_ids(scene.row_ids),
        camera="main",
        view=_session.view(),
        on_view=_session.show_view,
        on_select=_session.select,
    )
    _session.select(state.selected)
    if scene.caption:
        st.caption(scene.caption.capitalize())
    scene_files(scene, Shot(), _session.seen())
    _session.settle()


def parity(run: Run, rows: Catalog, predictions: pd.DataFrame, target: str) -> None:
    st.subheader("Parity", anchor=False)
    part = sample(predictions, rows)
    colour, label = mass_colour(rows)
    figure = charts.parity(
        predictions["truth"].to_numpy()[part],
        predictions["prediction"].to_numpy()[part],
        rows.row_ids[part],
        target,
        None if colour is None else colour[part],
        label,
        rows.row_ids[_session.selected_rows(rows.row_ids)],
    )
    linked_points(figure, "parity", rows.row_ids, predictions["truth"].to_numpy(), predictions["prediction"].to_numpy())
    st.caption(HINT)
    if len(part) < len(rows):
        st.caption(f"{len(part):,} of {len(rows):,} objects, a random subset; the scores are of all.")


def residuals(rows: Catalog, predictions: pd.DataFrame, target: str) -> None:
    numeric = [str(name) for name in rows.table.columns if rows.table[name].dtype.kind in "iuf"]
    first = rows.roles.mass if rows.roles.mass in numeric else numeric[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        column = st.selectbox("Residual against", numeric, index=numeric.index(first), key="residual_column")
        values = np.asarray(rows.values(column), dtype=np.float64)
        positive = bool(np.nanmin(values) > 0)
        wide = positive and np.nanmax(values) / np.nanmin(values) > 300
        log = st.toggle("log", value=bool(wide), key=f"residual_log_{column}", disabled=not positive)
    label = rows.columns[column].label
    part = sample(predictions, rows)
    along = np.log10(values) if log and positive else values
    residual = predictions["residual"].to_numpy()
    figure = charts.residual_against(
        along[part],
        residual[part],
        rows.row_ids[part],
        f"log₁₀ {label}" if log and positive else label,
        target,
        rows.row_ids[_session.selected_rows(rows.row_ids)],
    )
    linked_points(figure, f"residual_{column}_{log}", rows.row_ids, along, residual)


def sample(predictions: pd.DataFrame, rows: Catalog) -> np.ndarray:
    """Places of the rows that the charts show: all, or a fixed random subset with the selected ones."""
    if len(predictions) <= POINTS:
        return np.arange(len(predictions))
    part = np.random.default_rng(0).choice(len(predictions), POINTS, replace=False)
    return np.unique(np.concatenate([part, _session.selected_rows(rows.row_ids)]))


def mass_colour(rows: Catalog) -> tuple[np.ndarray | None, str]:
    """Log mass where the catalog has one."""
    if rows.roles.mass is None:
        return None, ""
    colours = column_colors(rows, rows.roles.mass).along
    return colours.values, colours.label.replace("log10", "log₁₀")


def comparison(run: Run) -> None:
    """The model beside the baselines on identical folds."""
    results = run.results
    st.subheader(
        "Against the baselines",
        anchor=False,
        help="Same folds. Without messages: those with neighbours see features of them made by hand.",
    )
    kinds = [kind for kind in _results.KINDS if kind in results["by_kind"]]
    kind = kinds[0]
    if len(kinds) > 1:
        kind = st.segmented_control(
            "Objects",
            kinds,
            default=kind,
            format_func=_results.KINDS.__getitem__,
            required=True,
            key="score_kind",
            label_visibility="collapsed",
        )
    table, chart = st.columns([3, 2], gap="medium", vertical_alignment="center")
    name, metric = _results.model_label(run), _results.compared(run)
    label = _results.METRICS[metric][0]
    with table:
        st.dataframe(_results.score_table(results, name, kind), hide_index=True)
        st.caption(f"Mean ± standard deviation over {run.spec.folds} folds ({run.spec.split}).")
    with chart:
        st.plotly_chart(
            charts.model_comparison(_results.scores(results, name, metric, kind), label, name), key="rmse_comparison"
        )


def joined(rows: Catalog, predictions: pd.DataFrame) -> pd.DataFrame:
    """The catalog's rows with their predictions beside them."""
    return _session.table_of(rows).join(predictions.reset_index(drop=True))


def objects(rows: Catalog, predictions: pd.DataFrame) -> None:
    """All objects, the largest residuals first; selecting a row selects the object."""
    st.subheader("Objects", anchor=False)
    order = np.argsort(-np.abs(predictions["residual"].to_numpy()), kind="stable")[:1000]
    columns = ["truth", "prediction", "sigma", "residual", "fold"]
    table = predictions[columns].iloc[order].reset_index(names="row")
    shown = [name for name in (rows.roles.mass, *rows.roles.features[:4]) if name]
    for name in dict.fromkeys(shown):
        table[name] = rows.table[name].to_numpy()[order]
    st.session_state.listed_objects = table["row"].tolist()
    st.dataframe(
        table,
        hide_index=True,
        height=280,
        on_select=open_object,
        selection_mode="single-row",
        key="objects",
        column_config=number_columns(table)
        | {name: st.column_config.NumberColumn(format="%.3f") for name in columns if name != "fold"},
    )
    st.caption("The thousand largest residuals; select a row to see the object.")


def open_object() -> None:
    chosen = st.session_state.objects["selection"]["rows"]
    if chosen:
        _session.select([st.session_state.listed_objects[chosen[0]]])


main()
