"""A scene as the canvas takes it: small JSON with figures and labels, and its arrays as bytes by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gnnlib.view.colors import Colors
from gnnlib.view.scene import Scene

Send = Callable[[str, np.ndarray], str]


def payload(scene: Scene, send: Send) -> dict[str, Any]:
    """The JSON. send: takes the name and the content of an array and returns what the canvas asks for it by."""
    sequence = is_sequence(scene.row_ids)
    return {
        "nodes": len(scene.positions),
        "edges": len(scene.edges),
        "all_nodes": scene.n_nodes,
        "all_edges": scene.n_edges,
        "positions": send("positions", scene.positions.astype(np.float32)),
        "pairs": send("pairs", _packed_pairs(scene)) if len(scene.edges) else None,
        "lengths": send("lengths", scene.lengths.astype(np.float32)) if len(scene.edges) else None,
        "sizes": None if scene.node_sizes is None else send("sizes", scene.node_sizes.astype(np.float32)),
        "context": None if scene.context is None else send("context", scene.context),
        "node_scale": scene.node_scale,
        "context_nodes": 0 if scene.context is None else len(scene.context),
        "ids": None if sequence else send("ids", text_of(scene.row_ids)),
        "first_id": int(scene.row_ids[0]) if sequence else None,
        "node_color": None if scene.node_colors is None else _color(scene.node_colors, send, "node_color"),
        "edge_color": None if scene.edge_colors is None else _color(scene.edge_colors, send, "edge_color"),
        "edge_width": None if scene.edge_widths is None else send("edge_width", _bytes_of(scene.edge_widths)),
        "edge_opacity": None if scene.edge_opacities is None else send("edge_opacity", _bytes_of(scene.edge_opacities)),
        "details": [
            {"label": label, "values": send(f"detail {place}", text_of(values))}
            for place, (label, values) in enumerate(scene.details)
        ],
        "centre": [float(value) for value in scene.centre],
        "origin": [float(value) for value in scene.origin],
        "box": [float(value) for value in scene.box],
        "has_box": scene.has_box,
        "unit": scene.length_unit,
        "caption": scene.caption,
    }


def _color(colors: Colors, send: Send, name: str) -> dict[str, Any]:
    return {
        "values": send(name, colors.values.astype(np.float32)),
        "label": colors.label,
        "limits": [float(limit) for limit in colors.limits],
        "stops": list(colors.stops),
        "categories": list(colors.categories),
        "diverging": colors.color_map == "coolwarm",
        "log": colors.log,
    }


def _bytes_of(shares: np.ndarray) -> np.ndarray:
    """Values from 0 to 1 as one byte each."""
    return np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8)


def _packed_pairs(scene: Scene) -> np.ndarray:
    """[M, 2] uint32: the first place, and the second with the periodic image in its five highest bits."""
    pairs = scene.edges.astype(np.uint32)
    pairs[:, 1] |= scene.images.astype(np.uint32) << np.uint32(27)
    return pairs


def is_sequence(row_ids: np.ndarray) -> bool:
    """Whether the ids are whole numbers that rise by one, so that the first says all."""
    return row_ids.dtype.kind in "iu" and len(row_ids) > 0 and bool((np.diff(row_ids.astype(np.int64)) == 1).all())


def text_of(values: np.ndarray) -> np.ndarray:
    """One line of UTF-8 text a value: exact for 64-bit ids, which JavaScript's numbers are not."""
    if values.dtype.kind == "f":
        lines = [f"{value:.5g}" for value in values.tolist()]
    else:
        lines = [str(value).replace("\n", " ") for value in values.tolist()]
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)
