"""Codecs as training leaves them, without training: fractional medians, biases, scales and means that say something."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nvc_check.models.codecs.hyperprior import Hyperprior


@torch.no_grad()
def lifelike(hyperprior: Hyperprior, layers: list[nn.Module], seed: int) -> None:
    """Random medians, weights and biases of a hyperprior, in place.

    Args:
        layers: the (transposed) convolutions of its hyper-decoders.
    """
    draw = torch.Generator().manual_seed(seed)
    quantiles = hyperprior.entropy_bottleneck.quantiles
    medians = 6 * torch.rand(len(quantiles), generator=draw) - 3
    quantiles.copy_((medians[:, None] + torch.tensor([-20.0, 0.0, 20.0])).unsqueeze(1))
    hooks = [layer.register_forward_hook(_drawn(draw)) for layer in layers]
    try:
        hyperprior.entropy_parameters(hyper_latents(hyperprior, seed, 8))
    finally:
        for hook in hooks:
            hook.remove()


def _drawn(draw: torch.Generator) -> Any:
    """A hook that gives a layer weights with heavy tails, so that its sums have a deviation of 2, and biases."""

    def draw_layer(layer: Any, inputs: tuple[torch.Tensor], before: torch.Tensor) -> torch.Tensor:
        uniform = torch.rand(layer.weight.shape, generator=draw) - 0.5
        layer.weight.copy_(-torch.sign(uniform) * torch.log1p(-2 * uniform.abs() * 0.9999))  # Laplace
        layer.bias.zero_()
        layer.weight.mul_(2 / layer.forward(*inputs).std())
        layer.bias.copy_(2 * torch.rand(layer.bias.shape, generator=draw))
        made: torch.Tensor = layer.forward(*inputs)
        return made

    return draw_layer


def hyper_latents(hyperprior: Hyperprior, seed: int, side: int) -> NDArray[np.int32]:
    """(1, N, side, side) symbols z, most of them near zero, some far."""
    drawn = np.random.default_rng(seed).laplace(0, 3, (1, hyperprior.entropy_bottleneck.channels, side, side))
    return np.rint(drawn).astype(np.int32)


def latents(scales_hat: NDArray[np.float32], means: NDArray[np.float32] | None, seed: int) -> NDArray[np.float32]:
    """y with the distribution that scales and means state."""
    normal = np.random.default_rng(seed).standard_normal(scales_hat.shape)
    y = normal * np.maximum(scales_hat, 0.11) + (0 if means is None else means)
    return y.astype(np.float32)
