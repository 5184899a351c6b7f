"""Finished runs of the three kinds of models on a small catalog whose target counts neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnnlib.catalog.table import CatalogSpec
from gnnlib.explain.replay import Replay
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.spec import ModelSpec
from gnnlib.training.run import Run
from gnnlib.training.spec import RunSpec
from gnnlib.training.worker import train

from .planted import SIDE, counted_catalog

KINDS = {
    "attention": ModelSpec(name="attention", hidden=8, latent=4, heads=2, depth=2),
    "message_passing": ModelSpec(name="message_passing", hidden=8, latent=4, depth=1),
    "pointwise": ModelSpec(name="pointwise", hidden=8, latent=4),
}


@pytest.fixture(scope="session")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalog") / "counted.parquet"
    counted_catalog().to_parquet(path)
    return path


def spec_of(path: Path, **fields: object) -> RunSpec:
    """A run of two seconds."""
    given = {
        "catalog": CatalogSpec(path=str(path), box=(SIDE, SIDE, SIDE), periodic=True),
        "graph": GraphSpec(radius=3.5, self_loops=False),
        "model": KINDS["attention"],
        "target": "stars",
        "features": ("log10(mass)", "age"),
        "folds": 2,
        "epochs": 12,
        "baselines": ("mean",),
        "device": "cpu",
    }
    return RunSpec.model_validate(given | fields)


@pytest.fixture(scope="session")
def runs(counted: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: train(spec_of(counted, model=model, seeds=2 if name == "message_passing" else 1), folder)
        for name, model in KINDS.items()
    }


@pytest.fixture(scope="session")
def replays(runs: dict[str, Run]) -> dict[str, Replay]:
    return {name: Replay.open(run) for name, run in runs.items()}
