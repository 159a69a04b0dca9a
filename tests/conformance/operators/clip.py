"""Clip: saturation in float32, and in uint8 between QuantizeLinear and DequantizeLinear.

Its upper bound may come from a picture's size, as a shape or counted.
"""

import numpy as np
from conformance.case import LARGEST, chain, f32, fixed, i64, node, one
from onnx import TensorProto

CASES = [
    one("clip/saturates", "Clip",
        [f32([-1, 0, -0.0, 0.5, 254.5, 255, 255.00001525878906, 256, LARGEST, -LARGEST]), fixed(0), fixed(255)],
        f32([0, 0, 0, 0.5, 254.5, 255, 255, 255, 255, 0])),
    one("clip/largest", "Clip", [f32([LARGEST, -LARGEST, LARGEST - 1, 0]), fixed(-LARGEST), fixed(LARGEST)],
        f32([LARGEST, -LARGEST, LARGEST - 1, 0])),
    one("clip/one_value", "Clip", [f32([-3, 0, 3]), fixed(1), fixed(1)], f32([1, 1, 1])),
    chain(
        "clip/uint8",
        [
            node("QuantizeLinear", "x one none", "q"), node("Clip", "q none high", "kept"),
            node("DequantizeLinear", "kept one none", "y"),
        ],
        {"x": f32([-1, 0, 0.5, 126.5, 127, 127.5, 128, 255, 256]), "one": fixed(1), "none": fixed(0, np.uint8),
         "high": fixed(127, np.uint8)},
        f32([0, 0, 0, 126, 127, 127, 127, 127, 127]),
    ),
    chain(
        "clip/bound_of_size",
        [
            node("Shape", "x", "shape"), node("Gather", "shape last", "width", axis=0),
            node("Cast", "width", "bound", to=TensorProto.FLOAT), node("Clip", "x low bound", "y"),
        ],
        {"x": f32([[[[-1, 0, 3.5, 5, 9]]]]), "low": fixed(0), "last": fixed(3, np.int64)},
        f32([[[[0, 0, 3.5, 5, 5]]]]),
    ),
    chain(
        "clip/bound_counted",
        [
            node("Slice", "x first second axis", "line"), node("Clip", "line one one", "ones"),
            node("CumSum", "ones along", "counted"), node("Slice", "counted last end along_it", "width"),
            node("Squeeze", "width all_axes", "bound"), node("Clip", "x low bound", "y"),
        ],
        {"x": f32([[[[-1, 0, 3.5, 5, 9], [6, 1, -7, 2, 4.5]]]]), "low": fixed(0), "one": fixed(1), "first": i64(0),
         "second": i64(1), "axis": i64(2), "along": fixed(3, np.int64), "along_it": i64(3), "last": i64(-1),
         "end": i64(np.iinfo(np.int64).max), "all_axes": i64(0, 1, 2, 3)},
        f32([[[[0, 0, 3.5, 5, 5], [5, 1, 0, 2, 4.5]]]]),
    ),
]  # fmt: skip
