"""From the sky to space: two angles and a redshift, velocity, distance or parallax become x, y, z.

Redshifts and velocities cz turn into comoving distances with the cosmology of the spec, so peculiar velocities stretch
groups along the line of sight. Distances of stars stay in parsecs. Axes are those of the angles: x towards longitude 0,
z towards the pole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gnnlib.catalog import cosmology, space
from gnnlib.catalog.columns import DECLINATION, RIGHT_ASCENSION, numeric_names
from gnnlib.catalog.table import Catalog, Column, Coordinates
from gnnlib.catalog.units import Measure
from gnnlib.errors import InputError

PLAIN, MARKED = ("x", "y", "z"), ("x_sky", "y_sky", "z_sky")  # names of derived positions
_PAIRS = (  # frame, longitude, latitude; the first that is there is taken
    ("equatorial", RIGHT_ASCENSION, DECLINATION),
    ("galactic", r"l|ll|g_?lon|gal_?l(on)?|l_?deg", r"b|bb|g_?lat|gal_?b|gal_?lat|b_?deg"),
    ("supergalactic", r"sgl|sg_?lon", r"sgb|sg_?lat"),
    ("ecliptic", r"e_?lon|ecl_?lon|elong|lambda", r"e_?lat|ecl_?lat|beta"),
)
_DEPTH = {
    "distance": r"dist|distance|rsun|dist(ance)?_?(kpc|mpc|pc)|r_?est",
    "redshift": r"z|redshift|z_?(spec|obs|cosmo|hel|helio|cmb|best|phot)|<z>|z_tonry",
    "velocity": r"cz|v_?lg|cz_?(hel|helio|cmb|lg|gal|obs)",
    "parallax": r"parallax|plx",
}
# Any radial velocity by its name. It places an object only where most are too fast to be peculiar.
_ANY_VELOCITY, _FAST_KM_S = r"v|vel|velocity|rv|radial_?velocity|v_?(hel|helio|cmb|los|rad|r|obs)", 1000.0
_SPLIT = (("RAh", "RAm", "RAs"), ("DE-", "DEd", "DEm", "DEs"))  # as AAS tables write right ascension and declination
_SEXAGESIMAL = (
    r"^(?P<sign>[+\-−–]?)\s*(?P<whole>\d{1,3})\s*(?P<mark>[:hd°\s])\s*(?P<minutes>\d{1,2}(?:\.\d+)?)\.?"
    r"\s*(?:[:m'′\s]\s*(?:(?P<seconds>\d{1,2}(?:\.\d+)?)\.?\s*(?:[s\"″]|'')?)?)?$"
)


class Placed(NamedTuple):
    """catalog: with positions where the sky gave them. done: whether it did. recession: velocities [N] in km/s where
    redshifts or velocities place it, of which `said` says what they are."""

    catalog: Catalog
    done: bool = False
    recession: np.ndarray | None = None
    said: str = ""


@dataclass(frozen=True)
class Depth:
    """How far the objects are: the column, its kind (a key of _DEPTH), values [N] (a redshift, km/s, mas, or a distance
    as stored), the cosmology for redshifts, and remarks for the reader."""

    column: Column
    kind: str
    values: np.ndarray
    cosmology: str
    remark: str = ""


class _Direction(NamedTuple):
    names: tuple[str, str]
    unit_vectors: np.ndarray  # [N, 3]
    how: str  # "equatorial, in degrees"


def is_angle(name: str, column: Column) -> bool:
    """Whether a column is a sky coordinate, by its unit or its name."""
    if column.unit:
        return _unlike_parallax(_unit(column))
    return bool(re.fullmatch(f"{RIGHT_ASCENSION}|{DECLINATION}", name.lower()))


def on_sky(position: tuple[str, ...], columns: dict[str, Column]) -> bool:
    """Whether a position role starts with two sky coordinates."""
    return len(position) >= 2 and all(is_angle(name, columns[name]) for name in position[:2])


def place(catalog: Catalog, warnings: list[str], inferred: list[str]) -> Placed:
    """The catalog with Cartesian columns where it has only sky coordinates; if that fails, a warning says why.

    `spec.coordinates` names the columns and says what they are, and goes before Cartesian positions. So does a position
    role of (angle, angle, depth): the depth's unit says what it is (km/s a velocity, Mpc a distance, mas a parallax,
    none a redshift). What was chosen and cannot be used raises InputError.
    """
    choice = catalog.spec.coordinates or Coordinates()
    catalog = _with_split_angles(catalog)
    columns, roles = catalog.columns, catalog.roles
    asked = [name for name in (choice.longitude, choice.latitude, choice.depth) if name]
    for name in asked:
        if name not in columns:
            raise InputError(f"The catalog has no column '{name[:60]}' to be a sky coordinate; choose another one.")
    by_role = on_sky(roles.position, columns) and not asked
    if roles.position and not by_role and not asked:
        return Placed(catalog)
    frame, pair = _pair(choice, roles.position[:2] if by_role else (), list(columns))
    if pair is None:
        if asked or choice.depth_kind:
            raise InputError("No two columns of sky coordinates were recognised; name the longitude and the latitude.")
        warnings.append("No columns were recognised as positions; choose two or three of them.")
        return Placed(catalog)
    depths = [choice.depth] if choice.depth else list(roles.position[2:]) if by_role else []
    must = bool(depths or choice.depth_kind)
    depths = depths or _depth_names(catalog.table, columns, bool(columns[pair[0]].unit), choice.depth_kind)
    reason, towards = "no distance, redshift, cz or parallax was recognised", None
    try:
        towards = _direction(catalog, frame, pair, choice, inferred)
        for name in depths:
            try:
                depth = _depth(name, catalog.table, columns, choice)
                found = _WAYS[depth.kind](depth)
            except InputError as error:
                if must and len(depths) == 1:
                    raise
                reason = str(error).rstrip(".")
                continue
            return _with_positions(catalog, towards, depth, found, warnings, inferred)
    except InputError as error:
        if must or asked or by_role:
            raise
        reason = str(error).rstrip(".")
    if towards is not None and choice.project == "sky" and not must:
        return Placed(space.on_plane(catalog, towards.unit_vectors, warnings), done=True)
    lacking = (
        f"'{pair[0]}' and '{pair[1]}' are places on the sky without a distance, so the catalog has no 3D positions:"
        f" {reason}; choose a column of distances, redshifts, velocities or parallaxes with its unit, or look at the"
        " catalog projected onto the sky."
    )
    if must or asked:
        raise InputError(lacking)
    warnings.append(lacking)
    return Placed(replace(catalog, roles=roles.model_copy(update={"position": ()})) if by_role else catalog)


def _with_positions(
    catalog: Catalog,
    towards: _Direction,
    depth: Depth,
    found: tuple[np.ndarray, Measure, str],
    warnings: list[str],
    inferred: list[str],
) -> Placed:
    """The catalog with x, y, z columns and all that was concluded on the way said."""
    choice = catalog.spec.coordinates or Coordinates()
    concluded = not (choice.depth and choice.depth_kind)
    inferred += ["position"] * concluded
    distance, measure, how = found
    names = {name.lower() for name in catalog.columns}
    axes = MARKED if set(PLAIN) & names else PLAIN
    source = (*towards.names, depth.column.name)
    description = f"from {source[0]}, {source[1]} and {source[2]}"
    by_redshift = depth.kind in ("redshift", "velocity")
    if choice.space == "redshift" and not by_redshift:
        raise InputError(
            f"Positions from the {depth.kind} '{source[2]}' are in real space; choose a redshift or velocity as the"
            " depth for redshift space."
        )
    seen = "redshift" if by_redshift else "real"
    sentence = (
        f"Positions {', '.join(axes)} ({seen} space) were derived from '{source[0]}', '{source[1]}' ({towards.how}) and"
        f" '{source[2]}': {how}{depth.remark}."
    )
    warnings.append(sentence)
    h = catalog.h
    if by_redshift:
        own = cosmology.little_h(depth.cosmology)
        if h is None:
            h = own
            inferred.append("h")
        elif abs(h / own - 1) > 0.005:
            warnings.append(
                f"Distances are those of {depth.cosmology}, whose h is {own:.4g}, while h = {h:.4g} is given; choose a"
                " cosmology with the same."
            )
    added = {
        axis: (distance * part, Column(axis, *measure[:2], description, concluded, frame=measure.frame))
        for axis, part in zip(axes, towards.unit_vectors.T, strict=True)
    }
    placed = catalog.with_columns(
        added,
        roles=catalog.roles.model_copy(
            update={
                "position": tuple(added),
                "features": tuple(feature for feature in catalog.roles.features if feature not in source),
            }
        ),
        h=h,
        provenance=catalog.provenance | {"positions": sentence, "space": f"{seen} space"},
    )
    recession = None
    if by_redshift:
        recession = depth.values * (cosmology.SPEED_OF_LIGHT_KM_S if depth.kind == "redshift" else 1.0)
    said = f"c times '{source[2]}'" if depth.kind == "redshift" else f"'{source[2]}'"
    return Placed(placed, True, recession, said)


# Directions


def _pair(choice: Coordinates, by_role: tuple[str, ...], names: list[str]) -> tuple[str, tuple[str, str] | None]:
    """The frame and the two columns of angles: as chosen, or the first pair of names that are known."""
    longitude, latitude = choice.longitude, choice.latitude
    if len(by_role) == 2 and not (longitude or latitude):
        longitude, latitude = by_role
    for frame, longitudes, latitudes in _PAIRS:
        first, second = longitude or _plainest(longitudes, names), latitude or _plainest(latitudes, names)
        named = bool(re.fullmatch(longitudes, first.lower()) or re.fullmatch(latitudes, second.lower()))
        if first and second and named:
            return frame, (first, second)
    return "", (longitude, latitude) if longitude and latitude else None


def _with_split_angles(catalog: Catalog) -> Catalog:
    """The catalog with `RA` and `Dec` where it has hours, degrees, minutes and seconds in columns of their own."""
    (hours, *right_ascension), (sign, degrees, *declination) = _SPLIT
    needed = {hours, sign, degrees}
    parts = (*_SPLIT[0], *_SPLIT[1][1:])
    if not needed <= catalog.columns.keys() or {"RA", "Dec"} & catalog.columns.keys():
        return catalog
    if not all(catalog.table[name].dtype.kind in "iuf" for name in parts if name in catalog.columns):
        return catalog

    def total(first: str, smaller: list[str]) -> np.ndarray:
        there = [(name, 60.0**k) for k, name in enumerate(smaller, 1) if name in catalog.columns]
        values = catalog.values(first).astype(np.float64)
        return values + sum(catalog.table[name].fillna(0).to_numpy(np.float64) / size for name, size in there)

    signs = catalog.table[sign].astype("string").str.strip()
    south = signs.isin(["-", "−", "–"]).to_numpy(dtype=bool, na_value=False)
    if (signs == "+").any() and not south.any():  # where every sign is written, text readers take "-" for a gap
        south = signs.isna().to_numpy(dtype=bool)
    size = total(degrees, declination)
    added = {
        "RA": (total(hours, right_ascension), Column("RA", "hourangle", description="from RAh, RAm, RAs")),
        "Dec": (np.where(south, -size, size), Column("Dec", "deg", description="from DE-, DEd, DEm, DEs")),
    }
    features = tuple(name for name in catalog.roles.features if name not in parts)
    return catalog.with_columns(added, roles=catalog.roles.model_copy(update={"features": features}))


def _plainest(pattern: str, names: list[str]) -> str:
    fitting = [name for name in names if re.fullmatch(pattern, name.lower()) and "err" not in name.lower()]
    return min(fitting, key=len, default="")


def _direction(
    catalog: Catalog, frame: str, pair: tuple[str, str], choice: Coordinates, inferred: list[str]
) -> _Direction:
    equatorial = frame in ("equatorial", "")
    # The latitude first: how far it reaches tells hours from degrees.
    latitude, how_latitude = _radians(catalog, pair[1], choice.angles, equatorial, None)
    longitude, how = _radians(catalog, pair[0], choice.angles, equatorial, latitude)
    if "read as" in f"{how} {how_latitude}":
        inferred.append("angles")
    outside = ~(np.abs(latitude) <= np.pi / 2 + 1e-9) | ~(np.abs(longitude) <= 2 * np.pi + 0.01)
    told = np.isfinite(latitude) & np.isfinite(longitude)
    bad = int((outside & told).sum())
    if bad > 0.5 * max(told.sum(), 1):
        raise InputError(
            f"Most of '{pair[0]}' and '{pair[1]}' lie beyond 360 and 90 degrees; say whether they are in degrees, hours"
            " or radians."
        )
    longitude, latitude = np.where(outside, np.nan, longitude), np.where(outside, np.nan, latitude)
    flat = np.cos(latitude)
    vectors = np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], axis=1)
    if how == how_latitude == "read as degrees" and _like_radians(longitude, latitude):
        how += ", though radians would fit as well"
    how = f"{frame}, {how}".strip(", ")
    return _Direction(pair, vectors, how + (f"; {bad:,} rows are no place on the sky" if bad else ""))


def _like_radians(longitude: np.ndarray, latitude: np.ndarray) -> bool:
    """Whether angles [N], as radians of what was read as degrees, lie within a few degrees as all of a sky in radians
    would, and spread over more than one of them."""
    degrees, north = np.rad2deg(longitude), np.rad2deg(latitude)
    within = np.nanmax(np.abs(degrees), initial=0) <= 2 * np.pi + 0.01 and np.nanmax(np.abs(north), initial=0) < 1.58
    return bool(within and np.nanmax(degrees, initial=-9) - np.nanmin(degrees, initial=9) > 1)


def _unit(column: Column) -> u.UnitBase | None:
    return u.Unit(column.unit) if column.unit and not column.unit.startswith("dex(") else None


def _unlike_parallax(unit: u.UnitBase | None) -> bool:
    return unit is not None and bool(unit.is_equivalent(u.deg)) and unit > 1 * u.arcsec


def _radians(
    catalog: Catalog, name: str, angles: str | None, equatorial: bool, latitude: np.ndarray | None
) -> tuple[np.ndarray, str]:
    """Angles [N] in radians and how they were read. latitude: [N] where `name` is a longitude, else None.

    Raises InputError where hours and degrees cannot be told apart.
    """
    values, unit = catalog.table[name], _unit(catalog.columns[name])
    if unit is not None and not unit.is_equivalent(u.deg):
        unit = None if angles else unit
        if unit is not None:
            raise InputError(f"Column '{name}' is in {catalog.columns[name].unit_label}, which is no angle.")
    if values.dtype.kind in "iuf":
        numbers = values.to_numpy(dtype=np.float64)
    else:
        sexagesimal = _sexagesimal(name, values)
        if sexagesimal is not None:
            numbers, hours = sexagesimal
            if hours is None:  # by convention only right ascensions are in hours
                plain = angles == "degrees" or (unit is not None and unit != u.hourangle)
                hours = latitude is not None and equatorial and not plain
            if hours and np.nanmax(np.abs(numbers), initial=0.0) > 24.05:
                raise InputError(f"Column '{name}' runs beyond 24 hours; say that its angles are degrees.")
            return np.deg2rad(numbers * (15 if hours else 1)), "sexagesimal, in hours" if hours else "in degrees"
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
    if angles == "sexagesimal" and latitude is not None:
        raise InputError(f"Column '{name}' holds plain numbers, nothing sexagesimal; say degrees, hours or radians.")
    if angles in ("degrees", "radians") or (angles == "hours" and latitude is not None):
        scale = {"degrees": np.pi / 180, "hours": np.pi / 12, "radians": 1.0}[str(angles)]
        return numbers * scale, f"in {angles}"
    if unit is not None and angles is None:
        return numbers * float(unit.to(u.rad)), f"in {unit}"
    finite = numbers[np.isfinite(numbers)]
    if latitude is not None and equatorial and len(finite) and finite.min() >= 0 and finite.max() <= 24:
        reach = np.ptp(np.rad2deg(latitude[np.isfinite(latitude)])) if np.isfinite(latitude).any() else 0.0
        if np.ptp(finite) > 20 and reach > 90:  # no field of 24 degrees runs from pole to pole
            return numbers * np.pi / 12, "read as hours, since it runs from 0 to 24 and the declination over the sky"
        if np.ptp(finite) > 12:
            raise InputError(
                f"'{name}' runs from 0 to 24, which may be hours or degrees; set its unit to 'hourangle' or 'deg'."
            )
    return np.deg2rad(numbers), "in degrees" if angles == "hours" else "read as degrees"


def _sexagesimal(name: str, values: pd.Series) -> tuple[np.ndarray, bool | None] | None:
    """Texts such as "14 29 42.95", "-62:40:46.2" or "14h29m42s" as numbers [N], NaN where empty; whether their marks
    say hours (None: they do not tell). None where all are plain numbers. Raises InputError naming one that is neither.
    """
    text = pc.utf8_trim_whitespace(pa.array(values.astype("string"), pa.string(), from_pandas=True))
    empty = pc.equal(pc.fill_null(text, ""), "").to_numpy(zero_copy_only=False)
    # Most columns of text that are no angles, and all of plain numbers, show it in their first rows.
    written = text.filter(pa.array(~empty))
    for some in (written[:1000], written):
        if pd.to_numeric(some.to_pandas(), errors="coerce").isna().any():
            break
    else:
        return None
    parts = pc.extract_regex(text, _SEXAGESIMAL)  # ten times as fast as pandas

    def numbers(part: str, where_absent: float) -> np.ndarray:
        field = pc.struct_field(parts, part)
        field = pc.cast(pc.if_else(pc.equal(field, ""), None, field), pa.float64())
        return pc.fill_null(field, where_absent).to_numpy(zero_copy_only=False)

    minutes, seconds = numbers("minutes", np.nan), numbers("seconds", 0.0)
    bad = ~empty & ~((minutes <= 60) & (seconds <= 60))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"Column '{name}' is not an angle that can be read: row {row + 1} has '{text[row].as_py()[:30]}'; write it"
            " in degrees or like '14 29 42.95'."
        )
    minus = pc.is_in(pc.struct_field(parts, "sign"), pa.array(["-", "−", "–"])).to_numpy(zero_copy_only=False)
    marks = set(pc.unique(pc.struct_field(parts, "mark")).to_pylist())
    hours = True if "h" in marks else False if marks & {"d", "°"} else None
    if "h" in marks and marks & {"d", "°"}:
        raise InputError(f"Column '{name}' has angles in hours and in degrees; write them all alike.")
    size = numbers("whole", np.nan) + minutes / 60 + seconds / 3600
    return np.where(empty, np.nan, np.where(minus, -size, size)), hours


# Depths


def _depth_names(table: pd.DataFrame, columns: dict[str, Column], units_stated: bool, kind: str | None) -> list[str]:
    """Columns that may say how far, best first. Distances without a unit come last, or not at all where the file states
    units elsewhere: Gaia's cone searches call the angle to their centre `dist`."""
    kinds = {kind: _DEPTH[kind]} if kind else _DEPTH
    fitting = [
        (kind == "distance" and not columns[name].unit, name)
        for kind, pattern in kinds.items()
        for name in numeric_names(table)
        if re.fullmatch(pattern, name.lower())
        and not is_angle(name, columns[name])
        and not (kind == "distance" and units_stated and not columns[name].unit)
    ]
    names = [name for _, name in sorted(fitting, key=lambda pair: pair[0])]
    return names or [
        name for name in numeric_names(table) if kind in (None, "velocity") and _recedes(name, table, columns)
    ]


