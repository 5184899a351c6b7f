"""The scene on the screen as a file: VTK and glTF for other programs, a web page of its own, a picture for a paper.

Every function takes what the canvas reports (thresholds, point of view), so that the file shows what the screen shows.
The picture is rendered by PyVista in a process of its own: without a working EGL or OSMesa VTK takes its process down.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.view.payload import payload
from gnnlib.view.plotly_scene import plotly_figure
from gnnlib.view.scene import Scene, drawn_edges, segments
from gnnlib.view.solid import Mesh, balls, tubes

CANVAS = Path(__file__).with_name("canvas")
OPENING = np.tan(np.pi / 12)  # half the field of view of the canvas, see camera.js
HOME = "p_-58_20_3.6_0_0_0"
STAGE = 600.0  # CSS pixels; the height of a canvas on which nodes and edges have their sizes in pixels
TUBES = 20_000  # in glTF more edges than this are lines
RENDER_SECONDS = 280


@dataclass(frozen=True)
class Shot:
    """What is shown of a scene: the longest edge, the least edge value, the canvas's text of a point of view."""

    radius: float | None = None
    attention: float | None = None
    view: str | None = None


@dataclass(frozen=True)
class Eye:
    """A point of view around the scene's centre: where the eye is, what it looks at, which way is up [3]; how far it is
    from there; whether it sees in parallel."""

    position: np.ndarray
    target: np.ndarray
    up: np.ndarray
    distance: float
    orthographic: bool


def eye_of(scene: Scene, view: str | None) -> Eye:
    """The point of view that a text of the canvas describes; from home where it describes none."""
    number = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
    if view is None or not re.fullmatch(rf"[po](?:_{number}){{6}}", view):
        view = HOME
    kind, *numbers = view.split("_")
    azimuth, elevation, away, *place = map(float, numbers)
    a, e = np.radians(azimuth), np.radians(np.clip(elevation, -90, 90))
    back = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    up = np.array([-np.sin(e) * np.cos(a), -np.sin(e) * np.sin(a), np.cos(e)])
    radius = frame_radius(scene)
    target = radius * np.array(place)
    distance = radius * min(max(away, 1e-3), 40.0)
    return Eye(target + distance * back, target, up, distance, kind == "o")


def frame_radius(scene: Scene) -> float:
    return max(0.5 * float(np.linalg.norm(scene.box)), 1e-9)


def world_radii(scene: Scene, eye: Eye | None = None) -> np.ndarray:
    """[N] the radius of each node as the canvas draws it; with an eye, none smaller than the least on the screen."""
    radius = frame_radius(scene)
    sides = np.maximum(scene.box, 0.02 * radius)
    flat = scene.box[2] < 1e-6 * radius
    n = max(1, len(scene.positions))
    spacing = (sides[0] * sides[1] / n) ** 0.5 if flat else (sides.prod() / n) ** (1 / 3)
    size = np.full(n, 0.12) if scene.node_sizes is None else scene.node_sizes.astype(np.float64)
    radii = scene.node_scale * min(0.045 * spacing, 0.012 * radius) * (1 + 5 * size**2)
    if eye is None:
        return radii
    back = (eye.position - eye.target) / eye.distance
    depth = np.full(n, eye.distance) if eye.orthographic else (eye.position - scene.positions) @ back
    least = np.clip(1.6 * (4000 / n) ** 0.22, 0.7, 1.6)
    return np.maximum(radii, least * depth * 2 * OPENING / STAGE)


def node_rgb(scene: Scene, dark: bool) -> np.ndarray:
    """[N, 3] uint8 as the canvas paints them on a dark or light ground."""
    plain = np.array([143, 161, 189] if dark else [92, 102, 122], dtype=np.uint8)
    if scene.node_colors is None:
        return np.tile(plain, (len(scene.positions), 1))
    known = np.isfinite(scene.node_colors.along.values)
    return np.where(known[:, None], scene.node_colors.rgb(dark), plain).astype(np.uint8)


def edge_rgb(scene: Scene, edges: np.ndarray, dark: bool) -> np.ndarray:
    """[E, 3] uint8 of some of the edges."""
    if scene.edge_colors is None:
        return np.tile(np.array([107, 143, 219] if dark else [70, 76, 92], dtype=np.uint8), (len(edges), 1))
    return scene.edge_colors.take(edges).rgb(dark)


# Files for other programs


