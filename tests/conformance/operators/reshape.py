"""Reshape: to a constant and to a computed shape."""

import numpy as np
from conformance.case import LARGEST, chain, f32, fixed, i64, node, one

X = f32(np.array([1, -2, LARGEST, 0.5, 0, 7]).reshape(1, 1, 2, 3))
CASES = [
    one("reshape/flat", "Reshape", [X, i64(-1)], f32([1, -2, LARGEST, 0.5, 0, 7])),
    one("reshape/copied_sides", "Reshape", [X.reshape(1, 1, 6), i64(0, 0, 2, 3)], X),
    one("reshape/copied_side", "Reshape", [X, i64(0, 3, -1)], f32([[[1, -2], [LARGEST, 0.5], [0, 7]]])),
    chain(
        "reshape/computed",
        [
            node("Shape", "x", "shape"), node("Slice", "shape two four axis", "sides"),
            node("Mul", "sides factors", "scaled"), node("Concat", "minus scaled", "wanted", axis=0),
            node("Reshape", "x wanted", "y"),
        ],
        {"x": np.concatenate([X, -X], axis=1), "two": i64(2), "four": i64(4), "axis": i64(0),
         "factors": fixed([1, 2], np.int64), "minus": i64(-1)},
        f32([[[1, -2, LARGEST, 0.5, 0, 7], [-1, 2, -LARGEST, -0.5, 0, -7]]]),
    ),
]  # fmt: skip
