"""Boxes of a folder: whole files in every fold, one value each, learnt from how their objects cluster."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog.table import CatalogSpec
from gnnlib.cli import main
from gnnlib.errors import InputError
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.spec import ModelSpec
from gnnlib.training.data import prepare
from gnnlib.training.inference import predict_catalog
from gnnlib.training.neighbourhood import Neighbourhood
from gnnlib.training.run import load_run
from gnnlib.training.spec import RunSpec
from gnnlib.training.worker import train

SIDE, BOXES = 10.0, 40


def write_boxes(folder: Path, n: int, seed: int, parameters: bool = True) -> np.ndarray:
    """n periodic boxes of about 60 points, of which a share, their parameter `pairing` [n], has a partner close by."""
    rng = np.random.default_rng(seed)
    share = rng.permutation(np.linspace(0.05, 0.95, n))
    for number, paired in enumerate(share):
        count = int(rng.integers(50, 70))
        partners = rng.random(count // 2) < paired
        first = rng.uniform(0, SIDE, (count - count // 2, 3))
        beside = first[: count // 2] + rng.normal(0, 0.15, (count // 2, 3))
        second = np.where(partners[:, None], beside, rng.uniform(0, SIDE, (count // 2, 3))) % SIDE
        points = np.concatenate([first, second])
        frame = pd.DataFrame({"halo_id": np.arange(count), **dict(zip("xyz", points.T, strict=True))})
        frame["mass"] = 10 ** rng.normal(12, 0.3, count)
        frame["near"] = np.concatenate([partners, np.zeros(count - count // 2)]) + rng.normal(0, 0.1, count)
        frame.to_csv(folder / f"LH_{number}.csv", index=False)
    if parameters:
        table = pd.DataFrame({"name": [f"LH_{number}" for number in range(n)], "pairing": share})
        table.sample(frac=1, random_state=1).to_csv(folder / "parameters.txt", index=False, sep=" ")
    return share


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boxes")
    write_boxes(folder, BOXES, seed=1)
    return folder


def spec_of(folder: Path, **fields: object) -> RunSpec:
    given = {
        "catalog": CatalogSpec(path=str(folder), box=(SIDE, SIDE, SIDE), periodic=True),
        "graph": GraphSpec(radius=1.0),
        "model": ModelSpec(hidden=8, latent=4, heads=2),
        "target": "near",
        "features": ("log10(mass)",),
        "folds": 2,
        "epochs": 2,
        "baselines": ("mean", "linear_neighbours"),
        "device": "cpu",
    }
    return RunSpec.model_validate(given | fields)


TASKS = {
    "nodes": {},
    "nodes, random split": {"split": "random"},
    "nodes, buffer": {"buffer": 3.0},
    "classes": {"task": "node_classification", "target": "near > 0.5", "baselines": ("majority",)},
    "nearest": {"graph": GraphSpec(method="knn", k=5)},
    "graphs": {"task": "graph_regression", "target": "pairing", "baselines": ("mean", "count")},
}


@pytest.mark.parametrize("fields", TASKS.values(), ids=TASKS)
def test_a_fold_takes_whole_files_and_no_edge_joins_two(boxes: Path, fields: dict[str, object]) -> None:
    data = prepare(spec_of(boxes, **fields))
    file = data.catalog.values("catalog")
    source, receiver = data.graph.edge_index
    assert data.graph.n_edges and (file[source] == file[receiver]).all()
    tested = []
    for fold in data.folds:
        np.testing.assert_array_equal(fold.test.astype(int) + fold.train + fold.validation + fold.buffer, 1)
        parts = [set(file[part]) for part in (fold.test, fold.train, fold.validation)]
        assert all(parts) and sum(map(len, parts)) == BOXES and not fold.buffer.any()
        tested += parts[0]
    assert sorted(tested) == sorted(set(file))
    assert sum("a fold takes whole files" in warning for warning in data.warnings) == 1
    assert not any("leaks" in warning or "buffer of" in warning for warning in data.warnings)
    again = prepare(spec_of(boxes, **fields))
    other = prepare(spec_of(boxes, **fields, seed=5))
    assert all((a.test == b.test).all() for a, b in zip(data.folds, again.folds, strict=True))
    assert any((a.test != b.test).any() for a, b in zip(data.folds, other.folds, strict=True))


def test_groups_of_whole_files_stay_together_and_groups_within_files_do_not_matter(tmp_path: Path) -> None:
    write_boxes(tmp_path, 12, seed=2)
    suite = pd.DataFrame({"name": [f"LH_{k}" for k in range(12)], "suite": np.arange(12) // 3})
    (tmp_path / "parameters.txt").unlink()
    suite.to_csv(tmp_path / "params.csv", index=False)
    data = prepare(spec_of(tmp_path, split="group", group="suite"))
    file, suites = data.catalog.values("catalog"), data.catalog.values("suite")
    for fold in data.folds:
        parts = [set(suites[part]) for part in (fold.test, fold.train, fold.validation)]
        assert all(parts) and sum(map(len, parts)) == 4
    within = prepare(spec_of(tmp_path, split="group", group="halo_id"))
    assert all(set(file[fold.test]).isdisjoint(file[~fold.test]) for fold in within.folds)


def test_one_training_file_is_watched_by_a_block_of_it(tmp_path: Path) -> None:
    write_boxes(tmp_path, 2, seed=3)
    for fold in prepare(spec_of(tmp_path)).folds:
        assert fold.train.sum() > fold.validation.sum() > 0


def test_groups_of_two_files_with_one_id_are_two_graphs(tmp_path: Path) -> None:
    write_boxes(tmp_path, 12, seed=4)
    spec = spec_of(tmp_path, task="graph_regression", graph_by="cell", aggregate="mean", baselines=("mean",))
    spec = spec.model_copy(update={"catalog": spec.catalog.model_copy(update={"derived": {"cell": "floor(x / 5)"}})})
    data = prepare(spec)
    assert data.graph_ids is not None and data.graph_of is not None
    assert len(data.graph_ids) == 24 and len(set(data.graph_ids)) == 24 and "LH_3:1.0" in data.graph_ids
    rows = pd.DataFrame({"file": data.catalog.values("catalog"), "cell": data.catalog.values("cell")})
    expected = (rows["file"] + ":" + rows["cell"].astype(str)).to_numpy()
    np.testing.assert_array_equal(data.graph_ids[data.graph_of], expected)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"folds": 3}, "2 files, too few for 3 folds"),
        ({"task": "graph_regression", "target": "pairing", "baselines": ()}, "2 graphs, too few"),
        ({"task": "graph_regression", "target": "mass", "baselines": ()}, "differs among the members"),
    ],
)
def test_too_few_files_are_refused_in_a_sentence(tmp_path: Path, fields: dict[str, object], words: str) -> None:
    write_boxes(tmp_path, 2, seed=3)
    with pytest.raises(InputError, match=words):
        prepare(spec_of(tmp_path, **fields))


def test_graphs_of_one_catalog_need_their_column(boxes: Path) -> None:
    with pytest.raises(InputError, match="graph_by"):
        prepare(spec_of(boxes / "LH_0.csv", task="graph_regression", target="mass", baselines=()))


def test_hand_made_neighbours_are_those_of_each_file_alone(boxes: Path, tmp_path: Path) -> None:
    data = prepare(spec_of(boxes, catalog=CatalogSpec(path=str(boxes), box=(SIDE,) * 3, periodic=True)))
    graph, features = data.graph, data.features
    told = Neighbourhood.fit(graph, features, np.ones(graph.n_nodes, dtype=bool))
    whole = told.describe(graph, features)
    assert graph.file_of is not None
    for number in (0, 7):
        own = graph.file_of == number
        alone = graph.subgraph(own)
        np.testing.assert_allclose(whole[own], told.describe(alone, features[own]), rtol=1e-12)


def test_the_parameter_of_each_box_is_learnt_and_told_of_new_boxes_from_the_command_line(
    boxes: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ["--box", str(SIDE), "--json"]
    arguments = ["train", str(boxes), *options, "--task", "graph_regression", "--target", "pairing"]
    arguments += ["--features", "none", "--radius", "1", "--readout", "mean", "--model", "message_passing"]
    arguments += ["--folds", "2", "--epochs", "60", "--batch-size", "8", "--baselines", "mean,count", "--seed", "1"]
    assert main([*arguments, "--runs-dir", str(tmp_path / "runs")]) == 0
    answer = json.loads(capsys.readouterr().out)
    error = {name: metrics["rmse"]["mean"] for name, metrics in answer["baselines"].items()}
    assert answer["metrics"]["rmse"]["mean"] < 0.6 * error["count"] and answer["metrics"]["r2"]["mean"] > 0.6
    run = load_run(tmp_path / "runs" / answer["run"])
    truth = pd.read_csv(boxes / "parameters.txt", sep=" ").set_index("name")["pairing"]
    table = run.predictions
    assert table is not None and sorted(table["graph_id"]) == sorted(truth.index)
    np.testing.assert_allclose(table["truth"], truth[table["graph_id"]], rtol=1e-6)

    new = tmp_path / "new"
    new.mkdir()
    share = write_boxes(new, 12, seed=9, parameters=False)
    out = tmp_path / "told.parquet"
    assert main(["predict", str(run.folder), str(new), *options, "--out", str(out)]) == 0
    summary, told = json.loads(capsys.readouterr().out), pd.read_parquet(out)
    assert summary["rows"] == 12 and told["graph_id"].tolist() == [f"LH_{number}" for number in range(12)]
    assert np.corrcoef(told["prediction"], share)[0, 1] > 0.8
    assert told["n_nodes"].tolist() == [len(pd.read_csv(new / f"{name}.csv")) for name in told["graph_id"]]

    assert main(["predict", str(run.folder), str(new / "LH_10.csv"), *options, "--out", str(out)]) == 0
    one = pd.read_parquet(out)
    assert one["graph_id"].tolist() == ["LH_10"]
    np.testing.assert_allclose(one["prediction"], told["prediction"][10:11], rtol=1e-5)


def test_rows_of_new_boxes_are_predicted_file_by_file(boxes: Path, tmp_path: Path) -> None:
    spec = spec_of(boxes, graph=GraphSpec(method="knn", k=4))
    spec = spec.model_copy(
        update={"catalog": spec.catalog.model_copy(update={"derived": {"more": "2 * pairing"}}), "baselines": ()}
    )
    run = train(spec, tmp_path / "runs")
    new = tmp_path / "new"
    new.mkdir()
    write_boxes(new, 3, seed=9, parameters=False)
    other = spec.catalog.model_copy(update={"path": str(new), "derived": {}})
    summary = predict_catalog(run, other, tmp_path / "all.parquet")
    whole = pd.read_parquet(tmp_path / "all.parquet").set_index("row_id")
    assert summary["parts"] == 3
    for number in range(3):
        single = other.model_copy(update={"path": str(new / f"LH_{number}.csv")})
        predict_catalog(run, single, tmp_path / "one.parquet")
        one = pd.read_parquet(tmp_path / "one.parquet").set_index("row_id")
        own = whole.loc[[f"LH_{number}:{row}" for row in one.index]]
        np.testing.assert_allclose(own["prediction"], one["prediction"], rtol=1e-5)


def test_a_new_folder_need_not_have_what_the_target_is_derived_from(boxes: Path, tmp_path: Path) -> None:
    spec = spec_of(boxes, task="graph_regression", target="half", baselines=("mean",))
    catalog = spec.catalog.model_copy(update={"derived": {"half": "pairing / 2"}})
    run = train(spec.model_copy(update={"catalog": catalog}), tmp_path / "runs")
    new = tmp_path / "new"
    new.mkdir()
    write_boxes(new, 2, seed=9, parameters=False)
    summary = predict_catalog(run, catalog.model_copy(update={"path": str(new)}), tmp_path / "told.parquet")
    assert summary["rows"] == 2 and summary["networks"] == 2


def test_a_real_catalog_cut_into_files_is_the_same_task_as_its_column(shared_data: Path, tmp_path: Path) -> None:
    """ECO in 24 parts: a folder of files against one file with a column of the part, whose edges between parts go."""
    table = pd.read_csv(shared_data / "survey/eco_dr1/eco_dr1.txt", sep=r"\s+", header=None)
    frame = pd.DataFrame(
        {"ra": table[1], "dec": table[2], "cz": table[3], "log_mass": table[5], "part": table[12] % 24}
    )
    frame = frame.sort_values("part", kind="stable")
    folder, whole = tmp_path / "parts", tmp_path / "whole.csv"
    folder.mkdir()
    for part, rows in frame.groupby("part"):
        rows.to_csv(folder / f"part_{part}.csv", index=False)
    frame.to_csv(whole, index=False)
    units = {"ra": "deg", "dec": "deg", "cz": "km/s"}
    fields = {
        "task": "graph_regression",
        "target": "log_mass",
        "aggregate": "mean",
        "features": ("log_mass * 0 + cz",),
        "graph": GraphSpec(radius=4.0, edge_features=("length",)),
        "baselines": ("mean", "count"),
    }
    boxes = prepare(spec_of(folder, catalog=CatalogSpec(path=str(folder), units=units), **fields))
    column = prepare(spec_of(whole, catalog=CatalogSpec(path=str(whole), units=units), graph_by="part", **fields))
    assert boxes.graph_ids is not None and column.graph_ids is not None and boxes.graph.n_edges > 1000
    assert [f"part_{part}" for part in column.graph_ids] == boxes.graph_ids.tolist()
    np.testing.assert_array_equal(boxes.graph_of, column.graph_of)
    np.testing.assert_allclose(boxes.target, column.target)
    np.testing.assert_array_equal(boxes.graph.edge_index, column.graph.edge_index)
    np.testing.assert_allclose(boxes.graph.edge_features, column.graph.edge_features, rtol=1e-6)
