"""Folds: which rows are tested, trained on, watched and set aside as a buffer.

Neighbours share environment, so a random split lets a model see its own test objects through the graph. Spatial
splits with a buffer of one receptive field keep the two parts apart, as the slab cross-validation of Wu, Jespersen &
Wechsler (2024, arXiv 2402.07995) does. Whole groups are divided by space as well: dealt out at random, they would leave
a test graph in which neighbours are mostly members of one group, which tells a model who belongs together.

The files of a folder of catalogs are boxes of their own: places in two of them have nothing to do with each other. So
a fold takes whole files, dealt out at random by the seed, and nothing leaks without a buffer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from gnnlib.errors import InputError
from gnnlib.graph.space import extent, periodic_sides
from gnnlib.training.spec import RunSpec

ROWS_PER_FOLD = 10  # fewer rows than this a fold cannot be trained, watched and tested
PARTS = ("train", "validation", "buffer", "test")  # of a fold, in the order of their numbers in `Fold.parts`
VALIDATION_BLOCKS = 8  # one of eight equal blocks of the rest watches the training: 12.5 %


@dataclass(frozen=True)
class Fold:
    """Four disjoint boolean masks [N] whose union is all rows.

    test: predicted by this fold's model. train: the loss. validation: chooses the epoch. buffer: inputs of both
    graphs, labels of neither.
    """

    test: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    buffer: np.ndarray

    def parts(self) -> np.ndarray:
        """[N] int8: the place in `PARTS` of the part that each row belongs to, ready to be drawn."""
        return np.select([self.validation, self.buffer, self.test], [1, 2, 3]).astype(np.int8)

    @property
    def training_graph(self) -> np.ndarray:
        """[N] bool: the rows whose graph the model is trained on."""
        return ~self.test

    @property
    def inference_graph(self) -> np.ndarray:
        """[N] bool: the rows whose graph the test rows are predicted on."""
        return self.test | self.buffer


def make_folds(
    positions: np.ndarray,
    box: np.ndarray | None,
    spec: RunSpec,
    groups: np.ndarray | None = None,
    buffer: float = 0.0,
    steps: int = 0,
    edge_index: np.ndarray | None = None,
    file_of: np.ndarray | None = None,
) -> list[Fold]:
    """Divide N rows into `spec.folds` folds, every row tested exactly once.

    positions: [N, 3]. box: [3] sides in the same unit, 0 where an axis is open, or None where all are. groups: [N]
    group ids, needed by the split "group"; a missing id (NaN, None, negative) is a group of its own. buffer: rows
    within this distance of any test row are neither trained on nor watched; nor are rows within so many `steps` of one
    along the edges edge_index [2, M], whichever way these point, for graphs whose edges have no longest length.
    file_of: [N], the file of each row of a folder of catalogs, which a fold takes whole, whatever the split and without
    a buffer; groups of whole files stay together in the split "group". Raises InputError if there are too few rows,
    groups or files, or if the buffer leaves too little.
    """
    n_rows, n_folds = len(positions), spec.folds
    if n_rows < ROWS_PER_FOLD * n_folds:
        raise InputError(
            f"{n_rows} rows are too few for {n_folds} folds, which need at least {ROWS_PER_FOLD * n_folds}; "
            f"use fewer folds or a larger catalog."
        )
    rng = np.random.default_rng(spec.seed)
    if file_of is not None:
        return _folds_of_files(positions, file_of, spec, groups if spec.split == "group" else None, rng)
    group_of = _group_codes(groups, spec) if spec.split == "group" else None
    axis = longest_axis(positions, box)
    if group_of is not None:
        part = _blocks_of_groups(positions, group_of, n_folds)
    elif spec.split == "slabs":
        part = _equal_parts(positions[:, axis], n_folds)
    elif spec.split == "blocks":
        part = _blocks(positions, n_folds)
    else:
        part = rng.permutation(np.arange(n_rows) % n_folds)

    folds = []
    for number in range(n_folds):
        test = part == number
        near = _within(positions, test, buffer, box)
        if steps and edge_index is not None:
            near |= _along_edges(edge_index, test, steps)
        rest = ~test & ~near
        if rest.sum() < ROWS_PER_FOLD:
            raise _swallowed(positions, spec, test, buffer, steps, int(rest.sum()), axis)
        if group_of is not None:
            validation = _validation_groups(group_of, rest, rng)
        else:
            rows = np.flatnonzero(rest)
            random_parts = rng.permutation(np.arange(len(rows)) % VALIDATION_BLOCKS)
            block = random_parts if spec.split == "random" else _blocks(positions[rows], VALIDATION_BLOCKS)
            validation = np.zeros(n_rows, dtype=bool)
            validation[rows[block == rng.integers(VALIDATION_BLOCKS)]] = True
        folds.append(Fold(test=test, train=rest & ~validation, validation=validation, buffer=near))
    return folds


def _folds_of_files(
    positions: np.ndarray, file_of: np.ndarray, spec: RunSpec, groups: np.ndarray | None, rng: np.random.Generator
) -> list[Fold]:
    """Folds of whole files, or of whole groups of them where a group is the same in all rows of a file.

    One of eight files of the rest watches the training; where the rest is one file, a block of it does.
    """
    unit_of = np.unique(file_of, return_inverse=True)[1]
    kind = "files"
    if groups is not None:
        codes = pd.factorize(np.asarray(groups))[0]
        if len(np.unique(np.stack([unit_of, codes]), axis=1).T) == unit_of.max() + 1 and (codes >= 0).all():
            unit_of, kind = codes, "groups of files"
    n_units = int(unit_of.max()) + 1
    if n_units < spec.folds:
        raise InputError(
            f"The folder has {n_units} {kind}, too few for {spec.folds} folds, which take them whole; use fewer folds, "
            "more files, or one file alone, which is divided in space."
        )
    part = rng.permutation(np.arange(n_units) % spec.folds)
    folds = []
    for number in range(spec.folds):
        test, rest = (part == number)[unit_of], np.flatnonzero(part != number)
        if len(rest) > 1:
            watching = rng.permutation(rest)[: max(1, round(len(rest) / VALIDATION_BLOCKS))]
            validation = np.isin(unit_of, watching)
        else:
            validation = np.zeros(len(unit_of), dtype=bool)
            block = _blocks(positions[~test], VALIDATION_BLOCKS)
            validation[np.flatnonzero(~test)[block == rng.integers(VALIDATION_BLOCKS)]] = True
        folds.append(Fold(test, ~test & ~validation, validation, np.zeros(len(unit_of), dtype=bool)))
    return folds


def longest_axis(positions: np.ndarray, box: np.ndarray | None) -> int:
    """The axis that slabs divide: the longest, by the side of the box or the spread of the rows; z where equal."""
    return 2 - int(np.argmax(extent(positions, box)[::-1]))


def _equal_parts(values: np.ndarray, n_parts: int) -> np.ndarray:
    """The part [N] of each value when the sorted values are cut into runs of equal count."""
    part = np.empty(len(values), dtype=np.int64)
    part[np.argsort(values, kind="stable")] = np.arange(len(values)) * n_parts // len(values)
    return part


def _blocks(positions: np.ndarray, n_blocks: int, weight: np.ndarray | None = None) -> np.ndarray:
    """The block [N] of each row: cut across the widest spread in proportion, again and again (a k-d tree's cells).

    weight: [N] int, what is divided in proportion; 1 a row where None. Every block gets at least one row.
    """
    part = np.zeros(len(positions), dtype=np.int64)
    if n_blocks == 1:
        return part
    low = n_blocks // 2
    axis = int(np.argmax(np.ptp(positions, axis=0)))
    order = np.argsort(positions[:, axis], kind="stable")
    weight = np.ones(len(positions), dtype=np.int64) if weight is None else weight
    filled = np.cumsum(weight[order])
    wanted = filled[-1] * low // n_blocks
    cut = min(max(int(np.argmin(np.abs(filled - wanted))) + 1, low), len(positions) - (n_blocks - low))
    for rows, count, first in ((order[:cut], low, 0), (order[cut:], n_blocks - low, low)):
        part[rows] = first + _blocks(positions[rows], count, weight[rows])
    return part


def _blocks_of_groups(positions: np.ndarray, group_of: np.ndarray, n_folds: int) -> np.ndarray:
    """The fold [N] of each row: whole groups in blocks of space, a group being where its first row is."""
    first = np.unique(group_of, return_index=True)[1]
    return _blocks(positions[first], n_folds, np.bincount(group_of))[group_of]


def _within(positions: np.ndarray, test: np.ndarray, buffer: float, box: np.ndarray | None) -> np.ndarray:
    """[N] bool: rows outside `test` that are not farther than `buffer` from the nearest test row."""
    near = np.zeros(len(positions), dtype=bool)
    if buffer <= 0:
        return near
    if box is not None:
        side = periodic_sides(np.asarray(box))
        positions = np.where(np.isfinite(side), np.mod(positions, side), positions)
        positions = np.where(positions >= side, 0.0, positions)  # mod rounds a tiny negative number up to the side
    tree = cKDTree(positions[test], boxsize=None if box is None else box)
    others = np.flatnonzero(~test)
    bound = buffer * (1 + 1e-9)  # a pair at exactly this distance is an edge of the graph
    distance, _ = tree.query(positions[others], distance_upper_bound=bound)
    near[others[np.isfinite(distance)]] = True
    return near


def _along_edges(edge_index: np.ndarray, test: np.ndarray, steps: int) -> np.ndarray:
    """[N] bool: rows outside `test` from which at most `steps` edges lead to a test row, or to which from one."""
    reached = test.copy()
    for _ in range(steps):
        touched = reached[edge_index].any(axis=0)
        reached[edge_index[:, touched]] = True
    return reached & ~test


def _group_codes(groups: np.ndarray | None, spec: RunSpec) -> np.ndarray:
    """Group ids as numbers 0..G-1 [N], each row without an id a group of its own."""
    if groups is None:
        raise InputError("A split by group needs the column of group ids; name it, or choose slabs or blocks.")
    missing = pd.isna(groups)
    if np.issubdtype(np.asarray(groups).dtype, np.number):
        with np.errstate(invalid="ignore"):
            missing = missing | (np.asarray(groups) < 0)
    codes, names = pd.factorize(np.asarray(groups))
    codes[missing] = len(names) + np.arange(missing.sum())
    codes = np.unique(codes, return_inverse=True)[1]
    n_groups, needed = int(codes.max()) + 1, max(spec.folds, 3)
    if n_groups < needed:
        raise InputError(
            f"Column '{spec.group}' has {n_groups} groups, but {spec.folds} folds need at least {needed} "
            f"(whole groups to test, to train and to watch); use fewer folds or another split."
        )
    return codes


def _validation_groups(group_of: np.ndarray, rest: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[N] bool: whole groups of the rest, 10 to 15 % of its rows where the group sizes allow it."""
    sizes = np.bincount(group_of[rest], minlength=int(group_of.max()) + 1)
    order = rng.permutation(np.flatnonzero(sizes))
    if len(order) < 2:
        raise InputError(
            "One group is larger than all others together, so a fold has no second group to watch the training; "
            "use more folds or another split."
        )
    wanted, room, chosen = 0.1 * rest.sum(), 0.15 * rest.sum(), []
    taken = 0
    for group in order:
        if taken < wanted and taken + sizes[group] <= room:
            chosen.append(group)
            taken += sizes[group]
    if not chosen:
        chosen = [order[np.argmin(sizes[order])]]
    return rest & np.isin(group_of, chosen)


def _swallowed(
    positions: np.ndarray, spec: RunSpec, test: np.ndarray, buffer: float, steps: int, left: int, axis: int
) -> InputError:
    if steps:
        return InputError(
            f"All but {left} of {len(positions)} rows are tested or within {steps} step{'s' * (steps > 1)} of a test "
            "row along the edges, too few to train on; use less depth, fewer neighbours, or a buffer of 0, which cuts "
            "the edges between test and training rows."
        )
    if buffer <= 0:
        return InputError(
            f"A fold of the split '{spec.split}' leaves {left} rows to train on and needs {ROWS_PER_FOLD}; "
            f"use another split or a larger catalog."
        )
    width = float(np.ptp(positions[test, axis]))
    place = {"slabs": "slab", "blocks": "block", "group": "block"}.get(spec.split, "part")
    return InputError(
        f"The buffer of {buffer:.4g} around a test {place} {width:.4g} wide leaves {left} of {len(positions)} rows "
        f"to train on; use a smaller buffer, a shorter linking length or less depth."
    )
