"""Rank correlations within groups, such as the neighbours of one object, and their mean over groups."""

from __future__ import annotations

import numpy as np


def standard_ranks(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Ranks within each group, ties sharing theirs, with mean 0 and square sum 1, so that the products of two such
    arrays, summed over a group, are Spearman's rho.

    values: [M]; group: [M] from 0. NaN where all values of a group are equal.
    """
    order = np.lexsort([values, group])
    ordered, groups = values[order], group[order]
    fresh = np.ones(len(values), dtype=bool)
    fresh[1:] = (groups[1:] != groups[:-1]) | (ordered[1:] != ordered[:-1])
    run = np.cumsum(fresh) - 1
    ranks = np.empty(len(values))
    ranks[order] = (np.bincount(run, np.arange(len(values))) / np.bincount(run))[run] if len(values) else 0.0
    ranks -= (by_group(ranks, group) / np.maximum(np.bincount(group), 1))[group]
    with np.errstate(invalid="ignore", divide="ignore"):
        return ranks / np.sqrt(by_group(ranks**2, group))[group]


def by_group(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Sums over each group, from 0 to the largest."""
    return np.bincount(group, values)


def mean_and_error(values: np.ndarray) -> tuple[float, float, int]:
    """Mean of the finite values, its standard error, and how many they are."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan"), 0
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return float(values.mean()), error, len(values)
