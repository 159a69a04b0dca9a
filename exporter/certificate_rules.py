"""How each operator moves an abstract value: (op_type, attributes, inputs) -> (result or results, facts).

Facts are the fields of a NodeCertificate: bound, rounding, assumptions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from nvc_check.exporter.abstract import Abstract, of_constant
from nvc_check.models.grid import FLOAT32_EXACT, is_power_of_two

Attributes = dict[str, Any]
Outcome = tuple[Any, dict[str, Any]]


class Refused(Exception):
    """The node cannot be shown exact; the text says why."""


def _cast(_: str, attributes: Attributes, x: Abstract) -> Outcome:
    target = onnx.helper.tensor_dtype_to_np_dtype(attributes["to"])
    if target.kind in "iu":
        limits = np.iinfo(target)
        if (x.exponent < 0).any() or x.low.min() < limits.min or x.high.max() > limits.max:
            raise Refused(f"values do not fit {target} without rounding")
    return replace(x, dtype=str(target), constant=None), {}


def _clip(_: str, __: Attributes, x: Abstract, low: Abstract, high: Abstract) -> Outcome:
    exponent = np.minimum(x.exponent, np.minimum(low.exponent, high.exponent))
    bounds = float(low.low[0]), float(high.high[0])
    return Abstract(exponent, np.clip(x.low, *bounds), np.clip(x.high, *bounds), dtype=x.dtype), {}


def _mul(_: str, __: Attributes, a: Abstract, b: Abstract) -> Outcome:
    x, factor = (b, a) if a.constant is not None and b.constant is None else (a, b)
    if factor.constant is None:
        raise Refused("a product of two variable tensors has no rule here")
    corners = np.stack([x.low * factor.low, x.low * factor.high, x.high * factor.low, x.high * factor.high])
    exponent = np.minimum(x.exponent + factor.exponent, 1023.0)
    facts = {"operand_bits": f"{x.bits}x{factor.bits}"} if factor.bits > 1 else {}
    return Abstract(exponent, corners.min(axis=0), corners.max(axis=0)), facts


def _add(op_type: str, _: Attributes, a: Abstract, b: Abstract) -> Outcome:
    exponent = np.minimum(a.exponent, b.exponent)
    if op_type == "Sub":
        return Abstract(exponent, a.low - b.high, a.high - b.low, dtype=a.dtype), {}
    return Abstract(exponent, a.low + b.low, a.high + b.high, dtype=a.dtype), {}


def _max(_: str, __: Attributes, a: Abstract, b: Abstract) -> Outcome:
    exponent = np.minimum(a.exponent, b.exponent)
    return Abstract(exponent, np.maximum(a.low, b.low), np.maximum(a.high, b.high), dtype=a.dtype), {}


def _relu(_: str, __: Attributes, x: Abstract) -> Outcome:
    return replace(x, low=np.maximum(x.low, 0), high=np.maximum(x.high, 0)), {}


def _to_integers(op_type: str, _: Attributes, x: Abstract) -> Outcome:
    rounded = np.floor if op_type == "Floor" else np.ceil
    return (
        Abstract(np.maximum(x.exponent, 0), rounded(x.low), rounded(x.high)),
        {"rounding": op_type.lower()},
    )


def _scales(scale: Abstract) -> np.ndarray[Any, Any]:
    if scale.constant is None or not is_power_of_two(scale.constant.astype(np.float64)):
        raise Refused("scale is not a power of two")
    return np.log2(scale.constant.astype(np.float64)).reshape(-1)


def _quantize(_: str, attributes: Attributes, x: Abstract, scale: Abstract, zero: Abstract) -> Outcome:
    e = _scales(scale)
    assert zero.constant is not None
    if zero.constant.dtype.itemsize > 1:
        raise Refused("a 16-bit QuantizeLinear/DequantizeLinear pair is dropped by some runtimes")
    limits = np.iinfo(zero.constant.dtype)
    shift = zero.constant.astype(np.float64).reshape(-1)
    low, high = (np.clip(np.rint(v / np.exp2(e)) + shift, limits.min, limits.max) for v in (x.low, x.high))
    # a FakeQuantize (OpenVINO) subtracts the lowest value before it scales and rounds: that must be exact too
    offset = float(np.abs((limits.min - shift) * np.exp2(e)).max())
    steps = float(((x.reach + offset) / np.exp2(x.exponent)).max())
    if steps >= FLOAT32_EXACT:
        raise Refused(f"input minus lowest value reaches {steps:.0f} steps, not below 2^24; use uint8")
    facts = {"rounding": "half to even, saturating", "assumptions": ("A4",)}
    return Abstract(np.zeros_like(low), low, high, dtype=str(zero.constant.dtype)), facts


def _dequantize(_: str, attributes: Attributes, x: Abstract, scale: Abstract, zero: Abstract | None = None) -> Outcome:
    e = _scales(scale)
    shift = np.zeros(1) if zero is None or zero.constant is None else zero.constant.astype(np.float64).reshape(-1)
    if x.constant is not None:
        shape = [1] * x.constant.ndim
        if scale.constant is not None and scale.constant.ndim:
            shape[attributes.get("axis", 1)] = -1
        real = (x.constant.astype(np.float64) - shift.reshape(shape)) * np.exp2(e).reshape(shape)
        return replace(of_constant(real), stored=x.constant), {}
    return Abstract(e + x.exponent, (x.low - shift) * np.exp2(e), (x.high - shift) * np.exp2(e)), {}


def _concat(_: str, attributes: Attributes, *parts: Abstract) -> Outcome:
    if attributes["axis"] != 1:
        raise Refused("Concat along another axis than the channels has no rule here")
    pieces = [(p.exponent, p.low, p.high) for p in parts]
    exponent, low, high = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
    if len({len(p.low) for p in parts}) > 1 or len(parts[0].low) == 1:  # a part of unknown width: all alike
        exponent, low, high = exponent.min(keepdims=True), low.min(keepdims=True), high.max(keepdims=True)
    return Abstract(exponent, low, high, dtype=parts[0].dtype), {}


def _slice(_: str, __: Attributes, x: Abstract, starts: Abstract, ends: Abstract, axes: Abstract) -> Outcome:
    if axes.constant is None or starts.constant is None or ends.constant is None:
        raise Refused("Slice with computed bounds has no rule here")
    where = dict(zip(axes.constant.tolist(), zip(starts.constant, ends.constant, strict=True), strict=True))
    if 1 not in where or len(x.low) == 1:
        return replace(x, constant=None), {}
    part = slice(*(int(v) for v in where[1]))
    return Abstract(x.exponent[part], x.low[part], x.high[part], dtype=x.dtype), {}


def _depth_to_space(_: str, attributes: Attributes, x: Abstract) -> Outcome:
    phases = attributes["blocksize"] ** 2
    if len(x.low) == 1:
        return x, {}
    by_phase = (phases, -1) if attributes.get("mode", b"DCR") == b"DCR" else (-1, phases)
    axis = 0 if by_phase[0] == phases else 1
    exponent, low, high = (a.reshape(by_phase) for a in (x.exponent, x.low, x.high))
    return replace(x, exponent=exponent.min(axis), low=low.min(axis), high=high.max(axis)), {}


def _pad(_: str, attributes: Attributes, x: Abstract, pads: Abstract) -> Outcome:
    return replace(x, low=np.minimum(x.low, 0), high=np.maximum(x.high, 0)), {}


def _gather(_: str, attributes: Attributes, table: Abstract, index: Abstract) -> Outcome:
    if table.constant is None or table.constant.ndim != 1:
        raise Refused("Gather from anything but a constant table of one dimension has no rule here")
    if index.low.min() < 0 or index.high.max() >= len(table.constant):
        raise Refused(
            f"indexes reach {index.low.min():.0f} to {index.high.max():.0f}, the table has {len(table.constant)}"
        )
    return replace(table, constant=None), {}


RULES: dict[str, Callable[..., Outcome]] = {
    "Add": _add,
    "Cast": _cast,
    "Ceil": _to_integers,
    "Clip": _clip,
    "Concat": _concat,
    "DepthToSpace": _depth_to_space,
    "DequantizeLinear": _dequantize,
    "Floor": _to_integers,
    "Gather": _gather,
    "Max": _max,
    "Mul": _mul,
    "Pad": _pad,
    "QuantizeLinear": _quantize,
    "Relu": _relu,
    "Slice": _slice,
    "Sub": _add,
}
