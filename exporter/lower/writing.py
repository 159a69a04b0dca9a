"""Steps that both flavours write alike: exact arithmetic on integers in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.models.grid import is_power_of_two

Float64 = NDArray[np.float64]


def column(values: Float64) -> Float64:
    """(C,) -> (1, C, 1, 1)."""
    return values.reshape(1, -1, 1, 1)


def channels(graph: GraphWriter, values: Float64, name: str) -> ir.Value:
    """A constant per channel, or one number."""
    if (values == values[0]).all():
        return graph.scalar(float(values[0]))
    return graph.constant(column(values).astype(np.float32), name)


def channels_read(graph: GraphWriter, x: ir.Value, read: NDArray[np.integer[Any]], name: str) -> ir.Value:
    """The channels `read` of x, one behind the other.

    A mere exchange of channels is written by its parts: OpenVINO 2026.4 moves a Gather that is one into the weights of
    the convolution behind, the wrong way round unless it is its own inverse.
    """
    width = len(read)
    exchanged = len(np.unique(read)) == width == int(read.max()) + 1 and (read[read] != np.arange(width)).any()
    if not exchanged:
        return graph.op("Gather", x, graph.constant(read.astype(np.int32), f"{name}_read"), name=name, axis=1)
    starts = np.flatnonzero(np.diff(read, prepend=-2) != 1)
    parts = []
    for i, (start, stop) in enumerate(zip(starts, [*starts[1:], width], strict=True)):
        bounds = (int(read[start]), int(read[stop - 1]) + 1, 1)
        limits = (graph.constant(np.array([v], np.int64), f"channel_{v}") for v in bounds)
        parts.append(graph.op("Slice", x, *limits, name=f"{name}_{i}"))
    return graph.op("Concat", *parts, name=name, axis=1)


def times(graph: GraphWriter, x: ir.Value, factor: Float64, name: str) -> ir.Value:
    if (factor == 1).all():
        return x
    if _rounded_sum(x) and not (is_power_of_two(np.abs(factor)) and (factor == factor[0]).all()):
        x = graph.op("Floor", x, name=f"{name}_apart")  # OpenVINO takes factors into the Conv of integer weights, wrong
    return graph.op("Mul", x, channels(graph, factor, f"{name}_factor"), name=f"{name}_scaled")


def _rounded_sum(x: ir.Value) -> bool:
    """Whether it is a Conv's sum that was stored in integers."""
    node, stored = x.producer(), False
    while node is not None and node.op_type in ("Clip", "DequantizeLinear", "Mul", "QuantizeLinear", "Relu"):
        stored = stored or node.op_type == "DequantizeLinear"
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    return stored and node is not None and node.op_type == "Conv"


def multiplied(graph: GraphWriter, x: ir.Value, by: Float64, name: str) -> ir.Value:
    """Integers times integers (C,). OpenVINO moves what is added in front of a product, but not across a Floor."""
    product = times(graph, x, by, f"{name}_multiple")
    return product if is_power_of_two(np.abs(by)) else graph.op("Floor", product, name=f"{name}_multiple_kept")


def rounded_up(graph: GraphWriter, x: ir.Value, name: str) -> ir.Value:
    """floor(x + 1/2)."""
    return graph.op("Floor", graph.op("Add", x, graph.scalar(0.5), name=f"{name}_half"), name=f"{name}_floor")


def saturated(graph: GraphWriter, x: ir.Value, low: int, high: int, name: str) -> ir.Value:
    return graph.op("Clip", x, graph.scalar(low), graph.scalar(high), name=f"{name}_saturated")
