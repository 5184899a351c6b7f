"""From a catalog to its graph: the one function that pages, commands and notebooks call."""

from __future__ import annotations

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.graph.features import edge_features
from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.graph.neighbors import find


def build_graph(catalog: Catalog, spec: GraphSpec) -> Graph:
    """The graph of all rows of `catalog` that `spec` describes, every row a node, in the order of the rows.

    Periodic where spec.periodic says so, or the catalog does where that is None. The edge feature "relative_velocity"
    is left out where the catalog has no velocities, and `Graph.notes` says so. Raises InputError, see `neighbors.find`.
    """
    periodic = catalog.periodic if spec.periodic is None else spec.periodic
    if periodic and catalog.box is None:
        raise InputError("A periodic graph needs a box: give the catalog's box side lengths, or switch periodic off.")
    box = catalog.box if periodic else None
    positions = catalog.positions()
    neighbors = find(positions, spec, box)
    velocities, names, notes = catalog.velocities(), list(spec.edge_features), []
    if velocities is None and "relative_velocity" in names:
        names.remove("relative_velocity")
        notes.append("The catalog has no velocities, so the relative velocity is not among the edge features.")
    features, feature_names = edge_features(neighbors, velocities, names)
    return Graph(
        positions=positions,
        edge_index=neighbors.edge_index,
        separations=neighbors.separations,
        lengths=neighbors.lengths,
        edge_features=features,
        edge_feature_names=feature_names,
        row_ids=catalog.row_ids,
        spec=spec,
        box=box,
        length_unit=catalog.length_unit,
        notes=tuple(notes),
    )
