"""The guard: no private address, no endless answer, no key for strangers, one sentence for every failure."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from gnnlib.catalog.sources import network
from gnnlib.catalog.sources.network import (
    RefusedAddress,
    Session,
    check_url,
    in_one_sentence,
    is_public,
    public_addresses,
    said,
)
from gnnlib.errors import InputError
from tests.catalog.sources.loopback import Asked, Reply, Server, redirect

Serve = Callable[..., Server]


def sentence_of(ask: Callable[[], object], session: Session | None = None) -> str:
    """What a person would read about the failure of `ask`."""
    with pytest.raises(Exception) as caught:
        ask()
    text = str(in_one_sentence(caught.value, "The service", session))
    assert "\n" not in text and text.endswith(".") and text.count(". ") == 0
    return text


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("130.79.129.54", True),
        ("2001:660:5303::1", True),
        ("127.0.0.1", False),
        ("127.8.9.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # where clouds keep their credentials
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),  # 127.0.0.1 through NAT64
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),  # 127.0.0.1 through 6to4
    ],
)
def test_only_the_open_internet_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/tap",
        "gopher://example.org",
        "example.org/tap",
        "//example.org/tap",
        "https://",
        "https://user:secret@example.org/tap",
        "https://example.org/tap?apikey=secret",
        "https://example.org/tap#part",
        "https://example.org:port/tap",
        "https://exa mple.org/",
        "http://[::1",
        "",
    ],
)
def test_addresses_that_are_not_plain_web_addresses_are_refused(url: str) -> None:
    with pytest.raises(RefusedAddress) as caught:
        check_url(url)
    assert "secret" not in str(caught.value)


def test_a_plain_address_keeps_its_port_and_path() -> None:
    assert check_url(" https://dc.example.org:8443/tap/ ") == "https://dc.example.org:8443/tap"


@pytest.mark.parametrize("place", ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"])
def test_loopback_is_refused_however_it_is_written(serve: Serve, place: str) -> None:
    server = serve(lambda asked: Reply("inside"))
    with Session(10) as session:
        text = sentence_of(lambda: session.get(f"http://{place}:{server.port}/"))
    assert "private network" in text
    assert server.asked == []


def test_an_own_machine_may_allow_loopback(serve: Serve, loopback_allowed: None) -> None:
    server = serve(lambda asked: Reply("inside"))
    with Session(10) as session:
        assert session.get(server.url).text == "inside"


def test_one_private_address_among_the_addresses_of_a_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    with pytest.raises(RefusedAddress):
        public_addresses("two-faced.example", 80)


@pytest.fixture
def first_host_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 stands for the internet, every other address for the network behind the server."""
    monkeypatch.setattr(network, "is_public", lambda address: address == "127.0.0.1")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_into_the_private_network_is_refused(serve: Serve, first_host_is_public: None, status: int) -> None:
    inside = serve(lambda asked: Reply("inside"), host="127.0.0.2")
    outside = serve(lambda asked: redirect(inside.url, status))
    with Session(10) as session:
        text = sentence_of(lambda: session.post(outside.url, data="query"))
    assert "private network" in text
    assert len(outside.asked) == 1 and inside.asked == []


def test_a_name_that_resolves_differently_a_moment_later_gains_nothing(
    serve: Serve, first_host_is_public: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = serve(lambda asked: Reply("inside"), host="127.0.0.2")
    resolved: list[str] = []

    def rebinding(host: str, port: int, *_: object, **__: object) -> list[object]:
        if host in ("127.0.0.1", "127.0.0.2"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        resolved.append(host)
        address = "127.0.0.1" if len(resolved) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with Session(10) as session:
        sentence_of(lambda: session.get(f"http://rebinding.example:{inside.port}/"))
    assert resolved == ["rebinding.example"] and inside.asked == []


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"])
def test_a_redirect_to_another_scheme_is_refused(serve: Serve, loopback_allowed: None, place: str) -> None:
    server = serve(lambda asked: redirect(place))
    with Session(10) as session:
        assert "not opened from here" in sentence_of(lambda: session.get(server.url))


def test_redirects_end(serve: Serve, loopback_allowed: None) -> None:
    server = serve(lambda asked: redirect("/again"))
    with Session(10) as session:
        assert "in circles" in sentence_of(lambda: session.get(server.url))
    assert len(server.asked) <= 7


def test_through_a_proxy_private_names_stay_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(lambda asked: Reply("through the proxy"))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    with Session(10) as session:
        assert "private network" in sentence_of(lambda: session.get("http://127.0.0.2/"))
    assert proxy.asked == []


# Limits


def dripping(stop: threading.Event) -> Iterator[bytes]:
    while not stop.is_set():
        yield b"x"
        time.sleep(0.02)


def test_an_answer_that_never_ends_is_cut_at_the_deadline(serve: Serve, loopback_allowed: None) -> None:
    stop = threading.Event()
    server = serve(lambda asked: Reply(pieces=dripping(stop)))
    with Session(0.5) as session:
        text = sentence_of(lambda: session.get(server.url), session)
    stop.set()
    assert "did not finish within" in text


def test_headers_that_never_end_are_cut_at_the_deadline(loopback_allowed: None) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        try:
            for piece in dripping(stop):
                connection.sendall(piece)
        except OSError:
            pass

    threading.Thread(target=drip, daemon=True).start()
    with Session(0.5) as session:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        text = sentence_of(lambda: session.get(url), session)
    stop.set()
    listener.close()
    assert "did not finish within" in text


def test_a_server_that_says_nothing_is_given_up(
    serve: Serve, loopback_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "SILENT_SECONDS", 0.2)
    release = threading.Event()

    def wait(asked: Asked) -> Reply:
        release.wait(10)
        return Reply("late")

    server = serve(wait)
    with Session(30) as session:
        text = sentence_of(lambda: session.get(server.url), session)
    release.set()
    assert "did not answer in time" in text


def test_an_answer_that_is_too_large_is_not_received_whole(serve: Serve, loopback_allowed: None) -> None:
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        while sum(sent) < 1 << 30:
            sent.append(1 << 16)
            yield bytes(1 << 16)

    server = serve(lambda asked: Reply(pieces=endless()))
    with Session(30, largest=1 << 20) as session:
        assert "larger than" in sentence_of(lambda: session.get(server.url))
    assert sum(sent) < 1 << 27


def test_progress_tells_what_came_of_what_was_announced(serve: Serve, loopback_allowed: None) -> None:
    server = serve(lambda asked: Reply(bytes(300_000)))
    told: list[tuple[int, int]] = []
    with Session(10, received=lambda got, announced: told.append((got, announced))) as session:
        assert len(session.get(server.url).content) == 300_000
    assert told[-1] == (300_000, 300_000) and len(told) > 1


# Failures


def test_a_name_that_does_not_exist() -> None:
    with Session(10) as session:
        assert "cannot be found on the network" in sentence_of(lambda: session.get("https://nothing-here.invalid/"))


def test_a_closed_port(loopback_allowed: None) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Session(10) as session:
        assert "refuses connections" in sentence_of(lambda: session.get(f"http://127.0.0.1:{port}/"))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "does not accept"),
        (401, "refuses access"),
        (403, "refuses access"),
        (404, "has nothing at this address"),
        (429, "too often"),
        (500, "failure of its own"),
        (503, "failure of its own"),
        (504, "ran out of time"),
    ],
)
def test_every_status_is_a_sentence(serve: Serve, loopback_allowed: None, status: int, words: str) -> None:
    server = serve(lambda asked: Reply("<html>Traceback ...</html>", status))
    with Session(10) as session:
        assert words in sentence_of(lambda: session.get(server.url).raise_for_status())


