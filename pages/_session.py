"""What is in view: catalog, graph, run and selected objects, shared by all pages of one browser session.

The state is small (two specs, a run id, row ids) and is mirrored in the address, so a link shows the same thing.
Everything heavy is loaded through the cached functions below; what they return is shared and never changed.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import streamlit as st
from pydantic import ValidationError

from gnnlib.catalog.assemble import assemble, keep_rows
from gnnlib.catalog.raw import RawCatalog, Report
from gnnlib.catalog.read import read_raw
from gnnlib.catalog.select import kept
from gnnlib.catalog.table import Catalog, CatalogSpec
from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.view.scene import SLIDER_EDGES
from gnnlib.view.upload.places import session_folder
from pages import _files

if TYPE_CHECKING:
    from gnnlib.graph.diagnostics import RadiusSweep
    from gnnlib.training.run import Run

SAMPLE = CatalogSpec(path="sample")
DEMO_RUN = "demo"
EDGES_SHOWN = 12_000_000  # directed; above it a page would wait for minutes and need gigabytes
LONGEST_LINK = 6_000  # characters of an address that may hold the choices about a catalog
BEFORE = 20  # choices that can be taken back
_Spec = TypeVar("_Spec", CatalogSpec, GraphSpec)
_RADIUS = re.compile(
    r"(\b(?:count_within|overdensity)\s*\(\s*)(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)"
)  # in the app's lengths
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
        if "catalog" in wanted:
            show_catalog(_from_link(wanted["catalog"]))
    except InputError as error:
        if wanted.keys() & {"run", "catalog"}:
            state.notice = str(error)
    if "graph" in wanted:
        try:
            state.graph_spec = _graph_from_link(wanted["graph"])
        except InputError as error:
            state.notice = str(error)
    elif "radius" in wanted:
        try:
            radius = float(wanted["radius"])
        except ValueError:
            radius = float("nan")
        if np.isfinite(radius) and radius > 0:
            state.graph_spec = (state.graph_spec or GraphSpec()).model_copy(
                update={"method": "radius", "radius": radius, "k": None}
            )
    if wanted.get("selected"):
        state.selection = tuple(wanted["selected"].split(","))
    if "view" in wanted:
        seen()["view"] = wanted["view"][:80]


def mirror() -> None:
    """Write what is in view into the address."""
    spec = _graph_or_none()
    wanted = {"run": st.session_state.run_id or "none"}
    if link := _to_link(catalog_spec()):
        wanted["catalog"] = link
    if spec and (packed := _graph_to_link(spec)):
        wanted["graph"] = packed
    elif spec and spec.method == "radius" and spec.radius:
        wanted["radius"] = f"{spec.radius:.4g}"
    if selection():
        wanted["selected"] = ",".join(map(str, selection()[:20]))
    if view():
        wanted["view"] = str(view())
    if dict(st.query_params) != wanted:
        st.query_params.from_dict(wanted)
    st.session_state.said = spec, selection()


def view() -> str | None:
    """Where one looks from in 3D, as the canvas says it; None before anybody moved it."""
    return seen().get("view")


def seen() -> dict[str, str]:
    """Holds the point of view under "view"; the same dictionary for the whole session."""
    return st.session_state.setdefault("seen", {})


def show_view(text: str) -> None:
    seen()["view"] = st.query_params["view"] = text


def settle() -> None:
    """Run the whole page again where a part of it changed what the sidebar and the address say."""
    if st.session_state.said != (_graph_or_none(), selection()):
        st.rerun()


def _graph_or_none() -> GraphSpec | None:
    """The graph in view; None for a catalog without positions, as the pages that need one say."""
    try:
        return graph_spec()
    except InputError:
        return None


def catalog_spec() -> CatalogSpec:
    return st.session_state.catalog_spec


def graph_spec() -> GraphSpec:
    """The graph in view; for a catalog that has none yet, a radius graph with about ten neighbours an object."""
    if st.session_state.graph_spec is None:
        st.session_state.graph_spec = GraphSpec(radius=radius_range()[0])
    return st.session_state.graph_spec


def show_catalog(spec: CatalogSpec) -> None:
    """Take another catalog (or other choices about the same one) into view. Raises InputError where it has no rows."""
    before = catalog_spec()
    if (spec.path, spec.table) != (before.path, before.table):
        catalog(spec)
        st.session_state.graph_spec = None
        st.session_state.selection = ()
        st.session_state.catalog_before = ()
        st.session_state.refused = {}
    elif spec != before:
        st.session_state.graph_spec = _carried(before, spec)
        st.session_state.catalog_before = (*st.session_state.get("catalog_before", ()), before)[-BEFORE:]
    st.session_state.catalog_spec = spec


def _carried(before: CatalogSpec, spec: CatalogSpec) -> GraphSpec | None:
    """The graph in view after other choices about its catalog.

    Other units of length for the app leave it the same graph, so its linking length is converted; other positions make
    it another one, and the linking length is suggested anew.
    """
    graph, now = st.session_state.graph_spec, catalog(spec)
    try:
        old = catalog(before)
    except InputError:
        return graph
    if graph is None or old.roles.position != now.roles.position:
        return None
    if any(before.units.get(name) != spec.units.get(name) for name in now.roles.position):
        return None
    if old.length_unit == now.length_unit:
        # A linking length that nobody chose follows the rows that are there.
        suggested = _radius_range(before, stamp(before), graph.periodic)[0]
        return None if graph == GraphSpec(radius=suggested) and len(old) != len(now) else graph
    try:
        lengths = {
            name: length_between(now, value, old.length_unit, now.length_unit)
            for name, value in (("radius", graph.radius), ("along", graph.along))
            if value is not None
        }
    except InputError:
        return None
    return graph.model_copy(update=lengths)


def length_between(rows: Catalog, length: float, old: str, new: str) -> float:
    """A length of the catalog in another unit, to six digits. Raises InputError where no factor is known."""
    from gnnlib.catalog.units import convert_length

    return float(f"{length * convert_length(1.0, old, new, rows.h, rows.redshift):.6g}")


# What a person says about the catalog


@dataclass(frozen=True)
class Refusal:
    """A choice that could not be made: what was said, and the sentence why not."""

    said: object
    why: str


def choose(place: str, said: object = None, **choices: object) -> bool:
    """Make other choices about the catalog in view; returns whether they could be made.

    Where they cannot, the catalog stays as it is, and the widgets at `place` show what was `said` and why not
    (`refusal`), until another choice is made there.
    """
    refused = st.session_state.setdefault("refused", {})
    try:
        spec = CatalogSpec.model_validate(catalog_spec().model_dump() | choices)
        catalog(spec)
        show_catalog(spec)
    except ValidationError as error:
        refused[place] = Refusal(said, f"This cannot be used: {error.errors()[0]['msg'][:200]}.")
        return False
    except InputError as error:
        refused[place] = Refusal(said, str(error))
        return False
    refused.pop(place, None)
    return True


def choose_lengths(unit: str | None) -> bool:
    """Let the app reckon in another unit of length; box, linking length and radii in expressions are carried over."""
    spec, rows = catalog_spec(), catalog()
    try:
        placed = {"position": spec.roles.position} if spec.roles and spec.roles.position else None
        bare = CatalogSpec.model_validate(
            spec.model_dump(exclude={"roles", "box", "periodic", "where", "derived", "subsets", "missing"})
            | {"lengths": unit, "roles": placed}
        )
        new = whole(bare).length_unit
        times = length_between(rows, 1.0, rows.length_unit, new)
    except InputError as error:
        refuse("lengths", unit, str(error))
        return False

    def carried(expression: str) -> str:
        return _RADIUS.sub(lambda found: f"{found[1]}{float(found[2]) * times:.6g}", expression)

    return choose(
        "lengths",
        unit,
        lengths=unit,
        box=tuple(float(f"{side * times:.9g}") for side in spec.box) if spec.box else None,
        derived={name: carried(expression) for name, expression in spec.derived.items()},
        subsets={name: carried(condition) for name, condition in spec.subsets.items()},
        where=carried(spec.where) if spec.where else None,
    )


def refuse(place: str, said: object, why: str) -> None:
    """Note that what was said at `place` cannot be used."""
    st.session_state.setdefault("refused", {})[place] = Refusal(said, why)


def refusal(place: str) -> Refusal | None:
    """What was said last at `place` where it was refused."""
    return st.session_state.get("refused", {}).get(place)


def take_back() -> None:
    """Undo the last choice about the catalog in view."""
    *earlier, last = st.session_state.catalog_before
    show_catalog(last)
    st.session_state.catalog_before = tuple(earlier)
    st.session_state.refused = {}


def as_the_file_says() -> None:
    """Forget every choice about the catalog in view but the table it is."""
    show_catalog(CatalogSpec(path=catalog_spec().path, table=catalog_spec().table))
    st.session_state.refused = {}


def _to_link(spec: CatalogSpec) -> str | None:
    """The catalog in view as a part of the address; None where the run says the same, or nobody else could open it."""
    try:
        run = current_run()
        known = run.spec.catalog if run else SAMPLE
    except InputError:
        known = SAMPLE
    if spec == known or ("uploads" in st.session_state and Path(spec.path).is_relative_to(temporary_folder())):
        return None
    return _packed(spec)


def _from_link(text: str) -> CatalogSpec:
    """The catalog that an address names. Raises InputError where it is damaged or its file may not be read here."""
    spec = _unpacked(CatalogSpec, text, "The catalog in this link is damaged; ask for it again, or open the catalog.")
    if spec.path == "sample":
        return spec
    return spec.model_copy(update={"path": str(_files.server_path(spec.path))})


def _graph_to_link(spec: GraphSpec) -> str | None:
    """The graph in view as a part of the address; None where the linking length alone says it, or nobody else could
    open its edge list."""
    try:
        run = current_run()
        known = run.spec.graph if run else GraphSpec()
    except InputError:
        known = GraphSpec()
    if spec == known or (spec.method == "radius" and spec == known.model_copy(update={"radius": spec.radius})):
        return None
    if spec.edges and "uploads" in st.session_state and Path(spec.edges).is_relative_to(temporary_folder()):
        return None
    return _packed(spec)


def _graph_from_link(text: str) -> GraphSpec:
    """The graph that an address says. Raises InputError where it is damaged or its edge list may not be read here."""
    spec = _unpacked(GraphSpec, text, "The graph in this link is damaged; ask for it again, or choose a graph.")
    if spec.edges is None:
        return spec
    return spec.model_copy(update={"edges": str(_files.server_path(spec.edges))})


def _packed(spec: CatalogSpec | GraphSpec) -> str | None:
    packed = zlib.compress(spec.model_dump_json(exclude_defaults=True).encode(), 9)
    link = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return link if len(link) <= LONGEST_LINK else None


def _unpacked(kind: type[_Spec], text: str, damaged: str) -> _Spec:
    try:
        packed = base64.urlsafe_b64decode(text[:LONGEST_LINK] + "=" * (-len(text) % 4))
        return kind.model_validate_json(zlib.decompressobj().decompress(packed, 100_000))
    except (binascii.Error, zlib.error, ValueError) as error:
        raise InputError(damaged) from error


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
    st.session_state.catalog_before = ()
    st.session_state.refused = {}
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
    """Positions in `row_ids` of the selected objects that are among them, in the order they were chosen."""
    wanted = selection()
    if row_ids.dtype.kind in "iu":
        wanted = tuple(row_id for row_id in wanted if re.fullmatch(r"-?\d{1,18}|\d{19}", row_id))
        ids = np.array([int(row_id) for row_id in wanted if -(2**63) <= int(row_id) < 2**63], dtype=np.int64)
    else:
        ids = np.array(wanted, dtype=str)
    if not len(ids):
        return np.empty(0, dtype=np.int64)
    found = {str(row_ids[at]): at for at in np.flatnonzero(np.isin(row_ids, ids))}
    return np.array([found[row_id] for row_id in wanted if row_id in found], dtype=np.int64)


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
    """Time of the last change of the catalog's file, or of any in its folder, so that a changed one is read again."""
    path = Path(spec.path)
    if spec.path == "sample" or not path.exists():
        return 0.0
    inside = [entry.stat().st_mtime for entry in os.scandir(path)] if path.is_dir() else []
    return max([path.stat().st_mtime, *inside])


