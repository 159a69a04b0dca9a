"""The qdq flavour: QuantizeLinear/DequantizeLinear around each convolution (ONNX opset 13 semantics).

Weights are int8 with zero point 0, or the same integers as uint8 with zero point 128 where an output channel's two
largest weights sum to more than 128: x86 without VNNI multiplies uint8 by int8 in pairs that saturate at 16 bits.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.operators import float_convolution, geometry, leaky_parts, leaky_sum
from nvc_check.exporter.quantization import IntegerLayer
from nvc_check.exporter.subpixel import as_convolution
from nvc_check.models.grid import pair_sums


class Qdq:
    def symbols(self, graph: GraphWriter, z: ir.Value) -> ir.Value:
        """uint8 with zero point 128: an int8 input would bring int8 kernels and their pair saturation back."""
        return _rounded(graph, z, 0, np.uint8(128), "z")

    def limbs(self, graph: GraphWriter, x: ir.Value, finer: float, name: str) -> ir.Value:
        """Put together as uint8: between two DequantizeLinear nodes and a Conv, a Concat would make the Conv float."""
        zero = np.uint8(128)
        coarse = _quantize(graph, x, 0, zero, f"{name}_coarse")
        known = _dequantize(graph, coarse, 0, zero, f"{name}_coarse")
        left = graph.op("Sub", x, known, name=f"{name}_left")
        fine = _quantize(graph, left, -np.log2(finer), zero, f"{name}_fine")
        both = graph.op("Concat", coarse, fine, name=f"{name}_limbs", axis=1)
        return _dequantize(graph, both, 0, zero, f"{name}_limbs")

    def hidden(self, graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
        assert layer.output_exponent is not None
        name, zero = layer.layer.name, np.uint8(0)
        if layer.layer.activation.slope != 0:
            # float weights, as for every ConvTranspose: see accumulator
            above, below = leaky_parts(graph, layer, float_convolution(graph, layer, x))
            positive = _rounded(graph, above, layer.output_exponent, zero, f"{name}_above")
            negative = _rounded(graph, below, layer.output_exponent, zero, f"{name}_below")
            return leaky_sum(graph, layer, positive, negative)
        if not layer.layer.transposed:
            return _rounded(graph, _convolution(graph, layer, x), layer.output_exponent, zero, name)
        conv, stride = as_convolution(layer)
        rounded = _quantize(graph, _convolution(graph, conv, x), layer.output_exponent, zero, name)
        picture = graph.op("DepthToSpace", rounded, name=f"{name}_pixels", blocksize=stride, mode="DCR")
        return _dequantize(graph, picture, layer.output_exponent, zero, name)

    def accumulator(self, graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
        """A ConvTranspose has float weights: OpenVINO 2026.4 computes one with quantized weights wrong."""
        return (float_convolution if layer.layer.transposed else _convolution)(graph, layer, x)


def _convolution(graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
    name = layer.layer.name
    axis = 1 if layer.layer.transposed else 0
    if pair_sums(layer.weight, axis).max() <= 128:
        stored, zero = layer.weight.astype(np.int8), np.zeros(layer.weight.shape[axis], np.int8)
    else:
        stored, zero = (layer.weight + 128).astype(np.uint8), np.full(layer.weight.shape[axis], 128, np.uint8)
    weight = graph.op(
        "DequantizeLinear",
        graph.constant(stored, f"{name}_weight_integers"),
        graph.constant(np.exp2(layer.weight_exponent).astype(np.float32), f"{name}_weight_scale"),
        graph.constant(zero, f"{name}_weight_zero"),
        name=f"{name}_weight",
        axis=axis,
    )
    bias = graph.op(
        "DequantizeLinear",
        graph.constant(layer.bias.astype(np.int32), f"{name}_bias_integers"),
        graph.constant(np.exp2(layer.weight_exponent + layer.input_exponent).astype(np.float32), f"{name}_bias_scale"),
        name=f"{name}_bias",
        axis=0,
    )
    operator, attributes = geometry(layer)
    return graph.op(operator, x, weight, bias, name=f"{name}_sum", **attributes)


def _quantize(graph: GraphWriter, x: ir.Value, exponent: float, zero: np.uint8, name: str) -> ir.Value:
    point = graph.constant(np.array(zero), f"zero_{zero.dtype}_{zero}")
    return graph.op("QuantizeLinear", x, graph.scalar(2.0**exponent), point, name=f"{name}_quantized")


def _dequantize(graph: GraphWriter, x: ir.Value, exponent: float, zero: np.uint8, name: str) -> ir.Value:
    point = graph.constant(np.array(zero), f"zero_{zero.dtype}_{zero}")
    return graph.op("DequantizeLinear", x, graph.scalar(2.0**exponent), point, name=f"{name}_out")


def _rounded(graph: GraphWriter, x: ir.Value, exponent: float, zero: np.uint8, name: str) -> ir.Value:
    return _dequantize(graph, _quantize(graph, x, exponent, zero, name), exponent, zero, name)
