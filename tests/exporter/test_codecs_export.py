"""Every codec that the README names, as training leaves it, at the widths of its zoo: certified, exact, near FP32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import openvino
import pytest
import torch
from compressai.models import google
from compressai.models.video.google import ScaleSpaceFlow
from exporter.lifelike import hyper_latents, latents, lifelike
from torch import nn

from nvc_check.checker.media.sample import render_sample
from nvc_check.exporter.certificate.targets import TARGETS
from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.entropy_graph import entropy_graph
from nvc_check.exporter.export import export_package
from nvc_check.exporter.frozen_tables import freeze_tables
from nvc_check.exporter.network.torch_export import EntropyGraph, TorchGraph, export_graphs
from nvc_check.models.artifacts.package import FLAVOURS
from nvc_check.models.artifacts.tables import Tables, indexes_from_scales
from nvc_check.models.codecs.architectures import ARCHITECTURES, Codec
from nvc_check.models.codecs.loading import load_codec
from nvc_check.models.codecs.mean_scale_relu import MeanScaleHyperpriorReLU
from nvc_check.models.codecs.seeded import seeded
from nvc_check.models.codecs.ssf_small import ScaleSpaceFlowSmall
from nvc_check.models.precision import Precision, Precisions
from nvc_check.runtimes.engines.openvino_native import EXACT_PROPERTIES
from nvc_check.runtimes.engines.ort_options import session_options
from nvc_check.runtimes.engines.ort_session import session
from nvc_check.runtimes.oracle.engine import ExactGraph

CODECS: dict[str, tuple[str, Callable[[], Any]]] = {
    "bmshj2018-hyperprior 128/192": ("bmshj2018-hyperprior", lambda: google.ScaleHyperprior(128, 192)),
    "bmshj2018-hyperprior 192/320": ("bmshj2018-hyperprior", lambda: google.ScaleHyperprior(192, 320)),
    "mbt2018-mean 128/192": ("mbt2018-mean", lambda: google.MeanScaleHyperprior(128, 192)),
    "mbt2018-mean 192/320": ("mbt2018-mean", lambda: google.MeanScaleHyperprior(192, 320)),
    "ssf2020": ("ssf2020", ScaleSpaceFlow),
    "ssf-small": ("ssf-small", lambda: ScaleSpaceFlowSmall(64)),
    "mbt2018-mean-relu-small": ("mbt2018-mean-relu-small", MeanScaleHyperpriorReLU),
}
HEAVY = ("bmshj2018-hyperprior 192/320", "mbt2018-mean 192/320", "ssf2020")
CALIBRATION, TEST = (1, 2, 3), 9  # seeds


def hyper_decoder_layers(model: Any, part: str) -> list[nn.Module]:
    if part == "image":
        owners = [model.h_s]
    else:
        module = getattr(model, {"keyframe": "img", "motion": "motion", "residual": "res"}[part] + "_hyperprior")
        owners = [module.hyper_decoder_scale, module.hyper_decoder_mean]
    return [m for owner in owners for m in owner.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def made(name: str) -> tuple[Codec, str]:
    """The codec and the part of it that is looked at: a video codec's three are alike."""
    architecture, build = CODECS[name]
    model = build().eval()
    codec = ARCHITECTURES[architecture].wrap(name, architecture, model)
    part = list(codec.hyperpriors)[-1]
    lifelike(codec.hyperpriors[part], hyper_decoder_layers(model, part), seed=5)
    return codec, part


def fp32_graph(codec: Codec, part: str) -> ir.Model:
    """The FP32 graph of the part's hyper-decoder, as `export` writes it."""
    hyperprior = codec.hyperpriors[part]
    has_means = hyperprior.entropy_parameters(hyper_latents(hyperprior, TEST, 2))[1] is not None
    graph = TorchGraph(
        EntropyGraph(codec.model, hyperprior),
        {"z": hyperprior.entropy_bottleneck.channels},
        ["scales_hat", "means"] if has_means else ["scales_hat"],
    )
    return export_graphs({"entropy": graph})["entropy"]


def rate(tables: Tables, y: np.ndarray, means: np.ndarray | float, indexes: np.ndarray) -> float:
    return tables.y_bits(np.rint(y - means).astype(np.int32), indexes)


