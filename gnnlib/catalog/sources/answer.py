"""What a service answered, as a table whose fields carry their units, and the Parquet file that it becomes.

The file says itself where it comes from: the schema metadata `filament` (JSON) holds the catalog's name, what is known
of its box, sentences to be wary of, and `provenance`: service, url, query, date, rows, whether it was cut, library.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gnnlib.catalog.sources.specs import RemoteSpec
from gnnlib.errors import InputError

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True)
class Answer:
    """One table from a service.

    table: its fields carry `unit` and `description` as metadata. name: of the catalog, in a person's words. url, query:
    what was asked, without anything secret. library: what asked. truncated: whether the service has more rows.
    warnings: sentences. facts: what else `gnnlib.catalog.parquet` understands (box, box_unit, periodic, h, redshift).
    """

    table: pa.Table
    name: str
    service: str
    url: str
    query: str
    library: str
    truncated: bool = False
    warnings: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def library(name: str) -> str:
    """A library with its version, for provenance."""
    return f"{name} {version(name)}"


def described(unit: str = "", description: str = "") -> dict[str, str]:
    """Metadata of one field, without what is empty."""
    return {key: value for key, value in (("unit", unit), ("description", description)) if value}


def from_astropy(table: Table, rows: int) -> tuple[pa.Table, list[str]]:
    """The first `rows` rows of an astropy table as Arrow, and the names of the columns that have no place in it.

    Masked values become nulls, so integers stay exact; vectors become lists of fixed length.
    """
    fields, columns, left_out = [], [], []
    for name in table.colnames:
        column = table[name][:rows]
        values = _arrow(np.ma.asarray(column))
        if values is None:
            left_out.append(name)
            continue
        unit = str(column.unit) if column.unit is not None else ""
        description = " ".join(str(column.description or "").split())
        fields.append(pa.field(name, values.type, metadata=described(unit, description)))
        columns.append(values)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields)), left_out


def _arrow(values: np.ma.MaskedArray) -> pa.Array | None:
    data, mask = np.asarray(values.data), np.ma.getmaskarray(values)
    if data.dtype.kind in "OSU":
        flat = [_text(value) for value in data.ravel()]
        if data.ndim > 1 or any(value is None for value in flat):
            return None
        empty = [not value for value in flat]
        return pa.array(flat, pa.string(), mask=mask | np.array(empty, dtype=bool))
    if data.dtype.kind not in "biuf" or data.ndim > 2:
        return None
    data = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("="))
    if data.ndim == 1:
        return pa.array(data, mask=mask)
    if mask.any():
        data = data.astype(np.float64)
        data[mask] = np.nan
    return pa.FixedSizeListArray.from_arrays(pa.array(data.ravel()), data.shape[1])


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value.strip() if isinstance(value, str) else None


def cut_warning(service: str, rows: int, asked: int) -> str:
    """The sentence that belongs to every answer that was cut."""
    whose = "the limit that was asked for" if rows >= asked else f"its own limit, {asked:,} were asked for"
    return f"{service} has more rows: these are the first {rows:,} ({whose}), not a random sample."


def left_out_warning(names: Iterable[str]) -> tuple[str, ...]:
    names = list(names)
    if not names:
        return ()
    return (f"{len(names)} columns that hold no plain numbers or text were left out: {', '.join(names[:5])}.",)


def provenance(answer: Answer, spec: RemoteSpec, rows: int) -> dict[str, Any]:
    """Where rows come from, as it is kept with them."""
    return {
        "service": answer.service,
        "url": answer.url,
        "query": answer.query,
        "date": now().isoformat().replace("+00:00", "Z"),
        "rows": rows,
        "truncated": answer.truncated,
        "library": answer.library,
        "spec": spec.model_dump(mode="json"),
    }


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def write(answer: Answer, spec: RemoteSpec, folder: Path) -> Path:
    """Write the answer into `folder` as one Parquet file, named after the question and the time; returns its path.

    The file appears complete or not at all. Raises InputError for an answer without rows.
    """
    rows = answer.table.num_rows
    if not rows:
        raise InputError(f"{answer.service} has no row that fits ({answer.name}); widen the cone or the conditions.")
    warnings = list(answer.warnings)
    if answer.truncated:
        warnings.insert(0, cut_warning(answer.service, rows, spec.rows))
    stated = {
        "name": answer.name,
        **answer.facts,
        "warnings": warnings,
        "provenance": provenance(answer, spec, rows),
    }
    table = answer.table.replace_schema_metadata({"filament": json.dumps(stated)})
    path = free_name(folder, f"{answer.service} {answer.name}", ".parquet")
    partial = hidden(path)
    try:
        with partial.open("xb") as file:
            pq.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def hidden(path: Path) -> Path:
    """A name beside `path` for what is not complete yet; nobody else uses it."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def free_name(folder: Path, words: str, suffix: str = "") -> Path:
    """A readable name in `folder` that is not taken: the words, then the time in UTC."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = re.sub(r"[^A-Za-z0-9.+-]+", "-", words).strip("-.")[:80].strip("-.").lower()
    stem = f"{plain}_{now():%Y%m%dT%H%M%SZ}"
    names = (stem if k == 1 else f"{stem}-{k}" for k in range(1, 1000))
    return next(path for path in (folder / f"{name}{suffix}" for name in names) if not path.exists())
