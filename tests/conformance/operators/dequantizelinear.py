"""DequantizeLinear: activations with one step; weights (uint8, int8) and biases (int32) per channel, as constants."""

import numpy as np
from conformance.case import LARGEST, Array, Fixed, chain, f32, fixed, node

EYE = np.eye(3, dtype=np.int64).reshape(3, 3, 1, 1)


def weights(name: str, stored: np.ndarray, zero: int, expected: np.ndarray) -> object:
    """A 1x1 Conv of one input that is 1 shows the weights; steps of 2^-7, 1 and 2^3."""
    nodes = [
        node("DequantizeLinear", "stored steps zeros", "weight", axis=0),
        node("Conv", "x weight", "y", kernel_shape=[1, 1]),
    ]
    operands: dict[str, Array | Fixed] = {
        "x": np.ones((1, 1, 1, 2), np.float32), "stored": fixed(stored.reshape(3, 1, 1, 1), stored.dtype),
        "steps": fixed([2.0**-7, 1, 8]), "zeros": fixed([zero] * 3, stored.dtype),
    }  # fmt: skip
    return chain(name, nodes, operands, f32(np.repeat(expected, 2).reshape(1, 3, 1, 2)))


CASES = [
    chain(
        "dequantizelinear/activations",
        [node("QuantizeLinear", "x one none", "q"), node("DequantizeLinear", "q step zero", "y")],
        {"x": f32([0, 1, 127, 128, 129, 255]), "one": fixed(1), "none": fixed(0, np.uint8),
         "step": fixed(2.0**-3), "zero": fixed(128, np.uint8)},
        f32([-16, -15.875, -0.125, 0, 0.125, 15.875]),
    ),
    weights("dequantizelinear/uint8_weights", np.array([0, 255, 129], np.uint8), 128, f32([-1, 127, 8])),
    weights("dequantizelinear/int8_weights", np.array([-128, 127, -1], np.int8), 0, f32([-1, 127, -8])),
    chain(
        "dequantizelinear/bias",
        [
            node("DequantizeLinear", "integers steps", "bias", axis=0),
            node("Conv", "x weight bias", "y", kernel_shape=[1, 1]),
        ],
        {"x": np.zeros((1, 3, 1, 1), np.float32), "weight": fixed(EYE),
         "integers": fixed([LARGEST, -LARGEST, 1], np.int32), "steps": fixed([1, 2.0**-10, 2.0**-24])},
        f32(np.array([LARGEST, -LARGEST * 2.0**-10, 2.0**-24]).reshape(1, 3, 1, 1)),
    ),
]  # fmt: skip
