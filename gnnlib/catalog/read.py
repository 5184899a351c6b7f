"""Reading a catalog: find the format, read the table, settle roles, units, h and box, apply the corrections.

A format is one function in a module of its own and one row in `FORMATS`; it is recognised by its first bytes, since
suffixes lie.
"""

from __future__ import annotations

import difflib
import warnings as python_warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from gnnlib.catalog import astropy_tables, hdf5, parquet, sky, text, tng
from gnnlib.catalog.columns import infer_roles, length_factor, length_unit_of, numeric_names, parse_unit, split_name
from gnnlib.catalog.raw import RawCatalog
from gnnlib.catalog.sample import SAMPLE_PATH
from gnnlib.catalog.select import select
from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Roles
from gnnlib.errors import InputError


@dataclass(frozen=True)
class Format:
    """name: as people call it. recognises: whether the first bytes are this format's. suffixes: where to expect it."""

    name: str
    recognises: Callable[[bytes], bool]
    read: Callable[[Path, CatalogSpec], RawCatalog]
    suffixes: tuple[str, ...]


FORMATS = (
    Format("FITS", lambda head: head.startswith(b"SIMPLE  ="), astropy_tables.read_fits, (".fits", ".fit", ".fts")),
    Format("HDF5", lambda head: head.startswith(b"\x89HDF\r\n"), hdf5.read, (".hdf5", ".h5", ".hdf")),
    Format("Parquet", lambda head: head.startswith(b"PAR1"), parquet.read, (".parquet", ".pq")),
    Format("VOTable", lambda head: b"<VOTABLE" in head, astropy_tables.read_votable, (".vot", ".votable", ".xml")),
    Format("ECSV", lambda head: head.startswith(b"# %ECSV"), astropy_tables.read_ecsv, (".ecsv",)),
    Format("AAS table", lambda head: b"Byte-by-byte Description" in head, astropy_tables.read_mrt, (".mrt",)),
    Format("text", lambda head: b"\0" not in head, text.read, (".csv", ".tsv", ".txt", ".dat", ".list", ".ascii", "")),
)
READABLE = "CSV and other text, FITS, VOTable, ECSV, Parquet, flat HDF5 and SUBFIND group catalogs"

# What people bring by mistake: first bytes -> what it is and what helps.
_NOT_CATALOGS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the data; fetch the file itself with `git lfs pull`"),
    (b"PK\x03\x04", "is a zip archive (NumPy .npz, Excel or zip); save the table as CSV, FITS or Parquet"),
    (b"\x93NUMPY", "is a NumPy array without column names; save the table as CSV, FITS or Parquet"),
    (b"\x80", "looks like a Python pickle, which could run code when opened; save the table as CSV, FITS or Parquet"),
    (b"\x1f\x8b", "is compressed with gzip; unpack it first"),
    (b"BZh", "is compressed with bzip2; unpack it first"),
    (b"<!DOCTYPE html", "is a web page, not a catalog; download the file itself"),
    (b"<html", "is a web page, not a catalog; download the file itself"),
    (b"%PDF", "is a PDF document; save its table as CSV"),
)


def read_catalog(source: str | Path | CatalogSpec, **corrections: Any) -> Catalog:
    """Read a catalog with what its file says and what its names suggest, then apply the corrections.

    source: a file, a folder of SUBFIND chunks, "sample" for the bundled catalog, or a CatalogSpec. corrections: fields
    of `CatalogSpec` (roles, units, h, box, periodic, where, names). Everything concluded rather than read is listed in
    `Catalog.inferred`; everything to be wary of in `Catalog.warnings`. Raises InputError, and nothing else, for input
    that cannot be used.
    """
    spec = _spec(source, corrections)
    path = SAMPLE_PATH if spec.path == "sample" else Path(spec.path)
    return _assemble(_read(path, spec), path, spec)


def _spec(source: str | Path | CatalogSpec, corrections: dict[str, Any]) -> CatalogSpec:
    if isinstance(source, CatalogSpec):
        fields = {name: getattr(source, name) for name in source.model_fields_set}
    else:
        path = str(source)
        fields = {"path": path if path == "sample" else str(Path(path).expanduser().resolve())}
    try:
        return CatalogSpec(**(fields | corrections))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "catalog"
        raise InputError(f"The setting '{place}' of the catalog cannot be used: {first['msg'][:120]}.") from error


def _read(path: Path, spec: CatalogSpec) -> RawCatalog:
    """The raw table of a file or folder; whatever a library throws comes out as one sentence."""
    try:
        if not path.exists():
            raise InputError(f"There is no file or folder '{path}'; check the path.")
        label, read = ("a group catalog", tng.read_folder) if path.is_dir() else _recognise(path)
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            raw = read(path, spec)
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"'{path.name}' may not be read by this account; change its permissions.") from error
    except MemoryError as error:
        raise InputError(f"'{path.name}' does not fit into memory; cut it to the rows or columns you need.") from error
    except Exception as error:  # readers meet any damage a file can have; the cause stays in __cause__
        raise InputError(
            f"'{path.name}' cannot be read as {label}: it is damaged or cut short; copy it again."
        ) from error
    if not len(raw.table):
        raise InputError(f"'{path.name}' has columns but no rows.")
    if not numeric_names(raw.table):
        raise InputError(f"'{path.name}' has no column of numbers, so there is nothing to place or predict.")
    raw.provenance = {"file": path.name, "format": raw.format, **raw.provenance}
    return raw


