"""ConvTranspose: 5x5, stride 2, padding 2, output_padding 1, with float weights."""

import numpy as np
from conformance.case import LARGEST, Fixed, f32, fixed, one
from conformance.integers import WEIGHTS_127, transposed_convolution

RANDOM = np.random.default_rng(12)
GEOMETRY = {"kernel_shape": [5, 5], "strides": [2, 2], "pads": [2, 2, 2, 2], "output_padding": [1, 1]}
PICTURE = RANDOM.integers(0, 256, (1, 5, 4, 7)).astype(np.float32)
WEIGHT = RANDOM.integers(-127, 128, (5, 3, 5, 5))
BIAS = np.array([9, -100000, 0])
KERNEL = np.arange(1, 26).reshape(1, 1, 5, 5)
DOT = np.zeros((1, 1, 3, 3), np.float32)
DOT[0, 0, 1, 1] = -1
# an output of even row and column sums nine taps of 58 channels: 519 weights and three of 0
NINE = np.zeros((58, 1, 5, 5), np.int64)
NINE[:, 0, ::2, ::2] = np.array([*WEIGHTS_127, 0, 0, 0]).reshape(58, 3, 3)
FULL = np.full((1, 58, 4, 4), 255, np.float32)
LARGE = transposed_convolution(FULL, NINE)
assert LARGE.max() == LARGEST and LARGE[0, 0, 4, 4] == LARGEST
SPREAD = np.zeros((1, 1, 6, 6), np.float32)
SPREAD[0, 0, :5, :5] = -KERNEL[0, 0]
CASES = [
    one("convtranspose/kernel", "ConvTranspose", [DOT, Fixed(f32(KERNEL)), fixed([0])], SPREAD, **GEOMETRY),
    one("convtranspose/largest", "ConvTranspose", [FULL, Fixed(f32(NINE)), fixed([0])], f32(LARGE), **GEOMETRY),
    one("convtranspose/lowest", "ConvTranspose", [FULL, Fixed(f32(-NINE)), fixed([0])], f32(-LARGE), **GEOMETRY),
    one("convtranspose/dyadic", "ConvTranspose", [PICTURE, Fixed(f32(WEIGHT * 2.0**-11)), fixed(BIAS * 2.0**-11)],
        f32(transposed_convolution(PICTURE, WEIGHT, BIAS) * 2.0**-11), **GEOMETRY),
    one("convtranspose/zero", "ConvTranspose", [PICTURE * 0, Fixed(f32(WEIGHT)), fixed([0, 0, 0])],
        np.zeros((1, 3, 8, 14), np.float32), **GEOMETRY),
]  # fmt: skip
