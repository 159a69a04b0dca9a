"""A4: QuantizeLinear rounds half to even and saturates: alone, behind an Add, and fused with a Conv."""

import numpy as np
from conformance.case import chain, f32, fixed, node
from conformance.integers import half_to_even, saturated

HALVES = np.arange(-8, 520) / 2.0
KEPT = saturated(half_to_even(HALVES * 2, 1))
assert KEPT[7:16].tolist() == [0, 0, 0, 1, 2, 2, 2, 3, 4]  # of -0.5, 0, 0.5, ..., 3.5
SHOWN = [node("QuantizeLinear", "x step zero", "q"), node("DequantizeLinear", "q two zero", "y")]
QUANTIZED = {"step": fixed(1), "two": fixed(2), "zero": fixed(0, np.uint8)}
PICTURE = HALVES.reshape(1, 1, 22, 24)
CASES = [
    chain("a4/every_half", SHOWN, {"x": f32(HALVES), **QUANTIZED}, f32(2 * KEPT)),
    chain("a4/every_half_behind_an_add", [node("Add", "z half", "x"), *SHOWN],
        {"z": f32(HALVES - 0.5), "half": fixed(0.5), **QUANTIZED}, f32(2 * KEPT)),
    # fused into one kernel where a runtime has one: products are quarters, the output's step is 1
    chain(
        "a4/every_half_fused",
        [
            node("QuantizeLinear", "z one low", "zq"), node("DequantizeLinear", "zq one low", "again"),
            node("DequantizeLinear", "stored steps zeros", "weight", axis=0),
            node("Conv", "again weight", "x", kernel_shape=[1, 1]), *SHOWN,
        ],
        {"z": f32(np.arange(256).reshape(1, 1, 16, 16)), "one": fixed(1), "low": fixed(0, np.uint8),
         "stored": fixed([[[[2]]], [[[6]]], [[[-2]]]], np.int8), "steps": fixed([0.25] * 3),
         "zeros": fixed([0] * 3, np.int8), **QUANTIZED},
        f32(2 * saturated(half_to_even(np.array([2, 6, -2])[:, None] * np.arange(256), 2)).reshape(1, 3, 16, 16)),
    ),
]  # fmt: skip
