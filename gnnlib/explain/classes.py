"""What a run said of the classes of objects: how sure it was, whether it could be that sure, and where it was wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def probabilities(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """[N, C] of a run's predictions, one column a class in the order of `classes`."""
    return predictions[[f"probability_{name}" for name in classes]].to_numpy(dtype=np.float64)


def counts(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """[C, C] objects of each true class (row) that were given each class (column)."""
    place = pd.Index(classes)
    truth, told = (place.get_indexer(pd.Index(predictions[name])) for name in ("truth", "prediction"))
    n_classes = len(place)
    return np.bincount(truth * n_classes + told, minlength=n_classes**2).reshape(n_classes, n_classes)


def reliability(right: np.ndarray, probability: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """How often a class is right in bins of the probability [N] it was given, equally wide from 0 to 1.

    right: [N] bool. Columns: low (of the bin), probability (its mean), right (share), error (standard error of that
    share), objects. Bins without objects are left out.
    """
    place = np.clip(np.digitize(probability, np.linspace(0, 1, bins + 1)[1:-1], right=True), 0, bins - 1)
    objects = np.bincount(place, minlength=bins)
    there = objects > 0
    n = objects[there]
    share = np.bincount(place, right, minlength=bins)[there] / n
    return pd.DataFrame(
        {
            "low": np.flatnonzero(there) / bins,
            "probability": np.bincount(place, probability, minlength=bins)[there] / n,
            "right": share,
            "error": np.sqrt(share * (1 - share) / n),
            "objects": n,
        }
    )


def calibration_error(table: pd.DataFrame) -> float:
    """By how much probability and share that is right differ on average; table: of `reliability`."""
    return float(np.average(np.abs(table["probability"] - table["right"]), weights=table["objects"]))


def ordered(right: np.ndarray, probability: np.ndarray, which: str) -> np.ndarray:
    """Places of objects in an order worth reading.

    right: [N] bool. probability: [N] of the predicted class. which: "wrong" (those alone, the surest first), "unsure"
    (all, the least sure first) or "right" (those alone, the surest first).
    """
    if which == "unsure":
        return np.argsort(probability, kind="stable")
    chosen = np.flatnonzero(right if which == "right" else ~right)
    return chosen[np.argsort(-probability[chosen], kind="stable")]
