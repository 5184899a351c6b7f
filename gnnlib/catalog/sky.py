"""From the sky to space: right ascension, declination and a redshift, velocity, distance or parallax become x, y, z.

Redshifts and velocities cz turn into comoving distances with astropy's Planck18 cosmology (Planck Collaboration 2020), so
peculiar velocities stretch groups along the line of sight. Distances of stars stay in parsecs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import astropy.units as u
import numpy as np
import pandas as pd
from astropy.coordinates import Angle
from astropy.cosmology import Planck18

from gnnlib.catalog.columns import numeric_names
from gnnlib.catalog.table import Column, Roles
from gnnlib.errors import InputError

SPEED_OF_LIGHT = 299792.458  # km/s
_RA = r"_?ra|.*_ra|_?ra_?j?2000|ra_?deg|ra_?\(.*\)|r\.a\.|alpha(_?j2000)?|right_?ascension"
_DEC = r"_?dec|.*_dec|_?dec?_?j?2000|dec?_?deg|dec_?\(.*\)|dec\.|delta(_?j2000)?|declination"
_DEPTH = {
    "distance": r"dist|distance|dist_?(kpc|mpc|pc)|distance_?(kpc|mpc|pc)|rsun|r_?est",
    "redshift": r"z|redshift|z_?(spec|obs|cosmo|hel|helio|cmb|best|phot)|<z>|z_tonry|zspec",
    "velocity": r"cz|v_?lg|vlg|cz_?(hel|cmb|lg)|czcmb|czhel",
    "parallax": r"parallax|plx",
}


@dataclass(frozen=True)
class Depth:
    """How far: the column, its kind (a key of _DEPTH) and its values [N] in the kind's unit."""

    column: Column
    kind: str
    values: np.ndarray


def is_angle(name: str, column: Column) -> bool:
    """Whether a column is a sky coordinate, by its unit or its name."""
    if column.unit and not column.unit.startswith("dex("):
        unit = u.Unit(column.unit)
        return unit.is_equivalent(u.deg) and unit > 1 * u.arcsec
    return bool(re.fullmatch(f"{_RA}|{_DEC}", name.lower()))


def place(
    table: pd.DataFrame, columns: dict[str, Column], roles: Roles, warnings: list[str]
) -> tuple[Roles, dict[str, tuple[np.ndarray, Column]]]:
    """Derive Cartesian columns where the catalog has sky coordinates only; warnings tell what was done or what is missing.

    Returns the roles, pointing at the new columns, and the new columns. A position role of (angle, angle, depth) chooses the
    columns; the depth's unit says what it is (km/s a velocity, Mpc a distance, mas a parallax, none a redshift).
    """
    chosen = len(roles.position) >= 2 and all(is_angle(name, columns[name]) for name in roles.position[:2])
    if roles.position and not chosen:
        return roles, {}
    if chosen:
        ra, dec, *third = roles.position
        depths = third
    else:
        ra, dec = (_first(pattern, table, columns) for pattern in (_RA, _DEC))
        if not ra or not dec:
            if not chosen:
                warnings.append("No columns were recognised as positions; choose two or three of them.")
            return roles, {}
        depths = [
            name for pattern in _DEPTH.values() for name in numeric_names(table) if re.fullmatch(pattern, name.lower())
        ]
    nowhere = roles.model_copy(update={"position": ()})
    if not depths:
        warnings.append(
            f"'{ra}' and '{dec}' are places on the sky, but no distance, redshift, cz or parallax was recognised, so the catalog"
            f" has no 3D positions; choose the position as ({ra}, {dec}, COLUMN) and give COLUMN its unit."
        )
        return nowhere, {}
    try:
        longitude, latitude = _angles(table[ra], columns[ra], True), _angles(table[dec], columns[dec], False)
        depth = _depth(depths[0], table, columns)
    except InputError as error:
        if chosen:
            raise
        warnings.append(f"{error} Until then the catalog has no 3D positions.")
        return nowhere, {}
    distance, unit, how = _distance(depth, table, columns)
    direction = (np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude))
    names = _free_names(table)
    added = {
        name: (distance * part, Column(name, unit, 0, f"from {ra}, {dec} and {depth.column.name}", inferred=True))
        for name, part in zip(names, direction, strict=True)
    }
    warnings.append(f"Positions {', '.join(names)} were derived from '{ra}', '{dec}' and '{depth.column.name}': {how}.")
    used = {ra, dec, depth.column.name}
    features = tuple(name for name in roles.features if name not in used)
    return roles.model_copy(update={"position": names, "features": features}), added


def _first(pattern: str, table: pd.DataFrame, columns: dict[str, Column]) -> str | None:
    """The fitting column with the plainest name."""
    names = [
        name for name in map(str, table.columns) if re.fullmatch(pattern, name.lower()) and "err" not in name.lower()
    ]
    return min(names, key=len, default=None)


