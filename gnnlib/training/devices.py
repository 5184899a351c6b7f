"""Where a run computes: the graphics processor if there is one, else the CPU."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from joblib import cpu_count  # of this process: a container's share, where the system counts the machine

from gnnlib.errors import InputError


def resolve(name: str) -> torch.device:
    """The torch device of "auto", "cuda", "mps" or "cpu". Raises InputError where the one asked for is missing."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, found in available.items() if found))
    if name not in available:
        raise InputError(f"There is no device '{name}'; choose auto, {', '.join(available)}.")
    if not available[name]:
        usable = ", ".join(kind for kind, found in available.items() if found)
        raise InputError(f"This machine has no usable '{name}' device (found: {usable}); choose 'auto' or 'cpu'.")
    return torch.device(name)


def training_threads() -> int:
    """Threads that training uses on the CPU: OMP_NUM_THREADS where it is set, else half of the cores it may use.

    The other half is for the page and the browser. OpenMP threads wait for each other by spinning, so that two of them
    on one free core take ten times as long as one alone.
    """
    return torch.get_num_threads() if "OMP_NUM_THREADS" in os.environ else max(1, cpu_count() // 2)


@contextmanager
def training_cores() -> Iterator[None]:
    """`training_threads` for the block, then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(training_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def describe(device: torch.device) -> str:
    """One line for a person: `CPU, 2 threads`, `NVIDIA H100, 80 GB`, `Apple GPU (MPS)`."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 1e9:.0f} GB"
    if device.type == "mps":
        return f"Apple GPU (MPS), {platform.machine()}"
    threads = training_threads()
    return f"CPU, {threads} thread{'s' if threads != 1 else ''}"
