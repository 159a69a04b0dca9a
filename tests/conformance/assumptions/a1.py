"""A1: sums are kept in float32 or int32: every bit of a sum below 2^24 survives, in any order of its terms."""

import numpy as np
from conformance.case import LARGEST, Fixed, chain, f32, fixed, node, one
from conformance.integers import WEIGHTS_127

# 2^24 - 1 and 2^24 - 2 by 519 products, the smallest first, last, and in the middle
ORDERS = np.array([WEIGHTS_127, WEIGHTS_127[::-1], WEIGHTS_127[259:] + WEIGHTS_127[:259]]).T
FULL = np.full((1, 519), 255, np.float32)
LESS = FULL.copy()
LESS[0, 518] = 254  # its weight is 7, 127 and 127
# up to 2^24 - 1, down to 1: what a narrower sum loses on the way up does not come back
UP_AND_DOWN = np.array([*[127] * 259, *[-127] * 259, 1]).reshape(519, 1)
CASES = [
    one("a1/matmul", "MatMul", [np.concatenate([FULL, LESS]), Fixed(f32(ORDERS))],
        f32([[LARGEST] * 3, [LARGEST - 7, LARGEST - 127, LARGEST - 127]])),
    one("a1/matmul_up_and_down", "MatMul", [FULL, Fixed(f32(UP_AND_DOWN))], f32([[255]])),
    one("a1/conv_every_last_bit", "Conv",
        [f32(np.arange(1, 65).reshape(1, 1, 8, 8)), fixed([[[[1]]], [[[-1]]]]), fixed([LARGEST - 64, 64 - LARGEST])],
        f32(np.stack([np.arange(1, 65) + LARGEST - 64, 64 - LARGEST - np.arange(1, 65)]).reshape(1, 2, 8, 8)),
        kernel_shape=[1, 1]),
    chain(
        "a1/integer_kernel_every_last_bit",
        [
            node("QuantizeLinear", "x one none", "q"), node("DequantizeLinear", "q one none", "again"),
            node("DequantizeLinear", "stored ones zeros", "weight", axis=0),
            node("DequantizeLinear", "integers ones", "bias", axis=0),
            node("Conv", "again weight bias", "y", kernel_shape=[1, 1]),
        ],
        {"x": f32(np.arange(1, 65).reshape(1, 1, 8, 8)), "one": fixed(1), "none": fixed(0, np.uint8),
         "stored": fixed([[[[129]]], [[[127]]]], np.uint8), "ones": fixed([1, 1]), "zeros": fixed([128, 128], np.uint8),
         "integers": fixed([LARGEST - 64, 64 - LARGEST], np.int32)},
        f32(np.stack([np.arange(1, 65) + LARGEST - 64, 64 - LARGEST - np.arange(1, 65)]).reshape(1, 2, 8, 8)),
    ),
]  # fmt: skip
