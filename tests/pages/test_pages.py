"""Every page says something true at first sight, and what cannot be used is answered with one sentence."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from gnnlib.training.run import Run, create_run
from gnnlib.training.spec import RunSpec
from gnnlib.view.upload.intake import intake_of

Session = Callable[..., AppTest]
TITLES = {
    "": "Graph",
    "catalog": "Catalog",
    "train": "Train",
    "predictions": "Predictions",
    "attention": "Attention",
    "trust": "Trust",
    "whatif": "What if",
    "compare": "Compare",
}


def table(rows: int = 300, seed: int = 1) -> pd.DataFrame:
    """A small catalog in an open cube of 20 Mpc."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.uniform(0, 20, (rows, 3)), columns=["x", "y", "z"])
    frame["halo_mass"] = 10 ** rng.uniform(11, 14, rows)
    frame["stellar_mass"] = frame["halo_mass"] ** 0.7 * 10 ** rng.normal(0, 0.1, rows)
    return frame


@pytest.fixture
def small_catalog(data_folder: Path) -> Path:
    path = data_folder / "small.csv"
    table().to_csv(path, index=False)
    return path


def said(app: AppTest) -> str:
    """Everything the page says in words."""
    parts = [*app.markdown, *app.caption, *app.title, *app.subheader, *app.info, *app.warning]
    return " ".join(element.value for element in parts)


def figure(app: AppTest, label: str) -> str:
    return next(metric.value for metric in app.metric if metric.label == label)


def fine(app: AppTest) -> None:
    assert not app.exception, app.exception[0].stack_trace
    assert not app.error, app.error[0].value


@pytest.mark.parametrize("page", list(TITLES))
def test_the_first_view_of_a_page_works_before_a_click(session: Session, page: str) -> None:
    app = session(page)
    fine(app)
    assert app.title[0].value == TITLES[page]
    assert "Filament sample" in said(app)
    assert any(button.key == "next_step" for button in app.button), "no next step"


def test_the_first_page_draws_the_graph_with_its_figures(session: Session) -> None:
    app = session()
    assert len(app.get("bidi_component")) == 1
    assert int(figure(app, "Nodes").replace(",", "")) > 1000
    assert float(figure(app, "Mean degree")) > 1


def test_a_radius_typed_in_changes_figures_sidebar_and_address(session: Session) -> None:
    app = session()
    before = int(figure(app, "Edges").replace(",", ""))
    radius = app.number_input(key="graph_radius").value
    app.number_input(key="graph_radius").set_value(radius / 2).run()
    fine(app)
    assert int(figure(app, "Edges").replace(",", "")) < before
    assert f"{radius / 2:.4g} Mpc" in said(app)
    assert float("".join(app.query_params["radius"])) == pytest.approx(radius / 2, rel=1e-3)


def test_nearest_neighbours_give_every_node_its_k(session: Session) -> None:
    app = session()
    app.selectbox(key="graph_method").set_value("knn").run()
    app.number_input(key="graph_k").set_value(5).run()
    fine(app)
    assert figure(app, "Mean degree") == "5.00"
    assert "5 nearest neighbours" in said(app)


def test_too_many_edges_are_refused_in_one_sentence_and_the_page_stays(session: Session) -> None:
    app = session()
    app.number_input(key="graph_radius").set_value(90.0).run()
    assert not app.exception
    assert len(app.error) == 1 and "edges" in app.error[0].value
    app.number_input(key="graph_radius").set_value(3.0).run()
    fine(app)


def test_a_link_shows_the_same_radius_and_selection(session: Session) -> None:
    app = session("", radius="3.5", selected="17")
    fine(app)
    assert app.number_input(key="graph_radius").value == 3.5
    assert "Row **17**" in said(app)


@pytest.mark.parametrize("address", [{"run": "../../etc"}, {"run": "nothing"}, {"radius": "x"}, {"selected": "<b>,,"}])
def test_a_damaged_link_is_survived(session: Session, address: dict[str, str]) -> None:
    app = session("", **address)
    fine(app)
    assert app.title[0].value == "Graph"


def section(app: AppTest, name: str) -> AppTest:
    """A section of the Catalog page."""
    return app.segmented_control(key="catalog_section").set_value(name).run()


def test_the_catalog_page_proposes_the_roles_it_found(session: Session) -> None:
    app = section(session("catalog"), "Columns")
    values = {box.label: box.value for box in [*app.multiselect, *app.selectbox]}
    assert values["Position"] == ["x", "y", "z"]
    assert values["Mass"] == "halo_mass" and values["Target"] == "stellar_mass"


