"""The panel finds what was planted and nothing where nothing is; its figures are those of a plain computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from gnnlib.errors import InputError
from gnnlib.explain import honesty
from gnnlib.explain.attention import relative
from gnnlib.explain.honesty import Honesty
from gnnlib.explain.replay import Replay
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.spec import ModelSpec
from gnnlib.training.worker import train

from .conftest import spec_of
from .planted import typed_catalog


def typed_replay(folder: Path, shuffled: bool) -> Replay:
    path = folder / "typed.parquet"
    typed_catalog(shuffled=shuffled).to_parquet(path)
    spec = spec_of(
        path,
        graph=GraphSpec(radius=3.0, edge_features=("length",)),
        model=ModelSpec(hidden=16, latent=8, heads=2),
        target="target",
        features=("red", "light"),
        epochs=20,
    )
    return Replay.open(train(spec, folder))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    return typed_replay(tmp_path_factory.mktemp("planted"), shuffled=False)


@pytest.fixture(scope="module")
def found(planted: Replay) -> Honesty:
    return honesty.judge(planted, 50)


@pytest.mark.parametrize("name", ["deletion", "attention", "gradient", "integrated", "mask"])
def test_neighbours_that_matter_are_ranked_above_those_that_do_not(planted, found, name):
    red = pd.Series(planted.data.catalog.values("red"), planted.data.catalog.row_ids)
    edges = found.edges.assign(red=red[found.edges["source"]].to_numpy(), size=np.abs(found.edges[name]))
    sizes = edges.groupby(["receiver", "red"])["size"].mean().unstack().dropna()
    assert len(sizes) > 30
    assert (sizes[1] > sizes[0]).mean() > 0.8
    if name == "deletion":
        assert sizes[1].mean() > 5 * sizes[0].mean()


def test_stored_attention_prefers_the_neighbours_that_matter(planted):
    table = planted.run.attention
    red = pd.Series(planted.data.catalog.values("red"), planted.data.catalog.row_ids)[table["source"]].to_numpy()
    share = relative(table)
    assert share[red == 1].mean() > 1.2 > 0.9 > share[red == 0].mean()


def test_the_verdict_says_that_attention_tells_more_than_distance(found):
    said = " ".join(found.verdict())
    assert "The model uses its neighbours" in said
    assert "That is more than distance tells" in said
    assert f"ρ = {found.correlations.loc['attention', 'rho']:+.2f}" in said


def test_on_a_shuffled_target_there_is_nothing_to_explain(tmp_path):
    found = honesty.judge(typed_replay(tmp_path, shuffled=True), 8)
    assert not found.worth.learned
    assert found.verdict()[0].startswith("There is nothing to explain")


def test_correlations_are_spearmans_within_each_object(found):
    rows = []
    for _, edges in found.edges.groupby("receiver"):
        if len(edges) >= honesty.FEWEST:
            rows.append([spearmanr(edges[n], edges["deletion"].abs())[0] for n in ("attention", "distance", "mask")])
    means = np.nanmean(rows, axis=0)
    np.testing.assert_allclose(found.correlations.loc[["attention", "distance", "mask"], "rho"], means, atol=1e-9)
    low, high = found.shuffled
    assert low < 0 < high < found.correlations.loc["attention", "rho"]


def test_curves_equal_predictions_with_the_edges_really_taken_away(planted, found):
    edges, expected = found.edges, {"fidelity_plus": [], "fidelity_minus": []}
    place = {row_id: row for row, row_id in enumerate(planted.data.catalog.row_ids)}
    for receiver, own in edges.groupby("receiver"):
        fold, node = planted.place(place[receiver])
        fields = fold.fields(np.array([node]))
        sources = planted.data.catalog.row_ids[fold.rows[fields.node[fields.edge_index[0]]]]
        top = own.nlargest(round(0.3 * len(own)), "attention")["source"]
        for name, keep in (("fidelity_plus", ~np.isin(sources, top)), ("fidelity_minus", np.isin(sources, top))):
            expected[name].append(abs(fields.predict(keep[None])[0, 0] - fold.prediction[node]))
    row = found.curves[(found.curves["ranking"] == "attention") & np.isclose(found.curves["fraction"], 0.3)].iloc[0]
    for name, changes in expected.items():
        assert row[name] == pytest.approx(np.mean(changes), abs=1e-5)


def test_curves_end_where_nothing_changes(found):
    ends = found.curves.set_index(["ranking", "fraction"])
    for name in found.curves["ranking"].unique():
        assert ends.loc[(name, 1.0), "fidelity_minus"] == pytest.approx(0, abs=1e-6)
        assert ends.loc[(name, 0.0), "fidelity_plus"] == pytest.approx(0, abs=1e-6)
        assert ends.loc[(name, 1.0), "fidelity_plus"] == pytest.approx(ends.loc[(name, 0.0), "fidelity_minus"])


def test_a_model_without_attention_is_judged_by_the_same_methods(replays):
    found = honesty.judge(replays["message_passing"], 10)
    assert "attention" not in found.edges and found.shuffled is None
    assert {"distance", "gradient", "integrated", "mask"} <= set(found.correlations.index)
    assert "This model has no attention." in " ".join(found.verdict())


def test_one_head_can_be_judged_and_an_unknown_one_is_refused(replays):
    found = honesty.judge(replays["attention"], 4, head="layer1_head0")
    assert "layer 2, head 1" in " ".join(found.verdict())
    with pytest.raises(InputError, match="no attention head 'layer7_head0'"):
        honesty.judge(replays["attention"], 4, head="layer7_head0")


def test_a_model_without_edges_is_refused(replays):
    with pytest.raises(InputError, match="looks at no edges"):
        honesty.judge(replays["pointwise"], 10)
