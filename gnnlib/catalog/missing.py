"""Values that stand for missing ones (-99, 0 magnitudes, 1e37, inf, ...): found, offered, dealt with as a person says.

A number is suspected only where it stands apart: beyond every ordinary value of its column, and far enough that it is
not simply the last of them. -99 among velocities from -300 to 300 is a velocity; -99 under magnitudes is a mark.
Identifiers are never suspected: -1 in Rockstar's `upid` says "no host".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from gnnlib.catalog.table import Catalog, Column, Missing
from gnnlib.errors import InputError

# Marks of surveys, simulations and file formats. -9, -99.9, 99.99, 999, ... are recognised by their digits.
_NINES = re.compile(r"-?9{1,7}(\.9{1,4})?|-8{2,4}|-7{3,4}")
_FILLS = {
    1e37: "SUBFIND's magnitude where there are no stars",
    1e36: "a filler of simulations",
    1e30: "a filler of simulations",
    -1e30: "a filler of simulations",
    -1.6375e30: "HEALPix' mark of unseen pixels",
    1e20: "the CF conventions' fill value",
    9.969209968386869e36: "netCDF's fill value",
    -32768.0: "the lowest number of two bytes",
    -2147483648.0: "the lowest number of four bytes",
    -9223372036854775808.0: "the lowest number of eight bytes",
    float(np.finfo(np.float32).max): "the largest number of four bytes",
    float(np.finfo(np.float32).min): "the lowest number of four bytes",
    float(np.finfo(np.float64).max): "the largest number there is",
    float(np.finfo(np.float64).min): "the lowest number there is",
}
_TEXTS = ["", "-", "--", "---", "...", "?", "N/A", "n/a", "NA", "nan", "NaN", "NAN", "null", "NULL", "Null"]
_TEXTS += ["none", "None"]
_IDENTIFIER = re.compile(
    r"(?i).*ids?|.*[^a-z]ids?[^a-z].*|.*(index|idx|nr|parent|recno|descendant|progenitor)|key|host"
)
_MAGNITUDE = re.compile(  # rmag, MAG_AUTO, petroMag_r, phot_g_mean_mag, m_r; not magnetic_field or image
    r"(?i)(.*[^a-z])?mag(s|nitudes?)?([^a-z].*)?|.*mag|mag_?[ugrizyjhkbv]|m_[ugrizyjhkbv]|(?-i:.*[a-z]Mag([^a-z].*)?)"
)
_NO_MAGNITUDE = re.compile(
    r"(?i)(e_|err|sig|unc|std|a_|ebv|e\(b-v\)|ext).*|.*(err(or)?|sig(ma)?|unc|std|corr|_e[mp]|ext(inction)?)"
)
_STEPS = 8  # marks looked for at either end of a column
_SAMPLE = 100_000  # values that tell how far the ordinary ones spread


@dataclass(frozen=True)
class Suspect:
    """A value that may stand for a missing one. value: a number, or text ("inf", "-inf", "N/A"); rows: how many have
    it; reason: a sentence."""

    column: str
    value: float | str
    rows: int
    reason: str


# What a person decided


def mask(catalog: Catalog) -> Catalog:
    """The catalog with the values named by `spec.missing` (rules "mask" and "drop") turned into NaN or no text.

    Columns of whole numbers become float64 where something is masked. Rules for columns yet to be derived wait for them
    (`masked`). Raises InputError for a column that is not there, a text that is not a number in a column of numbers,
    and identifiers too long for a float.
    """
    changed = {}
    for name, rule in catalog.spec.missing.items():
        if name in catalog.columns:
            values = masked(catalog.table[name], rule, name)
            if values is not None:
                changed[name] = values
        elif name not in catalog.spec.derived:
            close = difflib.get_close_matches(name, list(catalog.columns), 1, 0.5)
            remedy = f"did you mean '{close[0]}'?" if close else "take its rule for missing values away."
            raise InputError(f"There is no column '{name[:60]}' to look for missing values in; {remedy}")
    return replace(catalog, table=catalog.table.assign(**changed)) if changed else catalog


def masked(series: pd.Series, rule: Missing, name: str) -> Any:
    """The values [N] of a column without its marks, or None where nothing changes."""
    if rule.rule == "keep" or not rule.values:
        return None
    if not _is_numeric(series):
        marked = series.isin([str(value) for value in rule.values])
        return series.mask(marked, None) if marked.any() else None
    values = series.to_numpy()
    hit = np.zeros(len(values), dtype=bool)
    for value in rule.values:
        try:
            hit |= _equal(values, float(value))
        except ValueError as error:
            raise InputError(
                f"'{str(value)[:40]}' is not a number, so it cannot stand for a missing value in column '{name[:60]}'."
            ) from error
    if not hit.any():
        return None
    if values.dtype.kind in "iu" and np.abs(values[~hit].astype(np.float64)).max(initial=0) > 2**53:
        raise InputError(
            f"Column '{name[:60]}' holds whole numbers of over 15 digits, which cannot have gaps; cut its rows instead."
        )
    values = values.copy() if values.dtype.kind == "f" else values.astype(np.float64)
    values[hit] = np.nan
    return values


def known(catalog: Catalog) -> np.ndarray:
    """Rows [N] that have a value in every column whose rule is "drop"; a gap that the file left counts as well."""
    keep = np.ones(len(catalog), dtype=bool)
    for name, rule in catalog.spec.missing.items():
        if rule.rule == "drop":
            keep &= catalog.table[name].notna().to_numpy()
    return keep


# What looks as if it were missing


def find(catalog: Catalog) -> tuple[Suspect, ...]:
    """Values that may stand for missing ones, column by column, those farthest out first; nothing is changed.

    NaN and empty cells are missing already and not listed. True/false columns and identifiers are left alone.
    """
    found: list[Suspect] = []
    for name, column in catalog.columns.items():
        series = catalog.table[name]
        placed = name in catalog.roles.position and column.description.startswith("from ")
        if name in (catalog.roles.row_id, catalog.roles.group) or placed or len(series) == 0:
            continue  # what has a place on the sky is mended where it comes from
        if not _is_numeric(series):
            found += _texts(name, series)
        elif series.dtype.kind != "b" and not _is_identifier(name, series.to_numpy()):
            found += _numbers(name, series.to_numpy(), column)
    return tuple(found)


def ordinary(values: np.ndarray, suspects: Iterable[Suspect]) -> np.ndarray:
    """Where values [N] of one column are neither missing nor suspected, bool."""
    good = ~np.isnan(values)
    for suspect in suspects:
        good &= ~_equal(values, float(suspect.value))
    return good


def _is_numeric(series: pd.Series) -> bool:
    return isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf"


def _is_identifier(name: str, values: np.ndarray) -> bool:
    """Whether whole numbers name something else, going by the column's name."""
    if not _IDENTIFIER.fullmatch(name):
        return False
    return values.dtype.kind != "f" or bool((values[np.isfinite(values)] % 1 == 0).all())


