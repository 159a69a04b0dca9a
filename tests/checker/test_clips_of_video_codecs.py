"""What users feed a video codec: one frame, odd sizes, deep and 4:4:4 sources, a folder of pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from PIL import Image

from nvc_check.checker.media.sample import render_sample, write_sample
from nvc_check.models.artifacts.package import Package


def write_video(file: Path, pix_fmt: str, codec: str, frames: int) -> None:
    """A sample of 97x65 pixels in another pixel format, lossless."""
    with av.open(str(file), "w") as container:
        stream = cast("av.VideoStream", container.add_stream(codec, rate=25))
        stream.width, stream.height, stream.pix_fmt = 97, 65, pix_fmt
        for rgb in render_sample(97, 65, frames, seed=4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")))
        container.mux(stream.encode())


def compared(command: Callable[..., Any], package: Package, clip: Path, folder: Path) -> dict[str, Any]:
    """The JSON report of a comparison that must end with 0."""
    ran = command("compare", package.root, "--input", clip, "--providers", "cpu", "--json", folder / "report.json")
    assert ran.code == 0, ran.err
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report


def test_one_frame(video_package: Package, tmp_path: Path, command: Callable[..., Any]) -> None:
    """A picture is a clip of one keyframe; motion and residual are not compared, and no verdict is made up for them."""
    Image.fromarray(next(render_sample(97, 65, 1, seed=4))).save(tmp_path / "one.png")
    report = compared(command, video_package, tmp_path / "one.png", tmp_path)
    assert {row["tensor"] for row in report["results"] if row["path"] == "int"} == {
        "keyframe/indexes",
        "keyframe/means",
    }
    certificate = json.loads((video_package.root / "certificate.json").read_text(encoding="utf-8"))
    assert report["assumptions"] == sorted({name for graph in certificate.values() for name in graph["assumptions"]})


@pytest.mark.parametrize(("pix_fmt", "codec"), [("yuv420p10le", "ffv1"), ("yuv444p", "ffv1"), ("yuv444p10le", "ffv1")])
def test_odd_sizes_and_other_formats(
    video_package: Package, tmp_path: Path, command: Callable[..., Any], pix_fmt: str, codec: str
) -> None:
    """97x65 pixels, 10 bits, 4:4:4: read as 8-bit RGB, padded, and every part compared over both frames."""
    write_video(tmp_path / "clip.mkv", pix_fmt, codec, frames=2)
    report = compared(command, video_package, tmp_path / "clip.mkv", tmp_path)
    frames = {row["tensor"]: row["frames"] for row in report["results"] if row["path"] == "int"}
    assert frames["keyframe/means"] == 1 and frames["residual/means"] == 1 and frames["motion/indexes"] == 1


def test_pictures_of_two_sizes_are_refused(
    video_package: Package, tmp_path: Path, refused: Callable[[int, list[str]], str]
) -> None:
    """A frame is predicted from the one before, which must have its size."""
    write_sample(tmp_path / "folder", 96, 64, 2, seed=1)
    Image.fromarray(next(render_sample(64, 64, 1, seed=1))).save(tmp_path / "folder" / "9999.png")
    out = str(tmp_path / "symbols")
    line = refused(2, ["symbols", str(video_package.root), "--input", str(tmp_path / "folder"), "--out", out])
    assert "9999.png: 64x64, expected 96x64" in line


def test_pictures_of_two_sizes_are_fine_for_an_image_codec(
    package: Package, tmp_path: Path, command: Callable[..., Any]
) -> None:
    """They do not follow each other."""
    write_sample(tmp_path / "folder", 96, 64, 1, seed=1)
    Image.fromarray(next(render_sample(64, 64, 1, seed=1))).save(tmp_path / "folder" / "9999.png")
    assert command("symbols", package.root, "--input", tmp_path / "folder", "--out", tmp_path / "s").code == 0


def test_what_is_written_over_time(video_package: Package, tmp_path: Path, command: Callable[..., Any]) -> None:
    """--out: maps, a strip per leg and path, the drift curve; the table has a row per shown frame."""
    write_sample(tmp_path / "clip.y4m", 160, 96, 3, seed=5)
    out = tmp_path / "maps"
    arguments = ("compare", video_package.root, "--input", tmp_path / "clip.y4m", "--providers", "cpu,openvino")
    ran = command(*arguments, "--out", out, "--maps", "1")
    assert ran.code == 0, ran.err
    written = {file.relative_to(out).as_posix() for file in out.rglob("*.png")}
    assert {"drift.png", "fp32/cpu/strip.png", "int/openvino/strip.png", "fp32/cpu/0000-frame-0.png"} <= written
    with Image.open(out / "drift.png") as picture:
        assert picture.width > 800
    assert "fp32 path: drift" in ran.out and "int path: drift" in ran.out
