"""clip -> symbols file: the encoder of both paths, each with its own hyper-decoder in the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nvc_check.checker.media.difference import psnr
from nvc_check.models.artifacts.package import FRAME_PEAK, Package, graph_name, tensor_name
from nvc_check.models.artifacts.symbols import PICTURE, Clipping, FrameInfo, SymbolsWriter
from nvc_check.models.artifacts.tables import indexes_from_scales
from nvc_check.models.atomic import whole_file
from nvc_check.models.codecs.loading import load_codec
from nvc_check.runtimes.decoding import Decoder
from nvc_check.runtimes.oracle.engine import ExactGraph, Oracle

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]


@dataclass(frozen=True)
class Coded:
    """One frame on one path: symbols `<part>.<y|z>` int32, bits from the frozen tables, frame (1, 3, H, W) float32.

    `clipped`: of symbols that the path clips to a range, how many lay outside it.
    """

    symbols: dict[str, Int32]
    bits: float
    frame: Float32
    clipped: dict[str, Clipping]


class Encoder:
    """Analysis in torch FP32, at scope codec the integer path's by the oracle; what that path decodes comes from the
    oracle in any case. Frames are given in order.

    At scope decoder the oracle makes the integer path's frames too, and they are the next frame's reference. The
    prediction that a residual is taken from stays torch's, with that reference: what it differs from the integer
    prediction is small beside the quantization, and the residual's own error is not fed back.
    """

    def __init__(self, package: Package) -> None:
        manifest = package.manifest
        self._parts = manifest.parts
        self._is_video = manifest.kind == "video"
        self._codec = load_codec(str(package.root / "codec.safetensors"))
        self._tables = {part: package.tables(part) for part in manifest.parts}
        self._integer = {
            part: ExactGraph.read(package.graph("int", graph_name(part, "entropy")), assert_exact=manifest.exact)
            for part in manifest.parts
        }
        self._decoder = Decoder(Oracle("qdq", manifest.exact), package, "int") if manifest.integer_frames else None
        self._integer_symbols = manifest.integer_symbols
        self._begun = False  # a keyframe, at scope codec
        self._references: dict[str, torch.Tensor] = {}

    def encode(self, frame: Float32) -> dict[str, Coded]:
        """Per path, the coding of the next frame: (1, 3, H, W) float32 in [0, 1], padded."""
        paths = {"fp32": self._encode, "int": self._encode_exactly if self._integer_symbols else self._encode}
        return {path: encode(path, torch.from_numpy(frame)) for path, encode in paths.items()}

    def restart(self) -> None:
        """A video codec's next frame is a keyframe again."""
        self._references.clear()
        self._begun = False

    def _encode(self, path: str, frame: torch.Tensor) -> Coded:
        symbols: dict[str, Int32] = {}
        clipped: dict[str, Clipping] = {}
        bits = 0.0

        def code(part: str, y: torch.Tensor) -> torch.Tensor:
            nonlocal bits
            z = self._codec.hyperpriors[part].z_symbols(y)
            limits = self._parts[part]
            if path == "int":
                clipped[f"{part}.z"] = Clipping.of(z, limits.z_min, limits.z_max)
                z = np.clip(z, limits.z_min, limits.z_max)
            indexes, means = self._parameters(path, part, z)
            y_symbols = np.rint(y.numpy() - means).astype(np.int32)
            if path == "int" and limits.y_min is not None and limits.y_max is not None:
                clipped[f"{part}.y"] = Clipping.of(y_symbols, limits.y_min, limits.y_max)
                y_symbols = np.clip(y_symbols, limits.y_min, limits.y_max)
            symbols[f"{part}.y"], symbols[f"{part}.z"] = y_symbols, z
            tables = self._tables[part]
            bits += tables.y_bits(y_symbols, indexes) + tables.z_bits(z)
            return torch.from_numpy(y_symbols.astype(np.float32) + means)

        decoded = self._codec.encode(frame, self._references.get(path), code)
        if path == "int" and self._decoder is not None:
            picture = self._decoder.decode(symbols)["frame"]
            decoded = torch.from_numpy(picture.astype(np.float32) / np.float32(FRAME_PEAK))
        if self._is_video:
            self._references[path] = decoded
        return Coded(symbols, bits, decoded.numpy(), clipped)

    def _encode_exactly(self, path: str, frame: torch.Tensor) -> Coded:
        """The picture in 8-bit steps, a video codec's predicted from the last one."""
        assert self._decoder is not None
        made = self._decoder.encode(picture_of(frame.numpy()), predicted=self._begun)
        self._begun = self._is_video
        symbols: dict[str, Int32] = {}
        clipped: dict[str, Clipping] = {}
        bits = 0.0
        for part, limits in self._parts.items():
            if tensor_name(part, "z") not in made:
                continue
            y, z = (made[tensor_name(part, name)] for name in ("y", "z"))
            indexes, _ = self._parameters(path, part, z.symbols)
            bits += self._tables[part].y_bits(y.symbols, indexes) + self._tables[part].z_bits(z.symbols)
            symbols |= {f"{part}.y": y.symbols, f"{part}.z": z.symbols}
            clipped[f"{part}.z"] = Clipping.of(z.unlimited, limits.z_min, limits.z_max)
            if limits.y_min is not None and limits.y_max is not None:
                clipped[f"{part}.y"] = Clipping.of(y.unlimited, limits.y_min, limits.y_max)
        decoded = self._decoder.decode(symbols)["frame"].astype(np.float32) / np.float32(FRAME_PEAK)
        return Coded(symbols, bits, decoded, clipped)

    def _parameters(self, path: str, part: str, z: Int32) -> tuple[Int32, Float32]:
        if path == "fp32":
            scales_hat, means = self._codec.hyperpriors[part].entropy_parameters(z)
            indexes = indexes_from_scales(scales_hat, self._tables[part].scale_thresholds)
            return indexes, np.zeros_like(scales_hat) if means is None else means
        exact = self._integer[part]({"z": z})
        exponent = self._parts[part].means_exponent
        if exponent is None:
            return exact["indexes"], np.zeros(exact["indexes"].shape, np.float32)
        return exact["indexes"], np.ldexp(exact["means"].astype(np.float32), exponent)


def picture_of(frame: Float32) -> Int32:
    """[0, 1] -> 8-bit steps."""
    steps: Int32 = np.rint(frame * FRAME_PEAK).astype(np.int32)
    return steps


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
    from nvc_check.checker.media.clip import cropped, padded

    encoder = Encoder(package)
    with whole_file(out) as part:
        writer = SymbolsWriter(part, package.manifest.digest, source)
        for name, rgb in frames:
            height, width = rgb.shape[:2]
            frame = padded(rgb, package.manifest.multiple)
            coded = encoder.encode(frame)
            original = rgb.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
            bits = {path: c.bits for path, c in coded.items()}
            quality = {path: psnr(cropped(c.frame, height, width), original) for path, c in coded.items()}
            info = FrameInfo(name, height, width, bits, quality, coded["int"].clipped)
            picture = {PICTURE: picture_of(frame)} if package.manifest.integer_symbols else {}
            writer.add(info, {path: {**c.symbols, **picture} for path, c in coded.items()})
            progress(name)
        writer.finish()
