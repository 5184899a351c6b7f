"""Columns that a person derives from others by an expression, kept with the catalog and in the run.

They are worked out on all rows, before any cut, so that an overdensity counts every neighbour. A derived column may use
others, the named subsets and, once objects have their places, what surrounds them.
"""

from __future__ import annotations

from dataclasses import replace

import astropy.units as u
import pandas as pd

from gnnlib.catalog import missing
from gnnlib.catalog.expressions import Evaluation, names_in
from gnnlib.catalog.functions import FUNCTIONS
from gnnlib.catalog.grammar import Node, parse, shorten
from gnnlib.catalog.select import check_subsets
from gnnlib.catalog.table import Catalog, Column
from gnnlib.catalog.units import Frame, Measure, parse_measure
from gnnlib.errors import InputError


def add(catalog: Catalog, of_surroundings: bool) -> Catalog:
    """The catalog with the columns of `spec.derived`, in their order; called twice while a catalog is put together.

    of_surroundings: False before roles and places are known, when columns that need them, or need others that do, are
    left for later; True afterwards, for these. Raises InputError, with the column's name, for an expression that does
    not hold up and for a name that is empty or taken.
    """
    spec = catalog.spec
    if not of_surroundings:
        _check_names(catalog)
    for name, expression in spec.derived.items():
        if name in catalog.columns:
            continue
        try:
            used, places = _needs(expression, catalog)
            if not of_surroundings and (places or used - catalog.columns.keys()):
                continue
            for other in sorted(used - catalog.columns.keys()):
                if other in spec.derived:
                    raise InputError(f"It uses '{shorten(other)}', which comes after it; derive that one first.")
            values = Evaluation(catalog).values(expression)
            column = _column(name, expression, catalog)
        except InputError as error:
            raise InputError(f"Derived column '{shorten(name)}': {error}") from error
        if name in spec.missing:
            masked = missing.masked(pd.Series(values), spec.missing[name], name)
            values = values if masked is None else masked
        catalog = replace(
            catalog, table=catalog.table.assign(**{name: values}), columns=catalog.columns | {name: column}
        )
    return catalog


def origins(expression: str, catalog: Catalog) -> frozenset[str]:
    """The columns that an expression is made of in the end, through derived columns and named subsets.

    Neighbours and groups count as what their functions name: `overdensity(2, mass)` comes from mass. Raises InputError
    for an expression that is not in the grammar.
    """
    spec, found, open_names = catalog.spec, set[str](), [expression]
    seen = {expression}
    while open_names:
        text = open_names.pop()
        for name in names_in(text, {*catalog.columns, *spec.subsets}):
            inner = spec.derived.get(name) or (spec.subsets.get(name) if name not in catalog.columns else None)
            if inner is None:
                found.add(name)
            elif inner not in seen:
                seen.add(inner)
                open_names.append(inner)
    return frozenset(found)


def _check_names(catalog: Catalog) -> None:
    check_subsets(catalog)
    for name in catalog.spec.derived:
        if not name.strip() or name != name.strip():
            raise InputError(f"A derived column is called '{name}'; give it a name without blanks at its ends.")
        if name in catalog.columns:
            raise InputError(f"There is a column '{shorten(name)}' already; give the derived one another name.")


def _needs(expression: str, catalog: Catalog) -> tuple[set[str], bool]:
    """The columns that an expression needs, through named subsets, and whether it needs places or roles."""
    subsets = catalog.spec.subsets
    used, places, left, seen = set[str](), False, [expression], set[str]()
    while left:
        text = left.pop().strip()
        if text in catalog.columns:
            used.add(text)
            continue
        tree = Node("name", text) if text in subsets else parse(text)
        for node in tree.walk():
            if node.kind == "name" and node.value in subsets and node.value not in catalog.columns:
                if node.value not in seen:
                    seen.add(node.value)
                    left.append(subsets[node.value])
            elif node.kind == "name":
                used.add(node.value)
            elif node.kind == "call":
                # is_central compares by the catalog's mass where it is given none.
                places |= FUNCTIONS[node.value].places or (node.value == "is_central" and len(node.parts) == 1)
    return used, places


