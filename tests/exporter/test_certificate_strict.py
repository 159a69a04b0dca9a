"""No rule, no proof: attributes, documents, types and constants that runtimes read in more than one way."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from exporter.controls import FLOAT, INT32, in_float, quantized_layer
from exporter.graphs import graph
from onnx import helper, numpy_helper

from nvc_check.exporter.certificate.rules.attributes import ATTRIBUTES, check_attributes
from nvc_check.exporter.certificate.rules.table import RULES
from nvc_check.exporter.certificate.terms import Call, Refused
from nvc_check.exporter.certificate.verdicts import NOT_EXACT
from nvc_check.exporter.certificate.walk import certify

WEIGHT = {"w": np.ones((2, 2, 3, 3), np.float32)}


def refused(model: onnx.ModelProto, says: str) -> bool:
    """On no target, and for that reason."""
    certificate = certify(model)
    reasons = [node.reason for node in certificate.nodes]
    return set(certificate.verdicts.values()) == {NOT_EXACT} and any(says in reason for reason in reasons)


@pytest.mark.parametrize(
    ("op_type", "attributes"),
    [
        ("Conv", {"auto_pad": "SAME_UPPER"}),
        ("Conv", {"auto_pad": "SAME_LOWER"}),
        ("Conv", {"auto_pad": "VALID"}),
        ("ConvTranspose", {"auto_pad": "SAME_LOWER", "strides": [3, 3]}),
        ("ConvTranspose", {"output_shape": [14, 11]}),
        ("ConvTranspose", {"strides": [2, 2], "output_padding": [2, 0]}),
        ("MaxPool", {"kernel_shape": [2, 2], "ceil_mode": 1}),
        ("MaxPool", {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}),
        ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]}),
        ("MaxPool", {"kernel_shape": [2, 2], "storage_order": 1}),
    ],
)
def test_an_attribute_without_a_rule(op_type: str, attributes: dict[str, Any]) -> None:
    names = ["c"] if op_type == "MaxPool" else ["c", "w"]
    constants: dict[str, Any] = {} if op_type == "MaxPool" else WEIGHT
    model = in_float(helper.make_node(op_type, names, ["y"], "layer", **attributes), **constants)
    assert set(certify(model).verdicts.values()) == {NOT_EXACT}
    kept = {key: value for key, value in attributes.items() if key in ("kernel_shape", "strides")}
    plain = in_float(helper.make_node(op_type, names, ["y"], "layer", **kept), **constants)
    assert certify(plain).exact


@pytest.mark.parametrize("op_type", sorted(RULES))
def test_attributes_of_the_standard_that_no_rule_reads(op_type: str) -> None:
    """Of every operator and version: refused, as one that the standard does not know."""
    for version in range(11, 24):
        schema = onnx.defs.get_schema(op_type, version) if onnx.defs.has(op_type, version) else None
        for name in {*(schema.attributes if schema is not None else ()), "unheard_of"} - set(
            ATTRIBUTES.get(op_type, {})
        ):
            with pytest.raises(Refused, match=f"{op_type} with {name} has no rule"):
                check_attributes(Call(op_type, {name: 1}, (), ()))


@pytest.mark.parametrize("pads", [[0, 0, -1, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0, -2, 1]])
def test_negative_pads(pads: list[int]) -> None:
    node = helper.make_node("Pad", ["c", "pads"], ["y"], "pad")
    assert refused(in_float(node, pads=np.array(pads, np.int64)), "negative")
    assert certify(in_float(node, pads=np.abs(np.array(pads, np.int64)))).exact


def doubled(**constants: Any) -> onnx.ModelProto:
    return in_float(helper.make_node("Mul", ["c", "k"], ["y"], "scaled"), k=np.array(2, np.float32), **constants)


def test_documents_that_mean_more_than_one_thing() -> None:
    assert certify(doubled()).exact
    twice = doubled()
    twice.opset_import.append(helper.make_opsetid("ai.onnx", 11))
    assert refused(twice, "stated more than once")
    again = doubled()
    again.graph.initializer.append(numpy_helper.from_array(np.array(3, np.float32), "k"))
    assert refused(again, "defined more than once")
    shadowed = doubled()
    shadowed.graph.node.append(helper.make_node("Identity", ["x"], ["c"], "again"))
    assert refused(shadowed, "defined more than once")
    functions = doubled()
    functions.functions.append(helper.make_function("own", "F", ["a"], ["b"], [], [helper.make_opsetid("", 18)]))
    assert refused(functions, "local functions")
    invalid = doubled()
    invalid.graph.node[-1].input.append("nowhere")
    assert refused(invalid, "onnx.checker refuses it")
    old = doubled()
    old.opset_import[0].version = 9
    assert refused(old, "outside 11 to 23")


def test_an_empty_graph_is_not_exact() -> None:
    value = helper.make_tensor_value_info("x", INT32, [1])
    model = helper.make_model(helper.make_graph([], "empty", [value], [value]), ir_version=10)
    model.opset_import[0].version = 18
    assert refused(model, "no nodes")


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint16, np.int16, np.uint32, np.uint64])
def test_types_without_exact_form(dtype: Any) -> None:
    """As an initializer, as a Constant node, and as an input."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    constant = numpy_helper.from_array(np.array([2], dtype), "k")
    cast = helper.make_node("Cast", ["k"], ["s"], "cast", to=FLOAT)
    scaled = helper.make_node("Mul", ["c", "s"], ["y"], "scaled")
    stored = in_float(cast, scaled, k=np.array([2], dtype))
    inside = in_float(helper.make_node("Constant", [], ["k"], "two", value=constant), cast, scaled)
    given = graph([helper.make_node("Cast", ["x"], ["y"], "cast", to=FLOAT)], {}, {"x": (kind, [2])}, ("y", FLOAT))
    for model in (stored, inside, given):
        assert set(certify(model).verdicts.values()) == {NOT_EXACT}


