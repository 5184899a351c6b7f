"""What a run predicted, object by object: scores, parity, residuals in space, and the object one clicks on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.explain.errors import by_bins, calibration
from gnnlib.training.run import Run
from gnnlib.view import charts
from gnnlib.view.colors import colors_of, column_colors
from gnnlib.view.export import Shot
from gnnlib.view.scene import Scene, graph_scene
from pages import _predictions_classes, _predictions_graphs, _predictions_pairs, _results, _session
from pages._exports import joined_downloads
from pages._layout import EXTREMES, headed_choice, heading, metric_strip, next_step
from pages._linked import HINT, linked_canvas, linked_points, linked_table
from pages._node import neighbourhood, node_card
from pages._scene_files import scene_files
from pages._sidebar import in_words, plain, run_title

LISTED = 1000  # objects in the table of the worst, or the best
OTHER_TASKS: dict[str, Callable[[Run], None]] = {
    "node_classification": _predictions_classes.show,
    "graph_regression": _predictions_graphs.show,
    "edge_classification": _predictions_pairs.show,
}
POINTS = 20_000  # more points than this in a chart hide each other and make the page heavy


def main() -> None:
    run = _results.run_in_view("Predictions", "What a run predicted for objects it was not trained on.")
    if run is None:
        return
    heading("Predictions", f"Of **{plain(run_title(run))}**: every object was predicted by a model that never saw it.")
    with _session.explained():
        results = run.results
    metric_strip(_results.score_strip(results["metrics"]))
    if not results["complete"]:
        st.info(f"So far {len(results['folds'])} of {run.spec.folds} folds are tested; the others follow.")
    if run.spec.task in OTHER_TASKS:
        OTHER_TASKS[run.spec.task](run)
        comparison(run)
        next_step("train.py", "Next: train another model", ":material/model_training:")
        return
    with _session.explained():
        rows, _, predictions = _results.outcome(run)
    inspected(run, rows, predictions)
    plot, against = st.columns(2, gap="medium")
    with plot:
        parity(run, rows, predictions, results["target"])
    with against:
        residuals(rows, predictions, results["target"])
    where_it_errs(run, rows, predictions)
    comparison(run)
    objects(rows, predictions)
    joined_downloads(run, "The whole catalog with prediction, sigma, fold and residual")
    next_step("attention.py", "Next: what the model attended to", ":material/flare:")


@st.cache_resource(max_entries=4, show_spinner="Preparing the view")
def scene_of(run_id: str, moment: float, file: str | None) -> Scene:
    rows, graph, predictions = _results.outcome(_session.load_run(run_id))
    residual = predictions["residual"].to_numpy()
    reach = float(np.nanquantile(np.abs(residual), 0.98)) or 1.0
    return graph_scene(
        graph,
        rows,
        color_by=colors_of(residual, "residual", limits=(-reach, reach), around_zero=True),
        size_by=rows.roles.mass,
        details=(rows.roles.mass,) if rows.roles.mass else (),
        file=file,
    )


@st.fragment(key="inspected")
def inspected(run: Run, rows: Catalog, predictions: pd.DataFrame) -> None:
    """Picture and card. A click runs this part alone, so that the card answers at once; the rest follows."""
    picture, card = st.columns([3, 2], gap="medium")
    with picture:
        residual_map(run, rows)
    with card:
        node_card(run, rows, predictions)
    neighbourhood(run, rows, predictions)
    _session.settle()


def residual_map(run: Run, rows: Catalog) -> None:
    st.subheader("Residuals in space", anchor=False)
    scene = scene_of(run.id, _results.written(run), _session.drawn_file(rows))
    linked_canvas(scene, key="residual_canvas", height=470)
    if scene.caption:
        st.caption(in_words(scene.caption))
    scene_files(scene, Shot(), _session.seen())


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
        st.caption(f"Mean ± standard deviation over {run.spec.folds} folds ({_results.split_of(run)}).")
    with chart:
        st.plotly_chart(
            charts.model_comparison(_results.scores(results, name, metric, kind), label, name), key="rmse_comparison"
        )


def where_it_errs(run: Run, rows: Catalog, predictions: pd.DataFrame) -> None:
    """Errors along mass, or another column, for centrals and satellites; and whether sigma can be trusted."""
    bins, trust = st.columns([3, 2], gap="medium")
    with bins:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.subheader("Error by bin", anchor=False)
            measure = st.segmented_control(
                "Measure",
                ["rmse", "nmad", "bias"],
                default="rmse",
                required=True,
                format_func=lambda name: name if name == "bias" else name.upper(),
                key="bin_measure",
                label_visibility="collapsed",
            )
        values, label = along_mass(rows)
        table = by_bins(values, predictions["residual"].to_numpy(), _results.central_flag(run, rows))
        st.plotly_chart(charts.error_by_bin(table, str(measure), label), key="error_by_bin")
        st.caption(f"Bins of equal counts, {int(table['objects'].min()) if len(table) else 0:,} objects at least.")
    with trust:
        st.subheader("Calibration", anchor=False)
        levels = calibration(*(predictions[name].to_numpy() for name in ("truth", "prediction", "sigma")))
        st.plotly_chart(charts.calibration(levels), key="calibration")
        one = float(np.interp(0.6827, levels["level"], levels["inside"]))
        st.caption(f"Share of the objects inside the interval that sigma promises: ± 1 σ holds {100 * one:.0f} %.")


def along_mass(rows: Catalog) -> tuple[np.ndarray, str]:
    """Log mass where the catalog has one, else the first feature or numeric column."""
    colour, label = mass_colour(rows)
    if colour is not None:
        return colour, label
    numeric = [str(name) for name in rows.table.columns if rows.table[name].dtype.kind in "iuf"]
    name = next((name for name in rows.roles.features if name in numeric), numeric[0])
    return np.asarray(rows.values(name), dtype=np.float64), rows.columns[name].label


def objects(rows: Catalog, predictions: pd.DataFrame) -> None:
    """The worst or the best predicted objects; selecting a row selects the object."""
    which = headed_choice("Objects", "Which objects", EXTREMES, "which_objects")
    size = np.abs(predictions["residual"].to_numpy())
    order = np.argsort(-size if which == "Worst" else size, kind="stable")[:LISTED]
    columns = ["truth", "prediction", "sigma", "residual", "fold"]
    table = predictions[columns].iloc[order].reset_index(names="row")
    shown = [name for name in (rows.roles.mass, *rows.roles.features[:4]) if name]
    for name in dict.fromkeys(shown):
        table[name] = rows.table[name].to_numpy()[order]
    linked_table(
        table,
        f"objects_{which}",
        lambda place: _session.select([table["row"].iloc[place]]),
        config={name: st.column_config.NumberColumn(format="%.3f") for name in columns if name != "fold"},
    )
    extreme = "largest" if which == "Worst" else "smallest"
    st.caption(f"The {len(table):,} {extreme} residuals; select a row to see the object.")


main()
