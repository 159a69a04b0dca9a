"""Controls: what the certificate must refuse, each with its reason, and what it must accept just beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exporter.graphs import clipped_convolution, graph
from numpy.typing import NDArray
from onnx import TensorProto, helper

from nvc_check.exporter.certificate import Certificate, NodeCertificate, certify
from nvc_check.exporter.certificate_targets import TARGETS
from nvc_check.models.package import Package

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
    for other in (clipped_convolution(weight, 9, strides=[2, 2]), clipped_convolution(weight[:, :, :1, :1], 9)):
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
        ((4, 6, 1, 1), {"strides": [1, 1], "pads": [0] * 4}, False),
        ((4, 6, 1, 1), {"dilations": [2, 2]}, False),
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


@pytest.mark.parametrize("size", [8, 6])
def test_grid_sample(size: int) -> None:
    nodes = [
        helper.make_node("Slice", ["c", "zero", "two", "one"], ["part"], "slice"),
        helper.make_node("Slice", ["part", "zero", "size", "axis"], ["image"], "size"),
        helper.make_node("GridSample", ["image", "grid"], ["y"], "sample", mode="bilinear"),
    ]
    constants = {name: np.array([v], np.int64) for name, v in (("zero", 0), ("two", 2), ("one", 1), ("axis", 2))}
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


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_16_bit_quantization_on_openvino(dtype: Any) -> None:
    model = in_float(*pair("c", "y", "s", "z", "wide"), s=np.array(1, np.float32), z=np.array(0, dtype))
    assert {name for name in TARGETS if "16-bit" in why(model, name, "wide_q")} == {"any", "openvino"}
    assert certify(model).targets["ort-cpu"]


def test_int32_division_on_openvino() -> None:
    nodes = [helper.make_node("Div", ["x", "d"], ["y"], "div")]
    model = graph(nodes, {"d": np.array(8, np.int32)}, {"x": (INT32, [4])}, ("y", INT32))
    for target in ("any", "openvino"):
        assert "OpenVINO computes Div of int32 in float32" in why(model, target, "div")
    assert certify(model).targets["ort-cpu"]


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
    constants = {f"s{i}": np.array(s, np.float32) for i, s in enumerate((0.5, 1, 0.5))}
    for second, exact in (("s1", False), ("s2", True)):
        nodes = [*pair("c", "m", "s0", "z", "first"), *pair("m", "y", second, "z", "second")]
        model = in_float(*nodes, **constants, z=np.array(128, np.uint8))
        assert certify(model).targets["ort-cpu"] is exact
        assert exact or "two roundings in a row" in why(model, "ort-cpu", "second_q")


def test_float_weights_between_quantized_tensors() -> None:
    """ONNX Runtime rounds such weights to int8 on a scale of its own."""
    nodes = [
        *pair("c", "real", "s", "z", "in"),
        helper.make_node("Conv", ["real", "w"], ["sum"], "conv"),
        *pair("sum", "y", "s", "z", "out"),
    ]
    constants = {"s": np.array(1, np.float32), "z": np.array(128, np.uint8)}
    model = in_float(*nodes, **constants, w=np.full((1, 2, 1, 1), 0.75, np.float32))
    assert "rounds them to int8" in why(model, "ort-cpu", "conv")
    assert certify(model).targets["openvino"]


def test_odd_zero_points_and_limits_off_the_grid_on_openvino() -> None:
    constants = {"s": np.array(2, np.float32), "odd": np.array(3, np.uint8), "even": np.array(4, np.uint8)}
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
    constants = {
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


def test_the_largest_before_rounding_on_openvino() -> None:
    constants = {"s": np.array(2, np.float32), "z": np.array(0, np.uint8), "axes": np.array([3], np.int64)}
    most = helper.make_node("ReduceMax", ["c", "axes"], ["e"], "most")
    model = in_float(most, *pair("e", "y", "s", "z", "p"), **constants)
    assert "ReduceMax most before rounding" in why(model, "openvino", "p_q")
    assert certify(model).targets["avx2"]
    behind = helper.make_node("ReduceMax", ["e", "axes"], ["y"], "most")
    assert certify(in_float(*pair("c", "e", "s", "z", "p"), behind, **constants)).targets["openvino"]


def test_a_shift_of_dequantized_values_on_openvino() -> None:
    """OpenVINO starts from the lowest value of the type, -16384 here, though only 0 and 128 occur."""
    constants = {"s": np.array(128, np.float32), "z": np.array(0, np.int8)}
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
        constants = {"s": np.array(scale, np.float32), "z": np.array(0, np.uint8), "k": np.array(200, np.float32)}
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
