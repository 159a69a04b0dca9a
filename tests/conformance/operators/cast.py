"""Cast: symbols int32 to float32, results float32 to int32, sizes int64 to both."""

import numpy as np
from conformance.case import LARGEST, chain, f32, fixed, i32, in_company, node
from onnx import TensorProto

FLOAT, INT32 = TensorProto.FLOAT, TensorProto.INT32
LOWEST, HIGHEST = -(2**31), 2**31 - 1
CASES = [
    in_company("cast/to_float", "Cast", [i32([LARGEST, -LARGEST, 1, 0, -1, 8388609])],
        f32([LARGEST, -LARGEST, 1, 0, -1, 8388609]), to=FLOAT),
    chain(
        "cast/to_int32",
        [node("Mul", "x two", "doubled"), node("Mul", "doubled half", "same"), node("Cast", "same", "y", to=INT32)],
        {"x": f32([LARGEST, -LARGEST, 1, 0, -0.0, -1, 8388609]), "two": fixed(2), "half": fixed(0.5)},
        i32([LARGEST, -LARGEST, 1, 0, 0, -1, 8388609]),
    ),
    # escapes of the entropy coder are unbounded: the cast may round them, the Clip behind it hides that
    chain(
        "cast/any_symbol",
        [node("Cast", "z", "real", to=FLOAT), node("Clip", "real low high", "x"),
         node("Mul", "x two", "doubled"), node("Mul", "doubled half", "y")],
        {"z": i32([LOWEST, LOWEST + 1, -2**24 - 1, -128, -127, 0, 127, 128, 2**24 + 1, HIGHEST - 1, HIGHEST]),
         "low": fixed(-127), "high": fixed(127), "two": fixed(2), "half": fixed(0.5)},
        f32([-127, -127, -127, -127, -127, 0, 127, 127, 127, 127, 127]),
    ),
    chain(
        "cast/sizes",
        [
            node("Shape", "x", "shape"), node("Cast", "shape", "real", to=FLOAT),
            node("Cast", "shape", "int", to=INT32), node("Cast", "int", "again", to=FLOAT),
            node("Sub", "real again", "none"), node("Add", "real none", "y"),
        ],
        {"x": np.zeros((1, 3, 17, 5), np.float32)},
        f32([1, 3, 17, 5]),
    ),
]  # fmt: skip
