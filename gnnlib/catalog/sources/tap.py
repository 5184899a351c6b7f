"""Any service of the Virtual Observatory that answers ADQL queries (Table Access Protocol), through pyvo.

The query is sent in the synchronous mode with MAXREC; a service says in QUERY_STATUS whether it cut its answer (DALI).
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import field_validator

from gnnlib.catalog.sources.answer import Answer, from_astropy, left_out_warning, library
from gnnlib.catalog.sources.network import check_url, said
from gnnlib.catalog.sources.specs import Errand, RemoteSpec
from gnnlib.errors import InputError

# Services that many catalogs are found in: name -> (address, a query that gives a catalog).
KNOWN = {
    "Gaia archive (ESA)": (
        "https://gea.esac.esa.int/tap-server/tap",
        "SELECT source_id, ra, dec, parallax, pmra, pmdec, phot_g_mean_mag, bp_rp, radial_velocity\n"
        "FROM gaiadr3.gaia_source\n"
        "WHERE parallax > 15 AND parallax_over_error > 20",
    ),
    "VizieR (CDS)": (
        "https://tapvizier.cds.unistra.fr/TAPVizieR/tap",
        'SELECT "ID", "RAJ2000", "DEJ2000", "cz", "Ktmag"\n'
        'FROM "J/ApJS/199/26/table3"\n'
        'WHERE "cz" BETWEEN 500 AND 6000',
    ),
    "SIMBAD (CDS)": (
        "https://simbad.cds.unistra.fr/simbad/sim-tap",
        "SELECT main_id, ra, dec, rvz_redshift AS redshift, otype\n"
        "FROM basic\n"
        "WHERE otype = 'G..' AND rvz_redshift BETWEEN 0.003 AND 0.02",
    ),
    "IRSA (NASA/IPAC)": (
        "https://irsa.ipac.caltech.edu/TAP",
        "SELECT ra, dec, j_m, h_m, k_m\n"
        "FROM fp_psc\n"
        "WHERE CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 56.75, 24.12, 1.0)) = 1",
    ),
    "GAVO Data Center": (
        "https://dc.g-vo.org/tap",
        "SELECT source_id, ra, dec, parallax, pmra, pmdec, phot_g_mean_mag\nFROM gaia.dr3lite\nWHERE parallax > 20",
    ),
}


class TapSpec(RemoteSpec):
    """url: of the service, without /sync. query: in ADQL."""

    service: Literal["tap"] = "tap"
    url: str
    query: str

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        return check_url(value).removesuffix("/sync").removesuffix("/async")

    @field_validator("query")
    @classmethod
    def _select(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("The ADQL query is empty; write one such as SELECT TOP 100 * FROM gaiadr3.gaia_source.")
        return value.strip()


def question(spec: TapSpec) -> str:
    """The ADQL that is sent."""
    return spec.query


def ask(spec: TapSpec, errand: Errand) -> Answer:
    """Send the query. Raises InputError with the service's own words for ADQL that it does not accept."""
    from pyvo.dal.exceptions import DALQueryError
    from pyvo.dal.tap import TAPResults, TAPService

    host = urlsplit(spec.url).hostname or ""
    query = TAPService(spec.url, session=errand.session).create_query(spec.query, maxrec=spec.rows + 1)
    try:
        results = TAPResults(query.execute_votable(), url=query.queryurl, session=errand.session)
    except DALQueryError as error:
        words = said(str(error)) or "the query is not accepted"
        raise InputError(f"{host} reports: {words}.") from error
    errand.report(0.8, f"Reading the answer of {host}")
    overflow = any(
        (info.name or "").upper() == "QUERY_STATUS" and (info.value or "").upper() == "OVERFLOW"
        for holder in (results.votable, *results.votable.resources, results.resultstable)
        for info in holder.infos
    )
    found = results.to_table()
    table, left_out = from_astropy(found, spec.rows)
    return Answer(
        table=table,
        name="query",
        service=f"TAP {host}",
        url=spec.url,
        query=" ".join(spec.query.split()),
        library=library("pyvo"),
        truncated=overflow or len(found) > spec.rows,
        warnings=left_out_warning(left_out),
    )
