"""Weights as DequantizeLinear of integers.

int8 with zero point 0, or the same integers as uint8 with zero point 128 where an output channel's two largest weights
times the largest input exceed 16 bits: x86 without VNNI multiplies uint8 by int8 in pairs that saturate there. uint8
weights take twice the time or more.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.models.grid import pair_sums

Int64 = NDArray[np.int64]

PAIR_MAX = 32767


def dequantized_weights(
    graph: GraphWriter, weight: Int64, exponent: NDArray[np.float64], input_max: int, name: str, axis: int = 0
) -> ir.Value:
    """weight * 2^exponent as float32.

    Args:
        weight: integers, output channels along `axis`.
        exponent: (output channels,)
        input_max: the largest magnitude of the integers that they are multiplied by.
    """
    pairs_fit = input_max * int(pair_sums(weight, axis).max()) <= PAIR_MAX
    stored, zero = (weight, np.int8(0)) if pairs_fit else (weight + 128, np.uint8(128))
    return graph.op(
        "DequantizeLinear",
        graph.constant(stored.astype(zero.dtype), f"{name}_weight_integers"),
        graph.constant(np.exp2(exponent).astype(np.float32), f"{name}_weight_scale"),
        graph.constant(np.full(len(exponent), zero), f"{name}_weight_zero"),
        name=f"{name}_weight",
        axis=axis,
    )
