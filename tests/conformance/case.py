"""A conformance case: a small ONNX model, its inputs, and the one result that exact arithmetic allows.

Expected values are literal, or sums of int64; never what some runtime gave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

Array = NDArray[Any]
LARGEST = 2**24 - 1  # the largest magnitude that a certificate lets an accumulator have
OPSET, IR_VERSION = 18, 10  # as the exporter writes


@dataclass(frozen=True)
class Fixed:
    """An operand that is a constant of the graph."""

    array: Array


@dataclass(frozen=True)
class Case:
    """`name` is spelled FILE/CASE; `expected` is what the output `y` must be, bit for bit."""

    name: str
    model: onnx.ModelProto
    inputs: dict[str, Array]
    expected: Array

    def wrong(self, found: Array) -> str:
        """What is wrong with an output, "" where nothing is. -0.0 is 0.0, as in a trace's digests.

        The oracle computes float32 in float64, so a float type is only a float type here.
        """
        if found.dtype.kind != self.expected.dtype.kind or found.shape != self.expected.shape:
            expected = f"{self.expected.dtype} {self.expected.shape}"
            return f"{self.name}: y is {found.dtype} {found.shape}, expected {expected}"
        differ = np.argwhere(~(found == self.expected))  # also where it is NaN
        if not len(differ):
            return ""
        first = tuple(int(i) for i in differ[0])
        return (
            f"{self.name}: {len(differ)} of {found.size} values are wrong; at {first}"
            f" found {found[first]!r}, expected {self.expected[first]!r}"
        )


def f32(values: Any) -> Array:
    """As float32, which must hold them."""
    made = np.asarray(values, np.float64).astype(np.float32)
    assert np.array_equal(made, np.asarray(values, np.float64))
    return made


def i32(values: Any) -> Array:
    return np.array(values, np.int64).astype(np.int32)


def i64(*values: int) -> Fixed:
    """A vector of sizes, axes or positions."""
    return Fixed(np.array(values, np.int64))


def fixed(values: Any, dtype: Any = np.float32) -> Fixed:
    return Fixed(np.asarray(values, dtype))


def one(name: str, op_type: str, operands: Sequence[Array | Fixed], expected: Array, **attributes: Any) -> Case:
    """One node; operands that are not Fixed are the graph's inputs."""
    names = [f"in_{index}" for index in range(len(operands))]
    return chain(
        name, [node(op_type, " ".join(names), "y", **attributes)], dict(zip(names, operands, strict=True)), expected
    )


def in_company(name: str, op_type: str, operands: Sequence[Array | Fixed], expected: Array, **attributes: Any) -> Case:
    """As `one`, with four products by 2 and by 1/2 behind it: ONNX Runtime's OpenVINO provider leaves graphs of
    up to three nodes to the CPU where one of them only moves data.
    """
    names = [f"in_{index}" for index in range(len(operands))]
    nodes = [
        node(op_type, " ".join(names), "moved", **attributes),
        node("Mul", "moved two", "doubled"),
        node("Mul", "doubled two", "fourfold"),
        node("Mul", "fourfold half", "halved"),
        node("Mul", "halved half", "y"),
    ]
    return chain(name, nodes, dict(zip(names, operands, strict=True)) | {"two": fixed(2), "half": fixed(0.5)}, expected)


def chain(name: str, nodes: Sequence[NodeProto], operands: dict[str, Array | Fixed], expected: Array) -> Case:
    """Several nodes that end in `y`; operands by name, those that are not Fixed are the graph's inputs."""
    inputs = {key: value for key, value in operands.items() if not isinstance(value, Fixed)}
    constants = {key: value.array for key, value in operands.items() if isinstance(value, Fixed)}
    graph = helper.make_graph(
        list(nodes),
        name.replace("/", "_"),
        [helper.make_tensor_value_info(key, _kind(value), _shape(key, value)) for key, value in inputs.items()],
        [helper.make_tensor_value_info("y", _kind(expected), [f"y{i}" for i in range(expected.ndim)])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return Case(name, model, inputs, expected)


def node(op_type: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    """`inputs`: names apart by spaces."""
    return helper.make_node(op_type, inputs.split(), [output], f"{output}_node", **attributes)


def _kind(array: Array) -> int:
    return helper.np_dtype_to_tensor_dtype(array.dtype)


def _shape(name: str, array: Array) -> list[int | str]:
    """Pictures have any height and width, as in exported graphs."""
    return [side if array.ndim != 4 or axis < 2 else f"{name}_{axis}" for axis, side in enumerate(array.shape)]
