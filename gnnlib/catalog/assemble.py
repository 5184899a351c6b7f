"""From the raw table to the catalog: every choice of a `CatalogSpec` applied in one order, everything concluded noted.

names -> units -> h and redshift -> missing values -> plain derived columns -> roles -> places on the sky become places
in space -> length unit -> box -> velocity window, redshift space, projection -> columns derived from the surroundings
-> cut. Each step lives in a module of its own.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace

import numpy as np
import pandas as pd

from gnnlib.catalog import derived, missing, sky, space
from gnnlib.catalog.columns import infer_roles, numeric_names
from gnnlib.catalog.raw import RawCatalog
from gnnlib.catalog.select import kept
from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Coordinates, Files, Roles
from gnnlib.catalog.units import factor, parse_measure, split_name
from gnnlib.errors import InputError


def assemble(raw: RawCatalog, spec: CatalogSpec, cut: bool = True) -> Catalog:
    """The catalog that `spec` makes of a raw table; `raw` is not changed.

    cut: False keeps all rows, as pages do that show the rows cut away in grey; `kept` says which they are. Raises
    InputError for a choice that does not fit the table.
    """
    warnings, inferred = list(raw.warnings), list(raw.inferred)
    table, columns = _name(raw, spec)
    columns = _units(table, columns, spec, warnings)
    h = _hubble(spec.h if spec.h is not None else raw.h)
    redshift = _redshift(spec.redshift if spec.redshift is not None else raw.redshift)
    catalog = Catalog(
        table=table,
        columns=columns,
        roles=Roles(),
        row_ids=np.arange(len(table), dtype=np.int64),
        spec=spec,
        name=raw.name,
        h=h,
        redshift=redshift,
        files=_files(raw, list(columns)),
        provenance=dict(raw.provenance),
    )
    catalog = derived.add(missing.mask(catalog), of_surroundings=False)
    later = [name for name in spec.derived if name not in catalog.columns]

    roles = _roles(raw, spec, catalog, inferred, later)
    catalog = replace(catalog, roles=roles, row_ids=_row_ids(raw, catalog, roles, warnings))
    placed = sky.place(catalog, warnings, inferred)
    catalog = placed.catalog
    positions = [catalog.columns[name] for name in catalog.roles.position]
    catalog = replace(catalog, length_unit=space.length_unit(positions, spec.lengths, catalog.h) if positions else "")
    if positions and not catalog.length_unit:
        axes = ", ".join(catalog.roles.position)
        warnings.append(f"The unit of {axes} is not stated; set it (such as Mpc/h) so that lengths have a meaning.")
    box, periodic_axes = _box(raw, catalog, warnings)
    catalog = _seen(replace(catalog, box=box, periodic_axes=periodic_axes), placed, warnings)
    catalog = derived.add(catalog, of_surroundings=True)
    for name in later:
        _check_role(name, catalog)
    if any(column.inferred for column in catalog.columns.values()):
        inferred.append("units")
    whole = replace(catalog, inferred=tuple(dict.fromkeys(inferred)), warnings=tuple(dict.fromkeys(warnings)))
    return keep_rows(whole, spec) if cut else whole


def keep_rows(whole: Catalog, spec: CatalogSpec) -> Catalog:
    """The rows of a whole catalog that `spec` keeps; `spec` may differ from the catalog's own in its cut (`where`).

    Raises InputError where no row is left, or where those left do not fit into the box.
    """
    whole = replace(whole, spec=spec)
    warnings = list(whole.warnings)
    catalog = _check_extent(whole.take(_some(kept(whole), spec)), warnings)
    return replace(catalog, warnings=tuple(dict.fromkeys(warnings)))


def _some(keep: np.ndarray, spec: CatalogSpec) -> np.ndarray:
    if keep.any():
        return keep
    cause = f"meets '{spec.where.strip()[:80]}'" if spec.where else "has values in all columns that need one"
    raise InputError(f"No row of {len(keep):,} {cause}; loosen the cut.")


def _name(raw: RawCatalog, spec: CatalogSpec) -> tuple[pd.DataFrame, dict[str, Column]]:
    """A table of its own (the values shared) and the meaning of its columns, renamed where names are given."""
    table = raw.table.copy(deep=False)
    old = list(map(str, table.columns))
    columns = {name: raw.columns.get(name, Column(name)) for name in old}
    if spec.names:
        names = spec.names
        if raw.files and len(names) == table.shape[1] - 1 - len(raw.files.parameters):
            names = (*names, *old[len(names) :])  # those of the files alone: what was added has its names
        if len(names) != table.shape[1] or len(set(names)) != len(names):
            raise InputError(
                f"{len(set(names))} different names are given for {table.shape[1]} columns; name every column once."
            )
        columns = {}
        for before, name in zip(old, names, strict=True):
            column = raw.columns.get(before, Column(before))
            plain, bracket = split_name(name)
            measure = parse_measure(bracket) if bracket else column.measure
            columns[plain] = replace(column, name=plain, **measure._asdict())
    table.columns = pd.Index(list(columns))
    return table, columns


def _files(raw: RawCatalog, names: list[str]) -> Files | None:
    """Which columns were added to a folder of catalogs, by the `names` of all columns now."""
    if raw.files is None:
        return None
    column, *parameters = names[len(names) - 1 - len(raw.files.parameters) :]
    return Files(column, tuple(parameters))


def _units(
    table: pd.DataFrame, columns: dict[str, Column], spec: CatalogSpec, warnings: list[str]
) -> dict[str, Column]:
    """The columns with the units of the spec; a mass called a logarithm, whose values are one, gets a logarithm's."""
    columns = dict(columns)
    for name, text in spec.units.items():
        if name not in spec.derived:
            _known(name, columns, "a unit")
            columns[name] = replace(columns[name], **parse_measure(text)._asdict(), inferred=False)
    logarithms = []
    for name, column in columns.items():
        if name in spec.units or column.measure.is_log or not column.measure.like("Msun"):
            continue
        if re.match(r"(?i)(log|lg)(?![a-z]{3})", name) and table[name].dtype.kind == "f" and table[name].max() < 20:
            columns[name] = replace(column, unit=f"dex({column.unit})", inferred=True)
            logarithms.append(f"{name} in {columns[name].unit_label}")
    if logarithms:
        warnings.append(f"Taken to be logarithms by their names and values: {', '.join(logarithms[:6])}.")
    _check_choices(spec)
    return columns


