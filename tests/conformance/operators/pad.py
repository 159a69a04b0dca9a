"""Pad: zeros around a layer's input, edges around a picture, by constant and by computed widths."""

from conformance.case import LARGEST, chain, f32, i64, in_company, node

X = f32([[[[1, -2], [LARGEST, 0.5]]]])
CASES = [
    in_company("pad/constant", "Pad", [X, i64(0, 0, 1, 1, 0, 0, 1, 1)],
        f32([[[[0, 0, 0, 0], [0, 1, -2, 0], [0, LARGEST, 0.5, 0], [0, 0, 0, 0]]]]), mode="constant"),
    in_company("pad/edge", "Pad", [X, i64(0, 0, 1, 2, 0, 0, 0, 1)],
        f32([[[[1, 1, 1, -2, -2], [1, 1, 1, -2, -2], [LARGEST, LARGEST, LARGEST, 0.5, 0.5]]]]), mode="edge"),
    in_company("pad/none", "Pad", [X, i64(0, 0, 0, 0, 0, 0, 0, 0)], X, mode="edge"),
    chain(
        "pad/computed",
        [
            node("Shape", "x", "shape"), node("Gather", "shape last", "width", axis=0),
            node("Sub", "four width", "missing"), node("Concat", "seven missing", "widths", axis=0),
            node("Pad", "x widths", "y", mode="constant"),
        ],
        {"x": X, "last": i64(3), "four": i64(4), "seven": i64(0, 0, 0, 0, 0, 0, 0)},
        f32([[[[1, -2, 0, 0], [LARGEST, 0.5, 0, 0]]]]),
    ),
]  # fmt: skip
