"""Classes, pairs, whole graphs and several targets, from the command line to the run's files, on the sample and on real
catalogs; and what their examples and folds promise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from gnnlib.catalog.read import read_catalog
from gnnlib.catalog.table import CatalogSpec
from gnnlib.cli import main
from gnnlib.errors import InputError
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.spec import ModelSpec
from gnnlib.training.baselines import BASELINES, DEFAULTS
from gnnlib.training.data import TrainingData, prepare, usable_rows
from gnnlib.training.ensemble import together
from gnnlib.training.loop import Prediction
from gnnlib.training.metrics import OF_TASK, confusion, evaluate, evaluate_classes, evaluate_pairs
from gnnlib.training.run import Run, load_run
from gnnlib.training.worker import check, train

from .conftest import SIDE, run_spec

ECO = ("id", "ra", "dec", "cz[km/s]", "M_r", "log_mstar", "c6", "c7", "r8", "r9", "morph", "c11", "grp", "grpcz")
ECO += ("central", "log_mh", "density", "c17", "c18", "c19", "w20", "w21")
SMALL = ["--folds", "2", "--preset", "demo"]


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 clumps of 3 to 9 members, whose mass is that of the clump; `kind` follows the distance from its centre."""
    rng = np.random.default_rng(5)
    size = rng.integers(3, 10, 60)
    number = np.repeat(np.arange(60), size)
    centre, offset = rng.uniform(0, SIDE, (60, 3))[number], rng.normal(0, 0.5, (len(number), 3))
    positions = np.mod(centre + offset, SIDE)
    whole = rng.normal(13, 0.5, 60)
    distance = np.linalg.norm(offset, axis=1)
    frame = pd.DataFrame(dict(zip("xyz", positions.T, strict=True)))
    frame = frame.assign(
        mass=10 ** (whole[number] - 1 + rng.normal(0, 0.2, len(number))),
        clump=number,
        whole=whole[number],
        kind=np.where(distance < 0.6, "core", np.where(distance < 1.0, "shell", "far")),
        level=np.digitize(distance, [0.6, 1.0]),
        other=distance,
        is_central=distance < 0.4,
    )
    path = tmp_path_factory.mktemp("groups") / "groups.csv"
    frame.to_csv(path, index=False)
    return path


def clumps(path: Path, **fields: object):  # type: ignore[no-untyped-def]
    given: dict[str, object] = {"graph": GraphSpec(radius=2.0), "split": "blocks", "buffer": 0.0, "baselines": ()}
    return run_spec(path, **(given | fields))


def told(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: str) -> tuple[dict, Run, pd.DataFrame]:
    """What `python -m gnnlib train` says with --json, its run and its predictions."""
    assert main(["train", *arguments, "--runs-dir", str(tmp_path / "runs"), "--json"]) == 0, capsys.readouterr().err
    answer = json.loads(capsys.readouterr().out)
    run = load_run(answer["run"], tmp_path / "runs")
    return answer, run, run.predictions


def check_results(run: Run, task: str) -> None:
    """Every figure there is and finite, model and default baselines, each fold."""
    results, (_, names) = run.results, OF_TASK[task]
    assert results["task"] == task.replace("_", " ") and results["complete"]
    assert set(results["baselines"]) == set(run.spec.baselines) == set(results["baselines_by_kind"])
    for metrics in (results["metrics"], *results["baselines"].values()):
        assert set(metrics) == set(names)
    assert all(np.isfinite(results["metrics"][name]["mean"]) for name in names)
    assert [fold["fold"] for fold in results["folds"]] == list(range(run.spec.folds))


# Classes


