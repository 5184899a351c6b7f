"""Graphs that leave and come back: PyTorch Geometric's .pt, edge lists as Parquet, GraphML for small graphs.

What is read is checked and never run (`catalog.graph_files`, where the nodes of .pt and GraphML are a catalog). An edge
list comes back through the method "edge_list", on the catalog it belongs to.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from gnnlib.catalog.graph_files import named, parse_graphml
from gnnlib.catalog.graph_files import read_pyg as read_pyg
from gnnlib.errors import InputError
from gnnlib.graph.edges import MAX_EDGES, Neighbors, Points, join, with_self_loops
from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.graph.space import check_box, inside_box

if TYPE_CHECKING:
    from torch_geometric.data import Data

MAX_GRAPHML_EDGES = 200_000  # some 60 MB of text


# Edge lists


def edge_table(graph: Graph) -> pd.DataFrame:
    """One row a directed edge: source and receiver row ids, separation (source minus receiver), length, features."""
    source, receiver = graph.edge_index
    table = {"source": graph.row_ids[source], "receiver": graph.row_ids[receiver]}
    table |= {f"d{axis}": graph.separations[:, place] for place, axis in enumerate("xyz")}
    table["length"] = graph.lengths
    table |= {f"feature_{name}": graph.edge_features[:, place] for place, name in enumerate(graph.edge_feature_names)}
    return pd.DataFrame(table)


def write_parquet(graph: Graph, file: str | Path | io.BytesIO) -> None:
    """The `edge_table` as Parquet; the specification and the unit of lengths are in its metadata under "filament"."""
    import pyarrow as pa
    import pyarrow.parquet

    table = pa.Table.from_pandas(edge_table(graph), preserve_index=False)
    said = json.dumps({"spec": graph.spec.model_dump(mode="json"), "length_unit": graph.length_unit})
    pyarrow.parquet.write_table(
        table.replace_schema_metadata({**(table.schema.metadata or {}), b"filament": said}), file
    )


# PyTorch Geometric


def to_pyg(graph: Graph, x: np.ndarray | None = None, y: np.ndarray | None = None) -> Data:
    """The graph as `torch_geometric.data.Data`.

    x: node features [N, F]; y: targets [N] or [N, T]; either may be None. pos [N, 3], separations [M, 3], lengths [M]
    and box [3] stay float64; edge_attr [M, D] is float32, its columns named in edge_attr_names. row_ids is a tensor, or
    a list of text. spec is the specification as JSON.
    """
    import torch
    from torch_geometric.data import Data

    data = Data(
        x=None if x is None else torch.from_numpy(np.ascontiguousarray(x)),
        y=None if y is None else torch.from_numpy(np.ascontiguousarray(y)),
        edge_index=torch.from_numpy(np.ascontiguousarray(graph.edge_index)),
        edge_attr=torch.from_numpy(graph.edge_features),
        pos=torch.from_numpy(np.ascontiguousarray(graph.positions)),
    )
    ids = graph.row_ids
    data.row_ids = torch.from_numpy(ids.astype(np.int64)) if ids.dtype.kind in "iu" else [str(name) for name in ids]
    data.separations, data.lengths = torch.from_numpy(graph.separations), torch.from_numpy(graph.lengths)
    data.edge_attr_names, data.spec = list(graph.edge_feature_names), graph.spec.model_dump_json()
    data.length_unit, data.truncated, data.notes = graph.length_unit, graph.truncated, list(graph.notes)
    if graph.box is not None:
        data.box = torch.from_numpy(np.asarray(graph.box, dtype=np.float64))
    return data


def write_pyg(
    graph: Graph, file: str | Path | io.BytesIO, x: np.ndarray | None = None, y: np.ndarray | None = None
) -> None:
    """`to_pyg` as a .pt file, which `read_pyg` and `torch.load` read."""
    import torch

    torch.save(to_pyg(graph, x, y), file)


def from_pyg(data: Data) -> Graph:
    """A `Data` with pos [N, 2 or 3] and edge_index [2, M] as a Graph, its edges in order and measured in space.

    What `to_pyg` writes beside these comes back as it was; a graph from elsewhere has numbers as row ids and unnamed
    columns of edge_attr. Raises InputError for a graph without positions or with edges to nodes that are not there.
    """
    positions = _array(data, "pos", 2)
    edge_index = _array(data, "edge_index", 2)
    if positions is None or edge_index is None:
        raise InputError("The graph has no positions 'pos' or no 'edge_index'; save both with it.")
    if positions.shape[1] not in (2, 3) or edge_index.shape[0] != 2 or edge_index.dtype.kind not in "iu":
        raise InputError(
            f"The graph's 'pos' is {list(positions.shape)} and its 'edge_index' {list(edge_index.shape)} "
            f"{edge_index.dtype}; they must be [N, 2 or 3] and [2, M] whole numbers."
        )
    row_ids, box = getattr(data, "row_ids", None), _array(data, "box", 1)
    if row_ids is not None:
        row_ids = np.asarray(row_ids, dtype=object) if isinstance(row_ids, list) else _array(data, "row_ids", 1)
    features = _array(data, "edge_attr", 2)
    names = getattr(data, "edge_attr_names", None)
    if features is not None and (not isinstance(names, list) or len(names) != features.shape[1]):
        names = [f"feature_{number}" for number in range(features.shape[1])]
    return _assemble(
        positions=positions.astype(np.float64),
        edge_index=edge_index.astype(np.int64),
        features=features,
        names=tuple(map(str, names or ())),
        row_ids=row_ids,
        box=box,
        spec=getattr(data, "spec", None),
        length_unit=str(getattr(data, "length_unit", "") or ""),
        truncated=bool(getattr(data, "truncated", False)),
        notes=tuple(map(str, getattr(data, "notes", None) or ())),
    )


# GraphML


def write_graphml(graph: Graph, file: str | Path | io.BytesIO) -> None:
    """The graph as GraphML, which Gephi, Cytoscape, igraph and networkx read: x, y, z and row_id of the nodes; length,
    dx, dy, dz and the features of the edges. Raises InputError for more than 200,000 edges."""
    import networkx as nx

    if graph.n_edges > MAX_GRAPHML_EDGES:
        raise InputError(
            f"The graph has {graph.n_edges:,} edges, too many for GraphML (at most {MAX_GRAPHML_EDGES:,}); write "
            "Parquet or .pt, or cut the catalog."
        )
    drawn: Any = nx.DiGraph(spec=graph.spec.model_dump_json(), length_unit=graph.length_unit)
    if graph.box is not None:
        drawn.graph["box"] = json.dumps(np.asarray(graph.box).tolist())
    for number, (place, name) in enumerate(zip(graph.positions.tolist(), graph.row_ids.tolist(), strict=True)):
        drawn.add_node(number, row_id=name, **dict(zip("xyz", place, strict=True)))
    values = np.column_stack([graph.lengths, graph.separations, graph.edge_features.astype(np.float64)])
    names = ["length", "dx", "dy", "dz", *(f"feature_{name}" for name in graph.edge_feature_names)]
    for source, receiver, row in zip(*graph.edge_index.tolist(), values.tolist(), strict=True):
        drawn.add_edge(source, receiver, **dict(zip(names, row, strict=True)))
    nx.write_graphml(drawn, file)


def read_graphml(file: str | Path | io.BytesIO) -> Graph:
    """A graph from GraphML whose nodes have x, y and maybe z; undirected edges go both ways.

    Raises InputError for a file that is too large, is no GraphML, declares entities, or has a node without a place.
    """
    found = parse_graphml(file)
    places = []
    for name, said in found.nodes(data=True):
        place = [said.get(axis) for axis in "xyz"]
        if not all(isinstance(value, int | float) for value in place[:2]):
            raise InputError(f"Node '{name}' in '{named(file)}' has no numbers x and y, so it has no place; give them.")
        places.append([float(value or 0.0) for value in place])
    number = {name: at for at, name in enumerate(found.nodes)}
    edges = [(number[source], number[receiver], said) for source, receiver, said in found.edges(data=True)]
    if not found.is_directed():
        edges += [(receiver, source, said) for source, receiver, said in edges if source != receiver]
    names = sorted({key for *_, said in edges for key in said if key.startswith("feature_")})
    order = [key for key in (edges[0][2] if edges else {}) if key in names]
    columns = order if len(order) == len(names) else names
    features = [[said.get(key, np.nan) for key in columns] for *_, said in edges]
    ids = [said.get("row_id", name) for name, said in found.nodes(data=True)]
    whole = all(isinstance(name, int) for name in ids)
    try:
        box = np.array(json.loads(found.graph["box"]), dtype=np.float64) if "box" in found.graph else None
    except ValueError:
        box = None
    return _assemble(
        positions=np.array(places, dtype=np.float64).reshape(-1, 3),
        edge_index=np.array([[s, r] for s, r, _ in edges], dtype=np.int64).reshape(-1, 2).T,
        features=np.array(features, dtype=np.float32).reshape(len(edges), len(columns)),
        names=tuple(key.removeprefix("feature_") for key in columns),
        row_ids=np.array(ids, dtype=np.int64) if whole else np.array([str(name) for name in ids], dtype=object),
        box=box,
        spec=found.graph.get("spec"),
        length_unit=str(found.graph.get("length_unit", "")),
    )


# What both have in common


def _assemble(
    positions: np.ndarray,
    edge_index: np.ndarray,
    features: np.ndarray | None,
    names: tuple[str, ...],
    row_ids: np.ndarray | None,
    box: np.ndarray | None,
    spec: object,
    length_unit: str,
    truncated: bool = False,
    notes: tuple[str, ...] = (),
) -> Graph:
    """A Graph of what was read, checked, with its edges in order and measured."""
    n, n_edges = len(positions), edge_index.shape[1]
    if positions.shape[1] == 2:
        positions = np.column_stack([positions, np.zeros(n)])
    if n_edges > MAX_EDGES:
        raise InputError(f"The graph has {n_edges:,} edges, more than the {MAX_EDGES:,} that fit in memory; cut it.")
    if n_edges and not (edge_index.min() >= 0 and edge_index.max() < n):
        raise InputError(f"An edge names a node outside 0 to {n - 1}; correct the graph's edge_index.")
    if row_ids is not None and (len(row_ids) != n or len(np.unique(row_ids)) < n):
        raise InputError(f"The graph has {n} nodes but not as many different row ids; give each node its own.")
    if features is not None and len(features) != n_edges:
        raise InputError(f"The graph has {n_edges} edges but {len(features)} rows of edge features; give one an edge.")
    numbers = edge_index[1] * max(n, 1) + edge_index[0]
    numbers, first = np.unique(numbers, return_index=True)
    source, receiver = edge_index[:, first]
    box = check_box(box)
    points = Points(inside_box(positions, box), box)
    loops = source == receiver
    found = join(points, source[~loops], receiver[~loops])
    if loops.any():
        looped = with_self_loops(found, n)
        keep = (looped.edge_index[0] != looped.edge_index[1]) | np.isin(looped.edge_index[1], source[loops])
        found = Neighbors(looped.edge_index[:, keep], looped.separations[keep], looped.lengths[keep])
    order = first[np.searchsorted(numbers, found.edge_index[1] * max(n, 1) + found.edge_index[0])]
    return Graph(
        positions=positions,
        edge_index=found.edge_index,
        separations=found.separations,
        lengths=found.lengths,
        edge_features=np.empty((len(order), 0), np.float32) if features is None else features[order].astype(np.float32),
        edge_feature_names=() if features is None else names,
        row_ids=np.arange(n) if row_ids is None else row_ids,
        spec=_spec(spec, bool(loops.any())),
        box=box,
        length_unit=length_unit,
        truncated=truncated,
        notes=notes,
    )


def _spec(said: object, loops: bool) -> GraphSpec:
    """The specification that came with a graph; an edge list of unknown origin where none did."""
    if isinstance(said, str):
        try:
            return GraphSpec.model_validate_json(said)
        except ValidationError:
            pass
    return GraphSpec(method="edge_list", self_loops=loops, edge_features=())


def _array(data: Any, name: str, dims: int) -> np.ndarray | None:
    """An attribute that must be a tensor of so many dimensions, as an array; None where it is not there."""
    import torch

    value = getattr(data, name, None)
    if value is None:
        return None
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.ndim != dims:
        raise InputError(f"The graph's '{name}' is not a plain tensor of {dims} dimensions; save it as one.")
    return value.detach().cpu().numpy()
