"""The canvas as a page sees it: one function, `graph_canvas`, that draws a scene and returns what a person chose.

Arrays travel by content hash (`arrays.py`), the rest as a little JSON. Selection, radius and attention threshold may be
changed on both sides; `_settle` says whose word counts.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import streamlit as st

from gnnlib.view.canvas.arrays import SCRIPTS_HASH, STORE
from gnnlib.view.colors import Colors
from gnnlib.view.scene import Scene

RowId = int | str

# Inline code travels again whenever the data change, so it is only a loader; the renderer has a URL of its own.
# Streamlit's bundle lies at <base>/static/js/, on every page and behind any proxy, which gives the server's base.
LOADER = f"""
const bundle = document.querySelector('script[src*="static/js/"]');
const base = bundle ? new URL("../../", bundle.src).href : new URL("/", location.href).href;
export default async function (component) {{
  const canvas = await import(base + "filament/canvas/{SCRIPTS_HASH}/canvas.js");
  return canvas.mount(component, base);
}}
"""

_component = st.components.v2.component(
    "filament_canvas", js=LOADER, css=Path(__file__).with_name("canvas.css").read_text(encoding="utf-8")
)
_digests: WeakKeyDictionary[Scene, dict[str, str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class CanvasState:
    """What the canvas shows now.

    selected: row ids in the order chosen. radius, attention: the settled values of the two controls, None without one.
    """

    selected: tuple[RowId, ...] = ()
    radius: float | None = None
    attention: float | None = None

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
) -> CanvasState:
    """Draw `scene` and return what is selected.

    key: names the element; state is kept under it across pages. height: CSS pixels. selection: row ids to highlight; a
    new value here moves the canvas's selection, an unchanged one leaves what the person clicked since.
    edge_threshold: longest edge drawn (in the scene's length unit). attention_threshold: least edge value drawn.
    radius_control, attention_control: (least, greatest, value) of a slider inside the canvas that moves these
    thresholds without the server; the settled value comes back in the state. camera: canvases with the same name
    share the point of view across pages (default: the key).
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
        "selection": {"value": list(selected), "revision": memory["selection"]["revision"]},
        "radius": {"value": _json_number(edge_threshold), "revision": 0},
        "attention": {"value": _json_number(attention_threshold), "revision": 0},
    }
    if radius_control is not None:
        radius = _settle(memory, "radius", float(radius_control[2]), reported.get("radius"))
        data["radius"] = _control(radius_control, radius, memory["radius"]["revision"])
    if attention_control is not None:
        attention = _settle(memory, "attention", float(attention_control[2]), reported.get("attention"))
        data["attention"] = _control(attention_control, attention, memory["attention"]["revision"])
    _component(
        key=key,
        data=data,
        on_selection_change=_nothing,
        on_radius_change=_nothing,
        on_attention_change=_nothing,
        on_lost_change=_nothing,
    )
    return CanvasState(tuple(int(text) if numeric else text for text in selected), radius, attention)


def _settle(memory: MutableMapping[str, Any], name: str, given: Any, reported: Any) -> Any:
    """The value both sides now agree on.

    The browser reports {value, revision}. A report counts if it was made after the last value that the page imposed
    (its revision is current). The page imposes a value, and raises the revision, only by passing one that is neither
    what it passed before nor what it was told: so a page that hands back what it got, even one run late, never
    takes away a newer click.
    """
    state = memory.setdefault(name, {"given": given, "value": given, "revision": 0})
    told = state["value"]
    if isinstance(reported, dict) and reported.get("revision") == state["revision"]:
        state["value"] = reported["value"]
    if given not in (state["given"], told, state["value"]):
        state["value"] = given
        state["revision"] += 1
    state["given"] = given
    return state["value"]


def _as_ids(reported: Any) -> Any:
    """The reported selection with its value as a tuple, so that it compares with what a page passes."""
    return {**reported, "value": tuple(map(str, reported["value"]))} if isinstance(reported, dict) else reported


def _control(control: tuple[float, float, float], value: float, revision: int) -> dict[str, Any]:
    return {"min": float(control[0]), "max": float(control[1]), "value": float(value), "revision": revision}


def _nothing() -> None:
    """Streamlit reports only what has a callback."""


def _payload(scene: Scene) -> dict[str, Any]:
    """The scene as small JSON: figures, labels and the hashes of its arrays."""
    known = _digests.setdefault(scene, {})

    def send(name: str, array: np.ndarray) -> str:
        if name not in known or STORE.get(known[name]) is None:
            known[name] = STORE.put(np.ascontiguousarray(array).tobytes())
        return known[name]

    sequence = _is_sequence(scene.row_ids)
    return {
        "nodes": len(scene.positions),
        "edges": len(scene.edges),
        "all_nodes": scene.n_nodes,
        "all_edges": scene.n_edges,
        "positions": send("positions", scene.positions.astype(np.float32)),
        "pairs": send("pairs", _packed_pairs(scene)) if len(scene.edges) else None,
        "lengths": send("lengths", scene.lengths.astype(np.float32)) if len(scene.edges) else None,
        "sizes": None if scene.node_sizes is None else send("sizes", scene.node_sizes.astype(np.float32)),
        "ids": None if sequence else send("ids", _text_of(scene.row_ids)),
        "first_id": int(scene.row_ids[0]) if sequence else None,
        "node_color": None if scene.node_colors is None else _color(scene.node_colors, send, "node_color"),
        "edge_color": None if scene.edge_colors is None else _color(scene.edge_colors, send, "edge_color"),
        "details": [
            {"label": label, "values": send(f"detail {place}", _text_of(values))}
            for place, (label, values) in enumerate(scene.details)
        ],
        "centre": [float(value) for value in scene.centre],
        "origin": [float(value) for value in scene.origin],
        "box": [float(value) for value in scene.box],
        "has_box": scene.has_box,
        "unit": scene.length_unit,
        "caption": scene.caption,
    }


def _color(colors: Colors, send: Any, name: str) -> dict[str, Any]:
    return {
        "values": send(name, colors.values.astype(np.float32)),
        "label": colors.label,
        "limits": [float(limit) for limit in colors.limits],
        "stops": list(colors.stops),
        "categories": list(colors.categories),
        "diverging": colors.color_map == "coolwarm",
    }


def _packed_pairs(scene: Scene) -> np.ndarray:
    """[M, 2] uint32: the first place, and the second with the periodic image in its five highest bits."""
    pairs = scene.edges.astype(np.uint32)
    pairs[:, 1] |= scene.images.astype(np.uint32) << np.uint32(27)
    return pairs


def _is_sequence(row_ids: np.ndarray) -> bool:
    return row_ids.dtype.kind in "iu" and len(row_ids) > 0 and bool((np.diff(row_ids.astype(np.int64)) == 1).all())


def _text_of(values: np.ndarray) -> np.ndarray:
    """One line of UTF-8 text a value: exact for 64-bit ids, which JavaScript's numbers are not."""
    if values.dtype.kind == "f":
        lines = [f"{value:.5g}" for value in values.tolist()]
    else:
        lines = [str(value).replace("\n", " ") for value in values.tolist()]
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)


def _json_number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
