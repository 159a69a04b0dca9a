"""The certificate's rules for QuantizeLinear, DequantizeLinear and the operators that contain them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.exporter.certificate.abstract import Abstract, Shape, capped, of_constant, uniform
from nvc_check.exporter.certificate.rules.convolution import convolution, grouped
from nvc_check.exporter.certificate.rules.layout import normal
from nvc_check.exporter.certificate.rules.products import pair_hazards, product
from nvc_check.exporter.certificate.targets import Hazard
from nvc_check.exporter.certificate.terms import Call, Outcome, Refused, Rule, one, require_type
from nvc_check.models.grid import FLOAT32_EXACT, is_power_of_two

INT32_EXACT = 1 << 31
SMALL = ("int8", "uint8")
STORED = (*SMALL, "int16", "uint16")
POWERS = "power-of-two scales, weights and activations alike"
KERNEL = "integer kernel"


def _exponents(scale: Abstract) -> NDArray[np.float64]:
    """(1,) or (channels,) log2 of constant power-of-two scales."""
    if scale.constant is None:
        raise Refused("a scale depends on the data: dynamic quantization", f"static quantization with {POWERS}")
    values = scale.constant.astype(np.float64).reshape(-1)
    if not values.size or not np.isfinite(values).all() or not is_power_of_two(values):
        raise Refused("scale is not a power of two", POWERS)
    if np.abs(np.log2(values)).max() > 100:
        raise Refused("scale beyond 2^100 or below 2^-100", "a scale nearer to 1")
    exponents: NDArray[np.float64] = np.log2(values)
    return exponents


def _zero(zero: Abstract | None) -> NDArray[np.float64]:
    if zero is None:
        return np.zeros(1)
    if zero.constant is None:
        raise Refused("a zero point depends on the data: dynamic quantization", f"static quantization with {POWERS}")
    return np.asarray(zero.constant, np.float64).reshape(-1)


def _on_channels(call: Call, x: Abstract, *parameters: NDArray[np.float64]) -> tuple[Abstract, bool]:
    """x, and whether the parameters, one per slice of some axis, are one per channel or the same for all."""
    if call.get("block_size", 0):
        raise Refused("blocked quantization has no rule here", "one scale per tensor or per channel")
    if all(p.size == 1 for p in parameters):
        return x, True
    axis = normal(call.get("axis", 1), x.shape)
    return (x, True) if axis == 1 and x.shape is not None else (uniform(x), False)


def _quantize(call: Call) -> Outcome:
    """saturate(round_half_even(x / 2^e) + zero point), each step exact."""
    x, zero = call.input(0), call.optional(2)
    require_type(x, "float32")
    e, shift, dtype = _exponents(call.input(1)), _zero(zero), "uint8" if zero is None else zero.dtype
    if zero is None and call.get("output_dtype", 0):
        raise Refused("output_dtype without a zero point has no rule here", "a zero point of the wanted type")
    if dtype not in STORED:
        raise Refused(f"QuantizeLinear to {dtype} has no rule here", "uint8 or int8")
    limits = np.iinfo(np.dtype(dtype))
    x, same = _on_channels(call, x, e, shift)
    low, high = (np.clip(np.rint(v / np.exp2(e)) + shift, limits.min, limits.max) for v in (x.low, x.high))
    result = Abstract(np.zeros_like(low), low, high, dtype=dtype)
    hazards = []
    # a FakeQuantize (OpenVINO) subtracts the lowest value before it scales and rounds: that must be exact too
    offset = float(np.abs((limits.min - shift) * np.exp2(e)).max())
    if offset > 0:
        grid = np.minimum(x.exponent, e.min())
        steps = float(((x.reach + offset) / np.exp2(grid)).max())
        if steps >= FLOAT32_EXACT:
            reason = f"input minus lowest value reaches {steps:.0f} steps, not below 2^24"
            hazards.append(Hazard(("any", "openvino"), reason, "uint8 with zero point 0, or a coarser input grid"))
    if ((shift - limits.min) % 2).any():
        reason = f"zero point {shift.max():.0f}: OpenVINO counts from the lowest value, so ties go to odd integers"
        hazards.append(Hazard(("any", "openvino"), reason, "an even zero point, as 0 or 128"))
    if ((low == high) & (x.low < x.high)).all():
        reason = "all values saturate to one: OpenVINO leaves the saturation out"
        hazards.append(Hazard(("any", "openvino"), reason, "a range that the values reach, or a constant"))
    if dtype not in SMALL:
        reason = "a 16-bit QuantizeLinear/DequantizeLinear pair is dropped by OpenVINO: no rounding, no saturation"
        hazards.append(Hazard(("any", "openvino"), reason, "two 8-bit limbs, or Floor and Clip in float32"))
    return one(
        result if same else uniform(result),
        rounding="half to even, saturating",
        assumptions=("A4", "A5"),
        hazards=tuple(hazards),
        conditions=() if x.finite else ("float inputs hold no NaN",),
    )


def _dequantize(call: Call) -> Outcome:
    """(x - zero point) * 2^e."""
    x, scale = call.input(0), call.input(1)
    require_type(x, *STORED, "int32")
    e, shift = _exponents(scale), _zero(call.optional(2))
    if x.constant is not None:
        _on_channels(call, x, e, shift)
        shape = [1] * x.constant.ndim
        if e.size > 1 or shift.size > 1:
            shape[call.get("axis", 1)] = -1
        real = (x.constant.astype(np.float64) - shift.reshape(shape)) * np.exp2(e).reshape(shape)
        if (real.astype(np.float32).astype(np.float64) != real).any():
            raise Refused("a dequantized constant is no float32 value", "integers below 2^24")
        return one(replace(of_constant(real.astype(np.float32)), stored=x.constant), kernel="constant")
    x, same = _on_channels(call, x, e, shift)
    result = Abstract(capped(e + x.exponent), (x.low - shift) * np.exp2(e), (x.high - shift) * np.exp2(e))
    if x.dtype == "uint8":
        zeros = float(shift.min()), float(shift.max())  # padding adds the zero point to the integers met
        result = replace(result, codes=(min(float(x.low.min()), zeros[0]), max(float(x.high.max()), zeros[1])))
    return one(result if same else uniform(result))


def _dynamic(call: Call) -> Outcome:
    raise Refused(
        "dynamic quantization: scale and zero point depend on the data", f"static QuantizeLinear with {POWERS}"
    )


def _step(rule: Rule, call: Call, positions: tuple[int | None, ...], shape: Shape, **attributes: Any) -> Outcome:
    """A part of a composed operator, as the node that it stands for."""
    inputs = tuple(call.optional(p) if p is not None else None for p in positions)
    return rule(Call(call.op_type, attributes, inputs, (shape,)))


def _composed(call: Call, middle: Callable[[Abstract, Abstract], Outcome], w: int, axis: int) -> Outcome:
    """DequantizeLinear of x (input 0) and of the weights (input `w`), the sum, QuantizeLinear (inputs w + 3, w + 4)."""
    x = _step(_dequantize, call, (0, 1, 2), call.input(0).shape).results[0]
    weight = _step(_dequantize, call, (w, w + 1, w + 2), call.input(w).shape, axis=axis).results[0]
    total = middle(replace(x, shape=call.input(0).shape), weight)
    inner = total.results[0]
    if inner.integers >= FLOAT32_EXACT:
        raise Refused(f"sums reach {inner.integers:.0f}, not below 2^24 = {FLOAT32_EXACT}", "coarser weights")
    parts = (replace(inner, shape=call.shapes[0]), call.input(w + 3), call.input(w + 4))
    last = _quantize(Call("QuantizeLinear", {}, parts, call.shapes))
    return Outcome(
        last.results,
        bound=total.bound,
        operand_bits=total.operand_bits,
        rounding=last.rounding,
        assumptions=("A1", "A4"),  # an operator on integers: no Winograd, no rounded operands
        hazards=tuple(h for h in (*total.hazards, *last.hazards) if not h.reason.startswith("operands of")),
        kernel=KERNEL,
    )


def _qlinear_conv(call: Call) -> Outcome:
    def middle(x: Abstract, weight: Abstract) -> Outcome:
        bias = call.optional(8)
        if bias is not None:
            if bias.constant is None:
                raise Refused("a computed bias has no bound", "a bias as initializer")
            e = _exponents(call.input(1)) + _exponents(call.input(4))
            bias = of_constant(bias.constant.astype(np.float64) * np.exp2(e))
            bias = replace(bias, dtype="float32")
        return convolution(Call("Conv", call.attributes, (x, weight, bias), call.shapes))

    return _composed(call, middle, 3, 0)


def _qlinear_matmul(call: Call) -> Outcome:
    return _composed(call, lambda x, weight: product(x, weight, call.rank), 3, -1)


def _integer_product(call: Call) -> Outcome:
    """ConvInteger, MatMulInteger: exact in int32 below 2^31; as float, on runtimes without them, below 2^24."""
    x, weight = call.input(0), call.input(1)
    require_type(x, *SMALL)
    x_zero, w_zero = _zero(call.optional(2)), _zero(call.optional(3))
    if weight.constant is None:
        raise Refused("weights that are not constant have no bound", "weights as initializers")
    if x_zero.size != 1 or w_zero.size != 1:
        raise Refused("zero points per row or column have no rule here", "one zero point")
    matrix = weight.constant.astype(np.float64) - w_zero
    reach = float(np.maximum(np.abs(x.low - x_zero), np.abs(x.high - x_zero)).max())
    if call.op_type == "ConvInteger":
        kernel = grouped(matrix, int(call.get("group", 1)), False)
        bound = float(np.abs(kernel).reshape(kernel.shape[0] * kernel.shape[1], -1).sum(axis=1).max()) * reach
        axis = 0
    else:
        bound, axis = float(np.abs(np.atleast_2d(matrix)).sum(axis=-2).max()) * reach, weight.constant.ndim - 1
    if bound >= INT32_EXACT:
        raise Refused(f"sums reach {bound:.0f}, not below 2^31", "fewer products in one sum")
    codes = (0.0, float(max(x.high.max(), x_zero[0]))) if x.dtype == "uint8" else None
    hazards = list(pair_hazards(replace(weight, stored=weight.constant), replace(x, codes=codes), axis))
    if bound >= FLOAT32_EXACT:
        cure = "fewer products in one sum, added in int32"
        hazards.append(Hazard(("any", "openvino"), f"sums reach {bound:.0f}: as float, not below 2^24", cure))
    result = Abstract(np.zeros(1), np.full(1, -bound), np.full(1, bound), dtype="int32")
    return one(result, bound=bound, assumptions=("A1",), hazards=tuple(hazards), kernel=KERNEL)


QUANTIZATION: dict[str, Rule] = {
    "ConvInteger": _integer_product,
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeLinear": _dynamic,
    "MatMulInteger": _integer_product,
    "QLinearConv": _qlinear_conv,
    "QLinearMatMul": _qlinear_matmul,
    "QuantizeLinear": _quantize,
}
