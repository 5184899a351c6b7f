"""Filament's server: the pages, the routes that serve arrays to the canvas, and the last word on errors.

Start it with `streamlit run app.py`.
"""

from __future__ import annotations

import logging

import streamlit as st

from gnnlib.errors import InputError
from gnnlib.view.canvas.arrays import routes


def show_one_sentence(error: Exception) -> bool:
    """Tell the person in one sentence what happened; the traceback goes to the server's log."""
    if isinstance(error, InputError):
        st.error(str(error))
    else:
        logging.getLogger("filament").error("A page failed.", exc_info=error)
        st.error("Something went wrong on this page; reload it, and if it happens again look in the server's log.")
    return True


app = st.App(
    "pages/_shell.py",
    routes=routes(st.get_option("server.baseUrlPath") or ""),
    on_script_error=show_one_sentence,
)
