"""Variants of Conv, ConvTranspose and BatchNormalization."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from property.variant_drafts import WIDTH, Draft, Variant

SAME = (1, 1, 1, 1)
AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")

CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "pads absent": {},
    "pads equal": {"pads": SAME},
    "pads above and left": {"pads": (1, 1, 0, 0)},
    "pads below and right": {"pads": (0, 0, 1, 1)},
    "pads of rows only": {"pads": (2, 0, 2, 0)},
    "pads all unequal": {"pads": (0, 1, 2, 3)},
    "pads as large as the kernel": {"pads": (3, 3, 3, 3)},
    "strides 2": {"pads": SAME, "strides": (2, 2)},
    "strides 3": {"strides": (3, 3)},
    "strides of columns": {"pads": SAME, "strides": (1, 2)},
    "strides of rows": {"pads": SAME, "strides": (2, 1)},
    "strides beyond the kernel": {"kernel": 1, "strides": (3, 3)},
    "dilations 2": {"pads": (2, 2, 2, 2), "dilations": (2, 2)},
    "dilations of columns": {"pads": (1, 2, 1, 2), "dilations": (1, 2)},
    "dilations 3, no pads": {"kernel": 2, "dilations": (3, 3)},
    "dilations and strides": {"pads": (2, 2, 2, 2), "dilations": (2, 2), "strides": (2, 2)},
    "dilations, auto_pad VALID": {"auto_pad": "VALID", "dilations": (2, 2)},
    "group 2": {"pads": SAME, "group": 2, "after": 6},
    "group 4, depthwise": {"pads": SAME, "group": 4},
    "group 4, depthwise, two for each": {"pads": SAME, "group": 4, "after": 8},
    "group 2, strides 2": {"pads": SAME, "group": 2, "strides": (2, 2)},
    "group 4, dilations 2": {"pads": (2, 2, 2, 2), "group": 4, "dilations": (2, 2)},
    "kernel_shape absent": {"pads": SAME, "declared": False},
    "kernel_shape absent, auto_pad SAME_UPPER": {"auto_pad": "SAME_UPPER", "declared": False},
    "no bias": {"pads": SAME, "bias": False},
    "kernel 1x1": {"kernel": 1},
    "kernel 1x1 in pads": {"kernel": 1, "pads": SAME},
    "kernel 1x3": {"kernel": (1, 3), "pads": (0, 1, 0, 1)},
    "kernel 3x1": {"kernel": (3, 1), "pads": (1, 0, 1, 0)},
    "kernel 5x3": {"kernel": (5, 3), "pads": (2, 1, 2, 1)},
    "kernel 2x2": {"kernel": 2},
    "kernel 4x4, strides 2": {"kernel": 4, "pads": SAME, "strides": (2, 2)},
    "kernel 7x7": {"kernel": 7, "pads": (3, 3, 3, 3)},
    "one channel out": {"after": 1, "pads": SAME},
}

TRANSPOSED: dict[str, dict[str, Any]] = {
    "pads absent": {},
    "stride 1, pads 1": {"pads": SAME},
    "kernel 4, stride 2, pads 1": {"kernel": 4, "strides": (2, 2), "pads": SAME},
    "kernel 5, stride 2, output_padding": {"kernel": 5, "strides": (2, 2), "pads": (2,) * 4, "output_padding": (1, 1)},
    "kernel 3, stride 2, pads 1, odd size": {"strides": (2, 2), "pads": SAME},
    "kernel 3, stride 2, output_padding": {"strides": (2, 2), "pads": SAME, "output_padding": (1, 1)},
    "output_padding of rows": {"strides": (2, 2), "pads": SAME, "output_padding": (1, 0)},
    "kernel 2, stride 2": {"kernel": 2, "strides": (2, 2)},
    "kernel 4, stride 1, no pads": {"kernel": 4},
    "kernel below the stride": {"kernel": 2, "strides": (3, 3)},
    "kernel 1, stride 2": {"kernel": 1, "strides": (2, 2)},
    "kernel 3, stride 3": {"strides": (3, 3)},
    "kernel 8, stride 4": {"kernel": 8, "strides": (4, 4), "pads": (2, 2, 2, 2)},
    "strides of columns": {"strides": (1, 2), "pads": SAME, "output_padding": (0, 1)},
    "strides of rows": {"kernel": (4, 3), "strides": (2, 1), "pads": SAME},
    "pads unequal": {"strides": (2, 2), "pads": (0, 0, 1, 1)},
    "pads all unequal": {"kernel": 5, "strides": (2, 2), "pads": (0, 1, 2, 3)},
    "kernel 1x5": {"kernel": (1, 5), "pads": (0, 2, 0, 2)},
    "dilations 2": {"dilations": (2, 2), "pads": (2, 2, 2, 2)},
    "dilations 2, stride 2": {"dilations": (2, 2), "strides": (2, 2), "pads": SAME},
    "group 2": {"strides": (2, 2), "pads": SAME, "group": 2, "output_padding": (1, 1)},
    "group 4, depthwise": {"kernel": 4, "strides": (2, 2), "pads": SAME, "group": 4},
    "group 4, two for each": {"kernel": 4, "strides": (2, 2), "pads": SAME, "group": 4, "after": 8},
    "kernel_shape absent": {"kernel": 4, "strides": (2, 2), "pads": SAME, "declared": False},
    "no bias": {"kernel": 4, "strides": (2, 2), "pads": SAME, "bias": False},
    "output_shape": {"strides": (2, 2), "output_shape": (16, 20)},
    "output_shape, odd": {"strides": (2, 2), "output_shape": (15, 19)},
    "output_shape, one more pad": {"kernel": 4, "strides": (2, 2), "output_shape": (17, 21)},
    "output_shape, SAME_UPPER": {"strides": (2, 2), "output_shape": (16, 20), "auto_pad": "SAME_UPPER"},
    "output_shape, SAME_LOWER": {"strides": (2, 2), "output_shape": (16, 20), "auto_pad": "SAME_LOWER"},
    "output_shape larger than all": {"strides": (2, 2), "output_shape": (18, 22), "output_padding": (1, 1)},
}


def convolutions() -> Iterator[Variant]:
    kind = "Conv"
    for what, how in CONVOLUTIONS.items():
        draft = Draft(kind, what)
        yield draft.done(draft.conv(draft.input(), **how), listed=True)
    for auto_pad in AUTO_PADS:
        for kernel, stride in ((3, 1), (2, 1), (3, 2), (4, 3), (1, 2)):
            draft = Draft(kind, f"auto_pad {auto_pad}, kernel {kernel}, stride {stride}")
            yield draft.done(draft.conv(draft.input(), kernel=kernel, strides=[stride] * 2, auto_pad=auto_pad))
            draft = Draft(kind, f"auto_pad {auto_pad}, kernel {kernel}, stride {stride}, fixed size")
            x = draft.input(shape=(1, WIDTH, 12, 13))
            yield draft.done(draft.conv(x, kernel=kernel, strides=[stride] * 2, auto_pad=auto_pad), listed=True)
    yield from _weights(kind)


def _weights(kind: str) -> Iterator[Variant]:
    """Weights and biases of unusual values and origins."""
    for what, scale in {
        "a filter of zeros": (0, 1, 1, 1),
        "all filters zeros but one": (0, 0, 1, 0),
        "a filter nearly zero": (1e-7, 1, 1, 1),
        "filters of four sizes": (1e-4, 1e-2, 1, 1e2),
        "large weights": (1e3,) * 4,
        "small weights": (1e-5,) * 4,
    }.items():
        for behind in ("", " behind Relu"):
            draft = Draft(kind, f"{what}{', Relu' if behind else ''}")
            x = draft.input()
            weight = draft.weight(WIDTH, WIDTH, 3, 3) * np.array(scale, np.float32).reshape(-1, 1, 1, 1)
            x = draft.op("Conv", x, weight, draft.vector(low=-1, high=1), pads=SAME)
            if behind:
                x = draft.layer(draft.op("Relu", x))
            yield draft.done(x, listed=True)
    draft = Draft(kind, "scales of 0.0001 to 10000 across a Relu, undone behind it")
    scales = np.array([1e-4, 1e-1, 10, 1e4], np.float32)
    first = draft.weight(WIDTH, WIDTH, 3, 3) * scales.reshape(-1, 1, 1, 1)
    x = draft.op("Relu", draft.op("Conv", draft.input(), first, draft.vector() * scales, pads=SAME))
    last = draft.weight(WIDTH, WIDTH, 3, 3) / scales.reshape(1, -1, 1, 1)
    yield draft.done(draft.op("Conv", x, last, pads=SAME), listed=True)
    draft = Draft(kind, "a large bias")
    x = draft.op("Conv", draft.input(), draft.weight(WIDTH, WIDTH, 1, 1), np.array([30, -30, 5, 0], np.float32))
    yield draft.done(x)
    draft = Draft(kind, "two layers of one weight")
    shared = draft.constant(draft.weight(WIDTH, WIDTH, 3, 3))
    x = draft.op("Conv", draft.op("Conv", draft.input(), shared, pads=SAME), shared, pads=SAME)
    yield draft.done(x, listed=True)
    draft = Draft(kind, "an empty name in place of the bias")
    yield draft.done(draft.op("Conv", draft.input(), draft.weight(WIDTH, WIDTH, 1, 1), ""))
    draft = Draft(kind, "the weight is an input of the graph")
    x = draft.input()
    yield draft.done(draft.op("Conv", x, draft.input(shape=(WIDTH, WIDTH, 1, 1), name="kernel_1")))
    draft = Draft(kind, "the weight is computed of constants")
    made = draft.op("Mul", draft.weight(WIDTH, WIDTH, 3, 3), draft.vector().reshape(-1, 1, 1, 1))
    yield draft.done(draft.op("Conv", draft.input(), made, pads=SAME), listed=True)
    draft = Draft(kind, "the weight is transposed by a node")
    made = draft.op("Transpose", draft.weight(3, 3, WIDTH, WIDTH), perm=(3, 2, 0, 1))
    yield draft.done(draft.op("Conv", draft.input(), made, pads=SAME))
    for opset in (9, 11, 22, 24):
        draft = Draft(kind, f"opset {opset}", opset)
        yield draft.done(draft.layer(draft.op("Relu", draft.layer(draft.input()))), listed=True)


def transposed_convolutions() -> Iterator[Variant]:
    kind = "ConvTranspose"
    for what, how in TRANSPOSED.items():
        draft = Draft(kind, what)
        x = draft.conv(draft.input(), op_type=kind, **how)
        yield draft.done(x, listed="output_shape" not in what)
    for what in ("output_shape", "output_shape, odd", "output_shape, SAME_UPPER", "output_shape, SAME_LOWER"):
        draft = Draft(kind, f"{what}, fixed size")
        x = draft.input(shape=(1, WIDTH, 8, 10))
        yield draft.done(draft.conv(x, op_type=kind, **TRANSPOSED[what]), listed=True)
    for auto_pad in AUTO_PADS:
        for kernel, stride in ((3, 1), (4, 2), (3, 2), (2, 3)):
            draft = Draft(kind, f"auto_pad {auto_pad}, kernel {kernel}, stride {stride}")
            strides = [stride, stride]
            yield draft.done(
                draft.conv(draft.input(), op_type=kind, kernel=kernel, strides=strides, auto_pad=auto_pad), listed=True
            )
    draft = Draft(kind, "Relu behind, layer behind")
    x = draft.conv(draft.input(), op_type=kind, kernel=4, strides=(2, 2), pads=SAME)
    yield draft.done(draft.layer(draft.op("Relu", x)), listed=True)
    draft = Draft(kind, "LeakyRelu behind, layer behind")
    x = draft.conv(draft.input(), op_type=kind, kernel=4, strides=(2, 2), pads=SAME)
    yield draft.done(draft.layer(draft.op("LeakyRelu", x, alpha=0.2)), listed=True)
    for opset in (9, 11, 22):
        draft = Draft(kind, f"opset {opset}", opset)
        yield draft.done(draft.conv(draft.input(), op_type=kind, kernel=4, strides=(2, 2), pads=SAME), listed=True)


def _normalized(draft: Draft, x: str, outputs: list[str] | None = None, **attributes: Any) -> str:
    constants = (draft.vector(), draft.vector(low=-1, high=1), draft.vector(low=-1, high=1), draft.vector())
    return draft.op("BatchNormalization", x, *constants, outputs=outputs, **attributes)


def normalizations() -> Iterator[Variant]:
    kind = "BatchNormalization"
    for what, opset, how in (
        ("opset 9", 9, {}),
        ("opset 14", 14, {}),
        ("opset 15", 15, {}),
        ("opset 22", 22, {}),
        ("training_mode 0", 15, {"training_mode": 0}),
        ("epsilon 0.1", 15, {"epsilon": 0.1}),
        ("epsilon 0.001", 15, {"epsilon": 1e-3}),
        ("epsilon 1e-12", 15, {"epsilon": 1e-12}),
        ("momentum 0.1", 15, {"momentum": 0.1}),
        ("training_mode 1", 15, {"training_mode": 1, "outputs": ["picture", "mean_1", "variance_1"]}),
        ("training_mode 1, opset 14", 14, {"training_mode": 1, "outputs": ["picture", "mean_1", "variance_1"]}),
    ):
        for place in ("behind Conv", "alone"):
            draft = Draft(kind, f"{what}, {place}", opset)
            x = draft.input()
            x = draft.layer(x) if place == "behind Conv" else x
            yield draft.done(_normalized(draft, x, **how), listed=place == "behind Conv" and "mode 1" not in what)
    draft = Draft(kind, "behind Conv without bias")
    yield draft.done(_normalized(draft, draft.conv(draft.input(), pads=SAME, bias=False)), listed=True)
    draft = Draft(kind, "behind ConvTranspose")
    x = draft.conv(draft.input(), op_type="ConvTranspose", kernel=4, strides=(2, 2), pads=SAME)
    yield draft.done(_normalized(draft, x), listed=True)
    draft = Draft(kind, "behind a Conv of 2 groups")
    yield draft.done(_normalized(draft, draft.conv(draft.input(), pads=SAME, group=2)), listed=True)
    draft = Draft(kind, "behind a ConvTranspose of 2 groups")
    x = draft.conv(draft.input(), op_type="ConvTranspose", kernel=4, strides=(2, 2), pads=SAME, group=2)
    yield draft.done(_normalized(draft, x), listed=True)
    draft = Draft(kind, "between Conv and Relu, layer behind")
    yield draft.done(draft.layer(draft.op("Relu", _normalized(draft, draft.layer(draft.input())))), listed=True)
    draft = Draft(kind, "in front of a Conv with pads")
    yield draft.done(draft.layer(_normalized(draft, draft.input())))
    draft = Draft(kind, "between Relu and Conv with pads")
    yield draft.done(draft.layer(_normalized(draft, draft.op("Relu", draft.layer(draft.input())))))
    draft = Draft(kind, "in front of a ConvTranspose")
    x = _normalized(draft, draft.input())
    yield draft.done(draft.conv(x, op_type="ConvTranspose", kernel=4, strides=(2, 2), pads=SAME))
    draft = Draft(kind, "the Conv in front is an output too")
    x = draft.layer(draft.input())
    yield draft.done(_normalized(draft, x), x)
    draft = Draft(kind, "two of one Conv")
    x = draft.layer(draft.input())
    yield draft.done(_normalized(draft, x), _normalized(draft, x))
    draft = Draft(kind, "negative and zero scale")
    scale, shift = np.array([-1, 0, 1, -0.3], np.float32), draft.vector(low=-1, high=1)
    x = draft.op("BatchNormalization", draft.layer(draft.input()), scale, shift, draft.vector(), draft.vector())
    yield draft.done(draft.op("Relu", x), listed=True)
    for shape in ((1, WIDTH, 1, 1), (WIDTH, 1, 1)):
        for behind in (True, False):
            draft = Draft(kind, f"as Mul and Add of {shape}, {'behind Conv' if behind else 'alone'}")
            x = draft.layer(draft.input()) if behind else draft.input()
            x = draft.op("Mul", x, draft.vector().reshape(shape))
            yield draft.done(draft.op("Add", x, draft.vector(low=-1).reshape(shape)), listed=True)
    draft = Draft(kind, "as Sub, Div, Mul, Add")
    x = draft.layer(draft.input())
    for op_type in ("Sub", "Div", "Mul", "Add"):
        x = draft.op(op_type, x, draft.vector().reshape(1, WIDTH, 1, 1))
    yield draft.done(draft.layer(draft.op("Relu", x)), listed=True)
    draft = Draft(kind, "as Mul and Add in front of a Conv with pads")
    x = draft.op("Mul", draft.input(), draft.vector().reshape(1, WIDTH, 1, 1))
    yield draft.done(draft.layer(draft.op("Add", x, draft.vector().reshape(1, WIDTH, 1, 1))))
    yield from _other_normalizations(kind)


def _other_normalizations(kind: str) -> Iterator[Variant]:
    draft = Draft(kind, "InstanceNormalization")
    yield draft.done(draft.op("InstanceNormalization", draft.layer(draft.input()), draft.vector(), draft.vector()))
    draft = Draft(kind, "LayerNormalization over columns, fixed size")
    yield draft.done(draft.op("LayerNormalization", draft.input(shape=(1, WIDTH, 8, 10)), draft.vector(10)))
    draft = Draft(kind, "GroupNormalization", 21)
    x = draft.op("GroupNormalization", draft.input(), draft.vector(), draft.vector(), num_groups=2)
    yield draft.done(x)
    draft = Draft(kind, "LRN")
    yield draft.done(draft.op("LRN", draft.input(), size=3))
    draft = Draft(kind, "LpNormalization")
    yield draft.done(draft.op("LpNormalization", draft.input(), axis=1))
    draft = Draft(kind, "training statistics written by hand")
    x = draft.input()
    mean = draft.op("ReduceMean", x, np.array([0, 2, 3], np.int64))
    yield draft.done(draft.op("Sub", x, mean))
