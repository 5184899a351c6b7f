"""What the predictions of a fold become: rows of predictions.parquet and figures of results.json, task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gnnlib.training import conformal
from gnnlib.training.conformal import Calibration
from gnnlib.training.data import TrainingData
from gnnlib.training.loop import Prediction
from gnnlib.training.metrics import OF_TASK, confusion, over_folds

REGRESSION = ("node_regression", "graph_regression")


def table(
    data: TrainingData,
    number: int,
    prediction: Prediction,
    validation: Prediction,
    baselines: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """The rows of predictions.parquet of one fold, one a test example.

    prediction: of the fold's test examples. validation: of its validation examples, which set how far the intervals
    lower_68 to upper_68 and lower_95 to upper_95 reach (`conformal`). baselines: name -> the same as `prediction.mean`;
    of classes the most probable one is kept. Further targets have columns of the same names with _2, _3, ...
    """
    task, fold = data.spec.task, data.folds[number]
    tested = data.examples(fold.test)
    truth, mean = data.target[tested], single(prediction.mean)
    if task == "edge_classification":
        assert data.pairs is not None
        source, receiver = data.graph.row_ids[data.pairs.edge_index[:, tested]]
        columns = {"source": source, "receiver": receiver, "truth": truth.astype(np.int8), "probability": mean}
        columns |= {f"baseline_{name}": single(values) for name, values in baselines.items()}
        return pd.DataFrame(columns | {"fold": np.int16(number)})
    if task == "node_classification":
        names = np.array(data.classes, dtype=object)
        columns = {
            "row_id": data.catalog.row_ids[tested],
            "truth": names[truth.astype(np.int64)],
            "prediction": names[mean.argmax(axis=1)],
        }
        columns |= {f"probability_{name}": mean[:, at] for at, name in enumerate(data.classes)}
        columns |= {f"baseline_{name}": names[values.argmax(axis=1)] for name, values in baselines.items()}
        return pd.DataFrame(columns | {"fold": np.int16(number)})
    if task == "graph_regression":
        assert data.graph_of is not None and data.graph_ids is not None
        columns = {"graph_id": data.graph_ids[tested], "n_nodes": np.bincount(data.graph_of)[tested]}
    else:
        columns = {"row_id": data.catalog.row_ids[tested]}
    assert prediction.sigma is not None
    sigma = single(prediction.sigma)
    for target in range(len(data.spec.targets)):
        ending = f"_{target + 1}" if target else ""
        columns |= {
            f"truth{ending}": of_target(truth, target),
            f"prediction{ending}": of_target(mean, target),
            f"sigma{ending}": of_target(sigma, target),
        }
        if not target:
            columns["fold"] = np.int16(number)
        columns[f"residual{ending}"] = of_target(mean, target) - of_target(truth, target)
        told = intervals(data, number, validation, target)
        assert told is not None
        for level in conformal.LEVELS:
            reach = told.factor(level) * of_target(prediction.sigma, target)
            for name, sign in (("lower", -1), ("upper", 1)):
                edge = single(of_target(prediction.mean, target) + sign * reach)
                columns[f"{name}_{100 * level:.0f}{ending}"] = edge
        for name, values in baselines.items():
            columns[f"baseline_{name}{ending}"] = single(of_target(values, target))
    return pd.DataFrame(columns)


def figures(
    data: TrainingData,
    number: int,
    prediction: Prediction,
    validation: Prediction,
    baselines: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """The scores of one fold. prediction, baselines: of its test examples, as in `table`; validation: of its
    validation examples, which set how far the intervals reach.
    """
    fold, task = data.folds[number], data.spec.task
    tested = data.examples(fold.test)
    kinds = {"all": np.ones(int(tested.sum()), dtype=bool)}
    if data.central is not None and task.startswith("node"):
        kinds |= {"centrals": data.central[tested], "satellites": ~data.central[tested]}
    scored = []
    for target in range(len(data.spec.targets)):
        truth = of_target(data.target[tested], target)

        def by_kind(values: np.ndarray, target: int = target, truth: np.ndarray = truth) -> dict[str, Any]:
            given = single(values) if task not in REGRESSION else single(of_target(values, target))
            return {kind: OF_TASK[task][0](truth[rows], given[rows]) for kind, rows in kinds.items()}

        network = by_kind(prediction.mean)
        others = {name: by_kind(values) for name, values in baselines.items()}
        entry: dict[str, Any] = {
            "metrics": network["all"],
            "baselines": {name: found["all"] for name, found in others.items()},
            "by_kind": network,
            "baselines_by_kind": others,
        }
        told = intervals(data, number, validation, target)
        if prediction.sigma is not None and told is not None:
            of_rows = conformal.scores(truth, of_target(prediction.mean, target), of_target(prediction.sigma, target))
            entry["intervals"] = conformal.judge(told, of_rows)
        if task == "node_classification":
            entry["confusion"] = confusion(truth, prediction.mean)
        scored.append(entry)
    first, *more = scored
    return first | ({"more_targets": dict(zip(data.spec.more_targets, more, strict=True))} if more else {})


def intervals(data: TrainingData, number: int, validation: Prediction, target: int = 0) -> Calibration | None:
    """What the validation examples of a fold say of sigma; None for a task without one."""
    if validation.sigma is None:
        return None
    watched = data.examples(data.folds[number].validation)
    return Calibration.fit(
        of_target(data.target[watched], target),
        of_target(validation.mean, target),
        of_target(validation.sigma, target),
    )


def summary(data: TrainingData, folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The scores over the folds so far: mean and deviation of each metric; shares over the rows of all of them."""
    told = _summary(data, folds, folds)
    if data.spec.more_targets:
        told["more_targets"] = {
            name: _summary(data, folds, [fold["more_targets"][name] for fold in folds])
            for name in data.spec.more_targets
        }
    return told


