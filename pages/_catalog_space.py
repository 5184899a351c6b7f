"""Space on the Catalog page: how columns become places, in which cosmology and frame, in what box, seen from where."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from gnnlib.catalog.sky import is_angle
from gnnlib.catalog.table import Catalog, Coordinates
from gnnlib.errors import InputError
from pages import _session
from pages._layout import put, why_not
from pages._sidebar import plain

FOUND = "as found"
DEPTHS = ["redshift", "velocity", "distance", "parallax"]
ANGLES = ["degrees", "hours", "sexagesimal", "radians"]
AXES = ("x", "y", "z")
COSMOLOGIES = ["Planck18", "Planck15", "Planck13", "WMAP9", "WMAP7", "WMAP5", "FlatLambdaCDM(H0=70, Om0=0.3)"]
PROJECTIONS = {"": "3D", "x": "2D along x", "y": "2D along y", "z": "2D along z", "sky": "2D on the sky"}
SPACES = {"as given": "as given", "redshift": "redshift space"}


def space(whole: Catalog) -> None:
    """Places, scale and box; each choice takes effect at once, and what cannot be is said where it was asked for."""
    st.caption(_told(whole))
    _sky(whole)
    scale, seen = st.columns(2, gap="small")
    with scale:
        _scale(whole)
    with seen:
        _seen(whole)


def _told(whole: Catalog) -> str:
    """How the objects got their places, in a sentence."""
    if said := whole.provenance.get("positions"):
        return plain(said)
    if whole.roles.position:
        unit = f" in {whole.length_unit}" if whole.length_unit else ", in a unit that is not stated"
        return f"Positions are the columns {', '.join(map(plain, whole.roles.position))}{unit}."
    return "No columns were recognised as positions: choose right ascension, declination and a depth here, or x, y, z."


def _given() -> Coordinates:
    return _session.catalog_spec().coordinates or Coordinates()


def _choose(place: str, said: object, **changes: object) -> None:
    """Other coordinates; those that say nothing are left out of what is kept."""
    now = Coordinates.model_validate(_given().model_dump() | changes) if _valid(changes) else None
    if now is None:
        _session.choose(place, said, coordinates=_given().model_dump() | changes)
    else:
        _session.choose(place, said, coordinates=None if now == Coordinates() else now.model_dump())


def _valid(changes: dict[str, Any]) -> bool:
    from pydantic import ValidationError

    try:
        Coordinates.model_validate(_given().model_dump() | changes)
    except ValidationError:
        return False
    return True


# The sky


def _sky(whole: Catalog) -> None:
    names = [str(name) for name in whole.table.columns]
    given = _given()
    angles = [name for name in names if is_angle(name, whole.columns[name])]
    on_sky = bool(given.longitude or given.latitude or given.depth or "positions" in whole.provenance)
    if not on_sky and whole.roles.position and not angles:
        return
    with st.expander("Positions from the sky", expanded=on_sky or not whole.roles.position, icon=":material/explore:"):
        first, second, third = st.columns(3)
        with first:
            _column("longitude", "Right ascension", names, given.longitude)
            _kind("angles", "Angles are in", ANGLES, given.angles)
        with second:
            _column("latitude", "Declination", names, given.latitude)
            _kind("depth_kind", "Depth is a", DEPTHS, given.depth_kind)
        with third:
            _column("depth", "Depth", names, given.depth)
            _cosmology(given.cosmology)


def _column(part: str, label: str, names: list[str], value: str | None) -> None:
    place = f"space_{part}"
    refused = _session.refusal(place)
    put(place, (refused.said if refused else value) or FOUND)
    st.selectbox(label, [FOUND, *names], key=place, on_change=_take, args=(part,))
    why_not(place)


def _kind(part: str, label: str, options: list[str], value: str | None) -> None:
    place = f"space_{part}"
    refused = _session.refusal(place)
    put(place, (refused.said if refused else value) or FOUND)
    st.selectbox(label, [FOUND, *options], key=place, on_change=_take, args=(part,))
    why_not(place)


def _take(part: str) -> None:
    said = st.session_state[f"space_{part}"]
    _choose(f"space_{part}", said, **{part: None if said == FOUND else said})


def _cosmology(value: str) -> None:
    refused = _session.refusal("space_cosmology")
    shown = str(refused.said) if refused else value
    put("space_cosmology", shown)
    st.selectbox(
        "Cosmology",
        list(dict.fromkeys([*COSMOLOGIES, shown])),
        key="space_cosmology",
        accept_new_options=True,
        on_change=_take_cosmology,
        help="For distances from redshifts and velocities; one that astropy knows, or your own: type "
        "FlatLambdaCDM(H0=67, Om0=0.32).",
    )
    why_not("space_cosmology")


def _take_cosmology() -> None:
    said = st.session_state.space_cosmology
    _choose("space_cosmology", said, cosmology=said or "Planck18")


# Scale and box


def _scale(whole: Catalog) -> None:
    spec = whole.spec
    unit = f" [{whole.length_unit}]" if whole.length_unit else ""
    with st.container(border=True):
        st.subheader("Scale and box", anchor=False)
        left, right = st.columns(2)
        with left:
            _number(
                "h", "h", whole.h, spec.h, "Hubble parameter in 100 km/s/Mpc; it takes the h out of Mpc/h and Msun/h."
            )
        with right:
            _number(
                "redshift",
                "Snapshot's redshift",
                whole.redshift,
                spec.redshift,
                "Of the simulation's snapshot; it turns proper lengths into comoving ones.",
            )
        refused = _session.refusal("box")
        put("box", refused.said if refused else _sides_text(whole))
        st.text_input(
            f"Box size{unit}",
            key="box",
            placeholder="none; one side, or three",
            help="One side length, or three separated by commas, 0 along an axis without one; empty without a box.",
            on_change=_take_box,
        )
        why_not("box")
        refused = _session.refusal("periodic")
        axes = refused.said if refused else [axis for axis, on in zip(AXES, whole.periodic_axes, strict=True) if on]
        put("periodic", axes)
        st.pills(
            "Periodic along",
            AXES,
            selection_mode="multi",
            key="periodic",
            disabled=whole.box is None,
            on_change=_take_periodic,
            help="Neighbours are found across opposite faces; a slab may be periodic along two axes only."
            if whole.box is not None
            else "Give the size of the box first.",
        )
        why_not("periodic")


def _number(place: str, label: str, value: float | None, said: float | None, meaning: str) -> None:
    refused = _session.refusal(place)
    shown = refused.said if refused else "" if value is None else f"{value:.6g}"
    put(f"space_{place}", shown)
    known = "" if value is None else " (yours)" if said is not None else " (from the file)"
    st.text_input(
        f"{label}{known}",
        key=f"space_{place}",
        placeholder="unknown",
        help=meaning,
        on_change=_take_number,
        args=(place,),
    )
    why_not(place)


def _take_number(place: str) -> None:
    said = st.session_state[f"space_{place}"]
    try:
        value = float(said) if said.strip() else None
    except ValueError:
        _session.refuse(
            place, said, f"'{said}' is not a number; write one such as {'0.6774' if place == 'h' else '0.5'}."
        )
        return
    _session.choose(place, said, **{place: value})


def _sides_text(whole: Catalog) -> str:
    return "" if whole.box is None else ", ".join(f"{side:.6g}" for side in dict.fromkeys(whole.box.tolist()))


def sides(text: str) -> tuple[float, float, float] | None:
    """Box sides from `75` or `75, 75, 100`; None where the text is empty."""
    if not text.strip():
        return None
    try:
        numbers = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not all(np.isfinite(n) and n >= 0 for n in numbers) or not any(numbers):
        raise InputError(f"The box size '{text}' is not one positive number or three; write 75 or 75, 75, 100.")
    return (numbers * 3)[0], (numbers * 3)[1], (numbers * 3)[2]


def _take_box() -> None:
    said = st.session_state.box
    try:
        box = sides(said)
    except InputError as error:
        _session.refuse("box", said, str(error))
        return
    spec = _session.catalog_spec()
    _session.choose("box", said, box=box, periodic=spec.periodic if box else None)


def _take_periodic() -> None:
    said = list(st.session_state.periodic)
    _session.choose("periodic", said, periodic=tuple(axis in said for axis in AXES))


# Seen from where


def _seen(whole: Catalog) -> None:
    given = _given()
    with st.container(border=True):
        st.subheader("View", anchor=False, help="In which space, from which side, and how deep")
        put("space_space", given.space)
        st.segmented_control(
            "Positions are",
            list(SPACES),
            format_func=SPACES.__getitem__,
            key="space_space",
            required=True,
            disabled=not whole.roles.velocity and given.space == "as given",
            on_change=_take_plain,
            args=("space",),
            help="Redshift space moves every object along the line of sight by its velocity / H(z)."
            if whole.roles.velocity
            else "Redshift space needs the velocities; choose their columns first.",
        )
        why_not("space_space")
        put("space_line_of_sight", given.depth_axis)
        st.segmented_control(
            "Line of sight",
            AXES,
            key="space_line_of_sight",
            required=True,
            on_change=_take_plain,
            args=("line_of_sight",),
            help="Along which the observer of a simulation looks",
        )
        why_not("space_line_of_sight")
        put("space_project", given.project or "")
        st.selectbox(
            "Dimensions",
            list(PROJECTIONS),
            format_func=PROJECTIONS.__getitem__,
            key="space_project",
            on_change=_take_plain,
            args=("project",),
            help="2D puts all objects onto the plane across the line of sight.",
        )
        why_not("space_project")
        refused = _session.refusal("space_window")
        put(
            "space_window",
            refused.said if refused else "" if given.window is None else "{:g}, {:g}".format(*given.window),
        )
        st.text_input(
            "Velocity window [km/s]",
            key="space_window",
            placeholder="all; for example -500, 500",
            on_change=_take_window,
            help="Keep only objects whose line-of-sight velocity lies between these two numbers.",
        )
        why_not("space_window")


def _take_plain(part: str) -> None:
    said = st.session_state[f"space_{part}"]
    _choose(f"space_{part}", said, **{part: said or None})


def _take_window() -> None:
    said = st.session_state.space_window
    try:
        numbers = [float(part) for part in said.replace(",", " ").split()]
    except ValueError:
        numbers = [0.0]
    if len(numbers) not in (0, 2):
        _session.refuse("space_window", said, f"'{said}' is not two numbers in km/s; write them as -500, 500.")
        return
    _choose("space_window", said, window=tuple(numbers) or None)
