"""The certificate's rules for sums and products of single elements.

A constant factor or addend may be folded into the operator before it (A5): Conv and Mul into other weights, Add and Mul
into Mul and Add. `Linear` follows such a chain, so that what is folded is exact too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nvc_check.exporter.certificate.abstract import Abstract, Float64, Linear, capped, of_constant
from nvc_check.exporter.certificate.targets import SIZES, Hazard, largest, operand_hazards
from nvc_check.exporter.certificate.terms import NUMBERS, Call, Outcome, Refused, Rule, aligned, one, require_type
from nvc_check.models.grid import FLOAT32_EXACT, is_power_of_two

FOLDED = 24  # significant bits of a float32 constant


def _linear(x: Abstract) -> Linear:
    return x.linear or Linear(x.reach / np.exp2(x.exponent), 0, np.zeros(1))


def _fits(steps: Float64, what: str) -> None:
    if (steps >= FLOAT32_EXACT).any():
        raise Refused(
            f"{what} reaches {float(steps.max()):.0f} steps of its grid, not below 2^24 = {FLOAT32_EXACT}",
            "Clip in front, or a coarser grid",
        )


def _add(call: Call) -> Outcome:
    a, b = aligned(call, call.input(0), call.input(1))
    require_type(a, *NUMBERS)
    if call.op_type == "Sub":
        b = replace(b, low=-b.high, high=-b.low)
    exponent = np.minimum(a.exponent, b.exponent)
    result = Abstract(exponent, a.low + b.low, a.high + b.high, dtype=a.dtype)
    x, addend = (b, a) if a.constant is not None else (a, b)
    if a.dtype != "float32":
        return one(result)
    if addend.constant is None:
        return one(_joined_sums(a, b, result))
    chain = _linear(x)
    offset = chain.offset + addend.reach
    _fits(offset / np.exp2(exponent), "the sum of the constants added")
    return one(replace(result, linear=replace(chain, offset=offset)))


def _joined_sums(a: Abstract, b: Abstract, result: Abstract) -> Abstract:
    """Behind a convolution or MatMul an addition may be one of its addends (A5): the partial sums of both together."""
    chains = [_linear(x) for x in (a, b)]
    if not any(chain.products for chain in chains):
        return result
    steps = sum(
        (chain.steps * np.exp2(x.exponent - result.exponent) for chain, x in zip(chains, (a, b), strict=True)),
        np.zeros(1),
    )
    _fits(steps, "a sum together with what is added to it")
    offset = chains[0].offset + chains[1].offset
    octaves = [chain.octaves for chain in chains]
    span = (min(low for low, _ in octaves), max(high for _, high in octaves))
    return replace(result, linear=Linear(steps, max(chain.bits for chain in chains), offset, span, products=True))


def _product(x: Abstract, factor: Abstract) -> Abstract:
    corners = np.stack([x.low * factor.low, x.low * factor.high, x.high * factor.low, x.high * factor.high])
    exponent = capped(x.exponent + factor.exponent)
    return Abstract(exponent, corners.min(axis=0), corners.max(axis=0), dtype=x.dtype)


def _mul(call: Call) -> Outcome:
    a, b = aligned(call, call.input(0), call.input(1))
    require_type(a, *NUMBERS)
    x, factor = (b, a) if a.constant is not None and b.constant is None else (a, b)
    result = _product(x, factor)
    bits = f"{x.bits}x{factor.bits}" if factor.bits > 1 or factor.constant is None else ""
    if factor.constant is None or x.dtype != "float32":
        return one(result, operand_bits=bits)
    chain = _linear(x)
    octaves = np.log2(factor.reach, out=np.zeros_like(factor.reach), where=factor.reach > 0)
    folded = Linear(
        chain.steps * factor.reach / np.exp2(factor.exponent),
        chain.bits + (factor.bits if factor.bits > 1 else 0),
        chain.offset * factor.reach,
        (chain.octaves[0] + min(0.0, float(octaves.min())), chain.octaves[1] + max(0.0, float(octaves.max()))),
        chain.products,
    )
    _fits(folded.steps, "a partial sum, multiplied by the constants behind it,")
    _fits(folded.offset / np.exp2(result.exponent), "the sum of the constants added, multiplied,")
    if folded.bits > FOLDED or folded.octaves[0] < -100 or folded.octaves[1] > 100:
        raise Refused(
            f"the product of the constants multiplied has {folded.bits} bits and spans 2^{folded.octaves[0]:.0f} to"
            f" 2^{folded.octaves[1]:.0f}, more than a float32 constant folded from them keeps",
            "powers of two as factors, or a Clip between",
        )
    hazards: tuple[Hazard, ...] = ()
    if folded.products and folded.bits > chain.bits:
        hazards = operand_hazards(folded.bits, f"weights of {folded.bits} bits once this factor is folded into them")
    return one(replace(result, linear=folded), operand_bits=bits, hazards=hazards)


def _div(call: Call) -> Outcome:
    a, b = aligned(call, call.input(0), call.input(1))
    require_type(a, *NUMBERS)
    divisor = b.constant
    if divisor is None:
        raise Refused("division by a computed tensor rounds", "a look-up table (Gather) of reciprocals on a grid")
    power = is_power_of_two(np.asarray(divisor, np.float64))
    if a.dtype == "float32":
        if not power:
            raise Refused("division by a constant that is no power of two rounds", "multiply by a constant on a grid")
        cure = "multiply by the reciprocal power of two"
        hazard = Hazard(("any", "webgpu"), "WGSL divides within 2.5 ULP, not exactly", cure)
        multiplied = _mul(replace(call, inputs=(call.input(0), of_constant((1 / divisor).astype(divisor.dtype)))))
        return replace(multiplied, hazards=(*multiplied.hazards, hazard))
    if (b.low <= 0).any():
        raise Refused("integer division by a constant that is not positive", "a positive divisor")
    low, high = (np.trunc(v) for v in (a.low / np.where(a.low < 0, b.low, b.high), a.high / b.low))
    high = np.where(a.high < 0, np.trunc(a.high / b.high), high)
    result = Abstract(np.zeros_like(low), low, high, dtype=a.dtype)
    if power and a.low.min() >= 0 and a.integers < FLOAT32_EXACT:
        return one(result, rounding="truncated")
    return one(result, rounding="truncated", hazards=(integer_hazard("Div"),))


def integer_hazard(op_type: str) -> Hazard:
    cure = "carry the integers in float32: Mul by 2^-k, then Floor"
    return Hazard(("any", "openvino"), f"OpenVINO computes {op_type} of int32 in float32", cure)


def wide_integers(call: Call, x: Abstract) -> tuple[Hazard, ...]:
    """OpenVINO computes some int32 operators in float32: right below 2^24."""
    return (integer_hazard(call.op_type),) if x.dtype != "float32" and x.integers >= FLOAT32_EXACT else ()


def _mod(call: Call) -> Outcome:
    a, b = aligned(call, call.input(0), call.input(1))
    if a.dtype == "float32":
        raise Refused("Mod of float32 is computed in several ways", "x - d * Floor(x * 2^-k) with d = 2^k")
    require_type(a, "int32", "int64")
    if b.constant is None or (b.low <= 0).any() or a.low.min() < 0:
        raise Refused("Mod of signed integers or by a computed divisor", "a constant divisor, values from 0")
    result = Abstract(np.zeros_like(b.high), np.zeros_like(b.high), b.high - 1, dtype=a.dtype)
    return one(result, hazards=(integer_hazard("Mod"),))


def _neg(call: Call) -> Outcome:
    x = call.input(0)
    require_type(x, *NUMBERS)
    linear = replace(x, constant=None, stored=None, codes=None, low=-x.high, high=-x.low)
    return one(linear, hazards=wide_integers(call, x))


def _abs(call: Call) -> Outcome:
    x = call.input(0)
    require_type(x, *NUMBERS)
    low = np.where((x.low <= 0) & (x.high >= 0), 0.0, np.minimum(np.abs(x.low), np.abs(x.high)))
    return one(Abstract(x.exponent, low, x.reach, dtype=x.dtype), hazards=wide_integers(call, x))


def _reduce_sum(call: Call) -> Outcome:
    """Partial sums in any order stay below the number of addends times the largest."""
    x = call.input(0)
    require_type(x, *NUMBERS)
    from nvc_check.exporter.certificate.rules.shapes import reduced

    count, kept, conditions = reduced(call, x)
    x = x if kept else union_of_channels(x)
    result = Abstract(x.exponent, np.minimum(x.low * count, x.low), np.maximum(x.high * count, x.high), dtype=x.dtype)
    bound = float((x.reach * count / np.exp2(x.exponent)).max())
    hazards = (integer_hazard("ReduceSum"),) if x.dtype != "float32" and bound >= FLOAT32_EXACT else ()
    return one(result, bound=bound, assumptions=("A1",), hazards=hazards, conditions=conditions)


def _mean(call: Call) -> Outcome:
    """Sum, then division by a number of elements that is a power of two and known: exact on a finer grid."""
    from nvc_check.exporter.certificate.rules.shapes import reduced

    x = call.input(0)
    require_type(x, "float32")
    if call.op_type == "GlobalAveragePool":
        rank = 0 if x.shape is None else len(x.shape)
        call = replace(call, attributes={"axes": list(range(2, rank))})
    count, _, conditions = reduced(call, x)
    if conditions or not is_power_of_two(np.array([count])):
        raise Refused(
            f"{call.op_type} of a number of elements that is no power of two, or not known",
            "ReduceSum, then Mul by a power of two and a Floor",
        )
    total = _reduce_sum(call)
    part = total.results[0]
    result = Abstract(part.exponent - np.log2(count), part.low / count, part.high / count)
    return replace(total, results=(result,))


def _total(call: Call) -> Outcome:
    """Sum: additions one after the other."""
    outcome = one(call.input(0))
    for position in range(1, len(call.inputs)):
        left = replace(outcome.results[0], shape=call.shapes[0])
        outcome = _add(Call("Add", {}, (left, call.input(position)), call.shapes))
    return outcome


def _sign(call: Call) -> Outcome:
    x = call.input(0)
    require_type(x, *NUMBERS)
    return one(Abstract(np.zeros_like(x.low), np.sign(x.low), np.sign(x.high), dtype=x.dtype))


def _running_sum(call: Call) -> Outcome:
    """CumSum: what holds of the whole sum, in any order and either direction, holds of each of its parts."""
    x = call.input(0)
    require_type(x, *NUMBERS)
    if x.shape is None:
        raise Refused("the rank of its input is unknown", "declare the shapes of the graph's inputs")
    axis = int(call.constant(1, "axis").item()) % len(x.shape)
    size = x.shape[axis]
    count = float(max(largest(size), 1))
    x = union_of_channels(x) if axis == 1 else x
    none = 0.0 if call.get("exclusive", 0) else np.inf  # the sum over no element
    low, high = np.minimum(x.low * count, x.low), np.maximum(x.high * count, x.high)
    low, high = np.minimum(low, none), np.maximum(high, -none)
    bound = float((x.reach * count / np.exp2(x.exponent)).max())
    hazards = (integer_hazard("CumSum"),) if x.dtype != "float32" and bound >= FLOAT32_EXACT else ()
    result = Abstract(x.exponent, low, high, dtype=x.dtype)
    conditions = (SIZES,) if size is None else ()
    return one(result, bound=bound, assumptions=("A1",), hazards=hazards, conditions=conditions)


def union_of_channels(x: Abstract) -> Abstract:
    low, high = x.low.min(keepdims=True), x.high.max(keepdims=True)
    return Abstract(x.exponent.min(keepdims=True), low, high, dtype=x.dtype)


ARITHMETIC: dict[str, Rule] = {
    "Abs": _abs,
    "Add": _add,
    "CumSum": _running_sum,
    "Div": _div,
    "GlobalAveragePool": _mean,
    "Mod": _mod,
    "Mul": _mul,
    "Neg": _neg,
    "ReduceMean": _mean,
    "ReduceSum": _reduce_sum,
    "Sign": _sign,
    "Sub": _add,
    "Sum": _total,
}
