"""Known rewrites of neighbouring nodes that change what they compute, against A5; found by tests/property/fuzz.py.

Here ONNX Runtime's; OpenVINO's, which are more, are in certificate_openvino.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx

from nvc_check.exporter.certificate.abstract import Abstract
from nvc_check.exporter.certificate.idioms.kernels import EXCHANGED, EXCHANGED_STEPS, Topology
from nvc_check.exporter.certificate.idioms.openvino import ELEMENTWISE, PASSED, Values, openvino_hazards
from nvc_check.exporter.certificate.targets import Hazard
from nvc_check.exporter.certificate.terms import Call

ONNXRUNTIME: Final = ("any", "ort-cpu", "avx2", "cuda", "webgpu")


def rewrite_hazards(node: onnx.NodeProto, call: Call, topology: Topology, values: Values) -> list[Hazard]:
    """What some runtime would make of `node` and its neighbours."""
    hazards = openvino_hazards(node, call, topology, values)
    if node.op_type == "QuantizeLinear":
        hazards += [*_double_rounding(node, topology, values), *_rounded_for_all(node, topology)]
    if node.op_type in ("Conv", "ConvTranspose", "Gemm"):
        hazards += _float_weights_quantized(node, call, topology)
    return hazards


def _double_rounding(node: onnx.NodeProto, topology: Topology, values: Values) -> list[Hazard]:
    """ONNX Runtime's DoubleQDQPairsRemover makes one pair of two in a row, with a range of its own."""
    middle = topology.producer.get(topology.source(node.input[0]))
    if middle is None or middle.op_type != "DequantizeLinear":
        return []
    first = topology.producer.get(topology.source(middle.input[0]))
    if first is None or first.op_type != "QuantizeLinear":
        return []
    if all(_same(values.get(a), values.get(b)) for a, b in zip(first.input[1:], node.input[1:], strict=False)):
        return []
    cure = "one QuantizeLinear, or a Clip or Floor that matters between the pairs"
    return [Hazard(ONNXRUNTIME, "two roundings in a row on different grids: ONNX Runtime makes one of them", cure)]


def _rounded_for_all(node: onnx.NodeProto, topology: Topology) -> list[Hazard]:
    """ONNX Runtime moves a QuantizeLinear in front of a Transpose, for all that read what another Transpose undoes."""
    names, seen = [node.input[0]], set[str]()
    for _ in range(EXCHANGED_STEPS):
        seen.update(names)
        steps = [step for name in names if (step := topology.producer.get(name)) is not None]
        passed = [step for step in steps if step.op_type in PASSED | ELEMENTWISE]
        names = list(dict.fromkeys(n for step in passed for n in step.input if n not in seen))
    turned = [name for name in seen if topology.made_by(name, "Transpose")]
    undone = [
        reader
        for name in seen
        for reader in topology.readers.get(name, [])
        if reader.op_type == "Transpose" and reader.output[0] not in seen
    ]
    if not turned or not undone:
        return []
    reason = f"Transpose {undone[0].name} reads what is rounded here: ONNX Runtime rounds it there too"
    return [Hazard(ONNXRUNTIME, reason, "one Transpose for both, or none")]


def _same(x: Abstract | None, y: Abstract | None) -> bool:
    if x is None or y is None or x.constant is None or y.constant is None:
        return False
    return x.dtype == y.dtype and bool(np.array_equal(x.constant, y.constant))


def _float_weights_quantized(node: onnx.NodeProto, call: Call, topology: Topology) -> list[Hazard]:
    """ONNX Runtime's WeightBiasQuantization makes int8 of float weights between DequantizeLinear and QuantizeLinear."""
    if call.input(1).stored is not None or topology.origin(node.input[0]) != "DequantizeLinear":
        return []
    if not _quantized_behind(node.output[0], topology):
        return []
    cure = "weights behind a DequantizeLinear; Conv and DepthToSpace in place of a ConvTranspose"
    return [Hazard(ONNXRUNTIME, "float weights between quantized tensors: ONNX Runtime rounds them to int8", cure)]


def _quantized_behind(name: str, topology: Topology) -> bool:
    names = [name]
    for _ in range(EXCHANGED_STEPS):
        readers = [node for tensor in names for node in topology.readers.get(tensor, [])]
        if any(node.op_type == "QuantizeLinear" for node in readers):
            return True
        passed = [node for node in readers if node.op_type in EXCHANGED | {"Clip"}]
        names = [out for node in passed for out in node.output][:EXCHANGED_STEPS]
    return False
