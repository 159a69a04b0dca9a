"""Convolutions of integers, in int64, as their definition says; slow."""

from __future__ import annotations

from typing import Any

import numpy as np
from conformance.case import LARGEST
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]
# 255 * (127 * 518 + 7) = 255 * (64 * 1028 + 1) = 2^24 - 1: with inputs of 255, the largest accumulator there may be
WEIGHTS_127 = [127] * 518 + [7]
WEIGHTS_64 = [64] * 1028 + [1]
assert 255 * sum(WEIGHTS_127) == 255 * sum(WEIGHTS_64) == LARGEST


def convolution(
    x: Array, weight: Array, bias: Any = 0, strides: tuple[int, int] = (1, 1), padding: int = 0
) -> NDArray[np.int64]:
    """x (N, C, H, W), weight (O, C, k, k), bias (O,) or 0; float arrays must hold integers."""
    padded = np.pad(x.astype(np.int64), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    sides: Any = (2, 3)
    windows = sliding_window_view(padded, weight.shape[2:], axis=sides)[:, :, :: strides[0], :: strides[1]]
    return np.einsum("nchwij,ocij->nohw", windows, weight.astype(np.int64)) + _by_channel(bias)


def transposed_convolution(x: Array, weight: Array, bias: Any = 0) -> NDArray[np.int64]:
    """Stride 2, padding 2, output_padding 1: x (N, C, H, W), weight (C, O, 5, 5) to twice the size."""
    n, _, height, width = x.shape
    total = np.zeros((n, weight.shape[1], 2 * height + 3 + 1, 2 * width + 3 + 1), np.int64)
    for row in range(height):
        for column in range(width):
            spread = np.einsum("nc,coij->noij", x[:, :, row, column].astype(np.int64), weight.astype(np.int64))
            total[:, :, 2 * row : 2 * row + 5, 2 * column : 2 * column + 5] += spread
    return total[:, :, 2 : 2 + 2 * height, 2 : 2 + 2 * width] + _by_channel(bias)


def half_to_even(numerator: Array, shift: int) -> NDArray[np.int64]:
    """numerator / 2^shift, ties to the even neighbour."""
    integers = numerator.astype(np.int64)
    floor = integers >> shift
    twice = 2 * (integers - (floor << shift))
    return floor + ((twice > 1 << shift) | ((twice == 1 << shift) & (floor % 2 == 1)))


def saturated(values: Array, zero_point: int = 0) -> NDArray[np.int64]:
    """As uint8, without its zero point."""
    return np.clip(values + zero_point, 0, 255) - zero_point


def _by_channel(bias: Any) -> Array:
    return np.asarray(bias, np.int64).reshape(-1, 1, 1)