@pytest.mark.parametrize("pieces", [[b"only the beginning"], []])
def test_a_connection_that_breaks(serve: Serve, loopback_allowed: None, pieces: list[bytes]) -> None:
    server = serve(lambda asked: Reply(pieces=pieces, announced=1000))
    with Session(10) as session:
        assert "broke the connection" in sentence_of(lambda: session.get(server.url))


def test_a_server_without_http(loopback_allowed: None) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        connection, _ = listener.accept()
        connection.sendall(b"220 mail.example ESMTP\r\n")
        connection.close()

    threading.Thread(target=greet, daemon=True).start()
    with Session(10) as session:
        assert "broke the connection" in sentence_of(
            lambda: session.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        )
    listener.close()


def test_a_certificate_that_nobody_trusts(
    serve: Serve, loopback_allowed: None, certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda asked: Reply("secret table"), tls=certificate)
    with Session(10) as session:
        assert session.get(server.url).text == "secret table"
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with Session(10) as session:
        assert "no valid certificate" in sentence_of(lambda: session.get(server.url))


def test_the_words_of_a_server_come_without_markup() -> None:
    text = said("<script>alert(1)</script><b>Syntax</b> error\nnear [x](http://evil) `code` " + 300 * "y")
    assert "<" not in text and "[" not in text and "`" not in text and "\n" not in text and "alert" not in text
    assert text.startswith("Syntax error near") and len(text) <= 200


# The key


KEY = "0123456789abcdef-the-key"


def test_the_key_goes_to_trusted_addresses_only(serve: Serve, loopback_allowed: None) -> None:
    stranger = serve(lambda asked: Reply("data"))
    own = serve(lambda asked: Reply("own") if asked.path == "/here" else redirect(stranger.url))
    with Session(10, key=KEY, trusts=lambda url: url.startswith(own.url)) as session:
        session.get(f"{own.url}/here")
        session.get(f"{own.url}/away")
    assert [asked.headers.get("api-key") for asked in own.asked] == [KEY, KEY]
    assert [asked.headers.get("api-key") for asked in stranger.asked] == [None]


def test_the_key_is_not_in_what_is_logged_or_shown(
    serve: Serve, loopback_allowed: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(lambda asked: Reply("broken", announced=1000, pieces=[b"x"]))
    with Session(10, key=KEY, trusts=lambda url: True) as session:
        with pytest.raises((requests.RequestException, OSError, InputError, Exception)) as caught:
            session.get(server.url)
        assert server.asked[0].headers["api-key"] == KEY
        assert KEY not in repr(session) and KEY not in repr(caught.value) and KEY not in str(caught.getrepr())
    assert KEY not in caplog.text


def test_passwords_of_this_account_are_not_sent(
    serve: Serve, loopback_allowed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """requests looks addresses up in ~/.netrc by itself, also those that it is redirected to."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login owner password of-the-server\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve(lambda asked: redirect("/there") if asked.path == "/here" else Reply("data"))
    with Session(10) as session:
        session.get(f"{server.url}/here")
    assert len(server.asked) == 2 and all("authorization" not in asked.headers for asked in server.asked)
    requests.get(f"{server.url}/there")
    assert "authorization" in server.asked[-1].headers  # so the file would have been used
