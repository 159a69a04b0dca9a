"""The carrier flavour: the same integers x 2^e carried in float32 by operators that every GPU provider has.

WebGPU has neither Round nor QuantizeLinear: rounding half to even is Floor(c) + Ceil(c - 1/2), c = t/2 + 1/4.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.qdq import geometry, leaky
from nvc_check.exporter.quantization import IntegerLayer
from nvc_check.exporter.unfold import unfolded


class Carrier:
    def symbols(self, graph: GraphWriter, z: ir.Value) -> ir.Value:
        return z

    def hidden(self, graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
        assert layer.output_exponent is not None
        name, e = layer.layer.name, layer.output_exponent
        if layer.layer.stride == 1 and not layer.layer.transposed:
            x, layer = unfolded(graph, layer, x)
        total = leaky(graph, layer, self.accumulator(graph, layer, x))
        half = graph.op("Mul", total, graph.scalar(2.0 ** (-e - 1)), name=f"{name}_halved")
        c = graph.op("Add", half, graph.scalar(0.25), name=f"{name}_c")
        lower = graph.op("Floor", c, name=f"{name}_floor")
        upper = graph.op("Ceil", graph.op("Sub", c, graph.scalar(0.5), name=f"{name}_c_half"), name=f"{name}_ceil")
        even = graph.op("Add", lower, upper, name=f"{name}_rounded")
        kept = graph.op("Clip", even, graph.scalar(layer.low), graph.scalar(layer.high), name=f"{name}_saturated")
        return graph.op("Mul", kept, graph.scalar(2.0**e), name=f"{name}_out")

    def accumulator(self, graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
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
