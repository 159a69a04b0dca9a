"""A codec's hyper-decoder in integers, by the compiler of decoders.

Symbols are whole numbers within the limits of their part, scales are read as indexes, by thresholds on their grid, and
means are on the grid that the manifest states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_compiler import read_graph
from nvc_check.exporter.graph_reader import Example, GraphReader
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.readout import INDEXES, read_as_indexes
from nvc_check.exporter.lower.site import Role
from nvc_check.exporter.lower.values import FixedGrid, Known
from nvc_check.exporter.network.model import prepared_source
from nvc_check.models.artifacts.package import Part
from nvc_check.models.precision import Precisions

Int64 = NDArray[np.int64]

Z_GRID = FixedGrid(0, -127, 127)


@dataclass(frozen=True)
class EntropyGraph:
    """The hyper-decoder of one part, as it was read; scales and means are integers in steps of 2^exponent."""

    reader: GraphReader
    outputs: dict[str, Known]

    @property
    def scales(self) -> Known:
        return self.outputs["scales_hat"]

    @property
    def means_exponent(self) -> int | None:
        return int(self.outputs["means"].unit[0]) if "means" in self.outputs else None

    def part(self) -> Part:
        return Part(
            y_channels=self.scales.channels,
            z_channels=self.reader.inputs["z"].channels,
            z_min=Z_GRID.low,
            z_max=Z_GRID.high,
            scales_exponent=int(self.scales.unit[0]),
            means_exponent=self.means_exponent,
        )

    def write(self, thresholds: NDArray[np.int32], flavour: str) -> ir.Model:
        """`z` -> `indexes`[, `means`]; thresholds (63,) on the grid of scales."""
        z = self.reader.latent_input("z")
        graph = GraphWriter("entropy", [z])
        values: dict[str, ir.Value] = {}
        self.reader.follow(graph, flavour, {"z": z}, values)
        made: list[tuple[ir.Value, str, ir.DataType, list[int | str]]] = []
        times = self.scales.real[0].shape[2] // self.reader.inputs["z"].real[0].shape[2]
        for name, known in self.outputs.items():
            x, shown = values[known.name], name
            if name == "scales_hat":
                x, shown = read_as_indexes(graph, x, known, thresholds, name), INDEXES
            else:
                x = graph.op("Cast", x, name=f"{name}_int32", to=ir.DataType.INT32)
            made.append((x, shown, ir.DataType.INT32, [1, known.channels, f"{times}*height", f"{times}*width"]))
        return graph.finish(made)


def entropy_graph(fp32: ir.Model, symbols: Sequence[Int64], precisions: Precisions) -> EntropyGraph:
    """The integer form of a hyper-decoder.

    Args:
        symbols: calibration z, (1, N, h, w) each.

    Raises:
        ExportRefusedError: a node without exact form, by name.
    """
    source = prepared_source(ir.to_proto(fp32), "entropy")
    examples: list[Example] = [{"z": z.astype(np.float32)} for z in symbols]
    return EntropyGraph(*read_graph(source, examples, precisions, given={"z": Z_GRID}, role=Role(rounded_once=True)))
