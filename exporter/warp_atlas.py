"""All levels of the pyramid in one picture, and its table of neighbours: one Gather reads what one sample needs.

Layout, sides in pixels; every level has a border of one pixel that repeats its edge, so that a sample between the
edge and the border needs no clamping:

    level 0                       (H + 2) x (W + 2)
    level 1                       (H + 2) x (W + 2)
    level 2 | level 3, 4, ...     (H/2 + 2) x (W + 2), the levels on the right below each other; zeros elsewhere
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter

CHANNELS = 3
NEIGHBOURS = 4


@dataclass(frozen=True)
class Atlas:
    """Attributes:

    table: (rows, 12) float32: the four neighbours of an atlas pixel (itself, right, below, below right) per colour.
    starts: (levels, 2) float32: atlas row and column of each level's first border pixel.
    stride: (1,) int32: table rows from a pixel to the one below it, W + 1.
    """

    table: ir.Value
    starts: ir.Value
    stride: ir.Value


class Sizes:
    """Shape arithmetic in the graph: (1,) int64 values."""

    def __init__(self, graph: GraphWriter) -> None:
        self._graph = graph
        self._count = 0

    def sides(self, picture: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Height and width of (C, 1, H, W)."""
        shape = self._op("Shape", picture)
        height, width = (
            self._op("Gather", shape, self._graph.constant(np.array([axis], np.int64), f"axis_{axis}"))
            for axis in (2, 3)
        )
        return height, width

    def add(self, *values: ir.Value) -> ir.Value:
        total = values[0]
        for value in values[1:]:
            total = self._op("Add", total, value)
        return total

    def difference(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self._op("Sub", a, b)

    def product(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self._op("Mul", a, b)

    def number(self, value: int) -> ir.Value:
        return self._graph.constant(np.array([value], np.int64), f"i_{value}")

    def _op(self, op_type: str, *values: ir.Value) -> ir.Value:
        self._count += 1
        return self._graph.op(op_type, *values, name=f"warp_size_{self._count}")


def write_atlas(graph: GraphWriter, pictures: list[ir.Value]) -> Atlas:
    """The table of (3, 1, h, w) float32 pictures: H x W, H x W, H/2 x W/2, ..., sides of the first multiples of 128.

    Args:
        pictures: three levels at least.
    """
    sizes = Sizes(graph)
    border = graph.constant(np.array([0, 0, 1, 1] * 2, np.int64), "warp_border")
    sharp, blurred, half, *small = (
        graph.op("Pad", picture, border, name=f"warp_bordered_{level}", mode="edge")
        for level, picture in enumerate(pictures)
    )
    height, width = sizes.sides(sharp)
    half_height, half_width = sizes.sides(half)
    zero = sizes.number(0)
    bottom_row = sizes.add(height, height)
    starts = [(zero, zero), (height, zero), (bottom_row, zero)]
    column, row = zero, bottom_row
    stack: list[ir.Value] = []
    for level, picture in enumerate(small, 3):
        starts.append((row, half_width))
        level_height, level_width = sizes.sides(picture)
        if not stack:
            column = level_width
        missing = sizes.difference(column, level_width)
        stack.append(_grown(graph, picture, zero, missing, f"warp_widened_{level}"))
        row = sizes.add(row, level_height)
    # the small levels are lower than level 2 and, with it, narrower than level 0
    missing = sizes.difference(width, sizes.add(half_width, column))
    if small:
        right = graph.op("Concat", *stack, name="warp_small_levels", axis=2)
        bottom = sizes.difference(sizes.add(bottom_row, half_height), row)
        half = graph.op("Concat", half, _grown(graph, right, bottom, missing, "warp_right"), name="warp_half", axis=3)
    else:
        half = _grown(graph, half, zero, missing, "warp_half")
    picture = graph.op("Concat", sharp, blurred, half, name="warp_atlas", axis=2)
    stride = sizes.difference(width, sizes.number(1))
    corners = [graph.op("Concat", *start, name=f"warp_start_{level}", axis=0) for level, start in enumerate(starts)]
    shape = graph.constant(np.array([-1, 2], np.int64), "warp_pairs")
    pairs = graph.op(
        "Reshape", graph.op("Concat", *corners, name="warp_corners", axis=0), shape, name="warp_corner_pairs"
    )
    return Atlas(
        _neighbours(graph, picture),
        graph.op("Cast", pairs, name="warp_starts", to=ir.DataType.FLOAT),
        graph.op("Cast", stride, name="warp_stride", to=ir.DataType.INT32),
    )


def _grown(graph: GraphWriter, picture: ir.Value, bottom: ir.Value, right: ir.Value, name: str) -> ir.Value:
    """Zeros below and on the right."""
    front = graph.constant(np.zeros(6, np.int64), "warp_no_pads")
    pads = graph.op("Concat", front, bottom, right, name=f"{name}_pads", axis=0)
    return graph.op("Pad", picture, pads, name=name, mode="constant")


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
