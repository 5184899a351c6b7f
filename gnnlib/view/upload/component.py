"""The uploader as a page sees it: one function, `upload`, that returns the files which have arrived.

The browser says which files make up the list (their ids), and says so once all of a drop have arrived; what they are
and where they lie is known from the intake alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from gnnlib.view.upload.intake import MOST_FILES, Intake
from gnnlib.view.upload.route import SCRIPT_HASH

# Only a loader travels with the page; see the canvas's. Streamlit's bundle lies at <base>/static/js/.
LOADER = f"""
const bundle = document.querySelector('script[src*="static/js/"]');
const base = bundle ? new URL("../../", bundle.src).href : new URL("/", location.href).href;
export default async function (component) {{
  const uploader = await import(base + "filament/uploader/{SCRIPT_HASH}/upload.js");
  return uploader.mount(component, base);
}}
"""

_component = st.components.v2.component(
    "filament_upload", js=LOADER, css=Path(__file__).with_name("upload.css").read_text(encoding="utf-8")
)


def upload(
    folder: Path,
    *,
    key: str,
    label: str,
    what: str = "catalog here, or all its chunks together",
    in_use: Collection[Path] = (),
    on_change: Callable[[tuple[Path, ...]], None] | None = None,
) -> tuple[Path, ...]:
    """Show an uploader and return the files that have arrived, side by side in a folder of their own; () for none.

    what: ends the sentence "Drop a ...". folder: the session's own, removed by the caller when the session ends.
    The files lie in a folder below it that is named by their content, so the same path always means the same bytes.
    Each drop makes a new list, or adds to the one in view where the person says so; the files of former lists go,
    but for the folders that hold the paths `in_use`. key: names the element; the list stays under it when the page
    is left and found again. on_change: called with the files before the page runs again, whenever a drop has
    arrived or a file was removed: the same bytes sent a second time call it a second time. Raises InputError if
    FILAMENT_MAX_UPLOAD_GB is not a number.
    """
    memory: dict[str, Any] = st.session_state.setdefault(f"{key}:upload", {"turn": 0, "ids": (), "paths": ()})
    if "intake" not in memory or memory["intake"].folder != folder:
        memory["intake"] = Intake(folder)
        memory["ids"] = memory["paths"] = ()
    _listen(key, on_change)
    intake: Intake = memory["intake"]
    arrived = filter(None, map(intake.find, memory["ids"]))
    _component(
        key=key,
        data={
            "label": label,
            "what": what,
            "token": intake.token,
            "largest": intake.largest,
            "most": MOST_FILES,
            "files": [{"id": arrival.id, "name": arrival.name, "size": arrival.size} for arrival in arrived],
        },
        on_files_change=partial(_listen, key, on_change),
    )
    if problem := memory.get("problem"):
        st.error(problem, icon=":material/error:")
    intake.release([*memory["paths"], *in_use])
    return memory["paths"]


def _listen(key: str, on_change: Callable[[tuple[Path, ...]], None] | None) -> None:
    """Take over what the browser last reported, and tell the page if that is news."""
    memory = st.session_state[f"{key}:upload"]
    try:
        news = _settle(memory, st.session_state.get(key))
    except OSError as error:
        memory["problem"] = f"The server could not keep the upload ({error.strerror}); remove it and try again."
    else:
        if news and on_change:
            on_change(memory["paths"])


def _settle(memory: dict[str, Any], reported: Any) -> bool:
    """Take over the list that the browser reports, {"files": {"turn": n, "ids": [...]}}; True if it is a new one."""
    files = reported.get("files") if reported else None
    if not files or files["turn"] == memory["turn"]:
        return False
    memory["turn"], memory["problem"] = files["turn"], None
    memory["ids"] = tuple(map(str, files["ids"]))
    memory["paths"] = ()  # also where gathering fails
    memory["paths"] = memory["intake"].gather(memory["ids"])
    return True
