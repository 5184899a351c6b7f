"""What every format reader hands over: the table as found, and what the file itself says about it.

A reader neither guesses roles nor applies corrections; `gnnlib.catalog.read` does both, once for all formats.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gnnlib.catalog.table import Column, Files
from gnnlib.catalog.units import parse_measure, split_name
from gnnlib.errors import InputError

AXES = ("x", "y", "z")
MOST_COLUMNS = 10_000
LONGEST_VECTOR = 100  # values of one row that become columns: a spectrum is none
Report = Callable[[float, str], None]  # the share of the reading that is done, 0 to 1, and what is being read


@dataclass
class RawCatalog:
    """A table and the facts its file states.

    table: one row an object. columns: what is known of some of them. roles: roles the file or format fixes. row_ids:
    [N] or None. box: side lengths, one number or three, in box_unit ("" = the unit of the positions). h, redshift: the
    Hubble parameter and the snapshot's redshift if stated. tables: the names of all tables of a file that holds
    several; table_read: the one that was read. header: whether the file names its columns. rows: of the whole table,
    where only the first were read and the file says how many there are. files: of a folder of catalogs, whose added
    columns come last. inferred: names of facts that the format implies without stating them. Read once and shared:
    nothing changes it.
    """

    table: pd.DataFrame
    format: str
    columns: dict[str, Column] = field(default_factory=dict)
    roles: dict[str, Any] = field(default_factory=dict)
    row_ids: np.ndarray | None = None
    box: Any = None
    box_unit: str = ""
    periodic: bool | tuple[bool, bool, bool] | None = None
    h: float | None = None
    redshift: float | None = None
    tables: tuple[str, ...] = ()
    table_read: str = ""
    header: bool = True
    rows: int | None = None
    files: Files | None = None
    name: str = ""
    provenance: dict[str, object] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    inferred: list[str] = field(default_factory=list)


def choose_table(tables: Sequence[Sequence[str]], wanted: str | None, file: str) -> int | None:
    """The place of the table that was asked for, or None where none was.

    tables: for each table the names it goes by, the one shown first. Raises InputError for a table that is not there.
    """
    if wanted is None:
        return None
    for fold in (str, str.casefold):
        for k, names in enumerate(tables):
            if fold(wanted) in map(fold, names):
                return k
    there = ", ".join(f"'{names[0][:40]}'" for names in tables[:6])
    raise InputError(f"'{file}' holds no table '{wanted[:60]}'; choose one of {there}{', ...' * (len(tables) > 6)}.")


def check_size(n_bytes: int, path: Path) -> None:
    """Raise InputError where a table of n_bytes, as a header promises, can neither come from the file nor fit here.

    Packing shrinks a table a thousandfold at best (deflate: 1032), so a small file that promises more is damaged, and
    to believe it would take all memory.
    """
    if n_bytes > 2**26 + 1100 * path.stat().st_size:
        raise InputError(
            f"'{path.name}' promises a table of {n_bytes:.1e} bytes, far more than it can hold: it is damaged; copy it"
            " again."
        )
    if hasattr(os, "sysconf") and n_bytes > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise InputError(
            f"The table of '{path.name}' takes {n_bytes / 1e9:.0f} GB, more than the memory of this machine; cut it to"
            " the rows or columns you need."
        )


class TableBuilder:
    """Collects columns of equal length under unique names, splitting vectors and noting units."""

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self.columns: dict[str, Column] = {}
        self.warnings: list[str] = []

    def add(
        self,
        name: str,
        values: Any,
        unit: str = "",
        description: str = "",
        suffixes: tuple[str, ...] = (),
        inferred: bool = False,
    ) -> None:
        """Add one column [N], or the k columns of an [N, k] array, named by `suffixes`, by axis or by number.

        unit: as people write it, "ckpc/h"; inferred: whether it was concluded rather than stated.
        """
        name, bracket = split_name(name.strip())
        meaning = (unit, bracket, description, inferred)
        values = _native(values)
        if isinstance(values, np.ndarray) and values.dtype.kind in "cmMV":
            self.warnings.append(f"Column '{name}' holds complex numbers, times or records and was left out.")
        elif values.ndim > 2:
            self.warnings.append(f"Column '{name}' holds {values.ndim - 1}-dimensional arrays and was left out.")
        elif values.ndim == 2 and values.shape[1] > LONGEST_VECTOR:
            self.warnings.append(f"Column '{name}' holds {values.shape[1]:,} values a row and was left out.")
        elif values.ndim == 2:
            width = values.shape[1]
            if len(suffixes) != width:
                suffixes = AXES if width == 3 else tuple(map(str, range(width)))
            for k, suffix in enumerate(suffixes):
                self._add(f"{name}_{suffix}", np.ascontiguousarray(values[:, k]), *meaning)
        else:
            self._add(name, values, *meaning)

    def _add(self, name: str, values: Any, unit: str, bracket: str, description: str, inferred: bool) -> None:
        if len(self.arrays) >= MOST_COLUMNS:
            raise InputError(f"The table has more than {MOST_COLUMNS:,} columns; keep those that you need.")
        name = name or f"col{len(self.arrays) + 1}"
        if name in self.arrays:
            copy = next(f"{name}_{k}" for k in range(2, len(self.arrays) + 3) if f"{name}_{k}" not in self.arrays)
            self.warnings.append(f"Two columns are called '{name}'; the later one is now '{copy}'.")
            name = copy
        self.arrays[name] = values
        self.columns[name] = self.describe(name, unit, bracket, description, inferred)

    def describe(self, name: str, unit: str, bracket: str, description: str, inferred: bool = False) -> Column:
        """The column's meaning, from the unit in the file or else from the one in its name."""
        for text, concluded in ((unit, inferred), (bracket, True)):
            if text:
                try:
                    parsed, power, frame = parse_measure(text)
                    return Column(name, parsed, power, frame=frame, description=description, inferred=concluded)
                except InputError:
                    description = f"{description} (unit in the file: {text[:40]})".strip()
        return Column(name, description=description)

    def table(self) -> pd.DataFrame:
        """The columns as they were added, not copied into one block."""
        return pd.DataFrame(self.arrays, copy=False)


