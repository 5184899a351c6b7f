"""The scene on the canvas as a file: one popover with what it can become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import streamlit as st

from gnnlib.view import export
from gnnlib.view.plotly_scene import MOST_EDGES, MOST_NODES
from gnnlib.view.scene import Scene, drawn_edges

SIZES = {
    "2400 × 1800": (2400, 1800),
    "1920 × 1080": (1920, 1080),
    "3840 × 2160": (3840, 2160),
    "2400 × 2400": (2400, 2400),
}
KINDS = {
    "png": (
        "Picture for a paper",
        "png",
        "image/png",
        "Lit balls and tubes with scale bar and colour bar. Takes half a minute.",
    ),
    "html": (
        "Web page",
        "html",
        "text/html",
        "One file that opens in any browser, without a network: rotate, pick, slide.",
    ),
    "glb": ("3D model (glTF)", "glb", "model/gltf-binary", "For Blender, PowerPoint or a viewer on a phone."),
    "vtp": ("VTK", "vtp", "application/xml", "For ParaView and PyVista, with row ids, colour values and edge lengths."),
    "plotly": ("Plotly page", "html", "text/html", "A figure that can be changed in Plotly."),
}


def scene_files(scene: Scene, shot: export.Shot, seen: Mapping[str, str]) -> None:
    """shot: what is drawn of the scene. seen: holds under "view" the latest point of view, also after this run."""
    edges = len(drawn_edges(scene, shot.radius, shot.attention))
    small = len(scene.positions) <= MOST_NODES and edges <= MOST_EDGES
    with st.popover("Export the view", icon=":material/ios_share:"), st.container(width=360):
        kind = st.selectbox(
            "As",
            [kind for kind in KINDS if small or kind != "plotly"],
            format_func=lambda kind: KINDS[kind][0],
            key="scene_file",
        )
        _, extension, mime, what = KINDS[kind]
        st.caption(what + " All edges within the limits are in it, also those that the canvas leaves out to be quick.")
        make: Callable[[Scene, export.Shot], bytes] = {
            "html": export.html,
            "glb": export.glb,
            "vtp": export.vtp,
            "plotly": export.plotly_html,
        }.get(kind, export.png)
        if kind == "png":
            size = st.selectbox("Pixels", list(SIZES), key="scene_file_size")
            ground = st.segmented_control(
                "Background", ["white", "black"], default="white", required=True, key="scene_file_ground"
            )
            width, height = SIZES[size]
            make = partial(export.png, width=width, height=height, dark=ground == "black")
        st.download_button(
            "Make and download",
            partial(_made, make, scene, shot, seen),
            file_name=f"filament.{extension}",
            mime=mime,
            icon=":material/download:",
            key=f"scene_file_{kind}",
            on_click="ignore",
            type="primary",
        )


def _made(
    make: Callable[[Scene, export.Shot], bytes], scene: Scene, shot: export.Shot, seen: Mapping[str, str]
) -> bytes:
    return make(scene, export.Shot(shot.radius, shot.attention, seen.get("view")))
