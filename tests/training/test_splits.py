"""Folds keep test and training apart: every promise of `make_folds`, against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError
from gnnlib.graph.graph import GraphSpec
from gnnlib.training.spec import RunSpec
from gnnlib.training.splits import PARTS, Fold, longest_axis, make_folds

SIDE = 10.0
SPATIAL = ("slabs", "blocks")


def run_spec(**fields: object) -> RunSpec:
    return RunSpec.model_validate(
        {"catalog": CatalogSpec(path="sample"), "graph": GraphSpec(radius=1.0), "target": "t", "features": ("f",)}
        | fields
    )


def rows(seed: int, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions in a box, some of them clustered, and group ids."""
    rng = np.random.default_rng(seed)
    positions = np.mod(rng.normal(rng.uniform(0, SIDE, (8, 3))[rng.integers(0, 8, n_rows)], 2.0), SIDE)
    return positions, rng.integers(0, 40, n_rows)


def closest(a: np.ndarray, b: np.ndarray, box: np.ndarray | None) -> float:
    """The smallest distance between two sets of points, every pair tried."""
    separation = a[:, None] - b[None]
    if box is not None:
        separation -= box * np.round(separation / box)
    return float(np.sqrt((separation**2).sum(-1)).min())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_rows=st.integers(60, 250),
    n_folds=st.integers(2, 5),
    split=st.sampled_from(("slabs", "blocks", "group", "random")),
    buffer=st.sampled_from((0.0, 0.3, 0.8)),
    periodic=st.booleans(),
)
def test_folds_partition_the_rows_and_keep_the_buffer(seed, n_rows, n_folds, split, buffer, periodic):
    positions, groups = rows(seed, n_rows)
    box = np.full(3, SIDE) if periodic else None
    try:
        folds = make_folds(positions, box, run_spec(split=split, folds=n_folds, group="g"), groups, buffer)
    except InputError:  # the buffer left too little: that is a refusal, not a promise broken
        assert buffer > 0
        return
    assert len(folds) == n_folds
    np.testing.assert_array_equal(sum(fold.test.astype(int) for fold in folds), 1)
    for fold in folds:
        masks = (fold.test, fold.train, fold.validation, fold.buffer)
        np.testing.assert_array_equal(sum(mask.astype(int) for mask in masks), 1)
        assert fold.train.any() and fold.validation.any() and fold.test.any()
        assert not (fold.inference_graph & fold.train).any()
        assert not (fold.training_graph & fold.test).any()
        learned = fold.train | fold.validation
        if buffer:
            assert closest(positions[learned], positions[fold.test], box) > buffer
        if fold.buffer.any():
            nearest = [closest(positions[[row]], positions[fold.test], box) for row in np.flatnonzero(fold.buffer)]
            assert max(nearest) <= buffer * (1 + 1e-6)


@pytest.mark.parametrize("split", ["slabs", "blocks", "random"])
def test_folds_and_validation_have_the_expected_sizes(split):
    positions, _ = rows(1, 400)
    for fold in make_folds(positions, None, run_spec(split=split, folds=4)):
        assert fold.test.sum() == 100
        assert 0.10 <= fold.validation.sum() / 300 <= 0.15


@pytest.mark.parametrize("split", SPATIAL)
def test_validation_of_a_spatial_split_is_one_block_of_space(split):
    """No training row lies inside the box that the validation rows span, other than those of other parts."""
    positions, _ = rows(2, 800)
    for fold in make_folds(positions, None, run_spec(split=split, folds=2)):
        watched = positions[fold.validation]
        inside = ((positions > watched.min(0)) & (positions < watched.max(0))).all(axis=1)
        assert not (inside & fold.train).any()


def test_slabs_lie_along_the_longest_axis_with_equal_counts():
    rng = np.random.default_rng(0)
    positions = rng.uniform(0, [10, 30, 20], (300, 3))
    folds = make_folds(positions, None, run_spec(folds=3))
    edges = [(positions[fold.test, 1].min(), positions[fold.test, 1].max()) for fold in folds]
    assert all(a[1] < b[0] for a, b in itertools.pairwise(edges))
    assert longest_axis(positions, np.array([50.0, 30.0, 30.0])) == 0
    assert longest_axis(positions, np.array([30.0, 30.0, 30.0])) == 2
    assert longest_axis(np.outer([0.0, 40.0], [0, 1, 0]), np.array([30.0, 0.0, 30.0])) == 1  # y is open and 40 wide


def test_a_periodic_buffer_reaches_across_the_face():
    positions = np.column_stack([np.zeros(100), np.zeros(100), np.linspace(0.05, 9.95, 100)])
    first = make_folds(positions, np.full(3, SIDE), run_spec(folds=2), buffer=1.0)[0]
    near_face = positions[:, 2] > SIDE - 0.9
    assert first.test[0] and first.buffer[near_face].all()
    open_box = make_folds(positions, None, run_spec(folds=2), buffer=1.0)[0]
    assert not open_box.buffer[near_face].any()


