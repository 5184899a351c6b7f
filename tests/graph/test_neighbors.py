"""The edge set is exact: against brute force, against scipy's KD-tree, and in the corners where such code fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from gnnlib.errors import InputError
from gnnlib.graph import GraphSpec, compiled, edges, find

from .point_sets import (
    ANYWHERE,
    BOX,
    BOXES,
    INSIDE,
    check_contract,
    every_pair_within,
    nearest_of_each,
    pairs,
    point_sets,
    points,
)

RADII = st.one_of(st.floats(0.01, 3.5), st.integers(1, 28).map(lambda eighths: eighths / 8))
COMMON = settings(max_examples=150, deadline=None)


# Radius


@COMMON
@given(point_sets(), RADII)
def test_an_open_radius_graph_joins_exactly_the_pairs_within_the_radius(positions: np.ndarray, radius: float) -> None:
    found = find(positions, GraphSpec(radius=radius), None)
    assert pairs(found.edge_index) == every_pair_within(positions, radius, None)
    check_contract(found, positions, None)


@COMMON
@given(point_sets(kinds=(*INSIDE, "far away")), RADII, st.sampled_from(BOXES[1:]))
def test_a_periodic_radius_graph_joins_exactly_the_pairs_within_the_radius_across_every_periodic_face(
    positions: np.ndarray, radius: float, box: np.ndarray
) -> None:
    found = find(positions, GraphSpec(radius=radius), box)
    assert pairs(found.edge_index) == every_pair_within(positions, radius, box)
    check_contract(found, positions, box)


@pytest.mark.parametrize("kind", ANYWHERE)
@pytest.mark.parametrize(("radius", "n"), [(0.05, 6_000), (0.4, 6_000), (1.5, 1_500)])
def test_a_large_open_radius_graph_has_the_edges_of_a_kd_tree(kind: str, radius: float, n: int) -> None:
    positions = points(kind, n)
    found = find(positions, GraphSpec(radius=radius), None)
    reference = cKDTree(positions).query_pairs(radius, output_type="ndarray")
    assert same_edges(found.edge_index, reference, len(positions))


@pytest.mark.parametrize("kind", INSIDE)
@pytest.mark.parametrize(("radius", "n"), [(0.05, 6_000), (0.4, 6_000), (1.5, 1_500)])
def test_a_large_periodic_radius_graph_has_the_edges_of_a_kd_tree(kind: str, radius: float, n: int) -> None:
    positions = points(kind, n)
    for box in BOXES[1:]:
        found = find(positions, GraphSpec(radius=radius), box)
        reference = cKDTree(positions, boxsize=box).query_pairs(radius, output_type="ndarray")
        assert same_edges(found.edge_index, reference, len(positions))


def test_an_open_axis_reaches_as_far_as_the_points_and_sets_no_limit_to_the_radius() -> None:
    positions = points("uniform", 300) + np.array([0, 0, 1]) * np.linspace(-500, 500, 300)[:, None]
    box = BOX * [1, 0, 0]
    found = find(positions, GraphSpec(radius=4.9), box)
    assert pairs(found.edge_index) == every_pair_within(positions, 4.9, box)
    with pytest.raises(InputError, match="half the shortest periodic side of the box, 5"):
        find(positions, GraphSpec(radius=5.1), box)


def same_edges(edge_index: np.ndarray, half: np.ndarray, n: int) -> bool:
    both = np.concatenate([half, half[:, ::-1]]).astype(np.int64)
    return np.array_equal(np.sort(edge_index[0] * n + edge_index[1]), np.sort(both[:, 0] * n + both[:, 1]))


def test_the_real_halos_of_tng_have_the_edges_of_a_kd_tree(shared_data: Path) -> None:
    with h5py.File(shared_data / "sim" / "tng100-1_halos_flat" / "data.hdf5") as file:
        positions = file["group_pos"][:].astype(np.float64)
    box = np.full(3, 75_000.0)
    found = find(positions, GraphSpec(radius=3_000.0), box)
    reference = cKDTree(positions, boxsize=box).query_pairs(3_000.0, output_type="ndarray")
    assert len(positions) == 14_780
    assert len(reference) > len(positions)
    assert same_edges(found.edge_index, reference, len(positions))
    check_contract(found, positions, box)


@pytest.mark.parametrize("share", [0.5, 0.499, 0.34, 1 / 3, 0.33, 0.26, 0.25, 0.24])
def test_a_box_of_few_cells_has_each_edge_once(share: float) -> None:
    positions = points("uniform", 200, seed=3)
    radius = share * BOX.min()
    found = find(positions, GraphSpec(radius=radius), BOX)
    assert pairs(found.edge_index) == every_pair_within(positions, radius, BOX)


@pytest.mark.parametrize("cells", [3, 7, 49, 103])
def test_pairs_on_the_faces_of_cells_are_found(cells: int) -> None:
    side = 1.0
    radius = side / cells
    faces = np.arange(cells) * radius
    near = np.concatenate([faces, np.nextafter(faces, np.inf), np.clip(np.nextafter(faces, -np.inf), 0, None)])
    positions = np.stack([near, np.zeros_like(near), np.full_like(near, 0.5)], axis=1)
    box = np.full(3, side)
    for space in (None, box):
        found = find(positions, GraphSpec(radius=radius), space)
        assert pairs(found.edge_index) == every_pair_within(positions, radius, space)


def test_a_dense_clump_keeps_all_its_neighbours() -> None:
    rng = np.random.default_rng(1)
    clump = rng.uniform(0, 0.5, (300, 3))
    positions = np.concatenate([clump, rng.uniform(2, 10, (300, 3))])
    found = find(positions, GraphSpec(radius=1.0), None)
    degrees = np.bincount(found.edge_index[1], minlength=600)
    assert np.all(degrees[:300] == 299)


def test_joined_pairs_are_joined_both_ways_with_opposite_separations() -> None:
    positions = points("clustered", 500)
    found = find(positions, GraphSpec(radius=0.5), BOX)
    forward = np.lexsort(found.edge_index)
    backward = np.lexsort(found.edge_index[::-1])
    assert np.array_equal(found.edge_index[:, forward], found.edge_index[::-1, backward])
    assert np.array_equal(found.separations[forward], -found.separations[backward])
    assert np.array_equal(found.lengths[forward], found.lengths[backward])


def test_float32_positions_are_joined_as_their_exact_float64_values() -> None:
    positions = points("clustered", 400).astype(np.float32)
    found = find(positions, GraphSpec(radius=0.3), None)
    assert pairs(found.edge_index) == every_pair_within(positions.astype(np.float64), 0.3, None)


def test_float32_positions_that_round_to_the_box_side_are_accepted() -> None:
    positions = np.array([[0, 1, 1], [75_000.004, 1, 1]], dtype=np.float32)
    found = find(positions, GraphSpec(radius=1.0), np.full(3, 75_000.0))
    assert pairs(found.edge_index) == {(0, 1), (1, 0)}


@pytest.mark.parametrize("shift", [BOX / 2, -3 * BOX, np.array([0.3, -20.0, 6.9])])
def test_positions_may_lie_anywhere_modulo_the_box(shift: np.ndarray) -> None:
    positions = points("uniform", 300)
    here, there = (find(p, GraphSpec(radius=1.3), BOX) for p in (positions, positions + shift))
    assert pairs(here.edge_index) == pairs(there.edge_index)
    assert np.allclose(here.lengths, there.lengths, rtol=1e-9)


def test_periodic_false_ignores_the_box() -> None:
    positions = points("uniform", 300)
    found = find(positions, GraphSpec(radius=1.3, periodic=False), BOX)
    assert pairs(found.edge_index) == every_pair_within(positions, 1.3, None)


@pytest.mark.parametrize("kind", ["uniform", "duplicates"])
def test_the_order_of_the_rows_changes_nothing_but_the_numbers(kind: str) -> None:
    positions = points(kind, 300)
    order = np.random.default_rng(2).permutation(300)
    for spec in (GraphSpec(radius=1.0), GraphSpec(method="knn", k=5)):
        if kind == "duplicates" and spec.method == "knn":
            continue  # ties go by row
        before, after = find(positions, spec, BOX), find(positions[order], spec, BOX)
        assert pairs(before.edge_index) == pairs(order[after.edge_index])


def test_one_point_or_two_are_a_graph() -> None:
    alone = find(np.zeros((1, 3)), GraphSpec(radius=1.0), None)
    assert alone.edge_index.shape == (2, 0)
    assert alone.separations.shape == (0, 3)
    both = find(np.array([[0.0, 0, 0], [1, 0, 0]]), GraphSpec(radius=1.0), None)
    assert both.edge_index.tolist() == [[1, 0], [0, 1]]
    assert both.separations.tolist() == [[1, 0, 0], [-1, 0, 0]]


def test_coincident_points_are_joined_to_each_other_and_not_to_themselves() -> None:
    positions = np.ones((4, 3))
    for spec in (GraphSpec(radius=1e-300), GraphSpec(method="knn", k=3)):
        found = find(positions, spec, None)
        assert pairs(found.edge_index) == {(i, j) for i in range(4) for j in range(4) if i != j}
        assert not found.lengths.any()


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-160, 1e-20, 1e20, 1e148])
@pytest.mark.parametrize("radius", [1e-320, 1e-160, 1e-19, 1e20, 1e155, 1e308])
def test_absurd_scales_neither_crash_nor_hang(scale: float, radius: float) -> None:
    positions = np.arange(1.0, 13.0).reshape(4, 3) * scale
    found = find(positions, GraphSpec(radius=radius), None)
    assert pairs(found.edge_index) == every_pair_within(positions, radius, None)


# Nearest neighbours


@COMMON
@given(point_sets(smallest=2), st.integers(1, 12), st.sampled_from(BOXES))
def test_knn_gives_each_receiver_its_nearest_others_with_ties_by_row(
    positions: np.ndarray, k: int, box: np.ndarray | None
) -> None:
    k = min(k, len(positions) - 1)
    if box is not None:
        positions = np.mod(positions, BOX)
    found = find(positions, GraphSpec(method="knn", k=k), box)
    source, receiver = found.edge_index
    assert np.array_equal(receiver, np.repeat(np.arange(len(positions)), k))
    assert np.all(source != receiver)
    assert np.array_equal(source.reshape(-1, k), nearest_of_each(positions, k, box))
    check_contract(found, positions, box)


@pytest.mark.parametrize("kind", INSIDE)
def test_a_large_knn_graph_has_the_lengths_of_a_kd_tree(kind: str) -> None:
    positions = points(kind, 5_000)
    found = find(positions, GraphSpec(method="knn", k=9), BOX)
    reference, _ = cKDTree(positions, boxsize=BOX).query(positions, k=10)
    assert np.allclose(found.lengths.reshape(-1, 9), reference[:, 1:], rtol=1e-12, atol=1e-15)


def test_the_closest_pair_are_each_others_nearest() -> None:
    positions = points("uniform", 500)
    found = find(positions, GraphSpec(method="knn", k=1), BOX)
    source, receiver = found.edge_index[:, np.argmin(found.lengths)]
    assert (receiver, source) in pairs(found.edge_index)


def test_knn_of_thousands_of_rows_at_one_place_is_quick_and_ordered() -> None:
    found = find(np.full((20_000, 3), 7.0), GraphSpec(method="knn", k=4), None)
    assert found.edge_index[0, :8].tolist() == [1, 2, 3, 4, 0, 2, 3, 4]
    assert found.edge_index[0, -4:].tolist() == [0, 1, 2, 3]


# Both


@pytest.mark.parametrize("spec", [GraphSpec(radius=1.0), GraphSpec(method="knn", k=3)])
def test_self_loops_come_first_at_each_receiver_and_change_nothing_else(spec: GraphSpec) -> None:
    positions = points("duplicates", 100)
    plain = find(positions, spec, BOX)
    looped = find(positions, spec.model_copy(update={"self_loops": True}), BOX)
    loops = looped.edge_index[0] == looped.edge_index[1]
    assert np.array_equal(looped.edge_index[0, loops], np.arange(100))
    assert not looped.separations[loops].any() and not looped.lengths[loops].any()
    assert np.array_equal(looped.edge_index[:, ~loops], plain.edge_index)
    assert np.array_equal(looped.separations[~loops], plain.separations)
    assert np.array_equal(np.flatnonzero(loops), np.searchsorted(looped.edge_index[1], np.arange(100)))
    assert np.all(np.diff(looped.edge_index[1]) >= 0)


def test_threads_share_the_work_without_changing_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    positions, spec = points("clustered", 6_000), GraphSpec(radius=0.3)
    parallel = find(positions, spec, BOX)
    monkeypatch.setattr(compiled, "SERIAL_BELOW", 10_000)
    serial = find(positions, spec, BOX)
    assert np.array_equal(parallel.edge_index, serial.edge_index)
    assert np.array_equal(parallel.separations, serial.separations)


def test_several_people_may_build_graphs_at_once() -> None:
    positions = points("clustered", 6_000)
    radii = [0.1, 0.2, 0.3, 0.4] * 3
    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(lambda r: len(find(positions, GraphSpec(radius=r), BOX).lengths), radii))
    assert counts == [len(find(positions, GraphSpec(radius=r), BOX).lengths) for r in radii]


def test_compiled_functions_work_where_no_folder_may_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    njit = compiled.numba.njit

    def refuse(cache: bool = False, **options: bool):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(compiled.numba, "njit", refuse)
    assert compiled.compiled(lambda x: x + 1)(1) == 2


def test_machine_code_on_disk_belongs_to_all_the_sources_of_the_package(tmp_path: Path) -> None:
    """A function in one file calls those of others; a change in any of them must compile it anew."""
    package = tmp_path / "kernels"
    package.mkdir()
    shutil.copy(compiled.__file__, package / "compiled.py")
    (package / "__init__.py").touch()
    (package / "outer.py").write_text(
        "from kernels.compiled import compiled\nfrom kernels.inner import inner\n\n"
        "@compiled\ndef outer():\n    return inner()\n"
    )
    for answer in (1, 22):
        (package / "inner.py").write_text(
            f"from kernels.compiled import compiled\n\n@compiled\ndef inner():\n    return {answer}\n"
        )
        command = [sys.executable, "-c", "from kernels.outer import outer; print(outer())"]
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert int(said) == answer


# Errors


@pytest.mark.parametrize(
    ("spec", "box", "words"),
    [
        (GraphSpec(radius=None), None, "needs a linking length"),
        (GraphSpec(radius=0), None, "positive number, not 0"),
        (GraphSpec(radius=-2.5), None, "positive number, not -2.5"),
        (GraphSpec(radius=float("nan")), None, "positive number, not nan"),
        (GraphSpec(radius=float("inf")), None, "positive number, not inf"),
        (GraphSpec(radius=3.6), BOX, "over half the shortest periodic side of the box, 3.5"),
        (GraphSpec(radius=1.0, periodic=True), None, "needs a box"),
        (GraphSpec(radius=1.0), np.zeros(3), "three side lengths"),
        (GraphSpec(radius=1.0), np.array([10.0, -1, 10]), "three side lengths"),
        (GraphSpec(radius=1.0), np.array([10.0, np.nan, 10]), "three side lengths"),
        (GraphSpec(radius=1.0), np.array([10.0, 10]), "three side lengths"),
        (GraphSpec(radius=1.0), np.array([10.0, 5.0, 13.0]), "along axis y, more than the box side 5"),
        (GraphSpec(method="knn", k=None), None, "k of at least 1, not None"),
        (GraphSpec(method="knn", k=0), None, "k of at least 1, not 0"),
        (GraphSpec(method="knn", k=50), None, "has 50 rows, too few for 50 neighbours"),
        (GraphSpec(method="knn", k=60), None, "has 50 rows, too few for 60 neighbours"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_sentence(spec: GraphSpec, box: np.ndarray | None, words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        find(points("uniform", 50), spec, box)
    sentence = str(raised.value)
    assert sentence.endswith(".") and "\n" not in sentence


@pytest.mark.parametrize("spec", [GraphSpec(radius=1.0), GraphSpec(method="knn", k=1)])
def test_an_empty_catalog_is_refused(spec: GraphSpec) -> None:
    with pytest.raises(InputError, match="no rows"):
        find(np.empty((0, 3)), spec, None)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
def test_rows_without_a_finite_position_are_counted(bad: float) -> None:
    positions = points("uniform", 50)
    positions[[3, 7], 1] = bad
    positions[7, 2] = bad
    with pytest.raises(InputError, match="2 of 50 rows have a missing or infinite position"):
        find(positions, GraphSpec(radius=1.0), None)


def test_a_graph_too_large_for_memory_is_refused_with_its_size() -> None:
    everything_at_once = np.random.default_rng(0).normal(0, 1, (20_000, 3))
    with pytest.raises(InputError, match=r"would have about 399,980,000 edges, more than the 60,000,000"):
        find(everything_at_once, GraphSpec(radius=100.0), None)


@pytest.mark.parametrize("spec", [GraphSpec(radius=2.0), GraphSpec(method="knn", k=9)])
def test_a_graph_somewhat_too_large_is_refused_with_its_exact_size(
    spec: GraphSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions = points("uniform", 100)
    size = len(find(positions, spec, None).lengths)
    monkeypatch.setattr(edges, "MAX_EDGES", size - 1)
    with pytest.raises(InputError, match=f"would have {size:,} edges"):
        find(positions, spec, None)
