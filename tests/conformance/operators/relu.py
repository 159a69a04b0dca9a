"""Relu."""

from conformance.case import LARGEST, f32, one

CASES = [
    one("relu/signs", "Relu", [f32([-LARGEST, -1, -(2.0**-24), -0.0, 0, 2.0**-24, 1, LARGEST])],
        f32([0, 0, 0, 0, 0, 2.0**-24, 1, LARGEST])),
]  # fmt: skip
