"""Muon: momentum whose update is orthogonalised, for convolution kernels.

Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the update scaled to
the size of an Adam update as in "Muon is scalable for LLM training" (Liu et al. 2025), so that one learning rate
serves both. torch.optim.Muon takes matrices only; a kernel is used here as the matrix (channels, rest).

Why: in one run each of 170 s on one core (batch 4, learning rates 2e-3 and 1e-3, neither tuned, on crops of training
pictures) the image codec's loss came to 1.83 with it and to 4.38 with Adam. A tuned Adam was not tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch


def orthogonalised(gradient: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """About the nearest semi-orthogonal matrix to (rows, columns) float32, by Newton-Schulz iterations (Jordan 2024).

    Each iteration multiplies by a polynomial of the Gram matrix; iterating on that small matrix and multiplying the
    long one once at the end is the same in exact arithmetic and three times cheaper for kernels.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = gradient.shape[0] > gradient.shape[1]
    matrix = gradient.T if tall else gradient
    matrix = matrix / (matrix.norm() + 1e-7)
    gram = matrix @ matrix.T
    identity = torch.eye(len(gram))
    total = identity
    for _ in range(steps):
        polynomial = a * identity + b * gram + c * gram @ gram
        total = polynomial @ total
        gram = polynomial @ gram @ polynomial
    result: torch.Tensor = total @ matrix
    return result.T if tall else result


class Muon(torch.optim.Optimizer):
    """For parameters of at least two dimensions; the first is the matrix's row."""

    def __init__(self, params: Iterable[torch.Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        if closure is not None:
            raise TypeError("Muon takes no closure")
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is None:
                    continue
                state = self.state[kernel]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(kernel)
                state["momentum"].lerp_(kernel.grad, 1 - group["momentum"])
                nesterov = kernel.grad.lerp(state["momentum"], group["momentum"])
                update = orthogonalised(nesterov.reshape(kernel.shape[0], -1))
                kernel.add_(update.reshape(kernel.shape), alpha=-group["lr"] * 0.2 * math.sqrt(max(update.shape)))
        return None
