"""What the controls of the certificate are built from: small graphs, and the reason why a node is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from exporter.graphs import graph
from numpy.typing import NDArray
from onnx import TensorProto, helper

from nvc_check.exporter.certificate.targets import TARGETS
from nvc_check.exporter.certificate.verdicts import Certificate, NodeCertificate
from nvc_check.exporter.certificate.walk import certify

INT32, FLOAT = TensorProto.INT32, TensorProto.FLOAT
Node = onnx.NodeProto


def why(model: onnx.ModelProto, target: str, name: str) -> str:
    """The reasons, joined, why node `name` is not exact on `target`; "" where it is."""
    return " | ".join(hazard.reason for hazard in node_of(certify(model), name).failures(TARGETS[target]))


def node_of(certificate: Certificate, name: str) -> NodeCertificate:
    return next(node for node in certificate.nodes if node.name == name)


def in_float(*nodes: Node, reach: float = 100, **constants: Any) -> onnx.ModelProto:
    """int32 x (1, 2, 8, 8), cast and clipped to [-reach, reach] as `c`, then `nodes`, the last of which makes `y`."""
    first = [
        helper.make_node("Cast", ["x"], ["f"], "cast", to=FLOAT),
        helper.make_node("Clip", ["f", "low", "high"], ["c"], "clip"),
    ]
    known = {"low": np.array(-reach, np.float32), "high": np.array(reach, np.float32), **constants}
    return graph([*first, *nodes], known, {"x": (INT32, [1, 2, 8, 8])}, ("y", FLOAT))


def pair(source: str, result: str, scale: str, zero: str, name: str) -> list[Node]:
    return [
        helper.make_node("QuantizeLinear", [source, scale, zero], [f"{name}_q"], f"{name}_q"),
        helper.make_node("DequantizeLinear", [f"{name}_q", scale, zero], [result], f"{name}_dq"),
    ]


def quantized_layer(
    weight: NDArray[Any], op_type: str = "Conv", scale: float = 0.25, pads: int = 0, **attributes: Any
) -> onnx.ModelProto:
    """uint8 activations, quantized weights, uint8 result: what ONNX Runtime fuses to one integer kernel."""
    channels = weight.shape[1] if op_type == "ConvTranspose" else weight.shape[0]
    zero = np.full(channels, 128 if weight.dtype == np.uint8 else 0, weight.dtype)
    return in_float(
        *pair("c", "real", "one", "z", "in"),
        helper.make_node("DequantizeLinear", ["w", "s", "zw"], ["wf"], "weight", axis=int(op_type != "Conv")),
        helper.make_node(op_type, ["real", "wf"], ["sum"], "conv", pads=[pads] * 4, **attributes),
        *pair("sum", "y", "scale", "z", "out"),
        one=np.array(1, np.float32),
        z=np.array(128, np.uint8),
        w=weight,
        s=np.full(channels, 2.0**-5, np.float32),
        zw=zero,
        scale=np.array(scale, np.float32),
    )
