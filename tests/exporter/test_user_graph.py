"""A user's float decoder in integers: near to float, clear refusals, the same file every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import openvino
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from property.fuzz import on_onnxruntime, on_openvino, on_oracle
from torch import nn

from nvc_check.exporter.graph_compiler import CompiledGraph
from nvc_check.exporter.graph_export import export_user_graph
from nvc_check.exporter.user_graph import quantize_user_graph
from nvc_check.models.errors import ExportRefusedError, UsageError

CHANNELS = 8


class Decoder(nn.Module):
    """A transposed convolution, a residual block with LeakyRelu, a skip along the channels, two pixel shuffles."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(CHANNELS, 24, 5, 2, 2, 1)
        self.inner, self.outer = nn.Conv2d(24, 24, 3, padding=1), nn.Conv2d(24, 24, 3, padding=1)
        self.wide, self.apart = nn.Conv2d(24, 32, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.joined, self.last = nn.Conv2d(16, 12, 1), nn.Conv2d(3, 12, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.up(y))
        x = x + self.outer(nn.functional.leaky_relu(self.inner(x), 0.1))
        x = self.shuffle(torch.relu(self.wide(x)))
        x = self.shuffle(torch.relu(self.joined(torch.cat((x, torch.relu(self.apart(x))), dim=1))))
        return torch.clamp(self.shuffle(self.last(x) * 0.7 + 0.4), 0, 1)


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    torch.manual_seed(1)
    decoder = Decoder().eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(1.7)
    sides = {2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    program = torch.onnx.export(
        decoder, (torch.zeros(1, CHANNELS, 6, 7),), dynamo=True, input_names=["y"], output_names=["frame"],
        dynamic_shapes=(sides,), opset_version=18, verbose=False,
    )  # fmt: skip
    assert program is not None
    return ir.to_proto(program.model)


def latents(seed: int, height: int, width: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return np.rint(rng.laplace(0, 3, (1, CHANNELS, height, width))).astype(np.float32)


def quantized(model: onnx.ModelProto) -> CompiledGraph:
    return quantize_user_graph(ir.from_proto(model), [{"y": latents(seed, 16, 16)} for seed in range(6)])


@pytest.fixture(scope="module")
def made(model: onnx.ModelProto) -> CompiledGraph:
    return quantized(model)


def test_a_decoder_with_skips_is_near_to_float_and_the_same_everywhere(
    model: onnx.ModelProto, made: CompiledGraph
) -> None:
    """More than 40 dB at peak 1 on latents that calibration did not see; the FP32 graph differs between engines."""
    y = latents(99, 11, 20)
    floats = on_onnxruntime(model.SerializeToString(), {"y": y}, "ORT_ENABLE_ALL")[0]
    core = openvino.Core()
    assert not np.array_equal(floats, on_openvino(core, model.SerializeToString(), {"y": y})[0])
    results = []
    for graph in made.graphs.values():
        proto, inputs = ir.to_proto(graph), {"y": y.astype(np.int32)}
        assert on_oracle(proto, inputs) is not None
        results += [*(on_oracle(proto, inputs) or []), *on_openvino(core, proto.SerializeToString(), inputs)]
        for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
            results += on_onnxruntime(proto.SerializeToString(), inputs, level)
    assert all(np.array_equal(result, results[0]) for result in results)
    assert made.inputs["y"].exponent == 0  # whole numbers stay what they are
    error = np.ldexp(results[0].astype(np.float64), made.outputs["frame"].exponent) - floats
    assert floats.std() > 0.05
    assert 10 * np.log10(1 / np.mean(error**2)) > 40
    assert made.noise["frame"] > 20


def test_the_same_model_gives_the_same_bytes(model: onnx.ModelProto, made: CompiledGraph) -> None:
    again = quantized(model)
    for flavour, graph in made.graphs.items():
        assert ir.to_proto(graph).SerializeToString() == ir.to_proto(again.graphs[flavour]).SerializeToString()


def single(op_type: str, constants: dict[str, NDArray[Any]], inputs: list[str], **attributes: Any) -> onnx.ModelProto:
    """One operator on x (1, 4, h, w) behind a convolution."""
    weight = np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1)
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["c"], "first"),
        helper.make_node(op_type, inputs, ["z"], "odd", **attributes),
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in {"weight": weight, **constants}.items()]
    shape: list[int | str] = [1, 4, "h", "w"]
    graph = helper.make_graph(
        nodes,
        "single",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, None, None, None])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


