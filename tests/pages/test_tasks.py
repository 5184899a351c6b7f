"""The Predictions page of runs about classes, whole graphs and pairs: its figures are those of the run's folder, and of
scikit-learn."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from sklearn import calibration, metrics
from streamlit.testing.v1 import AppTest

from gnnlib.training.run import Run
from gnnlib.training.spec import RunSpec
from gnnlib.training.worker import train

Session = Callable[..., AppTest]
SIDE = 40.0
CLASSES = ["<b>core</b>", "*far*", "shell [x](y)"]  # as nobody should name them
TASKS: dict[str, dict[str, Any]] = {
    "node_classification": {"target": "kind"},
    "graph_regression": {"target": "whole", "graph_by": "clump"},
    "edge_classification": {"label": "clump", "buffer": 0.0},
}


def clumps() -> pd.DataFrame:
    """70 clumps of 3 to 9 members; some have no `other`. Pairs of neighbouring clumps are hard to tell apart."""
    rng = np.random.default_rng(5)
    number = np.repeat(np.arange(70), rng.integers(3, 10, 70))
    centre, offset = rng.uniform(0, SIDE, (70, 3))[number], rng.normal(0, 0.9, (len(number), 3))
    distance, whole = np.linalg.norm(offset, axis=1), rng.normal(13, 0.5, 70)
    frame = pd.DataFrame(dict(zip("xyz", np.mod(centre + offset, SIDE).T, strict=True)))
    other = distance + rng.normal(0, 0.4, len(number))
    other[::37] = np.nan
    return frame.assign(
        mass=10 ** (whole[number] - 1 + rng.normal(0, 0.2, len(number))),
        clump=number + 2**60,  # does not survive as a float
        whole=whole[number],
        other=other,
        kind=np.array(CLASSES)[np.where(distance < 1.0, 0, np.where(distance < 1.7, 2, 1))],
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A finished run of each task."""
    folder = tmp_path_factory.mktemp("tasks")
    clumps().to_csv(folder / "clumps.csv", index=False)
    common = {
        "catalog": {"path": str(folder / "clumps.csv"), "box": (SIDE, SIDE, SIDE), "periodic": True},
        "graph": {"radius": 2.5},
        "model": {"hidden": 8, "latent": 4, "heads": 2},
        "features": ["log10(mass)", "other"],
        "split": "blocks",
        "folds": 2,
        "epochs": 3,
        "device": "cpu",
    }
    return {
        task: train(RunSpec.model_validate(common | {"task": task} | fields), folder / "runs")
        for task, fields in TASKS.items()
    }


@pytest.fixture
def opened(session: Session, runs: dict[str, Run], tmp_path: Path) -> Callable[..., AppTest]:
    """The Predictions page of the run of a task."""

    def open_page(task: str, **address: str) -> AppTest:
        shutil.copytree(runs[task].folder, tmp_path / "runs" / runs[task].id)
        return session("predictions", run=runs[task].id, **address)

    return open_page


def fine(app: AppTest) -> None:
    assert not app.exception, app.exception[0].stack_trace
    assert not app.error, app.error[0].value


def figure(app: AppTest, label: str) -> str:
    return next(metric.value for metric in app.metric if metric.label == label)


def headers(app: AppTest) -> list[str]:
    return [header.value for header in app.subheader]


def shown(app: AppTest, column: str) -> pd.DataFrame:
    """The table on the page that has this column."""
    return next(table.value for table in app.dataframe if column in table.value)


def traces(app: AppTest, kind: str, x_title: str = "") -> list[dict[str, np.ndarray]]:
    """The traces of a kind in the one figure that has them, and whose axis begins like this."""
    for chart in app.get("plotly_chart"):
        drawn = json.loads(chart.proto.spec)
        title = drawn["layout"].get("xaxis", {}).get("title", {}).get("text", "")
        found = [trace for trace in drawn["data"] if trace["type"] == kind]
        if found and title.startswith(x_title):
            return [{name: numbers(values) for name, values in trace.items()} for trace in found]
    raise AssertionError(f"no figure with {kind} against {x_title}")


def numbers(values: Any) -> Any:
    if not (isinstance(values, dict) and "bdata" in values):
        return values
    array = np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
    return array.reshape([int(n) for n in values["shape"].split(",")]) if "shape" in values else array


# Classes


