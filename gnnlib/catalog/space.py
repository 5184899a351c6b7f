"""Where an observer sees the objects of a catalog: length unit, redshift space, velocity window, projection.

Redshift space (Kaiser 1987; Hamilton 1998, eq. 2): an object at comoving x with peculiar velocity v seems to be at
s = x + v / (a H(z)) along the line of sight. The observer is far away; in a periodic box s is wrapped into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import astropy.units as u
import numpy as np

from gnnlib.catalog import cosmology
from gnnlib.catalog.columns import numeric_names
from gnnlib.catalog.table import Catalog, Column, Coordinates, seen_along, speed_scale
from gnnlib.catalog.units import Measure, factor, parse_measure
from gnnlib.errors import InputError

AXES = ("x", "y", "z")
LOS_VELOCITY = "los_velocity"
PLANE = ("east", "north"), ("east_sky", "north_sky")
_MOVED = "_redshift_space"
_RADIAL = re.compile(
    r"cz(_?(hel(io)?|cmb|lg|gal|obs))?|v_?lg|radial_?velocity|rv|v_?r(ad)?|v_?los(_?systemic)?|v_?hel(io)?|hrv|rvel"
)


def length_unit(position: Iterable[Column], wanted: str | None, h: float | None) -> str:
    """The unit in which positions are given: `wanted`, or as found: "Mpc", "pc" for stellar distances, "Mpc/h" without
    h, "pMpc" for proper lengths, "deg" on the plane of the sky; "" if the columns have no unit.

    Raises InputError where the columns cannot be brought to one unit.
    """
    columns = list(position)
    measures = [column.measure for column in columns]
    stated = [bool(measure.unit) for measure in measures]
    if not any(stated):
        return ""
    if not all(stated):
        odd = columns[stated.index(False)]
        raise InputError(f"Position column '{odd.name}' has no unit but another has; set its unit.")
    if all(measure.like("deg") and not measure.is_log for measure in measures):
        target = parse_measure(wanted) if wanted else Measure("deg")
        return target.short if target.like("deg") else "deg"
    for column, measure in zip(columns, measures, strict=True):
        if measure.is_log or not measure.like("Mpc"):
            raise InputError(
                f"Position column '{column.name}' has {measure.label}, which is no length; set its unit, or choose"
                " other columns as the position."
            )
    if wanted:
        return parse_measure(wanted).label
    if all(u.Unit(measure.unit) <= 1.1 * u.pc for measure in measures):
        unit = "pc"
    elif h is not None or all(measure.h_power == 0 for measure in measures):
        unit = "Mpc"
    elif all(measure.h_power == -1 for measure in measures):
        unit = "Mpc/h"
    else:
        raise InputError("The position columns carry different powers of h; give h to bring them to one unit.")
    return f"p{unit}" if all(measure.frame == "proper" for measure in measures) else unit


def before_moving(name: str, columns: Mapping[str, Column]) -> str:
    """The column that an axis in redshift space was made from, where `name` is such an axis of an earlier reading."""
    old = name.removesuffix(_MOVED)
    return old if name not in columns and old in columns else name


def places(catalog: Catalog) -> set[str]:
    """The columns that say where objects are: positions, those that they were made from, the window's velocity."""
    position = catalog.roles.position
    return {*position, *(name.removesuffix(_MOVED) for name in position), LOS_VELOCITY} & catalog.columns.keys()


def move_to_redshift_space(catalog: Catalog, warnings: list[str]) -> Catalog:
    """The catalog with its positions along `Coordinates.depth_axis` moved by the peculiar velocities.

    The moved axis is a new column, which takes the place of the old one in the role of position. Raises InputError
    without three positions with a unit, velocities, or the redshift of the snapshot.
    """
    choice = catalog.spec.coordinates or Coordinates()
    axis = AXES.index(choice.depth_axis)
    if len(catalog.roles.velocity) != 3:
        raise InputError("Redshift space needs velocities along three axes; choose these columns as the velocity.")
    along, _, how = _hubble_flow(catalog, choice, peculiar=True)
    old = catalog.columns[catalog.roles.position[axis]]
    name = old.name + _MOVED
    values = along / catalog.length_scale(old.name)
    sentence = f"Positions are in redshift space along {choice.depth_axis} ('{name}'): s = x + v/(aH), {how}."
    warnings.append(sentence)
    position = tuple(name if place == axis else other for place, other in enumerate(catalog.roles.position))
    box = catalog.box
    if box is not None and not catalog.periodic_axes[axis]:  # objects move out of its open faces
        box = np.where(np.arange(3) == axis, 0.0, box)
        box = box if box.any() else None
    column = replace(old, name=name, description=f"from {old.name} and {catalog.roles.velocity[axis]}")
    return catalog.with_columns(
        {name: (values, column)},
        roles=catalog.roles.model_copy(update={"position": position}),
        box=box,
        provenance=catalog.provenance | {"space": sentence},
    )


