"""The TNG API: chunks, fields and records come back as they were served, and the key is nowhere but in the header."""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from gnnlib.catalog import read_catalog
from gnnlib.catalog.sources import fetch, make_spec, tng_api
from gnnlib.errors import InputError
from tests.catalog.sources.loopback import Asked, Reply, Server, redirect

KEY = "5ecret0f7ng5ecret0f7ng5ecret0f7n"
H = 0.6774
BOX = 75000.0  # ckpc/h
SUBHALOS = (5, 0, 3)  # in each of three chunks
N = sum(SUBHALOS)
SIMULATION = {"name": "TNG100-3", "boxsize": BOX, "hubble": H, "num_files_groupcat": 3, "omega_0": 0.3089}


@pytest.fixture(scope="module")
def whole() -> dict[str, np.ndarray]:
    """The fields of the whole catalog: three groups, the first subhalo of each its central."""
    rng = np.random.default_rng(3)
    return {
        "SubhaloPos": rng.uniform(0, BOX, (N, 3)).astype(np.float32),
        "SubhaloVel": rng.normal(0, 200, (N, 3)).astype(np.float32),
        "SubhaloMassType": rng.uniform(1, 100, (N, 6)).astype(np.float32),
        "SubhaloVmax": rng.uniform(50, 400, N).astype(np.float32),
        "SubhaloGrNr": np.array([0, 0, 0, 1, 1, 2, 2, 2], dtype=np.int32),
        "SubhaloFlag": np.array([1, 1, 0, 1, 1, 1, 1, 1], dtype=np.uint8),
        "GroupFirstSub": np.array([0, 3, 5], dtype=np.int32),
        "GroupNsubs": np.array([3, 2, 3], dtype=np.int32),
        "Group_M_Crit200": np.array([500.0, 100.0, 50.0], dtype=np.float32),
    }


def hdf5(tables: dict[str, np.ndarray], header: dict[str, float] | None = None) -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for name, values in tables.items():
            file[f"{'Subhalo' if name.startswith('Subhalo') else 'Group'}/{name}"] = values
        if header is not None:
            file.create_group("Header").attrs.update(header)
    return memory.getvalue()


def chunk(whole: dict[str, np.ndarray], number: int) -> bytes:
    """One chunk: its part of the subhalos; all groups are in the first."""
    start = sum(SUBHALOS[:number])
    rows = slice(start, start + SUBHALOS[number])
    tables = {name: values[rows] for name, values in whole.items() if name.startswith("Subhalo") and SUBHALOS[number]}
    if number == 0:
        tables |= {name: values for name, values in whole.items() if name.startswith("Group")}
    header = {"BoxSize": BOX, "HubbleParam": H, "Time": 1.0, "Redshift": 0.0, "NumFiles": 3}
    header |= {"Nsubgroups_ThisFile": SUBHALOS[number], "Ngroups_ThisFile": 3 if number == 0 else 0}
    return hdf5(tables, header)


def record(whole: dict[str, np.ndarray], row: int) -> dict[str, object]:
    found: dict[str, object] = {"id": row, "snap": 99, "related": {"sublink": "http://..."}, "desc_sfid": -1}
    found |= {f"pos_{axis}": float(whole["SubhaloPos"][row, k]) for k, axis in enumerate("xyz")}
    found |= {f"vel_{axis}": float(whole["SubhaloVel"][row, k]) for k, axis in enumerate("xyz")}
    found |= {"spin_x": 12.5, "sfr": 3.25}
    return found | {"mass_stars": float(whole["SubhaloMassType"][row, 4]), "vmax": float(whole["SubhaloVmax"][row])}


