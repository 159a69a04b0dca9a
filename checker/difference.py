"""The running difference of one leg's tensor against the reference's, over pictures or frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.checker.encode import psnr


@dataclass
class Difference:
    """Counts that grow frame by frame; memory does not.

    Attributes:
        max_abs: in grid steps for integers, in the tensor's unit for floats.
        max_ulp: largest distance in float32 steps; None for integers.
        first: frame number and flat index (C order) of the first mismatch.
        frame_psnr: for `frame`, dB between the two legs' frames, clamped and cropped; 999 where identical.
    """

    frames: int = 0
    frames_different: int = 0
    values: int = 0
    mismatched: int = 0
    max_abs: float = 0.0
    max_ulp: int | None = None
    first: tuple[int, int] | None = None
    frame_psnr: list[float] = field(default_factory=list)

    def add(self, frame: int, tensor: NDArray[Any], reference: NDArray[Any]) -> bool:
        """Counts one frame's tensor; True if it differs. A different shape counts as all values different."""
        self.frames += 1
        self.values += reference.size
        if tensor.shape != reference.shape:
            self.mismatched += reference.size
            self.frames_different += 1
            self.first = self.first or (frame, 0)
            return True
        unequal = tensor != reference
        count = int(np.count_nonzero(unequal))
        if count == 0:
            return False
        self.mismatched += count
        self.frames_different += 1
        if self.first is None:
            self.first = (frame, int(np.argmax(unequal)))
        a, b = tensor[unequal], reference[unequal]
        self.max_abs = max(self.max_abs, float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max()))
        if a.dtype == np.float32:
            self.max_ulp = max(self.max_ulp or 0, int(np.abs(_ordered(a) - _ordered(b)).max()))
        return True

    def add_psnr(self, tensor: NDArray[np.float32], reference: NDArray[np.float32]) -> None:
        """Of frames (3, H, W) in [0, 1]."""
        self.frame_psnr.append(psnr(tensor, reference))


def _ordered(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """float32 as integers in the same order, neighbours one apart (-0.0 and +0.0 both 0)."""
    bits = values.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
