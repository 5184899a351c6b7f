"""From a run's specification to what is trained on: the rows that can be used, their graph and their folds.

Everything that can be wrong with the input is found here, before a run exists and without importing torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gnnlib.catalog.derived import origins
from gnnlib.catalog.expressions import evaluate
from gnnlib.catalog.read import read_catalog
from gnnlib.catalog.space import places
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.graph.build import build_graph, reach
from gnnlib.graph.features import GROUPS
from gnnlib.graph.graph import Graph
from gnnlib.training.baselines import BASELINES
from gnnlib.training.spec import RunSpec
from gnnlib.training.splits import ROWS_PER_FOLD, Fold, make_folds
from gnnlib.training.tasks import classes, graphs, pairs

# in the names of columns that grow with mass
MASSES = ("mass", "mstar", "mhalo", "mvir", "m200", "m500", "vmax", "v_max", "vpeak")
WHOLE_FILES = (
    "Each file of the folder is a space of its own: no edge joins two files, and a fold takes whole files, dealt out "
    "at random by the seed, so there is no buffer."
)
LARGE_BUFFER = 0.5  # share of the rows outside the test part from which a buffer is worth a warning


@dataclass(frozen=True)
class TrainingData:
    """A specification made concrete.

    catalog: the rows that are used. features: [N, F] float64, a column of ones where none are named. target: the truth
    of R examples, float64 [R], or [R, T] for several targets; classes as their numbers. Examples are nodes, pairs or
    graphs, as the task says. graph: over all used rows. folds: masks over the same rows. buffer: in the catalog's
    length unit; steps: the same along the edges, for graphs whose edges have no longest length. central: [N] bool or
    None. dropped: expression -> rows left out because its value was not finite. warnings: sentences for the reader.

    classes: their names, the number of one being its place. pairs: a graph whose edges are the P pairs, each once.
    graph_of: [N] number of the graph that each row belongs to; graph_ids: [G] what `RunSpec.graph_by` calls it.
    baselines: those of the specification for which there is what they need.
    """

    spec: RunSpec
    catalog: Catalog
    features: np.ndarray
    target: np.ndarray
    graph: Graph
    folds: list[Fold]
    buffer: float
    steps: int
    central: np.ndarray | None
    dropped: dict[str, int]
    warnings: tuple[str, ...]
    classes: tuple[str, ...] = ()
    pairs: Graph | None = None
    graph_of: np.ndarray | None = None
    graph_ids: np.ndarray | None = None
    baselines: tuple[str, ...] = ()

    @property
    def first_target(self) -> np.ndarray:
        """[R]: of several targets the first."""
        return self.target if self.target.ndim == 1 else self.target[:, 0]

    @property
    def split(self) -> str:
        """How the rows are divided into folds, in words."""
        return self.spec.split if self.graph.file_of is None else "whole files"

    def examples(self, part: np.ndarray) -> np.ndarray:
        """[R] bool: the examples that lie in `part` [N] with all of their nodes."""
        if self.pairs is not None:
            return part[self.pairs.edge_index].all(axis=0)
        return part if self.graph_of is None else graphs.inside(self.graph_of, part)


def prepare(spec: RunSpec) -> TrainingData:
    """Read the catalog, evaluate target and features, build the graph and the folds.

    Rows where target or a feature is not finite (an empty cell, log10 of 0) are left out and counted. Raises
    InputError for anything that cannot be trained on.
    """
    catalog = read_catalog(spec.catalog)
    warnings = list(catalog.warnings) + _check_names(spec, catalog)
    numbers = spec.targets if spec.task in ("node_regression", "graph_regression") else ()
    columns = {name: _numbers(name, catalog) for name in (*numbers, *spec.features)}
    known = {name: np.isfinite(values) for name, values in columns.items()}
    labels = classes.labels(spec.target, catalog) if spec.task == "node_classification" else None
    if labels is not None:
        known[spec.target] = labels.known
    divided = None
    if spec.task == "graph_regression":
        graph_by = graphs.column_of(spec, catalog)
        divided = graphs.divide(graph_by, catalog)
        known[graph_by] = divided >= 0

    usable = np.ones(len(catalog), dtype=bool)
    dropped: dict[str, int] = {}
    for name, good in known.items():
        if not good.any():
            raise InputError(f"'{name}' has no finite value in any of the {len(catalog)} rows; choose another column.")
        if lost := int((~good).sum()):
            dropped[name] = lost
        usable &= good
    n_used, needed = int(usable.sum()), ROWS_PER_FOLD * spec.folds
    if dropped:
        counts = ", ".join(f"{lost} by {name}" for name, lost in dropped.items())
        left_out = f"{len(catalog) - n_used} of {len(catalog)} rows have values that are not finite ({counts})"
        if n_used < needed:
            raise InputError(f"{left_out}, which leaves {n_used} of the {needed} rows needed; fill or cut the column.")
        warnings.append(f"{left_out} and are left out.")
    for name, values in columns.items():
        if divided is not None and name == spec.target:
            continue  # it is that of the graphs that has to differ
        used = values[usable]
        if np.ptp(used) <= 1e-12 * np.abs(used).max():
            what = "target" if name in spec.targets else "feature"
            raise InputError(
                f"The {what} '{name}' is constant ({used[0]:.6g} in all {n_used} rows), so there is nothing to learn "
                f"from it; choose another column."
            )

    if dropped and spec.graph.method == "edge_list" and spec.graph.edge_ids == "indices":
        raise InputError(
            f"The edge list counts rows, but {len(catalog) - n_used} of {len(catalog)} rows are left out, so its "
            "numbers would mean other rows; name row ids in it, or cut these rows before."
        )
    groups = _groups(spec, catalog)
    central = _central(spec, catalog)
    catalog = catalog.take(usable)
    graph = build_graph(catalog, spec.graph)
    buffer, steps = _buffer(spec) if catalog.files is None else (0.0, 0)
    if catalog.files:
        warnings.append(WHOLE_FILES)
    used_groups = None if groups is None else groups[usable]
    target = np.column_stack([columns[name][usable] for name in spec.targets if name in columns] or [np.zeros(0)])
    found: dict[str, Any] = {}
    if divided is not None:
        whole = graphs.collect(spec, catalog, graph, divided[usable], target[:, 0])
        warnings += whole.notes
        graph, target = whole.graph, whole.target
        found = {"graph_of": whole.graph_of, "graph_ids": whole.ids}
        folds = graphs.folds(spec, whole, used_groups, buffer)
    else:
        folds = make_folds(
            graph.positions, graph.box, spec, used_groups, buffer, steps, graph.edge_index, graph.file_of
        )
    if labels is not None:
        target, names, notes = labels.numbers(usable, spec.folds)
        found, warnings = {"classes": names}, warnings + notes
    if spec.task == "edge_classification":
        labelled = pairs.label(spec, catalog, graph)
        target, warnings = labelled.truth, warnings + labelled.notes
        found = {"pairs": labelled.pairs, "classes": pairs.CLASSES}
    warnings += graph.notes
    if graph.n_edges == 0:
        warnings.append("The graph has no edges, so every object is predicted from its own features alone.")
    warnings += _narrow_buffer(spec, graph)
    worst = max(float(fold.buffer.sum() / (~fold.test).sum()) for fold in folds)
    if worst > LARGE_BUFFER:
        width = f"{steps} step{'s' * (steps > 1)} along the edges" if steps else f"{buffer:.4g}"
        warnings.append(
            f"The buffer of {width} takes {worst:.0%} of the rows of a fold from the training; a smaller buffer, "
            f"less depth or a shorter linking length leaves more."
        )
    if spec.buffer is None and spec.split != "random" and spec.graph.columns and not catalog.files:
        warnings.append(
            "Neighbours in the space of columns lie anywhere, so there is no buffer; edges between test and training "
            "rows are cut."
        )
    data = TrainingData(
        spec=spec,
        catalog=catalog,
        features=np.column_stack([columns[name][usable] for name in spec.features] or [np.ones(n_used)]),
        target=target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target,
        graph=graph,
        folds=folds,
        buffer=buffer,
        steps=steps,
        central=None if central is None else central[usable],
        dropped=dropped,
        warnings=tuple(warnings),
        baselines=tuple(
            name for name in spec.baselines if BASELINES[name].inputs != "mass" or mass_like(spec, catalog)
        ),
        **found,
    )
    return replace(data, warnings=(*data.warnings, *_check_examples(data)))


def usable_rows(spec: RunSpec, catalog: Catalog) -> np.ndarray:
    """[N] bool: the rows that `prepare` keeps for whole graphs or pairs: features are finite; of graphs, rows have a
    target and a graph, too. Raises InputError where the catalog lacks a column.
    """
    whole = spec.task == "graph_regression"
    used = np.ones(len(catalog), dtype=bool)
    for name in (*spec.features, *(spec.targets if whole else ())):
        used &= np.isfinite(_numbers(name, catalog))
    return used & (graphs.divide(graphs.column_of(spec, catalog), catalog) >= 0) if whole else used


def _check_examples(data: TrainingData) -> list[str]:
    """Sentences about examples that no fold can use; InputError where a fold has none, or one class, to learn from."""
    if data.pairs is None:
        return []
    tested = np.zeros(len(data.target), dtype=bool)
    for number, fold in enumerate(data.folds):
        tested |= data.examples(fold.test)
        for part, name in ((fold.train, "train"), (fold.test, "test")):
            found = np.unique(data.target[data.examples(part)])
            if len(found) < 2:
                raise InputError(
                    f"Fold {number + 1} has {'no pairs' if not len(found) else 'pairs of one kind only'} to {name} on; "
                    "use fewer folds, a smaller buffer or a longer linking length."
                )
    if lost := int((~tested).sum()):
        share = lost / len(tested)
        return [f"{lost:,} of {len(tested):,} pairs ({share:.0%}) join the test parts of two folds and are not tested."]
    return []


def _check_names(spec: RunSpec, catalog: Catalog) -> list[str]:
    """Warnings about features that give the target away or tie the model to places; errors where that is certain."""
    warnings = []
    of_place = places(catalog)
    if len(set(spec.features)) < len(spec.features):
        twice = next(name for name in spec.features if spec.features.count(name) > 1)
        raise InputError(f"The feature '{twice}' is named twice; name it once.")
    for name in spec.targets:
        if name in spec.features:
            raise InputError(f"The target '{name}' is also a feature; take it out of the features.")
        if spec.targets.count(name) > 1:
            raise InputError(f"The target '{name}' is named twice; name it once.")
    from_target = _from_target(spec, catalog)
    for name in spec.features:
        if name in of_place:
            raise InputError(
                f"The feature '{name}' is a position, which would tie the model to places; the edges carry positions."
            )
        used = origins(name, catalog)
        if shared := sorted(used & from_target):
            warnings.append(f"The feature '{name}' uses '{shared[0]}', which the target is made of.")
        if shared := sorted(used & of_place):
            warnings.append(f"The feature '{name}' uses the position '{shared[0]}', so it depends on the place.")
    for part, names in _told_by_edges(spec, catalog).items():
        told: set[str] = set().union(*(origins(name, catalog) for name in names))
        if shared := sorted(told & from_target):
            warnings.append(f"{part} '{shared[0]}', which the target is made of, so edges may give it away.")
    return warnings


def _from_target(spec: RunSpec, catalog: Catalog) -> frozenset[str]:
    """The columns that what is predicted is made of."""
    told = list(spec.targets) if spec.task != "edge_classification" else []
    if spec.label and not pairs.is_file(spec.label, catalog):
        told.append(spec.label)
    return frozenset().union(*(origins(name, catalog) for name in told))


def _narrow_buffer(spec: RunSpec, graph: Graph) -> list[str]:
    """What to say of a buffer that a person chose narrower than the model can reach, and of a random split."""
    if graph.file_of is not None:
        return []
    if spec.split == "random":
        return [
            "A random split leaks: the neighbours of test objects are trained on, so the scores are too good to be "
            "true of objects elsewhere; compare with slabs or blocks."
        ]
    longest = reach(spec.graph)
    if spec.buffer is None or spec.task == "graph_regression" or longest is None:
        return []
    needed = longest * spec.model.depth
    if spec.buffer >= needed * (1 - 1e-9):
        return []
    return [
        f"The buffer of {spec.buffer:.4g} {graph.length_unit} is narrower than linking length x depth = {needed:.4g}, "
        "so training objects lie among what a test prediction would see; no edge joins them, but they share "
        "surroundings."
    ]


def mass_like(spec: RunSpec, catalog: Catalog) -> list[int]:
    """The features, by number, that are made of the catalog's mass or of a column named like one; [] without any."""
    return [
        number
        for number, used in enumerate(origins(name, catalog) for name in spec.features)
        if catalog.roles.mass in used or any(word in column.lower() for column in used for word in MASSES)
    ]


