"""Apache Parquet, read with pyarrow: a file, or a folder of files as Spark, Dask and HATS catalogs write them.

Units and descriptions come from the fields' metadata. The schema metadata `filament` (JSON: name, box, box_unit,
periodic, h, roles, warnings, provenance, ...) of the bundled sample and of fetched catalogs is understood.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from gnnlib.catalog.raw import RawCatalog, Report, TableBuilder, check_size, from_arrow
from gnnlib.catalog.table import CatalogSpec, Roles
from gnnlib.errors import InputError

SUFFIXES = (".parquet", ".pq", ".parq")
_SETTINGS = ("name", "box", "box_unit", "periodic", "h", "redshift", "roles", "warnings", "provenance")
_TILES = ("Norder", "Dir", "Npix")  # folders of HATS: places on the sky, which the rows have themselves
_AT_ONCE = 2**20  # rows read together


def read(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """Read a Parquet file; columns that are neither numbers, text nor vectors are left out with a warning."""
    return _read([path], path, report, rows)


def files_in(folder: Path) -> list[Path]:
    """The Parquet files of a folder that hold its rows, in the order of their names; none that lead out of it.

    Of a HATS collection only the catalog counts, not the copies of its rows in margins and indexes.
    """
    collection = folder / "collection.properties"
    if collection.is_file():
        told = re.search(r"(?m)^hats_primary_table_url\s*=\s*([\w.-]+)\s*$", collection.read_text("utf-8", "replace"))
        folder = folder / told[1] if told else folder
    inside = folder.resolve()
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES
        and not any(part.startswith(("_", ".")) for part in file.relative_to(folder).parts)
        and file.is_file()
        and file.resolve().is_relative_to(inside)
    )


def read_folder(folder: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """Read all Parquet files of a folder as one table; folders called `key=value` become a column."""
    files = files_in(folder)
    raw = _read(files, folder, report, rows)
    raw.provenance["files"] = len(files)
    return raw


def _read(files: list[Path], place: Path, report: Report | None, rows: int | None) -> RawCatalog:
    schema, total, left = _schema(files[0]), 0, rows
    parts: dict[str, list[Any]] = {}
    lengths: list[int] = []
    counts = [_row_count(file) for file in files]
    for file in files:
        if left == 0:
            break
        keys = _keys(file.relative_to(place)) if len(files) > 1 or file != place else {}
        for table in _pieces(file, left):
            _add_piece(parts, len(lengths), table, keys)
            lengths.append(len(table))
            total += len(table)
            if report:
                report(min(1.0, total / max(sum(counts), 1)), file.name if len(files) > 1 else "rows")
        left = None if rows is None else max(0, rows - total)
    builder = TableBuilder()
    fields = {field.name: field for field in schema}
    partial = [name for name, pieces in parts.items() if len(pieces) != len(lengths)]
    left_out = [name for name, pieces in parts.items() if any(piece is None for piece in pieces)]
    for name in list(parts):
        pieces = parts.pop(name)
        if name in partial or name in left_out or name.startswith("__index_level_"):
            continue
        said = (fields[name].metadata if name in fields else None) or {}
        described = {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in said.items()}
        builder.add(name, _joined(pieces), described.get("unit", ""), described.get("description", ""))
    if left_out:
        builder.warnings.append(f"{len(left_out)} columns of an unusual type were left out: {', '.join(left_out[:5])}.")
    if partial:
        builder.warnings.append(f"Left out, because not every file has them: {', '.join(partial[:6])}.")
    stated = _stated(schema, builder.warnings)
    return RawCatalog(
        table=builder.table(),
        columns=builder.columns,
        format="Parquet",
        roles=stated.get("roles") or {},
        box=stated.get("box"),
        box_unit=stated.get("box_unit", ""),
        periodic=stated.get("periodic"),
        h=stated.get("h"),
        redshift=stated.get("redshift"),
        rows=sum(counts),
        name=stated.get("name", ""),
        provenance={key: value for key, value in stated.items() if key not in _SETTINGS} | stated.get("provenance", {}),
        warnings=[*stated.get("warnings", ()), *builder.warnings],
    )


def _schema(file: Path) -> pa.Schema:
    with file.open("rb") as source:  # by handle: pyarrow reads meaning into names such as "Npix=46.parquet"
        return pq.ParquetFile(source).schema_arrow


def _row_count(file: Path) -> int:
    with file.open("rb") as source:
        metadata = pq.ParquetFile(source).metadata
    check_size(8 * metadata.num_rows, file)
    return metadata.num_rows


def _pieces(file: Path, rows: int | None) -> Iterator[pa.Table]:
    """The row groups of a file, small ones together, or its first rows."""
    with pa.memory_map(str(file)) as source:
        parquet = pq.ParquetFile(source, pre_buffer=True)
        if rows is not None:
            yield pa.Table.from_batches(list(_first(parquet, rows)), parquet.schema_arrow).slice(0, rows)
            return
        together: list[int] = []
        length = 0
        for k in range(parquet.num_row_groups):
            together.append(k)
            length += parquet.metadata.row_group(k).num_rows
            if length >= _AT_ONCE or k == parquet.num_row_groups - 1:
                yield parquet.read_row_groups(together)
                together, length = [], 0


def _first(parquet: pq.ParquetFile, rows: int) -> Iterator[pa.RecordBatch]:
    seen = 0
    for batch in parquet.iter_batches(batch_size=rows):
        yield batch
        seen += len(batch)
        if seen >= rows:
            return


def _keys(place: Path) -> dict[str, str]:
    """Columns that the folders of a file stand for: `survey=sdss/field=3/part-0.parquet`."""
    pairs = (part.partition("=") for part in place.parts[:-1] if "=" in part)
    return {key: value for key, _, value in pairs if key not in _TILES}


def _add_piece(parts: dict[str, list[Any]], before: int, table: pa.Table, keys: dict[str, str]) -> None:
    """Put the columns of one piece behind those of the `before` earlier ones; None stands for an unusual type."""
    names, columns = table.column_names, table.columns
    for k, name in enumerate(names):
        column, columns[k] = columns[k], None
        pieces = parts.setdefault(name, [])
        if len(pieces) == before:  # else: missing from an earlier piece, or a name that repeats
            pieces.append(from_arrow(column))
    for name, text in keys.items():
        pieces = parts.setdefault(name, [])
        if len(pieces) == before and name not in names:
            try:
                value: float | str = int(text) if re.fullmatch(r"-?\d{1,15}", text) else float(text)
            except ValueError:
                value = text
            pieces.append(np.full(len(table), value, dtype=object if isinstance(value, str) else None))


def _joined(pieces: list[Any]) -> Any:
    """Pieces of one column end to end; text where one of them is text."""
    if len(pieces) == 1:
        return pieces[0]
    if any(isinstance(piece, pd.Series) or piece.dtype == object for piece in pieces):
        empty = [getattr(piece, "dtype", None) == np.float64 and np.isnan(piece).all() for piece in pieces]
        series = [pd.Series(piece) for piece in pieces]
        return pd.concat(
            [part.astype(object) if none else part for part, none in zip(series, empty, strict=True)],
            ignore_index=True,
        ).astype("str")
    if len({piece.shape[1:] for piece in pieces}) > 1:
        raise InputError("A column of vectors has another length in some files; make them alike.")
    return np.concatenate(pieces)


def _stated(schema: pa.Schema, warnings: list[str]) -> dict[str, Any]:
    """The settings that Filament keeps in a file, as far as they are what they should be."""
    try:
        stated = json.loads((schema.metadata or {}).get(b"filament", b"{}"))
        Roles(**(stated.get("roles") or {}))
    except (ValueError, TypeError, AttributeError, RecursionError, ValidationError):
        warnings.append("The settings kept in the file cannot be read, so it is read without them.")
        return {}

    def number(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

    checks = {
        "name": lambda value: isinstance(value, str),
        "box": lambda value: number(value) or (isinstance(value, list) and len(value) == 3 and all(map(number, value))),
        "box_unit": lambda value: isinstance(value, str),
        "periodic": lambda value: (
            isinstance(value, bool)
            or (isinstance(value, list) and len(value) == 3 and all(isinstance(axis, bool) for axis in value))
        ),
        "h": number,
        "redshift": number,
        "warnings": lambda value: isinstance(value, list) and all(isinstance(line, str) for line in value),
        "provenance": lambda value: isinstance(value, dict),
    }
    kept = {key: value for key, value in stated.items() if key not in checks or checks[key](value)}
    if isinstance(kept.get("periodic"), list):
        kept["periodic"] = tuple(kept["periodic"])
    return kept
