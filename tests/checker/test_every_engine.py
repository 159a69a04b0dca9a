"""Every engine that can run here decodes the same integers; and weights that break the pair bound are found out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from nvc_check.checker.coding.encode import write_symbols
from nvc_check.checker.compare.live import compare
from nvc_check.checker.media.sample import render_sample
from nvc_check.checker.report import Report
from nvc_check.exporter.certificate.walk import certify
from nvc_check.models.artifacts.package import Package, write_manifest
from nvc_check.models.artifacts.symbols import FrameInfo, Symbols, SymbolsWriter
from nvc_check.runtimes.leg import LegSpec

ENGINES = {
    "reference": "onnx.reference",
    "wasm": "onnxruntime-web",
    "wasm:threads=2,opt=off,flavour=carrier": "onnxruntime-web",
    "webgpu": "onnxruntime",
    "OpenVINOExecutionProvider:device_type=CPU": "onnxruntime",
    "cpu:x64quantprecision=on,prepacking=off": "onnxruntime",
}
GRAPH = "int/entropy.qdq.onnx"


@pytest.fixture(scope="module")
def small(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Symbols of one frame of 64x64: onnx.reference takes seconds for it."""
    file = tmp_path_factory.mktemp("small") / "symbols.npz"
    frames = ((f"frame {i}", rgb) for i, rgb in enumerate(render_sample(64, 64, 1, seed=1)))
    write_symbols(package, frames, {"source": "sample"}, file)
    return file


def compared(package: Package, symbols: Path, legs: list[str]) -> Report:
    with Symbols(symbols, package.manifest.digest) as read:
        return compare(package, read, [LegSpec.parse(leg) for leg in legs])


def test_every_engine_gives_the_same_integers(ready: Callable[[str], str], package: Package, small: Path) -> None:
    """Five engines beside the oracle: 0 values differ on the integer path; on the FP32 path all differ from torch."""
    legs = [ready(name) for name in ENGINES]
    report = compared(package, small, ["exact", "torch", *legs])
    assert [leg.reason for leg in report.legs if leg.status != "ok"] == []
    assert {leg.name: leg.engine for leg in report.legs if leg.path == "int" and leg.name != "exact"} == ENGINES
    integers = {(r.leg, r.tensor): (r.values, r.mismatched) for r in report.results if r.reference == "exact"}
    assert integers == {(leg, tensor): (96 * 4 * 4, 0) for leg in legs for tensor in ("indexes", "means")}
    assert (report.verdict.int, report.verdict.fp32, report.exit_code) == ("identical", "different", 0)
    drifting = {r.leg for r in report.results if r.path == "fp32" and r.tensor == "frame" and r.mismatched}
    assert drifting == set(legs)


@pytest.fixture(scope="module")
def unpaired(package: Package, tmp_path_factory: pytest.TempPathFactory) -> tuple[Package, Path]:
    """A package whose first convolution has int8 weights that break the pair bound and no other bound; symbols for it.

    Two neighbouring weights are 127, so with inputs near 255 a pair of products is near 64,770: x86 without VNNI keeps
    32,767 of it (VPMADDUBSW). Four of -64 behind them bring the sum back to where the layer's output is not clipped.
    """
    folder = tmp_path_factory.mktemp("unpaired")
    root = shutil.copytree(package.root, folder / "package")
    model = onnx.load(root / GRAPH)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    (weight,) = (node for node in model.graph.node if first.input[1] in node.output)
    weights = numpy_helper.to_array(stored[weight.input[0]]).astype(np.int16) - 128
    weights[:, 0:2, 1, 1], weights[:, 2:6, 1, 1] = 127, -64
    signed = np.clip(weights, -128, 127).astype(np.int8)
    zeros = np.zeros(tuple(stored[weight.input[2]].dims), np.int8)
    stored[weight.input[0]].CopyFrom(numpy_helper.from_array(signed, weight.input[0]))
    weight.input[2] = "signed_zero"  # others share the one that was there
    model.graph.initializer.append(numpy_helper.from_array(zeros, "signed_zero"))
    del model.graph.value_info[:]  # it says uint8
    onnx.save(model, root / GRAPH)
    write_manifest(root, package.manifest)
    altered = Package.open(root)
    part, nothing = altered.manifest.parts["image"], {"fp32": 0.0, "int": 0.0}
    z = np.random.default_rng(0).normal(0, 60, (1, part.z_channels, 1, 1))
    z[:, 0:2] = 127
    drawn = {
        "image.y": np.zeros((1, part.y_channels, 4, 4), np.int32),
        "image.z": np.rint(z).clip(-127, 127).astype(np.int32),
    }
    writer = SymbolsWriter(folder / "symbols.npz", altered.manifest.digest, {"source": "drawn"})
    writer.add(FrameInfo("drawn", 64, 64, nothing, nothing), {"fp32": drawn, "int": drawn})
    writer.finish()
    return altered, folder / "symbols.npz"


def test_the_pair_bound_is_needed_on_haswell(ready: Callable[[str], str], unpaired: tuple[Package, Path]) -> None:
    """The int8 kernel of a processor without VNNI differs, also emulated; every other way to compute it agrees.

    `cpu` itself is not asked: it differs or not with the machine that runs this test.
    """
    different, same = "cpu@haswell", ["cpu@haswell:x64quantprecision=on", "cpu:opt=off", "reference"]
    report = compared(*unpaired, ["exact", ready(different), *same])
    assert [leg.reason for leg in report.legs if leg.status != "ok"] == []
    wrong = {r.leg: r.mismatched for r in report.results if (r.reference, r.tensor) == ("exact", "means")}
    assert {leg: wrong[leg] for leg in same} == dict.fromkeys(same, 0)
    assert wrong[different]
    assert (report.verdict.int, report.exit_code) == ("different", 1)


def test_the_certificate_refuses_it_beforehand(unpaired: tuple[Package, Path], package: Package) -> None:
    """For AVX2 without VNNI, and so for `any`; the package as exported is proved for AVX2."""
    altered, exported = (certify(onnx.load(p.root / GRAPH)).targets for p in (unpaired[0], package))
    assert (altered["avx2"], altered["any"], altered["ort-cpu"]) == (False, False, True)
    assert exported["avx2"]
