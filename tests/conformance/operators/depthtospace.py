"""DepthToSpace: mode DCR, on uint8 between QuantizeLinear and DequantizeLinear."""

import numpy as np
from conformance.case import chain, f32, fixed, node

CASES = [
    chain(
        "depthtospace/uint8",
        [
            node("QuantizeLinear", "x one none", "q"), node("DepthToSpace", "q", "wide", blocksize=2, mode="DCR"),
            node("DequantizeLinear", "wide one none", "y"),
        ],
        # channels (row, column, colour): two colours
        {"x": f32(np.array([0, 100, 1, 101, 2, 102, 255, 103, 10, 110, 11, 111, 12, 112, 13, 113])
                  .reshape(1, 2, 8).transpose(0, 2, 1).reshape(1, 8, 1, 2)),
         "one": fixed(1), "none": fixed(0, np.uint8)},
        f32([[[[0, 1, 10, 11], [2, 255, 12, 13]], [[100, 101, 110, 111], [102, 103, 112, 113]]]]),
    ),
]  # fmt: skip
