"""Every pair within a linking length, from the compiled cell list; at most `cap` neighbours each where that is
asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gnnlib.errors import InputError
from gnnlib.graph import cells
from gnnlib.graph.edges import MAX_EDGES, Neighbors, Points, check_size, turn
from gnnlib.graph.graph import GraphSpec
from gnnlib.graph.space import check_radius

SURE = 0.25  # a graph estimated to have less than this share of the most edges has not too many
LARGE = 300_000  # points from which moving them to a graphics processor and the edges back should pay


def find(points: Points, spec: GraphSpec) -> Neighbors:
    """All pairs whose length is <= spec.radius, both ways; with a cap, the spec.cap nearest of each receiver, equal
    lengths in the order of the rows, and a note of what the cap removed."""
    radius = check_radius(spec.radius, points.box)
    if spec.cap is not None and spec.cap < 1:
        raise InputError(f"The cap must let each node keep at least 1 neighbour, not {spec.cap}; give a larger cap.")
    cell_list = cells.sort_into_cells(points.positions, radius, points.box)
    cause = f"the linking length {radius:g}"
    estimate = cells.estimate_pairs(cell_list)
    if spec.cap is None and estimate > 4 * MAX_EDGES:  # counting itself would take long
        check_size(estimate, cause, estimated=True)
    on_gpu = spec.cap is None and len(points.positions) >= LARGE and _has_gpu()
    if spec.cap is None and (on_gpu or estimate > SURE * MAX_EDGES):
        check_size(int(cells.count_pairs(cell_list).sum()), cause)
    if on_gpu and (found := _on_gpu(points, radius)):
        return found
    partners = cells.find_partners(cell_list, spec.cap)
    check_size(len(partners.places), cause if spec.cap is None else f"{cause} and the cap {spec.cap}")
    found = Neighbors(*cells.list_pairs(cell_list, partners))
    if spec.cap is None:
        return found
    counts = partners.counts
    found = turn(found, len(counts), spec.direction)
    lost = counts - np.bincount(found.edge_index[1], minlength=len(counts))
    return replace(found, truncated=True, notes=(removed(spec.cap, lost, counts),)) if lost.any() else found


def removed(cap: int, lost: np.ndarray, counts: np.ndarray) -> str:
    """What a cap did: of each node's neighbours within the linking length, counts [N], it took away lost [N]."""
    share, nodes = float(lost.sum() / counts.sum()), float(np.mean(lost > 0))
    return f"The cap of {cap} neighbours removed {_percent(share)} of the edges, at {_percent(nodes)} of the nodes."


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _on_gpu(points: Points, radius: float) -> Neighbors | None:
    """The edges from a graphics processor, or None where they do not fit in its memory."""
    import torch

    from gnnlib.graph.torch_cells import radius_edges

    try:
        return Neighbors(*radius_edges(points.positions, radius, points.box, "cuda"))
    except torch.OutOfMemoryError:
        return None


def _percent(share: float) -> str:
    """Two digits, so that a small share does not read as none: "41 %", "0.032 %"."""
    return f"{float(f'{100 * share:.2g}'):g} %"
