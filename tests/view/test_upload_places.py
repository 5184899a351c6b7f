"""Where uploads lie: a session's go with it, a run's stay as long as it exists, and nothing else is ever removed."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gnnlib.errors import InputError
from gnnlib.view.upload import places

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """A session's folder with one upload of two files."""
    place = tmp_path / "session" / "0123456789abcdef01234567"
    place.mkdir(parents=True)
    (place / "a.0.hdf5").write_bytes(b"0")
    (place / "a.1.hdf5").write_bytes(b"1")
    return place.parent


def age(path: Path, seconds: float) -> None:
    before = time.time() - seconds
    os.utime(path, (before, before))


def test_an_upload_that_a_run_needs_outlives_the_session(uploads: Path, tmp_path: Path) -> None:
    (folder,) = uploads.iterdir()
    kept = tmp_path / "runs" / ".uploads"
    copy = places.keep(folder / "a.0.hdf5", uploads, kept)
    assert copy == kept / folder.name / "a.0.hdf5"
    assert places.keep(folder, uploads, kept) == kept / folder.name
    for file in folder.iterdir():
        file.unlink()
    assert copy.read_bytes() == b"0" and (copy.parent / "a.1.hdf5").read_bytes() == b"1"
    assert [path.name for path in kept.iterdir()] == [folder.name]


def test_other_paths_stay_where_they_are(uploads: Path, tmp_path: Path) -> None:
    elsewhere = Path("/data/b.csv")
    assert places.keep(elsewhere, uploads, tmp_path / "kept") == elsewhere and not (tmp_path / "kept").exists()


def test_an_upload_that_cannot_be_kept_is_said_and_leaves_nothing_half(
    uploads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = uploads.iterdir()
    calls = []

    def full(source: str, target: str) -> None:
        calls.append(source)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        Path(target).write_bytes(b"half")

    monkeypatch.setattr(places, "link_or_copy", full)
    with pytest.raises(InputError, match=r"No space left on device.*make room on the server\.$"):
        places.keep(folder, uploads, tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def kept_upload(runs: Path, name: str, days_old: float = 2) -> Path:
    place = runs / ".uploads" / name
    place.mkdir(parents=True)
    (place / "a.csv").write_text("x\n1\n")
    age(place, days_old * 86_400)
    return place


def test_uploads_go_only_when_no_run_names_them_and_a_day_has_passed(tmp_path: Path) -> None:
    named, unnamed, fresh = (kept_upload(tmp_path, name, days) for name, days in (("aa1", 2), ("bb2", 2), ("cc3", 0.5)))
    starting = kept_upload(tmp_path, "dd4")
    for run, upload in (("20261101-101010-abcdef", named), (".new-0123", starting)):
        (tmp_path / run).mkdir()
        (tmp_path / run / "spec.json").write_text(f'{{"catalog": {{"path": "{upload / "a.csv"}"}}, "damaged": ')
    (tmp_path / "no-run").mkdir()
    assert places.remove_unneeded(tmp_path) == ["bb2"]
    assert named.exists() and fresh.exists() and starting.exists() and not unnamed.exists()
    assert places.remove_unneeded(tmp_path) == []


def test_where_a_run_cannot_be_looked_into_nothing_goes(tmp_path: Path) -> None:
    unnamed = kept_upload(tmp_path, "bb2")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "spec.json").mkdir()  # reading it fails
    assert places.remove_unneeded(tmp_path) == [] and unnamed.exists()


def test_links_among_the_kept_are_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.csv").write_text("x")
    (tmp_path / "runs" / ".uploads").mkdir(parents=True)
    os.symlink(precious, tmp_path / "runs" / ".uploads" / "link")
    assert places.remove_unneeded(tmp_path / "runs") == []
    assert (precious / "thesis.csv").exists()


def test_without_runs_there_is_nothing_to_remove(tmp_path: Path) -> None:
    assert places.remove_unneeded(tmp_path / "nowhere") == []


def test_a_session_folder_goes_with_its_session(tmp_path: Path) -> None:
    folder = places.session_folder()
    place = Path(folder.name)
    (place / "a.csv").write_text("x")
    assert place.parent.name.startswith(places.SPOOL) and place.stat().st_mode & 0o077 == 0
    del folder
    assert not place.exists()


def test_a_server_that_ends_takes_its_uploads_along_and_one_that_is_killed_leaves_them_to_the_next(
    tmp_path: Path,
) -> None:
    def server(ending: str) -> None:
        code = f"import os; from gnnlib.view.upload import places; folder = places.session_folder(); {ending}"
        environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(PROJECT)}
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=120)

    server("pass")
    server("places.remove_own(); os._exit(0)")
    assert list(tmp_path.iterdir()) == []
    server("os.kill(os.getpid(), 9)")
    assert len(list(tmp_path.iterdir())) == 1
    living = tmp_path / f"{places.SPOOL}living"
    living.mkdir()
    other = tmp_path / "something else"
    other.mkdir()
    with (living / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server("places.remove_leftovers()")
    assert sorted(tmp_path.iterdir()) == sorted([living, other])


def test_uploads_are_not_put_into_a_file_system_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/disk ext4 rw 0 0\n")
    assert places._is_memory(Path("/tmp"), mounts) and places._is_memory(Path("/tmp/deeper"), mounts)
    assert not places._is_memory(Path("/tmp/disk/x"), mounts) and not places._is_memory(Path("/var/tmp"), mounts)
    assert not places._is_memory(Path("/tmp"), tmp_path / "no such file")
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(places.tempfile, "gettempdir", lambda: "/tmp")
    monkeypatch.setattr(places, "_is_memory", lambda folder: folder == Path("/tmp"))
    assert places._disk() == Path("/var/tmp")
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert places._disk() == Path("/tmp")
