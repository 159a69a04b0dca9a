"""Proves a finished ONNX graph exact, node by node: an abstract interpretation from its inputs to its outputs.

A node is exact if its mathematically exact result and every partial sum in any order is an integer below 2^24 on its
grid, so that float32 rounds nothing. Bounds come from the graph alone (types, Clip, saturation), not from calibration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from nvc_check.exporter.abstract import Abstract, of_constant
from nvc_check.exporter.certificate_convolution import convolution
from nvc_check.exporter.certificate_rules import RULES, Refused
from nvc_check.models.grid import FLOAT32_EXACT


@dataclass(frozen=True)
class NodeCertificate:
    """Verdict on one node.

    Attributes:
        bound: largest magnitude that a value or partial sum can reach, in steps of its grid.
        operand_bits: of the inputs of a multiplication, e.g. "8x8", else "".
        rounding: the rounding rule where the node has one, else "".
        assumptions: on the runtime: A1 sums in float32 or int32, A2 no Winograd, A3 storage at least float32 and
            multipliers of 8 bits, A4 QuantizeLinear rounds half to even and saturates.
        reason: why it is not exact, else "".
    """

    name: str
    op_type: str
    exact: bool
    bound: float
    operand_bits: str
    rounding: str
    assumptions: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Certificate:
    """Of one graph; `exact` if every node is."""

    graph: str
    exact: bool
    assumptions: tuple[str, ...]
    nodes: tuple[NodeCertificate, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def certify(model: onnx.ModelProto) -> Certificate:
    """The certificate of `model`; graph inputs have the full range of their integer type."""
    values: dict[str, Abstract | None] = {
        item.name: of_constant(numpy_helper.to_array(item)) for item in model.graph.initializer
    }
    for graph_input in model.graph.input:
        values[graph_input.name] = _input(graph_input)
    readers: dict[str, list[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    nodes = tuple(_interpret(node, values, readers) for node in model.graph.node)
    assumptions = tuple(sorted({a for node in nodes for a in node.assumptions}))
    return Certificate(model.graph.name, all(node.exact for node in nodes), assumptions, nodes)


def _input(info: onnx.ValueInfoProto) -> Abstract | None:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
    if dtype.kind not in "iu":
        return None
    limits = np.iinfo(dtype)
    one = np.ones(1)
    return Abstract(0 * one, limits.min * one, limits.max * one, dtype=str(dtype))


def _interpret(
    node: onnx.NodeProto, values: dict[str, Abstract | None], readers: dict[str, list[str]]
) -> NodeCertificate:
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    inputs = [values[name] for name in node.input if name]
    verdict = NodeCertificate(node.name, node.op_type, False, 0.0, "", "", (), "")
    rule: Callable[..., Any] | None = convolution if "Conv" in node.op_type else RULES.get(node.op_type)
    try:
        if rule is None:
            raise Refused(f"{node.op_type} has no exact form here")
        if any(value is None for value in inputs):
            raise Refused("an input is not on a known grid")
        if node.op_type != "Clip" and any(value and value.monotone for value in inputs):
            raise Refused("an input may exceed 2^24 and is not clipped first")
        result, facts = rule(node.op_type, attributes, *inputs)
    except Refused as refusal:
        values.update(dict.fromkeys(node.output))
        return replace(verdict, reason=str(refusal))
    results = result if isinstance(result, list) else [result]
    bound = max([facts.pop("bound", 0.0), *(r.integers for r in results)])
    for name, value in zip(node.output, results, strict=True):
        values[name] = value
    if results[0].dtype == "float32" and bound >= FLOAT32_EXACT:
        behind = {reader for name in node.output for reader in readers.get(name, [])}
        if node.op_type != "Cast" or behind != {"Clip"}:
            return replace(verdict, bound=bound, reason=f"bound {bound:.0f} is not below 2^24 = {FLOAT32_EXACT}")
        values[node.output[0]] = replace(results[0], monotone=True)
    return replace(verdict, exact=True, bound=bound, **facts)
