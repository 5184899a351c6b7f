"""What a run is trained on: rows that cannot be used are counted, input that cannot be used is refused before a run
exists.
"""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.errors import InputError
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.spec import ModelSpec
from gnnlib.training.data import prepare

from .conftest import run_spec, write_catalog

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


def test_the_buffer_is_what_the_layers_can_reach(halos):
    assert prepare(run_spec(halos, model=ModelSpec(depth=1))).buffer == 4.0
    assert prepare(run_spec(halos, graph=GraphSpec(radius=2.0), model=ModelSpec(depth=2))).buffer == 4.0
    assert prepare(run_spec(halos, buffer=1.5)).buffer == 1.5
    assert prepare(run_spec(halos, split="random")).buffer == 0.0
    nearest = prepare(run_spec(halos, graph=GraphSpec(method="knn", k=3)))
    assert 0.98 <= np.mean(nearest.graph.lengths <= nearest.buffer) <= 1.0


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
