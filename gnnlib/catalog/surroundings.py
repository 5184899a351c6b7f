"""What surrounds an object: neighbours within a radius, the overdensity, the n-th neighbour; the group it belongs to.

Distances are in the catalog's length unit and wrap around the axes that are periodic. scipy's KD-tree finds the
neighbours; the object itself is never one of them, another object at the same place is.

The overdensity is 1 + delta: neighbours within R over the number expected there. Expected is the mean density times the
part of the sphere (in 2D: of the circle) that lies inside the catalog's volume: all of it along periodic axes; inside
the box where one is given; else inside the convex hull of the positions, so the edges of a survey do not look empty,
while its holes and the gaps between its fields do. Each file of a folder of catalogs is a space of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import gamma, pi

import numpy as np
import pandas as pd
from scipy.spatial import ConvexHull, QhullError, cKDTree

from gnnlib.catalog.space import in_window
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError

BALL_POINTS = 1024  # points in a sphere that measure how much of it is inside several faces
FACES = 8  # of a hull that are tried for one object, the nearest ones
CHUNK = 20_000  # objects at a time, for memory
PAIRS_AT_A_TIME = 4_000_000
MOST_PAIRS = 2e9  # that are counted: a minute or two


def count_within(catalog: Catalog, radius: float) -> np.ndarray:
    """Number of other objects within `radius`, [N] float64; NaN where a position is missing."""
    if catalog.files:
        return _by_file(catalog, lambda own, rows: count_within(own, radius))
    places = _Places(catalog, radius)
    return places.spread(places.counts())


def overdensity(catalog: Catalog, radius: float, mass: np.ndarray | None = None) -> np.ndarray:
    """1 + delta within `radius`, [N] float64: neighbours, or their `mass` [N], over what is expected there.

    NaN where a position is missing; a neighbour without a mass adds none. Raises InputError where the catalog has no
    volume to speak of.
    """
    if catalog.files:
        weights = None if mass is None else np.broadcast_to(mass, len(catalog))
        return _by_file(catalog, lambda own, rows: overdensity(own, radius, None if weights is None else weights[rows]))
    places = _Places(catalog, radius)
    n = len(places.points)
    volume, normals, offsets = _region(places)
    sphere = pi ** (places.dimensions / 2) / gamma(places.dimensions / 2 + 1) * places.radius**places.dimensions
    inside = _share_inside(places.points, places.radius, normals, offsets)
    if mass is None:
        found, others = places.counts(), np.full(n, n - 1.0)
    else:
        weights = np.nan_to_num(np.broadcast_to(mass, len(catalog))[places.rows].astype(np.float64))
        found, others = places.sums(weights), weights.sum() - weights
    with np.errstate(all="ignore"):
        return places.spread(found / (others / volume * sphere * inside))


def neighbor_distance(catalog: Catalog, n: float) -> np.ndarray:
    """Distance to the n-th nearest other object in the catalog's length unit, [N]; NaN where a position is missing."""
    if n != int(n) or n < 1:
        raise InputError(f"The number of the neighbour is 1 or more and whole, not {n:g}.")
    if catalog.files:
        return _by_file(catalog, lambda own, rows: neighbor_distance(own, n))
    places = _Places(catalog)
    if n >= len(places.points):
        raise InputError(
            f"There is no neighbour number {n:g} among {len(places.points):,} objects; choose a smaller one."
        )
    return places.spread(places.tree.query(places.points, k=[int(n) + 1], workers=-1)[0][:, 0])


def is_central(catalog: Catalog, group: np.ndarray | pd.Series, mass: np.ndarray | None = None) -> np.ndarray:
    """Whether an object is the most massive of its group, bool [N]; the first of equals.

    mass: [N], or None for the catalog's mass. Objects without a group (missing, or a negative number) are centrals of
    their own. Raises InputError where no mass is known.
    """
    if mass is None:
        if catalog.roles.mass is None:
            raise InputError("is_central needs a mass to compare by; name one, as in is_central(group, mass).")
        mass = catalog.values(catalog.roles.mass)
    codes = _codes(group, catalog)
    weight = np.where(np.isnan(mass), -np.inf, np.broadcast_to(mass, len(codes)))
    heaviest = np.full(int(codes.max(initial=0)) + 1, -np.inf)
    np.maximum.at(heaviest, codes, weight)
    candidates = np.flatnonzero(weight == heaviest[codes])
    central = np.zeros(len(codes), dtype=bool)
    central[candidates[~pd.Series(codes[candidates]).duplicated().to_numpy()]] = True
    return central