# Units


def _column(name: str, expression: str, catalog: Catalog) -> Column:
    """What a derived column holds: its unit as a person gave it, or as it follows from those of its parts, or none."""
    text = expression.strip()
    if name in catalog.spec.units:
        return Column(name, **parse_measure(catalog.spec.units[name])._asdict(), description=text)
    measure = _measure(Node("name", text) if text in catalog.columns else parse(text), catalog)
    known = measure is not None and bool(measure.unit)
    return Column(name, **(measure or _PLAIN)._asdict(), description=text, inferred=known)


_PLAIN = Measure()  # of numbers that have no unit


def _measure(node: Node, catalog: Catalog) -> Measure | None:
    """The unit that follows for a tree; None where it is not certain, that of a plain number where there is none.

    A column without a unit is of an unknown one, so nothing follows from it. A product with a bare number often turns
    one unit into another (`x / 1000`), so nothing follows there either.
    """
    if node.kind == "name":
        if node.value not in catalog.columns:  # a subset
            return _PLAIN
        measure = catalog.columns[node.value].measure
        return measure if measure.unit else None
    if node.kind in ("number", "compare", "in", "invert") or (node.kind == "binary" and node.value in "&|"):
        return _PLAIN
    if node.kind == "call":
        return _measure_of_call(node, catalog)
    parts = [_measure(part, catalog) for part in node.parts]
    if node.kind == "negate":
        return None if parts[0] is None or parts[0].is_log else parts[0]
    if node.kind != "binary":
        return None
    left, right = parts
    if node.value == "**":
        return _power(node, left, right)
    if left is None or right is None:
        return None
    if node.value in ("+", "-", "%"):
        if left != right:
            return None
        if left.is_log:  # the difference of logarithms is that of a plain ratio
            return Measure("dex") if node.value == "-" else None
        return left
    if left.is_log or right.is_log:
        return None
    if left == right:
        return _PLAIN if node.value == "/" else _raised(left, 2)
    if not (left.unit and right.unit):
        return None
    sign = 1 if node.value == "*" else -1
    unit = u.Unit(left.unit) * u.Unit(right.unit) ** sign
    return _read_back(unit, left.h_power + sign * right.h_power, {left.frame, right.frame})


def _measure_of_call(node: Node, catalog: Catalog) -> Measure | None:
    rule = FUNCTIONS[node.value].unit
    if rule is None:
        return None
    if rule == "length":
        return parse_measure(catalog.length_unit) if catalog.length_unit else None
    if rule not in ("same", "first", "last", "dex", "sqrt"):
        return Measure(rule)
    parts = [_measure(part, catalog) for part in node.parts]
    used = {"same": parts[1:] if node.value == "where" else parts, "last": parts[-1:]}.get(rule, parts[:1])
    measure = used[0]
    if measure is None or any(part != measure for part in used):
        return None
    if rule == "dex":
        return measure._replace(unit=f"dex({measure.unit})") if measure.unit and not measure.is_log else None
    if rule == "sqrt":
        return None if measure.is_log else _raised(measure, 0.5)
    return measure


def _power(node: Node, base: Measure | None, exponent: Measure | None) -> Measure | None:
    below, above = node.parts
    if below.kind == "number" and below.value == 10:
        return exponent._replace(unit=exponent.linear) if exponent is not None and exponent.is_log else None
    if base is None or base.is_log or above.kind != "number":
        return None
    return _raised(base, above.value)


def _raised(measure: Measure, power: float) -> Measure | None:
    if not measure.unit:
        return _PLAIN
    if measure.h_power * power % 1 or abs(power) > 9:
        return None
    return _read_back(u.Unit(measure.unit) ** power, int(measure.h_power * power), {measure.frame})


def _read_back(unit: u.UnitBase, h_power: int, frames: set[Frame]) -> Measure | None:
    """A unit made of others, with the frame they agree on; None where it has no words that are understood again."""
    if len(frames) > 1:
        return None
    measure = Measure(unit.to_string(), h_power, frames.pop())
    try:
        return measure if parse_measure(measure.label) == measure else None
    except InputError:
        return None
