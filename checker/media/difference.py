"""The running difference of one leg's tensor against the reference's, over pictures or frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

IDENTICAL = 999.0  # dB: JSON has no infinity


@dataclass
class FrameDifference:
    """One frame's tensor.

    Attributes:
        max_abs: in grid steps for integers, in the tensor's unit for floats.
        pixels: of `frame`, how many differ in any channel as shown, clamped and cropped; None for other tensors.
        psnr: of `frame`, dB between the two legs' frames as shown; 999 where identical; None for other tensors, and
            where one of the two frames is missing or of another size.
    """

    frame: int
    mismatched: int
    max_abs: float
    pixels: int | None = None
    psnr: float | None = None


@dataclass
class Difference:
    """Grows by a few numbers a frame, not by tensors.

    Attributes:
        max_ulp: largest distance in float32 steps; None for integers.
        first: frame number and flat index (C order) of the first mismatch.
        missing: in some frame one of the two legs did not give the tensor.
        unread: frames that are known to differ by their digests alone; they are not in `by_frame`.
    """

    by_frame: list[FrameDifference] = field(default_factory=list)
    values: int = 0
    max_ulp: int | None = None
    first: tuple[int, int] | None = None
    missing: bool = False
    unread: int = 0

    @property
    def mismatched(self) -> int:
        return sum(row.mismatched for row in self.by_frame)

    def add(self, frame: int, tensor: NDArray[Any], reference: NDArray[Any]) -> None:
        """Counts one frame's tensor. A different shape counts as all values different."""
        self.values += reference.size
        unequal = np.array([True]) if tensor.shape != reference.shape else tensor != reference
        count = int(np.count_nonzero(unequal))
        largest = 0.0
        if tensor.shape != reference.shape:
            count = reference.size
        elif count:
            a, b = tensor[unequal], reference[unequal]
            largest = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())
            if a.dtype == np.float32:
                self.max_ulp = max(self.max_ulp or 0, int(np.abs(_ordered(a) - _ordered(b)).max()))
        if count and self.first is None:
            self.first = (frame, int(np.argmax(unequal)))
        self.by_frame.append(FrameDifference(frame, count, largest))

    def add_missing(self, frame: int, values: int) -> None:
        """A tensor of so many values that only one of the two legs gave: all of them different."""
        self.values += values
        self.missing = True
        self.first = self.first or (frame, 0)
        self.by_frame.append(FrameDifference(frame, values, 0.0))

    def add_identical(self, frame: int, values: int, *, shown: bool) -> None:
        """So many values whose digests are one; `shown`: as pictures too."""
        self.values += values
        self.by_frame.append(FrameDifference(frame, 0, 0.0, 0 if shown else None, IDENTICAL if shown else None))

    def add_unread(self, values: int) -> None:
        """So many values whose digests differ, and which nobody kept."""
        self.values += values
        self.unread += 1

    def add_picture(self, picture: NDArray[np.float32], reference: NDArray[np.float32]) -> None:
        """What is shown of the frame just added: (3, H, W) in [0, 1] each."""
        self.by_frame[-1].pixels = int(np.count_nonzero((picture != reference).any(axis=0)))
        self.by_frame[-1].psnr = psnr(picture, reference)


def _ordered(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """float32 as integers in the same order, neighbours one apart (-0.0 and +0.0 both 0)."""
    bits = values.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def psnr(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Peak signal-to-noise ratio in dB at peak 1; IDENTICAL where the two are."""
    mse = float(np.mean((a.astype(np.float64) - b) ** 2))
    return IDENTICAL if mse == 0 else float(-10 * np.log10(mse))
