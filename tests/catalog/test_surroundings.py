"""Neighbours, overdensities and groups against brute force; volumes and edges against known ones."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gnnlib.catalog import surroundings
from gnnlib.catalog.expressions import evaluate, evaluate_condition
from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Roles
from gnnlib.errors import InputError

SIDE = 10.0


def catalog(points: np.ndarray, axes: tuple[bool, bool, bool] = (False, False, False), **columns: object) -> Catalog:
    """Points [N, 2 or 3] with further columns; a box of 10 where an axis is periodic."""
    names = tuple("xyz"[: points.shape[1]])
    table = pd.DataFrame(dict(zip(names, points.T, strict=True)) | columns)
    return Catalog(
        table=table,
        columns={name: Column(name) for name in table.columns},
        roles=Roles(position=names, mass="mass" if "mass" in columns else None),
        row_ids=np.arange(len(table)),
        spec=CatalogSpec(path="none"),
        name="none",
        box=np.full(3, SIDE) if any(axes) else None,
        periodic_axes=axes,
    )


def distances(points: np.ndarray, axes: tuple[bool, bool, bool]) -> np.ndarray:
    """All pairs [N, N], the long way; inf from an object to itself."""
    apart = np.abs(points[:, None] - points[None])
    for axis in range(points.shape[1]):
        if axes[axis]:
            apart[..., axis] = np.minimum(apart[..., axis] % SIDE, SIDE - apart[..., axis] % SIDE)
    lengths = np.sqrt((apart**2).sum(axis=2))
    np.fill_diagonal(lengths, np.inf)
    return lengths


# A grid of sixteenths: distances are exact, places coincide, and faces of the box are hit.
places = (
    st.integers(2, 3)
    .flatmap(lambda d: arrays(np.int64, st.tuples(st.integers(2, 25), st.just(d)), elements=st.integers(-40, 200)))
    .map(lambda steps: steps / 16)
)
periodic = st.tuples(st.booleans(), st.booleans(), st.booleans())


@given(points=places, axes=periodic, radius=st.sampled_from([0.25, 1.0, 2.3, 5.0]), n=st.integers(1, 4))
@settings(max_examples=150)
def test_neighbours_are_those_of_brute_force(
    points: np.ndarray, axes: tuple[bool, bool, bool], radius: float, n: int
) -> None:
    rows = catalog(points, axes)
    lengths = distances(points, axes)
    np.testing.assert_array_equal(surroundings.count_within(rows, radius), (lengths <= radius).sum(axis=1))
    if n < len(points):
        expected = np.sort(lengths, axis=1)[:, n - 1]
        np.testing.assert_allclose(surroundings.neighbor_distance(rows, n), expected, atol=1e-9)
    else:
        with pytest.raises(InputError, match="no neighbour number"):
            surroundings.neighbor_distance(rows, n)


@given(points=places, radius=st.sampled_from([1.0, 2.3, 5.0]), seed=st.integers(0, 99))
@settings(max_examples=100)
def test_an_overdensity_in_a_periodic_box_is_counts_over_the_mean(points: np.ndarray, radius: float, seed: int) -> None:
    rows = catalog(points, (True, True, True))
    near = distances(points, (True, True, True)) <= radius
    d = points.shape[1]
    share = (pi * radius**2, 4 / 3 * pi * radius**3)[d - 2] / SIDE**d
    np.testing.assert_allclose(
        surroundings.overdensity(rows, radius), near.sum(axis=1) / ((len(points) - 1) * share), rtol=1e-12
    )
    mass = np.random.default_rng(seed).lognormal(size=len(points))
    np.testing.assert_allclose(
        surroundings.overdensity(rows, radius, mass), near @ mass / ((mass.sum() - mass) * share), rtol=1e-9
    )


def test_rows_without_a_place_have_no_surroundings_and_are_nobodys_neighbour() -> None:
    points = np.array([[0.0, 0, 0], [np.nan, 0, 0], [1, 0, 0], [0, 0, 3]])
    rows = catalog(points, (True, True, True))
    np.testing.assert_array_equal(surroundings.count_within(rows, 1.5), [1, np.nan, 1, 0])
    np.testing.assert_array_equal(surroundings.neighbor_distance(rows, 2), [3, np.nan, np.sqrt(10), np.sqrt(10)])
    mass = np.array([1.0, 5, 2, np.nan])
    assert np.isnan(surroundings.overdensity(rows, 1.5, mass)).tolist() == [False, True, False, False]


@pytest.mark.parametrize("axes", [(True, True, True), (True, True, False), (False, True, False)])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_uniform_box_has_overdensity_one_up_to_its_open_faces(axes: tuple, dimensions: int) -> None:
    points = np.random.default_rng(0).uniform(0, SIDE, (20_000, 3))[:, :dimensions]
    found = surroundings.overdensity(catalog(points, axes), 1.5)
    near_a_corner = (np.minimum(points, SIDE - points) < 0.75).all(axis=1)
    assert found.mean() == pytest.approx(1, abs=0.02)
    assert near_a_corner.sum() > 50 and found[near_a_corner].mean() == pytest.approx(1, abs=0.08)


def test_half_a_sphere_is_expected_at_a_face_and_an_eighth_in_a_corner() -> None:
    places = [[5, 5, 5], [0, 5, 5], [0, 10, 5], [0, 0, 10], [1, 5, 5]]
    points = np.concatenate([places, np.random.default_rng(0).uniform(0, SIDE, (20_000, 3))])
    cap = (3 * 2 - 1) * 1**2 / (4 * 2**3)  # of height 1 on a radius of 2: (3 r - h) h^2 / (4 r^3)
    for axes, shares in (
        ((False, False, False), [1, 1 / 2, 1 / 4, 1 / 8, 1 - cap]),
        ((True, False, False), [1, 1, 1 / 2, 1 / 4, 1]),
    ):
        rows = catalog(points, axes)
        rows = replace(rows, box=np.full(3, SIDE))
        expected = surroundings.count_within(rows, 2) / surroundings.overdensity(rows, 2)
        whole = 4 / 3 * pi * 2**3 / SIDE**3 * (len(points) - 1)
        np.testing.assert_allclose(expected[:5] / whole, shares, rtol=0.02)


def test_a_box_that_does_not_begin_at_zero_is_put_around_its_objects() -> None:
    points = np.random.default_rng(1).uniform(0, SIDE, (5000, 3))
    axes = (True, False, False)
    shifted = points - [0, 5, -80]
    np.testing.assert_allclose(
        surroundings.overdensity(catalog(shifted, axes), 1.5).mean(),
        surroundings.overdensity(catalog(points, axes), 1.5).mean(),
        rtol=0.005,
    )


@pytest.mark.parametrize("dimensions", [2, 3])
def test_without_a_box_the_volume_is_the_convex_hull_and_its_edge_does_not_look_empty(dimensions: int) -> None:
    points = np.random.default_rng(2).uniform(-1, 1, (40_000, 3))[:, :dimensions]
    points = points[(points**2).sum(axis=1) < 1]
    found = surroundings.overdensity(catalog(points), 0.25)
    at_the_edge = (points**2).sum(axis=1) > 0.9**2
    assert found.mean() == pytest.approx(1, abs=0.02)
    assert found[at_the_edge].mean() == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("overdensity(0)", "above 0"),
        ("overdensity(-1)", "above 0"),
        ("count_within(x)", "must be one number"),
        ("overdensity('far')", "must be one number"),
        ("overdensity(1, 'mass')", "must be numbers"),
        ("neighbor_distance(1.5)", "whole"),
        ("neighbor_distance(0)", "1 or more"),
        ("neighbor_distance(99)", "among 3 objects"),
        ("overdensity(2)", "span no volume"),
        ("is_central(x)", "needs a mass"),
    ],
)
def test_what_cannot_be_said_is_explained(expression: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        evaluate(expression, catalog(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])))


def test_a_radius_beyond_half_a_periodic_side_is_refused() -> None:
    points = np.random.default_rng(0).uniform(0, SIDE, (20, 3))
    with pytest.raises(InputError, match="more than half of the periodic side of 10"):
        evaluate("count_within(5.1)", catalog(points, (False, True, False)))
    assert evaluate("count_within(5.1)", catalog(points)).max() > 0


def test_more_neighbours_than_one_would_wait_for_are_refused_before_they_are_counted() -> None:
    points = np.random.default_rng(0).uniform(0, SIDE, (100_000, 3))
    with pytest.raises(InputError, match=r"about [\d,]+ neighbours each.*radius of [4-6]"):
        evaluate("count_within(30)", catalog(points))


groups = st.lists(st.tuples(st.integers(-2, 4), st.integers(0, 5)), min_size=1, max_size=30)


@given(members=groups)
@settings(max_examples=150)
def test_groups_are_those_of_a_loop_over_the_members(members: list[tuple[int, int]]) -> None:
    group = np.array([g for g, _ in members])
    mass = np.array([m if m else np.nan for _, m in members], dtype=float)
    rows = catalog(np.zeros((len(group), 3)), group=group, mass=mass)
    central, size, host = (
        evaluate_condition("is_central(group)", rows),
        evaluate("group_size(group)", rows),
        evaluate("group_max(group, mass)", rows),
    )
    np.testing.assert_array_equal(central, evaluate_condition("is_central(group, mass)", rows))
    for k in range(len(group)):
        mates = np.flatnonzero(group == group[k]) if group[k] >= 0 else np.array([k])
        weights = np.where(np.isnan(mass[mates]), -np.inf, mass[mates])
        assert central[k] == (mates[np.argmax(weights)] == k)  # argmax is the first of equals
        assert size[k] == len(mates)
        known = mass[mates][~np.isnan(mass[mates])]
        np.testing.assert_equal(host[k], known.max() if len(known) else np.nan)


def test_groups_may_be_text_or_ids_too_long_for_a_float() -> None:
    points = np.zeros((4, 3))
    names = catalog(points, host=["MW", None, "MW", None])
    np.testing.assert_array_equal(evaluate("group_size(host)", names), [2, 1, 2, 1])
    long = catalog(points, host=2**60 + np.array([0, 1, 0, 2]))
    np.testing.assert_array_equal(evaluate("group_size(host)", long), [2, 1, 2, 1])
