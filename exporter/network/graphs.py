"""What is asked of a float graph, and constants put into it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def array_of(value: ir.Value | None) -> NDArray[Any] | None:
    return None if value is None or value.const_value is None else value.const_value.numpy()


def only_reader(graph: ir.Graph, value: ir.Value) -> ir.Node | None:
    """The one node that reads a tensor; None where there are more, or it is an output of the graph."""
    readers = [use.node for use in value.uses()]
    return readers[0] if len(readers) == 1 and value not in graph.outputs else None


def by_channel(array: NDArray[Any] | None, source: ir.Value, width: int) -> Float64 | None:
    """(C,) of a constant that is one number or one per channel."""
    if array is None or source.shape is None:
        return None
    shape = (1,) * (len(source.shape) - array.ndim) + array.shape
    if (
        len(shape) != len(source.shape)
        or shape[0] != 1
        or any(size != 1 for size in shape[2:])
        or shape[1] not in (1, width)
    ):
        return None
    return np.broadcast_to(array.astype(np.float64).reshape(-1), width).copy()


def set_constant(graph: ir.Graph, node: ir.Node, index: int, array: Float64 | NDArray[np.int64]) -> None:
    """A new constant as the node's input: float32, or sizes as they are."""
    value = ir.Value(name=f"{node.name or node.outputs[0].name}_constant_{index}")
    while value.name in graph.initializers:
        value.name = f"{value.name}_"
    kind = array.dtype if array.dtype == np.int64 else np.dtype(np.float32)
    value.const_value = ir.tensor(np.ascontiguousarray(array.astype(kind)), name=value.name)
    value.shape, value.dtype = ir.Shape(array.shape), ir.DataType.from_numpy(kind)
    graph.register_initializer(value)
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    node.replace_input_with(index, value)
