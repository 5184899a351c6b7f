"""A look at the first rows of a catalog before it is read: in a fraction of a second, whatever its size and format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gnnlib.catalog.read import read_first
from gnnlib.catalog.sample import SAMPLE_PATH
from gnnlib.catalog.table import CatalogSpec, Column


@dataclass(frozen=True)
class Peek:
    """The first rows of a catalog and what is known without reading more.

    table: the rows. columns: name -> what the file says of it. rows: of the whole table, None where only reading would
    tell. tables: the names of all tables of a file that holds several; table_read: the one shown. header: whether the
    file names its columns. size: bytes on disk. warnings: sentences for the reader.
    """

    table: pd.DataFrame
    columns: dict[str, Column]
    format: str
    size: int
    rows: int | None
    tables: tuple[str, ...]
    table_read: str
    header: bool
    warnings: tuple[str, ...]


def peek(path: str | Path, rows: int = 20, table: str | None = None) -> Peek:
    """The first `rows` of a file, of a folder of chunks or of "sample"; raises InputError as `read_catalog` does.

    table: which table of a file that holds several, as for `CatalogSpec`. What is wrong further down is not seen.
    """
    raw = read_first(CatalogSpec(path=str(path), table=table), rows)
    place = SAMPLE_PATH if str(path) == "sample" else Path(path)
    files = [file for file in place.rglob("*") if file.is_file()] if place.is_dir() else [place]
    return Peek(
        table=raw.table,
        columns=raw.columns,
        format=raw.format,
        size=sum(file.stat().st_size for file in files),
        rows=raw.rows,
        tables=raw.tables,
        table_read=raw.table_read,
        header=raw.header,
        warnings=tuple(raw.warnings),
    )
