"""CumSum: how a warp counts the lines of a picture; partial sums up to 2^24 - 1."""

import numpy as np
from conformance.case import LARGEST, f32, fixed, one

ONES = np.ones((1, 1, 1, 8192))
COUNTED = np.arange(1, 8193).reshape(1, 1, 1, -1)
LARGE = np.array([[LARGEST - 3, 1, 1, 1], [-LARGEST, LARGEST, -0.5, 0.25]]).reshape(1, 1, 2, 4)
CASES = [
    one("cumsum/columns", "CumSum", [f32(ONES), fixed(3, np.int64)], f32(COUNTED)),
    one("cumsum/rows", "CumSum", [f32(ONES.reshape(1, 1, -1, 1)), fixed(2, np.int64)],
        f32(COUNTED.reshape(1, 1, -1, 1))),
    one("cumsum/largest", "CumSum", [f32(LARGE), fixed(-1, np.int64)],
        f32([[[[LARGEST - 3, LARGEST - 2, LARGEST - 1, LARGEST], [-LARGEST, 0, -0.5, -0.25]]]])),
]  # fmt: skip