def _told_by_edges(spec: RunSpec, catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """Columns, besides positions, that edges or their features are made of: the beginning of a sentence -> names."""
    graph, roles = spec.graph, catalog.roles
    mass = (roles.mass,) if roles.mass else ()
    told = {
        "The neighbours are chosen by": graph.columns if graph.method == "knn" else (),
        "The heads of the groups are chosen by": mass if (graph.method, graph.shape) == ("groups", "star") else (),
    }
    for name in graph.edge_features:
        needed = {"mass": mass, "velocity": roles.velocity}.get(GROUPS[name].needs, ())
        told[f"The edge feature '{GROUPS[name].label}' uses"] = needed
    return told


def _numbers(name: str, catalog: Catalog) -> np.ndarray:
    """The values [N] float64 of a column or expression."""
    try:
        return np.asarray(evaluate(name, catalog), dtype=np.float64)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"'{name}' is not numeric, so it can be neither target nor feature.") from error


def _groups(spec: RunSpec, catalog: Catalog) -> np.ndarray | None:
    if spec.split != "group":
        return None
    name = spec.group or catalog.roles.group or (catalog.files.column if catalog.files else None)
    if name is None:
        raise InputError("A split by group needs the column of group ids; name it, or choose slabs or blocks.")
    return catalog.values(name)


def _central(spec: RunSpec, catalog: Catalog) -> np.ndarray | None:
    """[N] bool: True for centrals, from `spec.central` or the catalog's role; None where neither is a flag of 0 and
    1.
    """
    name = spec.central or catalog.roles.central
    if name is None:
        return None
    values = _numbers(name, catalog)
    if not np.isin(values, (0, 1)).all():
        if spec.central:
            raise InputError(f"'{name}' is not a flag of centrals: it has values other than 0 and 1.")
        return None
    return values == 1


def _buffer(spec: RunSpec) -> tuple[float, int]:
    """The buffer in the catalog's length unit and in steps along the edges: as asked for, else what `depth` layers can
    reach.

    Where no edge is longer than a length, that times the depth; else as many steps along the edges. 0 where folds are
    random, and for neighbours in the space of columns, which nearly all rows are a step away from. Whatever the
    buffer, no edge joins test and training rows: each part has a graph of its own (`Fold`).
    """
    if spec.buffer is not None:
        return spec.buffer, 0
    if spec.split == "random" or spec.graph.columns:
        return 0.0, 0
    longest = reach(spec.graph)
    return (0.0, spec.model.depth) if longest is None else (longest * spec.model.depth, 0)
