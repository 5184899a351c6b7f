"""Intervals cover what they promise, whatever sigma is, and say so in figures that a loop gives too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnlib.training.conformal import CURVE, LEVELS, Calibration, coverage, judge, over_folds, scores


@pytest.mark.parametrize("wrong", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("heavy", [False, True])
def test_calibrated_intervals_cover_their_share_however_wrong_sigma_is(wrong, heavy):
    rng = np.random.default_rng(1)
    sigma = rng.uniform(0.5, 2, 8000)
    noise = rng.standard_t(2, 8000) if heavy else rng.normal(size=8000)
    truth = sigma * noise
    told = Calibration.fit(truth[:4000], np.zeros(4000), wrong * sigma[:4000])
    for level in (0.1, 0.5, *LEVELS):
        covered = coverage(scores(truth[4000:], np.zeros(4000), wrong * sigma[4000:]), told.factor(level))
        assert covered == pytest.approx(level, abs=0.03)
    assert (told.factor(0.68) == pytest.approx(1 / wrong, rel=0.08)) != heavy


@given(n=st.integers(20, 200), level=st.floats(0.05, 0.99), seed=st.integers(0, 99))
def test_at_least_the_promised_share_of_the_calibration_rows_is_inside(n, level, seed):
    of_rows = np.random.default_rng(seed).exponential(size=n)
    factor = Calibration(np.sort(of_rows)).factor(level)
    assert coverage(of_rows, factor) >= min(level, 1 - 1 / (n + 1))


def test_too_few_validation_rows_leave_the_normal_distribution():
    assert Calibration(np.arange(19.0)).factor(0.68) == pytest.approx(0.9945, abs=1e-3)
    assert Calibration(np.zeros(0)).factor(0.95) == pytest.approx(1.96, abs=1e-2)


def test_the_figures_of_all_folds_count_every_test_row_by_the_factor_of_its_own_fold():
    rng = np.random.default_rng(2)
    folds = [(Calibration(np.sort(rng.exponential(size=50))), rng.exponential(size=n)) for n in (30, 70)]
    told = over_folds([judge(*fold) for fold in folds], [30, 70])
    for level in LEVELS:
        inside = sum(int((s <= c.factor(level)).sum()) for c, s in folds)
        assert told["coverage"][str(level)] == pytest.approx(inside / 100)
    assert told["curve"]["level"] == list(CURVE)
    assert np.all(np.diff(told["curve"]["covered"]) >= 0) and np.all(np.diff(told["curve"]["gaussian"]) >= 0)
