"""Scope codec: every leg makes the same symbols of a picture, without torch; a leg that does not is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from nvc_check.checker.cli.export import MEASURED
from nvc_check.checker.coding.calibration import calibration_pictures
from nvc_check.checker.coding.encode import write_symbols
from nvc_check.checker.compare.live import compare, with_references
from nvc_check.checker.media.sample import render_sample, write_sample
from nvc_check.exporter.export import export_package
from nvc_check.models.artifacts.package import Package, Part, write_manifest
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.codecs.loading import load_codec
from nvc_check.models.codecs.seeded import seeded
from nvc_check.models.codecs.ssf_small import ScaleSpaceFlowSmall
from nvc_check.models.codecs.video import VideoCodec
from nvc_check.models.digest import canonical_json, document_digest
from nvc_check.models.errors import RunFailedError
from nvc_check.runtimes.decoding import Decoder
from nvc_check.runtimes.encoding import y_symbols, z_symbols
from nvc_check.runtimes.leg import split_providers
from nvc_check.runtimes.oracle.engine import Oracle

SIZE = (200, 120)


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The bundled image codec, calibrated on two pictures; read only."""
    folder = tmp_path_factory.mktemp("codec")
    write_sample(folder / "calibration", 256, 256, 2, seed=3)
    loaded = load_codec("mbt2018-mean-relu-small")
    pictures = calibration_pictures(folder / "calibration", loaded.multiple)
    return export_package(loaded, pictures, folder / "package", scope="codec", targets=MEASURED.split(","))


def symbols_of(package: Package, file: Path) -> Symbols:
    write_symbols(package, ((f"frame {i}", rgb) for i, rgb in enumerate(render_sample(*SIZE, 2, seed=1))), {}, file)
    return Symbols(file, package.manifest.digest)


def test_every_leg_makes_the_same_symbols(codec: Package, tmp_path: Path) -> None:
    """What is exact is what an encoder writes; on the path of floats the symbols are there, too, and may differ."""
    legs = ["cpu", "cpu:opt=off", "cpu:flavour=carrier", "openvino"]
    with symbols_of(codec, tmp_path / "symbols.npz") as read:
        report = compare(codec, read, with_references(split_providers(",".join(legs))))
        y, z = (read.read(0, "int")[f"image.{name}"] for name in ("y", "z"))
        picture = read.read(0, "int")["picture"]
    assert [leg.reason for leg in report.legs if leg.status != "ok"] == []
    assert (report.verdict.int, report.exit_code) == ("identical", 0)
    sizes = {"y": 2 * 96 * 8 * 16, "z": 2 * 64 * 2 * 4, "frame": 2 * 3 * 128 * 256}
    found = {
        (r.leg, r.tensor): (r.values, r.mismatched) for r in report.results if (r.path, r.reference) == ("int", "exact")
    }
    for leg in legs:
        assert {name: found[leg, name] for name in sizes} == {name: (size, 0) for name, size in sizes.items()}
    floats = {(row.leg, row.tensor): row.values for row in report.results if row.reference == "torch"}
    assert {name: floats["cpu", name] for name in ("y", "z")} == {name: sizes[name] for name in ("y", "z")}
    # and they are those of the symbols file
    made = Decoder(Oracle("carrier", True), codec, "int").encode(picture)
    assert np.array_equal(made["y"].symbols, y) and np.array_equal(made["z"].symbols, z)
    assert len(np.unique(y)) > 5 and len(np.unique(z)) > 3


def test_what_it_costs(codec: Package, tmp_path: Path) -> None:
    """Integers from the picture on: near to FP32 in bits and in quality."""
    with symbols_of(codec, tmp_path / "symbols.npz") as read:
        for frame in read.frames:
            assert frame.bits["int"] <= 1.02 * frame.bits["fp32"]
            assert frame.psnr["int"] >= frame.psnr["fp32"] - 0.3


def test_an_encoder_of_other_weights_is_found(codec: Package, tmp_path: Path) -> None:
    """One flavour's analysis altered, with new digests: the legs that run it make other symbols."""
    root = shutil.copytree(codec.root, tmp_path / "package")
    file = root / "int" / "analysis.carrier.onnx"
    model = onnx.load(file)
    biases = [item for item in model.graph.initializer if item.name.endswith("_bias") and len(item.dims) == 1]
    assert biases
    for item in biases:
        item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item) * 2, item.name))
    onnx.save(model, file)
    write_manifest(root, codec.manifest)
    altered = Package.open(root)
    with symbols_of(altered, tmp_path / "symbols.npz") as read:
        report = compare(altered, read, split_providers("exact,cpu,cpu:flavour=carrier"))
    assert (report.verdict.int, report.exit_code) == ("different", 1)
    wrong = {(row.leg, row.tensor) for row in report.results if row.path == "int" and row.mismatched}
    assert wrong == {("cpu:flavour=carrier", "y"), ("cpu:flavour=carrier", "z")}


