"""A web server on loopback that answers as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Reply:
    """announced: the Content-Length that is claimed; pieces: what is sent instead of the body, one after the other."""

    body: bytes | str = b""
    status: int = 200
    kind: str = "text/plain"
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = None
    pieces: Iterable[bytes] | None = None


def redirect(place: str, status: int = 302) -> Reply:
    return Reply(status=status, headers={"Location": place})


class Server:
    """`answer` gets what was asked and returns a Reply, or None for 404. Byte ranges are served from its body."""

    def __init__(
        self, answer: Callable[[Asked], Reply | None], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ):
        self.asked: list[Asked] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
                server.asked.append(asked)
                self._send(answer(asked) or Reply("not here", 404), headers.get("range", ""))

            do_GET = do_POST = do_HEAD = _serve

            def _send(self, reply: Reply, wanted: str) -> None:
                content = reply.body.encode() if isinstance(reply.body, str) else reply.body
                status, extra = reply.status, dict(reply.headers)
                if status == 200 and (part := re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)):
                    size = len(content)
                    first = int(part[1]) if part[1] else size - int(part[2])
                    last = min(int(part[2]), size - 1) if part[1] and part[2] else size - 1
                    content, status = content[first : last + 1], 206
                    extra["Content-Range"] = f"bytes {first}-{last}/{size}"
                self.send_response(status)
                self.send_header("Content-Type", reply.kind)
                for name, value in extra.items():
                    self.send_header(name, value)
                length = reply.announced if reply.announced is not None else len(content)
                if reply.pieces is None or reply.announced is not None:
                    self.send_header("Content-Length", str(length))
                else:
                    self.send_header("Connection", "close")
                self.end_headers()
                if self.command == "HEAD":
                    return
                for piece in reply.pieces if reply.pieces is not None else (content,):
                    self.wfile.write(piece)
                    self.wfile.flush()
                if reply.pieces is not None or length != len(content):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # a client that left

        self._server = Quiet((host, 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.host = f"{host}:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