def _recedes(name: str, table: pd.DataFrame, columns: dict[str, Column]) -> bool:
    """Whether a column is a recession velocity by its name and its values: a magnitude V never is so large."""
    if not re.fullmatch(_ANY_VELOCITY, name.lower()) or columns[name].unit not in ("", "km / s", "km/s"):
        return False
    return bool(table[name].median() > _FAST_KM_S)


def _depth(name: str, table: pd.DataFrame, columns: dict[str, Column], choice: Coordinates) -> Depth:
    column, unit, values, asked = columns[name], _unit(columns[name]), table[name], choice.depth_kind
    if values.dtype.kind not in "iuf":
        raise InputError(f"Column '{name}' holds text, so it gives no distance.")
    numbers = values.to_numpy(dtype=np.float64)
    of_unit, scale = "", 1.0
    if unit is not None and unit.is_equivalent(u.km / u.s):
        of_unit, scale = "velocity", float(unit.to(u.km / u.s))
    elif unit is not None and unit.is_equivalent(u.Mpc):
        of_unit = "distance"
    elif unit is not None and unit.is_equivalent(u.mas) and not _unlike_parallax(unit):
        of_unit, scale = "parallax", float(unit.to(u.mas))
    elif unit is not None and unit != u.dimensionless_unscaled:
        raise InputError(f"'{name}' is in {column.unit_label}, so it gives no distance; choose another depth.")
    if asked and of_unit and asked != of_unit:
        raise InputError(f"'{name}' is in {column.unit_label}, a {of_unit}, but a {asked} is asked for; change one.")
    by_name = next((kind for kind, pattern in _DEPTH.items() if re.fullmatch(pattern, name.lower())), "")
    if not by_name and _recedes(name, table, columns):
        by_name = "velocity"
    kind = asked or of_unit or by_name
    if not kind:
        raise InputError(
            f"What '{name}' measures is not known; give its unit (km/s, Mpc, kpc, pc or mas) or call a redshift 'z'."
        )
    remark = ""
    if kind in ("velocity", "parallax") and not of_unit:
        remark = f"; its unit was taken to be {'km/s' if kind == 'velocity' else 'mas'}"
    if kind == "parallax":
        remark += _check_parallax(name, numbers * scale, table)
    return Depth(column, kind, numbers * scale, choice.cosmology, remark)


