"""The Catalog page's form for catalogs from remote services: what to ask, what is being asked, and how far it is.

Every service begins with a question that gives a good catalog. A fetch runs in a thread of its own, so that any click
ends it at once.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from gnnlib.catalog.sources import SOURCES, Source, fetch, hats, key_of, make_spec, source_of, tap, tng_api
from gnnlib.catalog.sources.hats import HatsSpec
from gnnlib.catalog.sources.sdss import SdssSpec
from gnnlib.catalog.sources.specs import Cone, RemoteSpec, names, pair
from gnnlib.catalog.sources.tap import TapSpec
from gnnlib.errors import InputError
from pages import _files, _session
from pages._sidebar import plain

OTHER = "Another catalog"
OTHER_SERVICE = "Another service"
SIMULATIONS = ("TNG50-1", "TNG50-4", "TNG100-1", "TNG100-3", "TNG300-1", "TNG300-3", "TNG100-1-Dark", "Illustris-1")
WHAT = {"fields": "Fields of all objects", "chunks": "Chunks as stored", "listing": "Largest subhalos"}
COMA_SQL = (
    "SELECT TOP 50000 s.specObjID, s.ra, s.dec, s.z AS redshift, p.petroMag_r, p.petroMag_g\n"
    "FROM SpecObj AS s JOIN PhotoObj AS p ON p.objID = s.bestObjID\n"
    "WHERE s.class = 'GALAXY' AND s.zWarning = 0 AND s.z BETWEEN 0.02 AND 0.03\n"
    "  AND s.ra BETWEEN 180 AND 210 AND s.dec BETWEEN 15 AND 40"
)


def remote(on_fetched: Callable[[Path], None]) -> None:
    """The form. on_fetched: called with the file, or the folder of chunks, once a catalog was fetched."""
    with st.container(border=True):
        _form()
        if (spec := st.session_state.pop("remote_asked", None)) and (path := _run(spec)) is not None:
            on_fetched(path)


@st.fragment
def _form() -> None:
    """What to ask. A fragment, so that typing does not run the whole page; fetching is outside of it, since only clicks
    outside of fragments end what is running.
    """
    service = st.segmented_control(
        "Service",
        list(SOURCES),
        format_func=lambda name: SOURCES[name].label,
        default="vizier",
        required=True,
        key="remote_service",
        persist_state="session",
    )
    source = SOURCES[service]
    st.caption(source.about)
    fields: dict[str, Any] = {}
    spec: RemoteSpec | None = None
    problem = ""
    try:
        fields = _FORMS[service]()
    except InputError as error:
        problem = str(error)
    told = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if fields.get("what", "listing") == "listing":
            fields["rows"] = _rows(service)
        try:
            spec = None if problem else make_spec(service, **fields)
        except InputError as error:
            problem = str(error)
        locked = bool(source.key_variables and not _key(source))
        asked = st.button(
            "Fetch",
            type="primary",
            icon=":material/cloud_download:",
            key="remote_fetch",
            disabled=spec is None or locked,
        )
    with told:
        if spec is not None:
            _what_is_asked(spec, source)
        else:
            st.error(plain(problem), icon=":material/error:")
        if locked:
            st.info(plain(tng_api.NO_KEY), icon=":material/key:")
    if asked and spec is not None:
        st.session_state.remote_asked = spec
        st.rerun()


def _what_is_asked(spec: RemoteSpec, source: Source) -> None:
    """The question as it is sent; a query that the person wrote is not repeated."""
    whom = f"`{spec.url.replace('`', '')}`" if isinstance(spec, TapSpec | HatsSpec) else source.label
    st.caption(f"Asked of {whom}" if _written(spec) else f"What is asked of {whom}")
    if not _written(spec):
        st.code(source.question(spec), language="sql" if isinstance(spec, SdssSpec) else None, wrap_lines=True)


def _written(spec: RemoteSpec) -> bool:
    return isinstance(spec, TapSpec) or (isinstance(spec, SdssSpec) and spec.sql is not None)


# Forms: what is said in the widgets, as fields of the spec


def _vizier() -> dict[str, Any]:
    example: Any = SOURCES["vizier"].example
    left, right = st.columns(2, gap="medium")
    with left:
        catalog = _text("Catalogue or table", "vizier_catalog", example.catalog, "An id of vizier.cds.unistra.fr")
        columns = _text("Columns", "vizier_columns", "", "Names separated by commas", "those VizieR shows")
    with right:
        constraints = st.text_area(
            "Constraints",
            "\n".join(f"{name}={condition}" for name, condition in example.constraints.items()),
            key="remote_vizier_constraints",
            persist_state="session",
            height=122,
            placeholder="none",
            help="One a line: a column, =, and a condition of VizieR, such as `cz=500..6000`, `Kmag=<11`, `Name=NGC*`.",
        )
    cone = _optional_cone("vizier", Cone(ra=194.95, dec=27.98, radius=10.0))
    return {
        "catalog": catalog,
        "columns": names(columns),
        "constraints": dict(pair(line) for line in constraints.splitlines() if line.strip()),
        "cone": cone,
    }


def _sdss() -> dict[str, Any]:
    example: Any = SOURCES["sdss"].example
    kind = st.segmented_control(
        "Ask for",
        ["cone", "sql"],
        format_func={"cone": "Spectra in a cone", "sql": "SQL"}.__getitem__,
        default="cone",
        required=True,
        key="remote_sdss_kind",
        persist_state="session",
    )
    if kind == "cone":
        question: dict[str, Any] = {"cone": _cone("sdss", example.cone)}
    else:
        sql = st.text_area("SQL", COMA_SQL, key="remote_sdss_sql", persist_state="session", height=150)
        question = {"sql": sql}
    number = st.selectbox(
        "Data release",
        range(17, 7, -1),
        format_func="DR{}".format,
        key="remote_sdss_release",
        persist_state="session",
        width=200,
    )
    return {**question, "release": number}


def _tap() -> dict[str, Any]:
    left, right = st.columns(2, gap="medium")
    with left:
        chosen = st.selectbox("Archive", [*tap.KNOWN, OTHER_SERVICE], key="remote_tap_service", persist_state="session")
    address, example = tap.KNOWN.get(chosen, ("", ""))
    with right:
        url = _text("Address", f"tap_url_{chosen}", address, "Of the service, without /sync", "https://...")
    query = st.text_area("ADQL", example, key=f"remote_tap_query_{chosen}", persist_state="session", height=122)
    return {"url": url, "query": query}


def _hats() -> dict[str, Any]:
    example: Any = SOURCES["hats"].example
    chosen = st.selectbox("Catalog", [*hats.KNOWN, OTHER], key="remote_hats_catalog", persist_state="session")
    address, columns = hats.KNOWN.get(chosen, ("", ()))
    left, right = st.columns(2, gap="medium")
    with left:
        url = _text("Address", f"hats_url_{chosen}", address, "Web address or folder on the server", "https://...")
    with right:
        said = _text(
            "Columns", f"hats_columns_{chosen}", ", ".join(columns), "Names separated by commas", "the catalog's choice"
        )
    cone = _cone("hats", example.cone)
    if url.strip() and not hats.is_web(url):
        url = str(_files.server_path(url))
    return {"url": url, "columns": names(said), "cone": cone}


def _tng() -> dict[str, Any]:
    example: Any = SOURCES["tng"].example
    left, middle, right = st.columns([2, 1, 3], gap="medium")
    with left:
        simulation = st.selectbox(
            "Simulation",
            SIMULATIONS,
            index=SIMULATIONS.index(example.simulation),
            accept_new_options=True,
            key="remote_tng_simulation",
            persist_state="session",
        )
    with middle:
        snapshot = st.number_input(
            "Snapshot", 0, 999, example.snapshot, key="remote_tng_snapshot", persist_state="session", help="99 is z = 0"
        )
    with right:
        what = st.segmented_control(
            "What",
            list(WHAT),
            format_func=WHAT.__getitem__,
            default="fields",
            required=True,
            key="remote_tng_what",
            persist_state="session",
            wrap=True,
        )
    asked: dict[str, Any] = {"simulation": simulation or "", "snapshot": int(snapshot), "what": what}
    if what == "fields":
        said = st.text_area(
            "Fields",
            ", ".join(example.fields),
            key="remote_tng_fields",
            persist_state="session",
            height=100,
            help="Of the group catalog (tng-project.org/data/docs/specifications); SubhaloPos is always among them.",
        )
        asked["fields"] = names(said)
    elif what == "chunks":
        said = _text("Chunks", "tng_chunks", "0-1", "Numbers such as 0-9, 12; empty for all of them", "all")
        asked["chunks"] = tng_api.numbers(said)
    else:
        said = _text("Filters", "tng_filters", "mass_stars__gt=1", "Names of the API, in its units", "none")
        asked["filters"] = dict(pair(text) for text in names(said))
    return asked


_FORMS: dict[str, Callable[[], dict[str, Any]]] = {
    "vizier": _vizier,
    "sdss": _sdss,
    "tap": _tap,
    "hats": _hats,
    "tng": _tng,
}


def _text(label: str, key: str, value: str, meaning: str, placeholder: str = "") -> str:
    return st.text_input(
        label, value, key=f"remote_{key}", persist_state="session", help=meaning, placeholder=placeholder
    )


def _rows(service: str) -> int:
    return int(
        st.number_input(
            "Row limit",
            1,
            5000 if service == "tng" else 5_000_000,
            SOURCES[service].example.rows,
            key=f"remote_{service}_rows",
            persist_state="session",
            help="An answer that was cut here, or by the service, says so.",
            width=200,
        )
    )


def _optional_cone(service: str, example: Cone) -> dict[str, float] | None:
    if st.toggle("Only around a place on the sky", key=f"remote_{service}_in_cone", persist_state="session"):
        return _cone(service, example)
    return None


def _cone(service: str, example: Cone) -> dict[str, float]:
    labels = {"ra": "RA [deg]", "dec": "Dec [deg]", "radius": "Radius [deg]"}
    limits = {"ra": (0.0, 359.999999), "dec": (-90.0, 90.0), "radius": (0.0001, 180.0)}
    found = {}
    for place, (name, label) in zip(st.columns(3, gap="medium"), labels.items(), strict=True):
        with place:
            found[name] = st.number_input(
                label,
                *limits[name],
                value=float(getattr(example, name)),
                format="%.4f",
                key=f"remote_{service}_{name}",
                persist_state="session",
            )
    return found


# Fetching


def _key(source: Source) -> str:
    """The key of a service from Streamlit's secrets, else from the environment."""
    if source.key_variables and st.secrets.load_if_toml_exists():
        for name in source.key_variables:
            if said := str(st.secrets.get(name, "")).strip():
                return said
    return key_of(source)


