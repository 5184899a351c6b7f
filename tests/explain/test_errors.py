"""Summaries of errors against plain computations on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gnnlib.errors import InputError
from gnnlib.explain import errors


def test_bins_hold_equal_counts_and_their_own_errors():
    rng = np.random.default_rng(0)
    values, residual, central = rng.normal(size=800), rng.normal(size=800), rng.random(800) < 0.6
    values[:5] = np.nan
    table = errors.by_bins(values, residual, central, bins=5)
    whole = table[table["kind"] == "all"]
    assert whole["objects"].tolist() == [159] * 5
    for _, row in table.iterrows():
        inside = (values >= row["low"]) & ((values < row["high"]) | (row["high"] == whole["high"].max()))
        inside &= {"all": True, "centrals": central, "satellites": ~central}[row["kind"]]
        part = residual[inside]
        assert row["objects"] == len(part)
        assert row["bias"] == pytest.approx(part.mean())
        assert row["rmse"] == pytest.approx(np.sqrt((part**2).mean()))
        assert row["nmad"] == pytest.approx(1.4826 * np.median(np.abs(part - np.median(part))))
    assert table.groupby("kind")["objects"].sum().loc[["centrals", "satellites"]].sum() == 795


def test_a_column_with_one_value_and_an_empty_one_give_no_trouble():
    assert errors.by_bins(np.ones(5), np.arange(5.0))["objects"].sum() in (0, 5)
    assert errors.by_bins(np.full(3, np.nan), np.ones(3)).empty


def test_a_true_gaussian_is_calibrated_and_half_its_sigma_is_not():
    rng = np.random.default_rng(1)
    sigma = rng.uniform(0.5, 2, 40_000)
    truth = rng.normal(0, sigma)
    good = errors.calibration(truth, np.zeros(40_000), sigma)
    np.testing.assert_allclose(good["inside"], good["level"], atol=0.01)
    bold = errors.calibration(truth, np.zeros(40_000), sigma / 2)
    assert (bold["inside"] < bold["level"] - 0.01).all()
    assert errors.calibration(truth[:3], truth[:3], np.full(3, np.nan))["inside"].isna().all()


def runs_of(second_error: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(2)
    ids, truth = np.arange(500), rng.normal(size=500)
    first = pd.DataFrame({"row_id": ids, "truth": truth, "prediction": truth + rng.normal(0, 0.3, 500)})
    second = pd.DataFrame({"row_id": ids, "truth": truth, "prediction": truth + rng.normal(0, second_error, 500)})
    return first, second.sample(400, random_state=0)


def test_two_runs_are_paired_by_row():
    first, second = runs_of(0.1)
    table = errors.paired(first, second)
    assert len(table) == 400
    by_id = second.set_index("row_id")["prediction"]
    np.testing.assert_allclose(table["second"], by_id[table["row_id"]])
    summary = errors.paired_summary(table)
    assert summary["rmse_first"] > 2 * summary["rmse_second"] and summary["better"] > 0.7
    assert summary["certainty"] > 5
    assert abs(errors.paired_summary(errors.paired(*runs_of(0.3)))["certainty"]) < 3


def test_runs_that_cannot_be_compared_are_refused():
    first, second = runs_of(0.1)
    with pytest.raises(InputError, match="different targets"):
        errors.paired(first, second.assign(truth=second["truth"] * 2 + 1))
    with pytest.raises(InputError, match="no object in common"):
        errors.paired(first, second.assign(row_id=second["row_id"] + 10_000))


def test_percentile_counts_smaller_residuals():
    assert errors.percentile(np.array([-3.0, 1.0, 2.0, np.nan, 4.0]), -3.0) == 50.0
