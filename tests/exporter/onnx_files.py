"""Small float decoders as ONNX files; of what becomes of them, that engines agree, and how near to float it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from property.fuzz import on_onnxruntime, on_oracle

from nvc_check.exporter.graph_compiler import CompiledGraph, compile_graph
from nvc_check.exporter.network.model import prepared_source
from nvc_check.models.precision import Precisions

Array = NDArray[Any]
SIDE = 12
node = helper.make_node


def weights(*shape: int, seed: int = 0, size: float = 0.3) -> Array:
    return np.random.default_rng(seed).normal(0, size, shape).astype(np.float32)


def latents(seed: int, channels: int = 4, side: int = SIDE) -> dict[str, Array]:
    return {"x": np.random.default_rng(seed).normal(0, 2, (1, channels, side, side + 2)).astype(np.float32)}


def model(
    nodes: list[onnx.NodeProto],
    constants: dict[str, Array],
    opset: int = 18,
    shape: Any = (1, 4, "h", "w"),
    **more: Any,
) -> onnx.ModelProto:
    """x -> y, of `shape` and of any."""
    kind = more.get("kind", TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes,
        "decoder",
        [helper.make_tensor_value_info("x", kind, list(shape))],
        [helper.make_tensor_value_info("y", kind, more.get("gives", [None] * 4))],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=more.get("ir", 8))


def compiled(
    made: onnx.ModelProto, examples: list[dict[str, Array]] | None = None, precisions: Precisions | None = None
) -> CompiledGraph:
    return compile_graph(prepared_source(made, "decoder"), [*(examples or map(latents, range(3)))], precisions)


def real(made: CompiledGraph, inputs: dict[str, Array]) -> dict[str, Array]:
    """What the integer graphs give, which all engines and flavours must agree on, as real numbers."""
    given = {
        name: np.clip(np.rint(np.ldexp(inputs[name].astype(np.float64), -grid.exponent)), grid.low, grid.high).astype(
            np.int32
        )
        for name, grid in made.inputs.items()
    }
    results = []
    for graph in made.graphs.values():
        proto = ir.to_proto(graph)
        onnx.checker.check_model(proto, full_check=True)
        results.append(on_oracle(proto, given))
        results += [
            on_onnxruntime(proto.SerializeToString(), given, f"ORT_{level}") for level in ("DISABLE_ALL", "ENABLE_ALL")
        ]
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0] or [], other or [], strict=True))
    grids = made.outputs.items()
    return {n: np.ldexp(a.astype(np.float64), g.exponent) for (n, g), a in zip(grids, results[0] or [], strict=True)}


def decibels(made: CompiledGraph, source: onnx.ModelProto, inputs: dict[str, Array]) -> float:
    """Of y against ONNX Runtime's run of the file; the shapes must be the same."""
    (wanted,), found = on_onnxruntime(source.SerializeToString(), inputs, "ORT_DISABLE_ALL"), real(made, inputs)["y"]
    assert found.shape == wanted.shape
    return float(10 * np.log10(np.var(wanted) / np.mean((found - wanted) ** 2)))
