"""ONNX operators for the oracle, as the operator specification defines them: (attributes, inputs) -> result or list.

Real numbers are float64, whatever float type the graph declares; integers and booleans keep their type. A missing
optional input is None. https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import numpy_helper

from nvc_check.models.errors import RunFailedError

Array = NDArray[Any]
Attributes = dict[str, Any]


def as_exact(array: Array) -> Array:
    """Float tensors as float64, which holds all their values; others as they are."""
    return array.astype(np.float64) if array.dtype.kind == "f" and array.dtype != np.float64 else array


def _channelwise(parameter: Array, attributes: Attributes, rank: int) -> Array:
    if parameter.ndim == 0:
        return parameter
    shape = [1] * rank
    shape[attributes.get("axis", 1)] = -1
    return parameter.reshape(shape)


def _quantize(attributes: Attributes, x: Array, scale: Array, zero: Array) -> Array:
    """saturate(round_half_even(x / scale) + zero_point)."""
    limits = np.iinfo(zero.dtype)
    ratio = x / _channelwise(scale, attributes, x.ndim)
    np.rint(ratio, out=ratio)
    ratio += _channelwise(zero.astype(np.float64), attributes, x.ndim)
    return np.clip(ratio, limits.min, limits.max, out=ratio).astype(zero.dtype)


def _dequantize(attributes: Attributes, x: Array, scale: Array, zero: Array | None = None) -> Array:
    result = x.astype(np.float64)
    if zero is not None and zero.any():
        result -= _channelwise(zero.astype(np.float64), attributes, x.ndim)
    result *= _channelwise(scale, attributes, x.ndim)
    return result


def _cast(attributes: Attributes, x: Array) -> Array:
    target = onnx.helper.tensor_dtype_to_np_dtype(attributes["to"])
    return x.astype(np.float64 if target.kind == "f" else target)


def _clip(_: Attributes, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    """min(max(x, low), high): high wins where low > high."""
    result = x if low is None else np.maximum(x, low)
    return result if high is None else np.minimum(result, high)


def _slice(
    _: Attributes, x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None
) -> Array:
    where = [slice(None)] * x.ndim
    axes = np.arange(len(starts)) if axes is None else axes
    steps = np.ones(len(starts), np.int64) if steps is None else steps
    for start, end, axis, step in zip(starts.tolist(), ends.tolist(), axes.tolist(), steps.tolist(), strict=True):
        # going backwards, an end before the first element cannot be written as a stop index
        stop = None if step < 0 and end < -x.shape[axis] else end
        where[axis] = slice(start, stop, step)
    return x[tuple(where)]


def _max_pool(attributes: Attributes, x: Array) -> Array:
    """What is outside does not count."""
    taps = attributes["kernel_shape"]
    count = len(taps)
    strides, pads = attributes.get("strides", [1] * count), attributes.get("pads", [0] * 2 * count)
    plain = attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID") and not attributes.get("ceil_mode", 0)
    if not plain or set(attributes.get("dilations", [1])) != {1}:
        raise RunFailedError("oracle: MaxPool with auto_pad, ceil_mode or dilations has no evaluation")
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    widths = [(0, 0), (0, 0), *zip(pads[:count], pads[count:], strict=True)]
    around = np.pad(x, widths, constant_values=lowest)
    if any(side < size for side, size in zip(around.shape[2:], taps, strict=True)):
        raise RunFailedError(f"oracle: a window of {taps} does not fit in {around.shape[2:]}")
    windows = sliding_window_view(around, taps, tuple(range(2, 2 + count)))  # type: ignore[call-overload]
    steps = (slice(None), slice(None), *(slice(None, None, stride) for stride in strides))
    largest: Array = windows[steps].max(axis=tuple(range(2 + count, 2 + 2 * count)))
    return largest


def _pad(attributes: Attributes, x: Array, pads: Array, value: Array | None = None, axes: Array | None = None) -> Array:
    mode = attributes.get("mode", b"constant").decode()
    half = len(pads) // 2
    widths = [(0, 0)] * x.ndim
    for index, axis in enumerate(range(x.ndim) if axes is None else axes.tolist()):
        widths[axis] = int(pads[index]), int(pads[half + index])
    # negative pads cut off
    x = x[tuple(slice(max(-a, 0), side + min(b, 0)) for (a, b), side in zip(widths, x.shape, strict=True))]
    widths = [(max(a, 0), max(b, 0)) for a, b in widths]
    if mode == "constant":
        return np.pad(x, widths, constant_values=0 if value is None else value.item())
    if mode not in ("edge", "reflect", "wrap"):
        raise RunFailedError(f"oracle: Pad in mode {mode} has no evaluation")
    beyond = [side for side, around in zip(x.shape, widths, strict=True) if max(around) > max(side - 1, 0)]
    if mode == "reflect" and beyond:  # runtimes refuse it, give nothing or crash
        raise RunFailedError(f"oracle: Pad reflects beyond a side of {beyond[0]}")
    return np.pad(x, widths, mode=mode)


def _reshape(attributes: Attributes, x: Array, shape: Array) -> Array:
    wanted = shape.tolist()
    if not attributes.get("allowzero", 0):
        wanted = [x.shape[index] if side == 0 else side for index, side in enumerate(wanted)]
    return x.reshape(wanted)


def _depth_to_space(attributes: Attributes, x: Array) -> Array:
    block = attributes["blocksize"]
    n, c, h, w = x.shape
    if attributes.get("mode", b"DCR") == b"DCR":
        apart = x.reshape(n, block, block, c // block**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        apart = x.reshape(n, c // block**2, block, block, h, w).transpose(0, 1, 4, 2, 5, 3)
    return apart.reshape(n, c // block**2, h * block, w * block)


def _split(attributes: Attributes, x: Array, sizes: Array | None = None) -> list[Array]:
    axis = attributes.get("axis", 0)
    if sizes is None and "split" in attributes:  # before opset 13
        sizes = np.array(attributes["split"])
    if sizes is None:
        count = attributes["num_outputs"]
        part = -(-x.shape[axis] // count)
        return np.split(x, [min(part * i, x.shape[axis]) for i in range(1, count)], axis=axis)
    return np.split(x, np.cumsum(sizes)[:-1].tolist(), axis=axis)


def _gather_nd(attributes: Attributes, x: Array, index: Array) -> Array:
    batch = attributes.get("batch_dims", 0)
    if batch == 0:
        return x[tuple(np.moveaxis(index, -1, 0))]  # type: ignore[no-any-return]
    return np.stack([_gather_nd({"batch_dims": batch - 1}, a, b) for a, b in zip(x, index, strict=True)])


def _gather_elements(attributes: Attributes, x: Array, index: Array) -> Array:
    axis = attributes.get("axis", 0)
    where = list(np.indices(index.shape, sparse=True))
    where[axis] = index
    return x[tuple(where)]


def _running_sum(attributes: Attributes, x: Array, axis: Array) -> Array:
    """CumSum: element i is the sum up to i, without i itself if exclusive; from the other end if reverse."""
    along = int(axis.item())
    turned = np.flip(x, along) if attributes.get("reverse", 0) else x
    sums = np.cumsum(turned, axis=along, dtype=x.dtype)
    if attributes.get("exclusive", 0):
        sums -= turned
    return np.flip(sums, along) if attributes.get("reverse", 0) else sums


def _reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(attributes: Attributes, x: Array, axes: Array | None = None) -> Any:
        chosen = attributes.get("axes") if axes is None else axes.tolist()
        if not chosen:
            if attributes.get("noop_with_empty_axes", 0):
                return x
            chosen = range(x.ndim)
        return function(x, axis=tuple(chosen), keepdims=bool(attributes.get("keepdims", 1)))

    return reduce


def _shape(attributes: Attributes, x: Array) -> Array:
    return np.array(x.shape[attributes.get("start", 0) : attributes.get("end", x.ndim)], np.int64)


def _constant(attributes: Attributes) -> Array:
    if "value" in attributes:
        return as_exact(numpy_helper.to_array(attributes["value"]))
    (name, value), *_ = attributes.items()
    if name not in ("value_float", "value_floats", "value_int", "value_ints"):
        raise RunFailedError(f"oracle: Constant with {name} has no evaluation")
    return np.array(value, np.float64 if "float" in name else np.int64)


def _constant_of_shape(attributes: Attributes, shape: Array) -> Array:
    value = as_exact(numpy_helper.to_array(attributes["value"])) if "value" in attributes else np.zeros(1)
    return np.full(shape.tolist(), value.reshape(-1)[0], value.dtype)


def _flatten(attributes: Attributes, x: Array) -> Array:
    axis = attributes.get("axis", 1)
    axis += x.ndim if axis < 0 else 0
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def _unsqueeze(_: Attributes, x: Array, axes: Array) -> Array:
    return np.expand_dims(x, tuple(axes.tolist()))


def _squeeze(_: Attributes, x: Array, axes: Array | None = None) -> Array:
    return np.squeeze(x, None if axes is None else tuple(axes.tolist()))


def _expand(_: Attributes, x: Array, shape: Array) -> Array:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist())))


def _fold(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def fold(_: Attributes, first: Array, *others: Array) -> Array:
        for other in others:
            first = function(first, other)
        return first

    return fold


def _div(_: Attributes, a: Array, b: Array) -> Array:
    """Integers are divided towards zero; real numbers only by powers of two, since other quotients are rounded."""
    if a.dtype.kind in "iu":
        below = a // b  # the magnitude of -2^31 is no int32
        towards_zero: Array = below + (((a < 0) != (b < 0)) & (below * b != a))
        return towards_zero.astype(a.dtype)
    if not np.all(np.frexp(np.abs(b))[0] == 0.5):
        raise RunFailedError("oracle: Div by anything but powers of two has no exact evaluation")
    return a / b


OPERATORS: dict[str, Callable[..., Any]] = {
    "Abs": lambda _, x: np.abs(x),
    "Add": lambda _, a, b: a + b,
    "And": lambda _, a, b: a & b,
    "Cast": _cast,
    "Ceil": lambda _, x: np.ceil(x),
    "Clip": _clip,
    "Concat": lambda attributes, *parts: np.concatenate(parts, axis=attributes["axis"]),
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "CumSum": _running_sum,
    "DepthToSpace": _depth_to_space,
    "DequantizeLinear": _dequantize,
    "Div": _div,
    "Equal": lambda _, a, b: a == b,
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": lambda _, x: np.floor(x),
    "Gather": lambda attributes, data, index: np.take(data, index, axis=attributes.get("axis", 0)),
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Greater": lambda _, a, b: a > b,
    "GreaterOrEqual": lambda _, a, b: a >= b,
    "Identity": lambda _, x: x,
    "LeakyRelu": lambda attributes, x: np.where(x < 0, x * float(np.float32(attributes.get("alpha", 0.01))), x),
    "Less": lambda _, a, b: a < b,
    "LessOrEqual": lambda _, a, b: a <= b,
    "Max": _fold(np.maximum),
    "MaxPool": _max_pool,
    "Min": _fold(np.minimum),
    "Mul": lambda _, a, b: a * b,
    "Neg": lambda _, x: -x,
    "Not": lambda _, x: ~x,
    "Or": lambda _, a, b: a | b,
    "Pad": _pad,
    "QuantizeLinear": _quantize,
    "Range": lambda _, start, limit, step: np.arange(start.item(), limit.item(), step.item(), dtype=start.dtype),
    "ReduceMax": _reduce(np.max),
    "ReduceMean": _reduce(np.mean),
    "ReduceMin": _reduce(np.min),
    "ReduceSum": _reduce(np.sum),
    "PRelu": lambda _, x, slope: np.where(x < 0, x * slope, x),
    "Relu": lambda _, x: np.maximum(x, 0),
    "Reshape": _reshape,
    "Round": lambda _, x: np.rint(x),
    "Shape": _shape,
    "Sign": lambda _, x: np.sign(x),
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": lambda _, a, b: a - b,
    "Sum": _fold(np.add),
    "Tile": lambda _, x, repeats: np.tile(x, repeats.tolist()),
    # contiguous, or every later Gather would copy its table first
    "Transpose": lambda attributes, x: np.ascontiguousarray(np.transpose(x, attributes.get("perm"))),
    "Unsqueeze": _unsqueeze,
    "Where": lambda _, condition, a, b: np.where(condition, a, b),
    "Xor": lambda _, a, b: a ^ b,
}
