"""Classes of nodes: a column of text, whole numbers or true and false becomes the numbers 0..C-1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gnnlib.catalog.expressions import evaluate
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError

MOST = 50  # classes; a column with more is a number, or a name of its own for every object
FEW = 10  # rows of a class below which it is warned of


@dataclass(frozen=True)
class Labels:
    """name: of the column or expression. values: [N] as text, "" where `known` [N] is False."""

    name: str
    values: np.ndarray
    known: np.ndarray

    def numbers(self, usable: np.ndarray, folds: int) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
        """The class's number of each usable row [n] float64, the C names in their order, and sentences for the reader.

        usable: [N] bool. Raises InputError for one class only, or too many.
        """
        names, numbers, counts = np.unique(self.values[usable], return_inverse=True, return_counts=True)
        if len(names) < 2:
            raise InputError(
                f"The target '{self.name}' is constant ('{names[0]}' in all {len(numbers)} rows), so there is nothing "
                "to learn from it; choose another column."
            )
        if len(names) > MOST:
            raise InputError(
                f"'{self.name}' has {len(names):,} different values, more than the {MOST} that can be classes; predict "
                "it as a number, or derive a column with fewer."
            )
        notes = [
            f"The class '{name}' has {count} rows, too few for {folds} folds to learn and test it."
            for name, count in zip(names, counts, strict=True)
            if count < FEW * folds
        ]
        if len(notes) > 3:
            notes = [f"{len(notes)} of {len(names)} classes have fewer than {FEW * folds} rows, too few to learn."]
        return numbers.astype(np.float64), tuple(names.tolist()), notes


def labels(name: str, catalog: Catalog) -> Labels:
    """The classes that a column or expression (`mass > 1e12`) gives the rows; NaN, None and empty text are none."""
    column = name.strip()
    values = catalog.table[column] if column in catalog.columns else pd.Series(evaluate(name, catalog))
    known = ~values.isna().to_numpy()
    if values.dtype.kind == "f":
        known &= np.isfinite(values.to_numpy())
        whole = (values[known] == np.rint(values[known])).all()
        text = values.where(known, 0.0).astype(np.int64).astype(str) if whole else values.astype(str)
    else:
        text = values.astype(str)
    out = text.str.strip().to_numpy(dtype=object)
    known = known & (out != "")
    return Labels(name, np.where(known, out, "").astype(str), known)
