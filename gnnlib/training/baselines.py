"""What a graph network has to beat, on the same folds: models that see each object alone, or with hand-made features.

A baseline is fitted on all labelled rows of the fold's training part, validation included, so it never has less to
learn from than the network. The exceptions are those the network's own loop trains: the pointwise model with the same
loss, epochs and scalers ("mlp").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gnnlib.errors import InputError

FOREST_SAMPLE = 10_000  # rows a tree is grown from where there are more: a tenth of the time at equal error
WIDE = 12  # features from which a forest has half as many trees of half as many rows, and tries a third of them a split
SEVERAL = 5_000  # rows from which the linear models of classes stop looking for more digits

Regress = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
Inputs = Literal["own", "neighbours", "mass", "separation", "count"]


@dataclass(frozen=True)
class BaselineEntry:
    """label and description as pages show them. inputs: what it is given of an object; see `INPUTS`.

    regress: (x [n, F], y [n], x_test [t, F], seed) -> [t], for tasks whose truth is a number. classify: the same, y the
    class's number 0..C-1, -> probabilities [t, C] of those. None where the task is not for it; both None for what the
    network's own loop trains.
    """

    label: str
    description: str
    regress: Regress | None = None
    classify: Regress | None = None
    inputs: Inputs = "own"

    @property
    def trained(self) -> bool:
        """Whether the network's own loop trains it."""
        return self.regress is None and self.classify is None


