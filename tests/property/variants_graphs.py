"""Variants of the graph as a whole: opsets, names, sizes and batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from property.variant_drafts import WIDTH, Draft, Shape, Variant
from property.variants_sizes import FIXED

SAME = (1, 1, 1, 1)


def opsets() -> Iterator[Variant]:
    kind = "opset"
    for opset in range(9, 25):
        draft = Draft(kind, f"{opset}: an ordinary decoder", opset)
        x = draft.op("Relu", draft.conv(draft.input(), op_type="ConvTranspose", kernel=4, strides=(2, 2), pads=SAME))
        skip = draft.op("LeakyRelu", draft.layer(x), alpha=0.1)
        x = draft.op("Concat", x, draft.op("Add", skip, x), axis=1)
        x = draft.op("DepthToSpace", draft.layer(x, 2 * WIDTH, 12), blocksize=2)
        yield draft.done(draft.op("Mul", x, np.float32(0.5)), listed=True)
        draft = Draft(kind, f"{opset}: Conv, BatchNormalization, PRelu", opset)
        x = draft.op("BatchNormalization", draft.layer(draft.input()), *[draft.vector() for _ in range(4)])
        yield draft.done(draft.layer(draft.op("PRelu", x, draft.vector(low=0).reshape(WIDTH, 1, 1))), listed=True)


def names() -> Iterator[Variant]:
    kind = "names"
    for what, name in (
        ("slashes", "/body/0/Conv_output_0"),
        ("colons", "model/conv2d/BiasAdd:0"),
        ("dots", "body.0.weight"),
        ("spaces", "a name"),
        ("other letters", "бild_輸出"),
        ("a number", "42"),
        ("long", "x" * 300),
        ("parent folders", "../../picture"),
    ):
        for where in ("inputs", "outputs", "nodes", "constants"):
            draft = Draft(kind, f"{what} in {where}")
            x = draft.input(name=name if where == "inputs" else "")
            weight = draft.constant(draft.weight(WIDTH, WIDTH, 3, 3), name if where == "constants" else "")
            x = draft.op("Conv", x, weight, pads=SAME, name=name if where == "nodes" else "")
            x = draft.op("Relu", x)
            x = draft.op("Conv", x, weight, pads=SAME, outputs=[name] if where == "outputs" else None)
            yield draft.done(x, listed=what in ("slashes", "colons", "dots"))
    draft = Draft(kind, "nodes have none")
    x = draft.layer(draft.op("Relu", draft.layer(draft.input())))
    for node in draft.nodes:
        node.ClearField("name")
    yield draft.done(x, listed=True)
    draft = Draft(kind, "a node is called as the input")
    yield draft.done(draft.op("Relu", draft.layer(draft.input(name="latent")), name="latent"))
    draft = Draft(kind, "a node is called as the output")
    yield draft.done(draft.op("Conv", draft.input(), draft.weight(2, WIDTH, 1, 1), name="picture", outputs=["picture"]))
    draft = Draft(kind, "a node is called as another's output")
    x = draft.op("Conv", draft.input(), draft.weight(WIDTH, WIDTH, 1, 1), outputs=["hidden"])
    yield draft.done(draft.op("LeakyRelu", x, name="hidden"))
    draft = Draft(kind, "names that differ in a slash only")
    x = draft.op("LeakyRelu", draft.layer(draft.input(name="a/b")), outputs=["a_b"])
    yield draft.done(draft.op("Add", x, draft.input(name="a:b")))


def sides() -> Iterator[Variant]:
    kind = "sizes and batch"
    shapes: dict[str, tuple[Shape, bool]] = {
        "fixed size": (FIXED, True),
        "symbolic size": ((1, WIDTH, "h", "w"), True),
        "symbolic batch": (("n", WIDTH, "h", "w"), True),
        "symbolic batch, fixed size": (("n", WIDTH, 8, 10), True),
        "rows fixed": ((1, WIDTH, 8, "w"), False),
        "one symbol for both sides": ((1, WIDTH, "h", "h"), False),
        "batch 2": ((2, WIDTH, 8, 10), False),
        "three axes": ((1, WIDTH, 10), False),
        "five axes": ((1, WIDTH, 3, 8, 10), False),
        "one pixel": ((1, WIDTH, 1, 1), True),
        "one row": ((1, WIDTH, 1, 10), True),
    }
    for what, (shape, listed) in shapes.items():
        for op_type in ("Conv", "Relu", "ConvTranspose"):
            draft = Draft(kind, f"{what}, {op_type}")
            x = draft.input(shape=shape)
            if op_type == "Relu":
                x = draft.op(op_type, x)
            else:
                spread = len(shape) - 2
                weight = draft.weight(WIDTH, WIDTH, *[3] * spread)
                x = draft.op(
                    op_type, x, weight, pads=[1] * 2 * spread, strides=[1 if op_type == "Conv" else 2] * spread
                )
            yield draft.done(x, listed=listed)
    draft = Draft(kind, "the output is said to have another symbol")
    model = draft.done(draft.layer(draft.input()), listed=True)
    for axis, name in ((2, "rows"), (3, "columns")):
        model.model.graph.output[0].type.tensor_type.shape.dim[axis].dim_param = name
    yield model
    draft = Draft(kind, "two inputs, one of them of fixed size")
    x = draft.op("Relu", draft.layer(draft.input()))
    yield draft.done(x, draft.layer(draft.input(shape=FIXED)))
    draft = Draft(kind, "two inputs of unlike sizes")
    twice = draft.op(
        "Resize", draft.input(shape=FIXED), "", np.array([1, 1, 2, 2], np.float32), mode="nearest", **FLOOR
    )
    yield draft.done(draft.layer(draft.op("Add", twice, draft.input(shape=(1, WIDTH, 16, 20)))))
    draft = Draft(kind, "channels unknown")
    yield draft.done(draft.op("Relu", draft.input(shape=(1, "c", "h", "w"))))


FLOOR = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
