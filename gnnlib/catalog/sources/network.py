"""The network as remote sources may use it: public addresses only, limits on time and size, failures in one sentence.

A page of a public server sends requests on behalf of strangers, so no address it is given, or redirected to, may lead
into the network behind it. Addresses are judged where the connection is opened, after the name was resolved: a name
that resolves differently a moment later, and a redirect, meet the same check.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import re
import socket
import ssl
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import IO, Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from gnnlib.errors import InputError

CONNECT_SECONDS = 15.0
SILENT_SECONDS = 180.0  # a database may think this long before its first byte
LARGEST_ANSWER = 1 << 30  # bytes; tables of the largest row limit
IN_MEMORY = 32 << 20  # longer answers wait in a temporary file
ALLOW_PRIVATE = "FILAMENT_ALLOW_PRIVATE_HOSTS"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Received = Callable[[int, int], None]  # bytes so far, bytes announced (0 = unknown)


def unheard(got: int, announced: int) -> None:
    """What many small answers are received with."""


class RefusedAddress(InputError):
    """An address that the server must not open for a visitor."""


# Addresses


def check_url(url: str) -> str:
    """A web address as a person may give it, without a trailing slash.

    Raises RefusedAddress for other schemes and for addresses with a password, a query or a fragment, which would be
    kept with the catalog and could hold a secret.
    """
    parts = _split(url)
    shown = _readable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", 80)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RefusedAddress(f"'{shown}' is not a web address; write one that begins with https:// or http://.")
    if "@" in parts.netloc:
        raise RefusedAddress(f"The address '{shown}' holds a user name or password; leave them out.")
    if parts.query or parts.fragment or re.search(r"[\s\\]", url.strip()):
        raise RefusedAddress(f"The address '{shown}' must end before any '?', '#' or blank; leave out what follows.")
    return url.strip().rstrip("/")


def _split(url: str) -> Any:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port  # parsed here, so that a bad one is noticed
        return parts
    except ValueError as error:
        raise RefusedAddress(f"'{_readable(url, 80)}' is not a web address; check how it is written.") from error


def public_addresses(host: str, port: int | None) -> list[str]:
    """The IP addresses of `host`. Raises RefusedAddress if any of them is not public, gaierror if there is none."""
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not private_allowed():
        for address in found:
            if not is_public(address):
                raise refusal(host)
    return list(dict.fromkeys(found))


def private_allowed() -> bool:
    return os.environ.get(ALLOW_PRIVATE) == "1"


def refusal(host: str) -> RefusedAddress:
    return RefusedAddress(
        f"'{_readable(host, 80)}' leads into a private network, which is not opened from here;"
        f" on a machine of your own set {ALLOW_PRIVATE}=1 to allow it."
    )


def is_public(address: str) -> bool:
    """Whether an IP address is on the open internet, counting addresses of the old kind wrapped into the new one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    wrapped = []
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in _NAT64:
            wrapped.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return all(one.is_global and not one.is_multicast for one in (ip, *wrapped) if one is not None)


