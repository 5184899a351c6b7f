"""How the benchmarks take a time: the shortest of several, since everything else that a machine does only adds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def best_of(repeats: int, function: Callable[[], Any]) -> tuple[float, Any]:
    """Shortest wall time in seconds, and what the function returned last."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = function()
        times.append(time.perf_counter() - start)
    return min(times), found
