"""What the baselines are given in one fold: of objects, of pairs, of whole graphs, each in a few ways.

Everything of a training example comes from the fold's training graph and everything of a test example from its
inference graph, as for the network: a baseline sees no test rows while it learns, no training rows while it is tested.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from gnnlib.graph.graph import Graph
from gnnlib.training.baselines import Inputs
from gnnlib.training.data import TrainingData, mass_like
from gnnlib.training.neighbourhood import Neighbourhood
from gnnlib.training.splits import Fold

_SHORTEST = 1e-6  # of a distance in a logarithm, in units of the median one


class HandMade:
    """What one fold's baselines are given of the examples to learn from (train and validation) and of those tested."""

    def __init__(self, data: TrainingData, fold: Fold) -> None:
        self.data, self.fold = data, fold
        self.known, self.tested = data.examples(fold.train | fold.validation), data.examples(fold.test)

    @property
    def truth(self) -> np.ndarray:
        """Of the examples to learn from: [K], or [K, T]; classes as integers."""
        truth = self.data.target[self.known]
        return truth.astype(np.int64) if self.data.classes else truth

    def __call__(self, inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
        """[K, F'] to learn from and [t, F'] to be tested; `baselines.INPUTS` says what they are."""
        data = self.data
        if inputs == "neighbours":
            rows, tested = self.nodes(inputs)
            in_training, in_inference = self.fold.training_graph, self.fold.inference_graph
            return rows[self.known[in_training]], tested[self.tested[in_inference]]
        if data.pairs is not None:
            return tuple(_of_pairs(data.pairs, data.features, chosen, inputs) for chosen in (self.known, self.tested))  # type: ignore[return-value]
        if data.graph_of is not None:
            values = _of_graphs(data.graph_of, data.features, inputs)
        else:
            values = data.features[:, mass_like(data.spec, data.catalog)] if inputs == "mass" else data.features
        return values[self.known], values[self.tested]

    def nodes(self, inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
        """Features of all nodes of the training and of the inference graph, for what the network's loop trains."""
        own = (self.data.features[self.fold.training_graph], self.data.features[self.fold.inference_graph])
        if inputs != "neighbours":
            return own
        return tuple(np.column_stack(both) for both in zip(own, self._around, strict=True))  # type: ignore[return-value]

    @cached_property
    def _around(self) -> tuple[np.ndarray, np.ndarray]:
        data, fold = self.data, self.fold
        inside, seen = fold.training_graph, fold.inference_graph
        training, inference = data.graph.subgraph(inside), data.graph.subgraph(seen)
        told = Neighbourhood.fit(training, data.features[inside], fold.train[inside])
        return told.describe(training, data.features[inside]), told.describe(inference, data.features[seen])


def _of_pairs(pairs: Graph, features: np.ndarray, chosen: np.ndarray, inputs: Inputs) -> np.ndarray:
    """[p, F'], the same for (a, b) and (b, a): log distance; and the sums and differences of the ends' features."""
    lengths = pairs.lengths[chosen]
    separation = np.log10(np.maximum(lengths / np.median(pairs.lengths), _SHORTEST))[:, None]
    if inputs == "separation":
        return separation
    one, other = features[pairs.edge_index[0, chosen]], features[pairs.edge_index[1, chosen]]
    return np.column_stack([separation, one + other, np.abs(one - other), pairs.edge_features[chosen]])


def _of_graphs(graph_of: np.ndarray, features: np.ndarray, inputs: Inputs) -> np.ndarray:
    """[G, F']: log number of members; and the mean, least, largest, summed feature and its spread among them."""
    size = np.log10(np.bincount(graph_of))[:, None]
    if inputs == "count":
        return size
    members = pd.DataFrame(features).groupby(graph_of)
    parts = [getattr(members, name)() for name in ("mean", "min", "max", "sum")]
    return np.column_stack([size, *parts, members.std(ddof=0).fillna(0.0)])