class Api:
    """The API of one simulation. Every request without the key is refused. data: where chunks are redirected to."""

    def __init__(self, whole: dict[str, np.ndarray]):
        self.whole = whole
        self.data = ""
        self.failures: dict[str, list[Reply]] = {}  # path -> answers before the right one

    def __call__(self, asked: Asked) -> Reply | None:
        if asked.headers.get("api-key") != KEY:
            return Reply('{"detail": "Authentication credentials were not provided."}', 403)
        if waiting := self.failures.get(asked.path):
            return waiting.pop(0)
        root = "/api/TNG100-3"
        if asked.path == f"{root}/":
            return Reply(json.dumps(SIMULATION), kind="application/json")
        if asked.path == f"{root}/snapshots/99/":
            return Reply(json.dumps({"number": 99, "redshift": 2.220446049250313e-16}), kind="application/json")
        if asked.path == f"{root}/files/groupcat-99/" and not asked.query:
            base = f"http://{asked.headers['host']}{root}/files/groupcat-99"
            return Reply(json.dumps({"files": [f"{base}.{k}.hdf5" for k in range(3)]}), kind="application/json")
        if asked.path == f"{root}/files/groupcat-99/":
            (name,) = asked.query.values()
            return Reply(hdf5({name: self.whole[name]})) if name in self.whole else None
        for k in range(3):
            if asked.path == f"{root}/files/groupcat-99.{k}.hdf5":
                return redirect(f"{self.data}/{k}") if self.data else Reply(chunk(self.whole, k))
        if asked.path == f"{root}/snapshots/99/subhalos/":
            order = np.argsort(-self.whole["SubhaloMassType"][:, 4])
            first, count = int(asked.query["offset"]), int(asked.query["limit"])
            results = [{"id": int(row), "url": "http://elsewhere/"} for row in order[first : first + count]]
            return Reply(json.dumps({"count": N, "results": results}), kind="application/json")
        for row in range(N):
            if asked.path == f"{root}/snapshots/99/subhalos/{row}/":
                return Reply(json.dumps(record(self.whole, row)), kind="application/json")
        return None


@pytest.fixture
def api(whole: dict[str, np.ndarray]) -> Api:
    return Api(whole)


@pytest.fixture
def server(serve: Callable[..., Server], api: Api, loopback_allowed: None, monkeypatch: pytest.MonkeyPatch) -> Server:
    started = serve(api)
    monkeypatch.setattr(tng_api, "API", f"{started.url}/api")
    monkeypatch.setattr(tng_api.time, "sleep", lambda seconds: None)
    for name in tng_api.KEY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return started


