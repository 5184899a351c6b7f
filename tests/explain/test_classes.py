"""Confusion and reliability are those of scikit-learn, and the most confidently wrong objects come first."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from gnnlib.explain import classes

NAMES = ("a", "b", "never seen")


def told(seed: int, n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    chance = rng.dirichlet([2.0, 1.0, 0.0001], n)
    table = pd.DataFrame({f"probability_{name}": chance[:, at] for at, name in enumerate(NAMES)})
    names = np.array(NAMES)
    return table.assign(truth=names[rng.integers(0, 2, n)], prediction=names[chance.argmax(axis=1)])


@given(seed=st.integers(0, 200))
def test_the_confusion_is_that_of_sklearn(seed):
    table = told(seed)
    expected = confusion_matrix(table["truth"], table["prediction"], labels=list(NAMES))
    np.testing.assert_array_equal(classes.counts(table, NAMES), expected)


@given(seed=st.integers(0, 200), bins=st.integers(2, 20))
def test_the_reliability_is_that_of_sklearn(seed, bins):
    table = told(seed)
    top = classes.probabilities(table, NAMES).max(axis=1)
    right = (table["truth"] == table["prediction"]).to_numpy()
    curve = classes.reliability(right, top, bins)
    share, probability = calibration_curve(right, top, n_bins=bins)
    np.testing.assert_allclose(curve["right"], share)
    np.testing.assert_allclose(curve["probability"], probability)
    assert curve["objects"].sum() == len(table)


def test_a_model_that_is_as_often_right_as_it_says_has_no_error_of_calibration():
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.3, 1, 200_000)
    curve = classes.reliability(rng.uniform(size=200_000) < probability, probability)
    assert classes.calibration_error(curve) < 0.01
    assert curve["low"].iloc[0] == pytest.approx(0.3)
    assert (np.abs(curve["right"] - curve["probability"]) < 5 * curve["error"]).all()


def test_the_most_confidently_wrong_come_first():
    right, probability = np.array([True, False, False, True]), np.array([0.9, 0.6, 0.8, 0.5])
    assert classes.ordered(right, probability, "wrong").tolist() == [2, 1]
    assert classes.ordered(right, probability, "right").tolist() == [0, 3]
    assert classes.ordered(right, probability, "unsure").tolist() == [3, 1, 2, 0]
