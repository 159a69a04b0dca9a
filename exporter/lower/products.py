"""Exact sums of a convolution that no QuantizeLinear follows, without Winograd's algorithm.

A float 3x3 Conv of stride 1 may be computed by it, and its intermediate values leave the grid. So the taps are shifted
copies of the input (Slices), put together along the channels, and the products a 1x1 Conv, or, of uint8, a matrix
product: ONNX Runtime has no integer convolution whose sums stay unrounded, but an integer matrix product that does
(MatMulIntegerToFloat): DequantizeLinear in front of both operands of a MatMul is all that it asks for.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.certificate.targets import SMALL_MATMUL
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.stored import stored_weights
from nvc_check.exporter.quantize.fitting import IntegerConvolution

TO_THE_END = np.iinfo(np.int64).max


def as_points(graph: GraphWriter, made: IntegerConvolution, x: ir.Value, name: str) -> ir.Value:
    """(1, C, h, w) -> the sums (1, O, H, W), all float32: a 1x1 Conv of stride 1, of no groups."""
    plain = made.plain
    weight = dense(made.weight, plain.groups) * np.exp2(made.exponent).reshape(-1, 1, 1, 1)
    wide = _taps(graph, made, x, None, 2, name)
    weight = weight.transpose(0, 2, 3, 1).reshape(len(weight), -1, 1, 1)
    bias = made.bias * np.exp2(made.exponent)
    if len(weight) < SMALL_MATMUL and weight.shape[1] < SMALL_MATMUL:  # see the certificate on WebGPU
        copies = -(-SMALL_MATMUL // weight.shape[1])
        wide = graph.op("Concat", *[wide] * copies, name=f"{name}_wide", axis=1)
        weight = np.concatenate([weight, *[np.zeros_like(weight)] * (copies - 1)], axis=1)
    return graph.op(
        "Conv",
        wide,
        graph.own(weight.astype(np.float32), f"{name}_weight"),
        graph.own(bias.astype(np.float32), f"{name}_bias"),
        name=f"{name}_sum",
        kernel_shape=[1, 1],
        strides=[1, 1],
        pads=[0, 0, 0, 0],
    )


def float_convolution(graph: GraphWriter, made: IntegerConvolution, x: ir.Value, name: str) -> ir.Value:
    """The convolution as it is, with float32 weights on their grids: exact where convolution is direct (A2)."""
    plain = made.plain
    steps = np.exp2(made.exponent)
    return graph.op(
        "Conv",
        x,
        graph.own((made.weight * steps.reshape(-1, 1, 1, 1)).astype(np.float32), f"{name}_weight"),
        graph.own((made.bias * steps).astype(np.float32), f"{name}_bias"),
        name=f"{name}_sum",
        kernel_shape=list(made.weight.shape[2:]),
        strides=list(plain.strides),
        pads=list(plain.pads),
        dilations=list(plain.dilations),
        group=plain.groups,
    )


def matrix_product(graph: GraphWriter, made: IntegerConvolution, x: ir.Value, reach: int, name: str) -> ir.Value:
    """x, (1, C, h, w) float32 just dequantized on a scale of 1 -> the sums (1, O, H, W), float32."""
    producer = x.producer()
    assert producer is not None and producer.op_type == "DequantizeLinear"
    integers, scale, zero = (value for value in producer.inputs if value is not None)
    last = graph.op("Transpose", integers, name=f"{name}_integers", perm=[0, 2, 3, 1])
    wide = graph.op("DequantizeLinear", _taps(graph, made, last, zero, 1, name), scale, zero, name=f"{name}_wide")
    weight = dense(made.weight, made.plain.groups)
    matrix = weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))
    stored, point = stored_weights(matrix, reach, 1)
    # on the grid of 1: channels last, nothing tells whose grid a value is on until they are moved
    weights = graph.op(
        "DequantizeLinear",
        graph.own(stored, f"{name}_weight_integers"),
        graph.own(np.ones(len(weight), np.float32), f"{name}_weight_scale"),
        graph.own(np.full(len(weight), point), f"{name}_weight_zero"),
        name=f"{name}_weight",
        axis=1,
    )
    sums = graph.op("MatMul", wide, weights, name=f"{name}_products")
    picture = graph.op("Transpose", sums, name=f"{name}_channels_first", perm=[0, 3, 1, 2])
    steps = np.exp2(made.exponent).reshape(1, -1, 1, 1)
    on_grid = graph.op(
        "Mul", picture, graph.constant(steps.astype(np.float32), f"{name}_steps"), name=f"{name}_on_grid"
    )
    bias = (made.bias.reshape(1, -1, 1, 1) * steps).astype(np.float32)
    return graph.op("Add", on_grid, graph.constant(bias, f"{name}_bias"), name=f"{name}_sum")


def dense(weight: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """Grouped weights (O, C / groups, k, k) with zeros for the inputs that a group does not read: (O, C, k, k)."""
    if groups == 1:
        return weight
    rows, columns = weight.shape[:2]
    whole = np.zeros((rows, columns * groups, *weight.shape[2:]), np.int64)
    for group in range(groups):
        own = slice(group * rows // groups, (group + 1) * rows // groups)
        whole[own, group * columns : (group + 1) * columns] = weight[own]
    return whole


def _taps(
    graph: GraphWriter, made: IntegerConvolution, x: ir.Value, zero: ir.Value | None, height_axis: int, name: str
) -> ir.Value:
    """What each tap of the kernel reads, one behind the other along the channels; borders are of `zero`."""
    plain = made.plain
    sizes = made.weight.shape[2:]
    if any(plain.pads):
        top, left, bottom, right = plain.pads
        around = np.zeros((2, 4), np.int64)
        around[:, height_axis : height_axis + 2] = [[top, left], [bottom, right]]
        pads = graph.constant(around.reshape(-1), f"{name}_pads")
        x = graph.op("Pad", x, pads, *(() if zero is None else (zero,)), name=f"{name}_padded", mode="constant")
    if sizes == (1, 1) and plain.strides == (1, 1):
        return x
    axes = graph.constant(np.array([height_axis, height_axis + 1], np.int64), f"rows_columns_{height_axis}")
    steps = graph.constant(np.array(plain.strides, np.int64), "steps_{}_{}".format(*plain.strides))
    taps = []
    for tap in product(*(range(size) for size in sizes)):
        at = [place * dilation for place, dilation in zip(tap, plain.dilations, strict=True)]
        left_out = [
            begin - dilation * (size - 1) or TO_THE_END
            for begin, dilation, size in zip(at, plain.dilations, sizes, strict=True)
        ]
        starts = graph.constant(np.array(at, np.int64), "from_{}_{}".format(*at))
        ends = graph.constant(np.array(left_out, np.int64), "to_{}_{}".format(*left_out).replace("-", "less_"))
        by_tap = (starts, ends, axes) if plain.strides == (1, 1) else (starts, ends, axes, steps)
        taps.append(graph.op("Slice", x, *by_tap, name="{}_tap_{}_{}".format(name, *tap)))
    return (
        taps[0] if len(taps) == 1 else graph.op("Concat", *taps, name=f"{name}_taps", axis=1 if height_axis == 2 else 3)
    )
