"""What a model may know of an edge: contractions of vectors, so its invariances hold by construction.

The two cosines are those of Villanueva-Domingo & Villaescusa-Navarro (2022, arXiv 2204.13713) and Wu, Jespersen &
Wechsler (2024, arXiv 2402.07995), with one change: theirs start from the centroid of the whole box, which means nothing
in a periodic one, so here each node looks towards the centroid of its own neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gnnlib.errors import InputError
from gnnlib.graph.edges import Neighbors

CHUNK = 500_000  # edges computed at once, so that float64 intermediates stay small
BALANCED = 1e-9  # neighbours whose separations cancel to this fraction of their summed length have no direction
BASIS = 8  # functions of the radial basis


@dataclass(frozen=True)
class Nodes:
    """What the groups need of the nodes: towards, towards_velocity [N, 3], unit vector to the mean of a node's
    neighbours in space and in velocity space, or 0; velocities [N, 3] km/s; masses [N] dex. And reach, the length at
    which the radial basis ends. None where no group asked for needs it."""

    towards: np.ndarray | None
    towards_velocity: np.ndarray | None
    velocities: np.ndarray | None
    masses: np.ndarray | None
    reach: float


@dataclass(frozen=True)
class FeatureGroup:
    """Edge features computed together. label: for people. columns: their names. needs: the role without which there are
    none. compute: (m edges, nodes) -> [m, len(columns)]."""

    label: str
    columns: tuple[str, ...]
    compute: Callable[[Neighbors, Nodes], np.ndarray]
    needs: Literal["", "velocity", "mass"] = ""


def edge_features(
    neighbors: Neighbors,
    velocities: np.ndarray | None,
    names: Sequence[str],
    masses: np.ndarray | None = None,
    reach: float | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Edge features [M, D] float32 and the D column names, for the groups in `names`, in that order.

    velocities: [N, 3] km/s; masses: [N] log10; each may be None where no group needs it. reach: length at which the
    radial basis ends, the longest edge where None. With n_ij the unit separation from receiver i to source j and c_i
    the vector from i to the mean of its neighbours (the sources of edges into i):

    "length": `length` |r_ij|, in the unit of the positions; even (the same for j -> i and i -> j).
    "cosines": `cos_receiver` n_ij . c_i/|c_i| and `cos_source` n_ij . c_j/|c_j|; 0 where c is 0 (no neighbours, or
        neighbours that balance) and where the two nodes coincide; reversing the edge swaps them with the sign changed.
    "relative_velocity": `velocity_along` (v_j - v_i) . n_ij and `velocity_across` |the rest| in km/s; where the two
        nodes coincide all of the difference counts as across; even.
    "velocity_space": the trio of length and cosines with velocities in place of positions (Wu, Jespersen & Wechsler
        2024): `velocity_difference` |v_j - v_i| in km/s, even, `velocity_cos_receiver`, `velocity_cos_source`.
    "mass_ratio": `mass_ratio` log10(m_j / m_i) in dex; odd (changes sign).
    "radial_basis": `basis_0` .. `basis_7`, Gaussians of the length around 0, 1/7, .. 1 of the reach, 1/7 of it wide
        (as SchNet's, Schuett et al. 2017, arXiv 1706.08566); without unit; even.

    All are invariant under translation, rotation, reflection, a boost of all velocities and shifts of a periodic box. A
    self-loop has zeros in every column. To be computed on a whole graph, whose rows a subgraph then keeps: in a
    subgraph nodes have lost neighbours. Raises InputError where velocities or masses are needed and absent, missing or
    infinite.
    """
    groups = [GROUPS[name] for name in dict.fromkeys(names)]
    columns = tuple(column for group in groups for column in group.columns)
    needs = {group.needs for group in groups}
    if "velocity" in needs:
        _check(velocities, "velocity", "velocities", names)
    if "mass" in needs:
        _check(masses, "mass", "masses", names)
    nodes = Nodes(
        towards=_towards(neighbors, None) if "cosines" in names else None,
        towards_velocity=_towards(neighbors, velocities) if "velocity_space" in names else None,
        velocities=velocities,
        masses=masses,
        reach=reach or float(neighbors.lengths.max(initial=0.0)) or 1.0,
    )
    features = np.empty((len(neighbors.lengths), len(columns)), dtype=np.float32)
    for start in range(0, len(features), CHUNK):
        edges = slice(start, start + CHUNK)
        part = Neighbors(neighbors.edge_index[:, edges], neighbors.separations[edges], neighbors.lengths[edges])
        at = 0
        for group in groups:
            features[edges, at : at + len(group.columns)] = group.compute(part, nodes)
            at += len(group.columns)
    return features, columns


