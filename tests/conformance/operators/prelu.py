"""PRelu with a slope for each channel, of few bits, negative and above 1 as well: no product rounds."""

import numpy as np
from conformance.case import chain, f32, fixed, node, one

SLOPES = np.array([0, 0.125, 205 / 1024, -0.75, 1.5], np.float32).reshape(5, 1, 1)
X = np.tile(f32([-128, -127, -64, -1, 0, 1, 127]).reshape(1, 1, 1, 7), (1, 5, 2, 1))

CASES = [
    one("prelu/channels", "PRelu", [X, fixed(SLOPES)], f32(np.where(X < 0, X * SLOPES, X))),
    one("prelu/single", "PRelu", [X, fixed([[[0.25]]])], f32(np.where(X < 0, X / 4, X))),
    chain(
        "prelu/of_bytes",
        [
            node("QuantizeLinear", "x step zero", "q"),
            node("DequantizeLinear", "q step zero", "known"),
            node("PRelu", "known slopes", "bent"),
            node("QuantizeLinear", "bent step zero", "r"),
            node("DequantizeLinear", "r step zero", "y"),
        ],
        {"x": X, "slopes": fixed(SLOPES), "step": fixed(1), "zero": fixed(64, np.uint8)},
        f32(np.clip(np.rint(np.where(X < 0, np.maximum(X, -64) * SLOPES, X)), -64, 191)),
    ),
]  # fmt: skip
