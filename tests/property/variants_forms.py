"""Variants of the graph around the operators: inputs, outputs, types, constants, subgraphs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from property.variant_drafts import WIDTH, Draft, Variant
from property.variants_sizes import FIXED, ints

SAME = (1, 1, 1, 1)


def ends() -> Iterator[Variant]:
    kind = "inputs and outputs"
    draft = Draft(kind, "two outputs")
    x = draft.op("Relu", draft.layer(draft.input()))
    yield draft.done(draft.layer(x), draft.layer(x, after=2), listed=True)
    draft = Draft(kind, "an output that is read inside")
    x = draft.layer(draft.input())
    yield draft.done(x, draft.layer(draft.op("Relu", x)), listed=True)
    draft = Draft(kind, "a Relu's output that is read inside")
    x = draft.op("Relu", draft.layer(draft.input()))
    yield draft.done(x, draft.layer(x), listed=True)
    draft = Draft(kind, "an input used twice")
    x = draft.input()
    yield draft.done(draft.op("Add", draft.layer(x), x), listed=True)
    draft = Draft(kind, "two inputs")
    yield draft.done(draft.op("Concat", draft.layer(draft.input()), draft.input(2), axis=1), listed=True)
    draft = Draft(kind, "an input unused")
    draft.input(2, name="unused_1")
    yield draft.done(draft.layer(draft.input()))
    draft = Draft(kind, "the input is an output")
    x = draft.input()
    yield draft.done(x, draft.layer(x))
    draft = Draft(kind, "an output by Identity, of the input")
    x = draft.input()
    yield draft.done(draft.op("Identity", x), draft.layer(x))
    draft = Draft(kind, "two outputs of one tensor, by Identity")
    x = draft.layer(draft.input())
    yield draft.done(x, draft.op("Identity", x), listed=True)
    draft = Draft(kind, "an output is a constant")
    yield draft.done(draft.layer(draft.input()), draft.op("Constant", value_floats=[1.0, 2.0]))
    draft = Draft(kind, "an output is Shape of a tensor")
    x = draft.layer(draft.input())
    yield draft.done(x, draft.op("Shape", x))
    draft = Draft(kind, "no operator but Identity")
    yield draft.done(draft.op("Identity", draft.input()))
    draft = Draft(kind, "only moves")
    yield draft.done(draft.op("DepthToSpace", draft.input(), blocksize=2))


def types() -> Iterator[Variant]:
    """Of what the graph takes, computes and holds."""
    kind = "types"
    for of in ("INT32", "INT64", "UINT8", "INT8"):
        draft = Draft(kind, f"input of {of}, cast inside")
        x = draft.op("Cast", draft.input(of=getattr(TensorProto, of)), to=TensorProto.FLOAT)
        yield draft.done(draft.layer(x), listed=of == "INT32")
    for wide in (TensorProto.FLOAT16, TensorProto.DOUBLE):
        dtype = helper.tensor_dtype_to_np_dtype(wide)
        draft = Draft(kind, f"input of {np.dtype(dtype)}, cast inside")
        yield draft.done(draft.layer(draft.op("Cast", draft.input(of=wide), to=TensorProto.FLOAT)))
        draft = Draft(kind, f"all of {np.dtype(dtype)}")
        x = draft.op(
            "Relu",
            draft.op("Conv", draft.input(of=wide), draft.constant(draft.weight(WIDTH, WIDTH, 3, 3), dtype=dtype)),
        )
        yield draft.done(
            draft.op("Mul", x, draft.constant(np.array([0.7]), dtype=dtype)), listed=wide == TensorProto.FLOAT16
        )
    draft = Draft(kind, "float16 inside, float32 at the ends")
    x = draft.op("Cast", draft.input(), to=TensorProto.FLOAT16)
    x = draft.op("Conv", x, draft.constant(draft.weight(WIDTH, WIDTH, 3, 3), dtype=np.float16), pads=SAME)
    yield draft.done(draft.op("Cast", x, to=TensorProto.FLOAT))
    draft = Draft(kind, "weights of float16, cast")
    weight = draft.constant(draft.weight(WIDTH, WIDTH, 3, 3), dtype=np.float16)
    yield draft.done(draft.op("Conv", draft.input(), draft.op("Cast", weight, to=TensorProto.FLOAT)), listed=True)


def constants() -> Iterator[Variant]:
    kind = "constants"
    for what in (
        "Constant nodes",
        "Identity of weights",
        "initializers that are inputs too",
        "weights in raw and in plain form",
    ):
        draft = Draft(kind, what)
        weight = draft.weight(WIDTH, WIDTH, 3, 3)
        name = draft.constant(weight, "kernel_1")
        if what == "Constant nodes":
            tensor = draft.constants.pop()
            draft.op("Constant", outputs=[name], value=tensor)
        elif what == "Identity of weights":
            name = draft.op("Identity", name)
        x = draft.input()
        if what == "initializers that are inputs too":
            draft.input(shape=weight.shape, name=name)
        elif what == "weights in raw and in plain form":
            draft.constants[-1] = helper.make_tensor(name, TensorProto.FLOAT, weight.shape, weight.reshape(-1).tolist())
        yield draft.done(draft.op("Relu", draft.op("Conv", x, name, pads=SAME)), listed=True)
    draft = Draft(kind, "initializers that are inputs too, IR version 3", 9)
    x, weight = draft.input(), draft.weight(WIDTH, WIDTH, 3, 3)
    draft.input(shape=weight.shape, name=draft.constant(weight, "kernel_1"))
    yield draft.done(draft.op("Relu", draft.op("Conv", x, "kernel_1", pads=SAME)), ir_version=3, listed=True)
    draft = Draft(kind, "a constant by ConstantOfShape")
    value = numpy_helper.from_array(np.array([0.3], np.float32))
    by = draft.op("ConstantOfShape", ints(1, WIDTH, 1, 1), value=value)
    yield draft.done(draft.op("Add", draft.layer(draft.input()), by), listed=True)
    draft = Draft(kind, "a constant plane by ConstantOfShape of Shape")
    x = draft.layer(draft.input())
    yield draft.done(draft.op("Add", x, draft.op("ConstantOfShape", draft.op("Shape", x), value=value)))


def passing() -> Iterator[Variant]:
    """What does nothing when a decoder runs."""
    kind = "Identity and Dropout"
    draft = Draft(kind, "Identity between layers")
    yield draft.done(draft.layer(draft.op("Identity", draft.op("Relu", draft.layer(draft.input())))), listed=True)
    draft = Draft(kind, "Identity between Conv and Relu")
    yield draft.done(draft.layer(draft.op("Relu", draft.op("Identity", draft.layer(draft.input())))), listed=True)
    draft = Draft(kind, "Identity last")
    yield draft.done(draft.op("Identity", draft.layer(draft.input())), listed=True)
    draft = Draft(kind, "Identity between Conv and BatchNormalization")
    x = draft.op("Identity", draft.layer(draft.input()))
    yield draft.done(draft.op("BatchNormalization", x, *[draft.vector() for _ in range(4)]), listed=True)
    dropouts: list[tuple[str, int, tuple[Any, ...], dict[str, Any]]] = [
        ("ratio of opset 9", 9, (), {"ratio": 0.3}),
        ("no inputs but one", 13, (), {}),
        ("ratio", 13, (np.float32(0.3),), {}),
        ("training_mode false", 13, (np.float32(0.3), np.array(False)), {}),
        ("training_mode true, ratio 0", 13, (np.float32(0), np.array(True)), {}),
        ("training_mode true", 13, (np.float32(0.5), np.array(True)), {}),
    ]
    for what, opset, more, how in dropouts:
        draft = Draft(kind, f"Dropout, {what}", opset)
        yield draft.done(
            draft.layer(draft.op("Dropout", draft.layer(draft.input()), *more, **how)), listed="true" not in what
        )
    draft = Draft(kind, "Dropout with its mask, unused")
    draft.op("Dropout", draft.layer(draft.input()), outputs=["kept", "mask_1"])
    yield draft.done(draft.layer("kept"), listed=True)
    draft = Draft(kind, "Dropout with its mask, an output")
    x = draft.op("Dropout", draft.layer(draft.input()), outputs=["kept", "mask_1"])
    yield draft.done(draft.layer(x), "mask_1")
    draft = Draft(kind, "Cast to float32 of float32")
    yield draft.done(draft.layer(draft.op("Cast", draft.layer(draft.input()), to=TensorProto.FLOAT)), listed=True)
    draft = Draft(kind, "Dropout last, Identity behind")
    yield draft.done(draft.op("Identity", draft.op("Dropout", draft.layer(draft.input()))), listed=True)


def structures() -> Iterator[Variant]:
    kind = "structure"
    draft = Draft(kind, "a branch: If of a constant")
    x = draft.layer(draft.input())
    branches = []
    for name, op_type in (("then_branch", "Relu"), ("else_branch", "Neg")):
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, WIDTH, None, None])
        branches.append(helper.make_graph([helper.make_node(op_type, [x], [name])], name, [], [value]))
    yield draft.done(draft.op("If", np.array(True), then_branch=branches[0], else_branch=branches[1]))
    draft = Draft(kind, "a function of the model")
    body = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Neg", ["b"], ["c"])]
    function = helper.make_function("own", "Minus", ["a"], ["c"], body, [helper.make_opsetid("", 18)])
    x = draft.op("Minus", draft.layer(draft.input()), domain="own", outputs=["picture"])
    made = draft.done(x, imports=[helper.make_opsetid("own", 1)])
    made.model.functions.append(function)
    yield made
    for what, levels in (("uint8", np.uint8), ("int8", np.int8)):
        draft = Draft(kind, f"QuantizeLinear and DequantizeLinear, {what}")
        x = draft.layer(draft.input())
        scale, zero = np.float32(0.05), np.array(128 if what == "uint8" else 0, levels)
        x = draft.op("DequantizeLinear", draft.op("QuantizeLinear", x, scale, zero), scale, zero)
        yield draft.done(draft.layer(x))
    draft = Draft(kind, "weights behind DequantizeLinear")
    weight = draft.op(
        "DequantizeLinear", draft.rng.integers(-127, 128, (WIDTH, WIDTH, 3, 3)).astype(np.int8), np.float32(0.004)
    )
    yield draft.done(draft.op("Conv", draft.input(), weight, pads=SAME))
    draft = Draft(kind, "a node that nothing reads")
    x = draft.layer(draft.input())
    draft.op("Sigmoid", x)
    yield draft.done(draft.op("Relu", x), listed=True)
    draft = Draft(kind, "other domains are imported and unused")
    imports = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("com.microsoft", 1)]
    yield draft.done(draft.op("Relu", draft.layer(draft.input())), imports=imports, listed=True)
    draft = Draft(kind, "GridSample", 16)
    yield draft.done(
        draft.op("GridSample", draft.layer(draft.input(shape=FIXED)), draft.rng.uniform(-1, 1, (1, 8, 10, 2)))
    )
    draft = Draft(kind, "value_info that says another size")
    made = draft.done(draft.layer(draft.op("Relu", draft.layer(draft.input()))))
    made.model.graph.value_info.append(helper.make_tensor_value_info("value_0", TensorProto.FLOAT, [1, WIDTH, 99, 99]))
    yield made
    draft = Draft(kind, "sparse weights")
    flat = draft.weight(WIDTH, WIDTH)
    values = numpy_helper.from_array(flat.reshape(-1)[::3].copy(), "sparse_1")
    places = numpy_helper.from_array(np.arange(WIDTH * WIDTH)[::3].copy(), "sparse_1_places")
    draft.op("Constant", outputs=["flat"], sparse_value=onnx.helper.make_sparse_tensor(values, places, [WIDTH * WIDTH]))
    yield draft.done(draft.op("Conv", draft.input(), draft.op("Reshape", "flat", ints(WIDTH, WIDTH, 1, 1))))
    draft = Draft(kind, "metadata and documentation")
    made = draft.done(draft.op("Relu", draft.layer(draft.input())), listed=True)
    helper.set_model_props(made.model, {"author": "somebody", "stack": "/home/user/model.py"})
    made.model.graph.doc_string = "a decoder\nof two lines"
    yield replace(made)
