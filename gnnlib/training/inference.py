"""A run's networks on another catalog: in parts of bounded memory, each with its halo, streamed to a Parquet file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from gnnlib.catalog.derived import origins
from gnnlib.catalog.expressions import evaluate, names_in
from gnnlib.catalog.read import read_catalog
from gnnlib.catalog.table import Catalog, CatalogSpec, Roles
from gnnlib.errors import InputError
from gnnlib.graph.build import build_graph
from gnnlib.graph.graph import Graph
from gnnlib.graph.partition import Part, build_parts, count_edges
from gnnlib.models.registry import build_model
from gnnlib.models.stack import Stack
from gnnlib.training.data import TrainingData, prepare
from gnnlib.training.devices import resolve
from gnnlib.training.ensemble import together
from gnnlib.training.loop import Asked, Prediction, predict
from gnnlib.training.room import Room
from gnnlib.training.run import Run, write_json, written_whole
from gnnlib.training.scaling import Scalers
from gnnlib.training.spec import RunSpec
from gnnlib.training.tasks import graphs

IN_PARTS = ("radius", "cylinder")  # methods whose graph need never be there as a whole
MOST_BYTES = 1.5e9  # of a part, where more is free: larger ones are not faster
OF_GRAPH = 200.0  # bytes an edge while a part's graph is built and scaled, with its halo


class Learned(BaseModel):
    """What a run was trained on, as far as another catalog has to be like it; inputs.json in its folder.

    units: of the columns that features are made of. ranges: of each feature, lowest and highest. neighbours: the most
    that a row had. edge_features: by name. classes: of a classification. file_column: that of a folder of catalogs.
    sha256: of the catalog's file, or None.
    """

    model_config = ConfigDict(frozen=True)

    length_unit: str
    units: dict[str, str]
    ranges: dict[str, tuple[float, float]]
    neighbours: int
    edge_features: tuple[str, ...]
    classes: tuple[str, ...] = ()
    file_column: str | None = None
    sha256: str | None = None

    @classmethod
    def of(cls, data: TrainingData) -> Learned:
        columns = sorted(set().union(*(origins(name, data.catalog) for name in data.spec.features)))
        return cls(
            length_unit=data.catalog.length_unit,
            units={name: data.catalog.columns[name].measure.label for name in columns if name in data.catalog.columns},
            ranges={
                name: (float(values.min()), float(values.max()))
                for name, values in zip(data.spec.features, data.features.T, strict=False)  # ones where there are none
            },
            neighbours=int(data.graph.degrees().max(initial=0)),
            edge_features=data.graph.edge_feature_names,
            classes=data.classes,
            file_column=data.catalog.files.column if data.catalog.files else None,
            sha256=checksum(data.spec.catalog),
        )

    @classmethod
    def read(cls, run: Run) -> Learned:
        """From the run's folder; for a run that did not write it, from its catalog. Raises InputError without both."""
        try:
            return cls.model_validate_json((run.folder / "inputs.json").read_bytes())
        except FileNotFoundError:
            return cls.of(prepare(run.spec))
        except (OSError, ValidationError) as error:
            raise InputError(f"Run '{run.id}' is damaged: its inputs.json cannot be read.") from error

    def write(self, run: Run) -> None:
        write_json(run.folder / "inputs.json", self.model_dump(mode="json"))


def checksum(spec: CatalogSpec) -> str | None:
    """SHA-256 of a catalog that is one file; None for others."""
    path = Path(spec.path)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Network:
    """One network of a run with its scalers; member: its place in the fold's ensemble."""

    fold: int
    member: int
    model: Stack
    scalers: Scalers


def networks(run: Run, n_classes: int = 0) -> list[Network]:
    """All networks of the finished folds. n_classes: of a classification. Raises InputError where there are none."""
    spec, path = run.spec, run.folder / "checkpoint.safetensors"
    if not run.results or not path.exists():
        raise InputError(f"Run '{run.id}' has no trained network; its state is {run.status.state}.")
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"Run '{run.id}' is damaged: its checkpoint.safetensors cannot be read.") from error
    found = []
    for entry in run.results["folds"]:
        for member in range(spec.seeds):
            start = f"fold{entry['fold']}." if not member else f"member{member}.fold{entry['fold']}."
            own = {name[len(start) :]: value for name, value in state.items() if name.startswith(start)}
            scaling = {name[8:]: own.pop(name) for name in list(own) if name.startswith("scalers.")}
            try:
                found.append(Network(entry["fold"], member, *_network(spec, own, scaling, n_classes)))
            except (KeyError, RuntimeError) as error:
                raise InputError(f"Run '{run.id}' is damaged: its checkpoint is not that of its spec.json.") from error
    return found


