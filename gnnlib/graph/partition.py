"""A graph in spatial parts, each with the halo that its outputs depend on, so that memory is bounded by a part.

A model of `reach` layers sees of a node what lies within as many steps along the edges. A part owns the nodes of one
block of space and carries, besides, all that reaches them: on its owned nodes a model gives what it gives on the whole
graph. Blocks are cut across their longer side again and again (recursive bisection, Berger & Bokhari 1987) so that
each has about the same number of edges to work on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.graph.build import build_graph
from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.graph.neighbors import degrees
from gnnlib.graph.space import apart, check_box, check_radius, inside_box, periodic_sides


@dataclass(frozen=True)
class Part:
    """Some nodes of a graph with all that their outputs depend on.

    graph: the n nodes and the edges that carry messages towards the owned ones. nodes: [n] int64, ascending, their
    numbers in the whole graph (rows of the catalog). owned: [n] bool; every node of the whole graph is owned once.
    """

    graph: Graph
    nodes: np.ndarray
    owned: np.ndarray


def partition(graph: Graph, n_parts: int, reach: int) -> Iterator[Part]:
    """The parts of a graph at hand, one at a time.

    reach: how many edges away an output can depend on (`Stack.reach` of a model). Raises InputError for more parts than
    nodes.
    """
    block = blocks(graph.places, n_parts, 1 + np.bincount(graph.edge_index[1], minlength=graph.n_nodes))
    for number in range(n_parts):
        yield _part(graph, np.arange(graph.n_nodes), block == number, reach)


def build_parts(catalog: Catalog, spec: GraphSpec, n_parts: int, reach: int) -> Iterator[Part]:
    """The parts of the graph that `build_graph` would give, one at a time, without ever building the whole.

    For the methods "radius" and "cylinder", whose edges are a matter of the places around them. Raises InputError for
    others and where `build_graph` would.
    """
    if spec.method not in ("radius", "cylinder"):
        raise InputError(
            f"A graph of the method '{spec.method}' cannot be built in parts, because an edge may depend on objects "
            "anywhere; build it whole, or join by a linking length."
        )
    points, box, length = _points(catalog, spec)
    file_of = catalog.file_of
    work = 1 + degrees(points, length, box, file_of) if spec.method == "radius" else np.ones(len(points))
    block = blocks(apart(points, file_of), n_parts, work)
    # One step more than the reach: an edge's features look at the neighbours of both its ends. And another where an
    # edge depends on what its source's cap keeps.
    halo = (reach + (1 if spec.cap is None or spec.direction == "directed" else 2)) * length
    for number in range(n_parts):
        owned = block == number
        near = owned | _within(points, points[owned], halo, box)
        if file_of is not None:
            near &= np.isin(file_of, np.unique(file_of[owned]))
        near = np.flatnonzero(near)
        keep = np.zeros(len(points), dtype=bool)
        keep[near] = True
        yield _part(build_graph(catalog.take(keep), spec), near, owned[near], reach)


def count_edges(catalog: Catalog, spec: GraphSpec) -> int:
    """How many edges the graph of `build_parts` has in all, counted without building it.

    A cap is not looked at, and a cylinder counts as the sphere around it, so there may be fewer.
    """
    points, box, length = _points(catalog, spec)
    return int(degrees(points, length, box, catalog.file_of).sum())


def blocks(positions: np.ndarray, n_blocks: int, work: np.ndarray) -> np.ndarray:
    """The block [N] int64 of each row: positions [N, 3] cut in proportion to `work` [N], across the widest spread."""
    if not 1 <= n_blocks <= len(positions):
        raise InputError(
            f"{len(positions):,} rows cannot be divided into {n_blocks:,} parts; ask for 1 to {len(positions):,}."
        )
    block = np.zeros(len(positions), dtype=np.int64)
    waiting = [(np.arange(len(positions)), 0, n_blocks)]
    while waiting:
        rows, first, count = waiting.pop()
        if count == 1:
            block[rows] = first
            continue
        low = count // 2
        axis = int(np.argmax(np.ptp(positions[rows], axis=0)))
        rows = rows[np.argsort(positions[rows, axis], kind="stable")]
        done = np.cumsum(work[rows], dtype=np.float64)
        cut = int(np.searchsorted(done, done[-1] * low / count, side="right"))
        cut = min(max(cut, low), len(rows) - (count - low))  # no block is left empty
        waiting += [(rows[:cut], first, low), (rows[cut:], first + low, count - low)]
    return block


def _points(catalog: Catalog, spec: GraphSpec) -> tuple[np.ndarray, np.ndarray | None, float]:
    """The places [N, 3] in their box, the box, and how long an edge can be."""
    box = None if spec.periodic is False else catalog.periodic_box
    box = check_box(catalog.box if spec.periodic and box is None else box)
    radius = check_radius(spec.radius, None)
    length = float(np.hypot(radius, spec.along or 0.0)) if spec.method == "cylinder" else radius
    return inside_box(catalog.positions(), box), box, length


def _within(points: np.ndarray, block: np.ndarray, distance: float, box: np.ndarray | None) -> np.ndarray:
    """[N] bool: points not farther than `distance` from the cuboid around the points of `block`."""
    low, high = block.min(axis=0), block.max(axis=0)
    squared = np.zeros(len(points))
    for axis, side in enumerate(periodic_sides(box)):
        below, above = low[axis] - points[:, axis], points[:, axis] - high[axis]
        apart = np.maximum(np.maximum(below, above), 0.0)
        if np.isfinite(side):
            apart = np.minimum(apart, np.minimum(below + side, above + side))
        squared += apart**2
    return squared <= (distance * (1 + 1e-9)) ** 2


def _part(graph: Graph, rows: np.ndarray, owned: np.ndarray, reach: int) -> Part:
    """The part of `graph`, whose nodes are `rows` of the whole, that owns `owned` [n] bool."""
    starts = np.searchsorted(graph.edge_index[1], np.arange(graph.n_nodes + 1))
    reached, edges = owned.copy(), np.empty(0, dtype=np.int64)
    for _ in range(reach):
        edges = _edges_into(np.flatnonzero(reached), starts)
        reached[graph.edge_index[0, edges]] = True
    place = np.cumsum(reached) - 1
    part = replace(
        graph,
        positions=graph.positions[reached],
        edge_index=place[graph.edge_index[:, edges]],
        separations=graph.separations[edges],
        lengths=graph.lengths[edges],
        edge_features=graph.edge_features[edges],
        row_ids=graph.row_ids[reached],
        file_of=None if graph.file_of is None else graph.file_of[reached],
    )
    return Part(part, rows[reached], owned[reached])


def _edges_into(nodes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Numbers of the edges, sorted by receiver, whose receiver is among `nodes`."""
    counts = starts[nodes + 1] - starts[nodes]
    skipped = starts[nodes] - (np.cumsum(counts) - counts)
    return np.arange(counts.sum()) + np.repeat(skipped, counts)
