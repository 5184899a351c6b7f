"""The same radius graph on a graphics processor: the cell list of `cells` in tensor operations, on any torch device.

Float64 throughout and the same comparisons in the same order, so the edge set is the one of the compiled engine: each
operation is one rounded step on every device, nothing is fused into a multiply-add. Tested on the CPU; it has not yet
run on a CUDA device.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from gnnlib.graph.cells import MAX_CELLS_AN_AXIS, ROUNDING_MARGIN, SMALLEST_EXTENT, squared_bound
from gnnlib.graph.space import periodic_sides

PAIRS_AT_ONCE = 40_000_000  # candidates compared at once: some 2 GB


def radius_edges(
    positions: np.ndarray, radius: float, box: np.ndarray | None, device: str | torch.device
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """edge_index [2, M] int64, separations [M, 3], lengths [M], by receiver, then length, then source.

    positions: [N, 3] float64 as `space.inside_box` returns them; radius as `space.check_radius` does. The caller sees
    to it that the edges fit in the memory of the device and of the machine.
    """
    points = torch.from_numpy(positions).to(device)
    sides = torch.from_numpy(periodic_sides(box)).to(device)
    bound = squared_bound(radius)
    order, keys, cell, shape = _sort(points, radius, sides)
    ordered = points[order].T.contiguous()
    occupied, first = torch.unique_consecutive(keys, return_inverse=False, return_counts=True)
    starts = torch.cumsum(first, 0) - first
    found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for shift in _shifts(shape, sides):
        begin, end = _partners(cell, shift, shape, sides, occupied, starts, first)
        counts = end - begin
        for low, high in _chunks(counts):
            a = torch.repeat_interleave(torch.arange(low, high, device=points.device), counts[low:high])
            skipped = torch.cumsum(counts[low:high], 0) - counts[low:high]
            b = torch.arange(len(a), device=points.device) + torch.repeat_interleave(
                begin[low:high] - skipped, counts[low:high]
            )
            apart = [ordered[axis, b] - ordered[axis, a] for axis in range(3)]
            squared = _squared(apart, sides)
            near = (squared <= bound) & (a != b)
            separation = torch.stack([_nearest_image(apart[axis][near], sides[axis]) for axis in range(3)], dim=1)
            found.append((order[b[near]], order[a[near]], separation, squared[near]))
    source, receiver, separations, squares = (torch.cat(parts) for parts in zip(*found, strict=True))
    # By receiver, then length, then source: stable sorts from the last key to the first.
    rank = torch.argsort(source, stable=True)
    rank = rank[torch.argsort(squares[rank], stable=True)]
    rank = rank[torch.argsort(receiver[rank], stable=True)]
    edge_index = torch.stack([source[rank], receiver[rank]]).cpu().numpy()
    return _with_lengths(edge_index, separations[rank].cpu().numpy(), squares[rank].cpu().numpy())


def _with_lengths(
    edge_index: np.ndarray, separations: np.ndarray, squares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The edges with their lengths, rounded by numpy: torch's float64 root on the CPU is off in the last bit at times.

    Two squares may have one root; then the order of the sources decides, which is put right here.
    """
    source, receiver = edge_index
    lengths = np.sqrt(squares)
    wrong = (receiver[1:] == receiver[:-1]) & (lengths[1:] == lengths[:-1]) & (source[1:] < source[:-1])
    if wrong.any():
        at = np.flatnonzero(np.isin(receiver, receiver[1:][wrong]))
        order = at[np.lexsort((source[at], lengths[at], receiver[at]))]
        edge_index[:, at], separations[at], lengths[at] = edge_index[:, order], separations[order], lengths[order]
    return edge_index, separations, lengths


def _sort(points: Tensor, radius: float, sides: Tensor) -> tuple[Tensor, Tensor, Tensor, list[int]]:
    """Rows in the order of their cells [N], the cells' numbers [N] ascending, their places [N, 3] and how many there
    are along each axis."""
    wraps = torch.isfinite(sides)
    low = torch.where(wraps, 0.0, points.min(dim=0).values)
    extent = torch.where(wraps, sides, points.max(dim=0).values - low)
    shape = torch.clamp(torch.floor(extent / (radius * (1 + ROUNDING_MARGIN))), 1, MAX_CELLS_AN_AXIS)
    scale = torch.where(extent > SMALLEST_EXTENT, shape / extent, 0.0)
    cell = torch.minimum((points - low) * scale, shape - 1).long()
    counts = [int(number) for number in shape.tolist()]
    keys = (cell[:, 0] * counts[1] + cell[:, 1]) * counts[2] + cell[:, 2]
    keys, order = torch.sort(keys, stable=True)
    return order, keys, cell[order], counts


def _shifts(shape: list[int], sides: Tensor) -> list[tuple[int, int, int]]:
    """The cells to look at around each, every one once also where an axis has fewer than three."""
    around = []
    for size, side in zip(shape, sides.tolist(), strict=True):
        if size == 1:
            around.append([0])
        elif side < float("inf") and size == 2:
            around.append([0, 1])
        else:
            around.append([-1, 0, 1])
    return list(product(*around))  # type: ignore[arg-type]


def _partners(
    cell: Tensor,
    shift: tuple[int, int, int],
    shape: list[int],
    sides: Tensor,
    occupied: Tensor,
    starts: Tensor,
    sizes: Tensor,
) -> tuple[Tensor, Tensor]:
    """First and last + 1 place [N], among the ordered points, of those in the cell beside each point's own."""
    there = torch.ones(len(cell), dtype=torch.bool, device=cell.device)
    key = torch.zeros(len(cell), dtype=torch.long, device=cell.device)
    for axis in range(3):
        at = cell[:, axis] + shift[axis]
        if bool(torch.isfinite(sides[axis])):
            at = at % shape[axis]
        else:
            there &= (at >= 0) & (at < shape[axis])
        key = key * shape[axis] + at
    place = torch.searchsorted(occupied, key).clamp(max=len(occupied) - 1)
    there &= occupied[place] == key
    begin = torch.where(there, starts[place], 0)
    return begin, torch.where(there, begin + sizes[place], 0)


def _chunks(counts: Tensor) -> list[tuple[int, int]]:
    """Stretches of points with at most PAIRS_AT_ONCE candidates together, or one point."""
    done = torch.cumsum(counts, 0)
    stretches, low, n = [], 0, len(counts)
    while low < n:
        before = int(done[low - 1]) if low else 0
        high = int(torch.searchsorted(done, torch.tensor(before + PAIRS_AT_ONCE, device=done.device), right=True))
        high = min(max(high, low + 1), n)
        stretches.append((low, high))
        low = high
    return stretches


def _squared(apart: list[Tensor], sides: Tensor) -> Tensor:
    """Squared minimum-image distance, by the very operations of `joining.squared_distance`."""
    along = [torch.minimum(d.abs(), sides[axis] - d.abs()) for axis, d in enumerate(apart)]
    return along[0] * along[0] + along[1] * along[1] + along[2] * along[2]


def _nearest_image(separation: Tensor, side: Tensor) -> Tensor:
    if not bool(torch.isfinite(side)):
        return separation
    return torch.where(
        separation > 0.5 * side, separation - side, torch.where(separation < -0.5 * side, separation + side, separation)
    )
