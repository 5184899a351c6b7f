"""HDF5: SUBFIND group catalogs go to `tng`; in other files a table is a group of datasets of equal length, or one
dataset of records (astropy, PyTables, pandas), or the columns of a vaex file.

Nothing is unpickled: pandas keeps some column names as a pickle; a disassembler takes the words from it.
"""

from __future__ import annotations

import pickletools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from astropy.table import Table
from astropy.table.meta import get_header_from_yaml

from gnnlib.catalog import tng
from gnnlib.catalog.astropy_tables import add_columns
from gnnlib.catalog.hdf5_parts import attributes, datasets, load, load_fields, own, walk
from gnnlib.catalog.raw import RawCatalog, Report, TableBuilder, choose_table
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError

_BOX = ("BoxSize", "box_size", "boxsize", "Box", "box", "Lbox", "L_box")
_H = ("HubbleParam", "HubbleParameter", "Hubble_h", "h", "h0", "little_h")
_META = "__table_column_meta__"  # where astropy keeps units, as YAML


@dataclass(frozen=True)
class _Found:
    """One table of the file. path: of its group or dataset, "" for the root. width: columns, those of vectors counted
    one by one. add: puts its columns into a builder."""

    path: str
    rows: int
    width: int
    records: bool
    add: Callable[[TableBuilder, Path, int | None, Report | None], None]


