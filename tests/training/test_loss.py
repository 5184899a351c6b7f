"""The likelihood against torch's own, and the uncertainties it teaches against noise that is known."""

from __future__ import annotations

import math

import numpy as np
import torch

from gnnlib.training.loss import gaussian_nll, sigma_scale


def random_case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mean, log_variance, target = (torch.randn(50, 2, generator=generator, dtype=torch.float64) for _ in range(3))
    return mean.requires_grad_(), log_variance.requires_grad_(), target


def test_without_beta_it_is_torchs_gaussian_likelihood() -> None:
    mean, log_variance, target = random_case()
    expected = torch.nn.GaussianNLLLoss(full=True, eps=1e-12)(mean, target, log_variance.exp())
    torch.testing.assert_close(gaussian_nll(mean, log_variance, target), expected)


def test_beta_weighs_the_gradients_by_the_variance_alone() -> None:
    """Seitzer et al. 2022, equations 9 and 10: both gradients are those of the likelihood times sigma^(2 beta)."""
    mean, log_variance, target = random_case()
    plain = torch.autograd.grad(gaussian_nll(mean, log_variance, target), (mean, log_variance))
    weighted = torch.autograd.grad(gaussian_nll(mean, log_variance, target, beta=0.5), (mean, log_variance))
    for gradient, expected in zip(weighted, plain, strict=True):
        torch.testing.assert_close(gradient, expected * (0.5 * log_variance.detach()).exp())


def test_at_beta_one_the_mean_learns_as_from_a_squared_error() -> None:
    mean, log_variance, target = random_case()
    (gradient,) = torch.autograd.grad(gaussian_nll(mean, log_variance, target, beta=1.0), mean)
    torch.testing.assert_close(gradient, (mean - target).detach() / mean.numel())


def test_noise_that_grows_along_the_input_is_recovered() -> None:
    """y = x + sigma(x) noise with ln sigma = -1 + x: the two lines of the fit are those of the recipe."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(20_000, 1, generator=generator, dtype=torch.float64) * 2 - 1
    y = x + (x - 1).exp() * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    line = torch.nn.Linear(1, 2).double()
    optimizer = torch.optim.LBFGS(line.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = gaussian_nll(line(x)[:, :1], line(x)[:, 1:], y)
        loss.backward()
        return loss

    optimizer.step(closure)
    slope, offset = line.weight.detach().flatten().numpy(), line.bias.detach().numpy()
    np.testing.assert_allclose([slope[0], offset[0]], [1.0, 0.0], atol=0.02)
    np.testing.assert_allclose([slope[1] / 2, offset[1] / 2], [1.0, -1.0], atol=0.03)


def test_the_scale_of_sigma_undoes_over_confidence_target_by_target() -> None:
    generator = torch.Generator().manual_seed(2)
    residual = torch.randn(50_000, 2, generator=generator) * torch.tensor([3.0, 0.5])
    claimed = torch.full((50_000, 2), 2 * math.log(2.0))
    scale = sigma_scale(torch.zeros(50_000, 2), claimed, residual)
    torch.testing.assert_close(scale, torch.tensor([1.5, 0.25]), rtol=0.02, atol=0)
