"""Steps that both flavours write alike: exact arithmetic on integers in float32."""

from __future__ import annotations

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


def times(graph: GraphWriter, x: ir.Value, factor: Float64, name: str) -> ir.Value:
    if (factor == 1).all():
        return x
    return graph.op("Mul", x, channels(graph, factor, f"{name}_factor"), name=f"{name}_scaled")


def multiplied(graph: GraphWriter, x: ir.Value, by: Float64, name: str) -> ir.Value:
    """Integers times integers (C,). OpenVINO moves what is added in front of a product, but not across a Floor."""
    product = times(graph, x, by, f"{name}_multiple")
    return product if is_power_of_two(np.abs(by)) else graph.op("Floor", product, name=f"{name}_multiple_kept")


def rounded_up(graph: GraphWriter, x: ir.Value, name: str) -> ir.Value:
    """floor(x + 1/2)."""
    return graph.op("Floor", graph.op("Add", x, graph.scalar(0.5), name=f"{name}_half"), name=f"{name}_floor")


def saturated(graph: GraphWriter, x: ir.Value, low: int, high: int, name: str) -> ir.Value:
    return graph.op("Clip", x, graph.scalar(low), graph.scalar(high), name=f"{name}_saturated")
