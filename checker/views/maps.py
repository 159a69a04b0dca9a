"""Pictures of a comparison: residual maps, for a clip strips over time and the drift curve."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nvc_check.checker.report import Report
from nvc_check.checker.views.drift_plot import write_drift_plot
from nvc_check.checker.views.residual import write_residual_map
from nvc_check.checker.views.strip import Strip
from nvc_check.models.artifacts.symbols import FrameInfo


class MapWriter:
    """Writes OUT/<path>/<leg>/<number>-<name>.png for the first `limit` frames; see `finish` for the rest."""

    def __init__(self, folder: Path, limit: int, count: int) -> None:
        """`count`: frames of the clip."""
        self._folder = folder
        self._limit = limit
        self._count = count
        self._strips: dict[tuple[str, str, str], Strip] = {}

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
        self._strips.setdefault((path, leg, reference), Strip(self._count)).add(number, frame, expected)
        if number < self._limit:
            name = f"{number:04d}-{_plain(Path(info.name).stem)}.png"
            title = f"{info.name}: {leg} minus {reference}, {path} path"
            write_residual_map(self._folder / path / _plain(leg) / name, frame, expected, title)

    def finish(self, report: Report) -> None:
        """For a video codec: OUT/<path>/<leg>/strip.png, and OUT/drift.png."""
        if report.package.kind != "video":
            return
        for (path, leg, reference), strip in self._strips.items():
            title = f"{leg} minus {reference} over time, {path} path"
            strip.write(self._folder / path / _plain(leg) / "strip.png", title)
        write_drift_plot(self._folder / "drift.png", report)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9=._-]+", "-", text)
