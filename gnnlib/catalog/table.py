"""The catalog: one table of objects, what each column means, its units and the box it lives in.

A `Catalog` is read once and never changed; a cut (`select`) or a correction (`read_catalog` with other
fields of the `CatalogSpec`) gives a new one. Row ids travel with the rows, so whatever is computed later
(edges, predictions, attention) can be joined back to the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, field_validator, model_serializer

from gnnlib.errors import InputError


class Roles(BaseModel):
    """Which columns play which part. Empty means: the catalog has none.

    position, velocity: two or three column names; mass, target, group, row_id, central: one name or None;
    features: names of the columns proposed as node features. As a correction (`CatalogSpec.roles`) only the
    roles that are named replace what was found; JSON keeps that difference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: tuple[str, ...] = ()
    velocity: tuple[str, ...] = ()
    mass: str | None = None
    target: str | None = None
    features: tuple[str, ...] = ()
    group: str | None = None
    row_id: str | None = None
    central: str | None = None

    @model_serializer(mode="wrap")
    def _named_only(self, handler):  # type: ignore[no-untyped-def]
        return {name: value for name, value in handler(self).items() if name in self.model_fields_set}


class CatalogSpec(BaseModel):
    """How a catalog is read: where it is and every choice a person made about it.

    path: file or folder, or "sample" for the bundled catalog. roles, units (column -> "Mpc/h", "1e10 Msun/h",
    ...), h, box (side lengths in the unit of the positions after h is removed) and periodic override what
    the file says or what the names suggest; None means "as found". One number as box is a cube. names: the columns'
    names in order, for files without a header. where: a cut, as an expression.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    roles: Roles | None = None
    units: dict[str, str] = {}
    h: float | None = None
    box: tuple[float, float, float] | None = None
    periodic: bool | None = None
    where: str | None = None
    names: tuple[str, ...] | None = None

    @field_validator("box", mode="before")
    @classmethod
    def _cube(cls, value: object) -> object:
        return (value, value, value) if isinstance(value, int | float) else value


@dataclass(frozen=True)
class Column:
    """What one column holds. The physical value is `value * h**h_power` in `unit`.

    unit: an astropy unit string, "" where dimensionless or unknown. h_power: -1 for Mpc/h and Msun/h, 0 where
    h is absent or already removed. inferred: True where the unit was concluded from the name or format
    rather than written in the file or given by the user.
    """

    name: str
    unit: str = ""
    h_power: int = 0
    description: str = ""
    inferred: bool = False

    @property
    def label(self) -> str:
        """The name with its unit, as axes and tables show it: `SubhaloVmax [km/s]`."""
        return f"{self.name} [{self.unit_label}]" if self.unit_label else self.name

    @property
    def unit_label(self) -> str:
        h = {0: "", -1: "/h", 1: " h"}.get(self.h_power, f" h^{self.h_power}")
        return f"{self.unit}{h}"


@dataclass(frozen=True)
class Catalog:
    """A table of objects with the meaning of its columns.

    table: one row an object, RangeIndex. columns: name -> Column, for every column of the table.
    row_ids: [N] unique int64 or str. box: [3] side lengths in `length_unit`, or None. periodic: True only with a box.
    length_unit: unit of `positions()` ("Mpc", "pc", "Mpc/h" where h is unknown, "" where unknown).
    provenance: where the rows came from (path, format, files read, date, ...). warnings: sentences for the reader.
    inferred: names of the things that were concluded rather than read ("box", "roles", ...).
    """

    table: pd.DataFrame
    columns: dict[str, Column]
    roles: Roles
    row_ids: np.ndarray
    spec: CatalogSpec
    name: str
    box: np.ndarray | None = None
    periodic: bool = False
    length_unit: str = ""
    h: float | None = None
    provenance: dict[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    inferred: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    def values(self, name: str) -> np.ndarray:
        """One column as stored, [N]. Raises InputError if the catalog has no such column."""
        if name not in self.table.columns:
            known = ", ".join(map(str, self.table.columns[:8]))
            raise InputError(f"The catalog has no column '{name}'; its columns are {known}, ...")
        return self.table[name].to_numpy()

    def positions(self) -> np.ndarray:
        """Positions [N, 3] float64 in `length_unit`, h removed where it is known; 2D catalogs get a zero third axis."""
        return self._vectors(self.roles.position, "position")

    def velocities(self) -> np.ndarray | None:
        """Velocities [N, 3] float64 in km/s as stored, or None where the catalog has no velocity columns."""
        return self._vectors(self.roles.velocity, "velocity") if self.roles.velocity else None

    def _vectors(self, names: tuple[str, ...], role: str) -> np.ndarray:
        if len(names) not in (2, 3):
            raise InputError(
                f"The catalog has no {role} columns; choose two or three of them as its {role} on the Catalog page."
            )
        out = np.zeros((len(self), 3))
        for axis, name in enumerate(names):
            scale = self.length_scale(name) if role == "position" else 1.0
            try:
                out[:, axis] = np.asarray(self.values(name), dtype=np.float64) * scale
            except (TypeError, ValueError) as error:
                raise InputError(f"Column '{name}' is not numeric, so it cannot be a {role}.") from error
        return out

    def physical(self, name: str) -> tuple[np.ndarray, str]:
        """A numeric column as a figure shows it: values [N] float64 without powers of ten or h, and their unit.

        Where h is unknown it stays in the unit ("Msun/h"). Raises InputError for a column of text.
        """
        from gnnlib.catalog.columns import display_factor

        values = self.values(name)
        if values.dtype.kind not in "biuf":
            raise InputError(f"Column '{name}' holds text, so it cannot be drawn as a number.")
        factor, unit = display_factor(self.columns[name], self.h)
        return values.astype(np.float64) * factor, unit

    def length_scale(self, name: str) -> float:
        """Factor that turns the stored values of a length column into `length_unit`."""
        from gnnlib.catalog.columns import length_factor

        return length_factor(self.columns[name], self.length_unit, self.h)

    def take(self, keep: np.ndarray, **changes: object) -> Catalog:
        """The rows where the boolean mask `keep` [N] is True, row ids kept."""
        table = self.table.loc[keep].reset_index(drop=True)
        return replace(self, table=table, row_ids=self.row_ids[keep], **changes)  # type: ignore[arg-type]
