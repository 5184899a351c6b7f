"""Every way to join objects gives exactly the edges of its definition, tried out pair by pair or simplex by simplex."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from gnnlib.errors import InputError
from gnnlib.graph import METHODS, GraphSpec, Neighbors, find
from gnnlib.graph.neighbors import Method

from .point_sets import (
    BOX,
    BOXES,
    INSIDE,
    both_ways,
    check_contract,
    every_pair_within,
    lengths_between,
    nearest_of_each,
    pairs,
    point_sets,
    points,
)

EXAMPLES = settings(max_examples=60, deadline=None)
SPACES = st.sampled_from(BOXES)
EACH = {  # one specification of every method that needs no file
    "radius": GraphSpec(radius=1.2),
    "capped": GraphSpec(radius=2.5, cap=3),
    "knn": GraphSpec(method="knn", k=3),
    "mutual": GraphSpec(method="knn", k=3, direction="mutual"),
    "symmetric": GraphSpec(method="knn", k=3, direction="symmetric"),
    "cylinder": GraphSpec(method="cylinder", radius=0.8, along=2.4, line_of_sight="y"),
    "delaunay": GraphSpec(method="delaunay"),
    "cliques": GraphSpec(method="groups", radius=0.7),
    "stars": GraphSpec(method="groups", radius=0.7, shape="star"),
}


def inside(positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    return positions if box is None else np.where(box > 0, np.mod(positions, np.where(box > 0, box, 1)), positions)


def turned(edges: set[tuple[int, int]], direction: str) -> set[tuple[int, int]]:
    back = {(j, i) for i, j in edges}
    return {"directed": edges, "symmetric": edges | back, "mutual": edges & back}[direction]


# What they have in common


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("kind", INSIDE)
@pytest.mark.parametrize("spec", EACH.values(), ids=EACH)
def test_every_method_keeps_the_contract_and_ignores_the_order_and_the_type_of_the_rows(
    spec: GraphSpec, kind: str, box: np.ndarray | None
) -> None:
    positions = points(kind, 90, seed=5).astype(np.float32)
    found = find(positions, spec, box)
    check_contract(found, positions.astype(np.float64), box)
    assert np.all(found.edge_index[0] != found.edge_index[1])
    exact = find(positions.astype(np.float64), spec, box)
    assert np.array_equal(found.edge_index, exact.edge_index) and np.array_equal(found.lengths, exact.lengths)
    if kind not in ("uniform", "clustered") or spec.shape == "star":
        return  # equal lengths and equal heads go by row; points on one sphere are triangulated one way or another
    order = np.random.default_rng(2).permutation(len(positions))
    assert pairs(found.edge_index) == pairs(order[find(positions[order], spec, box).edge_index])


@pytest.mark.parametrize("spec", EACH.values(), ids=EACH)
def test_every_method_works_far_from_the_origin_and_across_the_faces_wherever_the_box_begins(spec: GraphSpec) -> None:
    positions = np.rint(points("uniform", 120) * 2**20) / 2**20  # so that the shift rounds nothing away
    far = find(positions + np.array([1e6, -2e6, 3e6]), spec, None)
    assert pairs(far.edge_index) == pairs(find(positions, spec, None).edge_index)
    moved = find(positions + BOX * [0.5, -3.25, 8], spec, BOX)
    assert pairs(moved.edge_index) == pairs(find(positions, spec, BOX).edge_index)


@pytest.mark.parametrize("spec", EACH.values(), ids=EACH)
def test_self_loops_are_explicit_for_every_method(spec: GraphSpec) -> None:
    positions = points("duplicates", 80)
    plain, looped = find(positions, spec, BOX), find(positions, spec.model_copy(update={"self_loops": True}), BOX)
    loops = looped.edge_index[0] == looped.edge_index[1]
    assert np.array_equal(looped.edge_index[0, loops], np.arange(80)) and not looped.lengths[loops].any()
    assert np.array_equal(looped.edge_index[:, ~loops], plain.edge_index)
    assert looped.notes == plain.notes and looped.truncated == plain.truncated


@pytest.mark.parametrize("spec", EACH.values(), ids=EACH)
def test_a_catalog_seen_in_projection_is_joined_in_its_plane(spec: GraphSpec) -> None:
    flat = points("plane", 100)
    if spec.method == "cylinder":
        spec = spec.model_copy(update={"line_of_sight": "x"})
    for box in (None, BOX, BOX * [1, 1, 0]):
        found = find(flat, spec, box)
        assert len(found.lengths) and not found.separations[:, 2].any()
        check_contract(found, flat, box)


@pytest.mark.parametrize("spec", EACH.values(), ids=EACH)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_a_handful_of_points_is_a_graph(spec: GraphSpec, n: int) -> None:
    positions = points("clustered", n)
    if spec.method == "knn" and n <= 3:
        with pytest.raises(InputError, match="too few for 3 neighbours"):
            find(positions, spec, None)
        return
    for box in BOXES:
        check_contract(find(positions, spec, box), positions, box)


def test_every_method_says_what_it_is_and_which_fields_it_heeds() -> None:
    fields = set(GraphSpec.model_fields)
    for name, method in METHODS.items():
        assert isinstance(method, Method) and method.label and method.description.endswith(".")
        assert set(method.needs) | set(method.takes) <= fields
        needed = {field: None for field in method.needs}
        if needed:
            with pytest.raises(InputError):
                find(points("uniform", 20), GraphSpec(method=name, **needed), None)


# A cap


@EXAMPLES
@given(point_sets(), st.floats(0.3, 3.5), st.integers(1, 6), st.sampled_from(["directed", "symmetric", "mutual"]))
def test_a_cap_keeps_the_nearest_of_each_receiver_and_reports_what_it_cut(
    positions: np.ndarray, radius: float, cap: int, direction: str
) -> None:
    spec = GraphSpec(radius=radius, cap=cap, direction=direction)
    found = find(positions, spec, None)
    whole = every_pair_within(positions, radius, None)
    lengths = lengths_between(positions, None)
    kept = set()
    for receiver in range(len(positions)):
        mine = sorted((lengths[source, receiver], source) for source, other in whole if other == receiver)
        kept |= {(source, receiver) for _, source in mine[:cap]}
    kept = turned(kept, direction)
    assert pairs(found.edge_index) == kept
    check_contract(found, positions, None)
    assert found.truncated == (kept < whole)
    if found.truncated:
        share = 100 * (1 - len(kept) / len(whole))
        nodes = 100 * len({receiver for _, receiver in whole - kept}) / len(positions)
        said = [float(word) for word in found.notes[0].replace(" %", "").split() if word[0].isdigit()]
        assert said == pytest.approx([cap, share, nodes], rel=0.06)
    else:
        assert found.notes == ()


def test_a_cap_makes_room_for_a_radius_that_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from gnnlib.graph import edges
    from gnnlib.graph.methods import radius

    for module in (edges, radius):
        monkeypatch.setattr(module, "MAX_EDGES", 5_000)
    positions = points("uniform", 500)
    with pytest.raises(InputError, match="more than the 5,000"):
        find(positions, GraphSpec(radius=3.0), BOX)
    found = find(positions, GraphSpec(radius=3.0, cap=8), BOX)
    assert np.array_equal(found.edge_index[0].reshape(500, 8), nearest_of_each(positions, 8, BOX))


# Nearest neighbours


@EXAMPLES
@given(point_sets(smallest=2), st.integers(1, 8), SPACES, st.sampled_from(["directed", "symmetric", "mutual"]))
def test_directions_of_nearest_neighbours(
    positions: np.ndarray, k: int, box: np.ndarray | None, direction: str
) -> None:
    positions, k = inside(positions, box), min(k, len(positions) - 1)
    near = nearest_of_each(positions, k, box)
    found = find(positions, GraphSpec(method="knn", k=k, direction=direction), box)
    assert pairs(found.edge_index) == turned({(j, i) for i, row in enumerate(near.tolist()) for j in row}, direction)
    check_contract(found, positions, box)


@EXAMPLES
@given(st.integers(3, 80), st.integers(1, 5), st.integers(1, 6), st.integers(0, 1000), st.booleans())
def test_neighbours_in_feature_space_are_those_of_the_standardised_columns(
    n: int, n_columns: int, k: int, seed: int, coarse: bool
) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(3, 10.0 ** rng.integers(-3, 4, n_columns), (n, n_columns))
    if coarse:  # with many equal distances
        features = np.rint(features / features.std(axis=0))
    features[0] += 1e-3 + features.std(axis=0)
    if (np.ptp(features, axis=0) == 0).any():
        return
    positions, k = points("uniform", n), min(k, n - 1)
    spec = GraphSpec(method="knn", k=k, columns=tuple("abcde"[:n_columns]))
    found = find(positions, spec, BOX, features)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    near = nearest_of_each(scaled, k, None)
    assert pairs(found.edge_index) == {(j, i) for i, row in enumerate(near.tolist()) for j in row}
    check_contract(found, positions, BOX)  # lengths are those in space


def test_a_large_search_in_threads_is_exact_with_many_neighbours() -> None:
    positions = points("clustered", 4_500)
    for box, k in ((None, 1), (BOX, 40), (BOX * [0, 1, 0], 200)):
        found = find(positions, GraphSpec(method="knn", k=k), box)
        assert np.array_equal(found.edge_index[0].reshape(-1, k), nearest_of_each(positions, k, box))


@pytest.mark.parametrize(
    ("column", "words"), [([1.0, np.nan, 2.0], "missing or infinite in 1 of 3"), ([2.0, 2.0, 2.0], "same in all rows")]
)
def test_columns_that_tell_nothing_are_refused(column: list[float], words: str) -> None:
    spec = GraphSpec(method="knn", k=1, columns=("v_max",))
    with pytest.raises(InputError, match=f"'v_max' is .*{words}"):
        find(np.eye(3), spec, None, np.array(column)[:, None])
    with pytest.raises(InputError, match="needs the values of its columns"):
        find(np.eye(3), spec, None)


# Cylinders


@EXAMPLES
@given(point_sets(), SPACES, st.floats(0.05, 3.4), st.floats(0.05, 3.4), st.sampled_from("xyz"))
def test_a_cylinder_has_its_own_length_along_the_line_of_sight(
    positions: np.ndarray, box: np.ndarray | None, across: float, along: float, axis: str
) -> None:
    positions = inside(positions, box)
    found = find(positions, GraphSpec(method="cylinder", radius=across, along=along, line_of_sight=axis), box)
    here = "xyz".index(axis)
    only = [np.where(np.arange(3) == here, box, 0) if box is not None and box[here] else None]
    depth = lengths_between(positions * (np.arange(3) == here), only[0])
    rest = lengths_between(positions * (np.arange(3) != here), box)
    near = (depth <= along) & (rest <= across)
    np.fill_diagonal(near, False)
    assert pairs(found.edge_index) == set(zip(*np.nonzero(near), strict=True))
    check_contract(found, positions, box)


@EXAMPLES
@given(st.integers(0, 1000), st.floats(0.05, 2), st.floats(0.1, 6), st.sampled_from([0.0, 3.0, 1e4]))
def test_a_radial_cylinder_lies_along_the_way_to_the_pair(seed: int, across: float, along: float, far: float) -> None:
    positions = points("clustered", 70, seed) - BOX / 2 + np.array([far, -far / 2, far / 3])
    found = find(positions, GraphSpec(method="cylinder", radius=across, along=along, line_of_sight="radial"), None)
    expected = set()
    for i, j in combinations(range(70), 2):
        apart, middle = positions[j] - positions[i], (positions[i] + positions[j]) / 2
        sight = middle / np.linalg.norm(middle)
        pi = abs(apart @ sight)
        if pi <= along and np.linalg.norm(apart - (apart @ sight) * sight) <= across:
            expected |= {(i, j), (j, i)}
    assert pairs(found.edge_index) == expected


def test_a_long_thin_cylinder_is_the_line_of_sight() -> None:
    positions = np.array([[0, 0, z] for z in (0.0, 40, 90)] + [[2.0, 0, 10]])
    found = find(positions, GraphSpec(method="cylinder", radius=1, along=50), None)
    assert pairs(found.edge_index) == both_ways({(0, 1), (1, 2)})


@pytest.mark.parametrize(
    ("changes", "box", "words"),
    [
        ({"along": None}, None, "positive length along the line of sight, not None"),
        ({"along": -1.0}, None, "positive length along the line of sight, not -1"),
        ({"along": 6.6}, BOX, "over half the periodic side of the box, 6.5"),
        ({"radius": 3.6}, BOX, "over half the shortest periodic side of the box, 3.5"),
        ({"line_of_sight": "radial"}, BOX, "radial line of sight needs open space"),
    ],
)
def test_cylinders_that_cannot_be(changes: dict, box: np.ndarray | None, words: str) -> None:
    spec = GraphSpec(method="cylinder", radius=1.0, along=2.0).model_copy(update=changes)
    with pytest.raises(InputError, match=words):
        find(points("uniform", 30), spec, box)


# Delaunay


def delaunay_by_spheres(positions: np.ndarray, margin: float) -> set[tuple[int, int]]:
    """Pairs of the simplices whose circumsphere holds no point but for `margin` of its squared radius."""
    dims, found = positions.shape[1], set()
    for corners in combinations(range(len(positions)), dims + 1):
        edges = positions[list(corners[1:])] - positions[corners[0]]
        if abs(np.linalg.det(edges)) < 1e-9 * np.max(np.abs(edges)) ** dims:
            continue
        centre = positions[corners[0]] + np.linalg.solve(edges, 0.5 * np.sum(edges**2, axis=1))
        radius = np.sum((positions[corners[0]] - centre) ** 2)
        others = np.delete(positions, corners, axis=0)
        if np.all(np.sum((others - centre) ** 2, axis=1) >= radius * (1 + margin)):
            found |= set(combinations(corners, 2))
    return both_ways(found)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 3), st.integers(4, 11), st.sampled_from([1e-120, 1.0, 1e6, 1e100]))
def test_delaunay_joins_the_corners_of_empty_spheres(seed: int, dims: int, n: int, scale: float) -> None:
    positions = np.zeros((n, 3))
    positions[:, :dims] = np.random.default_rng(seed).normal(size=(n, dims))
    found = find(positions * scale, GraphSpec(method="delaunay"), None)
    assert pairs(found.edge_index) == delaunay_by_spheres(positions[:, :dims], 0.0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 3))
def test_points_on_a_lattice_are_triangulated_one_way_or_another(seed: int, dims: int) -> None:
    lattice = np.array(list(product(range(3), repeat=dims)), dtype=np.float64)
    positions = np.zeros((len(lattice), 3))
    positions[:, :dims] = np.random.default_rng(seed).permutation(lattice)
    positions = positions[:14]
    found = pairs(find(positions, GraphSpec(method="delaunay"), None).edge_index)
    sure, possible = (delaunay_by_spheres(positions[:, :dims], margin) for margin in (1e-9, -1e-9))
    assert sure <= found <= possible and len({i for i, _ in found}) == len(positions)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(1, 60), st.sampled_from(BOXES[1:]), st.sampled_from(["uniform", "clustered"])
)
def test_a_periodic_delaunay_graph_is_that_of_all_images(seed: int, n: int, box: np.ndarray, kind: str) -> None:
    positions = points(kind, n, seed)
    shifts = np.array(list(product(*[range(-2, 3) if side else [0] for side in box]))) * box
    shifts = shifts[np.argsort(np.abs(shifts).sum(axis=1), kind="stable")]  # the box itself first
    images = np.concatenate([positions + shift for shift in shifts])
    if len(images) < 5 or np.linalg.matrix_rank(images - images[0]) < 3:
        return
    corners = Delaunay(images).simplices
    corners = corners[(corners < n).any(axis=1)] % n
    expected = {tuple(pair) for row in corners.tolist() for pair in combinations(row, 2) if pair[0] != pair[1]}
    assert pairs(find(positions, GraphSpec(method="delaunay"), box).edge_index) == both_ways(expected)


@pytest.mark.parametrize("kind", ["uniform", "clustered", "lattice"])
def test_a_large_periodic_delaunay_graph_needs_few_images(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gnnlib.graph.methods import delaunay

    positions = np.mod(points(kind, 2_500) + (kind != "lattice") * points("uniform", 2_500, seed=4) / 50, BOX)
    spec = GraphSpec(method="delaunay")
    few = find(positions, spec, BOX)
    monkeypatch.setattr(delaunay, "FEW", 10_000)
    if kind != "lattice":  # which has more than one triangulation
        assert pairs(few.edge_index) == pairs(find(positions, spec, BOX).edge_index)
    check_contract(few, positions, BOX)


def test_points_on_a_line_are_joined_to_the_next_and_coincident_ones_share_their_neighbours() -> None:
    along = np.array([0.0, 5.0, 1.0, 1.0, 3.0])
    positions = np.outer(along, [1, 2, -1])
    found = pairs(find(positions, GraphSpec(method="delaunay"), None).edge_index)
    assert found == both_ways({(0, 2), (0, 3), (2, 3), (2, 4), (3, 4), (1, 4)})
    ring = find(np.outer([1.0, 4, 8], [1, 0, 0]), GraphSpec(method="delaunay"), np.array([10.0, 0, 0]))
    assert pairs(ring.edge_index) == both_ways({(0, 1), (1, 2), (0, 2)})
    assert np.all(find(np.ones((4, 3)), GraphSpec(method="delaunay"), BOX).lengths == 0)


def test_points_too_close_for_the_triangulation_share_a_place() -> None:
    positions = points("uniform", 60)
    positions[1] = positions[0] * (1 + 2e-16)
    found = pairs(find(positions, GraphSpec(method="delaunay"), None).edge_index)
    alone = pairs(find(np.delete(positions, 1, axis=0), GraphSpec(method="delaunay"), None).edge_index)
    around = [{j for j, i in found if i == node} for node in (0, 1)]
    assert 1 in around[0] and 0 in around[1]
    assert (around[0] | around[1]) - {0, 1} == {j + 1 for j, i in alone if i == 0}


# Groups


def groups_by_flooding(positions: np.ndarray, radius: float, box: np.ndarray | None) -> list[set[int]]:
    friends = lengths_between(positions, box) <= radius
    left, groups = set(range(len(positions))), []
    while left:
        group, edge = set(), {min(left)}
        while edge:
            group |= edge
            edge = {int(other) for one in edge for other in np.flatnonzero(friends[one])} - group
        groups.append(group)
        left -= group
    return groups


@EXAMPLES
@given(point_sets(), st.floats(0.05, 2.5), SPACES)
def test_friends_of_friends_are_cliques_or_stars(positions: np.ndarray, radius: float, box: np.ndarray | None) -> None:
    positions = inside(positions, box)
    groups = groups_by_flooding(positions, radius, box)
    cliques = find(positions, GraphSpec(method="groups", radius=radius), box)
    assert pairs(cliques.edge_index) == {(i, j) for group in groups for i in group for j in group if i != j}
    check_contract(cliques, positions, box)
    masses = np.random.default_rng(len(positions)).permutation(len(positions)) * 1.0
    friends = (lengths_between(positions, box) <= radius).sum(axis=0)
    for weight, known in ((masses, masses), (friends, None)):
        stars = find(positions, GraphSpec(method="groups", radius=radius, shape="star"), box, masses=known)
        expected = set()
        for group in groups:
            head = min(group, key=lambda row: (-weight[row], row))
            expected |= {(head, row) for row in group - {head}}
        assert pairs(stars.edge_index) == both_ways(expected)
        check_contract(stars, positions, box)


def test_a_group_too_large_for_a_clique_is_refused_and_can_be_a_star() -> None:
    chain = np.arange(12_000.0)[:, None] * [1, 0, 0]
    with pytest.raises(InputError, match=r"would have 144,000,000 edges"):
        find(chain, GraphSpec(method="groups", radius=1.0), None)
    assert len(find(chain, GraphSpec(method="groups", radius=1.0, shape="star"), None).lengths) == 2 * 11_999


# Edge lists

PAIRS = np.array([[0, 3], [3, 0], [2, 4], [5, 1], [1, 5], [0, 2]])
IDS = np.arange(6) * 10 + 2**60


def write(folder: Path, kind: str, edges: np.ndarray) -> str:
    path = folder / f"edges.{kind.split()[0]}"
    frame = pd.DataFrame({"weight": 1.5, "source": edges[:, 0], "target": edges[:, 1]})
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "csv bare":
        np.savetxt(path, edges, fmt="%d", delimiter=",")
    elif kind == "txt":
        path.write_text("# a mesh\n" + "\n".join(f"{i}   {j}" for i, j in edges.tolist()) + "\n")
    elif kind == "tsv":
        frame[["source", "target"]].to_csv(path, index=False, sep="\t")
    elif kind == "parquet":
        frame.to_parquet(path)
    elif kind == "npy":
        np.save(path, edges)
    elif kind == "npy pyg":
        np.save(path, edges.T)
    else:
        np.savez(path, edge_index=edges.T, weight=np.ones(len(edges)))
    return str(path)


KINDS = ["csv", "csv bare", "txt", "tsv", "parquet", "npy", "npy pyg", "npz"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["directed", "symmetric", "mutual"])
def test_edges_come_from_a_file_of_any_kind(tmp_path: Path, kind: str, direction: str) -> None:
    positions, wanted = points("uniform", 6), turned({tuple(pair) for pair in PAIRS.tolist()}, direction)
    by_id = GraphSpec(method="edge_list", edges=write(tmp_path, kind, IDS[PAIRS]), direction=direction)
    found = find(positions, by_id, BOX, row_ids=IDS)
    assert pairs(found.edge_index) == wanted and found.notes == ()
    check_contract(found, positions, BOX)
    path = write(tmp_path, kind, PAIRS)
    by_index = GraphSpec(method="edge_list", edges=path, edge_ids="indices", direction=direction)
    assert pairs(find(positions, by_index, BOX, row_ids=IDS).edge_index) == wanted


def test_row_ids_may_be_text(tmp_path: Path) -> None:
    ids = np.array(["a1", "b 2", "c,3", "d", "e", "7"])
    spec = GraphSpec(method="edge_list", edges=write(tmp_path, "csv", ids[PAIRS]))
    assert pairs(find(points("uniform", 6), spec, None, row_ids=ids).edge_index) == {tuple(p) for p in PAIRS.tolist()}


def test_what_is_left_out_of_an_edge_list_is_said(tmp_path: Path) -> None:
    edges = np.concatenate([PAIRS, [[0, 3], [4, 4], [2, 77]]])
    path = write(tmp_path, "csv", edges)
    found = find(points("uniform", 6), GraphSpec(method="edge_list", edges=path), None)
    assert pairs(found.edge_index) == {tuple(pair) for pair in PAIRS.tolist()}
    assert found.notes == (
        "1 of 9 edges in 'edges.csv' name rows that are not in the catalog: left out.",
        "1 of 9 edges in 'edges.csv' are there twice: kept once.",
    )


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("missing.csv", None, "There is no edge list 'missing.csv'"),
        ("edges.csv", "", "cannot be read as an edge list|holds no edges"),
        ("edges.csv", "source,target\n", "holds no edges"),
        ("edges.csv", "source\n1\n", "has 1 column"),
        ("edges.csv", "source,target\n1,\n", "no value in column 'target', row 0"),
        ("edges.csv", "1.5,2\n3,4\n", "not whole numbers"),
        ("edges.csv", "source,target\na,b\n", "row ids are whole numbers"),
        ("edges.csv", "source,target\n70,80\n", "None of the 1 edges in 'edges.csv' joins two rows"),
        ("edges.csv", "source,target\n0,6\n", "names row 6, but the catalog's rows go from 0 to 5"),
        ("edges.npy", "\x93NUMPY rubbish", "cannot be read as an edge list"),
    ],
)
def test_an_edge_list_that_cannot_be_used_is_explained(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    ids = "indices" if "0 to 5" in words else "row_ids"
    with pytest.raises(InputError, match=words) as raised:
        find(points("uniform", 6), GraphSpec(method="edge_list", edges=str(tmp_path / name), edge_ids=ids), None)
    assert str(raised.value).endswith(".") and str(tmp_path) not in str(raised.value)


def test_nothing_in_an_edge_list_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.save(tmp_path / "edges.npy", np.array([[Trap(), Trap()]]), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        find(points("uniform", 6), GraphSpec(method="edge_list", edges=str(tmp_path / "edges.npy")), None)
    assert not (tmp_path / "sprung").exists()


def test_old_specifications_are_read_as_before() -> None:
    old = '{"method":"knn","radius":null,"k":8,"periodic":null,"self_loops":false,"edge_features":["length"]}'
    spec = GraphSpec.model_validate_json(old)
    assert spec == GraphSpec(method="knn", k=8, edge_features=("length",))
    assert GraphSpec.model_validate_json(spec.model_dump_json()) == spec
    assert isinstance(find(points("uniform", 20), spec, None), Neighbors)
