"""clip -> symbols file: the encoder of both paths, each with its own hyper-decoder in the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.analysis import Analysis
from nvc_check.models.atomic import whole_file
from nvc_check.models.codecs import load_codec
from nvc_check.models.package import Package
from nvc_check.models.symbols import FrameInfo, SymbolsWriter
from nvc_check.models.tables import Tables, indexes_from_scales
from nvc_check.runtimes.oracle import ExactGraph

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]


class ImageEncoder:
    """Analysis in torch FP32; the integer path's means come from the oracle, so any machine encodes alike from y, z."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self.part = package.manifest.parts["image"]
        self.tables: Tables = package.tables("image")
        self.analysis = Analysis(load_codec(str(package.root / "codec.safetensors")))
        self.integer = ExactGraph.read(package.graph("int", "entropy"), assert_exact=package.manifest.exact)

    def encode(self, frame: Float32) -> tuple[dict[str, dict[str, Int32]], dict[str, float], dict[str, Float32]]:
        """Symbols, bits and reconstruction per path, of frame: (1, 3, H, W) float32 in [0, 1], padded."""
        y, z = self.analysis.latents(frame)
        z_symbols = self.analysis.z_symbols(z)
        symbols: dict[str, dict[str, Int32]] = {}
        bits: dict[str, float] = {}
        frames: dict[str, Float32] = {}
        for path in ("fp32", "int"):
            z_path = z_symbols if path == "fp32" else np.clip(z_symbols, self.part.z_min, self.part.z_max)
            indexes, means = self._parameters(path, z_path)
            y_symbols = np.rint(y - means).astype(np.int32)
            symbols[path] = {"image.y": y_symbols, "image.z": z_path}
            bits[path] = self.tables.y_bits(y_symbols, indexes) + self.tables.z_bits(z_path)
            frames[path] = self.analysis.synthesis(y_symbols.astype(np.float32) + means)
        return symbols, bits, frames

    def _parameters(self, path: str, z: Int32) -> tuple[Int32, Float32]:
        if path == "fp32":
            scales_hat, means = self.analysis.entropy_parameters(z)
            indexes = indexes_from_scales(scales_hat, self.tables.scale_thresholds)
            return indexes, np.zeros_like(scales_hat) if means is None else means
        exact = self.integer({"z": z})
        if self.part.means_exponent is None:
            return exact["indexes"], np.zeros(exact["indexes"].shape, np.float32)
        return exact["indexes"], np.ldexp(exact["means"].astype(np.float32), self.part.means_exponent)


def write_symbols(
    package: Package,
    frames: Iterable[tuple[str, NDArray[np.uint8]]],
    source: dict[str, str],
    out: Path,
    progress: Callable[[str], Any] = lambda name: None,
) -> None:
    """Encodes `frames`, (name, (H, W, 3) uint8) each, to the symbols file `out`, which appears only when whole.

    Raises:
        UsageError: `out` cannot be written.
    """
    from nvc_check.checker.clip import cropped, padded

    encoder = ImageEncoder(package)
    with whole_file(out) as part:
        writer = SymbolsWriter(part, package.manifest.digest, source)
        for name, rgb in frames:
            height, width = rgb.shape[:2]
            symbols, bits, decoded = encoder.encode(padded(rgb, package.manifest.multiple))
            original = rgb.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
            quality = {p: psnr(cropped(d, height, width), original) for p, d in decoded.items()}
            writer.add(FrameInfo(name, height, width, bits, quality), symbols)
            progress(name)
        writer.finish()


def psnr(a: Float32, b: Float32) -> float:
    """Peak signal-to-noise ratio in dB at peak 1; 999 where the two are identical (JSON has no infinity)."""
    mse = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 999.0 if mse == 0 else float(-10 * np.log10(mse))
