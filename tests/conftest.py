"""Packages, clips and symbols that many tests share; made once a run, by the real exporter and encoder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from nvc_check.checker.coding.calibration import calibration_pictures
from nvc_check.checker.coding.encode import write_symbols
from nvc_check.checker.media.sample import render_sample, write_sample
from nvc_check.checker.providers import install_leg, tried
from nvc_check.exporter.export import export_package
from nvc_check.models.artifacts.package import Package
from nvc_check.models.codecs.loading import load_codec
from nvc_check.models.codecs.seeded import seeded
from nvc_check.models.codecs.ssf_small import ScaleSpaceFlowSmall
from nvc_check.models.codecs.video import VideoCodec


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The bundled image codec, exact; read only."""
    out = tmp_path_factory.mktemp("exact") / "package"
    return export_package(load_codec("mbt2018-mean-relu-small"), calibration_pictures(None), out)


@pytest.fixture(scope="session")
def inexact_package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The same codec with ordinary scales; read only."""
    out = tmp_path_factory.mktemp("inexact") / "package"
    codec = load_codec("mbt2018-mean-relu-small")
    return export_package(codec, calibration_pictures(None), out, allow_inexact=True)


@pytest.fixture(scope="session")
def video_package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Scale-space flow of 16 channels, untrained, its latents spread; read only."""
    folder = tmp_path_factory.mktemp("video")
    write_sample(folder / "calibration", 128, 128, 2, seed=3)
    codec = VideoCodec("seeded", "ssf-small", seeded(lambda: ScaleSpaceFlowSmall(16), 0).eval())
    return export_package(codec, calibration_pictures(folder / "calibration", codec.multiple), folder / "package")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames of 200x120, so that padding matters."""
    file = tmp_path_factory.mktemp("clip") / "clip.y4m"
    write_sample(file, 200, 120, 3, seed=1)
    return file


def symbols_of(package: Package, folder: Path) -> Path:
    file = folder / "symbols.npz"
    frames = ((f"frame {i}", rgb) for i, rgb in enumerate(render_sample(200, 120, 3, seed=1)))
    write_symbols(package, frames, {"source": "sample"}, file)
    return file


@pytest.fixture(scope="session")
def symbols(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Symbols of the exact package for the frames of `clip`."""
    return symbols_of(package, tmp_path_factory.mktemp("symbols"))


@pytest.fixture(scope="session")
def inexact_symbols(inexact_package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return symbols_of(inexact_package, tmp_path_factory.mktemp("inexact-symbols"))


@pytest.fixture(scope="session")
def ready() -> Callable[[str], str]:
    """Takes a leg's name and gives it back when it runs here: what pip and npm can install is installed (`make system`
    installs the rest). A leg that still does not run fails the test with the reason; none is skipped.
    """

    @cache
    def started(name: str) -> str:
        found = tried(name)
        if found.state == "not installed":
            found = install_leg(name, print)
        assert found.state == "ready", f"{name}: {found.detail}; make system"
        return name

    return started