def _check_choices(spec: CatalogSpec) -> None:
    if spec.lengths and not any(parse_measure(spec.lengths).like(kind) for kind in ("Mpc", "deg")):
        raise InputError(f"'{spec.lengths[:40]}' is no unit of length; choose one such as Mpc, Mpc/h, kpc, pc or pMpc.")
    if spec.lengths and parse_measure(spec.lengths).is_log:
        raise InputError(f"Lengths cannot be in {spec.lengths[:40]}; choose a unit such as Mpc or kpc/h.")
    if spec.masses and not parse_measure(spec.masses).like("Msun"):
        raise InputError(f"'{spec.masses[:40]}' is no unit of mass; choose Msun, Msun/h, dex(Msun) or dex(Msun/h).")


def _hubble(h: float | None) -> float | None:
    if h is not None and not 0.1 < h < 10:
        raise InputError(
            f"h = {h:g} cannot be a Hubble parameter in units of 100 km/s/Mpc; give a value such as 0.6774."
        )
    return h


def _redshift(redshift: float | None) -> float | None:
    if redshift is not None and not -1 < redshift < 1e4:
        raise InputError(f"A snapshot cannot be at redshift {redshift:g}; give a number from 0 on, such as 0.5.")
    return redshift


def _known(name: str, columns: dict[str, Column], what: str) -> None:
    if name not in columns:
        close = difflib.get_close_matches(name, list(columns), 1, 0.5)
        remedy = f"did you mean '{close[0]}'?" if close else f"its columns are {', '.join(list(columns)[:6])}, ..."
        raise InputError(f"There is no column '{name[:60]}' to give {what}; {remedy}")