def _free_names(table: pd.DataFrame) -> tuple[str, str, str]:
    plain = ("x", "y", "z")
    return ("x_sky", "y_sky", "z_sky") if {"x", "y", "z"} & {str(name).lower() for name in table.columns} else plain


def _angles(values: pd.Series, column: Column, hours_possible: bool) -> np.ndarray:
    """Radians [N]. Raises InputError where hours and degrees cannot be told apart."""
    name = column.name
    unit = u.Unit(column.unit) if column.unit else None
    if values.dtype.kind not in "iuf":
        try:
            text = values.astype(str).str.strip()
            assumed = unit or (u.hourangle if hours_possible else u.deg)
            return Angle(text.to_numpy(dtype=str), unit=assumed).rad
        except (ValueError, TypeError, u.UnitsError) as error:
            raise InputError(
                f"Column '{name}' is not an angle that can be read; write it in degrees or as hours minutes seconds."
            ) from error
    numbers = values.to_numpy(dtype=np.float64)
    if unit is not None:
        return numbers * float(unit.to(u.rad))
    if (
        hours_possible
        and np.nanmin(numbers) >= 0
        and np.nanmax(numbers) <= 24
        and np.ptp(numbers[np.isfinite(numbers)]) > 12
    ):
        raise InputError(
            f"'{name}' runs from 0 to 24 without a unit, hours or degrees; set its unit to 'hourangle' or 'deg'."
        )
    return np.deg2rad(numbers)


def _depth(name: str, table: pd.DataFrame, columns: dict[str, Column]) -> Depth:
    column = columns[name]
    unit = u.Unit(column.unit) if column.unit and not column.unit.startswith("dex(") else None
    values = table[name]
    if values.dtype.kind not in "iuf":
        raise InputError(f"Column '{name}' holds text, so it gives no distance.")
    numbers = values.to_numpy(dtype=np.float64)
    by_unit: tuple[tuple[str, u.UnitBase], ...] = (("velocity", u.km / u.s), ("parallax", u.mas), ("distance", u.Mpc))
    for kind, wanted in by_unit:
        if unit is not None and unit.is_equivalent(wanted) and not unit.is_equivalent(u.dimensionless_unscaled):
            return Depth(column, kind, numbers * (float(unit.to(wanted)) if kind != "distance" else 1.0))
    kind = next((kind for kind, pattern in _DEPTH.items() if re.fullmatch(pattern, name.lower())), "")
    if not kind:
        raise InputError(
            f"What '{name}' measures is not known; give its unit (km/s, Mpc, kpc, pc or mas), or rename a redshift to 'z'."
        )
    return Depth(column, kind, numbers)


def _distance(depth: Depth, table: pd.DataFrame, columns: dict[str, Column]) -> tuple[np.ndarray, str, str]:
    return _WAYS[depth.kind](depth, table)


def _from_redshift(depth: Depth, table: pd.DataFrame) -> tuple[np.ndarray, str, str]:
    redshift = depth.values if depth.kind == "redshift" else depth.values / SPEED_OF_LIGHT
    good = np.isfinite(redshift) & (redshift > 0) & (redshift < 1000)
    grid = np.concatenate([[0.0], np.geomspace(1e-6, max(float(redshift[good].max(initial=0.01)), 0.01), 4000)])
    distance = np.full(len(redshift), np.nan)
    distance[good] = np.interp(redshift[good], grid, Planck18.comoving_distance(grid).to_value(u.Mpc))
    what = "redshift" if depth.kind == "redshift" else "velocity cz"
    how = f"comoving distances from the {what} with the Planck18 cosmology (h = {Planck18.h:.4f}), peculiar velocities included"
    return distance, "Mpc", how + _lost(good, f"{what} is not positive")


def _from_parallax(depth: Depth, table: pd.DataFrame) -> tuple[np.ndarray, str, str]:
    good = np.isfinite(depth.values) & (depth.values > 0)
    distance = np.full(len(depth.values), np.nan)
    distance[good] = 1000.0 / depth.values[good]
    return distance, "pc", "distance = 1/parallax (parallax in mas)" + _lost(good, "parallax is not positive")


def _from_distance(depth: Depth, table: pd.DataFrame) -> tuple[np.ndarray, str, str]:
    if not depth.column.unit:
        return depth.values, "", "distances as given, in a unit the file does not state"
    unit = u.Unit(depth.column.unit)
    goal = "pc" if unit <= 1.1 * u.pc else "Mpc"
    return depth.values * float(unit.to(u.Unit(goal))), goal, f"distances as given, in {goal}"


def _lost(good: np.ndarray, why: str) -> str:
    return f"; {int((~good).sum()):,} rows have none because the {why}" if not good.all() else ""


_WAYS: dict[str, Callable[[Depth, pd.DataFrame], tuple[np.ndarray, str, str]]] = {
    "redshift": _from_redshift,
    "velocity": _from_redshift,
    "parallax": _from_parallax,
    "distance": _from_distance,
}
