"""Formats that astropy reads: FITS binary tables, VOTable, ECSV and the machine-readable tables of the AAS journals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import Column as TableColumn
from astropy.table import MaskedColumn, Table

from gnnlib.catalog.raw import RawCatalog, TableBuilder
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError


def read_fits(path: Path, spec: CatalogSpec) -> RawCatalog:
    """The largest table extension of a FITS file; images are passed over."""
    with fits.open(path, memmap=False) as units:
        tables = [k for k, unit in enumerate(units) if isinstance(unit, fits.BinTableHDU | fits.TableHDU)]
        if not tables:
            raise InputError(f"'{path.name}' holds images or headers but no table; choose a FITS file with a catalog.")
        chosen = max(tables, key=lambda k: units[k].header.get("NAXIS2", 0))
        end = units[chosen].fileinfo()["datLoc"] + units[chosen].header["NAXIS1"] * units[chosen].header["NAXIS2"]
        if path.stat().st_size < end:
            raise InputError(f"'{path.name}' is cut short: its table should reach byte {end:,}; copy the file again.")
        raw = _raw(Table.read(units[chosen], character_as_bytes=False), "FITS")
    if len(tables) > 1:
        raw.warnings.append(f"The file holds {len(tables)} tables; the longest (extension {chosen}) was read.")
    return raw


def read_votable(path: Path, spec: CatalogSpec) -> RawCatalog:
    """The longest table of a VOTable, with the names people see rather than the XML ids where they are unique."""
    tables = [table for table in parse(path, verify="ignore").iter_tables() if len(table.array)]
    if not tables:
        raise InputError(f"'{path.name}' is a VOTable without rows.")
    raw = _raw(max(tables, key=lambda table: len(table.array)).to_table(use_names_over_ids=True), "VOTable")
    if len(tables) > 1:
        raw.warnings.append(f"The file holds {len(tables)} tables; the longest was read.")
    return raw


def read_ecsv(path: Path, spec: CatalogSpec) -> RawCatalog:
    return _raw(Table.read(path, format="ascii.ecsv"), "ECSV")


def read_mrt(path: Path, spec: CatalogSpec) -> RawCatalog:
    return _raw(Table.read(path, format="ascii.mrt"), "AAS machine-readable table")


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
