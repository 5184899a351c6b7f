"""Cuts, targets and features as expressions over columns: `log10(mass) - 10`, `mass > 1e8 & flag`, `` `M<300pc` > 0 ``.

A name stands for a column or else for a named subset (`CatalogSpec.subsets`), which is a column of true and false. What
may be written is in `grammar`, what may be called in `functions`. Functions of whole columns (median, percentile,
duplicate) and of the surroundings (overdensity, ...) see the rows of the catalog that is handed over: all rows in a
derived column and in a cut, only the rows kept in a target or feature.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from gnnlib.catalog.functions import FUNCTIONS
from gnnlib.catalog.grammar import Node, parse, quote, shorten
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError

__all__ = ["Evaluation", "evaluate", "evaluate_condition", "names_in", "quote", "renamed"]

_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.mod,
    "**": np.power,
}
_COMPARISONS: dict[str, Callable[..., Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def evaluate(expression: str, catalog: Catalog) -> np.ndarray:
    """The expression on every row: float64 or bool, [N]. The name of a column, however odd, is an expression too.

    Division by zero and logarithms of nothing give inf and NaN without a word: callers count non-finite rows. Raises
    InputError for anything that is not in the grammar, unknown names (with the closest one), subsets defined by
    themselves, and text used as numbers.
    """
    return Evaluation(catalog).values(expression)


def evaluate_condition(expression: str, catalog: Catalog) -> np.ndarray:
    """The expression as a cut: bool [N]. A column of 0 and 1 is a condition too; other numbers raise InputError."""
    return Evaluation(catalog).condition(expression)


def names_in(expression: str, columns: Collection[str] = ()) -> tuple[str, ...]:
    """The names in an expression, each once, in order. columns: known names, needed for odd ones like `R.A.`."""
    if expression.strip() in columns:
        return (expression.strip(),)
    return tuple(dict.fromkeys(node.value for node in parse(expression).walk() if node.kind == "name"))


def renamed(expression: str, names: Mapping[str, str], columns: Collection[str] = ()) -> str:
    """The expression after columns were renamed. names: old -> new. columns: as for `names_in`, the old names.

    An expression that is not in the grammar comes back as it is.
    """
    if expression.strip() in columns:
        new = names.get(expression.strip())
        return expression if new is None else quote(new)
    try:
        used = [node for node in parse(expression).walk() if node.kind == "name" and node.value in names]
    except InputError:
        return expression
    for node in sorted(used, key=lambda node: -node.at):
        end = node.at + len(node.value) + 2 * (expression[node.at] == "`")
        expression = expression[: node.at] + quote(names[node.value]) + expression[end:]
    return expression


class Evaluation:
    """Expressions on the rows of one catalog; each named subset is worked out once for all of them."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._subsets: dict[str, np.ndarray] = {}
        self._open: list[str] = []

    def values(self, expression: str) -> np.ndarray:
        """As `evaluate`; the array is the caller's own."""
        name, n = expression.strip(), len(self.catalog)
        with np.errstate(all="ignore"):
            value = self._column(name) if name in self.catalog.columns else self._value(self._tree(name))
        if _is_text(value):
            raise InputError(f"'{shorten(expression)}' gives text, not numbers; compare it, as in name == 'x'.")
        value = np.asarray(value)
        if value.ndim == 0 or name in self.catalog.columns or name in self._subsets:
            value = np.broadcast_to(value, (n,)).copy()
        return value if value.dtype == bool else value.astype(np.float64, copy=False)

    def condition(self, expression: str) -> np.ndarray:
        """As `evaluate_condition`."""
        return _condition(self.values(expression), expression.strip())

    def subset(self, name: str) -> np.ndarray:
        """The rows [N] of a named subset. Raises InputError with its name where its condition does not hold up."""
        if name in self._open:
            circle = " -> ".join(shorten(step) for step in [*self._open[self._open.index(name) :], name])
            raise InputError(f"Subset '{shorten(name)}' is defined by itself ({circle}); change one of the conditions.")
        if name not in self._subsets:
            self._open.append(name)
            try:
                self._subsets[name] = self.condition(self.catalog.spec.subsets[name])
            except InputError as error:
                already = str(error).startswith("Subset '")
                raise error if already else InputError(f"Subset '{shorten(name)}': {error}") from error
            finally:
                self._open.pop()
        return self._subsets[name]

    def _tree(self, expression: str) -> Node:
        return Node("name", expression) if expression in self.catalog.spec.subsets else parse(expression)

    def _column(self, name: str, at: int | None = None) -> Any:
        """A column of numbers or flags as an array, of text as a Series; a subset as an array of bool."""
        columns, subsets = self.catalog.columns, self.catalog.spec.subsets
        if name in columns:
            series = self.catalog.table[name]
            if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
                return series.to_numpy()
            if getattr(series.dtype, "kind", "O") in "biuf":  # pandas' numbers with gaps
                return series.to_numpy(dtype=np.float64, na_value=np.nan)
            return series
        if name in subsets:
            return self.subset(name)
        known = [*columns, *subsets]
        folded = [other for other in known if other.lower() == name.lower()]
        close = folded or difflib.get_close_matches(name, known, 1, 0.5)
        remedy = f"did you mean '{close[0]}'?" if close else f"its columns are {', '.join(list(columns)[:6])}, ..."
        place = "" if at is None else f" (character {at + 1})"
        raise InputError(f"The catalog has no column '{name[:60]}'{place}; {remedy}")

    def _value(self, node: Node) -> Any:
        if node.kind in ("number", "text"):
            return node.value
        if node.kind == "name":
            return self._column(node.value, node.at)
        if node.kind == "call":
            return self._call(node)
        values = [self._value(part) for part in node.parts]
        if node.kind == "binary" and node.value in "&|":
            left, right = (_condition(value, node.value) for value in values)
            return left & right if node.value == "&" else left | right
        if node.kind == "invert":
            return ~_condition(values[0], node.value)
        if node.kind == "negate":
            return -values[0] if isinstance(values[0], int | float) else np.negative(_number(values[0]))
        if node.kind == "in":
            return _among(values[0], node.value)
        if node.kind == "compare":
            pairs = zip(node.value, values[:-1], values[1:], strict=True)
            return reduce(np.logical_and, [_compare(operator, left, right) for operator, left, right in pairs])
        return _ARITHMETIC[node.value](*map(_number, values))

    def _call(self, node: Node) -> Any:
        function = FUNCTIONS[node.value]
        values = [self._value(part) for part in node.parts]
        if function.given == "rows":
            return function.call(self.catalog, *values)
        if function.given == "values":
            return function.call(*values)
        if node.value == "where":
            return function.call(_condition(values[0], "where"), *map(_number, values[1:]))
        return function.call(*map(_number, values))


