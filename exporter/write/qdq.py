"""The qdq flavour: QuantizeLinear/DequantizeLinear around each convolution (ONNX opset 13 semantics)."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.certificate.idioms.kernels import EXCHANGED_STEPS
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.limbs import FINE, LOW
from nvc_check.exporter.quantize.integer_layers import IntegerLayer
from nvc_check.exporter.quantize.layer_fitting import ACTIVATION_MAX
from nvc_check.exporter.quantized_weights import dequantized_weights
from nvc_check.exporter.write.carrier import Carrier
from nvc_check.exporter.write.integer_operators import bounded, float_convolution, geometry, leaky, repeated
from nvc_check.exporter.write.matrix_product import is_matrix_product, matrix_product
from nvc_check.exporter.write.subpixel import PhaseConvolution, interleaved, phase_convolutions
from nvc_check.exporter.write.unfold import unfolded

Int64 = NDArray[np.int64]


class Qdq:
    def symbols(self, graph: GraphWriter, z: ir.Value) -> ir.Value:
        """uint8 with zero point 128: an int8 input would bring int8 kernels and their pair saturation back."""
        return _rounded(graph, z, 0, np.uint8(128), "z")

    def limbs(self, graph: GraphWriter, x: ir.Value, read: NDArray[np.int32], name: str) -> ir.Value:
        """Put together as uint8: between two DequantizeLinear nodes and a Conv, a Concat would make the Conv float."""
        zero = np.uint8(-LOW)
        coarse = _quantize(graph, bounded(graph, x, 0, f"{name}_coarse"), 0, zero, f"{name}_coarse")
        known = _dequantize(graph, coarse, 0, zero, f"{name}_coarse")
        left = graph.op("Sub", x, known, name=f"{name}_left")
        fine = _quantize(graph, bounded(graph, left, -FINE, f"{name}_fine"), -FINE, zero, f"{name}_fine")
        both = graph.op("Concat", coarse, fine, name=f"{name}_limbs", axis=1)
        return _dequantize(graph, repeated(graph, both, read, name), 0, zero, f"{name}_limbs")

    def activation(self, graph: GraphWriter, x: ir.Value, ready: bool, name: str) -> ir.Value:
        """Quantized again behind any other operator: a Conv is an integer one right behind a DequantizeLinear only."""
        producer = x.producer()
        if ready and producer is not None and producer.op_type == "DequantizeLinear":
            return x
        integers = _quantize(graph, x, 0, np.uint8(0), f"{name}_activation")
        if not ready:
            integers = _clipped(graph, integers, 0, ACTIVATION_MAX, f"{name}_activation")
        return _dequantize(graph, integers, 0, np.uint8(0), f"{name}_activation")

    def hidden(self, graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
        assert layer.output_exponent is not None
        name, zero, e = layer.layer.name, np.uint8(0), layer.output_exponent
        if layer.layer.activation.slope != 0:
            exact = leaky(graph, layer, self.accumulator(graph, layer, x))
            return _rounded(graph, exact, e, np.uint8(-layer.low), name)
        if not layer.layer.transposed:
            if _mixed_up(layer, x):
                return Carrier().hidden(graph, layer, x)
            rounded = _quantize(graph, _convolution(graph, layer, x), e, zero, name)
            return _dequantize(graph, _saturated(graph, layer, rounded), e, zero, name)
        parts = phase_convolutions(layer)
        names = [f"{name}_phase_{i}" for i in range(len(parts))] if len(parts) > 1 else [name]
        sums = [_phase(graph, layer, part, x, each) for part, each in zip(parts, names, strict=True)]
        rounded_parts = [_quantize(graph, total, e, zero, each) for total, each in zip(sums, names, strict=True)]
        phases = rounded_parts[0]
        if len(parts) > 1:
            phases = graph.op("Concat", *rounded_parts, name=f"{name}_phases", axis=1)
        picture = interleaved(graph, phases, layer.layer.stride, layer.layer.out_channels, name)
        return _dequantize(graph, _saturated(graph, layer, picture), e, zero, name)

    def accumulator(self, graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
        """A ConvTranspose has float weights: OpenVINO 2026.4 computes one with quantized weights wrong."""
        if is_matrix_product(layer, x):
            return matrix_product(graph, layer, x)
        return float_convolution(graph, *unfolded(graph, layer, x))


def _convolution(graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
    assert not layer.layer.transposed
    return _sum(graph, layer, x, layer.weight, layer.layer.name, geometry(layer)[1])


def _mixed_up(layer: IntegerLayer, x: ir.Value) -> bool:
    """OpenVINO 2026.4 mixes up the axes of a 1x1 Conv of integer weights that has strides or is behind a Transpose."""
    if layer.layer.weight.shape[2] > 1:
        return False
    value: ir.Value | None = x
    for _ in range(EXCHANGED_STEPS):
        node = None if value is None else value.producer()
        if node is None:
            break
        if node.op_type == "Transpose":
            return True
        value = node.inputs[0]
    return layer.layer.stride > 1


def _phase(graph: GraphWriter, layer: IntegerLayer, part: PhaseConvolution, x: ir.Value, name: str) -> ir.Value:
    """The sums of some phases of a transposed layer."""
    attributes = {"kernel_shape": list(part.weight.shape[2:]), "strides": [1, 1], "pads": list(part.pads)}
    return _sum(graph, layer, x, part.weight, name, attributes)


def _sum(
    graph: GraphWriter, layer: IntegerLayer, x: ir.Value, weight: Int64, name: str, attributes: dict[str, Any]
) -> ir.Value:
    """A Conv with quantized weights (C_out or a multiple of it, C_in, rows, columns) and the layer's grids."""
    repeat = len(weight) // layer.layer.out_channels
    exponent, bias = np.tile(layer.weight_exponent, repeat), np.tile(layer.bias, repeat)
    weights = dequantized_weights(graph, weight, exponent, layer.input_max, name)
    biases = graph.op(
        "DequantizeLinear",
        graph.constant(bias.astype(np.int32), f"{name}_bias_integers"),
        graph.constant(np.exp2(exponent + layer.input_exponent).astype(np.float32), f"{name}_bias_scale"),
        name=f"{name}_bias",
        axis=0,
    )
    return graph.op("Conv", x, weights, biases, name=f"{name}_sum", **attributes)