def group_size(catalog: Catalog, group: np.ndarray | pd.Series) -> np.ndarray:
    """Members of an object's group, itself included, [N] float64; 1 without a group."""
    codes = _codes(group, catalog)
    return np.bincount(codes, minlength=1)[codes].astype(np.float64)


def group_max(catalog: Catalog, group: np.ndarray | pd.Series, values: np.ndarray) -> np.ndarray:
    """The largest of `values` [N] in an object's group, [N] float64, such as its host's mass; gaps are passed over."""
    codes = _codes(group, catalog)
    largest = np.full(int(codes.max(initial=0)) + 1, -np.inf)
    values = np.broadcast_to(np.asarray(values, dtype=np.float64), len(codes))
    known = ~np.isnan(values)
    np.maximum.at(largest, codes[known], values[known])
    has_value = np.zeros(len(largest), dtype=bool)
    has_value[codes[known]] = True
    return np.where(has_value, largest, np.nan)[codes]


def _by_file(catalog: Catalog, compute: Callable[[Catalog, np.ndarray], np.ndarray]) -> np.ndarray:
    """What `compute` says of the rows of each file of a folder of catalogs alone, [N] float64."""
    out = np.empty(len(catalog))
    for name, rows, own in catalog.by_file():
        try:
            out[rows] = compute(own, rows)
        except InputError as error:
            raise InputError(f"In '{name}': {error}") from error
    return out


def _codes(group: np.ndarray | pd.Series, catalog: Catalog) -> np.ndarray:
    """Numbers [N] from 0 that tell groups apart, those of two files too; every object without one is a group of its
    own."""
    group = group if isinstance(group, pd.Series) else np.asarray(group)
    if isinstance(group, np.ndarray) and group.ndim == 0:
        raise InputError("Groups are told apart by a column of ids; name one, as in group_size(group_id).")
    codes, known = pd.factorize(group)
    alone = codes < 0
    if isinstance(group, np.ndarray) and group.dtype.kind in "if":
        alone |= group < 0
    codes[alone] = len(known) + np.arange(int(alone.sum()))
    file_of = catalog.file_of
    return codes if file_of is None else pd.factorize(codes * (int(file_of.max(initial=0)) + 1) + file_of)[0]


