"""The roles that names suggest, as the field's public catalogs use them (TNG, Rockstar, SDSS, Gaia, VizieR, ...)."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

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
RIGHT_ASCENSION = r"_?ra|.*_ra|_?ra_?j?2000|ra_?deg|r\.a\.|alpha(_?j2000)?|α|right_?ascension"
DECLINATION = r"_?dec|.*_dec|_?dec?_?j?2000|dec?_?deg|dec\.|delta(_?j2000)?|δ|declination"
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
            if suffix[:1].isalnum() and suffix != "c":  # AHF's centres are Xc, Yc, Zc
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
