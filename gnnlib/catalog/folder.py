"""A folder of several catalogs, such as the boxes of one simulation suite, read as one catalog.

Each file is read by the reader of its format, and the tables are stacked: a column names the file of each row. A table
of parameters beside the files, with a row for each of them, gives every row of a file its parameters, as columns: what
CAMELS (Villaescusa-Navarro et al. 2021, arXiv 2010.00619) keeps in one list for all of its simulations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gnnlib.catalog import parquet, tng
from gnnlib.catalog.raw import RawCatalog, Report
from gnnlib.catalog.sentences import shared_sentences
from gnnlib.catalog.table import CatalogSpec, Column, Files
from gnnlib.errors import InputError

FILE_COLUMN = "catalog"
PACKED = (".gz", ".bz2", ".xz")
_PARAMETERS = re.compile(r"(^|.*[^a-z])param(eter)?s?([^a-z].*|$)|cosmoastro.*")  # of a file's name, in small letters
_PROVENANCE = "provenance.json"  # beside what `gnnlib.catalog.sources` downloaded
_SHOWN = 4  # names in a sentence

ReadFile = Callable[[Path, CatalogSpec, Report | None, int | None], RawCatalog]


class Contents(NamedTuple):
    """files: the catalogs of a folder in natural order. parameters: its tables of parameters. others: names of what is
    neither."""

    files: list[Path]
    parameters: list[Path]
    others: list[str]


def contents(folder: Path, suffixes: Sequence[str]) -> Contents:
    """What lies directly in a folder, hidden files not counted. suffixes: those of catalogs."""
    files: list[Path] = []
    parameters: list[Path] = []
    others: list[str] = []
    for path in sorted(folder.iterdir(), key=lambda path: _natural(path.name)):
        if path.name.startswith((".", "_")) or path.name == _PROVENANCE or not path.is_file():
            continue
        if Path(_unpacked(path.name)).suffix.lower() not in suffixes:
            others.append(path.name)
        elif _PARAMETERS.fullmatch(_stem(path.name).lower()):
            parameters.append(path)
        else:
            files.append(path)
    return Contents(files, parameters, others)


def holds_catalogs(folder: Path, suffixes: Sequence[str]) -> bool:
    """Whether the files of a folder are catalogs of their own: neither chunks of one SUBFIND catalog nor, unless a
    table of parameters lies beside them, the Parquet files of one table."""
    found = contents(folder, suffixes)
    if not found.files:
        return False
    chunks = [path for path in found.files if path.suffix in (".hdf5", ".h5")]
    if chunks:
        return (len(chunks) > 1 or bool(found.parameters)) and not tng.are_chunks(chunks)
    if parquet.files_in(folder):
        flat = all(path.suffix.lower() in parquet.SUFFIXES for path in found.files)
        return flat and bool(found.parameters) and len(parquet.files_in(folder)) == len(found.files)
    return not tng.chunk_files(folder)


def read(
    folder: Path,
    spec: CatalogSpec,
    report: Report | None = None,
    rows: int | None = None,
    *,
    suffixes: Sequence[str],
    read_file: ReadFile,
) -> RawCatalog:
    """Read all catalogs of a folder as one table, with `Files.column` and the parameters of each file as its last
    columns.

    Row ids are `file:row`. rows: only the first of the first file. suffixes: those of catalogs. read_file: reads one
    file, whatever its format. Raises InputError for a file that cannot be read or whose columns, units, box, h or
    redshift are not those of the first, and for a table of parameters that does not name every file once.
    """
    found = contents(folder, suffixes)
    labels = _labels(found.files)
    if len(found.parameters) > 1:
        raise InputError(
            f"'{folder.name}' holds several tables of parameters ({_list(p.name for p in found.parameters)}); leave one"
            " of them in the folder."
        )
    told = _parameters(found.parameters[0], found.files, labels, read_file) if found.parameters else None
    parts: list[RawCatalog] = []
    for number, path in enumerate(found.files if rows is None else found.files[:1]):
        raw = read_file(path, spec, _share(report, number, len(found.files), path.name), rows)
        if parts:
            _check_alike(parts[0], raw, found.files[0].name, path.name)
        parts.append(raw)
    first, counts = parts[0], [len(raw.table) for raw in parts]
    table = _stacked(parts)
    column = _free_name(FILE_COLUMN, [*table.columns, *(told.columns if told is not None else ())])
    of_file = np.repeat(np.arange(len(parts)), counts)
    added = {column: pd.Series(np.array(labels, dtype=object)[of_file], dtype="str")}
    if told is not None:
        if shared := [str(name) for name in told.columns if name in table.columns]:
            raise InputError(
                f"'{found.parameters[0].name}' and the catalogs both have a column '{shared[0]}'; rename one of them."
            )
        added |= {str(name): told[name].take(of_file).reset_index(drop=True) for name in told.columns}
    ids = [np.arange(count) if raw.row_ids is None else raw.row_ids for raw, count in zip(parts, counts, strict=True)]
    warnings = shared_sentences([(label, raw.warnings) for label, raw in zip(labels, parts, strict=False)])
    if found.others:
        warnings.append(f"Left out of the folder, as their names are not those of catalogs: {_list(found.others)}.")
    return RawCatalog(
        table=pd.concat([table, pd.DataFrame(added)], axis=1),
        columns=first.columns | {column: Column(column, description="the file that the row is from")},
        format=f"folder of {first.format}",
        roles=first.roles,
        row_ids=np.array([f"{label}:{one}" for label, own in zip(labels, ids, strict=False) for one in own.tolist()]),
        box=first.box,
        box_unit=first.box_unit,
        periodic=first.periodic,
        h=first.h,
        redshift=first.redshift,
        tables=first.tables,
        table_read=first.table_read,
        header=first.header,
        rows=sum(counts) if rows is None else None,
        files=Files(column, () if told is None else tuple(map(str, told.columns))),
        provenance={"files": len(found.files)} | ({"parameters": found.parameters[0].name} if found.parameters else {}),
        warnings=warnings,
        inferred=first.inferred,
    )


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sorts LH_2 before LH_10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.lower())
    return [(False, int(part), "") if part.isascii() and part.isdecimal() else (True, 0, part) for part in parts]


def _unpacked(name: str) -> str:
    """The name without the suffix of a packed file."""
    return next((name[: -len(end)] for end in PACKED if name.lower().endswith(end)), name)


def _stem(name: str) -> str:
    return Path(_unpacked(name)).stem


def _labels(files: list[Path]) -> list[str]:
    """What each file is called: its stem, or its whole name where two have the same stem."""
    stems = [_stem(path.name) for path in files]
    return stems if len(set(stems)) == len(stems) else [path.name for path in files]


def _list(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name[:60]}'" for name in names[:_SHOWN]) + more


def _share(report: Report | None, number: int, count: int, name: str) -> Report | None:
    """Progress within one file as a part of that of all."""
    if report is None:
        return None
    return lambda share, what: report((number + share) / count, f"{name} ({number + 1:,} of {count:,})")


def _free_name(name: str, taken: Iterable[Any]) -> str:
    taken = set(map(str, taken))
    return (
        name
        if name not in taken
        else next(f"{name}_{k}" for k in range(2, len(taken) + 3) if f"{name}_{k}" not in taken)
    )


# What has to be the same in all files


def _check_alike(first: RawCatalog, raw: RawCatalog, first_name: str, name: str) -> None:
    """Raises InputError where a file is not like the first one."""
    here, there = list(map(str, raw.table.columns)), list(map(str, first.table.columns))
    for names, others, has, has_not in ((there, here, first_name, name), (here, there, name, first_name)):
        if lacking := [column for column in names if column not in set(others)]:
            raise InputError(
                f"'{has_not}' has no column {_list(lacking)}, which '{has}' has; all files of a folder need the same"
                " columns."
            )
    for column in there:
        if _kind(first.table[column]) != _kind(raw.table[column]) and not raw.table[column].isna().all():
            kinds = {"number": "numbers", "text": "text"}
            raise InputError(
                f"Column '{column}' holds {kinds[_kind(raw.table[column])]} in '{name}' and"
                f" {kinds[_kind(first.table[column])]} in '{first_name}'; mend one of the files."
            )
        units = [part.columns.get(column, Column(column)).measure for part in (raw, first)]
        if units[0] != units[1]:
            said = [unit.label or "no stated unit" for unit in units]
            raise InputError(
                f"Column '{column}' is in {said[0]} in '{name}' and in {said[1]} in '{first_name}'; bring all files to"
                " one unit."
            )
    for what in ("h", "redshift", "box", "box_unit", "periodic"):
        ours, theirs = getattr(raw, what), getattr(first, what)
        if not _same(ours, theirs):
            label = {"box_unit": "unit of the box", "periodic": "kind of box (periodic or not)"}.get(what, what)
            raise InputError(
                f"The {label} of '{name}' is {_said(ours)}, that of '{first_name}' {_said(theirs)}; all files of a"
                " folder have to agree."
            )


def _kind(values: pd.Series) -> str:
    return "number" if values.dtype.kind in "biuf" else "text"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool | str | tuple) or isinstance(other, bool | str | tuple) or one is None or other is None:
        return bool(np.all(one == other))
    return bool(np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=1e-6, atol=1e-6))


def _said(value: Any) -> str:
    return "not stated" if value is None or value == "" else str(value)


def _stacked(parts: list[RawCatalog]) -> pd.DataFrame:
    """The rows of all tables under the columns of the first; a column of numbers in a type that holds them all."""
    columns: dict[Any, np.ndarray | pd.Series] = {}
    for name in parts[0].table.columns:
        values = [raw.table[name] for raw in parts]
        if _kind(values[0]) == "number":
            columns[name] = np.concatenate([np.asarray(part) for part in values])
        else:
            texts = [part if _kind(part) == "text" else pd.Series([None] * len(part), dtype="str") for part in values]
            columns[name] = pd.concat(texts, ignore_index=True)
    return pd.DataFrame(columns, copy=False)


# The table of parameters


def _parameters(path: Path, files: list[Path], labels: list[str], read_file: ReadFile) -> pd.DataFrame:
    """The parameters of each file, [number of files] rows in their order.

    The first column that holds text names the files, or the first column where all of its numbers are stems; without
    either there is one row a file, in natural order. Without a header the parameters are called parameter_1, ... Raises
    InputError where a file has no row, or two, and where a row names no file.
    """
    raw = read_file(path, CatalogSpec(path=str(path)), None, None)
    table = raw.table
    if not raw.header:  # the catalogs may be without names as well
        table = table.set_axis([f"parameter_{number}" for number in range(1, table.shape[1] + 1)], axis=1)
    texts = [str(name) for name in table.columns if _kind(table[name]) == "text"]
    first = str(table.columns[0])
    stems = [_stem(file.name) for file in files]
    whole = _kind(table[first]) == "number" and table[first].notna().all() and (table[first] % 1 == 0).all()
    if not texts and whole and set(stems) <= {str(int(value)) for value in table[first]}:
        named, column = [str(int(value)) for value in table[first]], first
    elif texts:
        named, column = [str(value).strip() for value in table[texts[0]]], texts[0]
    else:
        if len(table) != len(files):
            raise InputError(
                f"'{path.name}' has {len(table):,} rows for {len(files):,} files and does not name them; write the"
                " names of the files into its first column, or one row a file."
            )
        return table
    place = {name: k for k, file in enumerate(files) for name in (_unpacked(file.name), file.name)}
    if labels == stems:  # else two files have the same stem, so only whole names tell them apart
        place |= {stem: k for k, stem in enumerate(stems)}
    rows: dict[int, int] = {}
    unknown, twice = [], []
    for row, name in enumerate(named):
        at = place.get(name, place.get(Path(name).name))
        if at is None:
            unknown.append(name)
        elif at in rows:
            twice.append(name)
        else:
            rows[at] = row
    missing = [file.name for k, file in enumerate(files) if k not in rows]
    for names, what, remedy in (
        (unknown, "names files that are not in the folder", "take these rows out, or correct the names"),
        (twice, "has more than one row for", "keep one row a file"),
        (missing, "has no row for", "add the missing rows, or take these files out"),
    ):
        if names:
            raise InputError(f"'{path.name}' {what}: {_list(names)}; {remedy}.")
    rest = [name for name in table.columns if name != column]
    if not rest:
        raise InputError(f"'{path.name}' names the files but no parameter; add a column for each parameter.")
    return table[rest].iloc[[rows[k] for k in range(len(files))]].reset_index(drop=True)
