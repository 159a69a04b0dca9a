"""The certificate's rules for operators that round, clip, compare or choose among elements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from nvc_check.exporter.certificate.abstract import Abstract, Float64, bounded, union
from nvc_check.exporter.certificate.rules.arithmetic import union_of_channels, wide_integers
from nvc_check.exporter.certificate.terms import NUMBERS, Call, Outcome, Refused, Rule, aligned, one, require_type
from nvc_check.models.grid import FLOAT32_EXACT, finest_exponents

LARGEST_SLOPE = 256
INTEGERS = ("bool", "int8", "uint8", "int32", "int64")


def _cast(call: Call) -> Outcome:
    x, target = call.input(0), np.dtype(onnx.helper.tensor_dtype_to_np_dtype(call.attributes["to"]))
    same = replace(x, dtype=str(target), constant=None, stored=None)
    if target.kind == "b":
        return one(bounded(0, 1, "bool"))
    if str(target) == "float32":
        # above 2^24 it rounds, monotonically: the walk decides by what reads it
        return one(same, kernel="" if x.dtype == "float32" else "conversion")
    if str(target) not in INTEGERS:
        raise Refused(f"{target} holds other values than float32 or int32", "float32 or int32 throughout")
    limits = np.iinfo(target)
    if (x.exponent < 0).any():
        raise Refused(
            "values with a fraction become integers", "Floor in front of the Cast: one rule for ties and signs"
        )
    if x.low.min() < limits.min or x.high.max() > limits.max:
        raise Refused(
            f"values from {x.low.min():.0f} to {x.high.max():.0f} do not fit {target}", "Clip in front of the Cast"
        )
    return one(replace(same, codes=None, linear=None), kernel="conversion")


def _clip(call: Call) -> Outcome:
    """ONNX: min(max(x, low), high). int32 rounded by its Cast to float32 is right again within exact limits."""
    x, low, high = call.input(0), call.optional(1), call.optional(2)
    require_type(x, *NUMBERS, "uint8")
    low = None if low is None or (low.constant is not None and np.isneginf(low.constant).all()) else low
    high = None if high is None or (high.constant is not None and np.isposinf(high.constant).all()) else high
    limits = [v for v in (low, high) if v is not None]
    if low is not None and high is not None and low.high.max() > high.low.min():
        raise Refused("the lower limit may lie above the upper one", "limits in order")
    if not all(v.finite for v in limits):
        raise Refused("a limit is not a finite number", "finite limits")
    # an element is its own or a limit: the grids of other channels do not matter
    exponent = np.minimum(x.exponent, min((v.exponent.min() for v in limits), default=np.inf))
    lows, highs = x.low, x.high
    if low is not None:
        lows, highs = np.maximum(lows, low.low.min()), np.maximum(highs, low.high.max())
    if high is not None:
        lows, highs = np.minimum(lows, high.low.min()), np.minimum(highs, high.high.max())
    return one(Abstract(exponent, lows, highs, dtype=x.dtype), hazards=wide_integers(call, x))


def _extreme(call: Call) -> Outcome:
    values = aligned(call, *(call.input(i) for i in range(len(call.inputs))))
    require_type(values[0], *NUMBERS)
    choose = np.maximum if call.op_type == "Max" else np.minimum
    low, high, exponent = values[0].low, values[0].high, values[0].exponent
    for value in values[1:]:
        low, high = choose(low, value.low), choose(high, value.high)
        exponent = np.minimum(exponent, value.exponent)
    hazards = dict.fromkeys(h for value in values for h in wide_integers(call, value))
    return one(Abstract(exponent, low, high, dtype=values[0].dtype), hazards=tuple(hazards))


def _relu(call: Call) -> Outcome:
    x = call.input(0)
    require_type(x, *NUMBERS)
    result = Abstract(x.exponent, np.maximum(x.low, 0), np.maximum(x.high, 0), dtype=x.dtype)
    return one(result, hazards=wide_integers(call, x))


def _leaky_relu(call: Call) -> Outcome:
    return _bent(call.input(0), np.array([np.float32(call.get("alpha", 0.01))], np.float64))


def _prelu(call: Call) -> Outcome:
    """Slopes of one number, or one per channel: (C, 1, 1)."""
    x, slopes = aligned(call, call.input(0), call.input(1))
    if slopes.constant is None:
        raise Refused("slopes depend on the data", "constant slopes")
    array = np.asarray(slopes.constant, np.float64)
    if array.size > 1 and (call.rank is None or array.ndim != call.rank or array.shape[1] != array.size):
        raise Refused(f"slopes of shape {array.shape} have no rule here", "one slope, or one per channel: (C, 1, 1)")
    return _bent(x, array.reshape(-1))


def _bent(x: Abstract, slopes: Float64) -> Outcome:
    """x above 0, x times the slope below, also as sums of multiples of x and |x|: exact with slopes of a few bits."""
    require_type(x, "float32")
    if not np.isfinite(slopes).all() or np.abs(slopes).max() > LARGEST_SLOPE:
        raise Refused(f"a slope of {np.abs(slopes).max():g}", f"slopes of at most {LARGEST_SLOPE}")
    grid = finest_exponents(slopes.reshape(-1, 1))
    exponent = x.exponent + np.minimum(grid, 0) - 1  # (1 - slope) / 2 has one more
    low, high = (np.minimum(x.low, 0) * slopes, np.maximum(x.high, 0))
    reach = np.maximum(np.abs(x.low), np.abs(x.high)) * (1 + np.abs(slopes))
    bound = float((reach / np.exp2(exponent)).max())
    if bound >= FLOAT32_EXACT:
        raise Refused(
            f"its products reach {bound:.0f} steps, not below 2^24 = {FLOAT32_EXACT}",
            "slopes of fewer bits, or Relu(x) - Relu(-x) * slope with a rounding of its own",
        )
    return one(Abstract(exponent, np.minimum(low, 0), np.maximum(low, high)), bound=bound)


def _rounded(op_type: str, values: Float64) -> Float64:
    return np.floor(values) if op_type == "Floor" else np.ceil(values) if op_type == "Ceil" else np.rint(values)


def _whole(call: Call) -> Outcome:
    x = call.input(0)
    require_type(x, "float32")
    low, high = (_rounded(call.op_type, v) for v in (x.low, x.high))
    result = Abstract(np.maximum(x.exponent, 0), low, high)
    return one(result, rounding="half to even" if call.op_type == "Round" else call.op_type.lower())


def _compare(call: Call) -> Outcome:
    hazards = [h for x in (call.input(0), call.input(1)) for h in wide_integers(call, x)]
    for position in (0, 1):
        require_type(call.input(position), *NUMBERS, "bool")
    return one(bounded(0, 1, "bool"), hazards=tuple(dict.fromkeys(hazards)))


def _logic(call: Call) -> Outcome:
    for position in range(len(call.inputs)):
        require_type(call.input(position), "bool")
    return one(bounded(0, 1, "bool"))


def _where(call: Call) -> Outcome:
    require_type(call.input(0), "bool")
    values = aligned(call, call.input(1), call.input(2))
    require_type(values[0], *NUMBERS, "bool")
    return one(union(list(values)))


def _reduce_extreme(call: Call) -> Outcome:
    x = call.input(0)
    require_type(x, *NUMBERS)
    from nvc_check.exporter.certificate.rules.shapes import reduced

    _, kept, _ = reduced(call, x)
    x = x if kept else union_of_channels(x)
    hazards = wide_integers(call, x) if x.integers >= FLOAT32_EXACT else ()
    return one(Abstract(x.exponent, x.low, x.high, dtype=x.dtype), hazards=hazards)


SELECTION: dict[str, Rule] = {
    "And": _logic,
    "Cast": _cast,
    "Ceil": _whole,
    "Clip": _clip,
    "Equal": _compare,
    "Floor": _whole,
    "Greater": _compare,
    "GreaterOrEqual": _compare,
    "LeakyRelu": _leaky_relu,
    "Less": _compare,
    "LessOrEqual": _compare,
    "Max": _extreme,
    "Min": _extreme,
    "Not": _logic,
    "Or": _logic,
    "PRelu": _prelu,
    "ReduceMax": _reduce_extreme,
    "ReduceMin": _reduce_extreme,
    "Relu": _relu,
    "Round": _whole,
    "Where": _where,
    "Xor": _logic,
}
