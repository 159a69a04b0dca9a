"""Slice: taps of a convolution to the very end, windows whose ends come from a picture's size."""

import numpy as np
from conformance.case import LARGEST, Fixed, chain, f32, i64, in_company, node

END = 2**63 - 1
X = f32(np.array([1, -2, LARGEST, 0.5, 0, 7]).reshape(1, 1, 2, 3))
TABLE = np.arange(8, dtype=np.float32)
CASES = [
    in_company("slice/to_the_end", "Slice", [X, i64(1, 1), i64(END, END), i64(2, 3)], f32([[[[0, 7]]]])),
    in_company("slice/from_the_end", "Slice", [X, i64(0, 0), i64(-1, -2), i64(2, 3)], f32([[[[1]]]])),
    in_company("slice/channels", "Slice", [np.concatenate([X, -X], axis=1), i64(1), i64(2), i64(1)], -X),
    chain(
        "slice/computed",
        [
            node("Shape", "x", "shape"), node("Slice", "shape three four axis", "width"),
            node("Slice", "table none width axis", "y"),
        ],
        {"x": X, "table": Fixed(TABLE), "three": i64(3), "four": i64(4), "axis": i64(0), "none": i64(0)},
        f32([0, 1, 2]),
    ),
]  # fmt: skip
