"""Natural neighbours: the edges of the Delaunay triangulation (Delaunay 1934; Qhull, Barber, Dobkin & Huhdanpaa 1996).

Two objects are joined where some empty sphere passes through both. There is no length to choose: the graph adapts to
the density, as the tessellation field estimator does (Schaap & van de Weygaert 2000).
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.spatial import Delaunay, QhullError

from gnnlib.errors import InputError
from gnnlib.graph.edges import Neighbors, Points, between_groups, check_size, join
from gnnlib.graph.graph import GraphSpec
from gnnlib.graph.space import mean_separation

FLAT = 1e-9  # points whose spread along a direction is this fraction of the largest lie in a plane or on a line
PAD = 3.0  # mean separations around a periodic box that are filled with images at first ...
FEW = 500  # ... or all of them for so few points
SLIVER = 1e-12  # simplices of less volume than this share of their edges' cube have no sphere of their own


class Triangulation(NamedTuple):
    """simplices: [S, D + 1] rows of points. beside: [S, D + 1] the simplex opposite each corner, -1 where there is
    none. same: [L, 2], rows that were left out and the rows they coincide with."""

    simplices: np.ndarray
    beside: np.ndarray
    same: np.ndarray


def find(points: Points, spec: GraphSpec) -> Neighbors:
    """The edges of the Delaunay triangulation, both ways, in as many dimensions as the points spread in.

    Where more points than a simplex has lie on one empty sphere (a lattice) one of the possible triangulations is
    taken. Coincident points are joined to each other and share their neighbours. In a periodic box the triangulation is
    that of all images, and an edge to any image of a node is an edge to that node, of minimum-image length.
    """
    places, place_of = np.unique(points.positions, axis=0, return_inverse=True)
    joined, same = _joined_places(places, points.box)
    first = np.arange(len(places))
    first[same[:, 0]] = same[:, 1]  # closer to another than can be told: one place
    place_of = first[place_of.ravel()]
    pairs = np.unique(np.sort(joined, axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    own = np.flatnonzero(np.bincount(place_of, minlength=len(places)) > 1)
    pairs = np.concatenate([pairs, pairs[:, ::-1], np.stack([own, own], axis=1)])
    return join(points, *between_groups(pairs, place_of, len(places), "a Delaunay triangulation"))


def _joined_places(places: np.ndarray, box: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Pairs [P, 2] of rows of `places` [N, 3] that are joined, some of them twice or with themselves; and coincident
    rows [L, 2]."""
    spread = np.ptp(places, axis=0) > 0  # a catalog seen in projection has an axis along which nothing happens
    if not spread.any():
        return np.empty((0, 2), dtype=np.int64), np.empty((0, 2), dtype=np.int64)
    points = places[:, spread]
    sides = np.zeros(len(points.T)) if box is None else box[spread]
    if not sides.any():
        found = _triangulate(points - points.mean(axis=0))
        return _edges(found.simplices), found.same
    # With one image on each side of every point the simplices around the points in the box are those of the infinite
    # periodic set: a sphere through p whose centre is over half a side from p would hold an image of p. Fewer do where
    # no simplex reaches the rim of what was filled and every sphere lies inside it.
    pads = sides
    if (sides > 0).all() and len(points) >= FEW:
        pads = np.minimum(sides, PAD * mean_separation(places, box))
    while True:
        images, origin = _with_images(points, sides, pads)
        found = _triangulate(images - points.mean(axis=0))
        ours = (found.simplices < len(points)).any(axis=1)
        if np.array_equal(pads, sides) or (
            (found.beside[ours] >= 0).all() and _spheres_inside(images, found.simplices[ours], sides, pads)
        ):
            same = found.same[found.same[:, 0] < len(points)]
            return origin[_edges(found.simplices[ours])], np.stack([same[:, 0], origin[same[:, 1]]], axis=1)
        pads = np.minimum(sides, 2 * pads)


def _edges(simplices: np.ndarray) -> np.ndarray:
    """The edges [P, 2] of all simplices."""
    sides = combinations(range(simplices.shape[1]), 2)
    return np.concatenate([simplices[:, side] for side in map(list, sides)]).astype(np.int64)


def _with_images(points: np.ndarray, sides: np.ndarray, pads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points, then their images at most `pads` [A] outside the box, [K, A], and the row each one is of [K]."""
    images, origin = points, np.arange(len(points))
    for axis in np.flatnonzero(sides):
        copies, of = [images], [origin]
        for sign in (-1, 1):
            moved = images.copy()
            moved[:, axis] += sign * sides[axis]
            near = (moved[:, axis] >= -pads[axis]) & (moved[:, axis] <= sides[axis] + pads[axis])
            copies.append(moved[near])
            of.append(origin[near])
        images, origin = np.concatenate(copies), np.concatenate(of)
        check_size(16 * len(images), "the periodic images that a triangulation needs")
    return images, origin


def _spheres_inside(images: np.ndarray, simplices: np.ndarray, sides: np.ndarray, pads: np.ndarray) -> bool:
    """Whether the sphere around each simplex keeps within the padded box, where it is known to be empty."""
    corners = images[simplices]
    edges = corners[:, 1:] - corners[:, :1]
    squares = np.sum(edges**2, axis=2)
    thick = np.abs(np.linalg.det(edges)) > SLIVER * squares.max(axis=1) ** (images.shape[1] / 2)
    to_centre = np.linalg.solve(edges[thick], 0.5 * squares[thick][..., None])[..., 0]
    centre, radius = corners[thick, 0] + to_centre, np.linalg.norm(to_centre, axis=1)[:, None]
    return bool(np.all(centre - radius >= -pads) and np.all(centre + radius <= sides + pads))


def _triangulate(points: np.ndarray) -> Triangulation:
    """The Delaunay triangulation of distinct points [N, A], in the directions in which they spread."""
    points = points / np.abs(points).max()  # squares of tiny or huge numbers leave the range of float64
    _, sizes, directions = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    if sizes[-1] <= FLAT * sizes[0] or len(sizes) < points.shape[1]:
        points = points @ directions[sizes > FLAT * sizes[0]].T
    (n, dims), none = points.shape, np.empty((0, 2), dtype=np.int64)
    if dims == 1:
        order = np.argsort(points[:, 0], kind="stable")
        simplices = np.stack([order[:-1], order[1:]], axis=1)
        return Triangulation(simplices, np.full_like(simplices, -1), none)
    if n == dims + 1:
        return Triangulation(np.arange(n)[None], np.full((1, n), -1), none)
    try:
        found = Delaunay(points)
    except QhullError as error:
        raise InputError(
            "The positions cannot be triangulated in float64, because nearly all lie in a plane, on a line or at one "
            "place; join them by a linking length instead."
        ) from error
    return Triangulation(found.simplices, found.neighbors, found.coplanar[:, [0, 2]].astype(np.int64))
