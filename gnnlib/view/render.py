"""Renders one picture for `gnnlib.view.export.png`, as a program of its own: `gnnlib.view.render IN.npz OUT.png`.

Balls and tubes under three lights, then the scale bar and the colour bars drawn over them.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pyvista as pv
from PIL import Image, ImageDraw, ImageFont

from gnnlib.view.solid import Mesh, balls, tubes

SOFT = 2  # a small picture is rendered so many times as large and averaged
MOST_TRIANGLES = 4_000_000
MOST_SOFT = (
    10_000_000  # pixels that are rendered for the sake of smooth borders; larger pictures have them smoothed after
)


def render(arrays: Any, settings: dict[str, Any]) -> Image.Image:
    """The picture. arrays, settings: what export.png writes."""
    width, height = settings["width"], settings["height"]
    soft = SOFT if width * height * SOFT**2 <= MOST_SOFT else 1
    dark = settings["dark"]
    position, target, up = arrays["eye"]
    distance = float(np.linalg.norm(position - target))
    pixel = 2 * distance * settings["opening"] / settings["stage"]  # world length of a CSS pixel at the target
    plotter = pv.Plotter(off_screen=True, window_size=[width * soft, height * soft], lighting="none")
    if soft == 1:
        plotter.enable_anti_aliasing("fxaa")
    plotter.set_background("black" if dark else "white")  # type: ignore[arg-type]
    _light(plotter, position, target, up, distance)

    radii = arrays["radii"]
    large = radii > 2.5 * np.median(radii)
    for some in (large, ~large):  # the few large balls are rounder, as one sees it there
        if some.any():
            rounds = next((r for r in (4, 3, 2, 1) if some.sum() * 20 * 4**r <= MOST_TRIANGLES), 0)
            ball = balls(arrays["positions"][some], radii[some], arrays["rgb"][some], rounds)
            _add(plotter, ball, specular=0.25)
    lines = len(arrays["starts"])
    if lines:
        # Fainter the more of the picture they cover, mixed with the ground so that nothing depends on their order.
        covered = np.linalg.norm(arrays["ends"] - arrays["starts"], axis=1).sum() * pixel
        radius = 0.5 * float(np.linalg.norm(arrays["box"]))
        strength = np.clip(0.7 / np.sqrt(max(covered / (1.4 * radius**2), 1e-9)), 0.25, 0.9)
        share = (strength * (0.15 + 0.85 * arrays["edge_opacities"]))[:, None]
        ground = 0.0 if dark else 255.0
        rgb = np.rint(share * arrays["edge_rgb"] + (1 - share) * ground).astype(np.uint8)
        sides = 6 if lines * 12 <= MOST_TRIANGLES // 2 else 3
        _add(plotter, tubes(arrays["starts"], arrays["ends"], 0.4 * pixel * arrays["edge_widths"], rgb, sides))
    _add_frame(plotter, arrays["box"], 0.5 * pixel, dark)

    camera = plotter.camera
    camera.position, camera.focal_point, camera.up = position.tolist(), target.tolist(), up.tolist()
    camera.view_angle = float(np.degrees(2 * np.arctan(settings["opening"])))
    if settings["orthographic"]:
        camera.parallel_projection = True
        camera.parallel_scale = distance * settings["opening"]
    plotter.reset_camera_clipping_range()
    picture = Image.fromarray(np.asarray(plotter.screenshot(return_img=True))[..., :3])
    plotter.close()
    if soft > 1:
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    _write(picture, settings, 2 * distance * settings["opening"] / height)
    return picture


def _light(plotter: pv.Plotter, position: np.ndarray, target: np.ndarray, up: np.ndarray, distance: float) -> None:
    """A key light from the upper left, a weaker one from the right and one from behind the eye."""
    back = (position - target) / distance
    right = np.cross(up, back)
    for direction, intensity in ((back + up - right, 0.75), (back + right, 0.3), (back, 0.25)):
        light = pv.Light(position=(target + direction * distance).tolist(), focal_point=target.tolist())
        light.intensity = intensity
        plotter.add_light(light)


def _add(plotter: pv.Plotter, mesh: Mesh, specular: float = 0.0) -> None:
    faces = np.concatenate([np.full((len(mesh.faces), 1), 3, dtype=np.int64), mesh.faces], axis=1)
    surface = pv.PolyData(mesh.points, faces.ravel())
    surface.point_data["rgb"] = mesh.rgb
    surface.point_data.active_normals = mesh.normals
    plotter.add_mesh(surface, scalars="rgb", rgb=True, specular=specular, specular_power=25, ambient=0.18, diffuse=0.9)


def _add_frame(plotter: pv.Plotter, box: np.ndarray, radius: float, dark: bool) -> None:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * box / 2
    pairs = [(a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1]
    starts, ends = (corners[[pair[i] for pair in pairs]] for i in range(2))
    shade = np.full((len(pairs), 3), 90 if dark else 150, dtype=np.uint8)
    _add(plotter, tubes(starts, ends, np.full(len(pairs), radius), shade, 6))


def _write(picture: Image.Image, settings: dict[str, Any], per_pixel: float) -> None:
    """The scale bar at the lower left, the colour bars at the lower right."""
    pen = ImageDraw.Draw(picture)
    width, height = picture.size
    size = max(10, round(min(width, height) / 45))
    font = ImageFont.load_default(size)
    ink = (235, 235, 235) if settings["dark"] else (30, 30, 30)
    line = max(1, round(size / 9))
    step = _round_length(per_pixel * width / 7)
    long = step / per_pixel
    left, low = size * 1.5, height - 1.5 * size
    for a, b in (((left, low), (left + long, low)), ((left, low), (left, low - size / 2))):
        pen.line([a, b], fill=ink, width=line)
    pen.line([(left + long, low), (left + long, low - size / 2)], fill=ink, width=line)
    pen.text((left + long / 2, low - size * 0.6), f"{step:g} {settings['unit']}".strip(), ink, font, anchor="ms")
    right = width - 1.5 * size
    for bar in reversed(settings["bars"]):
        right = _colour_bar(pen, bar, right, low, size, font, ink) - 2 * size


def _colour_bar(
    pen: ImageDraw.ImageDraw, bar: dict[str, Any], right: float, low: float, size: int, font: Any, ink: tuple[int, ...]
) -> float:
    """Draw one colour bar that ends at `right`; returns where it begins."""
    stops = np.array(bar["stops"])
    if bar["categories"]:
        names = [name for name in bar["categories"] if name]
        wide = max([pen.textlength(bar["label"], font), *(1.4 * size + pen.textlength(name, font) for name in names)])
        for place, name in enumerate(reversed(names)):
            y = low - 1.3 * size * place
            colour = tuple(int(value) for value in stops[bar["categories"].index(name)])
            pen.ellipse([right - wide, y - 0.8 * size, right - wide + 0.8 * size, y], fill=colour)
            pen.text((right - wide + 1.3 * size, y), name, ink, font, anchor="ls")
        pen.text((right - wide, low - 1.3 * size * len(names)), bar["label"], ink, font, anchor="ls")
        return right - wide
    wide = max(12.0 * size, pen.textlength(bar["label"], font))
    left = right - wide
    top = low - 2.1 * size
    for step in range(int(wide)):
        at = step / max(1.0, wide - 1) * (len(stops) - 1)
        colour = tuple(int(np.interp(at, np.arange(len(stops)), stops[:, c])) for c in range(3))
        pen.line([(left + step, top), (left + step, top + 0.7 * size)], fill=colour)
    pen.text((left, top - 0.4 * size), bar["label"], ink, font, anchor="ls")
    for share, text, power in _ticks(bar["limits"], bar["log"]):
        x, y = left + share * wide, top + 1.9 * size
        pen.line([(x, top + 0.7 * size), (x, top + 0.9 * size)], fill=ink, width=max(1, size // 12))
        raised = font.font_variant(size=0.7 * size)
        whole = pen.textlength(text, font) + (pen.textlength(power, raised) if power else 0)
        pen.text((x - whole / 2, y), text, ink, font, anchor="ls")
        if power:
            pen.text((x + whole / 2, y - 0.4 * size), power, ink, raised, anchor="rs")
    return left


def _ticks(limits: list[float], log: bool) -> list[tuple[float, str, str]]:
    """Share of the bar, the number, and its power of ten where it is one."""
    low, high = np.log10(limits) if log else limits
    if log and high - low >= 1:
        powers = np.arange(np.ceil(low), np.floor(high) + 1, max(1, int(np.ceil((high - low) / 4))))
        return [((power - low) / (high - low), "10", f"{power:.0f}") for power in powers]
    step = _round_length((high - low) / 2)
    values = step * np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1)
    return [((value - low) / (high - low), f"{10**value if log else value:.4g}", "") for value in values]


def _round_length(length: float) -> float:
    """The round number (1, 2 or 5 times a power of ten) nearest below a length."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(power * next(factor for factor in (5, 2, 1) if length / power >= factor))


def main() -> None:
    given, made = sys.argv[1:3]
    with np.load(given, allow_pickle=False) as arrays:
        render(arrays, json.loads(str(arrays["settings"]))).save(made)


if __name__ == "__main__":
    main()
