"""What one session may send, and what has arrived: parts written to disk as they come, files named by their content.

Knows neither HTTP nor Streamlit. Names given by a visitor never choose a place: parts lie under names made here, and
whole files under their cleaned name in a folder called by the hash of what it holds, so that a path stands for bytes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import threading
import time
import weakref
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from gnnlib.errors import InputError

GB = 10**9
SESSION_SHARE = 4  # a session may hold this many times the largest file: what is in view, what comes, and some more
MOST_FILES = 5_000  # in one list; the largest simulations come in some thousand chunks
DISK_MARGIN = 256 * 10**6  # bytes that stay free, so that runs can still be written


class Refused(Exception):
    """An upload that is not taken. status: of HTTP; str() is the sentence for the person who sent it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(eq=False)
class Arrival:
    """One file on its way or arrived.

    size, received: bytes announced and written. path: the part, then the file. turn: the request that may write, the
    last one that asked to. touched: when anything was last heard of it (monotonic seconds).
    """

    id: str
    name: str
    size: int
    path: Path
    received: int = 0
    done: bool = False
    turn: int = 0
    touched: float = field(default_factory=time.monotonic)
    hash: Any = field(default_factory=hashlib.sha256)
    lock: threading.Lock = field(default_factory=threading.Lock)


def largest_file() -> int:
    """Bytes of the largest file taken: FILAMENT_MAX_UPLOAD_GB (of 10^9 bytes), 2 where it is not set.

    Raises InputError where that is not a positive number.
    """
    text = os.environ.get("FILAMENT_MAX_UPLOAD_GB", "").strip()
    try:
        gigabytes = float(text or 2)
    except ValueError:
        gigabytes = -1.0
    if not 0 < gigabytes < 1e6:
        raise InputError(f"FILAMENT_MAX_UPLOAD_GB is '{text}', not a number above 0; set it to 2, for example.")
    return int(gigabytes * GB)


def plain_name(name: str) -> str:
    """The last part of a file's name without what means something in a path or a terminal, at most 200 bytes long."""
    last = PurePath(name.replace("\\", "/")).name.encode("utf-8", "replace").decode()
    clean = re.sub(r"[^\w.+=\-() ]", "_", last).lstrip(". ").rstrip() or "upload"
    if len(clean.encode()) <= 200:
        return clean
    ending = "".join(PurePath(clean).suffixes[-2:])
    ending = ending if len(ending.encode()) <= 40 else ""
    return (clean.encode()[: 200 - len(ending.encode())].decode("utf-8", "ignore") + ending).rstrip()


def size_text(n_bytes: float) -> str:
    """`1.2 GB`, `340 MB`, `12 kB`, `5 bytes`."""
    for unit, name in ((GB, "GB"), (10**6, "MB"), (10**3, "kB")):
        if n_bytes >= unit:
            share = n_bytes / unit
            return f"{share:.0f} {name}" if share >= 100 else f"{share:.3g} {name}"
    return f"{n_bytes:.0f} bytes"


