"""Residual maps of a comparison: one PNG per leg, path and frame."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nvc_check.checker.residual import write_residual_map
from nvc_check.models.symbols import FrameInfo


class MapWriter:
    """Writes the first `limit` frames of each leg and path: OUT/<path>/<leg>/<number>-<name>.png."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    def __call__(
        self,
        path: str,
        leg: str,
        reference: str,
        number: int,
        info: FrameInfo,
        frame: NDArray[np.float32],
        expected: NDArray[np.float32],
    ) -> None:
        if number >= self._limit:
            return
        name = f"{number:04d}-{_plain(Path(info.name).stem)}.png"
        title = f"{info.name}: {leg} minus {reference}, {path} path"
        write_residual_map(self._folder / path / _plain(leg) / name, frame, expected, title)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9=._-]+", "-", text)
