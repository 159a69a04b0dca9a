"""A codec's decoders of frames in integers, by the compiler of decoders: what a codec adds are the roles of inputs and
outputs.

Symbols are whole numbers within the limits of their part, means are on the grid that the entropy graph gives them on. A
picture is integers from 0 to 255; motion and residual are on the grids of the warp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_compiler import read_graph
from nvc_check.exporter.graph_reader import GraphReader, Grids
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.site import Role
from nvc_check.exporter.lower.values import FixedGrid, Known, PlannedLayer
from nvc_check.exporter.lower.writing import times
from nvc_check.exporter.network.model import prepared_source
from nvc_check.exporter.network.torch_export import part_of_graph
from nvc_check.exporter.warp.graph import SCALE_EXPONENT
from nvc_check.exporter.warp.prediction import Prediction, predicted, predicted_frame, reference_input
from nvc_check.models.artifacts.package import FLAVOURS, FRAME_PEAK, Part
from nvc_check.models.codecs.video import InterDecoders
from nvc_check.models.precision import Precisions

Float64 = NDArray[np.float64]

Y_MAX = 1023  # symbols y are clipped to [-Y_MAX, Y_MAX]: with 16-bit means at 2^-10 they stay below 2^22 steps
CROP = 24  # rows and columns of each calibration latent that are used, from its middle: 384 pixels
WIDE = 32767
RESIDUAL_EXPONENT = -6  # of 8-bit steps of the picture: 16 bits hold 512 of them either way


@dataclass(frozen=True)
class Latents:
    """What a frame is made from.

    Attributes:
        parts: of the stream, by name.
        calibration: part -> y_hat, (1, C, h, w) each.
    """

    parts: Mapping[str, Part]
    calibration: Mapping[str, list[Float64]]


@dataclass(frozen=True)
class FrameGraph:
    """What makes a frame, in integers.

    Attributes:
        flavours: the graph in each.
        layers: in their order; shares are of the multiplications of a decoder.
    """

    flavours: dict[str, ir.Model]
    layers: tuple[PlannedLayer, ...]


def frame_graph(name: str, module: Any, fp32: ir.Model, latents: Latents, precisions: Precisions) -> FrameGraph:
    """The integer form of `fp32`, which makes a frame from latents, and from a reference where `module` has one.

    Raises:
        ExportRefusedError: a node without exact form, by name; a flow unit that is no power of two.
    """
    if isinstance(module, InterDecoders):
        return _inter_graph(name, module, fp32, latents, precisions)
    return _picture_graph(name, fp32, latents, precisions)


def _picture_graph(name: str, fp32: ir.Model, latents: Latents, precisions: Precisions) -> FrameGraph:
    """Of what makes a picture from the latents of one part."""
    picture = FixedGrid(0, 0, FRAME_PEAK)
    reader, outputs = _decoder(fp32, "frame", float(FRAME_PEAK), picture, latents, precisions)
    made = {}
    for flavour in FLAVOURS:
        inputs = {entry: reader.latent_input(entry) for entry in reader.inputs}
        graph = GraphWriter(name, list(inputs.values()))
        values: dict[str, ir.Value] = {}
        reader.follow(graph, flavour, inputs, values)
        frame = graph.op("Cast", values[outputs["frame"].name], name="frame_int32", to=ir.DataType.INT32)
        made[flavour] = graph.finish([(frame, "frame", ir.DataType.INT32, [1, 3, "16*height", "16*width"])])
    return FrameGraph(made, reader.layers)


def _inter_graph(
    name: str, graph: InterDecoders, fp32: ir.Model, latents: Latents, precisions: Precisions
) -> FrameGraph:
    """Of what makes a picture from motion, residual and the reference."""
    motion = motion_of(name, graph, fp32, latents, precisions)
    grid = FixedGrid(RESIDUAL_EXPONENT, -WIDE - 1, WIDE)
    residual = _part_of(graph, fp32, "residual", float(FRAME_PEAK), grid, latents, precisions)
    made = {}
    for flavour in FLAVOURS:
        inputs = {entry: part.reader.latent_input(entry) for part in (motion, residual) for entry in part.reader.inputs}
        given = reference_input()
        writer = GraphWriter(name, [*inputs.values(), given])
        values: dict[str, ir.Value] = {}
        moved, left = (part.real(writer, flavour, inputs, values) for part in (motion, residual))
        made[flavour] = predicted_frame(writer, motion.predicted(writer, given, moved), left)
    return FrameGraph(made, (*motion.reader.layers, *residual.reader.layers))


@dataclass(frozen=True)
class InterPart:
    """A decoder of motion or residual, as it was read."""

    reader: GraphReader
    output: Known
    name: str

    def real(
        self, writer: GraphWriter, flavour: str, inputs: Mapping[str, ir.Value], values: dict[str, ir.Value]
    ) -> ir.Value:
        """What it gives, float32 real numbers on their grids."""
        self.reader.follow(writer, flavour, inputs, values)
        return times(writer, values[self.output.name], np.exp2(self.output.unit), self.name)


@dataclass(frozen=True)
class Motion(InterPart):
    """`prediction`: how a reference is warped by it."""

    prediction: Prediction

    def predicted(self, writer: GraphWriter, reference: ir.Value, real: ir.Value) -> ir.Value:
        return predicted(writer, reference, real, self.prediction)


def motion_of(name: str, graph: InterDecoders, fp32: ir.Model, latents: Latents, precisions: Precisions) -> Motion:
    """The decoder of motion alone, of the predicted frames' graph.

    Raises:
        ExportRefusedError: a node without exact form, by name; a flow unit that is no power of two.
    """
    prediction = Prediction.of(graph, name)
    grid = FixedGrid((*[prediction.flow_exponent] * 2, SCALE_EXPONENT), -WIDE - 1, WIDE)
    part = _part_of(graph, fp32, "motion", 1.0, grid, latents, precisions)
    return Motion(part.reader, part.output, part.name, prediction)


def _part_of(
    graph: InterDecoders,
    fp32: ir.Model,
    name: str,
    gain: float,
    grid: FixedGrid,
    latents: Latents,
    precisions: Precisions,
) -> InterPart:
    own = _prefixed(part_of_graph(fp32, [name], graph.decoders[name]), name)
    reader, outputs = _decoder(own, name, gain, grid, latents, precisions)
    return InterPart(reader, outputs[name], name)


def _decoder(
    fp32: ir.Model,
    output: str,
    gain: float,
    grid: FixedGrid,
    latents: Latents,
    precisions: Precisions,
) -> tuple[GraphReader, dict[str, Known]]:
    """A decoder of latents whose output, times `gain`, is on `grid`."""
    own = ir.from_proto(ir.to_proto(fp32))
    _multiplied(own.graph, output, gain)
    source = prepared_source(ir.to_proto(own), output)
    given: dict[str, FixedGrid] = {}
    examples: list[dict[str, NDArray[np.float32]]] = []
    for entry in source.sizes:
        part = part_of(entry, latents.parts)
        whole = entry.endswith("means")
        exponent = latents.parts[part].means_exponent
        given[entry] = FixedGrid(exponent or 0, -WIDE - 1, WIDE) if whole else FixedGrid(0, -Y_MAX, Y_MAX)
        for number, y_hat in enumerate(latents.calibration[part]):
            middle = _middle(y_hat)
            if number == len(examples):
                examples.append({})
            examples[number][entry] = (middle - np.floor(middle) if whole else np.floor(middle)).astype(np.float32)
    asked: Grids = {output: grid}
    return read_graph(source, [*examples], precisions, given=given, asked=asked, role=Role(keeps_peaks=True))


def part_of(entry: str, parts: Mapping[str, Part]) -> str:
    """The part that a frame graph's input belongs to: `motion.y` says it, `y` is of the first part."""
    part, dot, _ = entry.partition(".")
    return part if dot else next(iter(parts))


def _middle(y_hat: Float64) -> Float64:
    top, left = (max(0, (side - CROP) // 2) for side in y_hat.shape[2:])
    return np.ascontiguousarray(y_hat[:, :, top : top + CROP, left : left + CROP])


def _multiplied(graph: ir.Graph, output: str, gain: float) -> None:
    """The output times a number, which goes into the layer that makes it."""
    value = next(each for each in graph.outputs if each.name == output)
    value.name = f"{output}_before_gain"
    number = ir.Value(name=f"{output}_gain", const_value=ir.tensor(np.array(gain, np.float32), name=f"{output}_gain"))
    graph.register_initializer(number)
    node = ir.node("Mul", [value, number], name=f"{output}_times_gain")
    node.outputs[0].name, node.outputs[0].type, node.outputs[0].shape = output, value.type, value.shape
    graph.append(node)
    graph.outputs[list(graph.outputs).index(value)] = node.outputs[0]


def _prefixed(model: ir.Model, prefix: str) -> ir.Model:
    """The same with `prefix` in the names of its nodes: two decoders are written to one graph."""
    for node in model.graph:
        node.name = f"{prefix}_{node.name}"
    return model
