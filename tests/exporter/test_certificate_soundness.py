"""Graphs that look exact and are not: what a careless abstract interpretation would let through."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from exporter.graphs import graph
from exporter.test_certify_controls import in_float, node_of, pair, why
from onnx import TensorProto, helper

from nvc_check.exporter.certificate.walk import certify

FLOAT, INT32 = TensorProto.FLOAT, TensorProto.INT32


def floats(**values: Any) -> dict[str, Any]:
    return {name: np.array(value, np.float32) for name, value in values.items()}


def steps(model: onnx.ModelProto, name: str) -> float:
    return node_of(certify(model), name).bound


def test_a_constant_meets_the_axis_that_broadcasting_gives_it() -> None:
    """(2, 1) against (1, 2, 8, 8) runs along the rows' axis, not the channels': each channel meets both values."""
    weight = np.ones((1, 2, 1, 1), np.float32)
    conv = helper.make_node("Conv", ["m", "w"], ["y"], "conv")
    for shape, expected in (((2, 1, 1), 100 + 700), ((1, 1, 1, 8), 700 + 700)):
        factor = np.array([1, 7] * (4 if shape[-1] == 8 else 1), np.float32).reshape(shape)
        model = in_float(helper.make_node("Mul", ["c", "k"], ["m"], "scaled"), conv, k=factor, w=weight)
        assert steps(model, "conv") == expected


def test_an_initializer_that_a_caller_may_override_is_no_constant() -> None:
    model = in_float(helper.make_node("Mul", ["c", "k"], ["y"], "scaled"), **floats(k=2))
    assert certify(model).exact
    model.graph.input.append(helper.make_tensor_value_info("k", FLOAT, []))
    assert "a caller may override it" in why(model, "ort-cpu", "scaled")


def test_shapes_that_the_file_claims_of_inner_tensors_are_not_believed() -> None:
    model = in_float(helper.make_node("ReduceSum", ["c", "axis"], ["y"], "sum"), axis=np.array([3], np.int64))
    assert steps(model, "sum") == 800
    model.graph.value_info.append(helper.make_tensor_value_info("c", FLOAT, [1, 2, 8, 1]))
    assert "onnx.checker refuses it" in why(model, "ort-cpu", "sum")


@pytest.mark.parametrize("attributes", [{}, {"exclusive": 1}, {"reverse": 1}])
@pytest.mark.parametrize("declared", [8, "width"])
def test_a_running_sum(attributes: dict[str, Any], declared: Any) -> None:
    """As far as the whole sum; of a side known at run time only, of 8192 elements."""
    sums = helper.make_node("CumSum", ["c", "axis"], ["s"], "sum", **attributes)
    model = in_float(sums, helper.make_node("Identity", ["s"], ["y"], "end"), axis=np.array(3, np.int64))
    dimension = model.graph.input[0].type.tensor_type.shape.dim[3]
    if isinstance(declared, str):
        dimension.dim_param = declared
    certificate = certify(model)
    assert steps(model, "sum") == (800 if declared == 8 else 819200)
    assert certificate.conditions == (() if declared == 8 else ("sizes up to 8192",))
    assert certificate.exact and all(certificate.targets.values())
    assert "A1" in certificate.assumptions


def test_a_running_sum_beyond_24_bits_or_along_a_computed_axis_is_refused() -> None:
    sums = helper.make_node("CumSum", ["c", "axis"], ["y"], "sum")
    for reach, exact in ((2**21 - 1, True), (2**21, False)):
        model = in_float(sums, axis=np.array(3, np.int64), reach=reach)
        assert certify(model).exact is exact
    assert "not below 2^24" in why(model, "ort-cpu", "sum")
    given = in_float(sums, axis=np.array(3, np.int64))  # an input of the same name overrides it
    given.graph.input.append(helper.make_tensor_value_info("axis", TensorProto.INT64, []))
    assert "axis is an input too" in why(given, "ort-cpu", "sum")


@pytest.mark.parametrize(("exclusive", "size", "exact"), [(0, 8, True), (0, 7, False), (1, 8, False)])
def test_a_running_sum_starts_at_0_if_it_is_exclusive(exclusive: int, size: int, exact: bool) -> None:
    """Counted from 1 to 8 less 1 it is an index of a table of 8; from 0 less 1 it is none of any."""
    nodes = [
        helper.make_node("Clip", ["c", "one", "one"], ["ones"], "ones"),
        helper.make_node("CumSum", ["ones", "axis"], ["s"], "sum", exclusive=exclusive),
        helper.make_node("Sub", ["s", "one"], ["less"], "less"),
        helper.make_node("Cast", ["less"], ["i"], "index", to=INT32),
        helper.make_node("Gather", ["table", "i"], ["y"], "looked_up"),
    ]
    model = in_float(*nodes, axis=np.array(3, np.int64), one=np.array(1, np.float32), table=np.zeros(size, np.float32))
    assert certify(model).exact is exact
    assert exact or "indexes reach" in why(model, "ort-cpu", "looked_up")


def test_a_rounded_integer_is_refused_where_anything_but_a_clip_sees_it() -> None:
    """int32 above 2^24 rounds in the Cast: a Clip repairs it, an output or another reader does not."""
    model = in_float(helper.make_node("Identity", ["c"], ["y"], "end"))
    assert certify(model).exact
    model.graph.output.append(helper.make_tensor_value_info("f", FLOAT, [1, 2, 8, 8]))
    assert "not below 2^24" in why(model, "ort-cpu", "cast")
    model = in_float(helper.make_node("Sub", ["c", "f"], ["y"], "end"))
    assert not certify(model).exact


def test_constants_that_a_runtime_merges() -> None:
    """(x + 2^20) + 2^-10 has few steps, but 2^20 + 2^-10 is no float32; and (x - a) * 3 may become x * 3 - a * 3."""
    nodes = [
        helper.make_node("Clip", ["c", "one", "one"], ["k"], "one"),
        helper.make_node("Sub", ["k", "large"], ["a"], "first"),
        helper.make_node("Add", ["a", "small"], ["b"], "second"),
        helper.make_node("Add", ["b", "large"], ["y"], "third"),
    ]
    model = in_float(*nodes, **floats(one=1, large=2**20, small=2.0**-10))
    assert "the sum of the constants added reaches" in why(model, "ort-cpu", "second")
    nodes = [
        helper.make_node("Sub", ["c", "a"], ["d"], "shifted"),
        helper.make_node("Mul", ["d", "three"], ["y"], "scaled"),
    ]
    model = in_float(*nodes, reach=2**23, **floats(a=2**23, three=3))
    assert not certify(model).exact


def test_factors_folded_into_weights_count_as_operands() -> None:
    """Conv by 7-bit weights, then Mul by 101: ONNX Runtime multiplies the weights, which then have 14 bits."""
    nodes = [
        helper.make_node("Conv", ["c", "w"], ["s"], "conv"),
        helper.make_node("Mul", ["s", "k"], ["y"], "scaled"),
    ]
    model = in_float(*nodes, w=np.full((1, 2, 1, 1), 127, np.float32), **floats(k=101))
    assert "weights of 14 bits once this factor is folded" in why(model, "cuda", "scaled")
    assert why(model, "ort-cpu", "scaled") == ""


@pytest.mark.parametrize(
    ("exact", "node", "constants"),
    [
        (False, helper.make_node("Cast", ["h"], ["y"], "n", to=INT32), {}),
        (False, helper.make_node("Clip", ["h", "k"], ["y"], "n"), floats(k=np.nan)),
        (True, helper.make_node("Clip", ["h", "", "k"], ["y"], "n"), floats(k=np.inf)),
        (False, helper.make_node("Clip", ["h", "k", "m"], ["y"], "n"), floats(k=1, m=0)),
        (False, helper.make_node("Mul", ["h", "k"], ["y"], "n"), floats(k=0.1)),
        (False, helper.make_node("Mul", ["h", "k"], ["y"], "n"), floats(k=2.0**-130)),
        (False, helper.make_node("Add", ["h", "k"], ["y"], "n"), floats(k=2.0**-20)),
        (False, helper.make_node("Div", ["h", "k"], ["y"], "n"), floats(k=3)),
        (False, helper.make_node("Mod", ["h", "k"], ["y"], "n", fmod=1), floats(k=4)),
        (False, helper.make_node("LeakyRelu", ["h"], ["y"], "n", alpha=0.01), {}),
        (True, helper.make_node("LeakyRelu", ["h"], ["y"], "n", alpha=0.125), {}),
        (True, helper.make_node("Round", ["h"], ["y"], "n"), {}),
        (False, helper.make_node("AveragePool", ["h"], ["y"], "n", kernel_shape=[2, 2]), {}),
        (True, helper.make_node("MaxPool", ["h"], ["y"], "n", kernel_shape=[2, 2]), {}),
        (False, helper.make_node("Unheard", ["h"], ["y"], "n", domain="org.example"), {}),
    ],
)
def test_one_operator(exact: bool, node: onnx.NodeProto, constants: dict[str, Any]) -> None:
    """Behind halves within [-50, 50]; a verdict for every operator, a reason and a cure where it is refused."""
    half = helper.make_node("Mul", ["c", "half"], ["h"], "halved")
    if node.domain:
        model = in_float(half, helper.make_node("Identity", ["h"], ["y"], "n"), **floats(half=0.5))
        model.graph.node[-1].CopyFrom(node)
    else:
        kind = INT32 if node.op_type == "Cast" else FLOAT
        model = in_float(half, node, **floats(half=0.5), **constants)
        model.graph.output[0].type.tensor_type.elem_type = kind
    found = node_of(certify(model), "n")
    assert found.exact is exact, found.reason
    assert exact or (found.reason and found.cure)


def test_integers_that_overflow() -> None:
    nodes = [helper.make_node("Add", ["x", "x"], ["y"], "sum")]
    model = graph(nodes, {}, {"x": (INT32, [4])}, ("y", INT32))
    assert "overflows int32" in why(model, "ort-cpu", "sum")


def test_indexes_must_lie_inside_the_tensor() -> None:
    """Of a variable tensor too; where its size is known at run time only, the certificate states the condition."""
    nodes = [
        helper.make_node("Cast", ["c"], ["i"], "index", to=INT32),
        helper.make_node("Abs", ["i"], ["a"], "from_0"),
        helper.make_node("GatherElements", ["c", "a"], ["y"], "gather", axis=3),
    ]
    assert "indexes reach 0 to 8, the table has 8" in why(in_float(*nodes, reach=8), "ort-cpu", "gather")
    assert certify(in_float(*nodes, reach=7)).exact
    model = in_float(*nodes, reach=7)
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "width"
    assert certify(model).conditions == ("computed indexes stay inside tensors of a size known at run time only",)


def test_sizes_known_at_run_time_only() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"], "shape", start=2),
        helper.make_node("ReduceSum", ["c", "axis"], ["y"], "sum"),
    ]
    model = in_float(*nodes, axis=np.array([3], np.int64))
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "width"
    certificate = certify(model)
    assert certificate.conditions == ("sizes up to 8192",)
    assert node_of(certificate, "sum").bound == 100 * 8192


def test_depthwise_and_dilated_convolutions_are_bounded_by_their_own_inputs() -> None:
    shift = helper.make_node("Add", ["c", "k"], ["m"], "shifted")  # channel 1 reaches 1100
    offset = np.array([0, 1000], np.float32).reshape(2, 1, 1)
    conv = helper.make_node("Conv", ["m", "w"], ["y"], "conv", group=2, dilations=[2, 2])
    model = in_float(shift, conv, k=offset, w=np.array([3, 1], np.float32).reshape(2, 1, 1, 1))
    assert steps(model, "conv") == 1100
    transposed = helper.make_node("ConvTranspose", ["c", "w"], ["y"], "conv", strides=[2, 2], dilations=[2, 2])
    model = in_float(transposed, w=np.ones((2, 1, 3, 3), np.float32))
    assert steps(model, "conv") == 100 * 2 * 9  # all taps fall on the same phase


def test_opsets_outside_the_known_ones_and_unknown_symbols_do_not_crash() -> None:
    model = in_float(helper.make_node("Relu", ["c"], ["y"], "relu"))
    model.opset_import[0].version = 9
    assert "opset 9 is outside 11 to 23" in why(model, "any", "relu")
    flow = helper.make_node("If", ["b"], ["y"], "flow")
    for name in ("then_branch", "else_branch"):
        inner = helper.make_graph(
            [helper.make_node("Identity", ["c"], ["o"])], name, [], [helper.make_tensor_value_info("o", FLOAT, None)]
        )
        flow.attribute.append(helper.make_attribute(name, inner))
    largest = helper.make_node("ReduceMax", ["c"], ["m"], "largest", keepdims=0)
    model = in_float(largest, helper.make_node("Greater", ["m", "k"], ["b"], "positive"), flow, **floats(k=0))
    assert "control flow has no rule here" in why(model, "any", "flow")


def test_saturating_quantization_is_what_a_runtime_computes() -> None:
    """The bound of a saturated tensor is its type's: seen on ONNX Runtime at both ends."""
    model = in_float(*pair("c", "y", "s", "z", "p"), reach=1000, s=np.float32(2), z=np.array(128, np.uint8))
    assert (steps(model, "p_q"), steps(model, "p_dq")) == (255, 128)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.zeros((1, 2, 8, 8), np.int32)
    x[0, 0, 0, :2] = -(2**31), 2**31 - 1
    (result,) = session.run(None, {"x": x})
    assert result[0, 0, 0, :3].tolist() == [-256, 254, 0]
