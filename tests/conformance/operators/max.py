"""Max of a tensor and a multiple of it, as a PRelu of slopes up to 1 is written."""

import numpy as np
from conformance.case import LARGEST, chain, f32, fixed, node, one

SLOPES = np.array([0, 0.125, 205 / 1024, -0.75, 1], np.float32).reshape(1, 5, 1, 1)
X = np.tile(f32([-128, -127, -64, -1, 0, 1, 127]).reshape(1, 1, 1, 7), (1, 5, 2, 1))

CASES = [
    one("max/signs", "Max", [f32([-LARGEST, -1, 0, 1, 5]), f32([LARGEST, -2, -0.0, 1, 7])],
        f32([LARGEST, -1, 0, 1, 7])),
    chain(
        "max/of_bytes",
        [
            node("QuantizeLinear", "x step zero", "q"),
            node("DequantizeLinear", "q step zero", "known"),
            node("Mul", "known slopes", "less"),
            node("Max", "known less", "bent"),
            node("QuantizeLinear", "bent step zero", "r"),
            node("DequantizeLinear", "r step zero", "y"),
        ],
        {"x": X, "slopes": fixed(SLOPES), "step": fixed(1), "zero": fixed(64, np.uint8)},
        f32(np.clip(np.rint(np.maximum(np.maximum(X, -64), np.maximum(X, -64) * SLOPES)), -64, 191)),
    ),
]  # fmt: skip
