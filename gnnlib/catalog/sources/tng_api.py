"""Group catalogs of the IllustrisTNG simulations from their web API, with a personal key.

The key comes from the environment or from the server's secrets and goes into the header `api-key` of requests to
tng-project.org over TLS: never into an address, a spec, a file, a log or a message. API: tng-project.org/data/docs/api.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import h5py
import pyarrow as pa
import requests
from pydantic import Field, field_validator, model_validator

from gnnlib.catalog.sources.answer import Answer, described, free_name, hidden, library, provenance
from gnnlib.catalog.sources.network import in_one_sentence, said, unheard
from gnnlib.catalog.sources.specs import Errand, RemoteSpec
from gnnlib.errors import InputError

API = "https://www.tng-project.org/api"
KEY_VARIABLES = ("FILAMENT_TNG_KEY", "TNG_API_KEY")
NO_KEY = (
    f"The TNG data need your API key: set {KEY_VARIABLES[0]} in the environment or in Streamlit's secrets"
    " (tng-project.org shows it after you log in)."
)
ATTEMPTS = 3
LARGEST_FILE = 20 << 30  # bytes; a field of all subhalos of TNG300-1 has some hundred MB
_PAGE = 100  # rows of a listing in one request
_ROOM = 1 << 30  # bytes left free on the disk

# What a graph of subhalos with their hosts needs.
FIELDS = (
    "SubhaloPos",
    "SubhaloVel",
    "SubhaloMassType",
    "SubhaloVmax",
    "SubhaloHalfmassRadType",
    "SubhaloGrNr",
    "SubhaloFlag",
    "GroupFirstSub",
    "GroupNsubs",
    "Group_M_Crit200",
)

# Units of a subhalo's record, which are those of the group catalog.
_UNITS = (
    (r"(pos|cm)_[xyz]|halfmassrad\w*|vmaxrad|stellarphotometricsrad", "ckpc/h"),
    (r"mass|mass_\w+|massin\w+|bhmass", "1e10 Msun/h"),
    (r"vel_[xyz]|veldisp|vmax", "km/s"),
    (r"spin_[xyz]", "kpc km/s/h"),
    (r"sfr\w*", "Msun/yr"),
    (r"stellarphotometrics_\w+", "mag"),
)


class TngSpec(RemoteSpec):
    """Part of a group catalog of one snapshot.

    what: "fields" of all objects, joined into one file; "chunks" as they are stored, all or those numbered; "listing",
    subhalos that pass `filters`, one row each with their positions, the largest stellar mass first. filters: names as
    in the API, mass_stars__gt -> value. rows: the most subhalos of a listing.
    """

    service: Literal["tng"] = "tng"
    simulation: str = "TNG100-1"
    snapshot: int = Field(default=99, ge=0, le=999)
    what: Literal["fields", "chunks", "listing"] = "fields"
    fields: tuple[str, ...] = FIELDS
    chunks: tuple[int, ...] | None = None
    filters: dict[str, str] = Field(default_factory=dict)
    rows: int = Field(default=200, ge=1, le=5000)

    @field_validator("simulation")
    @classmethod
    def _name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,60}", value.strip(), re.ASCII):
            raise ValueError(f"'{said(value)}' is not the name of a simulation; write one such as TNG100-1.")
        return value.strip()

    @field_validator("fields")
    @classmethod
    def _fields(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.fullmatch(r"(Subhalo|Group)\w{1,60}", name, re.ASCII):
                raise ValueError(f"'{said(name)}' is not a field of the group catalog; write one such as SubhaloPos.")
        return tuple(dict.fromkeys(("SubhaloPos", *value)))

    @field_validator("filters")
    @classmethod
    def _filters(cls, value: dict[str, str]) -> dict[str, str]:
        for name, bound in value.items():
            if not re.fullmatch(r"[a-z]\w*", name, re.ASCII) or name in ("limit", "offset", "order_by", "format"):
                raise ValueError(f"'{said(name)}' is not a filter of the TNG API; write one such as mass_stars__gt.")
            try:
                float(bound)
            except ValueError as error:
                raise ValueError(f"The filter '{name}' needs a number, not '{said(bound)}'.") from error
        return value

    @model_validator(mode="after")
    def _chunk_numbers(self) -> TngSpec:
        if self.chunks is not None and (not self.chunks or min(self.chunks) < 0):
            raise ValueError("The chunks are numbered from 0; write numbers such as 0-9, or nothing for all.")
        return self

    @property
    def snapshot_url(self) -> str:
        return f"{API}/{self.simulation}/snapshots/{self.snapshot}/"

    @property
    def catalog_url(self) -> str:
        return f"{API}/{self.simulation}/files/groupcat-{self.snapshot}/"


def question(spec: TngSpec) -> str:
    """What is asked, in words."""
    where = f"{spec.simulation}, snapshot {spec.snapshot}"
    if spec.what == "fields":
        return f"{', '.join(spec.fields)} of {where}"
    if spec.what == "chunks":
        which = "all chunks" if spec.chunks is None else f"chunks {ranges(spec.chunks)}"
        return f"{which} of the group catalog of {where}"
    filters = ", ".join(f"{name}={value}" for name, value in spec.filters.items())
    return f"{spec.rows:,} subhalos of {where}, largest stellar mass first{f', {filters}' if filters else ''}"


def ranges(numbers: tuple[int, ...]) -> str:
    """Whole numbers as people write them: 0-3, 7."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)


