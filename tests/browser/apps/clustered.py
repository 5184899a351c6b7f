"""A clustered periodic point set and its radius graph, made with scipy alone so that it can check the project's own."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from gnnlib.graph.graph import Graph, GraphSpec


def clustered_graph(n: int, box: float, radius: float, seed: int) -> tuple[Graph, np.ndarray]:
    """A graph of n points on filaments between clusters in a periodic box, and their log masses. Row ids from 1000."""
    rng = np.random.default_rng(seed)
    centres = rng.random((max(4, n // 60), 3)) * box
    ends = cKDTree(centres, boxsize=box).query(centres, k=4)[1]
    first = rng.integers(len(centres), size=n)
    second = ends[first, rng.integers(1, 4, size=n)]
    way = centres[second] - centres[first]
    way -= box * np.rint(way / box)
    along = rng.beta(0.35, 0.6, size=n)[:, None]
    spread = np.where(along < 0.05, 1.6, 0.9) * rng.standard_t(3, size=(n, 3)) * box / 140
    positions = (centres[first] + along * way + spread) % box
    field = rng.random(n) < 0.12
    positions[field] = rng.random((field.sum(), 3)) * box
    pairs = cKDTree(positions, boxsize=box).query_pairs(radius, output_type="ndarray")
    edge_index = np.concatenate([pairs, pairs[:, ::-1]]).T
    edge_index = edge_index[:, np.argsort(edge_index[1], kind="stable")]
    separations = positions[edge_index[0]] - positions[edge_index[1]]
    separations -= box * np.rint(separations / box)
    lengths = np.linalg.norm(separations, axis=1)
    degree = np.bincount(edge_index[1], minlength=n)
    mass = 10.5 + rng.exponential(0.35, size=n) + 0.4 * np.log10(1 + degree)
    graph = Graph(
        positions=positions,
        edge_index=edge_index,
        separations=separations,
        lengths=lengths,
        edge_features=lengths[:, None].astype(np.float32),
        edge_feature_names=("length",),
        row_ids=np.arange(n) + 1000,
        spec=GraphSpec(radius=radius),
        box=np.full(3, box),
        length_unit="Mpc",
    )
    return graph, mass
