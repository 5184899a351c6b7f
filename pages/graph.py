"""Join the objects: every method, the graph in 3D, and what it is like at every linking length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from gnnlib.catalog.table import Catalog, CatalogSpec
from gnnlib.errors import InputError
from gnnlib.graph.diagnostics import Figures, shortened, summarize
from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.view import charts
from gnnlib.view.export import Shot
from gnnlib.view.scene import MAX_NODES, Scene, graph_scene
from pages import _session
from pages._exports import graph_downloads
from pages._layout import heading, metric_strip, next_step
from pages._linked import ego, linked_canvas, linked_histogram, linked_slice
from pages._linking import linking_panel
from pages._look import Look, edge_colors, edge_values, look_panel, node_colors
from pages._node import own_row
from pages._scene_files import scene_files
from pages._sidebar import in_words, plain

if TYPE_CHECKING:
    from gnnlib.graph.diagnostics import RadiusSweep
    from gnnlib.models.memory import StepMemory

RADII = 121  # of the curves


@dataclass(frozen=True)
class Shown:
    """What the page says of the graph in view. sweep: the same at every linking length, where the method has one."""

    spec: GraphSpec
    figures: Figures
    degrees: np.ndarray
    notes: tuple[str, ...]
    sweep: RadiusSweep | None


def main() -> None:
    heading("Graph", "Objects that are joined exchange messages: choose who is joined to whom.")
    with _session.explained():
        rows = _session.catalog()
        rows.positions()
        _session.graph_spec()
    view(rows)
    next_step("train.py", "Next: train a model on it", ":material/model_training:")


@st.fragment(key="graph")
def view(rows: Catalog) -> None:
    """Everything that depends on how the graph is built."""
    strip = st.container()
    picture, controls = st.columns([7, 2], gap="medium")
    with picture:
        drawn = st.container()
        files = st.container(horizontal=True)
    with controls:
        look = control_panel(rows)
        chosen = st.container()
    spec = _session.graph_spec()
    try:
        with drawn:
            spec = draw(rows, spec, look, files)
        shown = figures_of(spec)
    except InputError as error:
        drawn.error(str(error), icon=":material/error:")
        _session.settle()
        return
    with strip:
        figure_strip(shown.figures)
        for note in shown.notes:
            st.warning(plain(note), icon=":material/content_cut:" if shown.figures["truncated"] else ":material/info:")
    with chosen:
        selected_object(rows, shown.degrees)
    with files:
        graph_downloads(int(shown.figures["edges"]), lambda: _session.graph(rows.spec, spec))
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Slice", anchor=False)
        linked_slice(rows)
    with right:
        surroundings(rows, spec)
    diagnostics(rows, shown)
    _session.settle()


def figures_of(spec: GraphSpec) -> Shown:
    """The figures of the graph in view, from the edges at hand where a slider has them."""
    if not has_slider(spec):
        graph = _session.graph()
        return Shown(spec, summarize(graph), graph.degrees(), graph.notes, None)
    radius, sweep = spec.radius or 0.0, _session.sweep(reach(spec))
    degrees = sweep.degrees_at(radius)
    if spec.cap is None:
        return Shown(spec, sweep.at(radius), degrees, (), sweep)
    short = shortened(_session.graph(how=wide_spec(spec)), radius, degrees)
    return Shown(spec, summarize(short), short.degrees(), short.notes, sweep)


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
    if has_slider(spec):
        ego(_session.graph(rows.spec, wide_spec(spec)), int(places[-1]), spec.radius)
    else:
        ego(_session.graph(rows.spec, spec), int(places[-1]))


def figure_strip(figures: dict[str, Any]) -> None:
    quantiles = f"{figures['degree_p16']:,} – {figures['degree_p84']:,}"
    metric_strip(
        [
            ("Nodes", f"{figures['nodes']:,}", None),
            ("Edges", f"{figures['edges']:,}", "Directed: each pair counts twice; self-loops are not counted"),
            ("Mean degree", f"{figures['mean_degree']:.2f}", "Neighbours that an object receives from"),
            (
                "Degree 16–84 %",
                quantiles,
                f"What 16 and 84 % of the nodes do not exceed; median {figures['degree_median']:,}",
            ),
            ("Max degree", f"{figures['max_degree']:,}", "No method caps the number of neighbours unless asked to"),
            ("Isolated", f"{100 * figures['isolated_fraction']:.1f} %", "Nodes without any neighbour"),
            ("Components", f"{figures['components']:,}", "Parts that no edge joins, lone nodes included"),
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
def scene_of(
    catalog: CatalogSpec,
    changed: float,
    drawn: GraphSpec,
    measured: GraphSpec | None,
    look: Look,
    cut_too: bool,
    file: str | None,
) -> Scene:
    """The graph `drawn`, its edges in the colours of the graph `measured`, whose edges are among its own. file: the one
    that is drawn of a folder of catalogs."""
    rows = _session.catalog(catalog)
    graph = _session.graph(catalog, drawn)
    exact = None if measured is None else _session.graph(catalog, measured)
    return graph_scene(
        graph,
        rows,
        color_by=node_colors(look, rows, graph),
        size_by=np.zeros(graph.n_nodes) if look.size is None else look.size,
        edge_colors=edge_colors(look, graph, column(graph, exact, look.edge_colour)),
        edge_width=column(graph, exact, look.edge_width),
        edge_opacity=column(graph, exact, look.edge_opacity),
        details=look.hover,
        context=_session.cut_positions(catalog, file) if cut_too else None,
        file=file,
    )


def column(graph: Graph, exact: Graph | None, name: str | None) -> np.ndarray | None:
    """A column of the edges drawn [M]. Features look at a node's neighbours, so they are those of the graph in view
    itself; NaN for the longer edges beyond it that a slider has at hand."""
    if exact is None or name == "length":
        return edge_values(graph, name)
    values = edge_values(exact, name)
    if values is None:
        return None
    found = np.full(graph.n_edges, np.nan)
    found[(graph.lengths <= (exact.spec.radius or np.inf)) & ~graph.self_loop] = values[~exact.self_loop]
    return found


def draw(rows: Catalog, spec: GraphSpec, look: Look, files: Any) -> GraphSpec:
    """The graph in 3D, and its export at `files`; returns the specification with the linking length that the canvas
    settled on."""
    cut_too = bool(st.session_state.get("graph_cut_rows"))
    slides = has_slider(spec)
    drawn = wide_spec(spec) if slides else spec
    measured = spec if slides and look.edge_columns - {"length"} else None
    scene = scene_of(rows.spec, _session.stamp(rows.spec), drawn, measured, look, cut_too, _session.drawn_file(rows))
    state = linked_canvas(
        scene,
        key="graph" if slides else "graph_whole",
        height=600,
        radius_control=(0.0, reach(spec), spec.radius or 0.0) if slides else None,
    )
    if state.radius and abs(state.radius - (spec.radius or 0)) > 1e-9:
        spec = spec.model_copy(update={"radius": float(f"{state.radius:.4g}")})
        _session.show_graph(spec)
    if scene.caption:
        st.caption(f":material/info: {in_words(scene.caption)}; the figures are of the whole graph.")
    with files:
        scene_files(scene, Shot(radius=spec.radius if slides else None), _session.seen())
    return spec


def has_slider(spec: GraphSpec) -> bool:
    """Whether every smaller linking length is at hand: for a radius graph, but for one whose neighbours are so many
    that only a cap makes it small enough to show."""
    if spec.method != "radius":
        return False
    if spec.cap is None:
        return True
    try:
        _session.sweep(reach(spec))
    except InputError:
        return False
    return True


def wide_spec(spec: GraphSpec) -> GraphSpec:
    """The graph whose edges, the longest left out, are the graph at every smaller radius."""
    return spec.model_copy(update={"radius": reach(spec), "self_loops": False, "edge_features": ("length",)})


def reach(spec: GraphSpec) -> float:
    """The largest linking length at hand: what is suggested for the catalog, or a little more than the one in view."""
    largest, radius = _session.radius_range(spec.periodic)[1], spec.radius or 0.0
    if radius <= largest:
        return largest
    rows = _session.catalog()
    box = rows.joined_box(spec.periodic)
    half = np.inf if box is None else float(box[box > 0].min()) / 2
    return max(radius, min(float(f"{1.25 * radius:.2g}"), half))


# What the graph is like


def diagnostics(rows: Catalog, shown: Shown) -> None:
    """Degrees and memory of every graph; of a radius graph what other linking lengths would give, too."""
    sweep, spec, unit = shown.sweep, shown.spec, rows.length_unit
    left, right = st.columns(2, gap="medium")
    with right:
        st.subheader("Distribution", anchor=False)
        linked_histogram(rows, shown.degrees)
    if sweep is None:
        with left:
            st.subheader("Edge lengths", anchor=False)
            graph = _session.graph()
            label = f"length [{unit}]" if unit else "length"
            st.plotly_chart(charts.histogram(graph.lengths[~graph.self_loop], label, counted="edges"), key="lengths")
        memory, which = memory_of_a_step(rows, spec)
        used = memory.at(shown.figures["nodes"], shown.figures["edges"] + spec.self_loops * shown.figures["nodes"])
        st.caption(f":material/memory: A training step on the whole graph takes about {used / 1e9:.2g} GB ({which}).")
        return
    radii = np.linspace(0.0, sweep.largest, RADII)
    curves = sweep.curves(radii)
    mean, percolation = sweep.mean_separation, sweep.percolation_radius
    worth_a_line = {"mean separation": mean, "percolation": percolation}
    marks = {name: at for name, at in worth_a_line.items() if at is not None and at <= sweep.largest}
    with left:
        st.subheader("At every linking length", anchor=False)
        st.plotly_chart(charts.radius_curves(curves, spec.radius, unit, marks), key="curves")
        halved = f"beyond {sweep.largest:.4g}" if percolation is None else f"at {percolation:.4g}"
        st.caption(
            f"Half of the objects are one component {halved} {unit} (percolation). Their mean separation is "
            f"{mean:.4g} {unit}." + (" Without the cap." if spec.cap is not None else "")
        )
    with right:
        st.subheader("Pair correlation", anchor=False)
        bounds = sweep.correlation_bounds()
        figure = charts.pair_correlation(bounds, sweep.pair_correlation(bounds), spec.radius, unit)
        st.plotly_chart(figure, key="correlation")
    with left:
        st.subheader("Memory of a training step", anchor=False)
        memory, which = memory_of_a_step(rows, spec)
        used = memory.at(sweep.n_nodes, curves["edges"] + spec.self_loops * sweep.n_nodes)
        st.plotly_chart(charts.step_memory(radii, np.asarray(used), spec.radius, unit), key="memory")
        st.caption(f"On the whole graph: {which}. A batch takes its share." + (" Without the cap." if spec.cap else ""))


def memory_of_a_step(rows: Catalog, spec: GraphSpec) -> tuple[StepMemory, str]:
    """What a step takes with the model of the run in view, else with the standard one; and which that is."""
    from gnnlib.models.memory import step_memory
    from gnnlib.models.spec import ModelSpec

    try:
        run = _session.current_run()
        said = run.spec if run else None
    except InputError:
        said = None
    model = said.model if said else ModelSpec()
    n_features = max(len(said.features) if said else len(rows.roles.features), 1)
    n_edge_features = _edge_columns(spec)
    which = f"{model.name.replace('_', ' ')} model, depth {model.depth}, hidden width {model.hidden}"
    return step_memory(model, n_features, n_edge_features), which + (", as in the run in view" if said else "")


def _edge_columns(spec: GraphSpec) -> int:
    from gnnlib.graph.features import GROUPS

    return sum(len(GROUPS[name].columns) for name in spec.edge_features)


# The controls beside it


def control_panel(rows: Catalog) -> Look:
    """How the graph is built and how it looks; returns the latter."""
    spec = _session.graph_spec()
    linking_panel(rows, spec, float(f"{_session.radius_range(spec.periodic)[1] / 60:.1g}"))
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


main()
