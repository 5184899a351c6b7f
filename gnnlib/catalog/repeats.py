"""Rows that repeat earlier ones, in a table of a million rows while one waits."""

from __future__ import annotations

import numpy as np
import pandas as pd


def repeated(table: pd.DataFrame, *, with_gaps: bool = True) -> np.ndarray:
    """Rows [N] equal to an earlier one in every column; a missing value equals a missing value.

    with_gaps=False: a row with a missing value repeats none, as where positions or identifiers are compared: two
    objects without a distance do not lie in one place.
    The answer is that of pandas' `duplicated`, which hashes every column of every row; here only `candidates` are
    compared in full, nearly none in a catalog with positions.
    """
    left = candidates(table)
    if not with_gaps:
        left = left[table.iloc[left].notna().all(axis=1).to_numpy()]
    found = np.zeros(len(table), dtype=bool)
    if len(left):
        found[left] = table.iloc[left].duplicated().to_numpy()
    return found


def candidates(table: pd.DataFrame) -> np.ndarray:
    """Numbers [M] of the rows that may equal another: all that do, and perhaps some more.

    One column of numbers after the other narrows the rows down to those that share its value with another row still in
    question.
    """
    left = np.arange(len(table))
    numbers = [k for k, kind in enumerate(table.dtypes) if isinstance(kind, np.dtype) and kind.kind in "iufb"]
    for k in sorted(numbers, key=lambda k: "fiub".index(table.dtypes.iloc[k].kind)):  # fractions tell most apart
        values = table.iloc[:, k].to_numpy()
        values = values if len(left) == len(values) else values[left]
        if (values[1:] > values[:-1]).all():  # ids in order are all different; so are no rows and one row
            return left[:0]
        left = left[pd.Series(values).duplicated(keep=False).to_numpy()]
    return left
