"""A transposed convolution as stride-1 convolutions of its stride phases, and the layout of their outputs.

ONNX Runtime has no integer ConvTranspose; this form makes its QLinearConv run. One convolution for each phase has the
fewest products; few channels are better made by one convolution for all, whose kernel is as large as the largest phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.quantize.integer_layers import IntegerLayer

APART_FROM = 16  # output channels; integer kernels compute that many at once


@dataclass(frozen=True)
class PhaseConvolution:
    """Some phases of a transposed convolution.

    Attributes:
        weight: (phases x C_out, C_in, rows, columns) int64, outputs ordered (row phase, column phase, channel).
        pads: top, left, bottom, right.
    """

    weight: NDArray[np.int64]
    pads: tuple[int, int, int, int]


def phase_convolutions(integer: IntegerLayer) -> list[PhaseConvolution]:
    """All phases of a transposed layer, row by row: stride^2 convolutions, or one."""
    layer = integer.layer
    offsets = [_offsets(layer.stride, layer.weight.shape[2], layer.padding, phase) for phase in range(layer.stride)]
    if layer.out_channels >= APART_FROM:
        return [
            _one(integer, [row], [column], offsets) for row in range(layer.stride) for column in range(layer.stride)
        ]
    everything = list(range(layer.stride))
    return [_one(integer, everything, everything, offsets)]


def _offsets(stride: int, taps: int, padding: int, phase: int) -> dict[int, int]:
    """Input offset d -> tap: output stride n + phase reads input n + d with tap phase + padding - stride d."""
    found = {d: phase + padding - stride * d for d in range(-taps, taps + 1)}
    return {d: tap for d, tap in found.items() if 0 <= tap < taps}


def _one(integer: IntegerLayer, rows: list[int], columns: list[int], offsets: list[dict[int, int]]) -> PhaseConvolution:
    channels_in, channels_out = integer.weight.shape[:2]
    (top, bottom), (left, right) = (_span([offsets[phase] for phase in phases]) for phases in (rows, columns))
    shape = (len(rows), len(columns), channels_out, channels_in, top + bottom + 1, left + right + 1)
    weight = np.zeros(shape, np.int64)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            for down, a in offsets[row].items():
                for over, b in offsets[column].items():
                    weight[i, j, :, :, down + top, over + left] = integer.weight[:, :, a, b].T
    return PhaseConvolution(weight.reshape(-1, *shape[3:]), (top, left, bottom, right))


def _span(offsets: list[dict[int, int]]) -> tuple[int, int]:
    """How far the kernel reaches (before, behind) the input position."""
    reached = [d for found in offsets for d in found] + [0]
    return -min(reached), max(reached)


def interleaved(graph: GraphWriter, phases: ir.Value, stride: int, channels: int, name: str) -> ir.Value:
    """DepthToSpace (DCR): (1, stride^2 C, h, w) -> (1, C, stride h, stride w).

    With the channels last it moves whole rows of stride x C values, and ONNX Runtime, whose integer convolutions have
    the channels last, needs no other move for it: a tenth of the time of its DepthToSpace.
    """
    x = graph.op("Transpose", phases, name=f"{name}_channels_last", perm=[0, 2, 3, 1])
    x = pixels_interleaved(graph, x, stride, channels, name)
    return graph.op("Transpose", x, name=f"{name}_picture", perm=[0, 3, 1, 2])


def pixels_interleaved(graph: GraphWriter, phases: ir.Value, stride: int, channels: int, name: str) -> ir.Value:
    """(1, h, w, stride^2 C) -> (1, stride h, stride w, C).

    Sizes are taken over (0) or computed (-1) by Reshape, so that no arithmetic on shapes is needed.
    """

    def shape(x: ir.Value, sizes: list[int], step: str) -> ir.Value:
        wanted = graph.constant(np.array(sizes, np.int64), f"{name}_{step}_shape")
        return graph.op("Reshape", x, wanted, name=f"{name}_{step}")

    x = shape(phases, [0, 0, 0, stride, stride * channels], "row_phases")
    x = graph.op("Transpose", x, name=f"{name}_rows_apart", perm=[0, 1, 3, 2, 4])
    x = shape(x, [0, -1, 1, 0, stride * channels], "rows")
    return shape(x, [0, 0, -1, channels], "pixels")
