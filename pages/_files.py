"""Files that a visitor brings: uploads go to the session's own folder, paths must lie inside the folders allowed.

FILAMENT_DATA_DIRS names the folders of the server that may be read by path, separated as in PATH; without it only
uploads are possible. A path with `..` or a symbolic link in it is refused, wherever it leads.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from gnnlib.errors import InputError


class Upload(Protocol):
    name: str

    def getbuffer(self) -> memoryview: ...


def allowed_folders() -> list[Path]:
    """The folders named by FILAMENT_DATA_DIRS that exist."""
    named = os.environ.get("FILAMENT_DATA_DIRS", "").split(os.pathsep)
    return [Path(folder).absolute() for folder in named if folder.strip() and Path(folder).is_dir()]


def server_path(text: str) -> Path:
    """The file or folder that `text` names inside an allowed folder; a relative path starts at each of them in turn.

    Raises InputError where reading by path is off, nothing is there, or the path leads outside.
    """
    folders = allowed_folders()
    if not folders:
        raise InputError(
            "This server reads no files by path (FILAMENT_DATA_DIRS names no folder); upload the file instead."
        )
    asked = Path(text.strip()).expanduser()
    if not text.strip() or "\0" in text:
        raise InputError("The path is empty; name a file or a folder on the server.")
    if ".." in asked.parts:
        raise InputError(f"The path '{text}' contains '..'; write it without.")
    listed = ", ".join(map(str, folders))
    for folder in folders:
        place = asked if asked.is_absolute() else folder / asked
        if not place.is_relative_to(folder):
            continue
        if place.resolve() != folder.resolve() / place.relative_to(folder):
            raise InputError(f"The path '{text}' goes through a symbolic link; name the place it points to.")
        if place.is_dir() and any(child.is_symlink() for child in place.iterdir()):
            raise InputError(f"The folder '{text}' contains symbolic links; name a folder of real files.")
        if place.exists():
            return place
    if asked.is_absolute() and not any(asked.is_relative_to(folder) for folder in folders):
        raise InputError(f"The path '{text}' is not inside a folder this server may read ({listed}).")
    raise InputError(f"There is no file or folder '{text}' in {listed}; check the spelling.")


def store(uploads: Sequence[Upload], folder: Path) -> Path:
    """Write the uploaded files below `folder`; returns the file, or the folder that holds them if there are several."""
    digest = hashlib.sha256()
    for upload in uploads:
        digest.update(upload.name.encode() + b"\0")
        digest.update(upload.getbuffer())
    place = folder / digest.hexdigest()[:12]
    names = [_plain(upload.name) for upload in uploads]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"Two of the uploaded files are called '{twice}'; rename one of them.")
    if not place.is_dir():
        place.mkdir(parents=True)
        for name, upload in zip(names, uploads, strict=True):
            with (place / name).open("wb") as file:
                _write(file, upload)
    return place / names[0] if len(uploads) == 1 else place


def keep(path: Path, uploads: Path, kept: Path) -> Path:
    """Copy an upload that a run will need out of the session's folder `uploads` into `kept`; other paths stay."""
    if not path.is_relative_to(uploads):
        return path
    part = path.relative_to(uploads)
    source = uploads / part.parts[0]
    if not (kept / part.parts[0]).is_dir():
        shutil.copytree(source, kept / part.parts[0])
    return kept / part


def _plain(name: str) -> str:
    """The last part of an uploaded file's name, without characters that mean something in a path."""
    return re.sub(r"[^\w.+=\- ]", "_", Path(name.replace("\\", "/")).name).lstrip(".") or "upload"


def _write(file: IO[bytes], upload: Upload) -> None:
    view = upload.getbuffer()
    for start in range(0, len(view), 1 << 20):
        file.write(view[start : start + (1 << 20)])
