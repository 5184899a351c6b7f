"""HATS catalogs (Gaia, DESI, SDSS, ... cut into HEALPix tiles of Parquet) by cone search, through LSDB.

Only the tiles that the cone touches are opened, and of them only the columns that were asked for. Tiles are fetched one
after the other until the row limit is reached. Layout: ivoa.net/documents/Notes/HATS.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import field_validator

from gnnlib.catalog.sources.answer import Answer, described, left_out_warning, library
from gnnlib.catalog.sources.network import CONNECT_SECONDS, SILENT_SECONDS, check_url, public_socket, unheard
from gnnlib.catalog.sources.specs import Cone, Errand, RemoteSpec
from gnnlib.errors import InputError

# Public catalogs: name -> (address, columns to begin with).
KNOWN: dict[str, tuple[str, tuple[str, ...]]] = {
    "Gaia DR3": (
        "https://data.lsdb.io/hats/gaia_dr3",
        ("source_id", "ra", "dec", "parallax", "parallax_error", "pmra", "pmdec", "phot_g_mean_mag", "radial_velocity"),
    ),
    "DESI DR1 redshifts": ("https://data.lsdb.io/hats/desi/desi_dr1_zcat", ()),
    "SDSS DR7 spectra": ("https://data.lsdb.io/hats/sdss_dr7_spectra", ()),
}
_LONGEST_FILE = 600.0  # seconds for one request


class HatsSpec(RemoteSpec):
    """url: web address or local folder of a HATS catalog or collection. columns: empty for the catalog's own choice."""

    service: Literal["hats"] = "hats"
    url: str
    cone: Cone
    columns: tuple[str, ...] = ()

    @field_validator("url")
    @classmethod
    def _place(cls, value: str) -> str:
        if is_web(value):
            return check_url(value)
        if not value.strip() or re.match(r"\w+:", value.strip()) or "\0" in value:
            raise ValueError("A HATS catalog is named by an address that begins with https:// or by a folder here.")
        return value.strip()


def is_web(place: str) -> bool:
    return "://" in place


def question(spec: HatsSpec) -> str:
    """What is asked, in words."""
    return f"{', '.join(spec.columns) or 'the default columns'} of {spec.url} {spec.cone}"


def ask(spec: HatsSpec, errand: Errand) -> Answer:
    """Search the cone tile by tile. Raises InputError where there is no catalog or a column is not in it."""
    import lsdb

    errand.session.received = unheard
    main = _main_catalog(spec, errand)
    options = {"get_client": _client} if is_web(spec.url) else None
    errand.report(0.05, "Opening the catalog")
    catalog: Any = lsdb.open_catalog(
        main,
        search_filter=lsdb.ConeSearch(spec.cone.ra, spec.cone.dec, 3600 * spec.cone.radius),
        columns=_columns(spec, main, options),
        error_empty_filter=False,
        storage_options=options,
    )
    info = catalog.hc_structure.catalog_info
    name = str(info.catalog_name or Path(urlsplit(spec.url).path).name)
    tiles = catalog.get_ordered_healpix_pixels()
    parts: list[pa.Table] = []
    found = 0
    for done, tile in enumerate(tiles):
        errand.session.in_time()
        errand.report(0.1 + 0.85 * done / len(tiles), f"Tile {done + 1} of {len(tiles)}, {found:,} rows so far")
        rows = catalog.get_partition(tile.order, tile.pixel).compute(progress_bar=False)
        parts.append(pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata())
        found += len(rows)
        if found > spec.rows:
            break
    if not found:
        raise InputError(f"{name} has no object {spec.cone}; widen the cone or move it to where the catalog looked.")
    whole = pa.concat_tables(parts, promote_options="permissive")
    plain = [field for field in whole.schema if not pa.types.is_nested(field.type)]
    told = {field.name: field.metadata or {} for field in catalog.hc_structure.schema}
    table = whole.select([field.name for field in plain]).slice(0, spec.rows)
    schema = pa.schema([field.with_metadata(_meaning(field.name, told, info)) for field in plain])
    return Answer(
        table=table.cast(schema),
        name=f"{name} {spec.cone}",
        service="HATS",
        url=spec.url,
        query=question(spec),
        library=library("lsdb"),
        truncated=found > spec.rows,
        warnings=left_out_warning(field.name for field in whole.schema if pa.types.is_nested(field.type)),
    )


