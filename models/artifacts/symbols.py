"""The symbols file: what the bitstream carries, per frame and path, and what it cost.

A zip archive (stored, fixed dates) of NumPy arrays `<frame>/<path>/<part>.<y|z>.npy`, and `symbols.json` at the
end. It is written and read frame by frame; its digest is the SHA-256 of the whole file.

Of a user's decoder the arrays are its inputs: as given on the path `fp32`, in steps of their grids and clipped to them
on `int`.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.artifacts.arrays import MOST_TEXT, array_of, entry_of
from nvc_check.models.artifacts.schema import typed
from nvc_check.models.atomic import no_stream
from nvc_check.models.digest import canonical_json, file_digest, in_32_bits
from nvc_check.models.errors import BadArtifactError
from nvc_check.models.text import document_text, is_text

SCHEMA = "nvc-check/symbols/2"
PATHS = ("fp32", "int")
PICTURE = "picture"  # at scope codec, beside the symbols: what they were made of, (1, 3, H, W) in [0, 255], padded
MOST_PIXELS = 1 << 16  # a side

# What zipfile raises for damage: RuntimeError for a flag that says encrypted, NotImplementedError (one of them) for an
# unknown method, EOFError and zlib.error for the data themselves
DAMAGE = (OSError, EOFError, ValueError, RuntimeError, OverflowError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Clipping:
    """Of so many values of an integer path's input, how many lay outside its range and were clipped to it."""

    values: int
    clipped: int

    @classmethod
    def of(cls, steps: NDArray[Any], low: int, high: int) -> Clipping:
        """`steps`: any shape, integers or floats, before they are clipped to [low, high]."""
        return cls(steps.size, int(np.count_nonzero((steps < low) | (steps > high))))


@dataclass(frozen=True)
class FrameInfo:
    """One picture or frame.

    Attributes:
        height, width: in pixels before padding; of a user's decoder, those of its first input.
        bits, psnr: at the encoder, per path; PSNR in dB at peak 1, 999 where nothing differs; empty where none encoded.
        clipped: per input of the integer path (`<part>.<y|z>`, or a user's decoder's own), for those that are clipped.
    """

    name: str
    height: int
    width: int
    bits: dict[str, float]
    psnr: dict[str, float]
    clipped: dict[str, Clipping] = field(default_factory=dict)

    @classmethod
    def parsed(cls, entry: object) -> FrameInfo:
        """From the JSON of a symbols file; raises ValueError where it is no such entry."""
        info = typed(cls, entry, "frame")
        if not (0 < info.height <= MOST_PIXELS and 0 < info.width <= MOST_PIXELS):
            raise ValueError(f"frame of {info.width} x {info.height} pixels, expected 1 to {MOST_PIXELS} a side")
        if not (set(info.bits) | set(info.psnr) <= set(PATHS)):
            raise ValueError(f"paths {', '.join({*info.bits, *info.psnr})}, expected {', '.join(PATHS)}")
        if any(not 0 <= counts.clipped <= counts.values for counts in info.clipped.values()):
            raise ValueError("more values clipped than there are")
        return info


def _text(value: object) -> str:
    if not isinstance(value, str) or not is_text(value):
        raise ValueError(f"{value!r:.60}, expected a text")
    return value


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r:.60}, expected texts by name")
    return {_text(key): _text(item) for key, item in value.items()}


