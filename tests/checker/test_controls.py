"""Controls: models that must be found different, without which a green verdict means nothing; and the exact one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from nvc_check.checker.coding.encode import write_symbols
from nvc_check.checker.compare.live import compare, with_references
from nvc_check.checker.media.sample import render_sample
from nvc_check.checker.traces.record import record
from nvc_check.models.artifacts.package import Package, write_manifest
from nvc_check.models.artifacts.symbols import FrameInfo, Symbols, SymbolsWriter
from nvc_check.runtimes.engines.ort_options import session_options
from nvc_check.runtimes.engines.ort_session import session
from nvc_check.runtimes.leg import LegSpec, Tensors, split_providers
from nvc_check.runtimes.oracle.engine import ExactGraph

GRAPH = "int/entropy.qdq.onnx"


def test_the_exact_package_is_identical_on_every_leg(package: Package, symbols: Path) -> None:
    """Integer and float kernels, both flavours, two engines: not one value differs, and many were compared."""
    legs = ["cpu", "cpu:opt=off", "cpu:flavour=carrier", "openvino"]
    with Symbols(symbols, package.manifest.digest) as read:
        report = compare(package, read, with_references(split_providers(",".join(legs))))
    assert [leg.reason for leg in report.legs if leg.status != "ok"] == []
    assert (report.verdict.int, report.exit_code) == ("identical", 0)
    latents = 3 * 96 * 8 * 16  # three frames of 256x128 when padded, y of 96 channels at a sixteenth
    integers = [row for row in report.results if (row.path, row.reference) == ("int", "exact")]
    found = {(row.leg, row.tensor): (row.values, row.mismatched) for row in integers}
    assert found == {(leg, tensor): (latents, 0) for leg in legs for tensor in ("indexes", "means")}
    floats = {(row.leg, row.tensor): row.values for row in report.results if row.reference == "torch"}
    sizes = {"indexes": latents, "means": latents, "frame": 3 * 3 * 128 * 256}
    assert floats == {(leg, tensor): size for leg in legs for tensor, size in sizes.items()}


def near_a_tie(package: Package) -> Tensors:
    """Symbols that ONNX Runtime and the oracle decode differently, drawn until they do: about one in ten.

    Without power-of-two scales float32 cannot but round, yet seldom across a rounding point; a clip that shows it
    on one machine need not on the next.
    """
    part, random = package.manifest.parts["image"], np.random.default_rng(0)
    graph = package.graph("int", "entropy")
    oracle = ExactGraph.read(graph, assert_exact=False)
    engine = session(graph, session_options({"opt": "off"}), ["CPUExecutionProvider"])
    while True:
        z = np.rint(random.normal(0, 5, (1, part.z_channels, 4, 4))).astype(np.int32)
        expected, found = oracle({"z": z}), engine({"z": z})
        if any((found[name] != expected[name]).any() for name in expected):
            return {"image.y": np.zeros((1, part.y_channels, 16, 16), np.int32), "image.z": z}


def test_ordinary_scales_are_different(inexact_package: Package, tmp_path: Path) -> None:
    """A package that is not exact is found out by a leg that rounds, and the difference is called by its name."""
    drawn, nothing = near_a_tie(inexact_package), {"fp32": 0.0, "int": 0.0}
    writer = SymbolsWriter(tmp_path / "symbols.npz", inexact_package.manifest.digest, {"source": "drawn"})
    writer.add(FrameInfo("drawn", 256, 256, nothing, nothing), {"fp32": drawn, "int": drawn})
    writer.finish()
    with Symbols(tmp_path / "symbols.npz", inexact_package.manifest.digest) as read:
        report = compare(inexact_package, read, split_providers("exact,cpu,cpu:opt=off"))
    assert (report.verdict.int, report.exit_code, report.package.exact) == ("different", 1, False)
    rows = [row for row in report.results if (row.path, row.leg, row.reference) == ("int", "cpu:opt=off", "exact")]
    assert {row.tensor: row.values for row in rows} == {"indexes": 96 * 16 * 16, "means": 96 * 16 * 16}
    different = {row.tensor: row.failure for row in rows if row.mismatched}
    assert different
    assert different.items() <= {"indexes": "index flip", "means": "latent flip"}.items()


def weight_that_matters(model: onnx.ModelProto, z: NDArray[np.int32]) -> tuple[bytes, int]:
    """A weight tensor's bytes and a position in them: of the last product, the input that is largest for `z`.

    The output channel is the one of means with the coarsest weights: its lowest bit is worth most.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    last = [node for node in model.graph.node if node.op_type == "MatMul"][-1]
    (weight,) = (node for node in model.graph.node if last.input[1] in node.output)
    (on_grid,) = (node for node in model.graph.node if node.name.endswith("_on_grid"))
    values, steps = stored[weight.input[0]], numpy_helper.to_array(stored[on_grid.input[1]]).ravel()
    del model.graph.node[list(model.graph.node).index(last) :], model.graph.output[:]
    model.graph.output.add(name=last.input[0])
    inputs = ExactGraph(model)({"z": z})[last.input[0]]
    half = len(steps) // 2  # scales_hat come first, then means
    channel, row = half + int(steps[half:].argmax()), int(inputs.sum(axis=(0, 1, 2)).argmax())
    return values.raw_data, int(np.ravel_multi_index((row, channel), tuple(values.dims)))


