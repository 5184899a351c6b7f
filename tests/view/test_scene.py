"""Scenes: what is drawn is the graph, once an edge, and says so where it is less than the graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Roles
from gnnlib.errors import InputError
from gnnlib.graph.build import build_graph
from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.view import plotly_scene
from gnnlib.view.colors import (
    Colors,
    class_colors,
    colors_of,
    column_colors,
    friends_of_friends,
    group_colors,
    map_stops,
)
from gnnlib.view.export import world_radii
from gnnlib.view.scene import NO_IMAGE, Scene, catalog_scene, drawn_edges, graph_scene, segments
from tests.graph.test_folder import folder

BOX = 10.0


def periodic_graph(
    n: int = 400, radius: float = 1.2, seed: int = 1, offset: float = 0.0, wraps: tuple[int, int, int] = (1, 1, 1)
) -> Graph:
    """A radius graph in a box that is periodic along the axes of 1, by scipy."""
    positions = np.random.default_rng(seed).random((n, 3)) * BOX
    box = BOX * np.array(wraps)
    pairs = cKDTree(positions, boxsize=box).query_pairs(radius, output_type="ndarray")
    edge_index = np.concatenate([pairs, pairs[:, ::-1]]).T
    edge_index = edge_index[:, np.argsort(edge_index[1], kind="stable")]
    separations = positions[edge_index[0]] - positions[edge_index[1]]
    separations -= box * np.rint(separations / BOX)
    return Graph(
        positions=positions + offset,
        edge_index=edge_index,
        separations=separations,
        lengths=np.linalg.norm(separations, axis=1),
        edge_features=np.zeros((edge_index.shape[1], 0), dtype=np.float32),
        edge_feature_names=(),
        row_ids=np.arange(n) * 7 + 2**60,
        spec=GraphSpec(radius=radius),
        box=box,
        length_unit="Mpc",
    )


def catalog_of(positions: np.ndarray, **columns: np.ndarray) -> Catalog:
    """A catalog with these positions and columns, in Mpc, without a box."""
    table = pd.DataFrame({"x": positions[:, 0], "y": positions[:, 1], "z": positions[:, 2], **columns})
    return Catalog(
        table=table,
        columns={name: Column(name, "Mpc" if name in "xyz" else "") for name in table.columns},
        roles=Roles(position=("x", "y", "z")),
        row_ids=np.arange(len(table)),
        spec=CatalogSpec(path="test"),
        name="test",
        length_unit="Mpc",
    )


def ends(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Where each edge starts and where the image of its other node lies."""
    code = scene.images.astype(int)
    image = np.stack([code % 3, code // 3 % 3, code // 9], axis=1) - 1
    start, end = scene.positions[scene.edges[:, 0]], scene.positions[scene.edges[:, 1]]
    return start, end + image * scene.box


def test_an_edge_leads_through_periodic_faces_only_and_an_open_axis_is_framed_by_the_nodes() -> None:
    graph = periodic_graph(wraps=(1, 0, 1))
    scene = graph_scene(graph)
    start, end = ends(scene)
    np.testing.assert_allclose(np.linalg.norm(end - start, axis=1), scene.lengths, rtol=1e-4)
    assert (scene.images != NO_IMAGE).any() and (scene.images // 3 % 3 == 1).all()
    np.testing.assert_allclose(scene.box, [BOX, np.ptp(graph.positions[:, 1]), BOX])


def test_every_pair_is_drawn_once_in_order_of_length() -> None:
    graph = periodic_graph()
    scene = graph_scene(graph)
    drawn = {tuple(pair) for pair in scene.edges.tolist()}
    assert len(drawn) == len(scene.edges) == graph.n_edges // 2 == scene.n_edges
    assert drawn == {tuple(sorted(pair)) for pair in graph.edge_index.T.tolist()}
    assert (np.diff(scene.lengths) >= 0).all()
    assert scene.caption == ""


@pytest.mark.parametrize("radius", [0.2, 0.61, 0.9, 1.2, 5.0])
def test_a_smaller_linking_length_is_a_prefix_with_exactly_its_edges(radius: float) -> None:
    graph = periodic_graph()
    scene = graph_scene(graph)
    n = scene.edges_within(radius)
    expected = {tuple(sorted(pair)) for pair in graph.edge_index.T[graph.lengths <= radius].tolist()}
    assert {tuple(pair) for pair in scene.edges[:n].tolist()} == expected


def test_an_edge_leads_to_the_nearest_image_of_its_other_node() -> None:
    scene = graph_scene(periodic_graph())
    start, end = ends(scene)
    np.testing.assert_allclose(np.linalg.norm(end - start, axis=1), scene.lengths, rtol=1e-4)
    assert 0 < np.mean(scene.images != NO_IMAGE) < 0.6


def test_one_way_edges_of_nearest_neighbours_are_drawn_once_too() -> None:
    graph = periodic_graph(60)
    keep = graph.edge_index[0] > graph.edge_index[1]
    keep[::5] = True
    some = replace(
        graph,
        edge_index=graph.edge_index[:, keep],
        separations=graph.separations[keep],
        lengths=graph.lengths[keep],
    )
    scene = graph_scene(some)
    start, end = ends(scene)
    np.testing.assert_allclose(np.linalg.norm(end - start, axis=1), scene.lengths, rtol=1e-4)
    assert {tuple(p) for p in scene.edges.tolist()} == {tuple(sorted(p)) for p in some.edge_index.T.tolist()}


def test_positions_far_from_the_origin_keep_their_precision() -> None:
    graph = periodic_graph(offset=1e7)
    scene = graph_scene(graph)
    assert scene.positions.dtype == np.float32
    np.testing.assert_allclose(scene.positions + scene.centre, graph.positions, rtol=0, atol=1e-6)


def test_self_loops_are_not_drawn() -> None:
    graph = periodic_graph(50)
    loops = np.tile(np.arange(50), (2, 1))
    looped = replace(
        graph,
        edge_index=np.concatenate([graph.edge_index, loops], axis=1),
        separations=np.concatenate([graph.separations, np.zeros((50, 3))]),
        lengths=np.concatenate([graph.lengths, np.zeros(50)]),
    )
    assert len(graph_scene(looped).edges) == len(graph_scene(graph).edges)


def test_too_many_edges_are_thinned_evenly_over_the_lengths_and_the_caption_says_so() -> None:
    graph = periodic_graph(600, radius=2.0)
    whole, thin = graph_scene(graph), graph_scene(graph, max_edges=1000)
    assert len(thin.edges) == 1000
    assert {tuple(p) for p in thin.edges.tolist()} <= {tuple(p) for p in whole.edges.tolist()}
    assert len({tuple(p) for p in thin.edges.tolist()}) == 1000
    for radius in (0.8, 1.2, 1.6, 1.9):
        share = thin.edges_within(radius) / whole.edges_within(radius)
        assert share == pytest.approx(1000 / len(whole.edges), abs=2 / whole.edges_within(radius))
    assert thin.caption == f"showing 1,000 of {whole.n_edges:,} edges, an even sample"
    assert not np.array_equal(thin.edges, whole.edges[:1000])


def test_too_many_nodes_are_thinned_at_random_with_the_edges_between_those_that_stay() -> None:
    graph = periodic_graph(800)
    scene = graph_scene(graph, max_nodes=200, color_by=colors_of(np.arange(800.0), "place"))
    kept = (scene.row_ids - 2**60) // 7
    inside = np.isin(graph.edge_index, kept).all(axis=0).sum() // 2
    assert len(scene.positions) == 200 and len(scene.edges) == inside
    assert kept.max() > 700
    np.testing.assert_array_equal(scene.node_colors.values, kept.astype(np.float32))
    np.testing.assert_allclose(scene.positions + scene.centre, graph.positions[kept], atol=1e-4)
    assert scene.caption.startswith(f"showing 200 of 800 nodes and {inside:,} of {graph.n_edges // 2:,} edges, an even")


def test_edge_values_take_the_larger_of_the_two_directions() -> None:
    graph = periodic_graph(60)
    values = np.random.default_rng(0).random(graph.n_edges)
    scene = graph_scene(graph, edge_colors=colors_of(values, "attention"))
    larger: dict[tuple[int, ...], float] = {}
    for pair, value in zip(graph.edge_index.T.tolist(), values, strict=True):
        pair = tuple(sorted(pair))
        larger[pair] = max(value, larger.get(pair, 0))
    expected = [larger[tuple(pair)] for pair in scene.edges.tolist()]
    np.testing.assert_allclose(scene.edge_colors.values, expected, rtol=1e-6)


def test_values_that_do_not_fit_the_graph_are_refused() -> None:
    graph = periodic_graph(50)
    with pytest.raises(InputError, match="edge values"):
        graph_scene(graph, edge_colors=colors_of(np.zeros(3), "attention"))
    with pytest.raises(InputError, match="colour values"):
        graph_scene(graph, color_by=colors_of(np.zeros(3), "mass"))
    with pytest.raises(InputError, match="without its catalog"):
        graph_scene(graph, color_by="mass")


def test_the_frame_is_the_box_from_zero_or_about_zero_as_the_positions_say() -> None:
    graph = periodic_graph()
    np.testing.assert_allclose(graph_scene(graph).origin, 0)
    centred = replace(graph, positions=graph.positions - BOX / 2)
    np.testing.assert_allclose(graph_scene(centred).origin, -BOX / 2)


def test_a_catalog_without_a_graph_is_drawn_without_its_rows_of_unknown_position() -> None:
    positions = np.random.default_rng(0).random((30, 3))
    positions[4, 1] = np.nan
    scene = catalog_scene(catalog_of(positions, mass=np.arange(30.0)), color_by="mass", details=("mass",))
    assert len(scene.positions) == 29 and 4 not in scene.row_ids
    assert not scene.has_box and len(scene.edges) == 0
    assert scene.caption == "showing 29 of 30 nodes; 1 has no finite position"
    assert scene.details[0][0] == "mass"


def test_what_a_cut_took_away_stands_around_the_graph_without_being_part_of_it() -> None:
    graph = periodic_graph(60, offset=500.0)
    away = np.array([[501.0, 502.0, 503.0], [np.nan, 0.0, 0.0], [509.0, 500.5, 504.0]])
    scene = graph_scene(graph, context=away)
    assert scene.context is not None
    np.testing.assert_allclose(scene.context + scene.centre, away[[0, 2]], atol=1e-5)
    assert len(scene.positions) == 60 and scene.n_nodes == 60
    np.testing.assert_array_equal(scene.row_ids, graph.row_ids)
    assert graph_scene(graph, context=away[1:2]).context is None
    assert graph_scene(graph).context is None


def test_sizes_grow_with_mass_and_unknown_masses_are_smallest() -> None:
    mass = np.array([1e10, 1e12, 1e14, np.nan])
    scene = catalog_scene(catalog_of(np.random.default_rng(0).random((4, 3)), mass=mass), size_by="mass")
    assert scene.node_sizes[0] < scene.node_sizes[1] < scene.node_sizes[2]
    assert scene.node_sizes[3] == 0 and scene.node_sizes.max() <= 1


def test_text_is_coloured_by_category_with_the_rare_ones_together() -> None:
    names = np.array([f"kind {i % 12:02d}" for i in range(100)] + ["kind 00"] * 50)
    colors = colors_of(names, "kind")
    assert len(colors.categories) == len(colors.stops) == 8 and colors.categories[-1] == "other"
    for place, name in enumerate(names):
        told = colors.categories[int(colors.values[place])]
        assert told in (name, "other")
    flags = colors_of(np.array([True, False, True]), "central")
    assert flags.categories == ("False", "True")


def test_columns_over_many_decades_are_coloured_by_their_logarithm() -> None:
    catalog = catalog_of(np.zeros((50, 3)), mass=np.logspace(9, 15, 50), speed=np.linspace(1, 2, 50))
    mass, speed = column_colors(catalog, "mass"), column_colors(catalog, "speed")
    assert mass.log and mass.along.label.startswith("log10 mass") and not mass.along.log
    np.testing.assert_allclose(mass.along.values, np.linspace(9, 15, 50), rtol=1e-5)
    assert not speed.log and speed.along is speed


def test_residuals_are_coloured_about_zero() -> None:
    colors = colors_of(np.linspace(-1, 3, 101), "residual", around_zero=True)
    assert colors.limits[0] == -colors.limits[1] and colors.color_map == "coolwarm"


def test_columns_without_any_value_or_spread_still_have_a_range() -> None:
    assert colors_of(np.full(5, np.nan), "empty").limits == (0.0, 1.0)
    low, high = colors_of(np.full(5, 3.0), "constant").limits
    assert low < 3.0 < high


def test_sequential_maps_are_monotonic_in_lightness() -> None:
    for name in ("viridis", "cividis", "plasma", "inferno", "magma"):
        rgb = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in map_stops(name)])
        assert (np.diff(rgb @ [0.2126, 0.7152, 0.0722]) > 0).all(), name


def test_a_thinned_graph_keeps_the_share_of_every_region() -> None:
    graph = periodic_graph(4000, radius=0.3)
    scene = graph_scene(graph, max_nodes=500)
    where = scene.positions + scene.centre
    for axis in range(3):
        share = np.histogram(where[:, axis], bins=4, range=(0, BOX))[0] / 500
        whole = np.histogram(graph.positions[:, axis], bins=4, range=(0, BOX))[0] / 4000
        np.testing.assert_allclose(share, whole, atol=0.03)


def test_edge_widths_and_opacities_follow_their_edges() -> None:
    graph = periodic_graph(100)
    scene = graph_scene(graph, edge_width=graph.lengths, edge_opacity=-graph.lengths)
    assert scene.edge_widths is not None and scene.edge_opacities is not None
    assert (np.diff(scene.edge_widths) >= 0).all() and (np.diff(scene.edge_opacities) <= 0).all()
    assert scene.edge_widths.min() == 0 and scene.edge_widths.max() == 1
    with pytest.raises(InputError, match="edge values"):
        graph_scene(graph, edge_width=np.zeros(3))


def test_a_logarithmic_scale_leaves_values_as_they_are_and_what_is_not_positive_without_a_colour() -> None:
    colors = colors_of(np.array([0.0, 1.0, 10.0, 100.0, -3.0]), "flux", scale="log", limits=(1.0, 100.0))
    np.testing.assert_array_equal(colors.values, [0, 1, 10, 100, -3])
    rgb = colors.rgb()
    assert (rgb[[0, 4]] == 128).all()
    stops = colors.shades(dark=False)
    np.testing.assert_allclose(rgb[[1, 2, 3]], stops[[0, len(stops) // 2, -1]], atol=1)
    assert not colors_of(np.array([-1.0, -2.0]), "negative", scale="log").log


def test_a_class_has_one_colour_whatever_is_shown_and_many_share_the_last() -> None:
    names = ["a", "b", "c"]
    truth, told = class_colors(np.array(names), "class", names), class_colors(np.array(["c", "c", "?"]), "class", names)
    assert truth.rgb()[2].tolist() == told.rgb()[0].tolist() == told.rgb()[1].tolist()
    assert np.isnan(told.values[2]) and truth.categories == ("a", "b", "c")
    many = [f"class {number}" for number in range(12)]
    colors = class_colors(np.array(many), "class", many)
    assert colors.categories == (*many[:7], "other") and colors.values.tolist() == [*range(7), *[7] * 5]


def test_nodes_are_as_large_as_the_scene_says() -> None:
    catalog = catalog_of(np.random.default_rng(0).uniform(0, 9, (20, 3)))
    scene = catalog_scene(catalog)
    np.testing.assert_allclose(world_radii(replace(scene, node_scale=0.5)), 0.5 * world_radii(scene))


def test_groups_take_turns_in_the_palette_and_lone_objects_have_no_colour() -> None:
    groups = np.array([5, 5, 7, 7, 7, 9, -1, 11, 11])
    colors = group_colors(groups, "group")
    assert np.isnan(colors.values[[5, 6]]).all()
    assert colors.values[0] == colors.values[1] and len(set(colors.values[[2, 3, 4]])) == 1
    assert colors.values[0] != colors.values[2] and len(colors.stops) == len(colors.categories)


@pytest.mark.parametrize("length", [0.3, 0.7, 1.2])
def test_friends_of_friends_are_the_connected_components_within_the_linking_length(length: float) -> None:
    graph = periodic_graph(200)
    groups = friends_of_friends(graph, length)
    near: list[set[int]] = [set() for _ in range(200)]
    for source, receiver in graph.edge_index[:, graph.lengths <= length].T.tolist():
        near[source].add(receiver)
    found = np.full(200, -1)
    for seed in range(200):
        waiting = [seed] if found[seed] < 0 else []
        while waiting:
            node = waiting.pop()
            if found[node] < 0:
                found[node] = seed
                waiting.extend(near[node])
    for one in range(200):
        np.testing.assert_array_equal(groups == groups[one], found == found[one])


def test_segments_of_edges_through_a_face_end_on_it_and_together_are_as_long_as_the_edge() -> None:
    scene = graph_scene(periodic_graph(wraps=(1, 0, 1)))
    every = np.arange(len(scene.edges))
    start, end, of = segments(scene, every)
    crosses = scene.images != NO_IMAGE
    np.testing.assert_array_equal(np.bincount(of, minlength=len(every)), np.where(crosses, 2, 1))
    together = np.bincount(of, weights=np.linalg.norm(end - start, axis=1), minlength=len(every))
    corner = crosses & (
        (scene.images % 3 != 1) & (scene.images // 9 != 1)
    )  # two faces: the stubs end on different ones
    np.testing.assert_allclose(together[~corner], scene.lengths[~corner], rtol=1e-3)
    half = scene.box / 2 + 1e-4
    assert (np.abs(end[crosses[of]]) <= half).all()
    on_a_face = (np.abs(np.abs(end[crosses[of]]) - scene.box / 2) < 1e-4).any(axis=1)
    assert on_a_face.all()


def test_drawn_edges_are_those_within_both_thresholds() -> None:
    graph = periodic_graph(100)
    values = np.exp(-graph.lengths)
    scene = graph_scene(graph, edge_colors=colors_of(values, "attention"))
    both = drawn_edges(scene, 0.9, 0.5)
    expected = (scene.lengths <= np.float32(0.9)) & (scene.edge_colors.values >= np.float32(0.5))
    np.testing.assert_array_equal(both, np.flatnonzero(expected))
    assert len(drawn_edges(scene)) == len(scene.edges)


def test_a_plotly_figure_of_a_large_scene_is_thinned_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = graph_scene(periodic_graph(300), color_by=colors_of(np.arange(300.0), "place"))
    figure = plotly_scene.plotly_figure(scene, radius=0.8)
    nodes, lines = figure.data[-1], figure.data[0]
    assert len(nodes.x) == 300 and figure.layout.title.text is None
    n_segments = len(segments(scene, drawn_edges(scene, 0.8))[0])
    assert len(lines.x) == 3 * n_segments and np.isnan(lines.x[2::3]).all()
    monkeypatch.setattr(plotly_scene, "MOST_NODES", 100)
    thin = plotly_scene.plotly_figure(scene)
    assert len(thin.data[-1].x) == 100 and "100 of 300 nodes" in thin.layout.title.text


def test_one_file_of_a_folder_is_drawn_as_its_own_graph_would_be() -> None:
    catalog = folder([12, 20, 8], seed=5, periodic=True, mixed=True)
    graph = build_graph(catalog, GraphSpec(radius=1.2, edge_features=("length",)))
    rng = np.random.default_rng(0)
    values, sizes, width = rng.random(graph.n_edges), rng.random(40), rng.random(graph.n_edges)
    for name, rows, own in catalog.by_file():
        scene = graph_scene(
            graph,
            catalog,
            size_by=sizes,
            edge_colors=Colors(values.astype(np.float32), "v", (0.0, 1.0)),
            edge_width=width,
            file=name,
        )
        alone = graph_scene(build_graph(own, graph.spec), own, size_by=sizes[rows])
        np.testing.assert_array_equal(scene.row_ids, alone.row_ids)
        np.testing.assert_array_equal(scene.edges, alone.edges)
        np.testing.assert_allclose(scene.positions, alone.positions, atol=1e-5)
        assert scene.node_sizes is not None and alone.node_sizes is not None
        np.testing.assert_array_equal(scene.node_sizes, alone.node_sizes)
        assert scene.edge_colors is not None and len(scene.edge_colors.values) == len(scene.edges)
        assert scene.caption == f"showing {name} of 3 files"
        np.testing.assert_array_equal(catalog_scene(catalog, file=name).row_ids, alone.row_ids)
    first = str(catalog.values("file")[0])
    assert graph_scene(graph, catalog, file="not there").caption == f"showing {first} of 3 files"
