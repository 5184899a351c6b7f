"""Filament's server: the pages, the routes for the arrays of the canvas and for uploads, and the last word on errors.

Start it with `streamlit run app.py`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from anyio import to_thread

from gnnlib.errors import InputError
from gnnlib.view.canvas import arrays
from gnnlib.view.upload import places
from gnnlib.view.upload import route as uploads


def show_one_sentence(error: Exception) -> bool:
    """Tell the person in one sentence what happened; the traceback goes to the server's log."""
    if isinstance(error, InputError):
        st.error(str(error))
    else:
        logging.getLogger("filament").error("A page failed.", exc_info=error)
        st.error("Something went wrong on this page; reload it, and if it happens again look in the server's log.")
    return True


def tidy() -> None:
    """Remove uploads that nobody needs any more: of servers that were killed, and of runs that were deleted."""
    from gnnlib.training.run import runs_directory

    places.remove_leftovers()
    places.remove_unneeded(runs_directory())


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    await to_thread.run_sync(tidy)
    yield
    places.remove_own()


base_path = st.get_option("server.baseUrlPath") or ""
app = st.App(
    "pages/_shell.py",
    routes=[*arrays.routes(base_path), *uploads.routes(base_path)],
    lifespan=lifespan,
    on_script_error=show_one_sentence,
)
