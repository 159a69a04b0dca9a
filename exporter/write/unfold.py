"""A k x k stride-1 convolution as shifted slices and one 1x1 convolution.

A float 3x3 stride-1 Conv may be computed by Winograd's algorithm, whose intermediate values leave the grid; a 1x1
Conv has no such form on any runtime. The multiplications are the same, in the same number.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.quantize.integer_layers import IntegerLayer

TO_THE_END = np.iinfo(np.int64).max


def unfolded(graph: GraphWriter, integer: IntegerLayer, x: ir.Value) -> tuple[IntegerLayer, ir.Value]:
    """(the layer as a pointwise one, k*k shifted copies of `x` along the channels); other layers as they are."""
    layer = integer.layer
    size = layer.weight.shape[2]
    if size == 1 or layer.transposed or layer.stride > 1:
        return integer, x
    pads = graph.constant(np.array([0, 0, layer.padding, layer.padding] * 2, np.int64), f"{layer.name}_pads")
    padded = graph.op("Pad", x, pads, name=f"{layer.name}_padded", mode="constant")
    axes = graph.constant(np.array([2, 3], np.int64), "rows_columns")
    taps = []
    for row in range(size):
        for column in range(size):
            last = [shift - size + 1 or TO_THE_END for shift in (row, column)]
            starts = graph.constant(np.array([row, column], np.int64), f"from_{row}_{column}")
            ends = graph.constant(np.array(last, np.int64), f"to_{row}_{column}_of_{size}")
            taps.append(graph.op("Slice", padded, starts, ends, axes, name=f"{layer.name}_tap_{row}_{column}"))
    wide = graph.op("Concat", *taps, name=f"{layer.name}_taps", axis=1)
    weight = integer.weight.transpose(0, 2, 3, 1).reshape(layer.out_channels, -1, 1, 1)
    pointwise = replace(layer, padding=0)
    return replace(integer, weight=weight, layer=pointwise), wide
