"""One decorator for the compiled loops of this package: machine code kept on disk, so only the first start compiles.

Threads come from `in_threads`, not from numba's prange: the server calls from several threads at once, where numba's
default threading layer ends the process, and plain `nogil` functions compile several times faster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numba
import numpy as np

CHUNKS_A_THREAD = 8  # clustered data make chunks unequal, so each thread takes several
SERIAL_BELOW = 4_000


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled on its first call, without the interpreter lock, cached on disk where it may be."""
    try:
        dispatcher = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return numba.njit(nogil=True)(function)
    # numba keeps machine code until the function's own file changes; functions here call those of other files.
    dispatcher._cache._cache_file._source_stamp = SOURCES  # type: ignore[attr-defined]
    return dispatcher


def _stamp_of_sources() -> str:
    """A text that changes with any source file of this package."""
    folder = Path(__file__).parent
    files = sorted(folder.rglob("*.py"))
    said = [(str(file.relative_to(folder)), file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    return hashlib.sha256(repr(said).encode()).hexdigest()


SOURCES = _stamp_of_sources()


def in_threads(kernel: Callable[..., Any], n: int, *arguments: Any, serial_below: int | None = None) -> list[Any]:
    """Call `kernel(*arguments, start, stop)` over range(n) in chunks on all cores; chunks must not share outputs.

    Returns what it returned for each chunk, in order.
    """
    threads = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # cores this process may use
    if threads == 1 or n < (SERIAL_BELOW if serial_below is None else serial_below):
        return [kernel(*arguments, 0, n)]
    bounds = np.linspace(0, n, min(threads * CHUNKS_A_THREAD, n) + 1).astype(np.int64).tolist()
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda chunk: kernel(*arguments, *chunk), pairwise(bounds)))