def _run(spec: RemoteSpec) -> Path | None:
    """Fetch, showing how far it is; None where that failed, which is shown, too."""
    source = source_of(spec)
    key = _key(source)
    folder = tempfile.mkdtemp(prefix="fetched-", dir=_session.temporary_folder())
    heard = [(0.0, f"Asking {source.label}")]
    left = threading.Event()

    def report(share: float, what: str) -> None:
        if left.is_set():
            raise InputError("Nobody waits for this any more.")
        heard[0] = share, what

    found: list[Path | Exception] = []

    def work() -> None:
        try:
            found.append(fetch(spec, folder, report, key or None))
        except Exception as error:
            found.append(error)

    worker, began = threading.Thread(target=work, name="fetch", daemon=True), time.monotonic()
    place = st.empty()
    try:
        with place.container():
            bar = st.progress(*heard[0])
            st.button("Cancel", key="remote_cancel")  # any click ends this run of the page
            worker.start()
            while worker.is_alive():
                share, what = heard[0]
                bar.progress(min(max(share, 0.0), 1.0), plain(f"{what} ({time.monotonic() - began:.0f} s)"))
                worker.join(0.2)
    finally:
        left.set()
    (path,) = found
    if isinstance(path, InputError):
        place.error(plain(str(path)), icon=":material/error:")
        return None
    if isinstance(path, Exception):
        raise path
    place.empty()
    return path
