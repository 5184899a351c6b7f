"""The nodes of a graph as a catalog: PyTorch Geometric's .pt and GraphML. Its edges are for the method "edge_list".

What is read is checked and never run: tensors are loaded with `weights_only`, XML without entities.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gnnlib.catalog.raw import AXES, RawCatalog, Report, TableBuilder
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError

if TYPE_CHECKING:
    from torch_geometric.data import Data

MAX_GRAPHML_BYTES = 200_000_000
_CALLED = {"x": "feature", "y": "target"}  # PyG's names, which are those of axes here


def read_pt(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """pos [N, 2 or 3] as x, y, z, then every tensor with a value, or a few, for each node: PyG's x as feature_1 .. and
    its y as target."""
    data = read_pyg(path)
    pos, n = getattr(data, "pos", None), data.num_nodes
    if pos is None or pos.ndim != 2 or pos.shape[1] not in (2, 3) or not len(pos):
        raise InputError(f"'{path.name}' holds a graph without positions; save it with 'pos', one row a node.")
    builder, unit = TableBuilder(), getattr(data, "length_unit", "")
    for axis, values in zip(AXES, pos[:rows].numpy().T, strict=False):
        builder.add(axis, np.ascontiguousarray(values), unit if isinstance(unit, str) else "")
    ids = None
    for name, values in data.to_dict().items():
        if name == "row_ids" and len(values) == n:
            ids = np.asarray(values if isinstance(values, list) else values.numpy())
        elif name not in ("pos", "batch") and _is_of_nodes(data, name, values):
            _add(builder, _CALLED.get(name, name), values[:rows].numpy())
    box: Any = getattr(data, "box", None)
    return RawCatalog(
        table=builder.table(),
        columns=builder.columns,
        format="PyTorch Geometric graph",
        roles={"position": tuple(AXES[: pos.shape[1]])},
        row_ids=None if ids is None else ids[:rows],
        box=box.numpy() if getattr(box, "shape", None) == (3,) else None,
        rows=n,
        warnings=[*builder.warnings, *_edges_are_there(data.num_edges, path)],
    )


def read_nodes(path: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """The attributes of the nodes of a GraphML file, its numbers x, y and z their places."""
    found = parse_graphml(path)
    said = [dict(attributes) for _, attributes in found.nodes(data=True)]
    table = pd.DataFrame(said[:rows])
    ids = list(found.nodes)[:rows]
    if "row_id" in table and table["row_id"].notna().all():
        ids = table.pop("row_id").tolist()
    builder, unit = TableBuilder(), str(found.graph.get("length_unit", ""))
    for name in table.columns:
        builder.add(str(name), table[name].to_numpy(), unit if name in AXES else "")
    try:
        box = np.array(json.loads(found.graph["box"]), dtype=np.float64)
    except (KeyError, ValueError, TypeError):
        box = None
    return RawCatalog(
        table=builder.table(),
        columns=builder.columns,
        format="GraphML",
        row_ids=np.array(ids) if all(isinstance(name, int) for name in ids) else np.array(ids, dtype=object),
        box=box,
        rows=len(said),
        warnings=[*builder.warnings, *_edges_are_there(found.number_of_edges(), path)],
    )


def looks_like_graphml(head: bytes) -> bool:
    return b"<graphml" in head


def read_pyg(file: str | Path | io.BytesIO) -> Data:
    """A `torch_geometric.data.Data` from a .pt file, with `weights_only`: tensors, text and numbers, nothing that runs.

    Raises InputError for a file that holds anything else.
    """
    import torch
    from torch_geometric.data import Data
    from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
    from torch_geometric.data.storage import GlobalStorage

    try:
        with torch.serialization.safe_globals([Data, DataEdgeAttr, DataTensorAttr, GlobalStorage]):
            data = torch.load(file, weights_only=True, map_location="cpu")
    except FileNotFoundError as error:
        raise InputError(f"There is no file '{named(file)}'; give the path of a .pt file.") from error
    except Exception as error:  # torch raises many kinds for files that are damaged or hold what it will not load
        raise InputError(
            f"'{named(file)}' cannot be read as a graph of PyTorch Geometric without running what is in it; save a "
            "Data object of plain tensors with torch.save."
        ) from error
    if isinstance(data, dict):
        data = Data.from_dict({str(key): value for key, value in data.items()})
    if not isinstance(data, Data):
        raise InputError(f"'{named(file)}' holds no graph; save a torch_geometric.data.Data with torch.save.")
    return data


def parse_graphml(file: str | Path | io.BytesIO) -> Any:
    """The networkx graph of a GraphML file.

    Raises InputError for a file that is too large, is no GraphML or declares entities.
    """
    import networkx as nx

    try:
        text = Path(file).read_bytes() if isinstance(file, str | Path) else file.read()
    except OSError as error:
        raise InputError(
            f"There is no file '{named(file)}' that can be read; give the path of a GraphML file."
        ) from error
    if len(text) > MAX_GRAPHML_BYTES:
        raise InputError(f"'{named(file)}' has {len(text):,} bytes, too many for GraphML; use Parquet or .pt.")
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise InputError(f"'{named(file)}' declares XML entities, which are not read; write plain GraphML.")
    try:
        return nx.parse_graphml(text.decode())
    except Exception as error:
        raise InputError(f"'{named(file)}' cannot be read as GraphML; write it with networkx or Gephi.") from error


def named(file: object) -> str:
    """What a sentence calls the file."""
    return Path(file).name if isinstance(file, str | Path) else "the file"


def _is_of_nodes(data: Data, name: str, values: object) -> bool:
    """Whether an attribute has a row for each node."""
    import torch

    return (
        isinstance(values, torch.Tensor)
        and values.layout == torch.strided
        and values.ndim > 0
        and len(values) == data.num_nodes
        and not data.is_edge_attr(name)
        and name not in ("edge_index", "lengths", "separations", "box")
    )


def _add(builder: TableBuilder, name: str, values: np.ndarray) -> None:
    if values.ndim == 2:
        suffixes = tuple(str(k + 1) for k in range(values.shape[1]))
        builder.add(name, values[:, 0] if len(suffixes) == 1 else values, suffixes=suffixes)
    else:
        builder.add(name, values)


def _edges_are_there(count: int, path: Path) -> list[str]:
    if not count:
        return []
    return [f"'{path.name}' holds {count:,} edges, too: the graph method 'edge list' takes them from the same file."]
