"""Where uploads lie on the server's disk, and how long: until a session ends, or as long as a run needs them."""

from __future__ import annotations

import atexit
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

from gnnlib.errors import InputError
from gnnlib.training.run import TRASH
from gnnlib.view.upload.intake import link_or_copy

SPOOL = "filament-uploads-"  # the folder of one server's sessions is called this and something random
LEFT_FOR_S = 86_400.0  # what no run names is left alone for a day: one may be about to name it


# For a session


def session_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for the uploads of one session, removed with the object that is returned."""
    return tempfile.TemporaryDirectory(prefix="session-", dir=_spool()[0], ignore_cleanup_errors=True)


@cache
def _spool() -> tuple[Path, IO[bytes]]:
    """This server's folder for the uploads of its sessions, and the lock that says that the server lives."""
    new = Path(tempfile.mkdtemp(prefix=".filament-", dir=_disk()))
    lock = (new / "lock").open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    place = new.rename(new.with_name(SPOOL + secrets.token_hex(8)))  # never there under this name without its lock
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place, lock


def remove_own() -> None:
    """Remove this server's uploads; called as it stops, since a server that is asked to (SIGTERM) skips `atexit`."""
    if _spool.cache_info().currsize:
        shutil.rmtree(_spool()[0], ignore_errors=True)


def _disk() -> Path:
    """Where temporary files belong; /var/tmp where that would be in memory and nobody has said otherwise (TMPDIR)."""
    usual, roomy = Path(tempfile.gettempdir()), Path("/var/tmp")
    if not os.environ.get("TMPDIR") and _is_memory(usual) and not _is_memory(roomy) and os.access(roomy, os.W_OK):
        return roomy
    return usual


def _is_memory(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """True if a folder lies in a file system that is kept in memory, as far as the system tells."""
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return False
    kinds = {fields[1]: fields[2] for fields in lines if len(fields) > 2}
    place = folder.resolve()
    return next((kinds[str(at)] for at in (place, *place.parents) if str(at) in kinds), "") in ("tmpfs", "ramfs")


def remove_leftovers() -> None:
    """Remove the uploads of servers that were killed: their folders, which nobody holds the lock of any more."""
    for place in _disk().glob(f"{SPOOL}*"):
        try:
            info = place.lstat()
            if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
                continue
            with (place / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(place, ignore_errors=True)
        except OSError:  # a server lives in it, or another one is removing it
            continue


# For runs


def keep(path: Path, uploads: Path, kept: Path) -> Path:
    """Keep an upload that a run will need, from the session's folder `uploads`, in `kept`; other paths stay.

    Its folder is called by its content, so two runs on the same upload share it. Raises InputError where that fails.
    """
    if not path.is_relative_to(uploads):
        return path
    part = path.relative_to(uploads)
    place = kept / part.parts[0]
    new = kept / f".new-{secrets.token_hex(8)}"
    try:
        if not place.is_dir():
            shutil.copytree(uploads / part.parts[0], new, copy_function=link_or_copy)
            with suppress(OSError):  # where another run has just kept it
                new.rename(place)
        os.utime(place)  # asked for just now, so not to be removed before the run is written
    except (OSError, shutil.Error) as error:
        raise InputError(f"The upload could not be kept for the run ({error}); make room on the server.") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return kept / part


def remove_unneeded(runs: Path) -> list[str]:
    """Remove uploads kept for runs that are no more; returns the names of their folders.

    An upload goes if no spec.json in `runs` contains the name of its folder and nobody asked for it for a day. Where a
    run cannot be looked into, nothing goes. Runs elsewhere (`--runs-dir`) do not protect an upload.
    """
    kept, removed = runs / ".uploads", []
    if not kept.is_dir():
        return []
    try:
        trash = runs / TRASH  # a deleted run may be brought back
        folders = [*runs.iterdir(), *(trash.iterdir() if trash.is_dir() else [])]
        specs = [run / "spec.json" for run in folders if run != kept and run.is_dir()]
        named = "\n".join(spec.read_text("utf-8", "replace") for spec in specs if spec.exists())
        for place in kept.iterdir():
            info = place.lstat()
            old = time.time() - info.st_mtime > LEFT_FOR_S
            if stat.S_ISDIR(info.st_mode) and old and place.name not in named:
                shutil.rmtree(place)
                removed.append(place.name)
    except OSError:
        return removed
    return removed
