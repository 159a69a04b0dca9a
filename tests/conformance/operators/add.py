"""Add: float32 on a grid, int32 addresses, a bias per channel."""

from conformance.case import LARGEST, f32, fixed, i32, one

HALF_UP = 2**31 - 1
CASES = [
    one(
        "add/largest", "Add",
        [f32([LARGEST - 1, 1 - LARGEST, LARGEST, 8388608, -8388608]), f32([1, -1, -LARGEST, 8388607, -8388607])],
        f32([LARGEST, -LARGEST, 0, LARGEST, -LARGEST]),
    ),
    one(
        "add/dyadic", "Add",
        [f32([4095.5, -4095.5, 0.25, 2.0**-20]), f32([2.0**-12, 2.0**-12, -0.25, 1])],
        f32([4095.500244140625, -4095.499755859375, 0, 1.00000095367431640625]),
    ),
    one("add/zero", "Add", [f32([0, 0, -0.0, LARGEST]), f32([0, -0.0, -0.0, 0])], f32([0, 0, 0, LARGEST])),
    one(
        "add/bias", "Add",
        [f32([[[[1, 2]], [[-3, 4]]]]), fixed([[[0.5]], [[-LARGEST + 3]]])],
        f32([[[[1.5, 2.5]], [[-LARGEST, 7 - LARGEST]]]]),
    ),
    one(
        "add/int32", "Add",
        [i32([HALF_UP - 1, -HALF_UP, 2**24, -(2**30), 0]), i32([1, -1, 1, 2**30 - 1, 0])],
        i32([HALF_UP, -HALF_UP - 1, 2**24 + 1, -1, 0]),
    ),
]  # fmt: skip
