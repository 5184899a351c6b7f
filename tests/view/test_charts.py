"""What the figures promise: nothing left out silently, equal axes, ids that survive, and no background of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnlib.view import charts

RNG = np.random.default_rng(3)
IDS = np.array([2**62 + 1, 2**62 + 2, 2**62 + 3])
HISTORY = pd.DataFrame(
    {
        "fold": [0, 0, 1, 1],
        "epoch": [1, 2, 1, 2],
        "train_loss": [1.0, 0.5, 1.1, 0.6],
        "validation_loss": [1.2, 0.7, 1.3, 0.8],
    }
)
PROFILE = pd.DataFrame(
    {"low": [0.0, 1.0], "high": [1.0, 2.0], "p16": [0.8, 0.6], "median": [1.2, 0.9], "p84": [1.7, 1.2]}
)


def curves() -> dict[str, np.ndarray]:
    """What a sweep of five linking lengths says."""
    radii = np.linspace(0.0, 3, 5)
    names = ("isolated_fraction", "largest_component_fraction", "mean_degree", "degree_p16", "degree_p84")
    return {"radius": radii} | {name: radii / 3 for name in names}


def figures() -> dict[str, go.Figure]:
    truth = np.array([1.0, 2.0, 3.0])
    radii = np.linspace(0.1, 3, 5)
    return {
        "histogram": charts.histogram(RNG.normal(size=50), "x"),
        "category_counts": charts.category_counts(pd.Series(["a", "b", "a"]), "type"),
        "degree_histogram": charts.degree_histogram(np.array([0, 1, 1, 5])),
        "radius_curves": charts.radius_curves(curves(), 1.0, marks={"percolation": 1.4}),
        "pair_correlation": charts.pair_correlation(radii, np.array([5.0, 1.0, -1.0, np.nan]), 1.0),
        "step_memory": charts.step_memory(radii, 1e9 * radii**3, 1.0),
        "positions": charts.positions(truth, truth, ("x", "y")),
        "loss_curves": charts.loss_curves(HISTORY),
        "losses_of_runs": charts.losses_of_runs({"a": HISTORY, "b": HISTORY}),
        "along_training": charts.along_training(HISTORY, "train_loss", "loss"),
        "parity": charts.parity(truth, truth + 0.1, IDS, "log M", truth, "mass", [IDS[0]]),
        "residual_against": charts.residual_against(truth, truth * 0, IDS, "mass", "log M"),
        "attention_by_separation": charts.attention_by_separation(PROFILE),
        "model_comparison": charts.model_comparison({"GNN": (0.1, 0.01), "Linear": (0.2, 0.02)}, "RMSE", "GNN"),
    }


@pytest.mark.parametrize("name", list(figures()))
def test_a_figure_has_no_background_and_no_font_of_its_own(name: str) -> None:
    figure = figures()[name]
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.font.family is None and figure.layout.font.color is None
    assert figure.to_json()


def test_a_histogram_counts_every_finite_value() -> None:
    values = np.array([1.0, 2.0, np.nan, 10.0, np.inf])
    assert charts.histogram(values, "x").data[0].y.sum() == 3


def test_a_logarithmic_histogram_leaves_out_what_has_no_logarithm() -> None:
    figure = charts.histogram(np.array([0.0, -1.0, 1.0, 100.0]), "x", log=True)
    assert figure.data[0].y.sum() == 2
    assert figure.layout.xaxis.title.text == "log₁₀ x"


def test_an_empty_column_gives_an_empty_figure() -> None:
    assert len(charts.histogram(np.full(4, np.nan), "x").data) == 0


@given(st.lists(st.integers(0, 500), min_size=1, max_size=80))
def test_a_degree_histogram_counts_every_node(degrees: list[int]) -> None:
    assert charts.degree_histogram(np.array(degrees)).data[0].y.sum() == len(degrees)


def test_parity_has_equal_axes_and_the_one_to_one_line() -> None:
    figure = charts.parity(np.array([0.0, 4.0]), np.array([1.0, 9.0]), IDS[:2], "log M")
    assert figure.layout.xaxis.range == figure.layout.yaxis.range
    assert figure.layout.yaxis.scaleanchor == "x" and figure.layout.yaxis.scaleratio == 1
    line = figure.data[1]
    assert tuple(line.x) == tuple(line.y) == figure.layout.xaxis.range


def test_large_row_ids_reach_the_browser_exactly() -> None:
    figure = charts.parity(np.arange(3.0), np.arange(3.0), IDS, "log M")
    assert tuple(figure.data[0].customdata) == tuple(str(row_id) for row_id in IDS)


def test_the_selection_is_ringed_and_nothing_else_is_hidden() -> None:
    truth = np.array([1.0, 2.0, 3.0])
    figure = charts.parity(truth, truth, IDS, "log M", selected=[IDS[2]])
    assert tuple(figure.data[-1].x) == (3.0,)
    assert figure.data[0].unselected.marker.opacity == figure.data[0].marker.opacity


def test_many_selected_rows_are_dots_that_hide_nothing() -> None:
    many = np.arange(charts.MOST_RINGS + 1.0)
    figure = charts.parity(many, many, many, "log M", selected=list(many))
    assert figure.data[-1].marker.size < 5


@pytest.mark.parametrize("draw", [lambda n, mask: charts.histogram(n, "x", selected=mask), charts.degree_histogram])
def test_selected_rows_stand_out_in_a_histogram_and_nothing_is_counted_twice(draw: Callable[..., go.Figure]) -> None:
    numbers = RNG.integers(0, 9, 200)
    chosen = numbers > 5
    (lit, rest) = draw(numbers, chosen).data
    assert sum(lit.y) == chosen.sum() and sum(rest.y) == (~chosen).sum()
    assert lit.marker.color != rest.marker.color


def test_running_quantiles_are_those_of_equal_parts() -> None:
    x, y = RNG.permutation(400).astype(float), RNG.normal(size=400)
    centres, low, median, high = charts.running_quantiles(x, y, bins=4)
    assert len(centres) == 4
    first = y[x < 100]
    assert (low[0], median[0]) == pytest.approx((np.quantile(first, 0.16), np.median(first)))
    assert high[0] == pytest.approx(np.quantile(first, 0.84))


def test_running_quantiles_ignore_rows_without_a_value() -> None:
    x, y = np.arange(40.0), np.ones(40)
    x[3], y[5] = np.nan, np.inf
    centres, low, median, high = charts.running_quantiles(x, y)
    assert np.all(low == 1) and np.all(median == 1) and np.all(high == 1)
    assert np.all(np.diff(centres) > 0)


def test_too_few_points_have_no_running_median() -> None:
    assert charts.running_quantiles(np.arange(3.0), np.arange(3.0))[0].size == 0


def test_each_network_of_an_ensemble_has_a_loss_curve_of_its_own():
    members = pd.concat([HISTORY.assign(member=member) for member in (0, 1)])
    names = [trace.name for trace in charts.loss_curves(members).data if trace.showlegend]
    assert names == [
        f"{fold.name}, network {n}" for fold in charts.loss_curves(HISTORY).data if fold.showlegend for n in (1, 2)
    ]


def test_each_fold_has_a_training_and_a_validation_curve() -> None:
    figure = charts.loss_curves(HISTORY)
    assert [trace.name for trace in figure.data] == ["fold 1, training", "fold 1", "fold 2, training", "fold 2"]
    assert tuple(figure.data[3].y) == (1.3, 0.8)


def test_runs_side_by_side_are_the_mean_of_their_folds() -> None:
    figure = charts.losses_of_runs({"one": HISTORY, "other": HISTORY.assign(validation_loss=np.nan)})
    shown = {trace.name: trace for trace in figure.data if trace.showlegend is not False}
    assert list(shown) == ["one", "other (training)"]
    expected = HISTORY.groupby("epoch")["validation_loss"].mean()
    assert tuple(shown["one"].y) == pytest.approx(tuple(expected))


def test_many_positions_are_thinned_at_random_and_not_from_the_front() -> None:
    x = np.arange(50_000.0)
    drawn = np.asarray(charts.positions(x, x, ("x", "y"), most=1000).data[0].x)
    assert len(drawn) == 1000
    assert drawn.mean() == pytest.approx(25_000, rel=0.1)


def test_the_model_stands_out_among_the_baselines() -> None:
    figure = charts.model_comparison({"GNN": (0.1, 0.01), "Linear": (0.2, 0.02)}, "RMSE", "GNN")
    colours = dict(zip(figure.data[0].y, figure.data[0].marker.color, strict=True))
    assert colours["GNN"] != colours["Linear"]


def test_rows_that_a_cut_takes_away_stand_in_grey_and_nothing_is_counted_twice() -> None:
    values = np.concatenate([RNG.normal(size=90), [np.nan, 0.5]])
    kept = np.arange(92) % 3 > 0
    figure = charts.histogram(values, "x", kept=kept)
    stays, away = figure.data
    assert (stays.y.sum(), away.y.sum()) == (np.isfinite(values[kept]).sum(), np.isfinite(values[~kept]).sum())
    assert away.marker.color == charts.FAINT and stays.marker.color == charts.ACCENT
    words = charts.category_counts(pd.Series(["a", "b", "a", "c"]), "type", kept=np.array([True, False, False, True]))
    assert [bar.y.sum() for bar in words.data] == [2, 2]
    ids = [f"row {number}" for number in range(92)]
    grey, coloured, *rings = charts.positions(
        values, values, ("x", "y"), kept=kept, row_ids=ids, selected=ids[1:2]
    ).data
    assert grey.customdata is None and grey.marker.color == charts.FAINT
    assert list(coloured.customdata) == [ids[place] for place in np.flatnonzero(kept & np.isfinite(values))]
    assert len(rings) == 1 and rings[0].x.tolist() == [values[1]]


def test_the_curves_mark_the_linking_length_in_view_and_what_it_is_compared_with() -> None:
    figure = charts.radius_curves(curves(), 1.25, "Mpc/h", {"percolation": 2.0, "mean separation": 2.5})
    assert sorted(shape.x0 for shape in figure.layout.shapes) == [1.25, 2.0, 2.5]
    texts = [annotation.text for annotation in figure.layout.annotations]
    assert texts == ["percolation 2", "mean separation 2.5", "<b>1.25</b>"]
    named = [trace.name for trace in figure.data if trace.showlegend is not False and trace.name]
    assert named == ["isolated", "largest component", "mean degree, 16–84 % of nodes"]
    bare = charts.radius_curves(curves(), None, degrees=False)
    assert len(bare.data) == 2 and not bare.layout.shapes


def test_a_bin_without_pairs_has_no_correlation_and_memory_is_read_off_its_curve() -> None:
    figure = charts.pair_correlation(np.array([1.0, 2.0, 4.0, 8.0]), np.array([3.0, -1.0, np.nan]), None)
    assert figure.data[0].y.tolist() == [4.0]
    memory = charts.step_memory(np.array([0.0, 1.0, 2.0]), np.array([1e9, 2e9, 4e9]), 1.5)
    assert memory.layout.annotations[0].text == "<b>3 GB</b>"