@pytest.mark.parametrize("exponents", [(-7, -9), (-9, -7), (-8, -8), (0, -3), (-4, None), (0, None), (2, -2)])
def test_symbols_are_rounded_exactly(exponents: tuple[int, int | None]) -> None:
    """floor(y - means + 1/2) as fractions have it, ties and negative numbers included; then clipped."""
    y_exponent, means_exponent = exponents
    part = Part(1, 1, -5, 4, -9, means_exponent, -40, 50, y_exponent)
    rng = np.random.default_rng(0)
    y, means = (rng.integers(-600, 600, (1, 1, 50, 50)).astype(np.int32) for _ in range(2))
    given = None if means_exponent is None else means
    found = y_symbols(y, given, part, "int")
    for ours, a, b in zip(found.unlimited.ravel(), y.ravel(), means.ravel(), strict=True):
        less = Fraction(0) if means_exponent is None else int(b) * Fraction(2) ** means_exponent
        assert ours == floor(int(a) * Fraction(2) ** y_exponent - less + Fraction(1, 2))
    assert np.array_equal(found.symbols, np.clip(found.unlimited, -40, 50)) and found.symbols.dtype == np.int32
    z = np.arange(-9, 9, dtype=np.int32)
    assert z_symbols(z, part, "int").symbols.tolist() == np.clip(z, -5, 4).tolist()
    halves = np.array([-1.5, -0.5, 0.5, 1.5, 7.0], np.float32)
    assert z_symbols(halves, part, "fp32").symbols.tolist() == [-2, 0, 0, 2, 7]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Scale-space flow of 16 channels, untrained, which is shown a flow; read only."""
    folder = tmp_path_factory.mktemp("video-codec")
    write_sample(folder / "calibration", 128, 128, 2, seed=3)
    model = VideoCodec("seeded", "ssf-small", seeded(lambda: ScaleSpaceFlowSmall(16), 0).eval())
    pictures = calibration_pictures(folder / "calibration", model.multiple)
    return export_package(model, pictures, folder / "package", scope="codec", targets=MEASURED.split(","))


def test_every_leg_makes_the_same_symbols_of_a_clip(video: Package, tmp_path: Path) -> None:
    """Motion and residual too, from the leg's own last frame; FP32 legs, whose frames differ, are not asked."""
    legs = ["cpu", "cpu:opt=off", "cpu:flavour=carrier", "openvino"]
    with symbols_of(video, tmp_path / "symbols.npz") as read:
        report = compare(video, read, with_references(split_providers(",".join(legs))))
        drawn = [read.read(frame, "int") for frame in range(2)]
    assert [leg.reason for leg in report.legs if leg.status != "ok"] == []
    assert (report.verdict.int, report.exit_code) == ("identical", 0)
    integers = [row for row in report.results if (row.path, row.reference) == ("int", "exact")]
    found = {(row.leg, row.tensor): (row.values, row.mismatched) for row in integers}
    latents, hyper = 16 * 8 * 16, 16 * 1 * 2  # of 256x128, 16 channels
    for leg, part in product(legs, ("keyframe", "motion", "residual")):
        assert found[leg, f"{part}/y"] == (latents, 0) and found[leg, f"{part}/z"] == (hyper, 0)
    assert not any(row.path == "fp32" and row.tensor.endswith(("/y", "/z")) for row in report.results)
    # and they are those of the symbols file: what an encoder on a leg writes
    encoder = Decoder(Oracle("carrier", True), video, "int")
    for number, symbols in enumerate(drawn):
        made = encoder.encode(symbols["picture"], predicted=number > 0)
        for name, rounded in made.items():
            assert np.array_equal(rounded.symbols, symbols[name.replace("/", ".")]), name
        encoder.decode(symbols)
    assert np.unique(drawn[1]["motion.y"]).size > 2 and np.unique(drawn[1]["residual.y"]).size > 3


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((1, 3, 130, 128), np.int32),
        np.zeros((1, 3, 0, 128), np.int32),
        np.zeros((1, 1, 128, 128), np.int32),
        np.zeros((3, 128, 128), np.int32),
        np.zeros((1, 3, 128, 128), np.float32),
    ],
    ids=str,
)
def test_what_is_no_picture(video: Package, picture: NDArray[Any]) -> None:
    """As a symbols file of somebody's may have it."""
    with pytest.raises(RunFailedError, match=r"symbols: picture is .*, expected int32 \(1, 3, H, W\)"):
        Decoder(Oracle("qdq", True), video, "int").encode(picture)


def test_pictures_of_a_clip_are_of_one_size(video: Package, tmp_path: Path) -> None:
    with symbols_of(video, tmp_path / "symbols.npz") as read:
        decoder = Decoder(Oracle("qdq", True), video, "int")
        decoder.decode(read.read(0, "int"))
        with pytest.raises(RunFailedError, match=r"expected .* as of the one before"):
            decoder.encode(np.zeros((1, 3, 128, 128), np.int32), predicted=True)


def test_a_predicted_picture_needs_one_before(video: Package) -> None:
    picture = np.zeros((1, 3, 128, 128), np.int32)
    with pytest.raises(RunFailedError, match="a predicted frame came before any keyframe"):
        Decoder(Oracle("qdq", True), video, "int").encode(picture, predicted=True)


@pytest.mark.parametrize(("scope", "exponent"), [("decoder", -8), ("codec", None), ("codec", 200)])
def test_a_manifest_that_does_not_say_where_y_is(
    refused: Callable[[int, list[str]], str], codec: Package, tmp_path: Path, scope: str, exponent: int | None
) -> None:
    root = shutil.copytree(codec.root, tmp_path / "package")
    document = json.loads((root / "manifest.json").read_text())
    document["scope"] = scope
    document["parts"]["image"]["y_exponent"] = exponent
    (root / "manifest.json").unlink()
    document.pop("digest")
    document["digest"] = document_digest(document)
    (root / "manifest.json").write_text(canonical_json(document), encoding="utf-8")
    assert "manifest.json: not a manifest of" in refused(3, ["certify", str(root)])