def test_classes_of_the_sample_are_learned_from_the_command_line(capsys, tmp_path):
    arguments = ["sample", "--where", "x < 25", "--task", "node_classification", "--target", "is_central"]
    answer, run, table = told(
        capsys, tmp_path, *arguments, "--features", "log10(halo_mass),log10(v_max)", "--epochs", "3", *SMALL
    )
    check_results(run, "node_classification")
    assert run.spec.baselines == DEFAULTS["node_classification"]
    assert set(table["truth"]) == set(table["prediction"]) == {"False", "True"} == set(run.results["classes"])
    np.testing.assert_allclose(table["probability_True"] + table["probability_False"], 1, rtol=1e-6)
    assert np.sum(run.results["confusion"]) == len(table)
    accuracy = [np.mean(part["truth"] == part["prediction"]) for _, part in table.groupby("fold")]
    assert answer["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean(accuracy))
    assert answer["metrics"]["log_loss"]["mean"] < answer["baselines"]["logistic"]["log_loss"]["mean"]


def test_morphology_of_eco_from_the_command_line(shared_data, capsys, tmp_path):
    arguments = [str(shared_data / "survey/eco_dr1/eco_dr1.txt"), "--names", ",".join(ECO), "--radius", "3"]
    arguments += ["--where", "dec > 38 & morph != '-'", "--task", "node_classification", "--target", "morph"]
    _, run, table = told(
        capsys, tmp_path, *arguments, "--features", "M_r,log_mstar", "--split", "blocks", "--epochs", "6", *SMALL
    )
    check_results(run, "node_classification")
    assert set(table["truth"]) == {"E", "L"}
    metrics, majority = run.results["metrics"], run.results["baselines"]["majority"]
    assert metrics["log_loss"]["mean"] < majority["log_loss"]["mean"]
    assert metrics["balanced_accuracy"]["mean"] > 0.6 > majority["balanced_accuracy"]["mean"]


@pytest.mark.parametrize("target", ["kind", "level", "other > 0.6"])
def test_classes_may_be_text_numbers_or_conditions(groups, tmp_path, target):
    run = train(clumps(groups, task="node_classification", target=target, features=("other",), epochs=30), tmp_path)
    names = {"kind": ["core", "far", "shell"], "level": ["0", "1", "2"]}.get(target, ["False", "True"])
    assert run.results["classes"] == names
    assert run.results["metrics"]["accuracy"]["mean"] > 0.8
    frame = pd.read_csv(groups)
    expected = (frame["other"] > 0.6) if ">" in target else frame[target]
    table = run.predictions
    assert (expected.to_numpy()[table["row_id"]].astype(str) == table["truth"]).all()


def test_metrics_of_classes_and_pairs_are_those_of_sklearn():
    from sklearn import metrics as reference

    rng = np.random.default_rng(0)
    truth, probability = rng.integers(0, 3, 300), rng.dirichlet(np.ones(3), 300)
    found = evaluate_classes(truth, probability)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(truth, probability.argmax(1)))
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(truth, probability.argmax(1)))
    assert found["log_loss"] == pytest.approx(reference.log_loss(truth, probability))
    assert confusion(truth, probability) == reference.confusion_matrix(truth, probability.argmax(1)).tolist()
    pairs, score = truth == 1, probability[:, 1]
    found = evaluate_pairs(pairs, score)
    assert found["average_precision"] == pytest.approx(reference.average_precision_score(pairs, score))
    assert found["roc_auc"] == pytest.approx(reference.roc_auc_score(pairs, score))
    assert np.isnan(evaluate_pairs(np.zeros(5), np.linspace(0, 1, 5))["roc_auc"])
    assert evaluate_classes(np.zeros(0), np.zeros((0, 3)))["n"] == 0


# Pairs


def test_pairs_of_the_sample_are_learned_from_the_command_line(capsys, tmp_path):
    arguments = ["sample", "--where", "x < 20", "--task", "edge_classification", "--label", "halo_id"]
    answer, run, table = told(
        capsys, tmp_path, *arguments, "--features", "log10(halo_mass),log10(v_max)", "--epochs", "3", *SMALL
    )
    check_results(run, "edge_classification")
    data = prepare(run.spec)
    known = pd.Series(data.catalog.values("halo_id"), data.catalog.row_ids)
    same = known[table["source"]].to_numpy() == known[table["receiver"]].to_numpy()
    np.testing.assert_array_equal(table["truth"] == 1, same)
    pairs = pd.MultiIndex.from_arrays(np.sort(table[["source", "receiver"]], axis=1).T)
    assert pairs.is_unique
    assert run.results["pairs"]["together"] + run.results["pairs"]["apart"] == run.results["pairs"]["total"]
    assert "negative" in run.results["pairs"]["sampling"]
    assert (
        answer["metrics"]["average_precision"]["mean"] > answer["baselines"]["separation"]["average_precision"]["mean"]
    )


