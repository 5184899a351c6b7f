"""The columns of the Catalog page: names, units and the parts that columns play, each to be corrected here."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st

from gnnlib.catalog.expressions import renamed
from gnnlib.catalog.summary import Summary
from gnnlib.catalog.table import Catalog
from pages import _session
from pages._layout import key_for, put, why_not

NONE = "none"
SHOWN = 12  # lines of the table of columns before it scrolls
ROLE_NAMES = {
    "position": "position",
    "velocity": "velocity",
    "mass": "mass",
    "target": "target",
    "features": "feature",
    "group": "group id",
    "central": "central flag",
    "row_id": "row id",
}


def columns(whole: Catalog, summary: Summary) -> None:
    """Every column with its unit, its range and what is missing; then the roles."""
    _table(whole, summary)
    _roles(whole)


def _table(whole: Catalog, summary: Summary) -> None:
    spec, headless = whole.spec, can_be_named(whole)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        find = st.text_input(
            "Find columns",
            key="columns_find",
            persist_state="session",
            type="search",
            live=True,
            icon=":material/search:",
            placeholder=f"among {len(summary.columns)}: name, unit, role or description",
        )
        st.caption("Double-click a unit to correct it" + (", or a name." if headless else "."))
    rows = [_line(whole, column) for column in summary.columns]
    rows = [row for row in rows if find.strip().lower() in " ".join(map(str, row.values())).lower()]
    if not rows:
        st.info("No column is like that.", icon=":material/search_off:")
        return
    table = pd.DataFrame(rows)
    key = key_for("columns", spec.path, spec.table, spec.names, spec.units, tuple(whole.columns), find)
    text = st.column_config.TextColumn
    st.data_editor(
        table,
        key=key,
        hide_index=True,
        height=35 * min(len(table) + 1, SHOWN) + 3,
        disabled=[name for name in table.columns if name != "unit" and not (headless and name == "column")],
        column_config={
            "column": text("Column", pinned=True),
            "unit": text("Unit", help="Such as Mpc/h, ckpc/h, pkpc, 1e10 Msun/h, km/s, deg, dex(Msun)"),
            "known": text("Unit is"),
            "role": text("Role"),
            "type": text("Type"),
            "low": text("Min", alignment="right"),
            "high": text("Max", alignment="right"),
            "missing": st.column_config.NumberColumn("Missing"),
            "description": text("Description", width="medium"),
        },
        on_change=_correct,
        args=(key, [str(name) for name in table["column"]]),
    )
    why_not("columns")
    if headless:
        _names(whole)


def can_be_named(whole: Catalog) -> bool:
    """Whether the file leaves it to the person what its columns are called."""
    return bool(whole.spec.names) or not _session.raw(whole.spec).header


def _line(whole: Catalog, summary: Any) -> dict[str, Any]:
    column = whole.columns[summary.name]
    known = "" if not column.unit else "inferred" if column.inferred else "stated"
    if summary.name in whole.spec.units:
        known = "yours"
    return {
        "column": column.name,
        "unit": column.measure.label,
        "known": known,
        "role": ", ".join(roles_of(whole, column.name)),
        "type": summary.dtype,
        "low": short(summary.min),
        "high": short(summary.max),
        "missing": summary.missing,
        "description": column.description,
    }


def roles_of(whole: Catalog, name: str) -> list[str]:
    """The parts that a column plays, in words."""
    found = []
    for role, word in ROLE_NAMES.items():
        named = getattr(whole.roles, role)
        if name == named or (isinstance(named, tuple) and name in named):
            found.append(word)
    return found


def short(number: float | None) -> str:
    return "" if number is None or math.isnan(number) else f"{number:.5g}"


def _correct(key: str, shown: list[str]) -> None:
    """Take over the units and names that were typed into the table."""
    edits: dict[int, dict[str, str | None]] = st.session_state[key]["edited_rows"]
    units = {shown[row]: cells["unit"] or "" for row, cells in edits.items() if "unit" in cells}
    names = {shown[row]: (cells["column"] or "").strip() for row, cells in edits.items() if "column" in cells}
    choices: dict[str, Any] = {"units": _session.catalog_spec().units | units | _alike(units)}
    if names:
        choices |= _renamed(names, choices["units"])
    _session.choose("columns", None, **choices)


def _alike(units: dict[str, str]) -> dict[str, str]:
    """The unit given to one axis of the positions goes for those without any, which could not be used beside it."""
    whole = _session.whole()
    axes = whole.roles.position
    given = {units[name] for name in axes if units.get(name)}
    bare = [name for name in axes if name not in units and not whole.columns[name].unit]
    if len(given) != 1 or not bare or any(whole.columns[name].unit for name in axes if name not in units):
        return {}
    (unit,) = given
    st.toast(f"{', '.join(axes)} are all in {unit} now.", icon=":material/straighten:")
    return dict.fromkeys(bare, unit)


def _names(whole: Catalog) -> None:
    refused = _session.refusal("names")
    put("names", refused.said if refused else ", ".join(_own(whole)))
    st.text_input(
        "Names of all columns, in order",
        key="names",
        on_change=_take_names,
        help="The file names no columns. Separate the names by commas; such as x, vx, ra or mass are recognised.",
    )
    why_not("names")


def _own(whole: Catalog) -> list[str]:
    """The names of the file's own columns, not of those that were derived."""
    return list(map(str, whole.table.columns[: _session.raw(whole.spec).table.shape[1]]))


