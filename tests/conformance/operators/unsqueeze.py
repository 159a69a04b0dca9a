"""Unsqueeze."""

from conformance.case import LARGEST, f32, i64, one

X = f32([[1, -2], [LARGEST, 0.5]])
CASES = [
    one("unsqueeze/picture", "Unsqueeze", [X, i64(0, 1)], f32([[[[1, -2], [LARGEST, 0.5]]]])),
    one("unsqueeze/last", "Unsqueeze", [X, i64(2)], f32([[[1], [-2]], [[LARGEST], [0.5]]])),
]
