"""Catalogs written as text: CSV, TSV, `;` or `|` separated, and columns separated by blanks, with or without a header.

Understands the habits of the field's files: comments before the header or in its place (`# x y z`, `rel_pos(3)[kpc]`,
Rockstar's `scale(0)`), the table name CasJobs puts first, VizieR's rows of units and dashes, trailing separators,
decimal commas. The rows are parsed by pandas, whose parser is exact to the last bit, from a stream.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from gnnlib.catalog import rockstar
from gnnlib.catalog.headers import are_units, fields_of, in_comments, is_number, names_in_header
from gnnlib.catalog.raw import RawCatalog, Report, TableBuilder
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError

COMMENTS = ("#", "%", "!", "//")
_COMMENT_LINES = re.compile(rb"^[ \t]*(?:#|%|!|//)[^\n]*(?:\n|\Z)", re.MULTILINE)
_MISSING = ["-", "--", "---", "...", "INDEF", "\\N", "masked"]
_MISSING += ["*" * width for width in range(2, 26)]  # a number too long for Fortran's format
_SNIFFED_LINES = 60
_LONGEST_HEAD = 2**24  # bytes of comments before the first rows
_LONGEST_LINE = 2**20
_LONG = 2**28  # bytes: a matter of seconds
_NAMES = {None: "blanks", ",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}


@dataclass(frozen=True)
class Layout:
    """How the lines are built: the separator (None = blanks), names, units row, lines before the data, fields a line,
    decimal mark, the comments above the data, whether blanks follow separators, and lines above the table left out."""

    separator: str | None
    names: list[str] | None
    units: list[str]
    skip: int
    width: int
    decimal: str = "."
    comments: tuple[str, ...] = ()
    offset: int | None = None  # byte at which the data begin, where the file can be handed to the parser as it is
    padded: bool = True
    above: int = 0


def recognises(head: bytes) -> bool:
    """Whether the first bytes are text, in UTF-16 only with a byte-order mark."""
    return b"\0" not in head or head[:2] in (b"\xff\xfe", b"\xfe\xff")


def read(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """Read a text catalog, or its first rows; raises InputError naming the line where the file is not a table."""
    encoding, layout = _sniffed(path)
    try:
        frame = _parse(path, encoding, layout, report, rows)
    except UnicodeDecodeError:  # beyond the lines that were sniffed
        frame = _parse(path, "latin-1", layout, report, rows)
    warnings = []
    names = layout.names or [""] * layout.width
    if not layout.names and not spec.names:
        warnings.append(
            f"The file has no header, so its columns are called col1 to col{layout.width};"
            " name them and choose the positions."
        )
    scale = frame.iloc[:, 0] if names[0].lower() == "scale" and frame.iloc[:, 0].dtype.kind == "f" else None
    halos = rockstar.facts(layout.comments, names, float(scale.iloc[0]) if scale is not None else None)
    described = halos.descriptions if halos else _vizier_descriptions(layout.comments)
    builder, series = TableBuilder(), {name: frame[name] for name in frame}
    del frame
    for k, name in enumerate(names):
        values = series.pop(str(k))
        if name.strip() or values.notna().any() or k < layout.width - 1:  # else: nothing after a trailing separator
            unit = layout.units[k] if k < len(layout.units) else ""
            unit = (halos.units.get(name, "") if halos else "") or unit.strip('"')
            inferred = halos is not None and name in halos.inferred
            array = values.to_numpy() if values.dtype.kind in "biuf" else values
            if array is values and (word := _word_among_numbers(values)):
                what = f"Column '{name or f'col{k + 1}'}' is text, since '{word}' stands among its numbers"
                warnings.append(f"{what}; mend the file or leave the column out.")
            builder.add(name or f"col{k + 1}", array, unit, described.get(name, ""), inferred=inferred)
    kind = "CSV" if layout.separator == "," else f"text separated by {_NAMES[layout.separator]}"
    if layout.above:
        lines = "line of the file is" if layout.above == 1 else f"{layout.above} lines of the file are"
        warnings.append(f"The first {lines} not part of the table and left out.")
    if layout.decimal == ",":
        warnings.append("Numbers in this file have a decimal comma: 1,5 was read as 1.5.")
    raw = RawCatalog(
        table=builder.table(),
        columns=builder.columns,
        format=halos.program if halos else kind,
        header=layout.names is not None,
        warnings=warnings + builder.warnings,
    )
    if halos:
        raw.h, raw.redshift = halos.h, halos.redshift
        if halos.box:
            raw.box, raw.box_unit, raw.periodic = halos.box, "cMpc/h", True
            raw.inferred.append("periodic")
    return raw


class _AsItIs(io.RawIOBase):
    """The file from a byte on, saying how much of it has been read."""

    def __init__(self, path: Path, offset: int, report: Report | None = None) -> None:
        self._file = path.open("rb")
        self._size = max(path.stat().st_size, 1)
        self._report = report
        self._file.seek(offset)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._report:
            self._report(self._file.tell() / self._size, "lines")
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Stream(io.RawIOBase):
    """The file as UTF-8 with `\n` between lines, without a byte-order mark and, if wanted, without comment lines."""

    def __init__(
        self, path: Path, encoding: str, report: Report | None = None, skip: int = 0, comments: bool = True
    ) -> None:
        self._file = path.open("rb")
        self._size = max(path.stat().st_size, 1)
        self._decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)()
        self._report, self._skip, self._comments = report, skip, comments
        self._rest = b""  # an unfinished line
        self._ready = b""
        self._begun = self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        wanted = 2**63 if size is None or size < 0 else size
        parts = []
        while wanted > 0 and (self._ready or not self._ended):
            if not self._ready:
                self._fill()
            part, self._ready = self._ready[:wanted], self._ready[wanted:]
            wanted -= len(part)
            parts.append(part)
            if part and size is not None and size > 0:
                break
        return b"".join(parts)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _fill(self) -> None:
        block = self._file.read(2**20)
        self._ended = not block
        if self._report:
            self._report(min(self._file.tell() / self._size, 1.0), "lines")
        if self._decoder:
            block = self._decoder.decode(block, self._ended).encode("utf-8", "replace")
        if not self._begun:
            block, self._begun = block.removeprefix(b"\xef\xbb\xbf"), True
        block = self._rest + block
        if self._ended:
            block, self._rest = block, b""
        else:  # whole lines only; what follows the last line end is kept, and a "\r" that "\n" may follow
            end = max(block.rfind(b"\n"), block.rfind(b"\r", 0, -1)) + 1
            if not end and len(block) > 64 * _LONGEST_LINE:
                raise InputError("A line of the file is longer than 64 MB, so it is not a table; choose another file.")
            block, self._rest = block[:end], block[end:]
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        while self._skip and block:
            end = block.find(b"\n") + 1
            self._skip -= 1
            block = block[end:] if end else b""
        if self._comments and any(mark in block for mark in (b"#", b"%", b"!", b"//")):
            block = _COMMENT_LINES.sub(b"", block)
        self._ready = block


def _sniffed(path: Path) -> tuple[str, Layout]:
    """Encoding and layout, from as many first bytes as hold enough rows."""
    size = 2**18
    while True:
        with path.open("rb") as file:
            data = file.read(size)
            whole = not file.read(1)
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
        if encoding == "utf-16":
            text = data[: len(data) // 2 * 2].decode("utf-16", "replace")
        else:
            end = len(data) if whole else max(data.rfind(b"\n"), data.rfind(b"\r")) + 1 or len(data)
            try:
                text = data[:end].decode("utf-8-sig")
            except UnicodeDecodeError:
                encoding, text = "latin-1", data[:end].decode("latin-1")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        rows = sum(1 for line in text.split("\n") if line.strip() and not _is_comment(line))
        if whole or rows > _SNIFFED_LINES or size >= _LONGEST_HEAD:
            break
        if "\n" not in text and len(text) >= _LONGEST_LINE:
            raise InputError(
                f"The first line of '{path.name}' is longer than 1 MB, so it is no table; choose another file."
            )
        size *= 8
    layout = _sniff(text, path.name)
    if encoding == "utf-8" and not re.search(rb"\r(?!\n)", data[:-1]):
        lines = io.BytesIO(data)
        for _ in range(layout.skip):
            lines.readline()
        bom = 3 if not layout.skip and data.startswith(b"\xef\xbb\xbf") else 0
        padded = not layout.separator or f"{layout.separator} " in text
        layout = replace(layout, offset=lines.tell() + bom, padded=padded)
    return encoding, layout


def _lines(path: Path, encoding: str) -> Iterator[str]:
    """The lines of the file, comments included."""
    with io.TextIOWrapper(
        io.BufferedReader(_Stream(path, encoding, comments=False)), encoding="utf-8", errors="replace", newline="\n"
    ) as source:
        yield from source


def _vizier_descriptions(comments: tuple[str, ...]) -> dict[str, str]:
    """Column -> what VizieR's `#Column` lines say of it."""
    found = (re.match(r"#Column\t([^\t]+)\t\([^\t]*\)\t([^\t]*)", comment) for comment in comments)
    return {match[1].strip(): re.sub(r"^\?=?\s*", "", match[2]).strip()[:200] for match in found if match}


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(COMMENTS)


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
    if rockstar.is_tree(text):
        raise InputError(
            f"'{file}' is a consistent-trees merger tree, whose rows are halos of many moments; take the hlist_*.list"
            " of one scale factor instead."
        )
    if not content:
        raise InputError(f"'{file}' holds no rows, only comments or blank lines; choose a file with a table.")
    separator = _separator([line for _, line in content])
    try:
        rows = [fields_of(line, separator) for _, line in content]
    except csv.Error as error:
        raise InputError(f"A line of '{file}' is far too long for a table; choose a file with a table.") from error
    numbers = [[is_number(field) or _comma_may_be(separator, field) for field in row] for row in rows]
    if not any(map(any, numbers)):
        raise InputError(
            f"'{file}' has no column of numbers in its first {len(rows)} lines, so it does not look like a catalog;"
            " choose another file."
        )
    width, alike = Counter(len(row) for row in (rows[1:] or rows)).most_common(1)[0]
    if alike < 0.5 * len(rows[1:]):
        raise InputError(
            f"The lines of '{file}' have unlike numbers of fields, so it does not look like a table; choose one."
        )
    above = _lines_above(rows, numbers, width)
    content, rows, numbers = content[above:], rows[above:], numbers[above:]
    if any(is_number(field) or _COMMA.fullmatch(field) for field in rows[0]):  # perhaps a comment names the columns
        said, units = in_comments(comments, width)
        if not said and width > 1 and not any(row[-1] for row in rows if len(row) == width):  # after a last separator
            said, units = in_comments(comments, width - 1)
            said = [*said, ""] if said else None
        decimal = _decimal_mark(rows, separator)
        return Layout(separator, said, units, content[0][0], width, decimal, tuple(comments), above=above)

    if len(rows) == 1:
        raise InputError(f"'{file}' has a header but no rows; choose a file with objects in it.")
    decimal = _decimal_mark(rows[1:], separator)
    names, first, units = rows[0], 1, list[str]()
    for k in (1, 2):  # VizieR: a row of dashes below the header or below the units
        if k < len(rows) and all(re.fullmatch(r"-*", field) for field in rows[k]) and any(rows[k]):
            first, units = k + 1, rows[1] if k == 2 else []
    if first == 1 and len(rows) > 2 and not any(numbers[1]) and any(numbers[2]) and are_units(rows[1]):
        first, units = 2, rows[1]
    if first >= len(rows):
        raise InputError(f"'{file}' has a header but no rows; choose a file with objects in it.")
    if len(names) != width or (separator is None and all(name.endswith(",") for name in names[:-1])):
        other = names_in_header(content[0][1], names, width)
        if other:
            names = other
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
    return Layout(separator, names, units, content[first][0], width, decimal, tuple(comments), above=above)