def test_the_confusion_and_the_reliability_are_those_of_sklearn(opened: Session, runs: dict[str, Run]) -> None:
    run = runs["node_classification"]
    app = opened("node_classification")
    fine(app)
    told, names = run.predictions, run.results["classes"]
    expected = metrics.confusion_matrix(told["truth"], told["prediction"], labels=names)
    heat = traces(app, "heatmap")[0]
    np.testing.assert_array_equal(heat["customdata"], expected)
    np.testing.assert_allclose(heat["z"], expected / np.maximum(expected.sum(axis=1, keepdims=True), 1))
    assert "<b>core</b>" not in heat["x"] and "&lt;b&gt;core&lt;/b&gt;" in heat["x"]
    top = told[[f"probability_{name}" for name in names]].max(axis=1)
    right = told["truth"] == told["prediction"]
    share, probability = calibration.calibration_curve(right, top, n_bins=10)
    curve = traces(app, "scatter", "probability of the predicted")[-1]
    np.testing.assert_allclose(curve["y"], share, atol=1e-6)
    np.testing.assert_allclose(curve["x"], probability, atol=1e-6)


def test_classified_objects_are_listed_the_most_confidently_wrong_first(opened: Session, runs: dict[str, Run]) -> None:
    app = opened("node_classification")
    told = runs["node_classification"].predictions
    table = shown(app, "of the truth")
    wrong = told[told["truth"] != told["prediction"]]
    assert sorted(table["row"]) == sorted(wrong["row_id"])
    assert (np.diff(table["probability"]) <= 0).all() and (table["truth"] != table["prediction"]).all()
    assert headers(app)[1] == f"Row {table['row'].iloc[0]}"
    app.segmented_control(key="which_classified").set_value("unsure").run()
    fine(app)
    assert len(shown(app, "of the truth")) == len(told)
    app.selectbox(key="only_truth").set_value(CLASSES[0]).run()
    app.selectbox(key="only_prediction").set_value(CLASSES[1]).run()
    fine(app)
    cell = (told["truth"] == CLASSES[0]) & (told["prediction"] == CLASSES[1])
    assert sorted(shown(app, "of the truth")["row"]) == sorted(told.loc[cell, "row_id"])


def test_the_card_of_a_classified_object_shows_every_probability(opened: Session, runs: dict[str, Run]) -> None:
    row = runs["node_classification"].predictions.iloc[11]
    app = opened("node_classification", selected=str(row["row_id"]))
    fine(app)
    assert headers(app)[1] == f"Row {row['row_id']}"
    assert figure(app, "Truth").replace("\\", "") == row["truth"]
    table = next(table.value for table in app.dataframe if list(table.value) == ["class", "probability", "truth"])
    assert (np.diff(table["probability"]) <= 0).all()
    for name, probability, true in table.itertuples(index=False):
        assert probability == pytest.approx(row[f"probability_{name}"])
        assert true == (name == row["truth"])
    for part in ("Its row", "Neighbours", "Link"):
        app.segmented_control(key="class_card_part").set_value(part).run()
        fine(app)
    for colour in ("truth", "right"):
        app.segmented_control(key="classes_colour").set_value(colour).run()
        fine(app)


# Whole graphs


def test_every_group_is_in_the_parity_plot_and_the_worst_is_listed_first(opened: Session, runs: dict[str, Run]) -> None:
    told = runs["graph_regression"].predictions
    app = opened("graph_regression")
    fine(app)
    points = traces(app, "scattergl", "whole, truth")[0]
    np.testing.assert_allclose(points["x"], told["truth"])
    np.testing.assert_allclose(points["y"], told["prediction"])
    assert points["customdata"] == told["graph_id"].astype(str).tolist()
    table = shown(app, "graph_id")
    assert sorted(table["graph_id"]) == sorted(told["graph_id"])
    assert (np.diff(table["residual"].abs()) <= 1e-12).all()
    assert headers(app)[1] == f"clump {table['graph_id'].iloc[0]}"


def test_the_group_of_a_selected_object_is_shown_with_its_members(opened: Session, runs: dict[str, Run]) -> None:
    frame, told = clumps(), runs["graph_regression"].predictions
    row = int(np.flatnonzero(frame["clump"] == frame["clump"].iloc[200])[0]) + 1
    app = opened("graph_regression", selected=str(row))
    fine(app)
    group = told.set_index("graph_id").loc[frame["clump"].iloc[row]]
    assert headers(app)[1] == f"clump {frame['clump'].iloc[row]}"
    assert figure(app, "Prediction") == f"{group['prediction']:.3f}"
    assert figure(app, "Members") == f"{group['n_nodes']:.0f}"
    assert any(f"{group['lower_68']:.3f} to {group['upper_68']:.3f}" in caption.value for caption in app.caption)
    members = frame.index[(frame["clump"] == frame["clump"].iloc[row]) & frame["other"].notna()]
    listed = next(table.value for table in app.dataframe if "row" in table.value)
    assert listed["row"].tolist() == members.tolist()
    app.button(key="select_group").click().run()
    fine(app)
    assert app.session_state.selection == tuple(map(str, members))
    assert app.session_state.seen["view"].startswith("p_-58.0000_20.0000_")


# Pairs


