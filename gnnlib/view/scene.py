"""What is drawn, free of any renderer: nodes, edges, colours and the box, ready to be sent to a screen or a file.

A `Scene` may hold fewer nodes and edges than the graph has; then its caption says so and how they were chosen. Of a
folder of catalogs it holds one file, as their boxes would lie on top of each other.
Edges are drawn once (not once a direction) and sorted by length, so every smaller linking length is a prefix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph
from gnnlib.graph.space import periodic_sides
from gnnlib.view.colors import Colors, column_colors

MAX_NODES = 200_000
MAX_EDGES = 1_000_000
SLIDER_EDGES = 400_000  # up to which a slider of the linking length reaches, so that a page loads at once
NO_IMAGE = 13  # the periodic image (0, 0, 0), see Scene.images


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything a view draws.

    positions: [N, 3] float32 around `centre` ([3] float64, in `length_unit`; subtracted in float64). row_ids: [N].
    edges: [M, 2] int32, places in `positions`, lower place first. lengths: [M] float32, ascending. images: [M] uint8,
    the periodic image of the second node that the edge leads to, as (kx+1) + 3 (ky+1) + 9 (kz+1) with k in -1, 0, 1;
    13 where the edge crosses no face. node_sizes: [N] float32 from 0 (smallest) to 1; edge_widths, edge_opacities: [M]
    likewise, or None. origin, box: [3] corner and side
    lengths of the frame around the nodes. has_box: False where the frame is only the extent of the nodes.
    n_nodes, n_edges: what the whole graph has, edges counted once. details: label -> [N] values for the tooltip.
    context: [K, 3] float32 around `centre`, objects that a cut took away: drawn faintly, never picked; or None.
    node_scale: factor on the radius of all nodes, below 1 where it is the edges that one looks at.
    """

    positions: np.ndarray
    centre: np.ndarray
    row_ids: np.ndarray
    edges: np.ndarray
    lengths: np.ndarray
    images: np.ndarray
    origin: np.ndarray
    box: np.ndarray
    has_box: bool
    length_unit: str
    n_nodes: int
    n_edges: int
    caption: str
    node_colors: Colors | None = None
    node_sizes: np.ndarray | None = None
    edge_colors: Colors | None = None
    details: tuple[tuple[str, np.ndarray], ...] = ()
    context: np.ndarray | None = None
    edge_widths: np.ndarray | None = None
    edge_opacities: np.ndarray | None = None
    node_scale: float = 1.0

    def edges_within(self, length: float) -> int:
        """How many of the drawn edges are no longer than `length`: they are the first ones."""
        return int(np.searchsorted(self.lengths, np.float32(length), side="right"))


