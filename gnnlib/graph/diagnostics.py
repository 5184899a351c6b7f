"""What a graph looks like in numbers, for one graph or for every linking length at once.

Components of every threshold from one pass of union-find over the edges sorted by length (Kruskal 1956, as in
single-linkage clustering; friends-of-friends with every linking length).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from gnnlib.graph.graph import Graph


def summarize(graph: Graph) -> dict[str, int | float | bool]:
    """Figures of one graph, self-loops not counted.

    nodes; edges (directed); mean_degree, max_degree and isolated_fraction by in-degree; components and
    largest_component_fraction (of the nodes) of the graph with edges taken both ways; truncated: a cap removed edges.
    """
    degrees = graph.degrees()
    source, receiver = graph.edge_index
    links = coo_matrix((np.ones(len(source), dtype=bool), (source, receiver)), shape=(graph.n_nodes,) * 2)
    components, label = connected_components(links, directed=False)
    return _figures(
        graph.n_nodes,
        int(degrees.sum()),
        int(degrees.max(initial=0)),
        int(np.sum(degrees == 0)),
        components,
        int(np.bincount(label).max(initial=0)),
        graph.truncated,
    )


def degree_histogram(graph: Graph) -> np.ndarray:
    """Number of nodes of in-degree 0, 1, 2, ... [max_degree + 1] int64, self-loops not counted."""
    return np.bincount(graph.degrees())


def _figures(
    nodes: int, edges: int, max_degree: int, isolated: int, components: int, largest: int, truncated: bool = False
) -> dict[str, int | float | bool]:
    return {
        "nodes": nodes,
        "edges": edges,
        "mean_degree": edges / nodes if nodes else 0.0,
        "max_degree": max_degree,
        "isolated_fraction": isolated / nodes if nodes else 0.0,
        "components": components,
        "largest_component_fraction": largest / nodes if nodes else 0.0,
        "truncated": truncated,
    }
