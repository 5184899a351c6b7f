"""Rank correlations within groups against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from gnnlib.explain import ranks


def test_standard_ranks_give_spearmans_rho_with_ties():
    rng = np.random.default_rng(0)
    group = rng.permutation(np.repeat(np.arange(6), [1, 4, 5, 9, 4, 7]))
    first, second = rng.integers(0, 4, len(group)), rng.normal(size=len(group))
    products = ranks.standard_ranks(first, group) * ranks.standard_ranks(second, group)
    for number in range(1, 6):
        own = group == number
        assert products[own].sum() == pytest.approx(spearmanr(first[own], second[own])[0])


def test_the_mean_leaves_out_what_is_not_finite():
    assert ranks.mean_and_error(np.array([1.0, np.nan, 3.0])) == (2.0, pytest.approx(1.0), 2)
    assert np.isnan(ranks.mean_and_error(np.array([np.nan]))[0])
