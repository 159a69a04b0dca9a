"""QuantizeLinear and DequantizeLinear with all that they take, quantized layers, and the sandwiches of both."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from property.attacker.arithmetic import bounded, clip_values
from property.attacker.constants import INTEGERS, array, operand, scale, whole
from property.attacker.draft import Draft, Tensor
from property.attacker.layers import BYTES, convolved, geometry

FLOAT = TensorProto.FLOAT
NARROW = (TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT8, TensorProto.INT16)


def narrow(draft: Draft) -> int:
    return draft.one(NARROW if draft.opset >= 21 else BYTES)


def zero_of(draft: Draft, kind: np.dtype[Any], count: tuple[int, ...]) -> Any:
    """0 or the middle, at a twist any."""
    if kind.kind in "iu" and kind.itemsize <= 2 and draft.odd(0.1):
        return whole(draft, count, kind)
    middle = 2 ** (8 * kind.itemsize - 1) if kind.kind == "u" and draft.chance(0.4) else 0
    return np.full(count, middle, kind)


def quantize(draft: Draft, x: Tensor, step: float | None = None, kind: int | None = None) -> Tensor:
    kind = kind or narrow(draft)
    dtype = Tensor("", kind, ()).dtype
    count: tuple[int, ...] = ()
    attributes: dict[str, Any] = {}
    if x.rank > 1 and draft.odd(0.05):
        attributes["axis"] = axis = draft.integer(0, x.rank - 1)
        count = (x.shape[axis],)
    if draft.odd(0.05):
        attributes["saturate"] = draft.integer(0, 1)
    scales = np.array([step or scale(draft) for _ in range(count[0] if count else 1)], np.float32)
    inputs: list[Tensor | None] = [x, draft.constant(scales.reshape(count))]
    if kind != TensorProto.UINT8 or draft.chance(0.8):
        inputs.append(draft.constant(zero_of(draft, dtype, count)))
    return draft.add("QuantizeLinear", inputs, **attributes)


def dequantize(draft: Draft, x: Tensor, step: float | None = None) -> Tensor:
    count = (x.shape[1],) if x.rank > 1 and draft.odd(0.05) else ()
    scales = np.array([step or scale(draft) for _ in range(count[0] if count else 1)], np.float32)
    inputs: list[Tensor | None] = [x, draft.constant(scales.reshape(count))]
    if x.kind != TensorProto.INT32 and draft.chance(0.85):
        inputs.append(draft.constant(zero_of(draft, x.dtype, count)))
    return draft.add("DequantizeLinear", inputs)


def sandwiched(draft: Draft, x: Tensor) -> Tensor:
    """QuantizeLinear and DequantizeLinear of one scale and zero point."""
    kind = narrow(draft)
    step = draft.constant(scale(draft), np.float32)
    zero = draft.constant(zero_of(draft, Tensor("", kind, ()).dtype, ()))
    return draft.add("DequantizeLinear", [draft.add("QuantizeLinear", [x, step, zero]), step, zero])


def quantization(draft: Draft) -> None:
    x = draft.floats()
    made = quantize(draft, x)
    if draft.chance(0.7):
        dequantize(draft, made)


def dequantization(draft: Draft) -> None:
    dequantize(draft, draft.pick(lambda t: t.kind in (*INTEGERS[:5],)))


def blocked(draft: Draft) -> None:
    """Scales per block of an axis; other types of zero points; scales of other float types."""
    x = draft.floats(least=2)
    axis, block = x.rank - 1, draft.one([n for n in (1, 2, 3) if x.shape[-1] % n == 0])
    shape = (*x.shape[:-1], x.shape[-1] // block)
    step = draft.constant(np.exp2(draft.rng.integers(-3, 2, shape)).astype(np.float32))
    zero = draft.constant(np.zeros(shape, draft.one([np.int8, np.uint8])))
    made = draft.add("QuantizeLinear", [x, step, zero], axis=axis, block_size=block)
    draft.add("DequantizeLinear", [made, step, zero], axis=axis, block_size=block)


def typed(draft: Draft) -> None:
    """The type from an attribute, or a narrow float."""
    if not draft.odd(0.5):
        quantization(draft)
        return
    kinds = [TensorProto.FLOAT8E4M3FN, TensorProto.INT4, TensorProto.UINT4, TensorProto.UINT16, TensorProto.INT8]
    step = draft.constant(scale(draft), np.float32)
    made = draft.add("QuantizeLinear", [draft.floats(), step], output_dtype=draft.one(kinds))
    draft.add("DequantizeLinear", [made, step])


def activated(draft: Draft, x: Tensor) -> Tensor:
    way = draft.integer(0, 3)
    if way == 0:
        return draft.add("Relu", [x])
    return clip_values(draft, x, 0.0, draft.one([6.0, 127.0])) if way == 1 else x


def layer(draft: Draft) -> None:
    """DequantizeLinear, Conv, activation, QuantizeLinear: what becomes one QLinearConv."""
    x = draft.pick(lambda t: t.rank >= 3 and t.kind in BYTES)
    made = activated(draft, convolved(draft, dequantize(draft, x)))
    if draft.chance(0.3):
        made = draft.add("Add", [made, draft.pick(lambda t: t.kind == FLOAT and t.shape == made.shape)])
    made = quantize(draft, made)
    if draft.chance(0.4):
        dequantize(draft, made)


def pair(draft: Draft) -> None:
    """Element by element on quantized tensors: QLinearAdd, QLinearMul and their like."""
    x = draft.pick(lambda t: t.kind in BYTES)
    y = draft.pick(lambda t: t.kind in BYTES and t.shape == x.shape)
    a, b = dequantize(draft, x), dequantize(draft, y)
    operator = draft.one(["Add", "Mul", "Sub", "Max", "Concat", "MatMul"])
    quantize(draft, draft.add(operator, [a, b], axis=min(1, x.rank - 1) if operator == "Concat" else None))


def kept(draft: Draft) -> None:
    """A mover, pool or activation between DequantizeLinear and QuantizeLinear of the same or another scale."""
    x = draft.pick(lambda t: t.kind in BYTES and t.rank >= 3)
    step = scale(draft)
    y = dequantize(draft, x, step)
    way = draft.integer(0, 6)
    if way == 0:
        y = draft.add("Transpose", [y])
    elif way == 1:
        y = draft.add("Reshape", [y], {"shape": np.array([x.shape[0], -1])})
    elif way == 2:
        kernel, attributes = geometry(draft, x)
        y = draft.add(draft.one(["MaxPool", "AveragePool"]), [y], **{**attributes, "kernel_shape": kernel})
    elif way == 3:
        y = draft.add(draft.one(["GlobalAveragePool", "ReduceMean", "Relu", "LeakyRelu", "Sigmoid", "Abs"]), [y])
    elif way == 4:
        y = bounded(draft, y)
    elif way == 5:
        y = draft.add(draft.one(["Add", "Mul", "Sub"]), [y, operand(draft, y)])
    quantize(draft, y, step if draft.chance(0.6) else None, x.kind if draft.chance(0.6) else None)


def native(draft: Draft) -> None:
    """QLinearConv and QLinearMatMul as they stand in files."""
    x = draft.pick(lambda t: t.kind in BYTES and t.rank >= 2)
    dtype = draft.one([np.dtype(np.int8), x.dtype])
    steps = [draft.constant(scale(draft), np.float32) for _ in range(3)]
    zeros = [draft.constant(zero_of(draft, kind, ())) for kind in (x.dtype, dtype, x.dtype)]
    if x.rank >= 3 and draft.chance(0.7):
        kernel, attributes = geometry(draft, x)
        w = draft.constant(whole(draft, (draft.integer(1, 3), x.shape[1], *kernel), dtype))
        inputs = [x, steps[0], zeros[0], w, steps[1], zeros[1], steps[2], zeros[2]]
        if draft.chance(0.5):
            inputs.append(draft.constant(draft.rng.integers(-999, 1000, w.shape[0]), np.int32))
        draft.add("QLinearConv", inputs, **attributes)
    else:
        w = draft.constant(whole(draft, (x.shape[-1], draft.integer(1, 4)), dtype))
        draft.add("QLinearMatMul", [x, steps[0], zeros[0], w, steps[1], zeros[1], steps[2], zeros[2]])


def dynamic(draft: Draft) -> None:
    if draft.odd(0.2):
        draft.add("DynamicQuantizeLinear", [draft.floats()], outputs=3)
    else:
        sandwiched(draft, draft.floats())


def scaled(draft: Draft) -> None:
    """A constant factor or summand right before QuantizeLinear or right behind DequantizeLinear."""
    x = draft.floats()
    y = draft.add(draft.one(["Mul", "Add", "Sub", "Div"]), [x, draft.constant(scale(draft), np.float32)])
    z = dequantize(draft, quantize(draft, y))
    draft.add(draft.one(["Mul", "Add"]), [z, draft.constant(array(draft, (), 5))])


DRAWS = {
    quantization: 4,
    dequantization: 3,
    blocked: 1,
    typed: 1,
    layer: 4,
    pair: 3,
    kept: 5,
    native: 2,
    dynamic: 1,
    scaled: 3,
}