class Intake:
    """The files that one session sends to one place. Safe between threads.

    folder: the session's own, where the sets of files go. The token stands for the right to send here; it lives as
    long as this object, and with it go the parts and the files of the list.
    """

    def __init__(self, folder: Path, largest: int | None = None) -> None:
        self.folder = folder
        self.token = secrets.token_urlsafe(32)
        self.largest = largest or largest_file()
        self._parts = folder / f".incoming-{secrets.token_hex(8)}"
        self._arrivals: dict[str, Arrival] = {}
        self._sets: dict[Path, list[Arrival]] = {}  # what `gather` made, and of what
        self._lock = threading.RLock()
        self._parts.mkdir(parents=True, mode=0o700)
        weakref.finalize(self, shutil.rmtree, self._parts, ignore_errors=True)
        _open[self.token] = self

    # One file, piece by piece

    def begin(self, file_id: str, name: str, size: int) -> Arrival:
        """Make room for a file of `size` bytes, or say why not (Refused)."""
        name = plain_name(name)
        with self._lock:
            if size < 1:
                raise Refused(400, f"'{name}' is empty; choose another file.")
            if size > self.largest:
                raise Refused(
                    413,
                    f"'{name}' has {size_text(size)}, more than the {size_text(self.largest)} a file may have here; "
                    "keep fewer rows or columns of it.",
                )
            if any(arrival.name == name for arrival in self._arrivals.values()):
                raise Refused(409, f"Two files are called '{name}'; rename one of them or leave it out.")
            if len(self._arrivals) >= MOST_FILES:
                raise Refused(413, f"There are more than {MOST_FILES:,} files; join some of them.")
            held = set(self._arrivals.values()).union(*self._sets.values())  # a file with two names counts once
            total, allowed = size + sum(arrival.size for arrival in held), SESSION_SHARE * self.largest
            if total > allowed:
                raise Refused(
                    413,
                    f"With '{name}' your uploads come to {size_text(total)}, more than the {size_text(allowed)} that "
                    "one visit may hold; remove some first.",
                )
            room = shutil.disk_usage(self._parts).free - sum(other._outstanding() for other in list(_open.values()))
            if size > room - DISK_MARGIN:
                raise Refused(507, _disk_full(name))
            path = self._parts / f"{secrets.token_hex(16)}.part"
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            except OSError as error:
                raise Refused(507, _not_written(name, error)) from error
            arrival = self._arrivals[file_id] = Arrival(file_id, name, size, path)
            return arrival

    def find(self, file_id: str) -> Arrival | None:
        with self._lock:
            return self._arrivals.get(file_id)

    def claim(self, arrival: Arrival, first: int) -> int | None:
        """The turn of a request that brings the bytes from `first` on; None where the file goes on elsewhere.

        An older request that still waits on a dead connection loses its turn.
        """
        with arrival.lock:
            if arrival.received != first:
                return None
            arrival.turn += 1
            return arrival.turn

    def write(self, arrival: Arrival, turn: int, data: bytes) -> None:
        """Append `data`; where that makes the file whole, give it its place. Refused where it cannot be written."""
        with arrival.lock:
            if arrival.turn != turn:
                raise Refused(409, f"'{arrival.name}' is being sent by a newer request.")
            try:
                with arrival.path.open("r+b") as file:
                    file.seek(arrival.received)
                    file.write(data)
                arrival.hash.update(data)
                arrival.received += len(data)
                if arrival.received == arrival.size:
                    whole = arrival.path.with_suffix("")
                    arrival.path.rename(whole)
                    arrival.path, arrival.done = whole, True
            except OSError as error:
                if self.find(arrival.id) is not arrival:
                    raise Refused(410, f"'{arrival.name}' was removed while it was sent.") from error
                self.drop(arrival.id)
                raise Refused(507, _not_written(arrival.name, error)) from error

    def drop(self, file_id: str) -> None:
        """Forget a file, whole or not, and remove what was written."""
        with self._lock:
            arrival = self._arrivals.pop(file_id, None)
        if arrival is not None:
            arrival.path.unlink(missing_ok=True)

    def drop_abandoned(self, idle_s: float) -> None:
        """Forget the parts that nobody has added to for `idle_s` seconds."""
        before = time.monotonic() - idle_s
        with self._lock:
            left = [arrival.id for arrival in self._arrivals.values() if not arrival.done and arrival.touched <= before]
        for file_id in left:
            self.drop(file_id)

    # Whole files, together

    def gather(self, file_ids: Sequence[str]) -> tuple[Path, ...]:
        """The whole files with these ids, side by side in a folder named by their content; unknown ids are left out.

        The same files always get the same folder, in whatever order they came.
        """
        with self._lock:
            found = {i: self._arrivals[i] for i in file_ids if i in self._arrivals}
            whole = sorted((arrival for arrival in found.values() if arrival.done), key=lambda arrival: arrival.name)
            if not whole:
                return ()
            digest = hashlib.sha256()
            for arrival in whole:
                digest.update(arrival.name.encode() + b"\0" + arrival.hash.digest())
            place = self.folder / digest.hexdigest()[:24]
            if not place.is_dir():
                new = self._parts / f"{secrets.token_hex(8)}.set"
                new.mkdir(mode=0o700)
                for arrival in whole:
                    link_or_copy(arrival.path, new / arrival.name)
                new.rename(place)
            self._sets.setdefault(place, whole)
            return tuple(place / arrival.name for arrival in whole)

    def release(self, in_use: Collection[Path]) -> None:
        """Remove the folders made by `gather` that hold none of the paths `in_use`."""
        with self._lock:
            unused = [
                place for place in self._sets if not any(path == place or place in path.parents for path in in_use)
            ]
            for place in unused:
                del self._sets[place]
        for place in unused:
            shutil.rmtree(place, ignore_errors=True)

    def _outstanding(self) -> int:
        """Bytes announced but not written yet."""
        return sum(arrival.size - arrival.received for arrival in list(self._arrivals.values()))


def intake_of(token: str) -> Intake | None:
    """The intake that this token opens, while its session lives."""
    return _open.get(token)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """A second name for a file that never changes again; a copy where the disk has no such names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _disk_full(name: str) -> str:
    return f"The server's disk has no room for '{name}'; try a smaller file, or later."


def _not_written(name: str, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return _disk_full(name)
    return f"The server could not write '{name}' ({error.strerror}); try again."


_open: weakref.WeakValueDictionary[str, Intake] = weakref.WeakValueDictionary()
