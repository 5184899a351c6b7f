"""VOTable (IVOA Recommendation 1.5; Ochsenbein et al. 2025), with the names people see rather than the XML ids.

Astropy reads what the document says of its tables. The rows are decoded here, in blocks: those of BINARY and BINARY2
as numpy records, those of TABLEDATA as separated text; whatever is unusual in them is left to astropy. Documents that
refer to other files or places are refused, since reading one must not open anything else.
"""

from __future__ import annotations

import binascii
import html
import io
import mmap
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
from astropy.io.votable import parse
from astropy.io.votable.tree import TableElement

from gnnlib.catalog.astropy_tables import add_columns
from gnnlib.catalog.raw import LONGEST_VECTOR, RawCatalog, Report, TableBuilder, choose_table, from_arrow
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError

_BLOCK = 2**20  # bytes of text at a time: small beside any table that is long
_PEEKED = 2**22  # bytes in which the first rows are expected
_ERROR = re.compile(rb"<INFO\b(?=[^>]*QUERY_STATUS)(?=[^>]*[\"']ERROR[\"'])[^>]*>([^<]+)<")  # as services answer (DALI)
_TYPES = {
    "boolean": "u1",
    "unsignedByte": "u1",
    "short": ">i2",
    "int": ">i4",
    "long": ">i8",
    "float": ">f4",
    "double": ">f8",
    "char": "u1",
    "unicodeChar": ">u2",
}
_ARROW = {
    "unsignedByte": pa.int64(),
    "short": pa.int64(),
    "int": pa.int64(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "char": pa.large_string(),
    "unicodeChar": pa.large_string(),
}


class _Unusual(Exception):
    """The rows are written in a way that only astropy reads."""


@dataclass(frozen=True)
class _Place:
    """Where a table's rows lie in the file: the kind of serialization, and its first and last byte."""

    kind: str
    start: int
    end: int


def read(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """The table that is asked for by name, id or number (from 1), or else the one with most bytes of rows."""
    with path.open("rb") as file, _content(file, None if rows is None or spec.table else _PEEKED) as text:
        _check_self_contained(text, path.name)
        outline, places = _outline(text)
        tables = list(parse(io.BytesIO(outline), verify="ignore").iter_tables())
        plain = len(tables) == len(places) and any(places)
        if not plain:  # prefixed tags, or tags within comments
            _check_whole(len(text), rows)
            tables = list(parse(io.BytesIO(text[:]), verify="ignore").iter_tables())
        held = [k for k, table in enumerate(tables) if table.fields and (places[k] if plain else len(table.array))]
        if not held and (said := _ERROR.search(text)):
            reason = " ".join(said[1].decode("utf-8", "replace").split())[:150].rstrip(".")
            raise InputError(f"'{path.name}' is no table but the error of a query: {reason}; mend the query.")
        if not held:
            raise InputError(f"'{path.name}' is a VOTable without rows; choose one with objects in it.")
        names = [_names(tables[k], number, tables) for number, k in enumerate(held, 1)]
        asked = choose_table(names, spec.table, path.name)
        chosen = asked
        if chosen is None:
            sizes = [_extent(places[k]) if plain else len(tables[k].array) for k in held]
            chosen = sizes.index(max(sizes))
        table = tables[held[chosen]]
        builder = TableBuilder()
        if plain:
            _add_rows(builder, text, table, places[held[chosen]], report, rows, held[chosen])
        else:
            add_columns(builder, table.to_table(use_names_over_ids=True)[:rows])
    if len(held) > 1 and asked is None:
        builder.warnings.append(f"The file holds {len(held)} tables; the longest, '{names[chosen][0]}', was read.")
    stated = table.nrows if plain and table.nrows else None
    return RawCatalog(
        table=builder.table(),
        columns=builder.columns,
        format="VOTable",
        tables=tuple(shown for shown, *_ in names) if len(held) > 1 else (),
        table_read=names[chosen][0] if len(held) > 1 else "",
        rows=stated,
        warnings=builder.warnings,
    )


@contextmanager
def _content(file: IO[bytes], most: int | None) -> Iterator[mmap.mmap | bytes]:
    """The document, or what it begins with where that is enough."""
    if most is not None:
        yield file.read(most)
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        yield text


def _extent(place: _Place | None) -> int:
    return place.end - place.start if place else 0


def _names(table: TableElement, number: int, tables: Sequence[TableElement]) -> list[str]:
    own = [name for name in (table.name, table.ID) if name and [t.name for t in tables].count(name) < 2]
    return [*own, str(number)]


def _check_self_contained(text: mmap.mmap | bytes, file: str) -> None:
    """Raise InputError where rows lie elsewhere (which may be any file of this machine) or entities are defined."""
    if text.find(b"<!ENTITY") >= 0 or b"\0" in text[:4096]:
        raise InputError(
            f"'{file}' is a VOTable with entities or an odd encoding; save it again with astropy or TOPCAT."
        )
    at = text.find(b"STREAM")
    while at >= 0:
        tag = text[at : max(text.find(b">", at), at)]
        if b"href" in tag:
            raise InputError(f"'{file}' is a VOTable whose rows are in another file; save it with its rows inside.")
        at = text.find(b"STREAM", at + 6)


def _outline(text: mmap.mmap | bytes) -> tuple[bytes, list[_Place | None]]:
    """The document without any rows, and for each TABLE where its rows are (None where it has none)."""
    parts, places, at = [], list[_Place | None](), 0
    while True:
        start = text.find(b"<DATA>", at)
        head = text[at : start if start >= 0 else len(text)]
        places += [None] * len(re.findall(rb"<(?:\w+:)?TABLE[\s>]", head))
        parts.append(head)
        if start < 0:
            return b"".join(parts), places
        inside = start + len(b"<DATA>")
        end = text.find(b"</DATA>", inside)
        if end < 0:
            end = len(text)
            whole = b"".join(parts)
            deep = len(re.findall(rb"<RESOURCE[\s>]", whole)) - whole.count(b"</RESOURCE>")
            parts.append(b"</TABLE>" + b"</RESOURCE>" * deep + b"</VOTABLE>")
        if not places:
            raise ValueError("DATA outside a TABLE")
        opening = re.match(rb"\s*<(TABLEDATA|BINARY2?|FITS)\b[^>]*>", text[inside : inside + 4096])
        kind = opening[1].decode() if opening else ""
        places[-1] = _Place(kind, inside + (opening.end() if opening else 0), end)
        at = min(end + len(b"</DATA>"), len(text))


def _add_rows(
    builder: TableBuilder,
    text: mmap.mmap | bytes,
    table: TableElement,
    place: _Place | None,
    report: Report | None,
    rows: int | None,
    number: int,
) -> None:
    try:
        if place is None:
            raise _Unusual("no rows")
        if place.kind.startswith("BINARY"):
            columns = _binary(text, table.fields, place, report, rows)
        elif place.kind == "TABLEDATA":
            columns = _separated(text, table.fields, place, report, rows)
        else:
            raise _Unusual(place.kind)
    except (_Unusual, pa.ArrowInvalid):
        _check_whole(len(text), rows)
        found = list(parse(io.BytesIO(text[:]), verify="ignore").iter_tables())[number]
        add_columns(builder, found.to_table(use_names_over_ids=True)[:rows])
        return
    for field, values in zip(table.fields, columns, strict=True):
        name = field.name or field.ID or ""
        if values is None:
            builder.warnings.append(f"Column '{name}' is of an unusual type and was left out.")
        else:
            builder.add(name, values, str(field.unit or ""), " ".join((field.description or "").split())[:300])


def _check_whole(size: int, rows: int | None) -> None:
    """Astropy has only the whole document or nothing: too long for a look at the first rows."""
    if rows is not None and size > 2**26:
        raise InputError("The rows of this VOTable are written in a way that takes long to read; load it to see them.")


def _null(field: Any) -> int | None:
    value = field.values.null if field.values is not None else None
    return int(value) if value is not None and field.datatype in ("unsignedByte", "short", "int", "long") else None


# --- TABLEDATA -----------------------------------------------------------------------------------------------------


def _separated(
    text: mmap.mmap | bytes, fields: Sequence[Any], place: _Place, report: Report | None, rows: int | None
) -> list[Any]:
    """The columns of `<TR><TD>..</TD>...</TR>`: tags become separators, and pyarrow parses what is left."""
    for field in fields:
        if field.datatype not in _ARROW or (str(field.arraysize or "1") != "1" and "har" not in field.datatype):
            raise _Unusual(field.datatype)
    names = [str(k) for k in range(len(fields))]
    types = {name: _ARROW[field.datatype] for name, field in zip(names, fields, strict=True)}
    blocks = (_tags_to_separators(block) for block in _whole_rows(text, place, report, rows))
    parts = []
    for block in blocks:
        if not block.strip():
            continue
        parts.append(
            arrow_csv.read_csv(
                pa.BufferReader(block),
                read_options=arrow_csv.ReadOptions(column_names=[*names, "end"], block_size=_BLOCK * 4),
                parse_options=arrow_csv.ParseOptions(delimiter="\x1f", quote_char=False),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={**types, "end": pa.string()},
                    null_values=["", "NaN", "nan", "?", " "],
                    true_values=["T", "t", "1", "true", "True", "TRUE"],
                    false_values=["F", "f", "0", "false", "False", "FALSE"],
                    strings_can_be_null=True,
                ),
            ).select(names)
        )
    if not parts:
        raise InputError("This VOTable has no rows; choose one with objects in it.")
    joined = pa.concat_tables(parts).slice(0, rows)
    columns = joined.columns
    del parts, joined
    found = []
    for k, field in enumerate(fields):
        values = from_arrow(columns[k])
        columns[k] = None
        if isinstance(values, pd.Series):
            values = values.where(~values.str.contains("&", na=False), values.map(html.unescape, na_action="ignore"))
        elif values is not None and (null := _null(field)) is not None:
            values = np.where(values == null, np.nan, values) if (values == null).any() else values
        found.append(values)
    return found


def _whole_rows(text: mmap.mmap | bytes, place: _Place, report: Report | None, rows: int | None) -> Iterator[bytes]:
    """Blocks of the text that end with `</TR>`; only one where the first rows are enough."""
    at, size = place.start, _BLOCK if rows is None else 2**18
    while at < place.end:
        end = min(at + size, place.end)
        if end < place.end:
            end = text.rfind(b"</TR>", at, end) + 5
            if end < at + 5:
                raise _Unusual("a row of megabytes")
        yield text[at:end]
        if rows is not None:
            return
        at = end
        if report:
            report((at - place.start) / (place.end - place.start), "rows")


def _tags_to_separators(block: bytes) -> bytes:
    if b"\x1f" in block or b"<!" in block or b"<TD " in block or b"<TR " in block:
        raise _Unusual("tags")
    block = block.translate(_BLANKS)
    for tag, mark in ((b"</TD>", b"\x1f"), (b"<TD/>", b"\x1f"), (b"<TD>", b""), (b"<TR>", b""), (b"</TR>", b"\n")):
        block = block.replace(tag, mark)
    end = block.rfind(b"\n") + 1
    if not re.fullmatch(rb"\s*(</TABLEDATA>\s*)?", block[end:]) or b"<" in block[:end]:
        raise _Unusual("tags")
    return re.sub(rb"(?m)^ +", b"", block[:end])


_BLANKS = bytes(32 if k in b"\r\n\t" else k for k in range(256))


# --- BINARY and BINARY2 --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cell:
    """How one field is written in a row: numpy type, items (0 = a count goes before them), type as VOTable says."""

    kind: str
    items: int
    datatype: str


def _binary(
    text: mmap.mmap | bytes, fields: Sequence[Any], place: _Place, report: Report | None, rows: int | None
) -> list[Any]:
    """The columns of rows in base64."""
    cells = [_cell(field) for field in fields]
    mask = (len(fields) + 7) // 8 if place.kind == "BINARY2" else 0
    opening = re.match(rb"\s*<STREAM\b([^>]*)>", text[place.start : place.start + 4096])
    end = text.find(b"</STREAM>", place.start, place.end)
    if not opening or b"base64" not in opening[1]:
        raise _Unusual("STREAM")
    start, end = place.start + opening.end(), end if end >= 0 else place.end
    each = mask + sum(np.dtype(cell.kind).itemsize * (cell.items or 256) for cell in cells)
    enough = None if rows is None else rows * each
    data = _from_base64(text, start, end, report, enough)
    if all(cell.items for cell in cells):
        records = _records(data, cells, mask)
        offsets = None
    else:
        offsets = _walk(data, cells, mask, rows)
        records = None
    masks = np.empty((0, 0), np.uint8)
    if records is not None and mask:
        masks = records["mask"][:rows]
    elif offsets is not None:
        masks = np.frombuffer(data, np.uint8)[offsets[:, -1:] + np.arange(mask)]
    found = []
    for k, (field, cell) in enumerate(zip(fields, cells, strict=True)):
        if records is not None:
            values = _fixed(records[str(k)][:rows], cell)
        else:
            values = _gathered(data, offsets[:, k], cell) if offsets is not None else None
        if values is not None and not isinstance(values, pd.Series):
            gaps = np.zeros(len(values), dtype=bool)
            if mask:
                bits = masks[:, k // 8]
                gaps = (bits >> (7 - k % 8) & 1).astype(bool)
            elif (null := _null(field)) is not None and values.ndim == 1:
                gaps = values == null
            if gaps.any():
                values = values.astype(np.float64) if values.dtype.kind != "f" else values.copy()
                values[gaps] = np.nan
        found.append(values)
    return found


def _cell(field: Any) -> _Cell:
    if field.datatype not in _TYPES:
        raise _Unusual(field.datatype)
    size = str(field.arraysize or "1")
    if "*" in size:
        if "x" in size or "har" not in field.datatype:
            raise _Unusual(size)
        return _Cell(_TYPES[field.datatype], 0, field.datatype)
    if not size.isdigit() or not 0 < int(size) < 2**16:
        raise _Unusual(size)
    return _Cell(_TYPES[field.datatype], int(size), field.datatype)


def _from_base64(text: mmap.mmap | bytes, start: int, end: int, report: Report | None, enough: int | None) -> bytearray:
    data, rest, at = bytearray(), b"", start
    while at < end and (enough is None or len(data) < enough):
        stop = min(at + (_BLOCK if enough is None else 2 * enough + 64), end)
        block = rest + text[at:stop].translate(None, b" \r\n\t")
        whole = len(block) // 4 * 4
        data += binascii.a2b_base64(block[:whole])
        rest, at = block[whole:], stop
        if report:
            report((at - start) / (end - start), "rows")
    return data


def _records(data: bytearray, cells: list[_Cell], mask: int) -> np.ndarray:
    kinds: list[Any] = [("mask", "u1", (mask,))] if mask else []
    kinds += [(str(k), cell.kind, (cell.items,)) for k, cell in enumerate(cells)]
    record = np.dtype(kinds)
    return np.frombuffer(data, record, count=len(data) // record.itemsize)


def _fixed(values: np.ndarray, cell: _Cell) -> Any:
    """A column [N, items] as [N] or [N, items]; text as pandas text."""
    if cell.datatype in ("char", "unicodeChar"):
        width = cell.items * values.dtype.itemsize
        joined = np.ascontiguousarray(values).view(f"S{width}" if cell.datatype == "char" else f"V{width}").ravel()
        if cell.datatype == "char":
            return _text(pa.array(joined))
        return _text(pa.array([value.tobytes().decode("utf-16-be", "replace").rstrip("\0") for value in joined]))
    if cell.datatype == "boolean":
        letters = values[:, 0]
        truth = np.isin(letters, list(b"Tt1"))
        gaps = np.isin(letters, list(b"? \0"))
        return None if cell.items > 1 else np.where(gaps, np.nan, truth) if gaps.any() else truth
    if cell.items == 1:
        return np.ascontiguousarray(values[:, 0]).astype(values.dtype.newbyteorder("="))
    return values if cell.items <= LONGEST_VECTOR else None


def _text(values: pa.Array) -> Any:
    text = from_arrow(pa.chunked_array([values]))
    return text.where(text != "") if isinstance(text, pd.Series) else text


def _walk(data: bytearray, cells: list[_Cell], mask: int, rows: int | None) -> np.ndarray:
    """Where each cell begins, [N, fields + 1], the last column being where the row does; rows are of unequal length."""
    steps = [np.dtype(cell.kind).itemsize * max(cell.items, 1) for cell in cells]
    counted = [not cell.items for cell in cells]
    count = struct.Struct(">I").unpack_from
    found: list[int] = []
    at, size = 0, len(data)
    order = list(zip(steps, counted, strict=True))
    while at < size and (rows is None or len(found) < rows * (len(cells) + 1)):
        row, at = at, at + mask
        begun = len(found)
        for step, variable in order:
            found.append(at)
            if variable:
                if at + 4 > size:
                    break
                at += 4 + step * count(data, at)[0]
            else:
                at += step
        if at > size or len(found) < begun + len(cells):
            del found[begun:]  # the first rows only, or a file cut short
            if rows is None:
                raise EOFError("the last row is cut")
            break
        found.append(row)
    return np.array(found, dtype=np.int64).reshape(-1, len(cells) + 1)


def _gathered(data: bytearray, starts: np.ndarray, cell: _Cell) -> Any:
    """One column of rows of unequal length, from where its cells begin [N]."""
    if cell.items:
        width = np.dtype(cell.kind).itemsize * cell.items
        every = np.frombuffer(data, np.uint8)[starts[:, None] + np.arange(width)]
        return _fixed(every.view(cell.kind).reshape(len(starts), cell.items), cell)
    step, coding = (2, "utf-16-be") if cell.datatype == "unicodeChar" else (1, "utf-8")
    count = struct.Struct(">I").unpack_from
    pieces = [bytes(data[at + 4 : at + 4 + step * count(data, at)[0]]) for at in starts.tolist()]
    if step == 1:
        return _text(pa.array(pieces, pa.large_binary()))
    return _text(pa.array([piece.decode(coding, "replace") for piece in pieces], pa.large_string()))