@pytest.mark.parametrize("far", [2.0**100, 2.0**-100, 3.0 * 2.0**90])
@pytest.mark.parametrize("order", ["factors first", "layer first"])
@pytest.mark.parametrize("layer", ["Conv", "MatMul", "Mul"])
def test_factors_that_are_harmless_one_by_one(far: float, order: str, layer: str) -> None:
    """A runtime folds them into one, or into weights: 2^100 * 2^100 is infinite, 2^-100 * 2^-100 is 0."""
    weights = 2 * np.eye(8) if layer == "MatMul" else np.full((2, 2, 1, 1), 2) if layer == "Conv" else np.array(2)

    def model(factor: float) -> onnx.ModelProto:
        scaled = [
            helper.make_node("Mul", ["a", "k"], ["b"], "up"),
            helper.make_node("Mul", ["b", "k"], ["d"], "up_again"),
        ]
        if order == "factors first":
            nodes = [helper.make_node("Identity", ["c"], ["a"]), *scaled, helper.make_node(layer, ["d", "w"], ["e"])]
        else:
            nodes = [helper.make_node(layer, ["c", "w"], ["a"]), *scaled, helper.make_node("Identity", ["d"], ["e"])]
        back = 1.0 / factor
        nodes += [
            helper.make_node("Mul", ["e", "back"], ["g"], "down"),
            helper.make_node("Mul", ["g", "back"], ["y"], "down_again"),
        ]
        constants: dict[str, Any] = {
            "k": np.array(factor, np.float32),
            "back": np.array(back, np.float32),
            "w": weights.astype(np.float32),
        }
        return in_float(*nodes, **constants)

    assert set(certify(model(far)).verdicts.values()) == {NOT_EXACT}
    assert certify(model(4.0)).targets["ort-cpu"]


def test_subnormal_constants() -> None:
    for value, exact in ((2.0**-126, True), (2.0**-127, False), (2.0**-149, False)):
        model = in_float(helper.make_node("Max", ["c", "k"], ["y"], "most"), k=np.array(value, np.float32))
        subnormal = any("subnormal" in node.reason for node in certify(model).nodes)
        assert subnormal is not exact


@pytest.mark.parametrize("op_type", ["Greater", "Less", "Equal", "GreaterOrEqual", "LessOrEqual"])
@pytest.mark.parametrize("limit", [2**24 - 1, 2**24])
def test_wide_integers_are_compared_in_float32_on_openvino(op_type: str, limit: int) -> None:
    nodes = [
        helper.make_node("Clip", ["x", "low", "high"], ["c"], "clip"),
        helper.make_node(op_type, ["c", "k"], ["m"], "compared"),
        helper.make_node("Cast", ["m"], ["y"], "cast", to=FLOAT),
    ]
    constants = {"low": np.int32(-5), "high": np.int32(limit), "k": np.int32(7)}
    arrays = {name: np.array(value) for name, value in constants.items()}
    certificate = certify(graph(nodes, arrays, {"x": (INT32, [4])}, ("y", FLOAT)))
    assert ("float32" in "".join(h.reason for h in certificate.nodes[1].hazards)) is (limit >= 2**24)


def test_a_residual_counts_with_the_sum_that_it_may_be_added_to() -> None:
    """ONNX Runtime takes an Add into the Conv before it: their partial sums together stay below 2^24."""

    def model(reach: int) -> onnx.ModelProto:
        nodes = [
            helper.make_node("Conv", ["c", "w"], ["a"], "conv"),
            helper.make_node("Mul", ["c", "k"], ["b"], "other"),
            helper.make_node("Add", ["a", "b"], ["y"], "joined"),
        ]
        constants = {"w": np.array([[[[1]], [[-1]]]] * 2, np.float32), "k": np.array(1, np.float32)}
        return in_float(*nodes, reach=reach, **constants)

    assert certify(model(2**22)).targets["ort-cpu"]
    assert refused(model(2**23 - 1), "together with what is added to it")


def test_quantized_weights_behind_something_else_are_no_known_form() -> None:
    """A Transpose, an Identity or a Reshape between DequantizeLinear and what reads the weights."""
    plain = quantized_layer(np.full((2, 2, 1, 1), 3, np.int8))
    assert certify(plain).exact
    between_them: dict[str, dict[str, Any]] = {"Identity": {}, "Transpose": {"perm": [1, 0, 2, 3]}}
    for op_type, attributes in between_them.items():
        model = onnx.ModelProto()
        model.CopyFrom(plain)
        layer = next(node for node in model.graph.node if node.op_type == "Conv")
        place = list(model.graph.node).index(layer)
        between = helper.make_node(op_type, [layer.input[1]], ["between"], "between", **attributes)
        layer.input[1] = "between"
        model.graph.node.insert(place, between)
        assert "exact" not in certify(model).verdicts.values()
