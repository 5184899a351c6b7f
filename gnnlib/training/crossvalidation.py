"""Trains and tests every fold, with the baselines on the same folds, and writes what comes of it into the run folder.

Each fold's model is trained on a graph without test rows and predicts them on a graph without training rows, so no
edge ever joins the two. Attention is kept for the test rows, by catalog row ids.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from gnnlib.graph.diagnostics import summarize
from gnnlib.models.output import Attention
from gnnlib.models.registry import build_model
from gnnlib.training.baselines import BASELINES
from gnnlib.training.data import TrainingData
from gnnlib.training.devices import describe, resolve
from gnnlib.training.loop import EpochReport, FoldData, Prediction, fit, predict
from gnnlib.training.metrics import by_kind, evaluate
from gnnlib.training.run import Run, write_json, written_whole
from gnnlib.training.scaling import Scalers
from gnnlib.training.spec import RunSpec
from gnnlib.training.splits import Fold

OUTPUTS = ("metrics.jsonl", "results.json", "predictions.parquet", "attention.parquet", "checkpoint.safetensors")
PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "numba",
    "scikit-learn",
    "astropy",
    "torch",
    "safetensors",
    "pydantic",
)
ATTENTION_BITS = 15  # bits of the mantissa kept in attention.parquet: relative error below 2e-5, half the size
STATUS_EVERY_S = 0.5
NETWORK_SHARE = 0.9  # of a fold's progress; the rest is for the baselines


def cross_validate(run: Run, data: TrainingData, log: Callable[[str], None], should_stop: Callable[[], bool]) -> bool:
    """Train all folds of a run and write its files after each. False where `should_stop` ended it before the last."""
    spec = data.spec
    device = resolve(spec.device)
    for name in OUTPUTS:
        (run.folder / name).unlink(missing_ok=True)
    write_json(run.folder / "environment.json", _environment(data, describe(device)))
    for warning in data.warnings:
        log(f"Warning: {warning}")
    width = f"{data.steps} along the edges" if data.steps else f"{data.buffer:.4g} {data.graph.length_unit}".strip()
    log(
        f"{data.graph.n_nodes} rows, {data.graph.n_edges} directed edges, {spec.folds} folds ({spec.split}), "
        f"buffer {width}; {spec.model.name} on {describe(device)}."
    )
    training = _Training(run, data, device, should_stop)
    for number in range(spec.folds):
        if not training.fold(number):
            return False
        training.write()
        figures = training.folds[-1]["metrics"]
        log(f"Fold {number + 1} of {spec.folds}: R2 {figures['r2']:.3f}, RMSE {figures['rmse']:.4g}.")
    return True


class _Training:
    """One cross-validation under way and what the folds have given so far."""

    def __init__(self, run: Run, data: TrainingData, device: torch.device, should_stop: Callable[[], bool]) -> None:
        self.run, self.data, self.spec, self.device, self.should_stop = run, data, data.spec, device, should_stop
        self.started = time.perf_counter()
        self.told = 0.0
        self.folds: list[dict[str, Any]] = []
        self.predictions: list[pd.DataFrame] = []
        self.attention: list[pd.DataFrame] = []
        self.weights: dict[str, torch.Tensor] = {}

    def fold(self, number: int) -> bool:
        """Train and test one fold, network and baselines. False where it was stopped."""
        began = time.perf_counter()
        data, spec, fold = self.data, self.spec, self.data.folds[number]
        fitted = self.fit(spec, fold, lambda report: self.tell(number, report))
        if fitted is None:
            return False
        weights, prediction, best_epoch = fitted

        test, tested = fold.test, fold.test[fold.inference_graph]
        truth, known = data.target[test], fold.train | fold.validation
        mean = _single(prediction.mean[tested])
        table = pd.DataFrame(
            {
                "row_id": data.catalog.row_ids[test],
                "truth": truth,
                "prediction": mean,
                "sigma": _single(prediction.sigma[tested]),
                "fold": np.int16(number),
                "residual": mean - truth,
            }
        )
        for name in spec.baselines:
            method = BASELINES[name].predict
            if method is not None:
                values = method(data.features[known], data.target[known], data.features[test], spec.seed)
            else:
                alone = spec.model_copy(update={"model": spec.model.model_copy(update={"name": "pointwise"})})
                if (fitted := self.fit(alone, fold)) is None:
                    return False
                values = fitted[1].mean[tested]
            table[f"baseline_{name}"] = _single(values)
            if self.should_stop():
                return False

        self.weights |= {f"fold{number}.{name}": value for name, value in weights.items()}
        self.predictions.append(table)
        if prediction.attention:
            self.attention.append(_attention_table(data, number, prediction.attention))
        self.folds.append(
            {
                "fold": number,
                "n_test": int(test.sum()),
                "n_train": int(fold.train.sum()),
                "n_validation": int(fold.validation.sum()),
                "n_buffer": int(fold.buffer.sum()),
                "best_epoch": best_epoch,
                "seconds": time.perf_counter() - began,
                "metrics": evaluate(truth, table["prediction"].to_numpy()),
                "baselines": {name: evaluate(truth, table[f"baseline_{name}"].to_numpy()) for name in spec.baselines},
            }
        )
        return True

    def fit(
        self, spec: RunSpec, fold: Fold, on_epoch: Callable[[EpochReport], None] = lambda report: None
    ) -> tuple[dict[str, torch.Tensor], Prediction, int] | None:
        """Train on the fold's training graph, predict its inference graph: weights with scalers, prediction, best
        epoch.
        """
        data, inside, seen = self.data, fold.training_graph, fold.inference_graph
        graph, features, target = data.graph.subgraph(inside), data.features[inside], data.target[inside]
        scalers = Scalers.fit(graph, features, target, fold.train[inside])
        model = build_model(spec.model, features.shape[1], scalers.n_edge_features, seed=spec.seed)
        fold_data = FoldData.build(graph, features, target, fold.train[inside], fold.validation[inside], scalers)
        result = fit(model, fold_data, spec, self.device, on_epoch, self.should_stop)
        if self.should_stop():
            return None
        prediction = predict(model, data.graph.subgraph(seen), data.features[seen], scalers, self.device)
        scaling = {f"scalers.{name}": value for name, value in scalers.state().items()}
        return result.state_dict | scaling, prediction, result.best_epoch

    def tell(self, number: int, report: EpochReport) -> None:
        """One line of metrics.jsonl, and the status every half second."""
        line = {"fold": number, **{name: getattr(report, name) for name in report.__dataclass_fields__}}
        with (self.run.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        now = time.perf_counter()
        if now - self.told < STATUS_EVERY_S and report.epoch < report.epochs:
            return
        self.told = now
        progress = (number + NETWORK_SHARE * report.epoch / report.epochs) / self.spec.folds
        self.run.write_status(
            message=f"Fold {number + 1} of {self.spec.folds}, epoch {report.epoch} of {report.epochs}.",
            progress=progress,
            eta_s=(now - self.started) * (1 - progress) / progress,
        )

    def write(self) -> None:
        """The files of the folds so far."""
        folder = self.run.folder
        predictions = pd.concat(self.predictions, ignore_index=True)
        with written_whole(folder / "checkpoint.safetensors") as path:
            save_file({name: value.contiguous() for name, value in self.weights.items()}, path)
        with written_whole(folder / "predictions.parquet") as path:
            _write_table(predictions, path)
        if self.attention:
            with written_whole(folder / "attention.parquet") as path:
                _write_table(pd.concat(self.attention, ignore_index=True), path)
        write_json(folder / "results.json", self.results(predictions))

    def results(self, predictions: pd.DataFrame) -> dict[str, Any]:
        """What results.json holds."""
        data, spec = self.data, self.spec
        central = data.central
        if central is not None:
            central = np.concatenate([central[fold.test] for fold in data.folds[: len(self.folds)]])
        truth, number = predictions["truth"].to_numpy(), predictions["fold"].to_numpy()

        def kinds(column: str) -> dict[str, dict[str, dict[str, float]]]:
            return by_kind(truth, predictions[column].to_numpy(), number, central)

        network, baselines = kinds("prediction"), {name: kinds(f"baseline_{name}") for name in spec.baselines}
        return {
            "task": "node regression",
            "model": spec.model.name,
            "target": spec.target,
            "complete": len(self.folds) == spec.folds,
            "rows": data.graph.n_nodes,
            "dropped": data.dropped,
            "warnings": data.warnings,
            "buffer": data.buffer,
            "buffer_steps": data.steps,
            "length_unit": data.graph.length_unit,
            "graph": summarize(data.graph),
            "device": describe(self.device),
            "seconds": time.perf_counter() - self.started,
            "metrics": network["all"],
            "baselines": {name: figures["all"] for name, figures in baselines.items()},
            "by_kind": network,
            "baselines_by_kind": baselines,
            "folds": self.folds,
        }


def _attention_table(data: TrainingData, number: int, layers: tuple[Attention, ...]) -> pd.DataFrame:
    """The attention of the fold's test receivers by catalog row ids, sorted by receiver and source."""
    fold = data.folds[number]
    graph = data.graph.subgraph(fold.inference_graph)
    edges = layers[0].edge_index.numpy()
    kept = fold.test[fold.inference_graph][edges[1]]
    columns: dict[str, Any] = {
        "source": graph.row_ids[edges[0, kept]],
        "receiver": graph.row_ids[edges[1, kept]],
        "fold": np.int16(number),
        "self_loop": layers[0].self_loop.numpy()[kept],
        "length": _shortened(_lengths(graph.edge_index, graph.lengths, graph.n_nodes, edges)[kept]),
    }
    for depth, layer in enumerate(layers):
        for head, weights in enumerate(layer.weights.numpy().T):
            columns[f"layer{depth}_head{head}"] = _shortened(weights[kept])
    return pd.DataFrame(columns).sort_values(["receiver", "source"], ignore_index=True)


