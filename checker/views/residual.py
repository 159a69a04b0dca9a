"""Residual maps: the signed difference of two reconstructed frames, as a picture to look at.

The difference is that of BT.709 luma, first frame minus second, in units of 1/255 (one step of an 8-bit
picture). With gain g the colours span -255/g to 255/g: the difference is multiplied by g and then shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nvc_check.checker.views.residual_sheet import residual_sheet
from nvc_check.models.atomic import whole_file
from nvc_check.models.errors import UsageError

# BT.709-6, item 3.2
LUMA_WEIGHTS = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class Residual:
    """`luma`: (H, W) float64, first minus second in units of 1/255.

    `differing`: how many pixels differ in any channel, by however little.
    """

    luma: npt.NDArray[np.float64]
    differing: int

    @property
    def peak(self) -> tuple[int, int]:
        """Row and column of the luma difference of largest magnitude."""
        row, column = np.unravel_index(np.abs(self.luma).argmax(), self.luma.shape)
        return int(row), int(column)


def residual(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> Residual:
    """Of two frames, each (3, H, W) float32 RGB in [0, 1].

    Raises:
        ValueError: the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"first frame has shape {first.shape}, second {second.shape}, expected the same")
    # float32 would round the differences that drift consists of
    red, green, blue = (first.astype(np.float64) - second.astype(np.float64)) * 255
    weight_red, weight_green, weight_blue = LUMA_WEIGHTS
    luma = weight_red * red + weight_green * green + weight_blue * blue
    return Residual(luma, int(np.count_nonzero((first != second).any(axis=0))))


def automatic_gain(luma: npt.NDArray[np.float64]) -> float:
    """The largest of 1, 2, 5, 10, 20, ... that keeps 99.9 % of the pixels on the scale; 1 if all are zero.

    When fewer than 0.1 % of the pixels differ, their largest difference takes the place of that percentile.
    """
    magnitudes = np.abs(luma)
    reach = float(np.percentile(magnitudes, 99.9)) or float(magnitudes.max())
    gain = 1.0
    # float64 resolves 2**-53 of full scale: a gain of 10**16 shows any difference there can be
    for step in (digit * 10.0**exponent for exponent in range(17) for digit in (1, 2, 5)):
        if 0 < reach * step <= 255:
            gain = step
    return gain


def residual_map(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], title: str, gain: float | None = None
) -> Image.Image:
    """Of two frames, each (3, H, W) float32 RGB in [0, 1]: orange where the first is brighter, else blue.

    Raises:
        UsageError: a gain that is not positive.
        ValueError: the shapes differ.
    """
    if gain is not None and not 0 < gain < float("inf"):
        raise UsageError(f"gain {gain:g}: not usable, expected a positive number; leave it out for an automatic one")
    found = residual(first, second)
    chosen = automatic_gain(found.luma) if gain is None else gain
    return residual_sheet(found.luma, chosen, title, _facts(found, chosen))


def write_residual_map(
    path: Path,
    first: npt.NDArray[np.float32],
    second: npt.NDArray[np.float32],
    title: str,
    gain: float | None = None,
) -> None:
    """Writes `residual_map` as a PNG file that appears whole or not at all.

    Raises:
        UsageError: another suffix than .png, a place that cannot be written, a gain that is not positive.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f'{path}: suffix "{path.suffix}", expected ".png"; rename it')
    picture = residual_map(first, second, title, gain)
    with whole_file(path) as part:
        picture.save(part, format="PNG")


def _facts(found: Residual, gain: float) -> list[str]:
    """What the caption says."""
    pixels = found.luma.size
    if found.differing == 0:
        return [f"identical: all {pixels:,} pixels are equal in all three channels"]
    row, column = found.peak
    facts = [
        f"largest difference {found.luma[row, column]:+.3g} at column {column}, row {row}",
        f"{found.differing:,} of {pixels:,} pixels differ ({100 * found.differing / pixels:.3g} %)",
    ]
    beyond = int(np.count_nonzero(np.abs(found.luma) * gain > 255))
    if beyond:
        facts.append(f"{beyond:,} beyond the ends of the scale")
    return facts
