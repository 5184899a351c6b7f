"""Every choice about a graph can be made on the command line: the edges are those of a search by hand, the files come
back, and a wrong choice is one sentence.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse.csgraph import connected_components

from gnnlib.cli import main
from gnnlib.graph import exchange
from gnnlib.training.run import load_run

N, SIDE = 120, 20.0
RNG = np.random.default_rng(5)
TABLE = pd.DataFrame(RNG.uniform(0, SIDE, (N, 3)), columns=list("xyz")).assign(
    halo_id=900 + RNG.permutation(N), mass=10 ** RNG.normal(12, 0.4, N), spin=RNG.normal(0, 1, N)
)
PLACES = TABLE[["x", "y", "z"]].to_numpy()


@pytest.fixture
def halos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FILAMENT_RUNS", str(tmp_path / "runs"))
    TABLE.to_csv(tmp_path / "halos.csv", index=False)
    return tmp_path / "halos.csv"


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert main([str(argument) for argument in arguments] + ["--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1 and "Traceback" not in printed.err
    return printed.err.strip()


def apart() -> np.ndarray:
    """Minimum-image separations [N, N, 3]."""
    separation = PLACES[:, None] - PLACES
    return separation - SIDE * np.round(separation / SIDE)


def nearest(distance: np.ndarray, k: int, within: float = np.inf) -> np.ndarray:
    """[N, N] bool: row i receives from its k nearest j."""
    distance = np.where(np.eye(N, dtype=bool) | (distance > within), np.inf, distance)
    chosen = np.zeros((N, N), dtype=bool)
    for row in range(N):
        order = np.argsort(distance[row])[:k]
        chosen[row, order[np.isfinite(distance[row, order])]] = True
    return chosen


def by_hand(name: str) -> np.ndarray:
    """[N, N] bool, receiver by source, of the graphs below."""
    separation = apart()
    distance, others = np.sqrt((separation**2).sum(-1)), ~np.eye(N, dtype=bool)
    capped = nearest(distance, 4, within=5.0)
    scaled = np.column_stack([np.log10(TABLE["mass"]), TABLE["spin"]])
    scaled = (scaled - scaled.mean(0)) / scaled.std(0)
    _, group = connected_components(distance <= 2.5)
    across = np.sqrt((separation[..., 1:] ** 2).sum(-1))
    return {
        "cap": capped,
        "cap symmetric": capped | capped.T,
        "cap mutual": capped & capped.T,
        "knn": nearest(distance, 6),
        "knn columns": nearest(np.sqrt(((scaled[:, None] - scaled) ** 2).sum(-1)), 6),
        "cylinder": (across <= 2.0) & (np.abs(separation[..., 0]) <= 6.0) & others,
        "groups": (group[:, None] == group) & others,
    }[name]


GRAPHS = {
    "cap": ["--radius", 5, "--cap", 4],
    "cap symmetric": ["--radius", 5, "--cap", 4, "--direction", "symmetric"],
    "cap mutual": ["--radius", 5, "--cap", 4, "--direction", "mutual"],
    "knn": ["--k", 6],
    "knn columns": ["--k", 6, "--columns", "log10(mass),spin"],
    "cylinder": ["--radius", 2, "--along", 6, "--axis", "x"],
    "groups": ["--method", "groups", "--radius", 2.5, "--shape", "clique"],
}


@pytest.mark.parametrize("name", list(GRAPHS))
def test_every_method_joins_what_a_search_by_hand_joins(halos, tmp_path, capsys, name):
    out = tmp_path / "edges.parquet"
    told = answer(capsys, "graph", halos, "--box", SIDE, *GRAPHS[name], "--out", out)
    edges = pd.read_parquet(out)
    place = pd.Series(np.arange(N), index=TABLE["halo_id"])
    found = np.zeros((N, N), dtype=bool)
    found[place[edges["receiver"]], place[edges["source"]]] = True
    assert np.array_equal(found, by_hand(name)) and told["edges"] == len(edges) == found.sum()
    assert told["max_degree"] == found.sum(axis=1).max() and told["out"] == str(out)
    assert told["truncated"] == name.startswith("cap")
    assert any("cap of 4" in warning for warning in told["warnings"]) == name.startswith("cap")


def test_stars_have_one_edge_pair_less_than_members(halos, capsys):
    _, group = connected_components(np.sqrt((apart() ** 2).sum(-1)) <= 2.5)
    told = answer(capsys, "graph", halos, "--box", SIDE, "--radius", 2.5, "--shape", "star")
    assert told["edges"] == 2 * (N - group.max() - 1) and told["components"] == group.max() + 1


def test_delaunay_leaves_nobody_alone(halos, capsys):
    told = answer(capsys, "graph", halos, "--method", "delaunay")
    assert told["components"] == 1 and told["isolated_fraction"] == 0


def test_an_edge_list_names_row_ids_or_counts_rows(halos, tmp_path, capsys):
    pd.DataFrame({"source": TABLE["halo_id"][:9], "receiver": TABLE["halo_id"][1:10].to_numpy()}).to_csv(
        tmp_path / "pairs.csv", index=False
    )
    np.save(tmp_path / "pairs.npy", np.stack([np.arange(9), np.arange(1, 10)]))
    assert answer(capsys, "graph", halos, "--edges", tmp_path / "pairs.csv")["edges"] == 9
    counted = ["--edges", tmp_path / "pairs.npy", "--edge-ids", "indices"]
    assert answer(capsys, "graph", halos, *counted, "--direction", "symmetric")["edges"] == 18


@pytest.mark.parametrize("suffix", ["pt", "graphml"])
def test_a_graph_is_written_and_read_back(halos, tmp_path, capsys, suffix):
    out = tmp_path / f"graph.{suffix}"
    features = ["--edge-features", "length,mass_ratio,radial_basis"]
    told = answer(capsys, "graph", halos, "--box", SIDE, "--radius", 4, *features, "--self-loops", "--out", out)
    graph = exchange.from_pyg(exchange.read_pyg(out)) if suffix == "pt" else exchange.read_graphml(out)
    assert graph.n_edges - N == told["edges"] and graph.row_ids.tolist() == TABLE["halo_id"].tolist()
    assert graph.edge_feature_names == ("length", "mass_ratio", *(f"basis_{n}" for n in range(8)))
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def test_training_takes_the_same_options_and_another_method_forgets_the_sample_s_radius(halos, capsys):
    task = ["--target", "log10(mass)", "--features", "spin", "--epochs", 1, "--folds", 2, "--device", "cpu"]
    graph = ["--radius", 2, "--along", 4, "--edge-features", "none"]
    told = answer(capsys, "train", halos, "--box", SIDE, *task, *graph)
    spec = load_run(told["run"]).spec.graph
    assert (spec.method, spec.radius, spec.along, spec.edge_features) == ("cylinder", 2.0, 4.0, ())
    small = ["--where", "halo_mass > 1e13", "--epochs", "1", "--folds", "2", "--preset", "demo"]
    told = answer(capsys, "train", "sample", "--k", 3, *small)
    spec = load_run(told["run"]).spec.graph
    assert (spec.method, spec.k, spec.radius) == ("knn", 3, None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "cylinder", "--radius", "2"], "needs --along"),
        (["--along", "2"], "needs --radius"),
        (["--shape", "star"], "needs --radius"),
        (["--method", "knn"], "needs --k"),
        (["--method", "edge_list"], "needs --edges"),
        ([], "needs --radius"),
        (["--k", "3", "--cap", "2"], "--cap does nothing with the method knn"),
        (["--method", "delaunay", "--radius", "2"], "--radius does nothing"),
        (["--radius", "2", "--axis", "x"], "--axis does nothing"),
        (["--radius", "2", "--cap", "0"], "cap"),
        (["--k", "3", "--columns", "nothing"], "nothing"),
        (["--radius", "2", "--edge-features", "length,glow"], "glow"),
        (["--edges", "no-such-file.csv"], "no edge list"),
        (["--radius", "2", "--out", "graph.txt"], "--out 'graph.txt'"),
        (["--radius", "2", "--out", "nowhere/graph.pt"], "--out"),
        (["--radius", "2", "--along", "30", "--box", "20"], "half the periodic side"),
    ],
)
def test_a_wrong_choice_is_one_sentence(halos, capsys, options, words):
    assert words in refusal(capsys, "graph", halos, *options)
