"""A codec's encoder in integers, by the compiler of decoders: a picture in, its latents out.

y is integers of 16 bits on one grid, which the manifest states; z is rounded to its symbols, which are what an encoder
writes. With the means of the hyper-decoder on a grid too, the symbols of y are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.frame_graph import FrameGraph
from nvc_check.exporter.graph_compiler import read_graph
from nvc_check.exporter.graph_reader import Example
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.values import FixedGrid
from nvc_check.exporter.network.model import prepared_source
from nvc_check.models.artifacts.package import FLAVOURS, FRAME_PEAK, Part
from nvc_check.models.precision import Precisions

CROP = 320  # pixels a side of each calibration picture that are used, from its middle: most of an export's memory
PICTURE_GRID = FixedGrid(0, 0, FRAME_PEAK)


@dataclass(frozen=True)
class AnalysisGraph:
    """`y_exponent`: y is integers in steps of 2^y_exponent."""

    made: FrameGraph
    y_exponent: int


def analysis_graph(
    name: str, fp32: ir.Model, pictures: Sequence[NDArray[np.int32]], part: Part, precisions: Precisions
) -> AnalysisGraph:
    """The integer form of what makes latents of a picture.

    Args:
        pictures: to calibrate on, (1, 3, h, w) in [0, 255] each.
        part: whose latents they are.

    Raises:
        ExportRefusedError: a node without exact form, by name.
    """
    source = prepared_source(ir.to_proto(fp32), name)
    examples: list[Example] = [{"picture": _middle(picture).astype(np.float32)} for picture in pictures]
    z_grid = FixedGrid(0, part.z_min, part.z_max)
    reader, outputs = read_graph(source, examples, precisions, given={"picture": PICTURE_GRID}, asked={"z": z_grid})
    flavours = {}
    for flavour in FLAVOURS:
        picture = reader.latent_input("picture")
        graph = GraphWriter(name, [picture])
        values: dict[str, ir.Value] = {}
        reader.follow(graph, flavour, {"picture": picture}, values)
        made: list[tuple[ir.Value, str, ir.DataType, list[int | str]]] = []
        for output, known in outputs.items():
            x = graph.op("Cast", values[known.name], name=f"{output}_int32", to=ir.DataType.INT32)
            sides: list[int | str] = [f"{output}_height", f"{output}_width"]
            made.append((x, output, ir.DataType.INT32, [1, known.channels, *sides]))
        flavours[flavour] = graph.finish(made)
    return AnalysisGraph(FrameGraph(flavours, reader.layers), int(outputs["y"].unit[0]))


def _middle(picture: NDArray[np.int32]) -> NDArray[np.int32]:
    top, left = (max(0, (side - CROP) // 2) for side in picture.shape[2:])
    return picture[:, :, top : top + CROP, left : left + CROP]
