"""LeakyRelu with slopes of few bits: no product rounds."""

import numpy as np
from conformance.case import chain, f32, fixed, node, one

X = f32([-128, -127, -65, -64, -3, -1, -0.0, 0, 1, 64, 127])

CASES = [
    one("leakyrelu/eighth", "LeakyRelu", [X], f32(np.where(X < 0, X / 8, X)), alpha=0.125),
    one("leakyrelu/seven_bits", "LeakyRelu", [X], f32(np.where(X < 0, X * 205 / 1024, X)), alpha=205 / 1024),
    one("leakyrelu/none", "LeakyRelu", [X], f32(np.maximum(X, 0)), alpha=0.0),
    one("leakyrelu/identity", "LeakyRelu", [X], X, alpha=1.0),
    # between uint8 tensors, where runtimes make a table of it; ties to even, saturation
    chain(
        "leakyrelu/of_bytes",
        [
            node("QuantizeLinear", "x step zero", "q"),
            node("DequantizeLinear", "q step zero", "known"),
            node("LeakyRelu", "known", "bent", alpha=0.5),
            node("QuantizeLinear", "bent step zero", "r"),
            node("DequantizeLinear", "r step zero", "y"),
        ],
        {"x": f32([[-200, -128, -5, -3, -1, 0, 1, 2, 127, 200]]), "step": fixed(1), "zero": fixed(128, np.uint8)},
        f32([[-64, -64, -2, -2, 0, 0, 1, 2, 127, 127]]),
    ),
]  # fmt: skip
