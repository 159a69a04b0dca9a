"""Any operator of the standard with any inputs and attributes that its schema allows."""

from __future__ import annotations

from functools import cache
from typing import Any

from onnx import defs, helper
from property.attacker.constants import like, number
from property.attacker.draft import KINDS, Draft, ImpossibleError, Tensor, schema_of

RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")
WORDS = ("NOTSET", "SAME_UPPER", "VALID", "nearest", "linear", "constant", "edge", "reflect", "CRD", "add", "none")


@cache
def operators(opset: int) -> tuple[str, ...]:
    names = sorted({schema.name for schema in defs.get_all_schemas() if schema.domain == ""})
    newest = {name: schema for name in names if (schema := _schema(name, opset)) is not None}
    return tuple(name for name in newest if name not in RANDOM)


def _schema(name: str, opset: int) -> defs.OpSchema | None:
    try:
        return schema_of(name, opset)
    except ImpossibleError:
        return None


def attribute(draft: Draft, described: defs.OpSchema.Attribute) -> Any:
    kind = str(described.type).rpartition(".")[2]
    if kind == "INT":
        return draft.one([0, 1, 1, 2, -1, 3, 6, 7])
    if kind == "FLOAT":
        return number(draft, 0.5)
    if kind == "INTS":
        return [draft.integer(0, 3) for _ in range(draft.integer(1, 4))]
    if kind == "STRING":
        return draft.one(WORDS)
    return None


def operator(draft: Draft) -> None:
    """Inputs out of the pool or constants; the schema and its inference say whether they will do."""
    schema = schema_of(draft.one(operators(draft.opset)), draft.opset)
    inputs: list[Tensor | None] = []
    for formal in schema.inputs[: draft.integer(schema.min_input, max(schema.min_input, len(schema.inputs)))]:
        allowed = {KINDS.get(name, -1) for name in formal.types}
        x = draft.pick(lambda t, allowed=allowed: t.kind in allowed)  # type: ignore[misc]
        if inputs and draft.chance(0.5):
            shape = draft.one([(), (1,), (x.rank,), x.shape])
            x = draft.constant(like(draft, x, shape))
        inputs.append(x)
    attributes = {name: attribute(draft, item) for name, item in schema.attributes.items() if draft.chance(0.4)}
    draft.add(schema.name, inputs, outputs=max(1, schema.min_output), **attributes)


def stray(draft: Draft) -> None:
    """An operator of the graph once more, with an attribute of its schema that it did not have or in another value."""
    node = draft.one([node for node in draft.nodes if node.input and node.op_type != "Constant"])
    schema = schema_of(node.op_type, draft.opset)
    name = draft.one(sorted(schema.attributes))
    known = {tensor.name: tensor for tensor in draft.pool}
    if any(item and item not in known for item in node.input):
        raise ImpossibleError("reads constants")
    given = {a.name: value_of(a) for a in node.attribute}
    given[name] = attribute(draft, schema.attributes[name])
    inputs = [known[item] if item else None for item in node.input]
    draft.add(node.op_type, inputs, outputs=len(node.output), **given)


def value_of(item: Any) -> Any:
    value = helper.get_attribute_value(item)
    return value.decode() if isinstance(value, bytes) else value


DRAWS = {operator: 1, stray: 1}