def _check_parallax(name: str, parallax: np.ndarray, table: pd.DataFrame) -> str:
    """A parallax gives a distance only where it exceeds its error (Bailer-Jones 2015): most rows must be 3 sigma.

    Returns a remark on the others.
    """
    errors = (f"{name}_error", f"e_{name}", f"{name}_err", f"{name}err", "plxerr", "plx_error", "e_Plx")
    error_name = next((column for column in errors if column in table), None)
    if error_name is not None:
        weak = ~(parallax > 3 * table[error_name].to_numpy(dtype=np.float64))
        noisy = float(np.mean(weak))
    else:
        weak = np.zeros(len(parallax), dtype=bool)
        noisy = 0.0 if np.mean(parallax > 0) > 0.8 else 1.0
    if noisy > 0.5:
        raise InputError(
            f"'{name}' is below three times its error in {noisy:.0%} of the rows, too noisy for distances."
        )
    count = int((weak & (parallax > 0)).sum())
    return f"; in {count:,} rows it is below three times its error, so their distance is uncertain" if count else ""


def _from_redshift(depth: Depth) -> tuple[np.ndarray, Measure, str]:
    redshift = depth.values / (1.0 if depth.kind == "redshift" else cosmology.SPEED_OF_LIGHT_KM_S)
    distance = cosmology.comoving_distances(redshift, depth.cosmology)
    what = "redshift" if depth.kind == "redshift" else "velocity cz"
    h = cosmology.little_h(depth.cosmology)
    how = f"comoving distance from the {what} with the {depth.cosmology} cosmology (h = {h:.4f})"
    return distance, Measure("Mpc", 0, "comoving"), how + _lost(np.isfinite(distance), what)