def _meaning(name: str, told: dict[str, Any], info: Any) -> dict[str, str] | None:
    """Unit and description from the catalog's schema; HATS fixes degrees for the columns it is tiled by."""
    stated = {key.decode(): value.decode("utf-8", "replace") for key, value in told.get(name, {}).items()}
    unit = stated.get("unit", "") or ("deg" if name in (info.ra_column, info.dec_column) else "")
    return described(unit, stated.get("description", "")) or None


def _columns(spec: HatsSpec, main: str, options: dict[str, Any] | None) -> list[str] | None:
    """The columns to read, the position among them; None for the catalog's default ones."""
    import hats

    structure: Any = hats.read_hats(main, single_catalog=True, read_moc=False, storage_options=options)
    if getattr(structure, "schema", None) is None or not hasattr(structure, "filter_by_cone"):
        raise InputError(f"'{spec.url}' is no catalog of objects on the sky; name the main catalog's address.")
    if not spec.columns:
        return None
    names = structure.schema.names
    if missing := [column for column in spec.columns if column not in names]:
        known = ", ".join(name for name in names if not name.startswith("_"))
        raise InputError(f"The catalog has no column '{missing[0]}'; its columns are {known[:300]}.")
    position = [structure.catalog_info.ra_column, structure.catalog_info.dec_column]
    return list(dict.fromkeys([*spec.columns, *position]))


# Where the catalog is


def _main_catalog(spec: HatsSpec, errand: Errand) -> str:
    """The place of the catalog itself, which a collection names in its properties."""
    errand.report(0.0, "Looking for the catalog")
    if not is_web(spec.url):
        folder = Path(spec.url)
        if not folder.is_dir():
            raise InputError(f"There is no folder '{spec.url}'; check the path of the HATS catalog.")
        if not (folder / "collection.properties").is_file():
            if not any((folder / name).is_file() for name in ("hats.properties", "properties")):
                raise InputError(f"The folder '{folder.name}' holds no HATS catalog (there is no hats.properties).")
            return str(folder)
        inner = _inner((folder / "collection.properties").read_text("utf-8", "replace"), spec)
        if not (folder / inner).resolve().is_relative_to(folder.resolve()):
            raise InputError(f"The collection '{folder.name}' names a catalog outside of its folder; name that one.")
        return str(folder / inner)
    for name in ("hats.properties", "collection.properties", "properties"):
        response = errand.session.get(f"{spec.url}/{name}")
        if response.status_code == 404:
            continue
        response.raise_for_status()
        return spec.url if name != "collection.properties" else f"{spec.url}/{_inner(response.text, spec)}"
    raise InputError(f"There is no HATS catalog at '{spec.url}' (it has no hats.properties); check the address.")


def _inner(properties: str, spec: HatsSpec) -> str:
    """The main catalog's folder in a collection: a plain name below it, so nothing else can be opened by it."""
    found = re.search(r"(?m)^\s*hats_primary_table_url\s*[=:]\s*(.*?)\s*$", properties)
    if not found or not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)*/?", found[1]):
        raise InputError(f"The collection '{spec.url}' names no catalog below it; give the catalog's own address.")
    return found[1].strip("/")


# The network for LSDB, which reads through aiohttp


async def _client(**options: Any) -> Any:
    """The HTTP client of fsspec: public addresses only, judged where a connection is opened, redirects included."""
    import aiohttp

    options["loop"] = asyncio.get_running_loop()
    timeout = aiohttp.ClientTimeout(total=_LONGEST_FILE, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=public_socket), timeout=timeout, **options
    )
