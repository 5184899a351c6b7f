"""Friends-of-friends groups (Huchra & Geller 1982; Davis et al. 1985) as graphs: each a clique, or a star.

Two objects closer than the linking length are friends, and friends of friends are one group: the components of the
radius graph, found by union-find (Tarjan & van Leeuwen 1984) without keeping an edge.
"""

from __future__ import annotations

import numpy as np

from gnnlib.graph import cells
from gnnlib.graph.compiled import compiled
from gnnlib.graph.components import find_root
from gnnlib.graph.edges import Neighbors, Points, between_groups, check_size, join
from gnnlib.graph.graph import GraphSpec
from gnnlib.graph.joining import squared_distance
from gnnlib.graph.space import check_radius


def find(points: Points, spec: GraphSpec) -> Neighbors:
    """Both ways: "clique" joins all members of a group, "star" each member to the head of its group.

    The head is the member of the largest mass where masses are known, else the one with most friends; equals go by row.
    """
    radius = check_radius(spec.radius, points.box)
    cell_list = cells.sort_into_cells(points.positions, radius, points.box)
    group_of = friends_of_friends(cell_list)
    n_groups = int(group_of.max()) + 1
    cause = f"groups at the linking length {radius:g}"
    if spec.shape == "clique":
        own = np.flatnonzero(np.bincount(group_of) > 1)
        return join(points, *between_groups(np.stack([own, own], axis=1), group_of, n_groups, cause))
    rank = cells.count_pairs(cell_list) if points.masses is None else np.nan_to_num(points.masses, nan=-np.inf)
    order = np.lexsort((np.arange(len(rank)), -rank, group_of))  # the head of each group comes first
    head = order[np.searchsorted(group_of[order], np.arange(n_groups))]
    members = np.flatnonzero(head[group_of] != np.arange(len(group_of)))
    check_size(2 * len(members), cause)
    heads = head[group_of[members]]
    return join(points, np.concatenate([members, heads]), np.concatenate([heads, members]))


def friends_of_friends(cell_list: cells.CellList) -> np.ndarray:
    """The group [N] int64 of each row, numbered from 0 in the order of their first rows."""
    parents = np.arange(len(cell_list.nodes))
    _link(*cells.arrays(cell_list), parents)
    root = np.empty_like(parents)
    root[cell_list.nodes] = parents
    _, first, group = np.unique(root, return_index=True, return_inverse=True)
    number = np.empty_like(first)
    number[np.argsort(first)] = np.arange(len(first))
    return number[group]


@compiled
def _link(points, nodes, keys, starts, shift, shape, box, bound, parents):
    ranges = np.empty((cells.MAX_RANGES, 2), dtype=np.int64)
    key, n_ranges = -1, 0
    for a in range(len(parents)):
        if keys[a] != key:
            key = keys[a]
            n_ranges = cells.find_ranges(keys, starts, shift, shape, box, key, ranges)
        root = find_root(parents, a)
        for r in range(n_ranges):
            for b in range(ranges[r, 0], min(ranges[r, 1], a)):  # each pair once
                if squared_distance(points, box, a, b) <= bound:
                    other = find_root(parents, b)
                    root, other = min(root, other), max(root, other)
                    parents[other] = root
    for a in range(len(parents)):
        parents[a] = find_root(parents, a)
