"""Files of a scene: what they hold is the scene within its thresholds, read back by other programs where they can."""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvista as pv
from PIL import Image

from gnnlib.errors import InputError
from gnnlib.view import export
from gnnlib.view.colors import colors_of
from gnnlib.view.export import Shot
from gnnlib.view.scene import NO_IMAGE, Scene, drawn_edges, graph_scene, segments
from gnnlib.view.solid import balls, tubes, unit_ball

from .test_scene import periodic_graph


@pytest.fixture
def scene() -> Scene:
    graph = periodic_graph(200, offset=30.0)
    values = np.exp(-graph.lengths)
    return graph_scene(
        graph, color_by=colors_of(graph.positions[:, 0], "x [Mpc]"), edge_colors=colors_of(values, "attention")
    )


def test_vtk_holds_every_node_and_the_edges_within_the_limits_at_their_places(scene: Scene, tmp_path: Path) -> None:
    shot = Shot(radius=0.9, attention=0.5)
    (tmp_path / "scene.vtp").write_bytes(export.vtp(scene, shot))
    mesh = pv.read(tmp_path / "scene.vtp")
    n = len(scene.positions)
    np.testing.assert_allclose(mesh.points[:n], scene.positions + scene.centre, rtol=1e-6)
    np.testing.assert_array_equal(mesh.point_data["row_id"][:n], scene.row_ids)
    assert (mesh.point_data["row_id"][n:] == -1).all()
    np.testing.assert_allclose(mesh.point_data["x [Mpc]"][:n], scene.node_colors.values, rtol=1e-6)
    np.testing.assert_array_equal(mesh.point_data["rgb"][:n], scene.node_colors.rgb())
    shown = drawn_edges(scene, 0.9, 0.5)
    assert mesh.n_verts == n and mesh.n_lines == len(shown) + (scene.images[shown] != NO_IMAGE).sum()
    lines = mesh.lines.reshape(-1, 3)[:, 1:]
    lengths = mesh.cell_data["length"][n:]
    drawn = np.linalg.norm(np.diff(mesh.points[lines], axis=1)[:, 0], axis=1)
    whole = (lines < n).all(axis=1)
    np.testing.assert_allclose(drawn[whole], lengths[whole], rtol=1e-3)
    assert (drawn[~whole] < lengths[~whole]).all() and (~whole).any()
    pairs = {tuple(sorted(pair)) for pair in lines[whole].tolist()}
    assert pairs == {tuple(pair) for pair in scene.edges[shown][scene.images[shown] == NO_IMAGE].tolist()}
    assert np.isnan(mesh.cell_data["length"][:n]).all() and lengths.max() <= np.float32(0.9)
    assert mesh.cell_data["edge attention"][n:].min() >= np.float32(0.5)


def test_vtk_keeps_ids_that_are_text(tmp_path: Path) -> None:
    from dataclasses import replace

    graph = replace(periodic_graph(20), row_ids=np.array([f"NGC {i}" for i in range(20)], dtype=object))
    (tmp_path / "scene.vtp").write_bytes(export.vtp(graph_scene(graph), Shot()))
    assert pv.read(tmp_path / "scene.vtp").point_data["row_id"][:20].tolist() == graph.row_ids.tolist()


def opened(data: bytes) -> tuple[dict[str, Any], Any]:
    """The JSON of a binary glTF and a function that reads an accessor, checked against the specification on the way."""
    magic, version, total = struct.unpack("<4sII", data[:12])
    assert (magic, version, total) == (b"glTF", 2, len(data))
    length, kind = struct.unpack("<I4s", data[12:20])
    assert kind == b"JSON" and length % 4 == 0
    document = json.loads(data[20 : 20 + length])
    at = 20 + length
    size, kind = struct.unpack("<I4s", data[at : at + 8])
    body = data[at + 8 :]
    assert kind == b"BIN\0" and size == len(body) == document["buffers"][0]["byteLength"] and size % 4 == 0

    def read(place: int) -> np.ndarray:
        accessor = document["accessors"][place]
        view = document["bufferViews"][accessor["bufferView"]]
        dtype = {5126: "<f4", 5125: "<u4", 5123: "<u2"}[accessor["componentType"]]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        assert view["byteOffset"] % 4 == 0
        assert view["byteLength"] == accessor["count"] * width * np.dtype(dtype).itemsize
        return np.frombuffer(body, dtype, accessor["count"] * width, view["byteOffset"]).reshape(-1, width)

    return document, read


