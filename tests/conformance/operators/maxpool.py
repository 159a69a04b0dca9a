"""MaxPool: the largest of a window; what lies outside does not count, however negative the rest is."""

import numpy as np
from conformance.case import LARGEST, chain, f32, fixed, in_company, node

X = f32([[[[1, -2, 7, 0], [LARGEST, 0.5, -3, -8], [-1, -1, -2, -4], [-9, -6, -5, -0.25]]]])
CODES = np.array([[[[0, 255, 128, 3], [7, 9, 127, 129]]]], np.uint8)
CASES = [
    in_company("maxpool/stride", "MaxPool", [X], f32([[[[LARGEST, 7], [-1, -0.25]]]]),
        kernel_shape=[2, 2], strides=[2, 2]),
    in_company("maxpool/borders", "MaxPool", [-np.abs(X)], f32([[[[-0.5, 0], [-0.5, -0.25]]]]),
        kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 1]),
    in_company("maxpool/row", "MaxPool", [X],
        f32([[[[1, 7, 7], [LARGEST, 0.5, -3], [-1, -1, -2], [-6, -5, -0.25]]]]), kernel_shape=[1, 2]),
    chain(
        "maxpool/uint8",
        [
            node("MaxPool", "x", "largest", kernel_shape=[2, 2], strides=[2, 2], pads=[1, 0, 1, 0]),
            node("Cast", "largest", "real", to=1), node("Mul", "real two", "doubled"),
            node("Mul", "doubled half", "y"),
        ],
        {"x": CODES, "two": fixed(2), "half": fixed(0.5)},
        f32([[[[255, 128], [9, 129]]]]),
    ),
]  # fmt: skip
