"""One convolution in integers: weights rounded so that its sums over the calibration stay close, biases and grids.

See exporter/quantize/rounding.py for the method. A grouped convolution is one such problem per group.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nvc_check.exporter.network.geometry import Convolution
from nvc_check.exporter.quantize.moments import Moments
from nvc_check.exporter.quantize.rounding import DAMPING, Factored, nearest, refitted, rounded
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.grid import FLOAT32_EXACT, exponent_to_hold

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

FINEST = 15  # bits of a sum below a step of the output: 128 such steps, a zero point, are 2^22
SPLIT_SHARE = 0.5  # of a layer's inputs, that many more at most to split outliers
SPLIT_BITS = 3
LIMIT = FLOAT32_EXACT // 2  # of sums: rounding half to even without a Round operator needs as much again


@dataclass(frozen=True)
class IntegerConvolution:
    """A convolution on its grids, in steps of its output: value = sum * 2^exponent.

    Attributes:
        plain: geometry; its weights are the float ones.
        weight: int64, as `plain.weight`.
        exponent: (O,) of the sums and the weights.
        bias: (O,) int64, in steps of the sums.
    """

    plain: Convolution
    weight: Int64
    exponent: Float64
    bias: Int64

    def sums(self, x: Float64) -> Float64:
        """(1, O, H, W) in steps of the output, of integers x; in float32, exact below LIMIT."""
        made = self.plain.sums(x, self.weight, self.bias, np.float32)
        steps: Float64 = np.exp2(self.exponent).reshape(1, -1, 1, 1)
        return made * steps


def fit(
    plain: Convolution,
    moments: list[Moments],
    reach: int,
    weight_max: int,
    *,
    power_of_two: bool = True,
) -> IntegerConvolution:
    """The integer convolution.

    Args:
        plain: its weights for inputs that are integers, its outputs in steps of the output's grid.
        moments: of each group: of inputs as the integer path has them, and of the sums wanted, in those steps.
        reach: of the inputs, in magnitude.
        power_of_two: off gives ordinary scales, for which no exactness can be shown.

    Raises:
        ExportRefusedError: a bound that cannot hold.
    """
    fitted = _fitted(plain, moments)
    return _integer(plain, fitted, reach, np.full(plain.in_channels, weight_max), power_of_two)


def fit_finely(
    plain: Convolution, moments: list[Moments], weight_max: int, finest: float
) -> tuple[Int64, Float64, Float64]:
    """As `fit`, for weights that are taken apart afterwards: no bound of the sums.

    Args:
        finest: exponent of the finest grid of weights.

    Returns:
        (weights as `plain.weight`, (O,) exponents of their grids, (O,) biases in steps of the output).
    """
    fitted = _fitted(plain, moments)
    limits = np.full((plain.groups, fitted[0].weight.shape[1]), weight_max)
    needed = np.concatenate([np.abs(group.weight).max(axis=1) for group in fitted]) / weight_max
    exponent = np.where(needed > 0, np.maximum(exponent_to_hold(needed, 1), finest), finest)
    weight, bias = _rounded(plain, fitted, exponent, limits)
    return weight, exponent, bias


def fit_split(
    plain: Convolution,
    moments: list[Moments],
    reach: int,
    weight_max: int,
    *,
    power_of_two: bool = True,
) -> tuple[IntegerConvolution, Int64]:
    """As `fit`, and (C,) how often the convolution reads each input channel.

    Channels of outlying weights are read several times with a share of the weights each, so that the grid of all others
    can be finer (outlier channel splitting: Zhao et al., ICML 2019).
    """
    fitted = _fitted(plain, moments)
    copies = _copies(plain, fitted)
    made = _integer(plain, fitted, reach, weight_max * copies, power_of_two)
    # floor(w / n) + floor((w + 1) / n) + ... + floor((w + n - 1) / n) = w
    number = np.concatenate([np.arange(n) for n in copies]).reshape(1, -1, 1, 1)
    shares = np.repeat(copies, copies).reshape(1, -1, 1, 1)
    weight = (np.repeat(made.weight, copies, 1) + number) // shares
    return replace(
        made, weight=weight, plain=replace(plain, weight=np.repeat(plain.weight, copies, 1) / shares)
    ), copies


@dataclass(frozen=True)
class _Group:
    """One group's moments, and its weights (O, F) of least squares, not yet rounded."""

    moments: Moments
    factored: Factored
    weight: Float64


