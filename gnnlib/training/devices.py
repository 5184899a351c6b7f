"""Where a run computes: the graphics processor if there is one, else the CPU."""

from __future__ import annotations

import platform

import torch

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


def describe(device: torch.device) -> str:
    """One line for a person: `CPU, 2 threads`, `NVIDIA H100, 80 GB`, `Apple GPU (MPS)`."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 1e9:.0f} GB"
    if device.type == "mps":
        return f"Apple GPU (MPS), {platform.machine()}"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads != 1 else ''}"