def test_the_curves_of_pairs_are_those_of_sklearn(opened: Session, runs: dict[str, Run]) -> None:
    told = runs["edge_classification"].predictions
    app = opened("edge_classification")
    fine(app)
    precision, recall, _ = metrics.precision_recall_curve(told["truth"], told["probability"])
    curve = traces(app, "scatter", "recall")[0]
    np.testing.assert_allclose(curve["x"], recall[::-1])
    np.testing.assert_allclose(curve["y"], precision[::-1])
    alarms, found, _ = metrics.roc_curve(told["truth"], told["probability"], drop_intermediate=False)
    curve = traces(app, "scatter", "share of what is apart")[0]
    np.testing.assert_allclose(curve["x"], alarms)
    np.testing.assert_allclose(curve["y"], found)
    bars = traces(app, "bar", "probability of belonging")
    assert [int(np.sum(kind["customdata"])) for kind in bars] == [(told["truth"] == kind).sum() for kind in (0, 1)]


def test_pairs_are_listed_the_most_surely_wrong_first(opened: Session, runs: dict[str, Run]) -> None:
    frame, told = clumps(), runs["edge_classification"].predictions
    app = opened("edge_classification")
    table = shown(app, "separation")
    wrong = np.abs((table["truth"] == "together") - table["probability"])
    assert (np.diff(wrong) <= 1e-12).all()
    assert wrong.iloc[0] == pytest.approx((told["truth"] - told["probability"]).abs().max())
    ends = [frame[["x", "y", "z"]].to_numpy()[table[end]] for end in ("source", "receiver")]
    away = ends[0] - ends[1]
    distance = np.linalg.norm(away - SIDE * np.rint(away / SIDE), axis=1)
    np.testing.assert_allclose(table["separation"], distance, rtol=1e-4)
    assert headers(app)[1] == f"Rows {table['source'].iloc[0]} and {table['receiver'].iloc[0]}"


def test_the_pair_of_two_selected_objects_is_shown(opened: Session, runs: dict[str, Run]) -> None:
    pair = runs["edge_classification"].predictions.iloc[17]
    source, receiver = int(pair["source"]), int(pair["receiver"])
    app = opened("edge_classification", selected=f"{receiver},{source}")
    fine(app)
    assert headers(app)[1] == f"Rows {source} and {receiver}"
    assert figure(app, "Truth") == ("together" if pair["truth"] else "apart")
    app.segmented_control(key="which_pairs").set_value("selected").run()
    app.segmented_control(key="pairs_colour").set_value("right").run()
    fine(app)
    table = shown(app, "separation")
    assert (table["source"].isin([source, receiver]) | table["receiver"].isin([source, receiver])).all()


@pytest.mark.parametrize("task", list(TASKS))
def test_a_run_under_way_shows_the_folds_it_has(
    session: Session, runs: dict[str, Run], tmp_path: Path, task: str
) -> None:
    run = Run(Path(shutil.copytree(runs[task].folder, tmp_path / "runs" / "under-way")))
    told = run.predictions
    told[told["fold"] == 1].to_parquet(run.folder / "predictions.parquet", index=False)
    results = run.results
    (run.folder / "results.json").write_text(
        json.dumps(results | {"complete": False, "folds": results["folds"][1:]}), encoding="utf-8"
    )
    app = session("predictions", run=run.id)
    fine(app)
    assert any("So far 1 of 2 folds" in info.value for info in app.info)
    column = {
        "node_classification": "of the truth",
        "graph_regression": "graph_id",
        "edge_classification": "separation",
    }
    assert set(shown(app, column[task])["fold"]) == {1}


def test_pairs_that_a_file_labels_are_shown(session: Session, runs: dict[str, Run], tmp_path: Path) -> None:
    spec, told = runs["edge_classification"].spec, runs["edge_classification"].predictions
    path = tmp_path / "who_belongs.csv"
    half = told.iloc[::2][["source", "receiver"]].assign(label=told["truth"].iloc[::2])
    half.to_csv(path, index=False)
    run = train(spec.model_copy(update={"label": str(path), "epochs": 1, "baselines": ()}), tmp_path / "runs")
    app = session("predictions", run=run.id)
    fine(app)
    assert any("Grey ones were not tested" in caption.value for caption in app.caption)
    assert any(r"By who\_belongs.csv they are" in caption.value for caption in app.caption)
    assert len(run.predictions) <= len(half)


@pytest.mark.parametrize("task", list(TASKS))
def test_a_catalog_that_has_changed_since_is_told_of_in_one_sentence(
    opened: Session, runs: dict[str, Run], task: str
) -> None:
    path = Path(runs[task].spec.catalog.path)
    content = path.read_text()
    st.cache_resource.clear()
    try:
        clumps().iloc[:-30].to_csv(path, index=False)
        app = opened(task)
        assert not app.exception
        assert len(app.error) == 1 and "changed" in app.error[0].value
    finally:
        path.write_text(content)
        st.cache_resource.clear()
