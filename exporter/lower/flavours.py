"""The two ways to write an integer graph, with the same bits.

    qdq      uint8 between QuantizeLinear and DequantizeLinear: ONNX Runtime runs integer kernels
    carrier  the same integers in float32, no 8-bit tensor: for providers without quantized operators

WebGPU has neither Round nor QuantizeLinear: rounding half to even is Floor(c) + Ceil(c - 1/2), c = t/2 + 1/4.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.certificate.targets import SMALL_MATMUL
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.products import as_points, float_convolution, matrix_product
from nvc_check.exporter.lower.stored import stored_weights
from nvc_check.exporter.lower.writing import saturated, times
from nvc_check.exporter.network.geometry import APART_FROM
from nvc_check.exporter.quantize.fitting import IntegerConvolution

BYTE = 255
MOVED = 16  # nodes that a runtime looks past
QUANTIZED, PRODUCT, EXACT_FLOAT = "integer Conv", "integer MatMul", "exact float Conv"
Form = tuple[int, int, int]  # zero point, low, high
Float64 = NDArray[np.float64]


class Flavour(Protocol):
    """What differs between the two."""

    def rounded(self, graph: GraphWriter, x: ir.Value, zero: int, low: int, high: int, name: str) -> ir.Value:
        """x: float32, dyadic -> integers within [low, high], half to even, as the flavour stores them.

        low + zero and high + zero are uint8.
        """
        ...

    def exactly(self, graph: GraphWriter, x: ir.Value, zero: int, low: int, high: int, name: str) -> ir.Value:
        """As `rounded`, of x that are integers already."""
        ...

    def limited(self, graph: GraphWriter, x: ir.Value, zero: int, low: int, high: int, name: str) -> ir.Value:
        """Dequantized integers within [low, high]."""
        ...

    def dequantized(self, graph: GraphWriter, integers: ir.Value, zero: int | None, name: str) -> ir.Value:
        """What `rounded` or `stored` gave, as float32; with `zero` None it is that already."""
        ...

    def stored(self, x: ir.Value, zero: int | None) -> tuple[ir.Value, int]:
        """(the integers behind x, on which operators that move values are written, the one that stands for 0)."""
        ...

    def convolved(
        self, graph: GraphWriter, made: IntegerConvolution, x: ir.Value, reach: int, form: Form, name: str
    ) -> ir.Value:
        """The convolution's sums, rounded half to even, as the flavour stores integers of `form`."""
        ...

    def wide_sums(self, graph: GraphWriter, made: IntegerConvolution, x: ir.Value, reach: int, name: str) -> ir.Value:
        """The convolution's exact sums, float32, with no QuantizeLinear behind them."""
        ...

    def bent(self, graph: GraphWriter, x: ir.Value, slopes: Float64, name: str) -> ir.Value:
        """x where it is positive, x times slopes (C,) elsewhere, not rounded; x: float32 integers."""
        ...

    def table(
        self, graph: GraphWriter, x: ir.Value, table: NDArray[np.int64], zeros: tuple[int, int], name: str
    ) -> ir.Value:
        """table[x + zeros[0]], 256 integers within [-zeros[1], 255 - zeros[1]], of integers x of a byte."""
        ...


