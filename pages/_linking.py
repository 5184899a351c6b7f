"""The controls that say how objects are joined: one widget for each field that the chosen method heeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.graph.features import GROUPS
from gnnlib.graph.graph import EdgeFeature, GraphSpec
from gnnlib.graph.neighbors import METHODS
from gnnlib.view.upload import upload
from pages import _files, _session
from pages._layout import put, why_not
from pages._sidebar import plain

NEAREST = 8  # neighbours to begin with
FRIENDS = 0.2  # mean separations: the customary linking length of friends of friends (Davis et al. 1985)
STRETCHED = 3.0  # how much longer than wide a cylinder is to begin with ...
ACROSS = (2 / 3 / STRETCHED) ** (1 / 3)  # ... with the volume of the sphere that a radius graph begins with
AXES = {"x": "x", "y": "y", "z": "z", "radial": "radial"}
SHAPES = {"clique": "All joined", "star": "To the head"}
DIRECTIONS = {"directed": "As is", "symmetric": "Both", "mutual": "Mutual"}
COMMON = {"periodic", "self_loops", "edge_features"}  # fields that every method heeds
IDS = {"row_ids": "Row ids", "indices": "Row numbers"}


def linking_panel(rows: Catalog, spec: GraphSpec, step: float) -> None:
    """How the graph in view is built. step: of the linking length, one press of a key."""
    pending = st.session_state.get("graph_pending")
    method = pending or spec.method
    put("graph_method", method)
    st.selectbox(
        "Join by",
        list(METHODS),
        format_func=lambda name: METHODS[name].label,
        key="graph_method",
        on_change=change_method,
        help="  \n".join(f"**{entry.label}**: {entry.description}" for entry in METHODS.values()),
    )
    for name in METHODS[method].needs if pending else (*METHODS[method].needs, *METHODS[method].takes):
        # Without a cap every edge of a radius graph goes both ways, so there is nothing to choose.
        if not (method == "radius" and name == "direction" and spec.cap is None):
            FIELDS[name](rows, spec, step)
    if rows.box is not None:
        put("graph_periodic", rows.periodic if spec.periodic is None else spec.periodic)
        st.toggle("Periodic box", key="graph_periodic", on_change=rebuild, help="Join across opposite faces")
    put("graph_self_loops", spec.self_loops)
    st.toggle("Self-loops", key="graph_self_loops", on_change=rebuild, help="One edge from each object to itself")
    known = {"": True, "velocity": bool(rows.roles.velocity), "mass": rows.roles.mass is not None}
    possible = [name for name in get_args(EdgeFeature) if known[GROUPS[name].needs]]
    put("graph_edge_features", [name for name in spec.edge_features if name in possible])
    st.pills(
        "Edge features",
        possible,
        selection_mode="multi",
        format_func=lambda name: GROUPS[name].label,
        key="graph_edge_features",
        on_change=rebuild,
        wrap=True,
        help="What a message knows of its edge; all are invariant under translation and rotation.",
    )


# One widget a field of GraphSpec


def _radius(rows: Catalog, spec: GraphSpec, step: float) -> None:
    label = "Across the line of sight" if spec.method == "cylinder" else "Linking length"
    meaning = "Every pair closer than this is joined."
    if spec.method == "radius":
        meaning += " The slider in the picture moves it too."
    _length(label, "radius", spec.radius, rows, step, meaning)


def _along(rows: Catalog, spec: GraphSpec, step: float) -> None:
    _length("Along it, each way", "along", spec.along, rows, step, "Longer than across, for redshift space.")


def _length(label: str, name: str, value: float | None, rows: Catalog, step: float, meaning: str) -> None:
    put(f"graph_{name}", float(value or 0.0))
    st.number_input(
        f"{label} [{rows.length_unit}]" if rows.length_unit else label,
        min_value=0.0,
        step=step,
        format="%.4g",
        key=f"graph_{name}",
        on_change=rebuild,
        help=meaning,
    )


def _cap(rows: Catalog, spec: GraphSpec, step: float) -> None:
    put("graph_cap", spec.cap)
    st.number_input(
        "Cap",
        min_value=1,
        value=None,
        step=1,
        placeholder="none: every neighbour",
        key="graph_cap",
        on_change=rebuild,
        help="At most so many neighbours for each object, the nearest; what that removes is counted and said.",
    )


def _k(rows: Catalog, spec: GraphSpec, step: float) -> None:
    put("graph_k", int(spec.k or NEAREST))
    st.number_input("Neighbours k", min_value=1, step=1, key="graph_k", on_change=rebuild)


def _columns(rows: Catalog, spec: GraphSpec, step: float) -> None:
    numbers = [str(name) for name in rows.table.columns if rows.table[name].dtype.kind in "iufb"]
    put("graph_columns", list(spec.columns))
    st.multiselect(
        "Near in",
        list(dict.fromkeys([*numbers, *spec.columns])),
        placeholder="space",
        accept_new_options=True,
        key="graph_columns",
        on_change=rebuild,
        help="Columns or expressions, standardised: neighbours are then alike in these, wherever they are in space.",
    )


def _line_of_sight(rows: Catalog, spec: GraphSpec, step: float) -> None:
    _one_of("Line of sight", "line_of_sight", AXES, spec.line_of_sight, "Radial: seen from the origin, in open space.")


def _shape(rows: Catalog, spec: GraphSpec, step: float) -> None:
    _one_of("Members", "shape", SHAPES, spec.shape, "The head is the most massive, else the one with most friends.")


def _direction(rows: Catalog, spec: GraphSpec, step: float) -> None:
    meaning = "An edge may be there one way only: leave it so, add the other way, or keep those that go both ways."
    _one_of("Direction", "direction", DIRECTIONS, spec.direction, meaning)


def _edge_ids(rows: Catalog, spec: GraphSpec, step: float) -> None:
    _one_of("It names", "edge_ids", IDS, spec.edge_ids, "Row ids of the catalog, or its rows counted from 0.")


def _one_of(label: str, name: str, options: dict[str, str], value: str, meaning: str) -> None:
    put(f"graph_{name}", value)
    st.segmented_control(
        label,
        list(options),
        format_func=options.__getitem__,
        required=True,
        key=f"graph_{name}",
        on_change=rebuild,
        help=meaning,
        width="stretch",
    )


def _edges(rows: Catalog, spec: GraphSpec, step: float) -> None:
    """The file of an edge list: an upload, or a path where the server allows any."""
    if spec.edges:
        st.markdown(f":material/description: **{plain(Path(spec.edges).name)}**")
    upload(
        _session.temporary_folder(),
        key="edge_list_file",
        label="Edge list: CSV or text, Parquet, NumPy, PyG .pt, GraphML",
        what="file of edges here",
        in_use=[Path(name) for name in (spec.edges, _session.catalog_spec().path) if name],
        on_change=_take_upload,
    )
    if _files.allowed_folders():
        st.text_input("Or its path on the server", key="graph_edges_path", on_change=_take_path)
    why_not("edges")
    if st.session_state.get("graph_pending"):
        st.caption("Until there is a file, the graph in view stays as it was.")


def _take_upload(paths: Sequence[Path]) -> None:
    if paths:
        _take_edges(paths[0])


def _take_path() -> None:
    said = st.session_state.graph_edges_path
    try:
        _take_edges(_files.server_path(said))
    except InputError as error:
        _session.refuse("edges", said, str(error))


def _take_edges(path: Path) -> None:
    st.session_state.setdefault("refused", {}).pop("edges", None)
    st.session_state.graph_pending = None
    spec = _session.graph_spec()
    ids = spec.edge_ids if spec.method == "edge_list" else "row_ids"
    _session.show_graph(carried(spec, {"method": "edge_list", "edges": str(path), "edge_ids": ids}))


FIELDS: dict[str, Callable[[Catalog, GraphSpec, float], None]] = {
    "radius": _radius,
    "along": _along,
    "cap": _cap,
    "k": _k,
    "columns": _columns,
    "line_of_sight": _line_of_sight,
    "shape": _shape,
    "direction": _direction,
    "edges": _edges,
    "edge_ids": _edge_ids,
}


# From the widgets to the specification


def rebuild() -> None:
    """Take what the controls say into view."""
    state, spec = st.session_state, _session.graph_spec()
    if state.get("graph_pending"):  # the method's own widgets are not there
        return _session.show_graph(carried(spec, spec.model_dump(exclude=COMMON)))
    said: dict[str, Any] = {"method": spec.method, "edges": spec.edges}
    for name in (*METHODS[spec.method].needs, *METHODS[spec.method].takes):
        if name != "edges":
            value = state.get(f"graph_{name}", getattr(spec, name))
            said[name] = tuple(value) if name == "columns" else value
    if spec.method == "radius" and said["cap"] is None:
        said["direction"] = "directed"
    return _session.show_graph(carried(spec, said))


def carried(spec: GraphSpec, fields: dict[str, Any]) -> GraphSpec:
    """A specification of these fields, with what all methods heed as the controls say, else as in `spec`."""
    state, rows = st.session_state, _session.catalog()
    wanted, periodic = state.get("graph_edge_features", spec.edge_features), spec.periodic
    if rows.box is not None and "graph_periodic" in state:
        periodic = None if state.graph_periodic == rows.periodic else state.graph_periodic
    return GraphSpec(
        periodic=periodic,
        self_loops=state.get("graph_self_loops", spec.self_loops),
        edge_features=tuple(name for name in get_args(EdgeFeature) if name in wanted),
        **{name: value for name, value in fields.items() if value is not None},
    )


def change_method() -> None:
    """Take another method into view: as it was seen last on this catalog, else with lengths that suit it."""
    method, spec = st.session_state.graph_method, _session.graph_spec()
    seen: dict[tuple[object, ...], GraphSpec] = st.session_state.setdefault("graph_seen", {})
    seen[_place(spec.method)] = spec
    before = seen.get(_place(method))
    if method == "edge_list" and before is None:
        st.session_state.graph_pending = method  # until there is a file the graph in view stays
        return
    st.session_state.graph_pending = None
    fields = beginning(method, spec) if before is None else before.model_dump(exclude=COMMON)
    _session.show_graph(carried(spec, fields))


def _place(method: str) -> tuple[object, ...]:
    """What the lengths of a method remain good for."""
    rows = _session.catalog()
    return method, rows.spec.path, rows.spec.table, rows.length_unit, rows.roles.position


def beginning(method: str, spec: GraphSpec) -> dict[str, Any]:
    """What a method begins with on the catalog in view."""
    from gnnlib.graph.space import inside_box, mean_separation, shortest_side

    rows = _session.catalog()
    box = rows.joined_box(spec.periodic)
    typical = _session.radius_range(spec.periodic)[0]
    fields: dict[str, Any] = {"method": method}
    if method == "cylinder":
        fields["radius"] = float(f"{ACROSS * typical:.2g}")
        fields["along"] = min(float(f"{STRETCHED * ACROSS * typical:.2g}"), shortest_side(box) / 2)
    elif method == "groups":
        fields["radius"] = float(
            f"{FRIENDS * mean_separation(inside_box(rows.positions(), box), box, rows.file_of):.2g}"
        )
    elif method == "radius":
        fields["radius"] = typical
    elif method == "knn":
        fields["k"] = NEAREST
    return fields