def _recognise(path: Path) -> tuple[str, Callable[[Path, CatalogSpec], RawCatalog]]:
    with path.open("rb") as file:
        head = file.read(65536)
    if not head.strip():
        raise InputError(f"'{path.name}' is empty.")
    for magic, what in _NOT_CATALOGS:
        if head.lstrip()[: len(magic)].lower() == magic.lower():
            raise InputError(f"'{path.name}' {what}.")
    expected = next((f for f in FORMATS if path.suffix.lower() in f.suffixes), None)
    found = next((f for f in FORMATS if f.recognises(head)), None)
    binary = ("FITS", "HDF5", "Parquet")
    if found is None or (expected and expected.name in binary and found.name not in binary):
        if expected and expected.name != "text":
            raise InputError(
                f"'{path.name}' is called {expected.name} but its content is not; it is damaged or something else."
            )
        raise InputError(f"The format of '{path.name}' is not known; Filament reads {READABLE}.")
    return found.name, found.read


# --- from the raw table to the catalog -----------------------------------------------------------------------------


def _assemble(raw: RawCatalog, path: Path, spec: CatalogSpec) -> Catalog:
    table, columns = raw.table, dict(raw.columns)
    warnings, inferred = list(raw.warnings), list(raw.inferred)
    if spec.names:
        columns = _rename(table, columns, spec.names)
    for name in map(str, table.columns):
        columns.setdefault(name, Column(name))
    for name, unit in spec.units.items():
        _known(name, columns, "a unit")
        parsed, power = parse_unit(unit)
        columns[name] = replace(columns[name], unit=parsed, h_power=power, inferred=False)
    if any(column.inferred for column in columns.values()):
        inferred.append("units")
    h = spec.h if spec.h is not None else raw.h
    if h is not None and not 0.1 < h < 10:
        raise InputError(
            f"h = {h:g} cannot be a Hubble parameter in units of 100 km/s/Mpc; give a value such as 0.6774."
        )

    stated = {role: value for role, value in raw.roles.items() if role in Roles.model_fields and not spec.names}
    chosen = spec.roles.model_dump() if spec.roles else {}
    if set(chosen.get("position", ())) <= {*sky.PLAIN, *sky.MARKED} - columns.keys():  # derived when it was last read
        chosen.pop("position", None)
    roles = Roles(**{**infer_roles(table), **stated, **chosen})
    if not stated and not chosen:
        inferred.append("roles")
    _check_roles(roles, table, columns)
    placed = sky.place(table, columns, roles, warnings)
    if placed:
        table = table.assign(**{name: values for name, (values, _) in placed.columns.items()})
        columns |= {name: column for name, (_, column) in placed.columns.items()}
        features = tuple(name for name in roles.features if name not in placed.used)
        roles = roles.model_copy(update={"position": tuple(placed.columns), "features": features})
        inferred.append("position")
        raw.provenance["positions"] = placed.how
    elif sky.on_sky(roles.position, columns):
        roles = roles.model_copy(update={"position": ()})

    length_unit = length_unit_of([columns[name] for name in roles.position], h)
    if roles.position and not length_unit:
        axes = ", ".join(roles.position)
        warnings.append(f"The unit of {axes} is not stated; set it (such as Mpc/h) so that lengths have a meaning.")
    box, periodic = _box(raw, spec, roles, columns, length_unit, h, warnings)
    catalog = Catalog(
        table=table.reset_index(drop=True),
        columns={str(name): columns[str(name)] for name in table.columns},
        roles=roles,
        row_ids=_row_ids(raw, table, roles, warnings),
        spec=spec.model_copy(update={"where": None}),
        name=raw.name or (path.stem if path.is_file() else path.name),
        box=box,
        periodic=periodic,
        length_unit=length_unit,
        h=h,
        provenance=raw.provenance,
        inferred=tuple(dict.fromkeys(inferred)),
    )
    if spec.where:
        catalog = select(catalog, spec.where)
    catalog = _check_extent(catalog, warnings)
    return replace(catalog, warnings=tuple(dict.fromkeys(warnings)))


def _known(name: str, columns: dict[str, Column], what: str) -> None:
    if name not in columns:
        close = difflib.get_close_matches(name, list(columns), 1, 0.5)
        remedy = f"did you mean '{close[0]}'?" if close else f"its columns are {', '.join(list(columns)[:6])}, ..."
        raise InputError(f"There is no column '{name[:60]}' to give {what}; {remedy}")


