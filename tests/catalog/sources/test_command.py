"""python -m gnnlib fetch: the options become the question, the file is where it was asked for, errors are sentences."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gnnlib.catalog import read_catalog
from gnnlib.cli import main
from tests.catalog.sources import votable
from tests.catalog.sources.loopback import Reply, Server

TABLE = votable.document(
    votable.resource(
        votable.info("QUERY_STATUS", "OK"),
        votable.table("t", [("x", "double", "kpc", ""), ("n", "long", "", "")], [(1.5, 7), (2.5, 8), (3.5, 9)]),
        kind="results",
    )
)


@pytest.fixture
def tap(serve: Callable[..., Server], loopback_allowed: None) -> Server:
    return serve(lambda asked: Reply(TABLE, kind="text/xml") if asked.path == "/tap/sync" else None)


def test_the_answer_lies_where_it_was_asked_for(
    tap: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "stars.parquet"
    assert main(["fetch", "tap", f"{tap.url}/tap", "SELECT * FROM t", "--rows", "2", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "2 rows, 2 columns" in printed.out and "more rows" in printed.err
    assert list(read_catalog(out).values("x")) == [1.5, 2.5]
    assert list(out.parent.iterdir()) == [out]


def test_json_holds_the_provenance(tap: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "stars.parquet"
    assert main(["fetch", "tap", f"{tap.url}/tap", "SELECT * FROM t", "--out", str(out), "--json"]) == 0
    printed = capsys.readouterr()
    summary = json.loads(printed.out)
    assert summary["rows"] == 3 and summary["query"] == "SELECT * FROM t" and summary["path"] == str(out)
    assert printed.err == ""


def test_a_failed_fetch_keeps_the_file_of_before(
    tap: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "stars.parquet"
    out.write_bytes(b"of before")
    assert main(["fetch", "tap", f"{tap.url}/other", "SELECT * FROM t", "--out", str(out)]) == 2
    assert "nothing at this address" in capsys.readouterr().err
    assert out.read_bytes() == b"of before" and list(tmp_path.iterdir()) == [out]


def test_without_network_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "x.parquet")
    assert main(["fetch", "tap", "https://nothing-here.invalid/tap", "SELECT 1", "--out", out, "--json"]) == 2
    error = capsys.readouterr().err
    assert "cannot be found on the network" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (
            ["vizier", "V/154/sdss16", "--cone", "10,-5,0.5", "--constraint", "zsp=>0.1", "--columns", "RA_ICRS,zsp"],
            {
                "catalog": "V/154/sdss16",
                "cone": {"ra": 10.0, "dec": -5.0, "radius": 0.5},
                "constraints": {"zsp": ">0.1"},
                "columns": ["RA_ICRS", "zsp"],
            },
        ),
        (["sdss", "--sql", "SELECT 1", "--release", "16"], {"sql": "SELECT 1", "release": 16, "cone": None}),
        (["hats", "https://a.org/gaia", "--cone", "1,2,3", "--rows", "5"], {"url": "https://a.org/gaia", "rows": 5}),
        (["tng", "TNG50-1", "--what", "chunks", "--chunks", "0-2"], {"what": "chunks", "chunks": [0, 1, 2]}),
        (["tng", "TNG50-1", "--what", "listing", "--filter", "sfr__gt=1"], {"filters": {"sfr__gt": "1"}}),
        (["tng", "TNG50-1", "--snapshot", "67", "--fields", "SubhaloVmax"], {"fields": ["SubhaloPos", "SubhaloVmax"]}),
    ],
)
def test_options_become_the_question(
    arguments: list[str], fields: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def note(spec: object, *_: object) -> Path:
        asked.append(json.loads(spec.model_dump_json()))  # type: ignore[attr-defined]
        path = tmp_path / "answer.csv"
        path.write_text("x,y\n1,2\n3,4\n")
        return path

    monkeypatch.setattr("gnnlib.catalog.sources.command.fetch", note)
    assert main(["fetch", *arguments, "--out", str(tmp_path / "out.csv")]) == 0
    assert asked[0]["service"] == arguments[0]
    assert {name: asked[0][name] for name in fields} == fields


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sdss"], "either for a cone or by SQL"),
        (["hats", "https://a.org/x"], "give --cone"),
        (["hats", "https://a.org/x", "--cone", "1,2"], "not three numbers"),
        (["hats", "https://a.org/x", "--cone", "a,b,c"], "'cone ra'"),
        (["vizier", "V/1", "--constraint", "cz"], "'cz' is not a name"),
        (["tap", "http://10.0.0.1/tap", "SELECT 1"], "private network"),
        (["tng", "TNG100-1"], "need your API key"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FILAMENT_TNG_KEY", raising=False)
    monkeypatch.delenv("TNG_API_KEY", raising=False)
    assert main(["fetch", *arguments, "--out", str(tmp_path / "x"), "--json"]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_in_use_is_not_overwritten(
    tap: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    assert main(["fetch", "tap", f"{tap.url}/tap", "SELECT 1", "--out", str(tmp_path / "folder")]) == 2
    assert "not empty" in capsys.readouterr().err and tap.asked == []
