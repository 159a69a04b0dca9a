"""The scale-space warp of a reference picture in integers, with dynamic height and width.

Real-number meaning: `forward_prediction` of CompressAI's ScaleSpaceFlow (Agustsson et al., "Scale-space flow for
end-to-end optimized video compression", CVPR 2020): grid_sample of a Gaussian volume, trilinear, padding_mode
"border", align_corners=False. Specification, with [t] = floor(t + 1/2), H and W the sides of the reference, unit W/2
(H/2 for rows) or a number of pixels:

    X = clip([32 (flow_x unit + column)], 0, 32 (W - 1))                      1/32 pixel; Y alike with H and rows
    s = clip([(16 / 2) ((scale + 1) levels - 1)], 0, 16 (levels - 1))        1/16 level
    lower level min(floor(s / 16), levels - 2), upper level the next one
    X_l = floor((X + 16) / 2^max(l - 1, 0)) - 16                             1/32 pixel of level l
    predicted = [sum of 2 x 4 weights x samples / 2^11] / 4                  samples: see warp_pyramid

The four weights of a level are its share (16 - s mod 16 or s mod 16) x 128, divided among the neighbours as bilinear
interpolation does and rounded so that their sum stays: 2^11 in all. Samples are integers up to 1020, so even without
that knowledge the sum of eight products is at most 8 x 2^11 x 1020 steps, below 2^24.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.warp.atlas import CHANNELS, NEIGHBOURS, Atlas, write_atlas
from nvc_check.exporter.warp.pyramid import STEPS, write_pyramid
from nvc_check.exporter.warp.sides import LARGEST_SIDE, MULTIPLE, Side, write_sides
from nvc_check.models.grid import FLOAT32_EXACT

PEL = 32  # positions per pixel
SHARES = 16  # positions from a level to the next
WEIGHT_SUM = 2048
FLOW_EXPONENT = -16  # with 16-bit integers: a quarter of the picture either way, 1/32 pixel at 4096 pixels
SCALE_EXPONENT = -13  # with 16-bit integers: -4 .. 4; the levels lie between -1 and 1


def write_warp(
    graph: GraphWriter,
    reference: ir.Value,
    flow: ir.Value,
    scale: ir.Value,
    levels: int,
    sigma: float,
    flow_exponent: int = FLOW_EXPONENT,
    scale_exponent: int = SCALE_EXPONENT,
    flow_unit: int | None = None,
) -> ir.Value:
    """The prediction (1, 3, H, W) float32, 0..255 in steps of 1/4.

    Args:
        reference: (1, 3, H, W) float32, integers 0..255; H and W multiples of 128, at most LARGEST_SIDE.
        flow: (1, 2, H, W) float32, x and y in units of `flow_unit`: integers within [-32768, 32767] x
            2^flow_exponent. What leads outside the picture is clamped to its edge.
        scale: (1, 1, H, W) float32: integers within [-32768, 32767] x 2^scale_exponent.
        levels: of the volume, num_levels + 1 in CompressAI; 3 to 6 (the smallest keeps 8 columns at 128).
        sigma: standard deviation of the blur in pixels.
        flow_unit: pixels, a power of two; None is half of the picture's side, CompressAI's normalised coordinates.

    Raises:
        ValueError: the number of levels or an exponent outside what stays exact below 2^24.
    """
    if not 3 <= levels <= 6:
        raise ValueError(f"levels: found {levels}, expected 3 to 6")
    _check_exponents(levels, flow_exponent, scale_exponent, flow_unit)
    height, width = write_sides(graph, reference)
    atlas = write_atlas(graph, write_pyramid(graph, reference, levels, sigma), height, width)
    x = _picture_position(graph, flow, width, 0, levels, flow_unit)
    y = _picture_position(graph, flow, height, 1, levels, flow_unit)
    weights = _weights(graph)
    chosen = _levels(graph, atlas, scale, levels)
    parts = [_weighted(graph, atlas, weights, level, x, y, upper) for upper, level in enumerate(chosen)]
    products = graph.op("Add", *parts, name="warp_products")
    # a 0 keeps the dimension of that position
    shape = graph.constant(np.array([0, 0, CHANNELS, NEIGHBOURS], np.int64), "warp_by_colour")
    products = graph.op("Reshape", products, shape, name="warp_products_by_colour")
    last = graph.constant(np.array([3], np.int64), "axis_3")
    total = graph.op("ReduceSum", products, last, name="warp_sum", keepdims=0)
    planes = graph.op("Transpose", total, name="warp_colour_planes", perm=[2, 0, 1])
    rounded = graph.op("Floor", graph.op("Add", planes, graph.scalar(0.5), name="warp_half_up"), name="warp_steps")
    predicted = graph.op("Mul", rounded, graph.scalar(1 / STEPS), name="warp_predicted_planes")
    first = graph.constant(np.array([0], np.int64), "axis_0")
    return graph.op("Unsqueeze", predicted, first, name="warp_predicted")


def share_table(levels: int) -> NDArray[np.int64]:
    """(2, 16 (levels - 1) + 1, 3) int64 by scale position: (level, halvings, share) of lower and upper level."""
    position = np.arange(SHARES * (levels - 1) + 1)
    lower = np.minimum(position // SHARES, levels - 2)
    share = position - SHARES * lower
    rows = [(level, np.maximum(level - 1, 0), part) for level, part in ((lower, SHARES - share), (lower + 1, share))]
    return np.array(rows, np.int64).transpose(0, 2, 1)


def weight_table() -> NDArray[np.int64]:
    """(17, 32, 32, 4) int64: weights of the neighbours by (share, row part, column part); they sum to 128 x share.

    Bilinear weights are rounded down, then the largest remainders up (the first one of equals).
    """
    share, y, x = np.meshgrid(np.arange(SHARES + 1), np.arange(PEL), np.arange(PEL), indexing="ij")
    parts = np.stack([(PEL - y) * (PEL - x), (PEL - y) * x, y * (PEL - x), y * x], axis=-1) * share[..., None]
    divisor = SHARES * PEL * PEL // WEIGHT_SUM
    weights, remainders = parts // divisor, parts % divisor
    missing = WEIGHT_SUM // SHARES * share - weights.sum(axis=-1)
    rank = np.argsort(np.argsort(-remainders, axis=-1, kind="stable"), axis=-1, kind="stable")
    table: NDArray[np.int64] = weights + (rank < missing[..., None])
    return table


def _check_exponents(levels: int, flow_exponent: int, scale_exponent: int, flow_unit: int | None) -> None:
    """Sums in steps of their grids, with the largest 16-bit integers and the largest sides: below 2^24."""
    if flow_unit is not None and flow_unit & (flow_unit - 1):
        raise ValueError(f"flow_unit: found {flow_unit}, expected a power of two")
    # half of a side is a multiple of 64; the side itself may have any factor
    step = min(2.0**flow_exponent * (flow_unit or MULTIPLE // 2) * PEL, 0.5)
    largest = 32768 * 2.0**flow_exponent * (flow_unit or LARGEST_SIDE // 2) * PEL + PEL * LARGEST_SIDE
    if largest / step >= FLOAT32_EXACT:
        raise ValueError(f"flow_exponent: found {flow_exponent}, positions would need {largest / step:.0f} steps")
    factor = SHARES / 2 * levels
    largest = (32768 * 2.0**scale_exponent + 1) * factor
    step = min(2.0**scale_exponent * (int(factor) & -int(factor)), 0.5)
    if largest / step >= FLOAT32_EXACT:
        raise ValueError(f"scale_exponent: found {scale_exponent}, levels would need {largest / step:.0f} steps")


def _scale_position(graph: GraphWriter, scale: ir.Value, levels: int) -> ir.Value:
    """(H, W) int32 in 0 .. 16 (levels - 1)."""
    factor = SHARES / 2 * levels
    # a factor of two powers, in two products: OpenVINO turns x * 48 + c into (x + c / 48) * 48, which rounds
    largest = 2 ** (int(factor).bit_length() - 1)
    parts = [
        graph.op("Mul", scale, graph.scalar(part), name=f"warp_scale_times_{part}")
        for part in (largest, int(factor) - largest)
        if part
    ]
    scaled = graph.op("Add", *parts, name="warp_scale_scaled") if len(parts) > 1 else parts[0]
    moved = graph.op("Add", scaled, graph.scalar(factor - SHARES / 2 + 0.5), name="warp_scale_moved")
    steps = graph.op("Floor", moved, name="warp_scale_steps")
    clipped = graph.op("Clip", steps, graph.scalar(0), graph.scalar(SHARES * (levels - 1)), name="warp_scale_clipped")
    plane = _plane(graph, clipped, "warp_scale_plane")
    return graph.op("Cast", plane, name="warp_scale_position", to=ir.DataType.INT32)


def _picture_position(
    graph: GraphWriter, flow: ir.Value, side: Side, axis: int, levels: int, flow_unit: int | None
) -> ir.Value:
    """(H, W) float32: X + 16 (axis 0) or Y + 16 (axis 1) within the picture, in pixels of the smallest level."""
    name = "warp_" + "xy"[axis]
    begin, end, channel = (graph.constant(np.array([v], np.int64), f"axis_{v}") for v in (axis, axis + 1, 1))
    part = graph.op("Slice", flow, begin, end, channel, name=f"{name}_flow")
    if flow_unit is None:
        # as a multiple of 128, which it is, so that intervals prove its product with flow below 2^24 steps
        reach = graph.op("Mul", side.tiles, graph.scalar(MULTIPLE * PEL / 2), name=f"{name}_reach")
    else:
        reach = graph.scalar(PEL * flow_unit)
    moved = graph.op("Mul", part, reach, name=f"{name}_moved")

    # 32 column + 16, and 1/2 to round, where the first line is 1
    ends = graph.op("Mul", side.lines, graph.scalar(PEL), name=f"{name}_line_ends")
    centre = graph.op("Sub", ends, graph.scalar(PEL / 2 - 0.5), name=f"{name}_centres")
    position = graph.op("Floor", graph.op("Add", moved, centre, name=f"{name}_half_up"), name=f"{name}_steps")
    whole = graph.op("Mul", side.pixels, graph.scalar(PEL), name=f"{name}_whole")
    highest = graph.op("Sub", whole, graph.scalar(PEL / 2), name=f"{name}_highest")
    clipped = graph.op("Clip", position, graph.scalar(PEL / 2), highest, name=f"{name}_clipped")
    pixels = graph.op("Mul", clipped, graph.scalar(2.0 ** -(levels - 2) / PEL), name=f"{name}_of_smallest_level")
    return _plane(graph, pixels, name)


_FIELDS = ("factor", "row", "column", "share")


@dataclass(frozen=True)
class _Level:
    """One of the two levels of every pixel, (H, W) float32 each.

    Attributes:
        factor: 2^(levels - 2), less what the level was halved: integers, as all of the table, for its bounds' sake.
        row, column: where the level begins in the atlas.
        share: 1024 x its share in sixteenths: the first entry of the weight table.
    """

    factor: ir.Value
    row: ir.Value
    column: ir.Value
    share: ir.Value


def _levels(graph: GraphWriter, atlas: Atlas, scale: ir.Value, levels: int) -> list[_Level]:
    """The lower and the upper level, from one table by scale position: a row costs a Gather no more than a number."""
    position = _scale_position(graph, scale, levels)
    columns = []
    for name, (level, halvings, share) in zip(("lower", "upper"), share_table(levels).transpose(0, 2, 1), strict=True):
        columns.append(
            graph.constant(np.exp2(levels - 2 - halvings).astype(np.float32)[:, None], f"warp_{name}_factors")
        )
        of_level = graph.constant(level.astype(np.int32), f"warp_{name}_levels")
        columns.append(graph.op("Gather", atlas.starts, of_level, name=f"warp_{name}_starts", axis=0))
        columns.append(graph.constant((share * PEL * PEL).astype(np.float32)[:, None], f"warp_{name}_shares"))
    table = graph.op("Concat", *columns, name="warp_levels_table", axis=1)
    rows = graph.op("Gather", table, position, name="warp_levels", axis=0)
    axis = graph.constant(np.array([2], np.int64), "axis_2")
    values = []
    for index, what in enumerate(f"{level}_{field}" for level in ("lower", "upper") for field in _FIELDS):
        begin, end = (graph.constant(np.array([v], np.int64), f"axis_{v}") for v in (index, index + 1))
        column = graph.op("Slice", rows, begin, end, axis, name=f"warp_{what}_column")
        if what.endswith(("factor", "share")):
            # always true, but what bounds the column for a proof that takes the table as a whole
            least, most = (1, 2 ** (levels - 2)) if what.endswith("factor") else (0, SHARES * PEL * PEL)
            column = graph.op("Clip", column, graph.scalar(least), graph.scalar(most), name=f"warp_{what}_bounded")
        values.append(graph.op("Squeeze", column, axis, name=f"warp_{what}"))
    return [_Level(*values[:4]), _Level(*values[4:])]


def _weighted(
    graph: GraphWriter,
    atlas: Atlas,
    weights: ir.Value,
    level: _Level,
    x: ir.Value,
    y: ir.Value,
    upper: int,
) -> ir.Value:
    """(H, W, 12) float32: the weighted neighbours in the lower or upper level, in steps of 2^-11."""
    name = "warp_upper" if upper else "warp_lower"
    column, column_part = _split(graph, x, level.factor, f"{name}_x")
    row, row_part = _split(graph, y, level.factor, f"{name}_y")
    rows = graph.op("Add", row, level.row, name=f"{name}_atlas_row")
    index = graph.op("Cast", rows, name=f"{name}_atlas_row_int32", to=ir.DataType.INT32)
    index = graph.op("Mul", index, atlas.stride, name=f"{name}_rows_before")
    columns = graph.op("Add", column, level.column, name=f"{name}_atlas_column")
    columns = graph.op("Cast", columns, name=f"{name}_atlas_column_int32", to=ir.DataType.INT32)
    index = graph.op("Add", index, columns, name=f"{name}_index")
    samples = graph.op("Gather", atlas.table, index, name=f"{name}_samples", axis=0)

    lines = graph.op("Mul", row_part, graph.scalar(PEL), name=f"{name}_row_part_lines")
    parts = graph.op("Add", lines, column_part, name=f"{name}_parts")
    entry = graph.op("Add", parts, level.share, name=f"{name}_entry")
    entry = graph.op("Cast", entry, name=f"{name}_entry_int32", to=ir.DataType.INT32)
    chosen = graph.op("Gather", weights, entry, name=f"{name}_weights", axis=0)
    return graph.op("Mul", samples, chosen, name=f"{name}_weighted")


def _split(graph: GraphWriter, position: ir.Value, factor: ir.Value, name: str) -> tuple[ir.Value, ir.Value]:
    """(pixel of the bordered level; part of a pixel in 1/32, 0..31): float32 integers."""
    pixels = graph.op("Mul", position, factor, name=f"{name}_scaled")
    bordered = graph.op("Add", pixels, graph.scalar(0.5), name=f"{name}_bordered")  # + 1 for the border, - 16/32
    whole = graph.op("Floor", bordered, name=f"{name}_whole")
    rest = graph.op("Sub", bordered, whole, name=f"{name}_rest")
    steps = graph.op("Floor", graph.op("Mul", rest, graph.scalar(PEL), name=f"{name}_in_steps"), name=f"{name}_steps")
    # always true, but what bounds the table index for a proof by intervals
    part = graph.op("Clip", steps, graph.scalar(0), graph.scalar(PEL - 1), name=f"{name}_part")
    return whole, part


def _weights(graph: GraphWriter) -> ir.Value:
    """(17 * 32 * 32, 12) float32: the weights / 2^11, alike for each colour."""
    table = weight_table().reshape(-1, NEIGHBOURS).astype(np.float32) / WEIGHT_SUM
    one = graph.constant(table, "warp_weights_of_one_colour")  # repeated by the runtime when it loads
    return graph.op("Concat", *[one] * CHANNELS, name="warp_weights", axis=1)


def _plane(graph: GraphWriter, x: ir.Value, name: str) -> ir.Value:
    """(1, 1, H, W) -> (H, W)."""
    axes = graph.constant(np.array([0, 1], np.int64), "picture_and_channel")
    return graph.op("Squeeze", x, axes, name=name)
