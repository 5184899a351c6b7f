"""What is in view: catalog, graph, run and selected objects, shared by all pages of one browser session.

The state is small (two specs, a run id, row ids) and is mirrored in the address, so a link shows the same thing.
Everything heavy is loaded through the cached functions below; what they return is shared and never changed.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.read import read_catalog
from gnnlib.catalog.table import Catalog, CatalogSpec
from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.view.scene import MAX_EDGES

if TYPE_CHECKING:
    from gnnlib.graph.diagnostics import RadiusSweep
    from gnnlib.training.run import Run

SAMPLE = CatalogSpec(path="sample")
DEMO_RUN = "demo"
EDGES_SHOWN = 12_000_000  # directed; above it a page would wait for minutes and need gigabytes
_SPECS: dict[str | type, Any] = {
    CatalogSpec: lambda spec: spec.model_dump_json(),
    GraphSpec: lambda spec: spec.model_dump_json(),
}


# What is in view


def begin() -> None:
    """Fill the state of a new session from the address, else from the demo run on the sample. Called by the shell."""
    state = st.session_state
    if "catalog_spec" in state:
        return
    state.catalog_spec, state.graph_spec, state.run_id, state.selection = SAMPLE, None, None, ()
    wanted = dict(st.query_params)
    try:
        open_run(wanted.get("run", DEMO_RUN))
    except InputError as error:
        if "run" in wanted:
            state.notice = str(error)
    if "radius" in wanted:
        try:
            radius = float(wanted["radius"])
        except ValueError:
            radius = float("nan")
        if np.isfinite(radius) and radius > 0:
            state.graph_spec = graph_spec().model_copy(update={"method": "radius", "radius": radius, "k": None})
    if wanted.get("selected"):
        state.selection = tuple(wanted["selected"].split(","))


def mirror() -> None:
    """Write what is in view into the address."""
    try:
        spec = graph_spec()
    except InputError:  # a catalog without positions has no graph; the pages that need one say so
        spec = None
    wanted = {"run": st.session_state.run_id or "none"}
    if spec and spec.method == "radius" and spec.radius:
        wanted["radius"] = f"{spec.radius:.4g}"
    if selection():
        wanted["selected"] = ",".join(map(str, selection()[:20]))
    if dict(st.query_params) != wanted:
        st.query_params.from_dict(wanted)
    st.session_state.said = spec, selection()


def settle() -> None:
    """Run the whole page again where a part of it changed what the sidebar and the address say."""
    if st.session_state.said != (graph_spec(), selection()):
        st.rerun()


def catalog_spec() -> CatalogSpec:
    return st.session_state.catalog_spec


def graph_spec() -> GraphSpec:
    """The graph in view; for a catalog that has none yet, a radius graph with about ten neighbours an object."""
    if st.session_state.graph_spec is None:
        st.session_state.graph_spec = GraphSpec(radius=radius_range()[0])
    return st.session_state.graph_spec


def show_catalog(spec: CatalogSpec) -> None:
    """Take another catalog (or other choices about the same one) into view."""
    if spec.path != catalog_spec().path:
        st.session_state.graph_spec = None
        st.session_state.selection = ()
    st.session_state.catalog_spec = spec


def show_graph(spec: GraphSpec) -> None:
    st.session_state.graph_spec = spec


def open_run(run_id: str) -> None:
    """Take a run into view, with the catalog and the graph it was trained on."""
    if run_id == "none":
        return
    spec = load_run(run_id).spec
    if spec.catalog.path != catalog_spec().path:
        st.session_state.selection = ()
    st.session_state.run_id = run_id
    st.session_state.catalog_spec = spec.catalog
    st.session_state.graph_spec = spec.graph


def current_run() -> Run | None:
    """The run in view, read anew from its folder; None where no run is open."""
    run_id = st.session_state.run_id
    return load_run(run_id) if run_id else None


def selection() -> tuple[str, ...]:
    """Row ids of the selected objects, as text, in the order they were chosen."""
    return st.session_state.selection


def select(row_ids: Sequence[object]) -> None:
    st.session_state.selection = tuple(str(row_id) for row_id in row_ids)


def selected_rows(row_ids: np.ndarray) -> np.ndarray:
    """Positions in `row_ids` of the selected objects that are among them."""
    place = {str(row_id): at for at, row_id in enumerate(row_ids)} if selection() else {}
    return np.array([place[row_id] for row_id in selection() if row_id in place], dtype=np.int64)


def selected_ids(row_ids: np.ndarray) -> list[int | str]:
    """Those of `row_ids` that are selected: what a canvas can show."""
    return row_ids[selected_rows(row_ids)].tolist()


@contextmanager
def explained() -> Iterator[None]:
    """Show what is wrong with the input as a sentence, and end the page there."""
    try:
        yield
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()


# What is loaded, once for all sessions


def stamp(spec: CatalogSpec) -> float:
    """Time of the last change of the catalog's file, so that a changed file is read again."""
    path = Path(spec.path)
    return path.stat().st_mtime if spec.path != "sample" and path.exists() else 0.0