WEIGHT = {"w": np.ones((4, 4, 2, 2), np.float32)}
REFUSED = [
    (single("Log", {}, ["c"]), r"node odd \(Log\).*implementation-defined.*look-up table"),
    (single("Div", {}, ["x", "c"]), r"\(Pointwise\): gives no finite numbers over the calibration"),  # by 0
    (single("InstanceNormalization", {"w": np.ones(4, np.float32)}, ["c", "w", "w"]), "another normalization"),
    (single("MaxPool", {}, ["c"], kernel_shape=[2, 2], ceil_mode=1), r"node odd \(MaxPool\).*ceil_mode"),
    (single("LpPool", {}, ["c"], kernel_shape=[2, 2]), r"node odd \(LpPool\)"),
    (single("Add", {"w": np.ones((1, 1, 6, 6), np.float32)}, ["c", "w"]), "expected one number or one per channel"),
    (single("Transpose", {}, ["c"], perm=[0, 2, 3, 1]), r"node odd \(Transpose\)"),
    (single("DepthToSpace", {}, ["c"], blocksize=3), "ONNX Runtime cannot run the model"),
    (single("Conv", {"w": np.ones((4, 4, 1, 1), np.float32)}, ["c", "w"], auto_pad="SAME_UPPER", strides=[2, 2]),
     r"node odd \(Conv\): auto_pad SAME_UPPER with stride 2 pads by the input's size"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_has_no_exact_form_is_refused_by_name(model: onnx.ModelProto, says: str) -> None:
    x = np.arange(4 * 36, dtype=np.float32).reshape(1, 4, 6, 6) / 7
    with pytest.raises(ExportRefusedError, match=says):
        quantize_user_graph(ir.from_proto(model), [{"x": x}])


def test_a_node_called_as_an_input_is_kept_apart() -> None:
    """Tensors are known by them: one would take the other's place."""
    model = single("Relu", {}, ["c"])
    model.graph.node[1].name = "x"
    made = quantize_user_graph(ir.from_proto(model), [{"x": np.arange(-72, 72, dtype=np.float32).reshape(1, 4, 6, 6)}])
    assert made.noise["z"] > 40 and list(made.inputs) == ["x"]


def test_a_batch_normalization_is_folded() -> None:
    """(x - 1) * 4 / 2 + 3, on integers: nothing is lost but the rounding of the weights."""
    tensors = {"g": [4] * 4, "b": [3] * 4, "m": [1] * 4, "v": [4 - 1e-5] * 4}
    constants = {name: np.array(values, np.float32) for name, values in tensors.items()}
    made = quantize_user_graph(
        ir.from_proto(single("BatchNormalization", constants, ["c", "g", "b", "m", "v"])),
        [{"x": np.arange(-72, 72, dtype=np.float32).reshape(1, 4, 6, 6)}],
    )
    x = np.arange(64, dtype=np.int32).reshape(1, 4, 4, 4)
    (result,) = on_oracle(ir.to_proto(made.graphs["qdq"]), {"x": x}) or []
    found = np.ldexp(result.astype(np.float64), made.outputs["z"].exponent)
    assert np.abs(found - ((x - 1.0) * 2 + 3)).max() < 0.1


def test_a_wrong_calibration_is_named() -> None:
    model = single("Relu", {}, ["c"])
    with pytest.raises(UsageError, match=r"input x: calibration of shape \(1, 3, 6, 6\), expected \(1, 4, any, any\)"):
        quantize_user_graph(ir.from_proto(model), [{"x": np.zeros((1, 3, 6, 6), np.float32)}])


def test_an_export_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    onnx.save(REFUSED[0][0], tmp_path / "model.onnx")
    with pytest.raises(ExportRefusedError):
        export_user_graph(tmp_path / "model.onnx", [{"x": np.ones((1, 4, 6, 6), np.float32)}], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx"]
