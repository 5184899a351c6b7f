"""Where one looks from so that some objects fill the picture, as the short text that the canvas and a link share."""

from __future__ import annotations

import numpy as np

from gnnlib.view.export import HOME, OPENING, frame_radius
from gnnlib.view.scene import Scene

NEAREST = 0.12  # least radius that is shown around the objects, of the frame's


def around(
    scene: Scene,
    positions: np.ndarray,
    box: np.ndarray | None = None,
    seen: str | None = None,
    nearest: float = NEAREST,
) -> str:
    """A point of view that shows all of some objects, from the angles of `seen`.

    positions: [K, 3] in the catalog's length unit, K > 0. box: sides [3] of the periodic box, 0 along an open axis, or
    None: objects across a face are shown where the first of them is. nearest: least radius that is shown, of the
    frame's.
    """
    points = np.asarray(positions, dtype=np.float64)
    if box is not None:
        sides = np.where(np.asarray(box) > 0, box, 0.0)
        points = points - sides * np.rint((points - points[0]) / np.where(sides > 0, sides, np.inf))
    low, high = points.min(axis=0), points.max(axis=0)
    frame = frame_radius(scene)
    radius = max(0.6 * float(np.linalg.norm(high - low)), nearest * frame)
    kind, azimuth, elevation = _angles(seen)
    target = ((low + high) / 2 - scene.centre) / frame
    numbers = [azimuth, elevation, radius / OPENING / frame, *target.tolist()]
    return f"{kind}_{'_'.join(f'{value:.4f}' for value in numbers)}"


def _angles(seen: str | None) -> tuple[str, float, float]:
    """The way of projection and the two angles of a text, those of the beginning where it says none."""
    try:
        kind, azimuth, elevation = (seen or HOME).split("_")[:3]
        return "o" if kind == "o" else "p", float(azimuth), float(elevation)
    except ValueError:
        return _angles(HOME)
