"""Residual strips: which frames, and that reduction hides nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from nvc_check.checker.views.drift_table import TILES, shown_frames
from nvc_check.checker.views.strip import Strip, strongest


def test_first_and_last_frame_are_shown() -> None:
    """And no more than fit, in order."""
    assert shown_frames(1) == [0]
    assert shown_frames(3) == [0, 1, 2]
    many = shown_frames(96)
    assert (many[0], many[-1], len(many)) == (0, 95, TILES)
    assert many == sorted(set(many))


def test_a_single_pixel_survives_reduction() -> None:
    """Of each block the value of largest magnitude, with its sign; also at the ragged end."""
    luma = np.zeros((7, 10))
    luma[0, 0], luma[1, 1] = 0.5, -0.75
    luma[6, 9] = 1e-9
    reduced = strongest(luma, 3)
    assert reduced.shape == (3, 4)
    assert reduced[0, 0] == -0.75
    assert reduced[2, 3] == 1e-9
    assert np.count_nonzero(reduced) == 2


def test_a_strip_is_one_picture(tmp_path: Path) -> None:
    """Frames that are not shown are not kept."""
    strip, black = Strip(40), np.zeros((3, 30, 40), np.float32)
    for number in range(40):
        strip.add(number, black + np.float32(number / 1e4), black)
    strip.write(tmp_path / "strip.png", "title")
    assert len(strip._tiles) == TILES
    with Image.open(tmp_path / "strip.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > TILES * 40
