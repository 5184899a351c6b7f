"""The same nodes and edges on the canvas or in a Plotly Scatter3d figure, drawn when asked for, and a card of the node
clicked. NODES and EDGES in the environment say how many."""

from __future__ import annotations

import os

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from scipy.spatial import cKDTree

from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.view.canvas import graph_canvas
from gnnlib.view.colors import colors_of
from gnnlib.view.scene import Scene, graph_scene

BOX = 100.0
st.set_page_config(layout="wide")


@st.cache_resource
def nodes_and_edges(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions [n, 3], a third anywhere and the rest in blobs of forty; the m shortest pairs [m, 2]; their lengths."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, BOX, (n // 40, 3))
    blobs = centres[rng.integers(len(centres), size=n - n // 3)] + rng.normal(0, 2, (n - n // 3, 3))
    positions = np.clip(np.concatenate([rng.uniform(0, BOX, (n // 3, 3)), blobs]), 0, BOX)
    tree = cKDTree(positions)
    radius = 1.0
    while len(pairs := tree.query_pairs(radius, output_type="ndarray")) < m:
        radius *= 1.15
    lengths = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    nearest = np.argsort(lengths, kind="stable")[:m]
    return positions, pairs[nearest], lengths[nearest]


@st.cache_resource
def scene(n: int, m: int) -> Scene:
    positions, pairs, lengths = nodes_and_edges(n, m)
    edge_index = np.concatenate([pairs, pairs[:, ::-1]]).T
    order = np.argsort(edge_index[1], kind="stable")
    edge_index = edge_index[:, order]
    graph = Graph(
        positions=positions,
        edge_index=edge_index,
        separations=positions[edge_index[0]] - positions[edge_index[1]],
        lengths=np.tile(lengths, 2)[order],
        edge_features=np.empty((2 * m, 0), dtype=np.float32),
        edge_feature_names=(),
        row_ids=np.arange(n),
        spec=GraphSpec(radius=float(lengths[-1])),
    )
    return graph_scene(graph, color_by=colors_of(positions[:, 2], "z"))


def figure(n: int, m: int) -> go.Figure:
    """As one writes it with numpy arrays: one trace of lines with gaps, one of markers coloured by a column."""
    positions, pairs, _ = nodes_and_edges(n, m)
    lines = np.full((m, 3, 3), np.nan)
    lines[:, 0], lines[:, 1] = positions[pairs[:, 0]], positions[pairs[:, 1]]
    x, y, z = lines.reshape(-1, 3).T
    made = go.Figure()
    made.add_scatter3d(x=x, y=y, z=z, mode="lines", line={"color": "rgba(80,90,120,.3)", "width": 1}, hoverinfo="skip")
    x, y, z = positions.T
    made.add_scatter3d(x=x, y=y, z=z, mode="markers", marker={"size": 2, "color": z, "colorscale": "Viridis"})
    made.update_layout(height=600, showlegend=False, margin={"l": 0, "r": 0, "t": 0, "b": 0})
    return made


n, m = int(os.environ["NODES"]), int(os.environ["EDGES"])
nodes_and_edges(n, m)
scene(n, m)
shown = st.radio("Draw with", ["nothing", "canvas", "plotly"], horizontal=True)
if shown == "canvas":
    longest = float(nodes_and_edges(n, m)[2][-1])
    state = graph_canvas(scene(n, m), key="graph", height=600, radius_control=(0.0, longest, longest))
    if state.clicked is not None:
        x, y, z = nodes_and_edges(n, m)[0][int(state.clicked)]
        st.code(f"node {state.clicked}: {x:.3f} {y:.3f} {z:.3f}")
elif shown == "plotly":
    st.plotly_chart(figure(n, m), key="plotly")
st.caption("ready")