def numbers(text: str) -> tuple[int, ...] | None:
    """The reverse of `ranges`; None for empty text. Raises InputError for anything else."""
    if not text.strip():
        return None
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?", part)
        if not match:
            raise InputError(f"'{said(text)}' is not a list of chunk numbers; write e.g. 0-9, 12.")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    if not found:
        raise InputError(f"'{said(text)}' names no chunk; write the smaller number first, e.g. 0-9.")
    return tuple(found)


def trusted(url: str) -> bool:
    """Whether an address may know the key: the API's own, or tng-project.org over TLS."""
    parts, own = urlsplit(url), urlsplit(API)
    if (parts.scheme, parts.hostname, parts.port) == (own.scheme, own.hostname, own.port):
        return True
    host = parts.hostname or ""
    return parts.scheme == "https" and (host == "tng-project.org" or host.endswith(".tng-project.org"))


def ask(spec: TngSpec, errand: Errand) -> Answer | Path:
    """Download; the answer to a listing is a table, that to the others a folder that the SUBFIND reader reads.

    Raises InputError without a key, or where the API has no such simulation, snapshot, field or chunk.
    """
    if not errand.session.key:
        raise InputError(NO_KEY)
    errand.session.received = unheard
    if spec.what == "listing":
        return _listing(spec, errand)
    return _folder(spec, errand)


# Requests


def _get(errand: Errand, url: str, what: str, **parameters: object) -> requests.Response:
    """One answer of the API, tried again where the connection breaks or the server is busy."""
    if urlsplit(url).hostname in ("www.tng-project.org", "tng-project.org"):
        url = url.replace("http://", "https://", 1)  # the API lists its files without TLS
    for attempt in range(1, ATTEMPTS + 1):
        try:
            texts = {key: str(value) for key, value in parameters.items()}
            response = errand.session.get(url, params=texts, stream=True)  # files are not read into memory
            if response.status_code not in (429, 500, 502, 503, 504) or attempt == ATTEMPTS:
                break
        except (requests.RequestException, OSError) as error:
            if attempt == ATTEMPTS or errand.session.watch.expired or _hopeless(error):
                raise
        errand.session.in_time()
        time.sleep(2.0 ** (attempt - 1))
    if response.status_code == 404:
        raise InputError(f"The TNG API has no {what}; check its name (tng-project.org/data lists them).")
    if response.status_code in (401, 403):
        raise InputError(f"The TNG API refuses the key ({response.status_code}); check {KEY_VARIABLES[0]}.")
    if response.status_code == 400:
        raise InputError(f"The TNG API does not accept the request for {what}: {said(response.text)}.")
    response.raise_for_status()
    return response


