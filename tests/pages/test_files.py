"""Paths that visitors give: only allowed folders are read and listed, whatever the path looks like."""

from __future__ import annotations

import os
import shutil
import socket
import string
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError
from gnnlib.graph.graph import GraphSpec
from gnnlib.training.spec import RunSpec
from pages import _files, _train_form

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def catalog(data_folder: Path) -> Path:
    path = data_folder / "halos.csv"
    path.write_text("x,y,z\n1,2,3\n")
    return path


def test_a_file_in_an_allowed_folder_is_found_by_full_and_by_relative_path(catalog: Path) -> None:
    assert _files.server_path(str(catalog)) == catalog
    assert _files.server_path("halos.csv") == catalog
    assert _files.server_path(f" {catalog.parent}//./halos.csv ") == catalog


def test_without_allowed_folders_no_path_is_read(monkeypatch: pytest.MonkeyPatch, catalog: Path) -> None:
    for value in (None, "", " ", ":", "/nowhere"):
        monkeypatch.delenv("FILAMENT_DATA_DIRS", raising=False)
        if value is not None:
            monkeypatch.setenv("FILAMENT_DATA_DIRS", value)
        for read in (_files.server_path, _files.browse):
            with pytest.raises(InputError, match="upload the file"):
                read(str(catalog))
        with pytest.raises(InputError, match="upload the file"):
            _files.browse()


@pytest.mark.parametrize(
    "text",
    [
        "/etc/passwd",
        "../secret.csv",
        "sub/../../secret.csv",
        "..",
        "",
        " ",
        "\0",
        "halos.csv\0",
        "halos.csv\0.png",
        "nothing.csv",
        "halos.csv/",
        "halos.csv/x",
        "~",
        "~root/.bashrc",
        "~nobody-of-this-name/x",
        "/proc/self/root/etc/passwd",
        "/dev/stdin",
        "//etc/passwd",
        "file:///etc/passwd",
        "\\..\\secret.csv",
        "\ud800.csv",
        "x" * 300,
        "x/" * 1900,
        "/" * 3000,
        "x" * 100_000,
    ],
)
def test_a_path_that_leads_elsewhere_or_nowhere_is_refused_in_one_sentence(catalog: Path, text: str) -> None:
    (catalog.parent.parent / "secret.csv").write_text("x\n1\n")
    if text == "halos.csv/":  # as the system itself would read it without the slash
        assert _files.server_path(text) == catalog
        return
    for read in (_files.server_path, _files.browse):
        if read is _files.browse and not text.strip():
            continue
        with pytest.raises(InputError) as refused:
            read(text)
        sentence = str(refused.value)
        assert sentence.endswith((".", ")")) and "\n" not in sentence and len(sentence) < 1000
        sentence.encode()


def test_a_folder_whose_name_only_begins_like_an_allowed_one_is_refused(catalog: Path) -> None:
    beside = catalog.parent.with_name("data-private")
    beside.mkdir()
    (beside / "x.csv").write_text("x\n1\n")
    with pytest.raises(InputError, match="not inside"):
        _files.server_path(str(beside / "x.csv"))


