"""What the parts of a layer have in common: names, what they read, and how their outputs become the layer's."""

from __future__ import annotations

import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.interleave import interleaved
from nvc_check.exporter.lower.values import Known
from nvc_check.exporter.network.geometry import Layer


def names(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}_phase_{i}" for i in range(count)]


def largest_code(read: Known) -> int:
    """As uint8; a border has the zero point."""
    return (read.zero or 0) + max(read.high, 0)


def together(graph: GraphWriter, layer: Layer, parts: list[ir.Value], name: str) -> ir.Value:
    phases = parts[0] if len(parts) == 1 else graph.op("Concat", *parts, name=f"{name}_phases", axis=1)
    return phases if layer.interleave is None else interleaved(graph, phases, layer.interleave, name)