@dataclass
class _Shelf:
    """A place for one table, filled once by whoever comes first."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    raw: RawCatalog | None = None


@st.cache_resource(max_entries=3, show_spinner=False)
def _shelf(path: str, table: str | None, names: tuple[str, ...] | None, h: float | None, changed: float) -> _Shelf:
    return _Shelf()


def _shelf_of(spec: CatalogSpec) -> _Shelf:
    return _shelf(spec.path, spec.table, spec.names, spec.h, stamp(spec))


def raw(spec: CatalogSpec | None = None, report: Report | None = None) -> RawCatalog:
    """The table as its file has it. A file is read once; choices about roles, units or cuts do not read it again."""
    spec = spec or catalog_spec()
    shelf = _shelf_of(spec)
    with shelf.lock:
        if shelf.raw is None:
            shelf.raw = read_raw(spec, report)
        return shelf.raw


def is_loaded(spec: CatalogSpec) -> bool:
    """Whether the table of a catalog is at hand."""
    return _shelf_of(spec).raw is not None


@st.cache_resource(max_entries=4, show_spinner="Reading the catalog", hash_funcs=_SPECS)
def _whole(spec: CatalogSpec, changed: float) -> Catalog:
    return assemble(raw(spec), spec, cut=False)


def whole(spec: CatalogSpec | None = None) -> Catalog:
    """The catalog with the rows that a cut takes away."""
    spec = (spec or catalog_spec()).model_copy(update={"where": None})
    return _whole(spec, stamp(spec))


@st.cache_resource(max_entries=6, show_spinner=False, hash_funcs=_SPECS)
def _kept(spec: CatalogSpec, changed: float) -> np.ndarray:
    from dataclasses import replace

    return kept(replace(whole(spec), spec=spec))


def kept_rows(spec: CatalogSpec | None = None) -> np.ndarray:
    """Which rows of the whole catalog are kept, [N] bool."""
    spec = spec or catalog_spec()
    return _kept(spec, stamp(spec))


@st.cache_resource(max_entries=4, show_spinner="Reading the catalog", hash_funcs=_SPECS)
def _catalog(spec: CatalogSpec, changed: float) -> Catalog:
    return keep_rows(whole(spec), spec)


def catalog(spec: CatalogSpec | None = None) -> Catalog:
    """The rows of a catalog that are kept: what graph, model and plots are made of."""
    spec = spec or catalog_spec()
    return _catalog(spec, stamp(spec))


def rows_cut() -> int:
    """How many rows of the catalog in view a cut takes away."""
    return len(whole()) - len(catalog())


def cut_positions(spec: CatalogSpec, file: str | None = None) -> np.ndarray:
    """Where the rows are that a cut takes away, [K, 3] in the catalog's length unit. file: of a folder, those of it."""
    rows, away = whole(spec), ~kept_rows(spec)
    own = in_file(rows, file)
    return rows.positions()[away if own is None else away & own]


