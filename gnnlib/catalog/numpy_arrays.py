"""NumPy's .npy and .npz: structured arrays, [N, k] arrays and sets of [N] arrays. Pickled objects are never opened.

A file that holds a graph (edge lists beside features, as graph libraries save them) is not a catalog, and is told so.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from gnnlib.catalog.raw import RawCatalog, Report, TableBuilder, check_size, choose_table
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError

_LONGEST_HEADER = 10_000
_WIDEST = 1000  # columns of an array without names: more is an image


@dataclass(frozen=True)
class _Array:
    """One array as its header describes it."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype


def read_npy(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """One array: records, or [N, k] numbers whose columns have no names."""
    with path.open("rb") as file:
        header = _header(file, "", path)
        _check_readable(header, path)
        array: np.ndarray = np.lib.format.open_memmap(path, mode="r", max_header_size=_LONGEST_HEADER)
    if report:
        report(0.1, "columns")
    builder = TableBuilder()
    named = _add(builder, "", np.asarray(array[:rows]), header, path)
    return _raw(builder, named, spec, "NumPy array", len(array))


def read_npz(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """Arrays of one length are a table, and so is each array of records; the largest is read unless one is named."""
    with zipfile.ZipFile(path) as archive:
        arrays = []
        for member in archive.infolist():
            with archive.open(member) as file:
                array = _header(file, member.filename.removesuffix(".npy"), path)
            if member.file_size < array.dtype.itemsize * int(np.prod(array.shape, dtype=object)):
                raise InputError(f"'{path.name}' is damaged: '{array.name}' is shorter than it says; copy it again.")
            arrays.append(array)
        _refuse_graph(arrays, path)
        tables = _tables([array for array in arrays if array.shape and array.dtype.kind in "biufSUV"])
        if not tables:
            for array in arrays:
                _check_readable(array, path)
            raise InputError(f"'{path.name}' holds no array of numbers with rows; save the columns of a catalog in it.")
        names = [[array.name for array in table] for table in tables]
        asked = choose_table(names, spec.table, path.name)
        chosen = asked
        if chosen is None:
            chosen = max(range(len(tables)), key=lambda k: (_cells(tables[k]), -k))
        builder, named = TableBuilder(), True
        for k, array in enumerate(tables[chosen]):
            _check_readable(array, path)
            if report:
                report(k / len(tables[chosen]), array.name)
            with archive.open(f"{array.name}.npy") as file:
                values = npy.read_array(file, allow_pickle=False, max_header_size=_LONGEST_HEADER)
            alone = len(tables[chosen]) == 1
            named &= _add(builder, "" if alone and values.ndim == 2 else array.name, values[:rows], array, path)
    raw = _raw(builder, named, spec, "NumPy archive", tables[chosen][0].shape[0])
    if len(tables) > 1:
        raw.tables, raw.table_read = tuple(first for first, *_ in names), names[chosen][0]
        if asked is None:
            others = [name for k, group in enumerate(names) if k != chosen for name in group]
            raw.warnings.append(f"Left out, because they are not as long: {', '.join(others[:6])}.")
    return raw


def is_npz(path: Path) -> bool:
    """Whether a zip archive holds NumPy arrays and nothing else."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return path.suffix.lower() == ".npz"
    return bool(names) and all(name.endswith(".npy") for name in names)


def _header(file: IO[bytes], name: str, path: Path) -> _Array:
    try:
        version = npy.read_magic(file)
        reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = reader(file, max_header_size=_LONGEST_HEADER)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise InputError(f"'{path.name}' is damaged or no NumPy file; save it again with numpy.save.") from error
    return _Array(name, shape, dtype)


def _check_readable(array: _Array, path: Path) -> None:
    what = f"The array '{array.name}' of '{path.name}'" if array.name else f"The array in '{path.name}'"
    if array.dtype.hasobject:
        raise InputError(
            f"{what} is a Python pickle, which could run code when opened; save the table as CSV, FITS or Parquet."
        )
    fields = array.dtype.names
    if len(array.shape) not in (1, 2) or (fields and len(array.shape) != 1):
        shape = " x ".join(map(str, array.shape)) or "a single value"
        raise InputError(f"{what} is {shape}, not a table; save one row an object and one column a property.")
    if len(array.shape) == 2 and array.shape[1] > _WIDEST:
        raise InputError(f"{what} has {array.shape[1]:,} columns, as an image has; save one column a property.")
    check_size(array.dtype.itemsize * int(np.prod(array.shape, dtype=object)), path)


def _add(builder: TableBuilder, name: str, values: np.ndarray, header: _Array, path: Path) -> bool:
    """Add the columns of an array; whether they have names."""
    if values.dtype.names:
        for field in values.dtype.names:
            builder.add(field, np.ascontiguousarray(values[field]))
        return True
    if values.ndim == 2 and not name:
        for k in range(values.shape[1]):
            builder.add(f"col{k + 1}", np.ascontiguousarray(values[:, k]))
        return False
    builder.add(name or "col1", values)
    return bool(name)


def _raw(builder: TableBuilder, named: bool, spec: CatalogSpec, kind: str, rows: int) -> RawCatalog:
    if not named and not spec.names:
        builder.warnings.append(
            f"The file has no column names, so its columns are called col1 to col{len(builder.arrays)};"
            " name them and choose the positions."
        )
    return RawCatalog(
        table=builder.table(),
        columns=builder.columns,
        format=kind,
        header=named,
        rows=rows,
        warnings=builder.warnings,
    )


def _tables(arrays: list[_Array]) -> list[list[_Array]]:
    """Arrays of records each on their own; the others together with those of equal length."""
    tables: dict[Any, list[_Array]] = {}
    for array in arrays:
        tables.setdefault(array.name if array.dtype.names else array.shape[0], []).append(array)
    return list(tables.values())


def _cells(table: list[_Array]) -> int:
    return sum(int(np.prod(array.shape, dtype=object)) * len(array.dtype.names or "1") for array in table)


def _refuse_graph(arrays: list[_Array], path: Path) -> None:
    edges = next(
        (array for array in arrays if re.fullmatch(r"(?i)edges?(_?(index|list))?|adj(acency)?", array.name)), None
    )
    if edges is None or len(edges.shape) != 2 or 2 not in edges.shape or edges.dtype.kind not in "iu":
        return
    others = ", ".join(f"{array.name} {' x '.join(map(str, array.shape))}" for array in arrays if array is not edges)
    raise InputError(
        f"'{path.name}' holds a graph ({max(edges.shape):,} edges{', ' * bool(others)}{others[:80]}), not a catalog:"
        " bring the table of positions it was made from, and Filament builds the graph."
    )
