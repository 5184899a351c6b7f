"""How good predictions are, in the numbers of Wu & Jespersen (2023, arXiv:2306.12327): errors in the unit of the
target.

All figures come from the residual prediction - truth. A figure that is not defined (correlation with a constant) is
NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

METRICS = ("r2", "rmse", "nmad", "mae", "rho", "bias", "f_outlier")
NORMAL_MAD = 1.4826  # median absolute deviation -> standard deviation of a normal distribution


def evaluate(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """The metrics of predictions [N] against truth [N].

    rmse, nmad (1.4826 x median |r - median r|), mae, bias (mean r): unit of the target. rho: Pearson correlation. r2:
    coefficient of determination. f_outlier: percentage of rows with |r| > 3 nmad. n: rows.
    """
    truth = np.asarray(truth, dtype=np.float64)
    prediction = np.asarray(prediction, dtype=np.float64)
    n_rows = len(truth)
    if n_rows == 0:
        return {**dict.fromkeys(METRICS, np.nan), "n": 0}
    residual = prediction - truth
    nmad = NORMAL_MAD * np.median(np.abs(residual - np.median(residual)))
    variance, spread = truth.var(), prediction.std()
    covariance = np.mean((truth - truth.mean()) * (prediction - prediction.mean()))
    varied = variance > 0 and spread > 1e-12 * max(1.0, np.abs(prediction).max())
    return {
        "r2": float(1 - np.mean(residual**2) / variance) if variance > 0 else np.nan,
        "rmse": float(np.sqrt(np.mean(residual**2))),
        "nmad": float(nmad),
        "mae": float(np.mean(np.abs(residual))),
        "rho": float(covariance / (np.sqrt(variance) * spread)) if varied else np.nan,
        "bias": float(residual.mean()),
        "f_outlier": float(100 * np.mean(np.abs(residual) > 3 * nmad)),
        "n": n_rows,
    }


def over_folds(folds: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation (population) of each metric over the folds' `evaluate`, {metric: {mean, std}}."""
    summary = {}
    for name in METRICS:
        values = np.array([fold[name] for fold in folds], dtype=np.float64)
        values = values[np.isfinite(values)]
        defined = len(values) > 0
        summary[name] = {
            "mean": float(values.mean()) if defined else np.nan,
            "std": float(values.std()) if defined else np.nan,
        }
    return summary


def by_kind(
    truth: np.ndarray, prediction: np.ndarray, fold: np.ndarray, central: np.ndarray | None = None
) -> dict[str, dict[str, dict[str, float]]]:
    """`over_folds` for all rows and, where a flag [N] bool is known, for centrals and satellites.

    fold: [N] number of the fold that predicted each row. Kinds without rows are left out.
    """
    kinds = {"all": np.ones(len(truth), dtype=bool)}
    if central is not None:
        kinds |= {"centrals": central, "satellites": ~central}
    return {
        kind: over_folds([evaluate(truth[rows & (fold == f)], prediction[rows & (fold == f)]) for f in np.unique(fold)])
        for kind, rows in kinds.items()
        if rows.any()
    }
