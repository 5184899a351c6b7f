"""Where a run computes: the graphics processor if there is one, else the CPU."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def free_memory(device: torch.device) -> int | None:
    """Bytes that a training can still have on the device; None where the system does not tell.

    On the CPU what the machine has to spare, or the container where that has less.
    """
    if device.type == "cuda":
        spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # of torch's own store
        return torch.cuda.mem_get_info(device)[0] + spare
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        cached = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())["inactive_file"]
        return min(free, limit - used + int(cached))
    except (OSError, ValueError, KeyError):  # no container, or one without a limit ("max")
        return free


def used_memory(device: torch.device) -> int:
    """Bytes this process had on the device at its peak so far; on the CPU of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def describe(device: torch.device) -> str:
    """One line for a person: `CPU, 2 threads`, `NVIDIA H100, 80 GB`, `Apple GPU (MPS)`."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 1e9:.0f} GB"
    if device.type == "mps":
        return f"Apple GPU (MPS), {platform.machine()}"
    threads = training_threads()
    return f"CPU, {threads} thread{'s' if threads != 1 else ''}"
