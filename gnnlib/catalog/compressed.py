"""Files packed with gzip, bzip2 or xz: unpacked piece by piece into a temporary file, up to a limit.

The limit stands against files of a few kilobytes that unpack to fill a disk. Readers then see an ordinary file.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from gnnlib.catalog.raw import Report
from gnnlib.errors import InputError

_PACKERS: tuple[tuple[bytes, str, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", "gzip", gzip.open),
    (b"BZh", "bzip2", bz2.open),
    (b"\xfd7zXZ\x00", "xz", lzma.open),
)
_PIECE = 2**20
_ALWAYS = 2**28  # bytes that any file may unpack to
_LARGEST_RATIO = 100  # columns of one repeated number aside, catalogs shrink to a half or a tenth


def packed_with(head: bytes) -> str:
    """ "gzip", "bzip2" or "xz" by the first bytes of a file, "" for others."""
    return next((name for magic, name, _ in _PACKERS if head.startswith(magic)), "")


@contextmanager
def unpacked(path: Path, report: Report | None = None, most: int | None = None) -> Iterator[Path]:
    """The content of a packed file as a file of its own that is gone afterwards.

    most: stop after so many bytes, for a look at the beginning. Raises InputError where the content is damaged or
    larger than a catalog packed to this size can be.
    """
    with path.open("rb") as stored, tempfile.TemporaryDirectory(prefix="filament-") as folder:
        head = stored.read(8)
        stored.seek(0)
        opener = next(opener for magic, _, opener in _PACKERS if head.startswith(magic))
        name = path.name
        for suffix in (".gz", ".bz2", ".xz"):
            name = name[: -len(suffix)] if name.lower().endswith(suffix) and len(name) > len(suffix) else name
        target = Path(folder) / name
        size = path.stat().st_size
        limit = min(max(_ALWAYS, _LARGEST_RATIO * size), int(0.8 * shutil.disk_usage(folder).free))
        with opener(stored) as source, target.open("wb") as out:
            _copy(source, out, path.name, limit, most, lambda: report and report(stored.tell() / size / 2, "unpacking"))
        yield target


def _copy(
    source: IO[bytes], out: IO[bytes], name: str, limit: int, most: int | None, tell: Callable[[], object]
) -> None:
    done = 0
    while most is None or done < most:
        try:
            piece = source.read(_PIECE)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
            if most is not None and done:
                return
            raise InputError(f"'{name}' is damaged or cut short, so it cannot be unpacked; copy it again.") from error
        if not piece:
            return
        done += len(piece)
        if done > limit:
            raise InputError(
                f"'{name}' unpacks to more than {limit / 1e9:.1f} GB, too much for a catalog of its size or for the"
                " free disk; unpack it yourself and keep the rows and columns you need."
            )
        out.write(piece)
        tell()
