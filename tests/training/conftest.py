"""A small catalog whose target depends on the number of neighbours, so that a graph model can win."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from gnnlib.catalog.table import CatalogSpec
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.spec import ModelSpec
from gnnlib.training.spec import RunSpec

SIDE = 30.0


def write_catalog(path: Path, n_rows: int = 240, **columns: object) -> Path:
    """A CSV of halos in a periodic box of 30; `columns` replace or add columns."""
    rng = np.random.default_rng(7)
    positions = rng.uniform(0, SIDE, (n_rows, 3))
    tree = cKDTree(positions, boxsize=SIDE)
    neighbours = np.array([len(found) - 1 for found in tree.query_ball_point(positions, 4.0)])
    log_mass = rng.normal(12, 0.5, n_rows)
    frame = pd.DataFrame(
        {
            "halo_id": 1000 + 3 * rng.permutation(n_rows),
            **dict(zip("xyz", positions.T, strict=True)),
            "mass": 10**log_mass,
            "stars": 0.5 * (log_mass - 12) + 0.4 * np.log10(1 + neighbours) + rng.normal(0, 0.02, n_rows),
            "is_central": (rng.random(n_rows) < 0.7).astype(int),
            "cluster": rng.integers(0, 20, n_rows),
            **columns,
        }
    )
    frame.to_csv(path, index=False)
    return path


def run_spec(path: Path, **fields: object) -> RunSpec:
    """A run that takes a second: a small attention model on that catalog."""
    given = {
        "catalog": CatalogSpec(path=str(path), box=(SIDE, SIDE, SIDE), periodic=True),
        "graph": GraphSpec(radius=4.0),
        "model": ModelSpec(hidden=8, latent=4, heads=2),
        "target": "stars",
        "features": ("log10(mass)",),
        "folds": 2,
        "epochs": 3,
        "baselines": ("mean", "linear"),
        "device": "cpu",
    }
    return RunSpec.model_validate(given | fields)


@pytest.fixture(scope="session")
def halos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalog(tmp_path_factory.mktemp("catalog") / "halos.csv")
