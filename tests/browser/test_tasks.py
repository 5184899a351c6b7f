"""A visitor looks at runs about classes and about whole groups: the table, the picture and the card show one object."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from gnnlib.training.run import Run
from gnnlib.training.spec import RunSpec
from gnnlib.training.worker import train

from .visitor import WAIT, drawn, expect_figure, seen, settled, visiting

pytestmark = pytest.mark.browser
PROJECT = Path(__file__).resolve().parents[2]
ROW, HEADER = 35, 36  # heights in a table


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Classes and masses of 60 clumps of objects."""
    folder, rng = tmp_path_factory.mktemp("tasks"), np.random.default_rng(5)
    clump = np.repeat(np.arange(60), rng.integers(3, 10, 60))
    offset = rng.normal(0, 0.9, (len(clump), 3))
    frame = pd.DataFrame(rng.uniform(0, 40, (60, 3))[clump] + offset, columns=list("xyz")).assign(
        clump=clump,
        whole=rng.normal(13, 0.5, 60)[clump],
        mass=10 ** rng.normal(12, 0.5, len(clump)),
        kind=np.where(np.linalg.norm(offset, axis=1) < 1.3, "<i>core</i>", "outskirts"),
    )
    frame.to_csv(folder / "clumps.csv", index=False)
    common = {
        "catalog": {"path": str(folder / "clumps.csv")},
        "graph": {"radius": 2.5},
        "model": {"hidden": 8, "latent": 4, "heads": 2},
        "features": ["log10(mass)"],
        "split": "blocks",
        "folds": 2,
        "epochs": 3,
        "baselines": ["mlp"],
        "device": "cpu",
    }
    tasks: dict[str, dict[str, Any]] = {
        "node_classification": {"target": "kind"},
        "graph_regression": {"target": "whole", "graph_by": "clump"},
    }
    return {
        task: train(RunSpec.model_validate(common | {"task": task} | fields), folder / "runs")
        for task, fields in tasks.items()
    }


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], runs: dict[str, Run]) -> str:
    return serve(PROJECT / "app.py", FILAMENT_RUNS=str(next(iter(runs.values())).folder.parent))


def select_row(page: Any, header: str, place: int) -> None:
    """Tick a row of the table under this heading; its cells are painted, not elements."""
    table = page.locator("[data-testid=stDataFrame]").nth(-2)  # the last one is of the baselines
    assert page.get_by_role("heading", name=header, exact=True).is_visible()
    table.scroll_into_view_if_needed()
    settled(page)
    box = table.bounding_box()
    page.mouse.click(box["x"] + 18, box["y"] + HEADER + ROW * place + ROW / 2)
    settled(page)


def wait_selected(page: Any, key: str, ids: list[int]) -> None:
    script = "([key, ids]) => window.__filament?.[key]?.report().selection.join() === ids.join()"
    page.wait_for_function(script, arg=[key, list(map(str, ids))], timeout=WAIT)


def test_a_wrong_object_of_the_table_is_in_the_picture_and_on_the_card(
    chromium: Any, address: str, runs: dict[str, Run]
) -> None:
    run = runs["node_classification"]
    told = run.predictions
    told["top"] = told[[f"probability_{name}" for name in run.results["classes"]]].max(axis=1)
    wrong = told[told["truth"] != told["prediction"]].sort_values("top", ascending=False, kind="stable")
    with visiting(chromium, f"{address}/predictions?run={run.id}") as page:
        seen(page.get_by_role("heading", name="Confusion", exact=True))
        settled(page)
        assert drawn(page, "classes_canvas")["nodes"] == len(told)
        seen(page.get_by_role("heading", name=f"Row {wrong['row_id'].iloc[0]}", exact=True))
        expect(page.locator(".js-plotly-plot", has_text="predicted").first).to_contain_text("<i>core</i>")
        select_row(page, "Objects", 2)
        third = wrong.iloc[2]
        seen(page.get_by_role("heading", name=f"Row {third['row_id']}", exact=True))
        expect_figure(page, "Truth", third["truth"])
        wait_selected(page, "classes_canvas", [third["row_id"]])
        page.get_by_text("Right or wrong", exact=True).click()
        settled(page)
        seen(page.locator(".bars").get_by_text("wrong", exact=True))
        page.get_by_test_id("stMain").evaluate("(main) => main.scrollTo(0, 0)")
        settled(page)
        other = page.evaluate(
            """async (not) => {
                for (let id = 0; ; id++) {
                    const place = await window.__filament.classes_canvas.screen(id);
                    if (id !== not && place?.picked === String(id)) return { id, x: place.x, y: place.y };
                }
            }""",
            int(third["row_id"]),
        )
        page.mouse.click(other["x"], other["y"])
        seen(page.get_by_role("heading", name=f"Row {other['id']}", exact=True))
        wait_selected(page, "classes_canvas", [other["id"]])


def test_a_group_of_the_table_is_selected_with_its_members_and_the_picture_goes_there(
    chromium: Any, address: str, runs: dict[str, Run]
) -> None:
    run = runs["graph_regression"]
    told = run.predictions
    order = np.argsort(-told["residual"].abs().to_numpy(), kind="stable")
    group = told.iloc[order[1]]
    frame = pd.read_csv(run.spec.catalog.path)
    members = frame.index[frame["clump"] == group["graph_id"]]
    with visiting(chromium, f"{address}/predictions?run={run.id}") as page:
        seen(page.get_by_role("heading", name="Groups", exact=True))
        settled(page)
        before = drawn(page, "groups_canvas")["camera"]
        select_row(page, "Groups", 1)
        seen(page.get_by_role("heading", name=f"clump {group['graph_id']:.0f}", exact=True))
        wait_selected(page, "groups_canvas", members.tolist())
        settled(page)
        now = page.evaluate(f"window.__filament[{json.dumps('groups_canvas')}].report().camera")
        assert now["distance"] < before["distance"]
        middle = frame.loc[members, list("xyz")].agg(["min", "max"]).mean().to_numpy()
        np.testing.assert_allclose(np.array(now["target"]), middle, atol=0.1)