class Qdq:
    def rounded(self, graph: GraphWriter, x: ir.Value, zero: int, low: int, high: int, name: str) -> ir.Value:
        integers = graph.op("QuantizeLinear", x, graph.scalar(1), _zero(graph, zero), name=f"{name}_quantized")
        return integers if (low, high) == (-zero, BYTE - zero) else _clipped(graph, integers, zero, low, high, name)

    def limited(self, graph: GraphWriter, x: ir.Value, zero: int, low: int, high: int, name: str) -> ir.Value:
        integers, _ = self.stored(x, zero)
        return self.dequantized(graph, _clipped(graph, integers, zero, low, high, name), zero, name)

    def exactly(self, graph: GraphWriter, x: ir.Value, zero: int, low: int, high: int, name: str) -> ir.Value:
        return self.rounded(graph, x, zero, low, high, name)

    def dequantized(self, graph: GraphWriter, integers: ir.Value, zero: int | None, name: str) -> ir.Value:
        if zero is None:
            return integers
        return graph.op("DequantizeLinear", integers, graph.scalar(1), _zero(graph, zero), name=f"{name}_out")

    def stored(self, x: ir.Value, zero: int | None) -> tuple[ir.Value, int]:
        producer = x.producer()
        if zero is None or producer is None:
            return x, 0
        integers = producer.inputs[0]
        assert producer.op_type == "DequantizeLinear" and integers is not None
        return integers, zero

    def convolved(
        self, graph: GraphWriter, made: IntegerConvolution, x: ir.Value, reach: int, form: Form, name: str
    ) -> ir.Value:
        if _mixed_up(made, x):
            total = as_points(graph, made, x, name)
            return self.exactly(graph, Carrier().rounded(graph, total, *form, f"{name}_float"), *form, name)
        return self.rounded(graph, self._integer_sums(graph, made, x, reach, name), *form, name)

    def _integer_sums(
        self, graph: GraphWriter, made: IntegerConvolution, x: ir.Value, reach: int, name: str
    ) -> ir.Value:
        """A Conv whose weights nobody else reads: some options of ONNX Runtime rewrite a shared one twice."""
        weight = made.weight
        stored, point = stored_weights(weight, reach, 0)
        scale = np.exp2(made.exponent).astype(np.float32)
        weights = graph.op(
            "DequantizeLinear",
            graph.own(stored, f"{name}_weight_integers"),
            graph.own(scale, f"{name}_weight_scale"),
            graph.own(np.full(len(weight), point), f"{name}_weight_zero"),
            name=f"{name}_weight",
            axis=0,
        )
        bias = graph.op(
            "DequantizeLinear",
            graph.own(made.bias.astype(np.int32), f"{name}_bias_integers"),
            graph.own(scale, f"{name}_bias_scale"),
            name=f"{name}_bias",
            axis=0,
        )
        plain = made.plain
        return graph.op(
            "Conv",
            x,
            weights,
            bias,
            name=f"{name}_sum",
            kernel_shape=list(weight.shape[2:]),
            strides=list(plain.strides),
            pads=list(plain.pads),
            dilations=list(plain.dilations),
            group=plain.groups,
        )

    def wide_sums(self, graph: GraphWriter, made: IntegerConvolution, x: ir.Value, reach: int, name: str) -> ir.Value:
        if wide_kernel(made) == PRODUCT:
            return matrix_product(graph, made, x, reach, name)
        return float_convolution(graph, made, x, name)  # few outputs: shifted copies would cost more than products

    def bent(self, graph: GraphWriter, x: ir.Value, slopes: Float64, name: str) -> ir.Value:
        """ONNX Runtime makes a table of a LeakyRelu between DequantizeLinear and QuantizeLinear; its PRelu is slow."""
        if (slopes == slopes[0]).all() and 0 <= slopes[0] <= 1:
            return graph.op("LeakyRelu", x, name=f"{name}_bent", alpha=float(slopes[0]))
        if (slopes <= 1).all():
            return graph.op("Max", x, times(graph, x, slopes, f"{name}_slope"), name=f"{name}_bent")
        return Carrier().bent(graph, x, slopes, name)

    def table(
        self, graph: GraphWriter, x: ir.Value, table: NDArray[np.int64], zeros: tuple[int, int], name: str
    ) -> ir.Value:
        codes, _ = self.stored(x, zeros[0])
        index = graph.op("Cast", codes, name=f"{name}_index", to=ir.DataType.INT32)
        stored = graph.constant((table + zeros[1]).astype(np.uint8), f"{name}_table")
        found = graph.op("Gather", stored, index, name=f"{name}_found", axis=0)
        return self.dequantized(graph, found, zeros[1], name)


