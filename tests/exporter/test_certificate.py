"""The certificate accepts what is exact and refuses, with the reason, what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from exporter.graphs import clipped_convolution, graph
from onnx import TensorProto, helper

from nvc_check.exporter.certificate.targets import TARGETS
from nvc_check.exporter.certificate.verdicts import Certificate, NodeCertificate
from nvc_check.exporter.certificate.walk import certify
from nvc_check.models.artifacts.package import Package
from nvc_check.runtimes.engines.openvino_native import EXACT_PROPERTIES
from nvc_check.runtimes.engines.ort_options import session_options
from nvc_check.runtimes.engines.ort_session import session


def verdict(certificate: Certificate, name: str) -> NodeCertificate:
    return next(node for node in certificate.nodes if node.name == name)


def quantized(scale: float, weight: np.ndarray, zero: np.ndarray) -> onnx.ModelProto:
    """uint8 x -> DequantizeLinear -> Conv with quantized weights -> QuantizeLinear, scales as given."""
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s_x", "z_x"], ["xf"], "x_real"),
        helper.make_node("DequantizeLinear", ["w", "s_w", "z_w"], ["wf"], "w_real", axis=0),
        helper.make_node("Conv", ["xf", "wf"], ["y"], "conv"),
        helper.make_node("QuantizeLinear", ["y", "s_y", "z_x"], ["q"], "quantize"),
    ]
    constants: dict[str, Any] = {
        "s_x": np.array(0.5, np.float32),
        "z_x": np.array(0, np.uint8),
        "w": weight,
        "s_w": np.full(weight.shape[0], 2.0**-7, np.float32),
        "z_w": zero,
        "s_y": np.array(scale, np.float32),
    }
    shape = [1, weight.shape[1], 4, 4]
    return graph(nodes, constants, {"x": (TensorProto.UINT8, shape)}, ("q", TensorProto.UINT8))


def test_the_exported_graphs_are_exact(package: Package) -> None:
    """Every node of both flavours is certified, and the carrier does not need A2 (no Winograd)."""
    for flavour, assumptions in (("qdq", ("A1", "A2", "A3", "A4", "A5")), ("carrier", ("A1", "A3", "A5"))):
        certificate = certify(onnx.load(package.graph("int", "entropy", flavour)))
        assert certificate.exact
        assert certificate.assumptions == assumptions
        assert max(node.bound for node in certificate.nodes if "Conv" in node.op_type) < 2**24


def test_ordinary_scales_are_refused(inexact_package: Package) -> None:
    certificate = certify(onnx.load(inexact_package.graph("int", "entropy")))
    assert not certificate.exact
    assert any("not a power of two" in node.reason for node in certificate.nodes)


@pytest.mark.parametrize(("bias", "exact"), [(2**24 - 1 - 255 * 255, True), (2**24 - 255 * 255, False)])
def test_the_accumulator_bound_is_tight(bias: int, exact: bool) -> None:
    """One below 2^24 is accepted, 2^24 is refused."""
    certificate = certify(clipped_convolution(np.full((8, 1, 1, 1), 255, np.float32), 255, float(bias)))
    assert verdict(certificate, "conv").exact is exact
    if not exact:
        assert "sums reach 16777216, not below 2^24" in verdict(certificate, "conv").reason


def test_phases_of_a_transposed_convolution_are_bounded_apart() -> None:
    """A 2x2 stride-2 kernel adds one tap per output, a 3x3 one up to four."""
    for size, taps in ((2, 1), (3, 4)):
        weight = np.ones((1, 1, size, size), np.float32)
        model = clipped_convolution(weight, 100, op_type="ConvTranspose", strides=[2, 2])
        assert verdict(certify(model), "conv").bound == 100 * taps


def test_operands_of_more_than_8_bits_are_refused() -> None:
    certificate = certify(clipped_convolution(np.ones((1, 1, 1, 1), np.float32), 4095))
    assert "operands of 12 and 1 bits" in verdict(certificate, "conv").reason


def test_a_float_3x3_convolution_needs_no_winograd() -> None:
    weight = np.ones((1, 1, 3, 3), np.float32)
    assert "A2" in certify(clipped_convolution(weight, 9)).assumptions
    assert "A2" not in certify(clipped_convolution(weight, 9, strides=[2, 2])).assumptions


def test_power_of_two_scales_are_exact_and_others_are_not() -> None:
    weight, zero = np.ones((1, 1, 1, 1), np.int8), np.zeros(1, np.int8)
    assert certify(quantized(0.25, weight, zero)).exact
    refused = certify(quantized(0.3, weight, zero))
    assert verdict(refused, "quantize").reason == "scale is not a power of two"


@pytest.mark.parametrize(("largest", "exact"), [((64, 64), True), ((127, 2), False)])
def test_the_pair_bound_of_int8_weights(largest: tuple[int, int], exact: bool) -> None:
    """The two largest |w| of an output channel sum to at most 128, or x86 without VNNI saturates."""
    weight = np.array(largest, np.int8).reshape(1, 2, 1, 1)
    assert verdict(certify(quantized(0.25, weight, np.zeros(1, np.int8))), "conv").exact is exact
    shifted = (weight.astype(np.int16) + 128).astype(np.uint8)
    assert certify(quantized(0.25, shifted, np.full(1, 128, np.uint8))).exact


def test_an_unclipped_integer_above_24_bits_is_refused() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Floor", ["f"], ["y"], "floor"),
    ]
    model = graph(nodes, {}, {"x": (TensorProto.INT32, [4])}, ("y", TensorProto.FLOAT))
    assert "not below 2^24" in verdict(certify(model), "cast").reason


@pytest.mark.parametrize("operator", ["Sigmoid", "Tanh", "Exp", "Softplus"])
def test_implementation_defined_operators_are_refused_by_name(operator: str) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], "cast", to=TensorProto.FLOAT),
        helper.make_node(operator, ["f"], ["s"], "smooth"),
        helper.make_node("Floor", ["s"], ["y"], "floor"),
    ]
    model = graph(nodes, {}, {"x": (TensorProto.INT8, [4])}, ("y", TensorProto.FLOAT))
    certificate = certify(model)
    assert operator in verdict(certificate, "smooth").reason
    assert not verdict(certificate, "floor").exact


def test_a_table_shorter_than_its_indexes_is_refused() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], "cast", to=TensorProto.INT32),
        helper.make_node("Gather", ["table", "i"], ["y"], "gather"),
    ]
    table = {"table": np.arange(256, dtype=np.int32)}
    inside = graph(nodes, table, {"x": (TensorProto.UINT8, [4])}, ("y", TensorProto.INT32))
    outside = graph(nodes, table, {"x": (TensorProto.INT8, [4])}, ("y", TensorProto.INT32))
    assert certify(inside).exact
    assert "indexes reach -128" in verdict(certify(outside), "gather").reason


def test_what_is_certified_at_the_bound_is_exact_on_a_runtime() -> None:
    """The largest sum that the certificate allows comes out right in float32."""
    bias = 2**24 - 1 - 255 * 255
    model = clipped_convolution(np.full((1, 1, 1, 1), 255, np.float32), 255, float(bias))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"x": np.full((1, 1, 8, 8), 300, np.int32)})
    assert np.unique(result).tolist() == [2**24 - 1]


def clipped_channels(exponents: tuple[int, int], low: float, high: float) -> onnx.ModelProto:
    """int32 x, within 2^23, on a grid per channel, clipped to [low, high]."""
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Clip", ["f", "least", "most"], ["c"], "within"),
        helper.make_node("Mul", ["c", "steps"], ["s"], "scaled"),
        helper.make_node("Clip", ["s", "low", "high"], ["y"], "clip"),
    ]
    constants = {
        "least": np.array(-(2**23), np.float32),
        "most": np.array(2**23, np.float32),
        "steps": np.exp2(np.array(exponents, np.float32)).reshape(1, 2, 1, 1),
        "low": np.array(low, np.float32),
        "high": np.array(high, np.float32),
    }
    return graph(nodes, constants, {"x": (TensorProto.INT32, [1, 2, 1, 7])}, ("y", TensorProto.FLOAT))


def test_a_clip_keeps_the_grid_of_each_channel(tmp_path: Path) -> None:
    """One channel's grid is 2^20 finer: 2^23 steps of the other one would be 2^43 of it, which nothing computes."""
    model = clipped_channels((-20, 0), -(2.0**22), 2.0**22)
    assert certify(model).targets == dict.fromkeys(TARGETS, True)
    file = tmp_path / "clip.onnx"
    onnx.save(model, file)
    x = np.array([-(2**31), -(2**23), 1 - 2**23, -1, 0, 2**22 + 1, 2**31 - 1], np.int32)
    both = np.broadcast_to(x, (1, 2, 1, 7)).copy()
    inside = np.clip(both.astype(np.float64), -(2**23), 2**23) * np.array([2.0**-20, 1.0]).reshape(1, 2, 1, 1)
    expected = np.clip(inside, -(2**22), 2**22)
    for level in ("off", "all"):
        run = session(file, session_options({"opt": level}), ["CPUExecutionProvider"])
        assert np.array_equal(run({"x": both})["y"], expected)
    compiled = openvino.Core().compile_model(str(file), "CPU", EXACT_PROPERTIES)
    assert np.array_equal(compiled({"x": both})["y"], expected)


def test_a_clip_to_limits_finer_than_24_bits_of_a_channel_is_refused() -> None:
    """The neighbour: the limits' own grid, 2^-3, is that of every channel that may be a limit."""
    node = verdict(certify(clipped_channels((-20, 0), 2.0**-3, 2.0**22)), "clip")
    assert not node.exact
    assert "not below 2^24" in node.reason
