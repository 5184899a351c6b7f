"""What a neighbour does to a prediction, measured five ways that need no attention: for any model with edges.

Deletion asks the model again without the edge, which is the truth about the model; gradient x input and integrated
gradients (Sundararajan et al. 2017, arXiv 1703.01365) follow its derivatives; a learned mask finds the few edges that
keep the prediction (GNNExplainer, Ying et al. 2019, arXiv 1903.03894). All values are in the target's unit, which is
dex for a logarithm.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gnnlib.explain.replay import Fields

IG_POINTS = 16  # Gauss-Legendre points on the path from the baseline
MASK_STEPS = 60
MASK_DRAWS = 16  # pairs of masks drawn at each step
MASK_RATE = 0.35
MASK_SIZE = 0.15  # price of keeping all edges, in units of the squared change that removing all of them makes


def deletion(fields: Fields, edges: np.ndarray | None = None) -> np.ndarray:
    """Prediction without an edge minus that with all, for each of `edges` [E] (those into the centres by default), [E].

    edges: places among the fields' edges.
    """
    edges = np.flatnonzero(fields.near) if edges is None else edges
    change = np.empty(len(edges))
    before = fields.predict()[0]
    field = fields.of_edge[edges]
    starts = np.searchsorted(fields.of_edge, np.arange(len(fields)))
    at = 0
    for part in fields.take(field).parts():
        own = slice(at, at + len(part))
        first = np.searchsorted(part.of_edge, np.arange(len(part)))
        keep = np.ones((1, len(part.edge)), dtype=bool)
        keep[0, first + edges[own] - starts[field[own]]] = False
        change[own] = part.predict(keep)[0] - before[field[own]]
        at += len(part)
    return change


def gradient_times_input(fields: Fields, every: bool = False) -> np.ndarray:
    """For each edge into a centre: its attributes and its source's features, times the prediction's gradient, [E].

    every: for all edges of the fields. Inputs count from their training means, where the scaled ones are 0.
    """
    return np.concatenate([_gradient(part, every) for part in fields.parts()]) if len(fields) else np.empty(0)


def _gradient(fields: Fields, every: bool) -> np.ndarray:
    by_node, by_edge = _gradients(fields, fields.x, fields.edge_attr)
    return _of_edges(fields, by_node * fields.x, by_edge * fields.edge_attr, every)


def integrated_gradients(fields: Fields, points: int = IG_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """As `gradient_times_input`, with the gradient averaged on the straight path from the baseline, [E]; and what is
    missing from completeness, [K].

    At the baseline the neighbours' features and all edge attributes are at their training means, while the centre keeps
    its own features. All attributions of a field together make up the change of its prediction from there; the second
    result is what they miss of it.
    """
    found = [_integrated(part, points) for part in fields.parts()]
    if not found:
        return np.empty(0), np.empty(0)
    edges, missing = zip(*found, strict=True)
    return np.concatenate(edges), np.concatenate(missing)


def _integrated(fields: Fields, points: int) -> tuple[np.ndarray, np.ndarray]:
    x, edge_attr = fields.x, fields.edge_attr
    base = torch.zeros_like(x)
    base[fields.centres] = x[fields.centres]
    where, weight = np.polynomial.legendre.leggauss(points)
    by_node, by_edge = torch.zeros_like(x), torch.zeros_like(edge_attr)
    for at, share in zip(0.5 * (where + 1), 0.5 * weight, strict=True):
        node, edge = _gradients(fields, base + at * (x - base), at * edge_attr)
        by_node, by_edge = by_node + share * node, by_edge + share * edge
    by_node, by_edge = by_node * (x - base), by_edge * edge_attr
    with torch.no_grad():
        mean = fields.fold.mean(fields.output()) - fields.fold.mean(fields.output(base, torch.zeros_like(edge_attr)))
    total = np.bincount(fields.of, by_node.sum(dim=1).numpy(), len(fields))
    total += np.bincount(fields.of_edge, by_edge.sum(dim=1).numpy(), len(fields))
    return _of_edges(fields, by_node, by_edge), mean[fields.centres] - fields.fold.unit * total


def _gradients(fields: Fields, x: Tensor, edge_attr: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of each centre's prediction, in the model's unit, in x [n, F] and edge_attr [m, D]."""
    x, edge_attr = x.detach().requires_grad_(), edge_attr.detach().requires_grad_()
    summed = fields.output(x, edge_attr).mean[torch.from_numpy(fields.centres), 0].sum()
    by_node, by_edge = torch.autograd.grad(summed, (x, edge_attr), allow_unused=True)
    return (
        torch.zeros_like(x) if by_node is None else by_node,
        torch.zeros_like(edge_attr) if by_edge is None else by_edge,
    )


def _of_edges(fields: Fields, by_node: Tensor, by_edge: Tensor, every: bool = False) -> np.ndarray:
    """Sums over features for each edge into a centre, in the target's unit: those of the edge and of its source."""
    near = torch.arange(len(fields.edge)) if every else torch.from_numpy(np.flatnonzero(fields.near))
    source = torch.from_numpy(fields.edge_index[0])[near]
    return fields.fold.unit * (by_node.sum(dim=1)[source] + by_edge.sum(dim=1)[near]).double().numpy()


def learned_mask(fields: Fields, seed: int = 0, steps: int = MASK_STEPS) -> np.ndarray:
    """For each edge into a centre, the probability [E] to be kept by a mask that keeps the prediction with few edges.

    GNNExplainer reads its mask as a random graph in which edges are there independently; here that graph is drawn
    rather than averaged inside the network, so that the method is the same for every model. For each centre the mask p
    minimises E[(change of the prediction)^2] / (change without any edge)^2 + MASK_SIZE x mean(p), by gradients from
    pairs of draws (ARM, Yin & Zhou 2019, arXiv 1807.11143).
    """
    rng = np.random.default_rng(seed)
    return np.concatenate([_mask(part, rng, steps) for part in fields.parts()]) if len(fields) else np.empty(0)


def _mask(fields: Fields, rng: np.random.Generator, steps: int) -> np.ndarray:
    near = np.flatnonzero(fields.near)
    field = fields.of_edge[near]
    count = np.maximum(np.bincount(field, minlength=len(fields)), 1)[field]
    everything = np.ones((2, len(fields.edge)), dtype=bool)
    everything[1, near] = False
    before, empty = fields.predict(everything)
    scale = np.maximum((empty - before) ** 2, 1e-12 * max(fields.fold.unit**2, 1e-300))[field]
    logits = np.zeros(len(near))
    mean_square = np.zeros(len(near))
    for step in range(steps):
        drawn = rng.random((MASK_DRAWS, len(near)))
        kept = 1 / (1 + np.exp(-logits))
        keep = np.repeat(everything[:1], 2 * MASK_DRAWS, axis=0)
        keep[:MASK_DRAWS, near] = drawn > 1 - kept
        keep[MASK_DRAWS:, near] = drawn < kept
        loss = ((fields.predict(keep) - before) ** 2)[:, field] / scale
        change = loss[:MASK_DRAWS] - loss[MASK_DRAWS:]
        gradient = (change * (drawn - 0.5)).mean(axis=0) + MASK_SIZE * kept * (1 - kept) / count
        mean_square = 0.9 * mean_square + 0.1 * gradient**2
        size = np.sqrt(mean_square / (1 - 0.9 ** (step + 1))) + 1e-8
        logits -= MASK_RATE * (1 - step / steps) * gradient / size
        np.clip(logits, -8, 8, out=logits)
    return 1 / (1 + np.exp(-logits))