def _take_names() -> None:
    text = st.session_state.names
    names = [part.strip() for part in text.split(",")]
    own = _own(_session.whole())
    if len(names) != len(own):
        _session.refuse("names", text, f"There are {len(names)} names for {len(own)} columns; name every column once.")
        return
    new = {old: name for old, name in zip(own, names, strict=True) if old != name}
    _session.choose("names", text, **_renamed(new, _session.catalog_spec().units))


def _renamed(new: dict[str, str], units: dict[str, str]) -> dict[str, Any]:
    """The choices after columns are renamed: what was said about a column stays with it."""
    spec, own = _session.catalog_spec(), _own(_session.whole())
    roles = spec.roles.model_dump() if spec.roles else {}
    for role, named in roles.items():
        roles[role] = (
            tuple(new.get(name, name) for name in named) if isinstance(named, tuple) else new.get(named, named)
        )
    choices: dict[str, Any] = {
        "names": [new.get(name, name) for name in own],
        "units": {new.get(name, name): unit for name, unit in units.items()},
        "missing": {new.get(name, name): rule.model_dump() for name, rule in spec.missing.items()},
    }
    known = _session.whole().columns
    choices["derived"] = {name: renamed(text, new, known) for name, text in spec.derived.items()}
    choices["subsets"] = {name: renamed(text, new, known) for name, text in spec.subsets.items()}
    choices["where"] = renamed(spec.where, new, known) if spec.where else None
    if roles:
        choices["roles"] = roles
    if spec.coordinates:
        sky = spec.coordinates.model_dump()
        choices["coordinates"] = sky | {
            part: new.get(sky[part], sky[part]) for part in ("longitude", "latitude", "depth") if sky[part]
        }
    return choices


# The parts that columns play


def _roles(whole: Catalog) -> None:
    names, roles = [str(name) for name in whole.table.columns], whole.roles
    with st.container(border=True):
        st.subheader("Roles", anchor=False, help="Which column plays which part; proposals come from names and units.")
        vectors, numbers, flags = st.columns(3)
        with vectors:
            _several("position", "Position", names, roles.position, 3)
            _several("velocity", "Velocity", names, roles.velocity, 3)
        with numbers:
            _one("mass", "Mass", names, roles.mass)
            _one("target", "Target", names, roles.target)
        with flags:
            _one("group", "Group id", names, roles.group)
            _one("central", "Central flag", names, roles.central)
        features, row_id = st.columns([2, 1])
        with features:
            _several("features", "Features", names, roles.features, None)
        with row_id:
            _one("row_id", "Row id", names, roles.row_id)


def _several(role: str, label: str, names: list[str], found: tuple[str, ...], most: int | None) -> None:
    refused = _session.refusal(f"role_{role}")
    said: Any = refused.said if refused else found
    put(f"role_{role}", [name for name in said if name in names])
    st.multiselect(label, names, key=f"role_{role}", max_selections=most, on_change=_take_role, args=(role,), wrap=True)
    why_not(f"role_{role}")


def _one(role: str, label: str, names: list[str], found: str | None) -> None:
    refused = _session.refusal(f"role_{role}")
    put(f"role_{role}", (refused.said if refused else found) or NONE)
    st.selectbox(label, [NONE, *names], key=f"role_{role}", on_change=_take_role, args=(role,))
    why_not(f"role_{role}")


def _take_role(role: str) -> None:
    said = st.session_state[f"role_{role}"]
    spec = _session.catalog_spec()
    before = spec.roles.model_dump() if spec.roles else {}
    value = None if said == NONE else tuple(said) if isinstance(said, list) else said
    if role == "position" and len(value or ()) == 1:
        _session.refuse("role_position", said, "A position needs two or three columns; choose one or two more.")
        return
    _session.choose(f"role_{role}", said, roles=before | {role: value})