def _saturated(graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
    """uint8 saturates at 255 by itself."""
    return x if layer.high == 255 else _clipped(graph, x, layer.low, layer.high, layer.layer.name)


def _clipped(graph: GraphWriter, x: ir.Value, low: int, high: int, name: str) -> ir.Value:
    lowest, highest = (graph.constant(np.array(v, np.uint8), f"uint8_{v}") for v in (low, high))
    return graph.op("Clip", x, lowest, highest, name=f"{name}_saturated")


def _quantize(graph: GraphWriter, x: ir.Value, exponent: float, zero: np.uint8, name: str) -> ir.Value:
    point = graph.constant(np.array(zero), f"zero_{zero.dtype}_{zero}")
    return graph.op("QuantizeLinear", x, graph.scalar(2.0**exponent), point, name=f"{name}_quantized")


def _dequantize(graph: GraphWriter, x: ir.Value, exponent: float, zero: np.uint8, name: str) -> ir.Value:
    point = graph.constant(np.array(zero), f"zero_{zero.dtype}_{zero}")
    return graph.op("DequantizeLinear", x, graph.scalar(2.0**exponent), point, name=f"{name}_out")


def _rounded(graph: GraphWriter, x: ir.Value, exponent: float, zero: np.uint8, name: str) -> ir.Value:
    return _dequantize(graph, _quantize(graph, x, exponent, zero, name), exponent, zero, name)
