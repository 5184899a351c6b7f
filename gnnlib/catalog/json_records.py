"""JSON: a list of objects, JSON lines, {"data": [...]} with objects or (as TAP services answer) rows and metadata, and
objects of columns. Parsed by Python's json module and by pyarrow, which reads lines in blocks.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json as arrow_json

from gnnlib.catalog.raw import RawCatalog, Report, TableBuilder, from_arrow
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError

_BEGINNING = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*"|\[\s*(?:[{\[]|-?\d|\]))')
_LARGEST_DOCUMENT = 2**30  # bytes: Python's objects take ten times as many
_DATA = ("data", "records", "rows", "results", "objects", "catalog")


def looks_like_json(head: bytes) -> bool:
    return bool(_BEGINNING.match(head))


def read(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """Read JSON records or lines, or the first of them."""
    units: dict[str, tuple[str, str]] = {}
    if _is_lines(path):
        table, kind = _lines(path, rows), "JSON lines"
    else:
        records, units = _records(_document(path, rows), path.name)
        table, kind = _table(records[:rows], path.name), "JSON"
    if report:
        report(0.8, "columns")
    builder = TableBuilder()
    left_out = []
    for name, column in _flat(table):
        values = from_arrow(column)
        if values is None:
            left_out.append(name)
        else:
            builder.add(name, values, *units.get(name, ("", "")))
    if left_out:
        builder.warnings.append(f"Columns of lists or objects were left out: {', '.join(left_out[:5])}.")
    return RawCatalog(table=builder.table(), columns=builder.columns, format=kind, warnings=builder.warnings)


def _is_lines(path: Path) -> bool:
    """Whether the first two lines are objects of their own."""
    with path.open("rb") as file:
        lines = [file.readline(2**20).removeprefix(b"\xef\xbb\xbf").strip() for _ in range(2)]
    try:
        first = json.loads(lines[0])
    except (ValueError, RecursionError):
        return False
    if not isinstance(first, dict):
        return False
    return lines[1].startswith(b"{") or (
        not lines[1] and not any(isinstance(value, list | dict) for value in first.values())
    )


def _lines(path: Path, rows: int | None) -> pa.Table:
    if rows is None:
        try:
            return arrow_json.read_json(path, arrow_json.ReadOptions(block_size=2**24))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass  # the line is found below
    records = []
    with path.open("rb") as file:
        for number, line in enumerate(islice(file, rows), 1):
            if line.strip():
                try:
                    records.append(json.loads(line.removeprefix(b"\xef\xbb\xbf")))
                except (ValueError, RecursionError) as error:
                    raise InputError(
                        f"Line {number} of '{path.name}' is not a JSON object; mend or remove that line."
                    ) from error
    return _table(records, path.name)


def _document(path: Path, rows: int | None) -> Any:
    """The parsed document; for a look at the beginning of a long one, only the records that begin it."""
    size = path.stat().st_size
    if rows is not None and size > 2**22:
        return _beginning(path)
    if size > _LARGEST_DOCUMENT:
        raise InputError(
            f"'{path.name}' is a single JSON document of {size / 1e9:.1f} GB; save it as JSON lines or Parquet."
        )
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InputError(
            f"'{path.name}' is not valid JSON at line {error.lineno}, column {error.colno}; it may be cut short:"
            " copy it again."
        ) from error
    except RecursionError as error:
        raise InputError(f"'{path.name}' is nested too deeply for a table; save it as a list of objects.") from error


def _beginning(path: Path) -> Any:
    """The whole records in the first megabyte of a document, with the metadata before them."""
    with path.open("rb") as file:
        text = file.read(2**20).decode("utf-8-sig", "ignore")
    decoder = json.JSONDecoder()
    inside = re.search(rf'"(?:{"|".join(_DATA)})"\s*:\s*\[\s*(?=[{{\[])', text)
    found = inside or re.search(r"\[\s*(?=[{\[])", text)
    at, records = found.end() if found else len(text), []
    about = re.search(r'"metadata"\s*:\s*(?=\[)', text[: inside.start()]) if inside else None
    metadata = decoder.raw_decode(text, about.end())[0] if about else None
    while at < len(text):
        try:
            record, at = decoder.raw_decode(text, at)
        except ValueError:
            break
        records.append(record)
        at = re.compile(r"[\s,]*").match(text, at).end()  # type: ignore[union-attr]
    return {"metadata": metadata, "data": records} if metadata else records


def _records(document: Any, file: str) -> tuple[list[Any], dict[str, tuple[str, str]]]:
    """The objects of a document, and (unit, description) of its columns where it states them."""
    said: dict[str, tuple[str, str]] = {}
    if isinstance(document, dict):
        metadata = document.get("metadata")
        inner = next((document[key] for key in _DATA if isinstance(document.get(key), list | dict)), None)
        if inner is None:
            inner = document
        if isinstance(metadata, list) and isinstance(inner, list):
            columns = [column for column in metadata if isinstance(column, dict)]
            names = [str(column.get("name", "")) for column in columns]
            said = {
                name: (str(column.get("unit") or ""), str(column.get("description") or "")[:300])
                for name, column in zip(names, columns, strict=True)
            }
            if names and all(isinstance(row, list) and len(row) == len(names) for row in inner):
                inner = [dict(zip(names, row, strict=True)) for row in inner]
        document = inner
    if isinstance(document, dict):  # {"x": [...], "y": [...]}, or {"x": {"0": ..., "1": ...}} as pandas writes it
        columns_of = {name: list(v.values()) if isinstance(v, dict) else v for name, v in document.items()}
        columns_of = {name: values for name, values in columns_of.items() if isinstance(values, list)}
        lengths = {len(values) for values in columns_of.values()}
        if len(lengths) != 1:
            raise InputError(
                f"'{file}' holds no list of objects and no columns of one length; save it as one of these."
            )
        document = [dict(zip(columns_of, row, strict=True)) for row in zip(*columns_of.values(), strict=True)]
    if isinstance(document, list) and document and all(isinstance(row, list) for row in document):
        if len({len(row) for row in document}) > 1:
            raise InputError(f"The lists in '{file}' are of unlike length; save one list of objects.")
        document = [{f"col{k + 1}": value for k, value in enumerate(row)} for row in document]
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise InputError(f"'{file}' is JSON but holds no list of objects; save one object a row.")
    if not document:
        raise InputError(f"'{file}' is JSON without objects; choose a file with rows.")
    return document, said


def _table(records: list[Any], file: str) -> pa.Table:
    if not records or not all(isinstance(record, dict) for record in records):
        raise InputError(f"'{file}' holds no list of objects; save one object a row.")
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = [_column([record.get(name) for record in records]) for name in names]
    return pa.table(dict(zip(names, columns, strict=True)))


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        plain = [value for value in values if value is not None]
        if all(isinstance(value, int | float) for value in plain):
            return pa.array([None if value is None else float(value) for value in values])
        return pa.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in values])


def _flat(table: pa.Table) -> list[tuple[str, pa.ChunkedArray]]:
    """Columns with nested objects taken apart: `pos.x` becomes `pos_x`."""
    found = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_struct(column.type) and column.type.num_fields:
            parts = pa.table({name: column}).flatten()
            found += [
                (part.replace(".", "_", 1) if part.startswith(f"{name}.") else part, values)
                for part, values in zip(parts.column_names, parts.columns, strict=True)
            ]
        else:
            found.append((name, column))
    return found