def graph_scene(
    graph: Graph,
    catalog: Catalog | None = None,
    *,
    color_by: str | Colors | None = None,
    size_by: str | np.ndarray | None = None,
    edge_colors: Colors | None = None,
    edge_width: np.ndarray | None = None,
    edge_opacity: np.ndarray | None = None,
    details: tuple[str, ...] = (),
    context: np.ndarray | None = None,
    file: str | None = None,
    node_scale: float = 1.0,
    max_nodes: int = MAX_NODES,
    max_edges: int = MAX_EDGES,
    seed: int = 0,
) -> Scene:
    """The scene of a graph.

    catalog: the rows the graph was built on, in the same order; needed where columns are named. color_by: a column or
    ready `Colors` with one value a node of the graph. size_by: a column, or [N] values (larger is larger; the mass
    column where the catalog has one). edge_colors: one value a directed edge of the graph, in its order; a pair drawn
    once takes the larger of its two directions; edge_width and edge_opacity likewise, [M] numbers of which the larger
    are drawn wider and stronger. details: columns shown beside a node under the pointer. context:
    positions [K, 3] of objects that are not in the graph, to be shown faintly around it. file: which file of a folder
    of catalogs is drawn, the first where it has no rows. node_scale: as in Scene.
    More than max_nodes nodes: a random one from each of max_nodes equal parts along a curve that fills space, so that
    every region keeps its share; more than max_edges edges: likewise of the edges in order of length, so that every
    linking length does.
    """
    if catalog is not None and len(catalog) != graph.n_nodes:
        raise InputError(
            f"The graph has {graph.n_nodes:,} nodes but the catalog {len(catalog):,} rows; build the graph again."
        )
    rng = np.random.default_rng(seed)
    number, names = graph.file_of, None if catalog is None else file_names(catalog)
    if number is not None and len(files := np.unique(number)) > 1:
        own = number == files[0] if names is None else names == (file if file in names else names[0])
        of_edges = own[graph.edge_index[1]]
        scene = graph_scene(
            replace(graph.subgraph(own), file_of=None),
            None if catalog is None else catalog.take(own, files=None),
            color_by=color_by if color_by is None or isinstance(color_by, str) else color_by.take(np.flatnonzero(own)),
            size_by=size_by[own] if isinstance(size_by, np.ndarray) else size_by,
            edge_colors=edge_colors and replace(edge_colors, values=edge_colors.values[of_edges]),
            edge_width=None if edge_width is None else edge_width[of_edges],
            edge_opacity=None if edge_opacity is None else edge_opacity[of_edges],
            details=details,
            context=context,
            node_scale=node_scale,
            max_nodes=max_nodes,
            max_edges=max_edges,
            seed=seed,
        )
        return _of_files(scene, len(files), None if names is None else str(names[own][0]))
    pairs = _undirected(graph)
    n_edges = len(pairs.edges)
    kept, edges, chosen = _thin_nodes(graph.positions, pairs.edges, max_nodes, rng)
    lengths, images = pairs.lengths[chosen], pairs.images[chosen]
    order = np.argsort(lengths, kind="stable")
    if len(order) > max_edges:
        order = order[_one_of_each_part(len(order), max_edges, rng)]

    def drawn(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else pairs.larger(np.asarray(values))[chosen][order]

    weights = drawn(None if edge_colors is None else edge_colors.values)
    colors = _node_colors(catalog, color_by)
    return _scene(
        graph.positions,
        graph.row_ids,
        kept,
        catalog,
        edges=edges[order],
        lengths=lengths[order],
        images=images[order],
        box=graph.box if catalog is None or catalog.box is None else catalog.box,
        length_unit=graph.length_unit,
        n_edges=n_edges,
        node_colors=colors,
        size_by=size_by,
        edge_colors=None if edge_colors is None or weights is None else replace(edge_colors, values=weights),
        edge_widths=_shares(drawn(edge_width)),
        edge_opacities=_shares(drawn(edge_opacity)),
        details=details,
        around=context,
        node_scale=node_scale,
    )


def catalog_scene(
    catalog: Catalog,
    *,
    color_by: str | Colors | None = None,
    size_by: str | np.ndarray | None = None,
    details: tuple[str, ...] = (),
    context: np.ndarray | None = None,
    file: str | None = None,
    max_nodes: int = MAX_NODES,
    seed: int = 0,
) -> Scene:
    """The scene of a catalog without a graph: its objects and its box. Rows without a finite position are left out.

    context, file: as in `graph_scene`.
    """
    names = file_names(catalog)
    if names is not None and len(files := np.unique(names)) > 1:
        own = names == (file if file in names else names[0])
        scene = catalog_scene(
            catalog.take(own, files=None),
            color_by=color_by if color_by is None or isinstance(color_by, str) else color_by.take(np.flatnonzero(own)),
            size_by=size_by[own] if isinstance(size_by, np.ndarray) else size_by,
            details=details,
            context=context,
            max_nodes=max_nodes,
            seed=seed,
        )
        return _of_files(scene, len(files), str(names[own][0]))
    positions = catalog.positions()
    finite = np.flatnonzero(np.isfinite(positions).all(axis=1))
    if not len(finite):
        raise InputError("No row of the catalog has a finite position, so there is nothing to draw.")
    rng = np.random.default_rng(seed)
    kept = finite
    if len(finite) > max_nodes:
        kept = finite[np.sort(_even_sample(positions[finite], max_nodes, rng))]
    return _scene(
        positions,
        catalog.row_ids,
        kept,
        catalog,
        edges=np.empty((0, 2), dtype=np.int32),
        lengths=np.empty(0, dtype=np.float32),
        images=np.empty(0, dtype=np.uint8),
        box=catalog.box,
        length_unit=catalog.length_unit,
        n_edges=0,
        node_colors=_node_colors(catalog, color_by),
        size_by=size_by,
        edge_colors=None,
        details=details,
        placeless=len(positions) - len(finite),
        around=context,
    )


def file_names(catalog: Catalog) -> np.ndarray | None:
    """The name [N] str of the file of each row of a folder of catalogs; None for one catalog."""
    return None if catalog.files is None else catalog.values(catalog.files.column).astype(str)


def _of_files(scene: Scene, count: int, name: str | None) -> Scene:
    """The scene of one file, whose caption says which of how many it is."""
    one = f"showing {'one' if name is None else name} of {count:,} files"
    return replace(scene, caption=f"{one}; {scene.caption}" if scene.caption else one)


def _scene(
    positions: np.ndarray,
    row_ids: np.ndarray,
    kept: np.ndarray,
    catalog: Catalog | None,
    *,
    box: np.ndarray | None,
    n_edges: int,
    edges: np.ndarray,
    node_colors: Colors | None,
    size_by: str | np.ndarray | None,
    details: tuple[str, ...],
    placeless: int = 0,
    around: np.ndarray | None = None,
    **rest: object,
) -> Scene:
    n_nodes = len(positions)
    if node_colors is not None and len(node_colors.values) != n_nodes:
        raise InputError(f"There are {len(node_colors.values):,} colour values for {n_nodes:,} nodes; give one a node.")
    if size_by is None and catalog is not None:
        size_by = catalog.roles.mass
    if isinstance(size_by, str):
        size_by = _named(catalog, size_by)
    drawn = positions[kept]
    origin, sides = _frame(drawn, box)
    centre = origin + sides / 2
    return Scene(
        positions=(drawn - centre).astype(np.float32),
        centre=centre,
        row_ids=row_ids[kept],
        edges=np.ascontiguousarray(edges, dtype=np.int32),
        origin=origin,
        box=sides,
        has_box=box is not None,
        n_nodes=n_nodes,
        n_edges=n_edges,
        caption=_caption(len(kept), n_nodes, len(edges), n_edges, placeless),
        node_colors=None if node_colors is None else node_colors.take(kept),
        node_sizes=None if size_by is None else _sizes(size_by)[kept],
        details=tuple((_label(catalog, name), _named(catalog, name)[kept]) for name in details),
        context=None if around is None else _context(around, centre),
        **rest,  # type: ignore[arg-type]
    )


def _context(positions: np.ndarray, centre: np.ndarray) -> np.ndarray | None:
    """The places among `positions` [K, 3] that can be drawn, around `centre`; None where there is none."""
    placed = positions[np.isfinite(positions).all(axis=1)]
    if len(placed) > MAX_NODES:
        placed = placed[_even_sample(placed, MAX_NODES, np.random.default_rng(0))]
    return (placed - centre).astype(np.float32) if len(placed) else None


@dataclass(frozen=True)
class _Pairs:
    """A graph's edges, each pair once: edges [P, 2] places, the lower first; lengths [P]; images [P] as in Scene."""

    edges: np.ndarray
    lengths: np.ndarray
    images: np.ndarray
    directed: np.ndarray  # places of the directed edges that are no self-loops
    pair: np.ndarray  # of each of those, the place of its pair
    n_directed: int

    def larger(self, values: np.ndarray) -> np.ndarray:
        """[P] float32 the larger of the values of its two directions. values: [M], one a directed edge."""
        if len(values) != self.n_directed:
            raise InputError(f"There are {len(values):,} edge values for {self.n_directed:,} edges; give one an edge.")
        larger = np.full(len(self.edges), -np.inf, dtype=np.float32)
        np.fmax.at(larger, self.pair, values[self.directed].astype(np.float32))
        return np.where(larger == -np.inf, np.float32(np.nan), larger)


def _undirected(graph: Graph) -> _Pairs:
    source, receiver = graph.edge_index
    pair = np.minimum(source, receiver) * graph.n_nodes + np.maximum(source, receiver)
    keep = np.flatnonzero(source != receiver)
    _, first, inverse = np.unique(pair[keep], return_index=True, return_inverse=True)
    first = keep[first]
    edges = np.sort(graph.edge_index[:, first].T, axis=1)
    # A separation is source minus receiver; the image asked for is the one of the higher place.
    away = np.where((source[first] > receiver[first])[:, None], 1.0, -1.0) * graph.separations[first]
    images = np.full(len(edges), NO_IMAGE, dtype=np.uint8)
    if graph.box is not None:
        straight = graph.positions[edges[:, 1]] - graph.positions[edges[:, 0]]
        image = np.clip(np.rint((away - straight) / periodic_sides(graph.box)), -1, 1).astype(np.int64)
        images = ((image + 1) @ [1, 3, 9]).astype(np.uint8)
    return _Pairs(edges, graph.lengths[first].astype(np.float32), images, keep, inverse, graph.n_edges)


def _shares(values: np.ndarray | None) -> np.ndarray | None:
    """Any numbers as shares from 0 (smallest) to 1, by their 2nd and 98th percentile; 0 without a value."""
    if values is None:
        return None
    good = np.isfinite(values)
    if not good.any():
        return np.zeros(len(values), dtype=np.float32)
    low, high = np.percentile(values[good], [2, 98])
    share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    return np.where(good, np.clip(share, 0, 1), 0).astype(np.float32)


def _thin_nodes(
    positions: np.ndarray, edges: np.ndarray, max_nodes: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of the nodes kept, the edges between them by their new places, and which edges those were."""
    n_nodes = len(positions)
    if n_nodes <= max_nodes:
        return np.arange(n_nodes), edges, np.arange(len(edges))
    kept = np.sort(_even_sample(positions, max_nodes, rng))
    place = np.full(n_nodes, -1)
    place[kept] = np.arange(max_nodes)
    moved = place[edges]
    chosen = np.flatnonzero((moved >= 0).all(axis=1))
    return kept, moved[chosen], chosen


def _even_sample(positions: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """Places of `wanted` of the positions [N, 3], one from each of as many equal parts along a Z-order curve."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    cells = ((positions - low) / np.maximum(high - low, 1e-300) * 1023).astype(np.int64)
    code = np.zeros(len(positions), dtype=np.int64)
    for bit in range(10):
        for axis in range(3):
            code |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    order = np.argsort(code, kind="stable")
    return order[_one_of_each_part(len(order), wanted, rng)]


def _one_of_each_part(n: int, parts: int, rng: np.random.Generator) -> np.ndarray:
    """`parts` ascending places out of `n`, one drawn at random from each of `parts` equal stretches."""
    borders = np.arange(parts + 1) * n // parts
    return borders[:-1] + (rng.random(parts) * np.diff(borders)).astype(np.int64)


def _frame(positions: np.ndarray, box: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Corner and sides of the frame: the box where there is one (from 0 or centred on 0, as the positions say), the
    extent of the nodes along an axis of side 0."""
    low = positions.min(axis=0) if len(positions) else np.zeros(3)
    high = positions.max(axis=0) if len(positions) else np.ones(3)
    if box is None:
        return low, np.maximum(high - low, 0.0)
    box = np.asarray(box, dtype=np.float64)
    slack = 1e-6 * box
    from_zero = (low >= -slack) & (high <= box + slack)
    about_zero = (low >= -box / 2 - slack) & (high <= box / 2 + slack)
    elsewhere = (low + high - box) / 2
    corner = np.where(from_zero, 0.0, np.where(about_zero, -box / 2, elsewhere))
    return np.where(box > 0, corner, low), np.where(box > 0, box, high - low)


def _sizes(values: np.ndarray) -> np.ndarray:
    """Any positive or logarithmic quantity as a size from 0 to 1; rows without a value get 0."""
    values = np.asarray(values, dtype=np.float64)
    good = np.isfinite(values)
    if good.any() and values[good].min() > 0 and values[good].max() / values[good].min() > 30:
        values = np.log10(np.where(good, values, 1.0))
    if not good.any():
        return np.zeros(len(values), dtype=np.float32)
    low, high = np.percentile(values[good], [2, 99.9])
    size = (values - low) / (high - low) if high > low else np.full(len(values), 0.3)
    return np.where(good, np.clip(size, 0, 1), 0).astype(np.float32)


def _named(catalog: Catalog | None, name: str) -> np.ndarray:
    if catalog is None:
        raise InputError(f"Column '{name}' cannot be drawn, because the scene was built without its catalog.")
    return catalog.values(name)


def _label(catalog: Catalog | None, name: str) -> str:
    column = catalog.columns.get(name) if catalog is not None else None
    return column.label if column else name


def _node_colors(catalog: Catalog | None, color_by: str | Colors | None) -> Colors | None:
    if isinstance(color_by, str):
        if catalog is None:
            raise InputError(f"Column '{color_by}' cannot be drawn, because the scene was built without its catalog.")
        return column_colors(catalog, color_by)
    return color_by


def _caption(nodes: int, all_nodes: int, edges: int, all_edges: int, placeless: int) -> str:
    """What is not drawn and why, in plain words; empty where everything is."""
    parts = []
    if nodes < all_nodes:
        parts.append(f"{nodes:,} of {all_nodes:,} nodes")
    if edges < all_edges:
        parts.append(f"{edges:,} of {all_edges:,} edges")
    subset = ", an even sample" if nodes < all_nodes - placeless or edges < all_edges else ""
    unknown = f"; {placeless:,} {'has' if placeless == 1 else 'have'} no finite position" if placeless else ""
    return f"showing {' and '.join(parts)}{subset}{unknown}" if parts else ""


def drawn_edges(scene: Scene, radius: float | None = None, attention: float | None = None) -> np.ndarray:
    """Places of the edges up to a length and from an edge value on, as the canvas draws them; None: no such limit."""
    edges = np.arange(len(scene.edges) if radius is None else scene.edges_within(radius))
    if attention is not None and scene.edge_colors is not None:
        edges = edges[scene.edge_colors.values[: len(edges)] >= np.float32(attention)]
    return edges


def segments(scene: Scene, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The straight lines of some edges around the scene's centre: starts [S, 3], ends [S, 3], and each one's edge [S].

    An edge through a periodic face is two of them, from each of its nodes towards the other's ghost as far as the face.
    """
    code = scene.images[edges].astype(np.int64)
    image = np.stack([code % 3, code // 3 % 3, code // 9], axis=1) - 1
    first, second = scene.edges[edges].T
    a, b = scene.positions[first].astype(np.float64), scene.positions[second].astype(np.float64)
    crosses = code != NO_IMAGE
    start, end, of = [a[~crosses]], [b[~crosses]], [edges[~crosses]]
    for here, there, way in ((a, b, image), (b, a, -image)):
        here, there, way = here[crosses], there[crosses], way[crosses]
        along = there + way * scene.box - here
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(way != 0, (way * scene.box / 2 - here) / along, 1.0)
        start.append(here)
        end.append(here + np.clip(reach.min(axis=1), 0, 1)[:, None] * along)
        of.append(edges[crosses])
    return np.concatenate(start), np.concatenate(end), np.concatenate(of)
