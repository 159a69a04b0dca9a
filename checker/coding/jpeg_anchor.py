"""A codec's package beside JPEG: python -m nvc_check.checker.coding.jpeg_anchor PKG --data DIR [--json FILE].

JPEG is Pillow's (libjpeg-turbo), 4:2:0, optimized Huffman tables, whole file counted. The codec's bits are -log2 from
the frozen tables, escapes included, of both paths. Means over the pictures of bits per pixel and of PSNR (RGB, peak 1,
8-bit rounded for JPEG, clamped for the codec); between JPEG's points PSNR is interpolated over log rate.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nvc_check.checker.coding.encode import Encoder
from nvc_check.checker.media.clip import cropped, open_clip, padded
from nvc_check.checker.media.difference import psnr
from nvc_check.models.artifacts.package import Package

QUALITIES = (3, 5, 7, 9, 12, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90)


def jpeg_point(rgb: NDArray[np.uint8], quality: int) -> tuple[float, float]:
    """(bits per pixel, PSNR in dB) of one picture (H, W, 3) at one JPEG quality."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, subsampling="4:2:0", optimize=True)
    decoded = np.asarray(Image.open(buffer).convert("RGB"), np.float32) / 255
    return 8 * buffer.tell() / (rgb.shape[0] * rgb.shape[1]), psnr(decoded, rgb.astype(np.float32) / 255)


def measure(package: Package, data: Path) -> dict[str, Any]:
    """The codec's point per path, JPEG's curve, and the codec's gain over JPEG at its own rate, in dB."""
    encoder = Encoder(package)
    jpeg: list[list[tuple[float, float]]] = []
    codec: dict[str, list[tuple[float, float]]] = {"fp32": [], "int": []}
    for frame in open_clip(data).frames():
        height, width = frame.rgb.shape[:2]
        original = frame.rgb.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        coded = encoder.encode(padded(frame.rgb, package.manifest.multiple))
        for path, points in codec.items():
            quality = psnr(cropped(coded[path].frame, height, width), original)
            points.append((coded[path].bits / (height * width), quality))
        jpeg.append([jpeg_point(frame.rgb, quality) for quality in QUALITIES])
    curve = np.mean(jpeg, axis=0)
    result: dict[str, Any] = {
        "pictures": len(jpeg),
        "jpeg": [[q, *(round(float(v), 4) for v in point)] for q, point in zip(QUALITIES, curve, strict=True)],
    }
    for path, points in codec.items():
        rate, quality = np.mean(points, axis=0)
        same_rate = float(np.interp(np.log(rate), np.log(curve[:, 0]), curve[:, 1]))
        result[path] = {
            "bpp": round(float(rate), 4),
            "psnr": round(float(quality), 3),
            "jpeg_psnr_at_this_rate": round(same_rate, 3),
            "gain": round(float(quality) - same_rate, 3),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    result = measure(Package.open(args.package), args.data)
    for quality, bpp, decibels in result["jpeg"]:
        print(f"JPEG quality {quality:3}  {bpp:.3f} bpp  {decibels:.2f} dB")
    for path in ("fp32", "int"):
        row = result[path]
        print(f"codec, {path:4}      {row['bpp']:.3f} bpp  {row['psnr']:.2f} dB  {row['gain']:+.2f} dB against JPEG")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
