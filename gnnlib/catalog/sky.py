"""From the sky to space: right ascension, declination and a redshift, velocity, distance or parallax become x, y, z.

Redshifts and velocities cz turn into comoving distances with astropy's Planck18 cosmology (Planck Collaboration 2020),
so peculiar velocities stretch groups along the line of sight. Distances of stars stay in parsecs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import astropy.units as u
import numpy as np
import pandas as pd

from gnnlib.catalog.columns import DECLINATION, RIGHT_ASCENSION, numeric_names
from gnnlib.catalog.table import Column, Roles
from gnnlib.errors import InputError

PLAIN, MARKED = ("x", "y", "z"), ("x_sky", "y_sky", "z_sky")  # names of derived positions
SPEED_OF_LIGHT_KM_S = 299792.458
_DEPTH = {
    "distance": r"dist|distance|rsun|dist(ance)?_?(kpc|mpc|pc)|r_?est",
    "redshift": r"z|redshift|z_?(spec|obs|cosmo|hel|helio|cmb|best|phot)|<z>|z_tonry",
    "velocity": r"cz|v_?lg|cz_?(hel|cmb|lg)",
    "parallax": r"parallax|plx",
}


@dataclass(frozen=True)
class Depth:
    """How far the objects are: the column, its kind (a key of _DEPTH), values [N] in km/s, mas or as stored."""

    column: Column
    kind: str
    values: np.ndarray


@dataclass(frozen=True)
class Placed:
    """New columns name -> (values [N], meaning) as x, y, z; what they came from; the sentence that says so."""

    columns: dict[str, tuple[np.ndarray, Column]]
    used: tuple[str, str, str]
    how: str


def is_angle(name: str, column: Column) -> bool:
    """Whether a column is a sky coordinate, by its unit or its name."""
    if column.unit:
        unit = _unit(column)
        return unit is not None and unit.is_equivalent(u.deg) and unit > 1 * u.arcsec
    return bool(re.fullmatch(f"{RIGHT_ASCENSION}|{DECLINATION}", name.lower()))


def on_sky(position: tuple[str, ...], columns: dict[str, Column]) -> bool:
    """Whether a position role starts with two sky coordinates."""
    return len(position) >= 2 and all(is_angle(name, columns[name]) for name in position[:2])


def place(table: pd.DataFrame, columns: dict[str, Column], roles: Roles, warnings: list[str]) -> Placed | None:
    """Derive Cartesian columns where a catalog has only sky coordinates; if it cannot, a warning says what is missing.

    A position role of (angle, angle, depth) chooses the columns; the depth's unit says what it is (km/s a velocity, Mpc
    a distance, mas a parallax, none a redshift), and what cannot be used raises InputError.
    """
    chosen = on_sky(roles.position, columns)
    if roles.position and not chosen:
        return None
    names = list(map(str, table.columns))
    ra, dec = roles.position[:2] if chosen else (_plainest(RIGHT_ASCENSION, names), _plainest(DECLINATION, names))
    if not ra or not dec:
        warnings.append("No columns were recognised as positions; choose two or three of them.")
        return None
    depths = list(roles.position[2:]) if chosen else _depth_names(table, columns, bool(columns[ra].unit))
    reason = "no distance, redshift, cz or parallax was recognised"
    for name in depths:
        try:
            longitude = _radians(table[ra], columns[ra], right_ascension=True)
            latitude = _radians(table[dec], columns[dec], right_ascension=False)
            depth = _depth(name, table, columns)
            distance, unit, how = _WAYS[depth.kind](depth)
        except InputError as error:
            if chosen:
                raise
            reason = str(error).rstrip(".")
            continue
        axes = MARKED if set(PLAIN) & {name.lower() for name in names} else PLAIN
        flat = np.cos(latitude)
        direction = (flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude))
        added = {
            axis: (distance * part, Column(axis, unit, 0, f"from {ra}, {dec} and {name}", inferred=True))
            for axis, part in zip(axes, direction, strict=True)
        }
        how = f"Positions {', '.join(axes)} were derived from '{ra}', '{dec}' and '{name}': {how}."
        warnings.append(how)
        return Placed(added, (ra, dec, name), how)
    warnings.append(
        f"'{ra}' and '{dec}' are places on the sky without a distance, so the catalog has no 3D positions: {reason};"
        f" or choose the position as ({ra}, {dec}, a column of distances, redshifts or velocities with its unit)."
    )
    return None


def _plainest(pattern: str, names: list[str]) -> str:
    fitting = [name for name in names if re.fullmatch(pattern, name.lower()) and "err" not in name.lower()]
    return min(fitting, key=len, default="")


def _unit(column: Column) -> u.UnitBase | None:
    return u.Unit(column.unit) if column.unit and not column.unit.startswith("dex(") else None


def _depth_names(table: pd.DataFrame, columns: dict[str, Column], units_stated: bool) -> list[str]:
    """Columns that may say how far, best first. Distances without a unit come last, or not at all where the file states
    units elsewhere: Gaia's cone searches call the angle to their centre `dist`."""
    fitting = [
        (kind == "distance" and not columns[name].unit, name)
        for kind, pattern in _DEPTH.items()
        for name in numeric_names(table)
        if re.fullmatch(pattern, name.lower())
        and not is_angle(name, columns[name])
        and not (kind == "distance" and units_stated and not columns[name].unit)
    ]
    return [name for _, name in sorted(fitting, key=lambda pair: pair[0])]


