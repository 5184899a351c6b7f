"""Edges that a person brings: any mesh, merger tree or group membership as a file of pairs.

CSV or other text, Parquet, .npy and .npz, and the graphs of other programs: PyTorch Geometric's .pt and GraphML.
Nothing in a file is run or unpickled.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from gnnlib.errors import InputError
from gnnlib.graph.edges import Neighbors, Points, check_size, join, turn
from gnnlib.graph.graph import GraphSpec

SOURCES = ("source", "src", "from", "i")
RECEIVERS = ("receiver", "target", "dst", "to", "j")
LABEL = "label"
READS = "CSV or text, Parquet, .npy, .npz, .pt or GraphML"


def find(points: Points, spec: GraphSpec) -> Neighbors:
    """The edges of the file spec.edges, as spec.direction says; each pair once, its length as found in space.

    With spec.edge_ids "row_ids" the file names rows by their ids, and edges of rows that are not in the catalog (cut
    away) are left out and counted; with "indices" it counts the catalog's rows from 0, and any other number is refused.
    Edges of a row with itself are left out, as self-loops are a choice of their own (spec.self_loops).
    """
    if not spec.edges:
        raise InputError(f"A graph from an edge list needs its file ({READS}); give its path.")
    pairs, n, name = read_pairs(spec.edges, spec.edge_ids == "row_ids"), len(points.positions), Path(spec.edges).name
    check_size(2 * len(pairs), f"the edges of '{name}'")
    row_ids = np.arange(n) if points.row_ids is None or spec.edge_ids == "indices" else points.row_ids
    place = pd.Index(row_ids).get_indexer(pd.Index(_like(pairs, row_ids, name).ravel())).reshape(pairs.shape)
    known = (place >= 0).all(axis=1)
    notes = []
    if lost := int(np.sum(~known)):
        unknown = pairs[place < 0][0]
        if spec.edge_ids == "indices":
            raise InputError(
                f"'{name}' names row {unknown}, but the catalog's rows go from 0 to {n - 1}; correct the file or say "
                "that it names row ids."
            )
        if lost == len(pairs):
            raise InputError(
                f"None of the {lost:,} edges in '{name}' joins two rows of the catalog (it names '{unknown}'); check "
                "that it names the catalog's row ids."
            )
        notes.append(f"{lost:,} of {len(pairs):,} edges in '{name}' name rows that are not in the catalog: left out.")
    edges = place[known]
    other = edges[:, 0] != edges[:, 1]
    numbers = np.unique(edges[other, 1] * n + edges[other, 0])
    if double := int(other.sum() - len(numbers)):
        notes.append(f"{double:,} of {len(pairs):,} edges in '{name}' are there twice: kept once.")
    return replace(turn(join(points, numbers % n, numbers // n), n, spec.direction), notes=tuple(notes))


def read_pairs(path: str, by_row_ids: bool = True) -> np.ndarray:
    """Pairs [M, 2] (source, receiver) of a file: int64, or str. Raises InputError for a file that holds no pairs.

    A graph (.pt, GraphML) that knows the row ids of its nodes gives those, unless by_row_ids is False: then, and where
    it knows none, the numbers of its nodes.
    Tables: the columns named source and receiver (or target), else the first two. NumPy: "edge_index", else the only
    array; [2, M] as in PyG or [M, 2], and [2, 2] counts as the former.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"There is no edge list '{file.name}'; give the path of a file ({READS}).")
    try:
        with file.open("rb") as stream:
            head = stream.read(8)
        if head.startswith(b"\x93NUMPY"):
            pairs = _two_columns(np.load(file, allow_pickle=False), file.name)
        elif head.startswith(b"PK") and file.suffix.lower() == ".pt":
            pairs = _of_pyg(file, by_row_ids)
        elif file.suffix.lower() == ".graphml":
            pairs = _of_graphml(file, by_row_ids)
        elif head.startswith(b"PK"):
            with np.load(file, allow_pickle=False) as arrays:
                if "edge_index" not in arrays and len(arrays.files) != 1:
                    raise InputError(
                        f"'{file.name}' holds {', '.join(arrays.files[:5])}; name the array of edges 'edge_index'."
                    )
                pairs = _two_columns(arrays["edge_index" if "edge_index" in arrays else arrays.files[0]], file.name)
        elif head.startswith(b"PAR1"):
            pairs = _of_table(pd.read_parquet(file), file.name)
        else:
            pairs = _of_table(_read_text(file), file.name)
    except InputError:
        raise
    except Exception as error:  # readers raise whatever they like about a damaged file
        raise InputError(f"'{file.name}' cannot be read as an edge list; write it as {READS}.") from error
    if not len(pairs):
        raise InputError(f"'{file.name}' holds no edges; give a file with a pair of rows a line.")
    return pairs


def _of_pyg(file: Path, by_row_ids: bool) -> np.ndarray:
    from gnnlib.graph import exchange  # and torch with it

    data = exchange.read_pyg(file)
    if getattr(data, "edge_index", None) is None:
        raise InputError(f"'{file.name}' holds no edge_index; save it with the graph.")
    pairs = _two_columns(data.edge_index.numpy(), file.name)
    ids = getattr(data, "row_ids", None)
    if ids is None or not by_row_ids or not len(pairs):
        return pairs
    ids = np.array(ids) if isinstance(ids, list) else ids.numpy()
    if pairs.min() < 0 or pairs.max() >= len(ids):
        raise InputError(f"'{file.name}' has an edge to a node without a row id; correct its edge_index or row_ids.")
    return ids[pairs]


