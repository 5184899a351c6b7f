"""Metrics against scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics as reference

from gnnlib.training.metrics import METRICS, evaluate, over_folds

VALUES = st.floats(-1e3, 1e3).map(lambda value: round(value, 6))


@given(
    st.integers(3, 60).flatmap(
        lambda n: st.tuples(arrays(float, n, elements=VALUES), arrays(float, n, elements=VALUES))
    )
)
def test_metrics_agree_with_sklearn_and_scipy(pair):
    truth, prediction = pair
    figures = evaluate(truth, prediction)
    residual = prediction - truth
    assert figures["rmse"] == pytest.approx(reference.root_mean_squared_error(truth, prediction))
    assert figures["mae"] == pytest.approx(reference.mean_absolute_error(truth, prediction))
    assert figures["nmad"] == pytest.approx(stats.median_abs_deviation(residual, scale="normal"), rel=1e-4)
    assert figures["bias"] == pytest.approx(np.mean(residual))
    assert figures["n"] == len(truth)
    if truth.std() > 1e-3:
        assert figures["r2"] == pytest.approx(reference.r2_score(truth, prediction), rel=1e-6, abs=1e-6)
        if prediction.std() > 1e-3:
            assert figures["rho"] == pytest.approx(stats.pearsonr(truth, prediction).statistic, abs=1e-6)


def test_outliers_are_a_percentage_beyond_three_nmad():
    residual = np.concatenate([np.linspace(-1, 1, 99), [50.0]])
    figures = evaluate(np.zeros(100) + np.arange(100), np.arange(100) + residual)
    assert figures["f_outlier"] == pytest.approx(1.0)


def test_figures_that_are_not_defined_are_nan():
    assert np.isnan(evaluate(np.arange(5.0), np.full(5, 0.1 + 0.2))["rho"])
    assert np.isnan(evaluate(np.ones(5), np.arange(5.0))["r2"])
    assert np.isnan(evaluate(np.array([]), np.array([]))["rmse"])


def test_folds_are_summarised_by_mean_and_deviation():
    folds = [evaluate(np.arange(10.0), np.arange(10.0) + shift) for shift in (1.0, 3.0)]
    summary = over_folds(folds)
    assert set(summary) == set(METRICS)
    assert summary["bias"] == {"mean": pytest.approx(2.0), "std": pytest.approx(1.0)}