def _lines_above(rows: list[list[str]], numbers: list[list[bool]], width: int) -> int:
    """How many lines come before the table: the number of rows alone on the first line, or prose before a header."""
    if len(rows) > 2 and width > 2 and len(rows[0]) == 1 and rows[0][0].isdigit() and len(rows[1]) == width:
        return 1
    header = next((k for k, row in enumerate(rows[:_MOST_PROSE]) if len(row) == width), 0)
    prose = header and width > 1 and not any(numbers[header]) and any(numbers[-1])
    return header if prose else 0


def _comma_may_be(separator: str | None, field: str) -> bool:
    """Whether a field is a number with a decimal comma, where the comma cannot separate fields."""
    return separator in _BESIDE_COMMAS and bool(_COMMA.fullmatch(field))


_BESIDE_COMMAS = (";", "\t", "|")
_MOST_PROSE = 12
_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")


def _decimal_mark(rows: list[list[str]], separator: str | None) -> str:
    """ "," where numbers are written 1,5: never where the comma could separate fields or thousands."""
    if separator not in _BESIDE_COMMAS:
        return "."
    fields = [field for row in rows for field in row]
    with_comma = [field for field in fields if _COMMA.fullmatch(field)]
    thousands = all(re.fullmatch(r"[-+]?[1-9]\d{0,2},\d{3}", field) for field in with_comma)
    points = any("." in field and is_number(field) for field in fields)
    return "," if with_comma and not thousands and not points else "."


