"""ECSV and the tables of the AAS journals and of IPAC, which astropy reads; and astropy tables as columns."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import numpy as np
from astropy.io.misc.ecsv import read_ecsv as astropy_ecsv
from astropy.table import Column as TableColumn
from astropy.table import MaskedColumn, Table

from gnnlib.catalog.raw import RawCatalog, Report, TableBuilder
from gnnlib.catalog.table import CatalogSpec

_IPAC_TYPES = re.compile(rb"(?i)\|(\s*(double|d|real|r|float|f|int|i|long|l|char|c|date)\s*\|)+")


def read_ecsv(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """An ECSV table, or its first rows."""
    if rows is not None:
        return _raw(Table.read(_first_lines(path, rows), format="ascii.ecsv"), "ECSV")
    try:
        table = astropy_ecsv(path, engine="pandas", null_values=["", "null"])
    except Exception:  # what the fast engine does not take, such as columns of JSON
        table = Table.read(path, format="ascii.ecsv")
    return _raw(table, "ECSV")


def read_mrt(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """A machine-readable table, or its first rows."""
    source = path if rows is None else _first_lines(path, rows, "-" * 10)
    return _raw(Table.read(source, format="ascii.mrt"), "AAS machine-readable table")


def is_ipac(head: bytes) -> bool:
    """Whether the first bytes are a table of IRSA: keywords after backslashes, names and types between bars."""
    lines = [line for line in head.splitlines()[:2000] if line.strip() and not line.startswith(b"\\")]
    return len(lines) > 1 and lines[0].startswith(b"|") and bool(_IPAC_TYPES.fullmatch(lines[1].strip()))


def read_ipac(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """An IPAC table, or its first rows."""
    source = path if rows is None else _first_lines(path, rows, "|")
    return _raw(Table.read(source, format="ascii.ipac"), "IPAC table")


def _first_lines(path: Path, rows: int, rule: str = "") -> list[str]:
    """The header and the lines of the first rows. rule: how lines begin the last of which ends the header; "" = the
    header is what begins with "#", and the line of names."""
    with path.open(encoding="utf-8", errors="replace") as source:
        head = [line.rstrip("\n") for line in islice(source, 20_000)]
    marks = [k for k, line in enumerate(head) if line.startswith(rule or "#")]
    return head[: (marks[-1] if marks else 0) + rows + (1 if rule else 2)]


def _raw(table: Table, format: str) -> RawCatalog:
    builder = TableBuilder()
    add_columns(builder, table)
    return RawCatalog(table=builder.table(), columns=builder.columns, format=format, warnings=builder.warnings)


def add_columns(builder: TableBuilder, table: Table) -> None:
    """Put an astropy table's columns into `builder`; times, coordinates and the like are left out with a warning."""
    left_out = []
    for name in table.colnames:
        column = table[name]
        unit = str(getattr(column, "unit", None) or "")
        if hasattr(column, "value") and not isinstance(column, TableColumn | MaskedColumn):  # a Quantity
            column = column.value
        if not isinstance(column, np.ndarray) or _nested(column):
            left_out.append(name)
            continue
        description = str(getattr(column, "description", None) or "")
        values = np.ma.array(column.data, mask=column.mask) if isinstance(column, MaskedColumn) else np.asarray(column)
        builder.add(name, values, unit, description)
    if left_out:
        builder.warnings.append(f"Columns of an unusual type were left out: {', '.join(left_out[:5])}.")


def _nested(column: np.ndarray) -> bool:
    return column.dtype.names is not None or (
        column.dtype.kind == "O" and any(isinstance(value, np.ndarray | list | dict) for value in column[:50])
    )
