"""How fast a run is asked again, on the bundled one: against asking the whole fold for every question."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.explain import effects
from gnnlib.explain.features import kept_edges
from gnnlib.explain.honesty import judge
from gnnlib.explain.node import ego_table, similar
from gnnlib.explain.replay import Replay
from gnnlib.explain.whatif import Change, what_if
from gnnlib.graph.build import build_graph
from gnnlib.training.run import load_run

from .timing import best_of

pytestmark = pytest.mark.benchmark


@pytest.fixture(scope="module")
def replay() -> Replay:
    found = Replay.open(load_run("demo"))
    _ = found.prediction, [fold.latent for fold in found.folds]
    return found


def test_deletion_effects_against_the_whole_fold_for_each_edge(replay: Replay) -> None:
    row = int(replay.sample(1, seed=3)[0])
    fold, node = replay.place(row)
    into = fold.edges_into(np.array([node]))

    def brute() -> np.ndarray:
        change = []
        for edge in into:
            keep = np.ones(fold.graph.n_edges, dtype=bool)
            keep[edge] = False
            change.append(kept_edges(fold, keep).prediction[node] - fold.prediction[node])
        return np.array(change)

    theirs, expected = best_of(1, brute)
    ours, found = best_of(5, lambda: effects.deletion(fold.fields(np.array([node]))))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    print(f"{len(into)} edges: whole fold {theirs:.3f} s, fields {ours:.4f} s, ratio {ours / theirs:.4f}")
    assert ours < theirs / 4


def test_a_card_takes_less_than_predicting_its_fold(replay: Replay) -> None:
    rows = replay.sample(20)
    whole, _ = best_of(3, replay.folds[0].whole)
    card, _ = best_of(1, lambda: [(ego_table(replay, int(row)), similar(replay, int(row))) for row in rows])
    print(f"predicting a fold {whole:.3f} s; one card {card / len(rows):.4f} s, ratio {card / len(rows) / whole:.3f}")
    assert card / len(rows) < whole


def test_what_if_takes_less_than_building_the_graph_anew(replay: Replay) -> None:
    row = int(replay.sample(1)[0])
    table = ego_table(replay, row)
    change = Change(kind="delete", row=int(table["source"].iloc[0]))
    row_id = replay.data.catalog.row_ids[row].item()
    whole, _ = best_of(3, lambda: build_graph(replay.data.catalog, replay.run.spec.graph))
    ours, _ = best_of(3, lambda: what_if(replay, (change,), row_id))
    print(f"the graph anew {whole:.3f} s, what if {ours:.3f} s, ratio {ours / whole:.3f}")
    assert ours < 2 * whole


def test_honesty_of_two_hundred_objects_against_brute_force(replay: Replay) -> None:
    whole, _ = best_of(3, replay.folds[0].whole)
    ours, found = best_of(1, lambda: judge(replay, 200))
    asked = len(found.edges)
    print(f"{asked} edges: judged {ours:.1f} s; whole folds for the deletions alone would take {asked * whole:.0f} s")
    assert ours < asked * whole / 4