def test_a_cut_is_counted_and_reaches_the_sidebar(session: Session) -> None:
    app = section(session("catalog"), "Subsets")
    total = int(figure(app, "Rows").replace(",", ""))
    app.text_input(key="cut").set_value("is_central == 1").run()
    fine(app)
    assert 0 < int(figure(app, "Rows").replace(",", "")) < total
    assert "is\\_central" in said(app)


@pytest.mark.parametrize("expression", ["no_such_column > 1", "halo_mass >", "__import__('os').system('true')", "1 +"])
def test_a_bad_cut_is_answered_with_one_sentence_and_changes_nothing(session: Session, expression: str) -> None:
    app = section(session("catalog"), "Subsets")
    total = figure(app, "Rows")
    app.text_input(key="cut").set_value(expression).run()
    assert not app.exception
    assert len(app.error) == 1
    assert figure(app, "Rows") == total


def test_a_catalog_is_read_by_path(session: Session, small_catalog: Path) -> None:
    app = session("catalog")
    app.segmented_control(key="source").set_value("path").run()
    app.text_input(key="path").set_value("small.csv").run()
    fine(app)
    assert figure(app, "Rows") == "300"
    app.switch_page("graph.py").run()
    fine(app)
    assert figure(app, "Nodes") == "300"


@pytest.mark.parametrize("path", ["/etc/passwd", "../other.csv", "missing.csv"])
def test_a_wrong_path_is_answered_with_one_sentence(session: Session, small_catalog: Path, path: str) -> None:
    app = session("catalog")
    app.segmented_control(key="source").set_value("path").run()
    app.text_input(key="path").set_value(path).run()
    assert not app.exception
    assert len(app.error) == 1
    assert "Filament sample" in said(app)


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    """What the uploader in the browser does: the file arrives by its route, then the element says that it is there."""
    app.segmented_control(key="source").set_value("upload").run()
    given = json.loads(
        next(element.proto.json for element in app.get("bidi_component") if "token" in element.proto.json)
    )
    intake = intake_of(given["token"])
    assert intake is not None
    arrival = intake.begin("a" * 32, name, len(content))
    turn = intake.claim(arrival, 0)
    assert turn is not None
    intake.write(arrival, turn, content)
    app.session_state["uploaded"] = {"files": {"turn": 1, "ids": ["a" * 32]}}
    return app.run()


def test_an_upload_becomes_the_catalog_in_view(session: Session) -> None:
    buffer = io.BytesIO()
    table().to_parquet(buffer)
    app = upload(session("catalog"), "mine.parquet", buffer.getvalue())
    fine(app)
    assert figure(app, "Rows") == "300"
    assert "mine" in said(app)
    assert "catalog" not in app.query_params  # nobody else could open it


def test_a_catalog_without_positions_can_be_looked_at_and_the_graph_page_says_what_is_missing(
    session: Session, data_folder: Path
) -> None:
    table()[["halo_mass", "stellar_mass"]].to_csv(data_folder / "flat.csv", index=False)
    app = session("catalog")
    app.segmented_control(key="source").set_value("path").run()
    app.text_input(key="path").set_value("flat.csv").run()
    fine(app)
    assert figure(app, "Rows") == "300"
    for page in ("graph", "train"):
        app.switch_page(f"{page}.py").run()
        assert not app.exception
        assert len(app.error) == 1 and "position" in app.error[0].value


@pytest.mark.parametrize("content", [b"\x80\x04K\x01.", b"just words\nand more words", b"x,y,z\n"])
def test_a_bad_upload_is_answered_with_one_sentence(session: Session, content: bytes) -> None:
    app = upload(session("catalog"), "bad.csv", content)
    assert not app.exception
    assert len(app.error) == 1
    assert "Filament sample" in said(app)


