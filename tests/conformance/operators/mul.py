"""Mul: by powers of two, of short operands, and of int32 addresses."""

from conformance.case import LARGEST, f32, fixed, i32, one

CASES = [
    one(
        "mul/scaled_down", "Mul", [f32([LARGEST, -LARGEST, 1, 0, 3]), fixed(2.0**-24)],
        f32([1 - 2.0**-24, 2.0**-24 - 1, 2.0**-24, 0, 3 * 2.0**-24]),
    ),
    one("mul/scaled_up", "Mul", [f32([LARGEST, -1, 0.5]), fixed(2.0**30)], f32([LARGEST * 2.0**30, -(2.0**30), 2**29])),
    one("mul/largest", "Mul", [f32([4095, -4095, 257, 255]), f32([4097, 4097, 65281 - 1, 65793])],
        f32([LARGEST, -LARGEST, 257 * 65280, LARGEST])),
    one("mul/zero", "Mul", [f32([0, -0.0, LARGEST, -3]), f32([5, 5, 0, 0])], f32([0, 0, 0, 0])),
    one(
        "mul/int32", "Mul", [i32([46340, -46340, 65536, 4097, 0]), i32([46341, 46341, 32767, 4097, -7])],
        i32([2147441940, -2147441940, 2147418112, 16785409, 0]),
    ),
]  # fmt: skip
