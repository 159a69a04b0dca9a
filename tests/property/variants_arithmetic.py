"""Variants of arithmetic: scalars, constants per channel, broadcasting forms, products of matrices, casts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import TensorProto, helper
from property.variant_drafts import WIDTH, Draft, Variant
from property.variants_activations import placed
from property.variants_sizes import FIXED, ints


def arithmetic() -> Iterator[Variant]:
    kind = "arithmetic"
    shapes: dict[str, tuple[int, ...]] = {
        "a number of no axis": (), "one number": (1,), "(1,1,1,1)": (1, 1, 1, 1),
        "per channel (1,C,1,1)": (1, WIDTH, 1, 1), "per channel (C,1,1)": (WIDTH, 1, 1),
        "per row, fixed size": (8, 1), "per column, fixed size": (10,),
        "per place, fixed size": (1, 1, 8, 10), "per element, fixed size": (1, WIDTH, 8, 10),
    }  # fmt: skip
    for op_type in ("Add", "Sub", "Mul", "Div"):
        for what, shape in shapes.items():
            for first in (False, True):
                draft = Draft(kind, f"{op_type}, {what}{', the constant first' if first else ''}")
                x = draft.layer(draft.input(shape=FIXED if "fixed" in what else None))
                by = draft.rng.uniform(0.5, 2, shape) * draft.rng.choice([-1, 1], shape)
                plain = "fixed" not in what and not (first and op_type == "Div")
                yield draft.done(draft.op(op_type, *((by, x) if first else (x, by))), listed=plain)
        draft = Draft(kind, f"{op_type} of two tensors")
        x = draft.input()
        other = draft.op("Add", draft.op("Relu", draft.layer(x)), np.float32(1))
        yield draft.done(draft.op(op_type, x, other), listed=op_type in ("Add", "Sub"))
        draft = Draft(kind, f"{op_type} of two tensors, layer behind")
        x = draft.input()
        other = draft.op("Add", draft.op("Relu", draft.layer(x)), np.float32(1))
        yield draft.done(draft.layer(draft.op(op_type, x, other)), listed=op_type in ("Add", "Sub"))
        draft = Draft(kind, f"{op_type} of a tensor with itself")
        x = draft.op("Add", draft.op("Relu", draft.layer(draft.input())), np.float32(1))
        yield draft.done(draft.op(op_type, x, x), listed=op_type == "Add")
        draft = Draft(kind, f"{op_type} of four channels with one")
        x = draft.input()
        yield draft.done(draft.op(op_type, draft.layer(x), draft.op("Exp", draft.layer(x, after=1))))
        draft = Draft(kind, f"{op_type} of four channels with one, linear")
        x = draft.input()
        yield draft.done(draft.op(op_type, draft.layer(x), draft.layer(x, after=1)))
        draft = Draft(kind, f"{op_type}, one channel with a constant per channel")
        x = draft.layer(draft.input(), after=1)
        yield draft.done(draft.op(op_type, x, draft.vector().reshape(1, WIDTH, 1, 1)))
        draft = Draft(kind, f"{op_type}, opset 9", 9)
        yield draft.done(
            draft.op(op_type, draft.layer(draft.input()), draft.vector().reshape(1, WIDTH, 1, 1)), listed=True
        )
    for what, op_type, value in (
        ("Mul by 0", "Mul", [0.0]), ("Mul by 1", "Mul", [1.0]), ("Mul by 0.001", "Mul", [1e-3]),
        ("Mul by 10000", "Mul", [1e4]),
        ("Mul by 0 in a channel", "Mul", [1, 0, 2, -1]), ("Mul of channels of four sizes", "Mul", [1e-4, 1e-2, 1, 1e2]),
        ("Add 0", "Add", [0.0]), ("Add 1000", "Add", [1e3]), ("Add 0.00001", "Add", [1e-5]), ("Div by 3", "Div", [3.0]),
        ("Div by 255", "Div", [255.0]), ("Div by -0.1", "Div", [-0.1]), ("Sub 0.5", "Sub", [0.5]),
    ):  # fmt: skip
        for behind in ("", ", layer behind"):
            draft = Draft(kind, what + behind)
            by = np.array(value, np.float32).reshape(1, -1, 1, 1)
            yield draft.done(placed(draft, op_type, by, behind=behind), listed=op_type != "Mul" or 0 not in value)
    draft = Draft(kind, "broadcast to another size: a number of each channel plus a plane, fixed size")
    x = draft.op("GlobalAveragePool", draft.layer(draft.input(shape=FIXED)))
    yield draft.done(draft.op("Add", x, draft.rng.normal(0, 1, (1, 1, 8, 10))))
    draft = Draft(kind, "broadcast of one row over all, two inputs of unlike size, fixed size")
    yield draft.done(draft.op("Add", draft.input(shape=FIXED), draft.input(shape=(1, WIDTH, 1, 10))))
    draft = Draft(kind, "broadcast beyond four axes")
    yield draft.done(draft.op("Add", draft.layer(draft.input()), draft.rng.normal(0, 1, (2, 1, 1, 1, 1))))
    draft = Draft(kind, "broadcast of the batch")
    yield draft.done(draft.op("Mul", draft.layer(draft.input()), draft.rng.normal(0, 1, (2, 1, 1, 1))))
    yield from _others(kind)


def _others(kind: str) -> Iterator[Variant]:
    for op_type in ("Neg", "Reciprocal", "Identity"):
        draft = Draft(kind, f"{op_type}, layer behind")
        x = draft.op("Add", draft.op("Relu", draft.layer(draft.input())), np.float32(1))
        yield draft.done(draft.layer(draft.op(op_type, x)), listed=op_type != "Reciprocal")
    for exponent in (1.0, 2.0, 0.5, -1.0):
        draft = Draft(kind, f"Pow {exponent}")
        x = draft.op("Add", draft.op("Relu", draft.layer(draft.input())), np.float32(1))
        yield draft.done(draft.op("Pow", x, np.float32(exponent)))
    for op_type in ("Sum", "Mean"):
        draft = Draft(kind, f"{op_type} of three")
        x = draft.input()
        yield draft.done(draft.op(op_type, x, draft.layer(x), draft.op("Relu", x)))
    draft = Draft(kind, "Sum of one")
    yield draft.done(draft.op("Sum", draft.layer(draft.input())))
    draft = Draft(kind, "a tensor minus itself")
    x = draft.layer(draft.input())
    yield draft.done(draft.op("Sub", x, x))
    draft = Draft(kind, "Mod with a number")
    yield draft.done(draft.op("Mod", draft.layer(draft.input()), np.float32(0.7), fmod=1))
    draft = Draft(kind, "Where of a constant mask, fixed size")
    x = draft.layer(draft.input(shape=FIXED))
    mask = draft.rng.random((1, 1, 8, 10)) < 0.5
    yield draft.done(draft.op("Where", mask, x, np.float32(0)))
    draft = Draft(kind, "Where of a comparison")
    x = draft.layer(draft.input())
    yield draft.done(draft.op("Where", draft.op("Greater", x, np.float32(0)), x, draft.op("Neg", x)))
    draft = Draft(kind, "noise: RandomNormalLike")
    x = draft.layer(draft.input())
    yield draft.done(draft.op("Add", x, draft.op("RandomNormalLike", x)))
    draft = Draft(kind, "an operator of com.microsoft: Gelu")
    x = draft.op("Gelu", draft.layer(draft.input()), domain="com.microsoft")
    yield draft.done(x, imports=[helper.make_opsetid("com.microsoft", 1)])
    for to in ("FLOAT16", "BFLOAT16", "DOUBLE", "INT32", "UINT8", "BOOL"):
        draft = Draft(kind, f"Cast to {to} and back")
        x = draft.op("Cast", draft.layer(draft.input()), to=getattr(TensorProto, to))
        yield draft.done(draft.layer(draft.op("Cast", x, to=TensorProto.FLOAT)))
    for to in ("FLOAT16", "DOUBLE", "INT32", "UINT8"):
        draft = Draft(kind, f"Cast to {to}, last")
        x = draft.op("Mul", draft.op("Relu", draft.layer(draft.input())), np.float32(10))
        yield draft.done(draft.op("Cast", x, to=getattr(TensorProto, to)))
    draft = Draft(kind, "CastLike of float32", 15)
    x = draft.input()
    yield draft.done(draft.op("CastLike", draft.layer(x), x))


def products() -> Iterator[Variant]:
    """Of matrices."""
    kind = "products"
    for what, shape in (("channels", (WIDTH, 3)), ("rows", (10, 6))):
        draft = Draft(kind, f"MatMul, {what}, fixed size")
        x = draft.layer(draft.input(shape=FIXED))
        x = draft.op("Transpose", x, perm=(0, 2, 3, 1)) if what == "channels" else x
        yield draft.done(draft.op("MatMul", x, draft.weight(*shape[::-1]).T))
    draft = Draft(kind, "MatMul of two tensors, fixed size")
    x = draft.layer(draft.input(shape=(1, WIDTH, 8, 8)))
    yield draft.done(draft.op("MatMul", x, x))
    for how in ({}, {"transB": 1}, {"alpha": 0.5, "beta": 2.0}):
        draft = Draft(kind, f"Gemm behind Flatten, {how or 'plain'}, fixed size")
        x = draft.op("Flatten", draft.layer(draft.input(shape=(1, WIDTH, 3, 4))))
        weight = draft.weight(6, WIDTH * 12)
        yield draft.done(draft.op("Gemm", x, weight if "transB" in how else weight.T, draft.vector(6), **how))
    draft = Draft(kind, "Gemm of an input of two axes, Reshape behind, layer behind")
    x = draft.op("Gemm", draft.input(shape=(1, 6)), draft.weight(WIDTH * 16, 6), draft.vector(WIDTH * 16), transB=1)
    yield draft.done(draft.layer(draft.op("Reshape", x, ints(1, WIDTH, 4, 4))))
    draft = Draft(kind, "Einsum over channels")
    yield draft.done(draft.op("Einsum", draft.layer(draft.input()), draft.weight(3, WIDTH), equation="nchw,dc->ndhw"))
    draft = Draft(kind, "CumSum of columns")
    yield draft.done(draft.op("CumSum", draft.layer(draft.input()), np.int64(3)))
