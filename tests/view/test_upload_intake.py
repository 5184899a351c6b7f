"""What a session may send: limits, names, parts that go when they should, and paths that stand for bytes."""

from __future__ import annotations

import gc
import hashlib
import os
import time
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.errors import InputError
from gnnlib.view.upload import intake as module
from gnnlib.view.upload.intake import Intake, Refused, intake_of, largest_file, plain_name, size_text

ids = (f"{number:032x}" for number in range(10**6))


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    return Intake(tmp_path / "session", largest=1000)


def send(intake: Intake, name: str, data: bytes, piece: int = 100) -> str:
    """Send a whole file in pieces; returns its id."""
    file_id = next(ids)
    arrival = intake.begin(file_id, name, len(data))
    for first in range(0, len(data), piece):
        turn = intake.claim(arrival, first)
        assert turn is not None
        intake.write(arrival, turn, data[first : first + piece])
    assert arrival.done
    return file_id


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@given(data=st.binary(min_size=1, max_size=900), piece=st.integers(1, 1000))
@settings(max_examples=30)
def test_the_bytes_on_disk_are_those_that_were_sent(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, piece: int
) -> None:
    intake = Intake(tmp_path_factory.mktemp("session"), largest=1000)
    (path,) = intake.gather([send(intake, "a.bin", data, piece)])
    assert path.name == "a.bin" and path.read_bytes() == data


def test_a_path_stands_for_names_and_bytes_in_whatever_order_they_came(intake: Intake, tmp_path: Path) -> None:
    first = [send(intake, "a.csv", b"1"), send(intake, "b.csv", b"2")]
    paths = intake.gather(first)
    assert [path.name for path in paths] == ["a.csv", "b.csv"]
    other = Intake(tmp_path / "other", largest=1000)
    second = [send(other, "b.csv", b"2"), send(other, "a.csv", b"1")]
    assert other.gather(second)[0].parent.name == paths[0].parent.name
    for name, data in (("a.csv", b"3"), ("c.csv", b"1")):
        changed = Intake(tmp_path / "changed" / name, largest=1000)
        place = changed.gather([send(changed, name, data), send(changed, "b.csv", b"2")])[0].parent
        assert place.name != paths[0].parent.name


def test_what_has_not_arrived_whole_is_not_gathered(intake: Intake) -> None:
    arrival = intake.begin("0" * 32, "a.csv", 10)
    turn = intake.claim(arrival, 0)
    assert turn is not None
    intake.write(arrival, turn, b"12345")
    assert intake.gather(["0" * 32, "f" * 32]) == ()


@given(st.text(max_size=400))
def test_a_cleaned_name_is_one_plain_part_of_a_path(name: str) -> None:
    clean = plain_name(name)
    assert clean == os.path.basename(clean) and clean not in ("", ".", "..") and not clean.startswith(".")
    assert clean.isprintable() and len(clean.encode()) <= 200
    assert plain_name(clean) == clean


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\halos.fits", "halos.fits"),
        (".hidden", "hidden"),
        ("a\0b\n.csv", "a_b_.csv"),
        ("..", "upload"),
        ("Säule ★ 1(2).csv", "Säule _ 1(2).csv"),
        ("x" * 500 + ".tar.gz", "x" * 193 + ".tar.gz"),
        ("\u202egnp.csv", "_gnp.csv"),
        ("\ud800.csv", "_.csv"),
    ],
)
def test_names_keep_what_is_harmless(name: str, clean: str) -> None:
    assert plain_name(name) == clean


@pytest.mark.parametrize(("size", "status"), [(0, 400), (-5, 400), (1001, 413)])
def test_a_size_out_of_bounds_is_refused_in_one_sentence(intake: Intake, size: int, status: int) -> None:
    with pytest.raises(Refused, match=r"^'a.csv' .*\.$") as refused:
        intake.begin("0" * 32, "a.csv", size)
    assert refused.value.status == status and files_below(intake.folder) == []


def test_a_second_file_of_one_name_is_refused_until_the_first_is_removed(intake: Intake) -> None:
    first = send(intake, "a.csv", b"1")
    for name in ("a.csv", "x/a.csv"):
        with pytest.raises(Refused, match=r"Two files are called 'a.csv'; rename"):
            intake.begin(next(ids), name, 1)
    intake.drop(first)
    send(intake, "a.csv", b"2")


def test_one_visit_holds_a_few_times_the_largest_file(intake: Intake) -> None:
    kept = [send(intake, f"{number}.bin", bytes([number]) * 900) for number in range(3)]
    intake.begin(next(ids), "announced.bin", 1000)
    with pytest.raises(Refused, match=r"come to 4.[67]\d* kB, more than the 4 kB"):
        intake.begin(next(ids), "more.bin", 1000)
    paths = intake.gather(kept)  # a second name of the same bytes does not count twice
    with pytest.raises(Refused, match=r"come to 4.[67]"):
        intake.begin(next(ids), "more.bin", 1000)
    for file_id in kept:
        intake.drop(file_id)
    with pytest.raises(Refused, match=r"come to 4.[67]"):  # still on disk, in the folder that was gathered
        intake.begin(next(ids), "more.bin", 1000)
    intake.release([])
    assert not paths[0].exists()
    intake.begin(next(ids), "more.bin", 1000)


