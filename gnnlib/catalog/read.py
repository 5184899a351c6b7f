"""Reading a catalog: find the format by its first bytes, since suffixes lie, and read the table.

A format is one function in a module of its own and one row in `FORMATS`. What the table means is settled by `assemble`.
"""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from gnnlib.catalog import (
    astropy_tables,
    fits_tables,
    folder,
    graph_files,
    hdf5,
    json_records,
    numpy_arrays,
    parquet,
    text,
    tng,
    votable,
)
from gnnlib.catalog.assemble import assemble
from gnnlib.catalog.columns import numeric_names
from gnnlib.catalog.compressed import packed_with, unpacked
from gnnlib.catalog.raw import RawCatalog, Report
from gnnlib.catalog.sample import SAMPLE_PATH
from gnnlib.catalog.table import Catalog, CatalogSpec
from gnnlib.errors import InputError


class Reader(Protocol):
    """Reads the table of a file: all of it, or only the first rows."""

    def __call__(
        self, path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None, /
    ) -> RawCatalog: ...


@dataclass(frozen=True)
class Format:
    """name: as people call it. recognises: whether the first bytes are this format's. suffixes: where to expect it."""

    name: str
    recognises: Callable[[bytes], bool]
    read: Reader
    suffixes: tuple[str, ...]


FORMATS = (
    Format("FITS", lambda head: head.startswith(b"SIMPLE  ="), fits_tables.read, (".fits", ".fit", ".fts")),
    Format("HDF5", lambda head: head.startswith(b"\x89HDF\r\n"), hdf5.read, (".hdf5", ".h5", ".hdf")),
    Format("Parquet", lambda head: head.startswith(b"PAR1"), parquet.read, parquet.SUFFIXES),
    Format("NumPy array", lambda head: head.startswith(b"\x93NUMPY"), numpy_arrays.read_npy, (".npy",)),
    Format("GraphML", graph_files.looks_like_graphml, graph_files.read_nodes, (".graphml",)),
    Format(
        "VOTable", lambda head: b"<VOTABLE" in head or b":VOTABLE" in head, votable.read, (".vot", ".votable", ".xml")
    ),
    Format("ECSV", lambda head: head.startswith(b"# %ECSV"), astropy_tables.read_ecsv, (".ecsv",)),
    Format("AAS table", lambda head: b"Byte-by-byte Description" in head, astropy_tables.read_mrt, (".mrt",)),
    Format("IPAC table", astropy_tables.is_ipac, astropy_tables.read_ipac, (".tbl", ".ipac")),
    Format("JSON", json_records.looks_like_json, json_records.read, (".json", ".jsonl", ".ndjson")),
    Format(
        "text",
        text.recognises,
        text.read,
        (".csv", ".tsv", ".txt", ".dat", ".list", ".cat", ".ascii", ".ahf_halos", ""),
    ),
)
_NPZ = Format("NumPy archive", lambda head: head.startswith(b"PK"), numpy_arrays.read_npz, (".npz",))
_PT = Format("PyTorch Geometric graph", lambda head: head.startswith(b"PK"), graph_files.read_pt, (".pt", ".pth"))
SUFFIXES = tuple(suffix for kind in (*FORMATS, _NPZ, _PT) for suffix in kind.suffixes if suffix)
_BINARY = ("FITS", "HDF5", "Parquet", "NumPy array")
READABLE = (
    "CSV and other text, FITS, VOTable, ECSV, AAS and IPAC tables, Parquet, HDF5, NumPy, JSON, graphs"
    " (.pt, GraphML), Rockstar and SUBFIND"
)

_NEEDED_WHOLE = ("HDF5", "Parquet", "NumPy array")  # even for their first rows
_PEEKED = 2**22  # bytes of a packed file that are unpacked for a look at its first rows

# What people bring by mistake: first bytes -> what it is and what helps.
_NOT_CATALOGS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the data; fetch the file itself with `git lfs pull`"),
    (b"PK\x03\x04", "is a zip archive or an Excel sheet; unpack it, or save the table as CSV"),
    (b"\x80", "looks like a Python pickle, which could run code when opened; save the table as CSV, FITS or Parquet"),
    (b"<!DOCTYPE html", "is a web page, not a catalog; download the file itself"),
    (b"<html", "is a web page, not a catalog; download the file itself"),
    (b"ARROW1", "is an Arrow (Feather) file; save the table as Parquet"),
    (b"%PDF", "is a PDF document; save its table as CSV"),
)


