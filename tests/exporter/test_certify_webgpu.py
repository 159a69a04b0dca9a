"""Controls of the WebGPU target: what it computes wrong or leaves to the CPU, and what it computes right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from exporter.controls import FLOAT, in_float, node_of, quantized_layer, why
from exporter.graphs import clipped_convolution
from onnx import helper

from nvc_check.exporter.certificate.targets import TARGETS
from nvc_check.exporter.certificate.walk import certify

WRONG_ON_WEBGPU = "WebGPU 1.27 computes a float Conv of"


@pytest.mark.parametrize("inputs", [6, 9, 15, 30])
@pytest.mark.parametrize("attributes", [{}, {"strides": [2, 2]}, {"pads": [1] * 4}, {"dilations": [2, 2]}])
def test_a_float_convolution_that_webgpu_computes_wrong(inputs: int, attributes: dict[str, Any]) -> None:
    """Input channels by 3 and not by 4, output channels by 4; the cures are accepted."""
    weight = np.ones((4, inputs, 3, 3), np.float32)
    model = clipped_convolution(weight, 9, **attributes)
    certificate = certify(model)
    found = {name for name in TARGETS if WRONG_ON_WEBGPU in why(model, name, "conv")}
    assert found == {"any", "webgpu"}
    assert not certificate.targets["webgpu"] and not certificate.exact
    assert all(certificate.targets[name] for name in ("ort-cpu", "avx2", "openvino"))
    assert "pad the input channels" in node_of(certificate, "conv").cure
    padded = np.pad(weight, [(0, 0), (0, -inputs % 4), (0, 0), (0, 0)])
    assert certify(clipped_convolution(padded, 9, **attributes)).targets["webgpu"]
    unfolded = clipped_convolution(weight.reshape(4, -1, 1, 1), 9)
    assert certify(unfolded).targets["webgpu"] and certify(unfolded).targets["any"]


@pytest.mark.parametrize(
    ("shape", "attributes", "wrong"),
    [
        ((4, 6, 1, 1), {"strides": [2, 2]}, True),
        ((4, 6, 1, 1), {"pads": [1] * 4}, True),
        ((8, 6, 1, 1), {"strides": [1, 1], "pads": [0] * 4}, False),
        ((8, 6, 1, 1), {"dilations": [2, 2]}, False),
        ((4, 3, 3, 3), {}, False),
        ((4, 5, 3, 3), {}, False),
        ((4, 12, 3, 3), {}, False),
        ((6, 6, 3, 3), {}, False),
        ((8, 6, 3, 3), {"group": 2}, False),
    ],
)
def test_its_neighbours(shape: tuple[int, ...], attributes: dict[str, Any], wrong: bool) -> None:
    """Each as ONNX Runtime WebGPU 1.27 computed it on SwiftShader."""
    model = clipped_convolution(np.ones(shape, np.float32), 9, **attributes)
    if "group" in attributes:
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = shape[1] * attributes["group"]
    assert (WRONG_ON_WEBGPU in why(model, "webgpu", "conv")) is wrong
    assert certify(model).targets["webgpu"] is not wrong


def test_a_transposed_or_quantized_convolution_of_6_channels() -> None:
    """ConvTranspose is right on WebGPU; a quantized Conv is not exact there, and not refused elsewhere for that."""
    transposed = clipped_convolution(np.ones((6, 4, 3, 3), np.float32), 9, op_type="ConvTranspose", strides=[2, 2])
    assert certify(transposed).targets["webgpu"]
    model = quantized_layer(np.ones((4, 6, 3, 3), np.int8), strides=[2, 2])
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 6
    assert WRONG_ON_WEBGPU in why(model, "webgpu", "conv")
    assert certify(model).exact and certify(model).targets["any"]


def test_sizes_that_webgpu_leaves_to_the_cpu() -> None:
    """Arithmetic on a shape; not a shape that a node on the GPU reads, nor sides that are counted."""
    axis, three = np.array(3, np.int64), np.array([3], np.int64)
    shape = helper.make_node("Shape", ["c"], ["s"], "shape")
    side = [shape, helper.make_node("Gather", ["s", "three"], ["n"], "side")]
    as_data = [
        helper.make_node("Cast", ["n"], ["real"], "real", to=FLOAT),
        helper.make_node("Add", ["c", "real"], ["y"], "end"),
    ]
    as_pads = [
        helper.make_node("Concat", ["zeros", "n"], ["pads"], "pads", axis=0),
        helper.make_node("Pad", ["c", "pads"], ["y"], "end"),
    ]
    for nodes, refused in (([*side, *as_data], {"side", "real"}), ([*side, *as_pads], {"side", "pads"})):
        model = in_float(*nodes, three=three, zeros=np.zeros(7, np.int64))
        model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "width"
        certificate = certify(model)
        assert {node.name for node, hazard in certificate.failures("webgpu") if "int64" in hazard.reason} == refused
        assert {name for name, exact in certificate.targets.items() if not exact} == {"webgpu"}
        assert "CumSum" in next(hazard.cure for _, hazard in certificate.failures("webgpu"))
    repeated = [shape, helper.make_node("Expand", ["one", "s"], ["y"], "end")]
    counted = [
        helper.make_node("Clip", ["c", "one", "one"], ["ones"], "ones"),
        helper.make_node("CumSum", ["ones", "axis"], ["n"], "counted"),
        helper.make_node("Add", ["c", "n"], ["y"], "end"),
    ]
    for nodes in (repeated, counted):
        model = in_float(*nodes, axis=axis, one=np.array(1, np.float32))
        model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "width"
        assert certify(model).targets["webgpu"]


@pytest.mark.parametrize("outputs", [1, 7, 8])
@pytest.mark.parametrize(("inputs", "kernel"), [(1, 1), (7, 1), (1, 2), (8, 1), (2, 2), (1, 3)])
def test_a_convolution_whose_limits_webgpu_mixes_up(inputs: int, kernel: int, outputs: int) -> None:
    """Fewer than 8 products a sum and fewer than 8 sums, as tests/conformance/test_one_process.py shows; the cure."""
    few = inputs * kernel * kernel < 8 and outputs < 8
    weight = np.ones((outputs, inputs, kernel, kernel), np.float32)
    model = clipped_convolution(weight, 9)
    found = {name for name in TARGETS if "as it did another" in why(model, name, "conv")}
    assert found == ({"any", "webgpu"} if few else set())
    assert certify(model).targets["webgpu"] is not few and certify(model).targets["ort-cpu"]
    padded = np.concatenate([weight, *[np.zeros_like(weight)] * 7], axis=1)
    assert certify(clipped_convolution(padded, 9)).targets["webgpu"]


def test_groups_of_one_channel_keep_their_limits() -> None:
    model = clipped_convolution(np.ones((2, 1, 1, 1), np.float32), 9, group=2)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    assert certify(model).targets["webgpu"]
