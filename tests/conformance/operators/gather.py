"""Gather: look-up tables and pixels by int32 address, sizes by int64."""

import numpy as np
from conformance.case import LARGEST, Fixed, chain, f32, fixed, i32, i64, node, one

TABLE = np.arange(65536)
CASES = [
    one("gather/int32_table", "Gather", [Fixed(i32(TABLE * 32749 % 65521)), i32([[0, 1, 65535, 40000, 0]])],
        i32([[0, 32749, 65535 * 32749 % 65521, 40000 * 32749 % 65521, 0]]),
        axis=0),
    one("gather/float_pixels", "Gather", [f32([LARGEST, -LARGEST, 0.5, 0]), i32([3, 0, 2, 1, 0])],
        f32([0, LARGEST, 0.5, -LARGEST, LARGEST]), axis=0),
    one("gather/rows", "Gather", [f32([[1, 2], [3, 4], [5, LARGEST]]), i32([[2, 0], [1, 2]])],
        f32([[[5, LARGEST], [1, 2]], [[3, 4], [5, LARGEST]]]), axis=0),
    one("gather/fixed_index", "Gather", [f32([5, 6, 7]), fixed([2, 2, 0], np.int32)], f32([7, 7, 5]), axis=0),
    chain(
        "gather/size",
        [
            node("Shape", "x", "shape"), node("Gather", "shape which", "sides"),
            node("Concat", "sides minus", "wanted", axis=0), node("Reshape", "x wanted", "y"),
        ],
        {"x": f32(np.arange(12).reshape(1, 1, 3, 4)), "which": i64(3, 2), "minus": i64(1)},
        f32(np.arange(12).reshape(4, 3, 1)),
    ),
]  # fmt: skip
