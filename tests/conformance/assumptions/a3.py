"""A3: nothing is stored below float32, and a multiplier takes operands of 11 bits (TF32), of 8 bits (bfloat16)."""

import numpy as np
from conformance.case import LARGEST, Fixed, chain, f32, fixed, node, one

# every integer of 11 bits that is odd, against odd ones of 8: no bit may fall off before the product
ELEVEN = np.arange(1025, 2048, 2)
EIGHT = np.array([129, 171, 255, -253])
BITS_8 = np.arange(129, 256, 2)
STORED = np.array([LARGEST, 1 - LARGEST, 8388609, 2**23 - 1, 65537, 2049, 257])
CASES = [
    one("a3/conv_of_11_bits", "Conv",
        [f32(ELEVEN.reshape(1, 1, 16, 32)), Fixed(f32(EIGHT.reshape(4, 1, 1, 1))), fixed([0] * 4)],
        f32((EIGHT[:, None] * ELEVEN).reshape(1, 4, 16, 32)), kernel_shape=[1, 1]),
    one("a3/matmul_of_11_bits", "MatMul", [f32(ELEVEN.reshape(-1, 1)), Fixed(f32(ELEVEN[:8].reshape(1, -1)))],
        f32(np.outer(ELEVEN, ELEVEN[:8]))),
    one("a3/conv_of_8_bits", "Conv",
        [f32(BITS_8.reshape(1, 1, 8, 8)), Fixed(f32(EIGHT.reshape(4, 1, 1, 1))), fixed([0] * 4)],
        f32((EIGHT[:, None] * BITS_8).reshape(1, 4, 8, 8)), kernel_shape=[1, 1]),
    # sums of 24 bits lie in memory between two kernels
    chain(
        "a3/stored_between_kernels",
        [
            node("Conv", "x weight bias", "sum", kernel_shape=[1, 1]),
            node("Transpose", "sum", "turned", perm=[0, 2, 3, 1]), node("Sub", "turned much", "y"),
        ],
        {"x": f32(np.arange(64).reshape(1, 1, 8, 8)), "weight": fixed([[[[1]]], [[[3]]]]),
         "bias": fixed([LARGEST - 63, LARGEST - 189]), "much": fixed(LARGEST - 200)},
        f32((np.arange(64).reshape(8, 8, 1) * [1, 3] + [137, 11])[None]),
    ),
    chain(
        "a3/stored_in_place",
        [node("Concat", "x x", "twice", axis=0), node("Slice", "twice three ten axis", "y")],
        {"x": f32(STORED), "three": fixed([3], np.int64), "ten": fixed([10], np.int64), "axis": fixed([0], np.int64)},
        f32(np.concatenate([STORED[3:], STORED[:3]])),
    ),
]  # fmt: skip
