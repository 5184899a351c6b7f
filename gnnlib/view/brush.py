"""What a hand draws in a 2D figure, as the rows that it means: also those that the figure leaves out.

A brush comes as Streamlit reports it: "box" and "lasso" list outlines by the coordinates of their corners, "points" the
points that were clicked. It is laid over the values behind the figure, of which the figure may show a part only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def enclosed(brush: Mapping[str, Any], x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """[N] bool: which of the points x, y [N] lie in a box or lasso; y None: only the stretch in x counts."""
    found = np.zeros(len(x), dtype=bool)
    for box in brush.get("box", ()):
        low, high = min(box["x"]), max(box["x"])
        inside = (x >= low) & (x <= high)
        if y is not None:
            inside &= (y >= min(box["y"])) & (y <= max(box["y"]))
        found |= inside
    for lasso in brush.get("lasso", ()):
        outline = np.column_stack([lasso["x"], lasso["y"]]).astype(np.float64)
        found |= within_outline(outline, x, x if y is None else y)
    return found


def within_outline(outline: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[N] bool: a ray from the point crosses the outline [K, 2] an odd number of times."""
    odd = np.zeros(len(x), dtype=bool)
    for (ax, ay), (bx, by) in zip(outline, np.roll(outline, 1, axis=0), strict=True):
        if ay == by:
            continue
        crosses = (y < ay) != (y < by)
        odd ^= crosses & (x < ax + (bx - ax) * (y - ay) / (by - ay))
    return odd


def clicked(brush: Mapping[str, Any]) -> list[str]:
    """The row ids that the clicked points carry."""
    found = [point.get("customdata") for point in brush.get("points", ())]
    return [str(item[0] if isinstance(item, list) else item) for item in found if item is not None]
