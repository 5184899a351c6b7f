"""Catalogs in which it is known which neighbours matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

SIDE = 30.0


def counted_catalog(n_rows: int = 400, seed: int = 3) -> pd.DataFrame:
    """Halos in a periodic box of 30 whose stars follow mass, age and the number of neighbours within 3.5."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, SIDE, (n_rows, 3))
    near = cKDTree(positions, boxsize=SIDE).query_ball_point(positions, 3.5, return_length=True) - 1
    log_mass, age = rng.normal(12, 0.5, n_rows), rng.normal(0, 1, n_rows)
    return pd.DataFrame(
        {
            "halo_id": 1000 + 3 * rng.permutation(n_rows),
            **dict(zip("xyz", positions.T, strict=True)),
            **{f"v{axis}": rng.normal(0, 200, n_rows) for axis in "xyz"},
            "mass": 10**log_mass,
            "age": age,
            "stars": 0.5 * (log_mass - 12) + 0.1 * age + 0.4 * np.log10(1 + near) + rng.normal(0, 0.02, n_rows),
            "is_central": (rng.random(n_rows) < 0.7).astype(int),
        }
    )


def typed_catalog(n_rows: int = 1200, seed: int = 5, shuffled: bool = False) -> pd.DataFrame:
    """As many red objects as blue ones, in a periodic box of 30; the light within 3 of red neighbours lifts the target.

    Blue neighbours do nothing. shuffled: targets are dealt out anew among the objects, so nothing can be learned.
    """
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, SIDE, (n_rows, 3))
    red, light = rng.random(n_rows) < 0.5, rng.uniform(0.5, 1.5, n_rows)
    pairs = cKDTree(positions, boxsize=SIDE).query_pairs(3.0, output_type="ndarray")
    both = np.concatenate([pairs, pairs[:, ::-1]])
    heard = np.bincount(both[:, 1], (red * light)[both[:, 0]], n_rows)
    target = np.log10(1 + heard) + rng.normal(0, 0.02, n_rows)
    return pd.DataFrame(
        {
            "halo_id": 10 + np.arange(n_rows),
            **dict(zip("xyz", positions.T, strict=True)),
            "red": red.astype(int),
            "light": light,
            "target": rng.permutation(target) if shuffled else target,
        }
    )
