"""What a clip's report says over time: the drift of the frames, and where index flips fell."""

from __future__ import annotations

import numpy as np
from rich import box
from rich.table import Table

from nvc_check.checker.report import FrameRow, Report, ResultRow

FLIP_ROWS = 20
TILES = 8  # frames of a clip that a strip shows


def drift_tables(report: Report) -> list[Table]:
    """Per path one table of frames by legs; empty for an image codec, whose pictures do not follow each other."""
    if report.package.kind != "video":
        return []
    rows = [row for row in report.results if row.tensor == "frame" and row.by_frame]
    return [
        _drift(path, [row for row in rows if row.path == path])
        for path in ("fp32", "int")
        if any(row.path == path for row in rows)
    ]


def flip_table(report: Report) -> Table | None:
    """Index flips per frame and part on each leg, None where there were none."""
    rows = [row for row in report.results if row.index_flips and row.by_frame]
    if not rows or report.package.kind != "video":
        return None
    table = _table("index flips per frame and part")
    for name in ("path", "frame", "part"):
        table.add_column(name)
    legs = sorted({row.leg for row in rows})
    for leg in legs:
        table.add_column(leg, justify="right", no_wrap=True)
    counts: dict[tuple[str, int, str], dict[str, int]] = {}
    for row in rows:
        for frame in row.by_frame:
            if frame.mismatched:
                counts.setdefault((row.path, frame.frame, row.tensor.split("/")[0]), {})[row.leg] = frame.mismatched
    for (path, number, part), by_leg in sorted(counts.items())[:FLIP_ROWS]:
        table.add_row(path, str(number), part, *(f"{by_leg.get(leg, 0):,}" for leg in legs))
    if len(counts) > FLIP_ROWS:
        table.caption = f"{len(counts) - FLIP_ROWS} more in the JSON report"
    return table


def shown_frames(count: int) -> list[int]:
    """The first and the last of `count` frames and up to TILES - 2 between them, evenly."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(TILES, count))})


def _drift(path: str, rows: list[ResultRow]) -> Table:
    table = _table(f"{path} path: drift (PSNR, pixels that differ, largest)")
    table.add_column("frame", justify="right")
    for row in rows:
        table.add_column(f"{row.leg} against {row.reference}", justify="right")
    for at in shown_frames(max(len(row.by_frame) for row in rows)):
        cells = [_cell(row.by_frame[at]) if at < len(row.by_frame) else "" for row in rows]
        table.add_row(str(at), *cells)
    return table


def _cell(frame: FrameRow) -> str:
    if not frame.mismatched:
        return "identical"
    if frame.psnr is None:
        return "missing, or of another size"
    return f"{frame.psnr:.1f} dB {frame.pixels:>9,} {frame.max_abs:.1e}"


def _table(title: str) -> Table:
    return Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
