"""FITS binary and ASCII tables (FITS Standard 4.0, section 7; Pence et al. 2010).

Astropy reads the headers. The rows of a binary table are then turned, block by block, straight from the file into one
array a column in the machine's byte order, so that a table needs no more memory than itself.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.io import fits
from astropy.table import Table

from gnnlib.catalog.astropy_tables import add_columns
from gnnlib.catalog.raw import AXES, LONGEST_VECTOR, RawCatalog, Report, TableBuilder, choose_table, from_arrow
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError

_BLOCK = 2**21  # bytes of rows at a time: they stay in the cache while the columns are taken out
_WIDTHS = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
_TYPES = {"L": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_UNSIGNED = {"I": (2**15, np.uint16), "J": (2**31, np.uint32), "K": (2**63, np.uint64), "B": (-128, np.int8)}


@dataclass(frozen=True)
class _Field:
    """One column as the header describes it: where it lies in a row, what it holds and how it is coded."""

    name: str
    code: str
    repeat: int
    offset: int
    unit: str = ""
    description: str = ""
    null: int | None = None
    scale: float = 1.0
    zero: float = 0.0
    shape: tuple[int, ...] = ()

    @property
    def usable(self) -> bool:
        if self.code == "A":
            return len(self.shape) < 2
        return self.code in _TYPES and len(self.shape) < 2 and 0 < self.repeat <= LONGEST_VECTOR


def read(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """The table that is asked for by name or number of its extension, or else the longest; images are passed over."""
    with fits.open(path, memmap=False) as units:
        tables = [k for k, unit in enumerate(units) if _is_table(unit)]
        if not tables:
            if any(unit.header.get("ZTABLE") for unit in units):
                raise InputError(f"'{path.name}' holds a table packed by fpack; unpack it with `funpack`.")
            raise InputError(f"'{path.name}' holds images or headers but no table; choose a FITS file with a catalog.")
        names = [_names(units[k], k, [units[j].name for j in tables]) for k in tables]
        asked = choose_table(names, spec.table, path.name)
        chosen = tables[asked] if asked is not None else max(tables, key=lambda k: units[k].header.get("NAXIS2", 0))
        unit, label = units[chosen], names[tables.index(chosen)][0]
        header, start = unit.header, int(unit.fileinfo()["datLoc"])
        length = int(header["NAXIS2"])
        end = start + int(header["NAXIS1"]) * (length if rows is None else min(rows, length))
        if path.stat().st_size < end:
            raise InputError(f"'{path.name}' is cut short: its table should reach byte {end:,}; copy the file again.")
        if length < 1 or int(header["NAXIS1"]) < 1:
            raise InputError(f"The table '{label}' of '{path.name}' has no rows; choose one with objects in it.")
        builder = TableBuilder()
        if isinstance(unit, fits.TableHDU):
            add_columns(builder, Table.read(unit, character_as_bytes=False)[:rows])
        else:
            _binary(builder, path, header, start, length if rows is None else min(rows, length), report)
    if len(tables) > 1 and asked is None:
        builder.warnings.append(
            f"The file holds {len(tables)} tables; the longest (extension {chosen}) was read; another can be chosen."
        )
    return RawCatalog(
        table=builder.table(),
        columns=builder.columns,
        format="FITS",
        tables=tuple(shown for shown, *_ in names) if len(tables) > 1 else (),
        table_read=label if len(tables) > 1 else "",
        rows=length,
        warnings=builder.warnings,
    )


def _is_table(unit: Any) -> bool:
    packed = unit.header.get("ZIMAGE") or unit.header.get("ZTABLE")
    return isinstance(unit, fits.BinTableHDU | fits.TableHDU) and not packed


def _names(unit: Any, number: int, all_names: list[str]) -> list[str]:
    """What a table goes by: its name where it has one of its own, and its number."""
    own = unit.name if unit.name and all_names.count(unit.name) == 1 else ""
    return [name for name in (own, str(number)) if name]


def _fields(header: fits.Header) -> list[_Field]:
    fields, offset = [], 0
    for k in range(1, int(header["TFIELDS"]) + 1):
        form = re.fullmatch(r"\s*(\d*)([LXBIJKAEDCMPQ])(.*)", str(header[f"TFORM{k}"]))
        if not form:
            raise ValueError(f"TFORM{k}")
        repeat, code = int(form[1] or 1), form[2]
        dimensions = tuple(map(int, re.findall(r"\d+", str(header.get(f"TDIM{k}", "")))))[::-1]
        if code == "A":
            shape = dimensions[:-1]
        elif dimensions and math.prod(dimensions) == repeat:
            shape = dimensions
        else:
            shape = (repeat,) if repeat != 1 else ()
        null = header.get(f"TNULL{k}")
        fields.append(
            _Field(
                name=str(header.get(f"TTYPE{k}", "")),
                code=code,
                repeat=repeat,
                offset=offset,
                unit=str(header.get(f"TUNIT{k}", "")),
                description=_description(header, k),
                null=int(null) if null is not None and code in "BIJK" else None,
                scale=float(header.get(f"TSCAL{k}", 1)),
                zero=float(header.get(f"TZERO{k}", 0)),
                shape=shape,
            )
        )
        offset += (repeat + 7) // 8 if code == "X" else repeat * _WIDTHS[code]
    if offset != int(header["NAXIS1"]):
        raise ValueError("the columns do not fill the rows")
    return fields


def _description(header: fits.Header, k: int) -> str:
    said = str(header.get(f"TCOMM{k}", "")) or (header.comments[f"TTYPE{k}"] if f"TTYPE{k}" in header else "")
    return "" if re.match(r"label for (field|column)", said) else said


def _binary(
    builder: TableBuilder, path: Path, header: fits.Header, start: int, length: int, report: Report | None
) -> None:
    """Add the columns of a binary table: `length` rows of NAXIS1 bytes from byte `start` on."""
    fields = _fields(header)
    row = int(header["NAXIS1"])
    used = [field for field in fields if field.usable]
    left_out = [field.name for field in fields if not field.usable and field.repeat]
    stored = np.dtype(
        {
            "names": [str(k) for k in range(len(used))],
            "formats": [_stored(field) for field in used],
            "offsets": [field.offset for field in used],
            "itemsize": row,
        }
    )
    arrays = [_empty(field, length) for field in used]
    per_block = max(1, _BLOCK // row)
    buffer = bytearray(per_block * row)
    with path.open("rb") as file:
        file.seek(start)
        for first in range(0, length, per_block):
            last = min(first + per_block, length)
            view = memoryview(buffer)[: (last - first) * row]
            if file.readinto(view) != len(view):
                raise EOFError(path.name)
            block = np.frombuffer(view, stored)
            for k, array in enumerate(arrays):
                values = block[str(k)]
                for j, column in enumerate(array if array.ndim == 2 else [array]):
                    column[first:last] = values[:, j] if array.ndim == 2 else values
            if report:
                report(last / length, "rows")
    for k, field in enumerate(used):
        array, arrays[k] = arrays[k], np.empty(0)
        if array.ndim == 1:
            parts = [(field.name, array)]
        else:
            axes = AXES if len(array) == len(AXES) else range(len(array))
            parts = [(f"{field.name}_{axis}", values) for axis, values in zip(axes, array, strict=True)]
        for name, values in parts:
            builder.add(name, _decoded(values, field), field.unit, field.description)
    if left_out:
        builder.warnings.append(f"Columns of an unusual type were left out: {', '.join(left_out[:5])}.")


def _stored(field: _Field) -> Any:
    if field.code == "A":
        many = math.prod(field.shape)
        width = field.repeat // many if many else 0
        return (f"S{width}", field.shape) if field.shape else f"S{max(width, 1)}"
    return (_TYPES[field.code], field.shape) if field.shape else _TYPES[field.code]


def _empty(field: _Field, length: int) -> np.ndarray:
    kind = np.dtype(_stored(field))
    base = kind.base.newbyteorder("=")
    return np.empty((kind.shape[0], length) if kind.shape else length, base)


def _decoded(values: np.ndarray, field: _Field) -> Any:
    """The meaning of stored values [N]: gaps as NaN, text as str, scaled and unsigned numbers as such."""
    if field.code == "A":
        text = from_arrow(pa.chunked_array([pa.array(values)]))
        return text.where(text != "") if isinstance(text, pd.Series) else text
    if field.code == "L":
        truth, gaps = values == ord("T"), values == 0
        return np.where(gaps, np.nan, truth) if gaps.any() else truth
    gaps = values == field.null if field.null is not None else None
    if (field.scale, field.zero) != (1.0, 0.0):
        zero, unsigned = _UNSIGNED.get(field.code, (None, None))
        if field.scale == 1 and field.zero == zero:
            values = (
                (values.astype(np.int64) + zero).astype(unsigned)
                if field.code != "K"
                else (values.view(np.uint64) ^ np.uint64(2**63))
            )
        else:
            values = values * field.scale + field.zero
    return np.where(gaps, np.nan, values) if gaps is not None and gaps.any() else values
