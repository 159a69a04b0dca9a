"""Controls of the OpenVINO target: what its rewrites would change, and what stays exact just beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
import pytest
from exporter.controls import INT32, in_float, pair, quantized_layer, why
from exporter.graphs import graph
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from property.fuzz import on_onnxruntime, on_openvino

from nvc_check.exporter.certificate.targets import TARGETS
from nvc_check.exporter.certificate.walk import certify


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_16_bit_quantization_has_no_rule(dtype: Any) -> None:
    """OpenVINO leaves a pair of 16 bits out: no rounding, no saturation."""
    model = in_float(*pair("c", "y", "s", "z", "wide"), s=np.array(1, np.float32), z=np.array(0, dtype))
    model.opset_import[0].version = 21  # the first that has them
    assert all("of a type or kind without exact form" in why(model, name, "wide_q") for name in TARGETS)


def test_int32_division_on_openvino() -> None:
    nodes = [helper.make_node("Div", ["x", "d"], ["y"], "div")]
    model = graph(nodes, {"d": np.array(8, np.int32)}, {"x": (INT32, [4])}, ("y", INT32))
    for target in ("any", "openvino"):
        assert "OpenVINO computes Div of int32 in float32" in why(model, target, "div")
    assert certify(model).targets["ort-cpu"]


def test_odd_zero_points_and_limits_off_the_grid_on_openvino() -> None:
    constants: dict[str, Any] = {
        "s": np.array(2, np.float32),
        "odd": np.array(3, np.uint8),
        "even": np.array(4, np.uint8),
    }
    odd = in_float(*pair("c", "y", "s", "odd", "pair"), **constants)
    assert "ties go to odd integers" in why(odd, "openvino", "pair_q")
    even = pair("c", "m", "s", "even", "pair")
    clip = helper.make_node("Clip", ["m", "", "limit"], ["y"], "limited")
    for limit, refused in ((5, True), (6, False)):
        model = in_float(*even, clip, **constants, limit=np.array(limit, np.float32))
        assert ("limits off the grid" in why(model, "openvino", "limited")) is refused
        assert certify(model).targets["ort-cpu"]


def test_a_factor_and_a_shift_before_rounding_on_openvino() -> None:
    """It shifts first, by shift / factor: exact where the factor is a power of two, or the shift comes first anyway."""
    constants: dict[str, Any] = {
        "s": np.array(2.0**-4, np.float32),
        "z": np.array(0, np.uint8),
        "b": np.array(10 * 2.0**-7, np.float32),
    }
    scaled = helper.make_node("Mul", ["c", "m"], ["a"], "scaled")
    shifted = helper.make_node("Sub", ["a", "b"], ["e"], "shifted")
    other = helper.make_node("Sub", ["c", "b"], ["a"], "shifted"), helper.make_node("Mul", ["a", "m"], ["e"], "scaled")
    for nodes, factor, refused in (((scaled, shifted), 3, True), ((scaled, shifted), 4, False), (other, 3, False)):
        model = in_float(*nodes, *pair("e", "y", "s", "z", "p"), **constants, m=np.array(factor * 2.0**-7, np.float32))
        assert certify(model).targets["openvino"] is not refused
        assert certify(model).targets["avx2"]
        assert not refused or "OpenVINO shifts first" in why(model, "openvino", "shifted")
    # only with something quantized beside it
    last = helper.make_node("Sub", ["a", "b"], ["y"], "shifted")
    alone = in_float(scaled, last, b=constants["b"], m=np.array(3 * 2.0**-7, np.float32))
    assert certify(alone).targets["openvino"]


def test_limits_off_the_grid_behind_a_concat_on_openvino() -> None:
    constants: dict[str, Any] = {"s": np.array(2, np.float32), "z": np.array(4, np.uint8)}
    joined = helper.make_node("Concat", ["m", "c"], ["j"], "joined", axis=1)
    clip = helper.make_node("Clip", ["j", "", "limit"], ["y"], "limited")
    # the half that is not dequantized has whole numbers, so the limit is off the grid of one half only
    for limit, refused in ((5.5, True), (6, False)):
        model = in_float(*pair("c", "m", "s", "z", "p"), joined, clip, **constants, limit=np.array(limit, np.float32))
        assert ("limits off the grid" in why(model, "openvino", "limited")) is refused
        assert certify(model).targets["ort-cpu"]


def test_a_sum_of_scaled_dequantized_values_on_openvino() -> None:
    """It divides one factor by the other: exact where both are powers of two, or nothing was quantized."""
    constants: dict[str, Any] = {
        "s": np.array(1, np.float32),
        "z": np.array(128, np.uint8),
        "n": np.array(0.25, np.float32),
    }
    scaled = [
        helper.make_node("Mul", ["d", "m"], ["a"], "first"),
        helper.make_node("Mul", ["c", "n"], ["b"], "second"),
        helper.make_node("Add", ["a", "b"], ["y"], "total"),
    ]
    plain = helper.make_node("Relu", ["c"], ["d"], "positive")
    for before, factor, refused in ((pair("c", "d", "s", "z", "p"), 3, True), ([plain], 3, False)):
        model = in_float(*before, *scaled, **constants, m=np.array(factor * 2.0**-7, np.float32))
        assert certify(model).targets["openvino"] is not refused
        assert certify(model).targets["avx2"]
        assert not refused or "OpenVINO divides the factors" in why(model, "openvino", "total")
    whole = in_float(*pair("c", "d", "s", "z", "p"), *scaled, **constants, m=np.array(0.5, np.float32))
    assert certify(whole).targets["openvino"]


def test_the_largest_before_rounding_on_openvino() -> None:
    constants: dict[str, Any] = {
        "s": np.array(2, np.float32),
        "z": np.array(0, np.uint8),
        "axes": np.array([3], np.int64),
    }
    most = helper.make_node("ReduceMax", ["c", "axes"], ["e"], "most")
    model = in_float(most, *pair("e", "y", "s", "z", "p"), **constants)
    assert "ReduceMax most before rounding" in why(model, "openvino", "p_q")
    assert certify(model).targets["avx2"]
    behind = helper.make_node("ReduceMax", ["e", "axes"], ["y"], "most")
    assert certify(in_float(*pair("c", "e", "s", "z", "p"), behind, **constants)).targets["openvino"]


def test_a_shift_of_dequantized_values_on_openvino() -> None:
    """OpenVINO starts from the lowest value of the type, -16384 here, though only 0 and 128 occur."""
    constants: dict[str, Any] = {"s": np.array(128, np.float32), "z": np.array(0, np.int8)}
    nodes = [
        helper.make_node("Relu", ["c"], ["positive"], "positive"),
        *pair("positive", "e", "s", "z", "p"),
        helper.make_node("Add", ["e", "k"], ["y"], "shifted"),
    ]
    for shift, refused in ((3 * 2.0**-12, True), (0.5, False)):
        model = in_float(*nodes, **constants, k=np.array(shift, np.float32))
        assert certify(model).targets["openvino"] is not refused
        assert certify(model).targets["avx2"]
        assert not refused or "int8's lowest value, beyond 24 bits" in why(model, "openvino", "shifted")


def test_values_that_all_saturate_on_openvino() -> None:
    for scale, refused in ((0.25, True), (1, False)):
        shift = helper.make_node("Add", ["c", "k"], ["e"], "shifted")
        constants: dict[str, Any] = {
            "s": np.array(scale, np.float32),
            "z": np.array(0, np.uint8),
            "k": np.array(200, np.float32),
        }
        model = in_float(shift, *pair("e", "y", "s", "z", "p"), **constants)
        assert certify(model).targets["openvino"] is not refused
        assert not refused or "saturate to one" in why(model, "openvino", "p_q")


def test_a_strided_1x1_conv_of_integer_weights_on_openvino() -> None:
    points = quantized_layer(np.full((4, 2, 1, 1), 7, np.int8), strides=[2, 2])
    assert "mixes up its axes" in why(points, "openvino", "conv")
    assert certify(points).targets["avx2"]
    turned = quantized_layer(np.full((4, 2, 1, 1), 7, np.int8))
    first = next(node for node in turned.graph.node if node.op_type == "QuantizeLinear")
    position = list(turned.graph.node).index(first)
    turned.graph.node.insert(position, helper.make_node("Transpose", ["c"], ["turned"], "turn", perm=[0, 1, 3, 2]))
    turned.graph.node[position + 1].input[0] = "turned"
    assert "behind turn: OpenVINO mixes up its axes" in why(turned, "openvino", "conv")
    for other in (
        quantized_layer(np.full((4, 2, 1, 1), 7, np.int8)),
        quantized_layer(np.full((4, 2, 3, 3), 7, np.int8), strides=[2, 2]),
    ):
        assert certify(other).targets["openvino"]


@pytest.mark.parametrize(("order", "known"), [((1, 2, 0, 3), False), ((3, 2, 1, 0), True), ((0, 1, 2, 2), True)])
def test_channels_exchanged_in_front_of_a_convolution(order: tuple[int, ...], known: bool) -> None:
    """OpenVINO moves a mere exchange into the weights, backwards; its own inverse and a repetition are right."""
    rng = np.random.default_rng(3)
    nodes = [
        helper.make_node("Cast", ["x"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Clip", ["real", "low", "high"], ["within"]),
        helper.make_node("Floor", ["within"], ["whole"]),
        helper.make_node("Gather", ["whole", "order"], ["read"], "exchange", axis=1),
        helper.make_node("Conv", ["read", "w"], ["y"], "sum", kernel_shape=[1, 1]),
    ]
    constants = {
        "low": np.array(-9, np.float32),
        "high": np.array(9, np.float32),
        "order": np.array(order, np.int32),
        "w": rng.integers(-9, 9, (3, 4, 1, 1)).astype(np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "exchanged",
        [helper.make_tensor_value_info("x", TensorProto.INT32, [1, 4, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, None, None])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    said = [hazard.reason for _, hazard in certify(model).failures("openvino")]
    assert any("channels exchanged by exchange" in reason for reason in said) != known
    inputs = {"x": rng.integers(-9, 9, (1, 4, 5, 6)).astype(np.int32)}
    given = model.SerializeToString()
    right = np.array_equal(
        on_openvino(openvino.Core(), given, inputs)[0], on_onnxruntime(given, inputs, "ORT_DISABLE_ALL")[0]
    )
    assert right == known


@pytest.mark.parametrize("factor", [-1.0, -0.5, 1.0])
@pytest.mark.parametrize("kept", [False, True])
def test_a_negative_factor_in_front_of_a_rounding(factor: float, kept: bool) -> None:
    """OpenVINO takes it into the QuantizeLinear; a Floor between them keeps it out."""
    nodes = [
        helper.make_node("Cast", ["x"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Clip", ["real", "low", "high"], ["within"]),
        helper.make_node("Mul", ["within", "factor"], ["turned"], "turn"),
        helper.make_node("Floor", ["turned"], ["whole"]),
        helper.make_node("QuantizeLinear", ["whole" if kept else "turned", "one", "zero"], ["q"], "round"),
        helper.make_node("DequantizeLinear", ["q", "one", "zero"], ["y"]),
    ]
    constants: dict[str, Any] = {
        "low": np.array(-300, np.float32),
        "high": np.array(300, np.float32),
        "factor": np.array(factor, np.float32),
        "one": np.array(1, np.float32),
        "zero": np.array(128, np.uint8),
    }
    made = helper.make_graph(
        nodes,
        "turned",
        [helper.make_tensor_value_info("x", TensorProto.INT32, [1, 4, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, None, None])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    said = [hazard.reason for _, hazard in certify(model).failures("openvino")]
    assert any("a negative factor, turn" in reason for reason in said) == (factor < 0 and not kept)
    if not said:
        inputs, given = {"x": np.arange(-400, 400, dtype=np.int32).reshape(1, 4, 10, 20)}, model.SerializeToString()
        expected = on_onnxruntime(given, inputs, "ORT_DISABLE_ALL")[0]
        assert np.array_equal(on_openvino(openvino.Core(), given, inputs)[0], expected)


CHANNELS = np.array([1, 2, 4, 8], np.float32).reshape(4, 1, 1)


@pytest.mark.parametrize(
    ("factor", "groups", "between", "wrong"),
    [
        (7.0, 1, [], True),
        (7.0, 1, ["Relu"], True),
        (7.0, 4, [], True),
        (7.0, 1, ["Floor"], False),
        (7.0, 1, ["Transpose"], False),
        (2.0, 1, [], False),
        (-0.5, 2, [], False),
        (CHANNELS, 1, [], False),
        (CHANNELS, 4, [], False),
        (CHANNELS, 2, [], True),
        (CHANNELS, 2, ["Relu"], True),
        (CHANNELS, 2, ["Floor"], False),
    ],
)
def test_a_factor_behind_a_quantized_convolution(
    factor: float | NDArray[np.float32], groups: int, between: list[str], wrong: bool
) -> None:
    """As OpenVINO 2026.4 computed each; the conformance suite has one that is wrong and its cure."""
    model = quantized_layer(np.ones((4, 4 // groups, 1, 1), np.int8), group=groups)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    last = model.graph.node[-1]
    last.output[0] = "rounded"
    for place, name in enumerate([*between, "Mul"]):
        before = model.graph.node[-1].output[0]
        made = helper.make_node(name, [before, "k"] if name == "Mul" else [before], [f"step{place}"], f"{name}{place}")
        model.graph.node.append(made)
    model.graph.node[-1].output[0] = "y"
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(factor, np.float32), "k"))
    said = why(model, "openvino", f"Mul{len(between)}")
    assert ("takes it into the Conv" in said) is wrong