def _lengths(graph_edges: np.ndarray, lengths: np.ndarray, n_nodes: int, edges: np.ndarray) -> np.ndarray:
    """The length of each of `edges` [2, M'], looked up among the graph's; 0 for a self-loop that a model added."""
    if np.array_equal(graph_edges, edges):
        return lengths
    known, wanted = (pairs[1] * n_nodes + pairs[0] for pairs in (graph_edges, edges))
    order = np.argsort(known)
    place = order[np.minimum(np.searchsorted(known, wanted, sorter=order), len(order) - 1)]
    return np.where(known[place] == wanted, lengths[place], 0.0)


def _single(values: np.ndarray) -> np.ndarray:
    """float64 of single precision, which is what a network computes in and half as large in the file."""
    return values.astype(np.float32).astype(np.float64)


def _shortened(values: np.ndarray) -> np.ndarray:
    """float32 rounded to ATTENTION_BITS of mantissa, so that the file packs well."""
    spare = 23 - ATTENTION_BITS
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    half = np.uint32(1 << (spare - 1))
    return (((bits + half) >> np.uint32(spare)) << np.uint32(spare)).view(np.float32)


def _write_table(table: pd.DataFrame, path: Path) -> None:
    """Parquet with the encodings that pack it best: differences for row ids, the bytes of floats apart."""
    packing = {}
    for name, kind in table.dtypes.items():
        if kind.kind == "f":
            packing[name] = "BYTE_STREAM_SPLIT"
        elif kind.kind == "i":
            packing[name] = "DELTA_BINARY_PACKED"
    pq.write_table(
        pa.Table.from_pandas(table, preserve_index=False),
        path,
        compression="zstd",
        compression_level=15,
        use_dictionary=[name for name in table.columns if name not in packing],
        column_encoding=packing,
    )


def _environment(data: TrainingData, device: str) -> dict[str, Any]:
    """What tells how a run came about: versions, device, and the catalog's name, checksum and provenance."""
    path = Path(data.spec.catalog.path)
    catalog: dict[str, Any] = {"name": data.catalog.name}
    if path.is_file():
        with path.open("rb") as file:
            catalog |= {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "device": device,
        "catalog": catalog | {"provenance": data.catalog.provenance},
    }
