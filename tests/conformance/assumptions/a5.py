"""A5: fusions keep the meaning in real numbers: chains that optimizers rewrite, as exported graphs have them."""

import numpy as np
from conformance.case import LARGEST, Array, Fixed, chain, f32, fixed, i32, i64, node
from conformance.integers import convolution, half_to_even, saturated
from onnx import TensorProto

RANDOM = np.random.default_rng(5)
X = RANDOM.integers(0, 256, (1, 4, 6, 7)).astype(np.float32)
WEIGHT = RANDOM.integers(-60, 61, (3, 4, 3, 3))
BIAS = np.array([70, -3000, 9001])
SUM = convolution(X, WEIGHT, BIAS, padding=1)
TAPS = np.concatenate([np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)))[:, :, r : r + 6, c : c + 7]
                       for r in range(3) for c in range(3)], axis=1)  # fmt: skip
FLAT = WEIGHT.transpose(0, 2, 3, 1).reshape(3, 36, 1, 1)
assert np.array_equal(convolution(TAPS, FLAT, BIAS), SUM)
Z = i32([[[[-(2**31), -300, -128, -127, -1, 0, 1, 126, 127, 128, 2**31 - 1]]]])
CLIPPED = np.clip(Z.astype(np.int64), -127, 127)
OPERANDS: dict[str, Array | Fixed] = {
    "x": X, "one": fixed(1), "none": fixed(0, np.uint8), "stored": Fixed(WEIGHT.astype(np.int8)),
    "steps": fixed([2.0**-4] * 3), "zeros": fixed([0] * 3, np.int8), "integers": fixed(BIAS, np.int32),
}  # fmt: skip
QUANTIZED_CONV = [
    node("QuantizeLinear", "x one none", "xq"), node("DequantizeLinear", "xq one none", "again"),
    node("DequantizeLinear", "stored steps zeros", "weight", axis=0),
    node("DequantizeLinear", "integers steps", "bias", axis=0),
    node("Conv", "again weight bias", "sum", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
]  # fmt: skip
CASES = [
    # a Relu may be left out behind it, since uint8 with zero point 0 saturates at 0
    chain(
        "a5/conv_relu_quantize",
        [*QUANTIZED_CONV, node("Relu", "sum", "kept"), node("QuantizeLinear", "kept step none", "q"),
         node("DequantizeLinear", "q step none", "y")],
        {**OPERANDS, "step": fixed(32)},
        f32(saturated(half_to_even(SUM, 9)) * 32),
    ),
    chain(
        "a5/two_quantized_layers",
        [*QUANTIZED_CONV,
         node("QuantizeLinear", "sum step none", "q"), node("DequantizeLinear", "q step none", "hidden"),
         node("DequantizeLinear", "stored_2 steps_2 zeros_2", "weight_2", axis=0),
         node("Conv", "hidden weight_2", "sum_2", kernel_shape=[1, 1]),
         node("QuantizeLinear", "sum_2 step_2 none", "q_2"), node("DequantizeLinear", "q_2 step_2 none", "y")],
        {**OPERANDS, "step": fixed(32), "stored_2": fixed(np.reshape([1, 2, -3, 5, -7, 11], (2, 3, 1, 1)), np.int8),
         "steps_2": fixed([0.5, 0.5]), "zeros_2": fixed([0, 0], np.int8), "step_2": fixed(128)},
        f32(128 * saturated(half_to_even(convolution(
            saturated(half_to_even(SUM, 9)), np.reshape([1, 2, -3, 5, -7, 11], (2, 3, 1, 1))), 3))),
    ),
    chain(
        "a5/quantize_depth_to_space",
        [*QUANTIZED_CONV, node("QuantizeLinear", "sum step none", "q"), node("Slice", "q zero two axis", "few"),
         node("Concat", "few few", "four", axis=1), node("DepthToSpace", "four", "wide", blocksize=2, mode="DCR"),
         node("DequantizeLinear", "wide step none", "y")],
        {**OPERANDS, "step": fixed(32), "zero": i64(0), "two": i64(2), "axis": i64(1)},
        f32(32 * saturated(half_to_even(SUM, 9))[:, [0, 1, 0, 1]].reshape(1, 2, 2, 1, 6, 7)
            .transpose(0, 3, 4, 1, 5, 2).reshape(1, 1, 12, 14)),
    ),
    # a factor may be put into the Conv's scales, where it must not be rounded
    *(chain(
        f"a5/factor_{where}_quantized_conv",
        [*QUANTIZED_CONV, node("QuantizeLinear", "sum step none", "q"), node("DequantizeLinear", "q step none", "out"),
         *([node("Floor", "out", "whole")] if where == "apart_from" else []),
         node("Mul", "whole seven" if where == "apart_from" else "out seven", "y")],
        {**OPERANDS, "step": fixed(32), "seven": fixed(7)},
        f32(7 * 32 * saturated(half_to_even(SUM, 9))),
    ) for where in ("behind", "apart_from")),
    # a Pad may be put into the Conv, an Add into its bias, a Mul into its weights
    chain(
        "a5/pad_slices_conv",
        [node("Pad", "x pads", "padded", mode="constant"),
         *(node("Slice", f"padded from_{r}_{c} to_{r}_{c} axes", f"tap_{r}_{c}") for r in range(3) for c in range(3)),
         node("Concat", " ".join(f"tap_{r}_{c}" for r in range(3) for c in range(3)), "taps", axis=1),
         node("Conv", "taps weight bias", "sum", kernel_shape=[1, 1]), node("Mul", "sum eighth", "small"),
         node("Add", "small half", "raised"), node("Floor", "raised", "y")],
        {"x": X, "pads": i64(0, 0, 1, 1, 0, 0, 1, 1), "axes": i64(2, 3),
         "weight": Fixed(f32(FLAT)), "bias": fixed(BIAS), "eighth": fixed(0.125), "half": fixed(0.5),
         **{f"from_{r}_{c}": i64(r, c) for r in range(3) for c in range(3)},
         **{f"to_{r}_{c}": i64(r - 2 or 2**63 - 1, c - 2 or 2**63 - 1) for r in range(3) for c in range(3)}},
        f32((SUM + 4) >> 3),
    ),
    # the carrier's rounding to even: Floor(c) + Ceil(c - 1/2), c = x/2 + 1/4
    chain(
        "a5/carrier_rounding",
        [node("Mul", "x half_step", "halved"), node("Add", "halved quarter", "c"), node("Floor", "c", "below"),
         node("Sub", "c half", "less"), node("Ceil", "less", "above"), node("Add", "below above", "even"),
         node("Clip", "even low high", "y")],
        {"x": f32(np.arange(-600, 600)), "half_step": fixed(2.0**-3), "quarter": fixed(0.25), "half": fixed(0.5),
         "low": fixed(-128), "high": fixed(127)},
        f32(np.clip(half_to_even(np.arange(-600, 600), 2), -128, 127)),
    ),
    chain(
        "a5/symbols_to_limbs",
        [node("Cast", "z", "real", to=TensorProto.FLOAT), node("Clip", "real low high", "x"),
         node("Add", "x mean", "moved"), node("Mul", "moved sixteenth", "scaled"), node("Floor", "scaled", "upper"),
         node("Mul", "upper sixteen", "shifted"), node("Sub", "moved shifted", "lower"),
         node("Concat", "upper lower", "both", axis=1), node("Cast", "both", "y", to=TensorProto.INT32)],
        {"z": Z, "low": fixed(-127), "high": fixed(127), "mean": fixed(5), "sixteenth": fixed(2.0**-4),
         "sixteen": fixed(16)},
        i32(np.concatenate([(CLIPPED + 5) >> 4, (CLIPPED + 5) & 15], axis=1)),
    ),
    chain(
        "a5/floor_cast_gather",
        [node("Mul", "x small", "scaled"), node("Floor", "scaled", "whole"), node("Clip", "whole low high", "kept"),
         node("Cast", "kept", "index", to=TensorProto.INT32), node("Gather", "table index", "y", axis=0)],
        {"x": f32([[-LARGEST, -1, 0, 255, 256, 65535, LARGEST]]), "small": fixed(2.0**-8), "low": fixed(0),
         "high": fixed(255), "table": fixed(np.arange(256) * 3 + 1, np.int32)},
        i32([[1, 1, 1, 1, 4, 766, 766]]),
    ),
]  # fmt: skip
