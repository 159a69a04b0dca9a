"""Concat: limbs and taps along channels, pieces of a border along rows and columns, uint8 between QDQ pairs."""

import numpy as np
from conformance.case import LARGEST, chain, f32, fixed, node, one

A, B, C = f32([[[[1, -2]]]]), f32([[[[LARGEST, 0]]]]), f32([[[[-LARGEST, 0.5]]]])
CASES = [
    one("concat/channels", "Concat", [A, B], f32([[[[1, -2]], [[LARGEST, 0]]]]), axis=1),
    one("concat/rows", "Concat", [A, B, C], f32([[[[1, -2], [LARGEST, 0], [-LARGEST, 0.5]]]]), axis=2),
    one("concat/columns", "Concat", [A, B], f32([[[[1, -2, LARGEST, 0]]]]), axis=3),
    one("concat/nine_taps", "Concat", [A, B, C] * 3,
        np.concatenate([A, B, C] * 3, axis=1), axis=1),
    one("concat/constants", "Concat", [fixed([[[[7, 8]]]]), A, fixed([[[[9, -9]]]])],
        f32([[[[7, 8]], [[1, -2]], [[9, -9]]]]), axis=1),
    chain(
        "concat/uint8",
        [
            node("QuantizeLinear", "a one zero", "qa"), node("QuantizeLinear", "b one zero", "qb"),
            node("Concat", "qa qb", "both", axis=1), node("DequantizeLinear", "both one zero", "y"),
        ],
        {"a": f32([[[[-128, 127]]]]), "b": f32([[[[0, -1]]]]), "one": fixed(1), "zero": fixed(128, np.uint8)},
        f32([[[[-128, 127]], [[0, -1]]]]),
    ),
]  # fmt: skip
