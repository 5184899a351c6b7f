"""How good predictions are: of numbers, in the figures of Wu & Jespersen (2023, arXiv:2306.12327), errors in the unit
of the target; of classes and pairs, from the probabilities.

A figure that is not defined (correlation with a constant, a curve where one class is missing) is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

METRICS = ("r2", "rmse", "nmad", "mae", "rho", "bias", "f_outlier")
OF_CLASSES = ("accuracy", "balanced_accuracy", "log_loss")
OF_PAIRS = ("average_precision", "roc_auc", "log_loss", "accuracy")
LEAST_PROBABILITY = 1e-7  # in a log loss: single precision cannot tell a smaller one from 0
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


def evaluate_classes(truth: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """The metrics of class probabilities [N, C] against class numbers [N].

    accuracy: share of rows whose most probable class is true. balanced_accuracy: the mean of that over the classes that
    are there. log_loss: mean of -ln of the true class's probability. n: rows.
    """
    truth, n_rows = np.asarray(truth, dtype=np.int64), len(truth)
    if n_rows == 0:
        return {**dict.fromkeys(OF_CLASSES, np.nan), "n": 0}
    right = probability.argmax(axis=1) == truth
    counts = np.bincount(truth)
    shares = np.bincount(truth, right)[counts > 0] / counts[counts > 0]
    told = np.clip(probability[np.arange(n_rows), truth], LEAST_PROBABILITY, 1)
    return {
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(shares.mean()),
        "log_loss": float(-np.log(told).mean()),
        "n": n_rows,
    }


def evaluate_pairs(truth: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """The metrics of the probability [P] that a pair belongs together against 0 or 1 [P].

    average_precision: area under precision against recall; a guess has the share of pairs that belong together.
    roc_auc: chance that one that does ranks above one that does not. accuracy: at a probability of a half. positives:
    pairs that do.
    """
    truth = np.asarray(truth, dtype=np.int64)
    figures = evaluate_classes(truth, np.column_stack([1 - probability, probability]))
    positives = int(truth.sum())
    figures |= {"average_precision": np.nan, "roc_auc": np.nan, "positives": positives}
    if 0 < positives < len(truth):
        from sklearn.metrics import average_precision_score, roc_auc_score

        figures["average_precision"] = float(average_precision_score(truth, probability))
        figures["roc_auc"] = float(roc_auc_score(truth, probability))
    return {name: figures[name] for name in (*OF_PAIRS, "n", "positives")}


def confusion(truth: np.ndarray, probability: np.ndarray) -> list[list[int]]:
    """[C][C] counts: row the true class, column the most probable one."""
    n_classes = probability.shape[1]
    number = np.asarray(truth, dtype=np.int64) * n_classes + probability.argmax(axis=1)
    return np.bincount(number, minlength=n_classes**2).reshape(n_classes, n_classes).tolist()


OF_TASK: dict[str, tuple[Callable[[np.ndarray, np.ndarray], dict[str, float]], tuple[str, ...]]] = {
    "node_regression": (evaluate, METRICS),
    "node_classification": (evaluate_classes, OF_CLASSES),
    "edge_classification": (evaluate_pairs, OF_PAIRS),
    "graph_regression": (evaluate, METRICS),
}  # task -> (truth, prediction) -> figures, and the names of those that are averaged over folds


def over_folds(folds: Sequence[dict[str, float]], names: Sequence[str] = METRICS) -> dict[str, dict[str, float]]:
    """Mean and standard deviation (population) of each metric over the folds' `evaluate`, {metric: {mean, std}}."""
    summary = {}
    for name in names:
        values = np.array([fold[name] for fold in folds], dtype=np.float64)
        values = values[np.isfinite(values)]
        defined = len(values) > 0
        summary[name] = {
            "mean": float(values.mean()) if defined else np.nan,
            "std": float(values.std()) if defined else np.nan,
        }
    return summary