def test_symbolic_links_are_refused_wherever_they_are(catalog: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("x\n1\n")
    deep = catalog.parent / "run" / "groups_099"
    deep.mkdir(parents=True)
    os.symlink(outside / "secret.csv", catalog.parent / "link.csv")
    os.symlink(outside, catalog.parent / "linked")
    os.symlink("halos.csv", catalog.parent / "harmless.csv")
    os.symlink("/", catalog.parent / "root")
    os.symlink("loop", catalog.parent / "loop")
    os.symlink(tmp_path / "nowhere", deep / "dangling.0.hdf5")
    texts = ["link.csv", "linked/secret.csv", "linked", "harmless.csv", "root/etc/passwd", "loop", "loop/x"]
    for text in (*texts, "run/groups_099/dangling.0.hdf5", "run/groups_099", "run", str(catalog.parent)):
        with pytest.raises(InputError, match="symbolic link"):
            _files.server_path(text)


def test_an_allowed_folder_may_itself_be_reached_through_a_link(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.symlink(catalog.parent, tmp_path / "disk")
    (tmp_path / "runs").mkdir()
    monkeypatch.setenv("FILAMENT_DATA_DIRS", f"{tmp_path}/runs/../disk")
    assert _files.server_path("halos.csv") == tmp_path / "disk" / "halos.csv"
    assert _files.server_path(f"{tmp_path}/disk/halos.csv").read_text() == catalog.read_text()
    assert _files.server_path(str(catalog)) == catalog  # what the link means


def test_home_is_ones_own_and_only_where_it_is_allowed(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _files.server_path("~/data/halos.csv") == catalog
    (tmp_path / "secret.csv").write_text("x\n1\n")
    with pytest.raises(InputError, match="not inside"):
        _files.server_path("~/secret.csv")


def test_what_is_neither_file_nor_folder_is_refused(catalog: Path) -> None:
    os.mkfifo(catalog.parent / "pipe.csv")
    (catalog.parent / "sub").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(catalog.parent / "sub")  # the names of sockets are short
        try:
            server.bind("socket.csv")
        finally:
            os.chdir(here)
        for text in ("pipe.csv", "sub/socket.csv"):
            with pytest.raises(InputError, match="neither a file nor a folder"):
                _files.server_path(text)
        for text in ("sub", str(catalog.parent)):
            with pytest.raises(InputError, match="more than files and folders"):
                _files.server_path(text)
        assert [entry.name for entry in _files.browse().entries] == ["sub", "halos.csv"]
        assert _files.browse("sub").entries == ()


def test_a_folder_with_more_than_one_can_check_is_refused(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "MOST_CHECKED", 3)
    for number in range(3):
        (catalog.parent / f"{number}.csv").write_text("x\n1\n")
    with pytest.raises(InputError, match="over 3 files"):
        _files.server_path(str(catalog.parent))


def test_a_list_shows_sub_folders_and_catalogs_in_counting_order(catalog: Path) -> None:
    names = ["groups.10.hdf5", "groups.9.hdf5", "b.fits", "c.csv.gz", "notes.pdf", "run.py", ".hidden.csv", "noending"]
    for name in names:
        (catalog.parent / name).write_bytes(b"12345")
    for name in ("Zoom", "archive", ".cache"):
        (catalog.parent / name).mkdir()
    os.symlink("/etc", catalog.parent / "etc")
    os.symlink("/etc/passwd", catalog.parent / "passwd.csv")
    os.utime(catalog, (0, 1_700_000_000))
    found = _files.browse()
    expected = ["archive", "Zoom", "b.fits", "c.csv.gz", "groups.9.hdf5", "groups.10.hdf5", "halos.csv"]
    assert [entry.name for entry in found.entries] == expected
    assert (found.folder, found.parent, found.left_out) == (catalog.parent, None, 0)
    last = found.entries[-1]
    assert (last.path, last.size, last.is_folder) == (catalog, 12, False)
    assert last.changed.isoformat() == "2023-11-14T22:13:20+00:00"
    deeper = _files.browse("archive")
    assert (deeper.folder, deeper.entries) == (catalog.parent / "archive", ())
    assert _files.browse(str(deeper.parent)) == found
    with pytest.raises(InputError, match="is a file"):
        _files.browse("halos.csv")


def test_a_list_of_several_allowed_folders_starts_with_these(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("FILAMENT_DATA_DIRS", f"{catalog.parent}{os.pathsep}{other}")
    top = _files.browse()
    assert top.folder is None and top.parent is None
    assert [entry.path for entry in top.entries] == [catalog.parent, other]
    below = _files.browse(str(top.entries[0].path))
    assert below.parent == "" and [entry.name for entry in below.entries] == ["halos.csv"]
    assert _files.browse(below.parent) == top


def test_a_long_list_is_cut_and_says_so(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "MOST_LISTED", 2)
    for number in range(4):
        (catalog.parent / f"{number}.csv").write_text("x\n1\n")
    found = _files.browse()
    assert [entry.name for entry in found.entries] == ["0.csv", "1.csv"] and found.left_out == 3


def test_names_that_are_no_text_are_not_listed(catalog: Path) -> None:
    (Path(os.fsdecode(os.fsencode(catalog.parent) + b"/\xff.csv"))).write_text("x\n1\n")
    assert [entry.name for entry in _files.browse().entries] == ["halos.csv"]


PARTS = [
    "a",
    "b",
    "deep.csv",
    "halos.csv",
    "in",
    "out",
    "secret.csv",
    "up",
    "self",
    "..",
    ".",
    "",
    "~",
    "~root",
    "/",
    "data",
]
parts = st.one_of(st.sampled_from(PARTS), st.text(st.characters(codec="utf-8"), max_size=5), st.text(string.printable))
paths = st.one_of(
    st.lists(parts, max_size=8).map("/".join),
    st.lists(parts, max_size=6).map(lambda found: "ROOT/" + "/".join(found)),
    st.lists(parts, max_size=6).map(lambda found: "ROOT/../" + "/".join(found)),
    st.text(max_size=60),
)


@pytest.fixture(scope="module")
def maze(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An allowed folder with links in and out of it at several depths, and a secret beside it."""
    folder = tmp_path_factory.mktemp("maze")
    root = folder / "data"
    (root / "a" / "b").mkdir(parents=True)
    (root / "in").mkdir()
    (root / "a" / "b" / "deep.csv").write_text("x\n1\n")
    (root / "halos.csv").write_text("x\n1\n")
    (folder / "secret.csv").write_text("x\n1\n")
    (folder / "data-2").mkdir()
    (folder / "data-2" / "secret.csv").write_text("x\n1\n")
    os.symlink(folder, root / "out")
    os.symlink("..", root / "a" / "up")
    os.symlink("../../secret.csv", root / "a" / "secret.csv")
    os.symlink(root, root / "in" / "self")
    yield folder
    shutil.rmtree(folder)


@given(text=paths)
@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_whatever_it_looks_like_leads_out(maze: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    root = maze / "data"
    monkeypatch.setenv("FILAMENT_DATA_DIRS", str(root))
    text = text.replace("ROOT", str(root))
    inside = os.path.realpath(root)

    def within(path: Path) -> bool:
        real = os.path.realpath(path)
        return real == os.path.normpath(path) and (real == inside or real.startswith(inside + os.sep))

    try:
        place = _files.server_path(text)
    except InputError:
        pass
    else:
        below = [place, *place.rglob("*")] if place.is_dir() else [place]
        assert place.exists() and all(map(within, below))
    try:
        found = _files.browse(text)
    except InputError:
        pass
    else:
        assert found.folder is not None and within(found.folder)
        assert all(within(entry.path) and not entry.path.is_symlink() for entry in found.entries)
        assert found.parent is None or within(Path(found.parent))


@given(text=paths)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_listed_can_be_opened_unless_it_holds_links(
    maze: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("FILAMENT_DATA_DIRS", str(maze / "data"))
    try:
        found = _files.browse(text.replace("ROOT", str(maze / "data")))
    except InputError:
        return
    for entry in found.entries:
        if entry.is_folder:
            _files.browse(str(entry.path))
        else:
            assert _files.server_path(str(entry.path)) == entry.path


@pytest.mark.parametrize(
    ("address", "opened"),
    [("localhost", True), ("127.0.0.1", True), ("0.0.0.0", False), ("192.168.1.7", False), ("filament.example", False)],
)
def test_make_run_opens_folders_only_where_nobody_else_can_reach_the_app(address: str, opened: bool) -> None:
    show = 'show:\n\t@echo "<$$FILAMENT_DATA_DIRS>"\n'
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("FILAMENT", "MAKE", "MFLAGS"))
    }

    def said(**settings: str) -> str:
        command = ["make", "-s", "-f", "Makefile", "-f", "-", "show", f"ADDRESS={address}"]
        found = subprocess.run(
            command, cwd=PROJECT, input=show, env=environment | settings, capture_output=True, text=True
        )
        assert found.returncode == 0, found.stderr
        return found.stdout.strip()

    assert said() == (f"<{environment['HOME']}:{PROJECT.parent}>" if opened else "<>")
    assert said(FILAMENT_DATA_DIRS="") == "<>"
    assert said(FILAMENT_DATA_DIRS="/survey") == "</survey>"


def test_a_run_gets_its_own_copies_of_the_uploads_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads, runs = tmp_path / "uploads", tmp_path / "runs"
    for name in ("aa1/halos.csv", "bb2/mesh.csv"):
        (uploads / name).parent.mkdir(parents=True)
        (uploads / name).write_text(name)
    monkeypatch.setattr(_train_form._session, "temporary_folder", lambda: uploads)
    monkeypatch.setattr(_train_form, "runs_directory", lambda: runs)
    graph = GraphSpec(method="edge_list", edges=str(uploads / "bb2/mesh.csv"))
    catalog = CatalogSpec(path=str(uploads / "aa1/halos.csv"))
    spec = _train_form.with_uploads_kept(RunSpec(catalog=catalog, graph=graph, target="t", features=("f",)))
    assert spec.graph.edges is not None
    for kept, name in ((spec.catalog.path, "aa1/halos.csv"), (spec.graph.edges, "bb2/mesh.csv")):
        assert Path(kept) == runs / ".uploads" / name and Path(kept).read_text() == name