def read_catalog(source: str | Path | CatalogSpec, **corrections: Any) -> Catalog:
    """Read a catalog with what its file says and what its names suggest, then apply the corrections.

    source: a file, a folder of SUBFIND chunks or of several catalogs (see `gnnlib.catalog.folder`), "sample" for the
    bundled catalog, or a CatalogSpec. corrections: fields of `CatalogSpec` (roles, units, h, box, periodic, where,
    names). Everything concluded rather than read is listed in
    `Catalog.inferred`; everything to be wary of in `Catalog.warnings`. Raises InputError, and nothing else, for input
    that cannot be used.
    """
    spec = _spec(source, corrections)
    return assemble(read_raw(spec), spec)


def read_raw(spec: CatalogSpec, report: Report | None = None) -> RawCatalog:
    """The table of a file or folder as found, before anything is concluded from it: the slow part of reading.

    Of the spec only path, table, names and h matter here. report: called with the share that is done (0 to 1) and what
    is being read. Raises InputError, and nothing else.
    """
    return _read(_place(spec), spec, report, None)


def read_first(spec: CatalogSpec, rows: int) -> RawCatalog:
    """Like `read_raw`, but only the first rows, in a fraction of a second whatever the size of the file."""
    return _read(_place(spec), spec, None, rows)


def _place(spec: CatalogSpec) -> Path:
    return SAMPLE_PATH if spec.path == "sample" else Path(spec.path)


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


def _read(path: Path, spec: CatalogSpec, report: Report | None, rows: int | None) -> RawCatalog:
    """The raw table of a file or folder; whatever a library throws comes out as one sentence."""
    label = "a catalog"
    try:
        if not path.exists():
            raise InputError(f"There is no file or folder '{path}'; check the path.")
        with ExitStack() as stack, python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            place = path
            if path.is_file() and packed_with(_head(path)[:8]):
                label = "a packed catalog"
                place = stack.enter_context(unpacked(path, report, _PEEKED if rows is not None else None))
                report = _second_half(report)
            label, read = _recognise_folder(place) if place.is_dir() else _recognise(place)
            if place is not path and rows is not None and label in _NEEDED_WHOLE:
                place = stack.enter_context(unpacked(path))
            raw = read(place, spec, _forward(report), rows)
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
    if raw.columns and not len(raw.table):
        raise InputError(f"'{path.name}' has columns but no rows; choose a file with objects in it.")
    if not numeric_names(raw.table):
        raise InputError(
            f"'{path.name}' has no column of numbers, so there is nothing to place or predict; choose another table."
        )
    raw.name = raw.name or (path.name.removesuffix("".join(path.suffixes[-2:])) if place is not path else path.stem)
    raw.name = path.name if path.is_dir() else raw.name
    raw.provenance = {"file": path.name, "format": raw.format, **raw.provenance}
    if report and rows is None:
        report(1.0, "read")
    return raw


def _forward(report: Report | None) -> Report | None:
    """Progress that never goes back, even where a file is gone through again."""
    if report is None:
        return None
    furthest = 0.0

    def tell(share: float, what: str) -> None:
        nonlocal furthest
        furthest = min(1.0, max(furthest, share))
        report(furthest, what)

    return tell


def _second_half(report: Report | None) -> Report | None:
    """Progress of reading what took the first half of the time to unpack."""
    return (lambda share, what: report(0.5 + share / 2, what)) if report else None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(65536)


def _recognise_folder(path: Path) -> tuple[str, Reader]:
    if folder.holds_catalogs(path, SUFFIXES):
        return "a folder of catalogs", partial(folder.read, suffixes=SUFFIXES, read_file=_read)
    if parquet.files_in(path):
        return "Parquet", parquet.read_folder
    return "a group catalog", tng.read_folder


def _recognise(path: Path) -> tuple[str, Reader]:
    head = _head(path)
    if not head.strip():
        raise InputError(f"'{path.name}' is empty; choose a file with a table in it, or copy it again.")
    if _NPZ.recognises(head) and numpy_arrays.is_npz(path):
        return _NPZ.name, _NPZ.read
    if _PT.recognises(head) and path.suffix.lower() in _PT.suffixes:
        return _PT.name, _PT.read
    for magic, what in _NOT_CATALOGS:
        if head.lstrip()[: len(magic)].lower() == magic.lower():
            raise InputError(f"'{path.name}' {what}.")
    if packed_with(head):
        raise InputError(f"'{path.name}' is packed twice; unpack it first.")
    expected = next((f for f in (*FORMATS, _NPZ) if path.suffix.lower() in f.suffixes), None)
    found = next((f for f in FORMATS if f.recognises(head)), None)
    if found is None or (expected and expected.name in _BINARY and found.name not in _BINARY):
        if expected and expected.name != "text":
            raise InputError(
                f"'{path.name}' is called {expected.name} but its content is not; it is damaged or something else:"
                " copy it again."
            )
        raise InputError(f"The format of '{path.name}' is not known; Filament reads {READABLE}.")
    return found.name, found.read
