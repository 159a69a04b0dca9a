"""MaxPool: the right function, the same bits, on whatever grid its input is."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from exporter.onnx_files import SIDE, compiled, decibels, latents, model, node, weights

from nvc_check.exporter.certificate.walk import certify
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.precision import Precision, Precisions

FORMS: dict[str, dict[str, Any]] = {
    "2x2": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "3x3 of stride 2": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "3x3 of the same size": {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
    "rectangular": {"kernel_shape": [1, 3], "strides": [2, 1], "pads": [0, 2, 0, 0]},
    "VALID": {"kernel_shape": [3, 2], "auto_pad": "VALID"},
    "SAME": {"kernel_shape": [3, 2], "auto_pad": "SAME_UPPER"},
}
IN_FRONT = {
    "a Relu": [node("Conv", ["x", "w"], ["c"], "first", pads=[1] * 4), node("Relu", ["c"], ["p"])],
    "a Conv": [node("Conv", ["x", "w"], ["p"], "first", pads=[1] * 4)],
    "LeakyRelu": [
        node("Conv", ["x", "w"], ["c"], "first", pads=[1] * 4),
        node("LeakyRelu", ["c"], ["p"], alpha=0.2),
    ],
    "a sum": [
        node("Conv", ["x", "w"], ["c"], "first", pads=[1] * 4),
        node("Conv", ["x", "u"], ["d"], "second", pads=[1] * 4),
        node("Add", ["c", "d"], ["p"]),
    ],
}
BEHIND = {
    "a Conv": [node("MaxPool", ["p"], ["m"], "pool"), node("Conv", ["m", "v"], ["y"], "last")],
    "nothing": [node("MaxPool", ["p"], ["y"], "pool")],
    "a Sigmoid": [node("MaxPool", ["p"], ["m"], "pool"), node("Sigmoid", ["m"], ["y"])],
}
WEIGHTS = {"w": weights(8, 4, 3, 3), "u": weights(8, 4, 3, 3, seed=4), "v": weights(3, 8, 1, 1, seed=1)}


def net(form: str, front: str, behind: str, **more: Any) -> onnx.ModelProto:
    nodes = [onnx.NodeProto.FromString(each.SerializeToString()) for each in (*IN_FRONT[front], *BEHIND[behind])]
    (pool,) = (each for each in nodes if each.op_type == "MaxPool")
    attributes = {**FORMS[form], **more}
    pool.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in attributes.items())
    used = {name for each in nodes for name in each.input}
    kept = {name: array for name, array in WEIGHTS.items() if name in used}
    return model(nodes, kept, 18, shape=(1, 4, SIDE, SIDE + 2))


@pytest.mark.parametrize("text", ["w8a8", "w8a16"])
@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("front", IN_FRONT)
@pytest.mark.parametrize("form", ["2x2", "3x3 of stride 2"])
def test_wherever_it_stands(form: str, front: str, behind: str, text: str) -> None:
    source = net(form, front, behind)
    made = compiled(source, precisions=Precisions(Precision.of(text)))
    for graph in made.graphs.values():
        assert certify(ir.to_proto(graph)).exact
    assert decibels(made, source, latents(9)) >= 28


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form: str) -> None:
    source = net(form, "LeakyRelu", "a Conv")
    assert decibels(compiled(source), source, latents(9)) >= 28


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"ceil_mode": 1}, "no ceil_mode"),
        ({"dilations": [2, 1]}, "dilations"),
        ({"pads": [2, 0, 0, 0]}, "expected less than kernel_shape|ONNX Runtime cannot run"),
    ],
)
def test_what_is_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ExportRefusedError, match=says):
        compiled(net("2x2", "a Relu", "a Conv", **more))


def test_the_largest_of_negative_numbers() -> None:
    """Borders of zeros would win over them."""
    source = net("3x3 of the same size", "a Conv", "nothing")
    bias = {"x": -np.abs(latents(3)["x"]) - 1}
    assert decibels(compiled(source), source, bias) >= 25
