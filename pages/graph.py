"""Join the objects: radius or nearest neighbours, the graph in 3D, and what it is like at every linking length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import streamlit as st

from gnnlib.catalog.table import Catalog, CatalogSpec
from gnnlib.errors import InputError
from gnnlib.graph.diagnostics import summarize
from gnnlib.graph.graph import EdgeFeature, GraphSpec
from gnnlib.view import charts
from gnnlib.view.canvas import graph_canvas
from gnnlib.view.export import Shot
from gnnlib.view.scene import MAX_NODES, Scene, graph_scene
from pages import _session
from pages._exports import downloads, edge_table
from pages._layout import heading, metric_strip, next_step
from pages._linked import ego, linked_histogram, linked_slice
from pages._look import Look, edge_colors, edge_values, look_panel, node_colors
from pages._node import own_row
from pages._scene_files import scene_files
from pages._sidebar import plain

if TYPE_CHECKING:
    from gnnlib.graph.diagnostics import RadiusSweep

METHODS = {"radius": "Radius", "knn": "k nearest"}
EDGE_FEATURES = {"length": "length", "cosines": "cosines", "relative_velocity": "relative velocity"}


def main() -> None:
    heading("Graph", "Objects closer than the linking length, or each with its nearest neighbours, exchange messages.")
    with _session.explained():
        rows = _session.catalog()
        rows.positions()
        spec = _session.graph_spec()
    view(rows)
    downloads("Edge list", "edges", lambda: edge_table(_session.graph(rows.spec, spec)))
    next_step("train.py", "Next: train a model on it", ":material/model_training:")


@st.fragment(key="graph")
def view(rows: Catalog) -> None:
    """Everything that depends on how the graph is built."""
    strip = st.container()
    picture, controls = st.columns([7, 2], gap="medium")
    with picture:
        drawn = st.container()
    with controls:
        look = control_panel(rows)
        chosen = st.container()
    spec = _session.graph_spec()
    try:
        with drawn:
            spec = draw(rows, spec, look)
        if spec.method == "radius":
            sweep = _session.sweep(reach(spec))
            figures = sweep.at(spec.radius or 0.0)
        else:
            sweep, figures = None, summarize(_session.graph())
    except InputError as error:
        drawn.error(str(error), icon=":material/error:")
        return
    with strip:
        figure_strip(figures)
    with chosen:
        selected_object(rows, degree := degrees(spec, sweep))
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Distribution", anchor=False)
        linked_histogram(rows, degree)
    with right:
        curves(sweep, spec, rows)
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Slice", anchor=False)
        linked_slice(rows)
    with right:
        surroundings(rows, spec)
    _session.settle()


def selected_object(rows: Catalog, degree: np.ndarray) -> None:
    """The object selected last: its degree and its row."""
    places = _session.selected_rows(rows.row_ids)
    if len(places):
        at = int(places[-1])
        st.markdown(f"Row **{plain(rows.row_ids[at])}**, {degree[at]:,} neighbours")
        st.dataframe(own_row(rows, at), hide_index=True, height=180)


def surroundings(rows: Catalog, spec: GraphSpec) -> None:
    """The object selected last among its neighbours."""
    st.subheader("Neighbours", anchor=False)
    places = _session.selected_rows(rows.row_ids)
    if not len(places):
        st.caption("Click an object in the picture or in the slice to see those around it.")
        return
    if spec.method == "radius":
        graph = _session.graph(rows.spec, wide_spec(spec, reach(spec)))
        ego(graph, int(places[-1]), spec.radius)
    else:
        ego(_session.graph(rows.spec, spec), int(places[-1]))


def figure_strip(figures: dict[str, Any]) -> None:
    metric_strip(
        [
            ("Nodes", f"{figures['nodes']:,}", None),
            ("Edges", f"{figures['edges']:,}", "Directed: each pair counts twice; self-loops are not counted"),
            ("Mean degree", f"{figures['mean_degree']:.2f}", None),
            ("Max degree", f"{figures['max_degree']:,}", "No method here caps the number of neighbours"),
            ("Isolated", f"{100 * figures['isolated_fraction']:.1f} %", "Nodes without any neighbour"),
            ("Components", f"{figures['components']:,}", None),
            ("Largest component", f"{100 * figures['largest_component_fraction']:.1f} %", "Of all nodes"),
        ]
    )


# The canvas


@st.cache_resource(
    max_entries=6,
    show_spinner="Preparing the view",
    hash_funcs={
        CatalogSpec: lambda spec: spec.model_dump_json(),
        GraphSpec: lambda spec: spec.model_dump_json(),
        Look: repr,
    },
)
def scene_of(catalog: CatalogSpec, changed: float, spec: GraphSpec, look: Look, cut_too: bool) -> Scene:
    rows = _session.catalog(catalog)
    graph = _session.graph(catalog, spec)
    roles = rows.roles
    shown = [name for name in (roles.mass, roles.target, roles.central) if name]
    return graph_scene(
        graph,
        rows,
        color_by=node_colors(look, rows, graph),
        size_by=np.zeros(graph.n_nodes) if look.size is None else look.size,
        edge_colors=edge_colors(look, graph),
        edge_width=edge_values(graph, look.edge_width),
        edge_opacity=edge_values(graph, look.edge_opacity),
        details=tuple(dict.fromkeys(shown)),
        context=_session.cut_positions(catalog) if cut_too else None,
    )


def draw(rows: Catalog, spec: GraphSpec, look: Look) -> GraphSpec:
    """The graph in 3D; returns the specification with the linking length that the canvas settled on."""
    cut_too = bool(st.session_state.get("graph_cut_rows"))
    if spec.method == "radius":
        widest = wide_spec(spec, reach(spec), with_features=bool(look.edge_columns - {"length"}))
        scene = scene_of(rows.spec, _session.stamp(rows.spec), widest, look, cut_too)
        state = graph_canvas(
            scene,
            key="graph",
            height=600,
            selection=_session.selected_ids(scene.row_ids),
            radius_control=(0.0, reach(spec), spec.radius or 0.0),
            camera="main",
            view=_session.view(),
            on_view=_session.show_view,
        )
        if state.radius and abs(state.radius - (spec.radius or 0)) > 1e-9:
            spec = spec.model_copy(update={"radius": float(f"{state.radius:.4g}")})
            _session.show_graph(spec)
    else:
        scene = scene_of(rows.spec, _session.stamp(rows.spec), spec, look, cut_too)
        state = graph_canvas(
            scene,
            key="graph_knn",
            height=600,
            selection=_session.selected_ids(scene.row_ids),
            camera="main",
            view=_session.view(),
            on_view=_session.show_view,
        )
    _session.select(state.selected)
    if scene.caption:
        st.caption(f":material/info: {scene.caption.capitalize()}; the figures are of the whole graph.")
    scene_files(scene, Shot(radius=spec.radius if spec.method == "radius" else None), _session.seen())
    return spec


def wide_spec(spec: GraphSpec, radius: float, with_features: bool = False) -> GraphSpec:
    """The graph whose edges, the longest left out, are the graph at every smaller radius."""
    features = spec.edge_features if with_features else ("length",)
    return GraphSpec(method="radius", radius=radius, periodic=spec.periodic, edge_features=features)


def reach(spec: GraphSpec) -> float:
    """The largest linking length at hand: what is suggested for the catalog, or a little more than the one in view."""
    largest, radius = _session.radius_range(spec.periodic)[1], spec.radius or 0.0
    if radius <= largest:
        return largest
    rows = _session.catalog()
    box = rows.joined_box(spec.periodic)
    half = np.inf if box is None else float(box[box > 0].min()) / 2
    return max(radius, min(float(f"{1.25 * radius:.2g}"), half))


def degrees(spec: GraphSpec, sweep: RadiusSweep | None) -> np.ndarray:
    """Degree of each node, from the edges at hand where there is a sweep."""
    return _session.graph().degrees() if sweep is None else sweep.degrees_at(spec.radius or 0.0)


def curves(sweep: RadiusSweep | None, spec: GraphSpec, rows: Catalog) -> None:
    if sweep is None:
        st.subheader("Edge lengths", anchor=False)
        graph = _session.graph()
        unit = f" [{graph.length_unit}]" if graph.length_unit else ""
        st.plotly_chart(charts.histogram(graph.lengths[~graph.self_loop], f"length{unit}"), key="lengths")
        return
    st.subheader("At every linking length", anchor=False)
    found = sweep.curves(np.linspace(0.0, sweep.largest, 121))
    figure = charts.radius_curves(found, spec.radius, rows.length_unit)
    st.plotly_chart(figure, key="curves")


# The controls beside it


def control_panel(rows: Catalog) -> Look:
    """How the graph is built and how it looks; returns the latter."""
    spec = _session.graph_spec()
    unit = f" [{rows.length_unit}]" if rows.length_unit else ""
    put("graph_method", spec.method)
    st.segmented_control(
        "Join by",
        list(METHODS),
        format_func=METHODS.__getitem__,
        required=True,
        key="graph_method",
        on_change=rebuild,
        width="stretch",
    )
    if spec.method == "radius":
        put("graph_radius", float(spec.radius or 0.0))
        st.number_input(
            f"Linking length{unit}",
            min_value=0.0,
            step=float(f"{reach(spec) / 60:.1g}"),
            format="%.4g",
            key="graph_radius",
            on_change=rebuild,
            help="Every pair closer than this is joined, without a cap. The slider in the picture moves it too.",
        )
    else:
        put("graph_k", int(spec.k or 8))
        st.number_input("Neighbours k", min_value=1, step=1, key="graph_k", on_change=rebuild)
    if rows.box is not None:
        put("graph_periodic", rows.periodic if spec.periodic is None else spec.periodic)
        st.toggle("Periodic box", key="graph_periodic", on_change=rebuild, help="Join across opposite faces")
    put("graph_loops", spec.self_loops)
    st.toggle("Self-loops", key="graph_loops", on_change=rebuild, help="One edge from each object to itself")
    possible = [name for name in get_args(EdgeFeature) if name != "relative_velocity" or rows.roles.velocity]
    put("graph_features", [name for name in spec.edge_features if name in possible])
    st.pills(
        "Edge features",
        possible,
        selection_mode="multi",
        format_func=lambda name: EDGE_FEATURES.get(name, name.replace("_", " ")),
        key="graph_features",
        on_change=rebuild,
        wrap=True,
        help="What a message knows of its edge; all are invariant under translation and rotation.",
    )
    look = look_panel(rows, spec)
    if away := _session.rows_cut():
        st.toggle(
            "Show cut rows",
            value=away <= MAX_NODES,
            key="graph_cut_rows",
            persist_state="session",
            help=f"The {away:,} rows that the cut takes away, in grey; they are not part of the graph.",
        )
    else:
        st.session_state.pop("graph_cut_rows", None)
    return look


def put(key: str, value: object) -> None:
    """Let a widget show what is in view, also where that was changed elsewhere."""
    if st.session_state.get(key) != value:
        st.session_state[key] = value


def rebuild() -> None:
    """Take what the controls say into view."""
    state, spec = st.session_state, _session.graph_spec()
    method = state.graph_method or spec.method
    radius, k = spec.radius, spec.k
    if method == "radius":
        radius = state.get("graph_radius") or radius or _session.radius_range()[0]
    else:
        k = state.get("graph_k") or k or 8
    _session.show_graph(
        GraphSpec(
            method=method,
            radius=radius if method == "radius" else None,
            k=k if method == "knn" else None,
            periodic=state.get("graph_periodic", spec.periodic),
            self_loops=state.graph_loops,
            edge_features=tuple(name for name in get_args(EdgeFeature) if name in state.graph_features),
        )
    )


main()