def public_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for an entry of `getaddrinfo`, as aiohttp asks for one. Raises RefusedAddress unless it is public."""
    family, kind, protocol, _, place = address
    if not (private_allowed() or is_public(str(place[0]))):
        raise refusal(str(place[0]))
    return socket.socket(family, kind, protocol)


# Connections


class _Watch:
    """Ends every connection of a session at its deadline, whatever it is waiting for."""

    def __init__(self) -> None:
        self.expired = False
        self.open: weakref.WeakSet[_Guarded] = weakref.WeakSet()

    def end(self) -> None:
        self.expired = True
        for connection in list(self.open):
            connection.cut()


class _Guarded(HTTPConnection):
    """A connection that is opened to public addresses only and that a watch can end.

    What the watch ends is a duplicate of the socket: TLS takes the original over, and http.client forgets it while the
    answer is still being read.
    """

    watch: _Watch
    _duplicate: socket.socket | None = None
    _let_go: Callable[[], object] = staticmethod(lambda: None)  # closes the duplicate of the connection before

    def _new_conn(self) -> socket.socket:
        if self.watch.expired:
            raise ConnectTimeoutError(self, "The time is up.")
        try:
            addresses = public_addresses(self.host, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        failure: OSError | None = None
        for address in addresses:
            try:
                opened = create_connection(
                    (address, self.port), CONNECT_SECONDS, self.source_address, self.socket_options
                )
            except OSError as error:
                failure = error
                continue
            opened.settimeout(SILENT_SECONDS)
            self._let_go()
            self._duplicate = opened.dup()
            self._let_go = weakref.finalize(self, self._duplicate.close)
            self.watch.open.add(self)
            return opened
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, f"{self.host} did not answer.") from failure
        raise NewConnectionError(self, f"{self.host} cannot be reached.") from failure

    def cut(self) -> None:
        if self._duplicate is not None:
            with contextlib.suppress(OSError):  # closed already
                self._duplicate.shutdown(socket.SHUT_RDWR)


class _GuardedTLS(_Guarded, HTTPSConnection):
    pass


class _Body:
    """An answer that was received whole, as requests and pyvo read it."""

    def __init__(self, file: IO[bytes]):
        self._file = file

    def read(self, amt: int | None = None, decode_content: bool = True) -> bytes:
        return self._file.read(-1 if amt is None else amt)

    def close(self) -> None:
        self._file.close()


class _Adapter(HTTPAdapter):
    """Sends through guarded connections, receives whole answers within limits, adds the key where it is trusted."""

    def __init__(self, session: Session):
        self.session = weakref.proxy(session)
        self.watch = session.watch
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **options)
        plain = type("Plain", (_Guarded,), {"watch": self.watch})
        secure = type("Secure", (_GuardedTLS,), {"watch": self.watch})
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        url = request.url or ""
        if select_proxy(url, options.get("proxies")):  # the proxy would connect, so the name is judged beforehand
            parts = urlsplit(url)
            public_addresses(parts.hostname or "", parts.port)
        session = self.session
        request.headers.pop(session.key_header, None)  # requests carries headers along when it is redirected
        if session.key and session.trusts(url):
            request.headers[session.key_header] = session.key
        options |= {"stream": True, "timeout": (CONNECT_SECONDS, SILENT_SECONDS)}
        response = super().send(request, **options)
        response.raw = self._receive(response.raw, request)  # type: ignore[assignment]
        return response

    def _receive(self, raw: urllib3.BaseHTTPResponse, request: requests.PreparedRequest) -> _Body:
        announced = int(raw.headers.get("Content-Length") or 0) if not raw.headers.get("Content-Encoding") else 0
        body = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (closed by _Body)
        got = 0
        try:
            for part in raw.stream(1 << 16, decode_content=True):
                got += len(part)
                if got > self.session.largest:
                    limit = self.session.largest / (1 << 30)
                    raise InputError(f"The answer is larger than {limit:.3g} GiB; ask for fewer rows or columns.")
                body.write(part)
                self.session.received(got, announced)
            self.session.in_time()  # an answer of no announced length ends without an error where it is cut
        except BaseException as error:
            body.close()
            raw.close()
            if isinstance(error, urllib3.exceptions.HTTPError):
                raise requests.exceptions.ConnectionError(error, request=request) from error
            raise
        raw.release_conn()
        body.seek(0)
        return _Body(body)  # type: ignore[arg-type]


def _no_account(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stands where requests would otherwise look an address up in ~/.netrc."""
    return request


class Session(requests.Session):
    """A session of requests for one fetch; leaving it closes everything.

    seconds: after which every connection is ended. largest: bytes of one answer. received: told how much of an answer
    has come. key, key_header: a secret that is sent in this header, and to no address but those that `trusts` says yes
    to; nothing else that this account knows (~/.netrc) is sent.
    """

    def __init__(
        self,
        seconds: float,
        received: Received = unheard,
        largest: int = LARGEST_ANSWER,
        key: str = "",
        key_header: str = "api-key",
        trusts: Callable[[str], bool] = lambda url: False,
    ):
        super().__init__()
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        self.watch = _Watch()
        self.largest = largest
        self.auth = _no_account
        self.received, self.key, self.key_header, self.trusts = received, key, key_header, trusts
        self.max_redirects = 5
        self.headers["User-Agent"] = f"Filament {self.headers['User-Agent']}"
        self.adapters.clear()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(self))
        self._timer = threading.Timer(seconds, self.watch.end)
        self._timer.daemon = True
        self._timer.start()

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        prepared_request.headers.pop("Authorization", None)

    def in_time(self) -> None:
        """Raise TimeoutError once the time of this fetch is up."""
        if self.watch.expired or time.monotonic() > self.deadline:
            raise TimeoutError

    def close(self) -> None:
        self._timer.cancel()
        super().close()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):  # type: ignore[override,no-untyped-def]
        self.close()

    def __repr__(self) -> str:
        return "<Session>"


