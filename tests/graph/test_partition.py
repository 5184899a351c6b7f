"""On the nodes that a part owns every model of limited reach gives what it gives on the whole graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnnlib.errors import InputError
from gnnlib.graph import Graph, GraphSpec, Part, build_graph, build_parts, partition
from gnnlib.models.geometry import Geometry
from gnnlib.models.registry import MODELS, build_model
from gnnlib.models.spec import ModelSpec

from .point_sets import BOX, BOXES, points
from .test_build import catalog_of

SPECS = [
    GraphSpec(radius=1.3, self_loops=True),
    GraphSpec(radius=1.5, cap=3, direction="symmetric"),
    GraphSpec(method="cylinder", radius=0.8, along=1.5),
    GraphSpec(method="knn", k=4),
    GraphSpec(method="delaunay"),
]
IN_PARTS = SPECS[:3]
LOCAL = [
    name
    for name, entry in MODELS.items()
    if not entry.missing and build_model(ModelSpec(name=name), 1, 1).reach is not None
]


def outputs(
    name: str, depth: int, graph: Graph, features: np.ndarray, dtype: torch.dtype = torch.float32
) -> tuple[int, np.ndarray]:
    """The reach of a model and its mean and log-variance [N, 2] on a graph."""
    model = build_model(ModelSpec(name=name, depth=depth, hidden=16, latent=8), 4, graph.edge_features.shape[1], seed=3)
    model.to(dtype).eval()
    x, edge_attr = (torch.from_numpy(values).to(dtype) for values in (features, graph.edge_features))
    geometry = Geometry(torch.from_numpy(graph.separations).to(dtype))
    with torch.no_grad():
        found = model(x, torch.from_numpy(graph.edge_index), edge_attr, geometry)
    return model.reach, torch.cat([found.mean, found.log_variance], dim=1).numpy()


def check(parts: list[Part], name: str, depth: int, expected: np.ndarray, features: np.ndarray) -> None:
    owners = np.zeros(len(features), dtype=int)
    for part in parts:
        _, found = outputs(name, depth, part.graph, features[part.nodes])
        mine = part.nodes[part.owned]
        np.testing.assert_allclose(found[part.owned], expected[mine], atol=1e-5)
        owners[mine] += 1
        assert np.all(np.diff(part.nodes) > 0) and np.all(np.diff(part.graph.edge_index[1]) >= 0)
    assert np.all(owners == 1)


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.method}{spec.cap or ''}")
def test_every_local_model_gives_on_parts_what_it_gives_on_the_whole(name: str, depth: int, spec: GraphSpec) -> None:
    catalog = catalog_of(points("clustered", 500))
    graph, features = build_graph(catalog, spec), np.random.default_rng(1).normal(size=(500, 4))
    reach, expected = outputs(name, depth, graph, features)
    parts = list(partition(graph, 7, reach))
    check(parts, name, depth, expected, features)
    _, exact = outputs(name, depth, graph, features, torch.float64)
    for halo in {reach, max(reach - 1, 0)}:  # with one step less something is missing
        worst = 0.0
        for part in partition(graph, 7, halo):
            _, found = outputs(name, depth, part.graph, features[part.nodes], torch.float64)
            worst = max(worst, np.abs(found[part.owned] - exact[part.nodes[part.owned]]).max())
        assert (worst < 1e-12) == (halo == reach)


@pytest.mark.parametrize("periodic", [(True, True, True), (False, False, False), (True, False, True)])
@pytest.mark.parametrize("spec", IN_PARTS, ids=lambda spec: f"{spec.method}{spec.cap or ''}")
def test_parts_built_one_by_one_are_those_of_the_whole_graph(spec: GraphSpec, periodic: tuple) -> None:
    catalog = catalog_of(points("uniform", 700), periodic=periodic)
    whole, features = build_graph(catalog, spec), np.random.default_rng(1).normal(size=(700, 4))
    edges = {
        (source, receiver): tuple(row)
        for source, receiver, row in zip(*whole.edge_index.tolist(), whole.edge_features.tolist(), strict=True)
    }
    for depth in (1, 2):
        reach, expected = outputs("attention", depth, whole, features)
        parts = list(build_parts(catalog, spec, 5, reach))
        check(parts, "attention", depth, expected, features)
        for part in parts:
            ends = part.nodes[part.graph.edge_index].tolist()
            for source, receiver, row in zip(*ends, part.graph.edge_features.tolist(), strict=True):
                assert edges[source, receiver] == tuple(row)
            assert np.array_equal(part.graph.row_ids, catalog.row_ids[part.nodes])


def test_a_part_is_a_fraction_of_the_whole() -> None:
    catalog = catalog_of(points("uniform", 4_000) * [20, 1, 1], box=BOX * [20, 1, 1])
    spec = GraphSpec(radius=1.6)
    whole = build_graph(catalog, spec)
    for parts in (partition(whole, 8, 1), build_parts(catalog, spec, 8, 1)):
        sizes = [(part.graph.n_nodes, part.graph.n_edges) for part in parts]
        assert max(nodes for nodes, _ in sizes) < 0.2 * whole.n_nodes
        assert max(edges for _, edges in sizes) < 0.2 * whole.n_edges


def test_blocks_share_the_work_though_the_points_cluster() -> None:
    graph = build_graph(catalog_of(points("clustered", 3_000)), GraphSpec(radius=0.5))
    work = [part.graph.degrees()[part.owned].sum() + part.owned.sum() for part in partition(graph, 6, 1)]
    assert max(work) < 1.3 * min(work)


@pytest.mark.parametrize("n_parts", [0, 31])
def test_parts_without_a_node_are_refused(n_parts: int) -> None:
    catalog = catalog_of(points("uniform", 30))
    with pytest.raises(InputError, match="30 rows cannot be divided"):
        list(partition(build_graph(catalog, GraphSpec(radius=1)), n_parts, 1))


def test_as_many_parts_as_nodes_are_allowed() -> None:
    graph = build_graph(catalog_of(np.ones((6, 3)), box=BOXES[1]), GraphSpec(radius=1))
    assert [part.owned.sum() for part in partition(graph, 6, 1)] == [1] * 6


def test_a_method_whose_edges_depend_on_everything_is_not_built_in_parts() -> None:
    with pytest.raises(InputError, match="'knn' cannot be built in parts"):
        list(build_parts(catalog_of(points("uniform", 30)), GraphSpec(method="knn", k=3), 2, 1))