def _network(
    spec: RunSpec, weights: dict[str, torch.Tensor], scaling: dict[str, torch.Tensor], n_classes: int
) -> tuple[Stack, Scalers]:
    scalers = Scalers.from_state(scaling)
    n_outputs = n_classes if spec.task == "node_classification" else len(spec.targets)
    n_features = len(scalers.features.mean)
    model = build_model(spec.model, n_features, scalers.n_edge_features, n_outputs, spec.seed, spec.task)
    model.load_state_dict(weights)
    return model.eval(), scalers


def predict_catalog(
    run: Run,
    spec: CatalogSpec,
    out: Path,
    memory_gb: float | None = None,
    report: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """Predict every row of a catalog, or every graph, with all networks of a run and write them to a Parquet file, part
    by part; the files of a folder of catalogs one by one.

    Columns: row_id (of graphs graph_id, with n_nodes); prediction and sigma (and prediction_2, ... of further targets),
    the mean over the networks and the square root of their mean variance plus the variance of their means; of classes
    the most probable one and probability_<class>; extrapolated, True where a feature (of a graph: of any of its rows)
    is outside of all that was trained on. Rows whose features are not finite are left out. Rows come part by part; join
    them by row_id.

    A run whose graphs are files gives one value a file: of a folder of catalogs, which needs no table of parameters, or
    of a single catalog. memory_gb: what a part may take. report: called with sentences about progress. Returns rows
    (those written), left_out, parts, networks and warnings. Raises InputError where the catalog does not fit the run.
    """
    task = run.spec.task
    if task == "edge_classification":
        raise InputError(f"Run '{run.id}' is about pairs; only predictions of nodes and of graphs can be repeated.")
    learned = Learned.read(run)
    members = networks(run, len(learned.classes))
    catalog = read_catalog(_without_target(run.spec, spec))
    features = _features(run.spec, learned, catalog)
    known = np.isfinite(features).all(axis=1)
    if not known.any():
        raise InputError("No row has finite values in all features; look at the columns they are made of.")
    catalog, features = catalog.take(known), features[known]
    device = resolve(run.spec.device)
    room = Room(
        run.spec.model,
        features.shape[1],
        members[0].scalers.n_edge_features,
        device,
        memory_gb * 1e9 if memory_gb else None,
        training=False,
    )
    room.bytes = min(room.bytes, memory_gb * 1e9 if memory_gb else MOST_BYTES)
    velocities = catalog.velocities() if run.spec.model.velocities else None
    outside, left_out = np.zeros(len(catalog), dtype=bool), int((~known).sum())
    warnings = [*catalog.warnings, *_told(run, spec, learned)]
    for name, values in zip(run.spec.features, features.T, strict=False):
        low, high = learned.ranges[name]
        beyond = (values < low) | (values > high)
        outside |= beyond
        if beyond.any():
            warnings.append(
                f"{beyond.sum():,} of {len(beyond):,} rows have {name} outside of what was trained on ({low:.4g} to "
                f"{high:.4g}), so their predictions are extrapolated."
            )
    written, crowded, seen, count = 0, 0, 0, 0
    with _written(out) as add:
        for number, count, name, part in _all_parts(run.spec, catalog, members[0].model.reach, room):
            if part.graph.edge_feature_names != learned.edge_features:
                raise InputError(
                    f"The edges here tell {', '.join(part.graph.edge_feature_names) or 'nothing'}, but the run was "
                    f"trained on {', '.join(learned.edge_features) or 'nothing'}; name velocities and masses."
                )
            moving = None if velocities is None else velocities[part.nodes]
            rows = part.nodes[part.owned]
            seen += len(rows)
            crowded += int((part.graph.degrees()[part.owned] > learned.neighbours).sum())
            if task == "graph_regression":
                whole = _graphs(run.spec, learned, catalog, name, part)
                left_out += len(part.nodes) - len(whole.nodes)
                if not len(whole.nodes):
                    continue
                part, examples = Part(whole.graph, whole.nodes, np.ones(len(whole.nodes), dtype=bool)), None
                asked = Asked(task, graph_of=whole.graph_of, velocities=None if moving is None else moving[whole.kept])
            else:
                asked, examples = Asked(task, velocities=moving), part.owned
            told = together(
                [
                    predict(one.model, part.graph, features[part.nodes], one.scalers, device, asked, examples, room)
                    for one in members
                ]
            )
            if asked.graph_of is None:
                columns: dict[str, np.ndarray] = {"row_id": catalog.row_ids[rows]}
                beyond = outside[rows]
            else:
                columns = {"graph_id": whole.ids, "n_nodes": np.bincount(whole.graph_of)}
                beyond = np.bincount(whole.graph_of, outside[whole.nodes]) > 0
            add(columns | _table(run.spec, learned, told, beyond))
            written += len(beyond)
            report(f"Part {number} of {count}: {seen:,} of {len(catalog):,} rows.")
    if crowded:
        warnings.append(f"{crowded:,} rows have more neighbours than any that was trained on ({learned.neighbours:,}).")
    if without := int((~known).sum()):
        warnings.append(f"{without:,} rows have features that are not finite and are left out.")
    if left_out > without:
        warnings.append(f"{left_out - without:,} rows belong to no graph and are left out.")
    return {
        "rows": written,
        "left_out": left_out,
        "parts": count,
        "networks": len(members),
        "extrapolated": int(outside.sum()),
        "warnings": warnings,
        "out": str(out),
    }


def _features(spec: RunSpec, learned: Learned, catalog: Catalog) -> np.ndarray:
    """The features [N, F] of the run, in the units it was trained with."""
    if learned.length_unit != catalog.length_unit:
        raise InputError(
            f"Lengths are in {catalog.length_unit or 'no stated unit'} here and were in "
            f"{learned.length_unit or 'no stated unit'} in the training; choose them with --lengths or --unit."
        )
    for name, unit in learned.units.items():
        if name in catalog.columns and (here := catalog.columns[name].measure.label) != unit:
            raise InputError(
                f"The column '{name}' is in {here or 'no stated unit'} here and was in {unit or 'no stated unit'} in "
                f"the training; state its unit, or derive a column of that name in the other one."
            )
    columns = [np.asarray(evaluate(name, catalog), dtype=np.float64) for name in spec.features]
    return np.column_stack(columns or [np.ones(len(catalog))])


def _told(run: Run, spec: CatalogSpec, learned: Learned) -> list[str]:
    """A sentence where the catalog is the one that the run was trained on."""
    same = spec.path == run.spec.catalog.path if learned.sha256 is None else checksum(spec) == learned.sha256
    if not same:
        return []
    return [
        "This is the catalog that the run was trained on, so its networks have seen most of these rows; the run's own "
        "predictions.parquet has each row by a network that has not."
    ]


def _without_target(run: RunSpec, spec: CatalogSpec) -> CatalogSpec:
    """The catalog's spec without what says the target alone, which the rows to predict need not have."""
    where = [spec.where] if spec.where else []
    graph_by = [run.graph_by] if run.graph_by else []
    used = _derived_in([*run.features, *run.graph.columns, *where, *spec.subsets.values(), *graph_by], spec)
    only = _derived_in(run.targets, spec) - used
    roles = spec.roles
    if roles is not None and "target" in roles.model_fields_set:
        roles = Roles(**{name: value for name, value in roles.model_dump().items() if name != "target"})
    derived = {name: text for name, text in spec.derived.items() if name not in only}
    return spec.model_copy(update={"derived": derived, "roles": roles})


def _derived_in(expressions: Iterable[str], spec: CatalogSpec) -> set[str]:
    """The derived columns that expressions are made of."""
    found, left = set[str](), list(expressions)
    while left:
        try:
            named = set(names_in(left.pop(), spec.derived)) & spec.derived.keys() - found
        except InputError:  # the name of a column that is no expression
            continue
        found |= named
        left += [spec.derived[name] for name in named]
    return found


@dataclass(frozen=True)
class _Graphs:
    """The graphs that the rows of a part make.

    graph: of the n rows that belong to one, without edges between two. nodes: [n] their rows. kept: bool, which rows of
    the part they are. graph_of: [n]. ids: [G].
    """

    graph: Graph
    nodes: np.ndarray
    kept: np.ndarray
    graph_of: np.ndarray
    ids: np.ndarray


def _graphs(spec: RunSpec, learned: Learned, catalog: Catalog, name: str, part: Part) -> _Graphs:
    if spec.graph_by in (None, learned.file_column):
        number, ids = np.zeros(len(part.nodes), dtype=np.int64), np.array([name])
    else:
        number, ids = graphs.divide(str(spec.graph_by), catalog)[part.nodes], None
    kept = number >= 0
    nodes = part.nodes[kept]
    _, first, graph_of = np.unique(number[kept], return_index=True, return_inverse=True)
    graph = part.graph if kept.all() else part.graph.subgraph(kept)
    source, receiver = graph.edge_index
    graph = graph.with_edges(graph_of[source] == graph_of[receiver])
    return _Graphs(
        graph, nodes, kept, graph_of, graphs.names(str(spec.graph_by), catalog, nodes[first]) if ids is None else ids
    )


def _all_parts(spec: RunSpec, catalog: Catalog, reach: int | None, room: Room) -> Iterator[tuple[int, int, str, Part]]:
    """The parts of the graph of each file in turn: the number of the part, how many there are, what the file is called,
    and the part, its nodes as rows of `catalog`. Graphs are predicted whole, so a file is one part there."""
    files = [(name, rows, own) for name, rows, own in catalog.by_file()]
    whole = spec.task == "graph_regression"
    found = [_parts(spec, own, None if whole else reach, room) for _, _, own in files]
    count, number = sum(parts.count for parts in found), 0
    for (name, rows, _), parts in zip(files, found, strict=True):
        for part in parts.each:
            number += 1
            yield number, count, name, replace(part, nodes=rows[part.nodes])


@dataclass(frozen=True)
class _Parts:
    count: int
    each: Iterator[Part]


def _parts(spec: RunSpec, catalog: Catalog, reach: int | None, room: Room) -> _Parts:
    """The graph that the run's specification makes of the catalog, in as many parts as memory asks for, each built when
    its turn comes."""
    if spec.graph.method == "edge_list":
        raise InputError(
            "The run's graph is a list of edges between the rows of its own catalog; only graphs that are made from "
            "positions or columns can be made for another."
        )
    n_nodes = len(catalog)
    if reach is None or spec.graph.method not in IN_PARTS:
        rows = np.arange(n_nodes), np.ones(n_nodes, dtype=bool)
        return _Parts(1, (Part(build_graph(each, spec.graph), *rows) for each in (catalog,)))  # `predict` divides it
    n_edges = count_edges(catalog, spec.graph)
    count = int(np.ceil((room.need(n_nodes, n_edges) + OF_GRAPH * n_edges) / room.bytes))
    count = min(n_nodes, max(1, count))
    return _Parts(count, build_parts(catalog, spec.graph, count, reach))


def _table(spec: RunSpec, learned: Learned, told: Prediction, outside: np.ndarray) -> dict[str, np.ndarray]:
    """What is said of some rows or graphs: the columns beside their names."""
    columns: dict[str, np.ndarray] = {}
    if spec.task == "node_classification":
        columns["prediction"] = np.array(learned.classes, dtype=object)[told.mean.argmax(axis=1)]
        columns |= {f"probability_{name}": told.mean[:, at] for at, name in enumerate(learned.classes)}
    else:
        assert told.sigma is not None
        mean, sigma = (values.reshape(len(outside), -1) for values in (told.mean, told.sigma))
        for target in range(mean.shape[1]):
            ending = f"_{target + 1}" if target else ""
            columns |= {f"prediction{ending}": mean[:, target], f"sigma{ending}": sigma[:, target]}
    return columns | {"extrapolated": outside}


@contextmanager
def _written(out: Path) -> Iterator[Callable[[dict[str, np.ndarray]], None]]:
    """A function that adds rows to a Parquet file, which appears when all are there."""
    with ExitStack() as opened:
        path = opened.enter_context(written_whole(out))
        writer: pq.ParquetWriter | None = None

        def add(columns: dict[str, np.ndarray]) -> None:
            nonlocal writer
            table = pa.table(columns)
            if writer is None:
                writer = opened.enter_context(pq.ParquetWriter(path, table.schema, compression="zstd"))
            writer.write_table(table)

        yield add
