"""The leg `exact`: evaluates an integer graph in float64, asserting that nothing was rounded.

Every convolution and matrix product is computed on integers: weights and inputs are scaled to their finest common
grid, and the largest possible sum is checked against 2^53, so that float64 has no choice but the exact result. All
other operators are computed on float64 values, far finer than any grid whose integers stay below 2^24.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import RunFailedError
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, RanNode, Runnable, Tensors, checked_options
from nvc_check.runtimes.oracle.operators import OPERATORS, as_exact
from nvc_check.runtimes.oracle.sums import SUMS, channel_reach, channel_steps, exact_sum, grid_exponent

Array = NDArray[Any]
KNOBS: Knobs = {"flavour": ("qdq", "carrier")}


def open_engine(spec: LegSpec, package: Package) -> Oracle:
    options = checked_options(spec, KNOBS)
    return Oracle(options.get("flavour", "qdq"), package.manifest.exact)


class Oracle:
    """Engine of the leg `exact`; runs the integer path only. Graphs marked inexact are computed, not asserted."""

    paths = ("int",)

    def __init__(self, flavour: str, exact: bool) -> None:
        self.flavour = flavour
        self._exact = exact
        arithmetic = "float64, asserted exact" if exact else "float64"
        self.info = EngineInfo("nvc-check oracle", f"numpy {np.__version__}", "cpu", {"arithmetic": arithmetic})

    def load(self, model: Path, graph: str) -> Runnable:
        return ExactGraph.read(model, self._exact)


class ExactGraph:
    """An ONNX graph as a function.

    Args:
        assert_exact: raise RunFailedError where a sum of products could round in float64; not for inexact graphs.

    Attributes:
        largest: by name of a Conv, ConvTranspose or MatMul node, the largest magnitude that its accumulator had at the
            end, bias included, over all calls: in steps of the output channel's grid, as the certificate's bound is.
    """

    def __init__(self, model: onnx.ModelProto, assert_exact: bool = True) -> None:
        self.graph = model.graph
        self.assert_exact = assert_exact
        self.largest: dict[str, float] = {}
        self.constants = {item.name: as_exact(numpy_helper.to_array(item)) for item in model.graph.initializer}
        self.integer_outputs = [output.name for output in model.graph.output]
        unknown = sorted({node.op_type for node in model.graph.node} - OPERATORS.keys() - SUMS.keys())
        if unknown:
            raise RunFailedError(f"oracle: no exact evaluation of {', '.join(unknown)} in graph {model.graph.name}")
        self._steps = [_Step(node) for node in model.graph.node]
        last: dict[str, int] = {}
        for position, node in enumerate(model.graph.node):
            last.update(dict.fromkeys(node.input, position))
        kept = {"", *self.constants, *self.integer_outputs}
        for name, position in last.items():
            if name not in kept:
                self._steps[position].frees.append(name)

    @classmethod
    def read(cls, file: Path, assert_exact: bool = True) -> ExactGraph:
        """Raises RunFailedError where `file` is not a whole ONNX model, or has nodes without exact evaluation."""
        try:
            model = onnx.load(file)
        except Exception as error:  # protobuf raises a class of its own
            raise RunFailedError(f"{file.name}: not a whole ONNX model ({error}); export the package again") from error
        return cls(model, assert_exact)

    def __call__(self, inputs: Tensors) -> Tensors:
        values: dict[str, Array] = {**self.constants, **{name: as_exact(array) for name, array in inputs.items()}}
        for step in self._steps:
            arguments = [values[name] if name else None for name in step.inputs]
            if step.op_type in SUMS:
                result: Any = self._sum(step, arguments)
            else:
                result = OPERATORS[step.op_type](step.attributes, *arguments)
            outputs = result if isinstance(result, list) else [result]
            values.update(zip(step.outputs, outputs, strict=True))
            for name in step.frees:
                values.pop(name, None)
        return {name: values[name] for name in self.integer_outputs}

    def ran(self) -> tuple[RanNode, ...]:
        """Every node, in float64."""
        named = ((node.name or node.output[0], node.op_type) for node in self.graph.node)
        return tuple(RanNode(name, op_type, "numpy", "float64") for name, op_type in named)

    def _sum(self, step: _Step, arguments: list[Any]) -> Array:
        x, weight = (array.astype(np.float64, copy=False) for array in arguments[:2])
        bias = arguments[2].reshape(1, -1, 1, 1) if len(arguments) > 2 and arguments[2] is not None else None
        if not self.assert_exact:
            total = SUMS[step.op_type](x, weight, step.attributes)
            return total if bias is None else total + bias
        total, exponent = exact_sum(step.op_type, step.name, step.attributes, x, weight)
        if bias is not None:
            total += np.ldexp(bias, -exponent)
        of_weights = grid_exponent(weight)
        of_bias = None if bias is None else np.ldexp(bias, of_weights - exponent)
        reached = np.ldexp(channel_reach(total, step.op_type), of_weights)
        steps = reached / channel_steps(step.op_type, step.attributes, weight, of_bias)
        self.largest[step.name] = max(float(steps.max(initial=0)), self.largest.get(step.name, 0.0))
        return np.ldexp(total, exponent, out=total)


class _Step:
    """A node, read once: protobuf's attributes are slow to take apart."""

    def __init__(self, node: onnx.NodeProto) -> None:
        self.op_type, self.name = node.op_type, node.name
        self.inputs, self.outputs = list(node.input), list(node.output)
        self.attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if self.op_type == "Split":  # before opset 18 only its outputs say how many there are
            self.attributes.setdefault("num_outputs", len(self.outputs))
        self.frees: list[str] = []  # values that no later node reads
