"""A column as tables and figures show it: as its file has it, or in the units that a person asked the app for."""

from __future__ import annotations

import numpy as np

from gnnlib.catalog.table import Catalog
from gnnlib.catalog.units import Measure, convert, shown_as
from gnnlib.errors import InputError


def shown_measure(rows: Catalog, name: str) -> Measure:
    """What the column's values are shown in."""
    measure, spec = rows.columns[name].measure, rows.spec
    asked = spec.lengths if measure.like("Mpc") else spec.masses if measure.like("Msun") else None
    if not asked or rows.table[name].dtype.kind not in "iuf":
        return measure
    return shown_as(measure, rows.h, rows.redshift, spec.lengths, spec.masses)


def shown_values(rows: Catalog, name: str, values: np.ndarray) -> np.ndarray:
    """Some of a column's values [K] as they are shown; as stored where they cannot be converted."""
    measure, target = rows.columns[name].measure, shown_measure(rows, name)
    if measure == target:
        return values
    try:
        return convert(values.astype(np.float64), measure, target, rows.h, rows.redshift, f"Column '{name}'")
    except InputError:
        return values


def stored_value(rows: Catalog, name: str, value: float) -> float:
    """A number that was read off a figure, as the column's file has it and expressions see it."""
    measure, shown = rows.columns[name].measure, shown_measure(rows, name)
    return value if measure == shown else float(convert(value, shown, measure, rows.h, rows.redshift))


def shown_label(rows: Catalog, name: str) -> str:
    """The column's name with the unit that its values are shown in."""
    unit = shown_measure(rows, name).short
    return f"{name} [{unit}]" if unit else name
