"""Constants: small integers on grids of powers of two, and at a twist whatever a float or an integer can be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from property.attacker.draft import Draft, Tensor

Array = NDArray[Any]
WILD = (
    *(2.0**-149, 2.0**-140, 2.0**-126, 2.0**-60, 2.0**-24, 2.0**-23, 2.0**20, 2.0**31, 2.0**63, 2.0**100, 2.0**120),
    *(0.1, 1 / 3, 0.7, 1.1, -0.3, 3.14159, 1e-7, 1e-30, 1e10, 1e30, -1e38, 0.0, -0.0, 255.5, 0.49999997),
    *(2.0**24 - 1, 2.0**24, 2.0**24 + 2, 2.0**23 + 1, -(2.0**24), 2.0**31 - 128, -(2.0**31), 2.0**32, 1 + 2.0**-23),
)
WHOLE = (2**24 - 1, 2**24, 2**24 + 1, 2**31 - 1, -(2**31), 2**31, 2**32, 2**53 + 1, 2**63 - 1, -1, 0, 255, 256, 128)
INTEGERS = (
    *(TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16),
    *(TensorProto.INT32, TensorProto.UINT32, TensorProto.INT64, TensorProto.UINT64),
)


def power(draft: Draft, low: int = -6, high: int = 3) -> float:
    return float(2.0 ** draft.integer(low, high))


def number(draft: Draft, odd: float = 0.08) -> float:
    """A small integer on a grid."""
    if draft.odd(odd):
        return draft.one(WILD) * (draft.one([1.0, 1.0, -1.0, 3.0]))
    small = float(draft.one([1, 1, 1, 2, 3, -1, 5, 0, -2, 7, 100]))
    return small if draft.chance(0.5) else small * power(draft)


def scale(draft: Draft, odd: float = 0.05) -> float:
    """A positive power of two."""
    if draft.odd(odd):
        return abs(draft.one(WILD)) if draft.chance(0.6) else power(draft, -140, 120)
    return power(draft, -6, 2)


def array(draft: Draft, shape: tuple[int, ...], reach: int = 9, odd: float = 0.05) -> Array:
    """Integers up to `reach` on one grid, as float32."""
    values = draft.rng.integers(-reach, reach + 1, shape).astype(np.float64)
    if draft.chance(0.5):
        values *= power(draft)
    if draft.odd(odd):
        kind = draft.integer(0, 4)
        if kind == 0:
            values = draft.rng.normal(size=shape)
        elif kind == 1:
            values = values * draft.one(WILD)
        elif kind == 2:
            values = np.exp2(draft.rng.integers(-20, 20, shape)) * draft.rng.choice([-1, 1], shape)
        elif kind == 3:
            values.reshape(-1)[: draft.integer(1, 3)] = draft.one(WILD)
        else:
            values = np.full(shape, draft.one(WILD))
    with np.errstate(over="ignore"):
        return np.asarray(np.clip(values, -3.4e38, 3.4e38), np.float32)


def whole(draft: Draft, shape: tuple[int, ...], kind: np.dtype[Any], odd: float = 0.1) -> Array:
    """Integers of an integer or boolean type."""
    if kind == np.bool_:
        return draft.rng.random(shape) < 0.5
    limits = np.iinfo(kind)
    if draft.odd(odd):
        fitting = [value for value in (*WHOLE, limits.min, limits.max) if limits.min <= value <= limits.max]
        return np.array([draft.one(fitting) for _ in range(int(np.prod(shape)))], kind).reshape(shape)
    low, high = max(-9, limits.min), min(9, limits.max)
    if kind.itemsize == 1 and draft.chance(0.4):
        low, high = limits.min, limits.max
    return draft.rng.integers(low, high, shape, endpoint=True).astype(kind)


def like(draft: Draft, tensor: Tensor, shape: tuple[int, ...], odd: float = 0.05) -> Array:
    """Values of the tensor's element type."""
    kind = tensor.dtype
    if kind.kind in "iub":
        return whole(draft, shape, kind, odd)
    return array(draft, shape, draft.one([1, 9, 127]), odd).astype(kind)


def operand(draft: Draft, tensor: Tensor) -> Tensor:
    """A constant that broadcasts against the tensor, of one of the shapes that networks and exporters write."""
    channel = tensor.shape[1] if tensor.rank > 1 else 1
    shapes: list[tuple[int, ...]] = [(), (), (1,), tensor.shape, tensor.shape[-1:], (1,) * tensor.rank]
    if tensor.rank > 2:
        shapes += [(channel, *(1,) * (tensor.rank - 2)), (1, channel, *(1,) * (tensor.rank - 2))] * 2
    shape = (1,) * (tensor.rank + 1) if draft.odd(0.02) else draft.one(shapes)
    if shape == () and tensor.dtype == np.float32:
        return draft.constant(number(draft), np.float32)
    return draft.constant(like(draft, tensor, shape))


def weights(draft: Draft, shape: tuple[int, ...], reach: int | None = None) -> Tensor:
    """A float32 constant, as it is or behind what exporters put before weights."""
    reach = reach or draft.one([1, 3, 9, 63])
    way = draft.integer(0, 9)
    if way < 5:
        return draft.constant(array(draft, shape, reach))
    if way == 5:
        return draft.add("Identity", [draft.constant(array(draft, shape, reach))])
    if way == 6:
        order = [int(axis) for axis in draft.rng.permutation(len(shape))]
        turned = tuple(shape[axis] for axis in order)
        stored = draft.constant(array(draft, turned, reach))
        return draft.add("Transpose", [stored], perm=[order.index(axis) for axis in range(len(shape))])
    if way == 7:
        flat = draft.constant(array(draft, (int(np.prod(shape)),), reach))
        return draft.add("Reshape", [flat], {"shape": np.array(shape)})
    return stored_weights(draft, shape)


def stored_weights(draft: Draft, shape: tuple[int, ...]) -> Tensor:
    """A DequantizeLinear of 8-bit weights, per tensor or per channel, maybe with something behind it."""
    kind = np.dtype(draft.one(["int8", "int8", "uint8", "int32"]))
    reach = draft.one([3, 63, 127])
    low = 0 if kind == np.uint8 else -reach
    stored = draft.constant(draft.rng.integers(low, reach + 1, shape).astype(kind))
    axis = draft.integer(0, len(shape) - 1)
    each = draft.chance(0.4) and draft.opset >= 13
    count = (shape[axis],) if each else ()
    zero = np.full(count, 128 if kind == np.uint8 and draft.chance(0.6) else 0, kind)
    if draft.odd(0.1) and kind.itemsize == 1:
        zero = whole(draft, count, kind)
    scales = np.array([scale(draft, 0.02) for _ in range(shape[axis] if each else 1)], np.float32).reshape(count)
    inputs = [stored, draft.constant(scales)]
    if draft.chance(0.6):
        inputs.append(draft.constant(zero))
    made = draft.add("DequantizeLinear", inputs, axis=axis if each or draft.chance(0.1) else None)
    if draft.chance(0.25):
        made = draft.add(draft.one(["Identity", "Neg", "Abs", "Relu"]), [made])
    return made
