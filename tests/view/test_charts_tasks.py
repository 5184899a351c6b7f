"""The figures of classes and pairs: shares and counts that are right, names that cannot format anything."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gnnlib.explain import classes, pairs
from gnnlib.view import charts_tasks

RNG = np.random.default_rng(2)
TRUTH = RNG.integers(0, 2, 400)
PROBABILITY = np.clip(0.4 * TRUTH + RNG.uniform(0, 0.6, 400), 0, 1)


def test_a_confusion_shows_shares_of_the_true_class_and_counts() -> None:
    figure = charts_tasks.confusion(np.array([[3, 1], [0, 4]]), ["a", "b"])
    np.testing.assert_allclose(figure.data[0].z, [[0.75, 0.25], [0.0, 1.0]])
    np.testing.assert_array_equal(figure.data[0].customdata, [[3, 1], [0, 4]])
    words = {(x, y): text for x, y, text in zip(figure.data[1].x, figure.data[1].y, figure.data[1].text, strict=True)}
    assert words["b", "a"] == "<b>25.0%</b><br>1" and words["a", "b"] == "<b>0.0%</b><br>0"
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
    light, dark = (charts_tasks.confusion(np.eye(2), ["a", "b"], dark).data[1].textfont.color for dark in (False, True))
    assert light < "#444444" and dark > "#dddddd"


def test_names_of_classes_are_escaped_and_many_are_not_written_into_cells() -> None:
    figure = charts_tasks.confusion(np.eye(2), ["<b>x</b>", "y & z"])
    assert figure.data[0].x == ("&lt;b&gt;x&lt;/b&gt;", "y &amp; z")
    many = charts_tasks.confusion(np.eye(30), [str(name) for name in range(30)])
    assert len(many.data) == 1 and many.layout.height > 800


def test_a_class_without_objects_has_no_shares() -> None:
    assert np.isfinite(np.array(charts_tasks.confusion(np.zeros((2, 2)), ["a", "b"]).data[0].z)).all()


def test_the_reliability_is_drawn_with_its_errors_and_within_the_axes() -> None:
    table = classes.reliability(PROBABILITY > 0.5, PROBABILITY)
    figure = charts_tasks.reliability(table)
    curve = figure.data[-1]
    np.testing.assert_array_equal(curve.y, table["right"])
    np.testing.assert_array_equal(curve.error_y.array, table["error"])
    low, high = figure.layout.yaxis.range
    assert low <= (table["right"] - table["error"]).min() and high > 1


def test_the_first_curve_stands_out_and_a_guess_is_marked() -> None:
    curve = pairs.precision_recall(TRUTH, PROBABILITY)
    figure = charts_tasks.precision_recall({"GNN": curve, "Linear": curve}, 0.3)
    assert figure.data[0].line.width > figure.data[1].line.width
    assert figure.layout.shapes[0].y0 == 0.3
    found = charts_tasks.roc({"GNN": pairs.roc(TRUTH, PROBABILITY)}).data[0]
    assert (found.x[0], found.y[0], found.x[-1], found.y[-1]) == (0, 0, 1, 1)


def test_every_pair_is_in_one_bar_of_its_kind() -> None:
    figure = charts_tasks.probabilities(TRUTH, PROBABILITY, ("apart", "together"))
    counts = [pd.Series(bar.customdata).sum() for bar in figure.data]
    assert counts == [(TRUTH == 0).sum(), (TRUTH == 1).sum()]
    np.testing.assert_allclose([np.sum(bar.y) for bar in figure.data], 1)
