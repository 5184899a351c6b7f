"""Balls and tubes as triangles: what renderers and files that know nothing of points and lines are given.

Every ball and tube has vertices of its own with a colour each: programs that read glTF know no colour of a face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """points, normals: [V, 3] float32. faces: [F, 3] int32, counter-clockwise seen from outside. rgb: [V, 3] uint8."""

    points: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    rgb: np.ndarray


def unit_ball(rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3] and faces [F, 3] of an icosahedron whose faces were cut into four `rounds` times."""
    golden = (1 + 5**0.5) / 2
    corners = [(0.0, s, t * golden) for s in (-1, 1) for t in (-1, 1)]
    points = np.array([np.roll(corner, turn) for turn in range(3) for corner in corners])
    near = np.linalg.norm(points[:, None] - points[None], axis=2) < 2.1
    triples = [
        (a, b, c)
        for a in range(12)
        for b in range(a + 1, 12)
        for c in range(b + 1, 12)
        if near[a, b] and near[b, c] and near[a, c]
    ]
    faces = np.array(triples)
    a, b, c = (points[faces[:, i]] for i in range(3))
    inwards = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
    faces[inwards] = faces[inwards][:, ::-1]
    for _ in range(rounds):
        pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
        sides, which = np.unique(pairs, axis=0, return_inverse=True)
        middles = len(points) + which.reshape(3, -1).T
        points = np.concatenate([points, points[sides].mean(axis=1)])
        a, b, c = faces.T
        ab, bc, ca = middles.T
        faces = np.concatenate([np.stack(f, axis=1) for f in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return points / np.linalg.norm(points, axis=1, keepdims=True), faces


def balls(centres: np.ndarray, radii: np.ndarray, rgb: np.ndarray, rounds: int) -> Mesh:
    """One ball at each centre [N, 3] with its radius [N] and colour [N, 3] uint8."""
    ball, faces = unit_ball(rounds)
    n, v = len(centres), len(ball)
    points = centres[:, None] + radii[:, None, None] * ball
    return Mesh(
        points.reshape(-1, 3).astype(np.float32),
        np.tile(ball, (n, 1)).astype(np.float32),
        (faces + v * np.arange(n)[:, None, None]).reshape(-1, 3).astype(np.int32),
        np.repeat(rgb, v, axis=0),
    )


def tubes(starts: np.ndarray, ends: np.ndarray, radii: np.ndarray, rgb: np.ndarray, sides: int) -> Mesh:
    """An open tube along each line, starts and ends [S, 3], with its radius [S] and colour [S, 3] uint8."""
    along = ends - starts
    lengths = np.linalg.norm(along, axis=1, keepdims=True)
    along = np.divide(along, lengths, out=np.tile([1.0, 0.0, 0.0], (len(along), 1)), where=lengths > 0)
    # Any direction that is not along the line gives the two across it.
    other = np.where(np.abs(along[:, [2]]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    first = np.cross(along, other)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    angles = 2 * np.pi * np.arange(sides) / sides
    around = np.cos(angles)[None, :, None] * first[:, None] + np.sin(angles)[None, :, None] * second[:, None]
    rims = [centre[:, None] + radii[:, None, None] * around for centre in (starts, ends)]
    here = np.arange(sides)
    there = np.roll(here, -1)
    faces = np.concatenate(
        [np.stack([here, there, here + sides], axis=1), np.stack([there, there + sides, here + sides], axis=1)]
    )
    n = len(starts)
    return Mesh(
        np.concatenate(rims, axis=1).reshape(-1, 3).astype(np.float32),
        np.tile(around, (1, 2, 1)).reshape(-1, 3).astype(np.float32),
        (faces + 2 * sides * np.arange(n)[:, None, None]).reshape(-1, 3).astype(np.int32),
        np.repeat(rgb, 2 * sides, axis=0),
    )
