"""Controls: what the certificate must refuse, each with its reason, and what it must accept just beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exporter.controls import FLOAT, in_float, node_of, pair, quantized_layer, why
from exporter.graphs import clipped_convolution
from numpy.typing import NDArray
from onnx import helper

from nvc_check.exporter.certificate.targets import TARGETS
from nvc_check.exporter.certificate.walk import certify
from nvc_check.models.artifacts.package import Package


def test_ordinary_scales() -> None:
    weight = np.ones((1, 2, 1, 1), np.int8)
    assert certify(quantized_layer(weight)).exact
    assert "not a power of two" in why(quantized_layer(weight, scale=0.3), "ort-cpu", "out_q")


@pytest.mark.parametrize("groups", [1, 2])
def test_an_accumulator_one_above_the_bound(groups: int) -> None:
    weight = np.full((2, 2 // groups, 1, 1), 255, np.float32)
    sums = 255 * 255 * (2 // groups)
    for bias, expected in ((2**24 - 1 - sums, ""), (2**24 - sums, "sums reach 16777216, not below 2^24")):
        model = clipped_convolution(weight, 255, float(bias), group=groups)
        if groups == 2:
            model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
        found = why(model, "ort-cpu", "conv")
        assert expected in found and bool(expected) == bool(found)


@pytest.mark.parametrize(("bits", "refused"), [(8, set()), (11, {"any"}), (12, {"any", "cuda"})])
def test_operands_wider_than_bf16_and_tf32_multipliers(bits: int, refused: set[str]) -> None:
    model = clipped_convolution(np.ones((1, 1, 1, 1), np.float32), 2**bits - 1)
    assert {name for name in TARGETS if f"operands of {bits} and 1 bits" in why(model, name, "conv")} == refused


@pytest.mark.parametrize(("pair_sum", "refused"), [(128, set()), (129, {"any", "avx2", "openvino"})])
def test_two_largest_weights(pair_sum: int, refused: set[str]) -> None:
    """int8 products saturate in pairs on x86 without VNNI; the same integers as uint8 do not."""
    weight = np.array([64, pair_sum - 64], np.int8).reshape(1, 2, 1, 1)
    assert {
        name for name in TARGETS if "two largest int8 weights sum" in why(quantized_layer(weight), name, "conv")
    } == (refused)
    shifted = (weight.astype(np.int16) + 128).astype(np.uint8)
    assert certify(quantized_layer(shifted)).exact


def test_a_smooth_function_before_a_rounding() -> None:
    model = in_float(
        helper.make_node("Sigmoid", ["c"], ["s"], "smooth"), helper.make_node("Floor", ["s"], ["y"], "floor")
    )
    assert "Sigmoid is implementation-defined" in why(model, "ort-cpu", "smooth")
    assert "look-up table" in node_of(certify(model), "smooth").cure
    assert not node_of(certify(model), "floor").exact


def test_a_float_3x3_convolution_of_stride_1() -> None:
    weight = np.ones((1, 1, 3, 3), np.float32)
    model = clipped_convolution(weight, 9)
    assert {name for name in TARGETS if "Winograd" in why(model, name, "conv")} == {"any", "cuda"}
    assert certify(model).exact  # under A2
    for other in (
        clipped_convolution(weight, 9, strides=[2, 2]),
        clipped_convolution(np.ones((8, 1, 1, 1), np.float32), 9),
    ):
        assert certify(other).targets["any"]
    transposed = clipped_convolution(weight, 9, op_type="ConvTranspose")
    assert "Winograd" in why(transposed, "cuda", "conv")


def test_a_quantized_3x3_convolution_is_a_float_one_on_cuda() -> None:
    model = quantized_layer(np.ones((1, 2, 3, 3), np.int8), pads=1)
    certificate = certify(model)
    assert certificate.exact and "A2" in certificate.assumptions
    assert [name for name in ("any", "ort-cpu", "avx2", "cuda", "openvino") if certificate.targets[name]] == [
        *("ort-cpu", "avx2", "openvino")
    ]
    assert node_of(certificate, "conv").kernel == "integer kernel"


@pytest.mark.parametrize("size", [8, 6])
def test_grid_sample(size: int) -> None:
    nodes = [
        helper.make_node("Slice", ["c", "zero", "two", "one"], ["part"], "slice"),
        helper.make_node("Slice", ["part", "zero", "size", "axis"], ["image"], "size"),
        helper.make_node("GridSample", ["image", "grid"], ["y"], "sample", mode="bilinear"),
    ]
    constants: dict[str, Any] = {
        name: np.array([v], np.int64) for name, v in (("zero", 0), ("two", 2), ("one", 1), ("axis", 2))
    }
    grid = np.zeros((1, 4, 4, 2), np.float32)
    model = in_float(*nodes, **constants, size=np.array([size], np.int64), grid=grid)
    assert "unless height and width are powers of two" in why(model, "ort-cpu", "sample")
    assert "Gather" in node_of(certify(model), "sample").cure


@pytest.mark.parametrize(
    ("mode", "scale", "exact"), [("linear", 2, False), ("nearest", 2, True), ("nearest", 3, False)]
)
def test_resize(mode: str, scale: int, exact: bool) -> None:
    node = helper.make_node(
        *("Resize", ["c", "", "scales"], ["y"], "resize"),
        **{"mode": mode, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    )
    model = in_float(node, scales=np.array([1, 1, scale, scale], np.float32))
    assert certify(model).exact is exact
    if mode == "linear":
        assert "Resize linear is implementation-defined" in why(model, "ort-cpu", "resize")


def test_a_transposed_convolution_that_calls_itself_quantized() -> None:
    """ONNX Runtime runs it as float, OpenVINO wrong: no integer kernel is claimed, and `any` refuses it."""
    model = quantized_layer(np.ones((2, 1, 2, 2), np.int8), "ConvTranspose", strides=[2, 2])
    assert "calls itself quantized" in why(model, "any", "conv")
    assert "calls itself quantized" in why(model, "openvino", "conv")
    assert why(model, "ort-cpu", "conv") == ""
    assert node_of(certify(model), "conv").kernel == "float carrier"


def test_dynamic_quantization() -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["c"], ["q", "s", "z"], "dynamic"),
        helper.make_node("ConvInteger", ["q", "w", "z"], ["sum"], "conv"),
        helper.make_node("Cast", ["sum"], ["y"], "back", to=FLOAT),
    ]
    model = in_float(*nodes, w=np.ones((1, 2, 1, 1), np.uint8))
    assert "dynamic quantization" in why(model, "ort-cpu", "dynamic")
    assert "not on a known grid" in why(model, "ort-cpu", "conv")


def test_two_roundings_in_a_row() -> None:
    """ONNX Runtime makes one pair of two, so the second grid's rounding is lost."""
    constants: dict[str, Any] = {f"s{i}": np.array(s, np.float32) for i, s in enumerate((0.5, 1, 0.5))}
    for second, exact in (("s1", False), ("s2", True)):
        nodes = [*pair("c", "m", "s0", "z", "first"), *pair("m", "y", second, "z", "second")]
        model = in_float(*nodes, **constants, z=np.array(128, np.uint8))
        assert certify(model).targets["ort-cpu"] is exact
        assert exact or "two roundings in a row" in why(model, "ort-cpu", "second_q")


