"""Variants of Resize, Upsample, Pad and of pooling: what changes heights and widths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from property.variant_drafts import WIDTH, Draft, Variant

FIXED = (1, WIDTH, 8, 10)
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
COORDINATES = {  # with the opset that has them
    "half_pixel": 11,
    "pytorch_half_pixel": 13,
    "align_corners": 11,
    "asymmetric": 13,
    "tf_half_pixel_for_nn": 11,
    "half_pixel_symmetric": 19,
    "tf_crop_and_resize": 18,
}
ASYMMETRIC: dict[str, Any] = {"coordinate_transformation_mode": "asymmetric"}
EXACT: dict[str, Any] = {"mode": "nearest", "nearest_mode": "floor"} | ASYMMETRIC


def floats(*values: float) -> Any:
    return np.array(values, np.float32)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def _none(opset: int) -> Any:
    """An input that is not given; opset 11 wants one without elements."""
    return floats() if opset == 11 else ""


def resizes() -> Iterator[Variant]:
    kind = "Resize"
    for coordinates, opset in COORDINATES.items():
        how: dict[str, Any] = {"coordinate_transformation_mode": coordinates}
        region = floats(0, 0, 0.1, 0.1, 1, 1, 0.9, 0.9) if coordinates == "tf_crop_and_resize" else _none(opset)
        for rounding in ROUNDINGS:
            for factor in (2, 3):
                draft = Draft(kind, f"nearest, {coordinates}, {rounding}, {factor} times", opset)
                scales = floats(1, 1, factor, factor)
                x = draft.op(
                    kind, draft.layer(draft.input()), region, scales, mode="nearest", nearest_mode=rounding, **how
                )
                yield draft.done(x, listed=(coordinates, rounding) == ("asymmetric", "floor"))
        for mode in ("linear", "cubic"):
            draft = Draft(kind, f"{mode}, {coordinates}", opset)
            yield draft.done(draft.op(kind, draft.input(), region, floats(1, 1, 2, 2), mode=mode, **how))
    for what, opset, scales, how, listed in (
        ("mode absent", 18, (1, 1, 2, 2), {}, True),
        ("mode absent, opset 11", 11, (1, 1, 2, 2), {}, True),
        ("mode absent, asymmetric", 13, (1, 1, 2, 2), ASYMMETRIC, True),
        ("nearest_mode absent, asymmetric, 3 times", 13, (1, 1, 3, 3), ASYMMETRIC, False),
        ("nearest, 4 times", 18, (1, 1, 4, 4), EXACT, True),
        ("nearest, rows only", 18, (1, 1, 2, 1), EXACT, True),
        ("nearest, columns only", 18, (1, 1, 1, 3), EXACT, True),
        ("nearest, 1.5 times", 18, (1, 1, 1.5, 1.5), EXACT, False),
        ("nearest, to a half", 18, (1, 1, 0.5, 0.5), EXACT, False),
        ("nearest, to a half, half_pixel", 18, (1, 1, 0.5, 0.5), {"mode": "nearest"}, False),
        ("nearest, once", 18, (1, 1, 1, 1), EXACT, False),
        ("nearest, channels too", 18, (1, 2, 2, 2), EXACT, False),
        ("nearest, opset 13", 13, (1, 1, 2, 2), EXACT, True),
        ("nearest, opset 19", 19, (1, 1, 2, 2), EXACT, True),
        ("nearest, opset 23", 23, (1, 1, 2, 2), EXACT, True),
        ("linear, to a half, antialias", 18, (1, 1, 0.5, 0.5), {"mode": "linear", "antialias": 1}, False),
        ("nearest, antialias 0", 18, (1, 1, 2, 2), EXACT | {"antialias": 0}, True),
        ("cubic, cubic_coeff_a", 18, (1, 1, 2, 2), {"mode": "cubic", "cubic_coeff_a": -0.5}, False),
        ("cubic, exclude_outside", 18, (1, 1, 2, 2), {"mode": "cubic", "exclude_outside": 1}, False),
    ):  # fmt: skip
        for behind in ("", "a layer"):
            draft = Draft(kind, what + (f", {behind} behind" if behind else ""), opset)
            x = draft.op(kind, draft.input(), _none(opset), floats(*scales), **how)
            yield draft.done(draft.layer(x, WIDTH * int(scales[1])) if behind else x, listed=listed)
    yield from _sizes(kind)
    for mode in ("nearest", "linear"):
        draft = Draft(kind, f"{mode}, opset 10", 10)
        yield draft.done(
            draft.op(kind, draft.layer(draft.input()), floats(1, 1, 2, 2), mode=mode), listed=mode == "nearest"
        )
    draft = Draft(kind, "mode absent, opset 10", 10)
    yield draft.done(draft.op(kind, draft.layer(draft.input()), floats(1, 1, 2, 2)), listed=True)
    for axes in ((2, 3), (3, 2), (-2, -1), (1, 2, 3)):
        draft = Draft(kind, f"axes {axes}")
        scales = [{1: 1, 2: 2, 3: 3}[axis % 4] for axis in axes]
        yield draft.done(draft.op(kind, draft.input(), "", floats(*scales), axes=axes, **EXACT))
    draft = Draft(kind, "scales of a Constant node")
    scales = draft.op("Constant", value_floats=[1.0, 1.0, 2.0, 2.0])
    yield draft.done(draft.op(kind, draft.layer(draft.input()), "", scales, **EXACT), listed=True)
    draft = Draft(kind, "an empty region in place of none", 11)
    yield draft.done(draft.op(kind, draft.layer(draft.input()), floats(), floats(1, 1, 2, 2), **EXACT), listed=True)


def _sizes(kind: str) -> Iterator[Variant]:
    """Sizes in place of scales."""
    for what, opset, sizes, how in (
        ("sizes of 2 times", 18, (1, WIDTH, 16, 20), EXACT),
        ("sizes of 2 times, opset 11", 11, (1, WIDTH, 16, 20), EXACT),
        ("sizes of 2 times, half_pixel", 13, (1, WIDTH, 16, 20), {"mode": "nearest"}),
        ("sizes of 2 and 3 times", 18, (1, WIDTH, 16, 30), EXACT),
        ("sizes of no whole times", 18, (1, WIDTH, 15, 13), EXACT),
        ("sizes that shrink", 18, (1, WIDTH, 4, 5), EXACT),
        ("sizes, linear", 18, (1, WIDTH, 16, 20), {"mode": "linear"}),
        ("sizes, axes", 18, (20, 16), EXACT | {"axes": (3, 2)}),
        *(
            (f"sizes, {policy}", 18, (16, 40), EXACT | {"axes": (2, 3), "keep_aspect_ratio_policy": policy})
            for policy in ("not_larger", "not_smaller")
        ),
    ):  # fmt: skip
        for shape in (FIXED, None):
            draft = Draft(kind, f"{what}, {'fixed' if shape else 'symbolic'} size", opset)
            x = draft.op(kind, draft.layer(draft.input(shape=shape)), _none(opset), _none(opset), ints(*sizes), **how)
            yield draft.done(x, listed=shape is not None and "of 2 times" in what and how == EXACT)
    for twice in (True, False):
        draft = Draft(kind, f"sizes computed of Shape, {'2 times' if twice else '5 more rows'}")
        x = draft.layer(draft.input())
        whole = draft.op("Shape", x)
        sides = draft.op("Slice", whole, ints(2), ints(4))
        sides = draft.op("Mul", sides, ints(2)) if twice else draft.op("Add", sides, ints(5, 0))
        wanted = draft.op("Concat", draft.op("Slice", whole, ints(0), ints(2)), sides, axis=0)
        yield draft.done(draft.op(kind, x, "", "", wanted, **EXACT), listed=twice)


def upsamples() -> Iterator[Variant]:
    kind = "Upsample"
    for what, scales, how in (
        ("mode absent", (1, 1, 2, 2), {}),
        ("nearest", (1, 1, 2, 2), {"mode": "nearest"}),
        ("nearest, 3 times", (1, 1, 3, 3), {"mode": "nearest"}),
        ("nearest, unequal", (1, 1, 2, 3), {"mode": "nearest"}),
        ("nearest, 1.5 times", (1, 1, 1.5, 1.5), {"mode": "nearest"}),
        ("linear", (1, 1, 2, 2), {"mode": "linear"}),
    ):
        draft = Draft(kind, what, 9)
        x = draft.op(kind, draft.layer(draft.input()), floats(*scales), **how)
        yield draft.done(draft.layer(x), listed="linear" not in what and "1.5" not in what)
    draft = Draft(kind, "scales of a Constant node", 9)
    constant = draft.constant(floats(1, 1, 2, 2))
    tensor = draft.constants.pop()
    yield draft.done(draft.op(kind, draft.input(), draft.op("Constant", outputs=[constant], value=tensor)), listed=True)


def pads() -> Iterator[Variant]:
    kind = "Pad"
    around, edges = (0, 0, 1, 1, 0, 0, 1, 1), (0, 0, 1, 2, 0, 0, 3, 1)
    for mode in ("constant", "reflect", "edge", "wrap"):
        for what, sides in (("around", around), ("unequal", edges), ("rows", (0, 0, 2, 0, 0, 0, 1, 0))):
            for behind in ("", ", layer behind"):
                draft = Draft(kind, f"{mode}, {what}{behind}", 19 if mode == "wrap" else 18)
                x = draft.op(kind, draft.layer(draft.input()), ints(*sides), mode=mode)
                yield draft.done(draft.layer(x) if behind else x, listed=mode != "wrap")
    for what, sides, value, how in (
        ("mode absent", around, None, {}),
        ("constant 0", around, 0.0, {}),
        ("constant 1.5", around, 1.5, {}),
        ("constant -100", around, -100.0, {}),
        ("constant 1.5, edge mode", around, 1.5, {"mode": "edge"}),
        ("negative", (0, 0, -1, -1, 0, 0, -1, -1), None, {}),
        ("negative and positive", (0, 0, -1, 2, 0, 0, 1, -3), None, {}),
        ("negative, reflect", (0, 0, -1, 1, 0, 0, -1, 1), None, {"mode": "reflect"}),
        ("negative, edge", (0, 0, -1, 1, 0, 0, -1, 1), None, {"mode": "edge"}),
        ("nothing", (0,) * 8, None, {}),
        ("channels", (0, 1, 0, 0, 0, 2, 0, 0), None, {}),
        ("channels, edge", (0, 1, 0, 0, 0, 2, 0, 0), None, {"mode": "edge"}),
        ("channels fewer", (0, -1, 0, 0, 0, 0, 0, 0), None, {}),
        ("wide", (0, 0, 5, 6, 0, 0, 7, 5), None, {"mode": "reflect"}),
    ):
        draft = Draft(kind, what)
        x = draft.layer(draft.input())
        more = [] if value is None else [np.float32(value)]
        yield draft.done(draft.op(kind, x, ints(*sides), *more, **how), listed=what in ("mode absent", "constant 0"))
    for axes in ((2, 3), (-1, -2), (3,)):
        draft = Draft(kind, f"axes {axes}")
        sides = ints(*range(1, 2 * len(axes) + 1))
        yield draft.done(draft.op(kind, draft.layer(draft.input()), sides, "", ints(*axes)))
    for mode in ("constant", "reflect", "edge"):
        draft = Draft(kind, f"{mode}, opset 9", 9)
        yield draft.done(draft.op(kind, draft.layer(draft.input()), mode=mode, pads=around), listed=True)
    draft = Draft(kind, "value 1.5, opset 9", 9)
    yield draft.done(draft.op(kind, draft.layer(draft.input()), pads=around, value=1.5))
    yield from _in_front(kind)


def _in_front(kind: str) -> Iterator[Variant]:
    """Zeros around what a layer reads."""
    around, edges = ints(0, 0, 1, 1, 0, 0, 1, 1), ints(0, 0, 0, 1, 0, 0, 2, 1)
    for what, sides, value, how in (
        ("Conv without pads", around, 0.0, {}),
        ("Conv with pads", around, 0.0, {"pads": (1, 1, 1, 1)}),
        ("Conv, unequal", edges, 0.0, {}),
        ("Conv of stride 2", edges, 0.0, {"strides": (2, 2)}),
        ("Conv with auto_pad SAME_UPPER", around, 0.0, {"auto_pad": "SAME_UPPER"}),
        ("Conv, ones", around, 1.0, {}),
        ("Conv, ones, with pads", around, 1.0, {"pads": (1, 1, 1, 1)}),
        ("Conv, negative", ints(0, 0, -1, -1, 0, 0, -1, -1), 0.0, {"pads": (2, 2, 2, 2)}),
        ("ConvTranspose", around, 0.0, {"op_type": "ConvTranspose"}),
        (
            "ConvTranspose of stride 2",
            around,
            0.0,
            {"op_type": "ConvTranspose", "strides": (2, 2), "pads": (1, 1, 1, 1)},
        ),
    ):
        draft = Draft(kind, f"in front of {what}")
        x = draft.op(kind, draft.input(), sides, np.float32(value))
        yield draft.done(draft.conv(x, **how), listed=value == 0 and "negative" not in what)
    draft = Draft(kind, "read by a layer and by an output")
    x = draft.op(kind, draft.input(), around)
    yield draft.done(draft.conv(x), x, listed=True)
    draft = Draft(kind, "between Relu and Conv")
    x = draft.op(kind, draft.op("Relu", draft.layer(draft.input())), around)
    yield draft.done(draft.conv(x), listed=True)


def pools() -> Iterator[Variant]:
    kind = "pooling"
    how: dict[str, Any]
    for op_type in ("MaxPool", "AveragePool"):
        for what, how in (
            ("kernel 2, stride 2", {"kernel_shape": (2, 2), "strides": (2, 2)}),
            ("kernel 3, pads", {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}),
            ("ceil_mode", {"kernel_shape": (2, 2), "strides": (2, 2), "ceil_mode": 1}),
            ("auto_pad SAME_UPPER", {"kernel_shape": (2, 2), "auto_pad": "SAME_UPPER"}),
        ):
            draft = Draft(kind, f"{op_type}, {what}")
            yield draft.done(draft.layer(draft.op(op_type, draft.layer(draft.input()), **how)))
    draft = Draft(kind, "AveragePool, count_include_pad")
    yield draft.done(
        draft.op("AveragePool", draft.input(), kernel_shape=(3, 3), pads=(1, 1, 1, 1), count_include_pad=1)
    )
    draft = Draft(kind, "MaxPool with indices")
    how = {"kernel_shape": (2, 2), "strides": (2, 2)}
    yield draft.done(draft.op("MaxPool", draft.input(), outputs=["picture", "places"], **how))
    draft = Draft(kind, "LpPool")
    yield draft.done(draft.op("LpPool", draft.input(), **how))
    for op_type in ("GlobalAveragePool", "GlobalMaxPool"):
        draft = Draft(kind, op_type)
        yield draft.done(draft.op(op_type, draft.layer(draft.input())))
    for op_type in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2"):
        for axes, keep in ((ints(2, 3), 1), (ints(1), 1), (ints(-1), 0)):
            draft = Draft(kind, f"{op_type} over {axes.tolist()}, keepdims {keep}")
            yield draft.done(draft.op(op_type, draft.layer(draft.input()), axes, keepdims=keep))
    draft = Draft(kind, "ReduceMean of opset 13, times the tensor", 13)
    x = draft.layer(draft.input())
    yield draft.done(draft.op("Mul", x, draft.op("ReduceMean", x, axes=(2, 3))))
