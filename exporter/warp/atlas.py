"""All levels of the pyramid in one picture, and its table of neighbours: one Gather reads what one sample needs.

Layout, sides in pixels; every level has a border of one pixel that repeats its edge, so that a sample between the
edge and the border needs no clamping:

    level 0                       (H + 2) x (W + 2)
    level 1                       (H + 2) x (W + 2)
    level 2 | 3 | 4 ... | rest    (H/2 + 2) x (W + 2): smaller levels repeated below themselves, the last on its right

What is repeated is never sampled. It fills the rectangle with what is there; a Pad would need sizes as a shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.warp.sides import COLUMNS, MULTIPLE, ROWS, Side

CHANNELS = 3
NEIGHBOURS = 4


@dataclass(frozen=True)
class Atlas:
    """Attributes:

    table: (rows, 12) float32: the four neighbours of an atlas pixel (itself, right, below, below right) per colour.
    starts: (levels, 2) float32: atlas row and column of each level's first border pixel.
    stride: () int32: table rows from a pixel to the one below it, W + 1.
    """

    table: ir.Value
    starts: ir.Value
    stride: ir.Value


def write_atlas(graph: GraphWriter, pictures: list[ir.Value], height: Side, width: Side) -> Atlas:
    """The table of (3, 1, h, w) float32 pictures: H x W, H x W, H/2 x W/2, ..., sides of the first multiples of 128.

    Args:
        pictures: three levels at least.
        height, width: of the first.
    """
    border = graph.constant(np.array([0, 0, 1, 1] * 2, np.int64), "warp_border")
    sharp, blurred, *halved = (
        graph.op("Pad", picture, border, name=f"warp_bordered_{level}", mode="edge")
        for level, picture in enumerate(pictures)
    )
    columns = [_repeated(graph, level, 2**index, f"warp_column_{index + 2}") for index, level in enumerate(halved)]
    # as wide as the last level but for the borders of all: what is missing to W + 2
    columns.append(_without(graph, columns[-1], 2 * len(halved), COLUMNS, "warp_filled"))
    halves = graph.op("Concat", *columns, name="warp_halves", axis=COLUMNS)
    picture = graph.op("Concat", sharp, blurred, halves, name="warp_atlas", axis=ROWS)
    row_length = graph.op("Mul", width.tiles, graph.scalar(MULTIPLE), name="warp_width")
    stride = graph.op("Add", row_length, graph.scalar(1), name="warp_stride")
    return Atlas(
        _neighbours(graph, picture),
        _starts(graph, len(pictures), height, width),
        graph.op("Cast", stride, name="warp_stride_int32", to=ir.DataType.INT32),
    )


def start_table(levels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows and columns where each level begins, (levels, 2) each: per tile of 128 pixels of a side, and of borders."""
    per_tile, borders = np.zeros((levels, 2), np.float32), np.zeros((levels, 2), np.float32)
    for level in range(1, levels):
        per_tile[level, 0], borders[level, 0] = MULTIPLE * min(level, 2), 2 * min(level, 2)
    for level in range(3, levels):
        per_tile[level, 1] = per_tile[level - 1, 1] + MULTIPLE / 2 ** (level - 2)
        borders[level, 1] = borders[level - 1, 1] + 2
    return per_tile, borders


def _starts(graph: GraphWriter, levels: int, height: Side, width: Side) -> ir.Value:
    cell = graph.constant(np.array([1, 1], np.int64), "cell")
    sides = [
        graph.op("Reshape", side.tiles, cell, name=f"warp_{name}_cell")
        for name, side in (("height", height), ("width", width))
    ]
    tiles = graph.op("Concat", *sides, name="warp_tiles", axis=1)
    per_tile, borders = start_table(levels)
    inner = graph.op("Mul", tiles, graph.constant(per_tile, "warp_starts_per_tile"), name="warp_inner_starts")
    # integers already; OpenVINO would shift first, by a quotient that rounds, without a Floor between the two
    whole = graph.op("Floor", inner, name="warp_whole_starts")
    return graph.op("Add", whole, graph.constant(borders, "warp_starts_borders"), name="warp_starts")


def _repeated(graph: GraphWriter, picture: ir.Value, times: int, name: str) -> ir.Value:
    """Below itself, `times` in all and with the borders of one: (H/2 + 2) rows from (H/2 / times + 2)."""
    if times == 1:
        return picture
    more = _without(graph, picture, 2, ROWS, f"{name}_more")
    return graph.op("Concat", picture, *[more] * (times - 1), name=name, axis=ROWS)


def _without(graph: GraphWriter, picture: ir.Value, count: int, axis: int, name: str) -> ir.Value:
    """Without its first `count` rows or columns."""
    begin, end, along = (
        graph.constant(np.array([value], np.int64), what)
        for value, what in ((count, f"from_{count}"), (np.iinfo(np.int64).max, "to_the_end"), (axis, f"axis_{axis}"))
    )
    return graph.op("Slice", picture, begin, end, along, name=name)


def _neighbours(graph: GraphWriter, picture: ir.Value) -> ir.Value:
    """(3, 1, h, w) -> ((h - 1)(w - 1), 12): per colour the pixel, the one on its right, the two below."""
    axes = graph.constant(np.array([2, 3], np.int64), "rows_columns")
    shifted = []
    for row in (0, 1):
        for column in (0, 1):
            starts = graph.constant(np.array([row, column], np.int64), f"from_{row}_{column}")
            last = [np.iinfo(np.int64).max if shift else -1 for shift in (row, column)]
            ends = graph.constant(np.array(last, np.int64), f"warp_to_{row}_{column}")
            shifted.append(graph.op("Slice", picture, starts, ends, axes, name=f"warp_neighbour_{row}_{column}"))
    planes = graph.op("Concat", *shifted, name="warp_planes", axis=1)
    shape = graph.constant(np.array([CHANNELS * NEIGHBOURS, -1], np.int64), "warp_plane_rows")
    flat = graph.op("Reshape", planes, shape, name="warp_flat")
    return graph.op("Transpose", flat, name="warp_table", perm=[1, 0])
