"""What every format reader hands over: the table as found, and what the file itself says about it.

A reader neither guesses roles nor applies corrections; `gnnlib.catalog.read` does both, once for all formats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from gnnlib.catalog.columns import parse_unit, split_name
from gnnlib.catalog.table import Column
from gnnlib.errors import InputError

AXES = ("x", "y", "z")


@dataclass
class RawCatalog:
    """A table and the facts its file states.

    table: one row an object. columns: what is known of some of them. roles: roles the file or format fixes. row_ids:
    [N] or None. box: side lengths, one number or three, in box_unit ("" = the unit of the positions). h: the
    Hubble parameter if stated. inferred: names of facts that the format implies without stating them.
    """

    table: pd.DataFrame
    format: str
    columns: dict[str, Column] = field(default_factory=dict)
    roles: dict[str, Any] = field(default_factory=dict)
    row_ids: np.ndarray | None = None
    box: Any = None
    box_unit: str = ""
    periodic: bool | None = None
    h: float | None = None
    name: str = ""
    provenance: dict[str, object] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    inferred: list[str] = field(default_factory=list)


class TableBuilder:
    """Collects columns of equal length under unique names, splitting vectors and noting units."""

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self.columns: dict[str, Column] = {}
        self.warnings: list[str] = []

    def add(
        self, name: str, values: Any, unit: str = "", description: str = "", suffixes: tuple[str, ...] = ()
    ) -> None:
        """Add one column [N], or the k columns of an [N, k] array, named by `suffixes`, by axis or by number."""
        name, bracket = split_name(name.strip())
        values = _native(values)
        if values.ndim > 2:
            self.warnings.append(f"Column '{name}' holds {values.ndim - 1}-dimensional arrays and was left out.")
            return
        if values.ndim == 2:
            width = values.shape[1]
            if len(suffixes) != width:
                suffixes = AXES if width == 3 else tuple(map(str, range(width)))
            for k, suffix in enumerate(suffixes):
                self._add(f"{name}_{suffix}", values[:, k], unit, bracket, description)
        else:
            self._add(name, values, unit, bracket, description)

    def _add(self, name: str, values: Any, unit: str, bracket: str, description: str) -> None:
        name = name or f"col{len(self.arrays) + 1}"
        if name in self.arrays:
            copy = next(f"{name}_{k}" for k in range(2, len(self.arrays) + 3) if f"{name}_{k}" not in self.arrays)
            self.warnings.append(f"Two columns are called '{name}'; the later one is now '{copy}'.")
            name = copy
        self.arrays[name] = values
        self.columns[name] = self.describe(name, unit, bracket, description)

    def describe(self, name: str, unit: str, bracket: str, description: str) -> Column:
        """The column's meaning, from the unit in the file or else from the one in its name."""
        for text, inferred in ((unit, False), (bracket, True)):
            if text:
                try:
                    parsed, power = parse_unit(text)
                    return Column(name, parsed, power, description, inferred)
                except InputError:
                    description = f"{description} (unit in the file: {text[:40]})".strip()
        return Column(name, description=description)

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self.arrays)


def _native(values: Any) -> Any:
    """The same values in the machine's byte order, text as str, missing as NaN or None."""
    if isinstance(values, pd.Series):
        return values
    if isinstance(values, np.ma.MaskedArray):
        missing = np.ma.getmaskarray(values)
        data = np.asarray(values.data)
        if missing.any():
            if data.dtype.kind in "iub":
                data = data.astype(np.float64)
            elif data.dtype.kind != "f":
                data = _text(data)
            data = data.copy()
            data[missing] = np.nan if data.dtype.kind == "f" else None
        values = data
    values = np.asarray(values)
    if values.dtype.kind in "SO":
        return _text(values)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _text(values: np.ndarray) -> np.ndarray:
    def decode(value: object) -> object:
        return value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else value

    return np.array([decode(value) for value in values.ravel()], dtype=object).reshape(values.shape)
