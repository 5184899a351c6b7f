"""The upload routes behind a real server: pieces, lost connections, clients that lie, and who is let in."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from gnnlib.view.upload import intake as intake_module
from gnnlib.view.upload import route
from gnnlib.view.upload.intake import Intake

BASE = "/somewhere/filament/uploads/"
ID = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server on loopback with nothing but the routes, below a base path."""
    config = uvicorn.Config(Starlette(routes=route.routes("/somewhere/")), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    return Intake(tmp_path / "session", largest=20_000_000)


def wait(true: Callable[[], Any], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def ask(
    port: int, method: str, token: str | None, body: Any = None, file_id: str = ID, **headers: str
) -> tuple[int, dict[str, Any]]:
    """Status and JSON answer of a request; header names are written with underscores."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        named["X-Filament-Token"] = token
    connection.request(method, BASE + file_id, body=body, headers=named, encode_chunked="Transfer-Encoding" in named)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text)


def put(
    port: int, intake: Intake, data: bytes, first: int = 0, size: int | None = None, name: str = "a.csv", **more: Any
) -> tuple[int, dict[str, Any]]:
    size = len(data) if size is None else size
    span = f"bytes {first}-{first + len(data) - 1}/{size}"
    return ask(port, "PUT", intake.token, data, X_Filament_Name=name, Content_Range=span, **more)


def broken(port: int, token: str, announced: int, size: int, data: bytes, first: int = 0) -> socket.socket:
    """A PUT that announces more than it has sent so far; the caller closes it, or leaves it hanging."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    lines = [
        f"PUT {BASE}{ID} HTTP/1.1",
        "Host: x",
        f"X-Filament-Token: {token}",
        "X-Filament-Name: a.csv",
        f"Content-Range: bytes {first}-{first + announced - 1}/{size}",
        f"Content-Length: {announced}",
    ]
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    return connection


def left_on_disk(intake: Intake) -> list[Path]:
    return [path for path in intake.folder.rglob("*") if path.is_file()]


def test_a_file_comes_in_pieces_and_lies_on_disk_byte_for_byte(port: int, intake: Intake) -> None:
    data = random.Random(1).randbytes(3_500_000)
    received = 0
    for piece in (1, 999_999, 1_500_000, 1_000_000):
        status, answer = put(port, intake, data[received : received + piece], received, len(data), "my%20halos.csv")
        received += piece
        assert (status, answer) == (200, {"received": received})
        assert ask(port, "GET", intake.token) == (200, {"received": received})
    (path,) = intake.gather([ID])
    assert path.name == "my halos.csv"
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(data).digest()
    assert not [path for path in left_on_disk(intake) if path.suffix == ".part"]


def test_a_name_cannot_choose_a_place(port: int, intake: Intake) -> None:
    for number, name in enumerate(("..%2F..%2Fevil.csv", "%2Fetc%2Fpasswd", "..", "%00", "")):
        assert put(port, intake, b"x", name=name, file_id=f"{number:032x}")[0] == 200
        (path,) = intake.gather([f"{number:032x}"])
        assert path.resolve().is_relative_to(intake.folder.resolve()) and path.read_bytes() == b"x"
        intake.drop(f"{number:032x}")


@pytest.mark.parametrize("token", [None, "", "guess", "é"])
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_without_the_sessions_token_nothing_is_said_or_taken(
    port: int, intake: Intake, token: str | None, method: str
) -> None:
    status, answer = ask(port, method, token, b"x" * 100_000, Content_Range="bytes 0-99999/100000")
    assert status == 403 and answer["error"].startswith("This page's session has ended; reload")
    assert left_on_disk(intake) == []


def test_a_token_opens_its_own_session_alone_and_only_while_that_lives(port: int, intake: Intake) -> None:
    other = Intake(intake.folder.with_name("other"))
    assert put(port, intake, b"mine")[0] == 200
    assert ask(port, "GET", other.token) == (200, {"received": 0})
    assert ask(port, "DELETE", other.token) == (200, {"received": 0})
    assert intake.gather([ID])[0].read_bytes() == b"mine"
    token = other.token
    del other
    assert ask(port, "GET", token)[0] == 403


def test_the_token_counts_in_its_header_alone(port: int, intake: Intake) -> None:
    """Not in a cookie, which a browser would send along for another site, and not in the address, which is logged."""
    for file_id, headers in ((ID, {"Cookie": f"X-Filament-Token={intake.token}"}), (f"{ID}?token={intake.token}", {})):
        assert ask(port, "GET", None, file_id=file_id, **headers)[0] == 403


@pytest.mark.parametrize("file_id", ["0", "g" * 32, "0" * 33, "..%2E", "A" * 32])
def test_an_id_of_another_shape_is_refused(port: int, intake: Intake, file_id: str) -> None:
    assert put(port, intake, b"x", file_id=file_id)[0] == 400
    assert left_on_disk(intake) == []


@pytest.mark.parametrize(
    "span",
    [
        "",
        "bytes 0-9",
        "bytes 0-9/*",
        "bytes 9-0/10",
        "bytes 0-10/10",
        "bytes -1-9/10",
        "bytes 0-9/1" + "0" * 400,
        "0-9/10",
    ],
)
def test_a_piece_that_is_not_announced_as_expected_is_refused(port: int, intake: Intake, span: str) -> None:
    status, answer = ask(port, "PUT", intake.token, b"0123456789", X_Filament_Name="a.csv", Content_Range=span)
    assert status == 400 and answer["error"].endswith(".")
    assert left_on_disk(intake) == []


def test_a_file_that_is_announced_too_large_is_refused_at_its_first_piece(port: int, intake: Intake) -> None:
    status, answer = put(port, intake, b"x" * 100_000, size=20_000_001)
    assert status == 413 and "'a.csv' has 20 MB, more than the 20 MB" in answer["error"]
    assert left_on_disk(intake) == []


def test_a_length_that_does_not_agree_with_the_range_is_refused(port: int, intake: Intake) -> None:
    connection = broken(port, intake.token, 2000, 1000, b"x" * 2000)
    assert connection.recv(4096).startswith(b"HTTP/1.1 400")
    connection.close()


def test_a_client_that_sends_more_than_it_announced_is_cut_off(port: int, intake: Intake) -> None:
    """Without a length, in chunks, so that only counting can tell."""
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 1 << 30:
            sent += 1 << 16
            yield b"x" * (1 << 16)

    try:
        status, answer = ask(
            port,
            "PUT",
            intake.token,
            endless(),
            X_Filament_Name="a.csv",
            Content_Range="bytes 0-2999999/3000000",
            Transfer_Encoding="chunked",
        )
        assert status == 400 and "longer than announced" in answer["error"]
    except OSError:
        pass  # the server closed the connection while the client was still sending
    assert sent < 100e6
    assert intake.find(ID) is None
    wait(lambda: left_on_disk(intake) == [])


def test_a_lost_connection_goes_on_where_it_broke(port: int, intake: Intake) -> None:
    data = random.Random(2).randbytes(5_000_000)
    connection = broken(port, intake.token, len(data), len(data), data[:3_456_789])
    wait(lambda: intake.find(ID) and intake.find(ID).received >= 3_000_000)
    connection.close()
    wait(lambda: intake.find(ID).received == 3_456_789)
    status, answer = ask(port, "GET", intake.token)
    assert (status, answer) == (200, {"received": 3_456_789})
    assert put(port, intake, data[3_456_789:], 3_456_789, len(data)) == (200, {"received": len(data)})
    assert intake.gather([ID])[0].read_bytes() == data


def test_a_connection_that_died_unnoticed_does_not_hold_up_the_next(port: int, intake: Intake) -> None:
    data = random.Random(3).randbytes(4_000_000)
    hanging = broken(port, intake.token, len(data), len(data), data[:2_500_000])
    wait(lambda: intake.find(ID) and intake.find(ID).received >= 2_000_000)
    _, answer = ask(port, "GET", intake.token)
    first = answer["received"]
    assert put(port, intake, data[first:], first, len(data)) == (200, {"received": len(data)})
    hanging.close()
    time.sleep(0.2)
    assert intake.gather([ID])[0].read_bytes() == data


def test_a_piece_that_does_not_fit_what_has_arrived_is_not_written(port: int, intake: Intake) -> None:
    assert put(port, intake, b"0123", size=10) == (200, {"received": 4})
    assert put(port, intake, b"xxxx", first=2, size=10) == (200, {"received": 4})
    assert put(port, intake, b"xx", first=8, size=10) == (200, {"received": 4})
    assert put(port, intake, b"456789", first=4, size=11)[0] == 400
    assert put(port, intake, b"456789", first=4, size=10) == (200, {"received": 10})
    assert put(port, intake, b"xxxx", first=0, size=10) == (200, {"received": 10})
    assert intake.gather([ID])[0].read_bytes() == b"0123456789"


def test_a_file_that_was_given_up_begins_again(port: int, intake: Intake) -> None:
    assert put(port, intake, b"89", first=8, size=10) == (200, {"received": 0})
    assert intake.find(ID) is None


def test_after_a_disconnect_the_part_is_removed(port: int, intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "ABANDONED_S", 0.3)
    connection = broken(port, intake.token, 4_000_000, 4_000_000, b"x" * 2_500_000)
    wait(lambda: left_on_disk(intake))
    connection.close()
    wait(lambda: left_on_disk(intake) == [])
    assert intake.find(ID) is None


def test_a_client_that_falls_silent_is_given_up(port: int, intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "SILENCE_S", 0.3)
    monkeypatch.setattr(route, "ABANDONED_S", 0.3)
    connection = broken(port, intake.token, 4_000_000, 4_000_000, b"x" * 1_500_000)
    wait(lambda: left_on_disk(intake))
    wait(lambda: left_on_disk(intake) == [])
    connection.settimeout(10)
    assert connection.recv(4096).startswith(b"HTTP/1.1 200")  # answered, for what it is worth
    connection.close()


def test_cancelling_removes_what_was_sent_even_while_more_comes(port: int, intake: Intake) -> None:
    connection = broken(port, intake.token, 4_000_000, 4_000_000, b"x" * 2_500_000)
    wait(lambda: intake.find(ID) and intake.find(ID).received)
    assert ask(port, "DELETE", intake.token) == (200, {"received": 0})
    assert left_on_disk(intake) == []
    connection.sendall(b"x" * 1_500_000)
    assert connection.recv(4096).startswith(b"HTTP/1.1 410")
    assert left_on_disk(intake) == []
    connection.close()


def test_a_disk_that_fills_up_ends_in_a_sentence_and_leaves_nothing(
    port: int, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert put(port, intake, b"0123", size=10)[0] == 200
    arrival = intake.find(ID)
    assert arrival is not None
    arrival.path.unlink()
    arrival.path.symlink_to("/dev/full")
    status, answer = put(port, intake, b"456789", first=4, size=10)
    assert status == 507 and answer["error"].startswith("The server's disk has no room for 'a.csv'")
    assert left_on_disk(intake) == []
    monkeypatch.setattr(intake_module, "DISK_MARGIN", 1 << 62)
    assert put(port, intake, b"0123456789")[0] == 507


def test_the_script_is_served_by_its_hash_alone(port: int) -> None:
    for digest, status in ((route.SCRIPT_HASH, 200), ("0" * 64, 404), ("..%2F..%2Fapp", 404)):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", f"/somewhere/filament/uploader/{digest}/upload.js")
        answer = connection.getresponse()
        assert answer.status == status
        assert status == 404 or (answer.read() == route.SCRIPT and "immutable" in answer.headers["cache-control"])
        connection.close()
