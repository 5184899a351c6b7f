"""What a model may know of an edge: contractions of vectors, so its invariances hold by construction.

The two cosines are those of Villanueva-Domingo & Villaescusa-Navarro (2022, arXiv 2204.13713) and Wu, Jespersen &
Wechsler (2024, arXiv 2402.07995), with one change: theirs start from the centroid of the whole box, which means nothing
in a periodic one, so here each node looks towards the centroid of its own neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gnnlib.errors import InputError
from gnnlib.graph.neighbors import Neighbors

CHUNK = 500_000  # edges computed at once, so that float64 intermediates stay small
BALANCED = 1e-9  # neighbours whose separations cancel to this fraction of their summed length have no direction


@dataclass(frozen=True)
class NodeVectors:
    """What the groups need of the nodes: towards [N, 3], unit vector to the centroid of a node's neighbours or 0 (see
    `edge_features`); velocities [N, 3] km/s or None."""

    towards: np.ndarray
    velocities: np.ndarray | None


@dataclass(frozen=True)
class FeatureGroup:
    """Edge features computed together. columns: their names. compute: (m edges, nodes) -> [m, len(columns)]."""

    columns: tuple[str, ...]
    compute: Callable[[Neighbors, NodeVectors], np.ndarray]


def edge_features(
    neighbors: Neighbors, velocities: np.ndarray | None, names: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Edge features [M, D] float32 and the D column names, for the groups in `names`, in that order.

    velocities: [N, 3] km/s; may be None where "relative_velocity" is not asked for. With n_ij the unit separation from
    receiver i to source j and c_i the vector from i to the mean of its neighbours (the sources of edges into i):

    "length": `length` |r_ij|, in the unit of the positions.
    "cosines": `cos_receiver` n_ij . c_i/|c_i| and `cos_source` n_ij . c_j/|c_j|; 0 where c is 0 (no neighbours, or
        neighbours that balance) and where the two nodes coincide.
    "relative_velocity": `velocity_along` (v_j - v_i) . n_ij and `velocity_across` |the rest| in km/s; where the two
        nodes coincide all of the difference counts as across.

    A self-loop has zeros in every column. To be computed on a whole graph, whose rows a subgraph then keeps: in a
    subgraph nodes have lost neighbours. Raises InputError where velocities are needed and absent, missing or infinite.
    """
    groups = [GROUPS[name] for name in dict.fromkeys(names)]
    columns = tuple(column for group in groups for column in group.columns)
    if "relative_velocity" in names:
        _check_velocities(velocities)
    nodes = NodeVectors(_towards_neighbors(neighbors), velocities)
    features = np.empty((len(neighbors.lengths), len(columns)), dtype=np.float32)
    for start in range(0, len(features), CHUNK):
        edges = slice(start, start + CHUNK)
        part = Neighbors(neighbors.edge_index[:, edges], neighbors.separations[edges], neighbors.lengths[edges])
        at = 0
        for group in groups:
            features[edges, at : at + len(group.columns)] = group.compute(part, nodes)
            at += len(group.columns)
    return features, columns


def _check_velocities(velocities: np.ndarray | None) -> None:
    if velocities is None:
        raise InputError(
            "The edge feature 'relative_velocity' needs velocities and the catalog has no velocity columns; choose "
            "them on the Catalog page or leave the feature out."
        )
    bad = int(np.sum(~np.isfinite(velocities).all(axis=1)))
    if bad:
        raise InputError(
            f"{bad} of {len(velocities)} rows have a missing or infinite velocity; cut these rows or leave the edge "
            "feature 'relative_velocity' out."
        )


def _towards_neighbors(neighbors: Neighbors) -> np.ndarray:
    """Unit vector from each node to the centroid of its neighbours, or 0; rows up to the last node with an edge."""
    receivers = neighbors.edge_index[1]
    n_nodes = int(neighbors.edge_index.max(initial=-1)) + 1
    total = [np.bincount(receivers, neighbors.separations[:, axis], n_nodes) for axis in range(3)]
    summed = np.stack(total, axis=1)  # the sum points where the mean does
    size = np.linalg.norm(summed, axis=1)
    unbalanced = size > BALANCED * np.bincount(receivers, neighbors.lengths, n_nodes)
    return np.divide(summed, size[:, None], out=np.zeros(summed.shape), where=unbalanced[:, None])


def _units(edges: Neighbors) -> np.ndarray:
    """Unit separations [m, 3]; 0 where the length is 0."""
    lengths = edges.lengths[:, None]
    return np.divide(edges.separations, lengths, out=np.zeros_like(edges.separations), where=lengths > 0)


def _length(edges: Neighbors, nodes: NodeVectors) -> np.ndarray:
    return edges.lengths[:, None]


def _cosines(edges: Neighbors, nodes: NodeVectors) -> np.ndarray:
    units = _units(edges)
    source, receiver = edges.edge_index
    cosines = [np.einsum("ma,ma->m", units, nodes.towards[end]) for end in (receiver, source)]
    return np.clip(np.stack(cosines, axis=1), -1, 1)


def _relative_velocity(edges: Neighbors, nodes: NodeVectors) -> np.ndarray:
    assert nodes.velocities is not None
    units = _units(edges)
    source, receiver = edges.edge_index
    difference = nodes.velocities[source] - nodes.velocities[receiver]  # 0 for a self-loop
    along = np.einsum("ma,ma->m", units, difference)
    return np.stack([along, np.linalg.norm(difference - along[:, None] * units, axis=1)], axis=1)


GROUPS: dict[str, FeatureGroup] = {
    "length": FeatureGroup(("length",), _length),
    "cosines": FeatureGroup(("cos_receiver", "cos_source"), _cosines),
    "relative_velocity": FeatureGroup(("velocity_along", "velocity_across"), _relative_velocity),
}