def _separator(lines: list[str]) -> str | None:
    """The separator that gives most lines the same number of fields; blanks where none does."""
    best: tuple[float, str | None] = (0.49, None)
    for separator in ("\t", ",", "|", ";"):
        widths = Counter(len(fields_of(line, separator)) for line in lines)
        width, count = widths.most_common(1)[0]
        if width > 1 and count / len(lines) > best[0]:
            best = (count / len(lines), separator)
    if best[1] == "\t" and any(" " in line.strip() for line in lines):  # tabs and blanks may be mixed
        blank = [line.split() for line in lines]
        if len({len(fields) for fields in blank}) == 1 and all(map(is_number, blank[-1])):
            return None
    return best[1]


def _parse(path: Path, encoding: str, layout: Layout, report: Report | None, rows: int | None) -> pd.DataFrame:
    """Columns "0", "1", ... of all rows, or of the first."""
    text: dict[str, type] = {}
    for _ in range(3):
        frame = _parse_as(path, encoding, layout, report, rows, text)
        if layout.offset is not None and _has_comments(frame.iloc[:, 0]):
            layout = replace(layout, offset=None, padded=True)
            continue
        objects = [name for name in frame.columns if frame[name].dtype == object]
        mixed = [name for name in objects if not frame[name].map(lambda value: isinstance(value, str | float)).all()]
        if not mixed:
            break
        text = dict.fromkeys(mixed, str)  # numbers in one part of the file, words in another: words
    # pandas fills short rows up and cuts a long first row without a word: look where that may have happened.
    if rows is None and (frame.iloc[:, -1].isna().any() or not _first_row_fits(path, encoding, layout)):
        _check_widths(path, encoding, layout)
    for name in frame.columns:
        if frame[name].dtype.kind not in "biuf":
            frame[name] = _tidy(frame[name])
    return frame