@pytest.mark.parametrize("as_lines", [False, True])
def test_gltf_is_sound_and_colours_every_vertex(scene: Scene, monkeypatch: pytest.MonkeyPatch, as_lines: bool) -> None:
    if as_lines:
        monkeypatch.setattr(export, "TUBES", 10)
    document, read = opened(export.glb(scene, Shot(radius=0.9)))
    names = [mesh["name"] for mesh in document["meshes"]]
    assert names == ["nodes", "edges"]
    for mesh in document["meshes"]:
        (primitive,) = mesh["primitives"]
        attributes = {name: read(place) for name, place in primitive["attributes"].items()}
        positions = attributes["POSITION"]
        accessor = document["accessors"][primitive["attributes"]["POSITION"]]
        np.testing.assert_array_equal(accessor["min"], positions.min(axis=0))
        np.testing.assert_array_equal(accessor["max"], positions.max(axis=0))
        assert {len(values) for values in attributes.values()} == {len(positions)}
        if primitive["mode"] == 4:
            indices = read(primitive["indices"])
            assert len(indices) % 3 == 0 and indices.max() == len(positions) - 1
            np.testing.assert_allclose(np.linalg.norm(attributes["NORMAL"], axis=1), 1, atol=1e-5)
        else:
            assert primitive["mode"] == 1 and len(positions) == 2 * len(segments(scene, drawn_edges(scene, 0.9))[0])
    colors = read(document["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]) / 65535
    share = np.where(colors <= 0.0031308, 12.92 * colors, 1.055 * colors ** (1 / 2.4) - 0.055)
    each = len(colors) // len(scene.positions)
    np.testing.assert_allclose(255 * share[::each, :3], scene.node_colors.rgb(), atol=0.6)


def test_gltf_is_read_by_vtk_with_a_ball_at_every_node(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "scene.glb"
    path.write_bytes(export.glb(scene, Shot(radius=0.5)))
    blocks = pv.read(path)
    found = [block for block in blocks.recursive_iterator() if block is not None]
    ball = max(found, key=lambda block: block.n_points)
    centres = ball.points.reshape(len(scene.positions), -1, 3).mean(axis=1)
    turned = np.stack([scene.positions[:, 0], scene.positions[:, 2], -scene.positions[:, 1]], axis=1)
    assert np.allclose(centres, scene.positions, atol=1e-4) or np.allclose(centres, turned, atol=1e-4)


def test_balls_and_tubes_are_closed_off_to_the_outside() -> None:
    for rounds in range(3):
        points, faces = unit_ball(rounds)
        assert len(faces) == 20 * 4**rounds and len(points) == 10 * 4**rounds + 2
        a, b, c = (points[faces[:, i]] for i in range(3))
        volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
        assert 0.6 * 4.18879 < volume < 4.18879  # positive: every face looks outwards
    rgb = np.zeros((2, 3), dtype=np.uint8)
    mesh = balls(np.array([[0.0, 0, 0], [5, 5, 5]]), np.array([1.0, 2.0]), rgb, 1)
    np.testing.assert_allclose(np.linalg.norm(mesh.points[42:] - 5, axis=1), 2, rtol=1e-5)
    starts, ends = np.array([[0.0, 0, 0], [1, 1, 1]]), np.array([[0.0, 0, 3], [4, 1, 1]])
    pipe = tubes(starts, ends, np.array([0.1, 0.2]), rgb, 8)
    a, b, c = (pipe.points[pipe.faces[:, i]] for i in range(3))
    outwards = np.einsum("ij,ij->i", np.cross(b - a, c - a), pipe.normals[pipe.faces[:, 0]])
    assert (outwards > 0).all()


def inlined(page: bytes, name: str) -> Any:
    text = page.decode()
    start = text.index(f'id="{name}">') + len(f'id="{name}">')
    return json.loads(text[start : text.index("</script>", start)])


def test_a_page_of_its_own_holds_the_edges_within_the_limit_and_nothing_from_elsewhere(scene: Scene) -> None:
    page = export.html(scene, Shot(radius=0.9, view="p_10_20_3_0_0_0"), title="</script><b>")
    data, arrays = inlined(page, "data"), inlined(page, "arrays")
    assert data["scene"]["edges"] == scene.edges_within(0.9) and data["radius"]["max"] == 0.9
    assert data["view"]["value"] == "p_10_20_3_0_0_0"
    assert {data["scene"]["positions"], data["scene"]["lengths"]} <= set(arrays)
    text = page.decode()
    assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text
    assert "</script><b>" not in text
    for name in (path.name for path in export.CANVAS.glob("*.js")):
        assert f'"filament/{name}"' in text


def test_a_plotly_page_has_the_nodes_and_the_point_of_view(scene: Scene) -> None:
    page = export.plotly_html(scene, Shot(radius=0.6, view="o_0_0_3_0_0_0")).decode()
    assert "scatter3d" in page and '"orthographic"' in page
    assert not re.search(r"<script[^>]*\bsrc=", page)


@pytest.fixture(scope="module")
def pictured() -> Iterator[tuple[Scene, np.ndarray]]:
    """Three nodes and one edge, and their picture: seen along y in parallel, 400 x 300."""
    from dataclasses import replace

    from gnnlib.graph.graph import Graph, GraphSpec

    graph = Graph(
        positions=np.array([[10.0, 5, 5], [90, 5, 5], [50, 95, 90]]),
        edge_index=np.array([[0, 1], [1, 0]]),
        separations=np.array([[-80.0, 0, 0], [80, 0, 0]]),
        lengths=np.array([80.0, 80.0]),
        edge_features=np.zeros((2, 0), dtype=np.float32),
        edge_feature_names=(),
        row_ids=np.arange(3),
        spec=GraphSpec(radius=80.0),
        box=None,
        length_unit="Mpc",
    )
    colors = colors_of(np.array(["a", "b", "c"]), "kind")
    scene = replace(graph_scene(graph, color_by=colors), node_sizes=np.ones(3, dtype=np.float32))
    data = export.png(scene, Shot(view="o_-90_0_2.5_0_0_0"), width=400, height=300)
    yield scene, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_a_picture_has_every_node_in_its_colour_where_the_view_puts_it(pictured: tuple[Scene, np.ndarray]) -> None:
    scene, picture = pictured
    assert picture.shape == (300, 400, 3)
    scale = 150 / (np.tan(np.radians(15)) * 2.5 * export.frame_radius(scene))
    for place, (x, _, z) in enumerate(scene.positions):
        seen = picture[round(150 - scale * z), round(200 + scale * x)]
        wanted = scene.node_colors.rgb()[place].astype(int)
        assert np.corrcoef(seen, wanted)[0, 1] > 0.9 and seen.min() < 200
    between = picture[round(150 - scale * scene.positions[0, 2]), 150:250]
    assert (between.min(axis=1) < 230).mean() > 0.8  # the edge
    assert (picture[5, 5] == 255).all()


def test_a_picture_carries_a_scale_bar(pictured: tuple[Scene, np.ndarray]) -> None:
    scene, picture = pictured
    lower = picture[-25:, :120].min(axis=2) < 100
    row = lower.sum(axis=1).argmax()
    long = lower[row].sum()
    unit_per_pixel = np.tan(np.radians(15)) * 2.5 * export.frame_radius(scene) / 150
    length = long * unit_per_pixel
    nearest = min((a * 10.0**b for a in (1, 2, 5) for b in range(-1, 3)), key=lambda round_: abs(round_ - length))
    assert length == pytest.approx(nearest, rel=0.08)


def test_a_machine_that_cannot_render_says_so_in_a_sentence(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export.sys, "executable", "/bin/false")
    with pytest.raises(InputError, match="cannot render off the screen"):
        export.png(scene, Shot(), width=64, height=64)
    with pytest.raises(InputError, match="64 to 8192"):
        export.png(scene, Shot(), width=10_000, height=64)


def test_a_point_of_view_that_says_nothing_sound_is_home(scene: Scene) -> None:
    home = export.eye_of(scene, None)
    for text in ("", "p_1_2", "x_0_0_1_0_0_0", "p_0_0_nan_0_0_0", "p_0_0_1_0_0_0; rm", "p_a_b_c_d_e_f"):
        np.testing.assert_array_equal(export.eye_of(scene, text).position, home.position)
    eye = export.eye_of(scene, "p_0_0_2_0_0_0")
    np.testing.assert_allclose(eye.position, [2 * export.frame_radius(scene), 0, 0])
    np.testing.assert_allclose(eye.up, [0, 0, 1])
