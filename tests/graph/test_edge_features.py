"""Edge features mean what their docstring says and do not see where the catalog lies or how it is turned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gnnlib.errors import InputError
from gnnlib.graph import GraphSpec, Neighbors, edge_features, find

from .point_sets import BOX, graph_of, points

ALL = ("length", "cosines", "relative_velocity", "velocity_space", "mass_ratio", "radial_basis")
COLUMNS = (
    *("length", "cos_receiver", "cos_source", "velocity_along", "velocity_across"),
    *("velocity_difference", "velocity_cos_receiver", "velocity_cos_source", "mass_ratio"),
    *(f"basis_{n}" for n in range(8)),
)
SCALES = np.array([1, 1, 1, 300, 300, 300, 1, 1, 1] + [1] * 8)
SPECS = [GraphSpec(radius=1.6), GraphSpec(method="knn", k=4), GraphSpec(radius=1.6, self_loops=True)]


def velocities_of(n: int) -> np.ndarray:
    return np.random.default_rng(9).normal(0, 300, (n, 3))


def masses_of(n: int) -> np.ndarray:
    return np.random.default_rng(10).uniform(9, 14, n)


def features_by_pair(
    positions: np.ndarray,
    velocities: np.ndarray,
    spec: GraphSpec,
    box: np.ndarray | None,
    masses: np.ndarray | None = None,
) -> dict:
    found = find(positions, spec, box)
    masses = masses_of(len(positions)) if masses is None else masses
    features, names = edge_features(found, velocities, ALL, masses)
    assert names == COLUMNS
    return dict(zip(zip(*found.edge_index.tolist(), strict=True), features, strict=True))


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for pair, values in one.items():
        assert np.allclose(values, other[pair], rtol=1e-6, atol=1e-6 * SCALES), pair


def plain_features(found: Neighbors, velocities: np.ndarray, masses: np.ndarray, reach: float) -> np.ndarray:
    """The definitions, edge by edge."""
    edges = list(zip(*found.edge_index.tolist(), found.separations, strict=True))
    around: dict[int, list[tuple[int, np.ndarray]]] = {}
    for source, receiver, separation in edges:
        if source != receiver:
            around.setdefault(receiver, []).append((source, separation))

    def looks(node: int, in_space: bool) -> np.ndarray:
        vectors = [r if in_space else velocities[other] - velocities[node] for other, r in around.get(node, [])]
        mean = np.mean(vectors, axis=0) if vectors else np.zeros(3)
        size = np.linalg.norm(mean)
        return mean / size if size > 0 else mean

    rows = []
    for source, receiver, separation in edges:
        if source == receiver:
            rows.append([0.0] * len(COLUMNS))
            continue
        length = np.sqrt(separation @ separation)
        unit = separation / length
        difference = velocities[source] - velocities[receiver]
        along, speed = difference @ unit, np.linalg.norm(difference)
        rows.append(
            [length, unit @ looks(receiver, True), unit @ looks(source, True)]
            + [along, np.sqrt(max(speed**2 - along**2, 0)), speed]
            + [difference @ looks(node, False) / speed for node in (receiver, source)]
            + [masses[source] - masses[receiver]]
            + [np.exp(-((length / reach - n / 7) ** 2) / (2 * (1 / 7) ** 2)) for n in range(8)]
        )
    return np.array(rows)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("box", [None, BOX])
def test_features_follow_their_definitions(spec: GraphSpec, box: np.ndarray | None) -> None:
    positions, velocities = points("clustered", 150), velocities_of(150)
    found = find(positions, spec, box)
    masses, reach = masses_of(150), spec.radius or found.lengths.max()
    features, names = edge_features(found, velocities, ALL, masses, spec.radius)
    assert features.dtype == np.float32 and names == COLUMNS
    assert np.allclose(features, plain_features(found, velocities, masses, reach), rtol=1e-5, atol=1e-4)


def test_a_right_angle_by_hand() -> None:
    # 0 at the corner, 1 on the x axis, 2 on the y axis; 1 and 2 are too far apart to be joined
    positions = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    velocities = np.array([[0.0, 0, 0], [3, 4, 0], [0, -2, 0]])
    by_pair = features_by_pair(positions, velocities, GraphSpec(radius=1.1), None)
    half = np.sqrt(0.5)  # 0 looks along the diagonal, 1 and 2 straight at 0
    assert np.allclose(by_pair[1, 0][:5], [1, half, -1, 3, 4])
    assert np.allclose(by_pair[0, 1][:5], [1, 1, -half, 3, 4])
    assert np.allclose(by_pair[2, 0][:5], [1, half, -1, -2, 0])
    # 0 sees the others move by (3, 4) and (0, -2): on the mean by (3, 2) / 2; they see it move away from them
    assert np.allclose(by_pair[1, 0][5:8], [5, (3 * 3 + 4 * 2) / 5 / np.sqrt(13), -1])
    assert np.allclose(by_pair[2, 0][5:8], [2, -2 / np.sqrt(13), -1])


def test_neighbours_that_balance_have_no_direction() -> None:
    positions = np.array([[-0.1, 0, 0], [0, 0, 0], [0.1, 0, 0]]) + 0.3  # cancels up to rounding
    by_pair = features_by_pair(positions, np.zeros((3, 3)), GraphSpec(radius=0.15), None)
    assert by_pair[0, 1][1] == 0 and by_pair[1, 0][2] == 0
    assert by_pair[1, 0][1] == pytest.approx(1)


def test_coincident_nodes_have_no_direction_and_all_velocity_across() -> None:
    by_pair = features_by_pair(np.ones((2, 3)), np.array([[0.0, 0, 0], [3, 4, 0]]), GraphSpec(radius=1.0), None)
    assert np.allclose(by_pair[0, 1][:8], [0, 0, 0, 0, 5, 5, 1, -1])
    assert by_pair[0, 1][9] == 1  # the radial basis at no length


def test_self_loops_have_zeros_and_do_not_move_the_centroid() -> None:
    positions, velocities = points("uniform", 120), velocities_of(120)
    plain = features_by_pair(positions, velocities, GraphSpec(radius=1.8), BOX)
    looped = features_by_pair(positions, velocities, GraphSpec(radius=1.8, self_loops=True), BOX)
    for (source, receiver), values in looped.items():
        assert np.array_equal(values, plain[source, receiver] if source != receiver else np.zeros(len(COLUMNS)))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SPECS), st.integers(0, 1000), st.tuples(*[st.floats(-50, 50)] * 3))
def test_features_are_invariant_under_translation_and_boost(spec: GraphSpec, seed: int, shift: tuple) -> None:
    positions, velocities = points("uniform", 60, seed), velocities_of(60)
    here = features_by_pair(positions, velocities, spec, None)
    assert_same(here, features_by_pair(positions + np.array(shift), velocities + 500.0, spec, None))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SPECS), st.integers(0, 1000), st.booleans())
def test_features_are_invariant_under_rotation_and_reflection(spec: GraphSpec, seed: int, mirror: bool) -> None:
    positions, velocities = points("uniform", 60, seed), velocities_of(60)
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix() * (-1 if mirror else 1)
    here = features_by_pair(positions, velocities, spec, None)
    assert_same(here, features_by_pair(positions @ turn.T, velocities @ turn.T, spec, None))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SPECS), st.integers(0, 1000), st.tuples(*[st.floats(-30, 30)] * 3))
def test_features_are_invariant_under_shifts_of_a_periodic_box(spec: GraphSpec, seed: int, shift: tuple) -> None:
    positions, velocities = points("uniform", 60, seed), velocities_of(60)
    moved = np.mod(positions + np.array(shift), BOX)
    assert_same(features_by_pair(positions, velocities, spec, BOX), features_by_pair(moved, velocities, spec, BOX))


@pytest.mark.parametrize("spec", SPECS)
def test_features_follow_a_permutation_of_the_rows(spec: GraphSpec) -> None:
    positions, velocities = points("clustered", 150), velocities_of(150)
    order = np.random.default_rng(4).permutation(150)
    here = features_by_pair(positions, velocities, spec, BOX)
    there = features_by_pair(positions[order], velocities[order], spec, BOX, masses_of(150)[order])
    assert_same(here, {(order[source], order[receiver]): values for (source, receiver), values in there.items()})


def test_reversing_an_edge_swaps_the_cosines_turns_the_mass_ratio_and_keeps_the_rest() -> None:
    by_pair = features_by_pair(points("uniform", 100), velocities_of(100), GraphSpec(radius=1.8), BOX)
    for (source, receiver), here in by_pair.items():
        expected = here.copy()
        expected[[1, 2, 6, 7]] = -here[[2, 1, 7, 6]]
        expected[8] = -here[8]
        assert np.allclose(by_pair[receiver, source], expected, atol=1e-3)


def test_features_come_in_the_order_asked_for_and_none_is_fine() -> None:
    found = find(points("uniform", 100), GraphSpec(radius=1.8), BOX)
    features, names = edge_features(found, None, ("cosines", "length"))
    assert names == ("cos_receiver", "cos_source", "length")
    assert np.allclose(features[:, 2], found.lengths)
    nothing, no_names = edge_features(found, None, ())
    assert nothing.shape == (len(found.lengths), 0) and no_names == ()


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    from gnnlib.graph import features

    found, velocities = find(points("uniform", 100), GraphSpec(radius=2.0), BOX), velocities_of(100)
    masses = masses_of(100)
    whole, _ = edge_features(found, velocities, ALL, masses)
    monkeypatch.setattr(features, "CHUNK", 7)
    assert np.array_equal(edge_features(found, velocities, ALL, masses)[0], whole)


def test_a_graph_without_edges_has_no_rows_of_features() -> None:
    found = find(points("uniform", 5), GraphSpec(radius=1e-6), BOX)
    assert edge_features(found, velocities_of(5), ALL, masses_of(5))[0].shape == (0, len(COLUMNS))


def test_absent_or_missing_velocities_and_masses_are_refused() -> None:
    found, velocities = find(points("uniform", 50), GraphSpec(radius=2.0), BOX), velocities_of(50)
    with pytest.raises(InputError, match="no velocity column;"):
        edge_features(found, None, ALL)
    masses = masses_of(50)
    with pytest.raises(InputError, match="'mass_ratio' needs masses and the catalog has no mass column;"):
        edge_features(found, velocities, ALL)
    masses[[1, 2]] = -np.inf
    with pytest.raises(InputError, match="2 of 50 rows have a missing or infinite mass"):
        edge_features(found, velocities, ALL, masses)
    velocities[3, 0] = np.nan
    with pytest.raises(InputError, match=r"1 of 50 rows have a missing or infinite velocity.*'velocity_space'"):
        edge_features(found, velocities, ("velocity_space",))


def test_a_subgraph_keeps_the_features_of_the_whole_graph() -> None:
    graph = graph_of(points("uniform", 200), GraphSpec(radius=1.5, self_loops=True), BOX)
    keep = np.random.default_rng(5).random(200) < 0.6
    part = graph.subgraph(keep)
    kept = np.flatnonzero(keep)
    wanted = keep[graph.edge_index].all(axis=0)
    assert np.array_equal(kept[part.edge_index], graph.edge_index[:, wanted])
    assert np.array_equal(part.lengths, graph.lengths[wanted])
    assert np.array_equal(part.separations, graph.separations[wanted])
    assert np.array_equal(part.row_ids, graph.row_ids[keep])
    assert np.array_equal(part.positions, graph.positions[keep])
    assert np.all(np.diff(part.edge_index[1]) >= 0)