def _roles(raw: RawCatalog, spec: CatalogSpec, catalog: Catalog, inferred: list[str], later: list[str]) -> Roles:
    """The roles that names suggest, under those that the format fixes, under those that a person chose.

    later: derived columns that are not there yet; they may be named.
    """
    stated = {role: value for role, value in raw.roles.items() if role in Roles.model_fields and not spec.names}
    chosen = spec.roles.model_dump() if spec.roles else {}
    derived_before = {*sky.PLAIN, *sky.MARKED, *space.PLANE[0], *space.PLANE[1]} - catalog.columns.keys()
    if set(chosen.get("position", ())) <= derived_before:  # derived when it was last read
        chosen.pop("position", None)
    elif "position" in chosen:
        chosen["position"] = tuple(space.before_moving(name, catalog.columns) for name in chosen["position"])
    own = catalog.table
    if catalog.files:  # what was added to the files' own columns plays no part by its name
        own = own.drop(columns=[catalog.files.column, *catalog.files.parameters])
    roles = Roles(**{**infer_roles(own), **stated, **chosen})
    if not stated and not chosen:
        inferred.append("roles")
    for role, value in roles.model_dump().items():
        names = value if isinstance(value, tuple | list) else (value,) if value else ()
        for name in names:
            if name in later and role != "position":
                continue
            _check_role(name, catalog, role)
        if role in ("position", "velocity") and names and (len(names) not in (2, 3) or len(set(names)) != len(names)):
            raise InputError(f"The {role} needs two or three different columns, not {', '.join(names)}.")
    return roles


def _check_role(name: str, catalog: Catalog, role: str = "features") -> None:
    _known(name, catalog.columns, f"the role of {role}")
    numeric = name in numeric_names(catalog.table[[name]])
    if role in ("velocity", "mass", "target", "features") and not numeric and catalog.table[name].dtype != bool:
        raise InputError(f"Column '{name}' does not hold numbers, so it cannot be a {role.rstrip('s')}.")
    if role == "position" and not numeric and not sky.is_angle(name, catalog.columns[name]):
        raise InputError(
            f"Position column '{name}' holds text, not numbers; choose numeric columns or mend its values."
        )


def _row_ids(raw: RawCatalog, catalog: Catalog, roles: Roles, warnings: list[str]) -> np.ndarray:
    """Unique ids [N]: those of the role's column, or else of the format, or else row numbers.

    In a folder of catalogs the file's name stands before that of the column, as files may use the same ids.
    """
    rows = np.arange(len(catalog), dtype=np.int64)
    if roles.row_id is None:
        return rows if raw.row_ids is None else raw.row_ids
    values = catalog.table[roles.row_id]
    if catalog.files and roles.row_id != catalog.files.column:
        return _ids_by_file(raw, catalog, values, warnings)
    if values.dtype.kind == "f" and values.notna().all() and (values % 1 == 0).all() and values.abs().max() < 2**53:
        values = values.astype(np.int64)
    repeated = int(values.duplicated().sum())
    if repeated or values.isna().any() or values.dtype.kind == "f":
        why = f"repeats {repeated:,} values" if repeated else "has gaps or fractions"
        warnings.append(f"Column '{roles.row_id}' {why}, so rows are numbered from 0 instead.")
        return rows
    ids = values.to_numpy()
    if ids.dtype.kind in "iu" and (ids.dtype.kind == "i" or ids.max() < 2**63):
        return ids.astype(np.int64)
    return np.array([str(value) for value in ids])


def _ids_by_file(raw: RawCatalog, catalog: Catalog, values: pd.Series, warnings: list[str]) -> np.ndarray:
    """`file:id` of each row [N], or what the reader numbered rows by where ids are missing or repeat in a file."""
    assert catalog.files is not None and raw.row_ids is not None
    if values.dtype.kind == "f" and values.notna().all() and (values % 1 == 0).all() and values.abs().max() < 2**53:
        values = values.astype(np.int64)
    ids = pd.Series([f"{file}:{one}" for file, one in zip(catalog.table[catalog.files.column], values, strict=True)])
    repeated = int(ids.duplicated().sum())
    if repeated or values.isna().any() or values.dtype.kind == "f":
        why = f"repeats {repeated:,} values within its files" if repeated else "has gaps or fractions"
        warnings.append(f"Column '{values.name}' {why}, so the rows of each file are numbered instead.")
        return raw.row_ids
    return np.array(ids.tolist())


