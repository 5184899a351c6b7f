"""The frame around every page: navigation, and the sidebar that says which catalog, graph and run are in view."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages import _session
from pages._sidebar import in_view

ASSETS = Path(__file__).resolve().parent.parent / "assets"

st.set_page_config(page_title="Filament", page_icon=str(ASSETS / "icon.svg"), layout="wide")
st.logo(str(ASSETS / "logo.svg"), size="large", icon_image=str(ASSETS / "icon.svg"))

page = st.navigation(
    [
        st.Page("catalog.py", title="Catalog", icon=":material/table:"),
        st.Page("graph.py", title="Graph", icon=":material/hub:", default=True),
        st.Page("train.py", title="Train", icon=":material/model_training:"),
        st.Page("predictions.py", title="Predictions", icon=":material/scatter_plot:"),
        st.Page("attention.py", title="Attention", icon=":material/flare:"),
        st.Page("trust.py", title="Trust", icon=":material/balance:"),
        st.Page("whatif.py", title="What if", icon=":material/experiment:"),
        st.Page("compare.py", title="Compare", icon=":material/compare:"),
    ]
)

_session.begin()
with st.sidebar:
    in_view()
_session.mirror()
page.run()
