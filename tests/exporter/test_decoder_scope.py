"""Scope decoder: frames are the same bits on every engine, near to float, and refused where they cannot be exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import openvino
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from nvc_check.checker.calibration import calibration_pictures
from nvc_check.checker.clip import padded
from nvc_check.checker.difference import psnr
from nvc_check.checker.photographs import photographs
from nvc_check.exporter import synthesis
from nvc_check.exporter.calibration import calibrate
from nvc_check.exporter.certificate import certify
from nvc_check.exporter.frame_graph import write_frame
from nvc_check.exporter.frames import inter_graphs, picture_graphs
from nvc_check.exporter.layers import Activation, Chain, Latent, Layer, read_chain
from nvc_check.exporter.limbs import FINE, HIGH, LOW, REACH, limbs
from nvc_check.exporter.synthesis import ACTIVATION_MAX, Y_MAX, quantize_synthesis
from nvc_check.exporter.torch_export import export_from_latents
from nvc_check.exporter.weight_rounding import gather_moments, phases, rounded
from nvc_check.models.codecs import load_codec
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.image_codec import SynthesisGraph
from nvc_check.models.package import FLAVOURS, Part
from nvc_check.runtimes.cpu import LEVELS, session, session_options
from nvc_check.runtimes.leg import Runnable, Tensors
from nvc_check.runtimes.oracle import ExactGraph

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
        layers[-2].bias.fill_(0.4)  # type: ignore[operator, union-attr]
        layers[-2].weight.mul_(2)  # type: ignore[operator]
    return SynthesisGraph(nn.Sequential(*layers[:-1]))


def small_latents() -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(3)
    spread = np.array([40, 12, 5, 2, 0.3, 0]).reshape(1, -1, 1, 1)  # one channel is never used
    return [np.rint(rng.laplace(0, spread, (1, CHANNELS, 9, 7)) * 256) / 256 for _ in range(3)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """flavour -> file of the small decoder's integer graph."""
    folder = tmp_path_factory.mktemp("small")
    fp32 = export_from_latents(small_decoder(), SMALL, "frame")
    files = {}
    for flavour, model in picture_graphs("frame", fp32, SMALL, {"image": small_latents()}, power_of_two=True).items():
        files[flavour] = folder / f"frame.{flavour}.onnx"
        ir.save(model, files[flavour])
    return files


def engines(files: dict[str, Path]) -> dict[str, Runnable]:
    """Every engine in the environment on every flavour; the oracle on qdq first."""
    made: dict[str, Runnable] = {"qdq exact": ExactGraph.read(files["qdq"])}
    for flavour, file in files.items():
        for level in LEVELS:
            made[f"{flavour} {level}"] = session(file, session_options({"opt": level}), ["CPUExecutionProvider"])
        compiled = openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

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


def test_the_decoder_by_hand() -> None:
    """A chain of one 1x1 layer against Python integers: limbs, sum, half to even, saturation."""
    layer = Layer("only", False, np.array([[[[3.0]]]]), np.array([7.0]), 1, 0, 0, Activation(), "")
    chain = Chain((layer,), (), np.zeros(1), (Latent("y", "means", 1),))
    calibration = [np.arange(-16, 16).reshape(1, 1, 8, 4) / 2]
    made = quantize_synthesis(chain, calibration, np.ones(1), picture=True)
    (only,) = made.layers
    model = ir.to_proto(write_frame(made, {"y": -8}, "frame", "qdq"))
    y, means = np.array([[[[5, 0, -3, 500, 2**30]]]], np.int32), np.array([[[[100, -77, 1, 0, 0]]]], np.int32)
    frame = ExactGraph(model)({"y": y, "means": means})["frame"]
    for column in range(5):
        y_hat = min(int(y[0, 0, 0, column]), Y_MAX) + means[0, 0, 0, column] / 256
        steps = y_hat * 2.0 ** -made.grid[0]
        coarse = max(LOW, min(HIGH, round(steps)))
        both = coarse, max(LOW, min(HIGH, round((steps - coarse) * 2**FINE)))
        weights = only.weight[0, :, 0, 0].tolist()
        total = sum(w * both[i] for w, i in zip(weights, made.read, strict=True)) + int(only.bias[0])
        expected = max(0, min(255, round(total * 2.0 ** only.weight_exponent[0])))
        assert frame[0, 0, 0, column] == expected


