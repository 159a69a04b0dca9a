"""Codecs at any precision: certified, the same bits on every engine, and nearer to FP32 the more bits there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from property.fuzz import on_onnxruntime, on_oracle

from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.export import export_package
from nvc_check.exporter.quantize.calibration import calibrate
from nvc_check.models.artifacts.package import FLAVOURS, Package
from nvc_check.models.codecs.loading import load_codec
from nvc_check.models.precision import Precision, Precisions

Array = NDArray[Any]


@cache
def picture() -> Array:
    """(1, 3, 128, 128) float32, smooth with edges."""
    y, x = np.mgrid[:128, :128] / 128
    planes = [np.sin(7 * x + k) * np.cos(5 * y * (k + 1)) * 0.35 + 0.5 + 0.15 * (x > 0.3 + 0.2 * k) for k in range(3)]
    return np.clip(np.stack(planes)[None], 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Package]:
    """Takes "image" or "video" and a precision; each is exported once."""
    folder = tmp_path_factory.mktemp("precisions")

    @cache
    def exported(kind: str) -> Package:
        name, text = kind.split()
        codec = load_codec({"image": "mbt2018-mean-relu-small", "video": "ssf-small"}[name])
        precisions = Precisions(Precision.of(text))
        return export_package(codec, [picture()], folder / f"{name}-{text}", scope="decoder", precisions=precisions)

    return exported


def inputs_of(model: onnx.ModelProto, package: Package, seed: int, size: float) -> dict[str, Array]:
    """Symbols, means and a reference, some of them beyond what the manifest allows."""
    rng, found = np.random.default_rng(seed), {}
    for value in model.graph.input:
        channels = value.type.tensor_type.shape.dim[1].dim_value
        if value.name == "reference":
            found[value.name] = rng.integers(-5, 260, (1, 3, 128, 128)).astype(np.int32)
        elif value.name == "z":
            found[value.name] = np.rint(rng.laplace(0, size, (1, channels, 2, 2))).astype(np.int32)
        else:
            spread = 300 * size if value.name.endswith("means") else size
            found[value.name] = np.rint(rng.laplace(0, spread, (1, channels, 8, 8))).astype(np.int32)
    return found


KINDS = [
    "image w4a4",
    pytest.param("image w12a12", marks=pytest.mark.heavy),
    "image w16a16",
    pytest.param("video w9a10", marks=pytest.mark.heavy),
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_graph_is_certified_and_gives_the_same_bits(kind: str, packages: Callable[[str], Package]) -> None:
    package = packages(kind)
    assert package.manifest.precision == kind.partition(" ")[2]
    for file in package.integer_graphs():
        assert certify(onnx.load(package.root / file)).exact
    for stem in {file.partition(".")[0] for file in package.integer_graphs()}:
        models = [onnx.load(package.root / f"{stem}.{flavour}.onnx") for flavour in FLAVOURS]
        for seed, size in ((0, 1.0), (1, 500.0))[kind.startswith("video") :]:
            given = inputs_of(models[0], package, seed, size)
            runs = [
                on_onnxruntime(model.SerializeToString(), given, level)
                for model in models
                for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL")
            ]
            # the oracle takes half a minute for a warp
            expected = runs[0] if "reference" in given else on_oracle(models[0], given)
            assert expected is not None
            for found in runs:
                assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True)), stem


@cache
def coded() -> tuple[Array, Array]:
    """(z, y_hat) of the picture."""
    found = calibrate(load_codec("mbt2018-mean-relu-small"), [picture()])
    return found.symbols["image"][0], found.latents["image"][0]


def frame_decibels(package: Package) -> float:
    """Of the integer frame against FP32 on the same symbols, peak 255."""
    exponent = package.manifest.parts["image"].means_exponent
    assert exponent is not None
    y = np.floor(coded()[1])
    means = np.rint(np.ldexp(coded()[1] - y, -exponent))
    given = {"y": y.astype(np.int32), "means": means.astype(np.int32)}
    (integer,) = on_oracle(onnx.load(package.graph("int", "frame")), given) or []
    real = {"y": given["y"], "means": np.ldexp(means, exponent).astype(np.float32)}
    (wanted,) = on_onnxruntime(package.graph("fp32", "frame").read_bytes(), real, "ORT_DISABLE_ALL")
    wanted = 255 * np.clip(wanted, 0, 1)
    return float(10 * np.log10(255**2 / np.mean((integer - wanted) ** 2)))


@pytest.mark.parametrize(("fewer", "gain"), [("w4a4", 10.0), pytest.param("w12a12", -0.1, marks=pytest.mark.heavy)])
def test_more_bits_are_nearer_to_fp32(fewer: str, gain: float, packages: Callable[[str], Package]) -> None:
    """At w16a16 only the rounding of the picture is left, 1/12 of a squared step: 58.9 dB."""
    most = frame_decibels(packages("image w16a16"))
    assert most > frame_decibels(packages(f"image {fewer}")) + gain
    assert most > 58.5


def test_scales_are_read_as_indexes_of_their_own_thresholds(packages: Callable[[str], Package]) -> None:
    package = packages("image w16a16")
    z = {"z": coded()[0].astype(np.int32)}
    indexes, means = on_oracle(onnx.load(package.graph("int", "entropy")), z) or []
    scales, real = on_onnxruntime(package.graph("fp32", "entropy").read_bytes(), z, "ORT_DISABLE_ALL")
    thresholds = package.tables("image").scale_thresholds
    wanted = (scales[..., None] > thresholds).sum(axis=-1)
    part = package.manifest.parts["image"]
    assert part.means_exponent is not None
    near = np.abs(scales[..., None] - thresholds).min(axis=-1) < 2.0**part.scales_exponent
    assert np.array_equal(indexes[~near], wanted[~near]) and near.mean() < 0.3  # many scales are the smallest
    assert np.abs(np.ldexp(means.astype(np.float64), part.means_exponent) - real).max() < 0.02