def test_members_of_one_group_of_eco_from_the_command_line(shared_data, capsys, tmp_path):
    arguments = [str(shared_data / "survey/eco_dr1/eco_dr1.txt"), "--names", ",".join(ECO), "--radius", "3"]
    arguments += ["--where", "dec > 38", "--task", "edge_classification", "--label", "grp", "--split", "blocks"]
    arguments += ["--features", "M_r,log_mstar", "--epochs", "8", "--model", "message_passing", *SMALL]
    _, run, _ = told(capsys, tmp_path, *arguments)
    check_results(run, "edge_classification")
    results = run.results
    assert results["metrics"]["roc_auc"]["mean"] > results["baselines"]["separation"]["roc_auc"]["mean"]


def test_pairs_are_the_edges_once_and_lie_in_one_part_of_a_fold(groups):
    data = prepare(clumps(groups, task="edge_classification", label="clump", buffer=None))
    assert data.pairs is not None
    source, receiver = data.graph.edge_index
    both_ways = {(min(s, r), max(s, r)) for s, r in zip(source.tolist(), receiver.tolist(), strict=True)}
    pairs = {(min(s, r), max(s, r)) for s, r in data.pairs.edge_index.T.tolist()}
    assert pairs == both_ways and data.pairs.n_edges == len(pairs)
    clump = data.catalog.values("clump")
    np.testing.assert_array_equal(data.target == 1, clump[data.pairs.edge_index[0]] == clump[data.pairs.edge_index[1]])
    times = np.zeros(len(data.target), dtype=int)
    for fold in data.folds:
        parts = [data.examples(part) for part in (fold.test, fold.train, fold.validation)]
        assert (np.sum(parts, axis=0) <= 1).all()
        times += parts[0]
        for part, rows in zip(parts, (fold.test, fold.train, fold.validation), strict=True):
            assert rows[data.pairs.edge_index[:, part]].all()
    assert times.max() == 1
    untested = int((times == 0).sum())
    assert any(f"{untested:,} of {len(times):,} pairs" in warning for warning in data.warnings) == (untested > 0)


def test_the_features_of_a_pair_do_not_depend_on_which_end_comes_first(groups):
    data = prepare(clumps(groups, task="edge_classification", label="clump"))
    assert data.pairs is not None
    edges = zip(data.graph.edge_index.T.tolist(), data.graph.edge_features, strict=True)
    both = {(source, receiver): features for (source, receiver), features in edges}
    for (s, r), features in zip(data.pairs.edge_index.T.tolist(), data.pairs.edge_features, strict=True):
        np.testing.assert_allclose(features, (both[s, r] + both[r, s]) / 2, rtol=1e-5, atol=1e-6)


