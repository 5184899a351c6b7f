"""The parts of an HDF5 file that may be read: datasets that lie in the file itself, of a size that it can hold.

HDF5 can point to other files of the machine (external links, external storage, virtual datasets) and can promise arrays
of any size; a file that someone brings must do neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gnnlib.catalog.raw import check_size

_MOST_OBJECTS = 50_000
_BLOCK = 2**21  # bytes of records at a time


def own(group: h5py.Group, key: str) -> Any | None:
    """The group or dataset of this name if it lies in the file itself, else None."""
    if isinstance(group.get(key, getlink=True), h5py.HardLink):
        item = group[key]
        if not isinstance(item, h5py.Dataset) or (not item.external and not item.is_virtual):
            return item
    return None


def attributes(group: h5py.Group | None) -> dict[str, Any]:
    """Attributes that can be read; an object without any where there is no group."""
    found = {}
    for key in group.attrs if group is not None else ():
        try:
            found[key] = group.attrs[key]  # type: ignore[union-attr]
        except (OSError, RuntimeError, TypeError, ValueError):  # of a type that h5py does not know
            continue
    return found


def datasets(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """The datasets directly in a group that have rows."""
    found = {}
    for key in group:
        item = own(group, key)
        if isinstance(item, h5py.Dataset) and item.shape and item.dtype.kind in "biufSOV":
            found[key] = item
    return found


def walk(file: h5py.File) -> Iterator[tuple[str, h5py.Group]]:
    """(path, group) of the file and all groups in it, "" first."""
    seen, waiting = 0, [("", file)]
    while waiting:
        path, group = waiting.pop(0)
        yield path, group
        for key in group:
            seen += 1
            item = own(group, key) if seen < _MOST_OBJECTS else None
            if isinstance(item, h5py.Group) and not key.startswith("_i_"):  # indexes of PyTables
                waiting.append((f"{path}/{key}".strip("/"), item))


def load(dataset: h5py.Dataset, path: Path, rows: int | None = None) -> np.ndarray:
    """All of a dataset, or its first rows; text as objects of str."""
    _check(dataset, path, rows)
    if h5py.check_string_dtype(dataset.dtype):
        return dataset.asstr("utf-8", "replace")[:rows]
    return dataset[:rows]


def load_fields(
    dataset: h5py.Dataset, path: Path, rows: int | None, tell: Callable[[float], object]
) -> dict[str, np.ndarray]:
    """The fields of a dataset of records as arrays [N, ...], read in blocks so that nothing is held twice."""
    length = len(dataset) if rows is None else min(rows, len(dataset))
    _check(dataset, path, rows)
    kinds = {name: dataset.dtype[name] for name in dataset.dtype.names}
    arrays = {name: np.empty((length, *kind.shape), kind.base.newbyteorder("=")) for name, kind in kinds.items()}
    block = max(1, _BLOCK // dataset.dtype.itemsize)
    if dataset.chunks:
        block = math.ceil(block / dataset.chunks[0]) * dataset.chunks[0]
    for first in range(0, length, block):
        records = dataset[first : min(first + block, length)]
        for name, array in arrays.items():
            array[first : first + len(records)] = records[name]
        tell(min(1.0, (first + block) / length))
    return arrays


def _check(dataset: h5py.Dataset, path: Path, rows: int | None) -> None:
    each = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
    check_size(each * (len(dataset) if rows is None else min(rows, len(dataset))), path)
    if dataset.chunks:
        check_size(math.prod(dataset.chunks) * dataset.dtype.itemsize, path)