def test_a_rounding_that_another_transpose_would_see() -> None:
    """ONNX Runtime moves QuantizeLinear in front of the first Transpose, and the second one then undoes that."""
    turn = helper.make_node("Transpose", ["c"], ["t"], "turn", perm=[0, 2, 3, 1])
    back = helper.make_node("Transpose", ["t"], ["b"], "back", perm=[0, 3, 1, 2])
    beside = helper.make_node("Neg", ["c"], ["b"], "beside")
    rounded = [*pair("t", "r", "s", "z", "p"), helper.make_node("Transpose", ["r"], ["u"], "last", perm=[0, 3, 1, 2])]
    both = helper.make_node("Add", ["u", "b"], ["y"], "both")
    constants: dict[str, Any] = {"s": np.array(2, np.float32), "z": np.array(128, np.uint8)}
    for second, refused in ((back, True), (beside, False)):
        model = in_float(turn, second, *rounded, both, **constants)
        assert certify(model).targets["ort-cpu"] is not refused
        assert not refused or "Transpose back reads what is rounded here" in why(model, "ort-cpu", "p_q")


def test_float_weights_between_quantized_tensors() -> None:
    """ONNX Runtime rounds such weights to int8 on a scale of its own."""
    nodes = [
        *pair("c", "real", "s", "z", "in"),
        helper.make_node("Conv", ["real", "w"], ["sum"], "conv"),
        *pair("sum", "y", "s", "z", "out"),
    ]
    constants: dict[str, Any] = {"s": np.array(1, np.float32), "z": np.array(128, np.uint8)}
    model = in_float(*nodes, **constants, w=np.full((1, 2, 1, 1), 0.75, np.float32))
    assert "rounds them to int8" in why(model, "ort-cpu", "conv")
    assert certify(model).targets["openvino"]


class Reader:
    """Two random symbol tensors: all that quantize_static wants to see."""

    def __init__(self, model: onnx.ModelProto) -> None:
        rng = np.random.default_rng(0)
        self.feeds: Iterator[dict[str, Any]] = iter([{i.name: _symbols(rng, i) for i in model.graph.input}] * 2)

    def get_next(self) -> dict[str, Any] | None:
        return next(self.feeds, None)


def _symbols(rng: np.random.Generator, info: onnx.ValueInfoProto) -> NDArray[Any]:
    tensor = info.type.tensor_type
    symbols = rng.integers(-9, 10, [d.dim_value or 4 for d in tensor.shape.dim])
    return symbols.astype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))


@pytest.mark.filterwarnings("ignore")  # inside onnxruntime.quantization
@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ("QDQ", "scale is not a power of two"),
        ("QOperator", "com.microsoft.QLinearAdd requantizes by a rule of its own"),
    ],
)
def test_what_quantize_static_makes_of_a_decoder(form: str, reason: str, package: Package, tmp_path: Path) -> None:
    """The synthesis of the bundled image codec, and its entropy graph, quantized the usual way."""
    from onnxruntime import quantization

    for name in ("frame", "entropy"):
        source, out = package.root / "fp32" / f"{name}.onnx", tmp_path / f"{name}.onnx"
        reader: Any = Reader(onnx.load(source))
        quantization.quantize_static(str(source), str(out), reader, quant_format=quantization.QuantFormat[form])
        certificate = certify(onnx.load(out))
        reasons = {node.reason for node in certificate.nodes}
        assert not any(certificate.targets.values())
        assert reason in reasons
        assert all(node.reason for node in certificate.nodes if not node.exact)
