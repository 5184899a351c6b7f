"""How the graph in 3D looks: what colours and sizes its nodes, and what colours, widens and fades its edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, get_args

import numpy as np
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.graph.features import GROUPS
from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.view.colors import ColorMap, Colors, Scale, colors_of, column_colors, friends_of_friends, group_colors
from pages._layout import key_for

NOTHING = "nothing"
FRIENDS = "friends of friends"
SCALES = {"auto": "Auto", "linear": "Linear", "log": "Log"}


@dataclass(frozen=True)
class Look:
    """Names of columns of the catalog (colour, size) and of the edges (edge_ ...), None for nothing.

    linked: the linking length of friends of friends, where those are the colours. hover: columns that are told of an
    object under the pointer.
    """

    colour: str | None = None
    scale: Scale = "auto"
    color_map: ColorMap = "viridis"
    size: str | None = None
    edge_colour: str | None = None
    edge_width: str | None = None
    edge_opacity: str | None = None
    linked: float | None = None
    hover: tuple[str, ...] = ()

    @property
    def edge_columns(self) -> set[str]:
        return {name for name in (self.edge_colour, self.edge_width, self.edge_opacity) if name}


def look_panel(rows: Catalog, spec: GraphSpec) -> Look:
    """The controls, and what they say."""
    names = [str(name) for name in rows.table.columns]
    kinds = {name: rows.table[name].dtype.kind for name in names}
    numeric = [name for name in names if kinds[name] in "iuf"]
    first = rows.roles.mass or rows.roles.target
    groups = [FRIENDS] if spec.method == "radius" else []
    colour = _pick("Colour by", "colour", [NOTHING, *groups, *names], first)
    with st.popover("Appearance", icon=":material/palette:", width="stretch"):
        scale = st.segmented_control(
            "Colour scale",
            list(SCALES),
            format_func=SCALES.__getitem__,
            default="auto",
            required=True,
            key="look_scale",
            persist_state="session",
            width="stretch",
        )
        color_map = _pick("Colour map", "map", list(get_args(ColorMap)), "viridis")
        size = _pick("Size by", "size", [NOTHING, *numeric], rows.roles.mass)
        columns = [name for group in spec.edge_features if group in GROUPS for name in GROUPS[group].columns]
        columns = [NOTHING, *dict.fromkeys(["length", *columns])]
        edge_colour = _pick("Edge colour by", "edge_colour", columns, None)
        edge_width = _pick("Edge width by", "edge_width", columns, None)
        edge_opacity = _pick("Edge opacity by", "edge_opacity", columns, None)
        told = [name for name in (rows.roles.mass, rows.roles.target, rows.roles.central) if name]
        hover = st.multiselect(
            "Under the pointer",
            names,
            default=list(dict.fromkeys(told)),
            key=key_for("look_hover", rows.spec.path, *names),
            persist_state="session",
            help="Columns shown beside an object that the pointer rests on.",
        )
    return Look(
        colour=colour,
        scale=cast(Scale, scale),
        color_map=cast(ColorMap, color_map),
        size=size,
        edge_colour=edge_colour,
        edge_width=edge_width,
        edge_opacity=edge_opacity,
        linked=spec.radius if colour == FRIENDS else None,
        hover=tuple(hover),
    )


def _pick(label: str, key: str, options: list[str], first: str | None) -> str | None:
    """A choice among names that is kept from page to page; None where nothing is chosen."""
    place = options.index(first) if first in options else 0
    chosen = st.selectbox(label, options, index=place, key=f"look_{key}", persist_state="session")
    return None if chosen in (None, NOTHING) else chosen


def node_colors(look: Look, rows: Catalog, graph: Graph) -> Colors | None:
    """The colours of the nodes, None where they have none."""
    if look.colour is None or (look.colour != FRIENDS and look.colour not in rows.table):
        return None
    if look.colour == FRIENDS:
        return group_colors(friends_of_friends(graph, look.linked or 0.0), f"groups linked within {look.linked:.4g}")
    if look.colour == rows.roles.group:
        return group_colors(rows.values(look.colour), rows.columns[look.colour].label)
    return column_colors(rows, look.colour, look.color_map, look.scale)


def edge_values(graph: Graph, name: str | None) -> np.ndarray | None:
    """One number a directed edge [M], or None where the graph has no such column."""
    if name == "length":
        return graph.lengths
    if name is None or name not in graph.edge_feature_names:
        return None
    return graph.edge_features[:, graph.edge_feature_names.index(name)]


def edge_colors(look: Look, graph: Graph, values: np.ndarray | None) -> Colors | None:
    """The colours of the directed edges for `values` [M]; about zero where they have both signs."""
    if values is None:
        return None
    unit = f" [{graph.length_unit}]" if look.edge_colour == "length" and graph.length_unit else ""
    signed = bool((values < 0).any() and (values > 0).any())
    label = f"edge {str(look.edge_colour).replace('_', ' ')}{unit}"
    return colors_of(values, label, color_map="plasma", around_zero=signed)
