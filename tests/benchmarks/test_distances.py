"""How fast redshifts become distances, against astropy in the same run: equality is asserted, times are printed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from astropy.cosmology import Planck18

from gnnlib.catalog.cosmology import comoving_distances

pytestmark = pytest.mark.benchmark


def test_a_million_redshifts_become_distances() -> None:
    redshift = np.random.default_rng(0).uniform(0.01, 2, 1_000_000)
    some = redshift[:20_000]
    Planck18.comoving_distance(some[:10])
    start = time.perf_counter()
    expected = Planck18.comoving_distance(some).value
    theirs = (time.perf_counter() - start) / len(some)
    start = time.perf_counter()
    first = comoving_distances(redshift, "Planck18")
    ours = (time.perf_counter() - start) / len(redshift)  # the curve included, which later calls find ready
    assert np.abs(first[: len(some)] / expected - 1).max() < 1e-6
    print(f"a row: astropy {theirs * 1e6:.2f} us, here {ours * 1e6:.2f} us, ratio {ours / theirs:.3f}")
    assert ours < theirs / 5
