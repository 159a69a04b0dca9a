"""The FP32 scale-space warp in ONNX: written operator by operator, since tracing torch's takes ten seconds.

The trilinear warp as one 4-D GridSample of all levels, blended by the distance to the scale: the same in real numbers
as torch's 5-D grid sample with align_corners=False and border padding, which OpenVINO does not have. The volume is
CompressAI's `gaussian_volume` (Agustsson et al., CVPR 2020); coarser levels are enlarged together, one doubling for
all.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.models.codecs.video import InterDecoders

COLOURS = 3


def add_prediction(model: ir.Model, decoders: InterDecoders) -> None:
    """Gives a graph of `motion` and `residual` the input `reference` and the first output `frame`, unclamped."""
    motion, residual = model.graph.outputs
    assert motion.shape is not None
    shape = ir.Shape([1, COLOURS, *motion.shape[2:]])
    reference = ir.Value(name="reference", type=ir.TensorType(ir.DataType.FLOAT), shape=shape)
    writer = GraphWriter("prediction", [reference])
    unit = decoders.flow_unit
    predicted = write_float_warp(writer, reference, motion, decoders.levels, decoders.sigma, unit)
    frame = writer.op("Add", predicted, residual, name="prediction_and_residual")
    frame.name, frame.dtype, frame.shape = "frame", ir.DataType.FLOAT, shape
    writer.write_into(model.graph)
    model.graph.outputs.insert(0, frame)


def write_float_warp(
    graph: GraphWriter, reference: ir.Value, motion: ir.Value, levels: int, sigma: float, flow_unit: float | None
) -> ir.Value:
    """reference: (1, 3, H, W) warped by motion: (1, 3, H, W), flow right and down, scale -> (1, 3, H, W).

    Args:
        flow_unit: pixels; None: coordinates normalised to [-1, 1].
    """
    volume = _volume(graph, reference, levels, sigma)
    grid = _grid(graph, reference, _slice(graph, motion, 0, 2, "flow"), flow_unit)
    warped = graph.op(
        "GridSample", volume, grid, name="warped", mode="bilinear", padding_mode="border", align_corners=0
    )
    level = _level(graph, _slice(graph, motion, 2, 3, "scale"), levels)
    total: ir.Value | None = None
    for index in range(levels):
        name = f"level_{index}"
        distance = graph.op("Abs", graph.op("Sub", level, graph.scalar(index), name=f"{name}_off"), name=f"{name}_far")
        weight = graph.op(
            "Relu", graph.op("Sub", graph.scalar(1), distance, name=f"{name}_near"), name=f"{name}_weight"
        )
        sample = _slice(graph, warped, COLOURS * index, COLOURS * (index + 1), f"{name}_sample")
        part = graph.op("Mul", weight, sample, name=f"{name}_part")
        total = part if total is None else graph.op("Add", total, part, name=f"{name}_total")
    assert total is not None
    return total


def _volume(graph: GraphWriter, reference: ir.Value, levels: int, sigma: float) -> ir.Value:
    """Level after level along the channels, the sharp reference first: (1, 3 levels, H, W)."""
    pyramid = [_blurred(graph, reference, sigma, "blur_1")]
    for level in range(2, levels):
        half = graph.op("AveragePool", pyramid[-1], name=f"half_{level}", kernel_shape=[2, 2], strides=[2, 2])
        pyramid.append(_blurred(graph, half, sigma, f"blur_{level}"))
    enlarged = pyramid.pop()
    no_region, twice = graph.constant(np.zeros(0, np.float32), "no_region"), np.array([1, 1, 2, 2], np.float32)
    for level in reversed(range(1, len(pyramid) + 1)):
        doubled = graph.op(
            "Resize", enlarged, no_region, graph.constant(twice, "twice"), name=f"doubled_{level}",
            mode="linear", coordinate_transformation_mode="half_pixel",
        )  # fmt: skip
        enlarged = graph.op("Concat", pyramid[level - 1], doubled, name=f"levels_from_{level}", axis=1)
    return graph.op("Concat", reference, enlarged, name="volume", axis=1)


def _blurred(graph: GraphWriter, x: ir.Value, sigma: float, name: str) -> ir.Value:
    half = math.ceil(3 * sigma)
    line = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    line /= line.sum()
    kernel = np.tile(np.outer(line, line), (COLOURS, 1, 1, 1)).astype(np.float32)
    pads = graph.constant(np.array([0, 0, half, half] * 2, np.int64), "blur_pads")
    padded = graph.op("Pad", x, pads, name=f"{name}_padded", mode="edge")
    sides = list(kernel.shape[2:])
    return graph.op("Conv", padded, graph.constant(kernel, "blur_kernel"), name=name, group=COLOURS, kernel_shape=sides)


def _grid(graph: GraphWriter, reference: ir.Value, flow: ir.Value, flow_unit: float | None) -> ir.Value:
    """(1, H, W, 2): where each pixel is sampled, in [-1, 1].

    Pixels are counted by sums, not from the shape: arithmetic on shapes is what GPU providers leave to the CPU.
    """
    colour = _slice(graph, reference, 0, 1, "one_colour")
    nothing = graph.op("Mul", colour, graph.scalar(0), name="nothing")
    one = graph.op("Add", nothing, graph.scalar(1), name="ones")
    moved = []
    for channel, (name, axis) in enumerate((("column", 3), ("row", 2))):
        number = graph.op("CumSum", one, graph.constant(np.array(axis, np.int64), f"axis_{axis}"), name=f"{name}s")
        bounds = (graph.constant(np.array([v], np.int64), f"{name}_{v}") for v in (-1, np.iinfo(np.int64).max, axis))
        count = graph.op("Slice", number, *bounds, name=f"{name}s_count")
        by = _slice(graph, flow, channel, channel + 1, f"{name}_flow")
        if flow_unit is not None:
            pixels = graph.op("Mul", by, graph.scalar(2 * flow_unit), name=f"{name}_pixels")
            by = graph.op("Div", pixels, count, name=f"{name}_normalised")
        odd = graph.op(
            "Sub", graph.op("Add", number, number, name=f"{name}_twice"), graph.scalar(1), name=f"{name}_odd"
        )
        centre = graph.op("Div", odd, count, name=f"{name}_centre")
        place = graph.op("Add", by, centre, name=f"{name}_place")
        moved.append(graph.op("Sub", place, graph.scalar(1), name=f"{name}_at"))
    together = graph.op("Concat", *moved, name="places", axis=1)
    return graph.op("Transpose", together, name="grid", perm=[0, 2, 3, 1])


def _level(graph: GraphWriter, scale: ir.Value, levels: int) -> ir.Value:
    """scale in [-1, 1] -> the place among the levels, 0 to levels - 1; centres as align_corners=False has them."""
    shifted = graph.op("Add", scale, graph.scalar(1), name="scale_from_0")
    stretched = graph.op("Mul", shifted, graph.scalar(levels), name="scale_in_levels")
    centred = graph.op("Sub", stretched, graph.scalar(1), name="scale_centred")
    level = graph.op("Mul", centred, graph.scalar(0.5), name="level_unclipped")
    return graph.op("Clip", level, graph.scalar(0), graph.scalar(levels - 1), name="level")


def _slice(graph: GraphWriter, x: ir.Value, start: int, stop: int, name: str) -> ir.Value:
    bounds = (graph.constant(np.array([v], np.int64), f"channel_{v}") for v in (start, stop, 1))
    return graph.op("Slice", x, *bounds, name=name)
