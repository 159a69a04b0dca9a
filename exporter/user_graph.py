"""A float ONNX graph in memory -> its exact integer form."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_compiler import CompiledGraph, compile_graph
from nvc_check.exporter.network.model import prepared_source
from nvc_check.models.precision import Precisions


def quantize_user_graph(
    model: ir.Model, calibration: list[Mapping[str, NDArray[np.float32]]], precisions: Precisions | None = None
) -> CompiledGraph:
    """compile_graph of a model that is not a file."""
    return compile_graph(prepared_source(ir.to_proto(model), model.graph.name or "decoder"), calibration, precisions)