def _rename(table: pd.DataFrame, columns: dict[str, Column], names: tuple[str, ...]) -> dict[str, Column]:
    if len(names) != table.shape[1] or len(set(names)) != len(names):
        raise InputError(
            f"{len(set(names))} different names are given for {table.shape[1]} columns; name every column once."
        )
    renamed = {}
    for old, new in zip(map(str, table.columns), names, strict=True):
        column = columns.get(old, Column(old))
        plain, bracket = split_name(new)
        unit, power = parse_unit(bracket) if bracket else (column.unit, column.h_power)
        renamed[plain] = replace(column, name=plain, unit=unit, h_power=power)
    table.columns = pd.Index(list(renamed))
    return renamed


def _check_roles(roles: Roles, table: pd.DataFrame, columns: dict[str, Column]) -> None:
    numeric = set(numeric_names(table))
    for role, value in roles.model_dump().items():
        names = value if isinstance(value, tuple | list) else (value,) if value else ()
        for name in names:
            _known(name, columns, f"the role of {role}")
            if role in ("velocity", "mass", "target", "features") and name not in numeric:
                if table[name].dtype == bool:
                    continue
                raise InputError(f"Column '{name}' does not hold numbers, so it cannot be a {role.rstrip('s')}.")
        if role in ("position", "velocity") and names and (len(names) not in (2, 3) or len(set(names)) != len(names)):
            raise InputError(f"The {role} needs two or three different columns, not {', '.join(names)}.")
    for name in roles.position:
        if name not in numeric and not sky.is_angle(name, columns[name]):
            raise InputError(
                f"Position column '{name}' holds text, not numbers; choose numeric columns or mend its values."
            )


def _row_ids(raw: RawCatalog, table: pd.DataFrame, roles: Roles, warnings: list[str]) -> np.ndarray:
    """Unique ids [N]: those of the role's column, or else of the format, or else row numbers."""
    rows = np.arange(len(table), dtype=np.int64)
    if roles.row_id is None:
        return rows if raw.row_ids is None else raw.row_ids
    values = table[roles.row_id]
    if values.dtype.kind == "f" and values.notna().all() and (values % 1 == 0).all() and values.abs().max() < 2**53:
        values = values.astype(np.int64)
    repeated = int(values.duplicated().sum())
    if repeated or values.isna().any() or values.dtype.kind == "f":
        why = f"repeats {repeated:,} values" if repeated else "has gaps or fractions"
        warnings.append(f"Column '{roles.row_id}' {why}, so rows are numbered from 0 instead.")
        return rows
    ids = values.to_numpy()
    if ids.dtype.kind in "iu" and (ids.dtype.kind == "i" or ids.max() < 2**63):
        return ids.astype(np.int64)
    return np.array([str(value) for value in ids])


def _box(
    raw: RawCatalog,
    spec: CatalogSpec,
    roles: Roles,
    columns: dict[str, Column],
    length_unit: str,
    h: float | None,
    warnings: list[str],
) -> tuple[np.ndarray | None, bool]:
    """Side lengths [3] in `length_unit` or None, and whether the box repeats."""
    box = None
    if spec.box is not None:
        box = np.asarray(spec.box, dtype=np.float64)
        if not (np.isfinite(box).all() and (box > 0).all()):
            raise InputError(
                f"The box needs three positive side lengths, not {', '.join(f'{side:g}' for side in spec.box)}."
            )
    elif raw.box is not None and roles.position:
        box = np.ones(3) * np.asarray(raw.box, dtype=np.float64)
        if raw.box_unit:
            unit, power = parse_unit(raw.box_unit)
            measure = Column("the box", unit, power)
        else:
            measure = columns[roles.position[0]]
        box = box * length_factor(measure, length_unit, h)
    periodic = raw.periodic if spec.periodic is None else spec.periodic
    if spec.periodic and box is None:
        raise InputError("A periodic catalog needs a box; give the side length of its box as well.")
    if spec.box is not None and periodic is None:
        warnings.append("A box is given but not whether it is periodic, so distances do not wrap around it.")
    return box, bool(periodic and box is not None)


def _check_extent(catalog: Catalog, warnings: list[str]) -> Catalog:
    """Count rows without a position; a box must hold the positions (wherever its corner lies)."""
    if not catalog.roles.position:
        return catalog
    positions = catalog.positions()
    finite = np.isfinite(positions).all(axis=1)
    lost = int((~finite).sum())
    if lost:
        axes = ", ".join(catalog.roles.position)
        warnings.append(
            f"{lost:,} of {len(catalog):,} rows have no finite position ({axes}); cut them before building a graph."
        )
    if catalog.box is None or lost == len(catalog):
        return catalog
    unit = f" {catalog.length_unit}".rstrip()
    for axis, size, side in zip("xyz", np.ptp(positions[finite], axis=0), catalog.box, strict=True):
        if size > side * (1 + 1e-6):
            found = f"the positions span {size:.6g}{unit} along {axis}"
            if catalog.spec.box is not None:
                raise InputError(f"The box is {side:g}{unit} but {found}; give a larger box or other units.")
            warnings.append(f"The file's box of {side:.6g} is left out because {found}; give the box and the units.")
            return replace(catalog, box=None, periodic=False)
    return catalog
