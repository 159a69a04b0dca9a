"""Shape: sizes of a picture, int64, cast to what the graph computes with."""

import numpy as np
from conformance.case import chain, i32, i64, node
from onnx import TensorProto

CASES = [
    chain(
        "shape/picture",
        [node("Shape", "x", "shape"), node("Cast", "shape", "y", to=TensorProto.INT32)],
        {"x": np.zeros((1, 3, 17, 257), np.float32)},
        i32([1, 3, 17, 257]),
    ),
    chain(
        "shape/arithmetic",
        [
            node("Shape", "x", "shape"), node("Add", "shape ones", "more"), node("Sub", "more twos", "less"),
            node("Mul", "less shape", "squares"), node("Cast", "squares", "y", to=TensorProto.INT32),
        ],
        {"x": np.zeros((1, 3, 17, 2), np.float32), "ones": i64(1), "twos": i64(2, 2, 2, 2)},
        i32([0, 6, 272, 2]),
    ),
]  # fmt: skip
