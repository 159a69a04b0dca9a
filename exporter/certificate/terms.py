"""What a rule of the certificate is given and gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from nvc_check.exporter.certificate.abstract import Abstract, Shape, of_constant, uniform
from nvc_check.exporter.certificate.targets import Hazard


class Refused(Exception):
    """The node cannot be shown exact on any target; the text says why, `cure` what would make it exact."""

    def __init__(self, reason: str, cure: str = "") -> None:
        super().__init__(reason)
        self.cure = cure


@dataclass(frozen=True)
class Call:
    """One node: attributes by name, inputs in order (None: left out), shapes of the outputs."""

    op_type: str
    attributes: dict[str, Any]
    inputs: tuple[Abstract | None, ...]
    shapes: tuple[Shape, ...]

    def optional(self, position: int) -> Abstract | None:
        return self.inputs[position] if position < len(self.inputs) else None

    def input(self, position: int) -> Abstract:
        value = self.optional(position)
        if value is None:
            raise Refused(f"input {position} of {self.op_type} is missing", "repair the graph")
        return value

    def constant(self, position: int, what: str) -> Any:
        """The array of a constant input, None where it was left out; Refused where it is computed."""
        value = self.optional(position)
        if value is None:
            return None
        if value.constant is None:
            raise Refused(f"{what} of {self.op_type} is computed, not constant", f"make {what} an initializer")
        return value.constant

    def get(self, name: str, default: Any) -> Any:
        return self.attributes.get(name, default)

    def text(self, name: str, default: str) -> str:
        found = self.attributes.get(name, default)
        return found.decode() if isinstance(found, bytes) else str(found)

    @property
    def rank(self) -> int | None:
        return len(self.shapes[0]) if self.shapes and self.shapes[0] is not None else None


@dataclass(frozen=True)
class Outcome:
    """The values of the outputs and what is to be said of the node; the fields are those of a NodeCertificate."""

    results: tuple[Abstract, ...]
    bound: float = 0.0
    operand_bits: str = ""
    rounding: str = ""
    assumptions: tuple[str, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    conditions: tuple[str, ...] = ()
    kernel: str = ""


Rule: TypeAlias = Callable[[Call], Outcome]


def one(result: Abstract, **facts: Any) -> Outcome:
    return Outcome((result,), **facts)


def aligned(call: Call, *values: Abstract) -> tuple[Abstract, ...]:
    """The operands of an elementwise operator with their channels on axis 1 of its result, or with all alike."""
    placed = []
    for value in values:
        rank, array = call.rank, value.constant
        if rank is not None and array is not None and array.ndim < rank:
            placed.append(of_constant(array.reshape((1,) * (rank - array.ndim) + array.shape)))
        elif len(value.low) > 1 and (rank is None or value.shape is None or len(value.shape) != rank):
            placed.append(uniform(value))
        else:
            placed.append(value)
    return tuple(placed)


def require_type(value: Abstract, *dtypes: str) -> None:
    if value.dtype not in dtypes:
        raise Refused(
            f"element type {value.dtype}, expected {' or '.join(dtypes)}", f"put a Cast to {dtypes[0]} in front"
        )


NUMBERS = ("float32", "int32", "int64")