def _mean(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    return np.full(len(x_test), y.mean())


def _linear(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LinearRegression()).fit(x, y).predict(x_test)


def _random_forest(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import RandomForestRegressor

    trees, most, tried = (100, FOREST_SAMPLE, 1.0) if x.shape[1] < WIDE else (50, FOREST_SAMPLE // 2, 1 / 3)
    sample = min(most, len(x))
    forest = RandomForestRegressor(
        trees, min_samples_leaf=5, max_samples=sample, max_features=tried, n_jobs=-1, random_state=seed
    )
    return forest.fit(x, y).predict(x_test)


def _boosted_trees(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=seed).fit(x, y).predict(x_test)


def abundance_matching(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int = 0) -> np.ndarray:
    """Rank to rank: the most massive object gets the largest target, and so on (Vale & Ostriker 2004).

    x: [n, F] mass-like features, of which the one is taken whose ranks follow the target's most closely in the training
    rows; the target falls with it where they follow it in reverse (magnitudes).
    """
    ranks, of_target = (values.argsort(axis=0).argsort(axis=0) for values in (x, y))
    followed = [np.corrcoef(ranks[:, column], of_target)[0, 1] for column in range(x.shape[1])]
    best = int(np.argmax(np.abs(followed)))
    sign = -1.0 if followed[best] < 0 else 1.0
    known = np.sort(sign * x[:, best])
    return np.interp(np.interp(sign * x_test[:, best], known, np.arange(len(y))), np.arange(len(y)), np.sort(y))


def _smooth(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    """A cubic in the features."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    cubic = make_pipeline(StandardScaler(), PolynomialFeatures(3), StandardScaler(), RidgeCV(np.logspace(-3, 3, 7)))
    lowest, highest = x.min(axis=0), x.max(axis=0)  # a polynomial means nothing beyond what it was fitted to
    return cubic.fit(x, y).predict(np.clip(x_test, lowest, highest))


def _explainable(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    """Nori et al. 2019, arXiv 1909.09223."""
    return _of_interpret("ExplainableBoostingRegressor", seed).fit(x, y).predict(x_test)


def _explainable_classes(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    return _probabilities(_of_interpret("ExplainableBoostingClassifier", seed), x, y, x_test)


def _of_interpret(name: str, seed: int) -> Any:
    try:
        from interpret import glassbox
    except ImportError as error:
        raise InputError(
            "The baseline 'explainable_boosting' needs the package interpret-core; install it with "
            "`pip install -r requirements-extras.txt`, or leave the baseline out."
        ) from error
    interactions = 0 if name.endswith("Classifier") else 0.5  # pairs of features are for numbers and two classes only
    return getattr(glassbox, name)(random_state=seed, interactions=interactions, outer_bags=4)


def _majority(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    """The shares of the classes among the training rows, for every row."""
    return np.tile(np.bincount(y) / len(y), (len(x_test), 1))


def _logistic(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    tolerance = 1e-4 if len(x) < SEVERAL else 1e-3
    return _probabilities(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, tol=tolerance)), x, y, x_test
    )


def _forest_of_classes(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import RandomForestClassifier

    sample = min(FOREST_SAMPLE, len(x))
    forest = RandomForestClassifier(100, min_samples_leaf=5, max_samples=sample, n_jobs=-1, random_state=seed)
    return _probabilities(forest, x, y, x_test)


def _boosted_classes(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return _probabilities(HistGradientBoostingClassifier(random_state=seed), x, y, x_test)


def _probabilities(model: Any, x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    """[t, C] for the classes 0..C-1 where C - 1 is the largest seen in training; 0 for one that training has not."""
    seen = np.unique(y)
    found = np.ones((len(x_test), 1)) if len(seen) == 1 else model.fit(x, y).predict_proba(x_test)
    out = np.zeros((len(x_test), int(seen.max()) + 1))
    out[:, seen] = found
    return out


INPUTS: dict[Inputs, str] = {
    "own": "the features of the object (of both ends of a pair; of all members of a graph, summed up)",
    "neighbours": "the same and hand-made features of its neighbourhood",
    "mass": "the features that are made of a mass",
    "separation": "the distance between the ends of a pair",
    "count": "the number of members of a graph",
}
BASELINES: dict[str, BaselineEntry] = {
    "mean": BaselineEntry("Mean", "The mean of the training rows.", _mean),
    "majority": BaselineEntry("Majority", "The shares of the classes in the training rows.", None, _majority),
    "count": BaselineEntry("Count only", "A cubic in the logarithm of the number of members.", _smooth, None, "count"),
    "separation": BaselineEntry(
        "Separation only", "Logistic regression on the logarithm of the distance.", None, _logistic, "separation"
    ),
    "abundance_matching": BaselineEntry(
        "Abundance matching", "Rank to rank with the feature of mass.", abundance_matching, None, "mass"
    ),
    "linear": BaselineEntry("Linear", "Least squares on the features.", _linear),
    "logistic": BaselineEntry("Logistic", "Logistic regression on the features.", None, _logistic),
    "random_forest": BaselineEntry(
        "Random forest", "Trees with at least 5 rows a leaf.", _random_forest, _forest_of_classes
    ),
    "boosted_trees": BaselineEntry(
        "Boosted trees", "Gradient boosting on binned features.", _boosted_trees, _boosted_classes
    ),
    "explainable_boosting": BaselineEntry(
        "Explainable boosting", "A sum of functions of one or two features each.", _explainable, _explainable_classes
    ),
    "mlp": BaselineEntry("MLP", "The network without edges, trained in the same way."),
}
for _name in ("linear", "logistic", "random_forest", "boosted_trees", "explainable_boosting", "mlp"):
    _alone = BASELINES[_name]
    BASELINES[f"{_name}_neighbours"] = BaselineEntry(
        f"{_alone.label} + neighbours",
        f"{_alone.description} Features of the neighbourhood made by hand are added.",
        _alone.regress,
        _alone.classify,
        "neighbours",
    )

DEFAULTS: dict[str, tuple[str, ...]] = {
    "node_regression": (
        "mean",
        "abundance_matching",
        "linear",
        "random_forest",
        "boosted_trees",
        "mlp",
        "linear_neighbours",
        "random_forest_neighbours",
        "boosted_trees_neighbours",
        "mlp_neighbours",
    ),
    "node_classification": (
        "majority",
        "logistic",
        "boosted_trees",
        "mlp",
        "logistic_neighbours",
        "boosted_trees_neighbours",
        "mlp_neighbours",
    ),
    "edge_classification": ("separation", "logistic", "boosted_trees", "mlp"),
    "graph_regression": ("mean", "count", "linear", "boosted_trees", "mlp"),
}


def usable(name: str, task: str) -> bool:
    """Whether a baseline is for a task."""
    entry = BASELINES[name]
    numbers = task in ("node_regression", "graph_regression")
    fits = entry.trained or (entry.regress if numbers else entry.classify) is not None
    wanted = {"edge_classification": ("own", "separation"), "graph_regression": ("own", "count")}
    return fits and entry.inputs in wanted.get(task, ("own", "neighbours", "mass"))
