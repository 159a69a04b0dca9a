"""The carrier flavour: the same integers x 2^e carried in float32 by operators that every GPU provider has.

WebGPU has neither Round nor QuantizeLinear: rounding half to even is Floor(c) + Ceil(c - 1/2), c = t/2 + 1/4.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.limbs import FINE, HIGH, LOW
from nvc_check.exporter.quantize.integer_layers import IntegerLayer
from nvc_check.exporter.quantize.layer_fitting import ACTIVATION_MAX
from nvc_check.exporter.write.integer_operators import float_convolution, leaky, repeated
from nvc_check.exporter.write.unfold import unfolded


class Carrier:
    def symbols(self, graph: GraphWriter, z: ir.Value) -> ir.Value:
        return z

    def limbs(self, graph: GraphWriter, x: ir.Value, read: NDArray[np.int32], name: str) -> ir.Value:
        coarse = _half_to_even(graph, x, 0, LOW, HIGH, f"{name}_coarse")
        left = graph.op("Sub", x, coarse, name=f"{name}_left")
        fine = _half_to_even(graph, left, -FINE, LOW, HIGH, f"{name}_fine")
        return repeated(graph, graph.op("Concat", coarse, fine, name=f"{name}_limbs", axis=1), read, name)

    def activation(self, graph: GraphWriter, x: ir.Value, ready: bool, name: str) -> ir.Value:
        if ready:
            return x
        low, high = graph.scalar(0), graph.scalar(ACTIVATION_MAX + 1)  # a half below the sum needs bits
        x = graph.op("Clip", x, low, high, name=f"{name}_bounded")
        return _half_to_even(graph, x, 0, 0, ACTIVATION_MAX, f"{name}_activation")

    def hidden(self, graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
        total = self.accumulator(graph, layer, x)
        if layer.layer.activation.slope != 0:
            total = leaky(graph, layer, total)
        return _rounded(graph, layer, total, layer.layer.name)

    def accumulator(self, graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
        return float_convolution(graph, *unfolded(graph, layer, x))


def _rounded(graph: GraphWriter, layer: IntegerLayer, x: ir.Value, name: str) -> ir.Value:
    """On the layer's output grid, saturated as its uint8 is."""
    assert layer.output_exponent is not None
    kept = _half_to_even(graph, x, layer.output_exponent, layer.low, layer.high, name)
    if layer.output_exponent == 0:
        return kept
    return graph.op("Mul", kept, graph.scalar(2.0**layer.output_exponent), name=f"{name}_out")


def _half_to_even(graph: GraphWriter, x: ir.Value, exponent: float, low: int, high: int, name: str) -> ir.Value:
    """x / 2^exponent as integers within [low, high]."""
    half = graph.op("Mul", x, graph.scalar(2.0 ** (-exponent - 1)), name=f"{name}_halved")
    c = graph.op("Add", half, graph.scalar(0.25), name=f"{name}_c")
    lower = graph.op("Floor", c, name=f"{name}_floor")
    upper = graph.op("Ceil", graph.op("Sub", c, graph.scalar(0.5), name=f"{name}_c_half"), name=f"{name}_ceil")
    even = graph.op("Add", lower, upper, name=f"{name}_rounded")
    return graph.op("Clip", even, graph.scalar(low), graph.scalar(high), name=f"{name}_saturated")
