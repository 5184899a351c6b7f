"""Colours of a scene: what a value is called, its range, and the perceptual map that turns it into a colour.

The maps are Plotly's tables (viridis, cividis, plasma, inferno, magma from matplotlib; "coolwarm" after Moreland 2009,
for values with a meaningful zero); the categorical palette is Okabe & Ito 2008, readable with colour-blind eyes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
from plotly import colors as plotly_colors

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph

ColorMap = Literal["viridis", "cividis", "plasma", "inferno", "magma", "coolwarm"]
Scale = Literal["auto", "linear", "log"]

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b4a81d", "#8c6bb1")
DECADES_FOR_LOG = 2.5


@dataclass(frozen=True, eq=False)
class Colors:
    """One value an item (node or edge) and how it becomes a colour.

    values: [N] float32; NaN means "no value" and is drawn grey. label: the name with its unit. limits: the values at
    the two ends of the map; values beyond take the end colour. categories: names of the codes 0, 1, ... where `values`
    are codes, else empty. log: the colour follows the logarithm; limits are then positive, and values that are not have
    no colour.
    """

    values: np.ndarray
    label: str
    limits: tuple[float, float]
    color_map: ColorMap = "viridis"
    categories: tuple[str, ...] = ()
    log: bool = False

    def take(self, keep: np.ndarray) -> Colors:
        """The same colours for the items that `keep` (mask or places) chooses; the limits stay."""
        return replace(self, values=self.values[keep])

    @property
    def along(self) -> Colors:
        """The same colours with values and limits that are linear in the map: the logarithms, where log is set."""
        if not self.log:
            return self
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log10(np.where(self.values > 0, self.values, np.nan))
        limits = float(np.log10(self.limits[0])), float(np.log10(self.limits[1]))
        return replace(self, values=values, label=f"log10 {self.label}", limits=limits, log=False)

    def shades(self, dark: bool) -> np.ndarray:
        """[S, 3] from 0 to 255, the stops as the canvas paints them: a sequential map without the end that would vanish
        in the sky or in the paper."""
        stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in self.stops], dtype=np.float64)
        if self.categories or self.color_map == "coolwarm":
            return stops
        low, high = (0.14, 1.0) if dark else (0.0, 0.92)
        place = np.linspace(low, high, len(stops)) * (len(stops) - 1)
        return np.stack([np.interp(place, np.arange(len(stops)), stops[:, c]) for c in range(3)], axis=1)

    def rgb(self, dark: bool = False) -> np.ndarray:
        """[N, 3] uint8, the colour of each item on a dark or light ground; a neutral grey where it has no value."""
        stops = self.shades(dark)
        linear = self.along
        known = np.isfinite(linear.values)
        values = np.where(known, linear.values, 0.0).astype(np.float64)
        if self.categories:
            found = stops[np.clip(values, 0, len(stops) - 1).astype(int)]
        else:
            low, high = linear.limits
            place = np.clip((values - low) / (high - low), 0, 1) * (len(stops) - 1)
            found = np.stack([np.interp(place, np.arange(len(stops)), stops[:, c]) for c in range(3)], axis=1)
        return np.where(known[:, None], np.rint(found), 128).astype(np.uint8)

    @property
    def stops(self) -> tuple[str, ...]:
        """The colours as "#rrggbb", evenly spaced from the lower limit to the upper, or one a category."""
        if self.categories:
            return tuple(PALETTE[code % len(PALETTE)] for code in range(len(self.categories)))
        return map_stops(self.color_map)


def map_stops(name: ColorMap, n: int = 17) -> tuple[str, ...]:
    """`n` evenly spaced colours of a map, as "#rrggbb"."""
    if name == "coolwarm":
        table = [(59, 76, 192), (122, 157, 248), (192, 212, 245), (221, 221, 221), (245, 196, 173), (236, 127, 99)]
        table.append((180, 4, 38))
        scale = plotly_colors.make_colorscale([f"rgb{color}" for color in table])
    else:
        scale = plotly_colors.get_colorscale(name)
    rgb = plotly_colors.sample_colorscale(scale, np.linspace(0, 1, n).tolist(), colortype="tuple")
    return tuple("#" + "".join(f"{round(255 * channel):02x}" for channel in color) for color in rgb)


def colors_of(
    values: np.ndarray,
    label: str,
    *,
    color_map: ColorMap = "viridis",
    limits: tuple[float, float] | None = None,
    around_zero: bool = False,
    scale: Scale = "linear",
) -> Colors:
    """Colours for any column: numbers by a map, text and booleans by category.

    values: [N] of any dtype. limits None: the 1st and 99th percentile of the finite values. around_zero: limits made
    symmetric about zero and the diverging map taken, for residuals. scale: "log" where there is a positive value,
    "auto" where all values are positive and span more than 2.5 decades. More than 8 categories: the 7 commonest and
    "other".
    """
    if color_map not in get_args(ColorMap):
        raise InputError(f"There is no colour map '{color_map}'; choose one of {', '.join(get_args(ColorMap))}.")
    values = np.asarray(values)
    if values.dtype.kind not in "iuf":
        return _categorical(values, label)
    finite = values[np.isfinite(values)].astype(np.float64)
    log = _is_log(finite, scale)
    if log:
        finite = finite[finite > 0]
    if limits is None:
        limits = (0.0, 1.0) if not len(finite) else (float(np.percentile(finite, 1)), float(np.percentile(finite, 99)))
        if around_zero:
            reach = max(abs(limits[0]), abs(limits[1]))
            limits = (-reach, reach)
    if limits[0] == limits[1]:
        limits = (limits[0] / 2, limits[1] * 2) if log else (limits[0] - 0.5, limits[1] + 0.5)
    color_map = "coolwarm" if around_zero else color_map
    return Colors(values.astype(np.float32), label, limits, color_map, log=log)


def _is_log(finite: np.ndarray, scale: Scale) -> bool:
    if scale not in get_args(Scale):
        raise InputError(f"There is no scale '{scale}'; choose one of {', '.join(get_args(Scale))}.")
    positive = finite[finite > 0]
    if scale == "linear" or not len(positive):
        return False
    wide = np.log10(positive.max() / positive.min()) > DECADES_FOR_LOG
    return scale == "log" or (len(positive) == len(finite) and bool(wide))


def column_colors(catalog: Catalog, name: str, color_map: ColorMap = "viridis", scale: Scale = "auto") -> Colors:
    """Colours by one catalog column; see `colors_of` for the scale."""
    values = catalog.values(name)
    column = catalog.columns.get(name)
    label = column.label if column else name
    if values.dtype.kind in "iuf":
        values = values.astype(np.float64)
    return colors_of(values, label, color_map=color_map, scale=scale)


def class_colors(values: np.ndarray, label: str, classes: Sequence[str]) -> Colors:
    """Colours of the classes that a model tells apart: a class has the same one whichever values are shown.

    values: [N] names of classes; any other has no colour. classes: all there are, in their order; of more than 8 those
    after the first 7 are "other".
    """
    place = pd.Index(classes).get_indexer(pd.Index(values)).astype(np.float32)
    named = tuple(classes)
    if len(named) > len(PALETTE):
        named = (*named[: len(PALETTE) - 1], "other")
    codes = np.where(place < 0, np.nan, np.minimum(place, len(named) - 1))
    return Colors(codes.astype(np.float32), label, (0.0, float(max(1, len(named) - 1))), categories=named)


def group_colors(groups: np.ndarray, label: str) -> Colors:
    """Colours that tell groups apart: one of the palette for each group, so that colours repeat.

    groups: [N] of any dtype, the same value for members of one group; NaN and negative numbers mean "in none". Groups
    of one have no colour.
    """
    groups = np.asarray(groups)
    lost = ~np.isfinite(groups) | (groups < 0) if groups.dtype.kind in "iuf" else np.zeros(len(groups), dtype=bool)
    _, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    # Multiples of the golden ratio, so that groups of successive numbers, often neighbours, differ.
    places = (np.arange(len(counts)) * 0.6180339887498949 % 1 * len(PALETTE)).astype(np.float32)
    values = np.where(lost | (counts[codes] < 2), np.nan, np.floor(places)[codes])
    return Colors(
        values.astype(np.float32),
        f"{label} (colours repeat)",
        (0.0, len(PALETTE) - 1.0),
        categories=("",) * len(PALETTE),
    )


def _categorical(values: np.ndarray, label: str) -> Colors:
    text = np.array([str(value) for value in values], dtype=object)
    names, codes, counts = np.unique(text, return_inverse=True, return_counts=True)
    if len(names) > len(PALETTE):
        commonest = np.sort(np.argsort(-counts, kind="stable")[: len(PALETTE) - 1])
        place = np.full(len(names), len(commonest))
        place[commonest] = np.arange(len(commonest))
        codes, names = place[codes], np.append(names[commonest], "other")
    return Colors(
        codes.astype(np.float32), label, (0.0, float(max(1, len(names) - 1))), categories=tuple(map(str, names))
    )


def friends_of_friends(graph: Graph, linking_length: float) -> np.ndarray:
    """[N] the group of each node: nodes are in one if a chain of edges up to the linking length leads between them."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    close = graph.lengths <= linking_length
    source, receiver = graph.edge_index[:, close]
    joined = coo_matrix((np.ones(len(source), dtype=bool), (source, receiver)), shape=(graph.n_nodes, graph.n_nodes))
    return connected_components(joined, directed=False)[1]
