"""What a catalog holds, column by column: units, gaps, sentinels, extremes and repeats. The command line prints it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gnnlib.catalog.table import Catalog

# Numbers that surveys and simulations write where a value is missing; 1e37 is SUBFIND's magnitude without stars.
SENTINELS = (-99.0, -99.9, -99.99, -999.0, -999.9, -9999.0, -9999.99, 99.99, 999.0, 9999.0, 1e37, -1e37)


@dataclass(frozen=True)
class ColumnSummary:
    """missing: NaN or empty; sentinels: value -> rows, infinities too; min, max without either, None for text."""

    name: str
    unit: str
    dtype: str
    missing: int
    sentinels: dict[str, int]
    min: float | None
    max: float | None


@dataclass(frozen=True)
class Summary:
    """duplicates: rows equal to an earlier one in every column; duplicate_positions: rows at an earlier row's place.

    extent: per axis of the position (lowest, highest) in the catalog's length unit.
    """

    rows: int
    columns: tuple[ColumnSummary, ...]
    roles: dict[str, Any]
    box: tuple[float, ...] | None
    periodic: bool
    length_unit: str
    extent: tuple[tuple[float, float], ...]
    duplicates: int
    duplicate_positions: int
    warnings: tuple[str, ...]

    def to_json(self, indent: int | None = 2) -> str:
        """The command line's answer: rows, columns (name, unit, dtype, missing), roles, box, periodic, warnings."""
        return json.dumps(
            {
                "rows": self.rows,
                "columns": [
                    {key: getattr(c, key) for key in ("name", "unit", "dtype", "missing")} for c in self.columns
                ],
                "roles": self.roles,
                "box": self.box,
                "periodic": self.periodic,
                "warnings": self.warnings,
            },
            indent=indent,
        )


def summarize(catalog: Catalog) -> Summary:
    """Look over every column. Warnings are the catalog's own and those that the values call for."""
    columns = tuple(_column(catalog, name) for name in catalog.columns)
    duplicates = int(catalog.table.duplicated().sum())
    extent: tuple[tuple[float, float], ...] = ()
    repeated = 0
    if catalog.roles.position:
        positions = catalog.positions()[:, : len(catalog.roles.position)]
        finite = positions[np.isfinite(positions).all(axis=1)]
        repeated = int(pd.DataFrame(finite).duplicated().sum())
        if len(finite):
            extent = tuple((float(low), float(high)) for low, high in zip(finite.min(0), finite.max(0), strict=True))
    return Summary(
        rows=len(catalog),
        columns=columns,
        roles={role: getattr(catalog.roles, role) for role in type(catalog.roles).model_fields},
        box=None if catalog.box is None else tuple(map(float, catalog.box)),
        periodic=catalog.periodic,
        length_unit=catalog.length_unit,
        extent=extent,
        duplicates=duplicates,
        duplicate_positions=repeated,
        warnings=(*catalog.warnings, *_warnings(catalog, columns, duplicates, repeated)),
    )


def _column(catalog: Catalog, name: str) -> ColumnSummary:
    series = catalog.table[name]
    missing, sentinels, low, high = int(series.isna().sum()), dict[str, int](), None, None
    if series.dtype.kind in "iuf":
        values = series.to_numpy()
        known = values[~np.isnan(values)] if series.dtype.kind == "f" else values
        sentinels, good = _sentinels(known)
        if good.any():
            low, high = float(known[good].min()), float(known[good].max())
    return ColumnSummary(name, catalog.columns[name].unit_label, str(series.dtype), missing, sentinels, low, high)


def _sentinels(values: np.ndarray) -> tuple[dict[str, int], np.ndarray]:
    """Sentinels among `values` [N] with their number of rows, and a mask [N] of the ordinary values.

    A number counts as a sentinel only where it stands apart: beyond every ordinary value, as a true -99 would not.
    """
    found: dict[str, int] = {}
    good = np.ones(len(values), dtype=bool)
    if values.dtype.kind == "f":
        for label, infinite in (("inf", np.isposinf(values)), ("-inf", np.isneginf(values))):
            if infinite.any():
                found[label] = int(infinite.sum())
                good &= ~infinite
    hits = {}
    for sentinel in SENTINELS:
        with np.errstate(over="ignore"):
            wanted = np.asarray(sentinel).astype(values.dtype) if values.dtype.kind == "f" else sentinel
        hit = values == wanted if values.dtype.kind == "f" or sentinel % 1 == 0 else np.zeros(len(values), dtype=bool)
        if hit.any():
            hits[sentinel] = hit
            good &= ~hit
    ordinary = values[good]
    for sentinel, hit in hits.items():
        # A column of nothing else, or of values on the sentinel's far side, means it.
        beyond = len(ordinary) > 0 and (sentinel < ordinary.min() if sentinel < 0 else sentinel > 1.5 * ordinary.max())
        if beyond:
            found[f"{sentinel:g}"] = int(hit.sum())
        else:
            good |= hit
    return found, good


def _warnings(catalog: Catalog, columns: tuple[ColumnSummary, ...], duplicates: int, repeated: int) -> list[str]:
    warnings = []
    marked = [
        f"{c.name} ({', '.join(f'{value}: {n:,}' for value, n in c.sentinels.items())})" for c in columns if c.sentinels
    ]
    if marked:
        more = f" and {len(marked) - 6} more" if len(marked) > 6 else ""
        warnings.append(
            f"Values that stand for missing ones: {'; '.join(marked[:6])}{more}; cut these rows before use."
        )
    empty = [c.name for c in columns if c.missing > 0.5 * len(catalog)]
    if empty:
        more = f" and {len(empty) - 6} more" if len(empty) > 6 else ""
        warnings.append(f"More than half of the values are missing in {', '.join(empty[:6])}{more}.")
    if duplicates:
        warnings.append(f"{duplicates:,} rows repeat an earlier row in every column.")
    if repeated > duplicates:
        warnings.append(f"{repeated:,} rows lie exactly where an earlier row lies.")
    return warnings