@pytest.fixture(scope="module")
def flipped(package: Package, symbols: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the lowest bit of one weight flipped, under the old digests."""
    root = shutil.copytree(package.root, tmp_path_factory.mktemp("flipped") / "package")
    with Symbols(symbols, package.manifest.digest) as read:
        weights, position = weight_that_matters(onnx.load(root / GRAPH), read.read(0, "int")["image.z"])
    data = bytearray((root / GRAPH).read_bytes())
    assert data.count(weights) == 1
    data[data.index(weights) + position] ^= 1
    (root / GRAPH).write_bytes(data)
    return root


def trace(package: Package, symbols: Path, file: Path) -> Path:
    with Symbols(symbols, package.manifest.digest) as read:
        record(package, read, LegSpec.parse("cpu"), file)
    return file


def test_one_flipped_bit_is_refused(refused: Callable[[int, list[str]], str], flipped: Path, symbols: Path) -> None:
    """By its digest, before anything runs."""
    line = refused(3, ["compare", str(flipped), "--symbols", str(symbols)])
    assert f"{GRAPH} has SHA-256" in line


def test_one_flipped_bit_is_found(
    command: Callable[..., tuple[int, str, str]], package: Package, symbols: Path, flipped: Path, tmp_path: Path
) -> None:
    """With new digests it is another package: compared only on request, and then different where it was altered."""
    root = shutil.copytree(flipped, tmp_path / "package")
    write_manifest(root, package.manifest)
    altered = Package.open(root)
    frames = ((f"frame {i}", rgb) for i, rgb in enumerate(render_sample(200, 120, 3, seed=1)))
    write_symbols(altered, frames, {"source": "sample"}, tmp_path / "symbols.npz")
    ours, theirs = (
        trace(package, symbols, tmp_path / "ours.json"),
        trace(altered, tmp_path / "symbols.npz", tmp_path / "theirs.json"),
    )
    code, out, err = command("compare", ours, theirs)
    assert (code, out) == (3, "") and "--across-packages" in err
    code, out, err = command("compare", ours, theirs, "--across-packages", "--json", "-")
    report = json.loads(out)
    assert (code, err, report["verdict"]) == (1, "", {"fp32": "identical", "int": "different"})
    different = {row["tensor"]: row["frames_different"] for row in report["results"] if row["path"] == "int"}
    assert (different["indexes"], different["means"]) == (0, 3)


def test_other_symbols_are_no_comparison(
    refused: Callable[[int, list[str]], str], package: Package, symbols: Path, tmp_path: Path
) -> None:
    """Of one package, traces of two symbols files are refused, also with --across-packages."""
    frames = (("frame 0", rgb) for rgb in render_sample(64, 64, 1, seed=2))
    write_symbols(package, frames, {"source": "sample"}, tmp_path / "other.npz")
    traces = [trace(package, file, tmp_path / f"{file.stem}.json") for file in (symbols, tmp_path / "other.npz")]
    line = refused(3, ["compare", *map(str, traces), "--across-packages"])
    assert "other.json: trace of symbols" in line and "record both from one symbols file" in line
