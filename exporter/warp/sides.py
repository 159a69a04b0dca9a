"""Height and width of a picture as data, counted on the device: a sum over ones in place of the shape.

Arithmetic on shapes is what GPU providers leave to the CPU: it would be all of the warp that does not run on the GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter

LARGEST_SIDE = 8192  # pixels; a larger picture is an error of the runtime, not a wrong result
MULTIPLE = 128
ROWS, COLUMNS = 2, 3  # axes of (1, C, H, W)


@dataclass(frozen=True)
class Side:
    """Attributes:

    lines: (1, 1, H, 1) or (1, 1, 1, W) float32: 1, 2, 3, ... up to the side, at most up to LARGEST_SIDE.
    pixels: () float32: the side, within [MULTIPLE, LARGEST_SIDE].
    tiles: () float32: pixels / MULTIPLE, a whole number, which an interval of `pixels` does not tell.
    """

    lines: ir.Value
    pixels: ir.Value
    tiles: ir.Value


def write_sides(graph: GraphWriter, picture: ir.Value) -> tuple[Side, Side]:
    """Height and width of (1, C, H, W) float32: integers, multiples of MULTIPLE.

    The lines of a larger side than LARGEST_SIDE end there, so that they do not fit tensors of its length: an error.
    """
    return _side(graph, picture, ROWS, "warp_rows"), _side(graph, picture, COLUMNS, "warp_columns")


def _side(graph: GraphWriter, picture: ir.Value, axis: int, name: str) -> Side:
    other = ROWS + COLUMNS - axis
    begin, end, axes = (
        graph.constant(np.array(values, np.int64), f"{name}_line_{what}")
        for what, values in (("begin", [0, 0, 0]), ("end", [1, 1, LARGEST_SIDE]), ("axes", [1, other, axis]))
    )
    line = graph.op("Slice", picture, begin, end, axes, name=f"{name}_line")
    ones = graph.op("Clip", line, graph.scalar(1), graph.scalar(1), name=f"{name}_ones")
    along = graph.constant(np.array(axis, np.int64), f"along_axis_{axis}")
    lines = graph.op("CumSum", ones, along, name=f"{name}_counted")
    last, rest, only = (
        graph.constant(np.array([value], np.int64), what)
        for value, what in ((-1, "last"), (np.iinfo(np.int64).max, "to_the_end"), (axis, f"axis_{axis}"))
    )
    counted = graph.op("Slice", lines, last, rest, only, name=f"{name}_last")
    # not a Reshape to the shape []: ONNX Runtime's OpenVINO provider leaves that to the CPU
    scalar = graph.op("Squeeze", counted, graph.constant(np.arange(4), "every_axis"), name=f"{name}_scalar")
    pixels = graph.op("Clip", scalar, graph.scalar(MULTIPLE), graph.scalar(LARGEST_SIDE), name=f"{name}_bounded")
    tiles = graph.op("Mul", pixels, graph.scalar(1 / MULTIPLE), name=f"{name}_in_tiles")
    tiles = graph.op("Floor", tiles, name=f"{name}_tiles")
    most = graph.scalar(LARGEST_SIDE // MULTIPLE)
    return Side(lines, pixels, graph.op("Clip", tiles, graph.scalar(1), most, name=f"{name}_tiles_bounded"))
