"""The certificate's rules for operators that move elements: their values stay, channels may lose their own bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nvc_check.exporter.certificate.abstract import Abstract, Shape, moved, of_constant, uniform, union, wide
from nvc_check.exporter.certificate.terms import Call, Outcome, Refused, Rule, one
from nvc_check.models.grid import is_power_of_two

MOVEMENT = "data movement"
INDEXES = ("int8", "uint8", "int16", "uint16", "int32", "int64")


def _moved(x: Abstract, same_channels: bool) -> Outcome:
    return one(moved(x, same_channels), kernel=MOVEMENT)


def normal(axis: int, shape: Shape) -> int | None:
    """The axis counted from the front; None where it is negative and the rank unknown."""
    return axis if axis >= 0 else None if shape is None else axis + len(shape)


def _identity(call: Call) -> Outcome:
    return one(call.input(0), kernel=MOVEMENT)


def _reshape(call: Call) -> Outcome:
    """Channels stay where the first two sizes do: Reshape, Flatten, Squeeze and Unsqueeze keep the order."""
    x, after = call.input(0), call.shapes[0]
    before = x.shape
    same = (
        before is not None and after is not None and len(before) > 1 and len(after) > 1 and None not in before[:2]
    ) and before[:2] == after[:2]
    return one(_rearranged(x, bool(same)), kernel=MOVEMENT)


def _rearranged(x: Abstract, same_channels: bool) -> Abstract:
    """As moved(), for operators that a runtime may exchange with a Mul or Add behind them: the chain stays."""
    linear = x.linear if same_channels else uniform(x).linear
    return replace(moved(x, same_channels), linear=linear)


def _transpose(call: Call) -> Outcome:
    x, order = call.input(0), call.get("perm", None)
    return one(_rearranged(x, order is not None and len(order) > 1 and order[1] == 1), kernel=MOVEMENT)


def _concat(call: Call) -> Outcome:
    parts = [call.input(i) for i in range(len(call.inputs))]
    axis = normal(call.attributes["axis"], call.shapes[0])
    if axis != 1:
        known = call.shapes[0] is not None and axis is not None
        return _moved(union(parts if known else [uniform(p) for p in parts]), True)
    counts = [p.shape[1] if p.shape is not None and len(p.shape) > 1 else None for p in parts]
    if any(count is None for count in counts):
        return _moved(union([uniform(p) for p in parts]), True)
    pieces = [wide(p, int(count or 0)) for p, count in zip(parts, counts, strict=True)]
    exponent, low, high = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
    return one(Abstract(exponent, low, high, dtype=parts[0].dtype), kernel=MOVEMENT)


def _selected(x: Abstract, part: slice) -> Abstract:
    if len(x.low) == 1:
        return x
    return replace(x, exponent=x.exponent[part], low=x.low[part], high=x.high[part], linear=None)


def _slice(call: Call) -> Outcome:
    x = call.input(0)
    starts, ends, axes, steps = (_known(call, i) for i in range(1, 5))
    count = 0 if starts is None else len(starts)
    if call.optional(3) is None:
        axes = np.arange(count) if starts is not None else None
    if axes is None:
        return _moved(x, False)
    where = [normal(int(axis), x.shape) for axis in axes]
    if None in where:
        return _moved(x, False)
    if 1 not in where:
        return _moved(x, True)
    if starts is None or ends is None or (steps is None and call.optional(4) is not None):
        return _moved(x, False)
    i = where.index(1)
    step = 1 if steps is None else int(steps[i])
    if step < 1:  # backwards, where an end below 0 has a meaning of its own
        return _moved(x, False)
    return _moved(_selected(x, slice(int(starts[i]), int(ends[i]), step)), True)


def _known(call: Call, position: int) -> Any:
    value = call.optional(position)
    return None if value is None or value.constant is None else value.constant.reshape(-1)


def _split(call: Call) -> Outcome:
    x, axis = call.input(0), normal(call.get("axis", 0), call.input(0).shape)
    results = []
    start = 0
    for shape in call.shapes:
        size = shape[1] if shape is not None and len(shape) > 1 else None
        if axis is not None and axis != 1:
            results.append(moved(x, True))
        elif axis == 1 and size is not None and start >= 0:
            results.append(moved(_selected(x, slice(start, start + size)), True))
            start += size
        else:
            results.append(moved(x, False))
            start = -1  # sizes behind an unknown one start anywhere
    return Outcome(tuple(results), kernel=MOVEMENT)


def _pad(call: Call) -> Outcome:
    x, mode = call.input(0), call.text("mode", "constant")
    pads, axes = _known(call, 1), _known(call, 3)
    if call.input(1).low.min() < 0:
        raise Refused("pads that are or may be negative, which runtimes read differently", "a Slice; pads from 0 on")
    along = None
    if pads is not None and (axes is not None or call.optional(3) is None):
        half = len(pads) // 2
        where = range(half) if axes is None else [normal(int(a), x.shape) for a in axes]
        along = dict(zip(where, zip(pads[:half], pads[half:], strict=True), strict=True))
    same = along is not None and None not in along and not any(along.get(1, (0, 0)))
    x = x if same else uniform(x)
    if mode == "constant":
        fill = call.optional(2) or of_constant(np.zeros((), x.dtype))
        x = union([x, replace(fill, constant=None)])
    return _moved(x, True)


def _pixels(call: Call) -> Outcome:
    x = call.input(0)
    phases = int(call.attributes["blocksize"]) ** 2
    if call.op_type == "SpaceToDepth" or len(x.low) == 1:
        return _moved(x, False)
    mode = call.text("mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise Refused(f"DepthToSpace mode {mode} is unknown", "DCR or CRD")
    by_phase, axis = ((phases, -1), 0) if mode == "DCR" else ((-1, phases), 1)
    exponent, low, high = (a.reshape(by_phase) for a in (x.exponent, x.low, x.high))
    mixed = Abstract(exponent.min(axis), low.min(axis), high.max(axis), dtype=x.dtype)
    return _moved(mixed, True)


def _gather(call: Call) -> Outcome:
    """Values of the data; computed indexes must lie inside it, from 0: not all runtimes count from the end."""
    data, index = call.input(0), call.input(1)
    if index.dtype not in INDEXES:
        raise Refused(f"indexes of type {index.dtype}", "Floor, then a Cast to int32")
    if call.op_type == "GatherND":
        if call.get("batch_dims", 0):
            raise Refused("GatherND with batch dimensions has no rule here", "one Gather per example")
        if index.shape is None or index.shape[-1] is None or data.shape is None:
            raise Refused("the depth of the indexes is unknown", "static shapes")
        sizes: list[int | None] = list(data.shape[: index.shape[-1]])
    else:
        axis = normal(call.get("axis", 0), data.shape)
        sizes = [None if data.shape is None or axis is None else data.shape[axis]]
    conditions = []
    for size in sizes:
        low, high = float(index.low.min()), float(index.high.max())
        if size is None and (low < 0 or index.constant is None):
            conditions.append("computed indexes stay inside tensors of a size known at run time only")
        elif size is not None and (low < (-size if index.constant is not None else 0) or high >= size):
            raise Refused(
                f"indexes reach {low:.0f} to {high:.0f}, the table has {size}", f"Clip the indexes to [0, {size - 1}]"
            )
    same = call.op_type == "Gather" and data.shape is not None and (normal(call.get("axis", 0), data.shape) or 0) > 1
    return one(moved(data, same), kernel=MOVEMENT, conditions=tuple(sorted(set(conditions))))


def _expand(call: Call) -> Outcome:
    x = call.input(0)
    same = x.shape is not None and call.rank == len(x.shape)
    return _moved(x, same)


def _tile(call: Call) -> Outcome:
    repeats = _known(call, 1)
    return _moved(call.input(0), repeats is not None and len(repeats) > 1 and int(repeats[1]) == 1)


def _dropout(call: Call) -> Outcome:
    if len(call.inputs) > 1 or len(call.shapes) > 1:
        raise Refused("Dropout with a ratio, a training mode or a mask has no rule here", "leave it out")
    return _identity(call)


def _max_pool(call: Call) -> Outcome:
    if len(call.shapes) > 1:
        raise Refused("MaxPool with indexes has no rule here", "MaxPool with one output")
    return _moved(call.input(0), True)


POSITIONS = ("asymmetric", "half_pixel", "pytorch_half_pixel")


def _resize(call: Call) -> Outcome:
    """Nearest neighbours at power-of-two ratios only: the source position is then exact, however it is computed."""
    mode, where = call.text("mode", "nearest"), call.text("coordinate_transformation_mode", "half_pixel")
    scales = _scales(call)
    cure = "ConvTranspose or Conv and DepthToSpace with the interpolation's weights on a grid"
    if mode != "nearest":
        raise Refused(f"Resize {mode} is implementation-defined", cure)
    good = scales is not None and is_power_of_two(scales.astype(np.float64)) and bool((scales >= 1).all())
    if scales is None or scales.size < 2 or not good or where not in POSITIONS:
        raise Refused(
            f"Resize nearest, {where}, scales {'computed' if scales is None else scales.tolist()}:"
            " the source position is rounded differently",
            "coordinate_transformation_mode asymmetric, nearest_mode floor, constant power-of-two scales",
        )
    return _moved(call.input(0), bool(scales[1] == 1))


def _scales(call: Call) -> Any:
    """Of a Resize, given or by known sizes; None where they are computed."""
    scales = _known(call, 2)
    if scales is not None and scales.size:
        return scales
    sizes, before = _known(call, 3), call.input(0).shape
    if sizes is None or before is None or None in before or len(sizes) != len(before) or 0 in before:
        return None
    return np.array([after / size for after, size in zip(sizes, before, strict=True)], np.float64)


LAYOUT: dict[str, Rule] = {
    "Concat": _concat,
    "DepthToSpace": _pixels,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _reshape,
    "Gather": _gather,
    "GatherElements": _gather,
    "GatherND": _gather,
    "GlobalMaxPool": _max_pool,
    "Identity": _identity,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "SpaceToDepth": _pixels,
    "Split": _split,
    "Squeeze": _reshape,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