def _of_graphml(file: Path, by_row_ids: bool) -> np.ndarray:
    from gnnlib.graph import exchange

    graph = exchange.read_graphml(file)
    return (graph.row_ids[graph.edge_index] if by_row_ids else graph.edge_index).T


def read_labelled(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Pairs [M, 2] as `read_pairs` gives them and whether each is labelled as belonging together, bool [M].

    A table (text or Parquet) with a column named label, else its third column: 0 and 1, or true and false. Raises
    InputError for a file without one.
    """
    pairs, file = read_pairs(path), Path(path)
    with file.open("rb") as stream:
        head = stream.read(8)
    if head.startswith((b"\x93NUMPY", b"PK", b"<")):
        raise InputError(f"'{file.name}' holds edges without labels; write its pairs as CSV or Parquet.")
    table = pd.read_parquet(file) if head.startswith(b"PAR1") else _read_text(file)
    named = [column for column in table.columns if str(column).strip().lower() == LABEL]
    if not named and len(table.columns) < 3:
        raise InputError(f"'{file.name}' has no column '{LABEL}'; add one of 0 and 1 beside the ends of each pair.")
    values = table[named[0] if named else table.columns[2]]
    words = values.astype(str).str.strip().str.lower().replace({"true": "1", "false": "0", "1.0": "1", "0.0": "0"})
    if not words.isin(["0", "1"]).all():
        wrong = values[~words.isin(["0", "1"])].iloc[0]
        raise InputError(f"The labels in '{file.name}' are 0 and 1 (or true and false), not '{wrong}'; correct them.")
    return pairs, (words == "1").to_numpy()


def _read_text(file: Path) -> pd.DataFrame:
    """Pairs separated by commas, semicolons, tabs or spaces, with or without a line of names; "#" begins a comment."""
    with file.open(encoding="utf-8-sig") as stream:
        lines = (line.split("#")[0].strip() for line in stream)
        first = next((line for line in lines if line), "")
    separator = next((mark for mark in ",;\t" if mark in first), r"\s+")
    words = [word.strip().strip('"') for word in (first.split() if separator == r"\s+" else first.split(separator))]
    named = any(word.lower() in SOURCES + RECEIVERS for word in words)
    header = 0 if named or not any(_is_number(word) for word in words) else None
    return pd.read_csv(
        file, sep=separator, header=header, comment="#", encoding="utf-8-sig", skipinitialspace=True, index_col=False
    )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _of_table(table: pd.DataFrame, name: str) -> np.ndarray:
    if len(table.columns) < 2:
        raise InputError(
            f"'{name}' has {len(table.columns)} column, not the two that an edge needs; add the other end."
        )
    lower = {str(column).strip().lower(): column for column in table.columns}
    ends = [
        next((lower[word] for word in words if word in lower), table.columns[at])
        for at, words in enumerate((SOURCES, RECEIVERS))
    ]
    columns = []
    for end in ends:
        values = table[end]
        if values.isna().any():
            row = int(np.flatnonzero(values.isna())[0])
            raise InputError(f"'{name}' has no value in column '{end}', row {row}; every edge needs two ends.")
        columns.append(values.to_numpy())
    if any(column.dtype.kind not in "iuf" for column in columns):
        columns = [column.astype(str) for column in columns]
    return _two_columns(np.stack(columns), name)


def _two_columns(pairs: np.ndarray, name: str) -> np.ndarray:
    """[2, M] or [M, 2] of any type as [M, 2] int64 or str."""
    if pairs.ndim != 2 or 2 not in pairs.shape:
        raise InputError(f"The edges in '{name}' have the shape {list(pairs.shape)}, not [2, M] or [M, 2]; correct it.")
    pairs = pairs.T if pairs.shape[0] == 2 else pairs
    if pairs.dtype.kind in "f":
        if bad := int(np.sum(~(np.isfinite(pairs) & (pairs == np.rint(pairs)) & (np.abs(pairs) < 2**53)))):
            raise InputError(f"{bad} ends of edges in '{name}' are not whole numbers; name rows by whole numbers.")
    elif pairs.dtype.kind not in "iuUSO":
        raise InputError(f"The edges in '{name}' are of type {pairs.dtype}; name rows by whole numbers or text.")
    if pairs.dtype.kind in "USO":
        return np.char.decode(pairs) if pairs.dtype.kind == "S" else pairs.astype(str)
    return pairs.astype(np.int64)


def _like(pairs: np.ndarray, row_ids: np.ndarray, name: str) -> np.ndarray:
    """The pairs in the type of the row ids."""
    if row_ids.dtype.kind in "iu":
        if pairs.dtype.kind == "i":
            return pairs
        try:
            return pairs.astype(np.int64)
        except ValueError as error:
            raise InputError(
                f"'{name}' names rows by text such as '{pairs[0, 0]}', but the catalog's row ids are whole numbers; "
                "name them as the catalog does."
            ) from error
    return pairs.astype(str).astype(object)
