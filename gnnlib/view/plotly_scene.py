"""A scene as a Plotly figure: for a browser without WebGL 2, and as a small file that anybody can open.

Plotly takes numbers as text and every edge as three points, so it holds only small scenes: larger ones are thinned
evenly, and the title says so.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from gnnlib.view.scene import Scene, drawn_edges, segments

MOST_NODES = 20_000
MOST_EDGES = 20_000


def plotly_figure(scene: Scene, *, radius: float | None = None, attention: float | None = None) -> go.Figure:
    """Nodes, edges up to `radius` with values from `attention`, and the frame, in the scene's length unit."""
    nodes = _evenly(len(scene.positions), MOST_NODES)
    shown = drawn_edges(scene, radius, attention)
    edges = shown[_evenly(len(shown), MOST_EDGES)]
    where = scene.positions[nodes] + scene.centre
    figure = go.Figure()
    if len(edges):
        start, end, _ = segments(scene, edges)
        line = np.full((len(start), 3, 3), np.nan)
        line[:, 0], line[:, 1] = start + scene.centre, end + scene.centre
        x, y, z = line.reshape(-1, 3).T.astype(np.float32)
        figure.add_scatter3d(
            x=x, y=y, z=z, mode="lines", hoverinfo="skip", line={"color": "rgba(110,130,170,0.35)", "width": 1.5}
        )
    marker: dict[str, object] = {"size": 2.5, "color": "#5b7fb5"}
    if scene.node_sizes is not None:
        marker["size"] = 2 + 8 * scene.node_sizes[nodes] ** 2
    colors = scene.node_colors
    if colors is not None:
        marker["color"] = [f"rgb({r},{g},{b})" for r, g, b in colors.rgb()[nodes].tolist()]
    figure.add_scatter3d(
        x=where[:, 0],
        y=where[:, 1],
        z=where[:, 2],
        mode="markers",
        marker={**marker, "line": {"width": 0}, "opacity": 0.95},
        text=[f"row {row_id}" for row_id in scene.row_ids[nodes].tolist()],
        hoverinfo="text",
    )
    unit = f" [{scene.length_unit}]" if scene.length_unit else ""
    less = []
    if len(nodes) < len(scene.positions):
        less.append(f"{len(nodes):,} of {len(scene.positions):,} nodes")
    if len(edges) < len(shown):
        less.append(f"{len(edges):,} of {len(shown):,} edges")
    figure.update_layout(
        scene={f"{axis}axis": {"title": f"{axis}{unit}", "backgroundcolor": "rgba(0,0,0,0)"} for axis in "xyz"}
        | {"aspectmode": "data"},
        title={"text": f"Showing {' and '.join(less)}, evenly chosen"} if less else None,
        showlegend=False,
        margin={"l": 0, "r": 0, "b": 0, "t": 40 if less else 0},
        height=600,
    )
    return figure


def _evenly(n: int, most: int) -> np.ndarray:
    return np.arange(n) if n <= most else np.arange(most) * n // most
