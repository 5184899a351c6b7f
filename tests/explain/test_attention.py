"""Attention read back: shares made relative, edges found by row ids, summaries by separation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Roles
from gnnlib.errors import InputError
from gnnlib.explain import attention
from gnnlib.graph.graph import GraphSpec
from gnnlib.training.run import Run, create_run
from gnnlib.training.spec import RunSpec


def table_of(n_receivers: int = 30, seed: int = 0) -> pd.DataFrame:
    """Receivers 100, 101, ... with 1, 2, ... edges; head 0 even, head 1 falling with the length."""
    rng = np.random.default_rng(seed)
    rows = []
    for receiver in range(n_receivers):
        length = rng.uniform(0.1, 3.0, 1 + receiver % 7)
        falling = np.exp(-length) / np.exp(-length).sum()
        for source in range(len(length)):
            rows.append(
                (200 + source, 100 + receiver, receiver % 3, False, length[source], 1 / len(length), falling[source])
            )
    names = ["source", "receiver", "fold", "self_loop", "length", "layer0_head0", "layer0_head1"]
    return pd.DataFrame(rows, columns=names)


@pytest.fixture
def run(tmp_path) -> Run:
    spec = RunSpec(catalog=CatalogSpec(path="sample"), graph=GraphSpec(radius=3.0), target="t", features=("f",))
    run = create_run(spec, tmp_path)
    table_of().to_parquet(run.folder / "attention.parquet")
    return run


def test_even_attention_is_one_whatever_the_number_of_neighbours():
    np.testing.assert_allclose(attention.relative(table_of(), "layer0_head0"), 1.0)


def test_relative_attention_averages_to_one_over_each_receiver():
    table = table_of()
    means = pd.Series(attention.relative(table, "layer0_head1")).groupby(table["receiver"]).mean()
    np.testing.assert_allclose(means, 1.0)


def test_heads_have_names_and_an_unknown_head_is_refused():
    table = table_of()
    assert attention.heads(table) == ["layer0_head0", "layer0_head1"]
    assert attention.head_label("layer0_head1") == "Layer 1, head 2"
    np.testing.assert_allclose(attention.weights(table), (table["layer0_head0"] + table["layer0_head1"]) / 2)
    with pytest.raises(InputError, match="no attention head 'layer9_head0'"):
        attention.weights(table, "layer9_head0")


@pytest.mark.parametrize("row_id", [104, "104"])
def test_a_nodes_edges_are_its_own_with_the_strongest_first(run, row_id):
    edges = attention.node_edges(run, row_id)
    assert set(edges["receiver"]) == {104} and len(edges) == 5
    assert edges["attention"].is_monotonic_decreasing
    assert edges["attention"].sum() == pytest.approx(1.0)
    np.testing.assert_allclose(edges["relative_attention"], edges["attention"] * 5)
    assert attention.node_edges(run, 999).empty


def test_separations_take_the_shorter_way_through_the_periodic_face(run):
    ids = np.concatenate([np.arange(100, 130), np.arange(200, 207)])
    x = np.where(ids < 200, 9.5, 0.5)
    frame = pd.DataFrame({"x": x, "y": 5.0, "z": 5.0})
    columns = {name: Column(name, "Mpc") for name in frame}
    roles, spec = Roles(position=("x", "y", "z")), CatalogSpec(path="sample")
    catalog = Catalog(frame, columns, roles, ids, spec, "test", np.full(3, 10.0), (True, False, False), "Mpc")
    edges = attention.node_edges(run, 104, catalog)
    np.testing.assert_allclose(edges[["separation_x", "separation_y", "separation_z"]], [[1.0, 0.0, 0.0]] * 5)
    with pytest.raises(InputError, match="row ids are not in this catalog"):
        attention.node_edges(run, 104, catalog.take(ids < 200))
    open_along_x = replace(catalog, periodic_axes=(False, True, True))
    np.testing.assert_allclose(attention.node_edges(run, 104, open_along_x)["separation_x"], -9.0)


def test_attention_that_falls_with_length_is_seen_by_separation():
    summary = attention.by_separation(table_of(300), "layer0_head1", bins=6)
    assert summary["edges"].sum() == len(table_of(300))
    assert summary["median"].iloc[0] > 1.0 > summary["median"].iloc[-1]
    assert (summary["p16"] <= summary["median"]).all() and (summary["median"] <= summary["p84"]).all()
    flat = attention.by_separation(table_of(300), "layer0_head0", bins=6)
    np.testing.assert_allclose(flat[["p16", "median", "p84"]], 1.0)


def test_self_loops_are_in_no_summary_of_neighbours():
    table = table_of()
    table["self_loop"] = True
    assert attention.by_separation(table).empty and attention.top_edges(table, 5).empty


def test_top_edges_are_those_of_highest_relative_attention():
    table = table_of()
    top = attention.top_edges(table, 4, "layer0_head1")
    np.testing.assert_allclose(top["relative_attention"], np.sort(attention.relative(table, "layer0_head1"))[::-1][:4])


def test_a_run_without_attention_says_so(run):
    (run.folder / "attention.parquet").unlink()
    with pytest.raises(InputError, match="has no attention"):
        attention.read_attention(run)
    (run.folder / "results.json").write_text('{"complete": true}')
    with pytest.raises(InputError, match=r"The model .attention. of run .* has no attention"):
        attention.read_attention(run)


def test_quantities_of_edges_are_those_of_the_catalog(replays):
    replay = replays["attention"]
    table, catalog = replay.run.attention.iloc[::17].reset_index(drop=True), replay.data.catalog
    found = attention.edge_quantities(table, catalog)
    place = {row_id: row for row, row_id in enumerate(catalog.row_ids)}
    edge = table.iloc[5]
    source, receiver = place[edge["source"]], place[edge["receiver"]]
    mass, moving = catalog.values("mass"), catalog.velocities()[source] - catalog.velocities()[receiver]
    assert found["mass_ratio"][5] == pytest.approx(np.log10(mass[source] / mass[receiver]))
    assert found["speed"][5] == pytest.approx(np.linalg.norm(moving))
    assert abs(found["approach"][5]) <= found["speed"][5]
    assert found["separation"][5] == pytest.approx(edge["length"], rel=1e-4)


def test_bins_of_equal_counts_hold_every_edge_with_a_value():
    table = table_of(200)
    values = np.random.default_rng(0).normal(size=len(table))
    values[:10] = np.nan
    profile = attention.by_quantity(table, values, "layer0_head1", bins=5)
    assert profile["edges"].sum() == len(table) - 10
    assert profile["edges"].max() - profile["edges"].min() <= 1
    first = (values >= profile["low"][0]) & (values < profile["high"][0])
    assert profile["median"][0] == pytest.approx(np.median(attention.relative(table, "layer0_head1")[first]))


def test_entropy_is_one_for_an_even_share_and_nothing_for_one_edge():
    table = table_of()
    table["layer0_head1"] = (table.groupby("receiver").cumcount() == 0).astype(float)
    found = attention.entropy(table).set_index("head")
    assert found.loc["layer0_head0", "median"] == pytest.approx(1.0)
    assert found.loc["layer0_head1", "p84"] == 0.0
    assert found["receivers"].iloc[0] == (table["receiver"].value_counts() > 1).sum()


def test_heads_agree_with_themselves_and_oppose_their_opposite():
    table = table_of()
    table["layer0_head0"] = -table["layer0_head1"]
    found = attention.between_heads(table)
    np.testing.assert_allclose(found, [[1, -1], [-1, 1]])


def test_runs_agree_on_the_edges_they_share():
    table = table_of()
    same = attention.between_runs(table, table.sample(frac=0.7, random_state=0), "layer0_head1")
    assert same[0] == pytest.approx(1.0) and same[2] > 5
    other = table.assign(layer0_head1=np.random.default_rng(1).random(len(table)))
    assert abs(attention.between_runs(table, other, "layer0_head1")[0]) < 0.6
    assert attention.between_runs(table, table.assign(source=table["source"] + 900))[2] == 0


def test_folds_are_compared_on_the_same_edges(replays):
    found = attention.between_folds(replays["attention"], 40)
    np.testing.assert_allclose(np.diag(found), 1.0)
    np.testing.assert_allclose(found, found.T)
    assert found.shape == (2, 2) and -1 <= found.iloc[0, 1] <= 1
    with pytest.raises(InputError, match="no attention"):
        attention.between_folds(replays["message_passing"], 5)


def test_kinds_are_told_apart(replays):
    replay = replays["attention"]
    central, table = replay.data.catalog.values("is_central") == 1, replay.run.attention
    found = attention.by_kind(table, replay.data.catalog, central)
    assert len(found) == 4 and found["edges"].sum() == len(table)
    of = pd.Series(central, replay.data.catalog.row_ids)
    pair = of[table["source"]].to_numpy() & ~of[table["receiver"]].to_numpy()
    row = found[(found["source"] == "central") & (found["receiver"] == "satellite")].iloc[0]
    assert row["mean"] == pytest.approx(attention.relative(table)[pair].mean())


def test_the_share_of_self_loops_and_the_largest_head():
    table = table_of()
    assert attention.to_themselves(table) is None
    table.loc[3, "self_loop"] = True
    assert attention.to_themselves(table, "layer0_head0") == pytest.approx(table.loc[3, "layer0_head0"])
    largest = attention.weights(table, attention.LARGEST)
    np.testing.assert_allclose(largest, table[attention.heads(table)].max(axis=1))
