"""Variants of activations: what computes value by value of one tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from property.variant_drafts import WIDTH, Draft, Variant
from property.variants_sizes import FIXED


def placed(draft: Draft, op_type: str, *constants: Any, behind: str, **attributes: Any) -> str:
    """The operator behind a layer, and another layer behind it or none."""
    x = draft.op(op_type, draft.layer(draft.input()), *constants, **attributes)
    return draft.layer(x) if behind else x


def activations() -> Iterator[Variant]:
    kind = "activations"
    for behind in ("", ", layer behind"):
        for alpha in (None, 0.0, 0.2, 0.01, 0.25, 1.0, 1.5, -0.2, 1e-6):
            draft = Draft(kind, f"LeakyRelu, alpha {alpha}{behind}")
            how: dict[str, Any] = {} if alpha is None else {"alpha": alpha}
            x = placed(draft, "LeakyRelu", behind=behind, **how)
            yield draft.done(x, listed=alpha is None or 0 < alpha < 1)
        draft = Draft(kind, f"Relu{behind}")
        yield draft.done(placed(draft, "Relu", behind=behind), listed=True)
        for op_type in ("Sigmoid", "Tanh"):
            draft = Draft(kind, f"{op_type}{behind}")
            yield draft.done(placed(draft, op_type, behind=behind), listed=not behind)
        for op_type in (
            "Abs", "Elu", "Selu", "HardSigmoid", "HardSwish", "Softplus", "Softsign", "ThresholdedRelu", "Erf", "Exp",
            "Sign", "Floor", "Round", "Softmax", "Celu", "Mish",
        ):  # fmt: skip
            draft = Draft(kind, f"{op_type}{behind}")
            yield draft.done(placed(draft, op_type, behind=behind))
    others: dict[str, dict[str, Any]] = {
        "Elu": {"alpha": 0.3},
        "HardSigmoid": {"alpha": 0.1, "beta": 0.7},
        "Softmax": {"axis": 1},
    }
    for op_type, how in others.items():
        draft = Draft(kind, f"{op_type} {how}")
        yield draft.done(draft.op(op_type, draft.layer(draft.input()), **how))
    draft = Draft(kind, "Gelu", 20)
    yield draft.done(draft.op("Gelu", draft.layer(draft.input())))
    draft = Draft(kind, "Sigmoid times its argument")
    x = draft.layer(draft.input())
    yield draft.done(draft.layer(draft.op("Mul", x, draft.op("Sigmoid", x))))
    for op_type, factor, shift in (("Sigmoid", 255, 0), ("Tanh", 0.5, 0.5)):
        draft = Draft(kind, f"{op_type}, scaled behind it")
        x = draft.op("Mul", draft.op(op_type, draft.layer(draft.input())), np.float32(factor))
        yield draft.done(draft.op("Add", x, np.float32(shift)), listed=True)
    draft = Draft(kind, "Sigmoid, then sub-pixels")
    x = draft.op("Sigmoid", draft.layer(draft.input()))
    yield draft.done(draft.op("DepthToSpace", x, blocksize=2), listed=True)
    draft = Draft(kind, "Sigmoid of large values")
    yield draft.done(draft.op("Sigmoid", draft.op("Mul", draft.layer(draft.input()), np.float32(30))), listed=True)
    draft = Draft(kind, "Tanh of small values")
    yield draft.done(draft.op("Tanh", draft.op("Mul", draft.layer(draft.input()), np.float32(0.01))), listed=True)
    draft = Draft(kind, "Tanh of the input")
    yield draft.done(draft.op("Tanh", draft.input()), listed=True)
    draft = Draft(kind, "Relu of the input, layer behind")
    yield draft.done(draft.layer(draft.op("Relu", draft.input())), listed=True)
    draft = Draft(kind, "two Relu")
    yield draft.done(draft.layer(draft.op("Relu", draft.op("Relu", draft.layer(draft.input())))), listed=True)
    draft = Draft(kind, "Relu of a layer that is an output too")
    x = draft.layer(draft.input())
    yield draft.done(draft.layer(draft.op("Relu", x)), x, listed=True)
    draft = Draft(kind, "Relu of minus a layer, beside the layer")
    x = draft.layer(draft.input())
    yield draft.done(draft.op("Sub", draft.op("Relu", x), draft.op("Relu", draft.op("Neg", x))), listed=True)


def slopes() -> Iterator[Variant]:
    kind = "PRelu"
    for behind in ("", ", layer behind"):
        for what, shape, opset in (
            ("one slope", (1,), 16),
            ("one slope of no axis", (), 16),
            ("per channel (C,1,1)", (WIDTH, 1, 1), 16),
            ("per channel (1,C,1,1)", (1, WIDTH, 1, 1), 16),
            ("per channel, opset 9", (WIDTH, 1, 1), 9),
            ("one slope, opset 9", (1,), 9),
            ("one slope (1,1,1), opset 11", (1, 1, 1), 11),
        ):
            draft = Draft(kind, what + behind, opset)
            yield draft.done(placed(draft, kind, draft.rng.uniform(0.05, 0.5, shape), behind=behind), listed=True)
    for what, values in (
        ("negative slopes", (-0.5, -0.1, 0.2, 0.3)),
        ("slopes of 0 and 1", (0, 1, 0.5, 0)),
        ("slopes above 1", (1.5, 2, 0.2, 3)),
        ("all slopes 0", (0, 0, 0, 0)),
        ("all slopes 1", (1, 1, 1, 1)),
    ):
        draft = Draft(kind, what)
        given = np.array(values, np.float32).reshape(WIDTH, 1, 1)
        yield draft.done(placed(draft, kind, given, behind="layer"), listed="negative" not in what)
    draft = Draft(kind, "per column, fixed size")
    yield draft.done(draft.op(kind, draft.layer(draft.input(shape=FIXED)), draft.vector(10)))
    draft = Draft(kind, "per element, fixed size")
    slopes = draft.rng.uniform(0, 0.5, (WIDTH, 8, 10))
    yield draft.done(draft.op(kind, draft.layer(draft.input(shape=FIXED)), slopes))
    draft = Draft(kind, "slopes of the graph's input")
    slope = draft.input(shape=(1, WIDTH, 1, 1), name="slope_1")
    yield draft.done(draft.op(kind, draft.layer(draft.input()), slope))
    draft = Draft(kind, "behind ConvTranspose, layer behind")
    x = draft.conv(draft.input(), op_type="ConvTranspose", kernel=4, strides=(2, 2), pads=(1, 1, 1, 1))
    yield draft.done(draft.layer(draft.op(kind, x, draft.rng.uniform(0, 0.5, (WIDTH, 1, 1)))), listed=True)
    draft = Draft(kind, "written as Relu, Neg, Relu, Mul, Sub")
    x = draft.layer(draft.input())
    below = draft.op("Mul", draft.op("Relu", draft.op("Neg", x)), draft.vector().reshape(1, WIDTH, 1, 1))
    yield draft.done(draft.layer(draft.op("Sub", draft.op("Relu", x), below)), listed=True)


def clips() -> Iterator[Variant]:
    kind = "Clip"
    low, high = np.float32(-0.5), np.float32(1)
    for behind in ("", ", layer behind"):
        for what, bounds in (
            ("both", (low, high)),
            ("0 to 6, Relu6", (np.float32(0), np.float32(6))),
            ("low only", (low,)),
            ("low only, empty high", (low, "")),
            ("high only", ("", high)),
            ("neither", ()),
            ("low above high", (high, low)),
            ("low equals high", (high, high)),
            ("beyond all values", (np.float32(-1e4), np.float32(1e4))),
            ("infinite", (np.float32(-np.inf), np.float32(np.inf))),
            ("0 to infinity", (np.float32(0), np.float32(np.inf))),
            ("0 to the largest", (np.float32(0), np.float32(3.4028235e38))),
            ("all below 0", (np.float32(-0.7), np.float32(-0.2))),
        ):
            draft = Draft(kind, what + behind)
            yield draft.done(placed(draft, kind, *bounds, behind=behind), listed=what in ("both", "0 to 6, Relu6"))
    for opset in (9, 10):
        for what, how in (("both", {"min": -0.5, "max": 1.0}), ("low only", {"min": -0.5}), ("neither", {})):
            draft = Draft(kind, f"{what}, attributes of opset {opset}", opset)
            yield draft.done(placed(draft, kind, behind="", **how), listed=what == "both")
    draft = Draft(kind, "bounds of Constant nodes")
    limits = [draft.op("Constant", value_float=value) for value in (-0.5, 1.0)]
    yield draft.done(draft.op(kind, draft.layer(draft.input()), *limits), listed=True)
    draft = Draft(kind, "of the input, to the input's own range")
    yield draft.done(draft.op(kind, draft.input(), low, high), listed=True)
    for op_type in ("Max", "Min"):
        draft = Draft(kind, f"{op_type} with a number")
        yield draft.done(draft.op(op_type, draft.layer(draft.input()), np.float32(0.1)))
        draft = Draft(kind, f"{op_type} of two tensors")
        x = draft.input()
        yield draft.done(draft.op(op_type, draft.layer(x), x))
