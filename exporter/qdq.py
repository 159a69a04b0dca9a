"""The qdq flavour: QuantizeLinear/DequantizeLinear around each convolution (ONNX opset 13 semantics).

Weights are int8 with zero point 0, or the same integers as uint8 with zero point 128 where an output channel's two
largest weights times the largest input exceed 16 bits: x86 without VNNI multiplies uint8 by int8 in pairs that saturate
there. uint8 weights take twice the time or more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.limbs import FINE, LOW
from nvc_check.exporter.operators import bounded, float_convolution, geometry, leaky_parts, leaky_sum, repeated
from nvc_check.exporter.quantization import IntegerLayer
from nvc_check.exporter.subpixel import PhaseConvolution, interleaved, phase_convolutions
from nvc_check.models.grid import pair_sums

Int64 = NDArray[np.int64]

PAIR_MAX = 32767


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

    def hidden(self, graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
        assert layer.output_exponent is not None
        name, zero, e = layer.layer.name, np.uint8(0), layer.output_exponent
        if layer.layer.activation.slope != 0:
            # float weights, as for every ConvTranspose: see accumulator
            above, below = leaky_parts(graph, layer, float_convolution(graph, layer, x))
            positive = _rounded(graph, above, e, zero, f"{name}_above")
            negative = _rounded(graph, below, e, zero, f"{name}_below")
            return leaky_sum(graph, layer, positive, negative)
        if not layer.layer.transposed:
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
        return (float_convolution if layer.layer.transposed else _convolution)(graph, layer, x)


def _convolution(graph: GraphWriter, layer: IntegerLayer, x: ir.Value) -> ir.Value:
    assert not layer.layer.transposed
    return _sum(graph, layer, x, layer.weight, layer.layer.name, geometry(layer)[1])


def _phase(graph: GraphWriter, layer: IntegerLayer, part: PhaseConvolution, x: ir.Value, name: str) -> ir.Value:
    """The sums of some phases of a transposed layer."""
    attributes = {"kernel_shape": list(part.weight.shape[2:]), "strides": [1, 1], "pads": list(part.pads)}
    return _sum(graph, layer, x, part.weight, name, attributes)


def _sum(
    graph: GraphWriter, layer: IntegerLayer, x: ir.Value, weight: Int64, name: str, attributes: dict[str, Any]
) -> ir.Value:
    """A Conv with quantized weights (C_out or a multiple of it, C_in, rows, columns) and the layer's grids."""
    pairs_fit = layer.input_max * int(pair_sums(weight, 0).max()) <= PAIR_MAX
    stored, zero = (weight, np.int8(0)) if pairs_fit else (weight + 128, np.uint8(128))
    repeat = len(weight) // layer.layer.out_channels
    exponent, bias = np.tile(layer.weight_exponent, repeat), np.tile(layer.bias, repeat)
    weights = graph.op(
        "DequantizeLinear",
        graph.constant(stored.astype(zero.dtype), f"{name}_weight_integers"),
        graph.constant(np.exp2(exponent).astype(np.float32), f"{name}_weight_scale"),
        graph.constant(np.full(len(weight), zero), f"{name}_weight_zero"),
        name=f"{name}_weight",
        axis=0,
    )
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
    if layer.high == 255:
        return x
    low, high = (graph.constant(np.array(v, np.uint8), f"uint8_{v}") for v in (layer.low, layer.high))
    return graph.op("Clip", x, low, high, name=f"{layer.layer.name}_saturated")


def _quantize(graph: GraphWriter, x: ir.Value, exponent: float, zero: np.uint8, name: str) -> ir.Value:
    point = graph.constant(np.array(zero), f"zero_{zero.dtype}_{zero}")
    return graph.op("QuantizeLinear", x, graph.scalar(2.0**exponent), point, name=f"{name}_quantized")


def _dequantize(graph: GraphWriter, x: ir.Value, exponent: float, zero: np.uint8, name: str) -> ir.Value:
    point = graph.constant(np.array(zero), f"zero_{zero.dtype}_{zero}")
    return graph.op("DequantizeLinear", x, graph.scalar(2.0**exponent), point, name=f"{name}_out")


def _rounded(graph: GraphWriter, x: ir.Value, exponent: float, zero: np.uint8, name: str) -> ir.Value:
    return _dequantize(graph, _quantize(graph, x, exponent, zero, name), exponent, zero, name)
