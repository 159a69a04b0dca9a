"""A video codec's package beside H.264: python -m nvc_check.checker.coding.h264_anchor PKG --data DIR [--json FILE].

For every video in DIR: what its frames cost as one clip (a keyframe, then predicted frames) and as keyframes each, on
both paths, and x264's PSNR at the clip's rate. The codec's bits are -log2 from the frozen tables, escapes included.
H.264 is x264 as PyAV brings it (preset medium, constant rate factor, one keyframe, B-frames as it likes), fed with the
file's own frames; all packets counted. PSNR is of RGB, peak 1, mean over frames; H.264's is interpolated over log rate.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

from nvc_check.checker.coding.encode import Encoder
from nvc_check.checker.media.clip import cropped, open_clip, padded
from nvc_check.checker.media.difference import psnr
from nvc_check.checker.media.video import video_frames
from nvc_check.models.artifacts.package import Package

RATE_FACTORS = (18, 22, 26, 30, 34, 38, 42, 46, 51)


def h264_point(clip: Path, factor: int) -> tuple[float, float]:
    """(bits per pixel, PSNR in dB) of the video `clip` at one constant rate factor."""
    with tempfile.TemporaryDirectory(prefix="nvc-check-") as scratch:
        file = Path(scratch) / "coded.mkv"
        with av.open(f"file:{clip}") as source, av.open(f"file:{file}", "w") as target:
            video = source.streams.video[0]
            stream = target.add_stream("libx264", rate=video.average_rate)
            stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
            stream.options = {"crf": str(factor), "preset": "medium", "g": "10000"}
            bits = pixels = 0
            for frame in source.decode(video):
                pixels += frame.width * frame.height
                frame.pict_type = PictureType.NONE
                bits += _muxed(target, stream.encode(frame))
            bits += _muxed(target, stream.encode())
        decoded, originals = ((rgb.astype(np.float32) / 255 for rgb in video_frames(f)) for f in (file, clip))
        quality = [psnr(*pair) for pair in zip(decoded, originals, strict=True)]
    return bits / pixels, float(np.mean(quality))


def _muxed(target: Any, packets: list[Any]) -> int:
    """Writes the packets; their size in bits."""
    for packet in packets:
        target.mux(packet)
    return sum(8 * packet.size for packet in packets)


def measure(package: Package, clip: Path) -> dict[str, Any]:
    """Frames, size, per path the costs and qualities, and H.264's curve."""
    encoder = Encoder(package)
    rows: dict[str, list[list[float]]] = {"fp32": [], "int": []}
    as_keyframes: dict[str, list[list[float]]] = {"fp32": [], "int": []}
    pixels = 0
    for rgb in video_frames(clip):
        pixels = rgb.shape[0] * rgb.shape[1]
        for path, point in _points(encoder, rgb, package.manifest.multiple):
            rows[path].append(point)
    for rgb in video_frames(clip):
        encoder.restart()
        for path, point in _points(encoder, rgb, package.manifest.multiple):
            as_keyframes[path].append(point)
    h264 = sorted(h264_point(clip, factor) for factor in RATE_FACTORS)
    log_rates, qualities = [np.log(rate) for rate, _ in h264], [quality for _, quality in h264]
    result: dict[str, Any] = {"clip": clip.stem, "frames": len(rows["int"]), "h264": h264}
    for path, points in rows.items():
        bits, quality = np.array(points).T
        keyframe_bits, keyframe_quality = np.array(as_keyframes[path]).T
        rate = float(bits.mean()) / pixels
        result[path] = {
            "bpp": rate,
            "psnr": float(quality.mean()),
            "h264_psnr_at_this_rate": float(np.interp(np.log(rate), log_rates, qualities)),
        }
        if len(bits) > 1:
            result[path]["predicted_over_keyframe_bits"] = float(bits[1:].mean() / keyframe_bits[1:].mean())
            result[path]["predicted_minus_keyframe_psnr"] = float(quality[1:].mean() - keyframe_quality[1:].mean())
    return result


def _points(encoder: Encoder, rgb: Any, multiple: int) -> Iterator[tuple[str, list[float]]]:
    """(path, [bits, PSNR]) of the next frame."""
    height, width = rgb.shape[:2]
    original = rgb.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    for path, coded in encoder.encode(padded(rgb, multiple)).items():
        yield path, [coded.bits, psnr(cropped(coded.frame, height, width), original)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of videos")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    package, results = Package.open(args.package), []
    for file in sorted(args.data.iterdir()):
        if file.is_file() and open_clip(file).kind == "video":
            results.append(measure(package, file))
            _print(results[-1])
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _print(result: dict[str, Any]) -> None:
    print(f"{result['clip']}, {result['frames']} frames")
    for path in ("fp32", "int"):
        row = result[path]
        line = f"  {path:4}  {row['bpp']:.4f} bpp  {row['psnr']:.2f} dB  H.264 {row['h264_psnr_at_this_rate']:.2f} dB"
        if "predicted_over_keyframe_bits" in row:
            line += (
                f"  predicted frames: {100 * row['predicted_over_keyframe_bits']:.1f} % of the bits of keyframes,"
                f" {row['predicted_minus_keyframe_psnr']:+.2f} dB"
            )
        print(line)
    change = 100 * (result["int"]["bpp"] / result["fp32"]["bpp"] - 1)
    print(f"  integer hyperprior: {change:+.3f} % bits, {result['int']['psnr'] - result['fp32']['psnr']:+.3f} dB")


if __name__ == "__main__":
    main()
