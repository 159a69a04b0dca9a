"""Operators that both flavours write alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.limbs import HIGH, LOW
from nvc_check.exporter.quantize.integer_layers import LEAKY_BITS, IntegerLayer, dyadic_slope


def leaky(graph: GraphWriter, layer: IntegerLayer, total: ir.Value) -> ir.Value:
    """LeakyRelu of the layer's exact sum, not yet rounded to 8 bits: a dyadic number, within what the 8 bits can hold.

    The part below zero is rounded first, by floor(x + 1/2) and 2^-LEAKY_BITS of a step of the output: its product with
    the slope would need more than 24 bits otherwise. Nor can a runtime take it for the float sum of a quantized layer,
    whose float weights it would round to 8 bits (WeightBiasQuantization of ONNX Runtime).
    """
    assert layer.output_exponent is not None
    name, step = layer.layer.name, 2.0**layer.output_exponent
    multiple, exponent = dyadic_slope(layer.layer.activation.slope)
    above = graph.op("Clip", total, graph.scalar(0), graph.scalar(layer.high * step), name=f"{name}_above")
    unit = step * 2.0 ** (-LEAKY_BITS - exponent)  # of the part below zero: times the slope, 2^-LEAKY_BITS of a step
    lowest = np.ceil((1 - layer.low) * 2.0**LEAKY_BITS / multiple) * unit
    below = graph.op("Clip", total, graph.scalar(-lowest), graph.scalar(0), name=f"{name}_below")
    below = graph.op("Mul", below, graph.scalar(1 / unit), name=f"{name}_below_scaled")
    below = graph.op("Add", below, graph.scalar(0.5), name=f"{name}_below_half")
    below = graph.op("Floor", below, name=f"{name}_below_floor")
    below = graph.op("Mul", below, graph.scalar(multiple * 2.0**exponent * unit), name=f"{name}_slope")
    return graph.op("Add", above, below, name=f"{name}_leaky")


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


def bounded(graph: GraphWriter, x: ir.Value, exponent: int, name: str) -> ir.Value:
    """x within the range of a limb in steps of 2^exponent."""
    low, high = (graph.scalar(bound * 2.0**exponent) for bound in (LOW, HIGH))
    return graph.op("Clip", x, low, high, name=f"{name}_bounded")


def repeated(graph: GraphWriter, x: ir.Value, read: NDArray[np.int32], name: str) -> ir.Value:
    """The channels `read` of x, one behind the other."""
    if len(np.unique(read)) == len(read):
        return x
    return graph.op("Gather", x, graph.constant(read, f"{name}_read"), name=f"{name}_repeated", axis=1)
