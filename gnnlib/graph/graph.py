"""The graph: nodes that are catalog rows, directed edges, and what is known of each edge.

One small structure for the whole library. Convention of PyG: row 0 of `edge_index` is the source j, row 1 the
receiver i, messages flow j -> i; edges are sorted by receiver.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from gnnlib.graph.space import apart

EdgeFeature = Literal["length", "cosines", "relative_velocity", "velocity_space", "mass_ratio", "radial_basis"]


class GraphSpec(BaseModel):
    """How a catalog becomes a graph. Lengths are in the catalog's length unit; None where a method does without.

    method: a row of `gnnlib.graph.neighbors.METHODS`. radius: the linking length (radius, groups), or that across the
    line of sight (cylinder). cap: at most so many neighbours a receiver, the nearest; None for all. k: neighbours of
    each receiver; columns: columns or expressions in whose standardised space they are near, none for space itself.
    along: how far a cylinder reaches each way along line_of_sight. shape: of a group. edges: path of an edge list,
    edge_ids: what it names. direction, of methods whose edges may go one way only: "directed" as found, "symmetric"
    with every edge both ways, "mutual" only where found both ways. periodic None or True: along the periodic axes
    of the catalog. self_loops adds one edge i -> i a node. edge_features: groups of features, see
    `gnnlib.graph.features`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["radius", "knn", "cylinder", "delaunay", "groups", "edge_list"] = "radius"
    radius: float | None = None
    cap: int | None = None
    k: int | None = None
    columns: tuple[str, ...] = ()
    along: float | None = None
    line_of_sight: Literal["x", "y", "z", "radial"] = "z"
    shape: Literal["clique", "star"] = "clique"
    edges: str | None = None
    edge_ids: Literal["row_ids", "indices"] = "row_ids"
    direction: Literal["directed", "symmetric", "mutual"] = "directed"
    periodic: bool | None = None
    self_loops: bool = False
    edge_features: tuple[EdgeFeature, ...] = ("length", "cosines", "relative_velocity")


@dataclass(frozen=True)
class Graph:
    """A catalog's graph.

    positions: [N, 3] float64 in length_unit. edge_index: [2, M] int64, sorted by receiver (row 1). separations: [M, 3]
    float64, source minus receiver, minimum image. lengths: [M] float64. edge_features: [M, D] float32 with
    edge_feature_names (D). row_ids: [N]. box: [3] sides, 0 where an axis is open, or None where all are. file_of: [N]
    int64, which of several spaces of that box a node lies in, where the catalog is a folder of several; no edge joins
    two. truncated: True only where a cap removed edges. notes: sentences for the reader, such as what a cap removed.
    """

    positions: np.ndarray
    edge_index: np.ndarray
    separations: np.ndarray
    lengths: np.ndarray
    edge_features: np.ndarray
    edge_feature_names: tuple[str, ...]
    row_ids: np.ndarray
    spec: GraphSpec
    box: np.ndarray | None = None
    length_unit: str = ""
    file_of: np.ndarray | None = None
    truncated: bool = False
    notes: tuple[str, ...] = ()

    @property
    def n_nodes(self) -> int:
        return len(self.positions)

    @property
    def n_edges(self) -> int:
        """Directed edges, self-loops included."""
        return self.edge_index.shape[1]

    @property
    def self_loop(self) -> np.ndarray:
        """[M] bool: True where an edge joins a node to itself."""
        return self.edge_index[0] == self.edge_index[1]

    @property
    def places(self) -> np.ndarray:
        """Positions [N, 3] to divide the nodes by: as they are, or with the files of a folder far from each other."""
        return apart(self.positions, self.file_of)

    def degrees(self) -> np.ndarray:
        """In-degree of each node [N] int64, self-loops not counted."""
        return np.bincount(self.edge_index[1][~self.self_loop], minlength=self.n_nodes)

    def with_edges(self, keep: np.ndarray) -> Graph:
        """The same nodes with some of the edges. keep: [M] bool, or the indices of edges in the order wanted."""
        return replace(
            self,
            edge_index=self.edge_index[:, keep],
            separations=self.separations[keep],
            lengths=self.lengths[keep],
            edge_features=self.edge_features[keep],
        )

    def subgraph(self, keep: np.ndarray) -> Graph:
        """The induced subgraph on the nodes where `keep` [N] bool is True; edges keep their order and features."""
        position_of = np.cumsum(keep) - 1
        edge_kept = keep[self.edge_index[0]] & keep[self.edge_index[1]]
        return Graph(
            positions=self.positions[keep],
            edge_index=position_of[self.edge_index[:, edge_kept]],
            separations=self.separations[edge_kept],
            lengths=self.lengths[edge_kept],
            edge_features=self.edge_features[edge_kept],
            edge_feature_names=self.edge_feature_names,
            row_ids=self.row_ids[keep],
            spec=self.spec,
            box=self.box,
            length_unit=self.length_unit,
            file_of=None if self.file_of is None else self.file_of[keep],
            truncated=self.truncated,
            notes=self.notes,
        )