def _has_comments(first: pd.Series) -> bool:
    """Whether a comment line was taken for a row; it begins in the first column."""
    if first.dtype.kind in "biuf":
        return False
    return bool(first.astype("str").str.lstrip().str.startswith(COMMENTS).any())


def _parse_as(
    path: Path, encoding: str, layout: Layout, report: Report | None, rows: int | None, text: dict[str, type]
) -> pd.DataFrame:
    """The rows, with some columns taken as text.

    Given the path of a plain file, pandas parses it in several threads; from a stream it takes twice the time, but the
    stream knows how far it is, which counts where the file is long.
    """
    plain = layout.offset is not None and encoding == "utf-8"
    try:
        if plain and (report is None or path.stat().st_size < _LONG):
            return _parsed(path, layout, rows, text, skip=layout.skip)
        with (
            _AsItIs(path, layout.offset or 0, report) if plain else _Stream(path, encoding, report, layout.skip)
        ) as stream:
            return _parsed(stream, layout, rows, text)
    except UnicodeDecodeError:
        raise
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        if layout.offset is not None:  # comment lines or padding may be in the way
            return _parse_as(path, encoding, replace(layout, offset=None, padded=True), report, rows, text)
        _check_widths(path, encoding, layout)
        raise InputError(
            f"'{path.name}' is not a table that can be read: its quotation marks or separators do not match; mend them"
            " or save it as CSV."
        ) from error