def add_velocity(catalog: Catalog, recession: np.ndarray | None, said: str, warnings: list[str]) -> Catalog:
    """The catalog with a column `los_velocity` in km/s, by which `Coordinates.window` cuts.

    recession: velocities [N] of a catalog placed by redshift or cz, of which `said` says what they are. Else, in a
    simulation (a catalog with velocities, or without any radial one), what an observer of a slab in redshift space
    measures: the Hubble flow over the distance from the origin of the coordinates along `Coordinates.depth_axis` plus
    the peculiar velocity. Else the catalog's column of radial velocities. Raises InputError where all fail.
    """
    choice = catalog.spec.coordinates or Coordinates()
    radial = next((n for n in numeric_names(catalog.table) if _RADIAL.fullmatch(n.lower())), None)
    if recession is not None:
        velocity = recession
    elif radial is not None and len(catalog.roles.velocity) != 3:
        velocity = catalog.values(radial).astype(np.float64) * speed_scale(catalog.columns[radial])
        said = f"'{radial}'" + ("" if catalog.columns[radial].unit else ", its unit taken to be km/s")
    else:
        _, velocity, how = _hubble_flow(catalog, choice, peculiar=len(catalog.roles.velocity) == 3)
        said = f"a H s along {choice.depth_axis}, {how}"
    low, high = choice.window or (-np.inf, np.inf)
    sentence = f"The velocity window keeps {low:g} to {high:g} km/s of '{LOS_VELOCITY}': {said}."
    warnings.append(sentence)
    if LOS_VELOCITY in catalog.columns:
        warnings.append(f"The column '{LOS_VELOCITY}' of the file is replaced by that of the velocity window.")
    column = Column(LOS_VELOCITY, "km/s", description=f"line-of-sight velocity: {said}", inferred=True)
    return catalog.with_columns(
        {LOS_VELOCITY: (velocity, column)}, provenance=catalog.provenance | {"window": sentence}
    )


def in_window(catalog: Catalog) -> np.ndarray:
    """Rows [N] whose line-of-sight velocity lies in the window; all where there is none."""
    window = catalog.spec.coordinates.window if catalog.spec.coordinates else None
    if window is None:
        return np.ones(len(catalog), dtype=bool)
    velocity = catalog.values(LOS_VELOCITY)
    return (velocity >= window[0]) & (velocity <= window[1])


def project(catalog: Catalog, warnings: list[str]) -> Catalog:
    """The catalog as seen along `Coordinates.project`: its box and periodic axes follow the axes of `positions()`.

    "sky": onto the plane that touches the sphere in the median direction of the objects in the velocity window, seen
    from the origin of the coordinates (gnomonic), at their median distance.
    """
    along = catalog.spec.coordinates.project if catalog.spec.coordinates else None
    if along is None or not catalog.roles.position:
        return catalog
    if along == "sky":
        return _onto_the_sky(catalog, warnings)
    if len(catalog.roles.position) == 2:
        if along != "z":
            raise InputError(
                f"The catalog has two axes of positions, so it cannot be seen along {along}; leave it out."
            )
        return catalog
    order = seen_along(catalog.spec)
    assert order is not None
    box = catalog.box
    if box is not None:
        box = np.array([box[order[0]], box[order[1]], 0.0])
    periodic = catalog.periodic_axes
    axes = (periodic[order[0]], periodic[order[1]], False)
    return replace(catalog, box=box if box is not None and box.any() else None, periodic_axes=axes)


