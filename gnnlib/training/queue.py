"""Who trains now and who waits: at most so many workers at once on a device, the others in the order they came.

A place on a device is a locked file, so it is free again the moment its worker ends, however it ends; with the process
goes all the memory it had on the device.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from gnnlib.errors import InputError
from gnnlib.training.devices import resolve
from gnnlib.training.run import Run, list_runs

WORKERS = "FILAMENT_WORKERS"  # environment variable: how many may train on one device at once
LOOK_EVERY_S = 1.0


def workers_at_once() -> int:
    """How many workers may train on one device at the same time. Raises InputError where the setting is no number."""
    given = os.environ.get(WORKERS, "1")
    if not given.isascii() or not given.isdigit() or int(given) < 1:
        raise InputError(f"{WORKERS} is '{given}'; set it to the number of workers a device may have, such as 1.")
    return int(given)


@contextmanager
def turn(run: Run, stop: threading.Event) -> Iterator[torch.device | None]:
    """Wait for a place on the run's device and hold it; of several graphics processors, the one with a free place.

    Workers of one folder of runs stand in one line a kind of device, older runs first; the run's status says behind
    whom. Yields None if `stop` is set meanwhile.
    """
    wanted = resolve(run.spec.device)
    places = [
        (device, run.folder.parent / f".queue-{device.type}{device.index or 0}-{number}.lock")
        for number in range(workers_at_once())
        for device in _devices(wanted)
    ]
    with ExitStack() as held:
        while True:
            others = [other for other in list_runs(run.folder.parent) if other.id != run.id and other.has_worker]
            others = [other for other in others if _kind(other) == wanted.type]
            ahead = sum(other.id < run.id and other.status.state == "queued" for other in others)
            device = next((device for device, path in places if _take(path, held)), None) if not ahead else None
            if stop.is_set() or device is not None:
                yield None if stop.is_set() else device
                return
            busy = [other.id for other in others if other.status.state == "running"]
            line = f", after {ahead} other run{'s' * (ahead > 1)} in line" if ahead else ""
            run.write_status(message=f"Waiting for {' or '.join(busy) or 'another run'} to finish{line}.")
            stop.wait(LOOK_EVERY_S)


def _take(path: Path, held: ExitStack) -> bool:
    """Lock a place for as long as `held` is open; False where another worker has it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    held.enter_context(file)
    return True


def _devices(wanted: torch.device) -> list[torch.device]:
    if wanted.type != "cuda":
        return [wanted]
    return [torch.device("cuda", number) for number in range(torch.cuda.device_count())]


def _kind(run: Run) -> str:
    """The kind of device that another run waits for; "" where that cannot be told."""
    try:
        return resolve(run.spec.device).type
    except InputError:
        return ""
