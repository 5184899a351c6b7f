"""Trains and tests every fold, with the baselines on the same folds, and writes what comes of it into the run folder.

Each fold's model is trained on a graph without test rows and predicts them on a graph without training rows, so no
edge ever joins the two. Attention is kept for the test rows, by catalog row ids.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from threadpoolctl import threadpool_limits

from gnnlib.graph.diagnostics import summarize
from gnnlib.models.output import Attention
from gnnlib.models.registry import build_model
from gnnlib.models.stack import Stack
from gnnlib.training import distributed, scores
from gnnlib.training.baselines import BASELINES
from gnnlib.training.data import TrainingData
from gnnlib.training.devices import describe, resolve, training_threads
from gnnlib.training.ensemble import together
from gnnlib.training.handmade import HandMade
from gnnlib.training.inference import Learned, checksum
from gnnlib.training.loop import Asked, EpochReport, FitResult, FoldData, Prediction, fit, predict, told
from gnnlib.training.resume import FoldOutcome, Kept
from gnnlib.training.room import Room
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


def cross_validate(
    run: Run,
    data: TrainingData,
    log: Callable[[str], None],
    should_stop: Callable[[], bool],
    track: Callable[[dict[str, Any]], None] = lambda line: None,
) -> bool:
    """Train all folds of a run and write its files after each. False where `should_stop` ended it before the last.

    Goes on where an earlier worker of the same run was stopped or killed, to the numbers it would have come to. track:
    called with each line of metrics.jsonl. Of several processes that train together only the first writes anything.
    """
    spec = data.spec
    device = resolve(spec.device)
    environment = _environment(data, describe(device))
    first = distributed.rank() == 0
    if not first:
        distributed.together()  # until the first has looked at what is kept
    kept = Kept(run, json.dumps([spec.model_dump(mode="json"), environment["catalog"].get("sha256")]), first)
    if first:
        if not kept.continues:
            for name in OUTPUTS:
                (run.folder / name).unlink(missing_ok=True)
        elif run.environment | {"catalog": None} != environment | {"catalog": None}:
            log("Warning: the run goes on with other versions or another device, so its last digits may differ.")
        write_json(run.folder / "environment.json", environment)
        distributed.together()
    for warning in data.warnings:
        log(f"Warning: {warning}")
    width = f"{data.steps} along the edges" if data.steps else f"{data.buffer:.4g} {data.graph.length_unit}".strip()
    log(
        f"{data.graph.n_nodes} rows, {data.graph.n_edges} directed edges, {spec.folds} folds "
        f"({data.split}), "
        f"buffer {width}; {spec.model.name} on {describe(device)}."
    )
    if distributed.size() > 1:
        log(f"{distributed.size()} processes train together.")
    training = _Training(run, data, device, kept, log, should_stop, track)
    if first:
        Learned.of(data).write(run)
        training.keep_metrics()
    for number in range(spec.folds):
        if kept.finished(number):
            training.add(kept.fold(number))
            log(f"Fold {number + 1} of {spec.folds} is kept from before.")
        else:
            outcome = training.fold(number)
            if outcome is None:
                if first:
                    training.write_weights()
                return False
            if first:
                kept.keep(number, outcome)
            training.add(outcome)
        if first:
            training.write()
        log(f"Fold {number + 1} of {spec.folds}: {scores.headline(spec.task, training.folds[-1]['metrics'])}.")
    return True


class _Training:
    """One cross-validation under way and what the folds have given so far."""

    def __init__(
        self,
        run: Run,
        data: TrainingData,
        device: torch.device,
        kept: Kept,
        log: Callable[[str], None],
        should_stop: Callable[[], bool],
        track: Callable[[dict[str, Any]], None],
    ) -> None:
        self.run, self.data, self.spec, self.device = run, data, data.spec, device
        self.kept, self.log, self.should_stop, self.track = kept, log, should_stop, track
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
        made, members = HandMade(data, fold), []
        named: dict[str, torch.Tensor] = {}
        for member in range(spec.seeds):
            fitted = self.fit(
                number,
                spec.model_copy(update={"seed": spec.seed + member}),
                made.nodes("own"),
                on_epoch=lambda report, member=member: self.tell(number, member, report),  # type: ignore[misc]
            )
            start = f"fold{number}." if not member else f"member{member}.fold{number}."
            named |= {f"{start}{name}": value for name, value in fitted.weights.items()}
            if fitted.tested is None:
                self.weights |= named  # the best so far
                return None
            members.append(fitted)

        began = time.perf_counter()
        baselines: dict[str, np.ndarray] = {}
        for name in data.baselines:
            values = self.baseline(number, name, made)
            if values is None or distributed.agreed(self.should_stop(), self.device):
                return None
            baselines[name] = values
        prediction = together([member.tested for member in members if member.tested])
        validation = together([member.watched for member in members if member.watched])
        tables = {"predictions": scores.table(data, number, prediction, validation, baselines)}
        if prediction.attention:
            tables["attention"] = _attention_table(data, number, prediction.attention)
        tested, learned, watched = (data.examples(part) for part in (fold.test, fold.train, fold.validation))
        figures = {
            "fold": number,
            "n_test": int(tested.sum()),
            "n_train": int(learned.sum()),
            "n_validation": int(watched.sum()),
            "n_buffer": len(tested) - int((tested | learned | watched).sum()),
            "best_epoch": members[0].result.best_epoch,
            "seconds": sum(member.result.seconds for member in members) + time.perf_counter() - began,
            **scores.figures(data, number, prediction, validation, baselines),
        }
        return FoldOutcome(figures, tables, named)

    def baseline(self, number: int, name: str, made: HandMade) -> np.ndarray | None:
        """What a baseline says of the fold's test examples, as `Prediction.mean`. None where it was stopped."""
        entry, spec, data = BASELINES[name], self.spec, self.data
        if entry.trained:
            model = spec.model.model_copy(update={"name": "pointwise", "global_state": False, "velocities": False})
            alone = spec.model_copy(update={"model": model})
            fitted = self.fit(number, alone, made.nodes(entry.inputs), name)
            return None if fitted.tested is None else fitted.tested.mean
        if distributed.rank() > 0:
            return self.nothing(number)  # the first process fits what is no network
        x, x_test = made(entry.inputs)
        truth = made.truth
        with threadpool_limits(training_threads()):
            if spec.task in scores.REGRESSION:
                assert entry.regress is not None
                told = [entry.regress(x, of, x_test, spec.seed) for of in truth.reshape(len(truth), -1).T]
                return told[0] if len(told) == 1 else np.column_stack(told)
            assert entry.classify is not None
            found = entry.classify(x, truth, x_test, spec.seed)
        wide = np.zeros((len(x_test), len(data.classes)))
        wide[:, : found.shape[1]] = found
        return wide[:, 1] if data.pairs is not None else wide

    def nothing(self, number: int) -> np.ndarray:
        """Zeros in the form of what `baseline` gives."""
        data, count = self.data, int(self.data.examples(self.data.folds[number].test).sum())
        width = len(data.classes) if self.spec.task == "node_classification" else len(self.spec.targets)
        return np.zeros(count) if width == 1 else np.zeros((count, width))

    def fit(
        self,
        number: int,
        spec: RunSpec,
        features: tuple[np.ndarray, np.ndarray],
        name: str = "network",
        on_epoch: Callable[[EpochReport], None] = lambda report: None,
    ) -> _Fitted:
        """Train on the fold's training graph, predict its inference graph.

        features: of the nodes of either graph, [n, F] and [n', F]. name: of this training among the fold's.
        """
        data, fold = self.data, self.data.folds[number]
        seen = fold.inference_graph
        model, fold_data, scalers = set_up(data, number, spec, features[0])
        checkpoint = self.kept.training(number, f"{name}{spec.seed}")
        first = name == "network" and not self.folds and spec.seed == self.spec.seed
        on_start = self.log if first else lambda sentence: None
        result = fit(model, fold_data, spec, self.device, on_epoch, self.should_stop, checkpoint, self.log, on_start)
        weights = result.state_dict | {f"scalers.{name}": value for name, value in scalers.state().items()}
        if result.stopped or distributed.agreed(self.should_stop(), self.device):
            return _Fitted(weights, result)
        tests = data.examples(fold.test)[data.examples(seen)]
        limit = spec.memory_gb and spec.memory_gb * 1e9
        room = Room(spec.model, features[1].shape[1], scalers.n_edge_features, self.device, limit, training=False)
        graph, asked = data.graph.subgraph(seen), _asked(data, seen)
        if not room.fits(graph.n_nodes, graph.n_edges):
            self.log(f"The graph of {graph.n_nodes} rows to predict does not fit into memory at once; done in parts.")
        tested = predict(model, graph, features[1], scalers, self.device, asked, tests, room)
        return _Fitted(weights, result, tested, told(result.watched, scalers, spec.task))

    def keep_metrics(self) -> None:
        """Leave in metrics.jsonl the epochs of finished folds only; those of the fold under way are told again."""
        path = self.run.folder / "metrics.jsonl"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(path, "".join(line for line in lines if self.kept.finished(_fold_of(line))))

    def tell(self, number: int, member: int, report: EpochReport) -> None:
        """One line of metrics.jsonl, and the status every half second."""
        if distributed.rank() > 0:
            return
        line = {"fold": number, "member": member, **asdict(report)}
        self.track(line)
        with (self.run.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        now = time.perf_counter()
        if now - self.told < STATUS_EVERY_S and report.epoch < report.epochs:
            return
        self.told = now
        seeds = self.spec.seeds
        done = (member + report.epoch / report.epochs) / seeds
        progress = (number + NETWORK_SHARE * done) / self.spec.folds
        whole = report.seconds / report.epoch * report.epochs * seeds / NETWORK_SHARE * self.spec.folds
        of_members = f", network {member + 1} of {seeds}" if seeds > 1 else ""
        self.run.write_status(
            message=f"Fold {number + 1} of {self.spec.folds}{of_members}, epoch {report.epoch} of {report.epochs}.",
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
        write_json(folder / "results.json", self.results())

    def results(self) -> dict[str, Any]:
        """What results.json holds."""
        data, spec = self.data, self.spec
        return {
            "task": spec.task.replace("_", " "),
            "model": spec.model.name,
            "target": spec.predicted,
            "complete": len(self.folds) == spec.folds,
            "rows": data.graph.n_nodes,
            "dropped": data.dropped,
            "split": data.split,
            "warnings": data.warnings,
            "buffer": data.buffer,
            "buffer_steps": data.steps,
            "length_unit": data.graph.length_unit,
            "graph": summarize(data.graph),
            "device": describe(self.device),
            "seconds": sum(fold["seconds"] for fold in self.folds),
            **scores.summary(data, self.folds),
            "folds": self.folds,
        }


@dataclass(frozen=True)
class _Fitted:
    """One network trained: its weights with the scalers, and what it says of the fold's test examples and of its
    validation examples, None where it was stopped.
    """

    weights: dict[str, torch.Tensor]
    result: FitResult
    tested: Prediction | None = None
    watched: Prediction | None = None


def set_up(data: TrainingData, number: int, spec: RunSpec, features: np.ndarray) -> tuple[Stack, FoldData, Scalers]:
    """A fold's network before its first step and what it is trained on. features: [n, F] of the training graph."""
    fold, inside = data.folds[number], data.folds[number].training_graph
    graph, asked, examples = data.graph.subgraph(inside), _asked(data, inside), data.examples(inside)
    target, learned = data.target[examples], data.examples(fold.train)[examples]
    scalers = Scalers.fit(
        graph, features, target, fold.train[inside], learned, spec.task, len(data.classes), asked.velocities
    )
    n_outputs = len(data.classes) if spec.task == "node_classification" else len(spec.targets)
    model = build_model(spec.model, features.shape[1], scalers.n_edge_features, n_outputs, spec.seed, spec.task)
    watched = data.examples(fold.validation)[examples]
    return model, FoldData.build(graph, features, target, learned, watched, scalers, asked), scalers


def _asked(data: TrainingData, part: np.ndarray) -> Asked:
    """What is asked of the graph of the rows `part` [N]."""
    velocities = data.catalog.velocities() if data.spec.model.velocities else None
    return Asked(
        data.spec.task,
        None if data.pairs is None else data.pairs.subgraph(part),
        None if data.graph_of is None else np.unique(data.graph_of[part], return_inverse=True)[1],
        None if velocities is None else velocities[part],
    )


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
        catalog |= {"sha256": checksum(data.spec.catalog), "bytes": path.stat().st_size}
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "device": device,
        "threads": training_threads(),
        "processes": distributed.size(),
        "catalog": catalog | {"provenance": data.catalog.provenance},
    }