def vtp(scene: Scene, shot: Shot) -> bytes:
    """VTK PolyData in XML: nodes as vertices, edges as lines, at their places in the scene's length unit.

    Point data: row_id, the colour's value and rgb, node_size. Cell data: length and value of an edge, NaN for a node.
    Where an edge leaves through a periodic face, the ends of its two stubs are points without a row id (-1, or "").
    """
    import pyvista as pv

    start, end, of = segments(scene, drawn_edges(scene, shot.radius, shot.attention))
    n = len(scene.positions)
    first, second, extra = _ends(scene, start, end, of)
    points = np.concatenate([scene.positions, extra]) + scene.centre
    mesh = pv.PolyData()
    mesh.points = points
    mesh.verts = np.stack([np.ones(n, dtype=np.int64), np.arange(n)], axis=1).ravel()
    if len(of):
        mesh.lines = np.stack([np.full(len(of), 2), first, second], axis=1).ravel()
    more = len(extra)
    ids = scene.row_ids if scene.row_ids.dtype.kind in "iu" else scene.row_ids.astype(str)
    mesh.point_data["row_id"] = np.concatenate([ids, np.full(more, -1 if ids.dtype.kind in "iu" else "", ids.dtype)])
    mesh.point_data["rgb"] = np.concatenate([node_rgb(scene, dark=False), np.full((more, 3), 128, dtype=np.uint8)])
    unknown = np.full(more, np.nan, dtype=np.float32)
    if scene.node_colors is not None:
        mesh.point_data[scene.node_colors.label] = np.concatenate([scene.node_colors.values, unknown])
    if scene.node_sizes is not None:
        mesh.point_data["node_size"] = np.concatenate([scene.node_sizes, unknown])
    no_edge = np.full(n, np.nan, dtype=np.float32)
    mesh.cell_data["length"] = np.concatenate([no_edge, scene.lengths[of]])
    if scene.edge_colors is not None:
        mesh.cell_data[f"edge {scene.edge_colors.label}"] = np.concatenate([no_edge, scene.edge_colors.values[of]])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.vtp"
        mesh.save(path)
        return path.read_bytes()