class SymbolsWriter:
    """Writes to an open file; only `finish` makes it whole."""

    def __init__(self, file: Path, package: str, source: dict[str, str]) -> None:
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
        named = {key: document_text(name) for key, name in source.items()}
        self._header: dict[str, Any] = {"schema": SCHEMA, "package": package, "source": named}
        self._frames: list[FrameInfo] = []

    def add(self, info: FrameInfo, symbols: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """`symbols`: path -> {"<part>.y": (1, M, h, w) int32, "<part>.z": (1, N, h, w) int32}.

        Of a user's decoder: path -> its inputs by name, (1, C, h, w) int32, or float32 where the FP32 graph takes that.
        """
        for path, tensors in symbols.items():
            for name, tensor in tensors.items():
                buffer = io.BytesIO()
                np.save(buffer, _narrow(tensor))
                entry = zipfile.ZipInfo(f"{len(self._frames):06d}/{path}/{name}.npy")
                self._archive.writestr(entry, buffer.getvalue(), zipfile.ZIP_DEFLATED, 1)
        self._frames.append(replace(info, name=document_text(info.name)))

    def finish(self) -> None:
        document = {**self._header, "frames": [asdict(frame) for frame in self._frames]}
        self._archive.writestr(zipfile.ZipInfo("symbols.json"), canonical_json(document))
        self._archive.close()


class Symbols:
    """An open symbols file; a context manager."""

    def __init__(self, file: Path, expected_package: str | None) -> None:
        """Opens and checks.

        Args:
            expected_package: digest of the package that must have made it; None takes any.

        Raises:
            UsageError: a FIFO or a device.
            BadArtifactError: missing, truncated, of another version, or made with another package.
        """
        no_stream(file, "a symbols file")
        try:
            self._archive = zipfile.ZipFile(file)
            document = json.loads(entry_of(self._archive, "symbols.json", MOST_TEXT))
            schema = document["schema"]
            known = schema == SCHEMA
            frames = [FrameInfo.parsed(frame) for frame in document["frames"]] if known else []
            package, source = _text(document["package"]), _texts(document["source"])
        except (KeyError, TypeError, AttributeError, *DAMAGE) as error:
            raise BadArtifactError(
                f"{file}: not a whole symbols file ({error}); make it with `nvc-check symbols`"
            ) from error
        if not known:
            raise BadArtifactError(f"{file}: schema {schema!r}, expected {SCHEMA!r}; make it again with this version")
        if expected_package not in (None, package):
            raise BadArtifactError(
                f"{file}: symbols of package {package[:12]}…, expected those of {str(expected_package)[:12]}…;"
                " make them again with `nvc-check symbols`"
            )
        # checksums cover what an entry holds, not what it is called
        names = self._archive.namelist()
        of = [{n.replace(f"/{path}/", "/") for n in names if f"/{path}/" in n} for path in PATHS]
        frames_found = {name.split("/")[0] for name in of[0]}
        if of[0] != of[1] or frames_found != {f"{number:06d}" for number in range(len(frames))}:
            raise BadArtifactError(
                f"{file}: {len(frames)} frames, but its entries are not those of {len(frames)} frames on the paths"
                f" {' and '.join(PATHS)}; make it again with `nvc-check symbols`"
            )
        self.file = file
        self.frames = frames
        self.package: str = package
        self.source: dict[str, str] = source
        self.digest = file_digest(file)

    def __enter__(self) -> Symbols:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    def read(self, frame: int, path: str) -> dict[str, NDArray[Any]]:
        """{"<part>.y": ..., "<part>.z": ...} of one frame, int32; of a user's decoder its inputs, int32 or float32.

        Raises:
            BadArtifactError: the entry is damaged.
        """
        prefix = f"{frame:06d}/{path}/"
        found = {}
        for entry in self._names(prefix):
            try:
                array = array_of(entry_of(self._archive, entry))
            except DAMAGE as error:
                raise BadArtifactError(f"{self.file}: entry {entry} is damaged ({error}); make it again") from error
            kept = in_32_bits(array)
            if kept.dtype not in (np.int32, np.float32):
                raise BadArtifactError(f"{self.file}: entry {entry} has values that 32 bits do not hold; make it again")
            found[entry.removeprefix(prefix).removesuffix(".npy")] = kept
        return found

    def _names(self, prefix: str) -> Iterator[str]:
        return (name for name in self._archive.namelist() if name.startswith(prefix))


def _narrow(tensor: NDArray[Any]) -> NDArray[Any]:
    """int8 or int16 where the values fit: symbols are small, escapes are not; floats as they are."""
    if tensor.dtype.kind == "f":
        return tensor
    for dtype in (np.int8, np.int16):
        limits = np.iinfo(dtype)
        if tensor.size == 0 or (tensor.min() >= limits.min and tensor.max() <= limits.max):
            return tensor.astype(dtype)
    return tensor
