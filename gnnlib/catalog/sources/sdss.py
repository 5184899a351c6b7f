"""The database of the Sloan Digital Sky Survey (SkyServer), through astroquery: a cone of spectra, or any SQL.

Columns and functions are those of the SDSS schema browser, skyserver.sdss.org/dr17/MoreTools/browser.
"""

from __future__ import annotations

import io
import json
import re
from typing import Literal

import pyarrow as pa
from pyarrow import csv
from pydantic import Field, model_validator

from gnnlib.catalog.sources.answer import Answer, described, library
from gnnlib.catalog.sources.network import said, status_sentence
from gnnlib.catalog.sources.specs import Cone, Errand, RemoteSpec
from gnnlib.errors import InputError

# What columns of the SDSS tables mean; not `z`, which is a redshift in one table and a magnitude in another.
_MEANING = {
    "ra": ("deg", "right ascension (J2000)"),
    "dec": ("deg", "declination (J2000)"),
    "redshift": ("", "spectroscopic redshift, heliocentric (SpecObj.z)"),
    "zerr": ("", "error of the redshift"),
    "zwarning": ("", "0 where nothing is known to be wrong with the redshift"),
    "veldisp": ("km/s", "velocity dispersion"),
    "petrorad_r": ("arcsec", "Petrosian radius in r"),
    "specobjid": ("", "id of the spectrum"),
    "objid": ("", "id of the object in the photometric catalog"),
}
_MAGNITUDE = re.compile(r"(petro|model|cmodel|psf|fiber|fiber2|dered|extinction)(mag)?_?[ugriz]")
_ID = re.compile(r"(spec|best|photo|flux|near|neighbor)?obj(ect)?id|(plate|field)id")


class SdssSpec(RemoteSpec):
    """A cone of spectra with the photometry of their objects, or a query of one's own; one of the two.

    sql: one SELECT in SkyServer's dialect. release: number of the data release.
    """

    service: Literal["sdss"] = "sdss"
    cone: Cone | None = None
    sql: str | None = None
    release: int = Field(default=17, ge=8, le=17)

    @model_validator(mode="after")
    def _one_question(self) -> SdssSpec:
        if (self.cone is None) == (self.sql is None):
            raise ValueError("SDSS is asked either for a cone or by SQL; give one of the two.")
        if self.sql is not None and not re.match(r"(?is)\s*(--[^\n]*\s+)*(select|with)\s", self.sql):
            raise ValueError("The SQL for SDSS must be one query that begins with SELECT.")
        return self


def question(spec: SdssSpec) -> str:
    """The SQL that is sent."""
    if spec.sql is not None:
        return spec.sql.strip()
    assert spec.cone is not None
    photometry = ", ".join(f"p.petroMag_{band}" for band in "ugriz")
    return (
        f"SELECT TOP {spec.rows + 1} s.specObjID, s.bestObjID AS objID, s.ra, s.dec, s.z AS redshift, s.zErr,"
        f" s.zWarning, s.class, s.subClass, s.velDisp, {photometry}, p.extinction_r, p.petroRad_r"
        f" FROM dbo.fGetNearbySpecObjEq({spec.cone.ra!r}, {spec.cone.dec!r}, {60 * spec.cone.radius!r}) AS near"
        " JOIN SpecObj AS s ON s.specObjID = near.specObjID"
        " LEFT JOIN PhotoObj AS p ON p.objID = s.bestObjID"
    )


def ask(spec: SdssSpec, errand: Errand) -> Answer:
    """Ask SkyServer. Raises InputError with the server's own words for SQL that it does not accept."""
    from astroquery.sdss import SDSS, conf

    sdss = SDSS()
    sdss._session = errand.session
    sql = question(spec)
    response = sdss.query_sql_async(sql, data_release=spec.release, cache=False)
    words = _complaint(response.text) if not response.ok or response.text.lstrip()[:1] in "{[<" else ""
    if words:
        raise InputError(f"SDSS reports: {words}.")
    if not response.ok:
        raise InputError(f"SDSS {status_sentence(response.status_code)}")
    errand.report(0.8, "Reading the answer of SDSS")
    table = _read(response.content, spec)
    return Answer(
        table=table.slice(0, spec.rows),
        name=f"DR{spec.release} spectra {spec.cone}" if spec.cone else f"DR{spec.release} query",
        service="SDSS",
        url=conf.skyserver_baseurl,
        query=" ".join(sql.split()),
        library=library("astroquery"),
        truncated=table.num_rows > spec.rows,
    )


def _complaint(text: str) -> str:
    """The server's words about a mistake: JSON with `error_message`, or a web page."""
    if found := re.search(r'(?i)"?error_?message"?\s*:\s*("(?:[^"\\]|\\.)*")', text[:20000]):
        try:
            return said(json.loads(found[1], strict=False))
        except ValueError:
            return said(found[1])
    if re.search(r"(?i)<html|<!doctype", text[:2000]):
        return said(re.sub(r"(?is)<head.*?</head>", " ", text[:20000])) or "a web page instead of a table"
    return said(text[:2000]) if text.lstrip()[:1] in ("{", "[") else ""


def _read(content: bytes, spec: SdssSpec) -> pa.Table:
    """SkyServer's CSV: a line `#Table1`, the header, the rows. Ids have 19 or 20 digits and stay whole numbers."""
    lines = content.lstrip(b"\xef\xbb\xbf\r\n ")
    while lines.startswith(b"#"):
        lines = lines.partition(b"\n")[2]
    header, _, rows = lines.partition(b"\n")
    if not rows.strip() or header.lower().startswith(b"no "):  # "No objects have been found"
        where = f" {spec.cone}" if spec.cone else ""
        raise InputError(f"SDSS has no row that fits{where}; widen the cone or the conditions.")
    names: list[str] = []
    for name in (part.strip().strip('"') or "column" for part in header.decode("utf-8", "replace").split(",")):
        names.append(name if name not in names else f"{name}_{names.count(name) + len(names)}")
    whole = {name: pa.uint64() for name in names if _ID.fullmatch(name.lower())}
    try:
        table = csv.read_csv(
            io.BytesIO(lines),
            read_options=csv.ReadOptions(column_names=names, skip_rows=1),
            convert_options=csv.ConvertOptions(
                column_types=whole, null_values=["", "null", "NULL"], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        raise InputError(
            f"SDSS sent a table that cannot be read ({said(str(error))[:100]}); name its columns one by one."
        ) from error
    fields = []
    for field in table.schema:
        low = field.name.lower()
        meaning = described("mag") if _MAGNITUDE.fullmatch(low) else described(*_MEANING.get(low, ("", "")))
        fields.append(field.with_metadata(meaning) if meaning else field)
    return table.cast(pa.schema(fields))
