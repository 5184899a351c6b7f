"""What a catalog holds, column by column: units, gaps, sentinels, extremes and repeats. The command line prints it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gnnlib.catalog import missing
from gnnlib.catalog.missing import Suspect
from gnnlib.catalog.repeats import candidates, repeated
from gnnlib.catalog.table import Catalog


@dataclass(frozen=True)
class ColumnSummary:
    """missing: NaN or empty; sentinels: value -> rows, infinities too; min, median, max without either, None for text.

    distinct: different values of a column of text or of true and false, None for numbers.
    """

    name: str
    unit: str
    dtype: str
    missing: int
    sentinels: dict[str, int]
    min: float | None
    median: float | None
    max: float | None
    distinct: int | None


@dataclass(frozen=True)
class Summary:
    """suspects: the values that may stand for missing ones, with why. duplicates: rows equal to an earlier one in every
    column; duplicate_positions: rows at an earlier row's place; duplicate_ids: rows with an earlier row's identifier.

    extent: per axis of the position (lowest, highest) in the catalog's length unit.
    """

    rows: int
    columns: tuple[ColumnSummary, ...]
    suspects: tuple[Suspect, ...]
    roles: dict[str, Any]
    box: tuple[float, ...] | None
    periodic: bool | tuple[bool, bool, bool]
    length_unit: str
    extent: tuple[tuple[float, float], ...]
    duplicates: int
    duplicate_positions: int
    duplicate_ids: int
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
    suspects = missing.find(catalog)
    columns = tuple(_column(catalog, name, [s for s in suspects if s.column == name]) for name in catalog.columns)
    extent: tuple[tuple[float, float], ...] = ()
    table, places, ids = catalog.table, 0, 0
    if catalog.roles.position:
        positions = catalog.positions()[:, : len(catalog.axes)]
        finite = np.isfinite(positions).all(axis=1)
        # Rows that are equal lie at one place, so the rows to compare are looked for once.
        same = candidates(table[list(catalog.axes)])
        compared = positions[same]
        if (file_of := catalog.file_of) is not None:  # two files of a folder may use the same places and ids
            compared = np.column_stack([compared, file_of[same]])
        places = int(repeated(pd.DataFrame(compared[finite[same]])).sum())
        table, positions = table.iloc[same], positions if finite.all() else positions[finite]
        if len(positions):
            lowest, highest = positions.min(axis=0), positions.max(axis=0)
            extent = tuple((float(low), float(high)) for low, high in zip(lowest, highest, strict=True))
    duplicates = int(repeated(table).sum())
    if catalog.roles.row_id in catalog.columns:
        file = [catalog.files.column] if catalog.files else []
        ids = int(repeated(catalog.table[[str(catalog.roles.row_id), *file]].dropna()).sum())
    return Summary(
        rows=len(catalog),
        columns=columns,
        suspects=suspects,
        roles={role: getattr(catalog.roles, role) for role in type(catalog.roles).model_fields},
        box=None if catalog.box is None else tuple(map(float, catalog.box)),
        periodic=catalog.periodic if len(set(catalog.periodic_axes)) == 1 else catalog.periodic_axes,
        length_unit=catalog.length_unit,
        extent=extent,
        duplicates=duplicates,
        duplicate_positions=places,
        duplicate_ids=ids,
        warnings=(*catalog.warnings, *_warnings(catalog, columns, duplicates, places)),
    )


def _column(catalog: Catalog, name: str, suspects: list[Suspect]) -> ColumnSummary:
    series = catalog.table[name]
    sentinels = {s.value if isinstance(s.value, str) else f"{s.value:g}": s.rows for s in suspects}
    gaps, low, middle, high, distinct = int(series.isna().sum()), None, None, None, None
    if series.dtype.kind in "iuf":
        values = series.to_numpy(dtype=np.float64, na_value=np.nan) if gaps else series.to_numpy()
        good = ~np.isnan(values) if gaps else np.ones(0, dtype=bool)
        if suspects:
            good = missing.ordinary(values, suspects)
        values = values[good] if len(good) else values
        if len(values):
            low, high = float(values.min()), float(values.max())
            middle = float(np.median(values))
    else:
        distinct = int(series.nunique())
    unit = catalog.columns[name].unit_label
    return ColumnSummary(name, unit, str(series.dtype), gaps, sentinels, low, middle, high, distinct)


def _warnings(catalog: Catalog, columns: tuple[ColumnSummary, ...], duplicates: int, places: int) -> list[str]:
    warnings = []
    undecided = [c for c in columns if c.sentinels and c.name not in catalog.spec.missing]
    marked = [f"{c.name} ({', '.join(f'{value}: {n:,}' for value, n in c.sentinels.items())})" for c in undecided]
    if marked:
        more = f" and {len(marked) - 6} more" if len(marked) > 6 else ""
        warnings.append(
            f"Values that stand for missing ones: {'; '.join(marked[:6])}{more}; mask them or cut their rows."
        )
    empty = [c.name for c in columns if c.missing > 0.5 * len(catalog)]
    if empty:
        more = f" and {len(empty) - 6} more" if len(empty) > 6 else ""
        warnings.append(f"More than half of the values are missing in {', '.join(empty[:6])}{more}.")
    if duplicates:
        warnings.append(f"{duplicates:,} rows repeat an earlier row in every column.")
    if places > duplicates:
        warnings.append(f"{places:,} rows lie exactly where an earlier row lies.")
    return warnings
