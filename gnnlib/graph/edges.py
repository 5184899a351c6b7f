"""What a method is given and what it returns, and the few things all methods do with edges."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gnnlib.errors import InputError

MAX_EDGES = 60_000_000  # 48 bytes each here, about as many again for the features


@dataclass(frozen=True)
class Points:
    """What is joined.

    positions: [N, 3] float64 as `space.inside_box` returns them, in `box` ([3], 0 where open, or None). features: [N,
    F] float64, the coordinates of a search in feature space. row_ids: [N] int64 or str. masses: [N] float64. Each may
    be None; a method that needs it says so.
    """

    positions: np.ndarray
    box: np.ndarray | None = None
    features: np.ndarray | None = None
    row_ids: np.ndarray | None = None
    masses: np.ndarray | None = None


@dataclass(frozen=True)
class Neighbors:
    """The edges of a graph, sorted by receiver, then by length, then by source; a self-loop comes first.

    edge_index: [2, M] int64, row 0 the source j, row 1 the receiver i. separations: [M, 3] float64, source minus
    receiver, minimum image where periodic. lengths: [M] float64, the norm of the separations. truncated: whether a cap
    removed edges. notes: sentences for the reader.
    """

    edge_index: np.ndarray
    separations: np.ndarray
    lengths: np.ndarray
    truncated: bool = False
    notes: tuple[str, ...] = ()


def check_size(n_edges: float, cause: str, estimated: bool = False) -> None:
    """Raises InputError where a graph of `n_edges` would not fit in memory; cause: "the linking length 3", "k = 9"."""
    if n_edges > MAX_EDGES:
        raise InputError(
            f"With {cause} the graph would have {'about ' if estimated else ''}{n_edges:,.0f} edges, more than the "
            f"{MAX_EDGES:,} that fit in memory; make it smaller or cut the catalog."
        )


def join(points: Points, sources: np.ndarray, receivers: np.ndarray) -> Neighbors:
    """The edges sources [M] -> receivers [M] (rows, each pair at most once), measured and in order."""
    from gnnlib.graph.joining import measure  # numba takes half a second to import, which no first page should wait for

    return Neighbors(*measure(points.positions, points.box, sources, receivers))


def between_groups(pairs: np.ndarray, group_of: np.ndarray, n_groups: int, cause: str) -> tuple[np.ndarray, np.ndarray]:
    """Edges from every member of group pairs[:, 0] to every member of group pairs[:, 1], but none to itself: sources,
    receivers [M].

    pairs: [P, 2] int64. group_of: [N] int64, the group of each row. Raises InputError for too many, naming the cause.
    """
    sizes = np.bincount(group_of, minlength=n_groups)
    members, starts = np.argsort(group_of, kind="stable"), np.cumsum(sizes) - sizes
    first, second = pairs.T
    counts = sizes[first] * sizes[second]
    check_size(float(np.sum(sizes[first].astype(np.float64) * sizes[second])), cause)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    width = np.repeat(sizes[second], counts)
    sources = members[np.repeat(starts[first], counts) + number // width]
    receivers = members[np.repeat(starts[second], counts) + number % width]
    other = sources != receivers
    return sources[other], receivers[other]


def turn(neighbors: Neighbors, n_nodes: int, direction: str) -> Neighbors:
    """The edges as `GraphSpec.direction` says: "directed" as they are, "symmetric" with every reversed edge added,
    "mutual" without the edges whose reverse is not there."""
    if direction == "directed":
        return neighbors
    source, receiver = neighbors.edge_index
    paired = np.isin(receiver * n_nodes + source, source * n_nodes + receiver)
    if direction == "mutual":
        edges = neighbors.edge_index[:, paired]
        return replace(
            neighbors, edge_index=edges, separations=neighbors.separations[paired], lengths=neighbors.lengths[paired]
        )
    edges = np.concatenate([neighbors.edge_index, neighbors.edge_index[::-1, ~paired]], axis=1)
    separations = np.concatenate([neighbors.separations, -neighbors.separations[~paired]])
    lengths = np.concatenate([neighbors.lengths, neighbors.lengths[~paired]])
    order = np.lexsort((edges[0], lengths, edges[1]))
    return replace(neighbors, edge_index=edges[:, order], separations=separations[order], lengths=lengths[order])


def with_self_loops(neighbors: Neighbors, n_nodes: int) -> Neighbors:
    """One edge i -> i of zero length before the other edges of each receiver."""
    nodes = np.arange(n_nodes)
    before = np.searchsorted(neighbors.edge_index[1], nodes)
    return replace(
        neighbors,
        edge_index=np.insert(neighbors.edge_index, before, nodes, axis=1),
        separations=np.insert(neighbors.separations, before, 0.0, axis=0),
        lengths=np.insert(neighbors.lengths, before, 0.0),
    )
