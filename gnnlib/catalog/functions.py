"""The functions an expression may call: name, number of values, what it does with them, and one line for the reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np
import pandas as pd

from gnnlib.catalog import surroundings
from gnnlib.catalog.repeats import repeated
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError


@dataclass(frozen=True)
class Function:
    """least, most: how many values it takes. given: "numbers" are turned into float64, "values" are handed over as they
    are (columns of text as a Series), "rows" are those too, after the catalog itself.

    unit: what the result's unit is: that of the values where they agree ("same"), a unit, or "" for a plain number;
    None where it is not known. places: whether it needs positions or roles, which derived columns may have to wait for.
    """

    usage: str
    help: str
    least: int
    most: int
    call: Callable[..., Any]
    given: Literal["numbers", "values", "rows"] = "numbers"
    unit: str | None = ""
    places: bool = False

    @property
    def name(self) -> str:
        return self.usage.partition("(")[0]


def _where(condition: np.ndarray, yes: Any, no: Any) -> np.ndarray:
    return np.where(condition, yes, no)


def _isnan(value: Any) -> Any:
    return pd.isna(value).to_numpy() if isinstance(value, pd.Series) else np.isnan(np.asarray(value, dtype=np.float64))


def _text(column: Any, word: Any) -> tuple[pd.Series, str]:
    if not isinstance(column, pd.Series) or not isinstance(word, str):
        raise InputError("contains and startswith take a column of text and a word, as in contains(type, 'E').")
    return column, word


def _contains(column: Any, word: Any) -> np.ndarray:
    series, part = _text(column, word)
    return series.str.contains(part, regex=False, na=False).to_numpy(dtype=bool)


def _startswith(column: Any, word: Any) -> np.ndarray:
    series, part = _text(column, word)
    return series.str.startswith(part, na=False).to_numpy(dtype=bool)


def _over_finite(statistic: Callable[..., Any]) -> Callable[..., Any]:
    """A number of a whole column, rows without a finite value passed over; NaN where none has one."""

    def of(values: np.ndarray, *more: Any) -> Any:
        values = np.asarray(values)[np.isfinite(values)]
        return np.float64(statistic(values, *more)) if values.size else np.float64(np.nan)

    return of


def _percentile(values: np.ndarray, share: np.ndarray) -> Any:
    if share.ndim or not 0 <= share <= 100:
        raise InputError("A percentile is one number from 0 to 100, as in percentile(mass, 90).")
    return _over_finite(np.percentile)(values, float(share))


def _duplicate(catalog: Catalog, *columns: Any) -> np.ndarray:
    if not columns:
        return repeated(catalog.table)
    if (file_of := catalog.file_of) is not None:  # what is in two files of a folder is two objects
        columns = (*columns, file_of)
    return repeated(pd.DataFrame(dict(enumerate(columns)), index=catalog.table.index), with_gaps=False)


def _one_number(value: Any, what: str) -> float:
    if isinstance(value, str | pd.Series) or np.ndim(value):
        raise InputError(f"The {what} must be one number, as in overdensity(2) or neighbor_distance(5), not a column.")
    return float(value)


def _numbers(value: Any, what: str) -> np.ndarray:
    if isinstance(value, str | pd.Series):
        raise InputError(f"{what} must be numbers, not text.")
    return np.asarray(value, dtype=np.float64)


def _overdensity(catalog: Catalog, radius: Any, *mass: Any) -> np.ndarray:
    masses = [_numbers(value, "The masses of an overdensity") for value in mass]
    return surroundings.overdensity(catalog, _one_number(radius, "radius"), *masses)


def _count_within(catalog: Catalog, radius: Any) -> np.ndarray:
    return surroundings.count_within(catalog, _one_number(radius, "radius"))


def _neighbor_distance(catalog: Catalog, n: Any) -> np.ndarray:
    return surroundings.neighbor_distance(catalog, _one_number(n, "number of the neighbour"))


def _is_central(catalog: Catalog, group: Any, *mass: Any) -> np.ndarray:
    masses = [_numbers(value, "The masses of is_central") for value in mass]
    return surroundings.is_central(catalog, group, *masses)


def _group_max(catalog: Catalog, group: Any, values: Any) -> np.ndarray:
    return surroundings.group_max(catalog, group, _numbers(values, "The values of group_max"))


_TABLE = (
    Function("log10(x)", "decimal logarithm", 1, 1, np.log10, unit="dex"),
    Function("log(x)", "natural logarithm", 1, 1, np.log),
    Function("ln(x)", "natural logarithm", 1, 1, np.log),
    Function("exp(x)", "e to the power of x", 1, 1, np.exp),
    Function("sqrt(x)", "square root", 1, 1, np.sqrt, unit="sqrt"),
    Function("power(x, y)", "x to the power of y, as x ** y", 2, 2, np.power, unit=None),
    Function("abs(x)", "without the sign", 1, 1, np.abs, unit="same"),
    Function("sign(x)", "-1, 0 or 1", 1, 1, np.sign),
    Function("floor(x)", "the next whole number below", 1, 1, np.floor, unit="same"),
    Function("ceil(x)", "the next whole number above", 1, 1, np.ceil, unit="same"),
    Function("round(x)", "the nearest whole number", 1, 1, np.round, unit="same"),
    Function("sin(x)", "sine of an angle in radians", 1, 1, np.sin),
    Function("cos(x)", "cosine of an angle in radians", 1, 1, np.cos),
    Function("tan(x)", "tangent of an angle in radians", 1, 1, np.tan),
    Function("arcsin(x)", "inverse sine, in radians", 1, 1, np.arcsin, unit="rad"),
    Function("arccos(x)", "inverse cosine, in radians", 1, 1, np.arccos, unit="rad"),
    Function("arctan(x)", "inverse tangent, in radians", 1, 1, np.arctan, unit="rad"),
    Function("arctan2(y, x)", "angle of the point (x, y), in radians", 2, 2, np.arctan2, unit="rad"),
    Function("degrees(x)", "radians as degrees", 1, 1, np.degrees, unit="deg"),
    Function("radians(x)", "degrees as radians", 1, 1, np.radians, unit="rad"),
    Function("min(x, y, ...)", "the smaller value in each row", 2, 20, lambda *x: reduce(np.minimum, x), unit="same"),
    Function("max(x, y, ...)", "the larger value in each row", 2, 20, lambda *x: reduce(np.maximum, x), unit="same"),
    Function("where(condition, x, y)", "x where the condition holds, else y", 3, 3, _where, unit="same"),
    Function("isfinite(x)", "whether x is a number, not NaN or infinite", 1, 1, np.isfinite),
    Function("isnan(x)", "whether x is missing", 1, 1, _isnan, "values"),
    Function("contains(text, 'word')", "whether the text contains the word", 2, 2, _contains, "values"),
    Function("startswith(text, 'word')", "whether the text starts with the word", 2, 2, _startswith, "values"),
    Function("mean(x)", "mean of the column", 1, 1, _over_finite(np.mean), unit="same"),
    Function("median(x)", "median of the column", 1, 1, _over_finite(np.median), unit="same"),
    Function("std(x)", "standard deviation of the column", 1, 1, _over_finite(np.std), unit=None),
    Function("percentile(x, q)", "the value that q % of the column lie below", 2, 2, _percentile, unit="first"),
    Function(
        "duplicate(x, y, ...)",
        "whether an earlier row has the same values and no gap; () for all columns",
        0,
        20,
        _duplicate,
        "rows",
    ),
    Function("count_within(R)", "other objects within the distance R", 1, 1, _count_within, "rows", places=True),
    Function(
        "overdensity(R, mass)",
        "1 + delta within R: neighbours, or their mass if named, over those expected",
        1,
        2,
        _overdensity,
        "rows",
        places=True,
    ),
    Function(
        "neighbor_distance(n)", "distance to the n-th nearest object", 1, 1, _neighbor_distance, "rows", "length", True
    ),
    Function(
        "is_central(group, mass)",
        "whether the most massive of its group; mass is the catalog's if not named",
        1,
        2,
        _is_central,
        "rows",
    ),
    Function("group_size(group)", "members of the object's group", 1, 1, surroundings.group_size, "rows"),
    Function("group_max(group, x)", "the largest x of the group, as its host's mass", 2, 2, _group_max, "rows", "last"),
)
FUNCTIONS: dict[str, Function] = {function.name: function for function in _TABLE}
