"""Functions of one number, however many nodes of a graph they are: one node of ours, for which a table can stand.

Sigmoid, Gelu in one node or as x * (1 + Erf(x / sqrt 2)) / 2, x * Sigmoid(x), ...: whatever is computed value by value
from one tensor and numbers. Definitions: ONNX operators, opset 24.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from scipy.special import erf, expit

from nvc_check.exporter.network.graphs import array_of

Float64 = NDArray[np.float64]
Function = Callable[[Float64], Float64]

POINTWISE = "Pointwise"  # of our domain: meta["function"]
FARTHEST, STEP = 64.0, 0.25  # where a function is looked at
LIKE_FINE, LIKE_BYTE = 2.0**-17, 2.0**-9  # of its size: what 16 bits and 8 do not tell apart
SOME = np.array([0.37, 1.0, 2.9, 50.0])  # where a degree is looked for
FREE = (-np.inf, np.inf)


@dataclass(frozen=True)
class Pointwise:
    """A function of one number.

    Attributes:
        flat, flat_byte: (low, high) beyond which it changes no more, as far as 16 or 8 bits tell.
        degree: d where f(s x) = s^d f(x) for s > 0, as of a root; a multiple of 1/2.
    """

    function: Function
    flat: tuple[float, float]
    flat_byte: tuple[float, float]
    degree: float | None

    @classmethod
    def of(cls, function: Function) -> Pointwise:
        degree = _degree(function)
        if degree is not None:  # it has no scale of its own
            return cls(function, FREE, FREE, degree)
        return cls(function, _flat(function, LIKE_FINE), _flat(function, LIKE_BYTE), None)

    @property
    def steep(self) -> bool:
        """Near 0 it changes without bound, as a root or a quotient: 8 bits are too few for what it reads and gives."""
        return self.degree is not None and self.degree < 1


@dataclass(frozen=True)
class _Made:
    """What a value is of another, `root`; `curved`: by more than sums, products with numbers, and Relus."""

    root: ir.Value
    function: Function
    curved: bool


def join_functions(graph: ir.Graph, ours: str) -> None:
    """Nodes that compute a function of one tensor value by value become one node of the domain `ours`.

    A quotient of two tensors is the product with 1 / x, which is such a function.
    """
    _quotients_apart(graph)
    made: dict[int, _Made] = {}
    for node in graph:
        found = _made(node, made)
        if found is not None:
            made[id(node.outputs[0])] = found
    for node in list(graph):
        value = node.outputs[0]
        found = made.get(id(value))
        if found is None or not found.curved:
            continue
        goes_on = [made.get(id(use.node.outputs[0])) for use in value.uses()]
        if value in graph.outputs or any(each is None or each.root is not found.root for each in goes_on):
            _put_in_place(graph, node, found, ours)
    for node in reversed(list(graph)):
        idle = not any(value.uses() or value in graph.outputs for value in node.outputs)
        if idle and id(node.outputs[0]) in made:
            graph.remove(node, safe=True)


def _quotients_apart(graph: ir.Graph) -> None:
    """a / b as a times 1 / b."""
    for node in list(graph):
        if node.op_type != "Div" or node.domain not in ("", "ai.onnx") or len(node.inputs) != 2:
            continue
        by = node.inputs[1]
        if by is None or any(value is None or value.const_value is not None for value in node.inputs):
            continue
        inverse = ir.node("Reciprocal", [by], name=f"{node.name}_inverse")
        inverse.outputs[0].name, inverse.outputs[0].shape = f"{node.outputs[0].name}_inverse", by.shape
        inverse.outputs[0].type = by.type
        graph.insert_before(node, inverse)
        node.op_type = "Mul"
        node.replace_input_with(1, inverse.outputs[0])


def _put_in_place(graph: ir.Graph, node: ir.Node, found: _Made, ours: str) -> None:
    value = node.outputs[0]
    pointwise = Pointwise.of(found.function)
    if pointwise.degree == 2 and np.allclose(found.function(SOME), SOME * SOME, rtol=1e-12, atol=0):
        new = ir.node("Mul", [found.root, found.root], name=node.name)  # exact, and one grid a channel
    else:
        new = ir.node(POINTWISE, [found.root], domain=ours, name=node.name)
        new.meta["function"] = pointwise
    new.outputs[0].name, new.outputs[0].shape, new.outputs[0].type = value.name, value.shape, value.type
    graph.insert_before(node, new)
    ir.convenience.replace_all_uses_with(value, new.outputs[0], replace_graph_outputs=True)


def _made(node: ir.Node, known: dict[int, _Made]) -> _Made | None:
    if node.domain not in ("", "ai.onnx") or len(node.outputs) != 1:
        return None
    if node.op_type in COMBINED and len(node.inputs) == 2:
        return _combined(node, known)
    maker = CURVED.get(node.op_type) or STRAIGHT.get(node.op_type)
    function = maker(node) if maker is not None else None
    source = node.inputs[0] if node.inputs else None
    if function is None or source is None or source.const_value is not None:
        return None
    before = known.get(id(source))
    if before is None:
        return _Made(source, function, node.op_type in CURVED)
    inner, outer = before.function, function
    return _Made(before.root, lambda x: outer(inner(x)), before.curved or node.op_type in CURVED)


def _combined(node: ir.Node, known: dict[int, _Made]) -> _Made | None:
    """A sum, product, ... of two functions of the same tensor, or of one and a number."""
    operation = COMBINED[node.op_type]
    numbers = [array_of(value) for value in node.inputs]
    terms: list[_Made | None] = []
    for value, number in zip(node.inputs, numbers, strict=True):
        if value is None or (number is not None and (number.size != 1 or number.ndim > _rank(node))):
            return None
        own = known.get(id(value)) or _Made(value, lambda x: x, False)
        terms.append(own if number is None else None)
    roots = {id(term.root): term.root for term in terms if term is not None}
    if len(roots) != 1:
        return None
    first, second = (
        term.function if term is not None else _number(float(np.asarray(number).reshape(-1)[0]))
        for term, number in zip(terms, numbers, strict=True)
    )
    curved = any(term is not None and term.curved for term in terms)
    curved = curved or node.op_type == "Pow" or (node.op_type == "Div" and numbers[1] is None)
    if node.op_type == "Pow" and numbers[1] is None:
        return None
    return _Made(next(iter(roots.values())), lambda x: operation(first(x), second(x)), curved)


def _rank(node: ir.Node) -> int:
    """The least of its tensors': a number of more dimensions would give it more."""
    ranks = [len(v.shape) for v in node.inputs if v is not None and v.const_value is None and v.shape is not None]
    return min(ranks, default=0)