def test_pairs_can_be_labelled_by_a_file(groups, tmp_path):
    frame = pd.read_csv(groups)
    data = prepare(clumps(groups, task="edge_classification", label="clump"))
    assert data.pairs is not None
    source, receiver = data.pairs.edge_index[:, ::2]
    kinds = frame["kind"].to_numpy()
    lines = pd.DataFrame(
        {"source": receiver, "receiver": source, "label": (kinds[source] == kinds[receiver]).astype(int)}
    )
    lines = pd.concat([lines, pd.DataFrame({"source": [0], "receiver": [len(frame) - 1], "label": [1]})])
    lines.to_csv(tmp_path / "pairs.csv", index=False)
    run = train(
        clumps(groups, task="edge_classification", label=str(tmp_path / "pairs.csv"), features=("other",), epochs=20),
        tmp_path / "runs",
    )
    assert run.results["pairs"]["total"] == len(source)
    assert any("1 of" in warning and "not edges of the graph" in warning for warning in run.results["warnings"])
    assert run.results["metrics"]["roc_auc"]["mean"] > 0.7
    for column, words in ((["label"], "label"), ([], "no column 'label'")):
        bad = lines[["source", "receiver", *column]].assign(**({"label": "maybe"} if column else {}))
        bad.to_csv(tmp_path / "bad.csv", index=False)
        with pytest.raises(InputError, match=words):
            prepare(clumps(groups, task="edge_classification", label=str(tmp_path / "bad.csv")))


# Whole graphs


def test_host_masses_of_the_sample_are_learned_from_the_command_line(capsys, tmp_path):
    arguments = ["sample", "--where", "host_mass > 3e13", "--task", "graph_regression", "--graph-by", "halo_id"]
    arguments += ["--target", "log10(host_mass)", "--features", "log10(stellar_mass)", "--readout", "sum"]
    answer, run, table = told(capsys, tmp_path, *arguments, "--epochs", "5", *SMALL)
    check_results(run, "graph_regression")
    data = prepare(run.spec)
    rows = pd.DataFrame({"id": data.catalog.values("halo_id"), "mass": data.catalog.values("host_mass")})
    of_graph = rows.groupby("id")["mass"]
    assert sorted(table["graph_id"]) == sorted(of_graph.groups)
    np.testing.assert_allclose(table["truth"], np.log10(of_graph.first()[table["graph_id"]]), rtol=1e-6)
    np.testing.assert_array_equal(table["n_nodes"], of_graph.size()[table["graph_id"]])
    assert answer["metrics"]["rmse"]["mean"] < answer["baselines"]["mean"]["rmse"]["mean"]
    assert 0 <= run.results["coverage"]["0.68"] <= 1


def test_masses_of_tng_groups_from_their_members_from_the_command_line(tng_chunks, capsys, tmp_path):
    arguments = [str(tng_chunks), "--task", "graph_regression", "--graph-by", "SubhaloGrNr", "--radius", "0.5"]
    arguments += ["--where", "SubhaloFlag & SubhaloMassType_stars > 1e8", "--target", "log10(Group_M_Crit200)"]
    arguments += ["--features", "log10(SubhaloMassType_stars)", "--split", "blocks", "--epochs", "15", *SMALL]
    _, run, table = told(capsys, tmp_path, *arguments, "--baselines", "mean,count,linear", "--readout", "sum")
    check_results(run, "graph_regression")
    assert len(table) == 231 and set(run.results["baselines"]) == {"mean", "count", "linear"}
    assert run.results["graphs"]["total"] == 231


def test_group_masses_of_eco_beat_the_count_of_members_from_the_command_line(shared_data, capsys, tmp_path):
    arguments = [str(shared_data / "survey/eco_dr1/eco_dr1.txt"), "--names", ",".join(ECO), "--radius", "3"]
    arguments += ["--where", "dec > 30", "--task", "graph_regression", "--graph-by", "grp", "--target", "log_mh"]
    arguments += ["--features", "log_mstar", "--readout", "sum", "--split", "blocks", "--epochs", "15", *SMALL]
    answer, run, _ = told(capsys, tmp_path, *arguments, "--baselines", "mean,count,boosted_trees")
    check_results(run, "graph_regression")
    assert answer["metrics"]["r2"]["mean"] > answer["baselines"]["count"]["r2"]["mean"]