def _fitted(plain: Convolution, moments: list[Moments]) -> list[_Group]:
    groups = plain.weight.reshape(plain.groups, -1, int(np.prod(plain.weight.shape[1:])))
    made = []
    for weight, found in zip(groups, moments, strict=True):
        # few places say little of many weights
        factored = Factored.of(found, DAMPING + groups.shape[2] / found.places)
        made.append(_Group(found, factored, refitted(weight, found, factored)))
    return made


def _by_channel(plain: Convolution, group: _Group) -> Float64:
    """(O, C / groups) the largest |w| of each input channel."""
    taps = int(np.prod(plain.weight.shape[2:]))
    largest: Float64 = np.abs(group.weight).reshape(len(group.weight), -1, taps).max(axis=2)
    return largest


def _copies(plain: Convolution, fitted: list[_Group]) -> Int64:
    """(C,) how often to read each input channel, so that as many bits as possible are won for all weights."""
    assert len(fitted) == 1
    largest = _by_channel(plain, fitted[0])
    limit = np.maximum(largest.max(axis=1, keepdims=True), 1e-30)
    for bits in range(SPLIT_BITS, 0, -1):
        # a hair's breadth less than the limit needs no copy: powers of two come from float64 arithmetic
        copies: Int64 = np.ceil((largest * 2.0**bits / limit).max(axis=0) - 1e-6).astype(np.int64)
        copies = np.maximum(copies, 1)
        if copies.sum() - plain.in_channels <= SPLIT_SHARE * plain.in_channels:
            return copies
    return np.ones(plain.in_channels, np.int64)


def _integer(
    plain: Convolution, fitted: list[_Group], reach: int, largest: Int64, power_of_two: bool
) -> IntegerConvolution:
    """Weights up to `largest` (C,), on grids as fine as that and the bound of the sums allow."""
    taps = int(np.prod(plain.weight.shape[2:]))
    limits = np.repeat(largest, taps).reshape(plain.groups, -1)
    needed = np.concatenate(
        [
            (_by_channel(plain, group) / limit.reshape(-1, taps)[:, 0]).max(axis=1)
            for group, limit in zip(fitted, limits, strict=True)
        ]
    )
    exponent: Float64 = np.maximum(exponent_to_hold(needed, 1, power_of_two), -float(FINEST))
    exponent[needed == 0] = -FINEST  # a filter may be zero
    bound = np.zeros(0)
    for _ in range(64):
        weight, shift = _rounded(plain, fitted, exponent, limits)
        bias = nearest(shift / np.exp2(exponent)).astype(np.int64)
        bound = np.abs(weight).reshape(len(weight), -1).sum(axis=1) * reach + np.abs(bias)
        over = bound >= LIMIT
        if not over.any():
            return IntegerConvolution(plain, weight, exponent, bias)
        more: Float64 = np.ceil(np.log2(np.maximum(bound / LIMIT, 1)))
        exponent = exponent + np.where(over, np.maximum(more, 1.0), 0.0)
    raise ExportRefusedError(
        f"sums reach {float(bound.max()):.3g} steps, expected less than 2^23: its outputs differ too much in size;"
        " scale the layers' channels alike"
    )


def _rounded(plain: Convolution, fitted: list[_Group], exponent: Float64, limits: Int64) -> tuple[Int64, Float64]:
    """(weights up to `limits` (groups, F) on the grids, (O,) biases in steps of the output)."""
    weights, biases = [], []
    for group, limit, steps in zip(fitted, limits, exponent.reshape(plain.groups, -1), strict=True):
        integers = rounded(group.weight, steps, limit, group.factored)
        weights.append(integers)
        # the mean error of the sums, which rounding leaves, is taken back
        biases.append(group.moments.sums - (integers * np.exp2(steps)[:, None]) @ group.moments.inputs)
    return np.concatenate(weights).reshape(plain.weight.shape).astype(np.int64), np.concatenate(biases)
