"""The certificate's rule for Conv and ConvTranspose, per output channel and stride phase with the real weights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.exporter.certificate.abstract import Abstract, Linear, capped, wide
from nvc_check.exporter.certificate.rules.products import pair_hazards, weight_bits
from nvc_check.exporter.certificate.targets import SMALL_MATMUL, Hazard, operand_hazards
from nvc_check.exporter.certificate.terms import Call, Outcome, Refused, Rule, one, require_type
from nvc_check.models.grid import FLOAT32_EXACT, finest_exponents

Weights = NDArray[np.float64]  # (groups, outputs per group, inputs per group, taps...)


def convolution(call: Call) -> Outcome:
    """Bound of every partial sum, operand bits, pair bound, Winograd; zero padding counts as an input of 0."""
    x, weight, bias = call.input(0), call.input(1), call.optional(2)
    require_type(x, "float32")
    require_type(weight, "float32")
    if weight.constant is None or (bias is not None and bias.constant is None):
        raise Refused("weights that are not constant have no bound", "weights as initializers")
    transposed = call.op_type == "ConvTranspose"
    kernel = grouped(weight.constant.astype(np.float64), int(call.get("group", 1)), transposed)
    groups, outputs, inputs = kernel.shape[:3]
    exponent, low, high = (a.reshape(groups, 1, inputs) for a in wide(x, groups * inputs))
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    constants = np.zeros(groups * outputs) if bias is None else np.asarray(bias.constant, np.float64)

    finest = capped(finest_exponents(kernel.reshape(groups, outputs, inputs, -1)) + exponent)
    grid = np.minimum(finest.min(axis=2).reshape(-1), finest_exponents(constants.reshape(-1, 1)))
    dimensions = kernel.ndim - 3
    strides = list(call.get("strides", [1] * dimensions))
    dilations = list(call.get("dilations", [1] * dimensions))
    reach = np.maximum(-low, high)
    sums, lows, highs = [], [], []
    for part in _phases(kernel, strides, dilations) if transposed else [kernel]:
        taps = part.reshape(groups, outputs, inputs, -1)
        positive, negative = np.maximum(taps, 0).sum(axis=3), np.minimum(taps, 0).sum(axis=3)
        sums.append(((positive - negative) * reach).sum(axis=2).reshape(-1) + np.abs(constants))
        lows.append((positive * low + negative * high).sum(axis=2).reshape(-1) + constants)
        highs.append((positive * high + negative * low).sum(axis=2).reshape(-1) + constants)
    bounds = np.max(sums, axis=0) / np.exp2(grid)
    worst = int(np.argmax(bounds))
    if bounds[worst] >= FLOAT32_EXACT:
        raise Refused(
            f"output channel {worst}: sums reach {bounds[worst]:.0f}, not below 2^24 = {FLOAT32_EXACT}",
            "coarser weights, fewer input channels in one convolution, or limbs",
        )
    bits = weight_bits(kernel.reshape(groups * outputs, -1))
    folded = bits + (x.linear.bits if x.linear is not None and not x.linear.products else 0)
    hazards = [
        *operand_hazards(max(x.bits, folded), f"operands of {x.bits} and {folded} bits"),
        *pair_hazards(weight, x, 1 if transposed else 0),
    ]
    if transposed and weight.stored is not None:
        hazards.append(
            Hazard(
                ("any", "openvino"),
                "a ConvTranspose that calls itself quantized: OpenVINO computes it wrong, ONNX Runtime as float",
                "weights as float32 on the same grid, or one Conv and a DepthToSpace",
            )
        )
    if not transposed:
        hazards.extend(_threes_on_webgpu(call, kernel, strides, weight.stored is not None))
        hazards.extend(_few_on_webgpu(kernel, weight.stored is not None))
    fast = any(size > 1 and stride == 1 for size, stride in zip(kernel.shape[3:], strides, strict=True))
    chain = Linear(bounds, bits, np.abs(constants), products=True)
    return one(
        Abstract(grid, np.min(lows, axis=0), np.max(highs, axis=0), linear=chain),
        bound=float(bounds[worst]),
        operand_bits=f"{x.bits}x{bits}",
        assumptions=("A1", *(("A2",) if fast else ()), "A3", "A5"),
        hazards=tuple(hazards),
    )


def _threes_on_webgpu(call: Call, kernel: Weights, strides: Sequence[int], quantized: bool) -> tuple[Hazard, ...]:
    """Shapes that ONNX Runtime WebGPU 1.27 computes wrong, as measured on SwiftShader: nearly every sum is another.

    Measured right beside them: 3 input channels, groups, output channels that 4 does not divide, three dimensions, and
    what runs as a MatMul: 1x1 with stride 1 and no padding. (So does a kernel of the picture's own size: refused, as
    sizes are not known here.) A quantized Conv is left to the CPU there, so that only `webgpu` is refused.
    """
    groups, outputs, inputs, *taps = kernel.shape
    if groups > 1 or len(taps) > 2 or inputs <= 3 or inputs % 3 or not inputs % 4 or outputs % 4:
        return ()
    if set(taps) == {1} == set(strides) and not any(call.get("pads", ())):
        return ()
    return (
        Hazard(
            ("webgpu",) if quantized else ("any", "webgpu"),
            f"ONNX Runtime WebGPU 1.27 computes a float Conv of {inputs} input and {outputs} output channels wrong",
            "pad the input channels to a multiple of 4 with zero weights, or unfold it into a 1x1 Conv of stride 1",
        ),
    )


def _few_on_webgpu(kernel: Weights, quantized: bool) -> tuple[Hazard, ...]:
    """ONNX Runtime WebGPU 1.27 gives every 1x1 Conv of fewer than 8 input and output channels the Clip, Relu or
    LeakyRelu of the first one that the process compiled: the key of its cache of programs for small products leaves
    activations out. A larger kernel on a picture of its own size is such a product too.
    """
    groups, outputs, inputs, *taps = kernel.shape
    if groups > 1 or outputs >= SMALL_MATMUL or inputs * math.prod(taps) >= SMALL_MATMUL:
        return ()
    return (
        Hazard(
            ("webgpu",) if quantized else ("any", "webgpu"),
            f"ONNX Runtime WebGPU 1.27 limits a Conv of {inputs} input and {outputs} output channels as it did another",
            f"pad the input channels to {SMALL_MATMUL} with zero weights",
        ),
    )


def grouped(kernel: NDArray[np.float64], groups: int, transposed: bool) -> Weights:
    """ONNX weights, (C_out, C_in/g, k...) or (C_in, C_out/g, k...) of a ConvTranspose, group by group."""
    if kernel.ndim < 3:
        raise Refused(f"weights have {kernel.ndim} dimensions, expected at least 3", "repair the graph")
    apart = kernel.reshape(groups, kernel.shape[0] // groups, *kernel.shape[1:])
    return np.swapaxes(apart, 1, 2) if transposed else apart


def _phases(kernel: Weights, strides: Sequence[int], dilations: Sequence[int]) -> list[Weights]:
    """The taps that meet in one output position, for each phase of a transposed convolution."""
    residues = [
        (np.arange(size) * dilation) % stride
        for size, stride, dilation in zip(kernel.shape[3:], strides, dilations, strict=True)
    ]
    parts = []
    met = [np.unique(residue) for residue in residues]  # strides may be far larger than kernels: the rest has no taps
    if any(len(found) < stride for found, stride in zip(met, strides, strict=True)):
        parts.append(kernel[..., :0].reshape(*kernel.shape[:3], *[0] * len(strides)))
    for phase in itertools.product(*met):
        part: Any = kernel
        for axis, (residue, position) in enumerate(zip(residues, phase, strict=True)):
            part = np.compress(residue == position, part, axis=3 + axis)
        parts.append(part)
    return parts


CONVOLUTION: dict[str, Rule] = {"Conv": convolution, "ConvTranspose": convolution}
