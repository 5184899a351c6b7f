"""Intervals that hold what they promise: a predicted sigma stretched by what rows outside the training say of it.

Split conformal prediction with normalised residuals (Lei et al. 2018, arXiv 1604.04173; Papadopoulos et al. 2002): the
interval mean ± q sigma, with q the quantile of |truth - mean| / sigma over the validation rows, covers a share `level`
of rows like those, however wrong sigma is. Validation rows are a block of space (or whole groups) of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

LEVELS = (0.68, 0.95)  # of the intervals that are reported
CURVE = tuple(round(0.05 * step, 2) for step in range(1, 20))  # of the calibration curve
FEWEST = 20  # validation rows below which a normal distribution stands for them


@dataclass(frozen=True)
class Calibration:
    """scores: [n] sorted, |truth - mean| / sigma of the validation rows."""

    scores: np.ndarray

    @classmethod
    def fit(cls, truth: np.ndarray, mean: np.ndarray, sigma: np.ndarray) -> Calibration:
        """truth, mean, sigma: [n] of the validation rows, in one unit."""
        return cls(np.sort(scores(truth, mean, sigma)))

    def factor(self, level: float) -> float:
        """q: mean ± q sigma covers the share `level` (0..1) of rows. That of a normal distribution for few rows."""
        n = len(self.scores)
        if n < FEWEST:
            return NormalDist().inv_cdf(0.5 + level / 2)
        return float(self.scores[min(n, int(np.ceil((n + 1) * level))) - 1])


def scores(truth: np.ndarray, mean: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """|truth - mean| / sigma, [n]."""
    return np.abs(truth - mean) / np.maximum(sigma, np.finfo(np.float64).tiny)


def coverage(of_rows: np.ndarray, factor: float) -> float:
    """The share of rows whose truth lies in the interval mean ± factor x sigma. of_rows: `scores` [n]."""
    return float(np.mean(of_rows <= factor)) if len(of_rows) else np.nan


def judge(calibration: Calibration, of_rows: np.ndarray) -> dict[str, Any]:
    """What a fold's entry of results.json says of its intervals. of_rows: `scores` [n] of the test rows.

    factor: level -> q, so that mean ± q sigma is the interval. coverage: level -> share of test rows inside. curve: at
    each `level`, the share `covered` by such intervals, and the share `gaussian` covered by those that take sigma for
    the deviation of a normal distribution, each [L]. n: validation rows behind q.
    """
    factors = {str(level): calibration.factor(level) for level in LEVELS}
    normal = NormalDist()
    return {
        "n": len(calibration.scores),
        "factor": factors,
        "coverage": {level: coverage(of_rows, factor) for level, factor in factors.items()},
        "curve": {
            "level": list(CURVE),
            "covered": [coverage(of_rows, calibration.factor(level)) for level in CURVE],
            "gaussian": [coverage(of_rows, normal.inv_cdf(0.5 + level / 2)) for level in CURVE],
        },
    }


def over_folds(judged: Sequence[dict[str, Any]], n_rows: Sequence[int]) -> dict[str, Any]:
    """The same shares over the rows of all folds. judged: `judge` of each fold; n_rows: its test rows."""

    def share(values: Sequence[float]) -> float:
        return float(np.average(values, weights=n_rows))

    curves = [fold["curve"] for fold in judged]
    return {
        "coverage": {level: share([fold["coverage"][level] for fold in judged]) for level in judged[0]["coverage"]},
        "curve": {"level": curves[0]["level"]}
        | {
            name: [share(values) for values in zip(*(curve[name] for curve in curves), strict=True)]
            for name in ("covered", "gaussian")
        },
    }
