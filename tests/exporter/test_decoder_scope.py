"""Scope decoder: frames are the same bits on every engine, near to float, and refused where they cannot be exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import openvino
import pytest
import torch
from exporter.graphs import graph
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import nn

from nvc_check.checker.coding.calibration import calibration_pictures
from nvc_check.checker.media.clip import padded
from nvc_check.checker.media.difference import psnr
from nvc_check.checker.media.photographs import photographs
from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.frame_graph import WIDE, Y_MAX, Latents, frame_graph
from nvc_check.exporter.graph_compiler import read_graph
from nvc_check.exporter.lower.site import ORDINARY, Role
from nvc_check.exporter.lower.values import FixedGrid
from nvc_check.exporter.network.model import prepared_source
from nvc_check.exporter.network.torch_export import TorchGraph, export_graphs
from nvc_check.exporter.quantize.calibration import calibrate
from nvc_check.models.artifacts.package import Part
from nvc_check.models.codecs.image import SynthesisGraph
from nvc_check.models.codecs.loading import load_codec
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.precision import Precisions
from nvc_check.runtimes.engines.openvino_native import EXACT_PROPERTIES
from nvc_check.runtimes.engines.ort_options import LEVELS, session_options
from nvc_check.runtimes.engines.ort_session import session
from nvc_check.runtimes.leg import Runnable, Tensors
from nvc_check.runtimes.oracle.engine import ExactGraph

CHANNELS = 6
SMALL = {"image": Part(CHANNELS, 4, -127, 127, -9, -8, -Y_MAX, Y_MAX)}
INT32 = np.iinfo(np.int32)


def small_decoder(*middle: nn.Module) -> nn.Module:
    """Latents of 6 channels to 3 colours at 16 times the size, random weights that use the picture's range."""
    torch.manual_seed(5)
    layers: list[nn.Module] = []
    for inputs, outputs in ((CHANNELS, 24), (24, 16), (16, 8), (8, 3)):
        layers += [nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, 1), nn.ReLU()]
    layers[2:2] = middle
    with torch.no_grad():
        layers[-2].bias.fill_(0.4)  # type: ignore[operator]
        layers[-2].weight.mul_(2)  # type: ignore[operator]
    return SynthesisGraph(nn.Sequential(*layers[:-1]))


def exported(decoder: nn.Module, channels: int = CHANNELS) -> ir.Model:
    graph = TorchGraph(decoder, {"y": channels, "means": channels}, ["frame"])
    return export_graphs({"frame": graph})["frame"]


def small_latents() -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(3)
    spread = np.array([40, 12, 5, 2, 0.3, 0]).reshape(1, -1, 1, 1)  # one channel is never used
    return [np.rint(rng.laplace(0, spread, (1, CHANNELS, 9, 7)) * 256) / 256 for _ in range(3)]


def picture_graphs(
    fp32: ir.Model,
    latents: list[NDArray[np.float64]] | None = None,
    parts: dict[str, Part] = SMALL,
    power_of_two: bool = True,
) -> dict[str, ir.Model]:
    given = Latents(parts, {"image": latents or small_latents()})
    return frame_graph("frame", None, fp32, given, Precisions(power_of_two=power_of_two)).flavours


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """flavour -> file of the small decoder's integer graph."""
    folder = tmp_path_factory.mktemp("small")
    fp32 = exported(small_decoder())
    files = {}
    for flavour, model in picture_graphs(fp32).items():
        files[flavour] = folder / f"frame.{flavour}.onnx"
        ir.save(model, files[flavour])
    return files


def engines(files: dict[str, Path]) -> dict[str, Runnable]:
    """Every engine in the environment on every flavour; the oracle on qdq first."""
    made: dict[str, Runnable] = {"qdq exact": ExactGraph.read(files["qdq"])}
    for flavour, file in files.items():
        for level in LEVELS:
            made[f"{flavour} {level}"] = session(file, session_options({"opt": level}), ["CPUExecutionProvider"])
        compiled = openvino.Core().compile_model(str(file), "CPU", EXACT_PROPERTIES)

        def run(inputs: Tensors, compiled: Any = compiled) -> Tensors:
            return {"frame": compiled(inputs)["frame"].copy()}

        made[f"{flavour} openvino"] = run
    made["carrier exact"] = ExactGraph.read(files["carrier"])
    return made


