"""Conv: the largest accumulator in float and integer kernels, strides, ties and saturation behind it."""

import numpy as np
from conformance.case import LARGEST, Case, Fixed, chain, f32, fixed, node, one
from conformance.integers import WEIGHTS_64, WEIGHTS_127, convolution, half_to_even, saturated

RANDOM = np.random.default_rng(11)
FULL = np.full((1, 519, 2, 3), 255, np.float32)
ENDS = np.array([WEIGHTS_127, [-w for w in WEIGHTS_127], WEIGHTS_127[::-1]]).reshape(3, 519, 1, 1)
CANCEL = np.array([[127, -127] * 259 + [1], [0] * 518 + [1]]).reshape(2, 519, 1, 1)
PICTURE = RANDOM.integers(0, 256, (1, 6, 11, 18)).astype(np.float32)
SMALL = RANDOM.integers(-60, 61, (4, 6, 3, 3))
WIDE = RANDOM.integers(-127, 128, (4, 6, 3, 3))
BIAS = np.array([4096, -4095, 0, 131071])


def quantized(
    name: str, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, shift: int, zero: int = 0, padding: int = 0,
    to_float: bool = False,
) -> Case:  # fmt: skip
    """DequantizeLinear, Conv, QuantizeLinear, DequantizeLinear as the exporter writes it; int8 weights that keep the
    pair bound, else uint8 with zero point 128. `x` holds integers in [0, 255], the output's step is 2^shift.

    `to_float`: no QuantizeLinear behind the Conv, as in the last layer.
    """
    signed = np.abs(weight).max() <= 64
    stored = weight.astype(np.int8) if signed else (weight + 128).astype(np.uint8)
    channels = len(weight)
    total = convolution(x, weight, bias, padding=padding)
    nodes = [
        node("QuantizeLinear", "x one none", "x_quantized"),
        node("DequantizeLinear", "x_quantized one none", "x_again"),
        node("DequantizeLinear", "stored steps zeros", "weight", axis=0),
        node("DequantizeLinear", "bias_integers steps", "bias", axis=0),
        node("Conv", "x_again weight bias", "y" if to_float else "sum", kernel_shape=list(weight.shape[2:]),
             strides=[1, 1], pads=[padding] * 4),
    ]  # fmt: skip
    if not to_float:
        nodes += [
            node("QuantizeLinear", "sum step zero", "quantized"),
            node("DequantizeLinear", "quantized step zero", "y"),
        ]
    operands: dict[str, np.ndarray | Fixed] = {
        "x": x, "one": fixed(1), "none": fixed(0, np.uint8),
        "stored": Fixed(stored), "steps": fixed(np.full(channels, 2.0**-7)),
        "zeros": fixed(np.full(channels, 0 if signed else 128), stored.dtype),
        "bias_integers": fixed(bias, np.int32),
    }  # fmt: skip
    if to_float:
        return chain(name, nodes, operands, f32(total * 2.0**-7))
    operands |= {"step": fixed(2.0 ** (shift - 7)), "zero": fixed(zero, np.uint8)}
    return chain(name, nodes, operands, f32(saturated(half_to_even(total, shift), zero) * 2.0 ** (shift - 7)))


RAMP = np.arange(256, dtype=np.float32).reshape(1, 1, 16, 16)
LARGE = np.full((1, 1029, 1, 2), 255, np.float32)
ENDS_64 = np.array([WEIGHTS_64, [-w for w in WEIGHTS_64]]).reshape(2, 1029, 1, 1)
NONE = np.zeros(2, np.int64)
CASES = [
    one("conv/largest", "Conv", [FULL, Fixed(f32(ENDS)), fixed([0, 0, 0])],
        f32(np.broadcast_to(np.array([LARGEST, -LARGEST, LARGEST]).reshape(1, 3, 1, 1), (1, 3, 2, 3))),
        kernel_shape=[1, 1], strides=[1, 1], pads=[0, 0, 0, 0]),
    one("conv/largest_with_bias", "Conv", [FULL, Fixed(f32(ENDS[:2] * (ENDS[:2] % 127 == 0))), fixed([1785, -1785])],
        f32(np.broadcast_to(np.array([LARGEST, -LARGEST]).reshape(1, 2, 1, 1), (1, 2, 2, 3))), kernel_shape=[1, 1]),
    one("conv/cancels", "Conv", [FULL, Fixed(f32(CANCEL)), fixed([0, -255])],
        f32(np.broadcast_to(np.array([255, 0]).reshape(1, 2, 1, 1), (1, 2, 2, 3))), kernel_shape=[1, 1]),
    *(one(f"conv/stride_2_of_{channels}_channels", "Conv",
          [PICTURE[:, :channels], Fixed(f32(WIDE[:, :channels] * 2.0**-9)), fixed(BIAS * 2.0**-9)],
          f32(convolution(PICTURE[:, :channels], WIDE[:, :channels], BIAS, (2, 2)) * 2.0**-9), strides=[2, 2])
      for channels in (1, 3, 4, 6)),
    one("conv/columns_of_8", "Conv",
        [PICTURE[:, :1], Fixed(f32(np.arange(-32, 32).reshape(4, 1, 1, 16) * 2.0**-8)), fixed([0.5, 0, 0, -0.5])],
        f32(convolution(PICTURE[:, :1], np.arange(-32, 32).reshape(4, 1, 1, 16), [128, 0, 0, -128], (1, 8)) * 2.0**-8),
        strides=[1, 8]),
    one("conv/rows_of_8", "Conv", [PICTURE[:, :1], Fixed(f32(np.arange(-16, 16).reshape(4, 1, 8, 1))), fixed([0] * 4)],
        f32(convolution(PICTURE[:, :1], np.arange(-16, 16).reshape(4, 1, 8, 1), 0, (8, 1))), strides=[8, 1]),
    one("conv/zero", "Conv", [PICTURE[:, :4] * 0, Fixed(f32(WIDE[:, :4])), fixed([0] * 4)],
        np.zeros((1, 4, 5, 8), np.float32), strides=[2, 2]),
    # one weight of 1: acc = x, output x / 2 and x / 8 with its ties
    quantized("conv/int8_ties", RAMP, np.ones((1, 1, 1, 1), np.int64), np.zeros(1, np.int64), 1),
    quantized("conv/uint8_ties", RAMP, np.full((1, 1, 1, 1), 100), np.zeros(1, np.int64), 3),
    quantized("conv/int8_ties_below_zero", RAMP, np.full((1, 1, 1, 1), -1), np.array([127]), 1, 128),
    quantized("conv/int8_saturates", PICTURE, SMALL, BIAS, 5, padding=1),
    quantized("conv/uint8_weights", PICTURE, WIDE, BIAS, 10, padding=1),
    quantized("conv/int8_largest", LARGE, ENDS_64, NONE, 17, 128),
    quantized("conv/uint8_largest", FULL, ENDS[:2], NONE, 17, 128),
    quantized("conv/int8_to_float", PICTURE, SMALL, BIAS, 0, padding=1, to_float=True),
    quantized("conv/uint8_largest_to_float", FULL, ENDS[:2], NONE, 0, to_float=True),
]  # fmt: skip