def _is_text(value: Any) -> bool:
    return isinstance(value, str | pd.Series)


def _number(value: Any) -> Any:
    if _is_text(value):
        raise InputError("Text cannot be reckoned with; use columns of numbers, or compare the text with == or !=.")
    return np.asarray(value, dtype=np.float64)


def _compare(operator: str, left: Any, right: Any) -> Any:
    if _is_text(left) or _is_text(right):
        if operator not in ("==", "!=") or not (_is_text(left) and _is_text(right)):
            raise InputError(
                f"Text cannot be compared by '{operator}' here; compare a text column with '...' by == or !=."
            )
        equal = _flags(left == right)
        return equal if operator == "==" else ~equal
    return _COMPARISONS[operator](left, right)


def _among(value: Any, listed: tuple[int | float | str, ...]) -> np.ndarray:
    texts = [item for item in listed if isinstance(item, str)]
    if _is_text(value) != bool(texts) or len(texts) not in (0, len(listed)):
        raise InputError("A list after 'in' holds texts in quotes for a column of text, or else numbers.")
    if isinstance(value, pd.Series):
        return value.isin(texts).to_numpy()
    if isinstance(value, str):
        return np.asarray(value in texts)
    return np.logical_or.reduce([np.equal(value, item) for item in listed])


def _flags(value: Any) -> np.ndarray:
    """A comparison of texts as bool; a missing text equals nothing."""
    if isinstance(value, pd.Series):
        value = value.to_numpy(dtype=bool, na_value=False) if value.dtype != bool else value.to_numpy()
    return np.asarray(value, dtype=bool)


def _condition(value: Any, where: str) -> np.ndarray:
    if not _is_text(value):
        value = np.asarray(value)
        if value.dtype == bool:
            return value
        if value.ndim and ((value == 0) | (value == 1)).all():
            return value != 0
    raise InputError(
        f"'{shorten(where)}' needs a condition that is true or false, such as 'mass > 1e10', but got numbers or text."
    )
