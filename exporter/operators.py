"""Operators that both flavours write alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.limbs import HIGH, LOW
from nvc_check.exporter.quantization import SLOPE, IntegerLayer


def leaky_parts(graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> tuple[ir.Value, ir.Value]:
    """(max(x, 0), -slope min(x, 0)) of a LeakyRelu: rounded apart, since the slope puts them on different grids.

    Both are at least 0 and quantized to uint8 with zero point 0: some runtimes subtract the lowest value of a signed
    type before they round, and on a grid as fine as the slope's that difference needs more than 24 bits.
    """
    name = layer.layer.name
    above = graph.op("Relu", x, name=f"{name}_positive")
    below = graph.op("Sub", above, x, name=f"{name}_negative")
    return above, graph.op("Mul", below, graph.scalar(SLOPE), name=f"{name}_slope")


def float_convolution(graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
    """The layer's exact sum with its weights and bias as float32 on their grids."""
    name, axis = layer.layer.name, 1 if layer.layer.transposed else 0
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    weight = (layer.weight * np.exp2(layer.weight_exponent.reshape(shape))).astype(np.float32)
    bias = (layer.bias * np.exp2(layer.weight_exponent + layer.input_exponent)).astype(np.float32)
    operator, attributes = geometry(layer)
    return graph.op(
        operator,
        x,
        graph.constant(weight, f"{name}_weight"),
        graph.constant(bias, f"{name}_bias"),
        name=f"{name}_sum",
        **attributes,
    )


def geometry(layer: IntegerLayer) -> tuple[str, dict[str, Any]]:
    """Operator and attributes of the layer's (transposed) convolution."""
    plain = layer.layer
    attributes: dict[str, Any] = {
        "kernel_shape": list(layer.weight.shape[2:]),
        "strides": [plain.stride, plain.stride],
        "pads": [plain.padding] * 4,
    }
    if plain.transposed:
        attributes["output_padding"] = [plain.output_padding] * 2
    return ("ConvTranspose" if plain.transposed else "Conv"), attributes


def leaky_sum(graph: GraphWriter, layer: IntegerLayer, above: ir.Value, below: ir.Value) -> ir.Value:
    """The rounded parts put together, saturated to the layer's range."""
    assert layer.output_exponent is not None
    name, step = layer.layer.name, 2.0**layer.output_exponent
    both = graph.op("Sub", above, below, name=f"{name}_both")
    return graph.op("Clip", both, graph.scalar(layer.low * step), graph.scalar(layer.high * step), name=f"{name}_leaky")


def bounded(graph: GraphWriter, x: ir.Value, exponent: int, name: str) -> ir.Value:
    """x within the range of a limb in steps of 2^exponent."""
    low, high = (graph.scalar(bound * 2.0**exponent) for bound in (LOW, HIGH))
    return graph.op("Clip", x, low, high, name=f"{name}_bounded")


def repeated(graph: GraphWriter, x: ir.Value, read: NDArray[np.int32], name: str) -> ir.Value:
    """The channels `read` of x, one behind the other."""
    if len(np.unique(read)) == len(read):
        return x
    return graph.op("Gather", x, graph.constant(read, f"{name}_read"), name=f"{name}_repeated", axis=1)
