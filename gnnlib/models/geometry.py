"""The vectors an equivariant model is given: differences between nodes, so no absolute position can enter."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Geometry(NamedTuple):
    """vectors: [M, 3] position of source minus receiver, minimum image, in the order of the edges, divided by one
    length for the whole fold. velocity: [N, 3] peculiar velocity divided by one speed for the whole fold, or None."""

    vectors: Tensor
    velocity: Tensor | None = None