@pytest.mark.parametrize("task", ["graph_regression", "edge_classification"])
def test_the_usable_rows_of_a_catalog_are_those_that_are_trained_on(groups, tmp_path, task):
    frame = pd.read_csv(groups)
    frame.loc[::11, "other"] = np.nan
    frame.loc[frame["clump"] % 20 == 3, "clump"] = -1
    frame.loc[frame["clump"] == 7, "whole"] = np.nan
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    fields = {"graph_by": "clump", "target": "whole"} if task == "graph_regression" else {"label": "clump"}
    data = prepare(clumps(tmp_path / "gaps.csv", task=task, features=("log10(mass)", "other"), **fields))
    whole = read_catalog(data.spec.catalog)
    np.testing.assert_array_equal(whole.row_ids[usable_rows(data.spec, whole)], data.catalog.row_ids)


def test_graphs_are_whole_in_every_part_and_no_edge_joins_two(groups):
    data = prepare(clumps(groups, task="graph_regression", graph_by="clump", target="whole"))
    assert data.graph_of is not None and data.graph_ids is not None
    clump = data.catalog.values("clump")
    np.testing.assert_array_equal(data.graph_ids[data.graph_of], clump)
    assert (clump[data.graph.edge_index[0]] == clump[data.graph.edge_index[1]]).all()
    assert any("join two graphs and are left out" in warning for warning in data.warnings)
    assert not any("took places" in warning for warning in data.warnings)
    nearest = GraphSpec(method="knn", k=3)
    chosen = prepare(clumps(groups, task="graph_regression", graph_by="clump", target="whole", graph=nearest))
    assert any("took places" in warning for warning in chosen.warnings)
    for fold in data.folds:
        parts = np.array([data.examples(part) for part in (fold.test, fold.train, fold.validation, fold.buffer)])
        np.testing.assert_array_equal(parts.sum(axis=0), 1)
    assert np.sum([data.examples(fold.test) for fold in data.folds], axis=0).tolist() == [1] * 60


@pytest.mark.parametrize("aggregate", ["sum", "mean", "max"])
def test_a_graphs_target_can_be_made_of_its_members(groups, aggregate):
    data = prepare(clumps(groups, task="graph_regression", graph_by="clump", target="other", aggregate=aggregate))
    expected = pd.read_csv(groups).groupby("clump")["other"].agg(aggregate)
    np.testing.assert_allclose(data.target, expected[data.graph_ids])


def test_the_sum_of_a_logarithm_is_that_of_the_whole(groups):
    chosen = {"task": "graph_regression", "graph_by": "clump", "target": "log10(mass)", "features": ("other",)}
    whole = prepare(clumps(groups, **chosen, aggregate="sum"))
    mass = pd.read_csv(groups).groupby("clump")["mass"]
    np.testing.assert_allclose(whole.target, np.log10(mass.sum())[whole.graph_ids])
    mean = prepare(clumps(groups, **chosen, aggregate="mean"))
    np.testing.assert_allclose(mean.target, mass.agg(lambda members: np.log10(members).mean())[mean.graph_ids])
    product = prepare(clumps(groups, **(chosen | {"target": "log10(mass) + 1"}), aggregate="sum"))
    np.testing.assert_allclose(product.target, mass.agg(lambda m: (np.log10(m) + 1).sum())[product.graph_ids])


def test_the_number_of_members_is_all_that_the_count_baseline_sees(groups, tmp_path):
    spec = clumps(groups, task="graph_regression", graph_by="clump", target="one", aggregate="sum", epochs=2)
    catalog = spec.catalog.model_copy(update={"derived": {"one": "1 + 0 * mass"}})
    spec = spec.model_copy(update={"catalog": catalog, "baselines": ("mean", "count"), "features": ("log10(mass)",)})
    results = train(spec, tmp_path).results
    assert results["baselines"]["count"]["r2"]["mean"] > 0.95 > 0.2 > results["baselines"]["mean"]["r2"]["mean"]


# Several targets, ensembles


