"""A predicted frame: the reference, warped by decoded motion, plus the decoded residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.warp.graph import FLOW_EXPONENT, write_warp
from nvc_check.models.artifacts.package import FRAME_PEAK
from nvc_check.models.errors import ExportRefusedError

FLOW_STEP_EXPONENT = -6  # of flow in pixels: 16 bits reach 512 pixels either way in steps of 1/64
SIDES: tuple[int | str, ...] = (1, 3, "16*height", "16*width")


class Decoders(Protocol):
    """What is needed of a predicted frame's decoders."""

    levels: int
    sigma: float
    flow_unit: float | None


@dataclass(frozen=True)
class Prediction:
    """How the reference is warped: `levels` of the volume, `sigma` of its blur in pixels.

    `flow_unit`: pixels; None: flow is in coordinates normalised to [-1, 1], CompressAI's.
    """

    levels: int
    sigma: float
    flow_unit: int | None

    @classmethod
    def of(cls, decoders: Decoders, name: str) -> Prediction:
        """Raises ExportRefusedError for a flow unit that is no power of two."""
        unit = decoders.flow_unit
        if unit is not None and not (unit >= 1 and float(unit).is_integer() and int(unit) & (int(unit) - 1) == 0):
            raise ExportRefusedError(
                f"{name}: flow in units of {unit:g} pixels, expected a power of two; retrain with one"
            )
        return cls(decoders.levels, decoders.sigma, None if unit is None else int(unit))

    @property
    def flow_exponent(self) -> int:
        """Of the integer flow, in its unit; a unit is a power of two."""
        return FLOW_EXPONENT if self.flow_unit is None else FLOW_STEP_EXPONENT - self.flow_unit.bit_length() + 1


def reference_input() -> ir.Value:
    return ir.Value(name="reference", type=ir.TensorType(ir.DataType.INT32), shape=ir.Shape(SIDES))


def predicted(graph: GraphWriter, given: ir.Value, motion: ir.Value, prediction: Prediction) -> ir.Value:
    """The reference `given`, warped: (1, 3, H, W) float32, 0..255 in steps of 1/4.

    Args:
        motion: float32 (1, 3, H, W), flow and scale, integers of 16 bits in steps of 2^prediction.flow_exponent and
            2^SCALE_EXPONENT.
    """
    flow, scale = (channels(graph, motion, *span) for span in ((0, 2, "flow"), (2, 3, "scale")))
    real = graph.op("Cast", given, name="reference_float", to=ir.DataType.FLOAT)
    reference = graph.op("Clip", real, graph.scalar(0), graph.scalar(FRAME_PEAK), name="reference_clipped")
    return write_warp(
        graph,
        reference,
        flow,
        scale,
        prediction.levels,
        prediction.sigma,
        flow_exponent=prediction.flow_exponent,
        flow_unit=prediction.flow_unit,
    )


def predicted_frame(graph: GraphWriter, made: ir.Value, residual: ir.Value) -> ir.Model:
    """The finished graph: what was predicted plus the residual, (1, 3, H, W) float32, 8-bit steps of the picture on a
    grid of at least 2^-6.
    """
    total = graph.op("Add", made, residual, name="frame_quarters")
    half = graph.op("Add", total, graph.scalar(0.5), name="frame_half")
    steps = graph.op("Floor", half, name="frame_floor")
    picture = graph.op("Clip", steps, graph.scalar(0), graph.scalar(FRAME_PEAK), name="frame_clipped")
    frame = graph.op("Cast", picture, name="frame_int32", to=ir.DataType.INT32)
    return graph.finish([(frame, "frame", ir.DataType.INT32, SIDES)])


def channels(graph: GraphWriter, x: ir.Value, start: int, stop: int, name: str) -> ir.Value:
    bounds = [graph.constant(np.array([v], np.int64), f"channel_{v}") for v in (start, stop, 1)]
    return graph.op("Slice", x, *bounds, name=f"{name}_channels")