def _check(values: np.ndarray | None, one: str, many: str, names: Sequence[str]) -> None:
    """Raises InputError unless there are finite values for the groups among `names` that need them."""
    group = next(name for name in names if GROUPS[name].needs == one)
    if values is None:
        raise InputError(
            f"The edge feature '{group}' needs {many} and the catalog has no {one} column; choose one on the "
            "Catalog page or leave the feature out."
        )
    finite = np.isfinite(values)
    bad = int(np.sum(~(finite.all(axis=1) if finite.ndim == 2 else finite)))
    if bad:
        raise InputError(
            f"{bad} of {len(values)} rows have a missing or infinite {one}; cut these rows or leave the edge feature "
            f"'{group}' out."
        )


def _towards(neighbors: Neighbors, velocities: np.ndarray | None) -> np.ndarray:
    """Unit vector from each node to the mean of its neighbours in space, or in velocity space, or 0; rows up to the
    last node with an edge."""
    source, receiver = neighbors.edge_index
    n_nodes = int(neighbors.edge_index.max(initial=-1)) + 1
    summed, squares = np.empty((n_nodes, 3)), np.zeros(len(source))
    for axis in range(3):
        if velocities is None:
            apart = neighbors.separations[:, axis]
        else:
            apart = velocities[source, axis] - velocities[receiver, axis]
            squares += apart**2
        summed[:, axis] = np.bincount(receiver, apart, n_nodes)  # the sum points where the mean does
    lengths = neighbors.lengths if velocities is None else np.sqrt(squares)
    size = np.linalg.norm(summed, axis=1)
    unbalanced = size > BALANCED * np.bincount(receiver, lengths, n_nodes)
    return np.divide(summed, size[:, None], out=np.zeros(summed.shape), where=unbalanced[:, None])


def _units(vectors: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Unit vectors [m, 3]; 0 where the length is 0."""
    return np.divide(vectors, lengths[:, None], out=np.zeros_like(vectors), where=lengths[:, None] > 0)


def _contractions(units: np.ndarray, edges: Neighbors, towards: np.ndarray) -> np.ndarray:
    """[m, 2]: the unit vectors along what their receiver and their source look towards."""
    source, receiver = edges.edge_index
    cosines = [np.einsum("ma,ma->m", units, towards[end]) for end in (receiver, source)]
    return np.clip(np.stack(cosines, axis=1), -1, 1)


def _length(edges: Neighbors, nodes: Nodes) -> np.ndarray:
    return edges.lengths[:, None]


def _cosines(edges: Neighbors, nodes: Nodes) -> np.ndarray:
    assert nodes.towards is not None
    return _contractions(_units(edges.separations, edges.lengths), edges, nodes.towards)


def _difference(edges: Neighbors, nodes: Nodes) -> np.ndarray:
    """Velocity of the source minus that of the receiver [m, 3]; 0 for a self-loop."""
    assert nodes.velocities is not None
    source, receiver = edges.edge_index
    return nodes.velocities[source] - nodes.velocities[receiver]


def _relative_velocity(edges: Neighbors, nodes: Nodes) -> np.ndarray:
    units, difference = _units(edges.separations, edges.lengths), _difference(edges, nodes)
    along = np.einsum("ma,ma->m", units, difference)
    return np.stack([along, np.linalg.norm(difference - along[:, None] * units, axis=1)], axis=1)


def _velocity_space(edges: Neighbors, nodes: Nodes) -> np.ndarray:
    assert nodes.towards_velocity is not None
    difference = _difference(edges, nodes)
    size = np.linalg.norm(difference, axis=1)
    return np.column_stack([size, _contractions(_units(difference, size), edges, nodes.towards_velocity)])


def _mass_ratio(edges: Neighbors, nodes: Nodes) -> np.ndarray:
    assert nodes.masses is not None
    source, receiver = edges.edge_index
    return (nodes.masses[source] - nodes.masses[receiver])[:, None]


def _radial_basis(edges: Neighbors, nodes: Nodes) -> np.ndarray:
    source, receiver = edges.edge_index
    steps = edges.lengths[:, None] / nodes.reach * (BASIS - 1) - np.arange(BASIS)
    return np.exp(-0.5 * steps**2) * (source != receiver)[:, None]


GROUPS: dict[str, FeatureGroup] = {
    "length": FeatureGroup("length", ("length",), _length),
    "cosines": FeatureGroup("cosines", ("cos_receiver", "cos_source"), _cosines),
    "relative_velocity": FeatureGroup(
        "relative velocity", ("velocity_along", "velocity_across"), _relative_velocity, "velocity"
    ),
    "velocity_space": FeatureGroup(
        "velocity space",
        ("velocity_difference", "velocity_cos_receiver", "velocity_cos_source"),
        _velocity_space,
        "velocity",
    ),
    "mass_ratio": FeatureGroup("mass ratio", ("mass_ratio",), _mass_ratio, "mass"),
    "radial_basis": FeatureGroup("radial basis", tuple(f"basis_{n}" for n in range(BASIS)), _radial_basis),
}
