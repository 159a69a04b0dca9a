"""Writes the exact graph of a predicted frame: the reference, warped by decoded motion, plus the decoded residual.

int32 symbols and means of motion and residual and the int32 reference in [0, 255] in, int32 `frame` in [0, 255] out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.quantize.synthesis import IntegerSynthesis
from nvc_check.exporter.warp.graph import FLOW_EXPONENT, SCALE_EXPONENT, write_warp
from nvc_check.exporter.write.frame_graph import latent_inputs, write_latent, write_layers
from nvc_check.exporter.write.integer_graph import FLAVOURS
from nvc_check.models.artifacts.package import FRAME_PEAK

INT16_MIN, INT16_MAX = -32768, 32767
FLOW_STEP_EXPONENT = -6  # of flow in pixels: 16 bits reach 512 pixels either way in steps of 1/64
RESIDUAL_EXPONENT = -2  # the prediction's grid: quarters of an 8-bit step


@dataclass(frozen=True)
class Prediction:
    """How the reference is warped: `levels` of the volume, `sigma` of its blur in pixels.

    `flow_unit`: pixels; None: flow is in coordinates normalised to [-1, 1], CompressAI's.
    """

    levels: int
    sigma: float
    flow_unit: int | None

    @property
    def flow_exponent(self) -> int:
        """Of the integer flow, in its unit; a unit is a power of two."""
        return FLOW_EXPONENT if self.flow_unit is None else FLOW_STEP_EXPONENT - self.flow_unit.bit_length() + 1


def write_inter(
    motion: IntegerSynthesis,
    residual: IntegerSynthesis,
    prediction: Prediction,
    means_exponents: Mapping[str, int | None],
    name: str,
    flavour: str,
) -> ir.Model:
    """The graph of a predicted frame.

    Args:
        motion: its accumulator is flow x, flow y and scale.
        residual: its accumulator is in 8-bit steps of the picture.
        means_exponents: symbols' input name -> e of its means, None where it has none.
    """
    inputs = latent_inputs([motion, residual])
    sides: list[int | str] = [1, 3, "16*height", "16*width"]
    given = ir.Value(name="reference", type=ir.TensorType(ir.DataType.INT32), shape=ir.Shape(sides))
    graph = GraphWriter(name, [*inputs.values(), given])
    style = FLAVOURS[flavour]
    y_hats = {
        latent.symbols: write_latent(graph, latent, inputs, means_exponents[latent.symbols])
        for latent in {latent.symbols: latent for latent in (*motion.latents, *residual.latents)}.values()
    }
    moved = write_layers(graph, style, motion, y_hats, "motion_latents")
    flow = _read(graph, _channels(graph, moved, 0, 2, "flow"), prediction.flow_exponent, INT16_MIN, INT16_MAX, "flow")
    scale = _read(graph, _channels(graph, moved, 2, 3, "scale"), SCALE_EXPONENT, INT16_MIN, INT16_MAX, "scale")
    real = graph.op("Cast", given, name="reference_float", to=ir.DataType.FLOAT)
    reference = graph.op("Clip", real, graph.scalar(0), graph.scalar(FRAME_PEAK), name="reference_clipped")
    predicted = write_warp(
        graph,
        reference,
        flow,
        scale,
        prediction.levels,
        prediction.sigma,
        flow_exponent=prediction.flow_exponent,
        flow_unit=prediction.flow_unit,
    )
    sums = write_layers(graph, style, residual, y_hats, "residual_latents")
    most = int(FRAME_PEAK * 2.0**-RESIDUAL_EXPONENT)
    added = _read(graph, sums, RESIDUAL_EXPONENT, -most, most, "residual")
    total = graph.op("Add", predicted, added, name="frame_quarters")
    half = graph.op("Add", total, graph.scalar(0.5), name="frame_half")
    steps = graph.op("Floor", half, name="frame_floor")
    picture = graph.op("Clip", steps, graph.scalar(0), graph.scalar(FRAME_PEAK), name="frame_clipped")
    frame = graph.op("Cast", picture, name="frame_int32", to=ir.DataType.INT32)
    return graph.finish([(frame, "frame", ir.DataType.INT32, sides)])


def _channels(graph: GraphWriter, x: ir.Value, start: int, stop: int, name: str) -> ir.Value:
    bounds = [graph.constant(np.array([v], np.int64), f"channel_{v}") for v in (start, stop, 1)]
    return graph.op("Slice", x, *bounds, name=f"{name}_channels")


def _read(graph: GraphWriter, x: ir.Value, exponent: int, low: int, high: int, name: str) -> ir.Value:
    """clip(floor(x / 2^exponent + 1/2), low, high) * 2^exponent."""
    steps = graph.op("Mul", x, graph.scalar(2.0**-exponent), name=f"{name}_in_steps")
    half = graph.op("Add", steps, graph.scalar(0.5), name=f"{name}_half")
    whole = graph.op("Floor", half, name=f"{name}_floor")
    kept = graph.op("Clip", whole, graph.scalar(low), graph.scalar(high), name=f"{name}_saturated")
    return graph.op("Mul", kept, graph.scalar(2.0**exponent), name=f"{name}_read")
