"""Sub: what is left of a value when its upper limb is taken away."""

from conformance.case import LARGEST, f32, fixed, one

CASES = [
    one(
        "sub/largest", "Sub",
        [f32([LARGEST, -LARGEST, LARGEST, 1, 8388607]), f32([1, -1, LARGEST, LARGEST + 1, -8388608])],
        f32([LARGEST - 1, 1 - LARGEST, 0, -LARGEST, LARGEST]),
    ),
    one(
        "sub/limb", "Sub", [f32([32767.99609375, -0.00390625, 255.5]), f32([32767, -1, 255])],
        f32([0.99609375, 0.99609375, 0.5]),
    ),
    one("sub/zero", "Sub", [f32([0, -0.0, 5]), fixed(0)], f32([0, 0, 5])),
]  # fmt: skip
