"""A graph under construction: nodes that the operators' own schemas accept, and the tensors that they made."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, defs, helper, numpy_helper, shape_inference

Choice = TypeVar("Choice")
LARGEST = 2000  # elements of one tensor
DEEPEST = 5
TYPES = dict(onnx.AttributeProto.AttributeType.items())
KINDS = {f"tensor({name.lower()})": number for name, number in TensorProto.DataType.items()}


class ImpossibleError(Exception):
    """What was drawn is no valid node; draw something else."""


@dataclass(frozen=True)
class Tensor:
    """A name in the graph, its TensorProto element type and its shape."""

    name: str
    kind: int
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return helper.tensor_dtype_to_np_dtype(self.kind)

    @property
    def rank(self) -> int:
        return len(self.shape)


class Draft:
    """Nodes, constants and a pool of tensors to read from.

    Args:
        twists: how often something may leave the grids of small integers; None for no limit.
    """

    def __init__(self, rng: np.random.Generator, opset: int, twists: int | None) -> None:
        self.rng, self.opset, self.twists = rng, opset, twists
        self.nodes: list[onnx.NodeProto] = []
        self.pool: list[Tensor] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.overridable: list[str] = []  # initializers that are inputs as well
        self._data: dict[str, onnx.TensorProto] = {}
        self._made: dict[tuple[Any, ...], Tensor] = {}
        self._count = 0

    def odd(self, share: float) -> bool:
        """Whether to leave the beaten path here, which takes one of the twists."""
        if self.twists == 0 or self.rng.random() >= share:
            return False
        if self.twists is not None:
            self.twists -= 1
        return True

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def one(self, choices: Sequence[Choice]) -> Choice:
        if not choices:
            raise ImpossibleError("nothing to choose from")
        return choices[int(self.rng.integers(len(choices)))]

    def integer(self, low: int, high: int) -> int:
        """Both ends included."""
        return int(self.rng.integers(low, high + 1))

    def name(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def pick(self, fits: Callable[[Tensor], bool] = lambda _: True) -> Tensor:
        """A tensor of the pool, rather a late one."""
        fitting = [tensor for tensor in self.pool if fits(tensor)]
        return self.one(fitting[-3:] if self.chance(0.6) else fitting)

    def floats(self, rank: int | None = None, least: int = 0) -> Tensor:
        return self.pick(lambda t: t.kind == TensorProto.FLOAT and (rank is None or t.rank == rank) and t.rank >= least)

    def constant(self, values: Any, kind: np.dtype[Any] | type | None = None) -> Tensor:
        """An initializer or the output of a Constant node, shared with an equal one or not."""
        array = np.asarray(values, kind)
        key = (array.dtype.str, str(array.dtype), array.shape, array.tobytes())
        if key in self._made and self.chance(0.6):
            return self._made[key]
        data = numpy_helper.from_array(array, self.name())
        tensor = Tensor(data.name, data.data_type, array.shape)
        self._data[data.name] = data
        if self.chance(0.2):
            self._constant_node(data, array)
        else:
            self.initializers[data.name] = data
            if self.odd(0.01):
                self.overridable.append(data.name)
        self._made[key] = tensor
        return tensor

    def _constant_node(self, data: onnx.TensorProto, array: NDArray[Any]) -> None:
        attribute: dict[str, Any] = {"value": data}
        if (
            self.opset >= 12
            and array.ndim < 2
            and array.size
            and array.dtype in (np.float32, np.int64)
            and self.chance(0.6)
        ):
            spelled = "value_float" if array.dtype == np.float32 else "value_int"
            attribute = {spelled: array.item()} if array.ndim == 0 else {f"{spelled}s": array.tolist()}
        self.nodes.append(helper.make_node("Constant", [], [data.name], **attribute))

    def add(
        self,
        operator: str,
        inputs: Sequence[Tensor | None],
        parameters: dict[str, Any] | None = None,
        outputs: int = 1,
        shape: tuple[int, ...] | None = None,
        **attributes: Any,
    ) -> Tensor:
        """The first output of a new node.

        Args:
            parameters: given as attributes or as constant inputs, as this opset has them.
            shape: of the first output, where it cannot be inferred from the node alone.
        """
        schema = schema_of(operator, self.opset)
        all_inputs = list(inputs)
        slots = [formal.name.lower() for formal in schema.inputs]
        for name, value in (parameters or {}).items():
            if value is None:
                continue
            if name in schema.attributes:
                attributes[name] = np.asarray(value).tolist()
            elif name.lower() in slots:
                place = slots.index(name.lower())
                all_inputs += [None] * (place + 1 - len(all_inputs))
                all_inputs[place] = self.constant(value)
            else:
                raise ImpossibleError(f"{operator} has no {name} in opset {self.opset}")
        names = [item.name if item else "" for item in all_inputs]
        node = helper.make_node(operator, names, [self.name() for _ in range(outputs)])
        try:
            for name, value in attributes.items():
                if value is not None and name in schema.attributes:
                    kind = TYPES[str(schema.attributes[name].type).rpartition(".")[2]]
                    node.attribute.append(helper.make_attribute(name, value, attr_type=kind))
        except (TypeError, ValueError, AssertionError) as error:  # an attribute of another kind
            raise ImpossibleError(str(error)) from error
        made = self._inferred(schema, node, [item for item in all_inputs if item], shape)
        self.nodes.append(node)
        self.pool += made
        return made[0]

    def _inferred(
        self, schema: defs.OpSchema, node: onnx.NodeProto, inputs: list[Tensor], shape: tuple[int, ...] | None
    ) -> list[Tensor]:
        types = {item.name: helper.make_tensor_type_proto(item.kind, item.shape) for item in inputs}
        _check_types(schema, node, {item.name: item.kind for item in inputs})
        data = {name: self._data[name] for name in node.input if name in self._data}
        try:
            found = shape_inference.infer_node_outputs(schema, node, types, data)
        except Exception as error:  # of a class of its own
            raise ImpossibleError(str(error)) from error
        made = []
        for index, name in enumerate(node.output):
            if name not in found or not found[name].HasField("tensor_type"):
                raise ImpossibleError(f"{node.op_type}: no type of {name}")
            described = found[name].tensor_type
            sides = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in described.shape.dim)
            if index == 0 and shape is not None:
                sides = shape
            elif not described.HasField("shape"):
                raise ImpossibleError(f"{node.op_type}: no shape of {name}")
            if min(sides, default=1) < 1 or math.prod(sides) > LARGEST or len(sides) > DEEPEST:
                raise ImpossibleError(f"{node.op_type}: shape {sides}")
            made.append(Tensor(name, described.elem_type, sides))
        return made


@cache
def schema_of(operator: str, opset: int) -> defs.OpSchema:
    try:
        schema = defs.get_schema(operator, opset, "")
    except defs.SchemaError as error:
        raise ImpossibleError(str(error)) from error
    if schema.deprecated:
        raise ImpossibleError(f"{operator} is deprecated")
    return schema


@cache
def _allowed(operator: str, opset: int) -> tuple[tuple[frozenset[int], str], ...]:
    formals = schema_of(operator, opset).inputs
    return tuple((frozenset(KINDS.get(name, -1) for name in formal.types), formal.type_str) for formal in formals)


def _check_types(schema: defs.OpSchema, node: onnx.NodeProto, kinds: dict[str, int]) -> None:
    formals = _allowed(schema.name, schema.since_version)
    bound: dict[str, int] = {}
    for index, name in enumerate(node.input):
        allowed, variable = formals[min(index, len(formals) - 1)]
        if not name:
            continue
        if kinds[name] not in allowed or bound.setdefault(variable, kinds[name]) != kinds[name]:
            raise ImpossibleError(f"{node.op_type}: type of {name}")