def _parsed(
    source: Path | io.RawIOBase, layout: Layout, rows: int | None, text: dict[str, type], skip: int = 0
) -> pd.DataFrame:
    return pd.read_csv(
        source,  # type: ignore[arg-type]
        header=None,
        names=[str(k) for k in range(layout.width)],
        index_col=False,
        skiprows=skip,
        skipinitialspace=layout.padded,
        na_values=_MISSING,
        sep=layout.separator or r"\s+",
        decimal=layout.decimal,
        dtype=text or None,
        nrows=rows,
        compression=None,
    )


_GLANCE = 100  # rows
_ALMOST_NUMBER = r"[-+\u2212]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+\u2212]?\d+)?"


def _tidy(values: pd.Series) -> pd.Series:
    """Text columns: blanks stripped; a column of nothing but gaps becomes NaN, and one of numbers that only the blanks
    around them, Fortran's 1.5D+03 or a typeset minus kept from being read becomes numbers."""
    if values.isna().all():
        return pd.Series(np.full(len(values), np.nan))
    text = values.astype("str").str.strip()
    known = text.dropna()
    if not known.iloc[:_GLANCE].str.fullmatch(_ALMOST_NUMBER).all() or known.str.fullmatch(r"[-+]?\d{16,}").any():
        return text  # long numbers are names
    plain = known.str.replace("\u2212", "-").str.replace("[dD]", "e", regex=True)
    if not (plain != values[known.index]).any():
        return text
    numbers = pd.to_numeric(plain, errors="coerce")
    return numbers.reindex(text.index) if numbers.notna().all() else text


def _word_among_numbers(values: pd.Series) -> str:
    """The first word in a text column of which nine in ten are numbers; "" for other columns."""
    known = values.dropna()
    if known.iloc[:_GLANCE].str.fullmatch(_ALMOST_NUMBER).mean() < 0.9:
        return ""
    words = known[~known.str.fullmatch(_ALMOST_NUMBER).astype(bool)]
    return str(words.iloc[0])[:40] if 0 < len(words) <= 0.1 * len(known) else ""


def _rows(path: Path, encoding: str, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, fields) of each row of data."""
    source = _lines(path, encoding)
    for _ in range(layout.skip):
        next(source, "")
    if layout.separator is None:
        for number, line in enumerate(source, start=layout.skip + 1):
            if line.strip() and not _is_comment(line):
                yield number, fields_of(line, None)
        return
    numbered = ("\n" if _is_comment(line) else line for line in source)
    reader = csv.reader(numbered, delimiter=layout.separator, skipinitialspace=True)
    for fields in reader:
        if any(fields):
            yield layout.skip + reader.line_num, fields


def _first_row_fits(path: Path, encoding: str, layout: Layout) -> bool:
    try:
        return len(next(_rows(path, encoding, layout))[1]) == layout.width
    except (csv.Error, StopIteration):
        return False


def _check_widths(path: Path, encoding: str, layout: Layout) -> None:
    """Raise InputError at the first row whose number of fields differs."""
    try:
        for number, fields in _rows(path, encoding, layout):
            if len(fields) != layout.width and not (len(fields) == layout.width + 1 and not fields[-1].strip()):
                raise InputError(
                    f"Line {number} of '{path.name}' has {len(fields)} fields where the other rows have {layout.width};"
                    " mend or remove that line."
                )
    except csv.Error as error:
        raise InputError(
            f"'{path.name}' is not a table that can be read: a field is far too long; mend its quotation marks."
        ) from error
