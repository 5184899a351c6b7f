"""Catalogs written as text: CSV, TSV, `;` or `|` separated, and columns separated by blanks, with or without a header.

Understands the habits of the field's files: comments before the header or in its place (`# x y z`, `rel_pos(3)[kpc]`,
Rockstar's `scale(0)`), the table name CasJobs puts first, VizieR's rows of units and dashes, trailing separators.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gnnlib.catalog.raw import RawCatalog, TableBuilder
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError

COMMENTS = ("#", "%", "!", "//")
_MISSING = ["-", "--", "---", "...", "INDEF", "\\N", "masked"]
_SNIFFED_LINES = 60
_NAMES = {None: "blanks", ",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}


@dataclass(frozen=True)
class Layout:
    """How the lines are built: the separator (None = blanks), names, units row, and lines before the data."""

    separator: str | None
    names: list[str] | None
    units: list[str]
    skip: int
    width: int


def read(path: Path, spec: CatalogSpec) -> RawCatalog:
    """Read a text catalog; raises InputError naming the line where the file is not a table."""
    text = _decode(path)
    layout = _sniff(text, path.name)
    frame = _parse(text, layout, path.name)
    warnings = []
    names = layout.names or [""] * layout.width
    if not layout.names and not spec.names:
        warnings.append(
            f"The file has no header, so its columns are called col1 to col{layout.width};"
            " name them and choose the positions."
        )
    builder = TableBuilder()
    for k, name in enumerate(names):
        values = frame.iloc[:, k]
        if name.strip() or values.notna().any() or k < layout.width - 1:  # else: nothing after a trailing separator
            builder.add(name or f"col{k + 1}", values, unit=layout.units[k] if k < len(layout.units) else "")
    separator = _NAMES[layout.separator]
    return RawCatalog(
        table=builder.table(),
        columns=builder.columns,
        format="CSV" if layout.separator == "," else f"text separated by {separator}",
        warnings=warnings + builder.warnings,
    )


def _decode(path: Path) -> str:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(COMMENTS)


def _fields(line: str, separator: str | None) -> list[str]:
    if separator is None:
        if '"' not in line:
            return line.split()
        return next(csv.reader([line.strip()], delimiter=" ", skipinitialspace=True), [])
    return [field.strip() for field in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return not field.lower().lstrip("+-").startswith(("n", "i"))  # nan, inf


def _sniff(text: str, file: str) -> Layout:
    """Find the separator, the header and the first row of data from the first lines."""
    content: list[tuple[int, str]] = []
    comments: list[str] = []
    for at, line in enumerate(io.StringIO(text)):
        if not line.strip():
            continue
        if _is_comment(line):
            if not content:
                comments.append(line.strip())
            continue
        content.append((at, line.rstrip("\n")))
        if len(content) > _SNIFFED_LINES:
            break
    if not content:
        raise InputError(f"'{file}' holds no rows, only comments or blank lines.")
    separator = _separator([line for _, line in content])
    rows = [_fields(line, separator) for _, line in content]
    if not any(_is_number(field) for row in rows for field in row):
        raise InputError(
            f"'{file}' has no column of numbers in its first {len(rows)} lines, so it does not look like a catalog."
        )
    width, alike = Counter(len(row) for row in (rows[1:] or rows)).most_common(1)[0]
    if alike < 0.5 * len(rows[1:]):
        raise InputError(f"The lines of '{file}' have unlike numbers of fields, so it does not look like a table.")
    if any(map(_is_number, rows[0])):  # no header among the rows: perhaps the last fitting comment names the columns
        named = [names for names in (_commented_names(comment, width) for comment in comments) if names]
        return Layout(separator, named[-1] if named else None, [], content[0][0], width)

    if len(rows) == 1:
        raise InputError(f"'{file}' has a header but no rows.")
    names, first, units = rows[0], 1, list[str]()
    for k in (1, 2):  # VizieR: a row of dashes below the header or below the units
        if k < len(rows) and all(re.fullmatch(r"-*", field) for field in rows[k]) and any(rows[k]):
            first, units = k + 1, rows[1] if k == 2 else []
    if first >= len(rows):
        raise InputError(f"'{file}' has a header but no rows.")
    if len(names) != width or (separator is None and all(name.endswith(",") for name in names[:-1])):
        apart = [_fields(content[0][1], mark) for mark in (",", "\t", ";", "|", None)]
        other = [fields for fields in apart if len(fields) == width]
        if other:
            names = other[0]
        elif len(names) == width - 1 and all(len(row) == width and not row[-1] for row in rows[first:]):
            names = [*names, ""]
        elif len(names) == width + 1 and not names[-1]:
            names = names[:-1]
        else:
            head, row = content[0][0] + 1, content[first][0] + 1
            raise InputError(
                f"The header of '{file}' (line {head}) has {len(names)} names but the rows from line {row} on have"
                f" {width} fields separated by {_NAMES[separator]}; mend the header."
            )
    return Layout(separator, names, units, content[first][0], width)


def _separator(lines: list[str]) -> str | None:
    """The separator that gives most lines the same number of fields; blanks where none does."""
    best: tuple[float, str | None] = (0.49, None)
    for separator in ("\t", ",", "|", ";"):
        widths = Counter(len(_fields(line, separator)) for line in lines)
        width, count = widths.most_common(1)[0]
        if width > 1 and count / len(lines) > best[0]:
            best = (count / len(lines), separator)
    return best[1]


def _commented_names(comment: str, width: int) -> list[str]:
    """Column names from a comment line if it has one a column: `# x y z`, `#scale(0) id(1)`, `# id rel_pos(3)[kpc]`."""
    body = comment.lstrip("#%!/ ").strip()
    for separator in (None, ",", "\t", ";", "|"):
        tokens = _fields(body, separator)
        if all(re.search(rf"\({k}\)$", token) for k, token in enumerate(tokens)) and tokens:
            tokens = [token[: token.rindex("(")] for token in tokens]
        else:
            tokens = [part for token in tokens for part in _expanded(token)]
        sentence = any(token.endswith((".", ":", "=")) or _is_number(token) for token in tokens)
        if len(tokens) == width and len(set(tokens)) == width and (width == 1 or not sentence):
            return tokens
    return []


def _expanded(token: str) -> list[str]:
    """`rel_pos(3)[kpc]` stands for three columns."""
    found = re.fullmatch(r"(\w+)\(([23])\)(\[.*\])?", token)
    if not found:
        return [token]
    return [f"{found[1]}_{axis}{found[3] or ''}" for axis in "xyz"[: int(found[2])]]


def _parse(text: str, layout: Layout, file: str) -> pd.DataFrame:
    lines = io.StringIO(text)
    skip = layout.skip
    if any(f"\n{mark}" in text for mark in COMMENTS):
        kept = (line for number, line in enumerate(lines) if number >= skip and not _is_comment(line))
        lines, skip = io.StringIO("".join(kept)), 0
    try:
        frame = pd.read_csv(
            lines,
            header=None,
            names=list(range(layout.width)),
            index_col=False,
            skiprows=skip,
            skipinitialspace=True,
            na_values=_MISSING,
            low_memory=False,
            float_precision="round_trip",
            sep=layout.separator or r"\s+",
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError) as error:
        _check_widths(text, layout, file)
        raise InputError(
            f"'{file}' is not a table that can be read: its quotation marks or separators do not match."
        ) from error
    # pandas fills short rows up and cuts a long first row without a word: look where that may have happened.
    if frame.iloc[:, -1].isna().any() or len(next(_rows(text, layout))[1]) != layout.width:
        _check_widths(text, layout, file)
    for name in frame.columns:
        if frame[name].dtype.kind not in "biuf":
            frame[name] = _tidy(frame[name])
    return frame


def _tidy(values: pd.Series) -> pd.Series:
    """Text columns: blanks stripped; a column of nothing but gaps becomes NaN."""
    if values.isna().all():
        return pd.Series(np.full(len(values), np.nan))
    text = values.astype(object)
    return text.map(lambda value: value.strip() if isinstance(value, str) else value)


def _rows(text: str, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, fields) of each row of data."""
    source = io.StringIO(text)
    for _ in range(layout.skip):
        next(source)
    if layout.separator is None:
        for number, line in enumerate(source, start=layout.skip + 1):
            if line.strip() and not _is_comment(line):
                yield number, _fields(line, None)
        return
    numbered = ("\n" if _is_comment(line) else line for line in source)
    reader = csv.reader(numbered, delimiter=layout.separator, skipinitialspace=True)
    for fields in reader:
        if any(fields):
            yield layout.skip + reader.line_num, fields


def _check_widths(text: str, layout: Layout, file: str) -> None:
    """Raise InputError at the first row whose number of fields differs."""
    try:
        for number, fields in _rows(text, layout):
            if len(fields) != layout.width and not (len(fields) == layout.width + 1 and not fields[-1].strip()):
                raise InputError(
                    f"Line {number} of '{file}' has {len(fields)} fields where the other rows have {layout.width};"
                    " mend or remove that line."
                )
    except csv.Error as error:
        raise InputError(f"'{file}' is not a table that can be read: a field is far too long.") from error
