"""HDF5: SUBFIND group catalogs go to `tng`; other files are read as a flat table of datasets of equal length.

The datasets may lie at the root or in one group; astropy's and pandas' compound tables are read through astropy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from astropy.table import Table

from gnnlib.catalog import tng
from gnnlib.catalog.astropy_tables import add_columns
from gnnlib.catalog.raw import RawCatalog, TableBuilder
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError

_BOX = ("BoxSize", "box_size", "boxsize", "Box", "box", "Lbox", "L_box")
_H = ("HubbleParam", "HubbleParameter", "Hubble_h", "h", "h0", "little_h")


def read(path: Path, spec: CatalogSpec) -> RawCatalog:
    """Read an HDF5 catalog; raises InputError where no datasets of one length make a table."""
    with h5py.File(path, "r") as file:
        if tng.is_group_catalog(file):
            return tng.read([path], spec)
        return _flat(file, path.name)


def _flat(file: h5py.File, name: str) -> RawCatalog:
    builder = TableBuilder()
    tables: dict[str, dict[str, h5py.Dataset]] = {}

    def note(key: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.shape and item.dtype.kind in "biufSOV":
            folder, _, own = key.rpartition("/")
            tables.setdefault(folder, {})[own] = item

    file.visititems(note)
    compound = {
        f"{folder}/{key}".strip("/"): item
        for folder, items in tables.items()
        for key, item in items.items()
        if item.dtype.names and item.ndim == 1 and not key.endswith("__table_column_meta__")
    }
    if compound:
        key = max(compound, key=lambda key: len(compound[key]))
        add_columns(builder, Table.read(file, path=key, format="hdf5", character_as_bytes=False))
        folder = key
    else:
        plain = {
            folder: items
            for folder, items in tables.items()
            if any(item.dtype.kind in "iuf" for item in items.values())
        }
        if not plain:
            raise InputError(f"'{name}' holds no dataset of numbers, so there is no table to read.")
        folder = max(plain, key=lambda folder: (max(len(item) for item in plain[folder].values()), folder == ""))
        lengths = Counter(len(item) for item in plain[folder].values())
        rows = max(lengths, key=lambda length: (lengths[length], length))
        left_out = [key for key, item in plain[folder].items() if len(item) != rows]
        for key, item in plain[folder].items():
            if key not in left_out:
                values = item.asstr("utf-8", "replace")[()] if h5py.check_string_dtype(item.dtype) else item[()]
                builder.add(
                    key,
                    values,
                    _stated(item.attrs, ("unit", "units", "Unit", "Units")),
                    _stated(item.attrs, ("description",)),
                )
        if left_out:
            builder.warnings.append(f"Left out, because they are not {rows:,} rows long: {', '.join(left_out[:6])}.")
    others = [other for other in (compound or tables) if other != folder]
    if others:
        builder.warnings.append(
            f"Only '{folder or '/'}' was read; the file also holds {', '.join(sorted(others)[:4]) or '/'}."
        )

    places = [file.attrs, *(file[key].attrs for key in (folder, "Header") if key and key in file)]
    box = next((np.ravel(place[key]) for place in places for key in _BOX if key in place), None)
    h = next((float(np.ravel(place[key])[0]) for place in places for key in _H if key in place), None)
    box = box if box is not None and box.dtype.kind in "iuf" and (box > 0).all() else None
    return RawCatalog(
        table=builder.table(),
        columns=builder.columns,
        format="HDF5",
        box=box,
        box_unit=next((_stated(place, ("box_unit", "BoxUnit")) for place in places if "box_unit" in place), ""),
        periodic=next(
            (bool(np.ravel(place["periodic"])[0]) for place in places if "periodic" in place), box is not None or None
        ),
        h=h,
        warnings=builder.warnings,
        inferred=["periodic"] if box is not None and not any("periodic" in place for place in places) else [],
    )


def _stated(attributes: Mapping[str, object], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = attributes.get(key)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, str):
            return value
    return ""
