"""Squeeze."""

from conformance.case import LARGEST, f32, i64, one

CASES = [
    one("squeeze/picture", "Squeeze", [f32([[[[1, -2], [LARGEST, 0.5]]]]), i64(0, 1)], f32([[1, -2], [LARGEST, 0.5]])),
    one("squeeze/last", "Squeeze", [f32([[[1], [-2]], [[LARGEST], [0.5]]]), i64(2)], f32([[1, -2], [LARGEST, 0.5]])),
]
