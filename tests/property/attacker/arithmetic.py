"""Operators on elements: each function draws one node or a few, and adds them to the draft."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from property.attacker.constants import INTEGERS, like, number, operand, scale, whole
from property.attacker.draft import Draft, ImpossibleError, Tensor

FLOAT = TensorProto.FLOAT
PLAIN = ("Neg", "Abs", "Sign", "Relu", "Floor", "Ceil", "Round", "Identity", "Relu", "Abs")
SMOOTH = ("Sigmoid", "Tanh", "Exp", "Sqrt", "Reciprocal", "Softplus", "Erf", "HardSwish", "Mish", "Gelu", "Log", "Sin")
SLOPED = {
    "LeakyRelu": ("alpha",),
    "ThresholdedRelu": ("alpha",),
    "Elu": ("alpha",),
    "Celu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Shrink": ("bias", "lambd"),
    "Selu": ("alpha", "gamma"),
}
WHOLE = (
    *("Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "Abs", "Neg", "Sign", "Clip", "Pow", "Relu"),
    *("BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot"),
)
COMPARISONS = ("Less", "Greater", "Equal", "LessOrEqual", "GreaterOrEqual")
FLOATS = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def other(draft: Draft, x: Tensor) -> Tensor:
    """A second operand: a constant, or a tensor of the same shape and type."""
    if draft.chance(0.6):
        return operand(draft, x)
    if draft.odd(0.05):
        return draft.pick(lambda t: t.kind == x.kind)
    return draft.pick(lambda t: t.kind == x.kind and t.shape == x.shape)


def clip_values(draft: Draft, x: Tensor, low: float | None, high: float | None) -> Tensor:
    parameters = {name: None if v is None else np.array(v, x.dtype) for name, v in (("min", low), ("max", high))}
    return draft.add("Clip", [x], parameters)


def bounded(draft: Draft, x: Tensor | None = None) -> Tensor:
    """A Clip to small integers, which keeps later sums exact."""
    x = x or draft.floats()
    high = float(draft.one([1, 15, 127, 127, 255, 6]))
    return clip_values(draft, x, draft.one([0.0, -high, -high]), high)


def unary(draft: Draft) -> None:
    x = draft.floats() if draft.chance(0.8) else draft.pick()
    if draft.odd(0.04):
        draft.add(draft.one(SMOOTH), [x])
    elif draft.odd(0.06):
        operator = draft.one(list(SLOPED))
        slopes: dict[str, Any] = {name: number(draft, 0.3) for name in SLOPED[operator] if draft.chance(0.8)}
        draft.add(operator, [x], **slopes)
    elif draft.chance(0.15):
        draft.add("LeakyRelu", [x], alpha=draft.one([0.5, 0.125, 0.25, scale(draft), 2.0, -1.0]))
    else:
        draft.add(draft.one(PLAIN), [x])


def binary(draft: Draft) -> None:
    x = draft.floats() if draft.chance(0.8) else draft.pick(lambda t: t.kind != TensorProto.BOOL)
    operator = draft.one(["Add", "Add", "Sub", "Mul", "Mul", "Min", "Max", "Div"])
    if operator == "Div" and x.kind == FLOAT and not draft.odd(0.3):
        y = draft.constant(scale(draft), np.float32)
    elif operator in ("Min", "Max") and draft.chance(0.3):
        many = [other(draft, x) for _ in range(draft.integer(0, 2))]
        draft.add(operator, [x, *many])
        return
    else:
        y = other(draft, x)
    draft.add(operator, [y, x] if draft.chance(0.25) else [x, y])


def several(draft: Draft) -> None:
    x = draft.floats()
    draft.add(draft.one(["Sum", "Mean", "Sum"]), [x, *(other(draft, x) for _ in range(draft.integer(0, 3)))])


def affine(draft: Draft) -> None:
    """Two or three constants one after the other: what optimizers fold into one."""
    x = draft.floats()
    for _ in range(draft.integer(2, 3)):
        operator = draft.one(["Mul", "Add", "Sub", "Mul", "Div"])
        y = draft.constant(scale(draft), np.float32) if operator == "Div" else operand(draft, x)
        x = draft.add(operator, [x, y])


def clip(draft: Draft) -> None:
    if not draft.odd(0.15):
        bounded(draft)
        return
    x = draft.floats() if draft.chance(0.7) else draft.pick(lambda t: t.kind != TensorProto.BOOL)
    low, high = (float(like(draft, x, ()).item()) for _ in range(2))
    if draft.chance(0.8):
        low, high = min(low, high), max(low, high)
    clip_values(draft, x, low if draft.chance(0.8) else None, high if draft.chance(0.8) else None)


def sloped(draft: Draft) -> None:
    x = draft.floats()
    if draft.chance(0.5):
        draft.add("PRelu", [x, operand(draft, x)])
    else:
        draft.add("Pow", [x, draft.constant(draft.one([2.0, 1.0, 2.0, 3.0, 0.5]), np.float32)])


def compare(draft: Draft) -> None:
    """A comparison, and mostly the Where that reads it."""
    x = draft.floats() if draft.chance(0.8) else draft.pick()
    condition = draft.add(draft.one(COMPARISONS), [x, other(draft, x)])
    if draft.chance(0.3):
        condition = draft.add("Not", [condition])
    if draft.chance(0.3):
        more = draft.pick(lambda t: t.kind == TensorProto.BOOL)
        condition = draft.add(draft.one(["And", "Or", "Xor", "Equal"]), [condition, more])
    if draft.chance(0.7):
        a, b = draft.pick(lambda t: t.kind == x.kind), other(draft, x)
        draft.add("Where", [condition, a, b] if draft.chance(0.5) else [condition, b, a])


def cast(draft: Draft) -> None:
    """Between any two types, and mostly back to float32."""
    x = draft.floats() if draft.chance(0.6) else draft.pick()
    if x.kind != FLOAT and draft.chance(0.8):
        _cast(draft, x, FLOAT)
        return
    kind = draft.one([*INTEGERS, TensorProto.INT32, TensorProto.INT32, TensorProto.BOOL, *FLOATS])
    if kind in FLOATS and not draft.odd(0.5):
        kind = TensorProto.INT32
    if x.kind == FLOAT and not draft.odd(0.1):  # other values have no defined result
        x = bounded(draft, x)
        if kind in (TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64):
            x = draft.add("Relu", [x])
        if draft.chance(0.5):
            x = draft.add(draft.one(["Round", "Floor", "Ceil"]), [x])
        if kind == TensorProto.INT8:
            x = clip_values(draft, x, -128.0, 127.0)
    made = _cast(draft, x, kind)
    if draft.chance(0.5):
        _cast(draft, made, FLOAT)


def _cast(draft: Draft, x: Tensor, kind: int) -> Tensor:
    if draft.odd(0.05):
        return draft.add("CastLike", [x, draft.pick(lambda t: t.kind == kind)])
    return draft.add("Cast", [x], to=kind)


def integers(draft: Draft) -> None:
    """Arithmetic of integer types."""
    x = draft.pick(lambda t: t.kind in INTEGERS)
    operator = draft.one(WHOLE)
    if operator in ("Abs", "Neg", "Sign", "BitwiseNot", "Relu"):
        draft.add(operator, [x])
    elif operator == "Clip":
        clip_values(draft, x, *sorted(int(whole(draft, (), x.dtype)) for _ in range(2)))
    elif operator in ("Div", "Mod"):
        divisor = draft.constant(np.maximum(1, whole(draft, (), x.dtype)).astype(x.dtype))
        draft.add(operator, [x, divisor], fmod=draft.one([None, None, 0, 1]) if operator == "Mod" else None)
    elif operator == "BitShift":
        amount = draft.constant(np.array(draft.integer(0, 7), x.dtype))
        draft.add(operator, [x, amount], direction=draft.one(["LEFT", "RIGHT"]))
    else:
        draft.add(operator, [x, other(draft, x)])


def remainder(draft: Draft) -> None:
    """Mod of real numbers, as operator or by Floor."""
    x = draft.floats()
    divisor = draft.constant(scale(draft), np.float32)
    if draft.chance(0.5):
        draft.add("Mod", [x, divisor], fmod=1)
        return
    whole_part = draft.add("Floor", [draft.add("Div", [x, divisor])])
    draft.add("Sub", [x, draft.add("Mul", [whole_part, divisor])])


def logic(draft: Draft) -> None:
    x = draft.pick(lambda t: t.kind == TensorProto.BOOL)
    if draft.chance(0.3):
        draft.add("Not", [x])
    elif draft.chance(0.5):
        draft.add("Cast", [x], to=draft.one([FLOAT, TensorProto.INT32, TensorProto.UINT8]))
    else:
        draft.add(draft.one(["And", "Or", "Xor"]), [x, other(draft, x)])


def checked(draft: Draft) -> None:
    """IsNaN and IsInf of something."""
    if not draft.odd(0.3):
        raise ImpossibleError("not now")
    draft.add(draft.one(["IsNaN", "IsInf"]), [draft.floats()])


DRAWS = {
    unary: 5,
    binary: 7,
    several: 1,
    affine: 3,
    clip: 5,
    sloped: 1,
    compare: 3,
    cast: 4,
    integers: 3,
    remainder: 1,
    logic: 1,
    checked: 1,
}
