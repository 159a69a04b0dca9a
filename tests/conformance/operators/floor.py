"""Floor: the carrier of every rounding."""

from conformance.case import LARGEST, f32, one

CASES = [
    one("floor/halves", "Floor", [f32([0.5, 1.5, 2.5, -0.5, -1.5, -2.5])], f32([0, 1, 2, -1, -2, -3])),
    one("floor/integers", "Floor", [f32([0, -0.0, 1, -1, LARGEST, -LARGEST])], f32([0, 0, 1, -1, LARGEST, -LARGEST])),
    one(
        "floor/next_to_integers", "Floor",
        [f32([8388607.5, -8388607.5, 1 - 2.0**-24, -(2.0**-24), 2.0**-24, 4194303.75, -2.0**-126])],
        f32([8388607, -8388608, 0, -1, 0, 4194303, -1]),
    ),
]  # fmt: skip
