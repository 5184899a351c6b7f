"""VizieR, the library of published catalogues at the CDS, through astroquery.

A table is named by its catalogue id (J/ApJS/199/26/table3); rows are chosen by a cone and by constraints on columns in
VizieR's own syntax (>10, 5..20, =A*), see vizier.cds.unistra.fr/vizier/vizHelp/cst.htx.
"""

from __future__ import annotations

import io
import re
from typing import Any, Literal

from pydantic import Field, field_validator

from gnnlib.catalog.sources.answer import Answer, from_astropy, left_out_warning, library
from gnnlib.catalog.sources.network import said
from gnnlib.catalog.sources.specs import Cone, Errand, RemoteSpec
from gnnlib.errors import InputError


class VizierSpec(RemoteSpec):
    """Rows of one VizieR table.

    catalog: its id, or a catalogue's id, of whose tables the longest answer is taken. cone: None for the whole sky.
    constraints: column -> condition in VizieR's syntax. columns: names; empty for VizieR's default ones.
    """

    service: Literal["vizier"] = "vizier"
    catalog: str
    cone: Cone | None = None
    constraints: dict[str, str] = Field(default_factory=dict)
    columns: tuple[str, ...] = ()

    @field_validator("catalog")
    @classmethod
    def _id(cls, value: str) -> str:
        value = value.strip().strip("/")
        if not re.fullmatch(r"[A-Za-z0-9][\w+/&.\-]*", value, re.ASCII):
            raise ValueError(
                f"'{said(value)}' is not the id of a VizieR catalogue; write one such as J/ApJS/199/26/table3."
            )
        return value

    @field_validator("columns")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_column(name) for name in value)

    @field_validator("constraints")
    @classmethod
    def _conditions(cls, value: dict[str, str]) -> dict[str, str]:
        for name, condition in value.items():
            _column(name)
            if not condition.strip() or re.search(r"[\x00-\x1f\x7f]", condition):
                raise ValueError(f"The constraint on '{name}' is empty or of several lines; write one such as <5000.")
        return {name: condition.strip() for name, condition in value.items()}


def _column(name: str) -> str:
    if not re.fullmatch(r"\*\*?|[\w.()/+*\[\]<>'\"^-]{1,60}", name) or name.startswith("-"):
        raise ValueError(f"'{said(name)}' is not the name of a VizieR column; look at the table's page on VizieR.")
    return name


def question(spec: VizierSpec) -> str:
    """What is asked, in words."""
    parts = [spec.catalog]
    parts += [f"{name} {condition}" for name, condition in spec.constraints.items()]
    if spec.cone:
        parts.append(str(spec.cone))
    return ", ".join(parts)


def ask(spec: VizierSpec, errand: Errand) -> Answer:
    """Ask VizieR. Raises InputError where it reports a mistake or knows no such table."""
    from astropy.coordinates import Angle, SkyCoord
    from astroquery import cache_conf
    from astroquery.vizier import Vizier, conf

    cache_conf.cache_active = False  # astroquery's cache is a folder of pickles; not every method has the argument
    vizier = Vizier(
        columns=[*(spec.columns or ("*",)), "_RAJ2000", "_DEJ2000"],
        column_filters=spec.constraints,
        row_limit=spec.rows + 1,  # one more tells whether there are more
        vizier_server=conf.server,
    )
    vizier._session = errand.session

    def send(payload_only: bool) -> Any:
        if spec.cone is None:
            return vizier.get_catalogs_async(spec.catalog, get_query_payload=payload_only)
        centre = SkyCoord(spec.cone.ra, spec.cone.dec, unit="deg")
        return vizier.query_region_async(
            centre,
            radius=Angle(spec.cone.radius, "deg"),
            frame="icrs",
            catalog=spec.catalog,
            get_query_payload=payload_only,
            cache=False,
        )

    response = send(payload_only=False)
    response.raise_for_status()
    errand.report(0.8, "Reading VizieR's answer")
    tables = _tables(response.content, spec)
    chosen = next((table for table in tables if table.name == spec.catalog), tables[0])
    others = [table.name for table in tables if table is not chosen]
    table, left_out = from_astropy(chosen.to_table(use_names_over_ids=True), spec.rows)
    warnings = left_out_warning(left_out)
    if others:
        warnings += (
            f"{spec.catalog} has {len(tables)} tables with rows that fit; {chosen.name} was taken, the others are"
            f" {', '.join(others[:6])}.",
        )
    return Answer(
        table=table,
        name=question(spec).replace(spec.catalog, chosen.name or spec.catalog, 1),
        service="VizieR",
        url=f"https://{conf.server}/viz-bin/votable",
        query=send(payload_only=True).replace("\n", "&"),
        library=library("astroquery"),
        truncated=len(chosen.array) > spec.rows,
        warnings=warnings,
    )


def _tables(content: bytes, spec: VizierSpec) -> list[Any]:
    """The tables with rows, the longest first."""
    from astropy.io.votable import parse

    if b"<VOTABLE" not in content[:4096]:
        raise InputError(f"VizieR sent no table but: {said(content[:2000].decode('utf-8', 'replace'))}.")
    votable = parse(io.BytesIO(content), verify="ignore", invalid="mask")
    infos = [*votable.infos, *(info for resource in votable.resources for info in resource.infos)]
    for info in infos:
        text = f"{info.value or ''} {info.content or ''}"
        if (info.ID or info.name) == "Errors" and "****" in (info.content or ""):
            raise InputError(f"VizieR reports: {said((info.content or '').replace('*', ' '))}.")
        if (info.name or "").upper() == "QUERY_STATUS" and (info.value or "").upper() == "ERROR":
            raise InputError(f"VizieR reports: {said(text)}.")
    tables = sorted((table for table in votable.iter_tables() if len(table.array)), key=lambda table: -len(table.array))
    if tables:
        return tables
    if votable.resources:
        raise InputError(f"VizieR has no row that fits ({question(spec)}); widen the cone or the constraints.")
    raise InputError(
        f"VizieR has no catalogue '{spec.catalog}', or nothing of it there; look its id up on vizier.cds.unistra.fr."
    )
