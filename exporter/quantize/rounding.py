"""Rounds a layer's weights to their grids so that its sums over the calibration stay close, not each weight by itself.

Frantar et al., "GPTQ" (ICLR 2023), which is optimal brain surgery (Hassibi and Stork, 1993) with a fixed order: after a
weight is rounded, those not yet rounded make up for its error as far as the inputs are correlated. The weights start
at the least-squares solution for the inputs as the integer path has them, so that the layer also makes up for what the
layers before it have rounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nvc_check.exporter.quantize.moments import Moments

Float64 = NDArray[np.float64]

DAMPING = 0.05  # of the mean of the inputs' second moments, on the diagonal
BLOCK = 64  # weights whose errors the rest makes up for at once
TIE = 2.0**-20  # of a step: that near to a half a weight is a half, or the order of float64 sums would decide


@dataclass(frozen=True)
class Factored:
    """The damped second moments of inputs, S[order][:, order] = (upper^T upper)^-1.

    Attributes:
        order: (F,) of the inputs: those with the largest moments are rounded first.
        upper: (F, F) upper triangular: how the weights that are not yet rounded make up for one that is.
    """

    order: NDArray[np.int64]
    upper: Float64

    @classmethod
    def of(cls, moments: Moments, damping: float = DAMPING) -> Factored:
        order = np.argsort(-np.diag(moments.second), kind="stable")
        mean = float(np.trace(moments.second)) / len(order)
        # R R^T of an upper triangular R, from behind; its inverse is `upper`
        behind = moments.second[np.ix_(order[::-1], order[::-1])]
        behind[np.diag_indices(len(order))] += damping * max(mean, 1e-9)
        lower = torch.linalg.cholesky(torch.from_numpy(behind))
        inverse = torch.linalg.solve_triangular(lower, torch.eye(len(order), dtype=torch.float64), upper=False)
        return cls(order, np.ascontiguousarray(inverse.numpy()[::-1, ::-1]))


def nearest(steps: Float64) -> Float64:
    """The nearest integers, ties to even; what is within TIE of a half is one."""
    whole: Float64 = np.rint(np.rint(steps / TIE) * TIE)
    return whole


def refitted(weight: Float64, moments: Moments, factored: Factored) -> Float64:
    """(O, F) weights of least squares for the wanted sums, drawn to `weight` where the inputs say little."""
    missing = (moments.cross - weight @ moments.second)[:, factored.order]
    changed = weight.copy()
    changed[:, factored.order] += missing @ factored.upper.T @ factored.upper
    return changed


def rounded(weight: Float64, exponent: Float64, largest: NDArray[np.int64], factored: Factored) -> Float64:
    """(O, F) integers: `weight` on the grids 2^exponent (O,), at most `largest` (F,) in magnitude."""
    order, upper = factored.order, factored.upper
    left = weight[:, order] / np.exp2(exponent)[:, None]
    integers = np.zeros_like(left)
    for start in range(0, len(order), BLOCK):
        block = slice(start, min(start + BLOCK, len(order)))
        errors = np.zeros_like(left[:, block])
        for i in range(block.start, block.stop):
            integers[:, i] = np.clip(nearest(left[:, i]), -largest[order[i]], largest[order[i]])
            errors[:, i - start] = (left[:, i] - integers[:, i]) / upper[i, i]
            left[:, i : block.stop] -= np.outer(errors[:, i - start], upper[i, i : block.stop])
        left[:, block.stop :] -= errors @ upper[block, block.stop :]
    result: Float64 = np.empty_like(integers)
    result[:, order] = integers
    return result
