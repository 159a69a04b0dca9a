"""How scales leave a graph: as indexes of entropy tables, by thresholds on their grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.values import WIDE, Known
from nvc_check.models.artifacts.tables import Float32, Int32, indexes_from_scales, integer_thresholds

INDEXES = "indexes"


@dataclass(frozen=True)
class ScalesOutput:
    """The output `name` is scales, which the integer graph gives as `indexes`: how many of `thresholds` are below.

    Attributes:
        thresholds: (n,) float32, ascending.
    """

    name: str
    thresholds: Float32

    def named(self, outputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Float outputs, with indexes in the place of scales."""
        made = {}
        for name, array in outputs.items():
            is_scales = name == self.name
            made[INDEXES if is_scales else name] = indexes_from_scales(array, self.thresholds) if is_scales else array
        return made

    def known(self, scales: Known, real: list[NDArray[Any]]) -> Known:
        """The indexes over the calibration; `real`: what the float graph gives."""
        steps = integer_thresholds(self.thresholds, int(scales.unit[0]))
        made = [np.searchsorted(steps, each, side="left").astype(np.float64) for each in scales.integers]
        wanted = [indexes_from_scales(each, self.thresholds).astype(np.float64) for each in real]
        return Known(INDEXES, np.zeros(scales.channels), wanted, made, 0, len(self.thresholds))


def read_as_indexes(graph: GraphWriter, scales: ir.Value, known: Known, thresholds: Int32, name: str) -> ir.Value:
    """int32 indexes of the scales `name`; thresholds (n,) on the grid of `known`."""
    highest = known.high if known.high <= WIDE else min(known.high, max(0, int(thresholds[-1]) + 1))
    table = np.searchsorted(thresholds, np.arange(highest + 1), side="left").astype(np.int32)
    within = graph.op("Clip", scales, graph.scalar(0), graph.scalar(highest), name="scales_in_table")
    whole = graph.op("Cast", within, name=f"{name}_int32", to=ir.DataType.INT32)
    return graph.op("Gather", graph.constant(table, "index_of_scale"), whole, name="indexes_lookup", axis=0)
