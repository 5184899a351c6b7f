"""The sidebar: what is in view, in four compact cards, and the way to another run."""

from __future__ import annotations

import re
from typing import Literal

import streamlit as st

from gnnlib.catalog.table import Catalog, CatalogSpec
from gnnlib.errors import InputError
from gnnlib.graph.graph import GraphSpec
from gnnlib.training.run import Run, list_runs
from pages import _session

# Units of the display switch, with how they are called; "" leaves them as they are found.
LENGTHS = {"": "as found"}
LENGTHS |= {unit: unit for unit in ("Mpc", "Mpc/h", "kpc", "kpc/h", "pc", "pMpc", "pkpc")}
MASSES = {
    "": "as in the file",
    "Msun": "Msun",
    "Msun/h": "Msun/h",
    "dex(Msun)": "log Msun",
    "dex(Msun/h)": "log Msun/h",
}
ADDRESS = re.compile(r"https?:(?=//)|www(?=\.)|@", re.IGNORECASE)
LISTED = 60  # runs offered for opening; the Train page lists more
STATES: dict[str, Literal["gray", "orange", "green", "red"]] = {
    "queued": "gray",
    "running": "orange",
    "finished": "green",
    "cancelled": "gray",
    "failed": "red",
}


@st.fragment(key="in-view")
def in_view() -> None:
    """Catalog, graph, run and selection."""
    if notice := st.session_state.pop("notice", None):
        st.warning(notice)
    with st.container(gap="xsmall"):
        catalog_card()
        graph_card()
        run_card()
        selection_card()
    if st.session_state.pop("switched", False):
        st.rerun()  # the page beside shows lengths and masses, too


def catalog_card() -> None:
    with st.container(border=True, gap=None):
        try:
            rows = _session.catalog()
        except InputError as error:
            st.caption("CATALOG")
            st.markdown(f"**{plain(_session.catalog_spec().path)}**")
            st.caption(plain(str(error)))
            return
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap=None):
            st.caption("CATALOG")
            with st.popover("Units", type="tertiary", width="content"):
                units(rows)
        st.markdown(f"**{plain(rows.name)}**")
        sides = "" if rows.box is None else f" · {box_label(rows.box)} {rows.length_unit} box"
        st.caption(f"{len(rows):,} rows{sides}{periodic_label(rows)}")
        if rows.spec.where:
            st.caption(f"where {plain(rows.spec.where)}")
        if names := _session.file_list(rows):
            st.session_state.file_drawn = _session.followed_file(rows)
            st.selectbox(
                f"Drawn of {len(names):,} files",
                names,
                key="file_drawn",
                on_change=_another_file,
                help="Each file is a box of its own; pictures show one of them, figures and models take all.",
            )


def _another_file() -> None:
    st.session_state.switched = True


def units(rows: Catalog) -> None:
    """The one switch for the lengths that the app reckons in and the masses that it shows."""
    _unit_switch(
        "lengths",
        "Lengths",
        LENGTHS,
        rows.spec.lengths,
        "Positions, box and linking length; the linking length is converted, so the graph stays the same.",
    )
    _unit_switch(
        "masses", "Masses", MASSES, rows.spec.masses, "As tables and figures show them; expressions see the file's."
    )


def _unit_switch(place: str, label: str, units: dict[str, str], value: str | None, meaning: str) -> None:
    refused = _session.refusal(place)
    shown, key = (refused.said if refused else value) or "", f"shown_{place}"
    if st.session_state.get(key) != shown:
        st.session_state[key] = shown
    st.selectbox(
        label,
        list(dict.fromkeys([*units, value or ""])),
        format_func=lambda unit: units.get(unit) or str(unit),
        key=key,
        on_change=_switch,
        args=(place,),
        help=meaning,
    )
    if refused:
        st.error(refused.why, icon=":material/error:")


def _switch(place: str) -> None:
    said = st.session_state[f"shown_{place}"] or None
    if place == "lengths":
        _session.choose_lengths(said)
    else:
        _session.choose(place, said, masses=said)
    st.session_state.switched = True


def graph_card() -> None:
    with st.container(border=True, gap=None):
        st.caption("GRAPH")
        try:
            spec, unit = _session.graph_spec(), _session.catalog().length_unit
        except InputError:
            st.markdown("**none**")
            return
        st.markdown(f"**{plain(graph_label(spec, unit))}**")
        extras = [name.replace("_", " ") for name in spec.edge_features]
        st.caption("edges carry " + ", ".join(extras) if extras else "edges carry nothing")