def from_arrow(column: pa.ChunkedArray, trim: bool = True) -> Any | None:
    """A pyarrow column as numpy array [N], [N, k] or pandas text, without a copy where there is one; None for others.

    Integers and truth values with gaps become float64 with NaN. trim: whether blanks around text are cut off.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_decimal(kind):
        column, kind = column.cast(pa.float64()), pa.float64()
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if _is_list(kind) and pa.types.is_primitive(kind.value_type) and not column.null_count:
        return _vectors(column, kind)
    if pa.types.is_boolean(kind) and column.null_count:
        column, kind = column.cast(pa.int8()), pa.int8()
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column.to_numpy()
    if pa.types.is_temporal(kind):
        column, kind = column.cast(pa.string()), pa.string()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        try:
            column = column.cast(pa.large_string())
        except pa.ArrowInvalid:  # not UTF-8: every byte is a letter in Latin-1
            decoded = [None if value is None else value.decode("latin-1") for value in column.to_pylist()]
            column = pa.chunked_array([pa.array(decoded, pa.large_string())])
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        column = column.cast(pa.large_string())
        return pd.Series((pc.utf8_trim_whitespace(column) if trim else column).to_pandas(), dtype="str")
    return None


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _vectors(column: pa.ChunkedArray, kind: pa.DataType) -> np.ndarray | None:
    """[N, k] from lists that are all of one length k, not too long; None for others."""
    flat = column.combine_chunks()
    flat = flat.combine_chunks() if isinstance(flat, pa.ChunkedArray) else flat
    if pa.types.is_fixed_size_list(kind):
        width = kind.list_size
    else:
        lengths = pc.unique(pc.list_value_length(flat)).to_pylist()
        width = lengths[0] if len(lengths) == 1 else 0
    values = flat.flatten()
    if not 0 < width <= LONGEST_VECTOR or not (
        pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)
    ):
        return None
    return values.to_numpy(zero_copy_only=False).reshape(len(column), width)


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
    if values.dtype.kind in "SOU":
        return _text(values)
    if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
        return values.astype(np.float32 if values.dtype.itemsize == 2 else np.float64)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _text(values: np.ndarray) -> np.ndarray:
    def decode(value: object) -> object:
        return value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else value

    return np.array([decode(value) for value in values.ravel().tolist()], dtype=object).reshape(values.shape)
