"""From a catalog to its graph: the one function that pages, commands and notebooks call."""

from __future__ import annotations

import numpy as np

from gnnlib.catalog.expressions import evaluate
from gnnlib.catalog.table import Catalog
from gnnlib.graph.features import GROUPS, edge_features
from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.graph.neighbors import find, find_by_file

WITHOUT = {
    "velocity": "The catalog has no velocities, so the {} is not among the edge features.",
    "mass": "The catalog has no mass column, so the {} is not among the edge features.",
}


def build_graph(catalog: Catalog, spec: GraphSpec) -> Graph:
    """The graph of all rows of `catalog` that `spec` describes, every row a node, in the order of the rows.

    In a folder of catalogs each file is a space of its own: no edge joins two of them, and all neighbours are found
    among the rows of the same file. Periodic along the catalog's periodic axes, unless spec.periodic is False;
    spec.periodic True takes all axes of the box where the catalog names none. Edge features for which the catalog has
    no velocities or masses are left out, and `Graph.notes` says so. Raises InputError, see `neighbors.find`,
    `neighbors.find_by_file` and `features.edge_features`.
    """
    box = None if spec.periodic is False else catalog.periodic_box
    if spec.periodic and box is None:
        box = catalog.box
    positions, masses = catalog.positions(), log_masses(catalog)
    coordinates = np.column_stack([evaluate(name, catalog) for name in spec.columns]) if spec.columns else None
    file_of = catalog.file_of
    if file_of is None or catalog.files is None:
        neighbors = find(positions, spec, box, coordinates, catalog.row_ids, masses)
    else:
        files = catalog.table[catalog.files.column].drop_duplicates().tolist()
        neighbors = find_by_file(positions, spec, box, file_of, files, coordinates, catalog.row_ids, masses)
    velocities, names, notes = catalog.velocities(), list(spec.edge_features), list(neighbors.notes)
    absent = {"velocity": velocities is None, "mass": masses is None}
    for name in spec.edge_features:
        if absent.get(GROUPS[name].needs):
            names.remove(name)
            notes.append(WITHOUT[GROUPS[name].needs].format(GROUPS[name].label))
    features, feature_names = edge_features(neighbors, velocities, names, masses, reach(spec))
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
        file_of=file_of,
        truncated=neighbors.truncated,
        notes=tuple(notes),
    )


def log_masses(catalog: Catalog) -> np.ndarray | None:
    """log10 of the mass of each row [N] float64, up to a constant; -inf where it is 0; None without a mass column."""
    name = catalog.roles.mass
    if name is None:
        return None
    values = np.asarray(catalog.values(name), dtype=np.float64)
    if catalog.columns[name].unit.startswith("dex"):
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(values)


def reach(spec: GraphSpec) -> float | None:
    """The longest edge that the method allows; None where it has no limit."""
    if spec.method == "cylinder" and spec.radius and spec.along:
        return float(np.hypot(spec.radius, spec.along))
    return spec.radius if spec.method == "radius" else None