def run_card() -> None:
    with st.container(border=True, gap=None):
        runs = {run.id: run for run in list_runs()[:LISTED]}
        here = st.session_state.run_id
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap=None):
            st.caption("RUN")
            with st.popover("Open", type="tertiary", disabled=not runs, width="content"):
                st.selectbox(
                    "Run",
                    list(runs),
                    index=list(runs).index(here) if here in runs else None,
                    format_func=lambda run_id: run_label(runs[run_id]),
                    key=f"open_run_{here}",
                    on_change=_open_chosen,
                    args=(f"open_run_{here}",),
                    placeholder="choose a run",
                )
        try:
            run = _session.current_run()
        except InputError:
            run = None
        if run is None:
            st.markdown("**none open**")
            return
        status = run.status
        st.markdown(f"**{plain(run_title(run))}**")
        st.badge(status.state, color=STATES.get(status.state, "red"))
        if status.state != "damaged" and run.spec.catalog.path != _session.catalog_spec().path:
            st.caption(f"trained on another catalog: {plain(source_label(run.spec.catalog))}")


def selection_card() -> None:
    chosen = _session.selection()
    if not chosen:
        return
    with (
        st.container(border=True, gap=None),
        st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap=None),
    ):
        more = f" and {len(chosen) - 1} more" if len(chosen) > 1 else ""
        st.markdown(f"Row **{plain(chosen[0])}**{more}")
        st.button("Clear", type="tertiary", key="clear_selection", on_click=_session.select, args=((),))


def _open_chosen(key: str) -> None:
    run_id = st.session_state[key]
    if run_id:
        try:
            _session.open_run(run_id)
        except InputError as error:
            st.session_state.notice = str(error)
        st.rerun()


def graph_label(spec: GraphSpec, unit: str) -> str:
    """One line for a graph: `linking length 3 Mpc, self-loops`."""
    length = "" if spec.radius is None else f"{spec.radius:.4g} {unit}".strip()
    how = {
        "radius": f"linking length {length}",
        "knn": f"{spec.k} nearest neighbours",
        "cylinder": f"cylinder {spec.radius or 0:.4g} × {spec.along or 0:.4g} {unit}".strip()
        + f" ({spec.line_of_sight})",
        "delaunay": "Delaunay",
        "groups": f"groups within {length}, {spec.shape}s",
        "edge_list": f"edges of {source_name(spec.edges or '')}",
    }[spec.method]
    extras = [
        f"in {', '.join(spec.columns)}" if spec.columns else "",
        f"at most {spec.cap}" if spec.cap is not None else "",
        spec.direction if spec.direction != "directed" else "",
        "self-loops" if spec.self_loops else "",
        "open edges" if spec.periodic is False else "",
    ]
    return ", ".join([how, *filter(None, extras)])


def run_title(run: Run) -> str:
    status = run.status
    if status.state == "damaged":
        return run.id
    spec = run.spec
    return spec.name or f"{spec.model.name.replace('_', ' ')} for {spec.predicted}"


def run_label(run: Run) -> str:
    """One line for a run in a list: what it is, when it was started and how it stands."""
    when = "bundled" if run.read_only else f"{run.id[4:6]}-{run.id[6:8]} {run.id[9:11]}:{run.id[11:13]}"
    return f"{run_title(run)} · {when} · {run.status.state}"


def source_label(spec: CatalogSpec) -> str:
    return "sample" if spec.path == "sample" else source_name(spec.path)


def source_name(path: str) -> str:
    """The last part of a path of any system."""
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def periodic_label(rows: Catalog) -> str:
    if not rows.periodic:
        return ""
    axes = [axis for axis, joined in zip("xyz", rows.periodic_axes, strict=True) if joined]
    return ", periodic" + ("" if all(rows.periodic_axes) else f" in {' and '.join(axes)}")


def box_label(box: object) -> str:
    sides = [f"{side:.4g}" for side in box]  # type: ignore[attr-defined]
    return sides[0] if len(set(sides)) == 1 else " × ".join(sides)


def in_words(caption: str) -> str:
    """A caption of a scene as the beginning of a sentence; a file's name in it stays as it is written."""
    return plain(caption[:1].upper() + caption[1:])


def plain(text: object) -> str:
    """The text with the characters escaped that Markdown would read as formatting. Addresses, which it would make links
    of all the same, are broken by a word joiner, which cannot be seen."""
    text = ADDRESS.sub("\\g<0>\u2060", str(text))
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()<>#+-!|~$:^" else letter for letter in text)
