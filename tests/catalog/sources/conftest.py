"""Servers on loopback that stand for the real services, with permission to reach them."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.catalog.sources.loopback import Asked, Reply, Server


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """`serve(answer)` starts a server; `serve(answer, tls=context)` one that speaks TLS."""
    started: list[Server] = []

    def start(answer: Callable[[Asked], Reply | None], **options: object) -> Server:
        started.append(Server(answer, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def loopback_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILAMENT_ALLOW_PRIVATE_HOSTS", "1")


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's certificate for 127.0.0.1 whose authority this process trusts."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    return context
