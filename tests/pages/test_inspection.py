"""The pages that look into a run show the numbers of the run's folder and of the explanations behind them."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from gnnlib.explain.node import ego_table
from gnnlib.explain.replay import Replay
from gnnlib.explain.whatif import Change, what_if
from gnnlib.training.run import load_run

Session = Callable[..., AppTest]


def said(app: AppTest) -> str:
    """Everything the page says in words."""
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.subheader, *app.info])


def figure(app: AppTest, label: str) -> str:
    return next(metric.value for metric in app.metric if metric.label == label)


def fine(app: AppTest) -> None:
    assert not app.exception, app.exception[0].stack_trace
    assert not app.error, app.error[0].value


@pytest.fixture(scope="module")
def replay() -> Replay:
    return Replay.open(load_run("demo"))


def shown(app: AppTest, column: str):
    """The table on the page that has this column."""
    return next(table.value for table in app.dataframe if column in table.value)


def test_the_card_shows_the_prediction_and_every_edge_behind_it(session: Session, replay: Replay) -> None:
    row = int(replay.sample(1, seed=2)[0])
    row_id = replay.data.catalog.row_ids[row]
    app = session("predictions", selected=str(row_id))
    fine(app)
    stored = replay.run.predictions.set_index("row_id").loc[row_id]
    assert figure(app, "Prediction") == f"{stored['prediction']:.3f}"
    assert figure(app, "Residual") == f"{stored['residual']:+.3f}"
    smaller = (replay.run.predictions["residual"].abs() < abs(stored["residual"])).mean()
    assert f"{100 * smaller:.1f} % of the objects" in said(app)
    table, expected = shown(app, "deletion"), ego_table(replay, row)
    assert table["source"].tolist() == expected["source"].tolist()
    np.testing.assert_allclose(table["deletion"], expected["deletion"], atol=1e-5)
    app.segmented_control(key="card_part").set_value("Similar objects").run()
    assert len(shown(app, "distance")) == 8
    app.segmented_control(key="card_part").set_value("Link").run()
    assert f"run=demo&selected={row_id}" in app.code[0].value


def test_the_worst_and_the_best_objects_are_listed(session: Session, replay: Replay) -> None:
    app = session("predictions")
    sizes = replay.run.predictions["residual"].abs()
    assert abs(shown(app, "truth")["residual"].iloc[0]) == pytest.approx(sizes.max())
    app.segmented_control(key="which_objects").set_value("Best").run()
    fine(app)
    assert abs(shown(app, "truth")["residual"].iloc[0]) == pytest.approx(sizes.min())


def test_the_attention_page_says_whether_heads_and_folds_agree(session: Session) -> None:
    app = session("attention")
    app.segmented_control(key="attention_about").set_value("Do heads and folds agree?").run()
    fine(app)
    assert "Between folds" in said(app)
    app.segmented_control(key="attention_about").set_value("Another run").run()
    fine(app)


def test_the_honesty_panel_gives_a_verdict_with_numbers(session: Session) -> None:
    app = session("trust")
    app.selectbox(key="honesty_objects").set_value(50).run()
    app.button(key="start_honesty").click().run()
    fine(app)
    words = said(app).replace("\\", "")
    assert re.search(r"attention predicts the deletion effect with ρ = [+-]0\.\d\d ± 0\.\d\d, distance alone", words)


def test_inputs_and_symmetries_are_tried(session: Session) -> None:
    app = session("trust")
    app.segmented_control(key="trust_section").set_value("Which inputs matter").run()
    app.button(key="start_inputs").click().run()
    fine(app)
    app.segmented_control(key="trust_section").set_value("Symmetries").run()
    app.button(key="trial_permute").click().run()
    fine(app)
    assert float(figure(app, "Permute the rows: largest change").split()[0]) < 1e-3


def test_a_deleted_neighbour_changes_the_prediction_and_comes_back(session: Session, replay: Replay) -> None:
    row = int(replay.sample(1)[0])
    row_id = replay.data.catalog.row_ids[row].item()
    app = session("whatif", selected=str(row_id))
    fine(app)
    first = ego_table(replay, row)["source"].iloc[0]
    app.selectbox(key=f"change_source_{row_id}").set_value(first)
    app.button(key="apply_change").click().run()
    fine(app)
    expected = what_if(replay, (Change(kind="delete", row=int(first)),), row_id).table
    assert figure(app, "Change") == f"{expected['change'].iloc[0]:+.4f} dex"
    assert figure(app, "Other predictions changed") == f"{len(expected) - 1:,}"
    app.button(key="undo_change").click().run()
    fine(app)
    assert figure(app, "Change") == "+0.0000 dex"
