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
