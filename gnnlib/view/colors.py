"""Colours of a scene: what a value is called, its range, and the perceptual map that turns it into a colour.

The maps are Plotly's tables (viridis, cividis, plasma from matplotlib; "coolwarm" after Moreland 2009, for values
with a meaningful zero); the categorical palette is Okabe & Ito 2008, readable with colour-blind eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from plotly import colors as plotly_colors

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError

ColorMap = Literal["viridis", "cividis", "plasma", "coolwarm"]

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b4a81d", "#8c6bb1")
DECADES_FOR_LOG = 2.5


@dataclass(frozen=True, eq=False)
class Colors:
    """One value an item (node or edge) and how it becomes a colour.

    values: [N] float32; NaN means "no value" and is drawn grey. label: the name with its unit. limits: the values at
    the two ends of the map; values beyond take the end colour. categories: names of the codes 0, 1, ... where `values`
    are codes, else empty.
    """

    values: np.ndarray
    label: str
    limits: tuple[float, float]
    color_map: ColorMap = "viridis"
    categories: tuple[str, ...] = ()

    def take(self, keep: np.ndarray) -> Colors:
        """The same colours for the items that `keep` (mask or places) chooses; the limits stay."""
        return Colors(self.values[keep], self.label, self.limits, self.color_map, self.categories)

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
) -> Colors:
    """Colours for any column: numbers by a map, text and booleans by category.

    values: [N] of any dtype. limits None: the 1st and 99th percentile of the finite values. around_zero: limits made
    symmetric about zero and the diverging map taken, for residuals. More than 8 categories: the 7 commonest
    and "other".
    """
    if color_map not in get_args(ColorMap):
        raise InputError(f"There is no colour map '{color_map}'; choose one of {', '.join(get_args(ColorMap))}.")
    values = np.asarray(values)
    if values.dtype.kind not in "iuf":
        return _categorical(values, label)
    finite = values[np.isfinite(values)].astype(np.float64)
    if limits is None:
        limits = (0.0, 1.0) if not len(finite) else (float(np.percentile(finite, 1)), float(np.percentile(finite, 99)))
        if around_zero:
            reach = max(abs(limits[0]), abs(limits[1]))
            limits = (-reach, reach)
    if limits[0] == limits[1]:
        limits = (limits[0] - 0.5, limits[1] + 0.5)
    return Colors(values.astype(np.float32), label, limits, "coolwarm" if around_zero else color_map)


def column_colors(catalog: Catalog, name: str, color_map: ColorMap = "viridis") -> Colors:
    """Colours by one catalog column; positive columns over more than 2.5 decades are shown as log10."""
    values = catalog.values(name)
    column = catalog.columns.get(name)
    label = column.label if column else name
    if values.dtype.kind in "iuf":
        values = values.astype(np.float64)
        good = values[np.isfinite(values)]
        if len(good) and good.min() > 0 and np.log10(good.max() / good.min()) > DECADES_FOR_LOG:
            with np.errstate(invalid="ignore"):
                return colors_of(np.log10(values), f"log10 {label}", color_map=color_map)
    return colors_of(values, label, color_map=color_map)


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
