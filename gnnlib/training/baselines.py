"""What a graph network has to beat: models that see each object alone, on the same folds.

A baseline is fitted on all labelled rows of the fold's training part, validation included, so it never has less to
learn from than the network. The exception is "mlp", trained exactly as the network is: the pointwise model with the
same loss, epochs and scalers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FOREST_SAMPLE = 10_000  # rows a tree is grown from where there are more: a tenth of the time at equal error


@dataclass(frozen=True)
class BaselineEntry:
    """label and description as pages show them; predict(x [n, F], y [n], x_test [t, F], seed) -> [t].

    predict is None for the baseline that the worker trains itself.
    """

    label: str
    description: str
    predict: Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray] | None


def _mean(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    return np.full(len(x_test), y.mean())


def _linear(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LinearRegression()).fit(x, y).predict(x_test)


def _random_forest(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import RandomForestRegressor

    sample = min(FOREST_SAMPLE, len(x))
    forest = RandomForestRegressor(100, min_samples_leaf=5, max_samples=sample, n_jobs=-1, random_state=seed)
    return forest.fit(x, y).predict(x_test)


def _boosted_trees(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=seed).fit(x, y).predict(x_test)


BASELINES: dict[str, BaselineEntry] = {
    "mean": BaselineEntry("Mean", "The mean of the training rows.", _mean),
    "linear": BaselineEntry("Linear", "Least squares on the features.", _linear),
    "random_forest": BaselineEntry("Random forest", "100 trees with at least 5 rows a leaf.", _random_forest),
    "boosted_trees": BaselineEntry("Boosted trees", "Gradient boosting on binned features.", _boosted_trees),
    "mlp": BaselineEntry("MLP", "The network without edges, trained in the same way.", None),
}
