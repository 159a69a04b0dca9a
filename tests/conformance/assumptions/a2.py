"""A2: convolution is direct or GEMM-like. Winograd and FFT leave the grid where sums come near 2^24.

A float 3x3 stride-1 Conv of enough channels and pixels for a runtime to prefer Winograd; its sums reach 0.9 of 2^24.
"""

import numpy as np
from conformance.case import LARGEST, Fixed, f32, fixed, one
from conformance.integers import convolution

RANDOM = np.random.default_rng(2)
CHANNELS = 32


def near_the_bound(side: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """x in [0, 255] and weights in [-127, 127]: half of the outputs sum terms of one sign, half of both."""
    x = RANDOM.integers(0, 256, (1, CHANNELS, side, side))
    weight = RANDOM.integers(-127, 128, (outputs, CHANNELS, 3, 3))
    weight[::2] = np.abs(weight[::2]) // 2 + 63
    x[:, :, :, side // 2 :] |= 224
    return x.astype(np.float32), weight


X, WEIGHT = near_the_bound(24, 16)
TOTAL = convolution(X, WEIGHT, padding=1)
assert 0.3 * LARGEST < TOTAL.max() < LARGEST
FILLED = WEIGHT[:1] * 0 + 127  # 288 taps of 127, raised to 2^24 - 1 by the operand of 11 bits
WIDE = np.where(RANDOM.random(X.shape) < 0.5, 458, 457).astype(np.float32)
FULL = convolution(WIDE, FILLED, padding=1)
assert 0.99 * LARGEST < FULL.max() <= LARGEST
PADDED = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]}
CASES = [
    one("a2/conv_3x3", "Conv", [X, Fixed(f32(WEIGHT)), fixed(np.zeros(16))], f32(TOTAL), **PADDED),
    one("a2/conv_3x3_largest", "Conv", [WIDE, Fixed(f32(np.repeat(FILLED, 16, axis=0))), fixed(np.zeros(16))],
        f32(np.repeat(FULL, 16, axis=1)), **PADDED),
]  # fmt: skip
