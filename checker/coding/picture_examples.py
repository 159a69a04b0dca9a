"""Pictures and clips as inputs of a user's decoder: super-resolution, denoising, whatever takes one picture.

What such a decoder takes is one input (1, 3, h, w), RGB, or (1, 1, h, w), luma (BT.601, as Pillow's L), float32 from 0
to `peak`. For all others there are .npz files (checker/examples.py).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nvc_check.checker.media.clip import Frame, open_clip
from nvc_check.checker.media.photographs import photographs
from nvc_check.models.artifacts.package import Manifest
from nvc_check.models.errors import UsageError

Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]
Shapes = Mapping[str, Sequence[int | None]]
"""Input -> (1, C, h, w) or (1, C), None where any size goes."""

COLOURS = {1: "luma", 3: "RGB"}  # channels -> what they are
SIDE = 192  # pixels that are calibrated on where any size goes: the middle of a picture, full of detail
MULTIPLE = 8  # of that: decoders that fold pixels into channels take no others
MOST, FEWEST = 8, 2  # pictures to calibrate on
PIXELS = MOST * SIDE**2  # of them together where FEWEST allow it: the compiler holds what a layer takes and gives, in
# float64 and twice, which is 300 MB of 64 channels


@dataclass(frozen=True)
class PictureInput:
    """The input of a decoder that takes pictures: its name, sizes (None: any), and the value of white."""

    name: str
    channels: int
    height: int | None
    width: int | None
    peak: float

    @classmethod
    def of(cls, shapes: Shapes, real: bool, peak: float) -> PictureInput | None:
        """None where the decoder takes something else; `real`: its inputs are floats."""
        if len(shapes) != 1 or not real:
            return None
        ((name, shape),) = shapes.items()
        if len(shape) != 4 or shape[1] not in COLOURS:
            return None
        return cls(name, shape[1], shape[2], shape[3], peak)

    @property
    def colours(self) -> str:
        return COLOURS[self.channels]

    def __str__(self) -> str:
        return f"{self.colours} in [0, {self.peak:g}]"

    def array(self, file: str, rgb: UInt8) -> Float32:
        """(H, W, 3) uint8 -> (1, C, h, w) float32: its middle where the decoder is of a fixed size.

        Raises:
            UsageError: `file` is smaller than that.
        """
        height, width = self.height or rgb.shape[0], self.width or rgb.shape[1]
        if rgb.shape[0] < height or rgb.shape[1] < width:
            raise UsageError(
                f"{file}: {rgb.shape[1]}x{rgb.shape[0]} pixels, expected at least {width}x{height}, the size of input"
                f" {self.name}; give a larger picture"
            )
        return self.values(middle(rgb, height, width))

    def values(self, rgb: UInt8) -> Float32:
        """(H, W, 3) uint8 -> (1, C, H, W) float32, value / 255 * peak."""
        planes = rgb.transpose(2, 0, 1) if self.channels == 3 else np.asarray(Image.fromarray(rgb).convert("L"))[None]
        levels = (np.arange(256) * self.peak / 255).astype(np.float32)
        return np.ascontiguousarray(levels[planes][np.newaxis])

    def at_most(self, height: int, width: int, rgb: UInt8) -> PictureInput:
        """Of a fixed size, where it has none: that of such a picture, up to `height` and `width`."""
        rows, columns = _multiple(min(height, rgb.shape[0])), _multiple(min(width, rgb.shape[1]))
        return replace(self, height=self.height or rows, width=self.width or columns)


def of_package(manifest: Manifest, given: str) -> PictureInput:
    """The input of a package's decoder, for the pictures `given`.

    Raises:
        UsageError: the decoder takes something else, or nobody said what white is.
    """
    shapes = shapes_of(manifest)
    takes = PictureInput.of(shapes, all(grid.dtype == "float32" for grid in manifest.inputs.values()), 1.0)
    if takes is None:
        raise refusal(given, shapes)
    peak = manifest.inputs[takes.name].peak
    if peak is None:
        raise UsageError(
            f"{given}; the package was calibrated on .npz files, expected the same; for pictures export it with --peak"
            " 1, or 255 if the model takes 0 to 255"
        )
    return replace(takes, peak=peak)


def shapes_of(manifest: Manifest) -> Shapes:
    return {name: grid.shape or (1, grid.channels, None, None) for name, grid in manifest.inputs.items()}


def refusal(what: str, shapes: Shapes) -> UsageError:
    """`what`: the option or file that should have held arrays."""
    arrays = ", ".join(f"{name} {spelled(shape)}" for name, shape in shapes.items())
    return UsageError(
        f"{what}; expected a .npz file with {arrays}, or a folder of them, which numpy.savez writes: pictures go into"
        " one float input of 1 or 3 channels"
    )


def spelled(shape: Sequence[int | None]) -> str:
    """(1, 3, height, width) for (1, 3, None, None)."""
    sides = ("1", "C", "height", "width")
    return f"({', '.join(side if size is None else str(size) for size, side in zip(shape, sides, strict=False))})"


def holds_arrays(path: Path) -> bool:
    """Whether `path` is a .npz file, by content or name, or a folder with one."""
    if path.is_dir():
        return any(path.glob("*.npz"))
    return path.suffix.lower() == ".npz" or (path.is_file() and zipfile.is_zipfile(path))


def middle(rgb: UInt8, height: int, width: int) -> UInt8:
    """(height, width, 3) of a picture that is at least as large."""
    top, left = (rgb.shape[0] - height) // 2, (rgb.shape[1] - width) // 2
    return rgb[top : top + height, left : left + width]


def not_arrays(path: Path) -> str:
    """What to say of a path that `holds_arrays` is False for."""
    if not path.exists():
        return f"{path}: no such file or folder"
    return f"{path}: no .npz files" if path.is_dir() else f"{path}: not a .npz file"


def calibration_pictures(given: Path | None, takes: PictureInput) -> Iterator[Float32]:
    """A few inputs, of the pictures or the clip `given`, evenly over them all; None: of the bundled photographs.

    Raises:
        UsageError: nothing there, damaged, or smaller than the decoder's fixed size.
    """
    if given is None:
        for rgb in islice(photographs(), _count(takes)):
            place = takes.at_most(SIDE, SIDE, rgb)
            yield place.array("photograph", _mirrored(rgb, place.height or 0, place.width or 0))
        return
    yield from chosen_pictures(given, takes, _count(takes), SIDE)


def chosen_pictures(given: Path, takes: PictureInput, most: int, side: int) -> Iterator[Float32]:
    """Up to `most` inputs of `given`, evenly over it, up to `side` pixels a side where any size goes; raises alike."""
    clip = open_clip(given)
    total = clip.count() or sum(1 for _ in clip.frames())
    most = min(most, total)
    chosen = [number * total // most for number in range(most)]
    for frame in islice(clip.frames(), chosen[-1] + 1):
        if frame.index in chosen:
            yield takes.at_most(side, side, frame.rgb).array(_named(given, frame), frame.rgb)


def pictures(given: Path, takes: PictureInput, excerpt: tuple[int, int] | None = None) -> Iterator[tuple[str, Float32]]:
    """(name, input) of every picture or frame, whole, or as large as the decoder's fixed size; raises as above.

    `excerpt`: (height, width) at most, from the middle, where any size goes.
    """
    for frame in open_clip(given).frames():
        place = takes if excerpt is None else takes.at_most(*excerpt, frame.rgb)
        yield frame.name, place.array(_named(given, frame), frame.rgb)


def _named(given: Path, frame: Frame) -> str:
    return str(given) if frame.name == given.name else f"{given}: {frame.name}"


def _count(takes: PictureInput) -> int:
    pixels = (takes.height or SIDE) * (takes.width or SIDE)
    return min(max(PIXELS // pixels, FEWEST), MOST)


def _multiple(side: int) -> int:
    return side // MULTIPLE * MULTIPLE or side


def _mirrored(rgb: UInt8, height: int, width: int) -> UInt8:
    """At least so large: there are decoders of fixed sizes beyond any photograph that is bundled."""
    lacking = ((0, max(height - rgb.shape[0], 0)), (0, max(width - rgb.shape[1], 0)), (0, 0))
    return np.pad(rgb, lacking, mode="symmetric")
