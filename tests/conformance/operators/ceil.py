"""Ceil: the upper half of rounding to even."""

from conformance.case import LARGEST, f32, one

CASES = [
    one("ceil/halves", "Ceil", [f32([0.5, 1.5, 2.5, -0.5, -1.5, -2.5])], f32([1, 2, 3, 0, -1, -2])),
    one("ceil/integers", "Ceil", [f32([0, -0.0, 1, -1, LARGEST, -LARGEST])], f32([0, 0, 1, -1, LARGEST, -LARGEST])),
    one(
        "ceil/next_to_integers", "Ceil",
        [f32([8388607.5, -8388607.5, 2.0**-24 - 1, 2.0**-24, -(2.0**-24), -4194303.75, 2.0**-126])],
        f32([8388608, -8388607, 0, 1, 0, -4194303, 1]),
    ),
]  # fmt: skip
