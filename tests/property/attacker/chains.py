"""Neighbours that optimizers rewrite together: fusions, foldings and moves of one operator past another."""

from __future__ import annotations

import numpy as np
from property.attacker.arithmetic import bounded
from property.attacker.constants import array, number, operand, scale, weights
from property.attacker.draft import Draft, Tensor
from property.attacker.layers import convolved, geometry
from property.attacker.quantized import quantize, sandwiched


def image(draft: Draft) -> Tensor:
    x = draft.floats(least=3)
    return bounded(draft, x) if draft.chance(0.5) else x


def per_channel(draft: Draft, x: Tensor) -> Tensor:
    return draft.constant(array(draft, (1, x.shape[1], *(1,) * (x.rank - 2)), 5))


def residual(draft: Draft) -> None:
    """Conv, Add of a tensor, Relu."""
    x = image(draft)
    kernel = 2 * draft.integer(0, 1) + 1
    spatial = x.rank - 2
    w = weights(draft, (x.shape[1], x.shape[1], *(kernel,) * spatial))
    bias = [draft.constant(array(draft, (x.shape[1],), 100))] if draft.chance(0.5) else []
    y = draft.add("Conv", [x, w, *bias], pads=[kernel // 2] * (2 * spatial))
    made = draft.add("Add", [y, x] if draft.chance(0.5) else [x, y])
    if draft.chance(0.7):
        draft.add(draft.one(["Relu", "LeakyRelu", "Relu", "Sigmoid"]), [made])


def folded(draft: Draft) -> None:
    """Conv or MatMul with Mul, Add and BatchNormalization behind it."""
    x = image(draft)
    y = convolved(draft, x) if draft.chance(0.7) else draft.add("MatMul", [x, weights(draft, (x.shape[-1], 3))])
    for _ in range(draft.integer(1, 3)):
        operator = draft.one(["Mul", "Add", "Mul", "Sub", "Relu", "Clip", "BatchNormalization"])
        if operator == "Relu":
            y = draft.add("Relu", [y])
        elif operator == "Clip":
            y = bounded(draft, y)
        elif operator == "BatchNormalization":
            count = (y.shape[1],)
            three = [draft.constant(array(draft, count, 4)) for _ in range(3)]
            y = draft.add(operator, [y, *three, draft.constant(np.ones(count, np.float32))], epsilon=0.0)
        else:
            y = draft.add(operator, [y, per_channel(draft, y)])


def padded_layer(draft: Draft) -> None:
    """Pad before Conv, MaxPool or AveragePool."""
    x = image(draft)
    pads = [0, 0, *(draft.integer(0, 1) for _ in range(x.rank - 2))] * 2
    value = np.array(number(draft), np.float32) if draft.chance(0.5) else np.array(0, np.float32)
    name = "constant_value" if draft.opset >= 11 else "value"
    padded = draft.add("Pad", [x], {"pads": np.array(pads, np.int64), name: value})
    if draft.chance(0.5):
        convolved(draft, padded)
        return
    kernel, attributes = geometry(draft, padded)
    draft.add(draft.one(["MaxPool", "AveragePool"]), [padded], **{**attributes, "kernel_shape": kernel})


def turned_product(draft: Draft) -> None:
    """Transpose before and behind MatMul, Conv or an operator on elements."""
    x = draft.floats(least=2)
    order = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
    turned = draft.add("Transpose", [x], perm=order)
    way = draft.integer(0, 2)
    if way == 0:
        y = draft.add("MatMul", [turned, weights(draft, (turned.shape[-1], draft.integer(1, 4)))])
    elif way == 1:
        y = convolved(draft, turned)
    else:
        y = draft.add(draft.one(["Add", "Mul", "Max"]), [turned, operand(draft, turned)])
    draft.add("Transpose", [y], perm=order)


def nhwc(draft: Draft) -> None:
    """Channels last around a layer, as converters write it."""
    x = draft.floats(rank=4)
    y = convolved(draft, draft.add("Transpose", [x], perm=[0, 3, 1, 2]))
    draft.add("Transpose", [y], perm=[0, 2, 3, 1])


def readers(draft: Draft) -> None:
    """Several readers of one quantized tensor."""
    x = sandwiched(draft, draft.floats(least=1))
    for _ in range(draft.integer(2, 3)):
        operator = draft.one(["Relu", "Mul", "Add", "Transpose", "Neg"])
        y = draft.add(operator, [x, operand(draft, x)] if operator in ("Mul", "Add") else [x])
        if draft.chance(0.5):
            quantize(draft, y)


def joined(draft: Draft) -> None:
    """Concat of quantized tensors, quantized again."""
    x = draft.floats(least=2)
    parts = [sandwiched(draft, x) for _ in range(draft.integer(2, 3))]
    quantize(draft, draft.add("Concat", parts, axis=1))


def twice(draft: Draft) -> None:
    """The same kind of operator twice: pairs that are merged or that cancel."""
    x = draft.floats()
    operator = draft.one(["Clip", "Relu", "Neg", "Abs", "Round", "Mul", "Add", "Sub", "Cast", "Max", "Reshape"])
    for _ in range(2):
        if operator == "Clip":
            x = bounded(draft, x)
        elif operator == "Reshape":
            x = draft.add("Reshape", [x], {"shape": np.array([-1] if draft.chance(0.5) else x.shape, np.int64)})
        elif operator == "Cast":
            x = draft.add("Cast", [draft.add("Cast", [bounded(draft, x)], to=draft.one([6, 7]))], to=1)
        elif operator in ("Mul", "Add", "Sub", "Max"):
            x = draft.add(operator, [x, operand(draft, x)])
        else:
            x = draft.add(operator, [x])


def rounded(draft: Draft) -> None:
    """Scaled, rounded, clipped: a quantization out of single operators."""
    x = draft.floats()
    step = draft.constant(scale(draft), np.float32)
    y = draft.add(draft.one(["Mul", "Div"]), [x, step])
    if draft.chance(0.4):
        y = draft.add("Add", [y, draft.constant(0.5, np.float32)])
    y = bounded(draft, draft.add(draft.one(["Floor", "Round", "Ceil"]), [y]))
    if draft.chance(0.5):
        draft.add("Mul", [y, step])


DRAWS = {
    residual: 3,
    folded: 4,
    padded_layer: 3,
    turned_product: 3,
    nhwc: 1,
    readers: 2,
    joined: 2,
    twice: 3,
    rounded: 3,
}
