"""Operators that move, pick, repeat, count or reduce elements."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from property.attacker.constants import like
from property.attacker.draft import Draft, ImpossibleError, Tensor

INT64 = TensorProto.INT64


def anyone(draft: Draft, least: int = 1) -> Tensor:
    return draft.floats(least=least) if draft.chance(0.6) else draft.pick(lambda t: t.rank >= least)


def axis_of(draft: Draft, x: Tensor) -> int:
    return draft.integer(-x.rank, x.rank - 1) if draft.chance(0.2) else draft.integer(0, x.rank - 1)


def vector(values: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def turned(draft: Draft) -> None:
    x = anyone(draft)
    draft.add("Transpose", [x], perm=[int(axis) for axis in draft.rng.permutation(x.rank)])


def reshaped(draft: Draft) -> None:
    x = anyone(draft)
    way = draft.integer(0, 4)
    sides = list(x.shape)
    if way == 0:
        at = draft.integer(0, x.rank)
        draft.add("Unsqueeze", [x], {"axes": vector([at])})
    elif way == 1:
        ones = [axis for axis, side in enumerate(sides) if side == 1]
        draft.add("Squeeze", [x], {"axes": vector([draft.one(ones)]) if draft.chance(0.8) else None})
    elif way == 2:
        draft.add("Flatten", [x], axis=axis_of(draft, x))
    elif way == 3 and draft.opset >= 13:
        described = draft.add("Shape", [x])
        first = draft.add("Gather", [described, draft.constant(vector([0]))], axis=0)
        target = draft.add("Concat", [first, draft.constant(vector([-1]))], axis=0)
        draft.add("Reshape", [x, target], shape=(sides[0], int(np.prod(sides[1:]))))
    else:
        at = draft.integer(0, max(0, x.rank - 2))
        merged = [*sides[:at], sides[at] * (sides[at + 1] if at + 1 < x.rank else 1), *sides[at + 2 :]]
        if draft.chance(0.3):
            merged = [0 if i < at and draft.chance(0.5) else side for i, side in enumerate(merged)]
        if draft.chance(0.3):
            merged[-1] = -1
        draft.add("Reshape", [x], {"shape": vector(merged)}, allowzero=0 if draft.chance(0.1) else None)


def repeated(draft: Draft) -> None:
    x = anyone(draft)
    if draft.chance(0.5):
        draft.add("Tile", [x], {"repeats": vector([draft.integer(1, 2) for _ in x.shape])})
    else:
        wide = [draft.integer(1, 3) if side == 1 else draft.one([side, 1]) for side in x.shape]
        draft.add("Expand", [x], {"shape": vector([2, *wide] if draft.chance(0.2) else wide)})


def sliced(draft: Draft) -> None:
    x = anyone(draft)
    axis = axis_of(draft, x)
    side = x.shape[axis]
    start, end, step = draft.integer(0, side - 1), draft.one([side, side, -1, 2**31 - 1, 2**63 - 1, 1]), 1
    if draft.chance(0.3) and draft.opset >= 10:
        step = draft.one([2, 1, -1, -2])
        start, end = (side - 1, draft.one([-side - 1, 0, -(2**31)])) if step < 0 else (start, end)
    parameters = {"starts": vector([start]), "ends": vector([end]), "axes": vector([axis])}
    if step != 1:
        parameters["steps"] = vector([step])
    draft.add("Slice", [x], parameters)


def joined(draft: Draft) -> None:
    x = anyone(draft)
    axis = axis_of(draft, x)
    others = [t for t in draft.pool if t.kind == x.kind and t.rank == x.rank]
    parts = [x, *(draft.one(others) for _ in range(draft.integer(0, 2)))]
    if draft.chance(0.2):
        parts.append(draft.constant(like(draft, x, x.shape)))
    if draft.chance(0.3):
        draft.rng.shuffle(parts)  # type: ignore[arg-type]
    draft.add("Concat", parts, axis=axis)


def parted(draft: Draft) -> None:
    x = anyone(draft)
    axis = draft.one([axis for axis, side in enumerate(x.shape) if side > 1])
    side = x.shape[axis]
    cut = draft.integer(1, side - 1)
    if draft.chance(0.6) or side % 2:
        draft.add("Split", [x], {"split": vector([cut, side - cut])}, outputs=2, axis=axis)
    else:
        draft.add("Split", [x], outputs=2, axis=axis, num_outputs=2)


def gathered(draft: Draft) -> None:
    x = anyone(draft)
    axis = axis_of(draft, x)
    side = x.shape[axis]
    kind = draft.one([np.int64, np.int64, np.int32])
    low = -side if draft.chance(0.2) else 0
    way = draft.integer(0, 4)
    if way <= 1:
        shape = draft.one([(), (2,), (3,), (2, 2)])
        draft.add("Gather", [x, draft.constant(draft.rng.integers(low, side, shape).astype(kind))], axis=axis)
    elif way == 2:
        index = draft.rng.integers(low, side, x.shape).astype(kind)
        draft.add("GatherElements", [x, draft.constant(index)], axis=axis)
    elif way == 3:
        index = np.stack([draft.rng.integers(0, side, (3,)) for side in x.shape[: draft.integer(1, x.rank)]], -1)
        draft.add("GatherND", [x, draft.constant(index, np.int64)])
    else:
        table(draft)


def table(draft: Draft) -> None:
    """Integers of the pool as indexes of a constant table."""
    x = draft.pick(lambda t: t.kind in (TensorProto.UINT8, TensorProto.FLOAT))
    index = draft.add("Cast", [x], to=draft.one([TensorProto.INT32, INT64]))
    index = draft.add("Clip", [index], {"min": np.array(0, index.dtype), "max": np.array(15, index.dtype)})
    draft.add("Gather", [draft.constant(draft.rng.integers(-99, 100, 16).astype(np.float32)), index], axis=0)


def scattered(draft: Draft) -> None:
    x = anyone(draft)
    axis = axis_of(draft, x)
    reduction = draft.one([None, None, "none", "add", "mul", "max", "min"])
    if draft.chance(0.5):
        index = np.stack([draft.rng.integers(0, side, (3,)) for side in x.shape], -1)
        index = index if draft.odd(0.3) else np.unique(index, axis=0)
        updates = draft.constant(like(draft, x, (len(index),)))
        draft.add("ScatterND", [x, draft.constant(index, np.int64), updates], reduction=reduction)
    else:
        index = np.argsort(draft.rng.random(x.shape), axis).astype(np.int64)
        updates = draft.constant(like(draft, x, x.shape))
        draft.add("ScatterElements", [x, draft.constant(index), updates], axis=axis, reduction=reduction)


def padded(draft: Draft) -> None:
    x = anyone(draft)
    low = -1 if draft.odd(0.15) else 0
    pads = [0 if axis < x.rank - 2 and draft.chance(0.9) else draft.integer(low, 2) for axis in range(x.rank)] * 2
    value = like(draft, x, ()) if draft.chance(0.6) else None
    if value is not None and draft.opset < 11:
        value = value.astype(np.float32)
    name = "constant_value" if draft.opset >= 11 else "value"
    mode = draft.one([None, "constant", "constant", "edge", "reflect", "wrap"])
    draft.add("Pad", [x], {"pads": vector(pads), name: value}, mode=mode)


def resized(draft: Draft) -> None:
    x = draft.floats(rank=4) if draft.chance(0.8) else draft.pick(lambda t: t.rank == 4)
    scales = np.array([1, 1, *([draft.one([2, 2, 2, 3, 1.5, 0.5])] * 2)], np.float32)
    if draft.opset < 11:
        operator = "Upsample" if draft.opset < 10 else "Resize"
        draft.add(operator, [x], {"scales": scales}, mode=draft.one(["nearest", "nearest", "linear"]))
        return
    attributes: dict[str, Any] = {
        "mode": "linear" if draft.odd(0.1) else "nearest",
        "nearest_mode": draft.one([None, "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
        "coordinate_transformation_mode": draft.one(
            [None, "asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel"]
        ),
        "exclude_outside": 1 if draft.odd(0.1) else None,
    }
    roi = draft.constant(np.zeros(8, np.float32)) if draft.opset < 13 else None
    sides = tuple(int(side * factor) for side, factor in zip(x.shape, scales, strict=True))
    if draft.chance(0.3) and draft.opset >= 13:
        draft.add("Resize", [x], {"sizes": vector(list(sides))}, **attributes)
    else:
        draft.add("Resize", [x, roi, draft.constant(scales)], **attributes)


def blocks(draft: Draft) -> None:
    x = draft.pick(lambda t: t.rank == 4)
    if draft.chance(0.6):
        draft.add("DepthToSpace", [x], blocksize=2, mode=draft.one([None, "DCR", "CRD"]))
    else:
        draft.add("SpaceToDepth", [x], blocksize=2)


def reduced(draft: Draft) -> None:
    x = anyone(draft)
    operator = draft.one(
        ["ReduceSum", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceMean", "ReduceProd", "ReduceL1", "ReduceSumSquare"]
    )
    chosen = sorted({draft.integer(0, x.rank - 1) for _ in range(draft.integer(1, 2))})
    axes = vector(chosen) if draft.chance(0.85) else vector([]) if draft.odd(0.5) else None
    attributes: dict[str, Any] = {
        "keepdims": draft.one([None, 0, 1]),
        "noop_with_empty_axes": 1 if draft.odd(0.1) else None,
    }
    draft.add(operator, [x], {"axes": axes}, **attributes)


def ordered(draft: Draft) -> None:
    x = anyone(draft)
    axis = axis_of(draft, x)
    way = draft.integer(0, 2)
    if way == 0:
        attributes: dict[str, Any] = {"keepdims": draft.one([None, 0]), "select_last_index": draft.one([None, 1])}
        draft.add(draft.one(["ArgMax", "ArgMin"]), [x], axis=axis, **attributes)
    elif way == 1:
        flags: dict[str, Any] = {name: draft.one([None, 1]) for name in ("exclusive", "reverse")}
        draft.add("CumSum", [x, draft.constant(axis, draft.one([np.int64, np.int32]))], **flags)
    else:
        count = vector([draft.integer(1, x.shape[axis])])
        draft.add("TopK", [x], {"k": count}, outputs=2, axis=axis, largest=draft.one([None, 0]))


def made(draft: Draft) -> None:
    """Tensors out of shapes, numbers and indexes."""
    way = draft.integer(0, 5)
    x = anyone(draft)
    if way == 0:
        draft.add("Trilu", [draft.pick(lambda t: t.rank >= 2)], upper=draft.integer(0, 1))
    elif way == 1:
        index = draft.pick(lambda t: t.kind in (INT64, TensorProto.INT32, TensorProto.UINT8))
        values = draft.constant(np.array([0, draft.one([1, 5])], np.float32))
        draft.add("OneHot", [index, draft.constant(4, np.int64), values], axis=-1)
    elif way == 2:
        ends = [draft.constant(value, np.int64) for value in (0, draft.integer(1, 6), draft.integer(1, 2))]
        draft.add("Range", ends)
    elif way == 3:
        draft.add("Shape", [x], start=draft.one([None, 0, 1]))
    elif way == 4:
        draft.add("Dropout" if draft.chance(0.5) else "Size", [x])
    else:
        if x.rank < 2:
            raise ImpossibleError("no batch")
        lengths = draft.constant(draft.rng.integers(1, x.shape[0] + 1, x.shape[1]), np.int64)
        draft.add("ReverseSequence", [x, lengths], time_axis=0, batch_axis=1)


DRAWS = {
    turned: 4,
    reshaped: 4,
    repeated: 2,
    sliced: 3,
    joined: 3,
    parted: 2,
    gathered: 3,
    scattered: 1,
    padded: 3,
    resized: 2,
    blocks: 2,
    reduced: 3,
    ordered: 2,
    made: 2,
}
