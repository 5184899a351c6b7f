"""A fold in space: which rows train, watch, are set aside as a buffer, and are tested."""

from __future__ import annotations

import numpy as np

from gnnlib.training.data import TrainingData
from gnnlib.training.splits import PARTS
from gnnlib.view.colors import Colors
from gnnlib.view.scene import Scene, graph_scene


def fold_scene(data: TrainingData, number: int) -> Scene:
    """The run's graph with its rows coloured by their part of a fold, numbered from 0."""
    parts = data.folds[number].parts().astype(np.float32)
    colors = Colors(parts, f"fold {number + 1}", (0.0, len(PARTS) - 1.0), categories=PARTS)
    return graph_scene(data.graph, data.catalog, color_by=colors, size_by=np.zeros(len(parts)))
