"""SDSS: the SQL of a cone, SkyServer's CSV with its long ids, its complaints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astroquery.sdss import conf

from gnnlib.catalog import read_catalog
from gnnlib.catalog.sources import fetch, make_spec
from gnnlib.errors import InputError
from tests.catalog.sources.loopback import Reply, Server

CSV = """#Table1
specObjID,objID,ra,dec,redshift,zWarning,class,velDisp,petroMag_r
2515642438432647168,1237667323797766776,194.8988,27.9593,0.02394,0,GALAXY,402.1,11.85
11260365170925848577,1237667444048265295,194.9542,27.9741,0.02200,0,GALAXY,null,12.02
2515640239409391616,1237667323797700987,195.0338,27.9770,0.99,4,QSO,0,18.5
"""
COMA = {"ra": 194.95, "dec": 27.98, "radius": 0.5}


@pytest.fixture
def skyserver(
    serve: Callable[..., Server], loopback_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Reply | str], Server]:
    def start(answer: Reply | str) -> Server:
        reply = answer if isinstance(answer, Reply) else Reply(answer, kind="text/plain")
        server = serve(lambda asked: reply)
        monkeypatch.setattr(conf, "skyserver_baseurl", server.url)
        return server

    return start


def test_values_and_units_are_those_served(skyserver: Callable[..., Server], tmp_path: Path) -> None:
    skyserver(CSV)
    catalog = read_catalog(fetch(make_spec("sdss", cone=COMA), tmp_path))
    assert [int(value) for value in catalog.values("specObjID")] == [
        2515642438432647168,
        11260365170925848577,  # more than 2^63, and no double
        2515640239409391616,
    ]
    assert [int(value) for value in catalog.values("objID")][1] == 1237667444048265295
    np.testing.assert_array_equal(catalog.values("ra"), [194.8988, 194.9542, 195.0338])
    np.testing.assert_array_equal(catalog.values("redshift"), [0.02394, 0.022, 0.99])
    np.testing.assert_array_equal(catalog.values("velDisp"), [402.1, np.nan, 0])
    assert list(catalog.values("class")) == ["GALAXY", "GALAXY", "QSO"]
    units = {name: column.unit for name, column in catalog.columns.items()}
    assert (units["ra"], units["dec"], units["petroMag_r"]) == ("deg", "deg", "mag")
    assert units["velDisp"].replace(" ", "") == "km/s" and units["redshift"] == ""


def test_a_cone_is_placed_by_its_redshifts(skyserver: Callable[..., Server], tmp_path: Path) -> None:
    skyserver(CSV)
    catalog = read_catalog(fetch(make_spec("sdss", cone=COMA), tmp_path))
    distance = np.linalg.norm(catalog.positions(), axis=1)
    assert catalog.length_unit == "Mpc"
    assert 80 < distance[1] < distance[0] < 120 < 3000 < distance[2]


def test_the_sql_of_a_cone_holds_its_numbers(skyserver: Callable[..., Server], tmp_path: Path) -> None:
    server = skyserver(CSV)
    fetch(make_spec("sdss", cone=COMA, rows=500, release=16), tmp_path)
    (asked,) = server.asked
    sql = " ".join(asked.query["cmd"].split())
    assert asked.path.lower().startswith("/dr16/") and asked.query["format"] == "csv"
    assert "fGetNearbySpecObjEq(194.95, 27.98, 30.0)" in sql  # arc minutes
    assert "TOP 501 " in sql


def test_sql_is_sent_as_it_is_and_kept(skyserver: Callable[..., Server], tmp_path: Path) -> None:
    server = skyserver(CSV)
    sql = "SELECT TOP 3 ra, dec, z AS redshift\nFROM SpecObj -- all\nWHERE z > 0.02"
    catalog = read_catalog(fetch(make_spec("sdss", sql=sql), tmp_path))
    assert (
        " ".join(server.asked[0].query["cmd"].split())
        == "SELECT TOP 3 ra, dec, z AS redshift FROM SpecObj WHERE z > 0.02"
    )
    assert catalog.provenance["query"] == "SELECT TOP 3 ra, dec, z AS redshift FROM SpecObj -- all WHERE z > 0.02"
    assert catalog.provenance["service"] == "SDSS" and catalog.provenance["rows"] == 3


def test_more_rows_than_asked_for_are_cut_and_said(skyserver: Callable[..., Server], tmp_path: Path) -> None:
    skyserver(CSV)
    catalog = read_catalog(fetch(make_spec("sdss", cone=COMA, rows=2), tmp_path))
    assert len(catalog) == 2 and catalog.provenance["truncated"] is True
    assert any("more rows" in sentence for sentence in catalog.warnings)


def test_columns_of_one_name_stay_apart(skyserver: Callable[..., Server], tmp_path: Path) -> None:
    skyserver("#Table1\nra,dec,z,z\n1.5,2.5,0.1,17.25\n3.5,4.5,0.2,18.5\n")
    catalog = read_catalog(fetch(make_spec("sdss", sql="SELECT s.ra, s.dec, s.z, p.z FROM ..."), tmp_path))
    second = next(name for name in catalog.table.columns if str(name).startswith("z_"))
    assert list(catalog.values("z")) == [0.1, 0.2] and list(catalog.values(str(second))) == [17.25, 18.5]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("#Table1\nspecObjID,ra,dec\n", "no row that fits"),
        ("No objects have been found", "no row that fits"),
        (
            Reply('{"error_code": 500, "error_message": "Incorrect syntax near \'FORM\'."}', 500),
            "SDSS reports: Incorrect syntax near 'FORM'",
        ),
        (
            Reply("<html><head><title>x</title></head><body>SQL returned the error: Invalid object name</body></html>"),
            "Invalid object name",
        ),
        (Reply("down", 503), "failure of its own (503)"),
        ("#Table1\nra,dec\n1,2,3\n", "cannot be read"),
        (Reply(CSV, announced=10**6), "broke the connection"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_no_file(
    skyserver: Callable[..., Server], tmp_path: Path, answer: Reply | str, words: str
) -> None:
    skyserver(answer)
    with pytest.raises(InputError) as caught:
        fetch(make_spec("sdss", cone=COMA), tmp_path)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "fields",
    [{}, {"cone": COMA, "sql": "SELECT 1"}, {"sql": "DROP TABLE SpecObj"}, {"sql": ""}, {"cone": COMA, "release": 3}],
)
def test_a_question_that_makes_no_sense_is_not_asked(fields: dict[str, object]) -> None:
    with pytest.raises(InputError):
        make_spec("sdss", **fields)
