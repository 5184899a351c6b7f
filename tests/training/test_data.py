"""What a run is trained on: rows that cannot be used are counted, input that cannot be used is refused before a run
exists.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.spec import ModelSpec
from gnnlib.training.data import prepare

from .conftest import SIDE, run_spec, write_catalog

N_ROWS = 240


def column(**changes: float) -> np.ndarray:
    """A column of 1, 2, 3, ... with the values of `changes` at the rows r<number>."""
    values = np.arange(1.0, N_ROWS + 1)
    for row, value in changes.items():
        values[int(row[1:])] = value
    return values


def test_rows_with_values_that_are_not_finite_are_left_out_and_counted(tmp_path):
    path = write_catalog(tmp_path / "a.csv", gas=column(r3=0.0, r5=0.0), sfr=column(r5=np.nan, r9=np.nan))
    data = prepare(run_spec(path, features=("log10(gas)", "sfr")))
    assert data.dropped == {"log10(gas)": 2, "sfr": 2}
    assert len(data.target) == len(data.features) == len(data.catalog) == data.graph.n_nodes == N_ROWS - 3
    assert np.isfinite(data.features).all()
    assert any("3 of 240 rows have values that are not finite" in warning for warning in data.warnings)
    assert set(data.graph.row_ids) == set(data.catalog.row_ids)


@pytest.mark.parametrize(
    ("columns", "fields", "sentence"),
    [
        ({"stars": 2.5}, {}, "The target 'stars' is constant"),
        ({"gas": 1e12}, {"features": ("mass", "gas")}, "The feature 'gas' is constant"),
        ({"gas": np.nan}, {"features": ("gas",)}, "'gas' has no finite value"),
        ({"gas": 0.0}, {"features": ("log10(gas)",)}, r"'log10\(gas\)' has no finite value"),
        (
            {"gas": column(**{f"r{row}": np.nan for row in range(235)})},
            {"features": ("gas",)},
            "leaves 5 of the 20 rows",
        ),
        ({"kind": "spiral"}, {"features": ("kind",)}, "'kind'"),
        ({}, {"features": ("nothing",)}, "nothing"),
        ({}, {"features": ("mass", "mass")}, "named twice"),
        ({}, {"features": ("stars",)}, "The target 'stars' is also a feature"),
        ({}, {"features": ("x",)}, "'x' is a position"),
        ({}, {"central": "mass"}, "not a flag of centrals"),
        ({}, {"split": "group"}, "column of group ids"),
        ({}, {"split": "group", "group": "nothing"}, "nothing"),
        ({}, {"buffer": 14.0}, "The buffer of 14"),
        ({}, {"folds": 20, "graph": GraphSpec(method="knn", k=239)}, "buffer|folds|k"),
    ],
)
def test_input_that_cannot_be_trained_on_is_refused_in_a_sentence(tmp_path, columns, fields, sentence):
    path = write_catalog(tmp_path / "a.csv", **columns)
    with pytest.raises(InputError, match=sentence) as refusal:
        prepare(run_spec(path, **fields))
    assert "\n" not in str(refusal.value)


def test_features_that_give_the_target_away_are_warned_of(halos):
    data = prepare(run_spec(halos, features=("stars * 2", "log10(mass)")))
    assert any("which the target is made of" in warning for warning in data.warnings)


def test_derived_columns_do_not_hide_what_gives_the_target_away(halos):
    derived = {"bright": "stars - 1", "crowded": "overdensity(3, 10**bright)", "near": "overdensity(3)"}
    catalog = CatalogSpec(path=str(halos), box=(SIDE, SIDE, SIDE), periodic=True, derived=derived)
    for features, warned in ((("bright",), True), (("crowded",), True), (("near", "mass"), False)):
        data = prepare(run_spec(halos, catalog=catalog, features=features))
        assert any("which the target is made of" in warning for warning in data.warnings) == warned


def test_the_buffer_is_what_the_layers_can_reach(halos):
    assert prepare(run_spec(halos, model=ModelSpec(depth=1))).buffer == 4.0
    assert prepare(run_spec(halos, graph=GraphSpec(radius=2.0), model=ModelSpec(depth=2))).buffer == 4.0
    assert prepare(run_spec(halos, buffer=1.5)).buffer == 1.5
    assert prepare(run_spec(halos, split="random")).buffer == 0.0
    cylinder = GraphSpec(method="cylinder", radius=3.0, along=4.0)
    assert prepare(run_spec(halos, graph=cylinder, model=ModelSpec(depth=1))).buffer == 5.0
    for graph in (GraphSpec(method="knn", k=2), GraphSpec(method="groups", radius=1.0)):
        reached = prepare(run_spec(halos, graph=graph, model=ModelSpec(depth=1)))
        assert (reached.buffer, reached.steps) == (0.0, 1)
        asked = prepare(run_spec(halos, graph=graph, buffer=2.0))
        assert (asked.buffer, asked.steps) == (2.0, 0)


GRAPHS = {
    "cap": {"radius": 4.0, "cap": 2},
    "knn": {"method": "knn", "k": 2},
    "mutual": {"method": "knn", "k": 3, "direction": "mutual"},
    "columns": {"method": "knn", "k": 2, "columns": ("log10(mass)",)},
    "cylinder": {"method": "cylinder", "radius": 2.0, "along": 4.0},
    "delaunay": {"method": "delaunay"},
    "clique": {"method": "groups", "radius": 1.6},
    "star": {"method": "groups", "radius": 1.6, "shape": "star"},
    "edge_list": {"method": "edge_list", "edge_ids": "indices"},
}


@pytest.fixture
def graph_spec(request, tmp_path):
    """A graph of GRAPHS; its edge list joins rows that follow each other."""
    if request.param == "edge_list":
        np.save(tmp_path / "edges.npy", np.stack([np.arange(N_ROWS - 1), np.arange(1, N_ROWS)]))
        return GraphSpec(**GRAPHS["edge_list"], edges=str(tmp_path / "edges.npy"))
    return GraphSpec.model_validate(GRAPHS[request.param])


@pytest.mark.parametrize("graph_spec", list(GRAPHS), indirect=True)
def test_no_method_joins_test_and_training_rows(tmp_path, graph_spec):
    path = write_catalog(tmp_path / "halos.csv", n_rows=N_ROWS)
    if graph_spec.method == "delaunay":  # a step reaches a few mean separations: the test half must leave some rows
        path = write_catalog(tmp_path / "halos.csv", n_rows=1500)
    for buffer in (None, 0.0):
        data = prepare(run_spec(path, graph=graph_spec, buffer=buffer, model=ModelSpec(depth=1)))
        source, receiver = data.graph.edge_index
        joined = {(int(s), int(r)) for s, r in zip(source, receiver, strict=True)}
        assert joined
        for fold in data.folds:
            learned = fold.train | fold.validation
            for part, other in ((fold.training_graph, fold.test), (fold.inference_graph, learned)):
                rows = np.flatnonzero(part)
                edges = rows[data.graph.subgraph(part).edge_index]
                assert {(int(s), int(r)) for s, r in edges.T} <= joined
                assert not other[edges].any()
            if buffer is None and not graph_spec.columns:  # then not even the whole graph does, within the reach
                assert not (fold.test[source] & learned[receiver]).any()
                assert not (fold.test[receiver] & learned[source]).any()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_steps_along_the_edges_are_those_of_a_search_by_hand(tmp_path, depth):
    path = write_catalog(tmp_path / "halos.csv", n_rows=900)
    graph = GraphSpec(method="groups", radius=1.2, shape="star")
    data = prepare(run_spec(path, graph=graph, model=ModelSpec(depth=depth)))
    beside = {row: set() for row in range(data.graph.n_nodes)}
    for source, receiver in data.graph.edge_index.T.tolist():
        beside[source].add(receiver)
        beside[receiver].add(source)
    for fold in data.folds:
        reached = set(np.flatnonzero(fold.test).tolist())
        for _ in range(depth):
            reached |= {other for row in reached for other in beside[row]}
        assert set(np.flatnonzero(fold.buffer).tolist()) == reached - set(np.flatnonzero(fold.test).tolist())


def test_rows_counted_by_an_edge_list_must_all_be_used(tmp_path):
    np.save(tmp_path / "edges.npy", np.array([[0, 1, 2], [1, 2, 3]]))
    path = write_catalog(tmp_path / "a.csv", gas=column(r3=np.nan))
    counted = GraphSpec(method="edge_list", edges=str(tmp_path / "edges.npy"), edge_ids="indices")
    with pytest.raises(InputError, match="name row ids"):
        prepare(run_spec(path, graph=counted, features=("gas",)))
    prepare(run_spec(path, graph=counted, features=("mass",)))


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (GraphSpec(radius=4.0, edge_features=("length", "mass_ratio")), "edge feature 'mass ratio' uses 'mass'"),
        (GraphSpec(method="knn", k=3, columns=("log10(mass)",)), "neighbours are chosen by 'mass'"),
        (GraphSpec(method="groups", radius=2.0, shape="star"), "heads of the groups are chosen by 'mass'"),
    ],
)
def test_edges_made_of_the_target_are_warned_of(halos, graph, words):
    def warnings(target: str, feature: str) -> str:
        return " ".join(prepare(run_spec(halos, graph=graph, target=target, features=(feature,))).warnings)

    assert words in warnings("log10(mass)", "stars") and words not in warnings("stars", "log10(mass)")


def test_a_buffer_that_takes_most_of_the_training_rows_is_warned_of(halos):
    for buffer, warned in ((7.5, True), (0.5, False)):
        warnings = prepare(run_spec(halos, buffer=buffer)).warnings
        assert any(f"The buffer of {buffer:g} takes" in warning for warning in warnings) == warned


@pytest.mark.parametrize("split", ["slabs", "blocks", "group", "random"])
def test_no_edge_joins_a_test_row_and_a_training_row(halos, split):
    data = prepare(run_spec(halos, split=split, group="cluster", folds=2))
    for fold in data.folds:
        for rows, never in ((fold.training_graph, fold.test), (fold.inference_graph, fold.train)):
            graph = data.graph.subgraph(rows)
            assert not np.isin(graph.row_ids, data.catalog.row_ids[never]).any()


def test_test_rows_of_a_spatial_split_keep_all_their_neighbours(halos):
    """With a buffer of one receptive field, the inference graph holds every edge of every test row."""
    data = prepare(run_spec(halos))
    whole = data.graph.degrees()
    for fold in data.folds:
        seen = data.graph.subgraph(fold.inference_graph).degrees()[fold.test[fold.inference_graph]]
        np.testing.assert_array_equal(seen, whole[fold.test])


def test_no_guise_of_a_place_is_a_feature(tmp_path):
    path = write_catalog(tmp_path / "a.csv", vx=0.0, vy=0.0, vz=column())
    seen = CatalogSpec(
        path=str(path),
        units={axis: "Mpc" for axis in "xyz"},
        h=0.7,
        redshift=0.0,
        coordinates={"space": "redshift", "window": (-1e6, 1e6)},
    )
    for feature in ("z", "los_velocity"):
        with pytest.raises(InputError, match=f"'{feature}' is a position"):
            prepare(run_spec(path, catalog=seen, features=("mass", feature)))


def test_a_buffer_narrower_than_the_model_reaches_is_warned_of_in_words(halos):
    for buffer, depth, warned in ((None, 1, False), (4.0, 1, False), (3.9, 1, True), (4.0, 2, True), (0.0, 1, True)):
        data = prepare(run_spec(halos, buffer=buffer, graph=GraphSpec(radius=4.0), model=ModelSpec(depth=depth)))
        told = [warning for warning in data.warnings if "is narrower than linking length x depth" in warning]
        assert len(told) == warned
        assert not warned or f"{buffer:.4g}" in told[0]


def test_a_random_split_is_said_to_leak_and_no_other_is(halos):
    for split in ("random", "slabs", "blocks"):
        warnings = prepare(run_spec(halos, split=split, buffer=4.0)).warnings
        assert any("random split leaks" in warning for warning in warnings) == (split == "random")


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    split=st.sampled_from(("slabs", "blocks", "group", "random")),
    buffer=st.sampled_from((None, 0.0, 0.5, 2.0)),
    depth=st.integers(1, 2),
    k=st.sampled_from((None, 2)),
)
def test_whatever_the_buffer_no_edge_joins_test_and_training_rows(halos, seed, split, buffer, depth, k):
    """In the graph that a model learns on there is no test row, in the one it is tested on nothing it learned from."""
    graph = GraphSpec(radius=3.0) if k is None else GraphSpec(method="knn", k=k)
    spec = run_spec(halos, split=split, group="cluster", buffer=buffer, graph=graph, seed=seed, folds=2)
    try:
        data = prepare(spec.model_copy(update={"model": ModelSpec(depth=depth)}))
    except InputError:  # the buffer left too little
        return
    ends = data.graph.edge_index
    for fold in data.folds:
        learned = fold.train | fold.validation
        for part, never in ((fold.training_graph, fold.test), (fold.inference_graph, learned)):
            rows = np.flatnonzero(part)
            assert not never[rows[data.graph.subgraph(part).edge_index]].any()
        within = buffer is None and split != "random"
        if within and depth == 1:  # then the buffer itself keeps them apart in the whole graph
            assert not (fold.test[ends[0]] & learned[ends[1]]).any()
            assert not (fold.test[ends[1]] & learned[ends[0]]).any()
