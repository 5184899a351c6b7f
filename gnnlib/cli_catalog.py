"""What the command line says about a catalog: its options, and the `CatalogSpec` they make."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gnnlib.catalog.table import CatalogSpec, Coordinates, Missing, Roles
from gnnlib.errors import InputError

S = TypeVar("S", bound=BaseModel)
_AXES = re.compile(r"[xyz](,[xyz]){0,2}")


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add the path of a catalog and every choice about it."""
    add = parser.add_argument
    add("path", metavar="PATH", help='a catalog, a folder of chunks or of catalogs, or "sample" for the bundled one')
    add("--where", metavar="EXPR", help="a cut, e.g. 'mvir > 1e11'; may name subsets")
    add("--table", metavar="NAME", help="which table of a file that holds several")
    add("--names", metavar="A,B,...", help="the names of all columns, in order; units in brackets, 'x [Mpc/h]'")
    add(
        "--unit",
        metavar="COL=UNIT",
        action="append",
        default=[],
        help="e.g. x=ckpc/h, mass='1e10 Msun/h', ra=hourangle",
    )
    add("--h", type=float, help="the Hubble parameter that lengths and masses per h are divided by")
    add("--redshift", type=float, help="of the snapshot; for proper lengths, redshift space and velocity windows")
    add("--lengths", metavar="UNIT", help="unit of all lengths: Mpc, Mpc/h, kpc, kpc/h, pc, pMpc (proper), ...")
    add("--masses", metavar="UNIT", help="how masses are shown: Msun, Msun/h, dex(Msun) or dex(Msun/h)")
    add("--position", metavar="A,B,C", help="columns: two or three axes, or longitude, latitude and a depth")
    add("--cosmology", metavar="NAME", help="for redshifts: Planck18 (default), ... or 'FlatLambdaCDM(H0=70, Om0=0.3)'")
    add("--space", choices=("redshift",), help="move simulated objects by their velocity along the line of sight")
    add("--line-of-sight", choices=("x", "y", "z"), help="default: the axis of --project, else z")
    add("--project", choices=("x", "y", "z", "sky"), help="look along this axis, in 2D")
    add("--window", metavar="LOW,HIGH", help="keep rows of these line-of-sight velocities, km/s")
    add("--box", metavar="L", help="side of the box, or Lx,Ly,Lz with 0 along an open axis; implies --periodic")
    add("--periodic", nargs="?", const="x,y,z", metavar="x,y", help="the sides of the box join, along these axes")
    add("--no-periodic", action="store_true", help="the sides of the box do not join")
    add(
        "--missing", metavar="COL=VALUE,...:RULE", action="append", default=[], help="VALUEs mean missing: mask or drop"
    )
    add("--derive", metavar="NAME=EXPR", action="append", default=[], help="a new column, e.g. 'logm=log10(mass)'")
    add("--subset", metavar="NAME=EXPR", action="append", default=[], help="a named cut, to be used in --where")


def join_values(arguments: Iterable[str]) -> list[str]:
    """Arguments as argparse needs them: `--window -500,500` has a value that looks like an option, and `--periodic` may
    stand alone before the path."""
    joined: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--window" and rest:
            argument = f"{argument}={rest.pop(0)}"
        elif argument == "--periodic":
            argument += "=" + (rest.pop(0) if rest and _AXES.fullmatch(rest[0]) else "x,y,z")
        joined.append(argument)
    return joined


def catalog_spec(options: argparse.Namespace) -> CatalogSpec:
    """The spec that the options make. Raises InputError for those that cannot be read."""
    box = _box(options.box)
    if options.periodic is not None and options.no_periodic:
        raise InputError("--periodic and --no-periodic contradict each other; give one of them.")
    periodic: bool | tuple[bool, ...] | None = False if options.no_periodic else True if box is not None else None
    if options.periodic is not None:
        if not _AXES.fullmatch(options.periodic):
            raise InputError(
                f"--periodic '{options.periodic[:40]}' names no axes; write x,y or leave them out for all."
            )
        axes = options.periodic.split(",")
        periodic = True if len(set(axes)) == 3 else tuple(axis in axes for axis in "xyz")
    places = {
        "cosmology": options.cosmology,
        "space": options.space,
        "line_of_sight": options.line_of_sight,
        "project": options.project,
        "window": _numbers("--window", options.window, 2) if options.window is not None else None,
    }
    places = {name: value for name, value in places.items() if value is not None}
    given: dict[str, Any] = {
        "where": options.where,
        "table": options.table,
        "names": _list(options.names),
        "units": {name: text for name, text in _pairs("--unit", options.unit, last=True)} or None,
        "h": options.h,
        "redshift": options.redshift,
        "lengths": options.lengths,
        "masses": options.masses,
        "roles": build(Roles, position=_list(options.position)) if options.position is not None else None,
        "coordinates": build(Coordinates, **places) if places else None,
        "box": box,
        "periodic": periodic,
        "missing": {name: _missing(text) for name, text in _pairs("--missing", options.missing)} or None,
        "derived": dict(_pairs("--derive", options.derive)) or None,
        "subsets": dict(_pairs("--subset", options.subset)) or None,
    }
    return build(CatalogSpec, path=options.path, **{name: value for name, value in given.items() if value is not None})


def build(kind: Callable[..., S], **fields: Any) -> S:
    """A spec, its validation error as one sentence."""
    try:
        return kind(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # what is wrong is no single field
            raise InputError(f"This cannot be trained: {first['msg'].removeprefix('Value error, ')}.") from error
        name = "--" + re.sub("_", "-", str(first["loc"][0]))
        raise InputError(f"{name} is {first['input']!r}: {first['msg'].lower()}.") from error


def _box(text: str | None) -> tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        sides = [float(side) for side in text.split(",")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 3) or not all(0 <= side < float("inf") for side in sides) or not any(sides):
        raise InputError(
            f"--box '{text[:40]}' is not a side or three sides separated by commas; write e.g. 75, or 75,75,0."
        )
    return (sides[0], sides[0], sides[0]) if len(sides) == 1 else (sides[0], sides[1], sides[2])


def _numbers(option: str, text: str, count: int) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise InputError(f"{option} '{text[:40]}' needs {count} numbers separated by a comma.")
    return numbers


def _list(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(","))


def _pairs(option: str, texts: Sequence[str], last: bool = False) -> list[tuple[str, str]]:
    """NAME=VALUE, split at the first equals sign or at the last."""
    pairs = []
    for text in texts:
        name, equals, value = text.rpartition("=") if last else text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"{option} '{text[:40]}' has no form NAME=VALUE; write e.g. {option} a=b.")
        pairs.append((name.strip(), value.strip()))
    return pairs


def _missing(text: str) -> Missing:
    values, colon, rule = text.rpartition(":")
    values, rule = (values, rule.strip()) if colon else (text, "mask")
    if rule not in ("keep", "mask", "drop"):
        raise InputError(f"--missing has the rule '{rule[:40]}'; write COL=VALUE:mask, :drop or :keep.")
    return build(Missing, values=tuple(_value(part.strip()) for part in values.split(",")), rule=rule)


def _value(text: str) -> float | str:
    """A number, or text; inf and nan stay text, as JSON has no word for them."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if abs(number) < float("inf") else text
