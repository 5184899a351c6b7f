"""A folder of catalogs on every page: read by path, one file drawn, whole files in the folds, runs that open again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from gnnlib.training.run import Run
from gnnlib.training.spec import RunSpec
from gnnlib.training.worker import train

Session = Callable[..., AppTest]
BOXES = 20


@pytest.fixture
def boxes(data_folder: Path) -> Path:
    folder, rng = data_folder / "boxes", np.random.default_rng(0)
    folder.mkdir()
    for number in range(BOXES):
        frame = pd.DataFrame(rng.uniform(0, 10, (30, 3)), columns=["x", "y", "z"])
        frame["halo_mass"] = 10 ** rng.uniform(11, 14, 30)
        frame["stellar_mass"] = frame["halo_mass"] ** 0.7 * 10 ** rng.normal(0, 0.1, 30)
        frame.to_csv(folder / f"LH_{number}.csv", index=False)
    pd.DataFrame({"Omega_m": np.linspace(0.1, 0.5, BOXES)}).to_csv(folder / "parameters.csv", index=False)
    return folder


def fine(app: AppTest) -> None:
    assert not app.exception, app.exception[0].stack_trace
    assert not app.error, app.error[0].value


def opened(session: Session) -> AppTest:
    app = session("catalog")
    app.segmented_control(key="source").set_value("path").run()
    app.text_input(key="path").set_value("boxes").run()
    fine(app)
    return app


def test_a_folder_is_looked_at_file_by_file(session: Session, boxes: Path) -> None:
    app = opened(session)
    assert next(metric.value for metric in app.metric if metric.label == "Rows") == "600"
    app.switch_page("graph.py").run()
    fine(app)
    assert any(r"Showing LH\_0 of 20 files" in caption.value for caption in app.caption)
    assert next(metric.value for metric in app.metric if metric.label == "Nodes") == "600"
    app.selectbox(key="file_drawn").set_value("LH_11").run()
    fine(app)
    assert any(r"Showing LH\_11 of 20 files" in caption.value for caption in app.caption)
    app.session_state.selection = ("LH_7:3",)
    app.run()
    fine(app)
    assert app.selectbox(key="file_drawn").value == "LH_7"
    app.selectbox(key="file_drawn").set_value("LH_2").run()
    assert any(r"Showing LH\_2 of 20 files" in caption.value for caption in app.caption)
    assert any(caption.value.split(" of 600 objects")[0].isdigit() for caption in app.caption)


def test_the_form_offers_the_parameters_of_the_files(
    session: Session, boxes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[Run] = []
    monkeypatch.setattr("gnnlib.training.worker.launch", launched.append)
    app = opened(session)
    app.switch_page("train.py").run()
    app.selectbox(key="task").set_value("graph_regression").run()
    fine(app)
    app.number_input(key=next(box.key for box in app.number_input if box.label == "Folds")).set_value(2).run()
    app.toggle(key="folds_drawn").set_value(True).run()
    fine(app)
    listed = next(frame.value for frame in app.dataframe if list(frame.value.columns) == ["file", "part"])
    assert listed["file"].tolist() == [f"LH_{number}" for number in range(BOXES)]
    assert set(listed["part"]) == {"train", "validation", "test"}
    app.button(key="start").click().run()
    fine(app)
    spec = launched[0].spec
    assert (spec.task, spec.graph_by, spec.target) == ("graph_regression", "catalog", "Omega_m")


@pytest.mark.parametrize("task", ["node_regression", "graph_regression"])
def test_a_run_on_a_folder_opens_again_on_every_page(
    session: Session, boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    monkeypatch.setenv("FILAMENT_RUNS", str(tmp_path / "runs"))
    given = {
        "catalog": {"path": str(boxes)},
        "graph": {"radius": 3.0, "edge_features": ["length"]},
        "task": task,
        "target": "Omega_m" if task == "graph_regression" else "log10(stellar_mass)",
        "features": ["log10(halo_mass)"],
        "model": {"name": "attention", "hidden": 8, "latent": 4, "heads": 2},
        "folds": 2,
        "epochs": 2,
        "baselines": ["mean"],
    }
    run = train(RunSpec.model_validate(given))
    app = session("predictions", run=run.id)
    fine(app)
    assert any("2 folds (whole files)" in caption.value for caption in app.caption)
    if task == "graph_regression":
        worst = run.predictions.set_index("graph_id")["residual"].abs().idxmax()
        app.button(key="select_group").click().run()
        fine(app)
        assert app.session_state.file_drawn == worst and len(app.session_state.selection) == 30
        assert any(worst.replace("_", r"\_") in caption.value for caption in app.caption)
    for page in ("train", "graph", "attention", "trust", "whatif", "compare"):
        app.switch_page(f"{page}.py").run()
        fine(app)
