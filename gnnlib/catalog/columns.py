"""What columns mean: units with their power of h, and the roles that names suggest.

Names are those of the field's public catalogs (TNG, Rockstar, SDSS, Gaia, VizieR, ...); units are astropy's, with the
Hubble parameter h kept apart because "Mpc/h" cannot be converted before h is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import astropy.units as u
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from gnnlib.catalog.table import Column
from gnnlib.errors import InputError

_WORDS = {
    "degrees": "deg",
    "degree": "deg",
    "sec": "s",
    "Lsun": "solLum",
    "Msol": "Msun",
    "M_sun": "Msun",
    "M☉": "Msun",
}
_WORDS |= {"mags": "mag", "years": "yr", "hours": "hourangle", "hour": "hourangle", "arcseconds": "arcsec"}
_NO_UNIT = {"", "-", "--", "---", "none", "unitless", "dimensionless", "n/a", "1"}
# "/h", "h-1", "h^-1", "h**(-1)", "h" as a word of its own
_LITTLE_H = re.compile(
    r"(?P<slash>/\s*)?(?<![A-Za-z_])(?:h|littleh)(?:\s*(?:\^|\*\*)?\s*[({]?(?P<power>-?\d)[)}]?)?(?![A-Za-z_\d])"
)
_SUFFIX_UNITS = {"mpc": "Mpc", "kpc": "kpc", "pc": "pc", "kms": "km/s", "msun": "Msun", "deg": "deg", "mas": "mas"}


@lru_cache(maxsize=4096)
def parse_unit(text: str) -> tuple[str, int]:
    """Split a unit as people write it into (astropy unit string, power of h): "ckpc/h" -> ("kpc", -1).

    Understands the comoving prefix (ckpc, cMpc), powers of ten ("1e10 Msun/h", "10^10 M_sun h^-1") and logarithms
    ("log10(Msun)" -> "dex(Msun)"). Raises InputError for a unit that astropy does not know.
    """
    unit = text.strip().strip("[]").strip()
    if unit.lower() in _NO_UNIT:
        return "", 0
    unit = re.sub(r"\bc([kMG]?pc)\b", r"\1", unit)
    unit = re.sub(r"\b10\s*(?:\^|\*\*)\s*(-?\d+)", r"1e\1", unit)
    unit = re.sub(r"[^\W\d]+[_☉]\w*|[^\W\d]+☉?", lambda word: _WORDS.get(word[0], word[0]), unit)
    unit = re.sub(r"^(?:log|log10|lg|dex)\s*[\[(](.*)[\])]$", r"dex(\1)", unit)
    power = 0

    def note_h(found: re.Match[str]) -> str:
        nonlocal power
        power += (-1 if found["slash"] else 1) * int(found["power"] or 1)
        return " "

    if unit != "h":  # alone it is the hour
        unit = _LITTLE_H.sub(note_h, unit)
    unit = re.sub(r"\s+", " ", unit).strip(" .*")
    unit = unit[1:-1] if re.fullmatch(r"\([^()]*\)", unit) else unit
    try:
        if unit and not unit.startswith("dex("):
            u.Unit(unit)
        elif unit:
            u.Unit(unit[4:-1] or "1")
    except (ValueError, TypeError) as error:
        raise InputError(f"The unit '{text[:40]}' is not understood; use one such as 'Mpc/h' or 'Msun'.") from error
    return unit, power


def split_name(name: str) -> tuple[str, str]:
    """Split "x [Mpc/h]" or "mass (Msun)" into the name and its unit; other names come back whole with ""."""
    found = re.fullmatch(r"(?P<name>.*?[^\s_])[\s_]*(?:\[(?P<square>[^\[\]]+)\]|\((?P<round>[^()]+)\))", name)
    if found:
        inside = found["square"] or found["round"]
        function = found["round"] and re.fullmatch(r"(?i)(log|log10|ln|exp|sqrt|f|p)", found["name"])
        if not inside.strip().isdigit() and not function:
            try:
                parse_unit(inside)
                return found["name"], inside
            except InputError:
                pass
        return name, ""
    suffix = re.fullmatch(r".+_(mpc|kpc|pc|kms|msun|deg|mas)", name, re.IGNORECASE)
    return name, _SUFFIX_UNITS[suffix[1].lower()] if suffix else ""


def is_length(column: Column) -> bool:
    return bool(column.unit) and not column.unit.startswith("dex(") and u.Unit(column.unit).is_equivalent(u.Mpc)


def length_unit_of(position: Iterable[Column], h: float | None) -> str:
    """The unit in which positions are given: "Mpc", "pc" for stellar distances, "Mpc/h" without h, "" if unknown.

    Raises InputError where the columns cannot be brought to one unit.
    """
    columns = list(position)
    known = [is_length(column) for column in columns]
    if not columns or not any(known):
        return ""
    if not all(known):
        odd = columns[known.index(False)]
        what = odd.unit_label or "no unit"
        raise InputError(f"Position column '{odd.name}' has {what} but another is a length; set its unit.")
    if all(u.Unit(column.unit) <= 1.1 * u.pc for column in columns):
        return "pc"
    if h is not None or all(column.h_power == 0 for column in columns):
        return "Mpc"
    if all(column.h_power == -1 for column in columns):
        return "Mpc/h"
    raise InputError("The position columns carry different powers of h; give h to bring them to one unit.")


def length_factor(column: Column, length_unit: str, h: float | None) -> float:
    """Factor from the stored values of a length column to `length_unit` ("Mpc", "pc", "Mpc/h"; "" = 1)."""
    if not length_unit or not is_length(column):
        return 1.0
    target, target_power = parse_unit(length_unit)
    factor = float(u.Unit(column.unit).to(u.Unit(target)))
    power = column.h_power - target_power
    if power and h is None:
        raise InputError(f"Column '{column.name}' is in {column.unit_label}; give h to turn it into {length_unit}.")
    return factor * (h**power if power and h is not None else 1.0)


def display_factor(column: Column, h: float | None) -> tuple[float, str]:
    """Factor and unit label for showing a column: powers of ten multiplied out, h removed where it is known."""
    if not column.unit or column.unit.startswith("dex("):
        return 1.0, column.unit_label
    unit = u.Unit(column.unit)
    bare = re.sub(r"^[\d.]+(?:[eE][+-]?\d+)?\s*", "", column.unit) or column.unit
    scale = float(unit.to(u.Unit(bare)))
    if column.h_power and h is not None:
        return scale * h**column.h_power, bare
    return scale, f"{bare}{column.unit_label[len(column.unit) :]}"


# --- roles ---------------------------------------------------------------------------------------------------------

_POSITION = re.compile(
    r"(|.*pos|.*positions?|.*coords?|.*coordinates?|halo|gal|galaxy|sub|subhalo|group|comoving|obs|real|sg)"
)
_VELOCITY = re.compile(r"(v|.*vel|.*velocity|.*velocities|.*_v|.*pec_?v)")
_TARGET = (
    r"subhalomasstype_stars",
    r"(gal(axy)?_|sub(halo)?_)?(log_?(10_?)?)?(m_?stars?|(stellar|star)_?mass|mass_?(stellar|stars?)|mstellar)(_?msun)?",
)
_MASS = (
    r"subhalomasstype_dm",
    r"(sub)?halo_?mass|(log_?(10_?)?)?m_?halo|halo_?m(vir|200.*)",
    r"(log_?(10_?)?)?m_?(vir|200|500|200[bcm]|tidal)",
    r"group_m(_crit)?_?200|group_?mass|(log_?(10_?)?)?mass",
)
_GROUP = (r"subhalogrnr", r"(fof_?)?group(_?id|_?nr)?", r"fof_group", r"grp|group", r"host_?(halo_?)?id|halo_?id|host")
_ROW_ID = (
    r"(galaxy|subhalo|object|obj|source|star|sub|cat(a)?|gal)_?id",
    r"id",
    r"halo_?id",
    r"key|name|econame|.*name",
)
_CENTRAL = (r"is_?central|central|cent(ral)?_?flag|is_?cen",)
RIGHT_ASCENSION = r"_?ra|.*_ra|_?ra_?j?2000|ra_?deg|r\.a\.|alpha(_?j2000)?|right_?ascension"
DECLINATION = r"_?dec|.*_dec|_?dec?_?j?2000|dec?_?deg|dec\.|delta(_?j2000)?|declination"
_NOT_FEATURE = re.compile(
    # identifiers, flags and references; errors; places on the sky and distances
    r".*id(s|_?mostbound)?|recno|_.*|.*(flag|index|grnr|parent)|ref_.*|healpix.*|phantom"
    r"|e_.*|.*_?err(or)?|.*_(em|ep|sig|std|unc|corr)"
    rf"|{RIGHT_ASCENSION}|{DECLINATION}|l|b|ll|bb|glon|glat|.*dist(ance)?"
)


def numeric_names(table: pd.DataFrame) -> list[str]:
    """Names of the columns that hold numbers (true/false columns not counted)."""
    return [str(name) for name, kind in table.dtypes.items() if is_numeric_dtype(kind) and not is_bool_dtype(kind)]


def triples(names: Iterable[str]) -> list[tuple[str, str, tuple[str, str, str]]]:
    """Every set of three names that differ only in their axis (x y z, X Y Z, xx yy zz, 0 1 2, 1 2 3), with its prefix.

    An axis letter counts where it is not inside a word: `x`, `vx`, `halo_x`, `PosX`, `sg_xx`, `x_err`, not `max_i`.
    """
    names = list(names)
    known = set(names)
    found = []
    for name in names:
        for match in re.finditer(r"xx|XX|x|X|(?<=[_a-z])0|(?<=[_a-z])1", name):
            prefix, suffix = name[: match.start()], name[match.end() :]
            if suffix[:1].isalnum():
                continue
            axis = match[0]
            others = (chr(ord(axis[0]) + 1) * len(axis), chr(ord(axis[0]) + 2) * len(axis))
            triple = (name, prefix + others[0] + suffix, prefix + others[1] + suffix)
            if known.issuperset(triple):
                found.append((prefix.lower().strip("_. "), suffix.lower(), triple))
    return found


def infer_roles(table: pd.DataFrame) -> dict[str, object]:
    """Roles that the names of the columns suggest; only those found. Sky coordinates are left to `sky`."""
    numeric = numeric_names(table)
    roles: dict[str, object] = {}
    vectors = triples(numeric)
    plain = [vector for vector in vectors if not re.search(r"err|sig|std|unc|_e$", vector[1])]
    for role, pattern in (("position", _POSITION), ("velocity", _VELOCITY)):
        fitting = [vector for vector in plain if pattern.fullmatch(vector[0])]
        if role == "position":
            fitting = [v for v in fitting if v[0] or v[2][0][:1] not in "01"]
        if fitting:
            # The objects' own positions before those of their hosts; then the plainest name.
            fitting.sort(
                key=lambda v: (v[0] not in ("subhalopos", "pos", "", "v"), "group" in v[0] or "host" in v[0], len(v[1]))
            )
            roles[role] = fitting[0][2]
    anything = list(map(str, table.columns))
    if "position" not in roles and not any(re.fullmatch(RIGHT_ASCENSION, name.lower()) for name in anything):
        flat = [pair for pair in (("x", "y"), ("X", "Y"), ("pos_x", "pos_y")) if set(pair) <= set(numeric)]
        if flat:
            roles["position"] = flat[0]
    for role, patterns, names in (
        ("target", _TARGET, numeric),
        ("mass", _MASS, numeric),
        ("group", _GROUP, anything),
        ("central", _CENTRAL, anything),
        ("row_id", _ROW_ID, anything),
    ):
        for name in _matching(patterns, names):
            if role == "row_id" and not _can_identify(table[name]):
                continue
            if role == "group" and (table[name].nunique() < 2 or table[name].is_unique):
                continue
            roles[role] = name
            break
    taken = {name for _, _, triple in vectors for name in triple}
    for value in roles.values():
        taken.update(value if isinstance(value, tuple) else (str(value),))
    taken.discard(str(roles.get("mass")))
    roles["features"] = tuple(
        name
        for name in numeric
        if name not in taken
        and not _NOT_FEATURE.fullmatch(name.lower())
        and table[name].notna().mean() > 0.5
        and table[name].min() < table[name].max()
    )
    return roles


def _matching(patterns: tuple[str, ...], names: list[str]) -> list[str]:
    return [name for pattern in patterns for name in names if re.fullmatch(pattern, name.lower())]


def _can_identify(values: pd.Series) -> bool:
    return bool(values.notna().all()) and (not is_numeric_dtype(values) or values.dtype.kind in "iu")
