"""The 3D view of a scene in a page: a Streamlit component with a WebGL 2 renderer of its own (canvas.js)."""

from __future__ import annotations

from gnnlib.view.canvas.component import CanvasState, graph_canvas

__all__ = ["CanvasState", "graph_canvas"]