def _hopeless(error: BaseException) -> bool:
    """Names that are not known and refused connections do not get better within seconds."""
    return any(word in str(in_one_sentence(error, "")) for word in ("cannot be found", "refuses connections"))


def _json(errand: Errand, url: str, what: str, **parameters: object) -> dict[str, Any]:
    found = _get(errand, url, what, **parameters).json()
    if not isinstance(found, dict):
        raise InputError(f"The TNG API answered the request for {what} with something else; try again later.")
    return found


# Folders of HDF5


def _folder(spec: TngSpec, errand: Errand) -> Path:
    folder = free_name(errand.folder, f"tng {spec.simulation} groups {spec.snapshot:03d} {spec.what}")
    partial = hidden(folder)
    partial.mkdir()
    try:
        (_chunks if spec.what == "chunks" else _fields)(spec, errand, partial)
        answer = Answer(
            table=pa.table({}),
            name=question(spec),
            service="TNG",
            url=spec.catalog_url,
            query=question(spec),
            library=library("requests"),
        )
        rows = sum(_subhalos(path) for path in partial.glob("*.hdf5"))
        kept = provenance(answer, spec, rows)
        (partial / "provenance.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _chunks(spec: TngSpec, errand: Errand, folder: Path) -> None:
    """The chunks as the API stores them, under the names they have there."""
    listed = _json(errand, spec.catalog_url, f"group catalog of {spec.simulation}, snapshot {spec.snapshot}")
    urls: dict[int, str] = {}
    for url in listed.get("files") or ():
        if found := re.search(r"\.(\d+)\.hdf5$", str(url)):
            urls[int(found[1])] = str(url)
    if not urls:
        raise InputError(f"The TNG API lists no chunks for {spec.simulation}, snapshot {spec.snapshot}; try another.")
    wanted = sorted(urls) if spec.chunks is None else sorted(set(spec.chunks))
    if missing := [number for number in wanted if number not in urls]:
        raise InputError(
            f"{spec.simulation} has no chunk {missing[0]} at snapshot {spec.snapshot}; its chunks are"
            f" {ranges(tuple(urls))}."
        )
    for done, number in enumerate(wanted):
        path = folder / f"fof_subhalo_tab_{spec.snapshot:03d}.{number}.hdf5"
        _download(errand, urls[number], path, f"chunk {number} of {spec.simulation}", done / len(wanted), len(wanted))


def _fields(spec: TngSpec, errand: Errand, folder: Path) -> None:
    """Single fields of the whole catalog, joined into one file with the header that such downloads lack."""
    simulation = _json(errand, f"{API}/{spec.simulation}/", f"simulation '{spec.simulation}'")
    snapshot = _json(errand, spec.snapshot_url, f"snapshot {spec.snapshot} of {spec.simulation}")
    joined = folder / f"fof_subhalo_tab_{spec.snapshot:03d}.0.hdf5"
    single = folder / "field.part"
    lengths: dict[str, int] = {}
    with h5py.File(joined, "x") as file:
        for done, name in enumerate(spec.fields):
            kind = "Subhalo" if name.startswith("Subhalo") else "Group"
            what = f"field '{name}' of {spec.simulation}"
            _download(errand, spec.catalog_url, single, what, done / len(spec.fields), len(spec.fields), **{kind: name})
            with h5py.File(single) as source:
                field = source.get(f"{kind}/{name}")
                if not isinstance(field, h5py.Dataset) or not field.shape or field.external or field.is_virtual:
                    raise InputError(f"The TNG API sent a file without the {what}; leave that field out.")
                if lengths.setdefault(kind, field.shape[0]) != field.shape[0]:
                    raise InputError(f"The {what} has another length than the fields before; try again later.")
                source.copy(field, file.require_group(kind), name)
            single.unlink()
        header = file.create_group("Header").attrs
        header["BoxSize"], header["HubbleParam"] = float(simulation["boxsize"]), float(simulation["hubble"])
        header["Redshift"] = float(snapshot["redshift"])
        header["Time"] = 1 / (1 + header["Redshift"])
        header["NumFiles"] = 1
        for kind, count in (("Nsubgroups", lengths.get("Subhalo", 0)), ("Ngroups", lengths.get("Group", 0))):
            header[f"{kind}_ThisFile"] = header[f"{kind}_Total"] = count


def _download(errand: Errand, url: str, path: Path, what: str, start: float, parts: int, **parameters: object) -> None:
    """One HDF5 file; `start` is the share of all parts that is done."""
    session = errand.session

    def received(got: int, announced: int) -> None:
        room = shutil.disk_usage(path.parent).free
        if max(announced, got) - got + _ROOM > room:
            raise InputError(
                f"The {what} does not fit on the disk ({got >> 20} MiB so far); make room or ask for less."
            )
        share = got / announced if announced else 0.5
        errand.report(start + share / parts, f"{what[:1].upper()}{what[1:]}: {got / 1e6:.1f} MB")

    session.received = received
    response = _get(errand, url, what, **parameters)
    with path.open("wb") as file:
        shutil.copyfileobj(response.raw, file)
    response.close()
    session.received = unheard
    if not h5py.is_hdf5(path):
        head = path.read_bytes()[:400].decode("utf-8", "replace")
        raise InputError(f"The TNG API sent no HDF5 file for the {what} but: {said(head) or 'nothing'}.")


def _subhalos(path: Path) -> int:
    with h5py.File(path) as file:
        header = file["Header"].attrs if "Header" in file else {}
        return int(header.get("Nsubgroups_ThisFile", 0))


# Listing


def _listing(spec: TngSpec, errand: Errand) -> Answer:
    """The largest subhalos that pass the filters, each with its record, where its position is."""
    simulation = _json(errand, f"{API}/{spec.simulation}/", f"simulation '{spec.simulation}'")
    snapshot = _json(errand, spec.snapshot_url, f"snapshot {spec.snapshot} of {spec.simulation}")
    results: list[dict[str, Any]] = []
    count = 1
    while len(results) < min(spec.rows, count):
        page = _json(
            errand,
            f"{spec.snapshot_url}subhalos/",
            f"subhalos of {spec.simulation}",
            limit=min(_PAGE, spec.rows - len(results)),
            offset=len(results),
            order_by="-mass_stars",
            **spec.filters,
        )
        count = int(page.get("count", 0))
        found = page.get("results") or []
        if not found:
            break
        results += found
    records = []
    for done, result in enumerate(results):
        errand.report(done / len(results), f"Subhalo {done + 1} of {len(results)}")
        records.append(_json(errand, f"{spec.snapshot_url}subhalos/{int(result['id'])}/", f"subhalo {result['id']}"))
    names = [
        name
        for name in (records[0] if records else {})
        if all(isinstance(record.get(name), int | float) for record in records)
    ]
    columns = {name: pa.array([record[name] for record in records]) for name in names}
    schema = pa.schema(
        [pa.field(name, column.type, metadata=described(_unit(name))) for name, column in columns.items()]
    )
    return Answer(
        table=pa.Table.from_arrays(list(columns.values()), schema=schema),
        name=question(spec),
        service="TNG",
        url=f"{spec.snapshot_url}subhalos/",
        query=question(spec),
        library=library("requests"),
        truncated=count > len(records),
        facts={
            "box": float(simulation["boxsize"]),
            "box_unit": "ckpc/h",
            "periodic": True,
            "h": float(simulation["hubble"]),
            "redshift": float(snapshot["redshift"]),
        },
    )


def _unit(name: str) -> str:
    return next((unit for pattern, unit in _UNITS if re.fullmatch(pattern, name)), "")
