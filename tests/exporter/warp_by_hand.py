"""The integer warp in int64: the specification in exporter/warp.py, read again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
LEVELS = 6
FLOW_EXPONENT, SCALE_EXPONENT = -16, -13
KERNEL = [2, 9, 28, 55, 68, 55, 28, 9, 2]


def half_up(numerator: Any, bits: int) -> Any:
    return (numerator + (1 << bits - 1)) >> bits


def blurred(picture: Ints) -> Ints:
    for axis, bits in ((2, 7), (1, 9)):
        reach = len(KERNEL) // 2
        padded = np.pad(picture, [(reach, reach) if i == axis else (0, 0) for i in range(3)], mode="edge")
        length = picture.shape[axis]
        taps = (k * np.take(padded, range(i, i + length), axis=axis) for i, k in enumerate(KERNEL))
        picture = half_up(sum(taps), bits)
    return picture


def bilinear_shares(share: Ints, y: Ints, x: Ints) -> Ints:
    """(4, n): share / 16 of 2048, divided bilinearly; rounded down, the largest remainders up, first ones first."""
    exact = np.stack([(32 - y) * (32 - x), (32 - y) * x, y * (32 - x), y * x]) * share
    down, rest = exact // 8, exact % 8
    missing = 128 * share - down.sum(axis=0)
    for _ in range(3):
        chosen = np.argmax(rest, axis=0)
        take = missing > 0
        down[chosen[take], np.flatnonzero(take)] += 1
        rest[chosen, np.arange(len(share))] = -1
        missing = missing - take
    assert not missing.any()
    return down


def int64_warp(reference: Ints, flow: Ints, scale: Ints, shifts: tuple[int, int] | None = None) -> Ints:
    """Quarter steps (3, H, W) from integers.

    Args:
        shifts: (multiplier, bits) from flow integers to 1/32 pixel; None for flow in halves of the picture.
    """
    height, width = reference.shape[1:]
    volume = [4 * reference, blurred(4 * reference)]
    for _ in range(2, LEVELS):
        x = volume[-1]
        quads = x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]
        volume.append(blurred(half_up(quads, 2)))
    positions = []
    for axis, side, line in ((0, width, np.arange(width)), (1, height, np.arange(height)[:, None])):
        multiplier, bits = shifts or (16 * side, -FLOW_EXPONENT)
        moved = 32 * line + half_up(flow[axis] * multiplier, bits)
        positions.append(np.clip(moved, 0, 32 * (side - 1)).reshape(-1))
    # 16 * ((scale + 1) * 6 - 1) / 2 = 48 scale + 40
    position = np.clip(half_up(48 * scale.reshape(-1), -SCALE_EXPONENT) + 40, 0, 16 * (LEVELS - 1))
    lower = np.minimum(position // 16, LEVELS - 2)
    total = np.zeros((3, height * width), np.int64)
    for level, picture in enumerate(volume):
        for here, share in ((lower == level, 16 * lower + 16 - position), (lower == level - 1, position - 16 * lower)):
            x, y = (((p[here] + 16) >> max(level - 1, 0)) - 16 for p in positions)
            weights = bilinear_shares(share[here], y & 31, x & 31)
            for index, weight in enumerate(weights):
                row = np.clip((y >> 5) + index // 2, 0, picture.shape[1] - 1)
                column = np.clip((x >> 5) + index % 2, 0, picture.shape[2] - 1)
                total[:, here] += weight * picture[:, row, column]
    assert total.max(initial=0) <= 2048 * 1020
    return half_up(total, 11).reshape(reference.shape)