def _number(value: float) -> Function:
    return lambda x: np.full_like(x, value)


def _degree(function: Function) -> float | None:
    """Of what scales with its argument; None where it does not, or gives nothing above 0."""
    with np.errstate(all="ignore"):
        above, below = ((function(side * SOME), function(side * 4 * SOME)) for side in (1.0, -1.0))
    if not (np.isfinite(above).all() and (above[0] != 0).all()):
        return None
    degree = float(np.rint(2 * np.log2(abs(above[1][0] / above[0][0])) / 2) / 2)
    alike = [np.allclose(four, one * 4.0**degree, rtol=1e-9, atol=0, equal_nan=True) for one, four in (above, below)]
    return degree if all(alike) else None


def _flat(function: Function, like: float) -> tuple[float, float]:
    """Where the function reaches, but for `like` of its size, the value that it has far away; infinite where none."""
    places = np.arange(-FARTHEST, FARTHEST + STEP, STEP)
    with np.errstate(all="ignore"):
        values = function(places)
        far = function(np.array([-4.0, -2.0, 2.0, 4.0]) * FARTHEST)
    size = float(np.abs(values[np.abs(places) <= 1]).max())
    ends = []
    for beyond, side in ((far[:2], -1), (far[2:], 1)):
        level = np.isfinite(beyond).all() and abs(beyond[0] - beyond[1]) <= like * size
        other = places[np.abs(values - beyond[0]) > like * size] if level else np.array([np.inf * side])
        ends.append(float((other * side).max(initial=STEP)) * side)
    return ends[0], ends[1]


