"""Files that visitors bring: only allowed folders are read, and uploads keep their names and bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from gnnlib.errors import InputError
from pages import _files


@dataclass
class Upload:
    name: str
    data: bytes

    def getbuffer(self) -> memoryview:
        return memoryview(self.data)


@pytest.fixture
def catalog(data_folder: Path) -> Path:
    path = data_folder / "halos.csv"
    path.write_text("x,y,z\n1,2,3\n")
    return path


def test_a_file_in_an_allowed_folder_is_found_by_full_and_by_relative_path(catalog: Path) -> None:
    assert _files.server_path(str(catalog)) == catalog
    assert _files.server_path("halos.csv") == catalog


def test_without_allowed_folders_no_path_is_read(monkeypatch: pytest.MonkeyPatch, catalog: Path) -> None:
    monkeypatch.delenv("FILAMENT_DATA_DIRS")
    with pytest.raises(InputError, match="upload the file"):
        _files.server_path(str(catalog))


@pytest.mark.parametrize("text", ["/etc/passwd", "../secret.csv", "sub/../../secret.csv", "", "\0", "nothing.csv"])
def test_a_path_that_leads_elsewhere_or_nowhere_is_refused(catalog: Path, text: str) -> None:
    (catalog.parent.parent / "secret.csv").write_text("x\n1\n")
    with pytest.raises(InputError):
        _files.server_path(text)


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
    os.symlink(outside / "secret.csv", catalog.parent / "link.csv")
    os.symlink(outside, catalog.parent / "linked")
    for text in ("link.csv", "linked/secret.csv", str(catalog.parent)):
        with pytest.raises(InputError, match="symbolic link"):
            _files.server_path(text)


def test_an_allowed_folder_may_itself_be_reached_through_a_link(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.symlink(catalog.parent, tmp_path / "disk")
    monkeypatch.setenv("FILAMENT_DATA_DIRS", str(tmp_path / "disk"))
    assert _files.server_path("halos.csv").read_text() == catalog.read_text()


def test_one_upload_is_a_file_and_several_are_a_folder(tmp_path: Path) -> None:
    one = _files.store([Upload("a.csv", b"x\n1\n")], tmp_path)
    assert one.name == "a.csv" and one.read_bytes() == b"x\n1\n"
    several = _files.store([Upload("a.0.hdf5", b"0"), Upload("a.1.hdf5", b"1")], tmp_path)
    assert sorted(path.name for path in several.iterdir()) == ["a.0.hdf5", "a.1.hdf5"]


@pytest.mark.parametrize("name", ["../../evil.csv", "/etc/evil.csv", "..\\evil.csv", ".hidden", "a\0b.csv", ""])
def test_the_name_of_an_upload_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    path = _files.store([Upload(name, b"x")], tmp_path / "uploads")
    assert path.is_file() and path.resolve().is_relative_to(tmp_path / "uploads")
    assert not path.name.startswith(".")


def test_two_uploads_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rename"):
        _files.store([Upload("a.csv", b"1"), Upload("a.csv", b"2")], tmp_path)


def test_an_upload_that_a_run_needs_outlives_the_session(tmp_path: Path) -> None:
    uploads, kept = tmp_path / "session", tmp_path / "kept"
    path = _files.store([Upload("a.csv", b"x")], uploads)
    copy = _files.keep(path, uploads, kept)
    assert copy.is_relative_to(kept) and copy.read_bytes() == b"x"
    assert _files.keep(path, uploads, kept) == copy
    elsewhere = Path("/data/b.csv")
    assert _files.keep(elsewhere, uploads, kept) == elsewhere