def engines(file: Path, flavour: str) -> dict[str, Callable[[Any], Any]]:
    found: dict[str, Callable[[Any], Any]] = {f"{flavour} exact": ExactGraph.read(file)}
    for level in ("off", "all"):
        found[f"{flavour} {level}"] = session(file, session_options({"opt": level}), ["CPUExecutionProvider"])
    compiled = openvino.Core().compile_model(str(file), "CPU", EXACT_PROPERTIES)
    found[f"{flavour} openvino"] = lambda inputs: {port.any_name: v.copy() for port, v in compiled(inputs).items()}
    return found


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.heavy] if name in HEAVY else []) for name in CODECS]
)
def test_a_trained_codec_is_certified_exact_and_near_fp32(name: str, tmp_path: Path) -> None:
    codec, part = made(name)
    hyperprior = codec.hyperpriors[part]
    z = hyper_latents(hyperprior, TEST, 6)
    scales_hat, means = hyperprior.entropy_parameters(z)
    medians = hyperprior.entropy_bottleneck.quantiles[:, 0, 1].detach()
    assert not torch.equal(medians, torch.round(medians))
    calibration = [hyper_latents(hyperprior, seed, 6).astype(np.int64) for seed in CALIBRATION]
    integer = entropy_graph(fp32_graph(codec, part), calibration, Precisions())
    tables = freeze_tables(codec, part, integer.part().scales_exponent)

    certified: set[str] = set()
    legs: dict[str, Callable[[Any], Any]] = {}
    for flavour in FLAVOURS:
        file = tmp_path / f"{flavour}.onnx"
        ir.save(integer.write(tables.integer_thresholds, flavour), file)
        certified |= {target for target, exact in certify(onnx.load(file)).targets.items() if exact}
        legs |= engines(file, flavour)
    assert certified == set(TARGETS)
    for symbols in (z, 40 * z, np.full_like(z, 127), np.full_like(z, -(2**31))):
        expected = legs["qdq exact"]({"z": symbols})
        for leg, run in legs.items():
            found = run({"z": symbols})
            for tensor, values in expected.items():
                assert np.array_equal(found[tensor], values), (leg, tensor)
    exact = legs["qdq exact"]({"z": z})

    indexes = indexes_from_scales(scales_hat, tables.scale_thresholds)
    assert len(np.unique(indexes)) > 20  # the scales say something
    assert np.abs(indexes - exact["indexes"]).mean() < 0.4
    y = latents(scales_hat, means, TEST)
    known: np.ndarray | float = 0.0
    if means is not None:
        assert integer.means_exponent is not None
        known = exact["means"] * 2.0**integer.means_exponent
        assert 10 * np.log10(means.var() / np.mean((known - means) ** 2)) > 28
    fp32 = rate(tables, y, 0.0 if means is None else means, indexes)
    # weights with these heavy tails cost up to 0.3 %, trained ones less
    assert rate(tables, y, known, exact["indexes"]) < 1.004 * fp32


GDN = {
    "bmshj2018-hyperprior": lambda: google.ScaleHyperprior(12, 20),
    "mbt2018-mean": lambda: google.MeanScaleHyperprior(16, 24),
}


@pytest.mark.parametrize("precision", ["w8a8", "w16a16"])
@pytest.mark.parametrize("name", GDN)
def test_a_whole_codec_with_gdn(name: str, precision: str, tmp_path: Path) -> None:
    """Picture to latents, latents to picture: certified, the same on every engine, near FP32."""
    model = seeded(GDN[name], 0).eval()
    codec = ARCHITECTURES[name].wrap("narrow", name, model)
    picture = render_sample(128, 192, 3, seed=2)
    pictures = [frame.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255) for frame in picture]
    targets = ("any", "ort-cpu", "avx2", "webgpu", "openvino")
    out = tmp_path / "package"
    package = export_package(
        codec, pictures[:2], out, scope="codec", precisions=Precisions(Precision.of(precision)), targets=targets
    )
    part = package.manifest.parts["image"]
    steps = np.rint(pictures[2] * 255).astype(np.int32)
    assert part.y_exponent is not None

    def run(graph: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        legs = {n: leg for f in FLAVOURS for n, leg in engines(package.graph("int", graph, f), f).items()}
        expected: dict[str, np.ndarray] = legs["qdq exact"](inputs)
        for leg, other in legs.items():
            found = other(inputs)
            assert all(np.array_equal(values, found[tensor]) for tensor, values in expected.items()), leg
        return expected

    latents = run("analysis", {"picture": steps})
    with torch.inference_mode():
        y = model.g_a(torch.from_numpy(pictures[2])).numpy()
        noise = np.mean((latents["y"] * 2.0**part.y_exponent - y) ** 2)
        assert 10 * np.log10(y.var() / noise) > (30 if precision == "w8a8" else 60)
        symbols = np.rint(y).astype(np.int32)
        means = np.zeros_like(symbols)
        wanted = 255 * model.g_s(torch.from_numpy(symbols.astype(np.float32))).numpy()
    given = {"y": symbols} if part.means_exponent is None else {"y": symbols, "means": means}
    frame = run("frame", given)["frame"]
    assert np.abs(frame - np.clip(wanted, 0, 255)).mean() < (2 if precision == "w8a8" else 0.6)


def test_a_trained_checkpoint_goes_from_file_to_package(tmp_path: Path) -> None:
    """Through calibration and all: fractional medians, biases, LeakyRelu."""
    model = google.MeanScaleHyperprior(8, 12).eval()
    codec = ARCHITECTURES["mbt2018-mean"].wrap("narrow", "mbt2018-mean", model)
    lifelike(codec.hyperpriors["image"], hyper_decoder_layers(model, "image"), seed=3)
    file = tmp_path / "narrow.pth.tar"
    torch.save(model.state_dict(), file)
    picture = np.random.default_rng(0).random((1, 3, 64, 64)).astype(np.float32)
    package = export_package(load_codec(str(file)), [picture], tmp_path / "package")
    assert package.manifest.exact
    z = hyper_latents(codec.hyperpriors["image"], TEST, 3)
    legs = {
        name: run
        for flavour in FLAVOURS
        for name, run in engines(package.graph("int", "entropy", flavour), flavour).items()
    }
    expected = legs["qdq exact"]({"z": z})
    for leg, run in legs.items():
        assert all(np.array_equal(values, expected[name]) for name, values in run({"z": z}).items()), leg