def _texts(name: str, series: pd.Series) -> list[Suspect]:
    marks = series[series.isin(_TEXTS)]
    return [
        Suspect(name, str(value), int(rows), f"'{value}' is how text files write a missing value.")
        for value, rows in marks.value_counts().items()
    ]


def _equal(values: np.ndarray, mark: float) -> np.ndarray:
    """Where values [N] are the mark as their type writes it; numbers that were once four bytes long count too."""
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            short = np.float32(mark)
        return values == short if values.dtype == np.float32 else (values == mark) | (values == np.float64(short))
    return values == mark


def _named(value: float) -> float:
    """-99.98999786376953 is -99.99 in four bytes; whole numbers are what they are."""
    if abs(value) <= 2**63 and value == int(value):
        return value
    with np.errstate(over="ignore"):
        short = np.float32(value)
    return float(str(short)) if np.float64(short) == value else float(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and 1000 <= abs(value) < 1e6 else f"{value:.6g}"


@dataclass(frozen=True)
class _Mark:
    """value as stored, rows that hold it, why it is known as a mark ("" where only its place speaks for it)."""

    value: float
    rows: int
    known: str


def _numbers(name: str, values: np.ndarray, column: Column) -> list[Suspect]:
    found = []
    if values.dtype.kind == "f":
        low, high = _ends(values)
        if np.isinf(low) or np.isinf(high):
            for label, infinite in (("inf", np.inf), ("-inf", -np.inf)):
                if rows := int((values == infinite).sum()):
                    found.append(
                        Suspect(name, label, rows, f"{label} is not a number to reckon with, as the logarithm of 0 is.")
                    )
            values = values[np.isfinite(values)]
        if np.isnan(low) or not len(values):
            return found
    lows = _peel(values, np.fmin.reduce, np.greater, -np.inf)
    highs = _peel(values, np.fmax.reduce, np.less, np.inf)
    low, high = lows[1], highs[1]
    if low > high:  # nothing but marks; which of them are ordinary nobody can say, unless they are plain
        reason = "{} occurs {:,} times and is a common mark of a missing value; no row holds an ordinary one."
        plain = [mark for mark in lows[0] if mark.known and mark.value <= -99 and mark.rows > 1]
        return found + [Suspect(name, n := _named(m.value), m.rows, reason.format(_number(n), m.rows)) for m in plain]
    magnitude = _is_magnitude(column)
    if values.dtype.kind in "iu" and max(-low, high) > 2**53:
        return found  # longer than a float can be, so they are names, whatever the column's own
    if not (lows[0] or highs[0] or (magnitude and low <= 0 <= high)):
        return found
    ordinary = values[(values >= low) & (values <= high)]
    for below, marks in ((True, lows[0]), (False, highs[0])):
        for mark in reversed(marks):  # from the inside out: what is ordinary extends the range
            reason = _apart(mark, low, high, ordinary, below, values.dtype.kind)
            if reason:
                found.append(Suspect(name, _named(mark.value), mark.rows, reason))
            else:
                low, high = min(low, mark.value), max(high, mark.value)
    if magnitude:
        found += _zero_magnitudes(name, ordinary)
    return sorted(found, key=lambda suspect: -abs(float(suspect.value)))


def _ends(values: np.ndarray) -> tuple[float, float]:
    return float(np.fmin.reduce(values)), float(np.fmax.reduce(values))


def _peel(
    values: np.ndarray, extreme: Callable[..., Any], inside: Callable[..., Any], end: float
) -> tuple[list[_Mark], float]:
    """The marks at one end of a column, from the outside in, and the first value that is none."""
    marks: list[_Mark] = []
    for _ in range(_STEPS):
        if not len(values):
            return marks, -end
        value = extreme(values)
        why = _why(float(value), end)
        rest = values[inside(values, value)] if why is not None else values
        if why is None:
            return marks, float(value)
        marks.append(_Mark(float(value), len(values) - len(rest) - int(np.isnan(values).sum()), why))
        values = rest
    return marks, float(extreme(values)) if len(values) else -end


def _why(value: float, end: float) -> str | None:
    """Why a value is known as a mark: a phrase; "" for a round number that its place alone may give away; None."""
    name = _named(value)
    for fill, what in _FILLS.items():
        if name == fill or value == fill or (abs(value) > 1e19 and np.isclose(value, fill, rtol=1e-6, atol=0)):
            return what
    plain = np.format_float_positional(name, trim="-") if abs(name) < 1e8 else ""
    if (name < 0) == (end < 0) and _NINES.fullmatch(plain):
        return "a common mark of a missing value"
    if abs(name) >= 1e4 and f"{abs(name):.0e}".startswith("1e") and name == float(f"{name:.0e}"):
        return ""
    if name == -1:
        return ""
    return None


def _apart(mark: _Mark, low: float, high: float, ordinary: np.ndarray, below: bool, kind: str) -> str:
    """A sentence that says how far the mark stands from the ordinary values [M], "" where it does not stand apart."""
    sample = ordinary[:: max(1, len(ordinary) // _SAMPLE)].astype(np.float64)
    first, last = np.nanpercentile(sample, [1, 99])
    nearest = low if below else high
    gap, spread, whole = abs(mark.value - nearest), last - first, high - low
    text, times = _number(_named(mark.value)), "once" if mark.rows == 1 else f"{mark.rows:,} times"
    place = f"{'below' if below else 'above'} the {'lowest' if below else 'highest'} other value, {_number(nearest)}"
    far = f"{text} occurs {times}, {_number(gap)} {place}"
    large = max(abs(low), abs(high), 1e-300)
    if mark.value == -1:
        # Only a column of fractions from 0 on, in which nothing else is repeated as often, can mean it so.
        fractions = kind == "f" and low >= 0 and bool((sample[np.isfinite(sample)] % 1 != 0).mean() > 0.5)
        repeats = mark.rows > 1 and fractions and mark.rows >= 0.002 * len(ordinary)
        return f"{far}, in a column that is never negative otherwise." if repeats else ""
    if abs(mark.value) >= 1e19 or not mark.known:
        ratio = abs(mark.value) / large
        enough = ratio >= 1e3 if mark.known else ratio >= 50 and mark.rows > 2
        told = f"{mark.known}; it is {ratio:.2g} times the largest other value" if mark.known else ""
        return (f"{text} is {told}." if told else f"{far}, {ratio:.2g} times as large.") if enough else ""
    if abs(mark.value) < 10:
        enough = gap >= whole and mark.rows > 1
    elif below:
        enough = gap >= 0.4 * spread or (low >= 0 and mark.rows > 1) or (gap >= 2 * abs(nearest) > 0 and low >= 0)
    else:
        several = mark.rows > 1 or (kind == "f" and gap >= 3 * spread)
        enough = gap >= spread and mark.value > 1.5 * high and several
    return f"{far}; it is {mark.known}." if enough else ""


def _is_magnitude(column: Column) -> bool:
    """Whether a column holds magnitudes, by its unit or name; not their errors, nor extinctions."""
    if _NO_MAGNITUDE.fullmatch(column.name):
        return False
    return column.unit == "mag" or bool(_MAGNITUDE.fullmatch(column.name))


def _zero_magnitudes(name: str, ordinary: np.ndarray) -> list[Suspect]:
    """Zeros where no object is that bright: apart from the other magnitudes [M], or piled up outside nearly all."""
    rows = int((ordinary == 0).sum())
    others = ordinary[(ordinary != 0) & ~np.isnan(ordinary)]
    if not rows or len(others) < 2:
        return []
    sample = others[:: max(1, len(others) // _SAMPLE)].astype(np.float64)
    first, last = np.percentile(sample, [1, 99])
    low, high = float(others.min()), float(others.max())
    gap = low if low > 0 else -high if high < 0 else 0.0
    most = np.unique(sample, return_counts=True)[1].max() * len(others) / len(sample)
    outside = first > 0 or last < 0
    if gap >= 0.25 * (last - first) or (outside and rows >= 5 and rows >= 5 * most):
        between = f"the other magnitudes lie between {_number(low)} and {_number(high)}"
        return [Suspect(name, 0.0, rows, f"0 occurs {'once' if rows == 1 else f'{rows:,} times'}, while {between}.")]
    return []
