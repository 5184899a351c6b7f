"""What the lines above the rows of a text catalog say: names and units of its columns, in the habits of the field.

`# x y z`, `# x [Mpc/h]  y [Mpc/h]`, Rockstar's `#scale(0) id(1)`, AHF's `#ID(1) Mvir(4)`, `rel_pos(3)[kpc]` for three
columns, one numbered line a column as SExtractor and many a README write them, and a line of units below the names.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from gnnlib.catalog.units import parse_measure
from gnnlib.errors import InputError

MARKS = ",\t;|"
_FORTRAN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[dD][-+]?\d+")
_NUMBERED = re.compile(r"(?:col(?:umn)?\s*)?[\[(]?(\d{1,4})[\])]?\s*[:.)=-]?\s+(\S.*)", re.IGNORECASE)
_WIDEST_VECTOR = 32


def fields_of(line: str, separator: str | None) -> list[str]:
    """The fields of a line; separator None: blanks."""
    if separator is None:
        if '"' not in line:
            return line.split()
        return next(csv.reader([line.strip()], delimiter=" ", skipinitialspace=True), [])
    return [field.strip() for field in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]


def is_number(field: str) -> bool:
    """Whether a field is a number, as C or as Fortran writes it; nan and inf are words here."""
    try:
        float(field)
    except ValueError:
        return bool(_FORTRAN.fullmatch(field))
    return not field.lower().lstrip("+-").startswith(("n", "i"))


def names_in_header(line: str, names: list[str], width: int) -> list[str] | None:
    """The names [width] of a header whose separators are not those of the rows, or which has fewer names than columns:
    `names` as the rows' separator splits it. None where it cannot be told."""
    apart = [fields_of(line, mark) for mark in (*MARKS, None)]
    apart += [[part for name in names for part in _expanded(name)], *_by_units(line)]
    return next((fields for fields in apart if len(fields) == width), None)


def in_comments(comments: Sequence[str], width: int) -> tuple[list[str] | None, list[str]]:
    """Names and units of the columns of a table without a header of its own, from the comments above it.

    Comments that number the columns come first, then the last that has one name a column; units are those of the line
    below it. Names None, units [] where there are none.
    """
    if listed := _one_a_line(comments, width):
        return listed, []
    fitting = [k for k, comment in enumerate(comments) if _names(comment, width)]
    if fitting:
        last = fitting[-1]
        if last - 1 in fitting and are_units(_body(comments[last]).split()):
            last -= 1
        below = _body(comments[last + 1]).split() if last + 1 < len(comments) else []
        return _names(comments[last], width), below if len(below) == width and are_units(below) else []
    return None, []


def are_units(fields: Sequence[str]) -> bool:
    """Whether a line holds units: each field one, or empty, or a dash, and most of them real ones."""
    real = [field for field in fields if field.strip("-[]() ") and field.lower() not in ("none", "null", "n/a")]
    return bool(real) and 2 * len(real) >= len(fields) and all(map(_is_unit, real))


def _is_unit(field: str) -> bool:
    try:
        measure = parse_measure(re.sub(r"^[\[(](.*)[\])]$", r"\1", field.strip()))
    except InputError:
        return False
    return bool(measure.unit) and not is_number(field)


def _body(comment: str) -> str:
    return comment.lstrip("#%!/ ").strip()


def _names(comment: str, width: int) -> list[str]:
    """Column names from a comment line if it has one a column."""
    body = _body(comment)
    for tokens in ([fields_of(body, separator) for separator in (None, *MARKS)], _by_units(body)):
        for fields in tokens:
            found = _unnumbered(fields) or [part for token in fields for part in _expanded(token)]
            sentence = any(token.endswith((".", ":", "=")) or is_number(token) for token in found)
            if len(found) == width == len(set(found)) and (width == 1 or not sentence):
                return found
    return []


def _unnumbered(tokens: Sequence[str]) -> list[str]:
    """`scale(0) id(1)`: names whose columns are numbered; numbers are missing where columns were cut out."""
    found = [re.fullmatch(r"(\S+)\((\d+)\)", token) for token in tokens]
    numbers = [int(match[2]) for match in found if match]
    if len(tokens) < 2 or len(numbers) < len(tokens) or any(a >= b for a, b in pairwise(numbers)):
        return []
    return [match[1] for match in found if match]


def _expanded(token: str) -> list[str]:
    """`rel_pos(3)[kpc]` stands for three columns."""
    found = re.fullmatch(r"(\w+)\(([23])\)(\[.*\])?", token)
    if not found:
        return [token]
    return [f"{found[1]}_{axis}{found[3] or ''}" for axis in "xyz"[: int(found[2])]]


def _by_units(line: str) -> Iterator[list[str]]:
    """`x [Mpc / h]  y [Mpc / h]`, `Object Name   RA (deg)`: blanks before and within brackets belong to the name."""
    joined = re.sub(r"\s*([\[(])([^\[\]()]*)([\])])", lambda m: f"{m[1]}{m[2].replace(' ', '')}{m[3]}", line.strip())
    yield joined.split()
    yield re.split(r"\s{2,}", joined)


def _one_a_line(comments: Sequence[str], width: int) -> list[str]:
    """Names from comments that number the columns, one a line: `# 1: x [Mpc/h]`, SExtractor's `#  1 NUMBER  ...`.

    Columns whose number is left out belong to the vector before them.
    """
    lines: list[tuple[int, str]] = []
    for comment in comments:
        found = _NUMBERED.fullmatch(_body(comment))
        if not found:
            continue
        if lines and int(found[1]) <= lines[-1][0]:
            lines = []
        lines.append((int(found[1]), found[2]))
    if not lines or lines[0][0] not in (0, 1) or (len(lines) == 1 and width > 1):
        return []
    ends = [number for number, _ in lines[1:]] + [width + lines[0][0]]
    names: list[str] = []
    for (number, said), end in zip(lines, ends, strict=True):
        if not 0 < end - number <= _WIDEST_VECTOR:
            return []
        name, unit = _said(said)
        names += [f"{name}{unit}"] if end - number == 1 else [f"{name}_{k}{unit}" for k in range(end - number)]
    return names if len(set(names)) == width else []


def _said(text: str) -> tuple[str, str]:
    """The name a numbered line begins with, and its "[unit]"."""
    unit = re.search(r"\[[^\[\]]*\]|\([^()]*\)\s*$", text)
    name = re.split(r"\s{2,}|\s*[:=,;\[(]\s*|\s+-+\s+", text.strip())[0]
    words = name.split()
    name = words[0] if len(words) > 3 else "_".join(words)
    return name, unit[0].strip() if unit and _is_unit(unit[0]) else ""
