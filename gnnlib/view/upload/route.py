"""The routes that take uploads: a file comes as a row of PUT requests and goes to disk as it comes.

    PUT    /filament/uploads/<id>   one piece; X-Filament-Name, Content-Range: bytes <first>-<last>/<size of the file>
    GET    /filament/uploads/<id>   how much has arrived, so that a lost connection can go on where it broke
    DELETE /filament/uploads/<id>   cancel it, or remove it from the list

Every request names its session by a token in a header of its own (X-Filament-Token), which another site can neither
know nor make a browser send; cookies play no part. Pieces rather than one long request, because proxies limit the
length of a request and connections break. No more than a megabyte of a file is in memory at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import unquote
from weakref import ref

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gnnlib.view.upload.intake import Arrival, Intake, Refused, intake_of

WRITE_BYTES = 1 << 20  # gathered before a thread is asked to write
SILENCE_S = 60.0  # a piece that stalls this long is given up
ABANDONED_S = 60.0  # a part that is not continued within this time is removed
SPILL_BYTES = 16 << 20  # read and thrown away after a refusal, so that the browser gets to read the answer ...
SPILL_S = 3.0  # ... while it comes without such a pause
SCRIPT = Path(__file__).with_name("upload.js").read_bytes()
SCRIPT_HASH = hashlib.sha256(SCRIPT).hexdigest()

_disk = CapacityLimiter(4)  # threads that write, so that uploads leave the others to the pages


def routes(base_path: str = "") -> list[Route]:
    """The routes that `app.py` adds to the server. base_path: Streamlit's server.baseUrlPath."""
    prefix = f"/{base_path.strip('/')}" if base_path.strip("/") else ""
    uploads = f"{prefix}/filament/uploads/{{file_id}}"
    return [
        Route(uploads, _explained(_put), methods=["PUT"]),
        Route(uploads, _explained(_get), methods=["GET"]),
        Route(uploads, _explained(_delete), methods=["DELETE"]),
        Route(f"{prefix}/filament/uploader/{{digest}}/upload.js", _script),
    ]


def _explained(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Answers a refusal with its sentence, once the rest of the request is out of the way."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            try:
                spilt = 0
                async for chunk in _body(request, SPILL_S):
                    spilt += len(chunk)
                    if spilt > SPILL_BYTES:
                        break
            except (ClientDisconnect, TimeoutError, RuntimeError):
                pass  # RuntimeError: the body was read to its end before
            headers = {"Cache-Control": "no-store", "Connection": "close"}
            return JSONResponse({"error": str(refused)}, status_code=refused.status, headers=headers)

    return handle


async def _put(request: Request) -> Response:
    intake, file_id = _addressed(request)
    first, last, size = _range(request)
    arrival = intake.find(file_id)
    if arrival is None:
        if first > 0:
            return _progress(0)  # given up in the meantime: begin again
        name = unquote(request.headers.get("x-filament-name", ""))
        arrival = await to_thread.run_sync(intake.begin, file_id, name, size, limiter=_disk)
    if arrival.size != size:
        raise Refused(400, f"'{arrival.name}' has changed since it was announced; choose it again.")
    turn = await to_thread.run_sync(intake.claim, arrival, first, limiter=_disk)
    if turn is not None:
        try:
            await _receive(request, intake, arrival, turn, last + 1)
        finally:
            asyncio.get_running_loop().call_later(ABANDONED_S + 0.1, _clear, ref(intake))
    return _progress(arrival.received)


async def _receive(request: Request, intake: Intake, arrival: Arrival, turn: int, stop: int) -> None:
    """Write the request's body behind what has arrived of a file, up to byte `stop` of it.

    A connection that breaks or stalls leaves what came before, for a later request to continue.
    """
    gathered = bytearray()

    async def write() -> None:
        await to_thread.run_sync(intake.write, arrival, turn, bytes(gathered), limiter=_disk)
        gathered.clear()

    try:
        async for chunk in _body(request, SILENCE_S):
            arrival.touched = time.monotonic()
            if arrival.received + len(gathered) + len(chunk) > stop:
                intake.drop(arrival.id)
                raise Refused(400, f"'{arrival.name}' is longer than announced; send it again.")
            gathered += chunk
            if len(gathered) >= WRITE_BYTES:
                await write()
    except (ClientDisconnect, TimeoutError):
        pass
    if gathered:
        await write()


async def _body(request: Request, silence_s: float) -> AsyncIterator[bytes]:
    """The request's body as it comes. Raises TimeoutError where nothing comes for so long."""
    stream = aiter(request.stream())
    while True:
        async with asyncio.timeout(silence_s):
            chunk = await anext(stream, None)
        if chunk is None:
            return
        yield chunk


async def _get(request: Request) -> Response:
    intake, file_id = _addressed(request)
    arrival = intake.find(file_id)
    return _progress(arrival.received if arrival else 0)


async def _delete(request: Request) -> Response:
    intake, file_id = _addressed(request)
    intake.drop(file_id)
    return _progress(0)


def _addressed(request: Request) -> tuple[Intake, str]:
    """The session's intake and the file's id. Refused for a token that nobody has, or has any more."""
    intake = intake_of(request.headers.get("x-filament-token", ""))
    if intake is None:
        raise Refused(403, "This page's session has ended; reload the page and choose the file again.")
    file_id = request.path_params["file_id"]
    if not re.fullmatch(r"[0-9a-f]{32}", file_id):
        raise Refused(400, "The upload is not addressed as expected; reload the page.")
    return intake, file_id


def _range(request: Request) -> tuple[int, int, int]:
    """First and last byte of the piece and the size of the file; the length of the body has to agree."""
    found = re.fullmatch(r"bytes (\d{1,16})-(\d{1,16})/(\d{1,16})", request.headers.get("content-range", ""))
    first, last, size = map(int, found.groups()) if found else (0, 0, 0)
    length = request.headers.get("content-length")
    if not found or not first <= last < size or (length is not None and length != str(last - first + 1)):
        raise Refused(400, "The upload is not announced as expected; reload the page.")
    return first, last, size


def _progress(received: int) -> Response:
    return JSONResponse({"received": received}, headers={"Cache-Control": "no-store"})


def _clear(intake: ref[Intake]) -> None:
    held = intake()
    if held is not None:
        held.drop_abandoned(ABANDONED_S)


async def _script(request: Request) -> Response:
    if request.path_params["digest"] != SCRIPT_HASH:
        return PlainTextResponse("No such script.", status_code=404, headers={"Cache-Control": "no-store"})
    headers = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(SCRIPT, media_type="text/javascript", headers=headers)
