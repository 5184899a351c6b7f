"""The store that serves arrays by content hash: bounded, and open to hashes only."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from starlette.applications import Starlette

from gnnlib.view.canvas.arrays import SCRIPTS, SCRIPTS_HASH, STORE, ArrayStore, routes


def test_what_is_put_comes_back_under_its_own_hash() -> None:
    store = ArrayStore()
    digest = store.put(b"positions")
    assert digest == hashlib.sha256(b"positions").hexdigest()
    assert store.get(digest) == b"positions"
    assert store.get("0" * 64) is None


def test_the_store_never_holds_more_than_its_capacity_and_drops_the_least_recently_used() -> None:
    store = ArrayStore(capacity=300)
    first, second = store.put(b"a" * 100), store.put(b"b" * 100)
    third = store.put(b"c" * 100)
    store.get(first)
    store.put(b"d" * 100)
    assert store.size == 300
    assert store.get(second) is None
    assert store.get(first) and store.get(third)


def test_the_same_bytes_are_kept_once() -> None:
    store = ArrayStore()
    assert store.put(b"x" * 50) == store.put(b"x" * 50)
    assert store.size == 50


def test_an_array_beyond_the_capacity_is_still_served() -> None:
    store = ArrayStore(capacity=10)
    store.put(b"small")
    digest = store.put(b"x" * 100)
    assert store.get(digest) == b"x" * 100 and store.size == 100


def test_threads_may_share_the_store() -> None:
    store = ArrayStore(capacity=5_000)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(200):
            store.get(store.put(rng.bytes(100)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.size <= 5_000 and store.size == sum(map(len, store._kept.values()))


def get(path: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a request, answered as a server behind /somewhere would."""
    app = Starlette(routes=routes("/somewhere/"))
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(f"/somewhere/filament/{path}"),
        "query_string": b"",
        "headers": [(b"accept-encoding", b"gzip")],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    # In a thread of its own: a browser test's event loop may be running in this one.
    caller = threading.Thread(target=lambda: asyncio.run(app(scope, receive, send)))
    caller.start()
    caller.join()
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent)


def test_arrays_are_served_uncompressed_and_cached_for_good() -> None:
    digest = STORE.put(b"\0\1\2" * 1000)
    status, headers, content = get(f"arrays/{digest}")
    assert status == 200 and content == b"\0\1\2" * 1000
    assert headers["content-encoding"] == "identity"
    assert "immutable" in headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "arrays/../app.py",
        "arrays/..%2F..%2Fapp.py",
        "arrays/%2Fetc%2Fpasswd",
        "arrays/" + "0" * 64,
        f"canvas/{SCRIPTS_HASH}/component.py",
        f"canvas/{SCRIPTS_HASH}/..%2Fcomponent.py",
        "canvas/old/canvas.js",
    ],
)
def test_nothing_but_known_hashes_and_scripts_is_served(path: str) -> None:
    status, headers, content = get(path)
    assert status == 404 and len(content) < 50
    assert headers.get("cache-control", "no-store") == "no-store"


def test_the_renderer_is_served_with_the_modules_it_imports() -> None:
    for name, script in SCRIPTS.items():
        _, headers, content = get(f"canvas/{SCRIPTS_HASH}/{name}")
        assert content == script and headers["content-type"].startswith(
            "text/css" if name.endswith(".css") else "text/javascript"
        )
        for line in script.decode().splitlines():
            if line.startswith("import ") and " from " in line:
                assert line.split('"')[1].removeprefix("./") in SCRIPTS
