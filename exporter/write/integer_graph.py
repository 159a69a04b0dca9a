"""Writes the exact graph of an integer chain: int32 symbols in, int32 indexes and means out.

Two flavours of one specification, with the same bits:
    qdq      QuantizeLinear/DequantizeLinear: ONNX Runtime fuses hidden layers to QLinearConv
    carrier  the same integers x 2^e in float32, no 8-bit tensor: for providers without quantized operators
Values are real numbers on dyadic grids in both, so a runtime may fuse, reorder or use float kernels freely.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.quantize.integer_layers import PLANE, IntegerChain, IntegerLayer, IntegerOutput
from nvc_check.exporter.write import carrier, qdq


class Flavour(Protocol):
    """What differs between the two ways to write a graph."""

    def symbols(self, graph: GraphWriter, z: ir.Value) -> ir.Value:
        """z: float32 integers within [-128, 127], as input of the first layer."""
        ...

    def limbs(self, graph: GraphWriter, x: ir.Value, read: NDArray[np.int32], name: str) -> ir.Value:
        """x: (1, C, h, w) float32, dyadic -> the channels `read`, (n,), of the (1, 2C, h, w) of limbs.limbs."""
        ...

    def activation(self, graph: GraphWriter, x: ir.Value, ready: bool, name: str) -> ir.Value:
        """x: float32, dyadic, at least 0 -> integers within [0, 127], as input of a layer; `ready` where it is that."""
        ...

    def hidden(self, graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
        """The layer with its activation, rounded to its 8-bit grid."""
        ...

    def accumulator(self, graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
        """The layer's exact sum, float32, not rounded."""
        ...


FLAVOURS: dict[str, Flavour] = {"qdq": qdq.Qdq(), "carrier": carrier.Carrier()}


def write_graph(chain: IntegerChain, thresholds: NDArray[np.int32], flavour: str) -> ir.Model:
    """The entropy graph `z` -> `indexes`[, `means`].

    Args:
        thresholds: (63,) int32 on the grid of the chain's scales; index = count of thresholds below the scale.
    """
    first = chain.layers[0]
    channels = first.layer.in_channels
    z = ir.Value(name="z", type=ir.TensorType(ir.DataType.INT32), shape=ir.Shape([1, channels, "height", "width"]))
    graph = GraphWriter("entropy", [z])
    style = FLAVOURS[flavour]
    values = {"": style.symbols(graph, _input(graph, chain, z))}
    for layer in chain.layers:
        source = values[layer.layer.source]
        if layer.output_exponent is not None:
            values[layer.layer.name] = style.hidden(graph, layer, source)
        else:
            values[layer.layer.name] = style.accumulator(graph, layer, source)
    shape: list[int | str] = [
        1,
        chain.outputs[0].stop - chain.outputs[0].start,
        f"{_ratio(chain)}*height",
        f"{_ratio(chain)}*width",
    ]
    outputs = []
    for output in chain.outputs:
        value = _read(graph, chain, output, values[output.layer])
        if output.name == "scales_hat":
            value = _indexes(graph, value, thresholds, output.high)
        outputs.append((value, "indexes" if output.name == "scales_hat" else output.name, ir.DataType.INT32, shape))
    return graph.finish(outputs)


def _ratio(chain: IntegerChain) -> int:
    ratio, name = 1, chain.outputs[0].layer
    while name:
        layer = next(item.layer for item in chain.layers if item.layer.name == name)
        ratio, name = ratio * (layer.stride if layer.transposed else 1), layer.source
    return ratio


def _input(graph: GraphWriter, chain: IntegerChain, z: ir.Value) -> ir.Value:
    """Clipped symbols plus medians; int32 above 2^24 may round in the Cast, but only where the Clip follows."""
    x = graph.op("Cast", z, name="z_float", to=ir.DataType.FLOAT)
    x = graph.op("Clip", x, graph.scalar(chain.z_min), graph.scalar(chain.z_max), name="z_clipped")
    if chain.offset.any():
        whole = graph.constant(chain.offset.reshape(1, -1, 1, 1).astype(np.float32), "medians")
        x = graph.op("Add", x, whole, name="z_hat")
    if chain.planes:
        starts, ends, axes = (graph.constant(np.array([v], np.int64), f"channel_{v}") for v in (0, 1, 1))
        some = graph.op("Slice", x, starts, ends, axes, name="any_channel")
        # a Clip, not some * 0 + 1: OpenVINO makes a quotient by the factor of such a sum
        one, coarse = (
            graph.op("Clip", some, graph.scalar(value), graph.scalar(value), name=f"{name}_plane")
            for name, value in (("one", 1), ("coarse", PLANE))
        )
        x = graph.op("Concat", x, one, coarse, name="z_and_planes", axis=1)
    return x


def _read(graph: GraphWriter, chain: IntegerChain, output: IntegerOutput, value: ir.Value) -> ir.Value:
    """floor(value / 2^e [+ 1/2]) clipped: float32 integers."""
    layer = next(item.layer for item in chain.layers if item.layer.name == output.layer)
    if (output.start, output.stop) != (0, layer.out_channels):
        starts, ends, axes = (
            graph.constant(np.array([v], np.int64), f"channel_{v}") for v in (output.start, output.stop, 1)
        )
        value = graph.op("Slice", value, starts, ends, axes, name=f"{output.name}_channels")
    value = graph.op("Mul", value, graph.scalar(2.0**-output.exponent), name=f"{output.name}_scaled")
    if output.half:
        value = graph.op("Add", value, graph.scalar(0.5), name=f"{output.name}_half")
    value = graph.op("Floor", value, name=f"{output.name}_floor")
    value = graph.op("Clip", value, graph.scalar(output.low), graph.scalar(output.high), name=f"{output.name}_clip")
    return graph.op("Cast", value, name=f"{output.name}_int32", to=ir.DataType.INT32)


def _indexes(graph: GraphWriter, scales: ir.Value, thresholds: NDArray[np.int32], high: int) -> ir.Value:
    """A table look-up in place of 63 comparisons; int32 keeps the table on providers without 8-bit tensors."""
    table = np.searchsorted(thresholds, np.arange(high + 1), side="left").astype(np.int32)
    return graph.op("Gather", graph.constant(table, "index_of_scale"), scales, name="indexes_lookup", axis=0)
