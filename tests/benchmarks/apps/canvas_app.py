"""The server of the canvas benchmark: Filament's array routes around one page."""

from __future__ import annotations

import streamlit as st

from gnnlib.view.canvas.arrays import routes

app = st.App("canvas_page.py", routes=routes())
