"""QuantizeLinear to uint8: half to even, saturation, zero points 0 and 128, scales that are powers of two."""

import numpy as np
from conformance.case import LARGEST, Array, Case, Fixed, chain, f32, fixed, node


def rounded(name: str, x: Array, step: float, zero: int, expected: Array) -> Case:
    """QuantizeLinear; the DequantizeLinear behind it, of step 1 and zero point 0, shows its integers.

    Both pairs of step and zero point differ, so that no runtime takes the two nodes out.
    """
    nodes = [node("QuantizeLinear", "x step zero", "q"), node("DequantizeLinear", "q one none", "y")]
    one = 2.0 if step == 1 and zero == 0 else 1.0
    operands: dict[str, Array | Fixed] = {"x": x, "step": fixed(step), "one": fixed(one)}
    operands |= {"zero": fixed(zero, np.uint8), "none": fixed(0, np.uint8)}
    return chain(name, nodes, operands, f32(expected * one))


CASES = [
    rounded("quantizelinear/ties", f32([0.5, 1.5, 2.5, 3.5, 253.5, 254.5]), 1, 0, f32([0, 2, 2, 4, 254, 254])),
    rounded("quantizelinear/negative_ties", f32([-0.5, -1.5, -2.5, -3.5, 0.5, 126.5, -127.5]), 1, 128,
            f32([128, 126, 126, 124, 128, 254, 0])),
    rounded("quantizelinear/next_to_ties",
            np.nextafter(np.repeat(f32([0.5, 2.5, 254.5]), 2), f32([0, 9, 0, 9, 0, 999])),
            1, 0, f32([0, 1, 2, 3, 254, 255])),
    rounded("quantizelinear/saturates", f32([255.49998474121094, 255.5, 256, LARGEST, -0.5, -1, -LARGEST]),
            1, 0, f32([255, 255, 255, 255, 0, 0, 0])),
    rounded("quantizelinear/beyond_int32", f32([2.0**31, -(2.0**31), 2.0**40, -(2.0**40)]), 1, 0,
            f32([255, 0, 255, 0])),
    rounded("quantizelinear/saturates_both_ways", f32([127, 127.5, 128, -128, -128.5, -129, LARGEST, -LARGEST]), 1, 128,
            f32([255, 255, 255, 0, 0, 0, 255, 0])),
    rounded("quantizelinear/coarse", f32([4, 12, 20, 28, 2036, 3, 5]), 8, 0, f32([0, 2, 2, 4, 254, 0, 1])),
    rounded("quantizelinear/fine", f32(np.array([1, 3, 5, 7, 509, 511]) * 2.0**-10), 2.0**-9, 0,
            f32([0, 2, 2, 4, 254, 255])),
    rounded("quantizelinear/zero", f32([0, -0.0, 2.0**-24, -(2.0**-24)]), 0.5, 128, f32([128, 128, 128, 128])),
]  # fmt: skip