# Of a folder of catalogs one file is drawn at a time, as their boxes would lie on top of each other.


def file_list(rows: Catalog) -> list[str]:
    """The names of the files of a folder of catalogs; [] for one catalog."""
    return [] if rows.files is None else rows.table[rows.files.column].drop_duplicates().astype(str).tolist()


def drawn_file(rows: Catalog) -> str | None:
    """The file of a folder of catalogs that pictures show; None for one catalog."""
    names = file_list(rows)
    chosen = st.session_state.get("file_drawn")
    return chosen if chosen in names else names[0] if names else None


def draw_file_of(rows: Catalog, place: int) -> None:
    """Let pictures show the file of the row at this place; only for a callback, as the sidebar has its choice."""
    if rows.files is not None:
        st.session_state.file_drawn = str(rows.values(rows.files.column)[place])


def followed_file(rows: Catalog) -> str | None:
    """`drawn_file`, or that of the object selected last, once that is another one."""
    if st.session_state.get("file_followed") != selection():
        st.session_state.file_followed = selection()
        places = selected_rows(rows.row_ids)
        if len(places) and rows.files is not None:
            return str(rows.table[rows.files.column].iloc[places[-1]])
    return drawn_file(rows)


def in_file(rows: Catalog, file: str | None) -> np.ndarray | None:
    """The rows [N] bool of one file of a folder of catalogs; None where there is nothing to choose."""
    return None if rows.files is None or file is None else rows.values(rows.files.column).astype(str) == file