def _ends(
    scene: Scene, start: np.ndarray, end: np.ndarray, of: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of the ends of each line among the nodes and, after them, the extra points [X, 3] on periodic faces."""
    n = len(scene.positions)
    first, second = scene.edges[of].T.astype(np.int64)
    crosses = np.flatnonzero((scene.images != 13)[of])
    # segments() gives the stubs of all crossing edges from their first nodes, then those from their second.
    later = crosses[len(crosses) // 2 :]
    first[later] = second[later]
    second[crosses] = n + np.arange(len(crosses))
    return first, second, end[crosses]


def glb(scene: Scene, shot: Shot) -> bytes:
    """glTF 2.0 in one binary file: nodes as balls, edges as tubes (as lines where there are very many), coloured by
    vertex; y is up there, and the middle of the frame is the origin."""
    start, end, of = segments(scene, drawn_edges(scene, shot.radius, shot.attention))
    radii = world_radii(scene)
    n = len(scene.positions)
    parts: list[tuple[str, Mesh | tuple[np.ndarray, np.ndarray]]] = [
        ("nodes", balls(scene.positions, radii, node_rgb(scene, dark=False), 2 if n <= 500 else 1 if n <= 8000 else 0))
    ]
    rgb = edge_rgb(scene, of, dark=False)
    if 0 < len(of) <= TUBES:
        width = np.full(len(of), 0.3 * radii.min())
        if scene.edge_widths is not None:
            width = width * (0.5 + 2 * scene.edge_widths[of])
        parts.append(("edges", tubes(start, end, width, rgb, 5)))
    elif len(of):
        parts.append(("edges", (np.stack([start, end], axis=1).reshape(-1, 3), np.repeat(rgb, 2, axis=0))))
    return _packed_glb(parts, scene)


def _packed_glb(parts: list[tuple[str, Mesh | tuple[np.ndarray, np.ndarray]]], scene: Scene) -> bytes:
    chunks: list[bytes] = []
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []

    def add(array: np.ndarray, kind: str, component: int, target: int, **rest: Any) -> int:
        data = np.ascontiguousarray(array).tobytes()
        views.append({"buffer": 0, "byteOffset": sum(map(len, chunks)), "byteLength": len(data), "target": target})
        chunks.append(data + b"\0" * (-len(data) % 4))
        accessors.append(
            {"bufferView": len(views) - 1, "componentType": component, "count": len(array), "type": kind, **rest}
        )
        return len(accessors) - 1

    def places(points: np.ndarray) -> int:
        points = points.astype("<f4")
        return add(points, "VEC3", 5126, 34962, min=points.min(axis=0).tolist(), max=points.max(axis=0).tolist())

    def colors(rgb: np.ndarray) -> int:
        share = rgb / 255.0
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        opaque = np.concatenate([linear, np.ones((len(rgb), 1))], axis=1)
        return add(np.rint(65535 * opaque).astype("<u2"), "VEC4", 5123, 34962, normalized=True)

    meshes = []
    for name, part in parts:
        if isinstance(part, Mesh):
            attributes = {
                "POSITION": places(part.points),
                "NORMAL": add(part.normals.astype("<f4"), "VEC3", 5126, 34962),
                "COLOR_0": colors(part.rgb),
            }
            indices = add(part.faces.astype("<u4").ravel(), "SCALAR", 5125, 34963)
            primitive = {"attributes": attributes, "indices": indices, "mode": 4, "material": 0}
        else:
            attributes = {"POSITION": places(part[0]), "COLOR_0": colors(part[1])}
            primitive = {"attributes": attributes, "mode": 1, "material": 0}
        meshes.append({"name": name, "primitives": [primitive]})
    half = 0.5**0.5
    nodes: list[dict[str, Any]] = [{"name": mesh["name"], "mesh": place} for place, mesh in enumerate(meshes)]
    nodes.append({"name": "scene", "children": list(range(len(meshes))), "rotation": [-half, 0, 0, half]})
    document = {
        "asset": {"version": "2.0", "generator": "Filament", "extras": {"unit": scene.length_unit}},
        "scene": 0,
        "scenes": [{"nodes": [len(nodes) - 1]}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 0.6}}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": sum(map(len, chunks))}],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    body = b"".join(chunks)
    total = 12 + 8 + len(text) + 8 + len(body)
    head = struct.pack("<4sII", b"glTF", 2, total) + struct.pack("<I4s", len(text), b"JSON")
    return head + text + struct.pack("<I4s", len(body), b"BIN\0") + body


# Pages


def html(scene: Scene, shot: Shot, *, title: str = "Filament") -> bytes:
    """A web page of its own with the canvas in it: needs no server and no network; picking and the slider work.

    The edges up to shot.radius are the slider's reach, so that a page holds no more than what was on the screen.
    """
    arrays: dict[str, str] = {}

    def send(_: str, array: np.ndarray) -> str:
        data = np.ascontiguousarray(array).tobytes()
        digest = hashlib.sha256(data).hexdigest()
        arrays[digest] = base64.b64encode(data).decode()
        return digest

    shown = _without_edges_beyond(scene, shot.radius)
    attention: dict[str, Any] = {"value": None, "revision": 0}
    if scene.edge_colors is not None and shot.attention is not None:
        low, high = scene.edge_colors.limits
        attention = {"min": min(low, shot.attention), "max": high, "value": shot.attention, "revision": 0}
    radius: dict[str, Any] = {"value": None, "revision": 0}
    if len(shown.lengths):
        longest = float(shot.radius if shot.radius is not None else shown.lengths[-1])
        radius = {"min": 0.0, "max": longest, "value": longest, "revision": 0}
    data = {
        "key": "scene",
        "camera": f"export {hashlib.sha256(shown.positions.tobytes()).hexdigest()[:12]}",
        "height": "100vh",
        "scene": payload(shown, send),
        "selection": {"value": [], "revision": 0},
        "radius": radius,
        "attention": attention,
        "view": {"value": shot.view, "revision": 0},
    }
    scripts = {}
    for path in sorted(CANVAS.glob("*.js")):
        # Bare names, because a script from a data: URL has no place that "./" could be relative to.
        code = re.sub(r'(from\s+")\./', r"\1filament/", path.read_text(encoding="utf-8"))
        packed = base64.b64encode(code.encode()).decode()
        scripts[f"filament/{path.name}"] = f"data:text/javascript;base64,{packed}"
    page = PAGE.replace("@TITLE@", _plain(title)).replace("@CSS@", (CANVAS / "canvas.css").read_text(encoding="utf-8"))
    page = page.replace("@IMPORTS@", _json({"imports": scripts}))
    return page.replace("@DATA@", _json(data)).replace("@ARRAYS@", _json(arrays)).encode()


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>@TITLE@</title>
<style>
:root { --st-background-color: #fff; --st-secondary-background-color: #f2f3f6; --st-text-color: #1d2433;
  --st-border-color: #d4d8e0; --st-primary-color: #a3520a; --st-base-radius: 0; --st-button-radius: 6px;
  --st-font: system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --st-background-color: #05070f; --st-secondary-background-color: #0f1628;
  --st-text-color: #e8ecf5; --st-border-color: #2a3450; --st-primary-color: #e9a14a; } }
html, body { margin: 0; background: var(--st-background-color); }
@CSS@
</style>
<script type="importmap">@IMPORTS@</script>
<main></main>
<script type="application/json" id="data">@DATA@</script>
<script type="application/json" id="arrays">@ARRAYS@</script>
<script type="module">
import { mount } from "filament/canvas.js";
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const component = { parentElement: document.querySelector("main"), data: read("data"), arrays: read("arrays"),
  setStateValue() {}, setTriggerValue() {} };
mount(component, "");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => mount(component, ""));
</script>
</html>
"""


def _json(value: Any) -> str:
    """JSON that can stand inside a script element, whatever its strings hold."""
    return json.dumps(value).replace("<", "\\u003c")


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _without_edges_beyond(scene: Scene, radius: float | None) -> Scene:
    from dataclasses import replace

    if radius is None:
        return scene
    n = scene.edges_within(radius)
    part = slice(0, n)
    return replace(
        scene,
        edges=scene.edges[part],
        lengths=scene.lengths[part],
        images=scene.images[part],
        edge_colors=None if scene.edge_colors is None else scene.edge_colors.take(np.arange(n)),
        edge_widths=None if scene.edge_widths is None else scene.edge_widths[part],
        edge_opacities=None if scene.edge_opacities is None else scene.edge_opacities[part],
    )


def plotly_html(scene: Scene, shot: Shot) -> bytes:
    """A page with a Plotly figure that anybody can edit, and with Plotly itself, so that it opens without a network."""
    figure = plotly_figure(scene, radius=shot.radius, attention=shot.attention)
    eye = eye_of(scene, shot.view)
    unit = max(float(scene.box.max()), 1e-12)
    back = (eye.position - eye.target) / eye.distance
    # Plotly's field of view is wider than the canvas's: the same picture is seen from nearer by.
    camera = {
        "eye": dict(zip("xyz", (back * eye.distance / unit * 0.62).tolist(), strict=True)),
        "center": dict(zip("xyz", (eye.target / unit).tolist(), strict=True)),
        "up": {"x": 0, "y": 0, "z": 1},
        "projection": {"type": "orthographic" if eye.orthographic else "perspective"},
    }
    figure.update_layout(scene_camera=camera, height=None)
    return figure.to_html(include_plotlyjs=True, full_html=True).encode()


# The picture


def png(scene: Scene, shot: Shot, *, width: int = 2400, height: int = 1800, dark: bool = False) -> bytes:
    """A lit picture of balls and tubes with scale bar and colour bar, `width` x `height` pixels, on white or black.

    Raises InputError where this machine cannot render, or the picture takes too long.
    """
    if not (64 <= width <= 8192 and 64 <= height <= 8192):
        raise InputError(f"A picture of {width} x {height} pixels cannot be made; choose from 64 to 8192 each way.")
    eye = eye_of(scene, shot.view)
    start, end, of = segments(scene, drawn_edges(scene, shot.radius, shot.attention))
    bars = [colors for colors in (scene.edge_colors if len(of) else None, scene.node_colors) if colors is not None]
    arrays = {
        "positions": scene.positions,
        "radii": world_radii(scene, eye),
        "rgb": node_rgb(scene, dark),
        "starts": start,
        "ends": end,
        "edge_rgb": edge_rgb(scene, of, dark),
        "edge_widths": np.ones(len(of)) if scene.edge_widths is None else 0.45 + 3 * scene.edge_widths[of] ** 2,
        "edge_opacities": np.ones(len(of)) if scene.edge_opacities is None else scene.edge_opacities[of],
        "box": scene.box,
        "eye": np.stack([eye.position, eye.target, eye.up]),
    }
    settings = {
        "width": width,
        "height": height,
        "dark": dark,
        "orthographic": eye.orthographic,
        "opening": float(OPENING),
        "stage": STAGE,
        "unit": scene.length_unit,
        "bars": [
            {
                "label": colors.label,
                "limits": list(colors.limits),
                "log": colors.log,
                "categories": list(colors.categories),
                "stops": colors.shades(dark).tolist(),
            }
            for colors in bars
        ],
    }
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "scene.npz", Path(folder) / "picture.png"
        np.savez(given, settings=np.array(json.dumps(settings)), **arrays)  # type: ignore[arg-type]
        command = [sys.executable, "-m", "gnnlib.view.render", str(given), str(made)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=RENDER_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise InputError("The picture takes longer than five minutes here; show fewer edges.") from error
        if done.returncode or not made.exists():
            raise InputError(
                "This server cannot render off the screen, because VTK finds neither EGL nor OSMesa; save the picture "
                "from the canvas instead, or install libegl1 or libosmesa6."
            )
        return made.read_bytes()
