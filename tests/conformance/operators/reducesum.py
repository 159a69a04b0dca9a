"""ReduceSum: partial sums up to 2^24 - 1, in any order."""

import numpy as np
from conformance.case import LARGEST, f32, i64, one

MANY = np.full(65793, 255.0)
SIGNED = np.concatenate([np.full(4096, 2047.0), np.full(4096, -2047.0), [LARGEST - 4096 * 2047]])
CASES = [
    one("reducesum/largest", "ReduceSum", [f32([MANY, -MANY]), i64(1)], f32([LARGEST, -LARGEST]), keepdims=0),
    one("reducesum/cancels", "ReduceSum", [f32([SIGNED]), i64(1)], f32([LARGEST - 4096 * 2047]), keepdims=0),
    one("reducesum/neighbours", "ReduceSum",
        [f32([[[[1, 2, 3, -0.5], [0, 0, LARGEST, -1]], [[4] * 4, [-4, 4, 9, 0]]]]), i64(3)],
        f32([[[5.5, LARGEST - 1], [16, 9]]]), keepdims=0),
    one("reducesum/columns", "ReduceSum", [f32([[1, 2, 0.5], [LARGEST - 1, -2, 0.25]]), i64(0)],
        f32([LARGEST, 0, 0.75]), keepdims=0),
]  # fmt: skip
