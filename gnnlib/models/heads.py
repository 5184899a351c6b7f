"""rho: from the concatenated node states to a mean and a log-variance a target (Wu & Jespersen 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LOG_VARIANCE_LIMIT = 12.0  # sigma stays between e^-6 and e^6 standard deviations of the target


class GaussianHead(nn.Module):
    """rho: states [N, width] -> mean [N, T], log-variance [N, T] (natural logarithm).

    `sigma_scale` [T] multiplies sigma. It is 1 during training and set once afterwards from the validation rows
    (`gnnlib.training.loss.sigma_scale`), and it travels with the weights.
    """

    sigma_scale: Tensor

    def __init__(self, width: int, hidden: int, n_targets: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.rho = nn.Sequential(
            nn.Linear(width, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, 2 * n_targets)
        )
        self.register_buffer("sigma_scale", torch.ones(n_targets))

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = self.rho(states).chunk(2, dim=-1)
        log_variance = _LOG_VARIANCE_LIMIT * torch.tanh(raw / _LOG_VARIANCE_LIMIT)
        return mean, log_variance + 2 * self.sigma_scale.log()
