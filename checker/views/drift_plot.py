"""The drift curve: how far apart two decoders' frames are, frame by frame."""

from __future__ import annotations

import math
from pathlib import Path

from nvc_check.checker.report import Report, ResultRow
from nvc_check.models.atomic import whole_file

IDENTICAL = 999.0  # what a ResultRow says for the PSNR of equal frames
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito, 2008
MARKERS = "osD^vPX"


def write_drift_plot(path: Path, report: Report) -> None:
    """PSNR between legs, pixels that differ and largest difference over the frames: a PNG file, whole or not there.

    Nothing is written where no frames were compared.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in report.results if row.tensor == "frame" and row.by_frame]
    if not rows:
        return
    figure = Figure(figsize=(9, 9), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    quality, pixels, largest = figure.subplots(3, 1, sharex=True)
    ceiling = max((value for row in rows for value in _psnr(row) if value < IDENTICAL), default=100.0) + 8
    styles = {leg: at for at, leg in enumerate(dict.fromkeys(row.leg for row in rows))}
    for row in rows:
        at = styles[row.leg]
        look = {
            "color": COLOURS[at % len(COLOURS)],
            "marker": MARKERS[at % len(MARKERS)],
            "linestyle": "-" if row.path == "fp32" else "--",
            "fillstyle": "full" if row.path == "fp32" else "none",
            "label": f"{row.path}: {row.leg} against {row.reference}",
            "markersize": 4,
        }
        frames = [frame.frame for frame in row.by_frame]
        quality.plot(frames, [min(value, ceiling) for value in _psnr(row)], **look)
        pixels.plot(frames, [math.nan if frame.pixels is None else frame.pixels for frame in row.by_frame], **look)
        largest.plot(frames, [frame.max_abs or math.nan for frame in row.by_frame], **look)
    quality.axhline(ceiling, color="0.6", linewidth=0.8)
    quality.text(0, ceiling, " identical", va="bottom", color="0.4", fontsize=8)
    quality.set_ylabel("PSNR between legs, dB")
    quality.set_title(f"{report.package.name}, {report.package.precision}, scope {report.package.scope}: drift")
    pixels.set_ylabel("pixels that differ")
    largest.set_ylabel("largest difference (white is 1)")
    if any(frame.max_abs for row in rows for frame in row.by_frame):
        largest.set_yscale("log")
    largest.set_xlabel("frame")
    largest.xaxis.get_major_locator().set_params(integer=True)
    for axes in (quality, pixels, largest):
        axes.grid(alpha=0.3)
    figure.legend(*quality.get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=2)
    with whole_file(path) as part:
        figure.savefig(part, format="png")


def _psnr(row: ResultRow) -> list[float]:
    return [math.nan if frame.psnr is None else frame.psnr for frame in row.by_frame]