@st.cache_resource(max_entries=4, show_spinner="Reading the catalog", hash_funcs=_SPECS)
def _catalog(spec: CatalogSpec, changed: float) -> Catalog:
    return read_catalog(spec)


def catalog(spec: CatalogSpec | None = None) -> Catalog:
    spec = spec or catalog_spec()
    return _catalog(spec, stamp(spec))


@st.cache_resource(max_entries=4, show_spinner="Building the graph", hash_funcs=_SPECS)
def _graph(spec: CatalogSpec, changed: float, how: GraphSpec) -> Graph:
    from gnnlib.graph.build import build_graph
    from gnnlib.graph.neighbors import count_edges, inside_box

    rows = _catalog(spec, changed)
    box = rows.box if (rows.periodic if how.periodic is None else how.periodic) else None
    if how.method == "radius" and how.radius and (box is None or how.radius <= box.min() / 2):
        edges = count_edges(inside_box(rows.positions(), box), how.radius, box)
        if edges > EDGES_SHOWN:
            raise InputError(
                f"A linking length of {how.radius:.4g} gives some {edges / 1e6:,.0f} million edges, more than the "
                f"{EDGES_SHOWN / 1e6:.0f} million that the pages show; choose a shorter one, or use the command line."
            )
    return build_graph(rows, how)


def graph(spec: CatalogSpec | None = None, how: GraphSpec | None = None) -> Graph:
    spec = spec or catalog_spec()
    return _graph(spec, stamp(spec), how or graph_spec())


@st.cache_resource(max_entries=4, show_spinner="Measuring the graph at every linking length", hash_funcs=_SPECS)
def _sweep(spec: CatalogSpec, changed: float, periodic: bool | None, largest: float) -> RadiusSweep:
    from gnnlib.graph.diagnostics import RadiusSweep

    return RadiusSweep(_graph(spec, changed, GraphSpec(radius=largest, periodic=periodic, edge_features=("length",))))


def sweep(largest: float) -> RadiusSweep:
    """The figures of the graph in view at every linking length up to `largest`."""
    spec = catalog_spec()
    return _sweep(spec, stamp(spec), graph_spec().periodic, largest)


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=_SPECS)
def _radius_range(spec: CatalogSpec, changed: float, periodic: bool | None) -> tuple[float, float]:
    from gnnlib.graph.diagnostics import suggest_radius_range
    from gnnlib.graph.neighbors import count_edges, inside_box

    rows = _catalog(spec, changed)
    box = rows.box if (rows.periodic if periodic is None else periodic) else None
    typical, largest = suggest_radius_range(rows.positions(), box)
    points = inside_box(rows.positions(), box)
    while largest > 1.1 * typical and count_edges(points, largest, box) > 2 * MAX_EDGES:
        largest = float(f"{max(0.85 * largest, 1.1 * typical):.3g}")
    return typical, largest


def radius_range(periodic: bool | None = None) -> tuple[float, float]:
    """A linking length to begin with, and the largest one up to which the canvas draws every edge."""
    return _radius_range(catalog_spec(), stamp(catalog_spec()), periodic)


def load_run(run_id: str) -> Run:
    """A run of this server by its id. Raises InputError for anything else: an id comes from the address."""
    from gnnlib.training.run import load_run as read_run

    if not re.fullmatch(r"[\w-]+", run_id):
        raise InputError(f"'{run_id[:60]}' is not the id of a run; open one from the sidebar.")
    return read_run(run_id)


def temporary_folder() -> Path:
    """This session's own folder for uploads; it goes when the session ends."""
    if "uploads" not in st.session_state:
        st.session_state.uploads = tempfile.TemporaryDirectory(prefix="filament-")
    return Path(st.session_state.uploads.name)


def table_of(rows: Catalog) -> pd.DataFrame:
    """The catalog's table led by its row ids."""
    return pd.DataFrame({"row": rows.row_ids}).join(rows.table)