def hard_latents(channels: int, height: int, width: int) -> dict[str, Tensors]:
    """What calibration never saw: saturation of every kind, zeros, impulses, random signs, escapes beyond 24 bits."""
    rng = np.random.default_rng(11)
    shape = (1, channels, height, width)
    zeros = np.zeros(shape, np.int32)
    impulse = zeros.copy()
    impulse[0, :, height // 2, ::3] = 900
    impulse[0, :, 0, 0] = -900
    cases = {
        "laplace": (np.rint(rng.laplace(0, 8, shape)), np.rint(rng.normal(0, 900, shape))),
        "zeros": (zeros, zeros),
        "largest": (np.full(shape, INT32.max), np.full(shape, INT32.max)),
        "smallest": (np.full(shape, INT32.min), np.full(shape, INT32.min)),
        "impulses": (impulse, zeros),
        "signs": (rng.choice([-Y_MAX, Y_MAX], shape), rng.choice([-32768, 32767], shape)),
        "escapes": (rng.choice([INT32.min, INT32.max, 2**24 + 1, -5], shape), rng.integers(-500, 500, shape)),
    }
    return {name: {"y": y.astype(np.int32), "means": means.astype(np.int32)} for name, (y, means) in cases.items()}


def test_frames_are_the_same_bits_on_every_engine(small: dict[str, Path]) -> None:
    """Both flavours, all optimisation levels, adversarial latents; pictures that are not all one colour."""
    cases = hard_latents(CHANNELS, 5, 6)
    expected: dict[str, NDArray[Any]] = {}
    for engine, run in engines(small).items():
        for case, inputs in cases.items():
            frame = run(inputs)["frame"]
            assert frame.dtype == np.int32
            assert frame.shape == (1, 3, 80, 96)
            assert np.array_equal(frame, expected.setdefault(case, frame)), (engine, case)
    assert len(np.unique(expected["laplace"])) > 100
    assert {int(expected["signs"].min()), int(expected["signs"].max())} == {0, 255}


def test_the_graphs_are_certified_on_every_target_that_needs_no_more(small: dict[str, Path]) -> None:
    """Every node is exact; the carrier does without Winograd-safe convolutions, so it is exact for `any`."""
    import onnx

    for flavour, file in small.items():
        certificate = certify(onnx.load(file))
        assert certificate.exact, [node for node in certificate.nodes if not node.exact]
        assert certificate.targets["avx2"]
        assert ("A2" in certificate.assumptions) == (flavour == "qdq")


def test_two_products_fit_16_bits(small: dict[str, Path]) -> None:
    """int8 weights, and inputs below 128: no layer of a frame needs the slower uint8 weights."""
    import onnx

    model = onnx.load(small["qdq"])
    weights = [item for item in model.graph.initializer if item.name.endswith("_weight_integers")]
    assert weights
    assert all(item.data_type == onnx.TensorProto.INT8 for item in weights)


@pytest.fixture(scope="module")
def bundled() -> dict[str, Any]:
    """The bundled image codec's frame graphs, calibrated on five of the bundled photographs."""
    codec = load_codec("mbt2018-mean-relu-small")
    latents = calibrate(codec, list(calibration_pictures(None))[::2]).latents
    part = {"image": Part(96, 64, -127, 127, -9, -8, -Y_MAX, Y_MAX)}
    fp32 = exported(codec.frame_graphs(native=False)["frame"], 96)
    return {"codec": codec, "graphs": picture_graphs(fp32, latents["image"], part)}


def test_the_bundled_codec_loses_little(bundled: dict[str, Any], tmp_path: Path) -> None:
    """At most 0.15 dB, on photographs that the calibration did not see, at the same symbols."""
    ir.save(bundled["graphs"]["qdq"], tmp_path / "frame.onnx")
    decode = session(tmp_path / "frame.onnx", session_options({}), ["CPUExecutionProvider"])
    codec, losses = bundled["codec"], []
    for photograph in photographs()[1:4:2]:
        picture = padded(photograph, codec.multiple)
        with torch.inference_mode():
            y = codec.model.g_a(torch.from_numpy(picture))
            means = torch.from_numpy(codec.hyperpriors["image"].entropy_parameters(_z(codec, y))[1])
            means = torch.round(means * 256) / 256
            symbols = torch.round(y - means)
            plain = codec.model.g_s(symbols + means).clamp(0, 1).numpy()
        given = {"y": symbols.numpy().astype(np.int32), "means": (means.numpy() * 256).astype(np.int32)}
        ours = decode(given)["frame"].astype(np.float32) / 255
        losses.append(psnr(plain, picture) - psnr(ours, picture))
    assert max(losses) < 0.15
    assert np.mean(losses) > -0.02  # better than float would mean that something else was measured


def _z(codec: Any, y: torch.Tensor) -> NDArray[np.int32]:
    symbols: NDArray[np.int32] = codec.hyperpriors["image"].z_symbols(y)
    return symbols


def test_the_same_calibration_gives_the_same_bytes(small: dict[str, Path]) -> None:
    fp32 = exported(small_decoder())
    for flavour, model in picture_graphs(fp32).items():
        ir.save(model, small[flavour].with_suffix(".again"))
        assert small[flavour].with_suffix(".again").read_bytes() == small[flavour].read_bytes()


def test_ordinary_scales_are_not_certified() -> None:
    fp32 = exported(small_decoder())
    assert certify(ir.to_proto(picture_graphs(fp32)["qdq"])).exact
    assert not certify(ir.to_proto(picture_graphs(fp32, power_of_two=False)["qdq"])).exact


@pytest.mark.parametrize("middle", [nn.Sigmoid(), nn.LeakyReLU(0.2), nn.PReLU(24)])
def test_other_activations_than_relu_are_near_to_float(middle: nn.Module) -> None:
    """42 dB of PSNR, on latents that the calibration did not see."""
    decoder = small_decoder(middle)
    model = picture_graphs(exported(decoder))["qdq"]
    rng = np.random.default_rng(17)
    y = np.rint(rng.laplace(0, np.array([40, 12, 5, 2, 0.3, 0]).reshape(1, -1, 1, 1), (1, CHANNELS, 9, 7)))
    zeros = np.zeros(y.shape, np.int32)
    found = ExactGraph(ir.to_proto(model))({"y": y.astype(np.int32), "means": zeros})["frame"]
    with torch.inference_mode():
        given = torch.from_numpy(y.astype(np.float32))
        wanted = 255 * decoder(given, torch.zeros_like(given)).clamp(0, 1).numpy()
    assert 10 * np.log10(255**2 / np.mean((found - wanted) ** 2)) > 42


def test_an_unknown_operator_is_refused_by_name() -> None:
    with pytest.raises(ExportRefusedError, match=r"\(InstanceNormalization\): no exact integer form"):
        picture_graphs(exported(small_decoder(nn.InstanceNorm2d(24))))


def test_a_flow_unit_that_is_no_power_of_two_is_refused() -> None:
    """Its positions would not lie on a dyadic grid."""
    from nvc_check.models.codecs.ssf_small import ScaleSpaceFlowSmall
    from nvc_check.models.codecs.video import InterDecoders

    model = ScaleSpaceFlowSmall(8)
    model.flow_unit = 48.0
    unread = ir.Model(ir.Graph([], [], nodes=[]), ir_version=10)
    with pytest.raises(ExportRefusedError, match="flow in units of 48 pixels, expected a power of two"):
        frame_graph("inter_frame", InterDecoders(model), unread, Latents({}, {}), Precisions())


@pytest.mark.parametrize(("role", "held"), [(Role(keeps_peaks=True), True), (ORDINARY, False)])
def test_frames_of_codecs_do_not_saturate_where_others_do(role: Role, held: bool) -> None:
    """Where few values are large, finer steps have the smaller squared error, and make a picture flatter."""
    rng = np.random.default_rng(3)
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["a"], name="first", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "second"], ["y"], name="second", pads=[1] * 4),
    ]
    identity = np.zeros((8, 8, 3, 3), np.float32)
    identity[range(8), range(8), 1, 1] = 1
    model = graph(
        nodes,
        {"first": identity, "second": identity},
        {"x": (TensorProto.FLOAT, [1, 8, "h", "w"])},
        ("y", TensorProto.FLOAT),
    )
    x = rng.uniform(0, 1, (1, 8, 192, 192)).astype(np.float32)
    x[:, :, 96, 96] = 20
    source = prepared_source(model, "peaks")
    given = {"x": FixedGrid(-8, -WIDE - 1, WIDE)}
    _, outputs = read_graph(source, [{"x": x}], Precisions(), given=given, role=role)
    peak = max(float(each.max()) for each in outputs["y"].made())
    assert (peak > 18) == held
    assert (peak < 10) != held