def test_chunks_are_stored_as_they_are_and_read(server: Server, whole: dict[str, np.ndarray], tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    spec = make_spec("tng", simulation="TNG100-3", what="chunks")
    path = fetch(spec, tmp_path, lambda share, what: told.append((share, what)), key=KEY)
    assert path.is_dir() and path.parent == tmp_path
    assert (path / "fof_subhalo_tab_099.2.hdf5").read_bytes() == chunk(whole, 2)
    catalog = read_catalog(path)
    np.testing.assert_allclose(catalog.positions(), whole["SubhaloPos"] / 1000 / H, rtol=1e-6)
    np.testing.assert_allclose(catalog.box, [BOX / 1000 / H] * 3)
    assert list(catalog.values("is_central")) == [True, False, False, True, False, True, False, False]
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert any("Chunk 2 of TNG100-3" in what for _, what in told)


def test_some_chunks(server: Server, whole: dict[str, np.ndarray], tmp_path: Path) -> None:
    path = fetch(make_spec("tng", simulation="TNG100-3", what="chunks", chunks=(0, 1)), tmp_path, key=KEY)
    catalog = read_catalog(path)
    assert len(catalog) == SUBHALOS[0]
    assert any("2 of the 3 chunks" in sentence for sentence in catalog.warnings)
    assert not any(asked.path.endswith(".2.hdf5") for asked in server.asked)


def test_fields_are_joined_into_a_catalog(server: Server, whole: dict[str, np.ndarray], tmp_path: Path) -> None:
    fields = ("SubhaloMassType", "SubhaloGrNr", "GroupFirstSub", "GroupNsubs", "Group_M_Crit200")
    path = fetch(make_spec("tng", simulation="TNG100-3", what="fields", fields=fields), tmp_path, key=KEY)
    catalog = read_catalog(path)
    np.testing.assert_allclose(catalog.positions(), whole["SubhaloPos"] / 1000 / H, rtol=1e-6)
    np.testing.assert_allclose(
        catalog.physical("SubhaloMassType_stars")[0], whole["SubhaloMassType"][:, 4] * 1e10 / H, rtol=1e-6
    )
    np.testing.assert_allclose(
        catalog.physical("Group_M_Crit200")[0], whole["Group_M_Crit200"][whole["SubhaloGrNr"]] * 1e10 / H, rtol=1e-6
    )
    assert list(catalog.values("is_central")) == [True, False, False, True, False, True, False, False]
    assert catalog.h == pytest.approx(H) and catalog.periodic
    assert "SubhaloVmax" not in catalog.table
    assert sorted(entry.name for entry in path.iterdir()) == ["fof_subhalo_tab_099.0.hdf5", "provenance.json"]


@pytest.mark.parametrize("what", ["chunks", "fields"])
def test_the_provenance_lies_beside_the_chunks(server: Server, tmp_path: Path, what: str) -> None:
    spec = make_spec("tng", simulation="TNG100-3", what=what, fields=("SubhaloVmax",))
    path = fetch(spec, tmp_path, key=KEY)
    kept = json.loads((path / "provenance.json").read_text())
    assert kept["service"] == "TNG" and kept["rows"] == N and kept["date"].endswith("Z")
    assert kept["url"] == f"{server.url}/api/TNG100-3/files/groupcat-99/"
    assert make_spec(**kept["spec"]) == spec
    assert read_catalog(path).provenance["date"] == kept["date"]


def test_a_listing_becomes_a_table_with_units_and_box(
    server: Server, whole: dict[str, np.ndarray], tmp_path: Path
) -> None:
    spec = make_spec("tng", simulation="TNG100-3", what="listing", rows=3, filters={"mass_stars__gt": "1.5"})
    catalog = read_catalog(fetch(spec, tmp_path, key=KEY))
    order = np.argsort(-whole["SubhaloMassType"][:, 4])[:3]
    np.testing.assert_array_equal(catalog.values("id"), order)
    np.testing.assert_allclose(catalog.positions(), whole["SubhaloPos"][order] / 1000 / H, rtol=1e-6)
    mass, unit = catalog.physical("mass_stars")
    np.testing.assert_allclose(mass, whole["SubhaloMassType"][order, 4] * 1e10 / H, rtol=1e-6)
    assert "Msun" in unit or "solMass" in unit
    assert catalog.columns["vmax"].unit.replace(" ", "") == "km/s"
    np.testing.assert_allclose(catalog.physical("spin_x")[0], 12.5 / H)
    assert catalog.columns["sfr"].unit.replace(" ", "") == "Msun/yr"
    np.testing.assert_allclose(catalog.box, [BOX / 1000 / H] * 3)
    assert catalog.periodic and catalog.h == pytest.approx(H)
    assert catalog.provenance["truncated"] is True and any("more rows" in sentence for sentence in catalog.warnings)
    listing = next(asked for asked in server.asked if asked.path.endswith("/subhalos/"))
    assert listing.query["mass_stars__gt"] == "1.5" and listing.query["order_by"] == "-mass_stars"


def test_a_listing_goes_on_over_pages(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tng_api, "_PAGE", 3)
    catalog = read_catalog(fetch(make_spec("tng", simulation="TNG100-3", what="listing", rows=1000), tmp_path, key=KEY))
    assert sorted(catalog.values("id")) == list(range(N)) and catalog.provenance["truncated"] is False
    assert sum(asked.path.endswith("/subhalos/") for asked in server.asked) == 3


# The key


def everything_written(folder: Path) -> bytes:
    return b"".join(str(path).encode() + (path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*"))


@pytest.mark.parametrize("what", ["chunks", "fields", "listing"])
def test_the_key_is_in_the_header_and_nowhere_else(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    spec = make_spec("tng", simulation="TNG100-3", what=what, fields=("SubhaloVmax",))
    path = fetch(spec, tmp_path, lambda share, text: told.append(text), key=KEY)
    assert server.asked and all(asked.headers["api-key"] == KEY for asked in server.asked)
    assert all(KEY not in asked.path and KEY not in str(asked.query) + asked.body for asked in server.asked)
    assert KEY.encode() not in everything_written(tmp_path)
    catalog = read_catalog(path)
    printed = capfd.readouterr()
    shown = f"{told} {catalog.provenance} {catalog.spec} {spec!r} {spec.model_dump_json()} {printed.out} {printed.err}"
    assert KEY not in shown and KEY not in caplog.text


@pytest.mark.parametrize(
    "reply",
    [Reply("no", 401), Reply("no", 500), Reply("x", announced=1000), Reply("no json"), redirect("http://127.0.0.1:1/")],
)
def test_the_key_is_in_no_error(
    server: Server, api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    caplog.set_level(logging.DEBUG)
    api.failures["/api/TNG100-3/"] = [reply] * 5
    with pytest.raises(InputError) as caught:
        fetch(make_spec("tng", simulation="TNG100-3"), tmp_path, key=KEY)
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text
    assert KEY not in text and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_to_another_server_goes_without_the_key(
    server: Server, api: Api, serve: Callable[..., Server], whole: dict[str, np.ndarray], tmp_path: Path
) -> None:
    storage = serve(lambda asked: Reply(chunk(whole, int(asked.path.strip("/")))))
    api.data = storage.url
    path = fetch(make_spec("tng", simulation="TNG100-3", what="chunks"), tmp_path, key=KEY)
    assert len(read_catalog(path)) == N
    assert len(storage.asked) == 3 and all("api-key" not in asked.headers for asked in storage.asked)


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://www.tng-project.org/api/", True),
        ("https://data-eu.tng-project.org/x", True),
        ("http://www.tng-project.org/api/", False),
        ("https://tng-project.org.evil.example/", False),
        ("https://eviltng-project.org/", False),
        ("https://www.tng-project.org@evil.example/", False),
    ],
)
def test_who_may_know_the_key(url: str, trusted: bool) -> None:
    assert tng_api.trusted(url) is trusted


def test_the_key_comes_from_the_environment(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec("tng", simulation="TNG100-3", what="fields", fields=("SubhaloVmax",))
    with pytest.raises(InputError, match="need your API key: set FILAMENT_TNG_KEY"):
        fetch(spec, tmp_path)
    assert server.asked == []
    monkeypatch.setenv("TNG_API_KEY", f" {KEY}\n")
    assert len(read_catalog(fetch(spec, tmp_path))) == N


# Failures


def test_a_server_that_is_busy_for_a_moment_is_asked_again(server: Server, api: Api, tmp_path: Path) -> None:
    api.failures["/api/TNG100-3/files/groupcat-99.0.hdf5"] = [Reply("busy", 503), Reply("x", announced=1000)]
    assert len(read_catalog(fetch(make_spec("tng", simulation="TNG100-3", what="chunks"), tmp_path, key=KEY))) == N


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"simulation": "TNG9000"}, "no simulation 'TNG9000'"),
        ({"snapshot": 7}, "no snapshot 7"),
        ({"fields": ("SubhaloColour",)}, "no field 'SubhaloColour'"),
        ({"what": "chunks", "chunks": (0, 9)}, "no chunk 9 at snapshot 99; its chunks are 0-2"),
        ({"what": "chunks", "snapshot": 7}, "no group catalog"),
    ],
)
def test_what_the_api_does_not_have_is_said_and_leaves_nothing(
    server: Server, tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        fetch(make_spec("tng", **{"simulation": "TNG100-3", **fields}), tmp_path, key=KEY)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply("<html>Please log in</html>"), "no HDF5 file for the chunk 1 of TNG100-3 but: Please log in"),
        (Reply("no", 500), "failure of its own"),
        (Reply(b"\x89HDF\r\n\x1a\n", announced=5000), "broke the connection"),
    ],
)
def test_a_broken_chunk_leaves_no_half_catalog(
    server: Server, api: Api, tmp_path: Path, reply: Reply, words: str
) -> None:
    api.failures["/api/TNG100-3/files/groupcat-99.1.hdf5"] = [reply] * tng_api.ATTEMPTS
    with pytest.raises(InputError) as caught:
        fetch(make_spec("tng", simulation="TNG100-3", what="chunks"), tmp_path, key=KEY)
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_in_a_sentence(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tng_api, "_ROOM", 1 << 60)
    with pytest.raises(InputError, match="does not fit on the disk"):
        fetch(make_spec("tng", simulation="TNG100-3", what="chunks"), tmp_path, key=KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_field_that_points_to_another_file_is_refused(server: Server, api: Api, tmp_path: Path) -> None:
    """HDF5 can name another file of the machine it is opened on as the place of a dataset's bytes."""
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(range(80)))
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("Subhalo/SubhaloPos", (10,), "f8", external=[(str(secret), 0, 80)])
    api.failures["/api/TNG100-3/files/groupcat-99/"] = [Reply(memory.getvalue())]
    with pytest.raises(InputError, match="without the field 'SubhaloPos'"):
        fetch(make_spec("tng", simulation="TNG100-3"), tmp_path / "data", key=KEY)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("0-3, 7", (0, 1, 2, 3, 7)),
        ("5", (5,)),
        ("9-2", InputError),
        ("a", InputError),
        ("1,,2", InputError),
    ],
)
def test_chunk_numbers_as_people_write_them(text: str, found: object) -> None:
    if found is InputError:
        with pytest.raises(InputError):
            tng_api.numbers(text)
    else:
        assert tng_api.numbers(text) == found
        if isinstance(found, tuple):
            assert tng_api.ranges(found) == text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"simulation": "../secret"}, "not the name of a simulation"),
        ({"fields": ("PartType0/Masses",)}, "not a field"),
        ({"filters": {"limit": "1"}}, "not a filter"),
        ({"filters": {"mass__gt": "heavy"}}, "needs a number"),
        ({"chunks": ()}, "chunks are numbered"),
        ({"snapshot": -1}, "'snapshot' should be greater"),
    ],
)
def test_a_question_that_makes_no_sense_is_not_asked(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        make_spec("tng", **fields)
    assert words in str(caught.value)
