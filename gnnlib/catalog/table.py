"""The catalog: one table of objects, what each column means, its units and the box it lives in.

A `Catalog` is read once and never changed; a cut (`select`) or a correction (`read_catalog` with other
fields of the `CatalogSpec`) gives a new one. Row ids travel with the rows, so whatever is computed later
(edges, predictions, attention) can be joined back to the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, field_validator, model_serializer

from gnnlib.catalog.units import Frame, Measure, convert, factor, parse_measure, shown_as
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


class Missing(BaseModel):
    """What to do with the values of one column that stand for a missing one.

    values: numbers such as -99.0, or text such as "inf". rule: "keep" leaves them, "mask" turns them into NaN, "drop"
    masks them and cuts their rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: tuple[float | str, ...]
    rule: Literal["keep", "mask", "drop"] = "mask"


class Coordinates(BaseModel):
    """How the columns of a catalog become places in space; None means "as found".

    longitude, latitude, depth: columns of a catalog on the sky; depth_kind says what the depth is, angles how the
    angles are written. cosmology: a name that astropy knows, or "FlatLambdaCDM(H0=70, Om0=0.3)". space: "redshift"
    moves objects with Cartesian positions along line_of_sight (None: the axis of project, else z) by their velocity.
    project: the axis along which to look at the catalog in 2D ("sky": from the observer at the origin, onto the tangent
    plane). window: the (lowest, highest) line-of-sight velocity kept, km/s; see `gnnlib.catalog.space`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    longitude: str | None = None
    latitude: str | None = None
    depth: str | None = None
    depth_kind: Literal["redshift", "velocity", "distance", "parallax"] | None = None
    angles: Literal["degrees", "hours", "sexagesimal", "radians"] | None = None
    cosmology: str = "Planck18"
    space: Literal["as given", "redshift"] = "as given"
    line_of_sight: Literal["x", "y", "z"] | None = None
    project: Literal["x", "y", "z", "sky"] | None = None
    window: tuple[float, float] | None = None

    @field_validator("window")
    @classmethod
    def _ordered(cls, window: tuple[float, float] | None) -> tuple[float, float] | None:
        if window is not None and not -np.inf < window[0] < window[1] < np.inf:
            raise ValueError("a velocity window needs two finite numbers, the lower one first")
        return window

    @property
    def depth_axis(self) -> Literal["x", "y", "z"]:
        """The axis along which the observer of a Cartesian catalog looks."""
        return self.line_of_sight or (self.project if self.project and self.project != "sky" else "z")


class CatalogSpec(BaseModel):
    """How a catalog is read: where it is and every choice a person made about it; None or empty means "as found".

    path: file or folder, or "sample" for the bundled catalog. table: which table of a file that holds several (FITS
    HDU, HDF5 group, VOTable or npz name). names: the columns' names in order, for files without a header. units:
    column -> "Mpc/h", "ckpc/h", "1e10 Msun/h", ... h: the Hubble parameter; redshift: of the snapshot. lengths, masses:
    the units that the app shows and computes lengths in, and shows masses in. missing: column -> rule for its
    sentinels. derived: new column -> expression. subsets: name -> condition. where: the cut, an expression that may
    name subsets. box: side lengths in the unit of the positions (`Catalog.length_unit`); one number is a cube, 0 leaves
    an axis without a side. periodic: for all axes that have a side, or one by one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    table: str | None = None
    names: tuple[str, ...] | None = None
    roles: Roles | None = None
    units: dict[str, str] = {}
    h: float | None = None
    redshift: float | None = None
    lengths: str | None = None
    masses: str | None = None
    coordinates: Coordinates | None = None
    box: tuple[float, float, float] | None = None
    periodic: bool | tuple[bool, bool, bool] | None = None
    missing: dict[str, Missing] = {}
    derived: dict[str, str] = {}
    subsets: dict[str, str] = {}
    where: str | None = None

    @field_validator("box", mode="before")
    @classmethod
    def _cube(cls, value: object) -> object:
        return (value, value, value) if isinstance(value, int | float) else value