# Failures


def in_one_sentence(error: BaseException, who: str, session: Session | None = None) -> InputError:
    """What went wrong while asking `who`, and what to do, from the libraries' nested exceptions."""
    chain = list(_chain(error))
    known = next((one for one in chain if isinstance(one, InputError)), None)
    if known is not None:
        return known
    if session is not None and session.watch.expired:
        return InputError(f"{who} did not finish within {session.seconds:.0f} seconds; ask for fewer rows.")
    for recognise in (_by_status, _by_kind):
        for one in chain:
            if sentence := recognise(one):
                return InputError(f"{who} {sentence}")
    return InputError(f"{who} gave an answer that is not understood ({type(error).__name__}); try again later.")


def status_sentence(status: int) -> str:
    """The end of a sentence about an answer with this HTTP status."""
    if status in (401, 403):
        return f"refuses access ({status}); check the key or whether these data are public."
    if status in (404, 410):
        return f"has nothing at this address ({status}); check how it is written."
    if status == 429:
        return "is asked too often from here (429); wait some minutes and try again."
    if status in (408, 504):
        return f"ran out of time ({status}); ask for fewer rows."
    if status == 413:
        return "finds the question too long (413); shorten it."
    if status >= 500:
        return f"has a failure of its own ({status}); try again later."
    return f"does not accept the question ({status}); check how it is written."


def said(text: str) -> str:
    """A server's own words as part of a sentence: one line, no markup, at most 200 characters."""
    text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", text)
    return _readable(text, 200).strip(" .;:")


def _readable(text: str, length: int) -> str:
    text = " ".join(re.sub(r"[^\w\s.,;:'\"()/+=%?!@&-]", " ", text).split())
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and everything it was made from, wherever libraries put that."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        for other in (
            *(getattr(one, name, None) for name in ("__cause__", "__context__", "reason", "cause", "os_error")),
            *one.args,
        ):
            if isinstance(other, BaseException):
                waiting.append(other)


def _by_status(error: BaseException) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "code", None)
    status = status or getattr(error, "status", None)
    return status_sentence(status) if isinstance(status, int) and 400 <= status < 600 else ""


def _by_kind(error: BaseException) -> str:
    if isinstance(error, NameResolutionError | socket.gaierror) or "DNS" in type(error).__name__:
        return "cannot be found on the network; check the address and this machine's connection."
    if isinstance(error, ConnectionRefusedError):
        return "refuses connections; check the address or try again later."
    if isinstance(error, ssl.SSLCertVerificationError):
        return "has no valid certificate, so the connection is not safe; check the address."
    if isinstance(error, ssl.SSLError):
        return "does not open a secure connection; check whether the address begins with https:// or http://."
    if isinstance(error, NewConnectionError):  # for urllib3 a kind of timeout; what happened is in its cause
        return ""
    if isinstance(error, TimeoutError | requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
        return "did not answer in time; ask for fewer rows or try again later."
    if isinstance(error, requests.exceptions.TooManyRedirects) or type(error).__name__ == "TooManyRedirects":
        return "sends the request round in circles; check the address."
    if isinstance(error, requests.exceptions.InvalidSchema | requests.exceptions.InvalidURL):
        return "sends the request to an address that is not opened from here; check the address."
    if isinstance(error, urllib3.exceptions.ProtocolError | ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "broke the connection before its answer was complete; try again."
    if isinstance(error, FileNotFoundError):
        return "lacks a file that belongs to its catalog, or does not give it out; try again later."
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return "cannot be reached; check this machine's network connection."
    return ""
