"""VizieR: what is sent, what comes back with its units, how mistakes are told."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import astropy.config
import astroquery.vizier
import numpy as np
import pytest

from gnnlib.catalog import read_catalog
from gnnlib.catalog.sources import fetch, make_spec
from gnnlib.errors import InputError
from tests.catalog.sources import votable
from tests.catalog.sources.loopback import Asked, Reply, Server

FIELDS = [
    ("_RAJ2000", "double", "deg", "Right ascension (computed by VizieR)"),
    ("_DEJ2000", "double", "deg", "Declination (computed by VizieR)"),
    ("ID", "char", "", "2MASS identifier"),
    ("cz", "int", "km/s", "Redshift in velocity units"),
    ("e_cz", "short", "km/s", "Uncertainty in cz"),
    ("Ktmag", "float", "mag", "Extrapolated K magnitude"),
    ("logM", "float", "[solMass]", "Stellar mass"),
]
ROWS = [
    (10.684708, 41.268750, "00424433+4116074", -300, 4, 0.797, 10.9),
    (11.888060, -25.288220, "00473313-2517196", 243, 2, 3.765, None),
    (189.207567, 13.162869, "12364981+1309463", 2235, None, 5.5, 11.25),
]


@pytest.fixture
def vizier(
    serve: Callable[..., Server], certificate: ssl.SSLContext, loopback_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Reply | str], Server]:
    """Puts astroquery in front of a server that gives one answer to everything."""

    def start(answer: Reply | str) -> Server:
        reply = answer if isinstance(answer, Reply) else Reply(answer, kind="text/xml")
        server = serve(lambda asked: reply, tls=certificate)
        monkeypatch.setattr(
            astroquery.vizier, "conf", SimpleNamespace(server=server.host)
        )  # the real one knows mirrors
        return server

    return start


def galaxies(rows: list[tuple[object, ...]] = ROWS) -> str:
    return votable.document(votable.resource(votable.table("J/ApJS/199/26/table3", FIELDS, rows), name="J/ApJS/199/26"))


def asked_for(asked: Asked) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in asked.body.split("\n"))


def test_values_units_and_gaps_are_those_served(vizier: Callable[..., Server], tmp_path: Path) -> None:
    vizier(galaxies())
    catalog = read_catalog(fetch(make_spec("vizier", catalog="J/ApJS/199/26/table3"), tmp_path))
    np.testing.assert_array_equal(catalog.values("_RAJ2000"), [row[0] for row in ROWS])
    np.testing.assert_array_equal(catalog.values("cz"), [-300, 243, 2235])
    assert catalog.values("cz").dtype.kind == "i"
    np.testing.assert_array_equal(catalog.values("e_cz"), [4, 2, np.nan])
    np.testing.assert_allclose(catalog.values("Ktmag"), [0.797, 3.765, 5.5], rtol=1e-6)
    np.testing.assert_allclose(catalog.values("logM"), [10.9, np.nan, 11.25], rtol=1e-6)
    assert list(catalog.values("ID")) == [row[2] for row in ROWS]
    units = {name: column.unit for name, column in catalog.columns.items()}
    assert units["_RAJ2000"] == "deg" and units["Ktmag"] == "mag"
    assert units["cz"].replace(" ", "") == "km/s"
    assert units["logM"].startswith("dex(")
    assert not catalog.columns["cz"].inferred
    assert catalog.columns["cz"].description == "Redshift in velocity units"


def test_provenance_says_what_was_asked_and_when(vizier: Callable[..., Server], tmp_path: Path) -> None:
    server = vizier(galaxies())
    spec = make_spec("vizier", catalog="J/ApJS/199/26/table3", constraints={"cz": "<5000"}, rows=1000)
    path = fetch(spec, tmp_path)
    provenance = read_catalog(path).provenance
    assert provenance["service"] == "VizieR"
    assert provenance["url"] == f"https://{server.host}/viz-bin/votable"
    assert "-source=J/ApJS/199/26/table3" in str(provenance["query"]) and "cz=<5000" in str(provenance["query"])
    assert str(provenance["date"]).endswith("Z") and str(provenance["date"])[:3] == "202"
    assert provenance["rows"] == 3 and provenance["truncated"] is False
    assert str(provenance["library"]).startswith("astroquery ")
    assert make_spec(**provenance["spec"]) == spec  # type: ignore[arg-type]
    assert path.parent == tmp_path and path.name.startswith("vizier-j-apjs-199-26-table3")


def test_what_is_sent_is_what_was_asked(vizier: Callable[..., Server], tmp_path: Path) -> None:
    server = vizier(galaxies())
    spec = make_spec(
        "vizier",
        catalog="J/ApJS/199/26/table3",
        cone={"ra": 194.95, "dec": -27.98, "radius": 1.5},
        constraints={"cz": "500..6000", "Ktmag": "<11"},
        columns=("ID", "cz"),
        rows=77,
    )
    fetch(spec, tmp_path)
    (asked,) = server.asked
    sent = asked_for(asked)
    assert (asked.method, asked.path) == ("POST", "/viz-bin/votable")
    assert sent["-source"] == "J/ApJS/199/26/table3"
    assert sent["-out"] == "ID,cz" and sent["-out.add"] == "_RAJ2000,_DEJ2000"
    assert sent["cz"] == "500..6000" and sent["Ktmag"] == "<11"
    assert sent["-out.max"] == "78"  # one more than asked, to know whether there are more
    ra, dec = sent["-c"].replace("-", " -").split()
    assert float(ra) == pytest.approx(194.95, abs=1e-6) and float(dec) == pytest.approx(-27.98, abs=1e-6)
    assert float(sent["-c.rd"]) == 1.5


def test_more_rows_than_asked_for_are_cut_and_said(vizier: Callable[..., Server], tmp_path: Path) -> None:
    vizier(galaxies())
    catalog = read_catalog(fetch(make_spec("vizier", catalog="J/ApJS/199/26/table3", rows=2), tmp_path))
    assert list(catalog.values("cz")) == [-300, 243]
    assert catalog.provenance["truncated"] is True
    assert any("VizieR has more rows" in sentence and "first 2 " in sentence for sentence in catalog.warnings)


def test_exactly_the_rows_asked_for_are_not_called_cut(vizier: Callable[..., Server], tmp_path: Path) -> None:
    vizier(galaxies())
    catalog = read_catalog(fetch(make_spec("vizier", catalog="J/ApJS/199/26/table3", rows=3), tmp_path))
    assert catalog.provenance["truncated"] is False
    assert not any("more rows" in sentence for sentence in catalog.warnings)


def test_of_several_tables_the_longest_is_taken_and_the_others_are_named(
    vizier: Callable[..., Server], tmp_path: Path
) -> None:
    small = votable.table("J/ApJS/199/26/table9", FIELDS[:2], [ROWS[0][:2]])
    large = votable.table("J/ApJS/199/26/table3", FIELDS, ROWS)
    vizier(votable.document(votable.resource(small, large, name="J/ApJS/199/26")))
    catalog = read_catalog(fetch(make_spec("vizier", catalog="J/ApJS/199/26"), tmp_path))
    assert len(catalog) == 3
    assert any("table9" in sentence for sentence in catalog.warnings)


EMPTY = votable.document(votable.resource(votable.table("J/ApJS/199/26/table3", FIELDS, []), name="J/ApJS/199/26"))
UNKNOWN = votable.document(votable.info("Errors", "", "**** No catalogue found for -source=J/no/such", ID="Errors"))
NOTHING = votable.document(votable.info("-source", "J/no/such"))
STATUS = votable.document(votable.resource(votable.info("QUERY_STATUS", "ERROR", "bad constraint"), kind="results"))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (EMPTY, "no row that fits"),
        (UNKNOWN, "VizieR reports: No catalogue found"),
        (NOTHING, "no catalogue 'J/no/such'"),
        (STATUS, "bad constraint"),
        ("<html><body><h1>Maintenance</h1></body></html>", "Maintenance"),
        (galaxies()[:900], "not understood"),
        (Reply("busy", 503), "failure of its own (503)"),
        (Reply("slow down", 429), "too often"),
        (Reply(galaxies(), announced=10**6), "broke the connection"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_no_file(
    vizier: Callable[..., Server], tmp_path: Path, answer: Reply | str, words: str
) -> None:
    vizier(answer)
    folder = tmp_path / "data"
    with pytest.raises(InputError) as caught:
        fetch(make_spec("vizier", catalog="J/no/such"), folder)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_the_private_network_is_not_asked(
    vizier: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = vizier(galaxies())
    monkeypatch.delenv("FILAMENT_ALLOW_PRIVATE_HOSTS")
    with pytest.raises(InputError, match="private network"):
        fetch(make_spec("vizier", catalog="J/ApJS/199/26/table3"), tmp_path)
    assert server.asked == []


def test_nothing_is_kept_as_a_pickle(
    vizier: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """astroquery would cache answers as pickles in astropy's cache folder and unpickle them the next time."""
    vizier(galaxies())
    (tmp_path / "cache").mkdir()
    spec = make_spec("vizier", catalog="J/ApJS/199/26/table3", cone={"ra": 1, "dec": 2, "radius": 3})
    with astropy.config.set_temp_cache(tmp_path / "cache"):
        fetch(spec, tmp_path / "data")
        fetch(make_spec("vizier", catalog="J/ApJS/199/26/table3"), tmp_path / "data")
    assert list((tmp_path / "cache").rglob("*.pickle")) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"catalog": "J/ApJS 199"}, "not the id of a VizieR catalogue"),
        ({"catalog": "x\n-out.max=unlimited"}, "not the id of a VizieR catalogue"),
        ({"catalog": "V/139", "constraints": {"cz": "<5\n-out.max=unlimited"}}, "of several lines"),
        ({"catalog": "V/139", "constraints": {"-out.max": "9"}}, "not the name of a VizieR column"),
        ({"catalog": "V/139", "columns": ("a,b\n",)}, "not the name of a VizieR column"),
        ({"catalog": "V/139", "cone": {"ra": 361, "dec": 0, "radius": 1}}, "'cone ra' should be less than 360"),
        ({"catalog": "V/139", "cone": {"ra": 1, "dec": 0, "radius": 0}}, "greater than 0"),
        ({"catalog": "V/139", "rows": 0}, "'rows' should be greater than"),
        ({"catalog": "V/139", "colour": "red"}, "'colour'"),
        ({}, "'catalog'"),
    ],
)
def test_a_question_that_makes_no_sense_is_not_asked(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        make_spec("vizier", **fields)
    assert words in str(caught.value) and str(caught.value).endswith(".") and "\n" not in str(caught.value)
