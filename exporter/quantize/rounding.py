"""Rounds a layer's weights to their grids so that its sums over the calibration stay close, not each weight by itself.

Frantar et al., "GPTQ" (ICLR 2023), which is optimal brain surgery (Hassibi and Stork, 1993) with a fixed order: after a
weight is rounded, those not yet rounded make up for its error as far as the inputs are correlated. The weights start
at the least-squares solution for the inputs as the integer path has them, so that the layer also makes up for what the
layers before it have rounded. A transposed convolution is one such problem per stride phase: no tap is in two phases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from nvc_check.exporter.network.torch_layers import Layer

Float64 = NDArray[np.float64]

DAMPING = 0.05  # of the mean of the inputs' second moments, on the diagonal
BLOCK = 64  # weights whose errors the rest makes up for at once
POSITIONS = 30_000  # input positions that the moments are taken over, about


@dataclass(frozen=True)
class Phase:
    """Output positions stride * n + (row, column) and the taps that meet there.

    Attributes:
        pixels: (T,) places of the patch around input position n, row by row.
        taps: (T, 2) row and column of the kernel that multiply them.
    """

    row: int
    column: int
    pixels: NDArray[np.int64]
    taps: NDArray[np.int64]


@dataclass(frozen=True)
class Moments:
    """Of one phase: inputs x (F,) and wanted sums t (O,), F = channels x taps.

    Attributes:
        second: (F, F) covariance of x.
        cross: (O, F) covariance of t and x.
        inputs, sums: (F,), (O,) means.
    """

    second: Float64
    cross: Float64
    inputs: Float64
    sums: Float64


def phases(layer: Layer) -> tuple[int, list[Phase]]:
    """(side of the patch, the phases of `layer`); a convolution has one."""
    size = layer.weight.shape[2]
    if not layer.transposed:
        grid = np.array([(row, column) for row in range(size) for column in range(size)])
        return size, [Phase(0, 0, np.arange(size * size), grid)]
    # output stride * n + p reads input n + d with tap p + padding - stride * d
    reach = max(
        abs(d)
        for d in range(-size, size + 1)
        for p in range(layer.stride)
        if 0 <= p + layer.padding - layer.stride * d < size
    )
    side, found = 2 * reach + 1, []
    for row in range(layer.stride):
        for column in range(layer.stride):
            pairs = [
                (r * side + c, a, b)
                for r in range(side)
                for c in range(side)
                if 0 <= (a := row + layer.padding - layer.stride * (r - reach)) < size
                and 0 <= (b := column + layer.padding - layer.stride * (c - reach)) < size
            ]
            table = np.array(pairs, np.int64).reshape(-1, 3)
            found.append(Phase(row, column, table[:, 0], table[:, 1:]))
    return side, found


def gather_moments(layer: Layer, inputs: list[Float64], wanted: list[Float64]) -> list[Moments]:
    """Per phase of `layer`.

    Args:
        inputs: (1, C_in, h, w) each, as the integer path has them.
        wanted: (1, C_out, H, W) each, the sums that the layer should give.
    """
    side, all_phases = phases(layer)
    total = sum(x.shape[2] * x.shape[3] for x in inputs)
    step = max(1, round((total / POSITIONS) ** 0.5))
    count = layer.in_channels * side * side
    second, first = np.zeros((count, count)), np.zeros(count)
    cross = [np.zeros((layer.out_channels, count)) for _ in all_phases]
    sums = [np.zeros(layer.out_channels) for _ in all_phases]
    number = 0
    for patches, targets in _samples(layer, side, all_phases, inputs, wanted, step):
        second += patches @ patches.T  # numpy computes one half of it
        first += patches.sum(1)
        number += patches.shape[1]
        for i, target in enumerate(targets):
            cross[i] += target @ patches.T
            sums[i] += target.sum(1)
    mean = first / number
    covariance = second / number - np.outer(mean, mean)
    moments = []
    for phase, product, total_sums in zip(all_phases, cross, sums, strict=True):
        where = (np.arange(layer.in_channels)[:, None] * side * side + phase.pixels).reshape(-1)
        mean_sums = total_sums / number
        both = product[:, where] / number - np.outer(mean_sums, mean[where])
        moments.append(Moments(covariance[np.ix_(where, where)], both, mean[where], mean_sums))
    return moments


def _samples(
    layer: Layer, side: int, all_phases: list[Phase], inputs: list[Float64], wanted: list[Float64], step: int
) -> Iterator[tuple[Float64, list[Float64]]]:
    """The patches (F, S) of every step-th row and column, and per phase the wanted sums there (O, S)."""
    padding, stride = (side // 2, 1) if layer.transposed else (layer.padding, layer.stride)
    apart = step * (layer.stride if layer.transposed else 1)
    for x, t in zip(inputs, wanted, strict=True):
        patches = functional.unfold(torch.from_numpy(x), side, padding=padding, stride=step * stride)[0].numpy()
        yield patches, [t[0, :, p.row :: apart, p.column :: apart].reshape(t.shape[1], -1) for p in all_phases]


def refitted(weight: Float64, moments: Moments, damping: float = DAMPING) -> Float64:
    """(O, F) weights of least squares for the wanted sums, drawn to `weight` where the inputs say little."""
    damped = moments.second + _damping(moments, damping) * np.eye(len(moments.second))
    missing = moments.cross - weight @ moments.second
    change: Float64 = np.linalg.solve(damped, missing.T).T
    return weight + change


def rounded(
    weight: Float64, exponent: Float64, largest: NDArray[np.int64], moments: Moments, damping: float = DAMPING
) -> Float64:
    """(O, F) integers: `weight` on the grids 2^exponent (O,), at most `largest` (F,) in magnitude."""
    order = np.argsort(-np.diag(moments.second), kind="stable")
    damped = moments.second[np.ix_(order, order)] + _damping(moments, damping) * np.eye(len(order))
    # rows of the upper Cholesky factor of the inverse: how the rest makes up for each weight
    inverse = np.linalg.inv(damped)
    upper = np.linalg.cholesky((inverse + inverse.T) / 2).T
    left = weight[:, order] / np.exp2(exponent)[:, None]
    integers = np.zeros_like(left)
    for start in range(0, len(order), BLOCK):
        block = slice(start, min(start + BLOCK, len(order)))
        errors = np.zeros_like(left[:, block])
        for i in range(block.start, block.stop):
            integers[:, i] = np.clip(np.rint(left[:, i]), -largest[order[i]], largest[order[i]])
            errors[:, i - start] = (left[:, i] - integers[:, i]) / upper[i, i]
            left[:, i : block.stop] -= np.outer(errors[:, i - start], upper[i, i : block.stop])
        left[:, block.stop :] -= errors @ upper[block, block.stop :]
    result: Float64 = np.empty_like(integers)
    result[:, order] = integers
    return result


def _damping(moments: Moments, damping: float) -> float:
    mean = float(np.trace(moments.second)) / len(moments.second)
    return damping * max(mean, 1e-9)
