"""One canvas, a few widgets and Python's view of its state as text, for tests/browser/test_canvas.py.

NODES, RADIUS and PERIODIC in the environment choose the clustered scene.
"""

from __future__ import annotations

import json
import os

import numpy as np
import streamlit as st
from clustered import clustered_graph

from gnnlib.view.canvas import graph_canvas
from gnnlib.view.colors import colors_of
from gnnlib.view.scene import graph_scene

st.set_page_config(layout="wide")


@st.cache_resource
def graph(n: int, radius: float, seed: int = 0) -> tuple:
    return clustered_graph(n, box=100.0, radius=radius, seed=seed)


built, mass = graph(int(os.environ.get("NODES", 300)), float(os.environ.get("RADIUS", 9.0)))


@st.cache_resource(max_entries=8)
def scene(color: str, weighted: bool) -> object:
    values = {"mass": mass, "z": built.positions[:, 2], "residual": np.sin(np.arange(len(mass)))}.get(color)
    if color == "weight":
        values = 10 ** (mass - 8)
    if color == "kind":
        values = np.where(mass > 12.5, "cluster", np.where(mass > 11.5, "group", "field"))
    colors = (
        None if color == "none" else colors_of(values, f"{color} [unit]", around_zero=color == "residual", scale="auto")
    )
    weights = colors_of(np.exp(-built.lengths / 3), "attention", color_map="plasma") if weighted else None
    return graph_scene(built, color_by=colors, size_by=mass, edge_colors=weights)


left, middle, right = st.columns(3)
color = left.selectbox("Colour", ["mass", "z", "residual", "kind", "weight", "none"])
weighted = middle.checkbox("Attention")
if right.button("Select 7 and 8"):
    st.session_state["wanted"] = (1007, 1008)
if not left.checkbox("Show", value=True):
    st.stop()
state = graph_canvas(
    scene(color, weighted),
    key="graph",
    height=int(os.environ.get("HEIGHT", 560)),
    selection=st.session_state.get("wanted", ()),
    radius_control=(1.0, built.spec.radius, built.spec.radius),
    attention_control=(0.0, 1.0, 0.0) if weighted else None,
    view=st.query_params.get("view"),
    on_view=lambda text: st.query_params.update(view=text),
)
st.session_state["wanted"] = state.selected
st.session_state["runs"] = st.session_state.get("runs", 0) + 1
told = {
    "selected": state.selected,
    "radius": state.radius,
    "attention": state.attention,
    "runs": st.session_state["runs"],
}
st.code(json.dumps(told))
