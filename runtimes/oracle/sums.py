"""The operators that sum products, on float64: Conv, ConvTranspose and MatMul, for any group, stride and dilation.

Exact as long as the operands are integers and no sum of magnitudes reaches 2^53, which `exact_sum` sees to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.errors import RunFailedError
from nvc_check.models.grid import FLOAT64_EXACT, finest_exponents

Array = NDArray[Any]
_BITS = 40  # of the integers with which a grid is looked for first


def exact_sum(op_type: str, name: str, attributes: dict[str, Any], x: Array, weight: Array) -> tuple[Array, int]:
    """(the sum without bias as integers in float64, exponent of their grid).

    Raises:
        RunFailedError: sums of magnitudes reach 2^53, so that float64 could have rounded.
    """
    e_x, e_w = grid_exponent(x), grid_exponent(weight)
    whole_x, whole_w = (np.ldexp(values, -e) if e else values for values, e in ((x, e_x), (weight, e_w)))
    if _weight_sum(op_type, attributes, whole_w) * _reach(whole_x) >= FLOAT64_EXACT:
        raise RunFailedError(f"oracle: node {name} has sums above 2^53, so float64 would round")
    return SUMS[op_type](whole_x, whole_w, attributes), e_x + e_w


def grid_exponent(values: Array) -> int:
    """The largest e such that every value is an integer x 2^e; 0 for none and for zeros."""
    reach = _reach(values)
    if reach == 0 or not np.isfinite(reach):
        return 0
    guess = int(np.frexp(reach)[1]) - _BITS
    scaled = np.ldexp(values, -guess)
    integers = scaled.astype(np.int64)
    if np.array_equal(integers, scaled):  # fewer passes than taking every number apart
        bits = int(np.bitwise_or.reduce(integers, axis=None))
        return guess + (bits & -bits).bit_length() - 1
    return int(finest_exponents(values.reshape(-1)))


def channel_reach(total: Array, op_type: str) -> Array:
    """The largest magnitude of each output channel, of all together in a MatMul of any rank but 2."""
    if op_type == "MatMul":
        return np.abs(total).max(axis=0, initial=0) if total.ndim == 2 else np.array([_reach(total)])
    found: Array = np.maximum(total.max(axis=(0, 2, 3), initial=0), -total.min(axis=(0, 2, 3), initial=0))
    return found


def channel_steps(op_type: str, attributes: dict[str, Any], weight: Array, bias: Array | None) -> Array:
    """The grid that weights and bias of each output channel span, as its step, for inputs that are integers."""
    if op_type == "MatMul":
        rows = weight.T if weight.ndim == 2 else weight.reshape(1, -1)
    elif op_type == "ConvTranspose":
        apart = weight.reshape(attributes.get("group", 1), -1, *weight.shape[1:]).swapaxes(1, 2)
        rows = apart.reshape(apart.shape[0] * apart.shape[1], -1)
    else:
        rows = weight.reshape(weight.shape[0], -1)
    exponents = finest_exponents(rows)
    if bias is not None:
        exponents = np.minimum(exponents, finest_exponents(bias.reshape(-1, 1)))
    steps: Array = np.exp2(exponents)
    return steps


def _reach(values: Array) -> float:
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def _weight_sum(op_type: str, attributes: dict[str, Any], weight: Array) -> float:
    """The largest sum of abs(weight) of one output."""
    magnitudes = np.abs(weight)
    if op_type == "MatMul":
        return float(magnitudes.sum(axis=-2 if weight.ndim > 1 else None).max(initial=0))
    if op_type == "ConvTranspose":
        grouped = magnitudes.reshape(attributes.get("group", 1), -1, *weight.shape[1:])
        return float(grouped.sum(axis=(1, *range(3, grouped.ndim))).max(initial=0))
    return float(magnitudes.reshape(weight.shape[0], -1).sum(axis=1).max(initial=0))


def convolution(x: Array, weight: Array, attributes: dict[str, Any]) -> Array:
    """ONNX Conv in two dimensions: x (N, C, H, W), weight (O, C/group, k, k), without bias."""
    _check_dimensions(x)
    top, left, bottom, right = _pads(attributes)
    stride, dilation = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    group = attributes.get("group", 1)
    if any((top, left, bottom, right)):
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    size = [dilation[i] * (weight.shape[2 + i] - 1) + 1 for i in (0, 1)]
    if x.shape[2] < size[0] or x.shape[3] < size[1]:
        raise RunFailedError(f"oracle: Conv of {size[0]}x{size[1]} does not fit in {x.shape[2]}x{x.shape[3]}")
    height, width = ((x.shape[2 + i] - size[i]) // stride[i] + 1 for i in (0, 1))
    grouped = x.reshape(x.shape[0], group, -1, *x.shape[2:])
    filters = weight.reshape(group, -1, *weight.shape[1:])
    total = np.zeros((x.shape[0], group, filters.shape[1], height * width))
    for row in range(weight.shape[2]):
        for column in range(weight.shape[3]):
            tap = np.ascontiguousarray(filters[..., row, column])  # BLAS takes no other, numpy's own loop is slow
            if not tap.any():
                continue
            rows = _span(row * dilation[0], stride[0], height)
            columns = _span(column * dilation[1], stride[1], width)
            total += tap @ grouped[..., rows, columns].reshape(*grouped.shape[:3], -1)
    return total.reshape(x.shape[0], -1, height, width)


def transposed_convolution(x: Array, weight: Array, attributes: dict[str, Any]) -> Array:
    """ONNX ConvTranspose in two dimensions: x (N, C, H, W), weight (C, O/group, k, k), without bias."""
    _check_dimensions(x)
    stride, dilation = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    top, left, bottom, right = _pads(attributes)
    if attributes.get("output_shape"):
        raise RunFailedError("oracle: ConvTranspose with output_shape has no evaluation")
    extra, group = attributes.get("output_padding", [0, 0]), attributes.get("group", 1)
    size = [dilation[i] * (weight.shape[2 + i] - 1) + 1 for i in (0, 1)]
    shape = [stride[i] * (x.shape[2 + i] - 1) + size[i] + extra[i] for i in (0, 1)]
    filters = weight.reshape(group, -1, *weight.shape[1:]).swapaxes(1, 2)  # (group, O/group, C/group, k, k)
    flat = x.reshape(x.shape[0], group, x.shape[1] // group, -1)
    total = np.zeros((x.shape[0], group * filters.shape[1], *shape))
    for row in range(weight.shape[2]):
        for column in range(weight.shape[3]):
            tap = np.ascontiguousarray(filters[..., row, column])
            if not tap.any():
                continue
            rows = _span(row * dilation[0], stride[0], x.shape[2])
            columns = _span(column * dilation[1], stride[1], x.shape[3])
            total[:, :, rows, columns] += (tap @ flat).reshape(x.shape[0], -1, *x.shape[2:])
    return total[:, :, top : shape[0] - bottom, left : shape[1] - right]


def _check_dimensions(x: Array) -> None:
    if x.ndim != 4:
        raise RunFailedError(f"oracle: a convolution in {x.ndim - 2} dimensions has no evaluation, only in two")


def _pads(attributes: dict[str, Any]) -> list[int]:
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise RunFailedError("oracle: auto_pad has no evaluation; export with explicit pads")
    pads: list[int] = attributes.get("pads", [0, 0, 0, 0])
    return pads


def _span(start: int, step: int, count: int) -> slice:
    return slice(start, start + step * (count - 1) + 1, step)


SUMS: dict[str, Callable[[Array, Array, dict[str, Any]], Array]] = {
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "MatMul": lambda a, b, _: a @ b,
}