def test_training_starts_in_a_process_of_its_own_and_the_run_is_opened(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[Run] = []
    monkeypatch.setattr("gnnlib.training.worker.launch", launched.append)
    app = session("train")
    app.text_input(key="run_name").set_value("my first").run()
    app.button(key="start").click().run()
    fine(app)
    assert len(launched) == 1
    spec = launched[0].spec
    assert spec.target == "log10(stellar_mass)" and "log10(halo_mass)" in spec.features
    assert spec.graph.radius and spec.catalog.path == "sample"
    assert "".join(app.query_params["run"]) == launched[0].id
    assert any(button.key == "cancel" for button in app.button)


def test_without_features_a_run_is_of_positions_only(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[Run] = []
    monkeypatch.setattr("gnnlib.training.worker.launch", launched.append)
    app = session("train")
    next(box for box in app.multiselect if box.label == "Features").set_value([]).run()
    assert "Positions only" in said(app)
    app.button(key="start").click().run()
    fine(app)
    assert launched[0].spec.features == ()


def test_a_feature_that_is_the_target_is_refused_in_one_sentence(session: Session) -> None:
    app = session("train")
    features = next(box for box in app.multiselect if box.label == "Features")
    features.set_value(["stellar_mass"]).run()
    next(box for box in app.selectbox if box.label == "Target").set_value("stellar_mass").run()
    app.button(key="start").click().run()
    assert not app.exception
    assert len(app.error) == 1 and "also a feature" in app.error[0].value


@pytest.mark.parametrize("task", ["node_classification", "edge_classification", "graph_regression"])
def test_every_task_can_be_started(session: Session, monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    launched: list[Run] = []
    monkeypatch.setattr("gnnlib.training.worker.launch", launched.append)
    monkeypatch.setattr("pages._train_plan.prepared", lambda spec: None)
    app = session("train")
    app.selectbox(key="task").set_value(task).run()
    fine(app)
    if task == "graph_regression":
        next(box for box in app.selectbox if box.label == "Of a group it is").set_value("sum").run()
    app.button(key="start").click().run()
    fine(app)
    spec = launched[0].spec
    assert spec.task == task and spec.features
    assert spec.label if task == "edge_classification" else spec.target


def test_presets_fill_the_form_and_the_equation_of_a_model_can_be_asked_for(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[Run] = []
    monkeypatch.setattr("gnnlib.training.worker.launch", launched.append)
    monkeypatch.setattr("pages._train_plan.prepared", lambda spec: None)
    app = session("train")
    assert any("softmax" in formula.value for formula in app.latex)
    app.selectbox(key="preset").set_value("wu2024").run()
    fine(app)
    assert figure_of(app, "Epochs") == 1000 and "Wu, Jespersen & Wechsler (2024)" in said(app)
    assert any("varphi" in formula.value for formula in app.latex)
    app.button(key="start").click().run()
    fine(app)
    spec = launched[0].spec
    assert (spec.model.name, spec.model.unshared, spec.model.latent) == ("message_passing", 8, 16)
    assert spec.model.self_path and (spec.folds, spec.schedule) == (3, "step")


def figure_of(app: AppTest, label: str) -> float | None:
    """The value of a field for numbers."""
    return next(field.value for field in app.number_input if field.label == label)


def test_a_buffer_narrower_than_the_reach_and_a_random_split_are_warned_of(session: Session) -> None:
    app = session("train")
    app.number_input(key="buffer").set_value(0.5).run()
    assert "Narrower than linking length × depth" in said(app)
    app.segmented_control(key="split_demo").set_value("random").run()
    fine(app)
    assert "the scores are too good" in said(app)


@pytest.fixture
def finished(tmp_path: Path, data_folder: Path, small_catalog: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of the attention model on a small catalog, trained for a moment."""
    from gnnlib.training.worker import execute

    monkeypatch.setenv("FILAMENT_RUNS", str(tmp_path / "runs"))
    run = create_run(
        RunSpec.model_validate(
            {
                "catalog": {"path": str(small_catalog)},
                "graph": {"radius": 3.0, "edge_features": ["length"]},
                "target": "log10(stellar_mass)",
                "features": ["log10(halo_mass)"],
                "model": {"name": "attention", "hidden": 8, "latent": 4, "heads": 2},
                "folds": 2,
                "epochs": 2,
                "buffer": 1.0,
                "baselines": ["mean", "linear"],
            }
        )
    )
    execute(run)
    return run


def test_a_finished_run_is_shown_with_its_object_and_its_attention(session: Session, finished: Run) -> None:
    app = session("predictions", run=finished.id)
    fine(app)
    assert figure(app, "RMSE") == f"{finished.results['metrics']['rmse']['mean']:.3f}"
    predictions = finished.predictions.set_index("row_id")
    worst = predictions["residual"].abs().idxmax()
    assert any(header.value == f"Row {worst}" for header in app.subheader)
    app.session_state.selection = ("7",)
    app.run()
    fine(app)
    assert figure(app, "Truth") == f"{predictions['truth'][7]:.3f}"
    low, high = predictions.loc[7, ["lower_68", "upper_68"]]
    assert any(f"(conformal) {low:.3f} to {high:.3f}" in caption.value for caption in app.caption)
    app.switch_page("attention.py").run()
    fine(app)
    assert any(header.value == "Edges of row 7" for header in app.subheader)


@pytest.mark.parametrize(
    ("task", "label"),
    [
        ({"task": "node_classification", "target": "halo_mass > 1e12"}, "Accuracy"),
        ({"task": "edge_classification", "label": "halo_mass > 1e12"}, "ROC AUC"),
        ({"more_targets": ["halo_mass * 2"], "target": "log10(stellar_mass)"}, "RMSE"),
    ],
)
def test_runs_of_every_task_can_be_opened_on_every_page(
    session: Session, finished: Run, task: dict, label: str
) -> None:
    from gnnlib.training.worker import train

    spec = finished.spec.model_dump(exclude={"baselines", "target"}) | {"epochs": 1}
    run = train(RunSpec.model_validate(spec | task))
    app = session("predictions", run=run.id)
    fine(app)
    assert figure(app, label)
    for page in ("attention", "train", "trust", "whatif", "compare"):
        app.switch_page(f"{page}.py").run()
        fine(app)
        told = "The Predictions page shows what it said" in said(app)
        assert told == (page != "train" and run.spec.task != "node_regression")


def test_an_estimate_is_measured_before_the_start(session: Session, small_catalog: Path) -> None:
    app = session("catalog")
    app.segmented_control(key="source").set_value("path").run()
    app.text_input(key="path").set_value("small.csv").run()
    app.switch_page("train.py").run()
    assert "a step on the whole graph" in said(app)
    app.button(key="measure").click().run()
    fine(app)
    assert "steps of the first fold" in said(app)


def test_folds_are_drawn_in_space(session: Session, small_catalog: Path) -> None:
    app = session("catalog")
    app.segmented_control(key="source").set_value("path").run()
    app.text_input(key="path").set_value("small.csv").run()
    app.switch_page("train.py").run()
    before = len(app.get("bidi_component"))
    app.toggle(key="folds_drawn").set_value(True).run()
    fine(app)
    assert len(app.get("bidi_component")) == before + 1
    assert {"train", "validation", "buffer", "test"} == set(app.dataframe[-2].value["part"])


def test_notes_are_kept_and_a_deleted_run_comes_back(session: Session, finished: Run) -> None:
    app = session("train", run=finished.id)
    app.text_area(key=f"notes_{finished.id}").set_value("a first try").run()
    fine(app)
    assert finished.notes == "a first try"
    app.session_state["runs"] = {"selection": {"rows": [0], "columns": []}}
    app.run()
    app.button(key="delete_runs").click().run()
    fine(app)
    assert not finished.folder.exists() and "Deleted" in said(app)
    app.button(key="undo_delete").click().run()
    fine(app)
    assert finished.folder.exists() and "".join(app.query_params["run"]) == finished.id


def test_an_interrupted_run_can_be_gone_on_with(
    session: Session, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[Run] = []
    monkeypatch.setattr("gnnlib.training.worker.launch", launched.append)
    finished.write_status(state="cancelled", message="Cancelled; start it again to go on.")
    app = session("train", run=finished.id)
    app.button(key="resume").click().run()
    assert [run.id for run in launched] == [finished.id]


def test_a_run_in_line_says_behind_whom(session: Session, finished: Run) -> None:
    behind = f"Waiting for {finished.id} to finish, after 1 other run in line."
    finished.write_status(state="queued", message=behind)
    with finished.worker_lock():
        app = session("train", run=finished.id)
    told = next(element.value for element in app.info if "in line" in element.value)
    assert "attention for log10" in told and finished.id not in told.replace("\\", "")
    assert any(button.key == "cancel" for button in app.button)


def test_runs_are_shown_side_by_side(session: Session, finished: Run) -> None:
    app = session("train", run=finished.id)
    app.session_state["runs"] = {"selection": {"rows": [0, 1], "columns": []}}
    app.run()
    fine(app)
    assert any(header.value == "Side by side" for header in app.subheader)
    tables = [table.value for table in app.dataframe]
    assert any("setting" in table and "epochs" in set(table["setting"]) for table in tables)
    assert any("run" in table and "R²" in table and len(table) == 2 for table in tables)


def test_a_run_of_a_catalog_that_has_changed_since_is_not_mixed_with_it(
    session: Session, finished: Run, small_catalog: Path
) -> None:
    table(seed=2).to_csv(small_catalog, index=False)
    app = session("predictions", run=finished.id)
    assert not app.exception
    assert len(app.error) == 1 and "changed" in app.error[0].value


def test_a_run_without_attention_says_so_and_shows_the_way(session: Session, finished: Run) -> None:
    (finished.folder / "attention.parquet").unlink()
    app = session("attention", run=finished.id)
    fine(app)
    assert "keeps no attention" in said(app)
    app.button(key="next_step").click().run()
    assert app.title[0].value == "Train"


def test_a_damaged_run_spoils_no_page(session: Session, finished: Run) -> None:
    (finished.folder / "spec.json").write_text("{")
    for page in TITLES:
        app = session(page, run=finished.id)
        assert not app.exception
        assert app.title[0].value == TITLES[page]
