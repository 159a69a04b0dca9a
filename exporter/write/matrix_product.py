"""The exact sum of a layer as integer matrix products: shifted copies of its input, channels last, times its weights.

ONNX Runtime has no integer convolution whose sum stays unrounded, but an integer matrix product that does
(MatMulIntegerToFloat): DequantizeLinear in front of both operands of a MatMul is all that it asks for. Nor can a matrix
product be computed by Winograd's algorithm.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.quantize.integer_layers import IntegerLayer
from nvc_check.exporter.quantized_weights import dequantized_weights
from nvc_check.exporter.write.subpixel import APART_FROM, PhaseConvolution, phase_convolutions, pixels_interleaved
from nvc_check.exporter.write.unfold import TO_THE_END


def is_matrix_product(layer: IntegerLayer, x: ir.Value) -> bool:
    """Whether `x` was dequantized right here, and the layer has outputs enough to be worth the copies."""
    producer, plain = x.producer(), layer.layer
    dequantized = producer is not None and producer.op_type == "DequantizeLinear"
    return dequantized and plain.out_channels >= APART_FROM and (plain.transposed or plain.stride == 1)


def matrix_product(graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
    """(1, C_in, h, w) -> the exact sums (1, C_out, stride h, stride w), float32."""
    plain, name = layer.layer, layer.layer.name
    whole = PhaseConvolution(layer.weight, (plain.padding, plain.padding, plain.padding, plain.padding))
    parts = phase_convolutions(layer) if plain.transposed else [whole]
    more = 0 if plain.transposed else 2 * plain.padding + 1 - layer.weight.shape[2]
    shifted = _Shifted(graph, x, parts, more, name)
    sums = []
    for i, part in enumerate(parts):
        each = f"{name}_phase_{i}" if len(parts) > 1 else name
        matrix = part.weight.transpose(2, 3, 1, 0).reshape(-1, plain.out_channels)
        # on the grid of 1: channels last, nothing tells whose grid a value is on until they are moved
        weights = dequantized_weights(graph, matrix, np.zeros(plain.out_channels), layer.input_max, each, axis=1)
        sums.append(graph.op("MatMul", shifted.side_by_side(part, each), weights, name=f"{each}_sum"))
    total = sums[0]
    if len(parts) > 1:
        together = graph.op("Concat", *sums, name=f"{name}_phases", axis=3)
        total = pixels_interleaved(graph, together, plain.stride, plain.out_channels, name)
    picture = graph.op("Transpose", total, name=f"{name}_sums", perm=[0, 3, 1, 2])
    steps = np.exp2(layer.weight_exponent).reshape(1, -1, 1, 1)
    on_grid = graph.op(
        "Mul", picture, graph.constant(steps.astype(np.float32), f"{name}_steps"), name=f"{name}_on_grid"
    )
    bias = layer.bias.reshape(1, -1, 1, 1) * steps * 2.0**layer.input_exponent
    return graph.op("Add", on_grid, graph.constant(bias.astype(np.float32), f"{name}_bias"), name=f"{name}_total")


class _Shifted:
    """The integers behind `x`, channels last, with a border for all kernels, shifted by each of their taps once.

    `more`: how many rows and columns the sums have more than x.
    """

    def __init__(self, graph: GraphWriter, x: ir.Value, parts: list[PhaseConvolution], more: int, name: str) -> None:
        producer = x.producer()
        assert producer is not None
        integers, self._scale, self._zero = (value for value in producer.inputs if value is not None)
        self._graph, self._name, self._more = graph, name, more
        self._top, self._left, self._bottom, self._right = (max(part.pads[i] for part in parts) for i in range(4))
        last = graph.op("Transpose", integers, name=f"{name}_integers", perm=[0, 2, 3, 1])
        border = np.array([0, self._top, self._left, 0, 0, self._bottom, self._right, 0], np.int64)
        self._padded = graph.op("Pad", last, graph.constant(border, f"{name}_pads"), self._zero, name=f"{name}_padded")
        self._axes = graph.constant(np.array([1, 2], np.int64), "rows_columns_last")
        self._copies: dict[tuple[int, int], ir.Value] = {}

    def side_by_side(self, part: PhaseConvolution, name: str) -> ir.Value:
        """(1, h, w, taps C_in), dequantized, tap by tap as the kernel is read."""
        rows, columns = part.weight.shape[2:]
        taps = [
            self._copy(row + self._top - part.pads[0], column + self._left - part.pads[1])
            for row in range(rows)
            for column in range(columns)
        ]
        wide = taps[0] if len(taps) == 1 else self._graph.op("Concat", *taps, name=f"{name}_taps", axis=3)
        return self._graph.op("DequantizeLinear", wide, self._scale, self._zero, name=f"{name}_wide")

    def _copy(self, row: int, column: int) -> ir.Value:
        """What lies `row` and `column` behind the border's corner."""
        if (row, column) not in self._copies:
            ends_at = (row - self._top - self._bottom, column - self._left - self._right)
            beyond = [end + self._more or TO_THE_END for end in ends_at]
            starts = self._graph.constant(np.array([row, column], np.int64), f"from_{row}_{column}")
            ends = self._graph.constant(np.array(beyond, np.int64), f"to_{row}_{column}_of_{self._name}")
            self._copies[row, column] = self._graph.op(
                "Slice", self._padded, starts, ends, self._axes, name=f"{self._name}_tap_{row}_{column}"
            )
        return self._copies[row, column]
