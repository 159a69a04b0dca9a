"""A codec's encoders in integers, by the compiler of decoders: what an encoder sees in, its latents out.

y is integers of 16 bits on one grid, which the manifest states; z is rounded to its symbols, which are what an encoder
writes. With the means of the hyper-decoder on a grid too, the symbols of y are the same on every machine. A residual is
what is left of a picture when its prediction, by the decoder's own motion and warp, is taken from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.frame_graph import FrameGraph, Motion
from nvc_check.exporter.graph_compiler import read_graph
from nvc_check.exporter.graph_reader import Example
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.values import FixedGrid
from nvc_check.exporter.network.model import prepared_source
from nvc_check.exporter.warp.prediction import reference_input
from nvc_check.exporter.warp.pyramid import STEPS
from nvc_check.models.artifacts.package import FLAVOURS, FRAME_PEAK, Part
from nvc_check.models.motion import LARGEST
from nvc_check.models.precision import Precisions

CROP = 320  # pixels a side of what was seen that are used, from its middle: most of an export's memory
PICTURE, REFERENCE, DIFFERENCE = "picture", "reference", "difference"
MOST = STEPS * FRAME_PEAK
GRIDS = {
    PICTURE: FixedGrid(0, 0, FRAME_PEAK),
    REFERENCE: FixedGrid(0, 0, FRAME_PEAK),
    "flow": FixedGrid(0, -LARGEST, LARGEST),
    DIFFERENCE: FixedGrid(0, -MOST, MOST),
}


@dataclass(frozen=True)
class AnalysisGraph:
    """`y_exponent`: y is integers in steps of 2^y_exponent."""

    made: FrameGraph
    y_exponent: int


def analysis_graph(
    name: str,
    fp32: ir.Model,
    seen: Sequence[Mapping[str, NDArray[np.int32]]],
    part: Part,
    precisions: Precisions,
    motion: Motion | None = None,
) -> AnalysisGraph:
    """The integer form of an encoder.

    Args:
        seen: inputs to calibrate on, integers within GRIDS, (1, C, h, w) each.
        part: whose latents they are.
        motion: of a residual, whose `difference` is computed in the graph.

    Raises:
        ExportRefusedError: a node without exact form, by name.
    """
    source = prepared_source(ir.to_proto(fp32), name)
    examples: list[Example] = [{key: _middle(x).astype(np.float32) for key, x in each.items()} for each in seen]
    given = {key: GRIDS[key] for key in source.sizes}
    z_grid = FixedGrid(0, part.z_min, part.z_max)
    reader, outputs = read_graph(source, examples, precisions, given=given, asked={"z": z_grid})
    flavours = {}
    for flavour in FLAVOURS:
        inputs = {key: reader.latent_input(key) for key in reader.inputs if key != DIFFERENCE}
        values: dict[str, ir.Value] = {}
        if motion is None:
            graph = GraphWriter(name, list(inputs.values()))
        else:
            picture, reference = _picture_input(), reference_input()
            inputs = {PICTURE: picture, **{key: motion.reader.latent_input(key) for key in motion.reader.inputs}}
            graph = GraphWriter(name, [*inputs.values(), reference])
            values[DIFFERENCE] = _difference(graph, motion, flavour, inputs, reference)
        reader.follow(graph, flavour, inputs, values)
        made: list[tuple[ir.Value, str, ir.DataType, list[int | str]]] = []
        for output, known in outputs.items():
            x = graph.op("Cast", values[known.name], name=f"{output}_int32", to=ir.DataType.INT32)
            sides: list[int | str] = [f"{output}_height", f"{output}_width"]
            made.append((x, output, ir.DataType.INT32, [1, known.channels, *sides]))
        flavours[flavour] = graph.finish(made)
    return AnalysisGraph(FrameGraph(flavours, reader.layers), int(outputs["y"].unit[0]))


def _picture_input() -> ir.Value:
    given = reference_input()
    return ir.Value(name=PICTURE, type=given.type, shape=given.shape)


def _difference(
    graph: GraphWriter, motion: Motion, flavour: str, inputs: Mapping[str, ir.Value], reference: ir.Value
) -> ir.Value:
    """(1, 3, H, W) in steps of the prediction."""
    real = graph.op("Cast", inputs[PICTURE], name="picture_float", to=ir.DataType.FLOAT)
    picture = graph.op("Clip", real, graph.scalar(0), graph.scalar(FRAME_PEAK), name="picture_clipped")
    moved = motion.real(graph, flavour, inputs, {})
    left = graph.op("Sub", picture, motion.predicted(graph, reference, moved), name="picture_less_predicted")
    steps = graph.op("Mul", left, graph.scalar(STEPS), name=f"{DIFFERENCE}_steps")
    return graph.op("Clip", steps, graph.scalar(-MOST), graph.scalar(MOST), name=DIFFERENCE)


def _middle(seen: NDArray[np.int32]) -> NDArray[np.int32]:
    top, left = (max(0, (side - CROP) // 2) for side in seen.shape[2:])
    return seen[:, :, top : top + CROP, left : left + CROP]