def test_flat_catalogs_and_positions_on_the_faces_are_split():
    rng = np.random.default_rng(3)
    positions = np.column_stack([rng.uniform(0, SIDE, (100, 2)), np.zeros(100)])
    positions[:3, 0] = [0.0, SIDE, -1e-18]
    box = np.array([SIDE, SIDE, 0.0])
    for fold in make_folds(positions, box, run_spec(folds=3), buffer=0.5):
        assert fold.buffer.any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n_folds=st.integers(2, 6))
def test_groups_are_never_split(seed, n_folds):
    positions, groups = rows(seed, 200)
    folds = make_folds(positions, None, run_spec(split="group", folds=n_folds, group="g"), groups)
    for fold in folds:
        for mask in (fold.test, fold.validation, fold.train):
            assert not set(groups[mask]) & set(groups[~mask])
    sizes = [fold.test.sum() for fold in folds]
    assert max(sizes) - min(sizes) <= 2 * np.bincount(groups).max()


def test_folds_of_groups_do_not_tell_who_belongs_together():
    """Among the neighbours in a test graph members of one group are as rare as in the catalog, not as if dealt out."""
    rng = np.random.default_rng(8)
    centres = rng.uniform(0, SIDE, (120, 3))
    groups = np.repeat(np.arange(120), 10)
    positions = centres[groups] + rng.normal(0, 0.4, (1200, 3))
    near = np.linalg.norm(positions[:, None] - positions[None], axis=-1) < 2.0
    same = groups[:, None] == groups[None]

    def share(rows: np.ndarray) -> float:
        return float(same[np.ix_(rows, rows)].sum() / near[np.ix_(rows, rows)].sum())

    everywhere = share(np.ones(1200, dtype=bool))
    folds = make_folds(positions, None, run_spec(split="group", folds=4, group="g"), groups, buffer=1.0)
    assert all(share(fold.inference_graph) < 1.5 * everywhere for fold in folds)
    assert share(rng.permutation(120)[groups] < 30) > 2 * everywhere


@pytest.mark.parametrize("missing", [np.nan, None, -1])
def test_rows_without_a_group_are_groups_of_their_own(missing):
    positions, groups = rows(4, 100)
    groups = groups.astype(object if missing is None else float)
    groups[50:] = missing
    folds = make_folds(positions, None, run_spec(split="group", folds=2, group="g"), groups)
    assert {fold.test[50:].any() for fold in folds} == {True}


def test_equal_seeds_give_equal_folds_and_other_seeds_others():
    positions, groups = rows(5, 200)

    def tested(split: str, seed: int) -> list[Fold]:
        return make_folds(positions, None, run_spec(split=split, folds=3, group="g", seed=seed), groups)

    for split in ("slabs", "blocks", "group", "random"):
        for a, b in zip(tested(split, 1), tested(split, 1), strict=True):
            np.testing.assert_array_equal(a.test, b.test)
            np.testing.assert_array_equal(a.validation, b.validation)
    assert any((a.test != b.test).any() for a, b in zip(tested("random", 1), tested("random", 2), strict=True))


def test_input_that_cannot_be_folded_is_refused_in_a_sentence():
    positions, groups = rows(6, 200)
    with pytest.raises(InputError, match="20 rows are too few for 3 folds, which need at least 30"):
        make_folds(positions[:20], None, run_spec(folds=3))
    with pytest.raises(InputError, match="Column 'g' has 2 groups, but 3 folds need at least 3"):
        make_folds(positions, None, run_spec(split="group", folds=3, group="g"), groups % 2)
    with pytest.raises(InputError, match="needs the column of group ids"):
        make_folds(positions, None, run_spec(split="group"))
    with pytest.raises(InputError, match=r"buffer of 9 around a test slab .* wide leaves 0 of 200 rows"):
        make_folds(positions, np.full(3, SIDE), run_spec(folds=3), buffer=9.0)
    lopsided = np.array([0] * 150 + [1] * 25 + [2] * 25)
    with pytest.raises(InputError, match="One group is larger than all others together"):
        make_folds(positions, None, run_spec(split="group", folds=2, group="g"), lopsided)


def test_the_parts_of_a_fold_are_told_row_by_row_for_drawing():
    positions, _ = rows(7, 300)
    for fold in make_folds(positions, None, run_spec(folds=3), buffer=0.3):
        parts = fold.parts()
        assert parts.dtype == np.int8 and parts.shape == (300,)
        for number, name in enumerate(PARTS):
            np.testing.assert_array_equal(parts == number, getattr(fold, name))
