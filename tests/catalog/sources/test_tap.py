"""TAP: what is sent, whether an answer was cut, and a service's own words about a mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gnnlib.catalog import read_catalog
from gnnlib.catalog.sources import fetch, make_spec
from gnnlib.errors import InputError
from tests.catalog.sources import votable
from tests.catalog.sources.loopback import Reply, Server

FIELDS = [
    ("source_id", "long", "", "Unique source identifier"),
    ("ra", "double", "deg", "Right ascension"),
    ("dec", "double", "deg", "Declination"),
    ("parallax", "double", "mas", "Parallax"),
    ("radial_velocity", "float", "km.s**-1", "Radial velocity"),
    ("designation", "char", "", "Name"),
]
ROWS = [
    (4295806720, 44.99615537, 0.00561583, 0.3543, None, "Gaia DR3 4295806720"),
    (5853498713190525696, 217.39232147, -62.67607512, 768.0665, -21.94, "Proxima"),
    (4472832130942575872, 269.44850252, 4.73942005, 546.9759, -110.47, "Barnard"),
]
QUERY = "SELECT TOP 3 *\nFROM gaiadr3.gaia_source"
OK = votable.info("QUERY_STATUS", "OK")
OVERFLOW = votable.info("QUERY_STATUS", "OVERFLOW")


def answer(*after: str, rows: list[tuple[object, ...]] = ROWS) -> str:
    return votable.document(votable.resource(OK, votable.table("results", FIELDS, rows), *after, kind="results"))


Start = Callable[..., Server]


@pytest.fixture
def tap(serve: Callable[..., Server], loopback_allowed: None) -> Start:
    def start(reply: Reply | str) -> Server:
        reply = reply if isinstance(reply, Reply) else Reply(reply, kind="application/x-votable+xml")
        return serve(lambda asked: reply if asked.path == "/tap/sync" else None)

    return start


def test_values_and_units_are_those_served(tap: Start, tmp_path: Path) -> None:
    server = tap(answer())
    catalog = read_catalog(fetch(make_spec("tap", url=f"{server.url}/tap", query=QUERY), tmp_path))
    assert [int(value) for value in catalog.values("source_id")] == [row[0] for row in ROWS]
    for k, name in ((1, "ra"), (2, "dec"), (3, "parallax")):
        np.testing.assert_array_equal(catalog.values(name), [row[k] for row in ROWS])
    np.testing.assert_allclose(catalog.values("radial_velocity"), [np.nan, -21.94, -110.47], rtol=1e-6)
    assert catalog.columns["parallax"].unit == "mas"
    assert catalog.columns["radial_velocity"].unit.replace(" ", "") == "km/s"
    assert catalog.columns["radial_velocity"].description == "Radial velocity"
    assert list(catalog.values("designation"))[1] == "Proxima"


def test_what_is_sent_and_kept(tap: Start, tmp_path: Path) -> None:
    server = tap(answer())
    catalog = read_catalog(fetch(make_spec("tap", url=f"{server.url}/tap/sync/", query=QUERY, rows=50), tmp_path))
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/tap/sync")
    assert "LANG=ADQL" in asked.body and "MAXREC=51" in asked.body and "SELECT+TOP+3" in asked.body
    assert catalog.provenance["query"] == "SELECT TOP 3 * FROM gaiadr3.gaia_source"
    assert catalog.provenance["url"] == f"{server.url}/tap" and catalog.provenance["rows"] == 3
    assert str(catalog.provenance["library"]).startswith("pyvo ")


@pytest.mark.parametrize(
    ("reply", "rows", "cut"),
    [
        (answer(), 100, False),
        (answer(OVERFLOW), 100, True),  # the service's own limit, told after the table
        (answer(), 3, False),
        (answer(), 2, True),
    ],
)
def test_whether_it_was_cut_is_told(tap: Start, tmp_path: Path, reply: str, rows: int, cut: bool) -> None:
    server = tap(reply)
    catalog = read_catalog(fetch(make_spec("tap", url=f"{server.url}/tap", query=QUERY, rows=rows), tmp_path))
    assert len(catalog) == min(rows, 3)
    assert catalog.provenance["truncated"] is cut
    assert any("more rows" in sentence for sentence in catalog.warnings) is cut
    assert any("its own limit" in sentence for sentence in catalog.warnings) is (cut and rows == 100)


ERROR = votable.document(
    votable.resource(
        votable.info("QUERY_STATUS", "ERROR", "Unknown table <b>gaiadr9.gaia_source</b>\n[line 1]"), kind="results"
    )
)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (ERROR, "127.0.0.1 reports: Unknown table gaiadr9.gaia_source"),
        (Reply(ERROR, 400, kind="text/xml"), "reports: Unknown table"),
        (Reply("not a table", 400), "does not accept the question (400)"),
        (Reply("", 401), "refuses access (401)"),
        (Reply("", 500), "failure of its own (500)"),
        (Reply("<html>hello</html>"), "not understood"),
        (answer(rows=[]), "no row that fits"),
        (Reply(answer(), announced=10**6), "broke the connection"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_no_file(
    tap: Start, tmp_path: Path, reply: Reply | str, words: str
) -> None:
    server = tap(reply)
    with pytest.raises(InputError) as caught:
        fetch(make_spec("tap", url=f"{server.url}/tap", query=QUERY), tmp_path)
    assert words in str(caught.value) and "\n" not in str(caught.value) and "<" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_service_elsewhere_on_the_server_is_not_found(tap: Start, tmp_path: Path) -> None:
    server = tap(answer())
    with pytest.raises(InputError, match=r"nothing at this address \(404\)"):
        fetch(make_spec("tap", url=f"{server.url}/other", query=QUERY), tmp_path)


def test_an_internal_service_is_refused(tap: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = tap(answer())
    monkeypatch.delenv("FILAMENT_ALLOW_PRIVATE_HOSTS")
    for url in (f"{server.url}/tap", "http://169.254.169.254/latest/meta-data", "http://[::1]/tap"):
        with pytest.raises(InputError, match="private network"):
            fetch(make_spec("tap", url=url, query=QUERY), tmp_path)
    assert server.asked == []


def test_vectors_become_columns_and_lists_of_any_length_are_left_out(tap: Start, tmp_path: Path) -> None:
    table = (
        '<TABLE><FIELD name="x" datatype="double" unit="kpc"/>'
        '<FIELD name="velocity" datatype="double" arraysize="3" unit="km/s"/>'
        '<FIELD name="members" datatype="int" arraysize="*"/>'
        "<DATA><TABLEDATA><TR><TD>1.5</TD><TD>1 2 3</TD><TD>4 5</TD></TR>"
        "<TR><TD>2.5</TD><TD>4 5 6</TD><TD>6</TD></TR></TABLEDATA></DATA></TABLE>"
    )
    server = tap(votable.document(votable.resource(OK, table, kind="results")))
    catalog = read_catalog(fetch(make_spec("tap", url=f"{server.url}/tap", query=QUERY), tmp_path))
    assert list(catalog.values("velocity_y")) == [2, 5]
    assert catalog.columns["velocity_z"].unit.replace(" ", "") == "km/s"
    assert "members" not in catalog.table and any("members" in sentence for sentence in catalog.warnings)


@pytest.mark.parametrize(
    "fields", [{"url": "ftp://a.org/tap", "query": "x"}, {"url": "https://a.org/tap", "query": " "}]
)
def test_a_question_that_makes_no_sense_is_not_asked(fields: dict[str, object]) -> None:
    with pytest.raises(InputError):
        make_spec("tap", **fields)