@dataclass(frozen=True)
class Files:
    """Of a catalog that is a folder of several: column names the file of each row, parameters the columns that a table
    of parameters gives to every row of a file. Each file is a space of its own, so no edge joins two."""

    column: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """What one column holds. The physical value is `value * h**h_power` in `unit`.

    unit: an astropy unit string, "" where dimensionless or unknown. h_power: -1 for Mpc/h and Msun/h, 0 where
    h is absent or already removed. frame: for powers of a length, "comoving" or "proper" where known. inferred: True
    where the unit was concluded from the name or format rather than written in the file or given by the user.
    """

    name: str
    unit: str = ""
    h_power: int = 0
    frame: Frame = field(default="", kw_only=True)
    description: str = ""
    inferred: bool = False

    @property
    def label(self) -> str:
        """The name with its unit, as axes and tables show it: `SubhaloVmax [km/s]`."""
        return f"{self.name} [{self.unit_label}]" if self.unit_label else self.name

    @property
    def measure(self) -> Measure:
        return Measure(self.unit, self.h_power, self.frame)

    @property
    def unit_label(self) -> str:
        """The unit for a heading, "kpc/h"; `measure.label` says comoving, too."""
        return self.measure.short


@dataclass(frozen=True)
class Catalog:
    """A table of objects with the meaning of its columns.

    table: one row an object, RangeIndex. columns: name -> Column, for every column of the table.
    row_ids: [N] unique int64 or str. box: [3] side lengths in `length_unit`, 0 along an axis without one, or None.
    periodic_axes: for each axis of `positions()`, whether its faces join; never without a side. redshift: of the
    snapshot, where known. length_unit: unit of `positions()` ("Mpc", "pc", "Mpc/h" where h is unknown, "pMpc" for
    proper lengths, "deg" for a catalog on the plane of the sky, "" where unknown).
    files: which column tells apart the files of a folder of catalogs; None for one catalog, whose rows share a space.
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
    periodic_axes: tuple[bool, bool, bool] = (False, False, False)
    length_unit: str = ""
    h: float | None = None
    redshift: float | None = None
    files: Files | None = None
    provenance: dict[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    inferred: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    @property
    def periodic(self) -> bool:
        """Whether any axis is periodic."""
        return any(self.periodic_axes)

    @property
    def periodic_box(self) -> np.ndarray | None:
        """Sides [3] of the periodic axes, 0 where an axis is open; None where all are."""
        return self.joined_box(None)

    def joined_box(self, periodic: bool | None) -> np.ndarray | None:
        """Like `periodic_box`, for a graph that says so itself: None leaves it to the catalog, False opens all axes,
        True joins every axis of a box of which the catalog joins none."""
        if self.box is None or periodic is False or not (periodic or self.periodic):
            return None
        return np.where(self.periodic_axes, self.box, 0.0) if self.periodic else self.box

    def values(self, name: str) -> np.ndarray:
        """One column as stored, [N]. Raises InputError if the catalog has no such column."""
        if name not in self.table.columns:
            known = ", ".join(map(str, self.table.columns[:8]))
            raise InputError(f"The catalog has no column '{name}'; its columns are {known}, ...")
        return self.table[name].to_numpy()

    @property
    def file_of(self) -> np.ndarray | None:
        """The number of each row's file [N] int64, from 0 in the order of their first rows; None for one catalog."""
        if self.files is None:
            return None
        return pd.factorize(self.table[self.files.column])[0].astype(np.int64)

    def by_file(self) -> Iterator[tuple[str, np.ndarray, Catalog]]:
        """Each file of a folder of catalogs: its name, the numbers of its rows, ascending, and these as a catalog of
        its own. A catalog that is no folder is its only one."""
        number = self.file_of
        if number is None or self.files is None:
            yield self.name, np.arange(len(self)), self
            return
        for rows in rows_of(number):
            table = self.table.iloc[rows].reset_index(drop=True)
            name = str(table[self.files.column].iloc[0])
            yield name, rows, replace(self, table=table, row_ids=self.row_ids[rows], files=None, name=name)

    @property
    def axes(self) -> tuple[str, ...]:
        """The columns along the axes of `positions()`: two names where the catalog is seen in 2D, else three."""
        names = self.roles.position
        seen = seen_along(self.spec)
        return tuple(names[k] for k in seen[:2]) if seen and len(names) == 3 else names

    def positions(self) -> np.ndarray:
        """Positions [N, 3] float64 in `length_unit`. The third axis is zero where the catalog has two, or is seen along
        one of three (`Coordinates.project`): then the other two are the first and second."""
        return self._vectors(self.axes, "position")

    def velocities(self) -> np.ndarray | None:
        """Velocities [N, 3] float64 in km/s along the axes of `positions()` (the third is that along which the catalog
        is seen), or None where the catalog has no velocity columns."""
        names, seen = self.roles.velocity, seen_along(self.spec)
        if not names:
            return None
        return self._vectors(tuple(names[k] for k in seen) if seen and len(names) == 3 else names, "velocity")

    def _vectors(self, names: tuple[str, ...], role: str) -> np.ndarray:
        if len(names) not in (2, 3):
            raise InputError(
                f"The catalog has no {role} columns; choose two or three of them as its {role} on the Catalog page."
            )
        out = np.zeros((len(self), 3))
        for axis, name in enumerate(names):
            scale = self.length_scale(name) if role == "position" else speed_scale(self.columns[name])
            try:
                out[:, axis] = np.asarray(self.values(name), dtype=np.float64) * scale
            except (TypeError, ValueError) as error:
                raise InputError(f"Column '{name}' is not numeric, so it cannot be a {role}.") from error
        return out

    def physical(self, name: str) -> tuple[np.ndarray, str]:
        """A numeric column as a figure shows it: values [N] float64 and their unit, as `spec.lengths` and `spec.masses`
        say, else without powers of ten and h.

        Where h is unknown it stays in the unit ("Msun/h"). Raises InputError for a column of text.
        """
        values, measure = self.values(name), self.columns[name].measure
        if values.dtype.kind not in "biuf":
            raise InputError(f"Column '{name}' holds text, so it cannot be drawn as a number.")
        shown = shown_as(measure, self.h, self.redshift, self.spec.lengths, self.spec.masses)
        shown_values = convert(values.astype(np.float64), measure, shown, self.h, self.redshift, f"Column '{name}'")
        return shown_values, shown.short

    def length_scale(self, name: str) -> float:
        """Factor that turns the stored values of a length column into `length_unit`; 1 where either unit is unknown."""
        if not self.length_unit or not self.columns[name].unit:
            return 1.0
        target = parse_measure(self.length_unit)
        return factor(self.columns[name].measure, target, self.h, self.redshift, f"Column '{name}'")

    def with_columns(self, added: Mapping[str, tuple[np.ndarray, Column]], **changes: object) -> Catalog:
        """The catalog with more columns (name -> values [N] and meaning), which replace those of the same name."""
        values = pd.DataFrame({name: column for name, (column, _) in added.items()}, index=self.table.index)
        table = pd.concat([self.table.drop(columns=[n for n in added if n in self.table.columns]), values], axis=1)
        columns = {name: column for name, column in self.columns.items() if name not in added}
        columns |= {name: column for name, (_, column) in added.items()}
        return replace(self, table=table, columns=columns, **changes)  # type: ignore[arg-type]

    def take(self, keep: np.ndarray, **changes: object) -> Catalog:
        """The rows where the boolean mask `keep` [N] is True, row ids kept."""
        if keep.all():
            return replace(self, **changes)  # type: ignore[arg-type]
        table = self.table.loc[keep].reset_index(drop=True)
        return replace(self, table=table, row_ids=self.row_ids[keep], **changes)  # type: ignore[arg-type]


def rows_of(number: np.ndarray) -> list[np.ndarray]:
    """The rows, ascending, that have each of the numbers in `number` [N] int64, 0 or more, in their order."""
    order, counts = np.argsort(number, kind="stable"), np.bincount(number)
    return np.split(order, np.cumsum(counts[counts > 0])[:-1])


def speed_scale(column: Column) -> float:
    """Factor from the stored values of a velocity to km/s; 1 where the unit is unknown or no velocity."""
    measure, target = column.measure, Measure("km/s")
    return factor(measure, target, None, None, "") if not measure.h_power and measure.like("km/s") else 1.0


def seen_along(spec: CatalogSpec) -> tuple[int, int, int] | None:
    """The order of the axes for an observer who looks along one of them: it comes last. None in 3D."""
    project = spec.coordinates.project if spec.coordinates else None
    return {"x": (1, 2, 0), "y": (0, 2, 1), "z": (0, 1, 2)}.get(project or "")  # type: ignore[return-value]