def _from_parallax(depth: Depth) -> tuple[np.ndarray, Measure, str]:
    good = np.isfinite(depth.values) & (depth.values > 0)
    distance = np.full(len(depth.values), np.nan)
    distance[good] = 1000.0 / depth.values[good]
    return distance, Measure("pc"), "distance = 1/parallax, the parallax in mas" + _lost(good, "parallax")


def _from_distance(depth: Depth) -> tuple[np.ndarray, Measure, str]:
    good = np.isfinite(depth.values) & (depth.values >= 0)
    values, lost = np.where(good, depth.values, np.nan), _lost(good, "distance", "is negative or missing")
    column, unit = depth.column, _unit(depth.column)
    if unit is None:
        return values, Measure(), "distance as given, in a unit that the file does not state" + lost
    measure = Measure("pc" if unit <= 1.1 * u.pc else "Mpc", column.h_power, column.frame)
    return values * float(unit.to(u.Unit(measure.unit))), measure, f"distance as given, in {measure.short}{lost}"


def _lost(good: np.ndarray, what: str, why: str = "is missing, not positive or out of range") -> str:
    return "" if good.all() else f"; {int((~good).sum()):,} rows have none because their {what} {why}"


_WAYS: dict[str, Callable[[Depth], tuple[np.ndarray, Measure, str]]] = {
    "redshift": _from_redshift,
    "velocity": _from_redshift,
    "parallax": _from_parallax,
    "distance": _from_distance,
}