class _Places:
    """The finite positions of a catalog, those in its velocity window where it has one, in a KD-tree.

    points: [M, d], wrapped into the box along periodic axes; rows: [M], where each stands in the catalog.
    sides: [d], 0 where an axis is open. radius: checked, 0 where none is given.
    """

    def __init__(self, catalog: Catalog, radius: float | None = None) -> None:
        positions = catalog.positions()
        self.dimensions = len(catalog.axes)
        self.catalog, self.radius = catalog, 0.0 if radius is None else float(radius)
        self.rows = np.flatnonzero(np.isfinite(positions).all(axis=1) & in_window(catalog))
        if not len(self.rows):
            raise InputError(
                "No row has a finite position and is in view, so nothing can be said about its surroundings."
            )
        self.points = positions[self.rows, : self.dimensions]
        box = catalog.periodic_box
        self.sides = np.zeros(self.dimensions) if box is None else box[: self.dimensions]
        if radius is not None and not 0 < radius < np.inf:
            raise InputError(f"A radius is a number above 0, not {radius:g}.")
        if (short := self.sides[self.sides > 0].min(initial=np.inf)) < 2 * self.radius:
            raise InputError(
                f"A radius of {radius:g} is more than half of the periodic side of {short:g}, so it would count "
                f"neighbours twice; choose a smaller one."
            )
        for axis, side in enumerate(self.sides):
            if side > 0:
                self.points[:, axis] %= side
                self.points[self.points[:, axis] >= side, axis] = 0.0  # where -1e-17 was rounded up to the side
        # In the order of a tree's leaves neighbours are close in memory, too: queries take a third of the time.
        order = cKDTree(self.points, boxsize=self.sides).indices
        self.rows, self.points = self.rows[order], self.points[order]
        self.tree = cKDTree(self.points, boxsize=self.sides)
        self.mean_neighbours = self._mean_neighbours(self.radius) if self.radius else 0.0
        if self.mean_neighbours * len(self.points) > MOST_PAIRS:
            fewer = self.radius
            while self._mean_neighbours(fewer) * len(self.points) > MOST_PAIRS:
                fewer *= 0.8
            raise InputError(
                f"Within {radius:g} the {len(self.points):,} objects have about {self.mean_neighbours:,.0f} neighbours "
                f"each, which takes too long to count; choose a radius of {fewer:.2g} or less."
            )

    def _mean_neighbours(self, radius: float) -> float:
        some = self.points[:: max(1, len(self.points) // 200)]
        return float(self.tree.query_ball_point(some, radius, return_length=True).mean())

    def counts(self) -> np.ndarray:
        """Other objects within the radius, [M]."""
        return self.tree.query_ball_point(self.points, self.radius, workers=-1, return_length=True) - 1.0

    def sums(self, weights: np.ndarray) -> np.ndarray:
        """Weights [M] of the other objects within the radius added up, [M]."""
        total = np.empty(len(self.points))
        chunk = max(1, min(CHUNK, int(PAIRS_AT_A_TIME / (1 + self.mean_neighbours))))
        for start in range(0, len(self.points), chunk):
            part = cKDTree(self.points[start : start + chunk], boxsize=self.sides)
            pairs = part.sparse_distance_matrix(self.tree, self.radius, output_type="ndarray")
            other = pairs["i"] + start != pairs["j"]
            total[start : start + part.n] = np.bincount(
                pairs["i"][other], weights=weights[pairs["j"][other]], minlength=part.n
            )
        return total

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values [M] of the finite positions on the rows [N] of the catalog, NaN elsewhere."""
        out = np.full(len(self.catalog), np.nan)
        out[self.rows] = values
        return out


def _region(places: _Places) -> tuple[float, np.ndarray, np.ndarray]:
    """The catalog's volume (area in 2D) and its open faces: outward normals [F, d] and offsets [F], n.x + offset <= 0
    inside.
    """
    d, box = places.dimensions, places.catalog.box
    if box is None:
        try:
            hull = ConvexHull(places.points)
        except (QhullError, ValueError) as error:
            raise InputError(
                f"The {len(places.points):,} positions span no volume, so there is no mean density to compare with; "
                f"give a box."
            ) from error
        return float(hull.volume), hull.equations[:, :d], hull.equations[:, d]
    normals, offsets, sides = [], [], box[:d].copy()
    for axis in np.flatnonzero(places.sides == 0):
        low, high = places.points[:, axis].min(), places.points[:, axis].max()
        sides[axis] = sides[axis] or high - low  # the box may leave an open axis out
        corner = 0.0 if low >= 0 and high <= sides[axis] else (low + high - sides[axis]) / 2
        for sign, offset in ((-1.0, corner), (1.0, -corner - sides[axis])):
            normals.append(sign * np.eye(d)[axis])
            offsets.append(offset)
    if not sides.all():
        raise InputError("The positions span no volume, so there is no mean density to compare with; give a box.")
    return float(np.prod(sides)), np.reshape(normals, (-1, d)), np.array(offsets)


def _share_inside(points: np.ndarray, radius: float, normals: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The share [M] of the sphere around each point that is inside all faces."""
    share = np.ones(len(points))
    if len(normals) == 0:
        return share
    dimensions = points.shape[1]
    ball, k = _ball(dimensions), min(FACES, len(normals))
    for start in range(0, len(points), CHUNK):
        depth = -(points[start : start + CHUNK] @ normals.T + offsets) / radius
        cut_by = (depth < 1).sum(axis=1)
        one = np.flatnonzero(cut_by == 1)
        share[start + one] = 1 - _cap(depth[one].min(axis=1), dimensions)
        several = np.flatnonzero(cut_by > 1)
        for few in np.array_split(several, len(several) // 1000 + 1):
            near = np.argpartition(depth[few], k - 1, axis=1)[:, :k]
            inside = np.ones((len(few), len(ball)), dtype=bool)
            for face in near.T:
                inside &= normals[face] @ ball.T <= depth[few, face][:, None]
            share[start + few] = inside.mean(axis=1)
    return share


def _cap(depth: np.ndarray, dimensions: int) -> np.ndarray:
    """The share of a unit sphere or circle beyond a plane at `depth` from its centre."""
    depth = np.clip(depth, 0, 1)  # a corner of the hull lies on its faces, give or take the rounding
    if dimensions == 3:
        return (2 + depth) * (1 - depth) ** 2 / 4
    return (np.arccos(depth) - depth * np.sqrt(1 - depth**2)) / pi


def _ball(dimensions: int) -> np.ndarray:
    """Points [K, d] spread evenly in the unit ball, mirrored in all axes so that a face halves them exactly."""
    from scipy.stats import qmc  # half a second that most catalogs do not need

    cube = qmc.Sobol(dimensions, scramble=False).random(512)[1:]
    part = cube[(cube**2).sum(axis=1) <= 1][: BALL_POINTS >> dimensions]
    signs = np.array(list(product((-1, 1), repeat=dimensions)))
    return (part[:, None] * signs).reshape(-1, dimensions)
