"""The leg `exact`: evaluates an integer graph in float64, asserting that nothing was rounded.

Every convolution is computed on integers: weights and inputs are scaled to their finest common grid, and the
largest possible sum is checked against 2^53, so that float64 has no choice but the exact result.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from nvc_check.models.errors import RunFailedError
from nvc_check.models.grid import FLOAT64_EXACT, finest_exponents
from nvc_check.models.package import Package
from nvc_check.runtimes.leg import EngineInfo, LegSpec, Runnable, Tensors, checked_options

Array = NDArray[Any]


def open_engine(spec: LegSpec, package: Package) -> Oracle:
    options = checked_options(spec, {"flavour": ("qdq", "carrier")})
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
        assert_exact: raise RunFailedError where a convolution could round in float64 (graphs marked inexact: False).
    """

    def __init__(self, model: onnx.ModelProto, assert_exact: bool = True) -> None:
        self.graph = model.graph
        self.assert_exact = assert_exact
        self.constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
        self.integer_outputs = [output.name for output in model.graph.output]
        unknown = sorted({node.op_type for node in model.graph.node} - OPERATORS.keys() - {"Conv", "ConvTranspose"})
        if unknown:
            raise RunFailedError(f"oracle: no exact evaluation of {', '.join(unknown)} in graph {model.graph.name}")
        last: dict[str, int] = {}
        for position, node in enumerate(model.graph.node):
            last.update(dict.fromkeys(node.input, position))
        self.last_use = last

    @classmethod
    def read(cls, file: Path, assert_exact: bool = True) -> ExactGraph:
        """Raises RunFailedError where `file` is not a whole ONNX model, or has nodes without exact evaluation."""
        try:
            model = onnx.load(file)
        except Exception as error:  # protobuf raises a class of its own
            raise RunFailedError(f"{file.name}: not a whole ONNX model ({error}); export the package again") from error
        return cls(model, assert_exact)

    def __call__(self, inputs: Tensors) -> Tensors:
        values: dict[str, Array] = {**self.constants, **inputs}
        for position, node in enumerate(self.graph.node):
            arguments = [values[name] for name in node.input if name]
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type in ("Conv", "ConvTranspose"):
                result: Any = self._convolution(node, arguments, attributes)
            else:
                result = OPERATORS[node.op_type](attributes, *arguments)
            outputs = result if isinstance(result, list) else [result]
            values.update(zip(node.output, outputs, strict=True))
            for name in node.input:
                if self.last_use[name] == position and name not in self.constants:
                    values.pop(name, None)
        return {name: values[name] for name in self.integer_outputs}

    def _convolution(self, node: onnx.NodeProto, arguments: list[Array], attributes: dict[str, Any]) -> Array:
        x, weight = arguments[0].astype(np.float64), arguments[1].astype(np.float64)
        compute = transposed_convolution if node.op_type == "ConvTranspose" else convolution
        if self.assert_exact:
            e_x, e_w = (int(finest_exponents(values.reshape(-1))) for values in (x, weight))
            x, weight = np.ldexp(x, -e_x), np.ldexp(weight, -e_w)
            axis = 1 if node.op_type == "ConvTranspose" else 0
            largest = float(np.abs(np.moveaxis(weight, axis, 0)).reshape(weight.shape[axis], -1).sum(axis=1).max())
            if largest * float(np.abs(x).max(initial=0)) >= FLOAT64_EXACT:
                raise RunFailedError(f"oracle: node {node.name} has sums above 2^53, so float64 would round")
            total = np.ldexp(compute(x, weight, attributes), e_x + e_w)
        else:
            total = compute(x, weight, attributes)
        if len(arguments) > 2:
            total = total + arguments[2].reshape(1, -1, 1, 1)
        return total


def convolution(x: Array, weight: Array, attributes: dict[str, Any]) -> Array:
    """ONNX Conv, group 1, dilation 1: x (1, C, H, W), weight (O, C, k, k), float64, without bias."""
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    stride = attributes.get("strides", [1, 1])
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    height = (padded.shape[2] - weight.shape[2]) // stride[0] + 1
    width = (padded.shape[3] - weight.shape[3]) // stride[1] + 1
    total = np.zeros((weight.shape[0], height * width))
    for row in range(weight.shape[2]):
        for column in range(weight.shape[3]):
            rows = slice(row, row + stride[0] * (height - 1) + 1, stride[0])
            columns = slice(column, column + stride[1] * (width - 1) + 1, stride[1])
            total += weight[:, :, row, column] @ padded[0, :, rows, columns].reshape(x.shape[1], -1)
    return total.reshape(1, -1, height, width)


