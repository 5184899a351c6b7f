"""Several networks of one fold as one: they differ by their seed only, and how they differ is uncertainty as well.

By the law of total variance the variance of the whole is the mean of the members' variances (scatter of the data, as
each sees it) plus the variance of their means (what the training left open); Lakshminarayanan et al. 2017 (arXiv
1612.01474). Probabilities are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gnnlib.training.loop import Prediction


def together(members: Sequence[Prediction]) -> Prediction:
    """One prediction from those of the members for the same examples; the attention is the first member's."""
    if len(members) == 1:
        return members[0]
    means = np.stack([member.mean for member in members])
    sigmas, sigma = [member.sigma for member in members if member.sigma is not None], None
    if sigmas:
        variances = np.square(np.stack(sigmas))
        sigma = np.sqrt(variances.mean(axis=0) + means.var(axis=0))
    return Prediction(means.mean(axis=0), sigma, members[0].attention)
