"""Whether there are sizes that a graph can run with: the checker leaves dimensions open that the file leaves open."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Final

import onnx

Shape = tuple[int, ...]
Shapes = Sequence[Shape | None]
Constants = Mapping[str, onnx.TensorProto]
Demand = Callable[[onnx.NodeProto, Shapes, Shape | None, Constants], str]
SIZES = (16, 1, 60, 64, 128, 1024, 8, 2, 3)  # of every open dimension alike
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
        found = _misfit(inferred.graph)
        if not found:
            return None
        reason = reason or found
    return f"sizes do not fit each other, whichever of its inputs were tried: {reason}", "repair the file"


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


def _misfit(graph: onnx.GraphProto) -> str:
    """What the standard demands of sizes and ONNX's inference lets pass; "" where nothing is amiss or known."""
    shapes = {value.name: _shape(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        given = [*(shapes.get(name) for name in node.input), None, None]  # inputs that are left out have no shape
        made = shapes.get(node.output[0]) if node.output else None
        found = _empty(made) or DEMANDS.get(node.op_type, _nothing)(node, given, made, constants)
        if found:
            return f"{node.op_type} {node.name} {found}"
    return ""


def _shape(value: onnx.ValueInfoProto) -> Shape | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    return tuple(int(dim.dim_value) for dim in tensor.shape.dim)


def _empty(made: Shape | None) -> str:
    return f"makes a tensor of no values, {made}" if made is not None and min(made, default=1) < 1 else ""


def _nothing(*_: object) -> str:
    return ""


def _reshape(_: onnx.NodeProto, given: Shapes, made: Shape | None, __: Constants) -> str:
    if given[0] is None or made is None or prod(given[0]) == prod(made):
        return ""
    return f"makes {prod(made)} values of {prod(given[0])}"


def _transpose(node: onnx.NodeProto, given: Shapes, _: Shape | None, __: Constants) -> str:
    order = _numbers(node, "perm")
    fits = given[0] is None or order is None or len(order) == len(given[0])
    return "" if fits else f"orders {len(order or ())} of {len(given[0] or ())} dimensions"


def _conv(node: onnx.NodeProto, given: Shapes, _: Shape | None, __: Constants) -> str:
    x, weight = given[:2]
    groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
    if x is None or weight is None:
        return ""
    if len(x) != len(weight) or len(x) < 3:
        return f"has an input of {len(x)} dimensions and weights of {len(weight)}"
    channels = weight[0] if node.op_type == "ConvTranspose" else weight[1] * groups
    if x[1] != channels:
        return f"has {x[1]} input channels, its weights {channels}"
    return "" if node.op_type == "ConvTranspose" else _window(node, x, weight[2:])


def _pool(node: onnx.NodeProto, given: Shapes, _: Shape | None, __: Constants) -> str:
    return "" if given[0] is None else _window(node, given[0], _numbers(node, "kernel_shape") or ())


def _window(node: onnx.NodeProto, x: Shape, sizes: Sequence[int]) -> str:
    """Larger than what it moves over: runtimes refuse it, ONNX infers a size, even one above 0."""
    count = len(sizes)
    pads, dilations = _numbers(node, "pads") or [0] * 2 * count, _numbers(node, "dilations") or [1] * count
    if any(attribute.name == "auto_pad" and attribute.s.startswith(b"SAME") for attribute in node.attribute):
        return ""
    for axis, (size, dilation, side) in enumerate(zip(sizes, dilations, x[2:], strict=True)):
        if side + pads[axis] + pads[axis + count] < dilation * (size - 1) + 1:
            return f"has a window of {size} that does not fit in a side of {side}"
    return ""


def _numbers(node: onnx.NodeProto, name: str) -> list[int] | None:
    return next((list(attribute.ints) for attribute in node.attribute if attribute.name == name), None)


def _pad(node: onnx.NodeProto, given: Shapes, _: Shape | None, constants: Constants) -> str:
    """Reflected is what lies within: there must be that much."""
    mirrored = any(attribute.name == "mode" and attribute.s == b"reflect" for attribute in node.attribute)
    if not mirrored or given[0] is None or len(node.input) not in (2, 3) or node.input[1] not in constants:
        return ""
    pads = onnx.numpy_helper.to_array(constants[node.input[1]]).ravel()
    beyond = [side for side, pad in zip(given[0] * 2, pads, strict=False) if pad >= max(side, 1)]
    return f"reflects beyond a side of {beyond[0]}" if beyond else ""


DEMANDS: Final[dict[str, Demand]] = {
    "AveragePool": _pool,
    "Conv": _conv,
    "ConvTranspose": _conv,
    "LpPool": _pool,
    "MaxPool": _pool,
    "Pad": _pad,
    "Reshape": _reshape,
    "Transpose": _transpose,
}