def tangent_plane(directions: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Gnomonic projection (Calabretta & Greisen 2002, TAN) of unit vectors [N, 3] onto the plane that touches the unit
    sphere at `centre` [3]: [N, 2] towards increasing longitude and latitude; NaN beyond 90 degrees."""
    east = np.array([-centre[1], centre[0], 0.0])
    length = np.hypot(east[0], east[1])
    east = east / length if length > 1e-12 else np.array([0.0, 1.0, 0.0])  # at a pole, that of longitude 0
    north = np.cross(centre, east)
    depth = directions @ centre
    with np.errstate(all="ignore"):
        plane = np.stack([directions @ east, directions @ north], axis=1) / depth[:, None]
    return np.where(depth[:, None] > 1e-9, plane, np.nan)


def on_plane(
    catalog: Catalog,
    directions: np.ndarray,
    warnings: list[str],
    used: np.ndarray | None = None,
    distance: np.ndarray | None = None,
) -> Catalog:
    """The catalog with positions on the plane that touches the sky in the median of the directions [N, 3].

    used: rows [N] that count for the medians. distance: [N] in `length_unit`, whose median scales the plane; without
    it the plane is in degrees. Raises InputError where the objects lie all around the observer.
    """
    known = np.isfinite(directions).all(axis=1)
    used = known if used is None else known & used
    middle = np.median(directions[used], axis=0) if used.any() else np.zeros(3)
    if not np.linalg.norm(middle) > 0.1:
        raise InputError("The objects lie all around the observer, so no one plane of the sky holds them; cut them.")
    middle /= np.linalg.norm(middle)
    if distance is None:
        scale, measure, at = float(np.rad2deg(1.0)), Measure("deg"), ", in degrees"
    else:
        scale = float(np.median(distance[used]))
        measure = parse_measure(catalog.length_unit)
        at = f", at their median distance of {scale:.6g} {catalog.length_unit}".rstrip()
    plane = tangent_plane(directions, middle) * scale
    longitude, latitude = np.rad2deg([np.arctan2(middle[1], middle[0]), np.arcsin(np.clip(middle[2], -1, 1))])
    names = PLANE[0] if not {*PLANE[0]} & {*catalog.columns} else PLANE[1]
    sentence = (
        f"Positions {', '.join(names)} lie on the plane that touches the sky at ({longitude % 360:.6g}, {latitude:.6g})"
        f" deg, the median direction of the objects{at} (gnomonic projection)."
    )
    warnings.append(sentence)
    behind = int((known & ~np.isfinite(plane[:, 0])).sum())
    if behind:
        warnings.append(f"{behind:,} rows lie more than 90 degrees away from there and have no place on the plane.")
    description = "from the direction on the sky"
    return catalog.with_columns(
        {
            name: (plane[:, k], Column(name, *measure[:2], description, frame=measure.frame))
            for k, name in enumerate(names)
        },
        roles=catalog.roles.model_copy(update={"position": names, "velocity": ()}),
        box=None,
        periodic_axes=(False, False, False),
        provenance=catalog.provenance | {"projection": sentence},
    )


def _onto_the_sky(catalog: Catalog, warnings: list[str]) -> Catalog:
    """A catalog in three dimensions as the observer at the origin of its coordinates sees it."""
    if catalog.length_unit and parse_measure(catalog.length_unit).like("deg"):
        return catalog  # on the plane already, as it has no distances
    if len(catalog.roles.position) != 3:
        raise InputError("A view onto the sky needs three axes of positions, or two columns of sky coordinates.")
    if catalog.box is not None:
        warnings.append("The box is left out, since the catalog is seen on the sky.")
    positions = catalog.positions()
    distance = np.linalg.norm(positions, axis=1)
    with np.errstate(all="ignore"):
        directions = positions / distance[:, None]
    return on_plane(catalog, directions, warnings, in_window(catalog), distance)


def _hubble_flow(catalog: Catalog, choice: Coordinates, peculiar: bool) -> tuple[np.ndarray, np.ndarray, str]:
    """Along the line of sight: places s [N] in `length_unit`, velocities a H s [N] in km/s, and how they were found."""
    axis = AXES.index(choice.depth_axis)
    if len(catalog.roles.position) != 3:
        raise InputError("Redshift space and velocity windows need positions along three axes; choose three columns.")
    if not catalog.length_unit:
        raise InputError("Redshift space and velocity windows need positions with a unit; set it, such as Mpc/h.")
    if not parse_measure(catalog.length_unit).like("Mpc"):
        raise InputError("Redshift space and velocity windows need distances or a column of velocities; choose one.")
    if catalog.redshift is None:
        raise InputError(
            "The redshift of the snapshot is not known, so H(z) is not either; give it (0 for the present day)."
        )
    z = catalog.redshift
    expansion = cosmology.expansion(choice.cosmology, z)
    h = catalog.h if catalog.h is not None else cosmology.little_h(choice.cosmology)
    # a H in km/s for each comoving Mpc/h; h itself is needed only where the positions are in Mpc.
    a_hubble = 100.0 * expansion / (1 + z)
    per_unit = a_hubble / factor(Measure("Mpc", -1, "comoving"), parse_measure(catalog.length_unit), h, z, "")
    name = catalog.roles.position[axis]
    along = catalog.values(name).astype(np.float64) * catalog.length_scale(name)
    how = f"H(z) = 100 h E(z) km/s/Mpc with E({z:g}) = {expansion:.6g} of {choice.cosmology}"
    how += f" and h = {h:.6g}" if parse_measure(catalog.length_unit).h_power == 0 else ""
    if peculiar:
        speed = catalog.roles.velocity[axis]
        velocity = catalog.values(speed).astype(np.float64) * speed_scale(catalog.columns[speed])
        along = along + velocity / per_unit
        how += f", v = '{speed}'"
    else:
        how += ", the Hubble flow alone"
    if catalog.periodic_axes[axis] and catalog.box is not None:
        along = _wrap(along, float(catalog.box[axis]), catalog.values(name) * catalog.length_scale(name))
        how += ", wrapped into the box"
    return along, along * per_unit, how


def _wrap(along: np.ndarray, side: float, before: np.ndarray) -> np.ndarray:
    """Places [N] moved by whole sides into the box that held them, whose lower face is 0 if that fits."""
    finite = before[np.isfinite(before)]
    if not len(finite):
        return along
    low = 0.0 if finite.min() >= 0 and finite.max() <= side * (1 + 1e-6) else float(finite.min())
    inside = np.mod(along - low, side)
    return low + np.where(inside < side, inside, 0.0)
