"""What-if against brute force: the whole changed catalog, its whole graph, every object asked again."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gnnlib.catalog.expressions import evaluate
from gnnlib.errors import InputError
from gnnlib.explain.replay import Replay
from gnnlib.explain.whatif import Change, what_if
from gnnlib.graph.build import build_graph
from gnnlib.graph.graph import GraphSpec


def brute_force(replay: Replay, row: int, table, gone=(), cut=()) -> dict[int, float]:
    """Predictions of the fold that tested `row`, by row id, from the changed table without the row ids `gone`."""
    fold, _ = replay.place(row)
    whole = replay.data.catalog
    catalog = replace(whole, table=table).take(~np.isin(whole.row_ids, gone))
    graph = build_graph(catalog, replay.run.spec.graph)
    if cut:
        keep = np.array([pair not in cut for pair in zip(*graph.row_ids[graph.edge_index].tolist(), strict=True)])
        graph = replace(
            graph,
            edge_index=graph.edge_index[:, keep],
            separations=graph.separations[keep],
            lengths=graph.lengths[keep],
            edge_features=graph.edge_features[keep],
        )
    seen = np.isin(catalog.row_ids, whole.row_ids[fold.rows])
    features = np.column_stack([evaluate(name, catalog) for name in replay.run.spec.features])
    rows = fold.rows[np.isin(whole.row_ids[fold.rows], catalog.row_ids)]
    asked = fold.on(graph.subgraph(seen), features[seen], rows, None)
    return dict(zip(whole.row_ids[rows[asked.tested]].tolist(), asked.prediction[asked.tested], strict=True))


def agree(replay: Replay, row: int, found, expected: dict[int, float]) -> None:
    """The table has every prediction that changed, as brute force has it; all others stayed."""
    fold, _ = replay.place(row)
    before = dict(zip(replay.data.catalog.row_ids[fold.rows].tolist(), fold.prediction, strict=True))
    listed = found.table.set_index("row")["after"]
    for row_id, value in expected.items():
        assert listed.get(row_id, before[row_id]) == pytest.approx(value, abs=2e-5 * fold.unit)


@pytest.mark.parametrize("kind", ["attention", "message_passing"])
@pytest.mark.parametrize("what", ["delete", "cut", "move", "mass", "all"])
def test_predictions_after_a_change_equal_brute_force(replays, kind, what):
    replay = replays[kind]
    row = int(replay.sample(9)[4])
    catalog = replay.data.catalog
    fold, node = replay.place(row)
    near = fold.fields(np.array([node]))
    sources = catalog.row_ids[fold.rows[near.node[near.edge_index[0, near.near]]]].tolist()
    row_id, other, last = catalog.row_ids[row].item(), sources[0], sources[-1]
    made = {
        "delete": Change(kind="delete", row=other),
        "cut": Change(kind="cut", row=row_id, source=last),
        "move": Change(kind="move", row=row_id, shift=(2.0, -1.0, 3.0)),
        "mass": Change(kind="mass", row=other, dex=0.7),
    }
    changes = tuple(made.values())[:3] if what == "all" else (made[what],)
    table = catalog.table.copy()
    place = {value: number for number, value in enumerate(catalog.row_ids.tolist())}
    if what in ("move", "all"):
        table.loc[row, ["x", "y", "z"]] += [2.0, -1.0, 3.0]
    if what == "mass":
        table.loc[place[other], "mass"] *= 10**0.7
    gone = [other] if what in ("delete", "all") else []
    cut = [(last, row_id)] if what in ("cut", "all") else []
    found = what_if(replay, changes, row_id)
    agree(replay, row, found, brute_force(replay, row, table, gone, cut))
    assert found.table["row"].iloc[0] == row_id
    assert (np.abs(found.table["change"].iloc[1:]) > 0).all()
    changed = found.hops.set_index("hop")
    assert changed["changed"].sum() <= changed["objects"].sum()


def test_nothing_changes_without_a_change(replays):
    replay = replays["attention"]
    row_id = replay.data.catalog.row_ids[3].item()
    found = what_if(replay, (), row_id)
    assert found.table["row"].tolist() == [row_id] and found.table["change"].tolist() == [0.0]


def test_hops_count_edges_from_what_was_deleted(replays):
    replay = replays["message_passing"]
    row = int(replay.sample(9)[4])
    graph, ids = replay.data.graph, replay.data.catalog.row_ids
    found = what_if(replay, (Change(kind="delete", row=ids[row].item()),), ids[row - 1 if row else 1].item())
    hop = found.table.set_index("row")["hop"]
    neighbours = ids[graph.edge_index[1, graph.edge_index[0] == row]]
    for row_id in set(neighbours) & set(hop.index):
        assert hop[row_id] == 1


def test_changes_say_what_they_are_and_strangers_are_refused(replays):
    assert str(Change(kind="move", row=5, shift=(1, 0, -2))) == "move 5 by (+1, +0, -2)"
    assert str(Change(kind="cut", row=5, source=7)) == "cut the edge 7 → 5"
    assert (
        str(Change(kind="mass", row=5, dex=1.0)) == "mass of 5 × 10" and str(Change(kind="delete", row=5)) == "delete 5"
    )
    with pytest.raises(InputError, match="no row '-5'"):
        what_if(replays["attention"], (Change(kind="delete", row=-5),), -5)


def test_edges_from_a_file_can_be_cut_but_not_built_anew(replays):
    replay = replays["attention"]
    spec = replay.run.spec.model_copy(update={"graph": GraphSpec(method="edge_list", edges="edges.csv")})
    from_file = replace(replay, run=SimpleNamespace(spec=spec))
    row_id = replay.data.catalog.row_ids[0].item()
    for kind in ("delete", "move"):
        with pytest.raises(InputError, match="read from a file"):
            what_if(from_file, (Change(kind=kind, row=row_id),), row_id)
