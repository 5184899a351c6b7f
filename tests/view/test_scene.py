"""Scenes: what is drawn is the graph, once an edge, and says so where it is less than the graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Roles
from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.view.colors import colors_of, column_colors, map_stops
from gnnlib.view.scene import NO_IMAGE, Scene, catalog_scene, graph_scene

BOX = 10.0


def periodic_graph(n: int = 400, radius: float = 1.2, seed: int = 1, offset: float = 0.0) -> Graph:
    """A radius graph in a periodic box, by scipy."""
    positions = np.random.default_rng(seed).random((n, 3)) * BOX
    pairs = cKDTree(positions, boxsize=BOX).query_pairs(radius, output_type="ndarray")
    edge_index = np.concatenate([pairs, pairs[:, ::-1]]).T
    separations = positions[edge_index[0]] - positions[edge_index[1]]
    separations -= BOX * np.rint(separations / BOX)
    return Graph(
        positions=positions + offset,
        edge_index=edge_index,
        separations=separations,
        lengths=np.linalg.norm(separations, axis=1),
        edge_features=np.zeros((edge_index.shape[1], 0), dtype=np.float32),
        edge_feature_names=(),
        row_ids=np.arange(n) * 7 + 2**60,
        spec=GraphSpec(radius=radius),
        box=np.full(3, BOX),
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
    assert thin.caption == f"showing 1,000 of {whole.n_edges:,} edges, a random subset"
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
    assert scene.caption.startswith(
        f"showing 200 of 800 nodes and {inside:,} of {graph.n_edges // 2:,} edges, a random"
    )


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
    assert column_colors(catalog, "mass").label.startswith("log10 mass")
    assert column_colors(catalog, "speed").label == "speed"


def test_residuals_are_coloured_about_zero() -> None:
    colors = colors_of(np.linspace(-1, 3, 101), "residual", around_zero=True)
    assert colors.limits[0] == -colors.limits[1] and colors.color_map == "coolwarm"


def test_columns_without_any_value_or_spread_still_have_a_range() -> None:
    assert colors_of(np.full(5, np.nan), "empty").limits == (0.0, 1.0)
    low, high = colors_of(np.full(5, 3.0), "constant").limits
    assert low < 3.0 < high


def test_sequential_maps_are_monotonic_in_lightness() -> None:
    for name in ("viridis", "cividis", "plasma"):
        rgb = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in map_stops(name)])
        assert (np.diff(rgb @ [0.2126, 0.7152, 0.0722]) > 0).all(), name
