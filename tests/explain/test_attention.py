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