@st.cache_resource(max_entries=4, show_spinner="Building the graph", hash_funcs=_SPECS)
def _graph(spec: CatalogSpec, changed: float, how: GraphSpec) -> Graph:
    from gnnlib.graph.build import build_graph
    from gnnlib.graph.neighbors import count_edges, inside_box

    rows = _catalog(spec, changed)
    box = rows.joined_box(how.periodic)
    if (
        how.method == "radius"
        and how.cap is None
        and how.radius
        and (box is None or how.radius <= box[box > 0].min() / 2)
    ):
        edges = count_edges(inside_box(rows.positions(), box), how.radius, box, rows.file_of)
        if edges > EDGES_SHOWN:
            raise InputError(
                f"A linking length of {how.radius:.4g} gives some {edges / 1e6:,.0f} million edges, more than the "
                f"{EDGES_SHOWN / 1e6:.0f} million that the pages show; choose a shorter one, or use the command line."
            )
    found = build_graph(rows, how)
    if found.n_edges > EDGES_SHOWN:
        raise InputError(
            f"This graph has {found.n_edges / 1e6:,.0f} million edges, more than the {EDGES_SHOWN / 1e6:.0f} million "
            "that the pages show; join fewer objects, or use the command line."
        )
    return found


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
    box = rows.joined_box(periodic)
    typical, largest = suggest_radius_range(rows.positions(), box, rows.file_of)
    points = inside_box(rows.positions(), box)
    while largest > 1.1 * typical and count_edges(points, largest, box, rows.file_of) > 2 * SLIDER_EDGES:
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
        st.session_state.uploads = session_folder()
    return Path(st.session_state.uploads.name)