def test_a_full_disk_is_noticed_before_and_while_writing(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    arrival = intake.begin("0" * 32, "a.csv", 10)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(10**12, 0, module.DISK_MARGIN + 500))
    intake.begin("1" * 32, "fits.csv", 490)  # ten bytes are spoken for
    with pytest.raises(Refused, match=r"no room for 'b.csv'.*\.$") as refused:
        intake.begin("2" * 32, "b.csv", 1)
    assert refused.value.status == 507
    arrival.path.unlink()
    os.symlink("/dev/full", arrival.path)
    turn = intake.claim(arrival, 0)
    assert turn is not None
    with pytest.raises(Refused, match=r"no room for 'a.csv'"):
        intake.write(arrival, turn, b"0123456789")
    assert intake.find("0" * 32) is None and not arrival.path.is_symlink()


def test_the_last_request_that_asked_writes_and_an_older_one_stops(intake: Intake) -> None:
    arrival = intake.begin("0" * 32, "a.csv", 4)
    old = intake.claim(arrival, 0)
    new = intake.claim(arrival, 0)
    assert old is not None and new is not None
    with pytest.raises(Refused, match="newer request"):
        intake.write(arrival, old, b"xx")
    intake.write(arrival, new, b"ok")
    assert intake.claim(arrival, 0) is None and intake.claim(arrival, 3) is None
    last = intake.claim(arrival, 2)
    assert last is not None
    intake.write(arrival, last, b"ay")
    assert intake.gather(["0" * 32])[0].read_bytes() == b"okay"


def test_parts_that_nobody_continues_go_and_whole_files_stay(intake: Intake) -> None:
    whole = send(intake, "whole.csv", b"1")
    left = intake.begin("1" * 32, "left.csv", 9)
    left.touched = time.monotonic() - 61
    intake.begin("2" * 32, "coming.csv", 9)
    intake.drop_abandoned(60)
    assert intake.find("1" * 32) is None and not left.path.exists()
    assert intake.find("2" * 32) is not None and intake.find(whole) is not None


def test_with_the_session_go_its_token_its_parts_and_its_list(tmp_path: Path) -> None:
    intake = Intake(tmp_path, largest=1000)
    token, other = intake.token, Intake(tmp_path, largest=1000).token
    assert len(token) >= 40 and token != other
    assert intake_of(token) is intake and intake_of("") is None and intake_of(token[:-1]) is None
    send(intake, "whole.csv", b"1")
    intake.begin(next(ids), "part.csv", 9)
    assert len(files_below(tmp_path)) == 2
    del intake
    gc.collect()
    assert intake_of(token) is None and list(tmp_path.iterdir()) == []


def test_only_folders_in_use_outlive_their_list(intake: Intake) -> None:
    old, new = intake.gather([send(intake, "a.csv", b"1")]), intake.gather([send(intake, "b.csv", b"2")])
    intake.release([old[0].parent, *new])
    assert old[0].exists() and new[0].exists()
    intake.release(new)
    assert not old[0].parent.exists() and new[0].read_bytes() == b"2"


def test_files_are_copied_where_the_disk_has_no_hard_links(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(module.os, "link", refuse)
    assert intake.gather([send(intake, "a.csv", b"copied")])[0].read_bytes() == b"copied"


def test_the_largest_file_is_a_setting_in_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FILAMENT_MAX_UPLOAD_GB", raising=False)
    assert largest_file() == 2 * 10**9
    monkeypatch.setenv("FILAMENT_MAX_UPLOAD_GB", "0.5")
    assert largest_file() == 5 * 10**8
    for wrong in ("two", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("FILAMENT_MAX_UPLOAD_GB", wrong)
        with pytest.raises(InputError, match="FILAMENT_MAX_UPLOAD_GB"):
            largest_file()


def test_sizes_read_as_people_write_them() -> None:
    sizes = {5: "5 bytes", 1000: "1 kB", 1_234_000: "1.23 MB", 340_000_000: "340 MB", 2 * 10**9: "2 GB"}
    assert {size: size_text(size) for size in sizes} == sizes


def test_the_hash_in_the_path_is_that_of_names_and_contents(intake: Intake) -> None:
    (path,) = intake.gather([send(intake, "a.csv", b"x,y\n1,2\n")])
    inner = hashlib.sha256(b"x,y\n1,2\n").digest()
    assert path.parent.name == hashlib.sha256(b"a.csv\0" + inner).hexdigest()[:24]
