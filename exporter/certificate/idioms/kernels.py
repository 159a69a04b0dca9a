"""How ONNX Runtime's CPU provider will run a node, and which nodes WebGPU leaves to the CPU.

Source: onnxruntime/core/optimizer/qdq_transformer of ONNX Runtime 1.31 (ConvNodeGroupSelector,
MatMulNodeGroupSelector), and sessions looked at after optimization.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from onnx import numpy_helper

from nvc_check.exporter.certificate.abstract import Abstract
from nvc_check.exporter.certificate.rules.quantization import KERNEL, SMALL, STORED
from nvc_check.exporter.certificate.targets import Hazard

CARRIER = "float carrier"
INEXACT = "float"
CONVERSION = "conversion"
# measured on ONNX Runtime WebGPU 1.27: no kernel, so the node goes to the CPU
NO_WEBGPU: Final = frozenset(
    {"AveragePool", "ConvInteger", "Max", "MatMulInteger", "Min", "Mod", "QLinearConv", "QLinearMatMul"}
    | {"PRelu", "QuantizeLinear", "Round"}
)
NO_WEBGPU_INTEGERS: Final = {"Clip", "DepthToSpace", "Relu"}
SIZES_OF: Final = {"Shape", "Size"}  # on the GPU where a node there reads the shape, as Expand
EXCHANGED: Final = frozenset(
    {"DepthToSpace", "Flatten", "Identity", "MaxPool", "Pad", "ReduceMax", "ReduceMin", "Relu", "Reshape", "Slice"}
    | {"Split", "Squeeze", "Transpose", "Unsqueeze"}
)
NEUTRAL: Final = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}
EXCHANGED_STEPS = 16
PLACED = "WebGPU leaves it to the CPU: "


class Topology:
    """Who makes and who reads each tensor of a graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.producer: dict[str, onnx.NodeProto] = {}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        self.outputs = {item.name for item in graph.output}
        self.captured: set[str] = set()
        for node in graph.node:
            self.producer.update(dict.fromkeys(node.output, node))
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(node)
            for attribute in node.attribute:
                for inner in (attribute.g, *attribute.graphs):
                    self.captured.update(name for item in inner.node for name in item.input)
        self.constants = {item.name: item for item in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = node.attribute[0].t

    def reader(self, name: str) -> onnx.NodeProto | None:
        """The one node that reads `name`, None where there are others or it is an output."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs | self.captured else None

    def only_read_by(self, name: str, op_type: str) -> bool:
        readers = {node.op_type for node in self.readers.get(name, [])}
        return readers == {op_type} and name not in self.outputs | self.captured

    def source(self, name: str) -> str:
        """The tensor that `name` is but for a few operators that a runtime may exchange with what follows."""
        for _ in range(EXCHANGED_STEPS):
            node = self.producer.get(name)
            if node is None:
                return name
            passed = node.input[0] if node.op_type in EXCHANGED else self._unchanged(node)
            if passed is None:
                return name
            name = passed
        return name

    def _unchanged(self, node: onnx.NodeProto) -> str | None:
        """The input of a node that adds 0 or multiplies by 1, which a runtime leaves out; None for any other."""
        if node.op_type not in NEUTRAL:
            return None
        places = (1, 0) if node.op_type in ("Add", "Mul") else (1,)
        for place in places:
            constant = self.constants.get(node.input[place])
            if constant is not None and (numpy_helper.to_array(constant) == NEUTRAL[node.op_type]).all():
                return str(node.input[1 - place])
        return None

    def origin(self, name: str) -> str:
        """The operator that makes source(name); "" for inputs and constants."""
        node = self.producer.get(self.source(name))
        return node.op_type if node is not None else ""

    def made_by(self, name: str, op_type: str) -> onnx.NodeProto | None:
        node = self.producer.get(name)
        return node if node is not None and node.op_type == op_type else None


def kernel(node: onnx.NodeProto, exact: bool, topology: Topology, values: dict[str, Abstract | None]) -> str:
    """`integer kernel`, `float carrier`, `float`, or what else a node without arithmetic of its own is."""
    results = [values.get(name) for name in node.output]
    if node.op_type in ("Conv", "MatMul", "Gemm") and _fuses(node, topology, values):
        return KERNEL
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        return CONVERSION
    first = results[0] if results else None
    if first is not None and first.dtype != "float32":
        return "integer arithmetic" if first.dtype != "bool" else "comparison"
    return CARRIER if exact else INEXACT


def _fuses(node: onnx.NodeProto, topology: Topology, values: dict[str, Abstract | None]) -> bool:
    """DequantizeLinear on both inputs, QuantizeLinear to the input's type behind, int32 bias on the sums' grid."""
    if len(node.input) < 2 or not node.output:
        return False
    sources = [topology.made_by(name, "DequantizeLinear") for name in node.input[:2]]
    x, weight = (values.get(source.input[0]) if source is not None else None for source in sources)
    if x is None or weight is None or weight.constant is None or x.dtype not in SMALL or weight.dtype not in SMALL:
        return False
    behind = topology.reader(node.output[0])
    relu = behind is not None and behind.op_type == "Relu"
    if behind is not None and relu:
        behind = topology.reader(behind.output[0])
    if behind is None or behind.op_type != "QuantizeLinear":
        return False
    zero = values.get(behind.input[2]) if len(behind.input) > 2 and behind.input[2] else None
    dtype = "uint8" if zero is None else zero.dtype
    if dtype != x.dtype or (x.dtype == "int8" and weight.dtype != "int8"):
        return False
    if relu and (dtype != "uint8" or (zero is not None and zero.constant is not None and zero.constant.any())):
        return False
    return len(node.input) < 3 or not node.input[2] or _bias_fits(node, sources, topology, values)


def _bias_fits(
    node: onnx.NodeProto,
    sources: Sequence[onnx.NodeProto | None],
    topology: Topology,
    values: dict[str, Abstract | None],
) -> bool:
    bias = topology.made_by(node.input[2], "DequantizeLinear")
    if bias is None:
        return False
    stored = values.get(bias.input[0])
    scales: list[Any] = [values.get(item.input[1]) for item in (*sources, bias) if item is not None]
    if stored is None or stored.dtype != "int32" or any(s is None or s.constant is None for s in scales):
        return False
    x, weight, found = (np.asarray(s.constant, np.float64).reshape(-1) for s in scales)
    return (
        bool(np.array_equal(np.broadcast_to(x * weight, found.shape), found))
        if found.size > 1
        else bool((x * weight == found).all())
    )


def _computed_sizes(value: Abstract | None) -> bool:
    return value is not None and value.dtype == "int64" and value.constant is None


def placement_hazards(
    op_type: str, inputs: Sequence[Abstract | None], results: Sequence[Abstract | None]
) -> tuple[Hazard, ...]:
    """Right bits on the wrong device: what WebGPU leaves to the CPU."""
    cure = "the carrier flavour: float32 or int32, Floor and Ceil, Clip and Where"
    if op_type in NO_WEBGPU:
        return (Hazard(("webgpu",), f"{PLACED}no {op_type} there", cure),)
    computed = [v for v in (*inputs, *results) if v is not None]
    if op_type != "DequantizeLinear" and any(v.dtype in STORED for v in computed):
        return (Hazard(("webgpu",), f"{PLACED}no 8-bit or 16-bit tensors there", cure),)
    first = inputs[0] if inputs else None
    if op_type not in SIZES_OF and any(_computed_sizes(v) for v in (first, *results)):
        counted = "sizes counted in float32, as a CumSum over ones does, or constant ones"
        return (Hazard(("webgpu",), f"{PLACED}no {op_type} of int64 there", counted),)
    if op_type in NO_WEBGPU_INTEGERS and first is not None and first.dtype == "int32":
        return (Hazard(("webgpu",), f"{PLACED}no {op_type} of int32 there", cure),)
    return ()
