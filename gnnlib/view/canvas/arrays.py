"""The arrays a canvas draws, served by content hash from the app's own server.

A browser asks for `/filament/arrays/<hash>` once and keeps the answer for good, so a colour change never sends
positions again. The hash is the only key: nothing here reads a path.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

CAPACITY_BYTES = 512 * 1024**2
TYPES = {".js": "text/javascript", ".css": "text/css"}
SCRIPTS = {path.name: path.read_bytes() for path in sorted(Path(__file__).parent.iterdir()) if path.suffix in TYPES}
SCRIPTS_HASH = hashlib.sha256(b"\0".join(SCRIPTS.values())).hexdigest()
HEADERS = {
    # Set, so that the server's gzip leaves the bytes alone: packing floats costs more than it saves.
    "Content-Encoding": "identity",
    "Cache-Control": "private, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
}


class ArrayStore:
    """Byte strings by their SHA-256, the least recently used dropped beyond `capacity` bytes. Safe between threads."""

    def __init__(self, capacity: int = CAPACITY_BYTES) -> None:
        self.capacity = capacity
        self.size = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, data: bytes) -> str:
        """Keep `data` and return its hash; the newest is kept even where it is larger than the capacity."""
        digest = hashlib.sha256(data).hexdigest()
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = data
                self.size += len(data)
            self._kept.move_to_end(digest)
            while self.size > self.capacity and len(self._kept) > 1:
                self.size -= len(self._kept.popitem(last=False)[1])
        return digest

    def get(self, digest: str) -> bytes | None:
        """The bytes with this hash, now the most recently used, or None where they are not kept (any more)."""
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
            return self._kept.get(digest)


STORE = ArrayStore()


def routes(base_path: str = "") -> list[Route]:
    """The routes that `app.py` adds to the server. base_path: Streamlit's server.baseUrlPath."""
    prefix = f"/{base_path.strip('/')}" if base_path.strip("/") else ""
    return [
        Route(f"{prefix}/filament/arrays/{{digest}}", _array),
        Route(f"{prefix}/filament/canvas/{{digest}}/{{name}}", _script),
    ]


async def _array(request: Request) -> Response:
    data = STORE.get(request.path_params["digest"])
    if data is None:
        return PlainTextResponse("No such array.", status_code=404, headers={"Cache-Control": "no-store"})
    return Response(data, media_type="application/octet-stream", headers=HEADERS)


async def _script(request: Request) -> Response:
    name = request.path_params["name"]
    script = SCRIPTS.get(name)
    if script is None or request.path_params["digest"] != SCRIPTS_HASH:
        return PlainTextResponse("No such script.", status_code=404, headers={"Cache-Control": "no-store"})
    return Response(script, media_type=TYPES[Path(name).suffix], headers=HEADERS)
