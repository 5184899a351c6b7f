"""The loss: a Gaussian negative log-likelihood whose weights keep the mean from being starved (beta-NLL).

Seitzer et al. 2022 (arXiv 2203.09168). Natural logarithms throughout; sigma is in the unit of the target.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

BETA = 0.5  # the value its authors recommend; 0 is the plain likelihood, 1 the gradient of a squared error for the mean


def gaussian_nll(mean: Tensor, log_variance: Tensor, target: Tensor, beta: float = 0.0) -> Tensor:
    """Mean over rows and targets of variance^beta * (log variance + residual^2 / variance + log 2 pi) / 2, a scalar.

    mean, log_variance, target: [N, T]. The factor variance^beta carries no gradient; beta = 0 is the likelihood itself.
    """
    nll = 0.5 * (log_variance + (target - mean).square() * (-log_variance).exp() + math.log(2 * math.pi))
    if beta:
        nll = nll * (beta * log_variance.detach()).exp()
    return nll.mean()


def class_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean over rows of -ln of the true class's probability. logits: [N, C]; truth: [N, 1], class numbers."""
    return functional.cross_entropy(logits, truth[:, 0].long())


def pair_loss(logit: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Mean over pairs of -w ln of the probability of what is true. logit, truth (0 or 1): [P, 1].

    weights: [2] of the pairs apart and together, such that both kinds weigh the same in all; see `balance`.
    """
    each = functional.binary_cross_entropy_with_logits(logit, truth, reduction="none")
    return (each * weights[truth.long()]).mean()


def balance(truth: Tensor) -> Tensor:
    """[2]: the weights of pairs apart and together with which either kind is half of the whole. truth: [P, 1]."""
    together = truth.mean()
    return torch.stack([0.5 / (1 - together), 0.5 / together])


def sigma_scale(mean: Tensor, log_variance: Tensor, target: Tensor) -> Tensor:
    """The factor [T] on sigma that makes standardised residuals have unit variance (the likelihood's own optimum).

    Meant for rows the weights were not fitted to: an over-fitted model is over-confident (Levi et al. 2022, arXiv
    1905.11659).
    """
    standardised = (target - mean) * (-0.5 * log_variance).exp()
    return torch.sqrt(standardised.square().mean(dim=0)).clamp(min=1e-3)