def _radians(values: pd.Series, column: Column, right_ascension: bool) -> np.ndarray:
    """Angles [N]. Raises InputError where hours and degrees cannot be told apart."""
    name, unit = column.name, _unit(column)
    if values.dtype.kind in "iuf":
        numbers = values.to_numpy(dtype=np.float64)
        finite = numbers[np.isfinite(numbers)]
        if unit is not None:
            return numbers * float(unit.to(u.rad))
        if right_ascension and len(finite) and finite.min() >= 0 and finite.max() <= 24 and np.ptp(finite) > 12:
            raise InputError(
                f"'{name}' runs from 0 to 24, which may be hours or degrees; set its unit to 'hourangle' or 'deg'."
            )
        return np.deg2rad(numbers)
    from astropy.coordinates import Angle  # a quarter of a second that most catalogs do not need

    text = values.astype(str).str.strip()
    try:
        if not text.str.contains(r"\d[\s:hd]+\d").all():
            raise ValueError("not sexagesimal")
        # Sexagesimal right ascensions are in hours by convention.
        angle = Angle(text.to_numpy(dtype=str), unit=unit or (u.hourangle if right_ascension else u.deg))
        if right_ascension and np.max(angle.deg) > 360.5:
            raise ValueError("beyond 24 hours")
        return angle.rad
    except (ValueError, TypeError, u.UnitsError) as error:
        raise InputError(
            f"Column '{name}' is not an angle that can be read; write it in degrees or like '14 29 42.95'."
        ) from error


def _depth(name: str, table: pd.DataFrame, columns: dict[str, Column]) -> Depth:
    column, unit, values = columns[name], _unit(columns[name]), table[name]
    if values.dtype.kind not in "iuf":
        raise InputError(f"Column '{name}' holds text, so it gives no distance.")
    numbers = values.to_numpy(dtype=np.float64)
    if unit is not None and unit.is_equivalent(u.km / u.s):
        return Depth(column, "velocity", numbers * float(unit.to(u.km / u.s)))
    if unit is not None and unit.is_equivalent(u.Mpc):
        return Depth(column, "distance", numbers)
    kind = next((kind for kind, pattern in _DEPTH.items() if re.fullmatch(pattern, name.lower())), "")
    if unit is not None and unit.is_equivalent(u.mas) and unit <= 1 * u.arcsec:
        kind, numbers = "parallax", numbers * float(unit.to(u.mas))
    if not kind:
        raise InputError(
            f"What '{name}' measures is not known; give its unit (km/s, Mpc, kpc, pc or mas) or call a redshift 'z'."
        )
    if kind == "parallax":
        _check_parallax(name, numbers, table)
    return Depth(column, kind, numbers)


def _check_parallax(name: str, parallax: np.ndarray, table: pd.DataFrame) -> None:
    """A parallax gives a distance only where it exceeds its error (Bailer-Jones 2015): most rows must be 3 sigma."""
    error_name = next((c for c in (f"{name}_error", f"e_{name}", f"{name}_err", f"{name}err") if c in table), None)
    error_name = error_name or next((c for c in ("plxerr", "plx_error", "e_Plx") if c in table), None)
    if error_name is not None:
        noisy = float(np.mean(~(parallax > 3 * table[error_name].to_numpy(dtype=np.float64))))
    else:
        noisy = 0.0 if np.mean(parallax > 0) > 0.8 else 1.0
    if noisy > 0.5:
        raise InputError(
            f"'{name}' is below three times its error in {noisy:.0%} of the rows, too noisy for distances."
        )


def _from_redshift(depth: Depth) -> tuple[np.ndarray, str, str]:
    from astropy.cosmology import Planck18  # a second that most catalogs do not need

    redshift = depth.values if depth.kind == "redshift" else depth.values / SPEED_OF_LIGHT_KM_S
    good = np.isfinite(redshift) & (redshift > 0) & (redshift < 1000)
    distance = np.full(len(redshift), np.nan)
    if good.any():
        distance[good] = Planck18.comoving_distance(redshift[good]).to_value(u.Mpc)
    what = "redshift" if depth.kind == "redshift" else "velocity cz"
    how = f"comoving distance from the {what} with the Planck18 cosmology (h = {Planck18.h:.4f})"
    return distance, "Mpc", how + _lost(good, what)


def _from_parallax(depth: Depth) -> tuple[np.ndarray, str, str]:
    good = np.isfinite(depth.values) & (depth.values > 0)
    distance = np.full(len(depth.values), np.nan)
    distance[good] = 1000.0 / depth.values[good]
    return distance, "pc", "distance = 1/parallax, the parallax in mas" + _lost(good, "parallax")


def _from_distance(depth: Depth) -> tuple[np.ndarray, str, str]:
    unit = _unit(depth.column)
    if unit is None:
        return depth.values, "", "distance as given, in a unit that the file does not state"
    goal = "pc" if unit <= 1.1 * u.pc else "Mpc"
    return depth.values * float(unit.to(u.Unit(goal))), goal, f"distance as given, in {goal}"


def _lost(good: np.ndarray, what: str) -> str:
    return "" if good.all() else f"; {int((~good).sum()):,} rows have none because their {what} is not positive"


_WAYS: dict[str, Callable[[Depth], tuple[np.ndarray, str, str]]] = {
    "redshift": _from_redshift,
    "velocity": _from_redshift,
    "parallax": _from_parallax,
    "distance": _from_distance,
}
