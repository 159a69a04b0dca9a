"""Whether there are sizes that a graph can run with: the checker leaves dimensions open that the file leaves open."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Final

import onnx

SIZES = (16, 1, 60, 64, 8, 2, 3)  # of every open dimension alike
APART = 16  # and multiples of this, each name another
LONGEST = 60  # characters of a dimension that is read as arithmetic
OPERATORS: Final[dict[type[ast.operator], Callable[[int, int], int]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: lambda a, b: a // (b or 1),
}


def unfit(model: onnx.ModelProto) -> tuple[str, str] | None:
    """(why no sizes that were tried fit, cure), or None: shape inference of ONNX, with sizes in place of names."""
    reason = ""
    for sized in _with_sizes(model):
        try:
            inferred = onnx.shape_inference.infer_shapes(sized, check_type=True, strict_mode=True, data_prop=True)
        except Exception as error:  # of a class of its own
            reason = reason or " ".join(str(error).split())[:200]
            continue
        found = _reshaped(inferred.graph)
        if not found:
            return None
        reason = reason or found
    return f"no sizes of its inputs fit each other: {reason}", "repair the file"


def _with_sizes(model: onnx.ModelProto) -> Iterator[onnx.ModelProto]:
    """Copies whose inputs have sizes; sizes of what lies between and of outputs are left to inference."""
    open_ = [
        dim.dim_param or f"{value.name} {place}"
        for value in model.graph.input
        for place, dim in enumerate(value.type.tensor_type.shape.dim)
        if not dim.HasField("dim_value")
    ]
    names = list(dict.fromkeys(name for said in open_ for name in _names(said)))
    assigned = [dict.fromkeys(names, size) for size in SIZES]
    assigned.insert(1, {name: APART * (place + 1) for place, name in enumerate(names)})
    for sizes in assigned if names else assigned[:1]:
        sized = onnx.ModelProto()
        sized.CopyFrom(model)
        del sized.graph.value_info[:]
        for value in sized.graph.output:
            value.type.tensor_type.ClearField("shape")
        for value in sized.graph.input:
            for place, dim in enumerate(value.type.tensor_type.shape.dim):
                if not dim.HasField("dim_value"):
                    dim.dim_value = _size(dim.dim_param or f"{value.name} {place}", sizes)
        yield sized


def _names(said: str) -> list[str]:
    """Those in a dimension's name, which may be a product or sum of others, as exporters write them: 16*height."""
    tree = _parsed(said)
    return [said] if tree is None else [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]


def _size(said: str, sizes: Mapping[str, int]) -> int:
    tree = _parsed(said)
    return sizes[said] if tree is None else max(1, _value(tree, sizes))


def _parsed(said: str) -> ast.expr | None:
    """None where it is anything but whole numbers and names that are added, subtracted, multiplied or divided."""
    try:
        tree = ast.parse(said, mode="eval").body if len(said) <= LONGEST else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    known = (ast.BinOp, ast.Constant, ast.Name, ast.Load, *OPERATORS)
    if tree is None or not all(isinstance(node, known) for node in ast.walk(tree)):
        return None
    numbers = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return tree if all(type(number) is int for number in numbers) else None


def _value(tree: ast.expr, sizes: Mapping[str, int]) -> int:
    if isinstance(tree, ast.BinOp):
        return OPERATORS[type(tree.op)](_value(tree.left, sizes), _value(tree.right, sizes))
    return sizes[tree.id] if isinstance(tree, ast.Name) else int(getattr(tree, "value", 1))


def _reshaped(graph: onnx.GraphProto) -> str:
    """A Reshape whose two shapes, where inference gives them, have not as many values; "" where all have."""
    values = [*graph.input, *graph.value_info, *graph.output]
    counts = {value.name: _count(value) for value in values}
    counts |= {tensor.name: prod(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Reshape":
            before, after = counts.get(node.input[0]), counts.get(node.output[0])
            if before is not None and after is not None and before != after:
                return f"Reshape {node.name} makes {after} values of {before}"
    return ""


def _count(value: onnx.ValueInfoProto) -> int | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    return prod(int(dim.dim_value) for dim in tensor.shape.dim)