def transposed_convolution(x: Array, weight: Array, attributes: dict[str, Any]) -> Array:
    """ONNX ConvTranspose, group 1, dilation 1: x (1, C, H, W), weight (C, O, k, k), float64, without bias."""
    stride, size = attributes.get("strides", [1, 1]), weight.shape[2:]
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    extra = attributes.get("output_padding", [0, 0])
    shape = [stride[i] * (x.shape[2 + i] - 1) + size[i] + extra[i] for i in (0, 1)]
    total = np.zeros((1, weight.shape[1], *shape))
    flat = x[0].reshape(x.shape[1], -1)
    for row in range(size[0]):
        for column in range(size[1]):
            part = (weight[:, :, row, column].T @ flat).reshape(1, -1, *x.shape[2:])
            rows = slice(row, row + stride[0] * (x.shape[2] - 1) + 1, stride[0])
            columns = slice(column, column + stride[1] * (x.shape[3] - 1) + 1, stride[1])
            total[:, :, rows, columns] += part
    return total[:, :, top : shape[0] - bottom, left : shape[1] - right]


def _channelwise(parameter: Array, attributes: dict[str, Any], rank: int) -> Array:
    if parameter.ndim == 0:
        return parameter
    shape = [1] * rank
    shape[attributes.get("axis", 1)] = -1
    return parameter.reshape(shape)


def _quantize(attributes: dict[str, Any], x: Array, scale: Array, zero: Array) -> Array:
    """ONNX QuantizeLinear: saturate(round_half_even(x / scale) + zero_point)."""
    limits = np.iinfo(zero.dtype)
    ratio = x.astype(np.float64) / _channelwise(scale.astype(np.float64), attributes, x.ndim)
    shifted = np.rint(ratio) + _channelwise(zero.astype(np.float64), attributes, x.ndim)
    saturated: Array = np.clip(shifted, limits.min, limits.max).astype(zero.dtype)
    return saturated


def _dequantize(attributes: dict[str, Any], x: Array, scale: Array, zero: Array | None = None) -> Array:
    shift = 0.0 if zero is None else _channelwise(zero.astype(np.float64), attributes, x.ndim)
    return (x.astype(np.float64) - shift) * _channelwise(scale.astype(np.float64), attributes, x.ndim)


def _slice(attributes: dict[str, Any], x: Array, starts: Array, ends: Array, axes: Array) -> Array:
    where = [slice(None)] * x.ndim
    for start, end, axis in zip(starts, ends, axes, strict=True):
        where[int(axis)] = slice(int(start), int(end))
    return x[tuple(where)]


def _depth_to_space(attributes: dict[str, Any], x: Array) -> Array:
    """ONNX DepthToSpace in DCR mode."""
    if attributes.get("mode", b"DCR") != b"DCR":
        raise RunFailedError("oracle: DepthToSpace in CRD mode has no evaluation")
    block = attributes["blocksize"]
    n, c, h, w = x.shape
    apart = x.reshape(n, block, block, c // block**2, h, w)
    return apart.transpose(0, 3, 4, 1, 5, 2).reshape(n, c // block**2, h * block, w * block)


def _cast(attributes: dict[str, Any], x: Array) -> Array:
    target = onnx.helper.tensor_dtype_to_np_dtype(attributes["to"])
    return x.astype(np.float64 if target == np.float32 else target)


def _pad(attributes: dict[str, Any], x: Array, pads: Array) -> Array:
    half = len(pads) // 2
    return np.pad(x, [(int(pads[i]), int(pads[half + i])) for i in range(half)])


OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": lambda _, a, b: a + b,
    "Cast": _cast,
    "Ceil": lambda _, x: np.ceil(x),
    "Clip": lambda _, x, low, high: np.clip(x, low, high),
    "Concat": lambda attributes, *parts: np.concatenate(parts, axis=attributes["axis"]),
    "DepthToSpace": _depth_to_space,
    "DequantizeLinear": _dequantize,
    "Floor": lambda _, x: np.floor(x),
    "Gather": lambda attributes, data, index: np.take(data, index, axis=attributes.get("axis", 0)),
    "Max": lambda _, a, b: np.maximum(a, b),
    "Mul": lambda _, a, b: a * b,
    "Pad": _pad,
    "QuantizeLinear": _quantize,
    "Relu": lambda _, x: np.maximum(x, 0),
    "Slice": _slice,
    "Sub": lambda _, a, b: a - b,
}
