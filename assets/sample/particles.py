"""Compiled loops over particles for make_sample.py: cloud-in-cell painting and reading, friends-of-friends.

Development only. Cloud-in-cell after Hockney & Eastwood (1981); friends-of-friends after Davis et al. (1985),
as a cell list with union-find.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(fastmath=True, cache=False)
def paint(positions: np.ndarray, mesh: np.ndarray) -> None:
    """Add one unit a particle to `mesh` [n, n, n] (float32) by cloud in cell; positions [N, 3] in cells, 0 <= x < n."""
    n = mesh.shape[0]
    for p in range(positions.shape[0]):
        x, y, z = positions[p, 0], positions[p, 1], positions[p, 2]
        i, j, k = int(x), int(y), int(z)
        fx, fy, fz = x - i, y - j, z - k
        i, j, k = i % n, j % n, k % n
        i1, j1, k1 = (i + 1) % n, (j + 1) % n, (k + 1) % n
        gx, gy, gz = 1 - fx, 1 - fy, 1 - fz
        mesh[i, j, k] += gx * gy * gz
        mesh[i, j, k1] += gx * gy * fz
        mesh[i, j1, k] += gx * fy * gz
        mesh[i, j1, k1] += gx * fy * fz
        mesh[i1, j, k] += fx * gy * gz
        mesh[i1, j, k1] += fx * gy * fz
        mesh[i1, j1, k] += fx * fy * gz
        mesh[i1, j1, k1] += fx * fy * fz


@numba.njit(fastmath=True, parallel=True, cache=False)
def kick(positions: np.ndarray, force: np.ndarray, factor: float, velocities: np.ndarray, axis: int) -> None:
    """velocities[:, axis] += factor * (force [n, n, n] read at the positions by cloud in cell)."""
    n = force.shape[0]
    for p in numba.prange(positions.shape[0]):
        x, y, z = positions[p, 0], positions[p, 1], positions[p, 2]
        i, j, k = int(x), int(y), int(z)
        fx, fy, fz = x - i, y - j, z - k
        i, j, k = i % n, j % n, k % n
        i1, j1, k1 = (i + 1) % n, (j + 1) % n, (k + 1) % n
        gx, gy, gz = 1 - fx, 1 - fy, 1 - fz
        value = gx * (gy * (gz * force[i, j, k] + fz * force[i, j, k1])
                      + fy * (gz * force[i, j1, k] + fz * force[i, j1, k1]))  # fmt: skip
        value += fx * (gy * (gz * force[i1, j, k] + fz * force[i1, j, k1])
                       + fy * (gz * force[i1, j1, k] + fz * force[i1, j1, k1]))  # fmt: skip
        velocities[p, axis] += factor * value


@numba.njit(parallel=True, cache=False)
def drift(positions: np.ndarray, velocities: np.ndarray, factor: float, n: int) -> None:
    """positions += factor * velocities, wrapped into [0, n)."""
    for p in numba.prange(positions.shape[0]):
        for axis in range(3):
            x = positions[p, axis] + factor * velocities[p, axis]
            x = x - n * np.floor(x / n)
            positions[p, axis] = x if x < n else 0.0


@numba.njit(cache=False)
def _root(parent: np.ndarray, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@numba.njit(fastmath=True, cache=False)
def _separation2(a: np.ndarray, b: np.ndarray, box: float) -> float:
    total = 0.0
    for axis in range(3):
        d = abs(a[axis] - b[axis])
        d = min(d, box - d)
        total += d * d
    return total


@numba.njit(cache=False)
def friends_of_friends(positions: np.ndarray, box: float, link: float, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Groups of particles joined by separations below `link` in a periodic box.

    positions [N, 3] in the units of box, 0 <= x < box; cells: cells a side, at least 3 and at most box / link.
    Returns (order, label), both [N] int32: particle order[s] belongs to the group labelled label[s].
    """
    count = positions.shape[0]
    start = np.zeros(cells**3 + 1, dtype=np.int32)
    home = np.empty(count, dtype=np.int32)
    for p in range(count):
        i = min(int(positions[p, 0] / box * cells), cells - 1)
        j = min(int(positions[p, 1] / box * cells), cells - 1)
        k = min(int(positions[p, 2] / box * cells), cells - 1)
        home[p] = (i * cells + j) * cells + k
        start[home[p] + 1] += 1
    for c in range(cells**3):
        start[c + 1] += start[c]
    order = np.empty(count, dtype=np.int32)
    place = start[:-1].copy()
    for p in range(count):
        order[place[home[p]]] = p
        place[home[p]] += 1
    sorted_positions = np.empty_like(positions)
    for s in range(count):
        sorted_positions[s] = positions[order[s]]

    parent = np.arange(count).astype(np.int32)
    link2 = link * link
    for i in range(cells):
        for j in range(cells):
            for k in range(cells):
                here = (i * cells + j) * cells + k
                if start[here] == start[here + 1]:
                    continue
                for step in range(14):  # the cell itself and the 13 of its 26 neighbours that come after it
                    di, dj, dk = (step + 13) // 9 - 1, (step + 13) // 3 % 3 - 1, (step + 13) % 3 - 1
                    ni, nj, nk = (i + di) % cells, (j + dj) % cells, (k + dk) % cells
                    there = (ni * cells + nj) * cells + nk
                    for a in range(start[here], start[here + 1]):
                        first = a + 1 if step == 0 else start[there]
                        for b in range(first, start[there + 1]):
                            if _separation2(sorted_positions[a], sorted_positions[b], box) < link2:
                                ra, rb = _root(parent, a), _root(parent, b)
                                if ra != rb:
                                    parent[max(ra, rb)] = min(ra, rb)
    for s in range(count):
        parent[s] = _root(parent, s)
    return order, parent


@numba.njit(cache=False)
def group_means(
    positions: np.ndarray, velocities: np.ndarray, order: np.ndarray, label: np.ndarray, box: float, smallest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Particles [G], minimum-image centre of mass [G, 3] and mean velocity [G, 3] of groups of >= `smallest`."""
    members = np.zeros(label.size, dtype=np.int32)
    for s in range(label.size):
        members[label[s]] += 1
    row = np.full(label.size, -1, dtype=np.int32)
    groups = 0
    for s in range(label.size):
        if members[s] >= smallest:
            row[s] = groups
            groups += 1
    size = np.zeros(groups, dtype=np.int64)
    centre = np.zeros((groups, 3))
    velocity = np.zeros((groups, 3))
    for s in range(label.size):
        g = row[label[s]]
        if g < 0:
            continue
        size[g] += 1
        for axis in range(3):
            origin = positions[order[label[s]], axis]
            d = positions[order[s], axis] - origin
            centre[g, axis] += d - box * np.round(d / box)
            velocity[g, axis] += velocities[order[s], axis]
    for s in range(label.size):
        g = row[s]
        if g < 0:
            continue
        for axis in range(3):
            x = positions[order[s], axis] + centre[g, axis] / size[g]
            centre[g, axis] = x - box * np.floor(x / box)
            velocity[g, axis] /= size[g]
    return size, centre, velocity
