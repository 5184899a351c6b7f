"""Which places of the server a visitor may read by path, and what lies there.

FILAMENT_DATA_DIRS names the folders, separated as in PATH; without it only uploads are possible. A path with `..` or a
symbolic link in it is refused, wherever it leads, and so is a folder that holds one. What is checked here is opened a
moment later by the readers, by name: somebody who may write inside an allowed folder could change it in between, so
visitors should not be able to.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gnnlib.catalog.read import SUFFIXES
from gnnlib.errors import InputError

MOST_CHECKED = 20_000  # files of a folder that is read as one catalog
MOST_LISTED = 1_000  # entries of a folder in the list of `browse`


@dataclass(frozen=True)
class Entry:
    """A folder or a catalog file in a list. size: bytes, 0 for a folder. changed: UTC."""

    name: str
    path: Path
    is_folder: bool
    size: int
    changed: datetime


@dataclass(frozen=True)
class Listing:
    """What a folder holds: sub-folders first, then files whose names say that they are catalogs.

    folder: None for the list of all allowed folders. parent: the folder above as `browse` wants it ("" for the list of
    all allowed folders), None at the top. left_out: entries beyond the first thousand.
    """

    folder: Path | None
    parent: str | None
    entries: tuple[Entry, ...]
    left_out: int


def allowed_folders() -> list[Path]:
    """The folders named by FILAMENT_DATA_DIRS that exist."""
    named = [folder.strip() for folder in os.environ.get("FILAMENT_DATA_DIRS", "").split(os.pathsep)]
    return [Path(os.path.abspath(folder)) for folder in named if folder and os.path.isdir(folder)]


def server_path(text: str) -> Path:
    """The file or folder that `text` names inside an allowed folder; a relative path starts at each of them in turn.

    Raises InputError where reading by path is off, nothing is there, the path leads outside, or something in it or
    below it is neither a file nor a folder.
    """
    place = _place(text)
    if place.is_dir():
        _check_below(place, text)
    return place


def browse(text: str = "") -> Listing:
    """What lies in a folder that `server_path` would allow; "" lists the allowed folders, or the only one's contents.

    Hidden entries, symbolic links and files that look like no catalog are not listed. Raises InputError as
    `server_path` does.
    """
    folders = allowed_folders()
    if not text.strip() and len(folders) != 1:
        if not folders:
            raise InputError(_OFF)
        found = [(str(folder), folder, os.stat(folder)) for folder in folders]
        return Listing(None, None, tuple(Entry(name, path, True, 0, _changed(info)) for name, path, info in found), 0)
    folder = _place(text) if text.strip() else folders[0]
    if not folder.is_dir():
        raise InputError(f"'{_short(text)}' is a file, not a folder; open it instead.")
    entries = []
    try:
        with os.scandir(folder) as children:
            for child in children:
                info = child.stat(follow_symlinks=False)
                is_folder = stat.S_ISDIR(info.st_mode)
                is_catalog = stat.S_ISREG(info.st_mode) and looks_like_catalog(child.name)
                if (is_folder or is_catalog) and not child.name.startswith(".") and _is_text(child.name):
                    size = 0 if is_folder else info.st_size
                    entries.append(Entry(child.name, folder / child.name, is_folder, size, _changed(info)))
    except OSError as error:
        raise InputError(f"The folder '{_short(text)}' cannot be read ({error.strerror}).") from error
    entries.sort(key=lambda entry: (not entry.is_folder, _in_counting_order(entry.name)))
    top = folder in folders
    parent = None if top and len(folders) == 1 else "" if top else str(folder.parent)
    return Listing(folder, parent, tuple(entries[:MOST_LISTED]), max(0, len(entries) - MOST_LISTED))


def looks_like_catalog(name: str) -> bool:
    """True if a file of this name may be a catalog that can be read, compressed or not."""
    return re.sub(r"\.(gz|bz2|xz)$", "", name.lower()).endswith(SUFFIXES)


_OFF = "This server reads no files by path (FILAMENT_DATA_DIRS names no folder); upload the file instead."


def _place(text: str) -> Path:
    """The existing file or folder that `text` names, reached without a link. Raises InputError for anything else."""
    folders = allowed_folders()
    if not folders:
        raise InputError(_OFF)
    said = text.strip()
    if not said:
        raise InputError("The path is empty; name a file or a folder on the server.")
    if "\0" in said or not _is_text(said) or len(said) > 4000:
        raise InputError(f"'{_short(said)}' is not a path; name a file or a folder on the server.")
    asked = Path(said)
    if asked.parts[:1] == ("~",):  # never the home of somebody else
        asked = Path.home().joinpath(*asked.parts[1:])
    if ".." in asked.parts:
        raise InputError(f"The path '{_short(said)}' contains '..'; write it without.")
    inside = False
    for folder in dict.fromkeys(base for named in folders for base in (named, named.resolve())):
        place = asked if asked.is_absolute() else folder / asked
        if not place.is_relative_to(folder):
            continue
        inside = True
        if _is_reached(place, folder, said):
            return place
    listed = ", ".join(map(str, folders))
    if not inside:
        raise InputError(f"The path '{_short(said)}' is not inside a folder this server may read ({listed}).")
    raise InputError(f"There is no file or folder '{_short(said)}' in {listed}; check the spelling.")


def _is_reached(place: Path, folder: Path, said: str) -> bool:
    """False where nothing is there. Raises InputError for a link on the way, or what is neither file nor folder."""
    step = folder
    try:
        mode = os.stat(folder).st_mode
        for part in place.relative_to(folder).parts:
            if not stat.S_ISDIR(mode):
                return False
            step = step / part
            mode = os.lstat(step).st_mode
            if stat.S_ISLNK(mode):
                raise InputError(f"The path '{_short(said)}' goes through a symbolic link; name the place it leads to.")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InputError(f"The path '{_short(said)}' cannot be read ({error.strerror}).") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"'{_short(said)}' is neither a file nor a folder; name a catalog.")
    return True


def _check_below(folder: Path, said: str) -> None:
    """Raises InputError where anything below a folder is a link or no file, or where there is too much to tell."""
    name = _short(said)
    try:
        for checked, child in enumerate(_below(folder)):
            mode = child.stat(follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                raise InputError(f"The folder '{name}' contains symbolic links; name a folder of real files.")
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise InputError(f"The folder '{name}' contains more than files and folders; name another one.")
            if checked >= MOST_CHECKED:
                raise InputError(f"The folder '{name}' holds over {MOST_CHECKED:,} files; name that of one catalog.")
    except OSError as error:
        raise InputError(f"The folder '{name}' cannot be read ({error.strerror}).") from error


def _below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder, links not followed."""
    left = [str(folder)]
    while left:
        with os.scandir(left.pop()) as children:
            for child in children:
                yield child
                if child.is_dir(follow_symlinks=False):
                    left.append(child.path)


def _is_text(name: str) -> bool:
    """False for names that are no valid text, which could be shown to nobody."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short(text: str) -> str:
    """As much of a path as a sentence can hold."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= 200 else f"{clean[:200]} ..."


def _changed(info: os.stat_result) -> datetime:
    return datetime.fromtimestamp(info.st_mtime, UTC)


def _in_counting_order(name: str) -> list[tuple[bool, int, str]]:
    """Sorts chunk 10 behind chunk 9."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.lower())
    return [(False, int(part), "") if part.isascii() and part.isdecimal() else (True, 0, part) for part in parts]