def _box(raw: RawCatalog, catalog: Catalog, warnings: list[str]) -> tuple[np.ndarray | None, tuple[bool, bool, bool]]:
    """Side lengths [3] in the catalog's length unit or None, and which axes repeat."""
    spec, box = catalog.spec, None
    if spec.box is not None:
        box = np.asarray(spec.box, dtype=np.float64)
        if not (np.isfinite(box).all() and (box >= 0).all() and box.any()):
            raise InputError(
                "The box needs three positive side lengths, or 0 along an axis without one, not"
                f" {', '.join(f'{side:g}' for side in spec.box)}."
            )
    elif raw.box is not None and catalog.roles.position:
        box = np.ones(3) * np.asarray(raw.box, dtype=np.float64)
        measure = catalog.columns[catalog.roles.position[0]].measure
        measure = parse_measure(raw.box_unit) if raw.box_unit else measure
        if catalog.length_unit and measure.unit:
            try:
                target = parse_measure(catalog.length_unit)
                box = box * factor(measure, target, catalog.h, catalog.redshift, "The file's box")
            except InputError as error:
                warnings.append(f"The file's box is left out: {error}")
                box = None
    said = raw.periodic if spec.periodic is None else spec.periodic
    axes = said if isinstance(said, tuple) else (bool(said),) * 3
    if spec.periodic and any(axes) and box is None:
        raise InputError("A periodic catalog needs a box; give the side length of its box as well.")
    if box is not None:
        if isinstance(spec.periodic, tuple) and (np.asarray(axes) & (box == 0)).any():
            raise InputError("The box has no side along an axis that is periodic; give the lengths of these sides.")
        axes = (bool(axes[0] and box[0]), bool(axes[1] and box[1]), bool(axes[2] and box[2]))
    if spec.box is not None and said is None:
        warnings.append("A box is given but not whether it is periodic, so distances do not wrap around it.")
    return box, axes if box is not None else (False, False, False)


def _seen(catalog: Catalog, placed: sky.Placed, warnings: list[str]) -> Catalog:
    """The velocity window, redshift space and the projection, as the spec asks for them."""
    choice = catalog.spec.coordinates or Coordinates()
    if not catalog.roles.position:
        if choice.window or choice.project or choice.space == "redshift":
            raise InputError("The catalog has no positions to look at from elsewhere; choose two or three columns.")
        return catalog
    if choice.window is not None:
        catalog = space.add_velocity(catalog, placed.recession, placed.said, warnings)
    if choice.space == "redshift" and not placed.done:
        catalog = space.move_to_redshift_space(catalog, warnings)
    return space.project(catalog, warnings)


def _check_extent(catalog: Catalog, warnings: list[str]) -> Catalog:
    """Count rows without a position; a box must hold the positions (wherever its corner lies)."""
    if not catalog.roles.position:
        return catalog
    positions = catalog.positions()
    finite = np.isfinite(positions).all(axis=1)
    lost = int((~finite).sum())
    if lost:
        axes = ", ".join(catalog.roles.position)
        warnings.append(
            f"{lost:,} of {len(catalog):,} rows have no finite position ({axes}); cut them before building a graph."
        )
    if catalog.box is None or lost == len(catalog):
        return catalog
    unit = f" {catalog.length_unit}".rstrip()
    for axis, size, side in zip("xyz", np.ptp(positions[finite], axis=0), catalog.box, strict=True):
        if side and size > side * (1 + 1e-6):
            found = f"the positions span {size:.6g}{unit} along {axis}"
            if catalog.spec.box is not None:
                raise InputError(f"The box is {side:g}{unit} but {found}; give a larger box or other units.")
            warnings.append(f"The file's box of {side:.6g} is left out because {found}; give the box and the units.")
            return replace(catalog, box=None, periodic_axes=(False, False, False))
    return catalog
