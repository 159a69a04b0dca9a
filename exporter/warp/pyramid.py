"""The Gaussian pyramid of the scale-space warp in integers: blur, halve, blur, ...

Real-number meaning: `gaussian_volume` of CompressAI's ScaleSpaceFlow (Agustsson et al., "Scale-space flow for
end-to-end optimized video compression", CVPR 2020). Level 0 is the sharp reference, level 1 its blur, level l the
blur of the 2x2 mean of level l - 1. Levels keep their own resolution: the warp samples them bilinearly where they
are, in place of the upsampled volume.

Arithmetic, with samples in quarters of an 8-bit step (integers 0..1020, 10 bits), each line rounded half up:
    horizontal pass   floor(sum(k[i] x[i]) / 128 + 1/2)         0..2040, 11 bits
    vertical pass     floor(sum(k[i] x[i]) / 512 + 1/2)         0..1020
    2x2 mean          floor((a + b + c + d) / 4 + 1/2)          0..1020
where k are integers with sum 256. The convolutions read samples in two limbs of at most 7 significant bits, as twice
the channels, so that TF32 and bfloat16 multipliers are exact too (a tenth of the warp's time); the largest sum is
255.5 * 2047 steps, below 2^20.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter

STEPS = 4  # steps of the result per 8-bit step
KERNEL_SUM = 256
HORIZONTAL = 2.0**-7  # the horizontal pass keeps one more bit than the samples ...
VERTICAL = 2.0**-9  # ... and the vertical pass takes it back
WHITE = 255 * STEPS
LIMB = 16  # samples are split into multiples of it and what is left
LIMBS = 2
PHASES = 8  # outputs of one convolution window; every level's sides are multiples of it


def integer_kernel(sigma: float) -> NDArray[np.int64]:
    """(2 * ceil(3 sigma) + 1,) int64: the Gaussian x 256, symmetric, with sum 256; zeros at the ends cut off."""
    half = math.ceil(3 * sigma)
    real = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    real *= KERNEL_SUM / real.sum()
    sides = np.rint(real[:half]).astype(np.int64)
    # an odd rest goes to the middle, pairs of the rest where rounding was least certain
    rest = KERNEL_SUM - 2 * int(sides.sum()) - round(real[half])
    error = real[:half] - sides
    for _ in range(abs(rest) // 2):
        index = int(np.argmax(np.sign(rest) * error))
        sides[index] += int(np.sign(rest))
        error[index] -= np.sign(rest)
    middle = KERNEL_SUM - 2 * int(sides.sum())
    kernel = np.array([*sides, middle, *sides[::-1]], np.int64)
    zeros = int(np.argmax(kernel > 0))
    return kernel[zeros : len(kernel) - zeros]


def write_pyramid(graph: GraphWriter, reference: ir.Value, levels: int, sigma: float) -> list[ir.Value]:
    """`levels` pictures (3, 1, h, w) float32 of integers 0..1020 from (1, 3, H, W) integers 0..255.

    Level l >= 2 has h = H / 2^(l-1). The colours are the batch: every filter is one of a single channel.
    """
    colours = graph.op("Transpose", reference, name="warp_colours", perm=[1, 0, 2, 3])
    pictures = [graph.op("Mul", colours, graph.scalar(STEPS), name="warp_level_0")]
    kernel = integer_kernel(sigma)
    mean = graph.constant(np.full((1, LIMBS, 2, 2), 0.25, np.float32), "warp_mean")
    for level in range(1, levels):
        picture = pictures[-1]
        name = f"warp_level_{level}"
        if level > 1:
            limbs = _limbs(graph, picture, f"{name}_mean")
            picture = graph.op("Conv", limbs, mean, _half(graph, 1), name=f"{name}_mean", strides=[2, 2])
            picture = graph.op("Floor", picture, name=f"{name}_halved")
        picture = _blur(graph, picture, kernel * HORIZONTAL, f"{name}_h", horizontal=True)
        picture = _blur(graph, picture, kernel * VERTICAL, f"{name}_v", horizontal=False)
        # always true, but a proof by intervals cannot know that limbs belong together
        pictures.append(graph.op("Clip", picture, graph.scalar(0), graph.scalar(WHITE), name=name))
    return pictures


def _limbs(graph: GraphWriter, picture: ir.Value, name: str) -> ir.Value:
    """(3, 1, h, w) integers 0..2047 -> (3, 2, h, w): multiples of 16 and what is left, at most 7 bits each."""
    sixteenths = graph.op("Mul", picture, graph.scalar(1 / LIMB), name=f"{name}_sixteenths")
    whole = graph.op("Floor", sixteenths, name=f"{name}_whole")
    high = graph.op("Mul", whole, graph.scalar(LIMB), name=f"{name}_high")
    low = graph.op("Sub", picture, high, name=f"{name}_low")
    low = graph.op("Clip", low, graph.scalar(0), graph.scalar(LIMB - 1), name=f"{name}_low_bounded")
    return graph.op("Concat", high, low, name=f"{name}_limbs", axis=1)


def _half(graph: GraphWriter, channels: int) -> ir.Value:
    return graph.constant(np.full(channels, 0.5, np.float32), f"half_{channels}")


def _blur(graph: GraphWriter, picture: ir.Value, kernel: NDArray[np.float64], name: str, horizontal: bool) -> ir.Value:
    """One pass over (3, 1, h, w) with repeated edges, rounded half up.

    Eight neighbouring outputs are eight channels of a convolution with stride 8: a filter with one output channel
    would leave most of a vector unit idle, and a strided one is never computed by Winograd's algorithm.
    """
    reach = len(kernel) // 2
    weight = np.zeros((PHASES, LIMBS, 1, PHASES + 2 * reach), np.float32)
    for phase in range(PHASES):
        weight[phase, :, 0, phase : phase + len(kernel)] = kernel
    ends = [0, 0, 0, reach] if horizontal else [0, 0, reach, 0]
    pads = graph.constant(np.array(ends * 2, np.int64), f"warp_pads_{'h' if horizontal else 'v'}")
    padded = graph.op("Pad", picture, pads, name=f"{name}_padded", mode="edge")
    limbs = _limbs(graph, padded, name)
    filters = graph.constant(weight if horizontal else weight.transpose(0, 1, 3, 2), f"{name}_filters")
    strides = [1, PHASES] if horizontal else [PHASES, 1]
    phases = graph.op("Conv", limbs, filters, _half(graph, PHASES), name=f"{name}_phases", strides=strides)
    rounded = graph.op("Floor", phases, name=f"{name}_floor")
    apart = graph.op("Transpose", rounded, name=f"{name}_apart", perm=[0, 2, 3, 1] if horizontal else [0, 2, 1, 3])
    # a 0 keeps the dimension of that position
    if horizontal:
        shape = graph.constant(np.array([0, 0, -1], np.int64), "warp_rows_of_phases")
        joined = graph.op("Reshape", apart, shape, name=f"{name}_joined")  # (3, h, w/8, 8) -> (3, h, w)
        axis = graph.constant(np.array([1], np.int64), "axis_1")
        return graph.op("Unsqueeze", joined, axis, name=name)
    shape = graph.constant(np.array([0, 1, -1, 0], np.int64), "warp_phases_of_rows")
    return graph.op("Reshape", apart, shape, name=name)  # (3, h/8, 8, w) -> (3, 1, h, w)