class Carrier:
    def rounded(self, graph: GraphWriter, x: ir.Value, zero: int, low: int, high: int, name: str) -> ir.Value:
        # a half below the sum needs bits
        x = graph.op("Clip", x, graph.scalar(low - 1), graph.scalar(high + 1), name=f"{name}_bounded")
        half = graph.op("Mul", x, graph.scalar(0.5), name=f"{name}_halved")
        c = graph.op("Add", half, graph.scalar(0.25), name=f"{name}_c")
        lower = graph.op("Floor", c, name=f"{name}_floor")
        upper = graph.op("Ceil", graph.op("Sub", c, graph.scalar(0.5), name=f"{name}_c_half"), name=f"{name}_ceil")
        even = graph.op("Add", lower, upper, name=f"{name}_rounded")
        return graph.op("Clip", even, graph.scalar(low), graph.scalar(high), name=f"{name}_saturated")

    def exactly(self, graph: GraphWriter, x: ir.Value, zero: int, low: int, high: int, name: str) -> ir.Value:
        return saturated(graph, x, low, high, name)

    def limited(self, graph: GraphWriter, x: ir.Value, zero: int, low: int, high: int, name: str) -> ir.Value:
        return saturated(graph, x, low, high, name)

    def dequantized(self, graph: GraphWriter, integers: ir.Value, zero: int | None, name: str) -> ir.Value:
        return integers

    def stored(self, x: ir.Value, zero: int | None) -> tuple[ir.Value, int]:
        return x, 0

    def convolved(
        self, graph: GraphWriter, made: IntegerConvolution, x: ir.Value, reach: int, form: Form, name: str
    ) -> ir.Value:
        return self.rounded(graph, as_points(graph, made, x, name), *form, name)

    def wide_sums(self, graph: GraphWriter, made: IntegerConvolution, x: ir.Value, reach: int, name: str) -> ir.Value:
        return as_points(graph, made, x, name)

    def bent(self, graph: GraphWriter, x: ir.Value, slopes: Float64, name: str) -> ir.Value:
        """WebGPU has no PRelu."""
        above = graph.op("Relu", x, name=f"{name}_above")
        below = graph.op("Sub", above, x, name=f"{name}_below")
        return graph.op("Sub", above, times(graph, below, slopes, f"{name}_slope"), name=f"{name}_bent")

    def table(
        self, graph: GraphWriter, x: ir.Value, table: NDArray[np.int64], zeros: tuple[int, int], name: str
    ) -> ir.Value:
        shifted = graph.op("Add", x, graph.scalar(zeros[0]), name=f"{name}_shifted") if zeros[0] else x
        index = graph.op("Cast", shifted, name=f"{name}_index", to=ir.DataType.INT32)
        return graph.op("Gather", graph.constant(table.astype(np.float32), f"{name}_table"), index, name=name, axis=0)


def wide_kernel(made: IntegerConvolution) -> str:
    """Which of its kernels the qdq flavour uses for sums that are not rounded."""
    return PRODUCT if len(made.weight) >= APART_FROM or _wrong_on_webgpu(made) else EXACT_FLOAT


FLAVOURS: dict[str, Flavour] = {"qdq": Qdq(), "carrier": Carrier()}


def _mixed_up(made: IntegerConvolution, x: ir.Value) -> bool:
    """OpenVINO 2026.4 mixes up the axes of a 1x1 Conv of integer weights that has strides or is behind a Transpose."""
    if made.weight.shape[2:] != (1, 1):
        return False
    value: ir.Value | None = x
    for _ in range(MOVED):
        node = None if value is None else value.producer()
        if node is None:
            break
        if node.op_type == "Transpose":
            return True
        value = node.inputs[0]
    return made.plain.strides != (1, 1)


def _wrong_on_webgpu(made: IntegerConvolution) -> bool:
    """Float convolutions that ONNX Runtime WebGPU 1.27 computes wrong; see the certificate on Conv."""
    channels, outputs = made.plain.in_channels, len(made.weight)
    of_threes = channels > 3 and not channels % 3 and channels % 4 != 0 and not outputs % 4
    few = outputs < SMALL_MATMUL and made.weight[0].size < SMALL_MATMUL
    return made.plain.groups == 1 and (of_threes or few)


def _clipped(graph: GraphWriter, integers: ir.Value, zero: int, low: int, high: int, name: str) -> ir.Value:
    limits = (graph.constant(np.array(v + zero, np.uint8), f"uint8_{v + zero}") for v in (low, high))
    return graph.op("Clip", integers, *limits, name=f"{name}_saturated")


def _zero(graph: GraphWriter, zero: int) -> ir.Value:
    return graph.constant(np.array(zero, np.uint8), f"zero_uint8_{zero}")
