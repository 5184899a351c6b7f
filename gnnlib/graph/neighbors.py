"""Who is joined to whom: one function, `find`, in front of a table of methods that all give the exact edge set.

A new method is a module of `gnnlib.graph.methods` and a row here. No method caps the number of neighbours unless
asked to; along periodic axes separations are those of the minimum image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np

from gnnlib.catalog.sentences import shared_sentences
from gnnlib.catalog.table import rows_of
from gnnlib.errors import InputError
from gnnlib.graph.edges import MAX_EDGES, Neighbors, Points, check_size, with_self_loops
from gnnlib.graph.graph import GraphSpec
from gnnlib.graph.space import check_box, check_radius, inside_box

__all__ = [
    "METHODS",
    "Method",
    "Neighbors",
    "check_radius",
    "count_edges",
    "degrees",
    "find",
    "find_by_file",
    "inside_box",
]


@dataclass(frozen=True)
class Method:
    """A way to join objects. label, description: for people. needs: the fields of GraphSpec that it cannot do without;
    takes: those that it heeds besides. module: the one in `gnnlib.graph.methods` with its `find(points, spec)`."""

    label: str
    description: str
    module: str
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()

    def find(self, points: Points, spec: GraphSpec) -> Neighbors:
        # Loaded when used: numba takes half a second to import, which no first page should wait for.
        return import_module(f"gnnlib.graph.methods.{self.module}").find(points, spec)


METHODS: dict[str, Method] = {
    "radius": Method(
        "Linking length",
        "Every pair closer than the linking length.",
        "radius",
        needs=("radius",),
        takes=("cap", "direction"),
    ),
    "knn": Method(
        "Nearest neighbours",
        "Each object receives from its k nearest, in space or in the space of chosen columns.",
        "nearest",
        needs=("k",),
        takes=("columns", "direction"),
    ),
    "cylinder": Method(
        "Cylinder",
        "Pairs within one length across the line of sight and another along it, for redshift space.",
        "cylinder",
        needs=("radius", "along"),
        takes=("line_of_sight",),
    ),
    "delaunay": Method("Delaunay", "Natural neighbours, whatever the density: no length to choose.", "delaunay"),
    "groups": Method(
        "Groups",
        "Friends of friends within the linking length, all joined to each other or to the head of their group.",
        "groups",
        needs=("radius",),
        takes=("shape",),
    ),
    "edge_list": Method(
        "Edge list",
        "Edges read from a file of your own: CSV, Parquet or NumPy.",
        "edge_list",
        needs=("edges",),
        takes=("edge_ids", "direction"),
    ),
}


def find(
    positions: np.ndarray,
    spec: GraphSpec,
    box: np.ndarray | None,
    features: np.ndarray | None = None,
    row_ids: np.ndarray | None = None,
    masses: np.ndarray | None = None,
) -> Neighbors:
    """The exact edges of the graph that `spec` describes; the methods' modules say what each of them joins.

    positions: [N, 3], any float dtype; computed in float64. box: [3] side lengths in the same unit, 0 where an axis is
    open, or None where all are; used unless spec.periodic is False. Along a periodic axis positions may lie anywhere
    (0..L, -L/2..L/2); they are taken modulo the side. features: [N, F], the values of spec.columns. row_ids: [N], what
    an edge list names (the row numbers where None). masses: [N], which member heads a group.
    Raises InputError for a specification, box or positions that cannot be used and for more than 60 million edges.
    """
    if spec.periodic and box is None:
        raise InputError("A periodic graph needs a box: give the catalog's box side lengths, or switch periodic off.")
    box = None if spec.periodic is False else check_box(box)
    points = Points(inside_box(positions, box), box, features, row_ids, masses)
    neighbors = METHODS[spec.method].find(points, spec)
    return with_self_loops(neighbors, len(points.positions)) if spec.self_loops else neighbors


def find_by_file(
    positions: np.ndarray,
    spec: GraphSpec,
    box: np.ndarray | None,
    file_of: np.ndarray,
    names: Sequence[str],
    features: np.ndarray | None = None,
    row_ids: np.ndarray | None = None,
    masses: np.ndarray | None = None,
) -> Neighbors:
    """The edges of `find` in each of several spaces alone, none between two of them.

    file_of: [N] int64, the space of each row; names: what each is called. The rest as for `find`. Columns are
    standardised file by file, so that the edges of a file do not depend on the others. An edge list names rows of all
    files, and those of its edges that join two files are left out and counted. Raises InputError as `find` does, with
    the name of the file.
    """
    if spec.method == "edge_list":
        found = find(positions, spec, box, features, row_ids, masses)
        inside = file_of[found.edge_index[0]] == file_of[found.edge_index[1]]
        note = f"{int((~inside).sum()):,} of {len(inside):,} directed edges join two files of the folder: left out."
        return Neighbors(
            found.edge_index[:, inside],
            found.separations[inside],
            found.lengths[inside],
            found.truncated,
            found.notes if inside.all() else (*found.notes, note),
        )
    parts, edges = [], 0
    for name, rows in zip(names, rows_of(file_of), strict=True):
        own = [None if values is None else values[rows] for values in (features, row_ids, masses)]
        try:
            part = find(positions[rows], spec, box, *own)
        except InputError as error:
            raise InputError(f"In '{name}': {error}") from error
        edges += part.edge_index.shape[1]
        check_size(edges, f"{len(names):,} files")
        parts.append(replace(part, edge_index=rows[part.edge_index]))
    joined = Neighbors(
        np.concatenate([part.edge_index for part in parts], axis=1),
        np.concatenate([part.separations for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        any(part.truncated for part in parts),
        tuple(shared_sentences([(name, part.notes) for name, part in zip(names, parts, strict=True)])),
    )
    if joined.truncated and spec.cap and spec.radius:
        from gnnlib.graph.methods.radius import removed

        counts = degrees(inside_box(positions, box), spec.radius, box, file_of)
        kept = joined.edge_index[:, joined.edge_index[0] != joined.edge_index[1]]
        lost = counts - np.bincount(kept[1], minlength=len(counts))
        joined = replace(joined, notes=(removed(spec.cap, lost, counts),))
    if (np.diff(joined.edge_index[1]) >= 0).all():
        return joined
    order = np.argsort(joined.edge_index[1], kind="stable")  # rows of the files are mixed
    return replace(
        joined,
        edge_index=joined.edge_index[:, order],
        separations=joined.separations[order],
        lengths=joined.lengths[order],
    )


def degrees(
    positions: np.ndarray, radius: float, box: np.ndarray | None, file_of: np.ndarray | None = None
) -> np.ndarray:
    """Neighbours of each row [N] in a radius graph without a cap, in its own file where `file_of` [N] tells them apart.

    positions, radius and box as for `count_edges`.
    """
    from gnnlib.graph import cells

    if file_of is None:
        return cells.count_pairs(cells.sort_into_cells(positions, radius, box))
    counts = np.zeros(len(positions), dtype=np.int64)
    for rows in rows_of(file_of):
        counts[rows] = cells.count_pairs(cells.sort_into_cells(positions[rows], radius, box))
    return counts


def count_edges(
    positions: np.ndarray, radius: float, box: np.ndarray | None, file_of: np.ndarray | None = None
) -> float:
    """Directed edges of a radius graph, without building it; above 240 million an estimate from a sample.

    positions: [N, 3] as `inside_box` returns them. radius: as `check_radius` returns it. box: as `check_box` does.
    file_of: [N], which of several spaces each is in.
    """
    from gnnlib.graph import cells

    if file_of is not None:
        return sum(count_edges(positions[rows], radius, box) for rows in rows_of(file_of))
    cell_list = cells.sort_into_cells(positions, radius, box)
    estimate = cells.estimate_pairs(cell_list)
    return estimate if estimate > 4 * MAX_EDGES else float(cells.count_pairs(cell_list).sum())
