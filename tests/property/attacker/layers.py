"""Operators that sum or compare over windows: convolutions, products, pools, normalizations."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from property.attacker.arithmetic import bounded
from property.attacker.constants import array, number, scale, weights, whole
from property.attacker.draft import Draft, ImpossibleError, Tensor

BYTES = (TensorProto.UINT8, TensorProto.INT8)


def geometry(draft: Draft, x: Tensor, largest: int = 3) -> tuple[list[int], dict[str, Any]]:
    """(kernel, attributes) of a window over the spatial axes."""
    spatial = x.rank - 2
    if spatial < 1:
        raise ImpossibleError("no spatial axes")
    same = draft.integer(1, largest)
    kernel = [same if draft.chance(0.7) else draft.integer(1, largest) for _ in range(spatial)]
    attributes: dict[str, Any] = {}
    if draft.chance(0.4):
        attributes["strides"] = [draft.integer(1, 2)] * spatial
    if draft.odd(0.08):
        attributes["strides"] = [draft.integer(1, 3) for _ in range(spatial)]
    if draft.odd(0.08):
        attributes["dilations"] = [draft.integer(1, 2) for _ in range(spatial)]
    if draft.odd(0.07):
        attributes["auto_pad"] = draft.one(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
    elif draft.odd(0.07):
        low = -1 if draft.chance(0.3) else 0
        attributes["pads"] = [draft.integer(low, 2) for _ in range(2 * spatial)]
    elif draft.chance(0.6):
        attributes["pads"] = [side // 2 for side in kernel] * 2
    if draft.chance(0.7):
        attributes["kernel_shape"] = kernel
    return kernel, attributes


def convolved(draft: Draft, x: Tensor, bias: bool | None = None) -> Tensor:
    kernel, attributes = geometry(draft, x)
    channels = x.shape[1]
    group = draft.one([n for n in (1, 2, channels) if channels % n == 0]) if draft.chance(0.3) else 1
    outputs = group * draft.integer(1, 3)
    inputs: list[Tensor | None] = [x, weights(draft, (outputs, channels // group, *kernel))]
    if draft.chance(0.5) if bias is None else bias:
        inputs.append(draft.constant(array(draft, (outputs,), draft.one([9, 1000]))))
    return draft.add("Conv", inputs, group=group if group > 1 or draft.chance(0.5) else None, **attributes)


def convolution(draft: Draft) -> None:
    x = draft.floats(least=3)
    x = bounded(draft, x) if draft.chance(0.5) else x
    if draft.odd(0.04):
        draft.add("Conv", [x, draft.floats(rank=x.rank)])
        return
    made = convolved(draft, x)
    if draft.chance(0.5):
        bounded(draft, made)


def transposed(draft: Draft) -> None:
    x = draft.floats(least=3)
    x = bounded(draft, x) if draft.chance(0.5) else x
    kernel, attributes = geometry(draft, x, 4)
    channels, spatial = x.shape[1], x.rank - 2
    group = draft.one([n for n in (1, 2) if channels % n == 0]) if draft.chance(0.2) else 1
    strides = attributes.get("strides", [1] * spatial)
    if draft.chance(0.3):
        attributes["output_padding"] = [max(0, stride - 1) for stride in strides]
    if draft.odd(0.06):
        attributes["output_shape"] = [side * stride for side, stride in zip(x.shape[2:], strides, strict=True)]
    inputs: list[Tensor | None] = [x, weights(draft, (channels, draft.integer(1, 2), *kernel))]
    if draft.chance(0.4):
        inputs.append(draft.constant(array(draft, (inputs[1].shape[1] * group,), 100)))  # type: ignore[union-attr]
    made = draft.add("ConvTranspose", inputs, group=group if group > 1 else None, **attributes)
    if draft.chance(0.5):
        bounded(draft, made)


def product(draft: Draft) -> None:
    """MatMul with a constant on either side, or of two tensors."""
    x = draft.floats(least=1)
    x = bounded(draft, x) if draft.chance(0.4) else x
    if draft.chance(0.15):
        draft.add("MatMul", [x, draft.floats(least=1)])
        return
    batch = x.shape[:-2] if draft.chance(0.2) else ()
    if draft.chance(0.6):
        shape = (*batch, x.shape[-1], draft.integer(1, 5)) if draft.chance(0.9) else (x.shape[-1],)
        draft.add("MatMul", [x, weights(draft, shape)])
    else:
        draft.add("MatMul", [weights(draft, (*batch, draft.integer(1, 5), x.shape[max(-2, -x.rank)])), x])


def gemm(draft: Draft) -> None:
    x = draft.floats(least=2)
    if x.rank > 2:
        x = draft.add("Flatten", [x], axis=draft.integer(1, x.rank - 1))
    left, right = draft.integer(0, 1) if draft.chance(0.3) else 0, draft.integer(0, 1)
    depth, count = x.shape[0] if left else x.shape[1], draft.integer(1, 4)
    inputs: list[Tensor | None] = [x, weights(draft, (count, depth) if right else (depth, count))]
    if draft.chance(0.6) or draft.opset < 11:
        inputs.append(draft.constant(array(draft, draft.one([(count,), (1, count), (1,), ()]))))
    factors: dict[str, Any] = {name: number(draft) for name in ("alpha", "beta") if draft.chance(0.2)}
    draft.add("Gemm", inputs, transA=left or None, transB=right or None, **factors)


def integer_product(draft: Draft) -> None:
    """MatMulInteger and ConvInteger, and mostly the Cast and Mul behind them."""
    x = draft.pick(lambda t: t.kind in BYTES and t.rank >= 2)
    kind = draft.one([np.dtype(np.int8), np.dtype(np.int8), np.dtype(np.uint8)])
    if x.rank >= 3 and draft.chance(0.5):
        kernel, attributes = geometry(draft, x)
        shape, operator = (draft.integer(1, 3), x.shape[1], *kernel), "ConvInteger"
    else:
        shape, operator, attributes = (x.shape[-1], draft.integer(1, 4)), "MatMulInteger", {}
    inputs: list[Tensor | None] = [x, draft.constant(whole(draft, shape, kind))]
    if draft.chance(0.5):
        inputs.append(draft.constant(whole(draft, (), x.dtype)) if draft.chance(0.7) else None)
        if draft.chance(0.6):
            count = shape[0] if operator == "ConvInteger" else shape[1]
            inputs.append(draft.constant(whole(draft, (count,) if draft.odd(0.2) else (), kind)))
    made = draft.add(operator, inputs, **attributes)
    if draft.chance(0.6):
        made = draft.add("Cast", [made], to=TensorProto.FLOAT)
        if draft.chance(0.6):
            draft.add("Mul", [made, draft.constant(scale(draft), np.float32)])


def pool(draft: Draft) -> None:
    x = draft.pick(lambda t: t.rank >= 3 and t.kind in (*BYTES, TensorProto.FLOAT))
    operator = draft.one(["MaxPool", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool"])
    if operator.startswith("Global"):
        draft.add(operator, [x])
        return
    kernel, attributes = geometry(draft, x)
    attributes["kernel_shape"] = kernel
    for name in ("ceil_mode", "count_include_pad", "storage_order"):
        if draft.chance(0.2):
            attributes[name] = draft.integer(0, 1)
    outputs = 2 if operator == "MaxPool" and draft.odd(0.1) else 1
    draft.add(operator, [x], outputs=outputs, **attributes)


def normalization(draft: Draft) -> None:
    x = draft.floats(least=2)
    count = (x.shape[1],)
    powers = np.exp2(draft.rng.integers(-2, 3, count)).astype(np.float32)
    inputs: list[Tensor | None] = [x, draft.constant(powers), draft.constant(array(draft, count))]
    if draft.chance(0.8):
        variance = np.exp2(2 * draft.rng.integers(-1, 2, count)).astype(np.float32)
        inputs += [draft.constant(array(draft, count)), draft.constant(variance)]
        draft.add("BatchNormalization", inputs, epsilon=draft.one([None, 0.0, 1e-5, 2.0**-40]))
    else:
        draft.add(draft.one(["InstanceNormalization", "LayerNormalization"]), inputs)


def einsum(draft: Draft) -> None:
    x = draft.floats(least=2)
    letters = "abcdefg"[: x.rank]
    if draft.chance(0.3):
        order = "".join(draft.rng.permutation(list(letters)))
        draft.add("Einsum", [x], equation=f"{letters}->{order[: draft.integer(1, x.rank)]}")
        return
    other = weights(draft, (x.shape[-1], draft.integer(1, 3)))
    draft.add("Einsum", [x, other], equation=f"{letters},{letters[-1]}z->{letters[:-1]}z")


DRAWS = {
    convolution: 7,
    transposed: 3,
    product: 3,
    gemm: 1,
    integer_product: 2,
    pool: 3,
    normalization: 1,
    einsum: 1,
}
