"""One decorator for the compiled loops of this package: machine code kept on disk, so only the first start compiles.

Threads come from `in_threads`, not from numba's prange: the server calls from several threads at once, where numba's
default threading layer ends the process, and plain `nogil` functions compile several times faster.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numba
import numpy as np

CHUNKS_A_THREAD = 8  # clustered data make chunks unequal, so each thread takes several
SERIAL_BELOW = 4_000


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled on its first call, without the interpreter lock, cached on disk where it may be."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return numba.njit(nogil=True)(function)


def in_threads(kernel: Callable[..., Any], n: int, *arguments: Any) -> None:
    """Call `kernel(*arguments, start, stop)` over range(n) in chunks on all cores; chunks must not share outputs."""
    threads = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # cores this process may use
    if n < SERIAL_BELOW or threads == 1:
        kernel(*arguments, 0, n)
        return
    bounds = np.linspace(0, n, threads * CHUNKS_A_THREAD + 1).astype(np.int64).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda chunk: kernel(*arguments, *chunk), pairwise(bounds)))
