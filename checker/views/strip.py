"""Residual strips: how the difference of two decoders' frames grows over a clip, as one picture per leg and path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nvc_check.checker.views.drift_table import shown_frames
from nvc_check.checker.views.residual import automatic_gain, residual
from nvc_check.checker.views.residual_sheet import residual_sheet
from nvc_check.models.atomic import whole_file

WIDTH = 1760  # pixels, of all tiles and the gaps between them
GAP = 4


class Strip:
    """Gathers one leg's tiles, reduced at once: what it holds does not grow with the clip."""

    def __init__(self, count: int) -> None:
        self._frames = shown_frames(count)
        self._tiles: dict[int, NDArray[np.float64]] = {}
        self._factor = 1

    def add(self, number: int, frame: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
        """(3, H, W) float32 in [0, 1] each."""
        if number in self._frames:
            luma = residual(frame, expected).luma
            self._factor = -(-luma.shape[1] // (WIDTH // len(self._frames) - GAP))
            self._tiles[number] = strongest(luma, self._factor)

    def write(self, path: Path, title: str) -> None:
        """A PNG file that appears whole or not at all."""
        tiles = list(self._tiles.values())
        gap = np.zeros((tiles[0].shape[0], GAP))
        luma = np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)
        facts = [f"frames from left to right of {self._frames[-1] + 1}"]
        if self._factor > 1:
            facts.append(f"each pixel is the largest difference among {self._factor}x{self._factor}")
        labels = [f"frame {number}" for number in self._tiles]
        with whole_file(path) as part:
            residual_sheet(luma, automatic_gain(luma), title, facts, labels).save(part, format="PNG")


def strongest(luma: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """(H, W) -> (ceil(H / factor), ceil(W / factor)): of each block the value of largest magnitude, with its sign.

    An average would hide the single pixels with which drift begins.
    """
    height, width = (-(-side // factor) for side in luma.shape)
    room = ((0, height * factor - luma.shape[0]), (0, width * factor - luma.shape[1]))
    blocks = np.pad(luma, room).reshape(height, factor, width, factor)
    high, low = blocks.max(axis=(1, 3)), blocks.min(axis=(1, 3))
    return np.where(high >= -low, high, low)
