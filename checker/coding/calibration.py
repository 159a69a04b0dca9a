"""Calibration pictures, as the exporter takes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nvc_check.checker.media.clip import open_clip, padded
from nvc_check.checker.media.photographs import photographs


def calibration_pictures(source: Path | None, multiple: int = 64) -> Iterator[NDArray[np.float32]]:
    """(1, 3, H, W) float32 in [0, 1] each, sides padded to multiples of 64; None: the bundled photographs.

    Raises:
        UsageError: `source` is missing, empty or not readable; at once, not at the first picture.
    """
    if source is None:
        return (padded(picture, multiple) for picture in photographs())
    clip = open_clip(source)
    return (padded(frame.rgb, multiple) for frame in clip.frames())