def _summary(data: TrainingData, folds: Sequence[Mapping[str, Any]], of: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """of: the entries of one target, fold by fold."""
    names = OF_TASK[data.spec.task][1]

    def kinds(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        there = [kind for kind in entries[0] if any(entry[kind]["n"] for entry in entries)]
        return {kind: over_folds([entry[kind] for entry in entries], names) for kind in there}

    network = kinds([entry["by_kind"] for entry in of])
    others = {name: kinds([entry["baselines_by_kind"][name] for entry in of]) for name in of[0]["baselines_by_kind"]}
    told: dict[str, Any] = {
        "metrics": network["all"],
        "baselines": {name: found["all"] for name, found in others.items()},
        "by_kind": network,
        "baselines_by_kind": others,
    }
    if "intervals" in of[0]:
        told["intervals"] = conformal.over_folds(
            [entry["intervals"] for entry in of], [fold["n_test"] for fold in folds]
        )
        told["coverage"] = told["intervals"].pop("coverage")
    if "confusion" in of[0]:
        told["classes"] = list(data.classes)
        told["confusion"] = np.sum([entry["confusion"] for entry in of], axis=0).tolist()
    if data.pairs is not None:
        positive = int(data.target.sum())
        told["pairs"] = {
            "total": len(data.target),
            "together": positive,
            "apart": len(data.target) - positive,
            "tested": sum(fold["n_test"] for fold in folds),
            "sampling": "Every edge that is not labelled as together is a negative, none is sampled; in training both "
            "kinds weigh the same, and the probabilities are put back to their true shares.",
        }
    if data.graph_of is not None:
        sizes = np.bincount(data.graph_of)
        told["graphs"] = {"total": len(sizes), "smallest": int(sizes.min()), "largest": int(sizes.max())}
    return told


def of_target(values: np.ndarray, target: int) -> np.ndarray:
    """One target's column of values [R, T], or values [R] themselves."""
    return values[:, target] if values.ndim == 2 else values


def single(values: np.ndarray) -> np.ndarray:
    """float64 of single precision, which is what a network computes in and half as large in the file."""
    return values.astype(np.float32).astype(np.float64)


def headline(task: str, metrics: Mapping[str, float]) -> str:
    """The two figures that say most, for a line of the log."""
    if task in REGRESSION:
        return f"R2 {metrics['r2']:.3f}, RMSE {metrics['rmse']:.4g}"
    return ", ".join(f"{name.replace('_', ' ')} {metrics[name]:.3f}" for name in OF_TASK[task][1][:2])
