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
from gnnlib.training.loop import EpochReport, FitResult, FoldData, Prediction, fit, predict
from gnnlib.training.metrics import by_kind, evaluate
from gnnlib.training.resume import FoldOutcome, Kept
from gnnlib.training.run import Run, write_json, write_text, written_whole
from gnnlib.training.scaling import Scalers
from gnnlib.training.spec import RunSpec

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
    """Train all folds of a run and write its files after each. False where `should_stop` ended it before the last.

    Goes on where an earlier worker of the same run was stopped or killed, to the numbers it would have come to.
    """
    spec = data.spec
    device = resolve(spec.device)
    environment = _environment(data, describe(device))
    kept = Kept(run, json.dumps([spec.model_dump(mode="json"), environment["catalog"].get("sha256")]))
    if not kept.continues:
        for name in OUTPUTS:
            (run.folder / name).unlink(missing_ok=True)
    elif run.environment | {"catalog": None} != environment | {"catalog": None}:
        log("Warning: the run goes on with other versions or another device, so its last digits may differ.")
    write_json(run.folder / "environment.json", environment)
    for warning in data.warnings:
        log(f"Warning: {warning}")
    width = f"{data.steps} along the edges" if data.steps else f"{data.buffer:.4g} {data.graph.length_unit}".strip()
    log(
        f"{data.graph.n_nodes} rows, {data.graph.n_edges} directed edges, {spec.folds} folds ({spec.split}), "
        f"buffer {width}; {spec.model.name} on {describe(device)}."
    )
    training = _Training(run, data, device, kept, should_stop)
    training.keep_metrics()
    for number in range(spec.folds):
        if kept.finished(number):
            training.add(kept.fold(number))
            log(f"Fold {number + 1} of {spec.folds} is kept from before.")
        else:
            outcome = training.fold(number)
            if outcome is None:
                training.write_weights()
                return False
            kept.keep(number, outcome)
            training.add(outcome)
        training.write()
        figures = training.folds[-1]["metrics"]
        log(f"Fold {number + 1} of {spec.folds}: R2 {figures['r2']:.3f}, RMSE {figures['rmse']:.4g}.")
    return True


class _Training:
    """One cross-validation under way and what the folds have given so far."""

    def __init__(
        self, run: Run, data: TrainingData, device: torch.device, kept: Kept, should_stop: Callable[[], bool]
    ) -> None:
        self.run, self.data, self.spec, self.device = run, data, data.spec, device
        self.kept, self.should_stop = kept, should_stop
        self.told = 0.0
        self.folds: list[dict[str, Any]] = []
        self.predictions: list[pd.DataFrame] = []
        self.attention: list[pd.DataFrame] = []
        self.weights: dict[str, torch.Tensor] = {}

    def add(self, outcome: FoldOutcome) -> None:
        """Count a finished fold in."""
        self.folds.append(outcome.figures)
        self.predictions.append(outcome.tables["predictions"])
        if "attention" in outcome.tables:
            self.attention.append(outcome.tables["attention"])
        self.weights |= outcome.weights

    def fold(self, number: int) -> FoldOutcome | None:
        """Train and test one fold, network and baselines. None where it was stopped."""
        data, spec, fold = self.data, self.spec, self.data.folds[number]
        weights, prediction, fitted = self.fit(number, spec, lambda report: self.tell(number, report))
        named = {f"fold{number}.{name}": value for name, value in weights.items()}
        if prediction is None:
            self.weights |= named  # the best so far
            return None

        began = time.perf_counter()
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
                other = self.fit(number, alone)[1]
                if other is None:
                    return None
                values = other.mean[tested]
            table[f"baseline_{name}"] = _single(values)
            if self.should_stop():
                return None

        tables = {"predictions": table}
        if prediction.attention:
            tables["attention"] = _attention_table(data, number, prediction.attention)
        figures = {
            "fold": number,
            "n_test": int(test.sum()),
            "n_train": int(fold.train.sum()),
            "n_validation": int(fold.validation.sum()),
            "n_buffer": int(fold.buffer.sum()),
            "best_epoch": fitted.best_epoch,
            "seconds": fitted.seconds + time.perf_counter() - began,
            "metrics": evaluate(truth, table["prediction"].to_numpy()),
            "baselines": {name: evaluate(truth, table[f"baseline_{name}"].to_numpy()) for name in spec.baselines},
        }
        return FoldOutcome(figures, tables, named)

    def fit(
        self, number: int, spec: RunSpec, on_epoch: Callable[[EpochReport], None] = lambda report: None
    ) -> tuple[dict[str, torch.Tensor], Prediction | None, FitResult]:
        """Train on the fold's training graph, predict its inference graph: weights with scalers, and the prediction,
        None where it was stopped.
        """
        data, fold = self.data, self.data.folds[number]
        inside, seen = fold.training_graph, fold.inference_graph
        graph, features, target = data.graph.subgraph(inside), data.features[inside], data.target[inside]
        scalers = Scalers.fit(graph, features, target, fold.train[inside])
        model = build_model(spec.model, features.shape[1], scalers.n_edge_features, seed=spec.seed)
        fold_data = FoldData.build(graph, features, target, fold.train[inside], fold.validation[inside], scalers)
        checkpoint = self.kept.training(number, f"{spec.model.name}{spec.seed}")
        result = fit(model, fold_data, spec, self.device, on_epoch, self.should_stop, checkpoint)
        weights = result.state_dict | {f"scalers.{name}": value for name, value in scalers.state().items()}
        if result.stopped or self.should_stop():
            return weights, None, result
        return weights, predict(model, data.graph.subgraph(seen), data.features[seen], scalers, self.device), result

    def keep_metrics(self) -> None:
        """Leave in metrics.jsonl the epochs of finished folds only; those of the fold under way are told again."""
        path = self.run.folder / "metrics.jsonl"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(path, "".join(line for line in lines if self.kept.finished(_fold_of(line))))

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
        whole = report.seconds / report.epoch * report.epochs / NETWORK_SHARE * self.spec.folds
        self.run.write_status(
            message=f"Fold {number + 1} of {self.spec.folds}, epoch {report.epoch} of {report.epochs}.",
            progress=progress,
            eta_s=whole * (1 - progress),
        )

    def write_weights(self) -> None:
        """checkpoint.safetensors: the finished folds' weights, and the best so far of one that was stopped."""
        with written_whole(self.run.folder / "checkpoint.safetensors") as path:
            save_file({name: value.contiguous() for name, value in self.weights.items()}, path)

    def write(self) -> None:
        """The files of the folds so far."""
        folder = self.run.folder
        predictions = pd.concat(self.predictions, ignore_index=True)
        self.write_weights()
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
            "seconds": sum(fold["seconds"] for fold in self.folds),
            "metrics": network["all"],
            "baselines": {name: figures["all"] for name, figures in baselines.items()},
            "by_kind": network,
            "baselines_by_kind": baselines,
            "folds": self.folds,
        }


def _fold_of(line: str) -> int:
    """The fold that a line of metrics.jsonl is about; -1 where a killed worker left half of one."""
    try:
        return int(json.loads(line)["fold"])
    except ValueError:
        return -1


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
