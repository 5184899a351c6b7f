"""What the comment lines of Rockstar's `out_*.list` and of consistent-trees' `hlist_*.list` say: box, h, scale factor,
units. Formats: Behroozi et al. 2013 (ApJ 762, 109; ApJ 763, 18) and the headers of the files themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_KINDS = (  # of columns, by name; the first that fits
    ("position", r"[xyz]"),
    ("momentum", r"j[xyz]"),
    ("velocity", r"v[xyz]|v_?(max|rms|off|peak|acc).*|first_acc_vmax"),
    ("rate", r"acc_rate.*"),
    ("mass", r"(sam_)?m_?vir.*|m\d+[bc]|m_pe_.*|m_?(peak|acc)|first_acc_mvir"),
    ("radius", r"r_?vir|rs(_klypin)?|xoff|halfmass_radius|a\[[xyz]\]"),
)
# Words of Rockstar's "#Units: Masses in Msun / h" -> kind
_UNIT_LINES = (
    ("mass", "mass"),
    ("position", "position"),
    ("velocity", "velocit"),
    ("radius", "radii"),
    ("momentum", "angular moment"),
)
_SPEAKS_FOR = {"mvir": "mass", "x": "position", "vmax": "velocity", "rvir": "radius", "jx": "momentum"}
_SPEAKS_FOR |= {"acc_rate_*": "rate"}


@dataclass(frozen=True)
class Facts:
    """box: side length in Mpc/h. units: column -> unit as people write it; inferred: those concluded from other columns
    of their kind. descriptions: column -> what the header says of it."""

    program: str
    box: float | None
    h: float | None
    redshift: float | None
    units: dict[str, str]
    inferred: frozenset[str]
    descriptions: dict[str, str]


def facts(comments: Sequence[str], names: Sequence[str], scale: float | None = None) -> Facts | None:
    """What the comments of a halo list say, or None where they are not those of Rockstar or consistent-trees.

    names: of the columns. scale: the scale factor of the rows where a column gives it (hlist's first).
    """
    text = "\n".join(comments)
    trees = "Consistent Trees" in text or bool(re.match(r"#\s*scale\(0\)\s+id\(1\)", text))
    if not trees and "Rockstar" not in text:
        return None
    said = {"position": "", "momentum": "", "velocity": "", "mass": "", "radius": "", "rate": ""}
    for line in re.findall(r"(?m)^#Units:\s*(.+)$", text):
        what, _, unit = line.partition(" in ")
        for kind, word in _UNIT_LINES:
            if word in what.lower():
                said[kind] = _unit(unit)
    described, own = _described(comments)
    for name, kind in _SPEAKS_FOR.items():
        said[kind] = said[kind] or own.get(name, "")
    units, descriptions, inferred = {}, {}, set()
    for name in names:
        plain = re.sub(r"\(500c\)$", "", name).lower()
        descriptions[name] = described.get(plain, "")
        kind = next((kind for kind, pattern in _KINDS if re.fullmatch(pattern, plain)), "")
        unit = own.get(plain) or said.get(kind, "")
        if unit:
            units[name] = unit
            if trees and plain not in own:
                inferred.add(name)
    a = _number(r"(?m)^#\s*a\s*=\s*", text) or scale
    return Facts(
        program="consistent-trees halo list" if trees else "Rockstar halo list",
        box=_number(r"(?i)box size\s*[=:]\s*", text),
        h=_number(r"\bh0?\s*=\s*", text),
        redshift=1 / a - 1 if a and 0 < a <= 1.5 else None,
        units=units,
        inferred=frozenset(inferred),
        descriptions=descriptions,
    )


def is_tree(text: str) -> bool:
    """Whether lines are of a consistent-trees merger tree, which lists halos of many moments under `#tree` lines."""
    return bool(re.search(r"(?m)^#tree\s+\d+", text))


def _described(comments: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Descriptions and units of columns (names in lower case) from lines such as `#X/Y/Z: Halo position (Mpc/h)`."""
    described, units = {}, {}
    for line in comments:
        found = re.fullmatch(r"#([^\s:=][^:=]{0,60}):\s*(.+)", line.strip())
        if not found:
            continue
        stated = re.search(r"\((.*\b(?:Msun|[kM]?pc|km)\b.*)\)", found[2])
        inside = re.search(r" in (Msun/h/yr)\b", found[2])
        unit = _unit(stated[1]) if stated else inside[1] if inside else ""
        names = found[1].replace("\\", "").split(",") if "[" in found[1] or "," in found[1] else found[1].split("/")
        for name in names:
            described[name.strip().lower()] = found[2][:200]
            if unit:
                units[name.strip().lower()] = unit
    return described, units


def _unit(text: str) -> str:
    """`kpc / h (comoving)` -> `ckpc/h`; `(Msun/h) * (Mpc/h) * km/s (physical)` -> `Msun/h Mpc/h km/s`."""
    comoving = "comoving" in text
    text = re.sub(r"\(?\b(comoving|physical|peculiar)\b,?\s*(peculiar)?\)?", "", text)
    if "*" in text:
        return " ".join(part.strip(" ()") for part in text.split("*"))
    text = re.sub(r"\s*/\s*", "/", text).strip(" ().")
    return re.sub(r"^([kM]?pc)\b", r"c\1", text) if comoving else text


def _number(before: str, text: str) -> float | None:
    found = re.search(before + r"([-+]?\d[\d.]*(?:[eE][-+]?\d+)?)", text)
    try:
        return float(found[1]) if found else None
    except ValueError:
        return None
