"""The server of the upload tests: Filament's upload routes around two small pages."""

from __future__ import annotations

import streamlit as st

from gnnlib.view.upload.route import routes

app = st.App("upload_page.py", routes=routes(st.get_option("server.baseUrlPath") or ""))
