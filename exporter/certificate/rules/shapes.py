"""The certificate's rules for sizes, and what is folded: constants computed here are the runtime's, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from nvc_check.exporter.certificate.abstract import Abstract, bounded, of_constant
from nvc_check.exporter.certificate.targets import SIZES, largest
from nvc_check.exporter.certificate.terms import NUMBERS, Call, Outcome, Refused, Rule, one, require_type
from nvc_check.models.grid import FLOAT32_EXACT

SHAPES = "shape"
TYPES = ("bool", "float32", "int8", "uint8", "int32", "int64")
FOLDED_ELEMENTS = 1 << 22  # of one node; ALL_FOLDED of a graph
ALL_FOLDED = 1 << 24
MOVES = {"Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Tile"}
MOVES |= {"Transpose", "Unsqueeze", "Where"}
WHOLE = {"Abs", "Add", "Cast", "ConstantOfShape", "Div", "Equal", "Greater", "Less", "Max", "Min", "Mul", "Neg", "Not"}
WHOLE |= {"Range", "ReduceProd", "ReduceSum", "Size", "Sub"}


def folded(node: onnx.NodeProto, call: Call, opset: int, room: int) -> list[Abstract] | None:
    """The outputs of a node whose inputs are all constant: moved elements, or small integers computed; else None.

    None too where the outputs would have more than `room` values, or nobody knows how many before they are there.
    """
    arrays = {
        name: value.constant
        for name, value in zip((n for n in node.input if n), (v for v in call.inputs if v is not None), strict=True)
        if value.constant is not None
    }
    if not arrays or len(arrays) < len({n for n in node.input if n}) or not _may_fold(node.op_type, call, arrays):
        return None
    from onnx.reference import ReferenceEvaluator

    graph = helper.make_graph([node], "fold", [], [helper.make_empty_tensor_value_info(n) for n in node.output])
    graph.initializer.extend(numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in arrays.items())
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    try:
        if not 0 <= _values(model) <= min(room, FOLDED_ELEMENTS):
            return None
        results: Any = ReferenceEvaluator(model).run(None, {})
    except Exception:  # what cannot be evaluated is judged by its rule
        return None
    values = [np.asarray(result) for result in results]
    limits = {"i": 2.0**31, "f": float(FLOAT32_EXACT)}
    largest_of = [float(np.abs(v.astype(np.float64)).max(initial=0)) for v in values]
    if node.op_type in WHOLE and any(
        largest >= limits.get(v.dtype.kind, np.inf) for v, largest in zip(values, largest_of, strict=True)
    ):
        return None
    return [of_constant(v) for v in values]


def _values(model: onnx.ModelProto) -> int:
    """How many its outputs will have together; -1 where inference does not know."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    shapes = [output.type.tensor_type.shape.dim for output in inferred.graph.output]
    typed = all(output.type.tensor_type.HasField("shape") for output in inferred.graph.output)
    if not typed or not all(dim.HasField("dim_value") for shape in shapes for dim in shape):
        return -1
    return sum(math.prod(int(dim.dim_value) for dim in shape) for shape in shapes)


def _may_fold(op_type: str, call: Call, arrays: dict[str, NDArray[Any]]) -> bool:
    if op_type not in MOVES | WHOLE or sum(array.size for array in arrays.values()) > FOLDED_ELEMENTS:
        return False
    if op_type == "Div" and any((array <= 0).any() for array in arrays.values()):  # signs are divided in two ways
        return False
    whole = all(a.dtype.kind in "iub" and np.abs(a).max(initial=0) < 2**31 for a in arrays.values())
    return op_type in MOVES or whole


def _constant(call: Call) -> Outcome:
    for name, value in call.attributes.items():
        if name == "value":
            array = numpy_helper.to_array(value)
            if str(array.dtype) not in TYPES:
                raise Refused(f"a constant of type {array.dtype}", "float32 or int32 constants")
            return one(of_constant(array), kernel="constant")
        if name in ("value_float", "value_floats"):
            return one(of_constant(np.array(value, np.float32)), kernel="constant")
        if name in ("value_int", "value_ints"):
            return one(of_constant(np.array(value, np.int64)), kernel="constant")
    raise Refused("a Constant of this kind has no rule here", "a dense tensor")


def _shape(call: Call) -> Outcome:
    shape = call.input(0).shape
    if shape is None:
        raise Refused("the rank of its input is unknown", "declare the shapes of the graph's inputs")
    part = shape[call.get("start", 0) : call.get("end", None)]
    if None not in part:
        return one(of_constant(np.array(part, np.int64)), kernel=SHAPES)
    low, high = min(1 if d is None else d for d in part), max(largest(d) for d in part)
    return one(bounded(low, high, "int64"), kernel=SHAPES, conditions=(SIZES,))


def _size(call: Call) -> Outcome:
    shape = call.input(0).shape
    if shape is None:
        raise Refused("the rank of its input is unknown", "declare the shapes of the graph's inputs")
    count = math.prod(largest(d) for d in shape)
    if None not in shape:
        return one(of_constant(np.array(count, np.int64)), kernel=SHAPES)
    return one(bounded(0, count, "int64"), kernel=SHAPES, conditions=(SIZES,))


def _range(call: Call) -> Outcome:
    start, limit, delta = (call.input(i) for i in range(3))
    require_type(start, *NUMBERS)
    low, high = min(start.low.min(), limit.low.min()), max(start.high.max(), limit.high.max())
    exponent = min(start.exponent.min(), delta.exponent.min())
    return one(bounded(float(low), float(high), start.dtype, float(exponent)), kernel=SHAPES)


def _constant_of_shape(call: Call) -> Outcome:
    value = call.get("value", None)
    fill = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value)
    filled = of_constant(fill.reshape(-1))
    return one(Abstract(filled.exponent, filled.low, filled.high, dtype=filled.dtype), kernel=SHAPES)


def reduced(call: Call, x: Abstract) -> tuple[float, bool, tuple[str, ...]]:
    """Of a reduction: elements per result at most, whether the channels stay, conditions."""
    axes, shape = call.get("axes", None), x.shape
    if axes is None and call.optional(1) is not None:
        axes = call.constant(1, "axes")
    if shape is None:
        raise Refused("the rank of its input is unknown", "declare the shapes of the graph's inputs")
    if (axes is None or not len(axes)) and call.get("noop_with_empty_axes", 0):
        return 1.0, True, ()
    over = set(range(len(shape))) if axes is None or not len(axes) else {int(a) % len(shape) for a in axes}
    sizes = [shape[a] for a in sorted(over)]
    count = float(math.prod(largest(size) for size in sizes))
    kept = (1 not in over and bool(call.get("keepdims", 1))) or min(over) > 1
    return max(count, 1.0), kept, (SIZES,) if None in sizes else ()


RULES_OF_SHAPES: dict[str, Rule] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Shape": _shape,
    "Size": _size,
}