def test_several_targets_are_predicted_side_by_side(groups, tmp_path):
    spec = clumps(groups, target="whole", more_targets=("other",), epochs=5, baselines=("mean", "linear", "mlp"))
    run = train(spec, tmp_path)
    table, results = run.predictions, run.results
    frame = pd.read_csv(groups)
    for ending, name in (("", "whole"), ("_2", "other")):
        np.testing.assert_allclose(table[f"truth{ending}"], frame[name].to_numpy()[table["row_id"]], rtol=1e-9)
        np.testing.assert_allclose(table[f"residual{ending}"], table[f"prediction{ending}"] - table[f"truth{ending}"])
        scored = results if not ending else results["more_targets"][name]
        for column, metrics in (("prediction", scored["metrics"]), ("baseline_linear", scored["baselines"]["linear"])):
            folds = [
                evaluate(part[f"truth{ending}"].to_numpy(), part[f"{column}{ending}"].to_numpy())
                for _, part in table.groupby("fold")
            ]
            assert metrics["rmse"]["mean"] == pytest.approx(np.mean([fold["rmse"] for fold in folds]))
        assert set(scored["coverage"]) == {"0.68", "0.95"}
        assert set(scored["baselines"]) == {"mean", "linear", "mlp"}


def test_an_ensembles_variance_is_that_of_its_members_and_of_their_means():
    rng = np.random.default_rng(6)
    members = [Prediction(rng.normal(size=(9, 2)), rng.uniform(1, 2, (9, 2)), ()) for _ in range(4)]
    whole = together(members)
    # the variance of a mixture of the members' Gaussians, from its first two moments
    second = np.mean([member.mean**2 + member.sigma**2 for member in members], axis=0)
    mean = np.mean([member.mean for member in members], axis=0)
    np.testing.assert_allclose(whole.mean, mean)
    np.testing.assert_allclose(whole.sigma**2, second - mean**2)
    assert together(members[:1]) is members[0]
    classes = [Prediction(rng.dirichlet(np.ones(3), 9), None, ()) for _ in range(2)]
    assert together(classes).sigma is None
    np.testing.assert_allclose(together(classes).mean.sum(axis=1), 1)


def test_an_ensemble_trains_members_that_differ_by_their_seed_on_the_same_folds(groups, tmp_path):
    spec = clumps(groups, target="whole", epochs=3, baselines=("linear",))
    alone, both = (train(spec.model_copy(update={"seeds": seeds}), tmp_path) for seeds in (1, 2))
    weights = load_file(both.folder / "checkpoint.safetensors")
    first = load_file(alone.folder / "checkpoint.safetensors")
    for name, value in first.items():
        np.testing.assert_array_equal(value, weights[name])
    assert {name for name in weights if name.startswith("member1.")} == {f"member1.{name}" for name in first}
    assert any((weights[f"member1.{name}"] != value).any() for name, value in first.items())
    columns = ["row_id", "truth", "fold", "baseline_linear"]
    pd.testing.assert_frame_equal(alone.predictions[columns], both.predictions[columns])
    assert not np.allclose(alone.predictions["prediction"], both.predictions["prediction"])
    lines = [json.loads(line) for line in (both.folder / "metrics.jsonl").read_text().splitlines()]
    assert [(line["fold"], line["member"], line["epoch"]) for line in lines] == [
        (fold, member, epoch) for fold in (0, 1) for member in (0, 1) for epoch in (1, 2, 3)
    ]


