"""Graphs of a folder of catalogs: what each file gives alone, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.catalog.read import read_catalog
from gnnlib.catalog.select import select
from gnnlib.catalog.table import Catalog, Column, Files, Roles
from gnnlib.errors import InputError
from gnnlib.graph.build import build_graph
from gnnlib.graph.diagnostics import RadiusSweep, suggest_radius_range
from gnnlib.graph.graph import GraphSpec
from gnnlib.graph.partition import build_parts, count_edges, partition

SIDE = 4.0
METHODS = {
    "radius": GraphSpec(radius=1.1),
    "capped": GraphSpec(radius=1.6, cap=2, direction="mutual"),
    "nearest": GraphSpec(method="knn", k=3),
    "nearest in columns": GraphSpec(method="knn", k=2, columns=("mass", "vx"), direction="symmetric"),
    "cylinder": GraphSpec(method="cylinder", radius=0.8, along=1.5),
    "delaunay": GraphSpec(method="delaunay"),
    "cliques": GraphSpec(method="groups", radius=0.7),
    "stars": GraphSpec(method="groups", radius=0.7, shape="star"),
    "self-loops": GraphSpec(radius=1.0, self_loops=True, edge_features=("cosines", "velocity_space", "radial_basis")),
}


def folder(sizes: list[int], seed: int, periodic: bool, mixed: bool = False) -> Catalog:
    """Files of so many rows each, all in the same box; mixed: their rows in any order."""
    rng, n = np.random.default_rng(seed), sum(sizes)
    table = pd.DataFrame({name: rng.uniform(0, SIDE, n) for name in "xyz"})
    table = table.assign(**{f"v{axis}": rng.normal(0, 100, n) for axis in "xyz"}, mass=rng.lognormal(0, 1, n))
    number = np.repeat(np.arange(len(sizes)), sizes)
    table["file"] = [f"b{k}" for k in (rng.permutation(number) if mixed else number)]
    return Catalog(
        table=table,
        columns={name: Column(name) for name in table.columns},
        roles=Roles(position=("x", "y", "z"), velocity=("vx", "vy", "vz"), mass="mass"),
        row_ids=np.arange(n) + 100,
        spec=read_catalog("sample").spec,
        name="folder",
        box=np.full(3, SIDE) if periodic else None,
        periodic_axes=(periodic,) * 3,
        length_unit="Mpc",
        files=Files("file"),
    )


@settings(max_examples=25, deadline=None)
@given(
    method=st.sampled_from(sorted(METHODS)),
    sizes=st.lists(st.integers(6, 25), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
    periodic=st.booleans(),
    mixed=st.booleans(),
)
def test_the_edges_are_those_of_each_file_built_alone(method, sizes, seed, periodic, mixed) -> None:
    catalog, spec = folder(sizes, seed, periodic, mixed), METHODS[method]
    graph = build_graph(catalog, spec)
    assert (np.diff(graph.edge_index[1]) >= 0).all()
    total = 0
    for _, rows, own in catalog.by_file():
        alone = build_graph(own, spec)
        inside = np.isin(graph.edge_index[1], rows)
        np.testing.assert_array_equal(graph.edge_index[:, inside], rows[alone.edge_index])
        np.testing.assert_array_equal(graph.separations[inside], alone.separations)
        np.testing.assert_allclose(graph.edge_features[inside], alone.edge_features, atol=1e-5)
        total += alone.n_edges
    assert total == graph.n_edges
    assert len(graph.notes) <= 1 and graph.truncated == any("cap of 2" in note for note in graph.notes)


def test_an_edge_list_loses_the_edges_between_files(tmp_path: Path) -> None:
    catalog = folder([5, 5], 0, False)
    pd.DataFrame({"source": [100, 101, 104, 109], "target": [101, 105, 103, 106]}).to_csv(
        tmp_path / "e.csv", index=False
    )
    graph = build_graph(catalog, GraphSpec(method="edge_list", edges=str(tmp_path / "e.csv")))
    assert sorted(map(tuple, graph.edge_index.T.tolist())) == [(0, 1), (4, 3), (9, 6)]
    assert "1 of 4 directed edges join two files" in graph.notes[0]


def test_an_error_names_the_file() -> None:
    with pytest.raises(InputError, match="In 'b1': The catalog has 3 rows, too few for 4 neighbours"):
        build_graph(folder([9, 3], 0, False), GraphSpec(method="knn", k=4))


@pytest.mark.parametrize("method", ["radius", "capped", "cylinder"])
def test_parts_of_the_graph_are_parts_of_files(method: str) -> None:
    catalog, spec = folder([20, 30, 10], 1, True), METHODS[method]
    whole = build_graph(catalog, spec)
    edges = set(map(tuple, whole.edge_index.T.tolist()))
    if method == "radius":
        assert count_edges(catalog, spec) == whole.n_edges
    for parts in (build_parts(catalog, spec, 4, 1), partition(whole, 4, 1)):
        owned, found = 0, set()
        for part in parts:
            owned += int(part.owned.sum())
            assert part.graph.file_of is not None and len(part.graph.file_of) == len(part.nodes)
            into = part.owned[part.graph.edge_index[1]]
            found |= set(map(tuple, part.nodes[part.graph.edge_index[:, into]].T.tolist()))
        assert owned == 60 and found == edges


def test_diagnostics_are_of_as_many_boxes() -> None:
    rng_folder, one = folder([400] * 5, 3, True), folder([400], 3, True)
    spec = GraphSpec(radius=1.5, edge_features=())
    many, alone = RadiusSweep(build_graph(rng_folder, spec)), RadiusSweep(build_graph(one, spec))
    assert many.mean_separation == pytest.approx(alone.mean_separation)
    xi = many.pair_correlation(np.linspace(0.5, 1.5, 6))
    np.testing.assert_allclose(xi, 0, atol=0.1)  # points at random in each box
    positions, box = rng_folder.positions(), rng_folder.periodic_box
    typical = suggest_radius_range(positions, box, rng_folder.file_of).typical
    assert typical == pytest.approx(suggest_radius_range(one.positions(), box).typical, rel=0.1)


def test_a_real_catalog_cut_into_files_has_the_edges_of_each_part(shared_data: Path, tmp_path: Path) -> None:
    """ECO by the number of the group: a file for each remainder, against the catalog whole and cut by expression."""
    table = pd.read_csv(shared_data / "survey/eco_dr1/eco_dr1.txt", sep=r"\s+", header=None).iloc[:3000]
    frame = pd.DataFrame({"ra": table[1], "dec": table[2], "cz": table[3], "log_mass": table[5], "half": table[12] % 3})
    for part, rows in frame.groupby("half"):
        rows.to_csv(tmp_path / f"eco_{part}.csv", index=False)
    frame.to_csv(tmp_path.parent / "eco_whole.csv", index=False)
    units = {"ra": "deg", "dec": "deg", "cz": "km/s"}
    boxes = read_catalog(tmp_path, units=units)
    whole = read_catalog(tmp_path.parent / "eco_whole.csv", units=units)
    assert len(boxes) == len(whole) == 3000
    for spec in (GraphSpec(radius=3.0), GraphSpec(method="knn", k=4)):
        graph = build_graph(boxes, spec)
        for part in range(3):
            own = graph.subgraph(boxes.values("half") == part)
            alone = build_graph(select(whole, f"half == {part}"), spec)
            np.testing.assert_array_equal(own.edge_index, alone.edge_index)
            np.testing.assert_allclose(own.edge_features, alone.edge_features, rtol=1e-5, atol=1e-5)
