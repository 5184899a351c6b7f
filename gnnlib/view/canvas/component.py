"""The canvas as a page sees it: one function, `graph_canvas`, that draws a scene and returns what a person chose.

Arrays travel by content hash (`arrays.py`), the rest as a little JSON. Selection, thresholds and point of view may be
changed on both sides; `_settle` says whose word counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import streamlit as st

from gnnlib.view.canvas.arrays import SCRIPTS_HASH, STORE
from gnnlib.view.payload import payload
from gnnlib.view.plotly_scene import plotly_figure
from gnnlib.view.scene import Scene

RowId = int | str

# Inline code travels again whenever the data change, so it is only a loader; renderer and style have their own URLs.
# Streamlit's bundle lies at <base>/static/js/, on every page and behind any proxy, which gives the server's base.
LOADER = f"""
const bundle = document.querySelector('script[src*="static/js/"]');
const base = bundle ? new URL("../../", bundle.src).href : new URL("/", location.href).href;
export default async function (component) {{
  const canvas = await import(base + "filament/canvas/{SCRIPTS_HASH}/canvas.js");
  return canvas.mount(component, base);
}}
"""

_component = st.components.v2.component("filament_canvas", js=LOADER)
_digests: WeakKeyDictionary[Scene, dict[str, str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class CanvasState:
    """What the canvas shows now.

    selected: row ids in the order chosen. radius, attention: the settled values of the two controls, None without one.
    view: the settled point of view as a short text for a link, None before it was moved.
    """

    selected: tuple[RowId, ...] = ()
    radius: float | None = None
    attention: float | None = None
    view: str | None = None

    @property
    def clicked(self) -> RowId | None:
        """The row id chosen last."""
        return self.selected[-1] if self.selected else None


def graph_canvas(
    scene: Scene,
    *,
    key: str,
    height: int = 560,
    selection: Iterable[RowId] = (),
    edge_threshold: float | None = None,
    attention_threshold: float | None = None,
    radius_control: tuple[float, float, float] | None = None,
    attention_control: tuple[float, float, float] | None = None,
    camera: str | None = None,
    view: str | None = None,
    on_view: Callable[[str], None] | None = None,
    on_select: Callable[[tuple[str, ...]], None] | None = None,
) -> CanvasState:
    """Draw `scene` and return what is selected.

    key: names the element; state is kept under it across pages. height: CSS pixels. selection: row ids to highlight; a
    new value here moves the canvas's selection, an unchanged one leaves what the person clicked since.
    edge_threshold: longest edge drawn (in the scene's length unit). attention_threshold: least edge value drawn.
    radius_control, attention_control: (least, greatest, value) of a slider inside the canvas that moves these
    thresholds without the server; the settled value comes back in the state. camera: canvases with the same name
    share the point of view across pages (default: the key). view: the point of view to begin with, as such a text; what
    the browser remembers of this page visit comes first. on_view: called with the text when a person has moved the
    point of view; it may write session state and the address, but draws nothing: the page does not run again for it.
    on_select: called with the row ids, as text, when a person has chosen others, before the page runs again: so the
    choice counts also where that run is cut short, because the person went on to another page.
    """
    memory: dict[str, Any] = st.session_state.setdefault(f"{key}:canvas", {})
    reported = st.session_state.get(key) or {}
    numeric = scene.row_ids.dtype.kind in "iu"
    selected = _settle(
        memory, "selection", tuple(str(row_id) for row_id in selection), _as_ids(reported.get("selection"))
    )
    radius = attention = None
    data: dict[str, Any] = {
        "key": key,
        "camera": camera or key,
        "height": height,
        "scene": _payload(scene),
        "selection": _imposed(memory, "selection"),
        "radius": {"value": _json_number(edge_threshold), "revision": 0},
        "attention": {"value": _json_number(attention_threshold), "revision": 0},
    }
    seen = _settle(memory, "view", view, reported.get("view"))
    data["view"] = _imposed(memory, "view")
    if radius_control is not None:
        radius = _settle(memory, "radius", float(radius_control[2]), reported.get("radius"))
        data["radius"] = _control(radius_control, _imposed(memory, "radius"))
    if attention_control is not None:
        attention = _settle(memory, "attention", float(attention_control[2]), reported.get("attention"))
        data["attention"] = _control(attention_control, _imposed(memory, "attention"))
    _component(
        key=key,
        data=data,
        on_selection_change=partial(_chosen, key, on_select),
        on_radius_change=_nothing,
        on_attention_change=_nothing,
        on_view_change=partial(_moved, key, on_view),
        on_plotly_change=_nothing,
        on_lost_change=_nothing,
    )
    st.fragment(_nothing, key=f"{key}:moved")()
    if reported.get("plotly"):
        st.plotly_chart(plotly_figure(scene, radius=radius or edge_threshold), key=f"{key}:plotly")
    return CanvasState(tuple(int(text) if numeric else text for text in selected), radius, attention, seen)


def _chosen(key: str, on_select: Callable[[tuple[str, ...]], None] | None) -> None:
    """Another selection was reported; one from before the page imposed its own no longer counts."""
    told = (st.session_state.get(key) or {}).get("selection")
    known = (st.session_state.get(f"{key}:canvas") or {}).get("selection")
    if on_select and told and known and told["revision"] == known["revision"]:
        on_select(tuple(map(str, told["value"])))


def _moved(key: str, on_view: Callable[[str], None] | None) -> None:
    """The point of view has settled. Nothing on the page depends on it, so only an empty fragment runs again; but where
    something else was reported that no run has seen yet, the page does."""
    reported, memory = st.session_state.get(key) or {}, st.session_state.get(f"{key}:canvas") or {}
    if on_view and reported.get("view"):
        on_view(reported["view"]["value"])
    for name in ("selection", "radius", "attention"):
        told, known = reported.get(name), memory.get(name)
        if told and known and told["revision"] == known["revision"]:
            value = tuple(told["value"]) if name == "selection" else told["value"]
            if value != known["value"]:
                return
    st.rerun(f"{key}:moved")


def _settle(memory: MutableMapping[str, Any], name: str, given: Any, reported: Any) -> Any:
    """The value both sides now agree on.

    The browser reports {value, revision}. A report counts if it was made after the last value that the page imposed
    (its revision is current). The page imposes a value, and raises the revision, only by passing one that is neither
    what it passed before nor what it was told: so a page that hands back what it got, even one run late, never
    takes away a newer click.
    """
    state = memory.setdefault(name, {"given": given, "value": given, "imposed": given, "revision": 0})
    told = state["value"]
    if isinstance(reported, dict) and reported.get("revision") == state["revision"]:
        state["value"] = reported["value"]
    if given not in (state["given"], told, state["value"]):
        state["value"] = state["imposed"] = given
        state["revision"] += 1
    state["given"] = given
    return state["value"]


def _as_ids(reported: Any) -> Any:
    """The reported selection with its value as a tuple, so that it compares with what a page passes."""
    return {**reported, "value": tuple(map(str, reported["value"]))} if isinstance(reported, dict) else reported


def _imposed(memory: MutableMapping[str, Any], name: str) -> dict[str, Any]:
    """What the browser is sent: the value that the page imposed last. What a person chose since is known there already,
    so that the element is the same before and after a click and need not be sent again."""
    return {"value": memory[name]["imposed"], "revision": memory[name]["revision"]}


def _control(control: tuple[float, float, float], imposed: dict[str, Any]) -> dict[str, Any]:
    return {"min": float(control[0]), "max": float(control[1]), **imposed}


def _nothing() -> None:
    """Streamlit reports only what has a callback."""


def _payload(scene: Scene) -> dict[str, Any]:
    """The scene as small JSON: figures, labels and the hashes of its arrays."""
    known = _digests.setdefault(scene, {})

    def send(name: str, array: np.ndarray) -> str:
        if name not in known or STORE.get(known[name]) is None:
            known[name] = STORE.put(np.ascontiguousarray(array).tobytes())
        return known[name]

    return payload(scene, send)


def _json_number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
