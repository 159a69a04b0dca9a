"""MatMul: the largest accumulator of float and integer products, 3x3 taps of a picture with its channels last."""

import numpy as np
from conformance.case import LARGEST, Array, Case, Fixed, chain, f32, fixed, i64, node, one
from conformance.integers import WEIGHTS_64, WEIGHTS_127, convolution

RANDOM = np.random.default_rng(12)
FULL = np.full((1, 2, 3, 519), 255, np.float32)
LARGE = np.full((1, 1, 2, 1029), 255, np.float32)
ENDS = np.array([WEIGHTS_127, [-w for w in WEIGHTS_127], WEIGHTS_127[::-1]]).T
ENDS_64 = np.array([WEIGHTS_64, [-w for w in WEIGHTS_64]]).T
PICTURE = RANDOM.integers(0, 256, (1, 7, 10, 6)).astype(np.float32)
SMALL = RANDOM.integers(-64, 65, (16, 6, 3, 3))
WIDE = RANDOM.integers(-127, 128, (16, 6, 3, 3))
TAPS = [(row, column) for row in range(3) for column in range(3)]


def quantized(name: str, x: np.ndarray, weight: np.ndarray, zero: int = 0) -> Case:
    """DequantizeLinear on both sides: int8 weights that keep the pair bound, else uint8 with zero point 128.

    `x` (1, h, w, K) holds integers in [0, 255] less the zero point; `weight` is (K, N) integers, in steps of 2^-7.
    """
    nodes = [node("QuantizeLinear", "x one zero", "taken"), *_product("taken", weight)]
    expected = x.astype(np.int64) @ weight * 2.0**-7
    return chain(name, nodes, {"x": x, **_operands(weight, zero)}, f32(expected))


def unfolded(name: str, x: np.ndarray, kernel: np.ndarray, zero: int = 0) -> Case:
    """As the exporter writes a 3x3 layer: a border of zeros around the integers, nine shifted copies, one product."""
    weight = kernel.transpose(2, 3, 1, 0).reshape(-1, len(kernel))
    nodes = [
        node("QuantizeLinear", "x one zero", "taken"),
        node("Pad", "taken border zero", "padded", mode="constant"),
        *(node("Slice", f"padded start{i} end{i} sides", f"tap{i}") for i in range(len(TAPS))),
        node("Concat", " ".join(f"tap{i}" for i in range(len(TAPS))), "wide", axis=3),
        *_product("wide", weight),
    ]
    edges = {f"start{i}": i64(*tap) for i, tap in enumerate(TAPS)}
    edges |= {f"end{i}": i64(*(place - 2 or 2**62 for place in tap)) for i, tap in enumerate(TAPS)}
    operands: dict[str, Array | Fixed] = {"x": x, "border": i64(0, 1, 1, 0, 0, 1, 1, 0), "sides": i64(1, 2)}
    operands |= {**edges, **_operands(weight, zero)}
    sums = convolution(x.transpose(0, 3, 1, 2), kernel, padding=1).transpose(0, 2, 3, 1)
    return chain(name, nodes, operands, f32(sums * 2.0**-7))


def _product(source: str, weight: np.ndarray) -> list:
    return [
        node("DequantizeLinear", f"{source} one zero", "again"),
        node("DequantizeLinear", "stored steps zeros", "weight", axis=1),
        node("MatMul", "again weight", "y"),
    ]


def _operands(weight: np.ndarray, zero: int) -> dict[str, Fixed]:
    signed = np.abs(weight).max() <= 64
    stored = weight.astype(np.int8) if signed else (weight + 128).astype(np.uint8)
    columns = weight.shape[1]
    return {
        "one": fixed(1), "zero": fixed(zero, np.uint8), "stored": Fixed(stored),
        "steps": fixed(np.full(columns, 2.0**-7)), "zeros": fixed(np.full(columns, 0 if signed else 128), stored.dtype),
    }  # fmt: skip


CASES = [
    one("matmul/largest", "MatMul", [FULL, Fixed(f32(ENDS))],
        f32(np.broadcast_to(np.array([LARGEST, -LARGEST, LARGEST]), (1, 2, 3, 3)))),
    quantized("matmul/int8", PICTURE, SMALL[:, :, 0, 0].T),
    quantized("matmul/uint8_weights", PICTURE, WIDE[:, :, 0, 0].T),
    quantized("matmul/below_zero", PICTURE - 128, SMALL[:, :, 0, 0].T, 128),
    quantized("matmul/int8_largest", LARGE, ENDS_64),
    quantized("matmul/uint8_largest", FULL, ENDS),
    quantized("matmul/zero", PICTURE * 0, SMALL[:, :, 0, 0].T),
    unfolded("matmul/nine_taps", PICTURE, SMALL),
    unfolded("matmul/nine_taps_of_uint8_weights", PICTURE, WIDE),
    unfolded("matmul/nine_taps_below_zero", PICTURE - 128, SMALL, 128),
]  # fmt: skip
