"""Writes an ONNX graph node by node, with one initializer per distinct constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.tape import Tape

from nvc_check.models.errors import ExportRefusedError

OPSET = 18
IR_VERSION = 10  # of ONNX 1.16: read by every ONNX Runtime since 1.18


def same_name(name: str) -> str:
    return f"two tensors would be called {name}; expected inputs, nodes and outputs with names apart"


class GraphWriter:
    """Nodes and constants in the order in which they are written; names are stable, so bytes are."""

    def __init__(self, name: str, inputs: Sequence[ir.Value]) -> None:
        self.name = name
        self.inputs = list(inputs)
        self._tape = Tape()
        self._names = {str(value.name) for value in inputs}
        self._constants: dict[tuple[str, bytes], ir.Value] = {}
        self._initializers: list[ir.Value] = []

    def op(self, op_type: str, *inputs: ir.Value, name: str, **attributes: Any) -> ir.Value:
        """Raises ExportRefusedError where another tensor has that name."""
        self._take(name)
        value = self._tape.op(op_type, inputs, attributes, name=name)
        value.name = name
        return value

    def _take(self, name: str) -> None:
        if name in self._names:
            raise ExportRefusedError(same_name(name))
        self._names.add(name)

    def constant(self, array: NDArray[Any], name: str) -> ir.Value:
        key = (f"{array.dtype}{array.shape}", array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.own(array, name)
        return self._constants[key]

    def own(self, array: NDArray[Any], name: str) -> ir.Value:
        """A constant that no other node reads, though another may be equal."""
        while name in self._names:  # as of scalars that differ in the seventh digit
            name += "_"
        self._take(name)
        value = ir.Value(name=name, const_value=ir.tensor(array, name=name))
        value.shape = ir.Shape(array.shape)
        value.dtype = ir.DataType.from_numpy(array.dtype)
        self._initializers.append(value)
        return value

    def scalar(self, number: float) -> ir.Value:
        return self.constant(np.array(number, np.float32), f"c_{number:g}")

    def write_into(self, graph: ir.Graph) -> None:
        """Adds what was written to a graph whose values were read; the inputs stand behind the graph's own."""
        graph.inputs.extend(self.inputs)
        graph.extend(self._tape.nodes)
        for value in self._initializers:
            graph.register_initializer(value)

    def finish(self, outputs: Sequence[tuple[ir.Value, str, ir.DataType, Sequence[int | str]]]) -> ir.Model:
        """The model with `outputs`: (value, name, dtype, shape) each."""
        for value, name, dtype, shape in outputs:
            if value.name != name:
                self._take(name)
            value.name, value.dtype, value.shape = name, dtype, ir.Shape(shape)
        graph = ir.Graph(
            self.inputs,
            [value for value, *_ in outputs],
            nodes=self._tape.nodes,
            initializers=self._initializers,
            opset_imports={"": OPSET},
            name=self.name,
        )
        return ir.Model(graph, ir_version=IR_VERSION, producer_name="nvc-check")