def _attribute(node: ir.Node, name: str, default: float) -> float:
    found = node.attributes.get(name)
    return default if found is None else float(found.value)


def _softplus(x: Float64) -> Float64:
    return np.logaddexp(0.0, x)


def _elu(x: Float64, alpha: float, gamma: float = 1.0, width: float = 1.0) -> Float64:
    below: Float64 = alpha * np.expm1(np.minimum(x, 0.0) / width)
    return gamma * (np.maximum(x, 0.0) + below)


def _gelu(node: ir.Node) -> Function:
    how = node.attributes.get("approximate")
    if how is not None and how.value == "tanh":
        return lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2)))


def _hard_sigmoid(node: ir.Node) -> Function:
    alpha, beta = _attribute(node, "alpha", 0.2), _attribute(node, "beta", 0.5)
    return lambda x: np.clip(alpha * x + beta, 0.0, 1.0)


def _elu_of(node: ir.Node) -> Function:
    alpha = _attribute(node, "alpha", 1.0)
    return lambda x: _elu(x, alpha)


def _celu(node: ir.Node) -> Function:
    alpha = _attribute(node, "alpha", 1.0)
    return lambda x: _elu(x, alpha, width=alpha)


def _selu(node: ir.Node) -> Function:
    alpha = _attribute(node, "alpha", 1.6732632423543772)
    gamma = _attribute(node, "gamma", 1.0507009873554805)
    return lambda x: _elu(x, alpha, gamma)


def _swish(node: ir.Node) -> Function:
    alpha = _attribute(node, "alpha", 1.0)
    return lambda x: x * expit(alpha * x)


def _thresholded(node: ir.Node) -> Function:
    alpha = _attribute(node, "alpha", 1.0)
    return lambda x: np.where(x > alpha, x, 0.0)


def _leaky(node: ir.Node) -> Function:
    alpha = _attribute(node, "alpha", 0.01)
    return lambda x: np.where(x < 0, alpha * x, x)


def _clip(node: ir.Node) -> Function | None:
    ends = []
    for index, default in ((1, -np.inf), (2, np.inf)):
        value = node.inputs[index] if index < len(node.inputs) else None
        limit = array_of(value)
        if value is not None and (limit is None or limit.size != 1):
            return None
        ends.append(default if limit is None else float(limit.reshape(-1)[0]))
    low, high = ends
    return lambda x: np.clip(x, low, high)


CURVED: dict[str, Callable[[ir.Node], Function | None]] = {
    "Abs": lambda node: np.abs,
    "Celu": _celu,
    "Elu": _elu_of,
    "Erf": lambda node: erf,
    "Exp": lambda node: np.exp,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda node: lambda x: x * np.clip(x / 6 + 0.5, 0.0, 1.0),
    "Mish": lambda node: lambda x: x * np.tanh(_softplus(x)),
    "Reciprocal": lambda node: np.reciprocal,
    "Selu": _selu,
    "Sigmoid": lambda node: expit,
    "Softplus": lambda node: _softplus,
    "Softsign": lambda node: lambda x: x / (1 + np.abs(x)),
    "Sqrt": lambda node: np.sqrt,
    "Swish": _swish,
    "Tanh": lambda node: np.tanh,
    "ThresholdedRelu": _thresholded,
}
STRAIGHT: dict[str, Callable[[ir.Node], Function | None]] = {
    "Clip": _clip,
    "Identity": lambda node: lambda x: x,
    "LeakyRelu": _leaky,
    "Neg": lambda node: np.negative,
    "Relu": lambda node: lambda x: np.maximum(x, 0.0),
}
COMBINED: dict[str, Callable[[Float64, Float64], Float64]] = {
    "Add": np.add,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Pow": np.power,
    "Sub": np.subtract,
}