def test_limbs_keep_what_eight_bits_lose() -> None:
    """Together they are at most half a fine step off, and nothing beyond REACH steps is told apart."""
    y_hat = np.linspace(LOW, HIGH, 997).reshape(1, 1, 1, -1) / 8
    both = limbs(y_hat, np.array([-3.0]))
    assert (both.min(), both.max()) == (LOW, HIGH)
    again = (both[:, :1] + both[:, 1:] * 2.0**-FINE) / 8
    assert np.abs(again - y_hat).max() <= 2.0 ** (-3 - FINE - 1)
    for sign in (1, -1):
        far = limbs(sign * np.array([[[[REACH, REACH + 1, 5000.0]]]]), np.zeros(1))
        assert (far == far[..., :1]).all()


def test_an_outlier_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The channel with the large weights is read more than once, its weights stay small, and the others gain bits."""
    rng = np.random.default_rng(5)
    weight = rng.normal(0, 0.02, (16, 8, 3, 3))
    weight[3] *= 30
    first = Layer("first", True, weight, np.zeros(8), 2, 1, 1, Activation(0.0), "")
    last = Layer("last", True, rng.normal(0, 1, (8, 3, 3, 3)), np.zeros(3), 2, 1, 1, Activation(), "first")
    chain = Chain((first, last), (), np.zeros(16), (Latent("y", None, 16),))
    calibration = [np.rint(rng.laplace(0, 3, (1, 16, 8, 9))) for _ in range(3)]
    made = quantize_synthesis(chain, calibration, np.full(3, 20.0), picture=True)
    times = np.bincount(made.read, minlength=32)
    assert times[3] > 1
    assert times.sum() == len(made.read) <= 48
    assert np.abs(made.layers[0].weight).max() <= 127
    with monkeypatch.context() as patched:
        patched.setattr(synthesis, "SPLIT_SHARE", 0.0)
        whole = quantize_synthesis(chain, calibration, np.full(3, 20.0), picture=True)
    assert len(whole.read) == 32
    others = np.delete(np.arange(16), 3)
    coarse, fine = (np.abs(each.layers[0].weight[np.isin(each.read, others)]) for each in (whole, made))
    assert np.median(fine) >= 3 * np.median(coarse)
    for flavour in FLAVOURS:
        model = ir.to_proto(write_frame(made, {"y": None}, "frame", flavour))
        y = np.rint(rng.laplace(0, 3, (1, 16, 8, 9))).astype(np.int32)
        got = ExactGraph(model)({"y": y})["frame"]
        x = limbs(y.astype(np.float64), made.grid)[:, made.read]
        for layer in made.layers:
            steps = np.exp2(layer.weight_exponent)
            kernel, bias = layer.weight * steps.reshape(1, -1, 1, 1), layer.bias * steps
            x = nn.functional.conv_transpose2d(*map(torch.from_numpy, (x, kernel, bias)), 2, 1, 1).numpy()
            x = np.clip(np.rint(x), 0, layer.high)
        assert np.array_equal(got, x)


def test_two_products_fit_16_bits(small: dict[str, Path]) -> None:
    """int8 weights and 7-bit inputs: no layer of a frame needs the slower uint8 weights."""
    import onnx

    model = onnx.load(small["qdq"])
    weights = [item for item in model.graph.initializer if item.name.endswith("_weight_integers")]
    assert weights
    assert all(item.data_type == onnx.TensorProto.INT8 for item in weights)
    clips = [node for node in model.graph.node if node.name.endswith("_saturated")]
    limits = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    assert clips
    assert {int(limits[node.input[2]]) for node in clips} == {ACTIVATION_MAX}


def test_phases_of_a_transposed_convolution_share_no_tap() -> None:
    """Every tap of the kernel is in exactly one phase, and the phases give torch's own convolution."""
    rng = np.random.default_rng(2)
    layer = Layer("up", True, rng.normal(0, 1, (3, 2, 5, 5)), np.zeros(2), 2, 2, 1, Activation(), "")
    side, apart = phases(layer)
    taps = [tuple(tap) for phase in apart for tap in phase.taps]
    assert sorted(taps) == [(row, column) for row in range(5) for column in range(5)]
    x = rng.normal(0, 1, (1, 3, 4, 6))
    whole = nn.functional.conv_transpose2d(torch.from_numpy(x), torch.from_numpy(layer.weight), None, 2, 2, 1).numpy()
    patches = nn.functional.unfold(torch.from_numpy(x), side, padding=side // 2)[0].numpy().reshape(3, side * side, -1)
    for phase in apart:
        kernel = layer.weight[:, :, phase.taps[:, 0], phase.taps[:, 1]]
        sums = np.einsum("iot,itp->op", kernel, patches[:, phase.pixels]).reshape(2, 4, 6)
        assert np.allclose(sums, whole[0, :, phase.row :: 2, phase.column :: 2])


def test_rounding_by_second_moments_beats_rounding_one_by_one() -> None:
    """On correlated inputs the error of the sums is less than half."""
    rng = np.random.default_rng(8)
    mixing = rng.normal(0, 1, (4, 16))
    x = np.einsum("cm,chw->mhw", mixing, rng.normal(0, 1, (4, 30, 40)))[None] + rng.normal(0, 0.1, (1, 16, 30, 40))
    layer = Layer("only", False, rng.normal(0, 1, (5, 16, 1, 1)), np.zeros(5), 1, 0, 0, Activation(), "")
    weight = layer.weight[:, :, 0, 0]
    (moments,) = gather_moments(layer, [x], [np.einsum("oc,nchw->nohw", weight, x)])
    exponent = np.full(5, -2.0)

    def error(integers: NDArray[np.float64]) -> float:
        difference = integers / 4 - weight
        return float(np.einsum("of,fg,og->", difference, moments.second, difference))

    assert error(rounded(weight, exponent, np.full(weight.shape[1], 127), moments)) < 0.5 * error(np.rint(weight * 4))


@pytest.fixture(scope="module")
def bundled() -> dict[str, Any]:
    """The bundled image codec's frame graphs, calibrated on five of the bundled photographs."""
    codec = load_codec("mbt2018-mean-relu-small")
    latents = calibrate(codec, list(calibration_pictures(None))[::2]).latents
    part = {"image": Part(96, 64, -127, 127, -9, -8, -Y_MAX, Y_MAX)}
    fp32 = export_from_latents(codec.frame_graphs(native=False)["frame"], part, "frame")
    graphs = picture_graphs("frame", fp32, part, latents, power_of_two=True)
    return {"codec": codec, "graphs": graphs}


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
    fp32 = export_from_latents(small_decoder(), SMALL, "frame")
    again = picture_graphs("frame", fp32, SMALL, {"image": small_latents()}, power_of_two=True)
    for flavour, model in again.items():
        ir.save(model, small[flavour].with_suffix(".again"))
        assert small[flavour].with_suffix(".again").read_bytes() == small[flavour].read_bytes()


def test_ordinary_scales_are_not_certified() -> None:
    fp32 = export_from_latents(small_decoder(), SMALL, "frame")
    graphs = picture_graphs("frame", fp32, SMALL, {"image": small_latents()}, power_of_two=False)
    assert not certify(ir.to_proto(graphs["qdq"])).exact


@pytest.mark.parametrize(
    ("middle", "says"),
    [
        (nn.Sigmoid(), r"\(Sigmoid\): no exact integer form|\(Sigmoid\): its input does not come"),
        (nn.LeakyReLU(0.2), "a second activation"),
    ],
)
def test_an_unknown_operator_is_refused_by_name(middle: nn.Module, says: str) -> None:
    with pytest.raises(ExportRefusedError, match=says):
        read_chain(export_from_latents(small_decoder(middle), SMALL, "frame"))


def test_another_activation_than_relu_is_refused() -> None:
    layer = Layer("up", True, np.ones((1, 3, 5, 5)), np.zeros(3), 2, 2, 1, Activation(0.01), "")
    last = Layer("last", True, np.ones((3, 3, 5, 5)), np.zeros(3), 2, 2, 1, Activation(), "up")
    chain = Chain((layer, last), (), np.zeros(1), (Latent("y", None, 1),))
    with pytest.raises(ExportRefusedError, match=r"node up: activation .* expected Relu between layers"):
        quantize_synthesis(chain, [np.ones((1, 1, 4, 4))], np.ones(3), picture=True)


def test_a_flow_unit_that_is_no_power_of_two_is_refused() -> None:
    """Its positions would not lie on a dyadic grid."""
    from nvc_check.models.ssf_small import ScaleSpaceFlowSmall
    from nvc_check.models.video_codec import InterGraph

    model = ScaleSpaceFlowSmall(8)
    model.flow_unit = 48.0
    with pytest.raises(ExportRefusedError, match="flow in units of 48 pixels, expected a power of two"):
        inter_graphs("inter_frame", InterGraph(model, native=False), {}, {}, power_of_two=True)