def read(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """The table that is asked for by the path of its group or dataset, or else the longest of those with more
    than one column."""
    with h5py.File(path, "r") as file:
        if not tng.is_group_catalog(file):
            return _flat(file, path, spec, report, rows)
    return tng.read([path], spec, report, rows)


def _flat(file: h5py.File, path: Path, spec: CatalogSpec, report: Report | None, rows: int | None) -> RawCatalog:
    found = [table for key, group in walk(file) for table in _tables(key, group)]
    if not found:
        raise InputError(
            f"'{path.name}' holds no dataset of numbers, so there is no table to read; choose a file with a catalog."
        )
    names = [[table.path or "/", "/" + table.path] for table in found]
    asked = choose_table(names, spec.table, path.name)
    chosen = asked
    if chosen is None:
        chosen = max(range(len(found)), key=lambda k: _rank(found[k]))
    table = found[chosen]
    builder = TableBuilder()
    table.add(builder, path, rows, report)
    if len(found) > 1 and asked is None:
        others = ", ".join(sorted(shown for k, (shown, *_) in enumerate(names) if k != chosen)[:4])
        builder.warnings.append(f"Only '{table.path or '/'}' was read; the file also holds {others}.")

    near = own(file, table.path) if table.path else None
    places = [attributes(place) for place in (file, near, own(file, "Header")) if place is not None]
    box = next((np.ravel(place[key]) for place in places for key in _BOX if key in place), None)
    box = box if box is not None and box.dtype.kind in "iuf" and (box > 0).all() and len(box) in (1, 3) else None
    periodic = next((bool(np.ravel(place["periodic"])[0]) for place in places if "periodic" in place), None)
    return RawCatalog(
        table=builder.table(),
        columns=builder.columns,
        format="HDF5",
        box=box,
        box_unit=next((_stated(place, ("box_unit", "BoxUnit")) for place in places if "box_unit" in place), ""),
        periodic=box is not None or None if periodic is None else periodic,
        h=_number(places, _H),
        redshift=_number(places, ("Redshift", "redshift")),
        tables=tuple(shown for shown, *_ in names) if len(found) > 1 else (),
        table_read=names[chosen][0] if len(found) > 1 else "",
        rows=table.rows,
        warnings=builder.warnings,
        inferred=["periodic"] if box is not None and periodic is None else [],
    )


def _rank(table: _Found) -> tuple[bool, int, bool, bool]:
    return (table.width > 1, table.rows, table.records, not table.path)


def _number(places: list[dict[str, Any]], keys: tuple[str, ...]) -> float | None:
    for place in places:
        for key in keys:
            value = np.ravel(place.get(key, ""))
            if len(value) == 1 and value.dtype.kind in "iuf" and np.isfinite(value[0]):
                return float(value[0])
    return None


def _tables(key: str, group: h5py.Group) -> list[_Found]:
    """The tables that lie directly in a group: datasets of records, and its other datasets together."""
    kind = _stated(attributes(group), ("pandas_type",))
    items = datasets(group)
    found = []
    for name, item in items.items():
        if item.dtype.names and item.ndim == 1 and not name.endswith(_META):
            named = key if kind == "frame_table" else f"{key}/{name}".strip("/")
            found.append(_Found(named, len(item), len(item.dtype), True, _records(item, items.get(f"{name}.{_META}"))))
    plain = {name: item for name, item in items.items() if not item.dtype.names and not name.endswith(_META)}
    if kind == "frame" and plain:
        frame = _pandas_blocks(plain)
        objects = sum(name.endswith("_values") for name in plain) > len(frame)
        return [_Found(key, len(frame[0][1]), len(frame), True, _pandas_frame(frame, objects))] if frame else []
    if key.rpartition("/")[2] == "columns":  # vaex: columns/x/data
        inside = {name: own(group, name) for name in group}
        for name, item in inside.items():
            data = own(item, "data") if isinstance(item, h5py.Group) else None
            if isinstance(data, h5py.Dataset) and data.shape:
                plain[name] = data
    elif key.rpartition("/")[0].rpartition("/")[2] == "columns":
        return []
    if kind != "frame_table" and any(item.dtype.kind in "iuf" for item in plain.values()):
        length = _usual_length(plain)
        width = sum(int(np.prod(item.shape[1:])) for item in plain.values() if len(item) == length)
        found.append(_Found(key, length, width, False, _columns(plain)))
    return found


def _usual_length(items: dict[str, h5py.Dataset]) -> int:
    lengths = Counter(len(item) for item in items.values())
    return max(lengths, key=lambda length: (lengths[length], length))


def _columns(items: dict[str, h5py.Dataset]) -> Callable[[TableBuilder, Path, int | None, Report | None], None]:
    def add(builder: TableBuilder, path: Path, rows: int | None, report: Report | None) -> None:
        length = _usual_length(items)
        left_out = [key for key, item in items.items() if len(item) != length]
        for k, (key, item) in enumerate(items.items()):
            text = h5py.check_string_dtype(item.dtype)
            if key in left_out or (item.dtype.kind in "OV" and not text):
                continue
            if report:
                report(k / len(items), key)
            said = attributes(item)
            unit = _stated(said, ("unit", "units", "Unit", "Units"))
            builder.add(key, load(item, path, rows), unit, _stated(said, ("description", "Description")))
        if left_out:
            builder.warnings.append(f"Left out, because they are not {length:,} rows long: {', '.join(left_out[:6])}.")

    return add


def _records(
    item: h5py.Dataset, meta: h5py.Dataset | None
) -> Callable[[TableBuilder, Path, int | None, Report | None], None]:
    def add(builder: TableBuilder, path: Path, rows: int | None, report: Report | None) -> None:
        said: dict[str, dict[str, Any]] = {}
        if meta is not None:
            lines = [line.decode() if isinstance(line, bytes) else str(line) for line in load(meta, path)]
            header = get_header_from_yaml(lines)
            if "__serialized_columns__" in header.get("meta", {}):  # masked or mixed in astropy's own way
                add_columns(builder, Table.read(item.file, path=item.name, character_as_bytes=False)[:rows])
                return
            said = {column["name"]: column for column in header["datatype"]}
        kinds = attributes(item)
        arrays = load_fields(item, path, rows, lambda share: report and report(share, "rows"))
        for name in list(arrays):
            values, words = arrays.pop(name), _pickled_words(kinds.get(f"{name}_kind"))
            if values.dtype.kind in "OV" and not h5py.check_string_dtype(values.dtype):
                builder.warnings.append(f"Column '{name}' is of an unusual type and was left out.")
            elif name.startswith("values_block_") and values.ndim == 2 and len(words) == values.shape[1]:
                for k, word in enumerate(words):  # pandas keeps columns of one type together
                    builder.add(word, np.ascontiguousarray(values[:, k]))
            elif not (name == "index" and "index_kind" in kinds):
                column = said.get(name, {})
                builder.add(name, values, str(column.get("unit") or ""), str(column.get("description") or ""))

    return add


def _pandas_blocks(items: dict[str, h5py.Dataset]) -> list[tuple[h5py.Dataset, h5py.Dataset]]:
    """(names, values) of the blocks of a frame that pandas wrote in its "fixed" format."""
    pairs = ((items.get(f"block{k}_items"), items.get(f"block{k}_values")) for k in range(len(items)))
    return [
        (names, values)
        for names, values in pairs
        if names is not None and values is not None and values.ndim == 2 and values.dtype.kind in "biuf"
    ]


def _pandas_frame(
    blocks: list[tuple[h5py.Dataset, h5py.Dataset]], objects: bool
) -> Callable[[TableBuilder, Path, int | None, Report | None], None]:
    def add(builder: TableBuilder, path: Path, rows: int | None, report: Report | None) -> None:
        for names, values in blocks:
            block = load(values, path, rows)
            for k, name in enumerate(load(names, path)[: block.shape[1]]):
                word = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
                builder.add(word, np.ascontiguousarray(block[:, k]))
        if objects:
            builder.warnings.append("Columns that pandas keeps as Python objects, such as text, are left out.")

    return add


def _pickled_words(value: object) -> list[str]:
    """The strings in a pickled list, read off its opcodes without running them."""
    if not isinstance(value, bytes) or len(value) > 2**20:
        return []
    try:
        return [
            str(argument)
            for opcode, argument, _ in pickletools.genops(value)
            if "UNICODE" in opcode.name or opcode.name in ("STRING", "SHORT_BINSTRING", "BINSTRING")
        ]
    except ValueError:
        return []


def _stated(attributes: Mapping[str, object], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = attributes.get(key)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, str):
            return value
    return ""