# Input that cannot be used


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"task": "node_classification", "target": "clump"}, "60 different values"),
        ({"task": "node_classification", "target": "one"}, "constant"),
        ({"task": "node_classification", "target": "kind", "baselines": ("linear",)}, "is not for node classification"),
        ({"task": "edge_classification", "label": "nothing"}, "nothing"),
        ({"task": "edge_classification", "label": "one"}, "All pairs of the graph are alike"),
        ({"task": "graph_regression", "graph_by": "clump", "target": "other"}, "differs among the members"),
        ({"task": "graph_regression", "graph_by": "level", "target": "level"}, "3 graphs, too few for 2 folds"),
        ({"task": "graph_regression", "graph_by": "nothing", "target": "whole"}, "nothing"),
        ({"more_targets": ("whole", "whole"), "target": "other"}, "named twice"),
        ({"more_targets": ("log10(mass)",), "target": "other"}, "is also a feature"),
    ],
)
def test_what_no_task_can_be_made_of_is_refused_in_a_sentence(groups, fields, sentence):
    catalog = CatalogSpec(path=str(groups), box=(SIDE, SIDE, SIDE), periodic=True, derived={"one": "1 + 0 * mass"})
    with pytest.raises(InputError, match=sentence) as refusal:
        check(clumps(groups, catalog=catalog, **fields))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task", "edge_classification"], "--label"),
        (["--task", "graph_regression", "--target", "whole"], "graph_by"),
        (["--task", "node_classification"], "--target"),
        (["--task", "node_classification", "--target", "kind", "--more-targets", "level"], "several targets"),
    ],
)
def test_the_command_line_says_what_a_task_needs(groups, capsys, tmp_path, options, words):
    arguments = ["train", str(groups), "--radius", "2", "--features", "mass", "--runs-dir", str(tmp_path), *options]
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1 and words in printed.err


def test_no_test_row_of_any_task_changes_what_is_learned(groups, tmp_path):
    """Other classes and features of the test rows leave the weights of the fold as they are."""
    frame = pd.read_csv(groups)
    spec = clumps(groups, task="node_classification", target="kind", baselines=("boosted_trees_neighbours",))
    tested = prepare(spec).folds[0].test
    changed = frame.copy()
    rng = np.random.default_rng(0)
    changed.loc[tested, "kind"] = rng.permutation(frame.loc[tested, "kind"])
    changed.loc[tested, "mass"] = rng.permutation(frame.loc[tested, "mass"])
    changed.to_csv(tmp_path / "other.csv", index=False)
    catalog = spec.catalog.model_copy(update={"path": str(tmp_path / "other.csv")})
    states = [
        load_file(train(of, tmp_path / "runs").folder / "checkpoint.safetensors")
        for of in (spec, spec.model_copy(update={"catalog": catalog}))
    ]
    for name in states[0]:
        if name.startswith("fold0."):
            np.testing.assert_array_equal(states[0][name], states[1][name])


def test_every_model_answers_every_task(groups):
    """A forward and backward pass of each registered model on a batch of each task."""
    import torch

    from gnnlib.models.registry import MODELS, build_model
    from gnnlib.training.crossvalidation import _asked
    from gnnlib.training.loop import FoldData, fit
    from gnnlib.training.scaling import Scalers

    tasks: dict[str, dict[str, object]] = {
        "node_regression": {"target": "whole"},
        "node_classification": {"target": "kind"},
        "edge_classification": {"label": "clump"},
        "graph_regression": {"target": "whole", "graph_by": "clump"},
    }
    for task, fields in tasks.items():
        data: TrainingData = prepare(clumps(groups, task=task, **fields, epochs=1))
        fold = data.folds[0]
        inside = fold.training_graph
        graph, asked, examples = data.graph.subgraph(inside), _asked(data, inside), data.examples(inside)
        learned, watched = data.examples(fold.train)[examples], data.examples(fold.validation)[examples]
        target, n_classes = data.target[examples], len(data.classes)
        scalers = Scalers.fit(graph, data.features[inside], target, fold.train[inside], learned, task, n_classes)  # type: ignore[arg-type]
        fold_data = FoldData.build(graph, data.features[inside], target, learned, watched, scalers, asked)
        for name, entry in MODELS.items():
            if entry.missing:
                continue
            spec = data.spec.model_copy(update={"model": ModelSpec(name=name, hidden=8, latent=4, heads=2)})
            n_outputs = n_classes if task == "node_classification" else 1
            model = build_model(spec.model, 1, scalers.n_edge_features, n_outputs, 0, spec.task)
            result = fit(model, fold_data, spec, torch.device("cpu"))
            assert np.isfinite(result.history[0].train_loss), (task, name)
            assert result.history[0].validation_loss is not None


def test_baselines_have_labels_for_the_page():
    assert all(entry.label and entry.description.endswith(".") for entry in BASELINES.values())
