"""What is known of a tensor on the way from a user's float graph to its integer form, and linear arithmetic on it.

Between the operators every tensor is integers of 16 bits (behind a Relu that only layers read: of 7) in float32, on a
grid per channel. Sums are put on a common grid of 24 bits, then rounded once: floor(x + 1/2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter, same_name
from nvc_check.exporter.integer_graph import Flavour
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.grid import exponent_to_hold, is_power_of_two

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

LOW, HIGH = -32768, 32767
HELD = HIGH // 2  # the calibration's largest value; twice as much does not saturate yet
EQUALIZE_LIMIT = 8  # a channel's grid is at most 2^8 finer than the coarsest of its tensor
TERM = 1 << 21  # a term of a sum, at most, in steps of the common grid; there are two, and a constant
FACTOR_BITS = 8


@dataclass(frozen=True)
class Known:
    """A float tensor (1, C, h, w) of the user's graph.

    Attributes:
        name: of the integer tensor in the graphs that are written.
        unit: (C,) e: real value = integer * 2^e.
        real: per calibration example, what the float graph gives, in float64.
        integers: the same of the integer graph, in units.
        low, high: range of the integers, which the graph ensures.
    """

    name: str
    unit: Float64
    real: list[Float64]
    integers: list[Float64]
    low: int
    high: int

    @property
    def channels(self) -> int:
        return len(self.unit)


Write = Callable[[GraphWriter, Flavour, dict[str, ir.Value]], ir.Value]


class Plan:
    """How the integer graph is written, tensor by tensor; both flavours follow it."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Write]] = []

    def add(self, name: str, write: Write) -> None:
        self._steps.append((name, write))

    def follow(self, graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> None:
        """Writes everything; `values` has the graph's inputs and gets all tensors.

        Raises:
            ExportRefusedError: two tensors of one name.
        """
        for name, write in self._steps:
            if name in values:
                raise ExportRefusedError(same_name(name))
            values[name] = write(graph, style, values)


@dataclass(frozen=True)
class Term:
    """`factor` (C,) integers of at most 8 bits times 2^`shift` (C,) times a tensor."""

    tensor: Known
    factor: Float64
    shift: Float64


def whole(tensor: Known, sign: int = 1) -> Term:
    """The tensor itself, or what is subtracted."""
    return Term(tensor, np.full(tensor.channels, float(sign)), np.zeros(tensor.channels))


def scaled(tensor: Known, by: Float64) -> Term:
    """The tensor times constants (C,), rounded to 8 bits."""
    shift = exponent_to_hold(np.abs(by), (1 << FACTOR_BITS) - 1)
    return Term(tensor, np.rint(by / np.exp2(shift)), shift)


def unit_for(real: list[Float64], labels: Int64, held: int = HELD) -> Float64:
    """(C,) the finest units that hold all of `real`; channels with the same label share one."""
    peak = np.max([np.abs(x).max(axis=(0, 2, 3)) for x in real], axis=0)
    highest = float(peak.max()) or 1.0
    peak = np.maximum(peak, highest * 2.0**-EQUALIZE_LIMIT)
    return tied(exponent_to_hold(peak, held), labels)


def tied(unit: Float64, labels: Int64) -> Float64:
    """The coarsest unit of each label's channels."""
    coarsest = np.full(int(labels.max()) + 1, -np.inf)
    np.maximum.at(coarsest, labels, unit)
    return coarsest[labels]


def linear(
    plan: Plan,
    name: str,
    terms: Sequence[Term],
    constant: Float64,
    real: list[Float64],
    unit: Float64,
    labels: Int64,
) -> Known:
    """The sum of one or two terms and a constant (C,), rounded to 16 bits on `unit`, or a coarser one that it needs."""
    steps = [term.tensor.unit + term.shift for term in terms]
    reach = [float(max(-term.tensor.low, term.tensor.high)) * np.maximum(np.abs(term.factor), 1) for term in terms]
    # as fine as the finest term, if all fit
    needed = [step + exponent_to_hold(r, TERM) for step, r in zip(steps, reach, strict=True)]
    needed.append(np.where(constant == 0, -np.inf, exponent_to_hold(np.abs(constant), TERM)))
    common = np.max([np.min(steps, axis=0), *needed], axis=0)
    unit = tied(np.maximum(unit, common), labels)  # an exact 1/2 must fit below the sum
    shifts = [np.exp2(step - common) for step in steps]
    rounds = [bool((step < common).any()) for step in steps]
    added = np.rint(constant / np.exp2(common))
    last = np.exp2(common - unit)

    def integers(*given: Float64) -> Float64:
        total: Float64 = np.zeros(1)
        for x, term, shift, half in zip(given, terms, shifts, rounds, strict=True):
            product = x * column(term.factor * shift)
            total = total + (np.floor(product + 0.5) if half else product)
        rounded: Float64 = np.floor((total + column(added)) * column(last) + 0.5)
        return np.clip(rounded, LOW, HIGH)

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        total: ir.Value | None = None
        for i, (term, shift, half) in enumerate(zip(terms, shifts, rounds, strict=True)):
            x = multiplied(graph, values[term.tensor.name], term.factor, f"{name}_term_{i}")
            x = times(graph, x, shift, f"{name}_term_{i}")
            x = rounded_up(graph, x, f"{name}_term_{i}") if half else x
            total = x if total is None else graph.op("Add", total, x, name=f"{name}_sum")
        assert total is not None
        if added.any():
            total = graph.op("Add", total, channels(graph, added, f"{name}_constant"), name=f"{name}_shifted")
        total = times(graph, total, last, name)
        if (last < 1).any():
            total = rounded_up(graph, total, name)
        return graph.op("Clip", total, graph.scalar(LOW), graph.scalar(HIGH), name=f"{name}_saturated")

    plan.add(name, write)
    made = [integers(*each) for each in zip(*(term.tensor.integers for term in terms), strict=True)]
    return Known(name, unit, real, made, LOW, HIGH)


def on_common_units(plan: Plan, tensor: Known, labels: Int64) -> Known:
    """The same tensor, channels with the same label on one unit; itself where they are."""
    unit = tied(tensor.unit, labels)
    if (unit == tensor.unit).all():
        return tensor
    nothing = np.zeros(tensor.channels)
    return linear(plan, f"{tensor.name}_together", [whole(tensor)], nothing, tensor.real, unit, labels)


def column(values: Float64) -> Float64:
    """(C,) -> (1, C, 1, 1)."""
    return values.reshape(1, -1, 1, 1)


def channels(graph: GraphWriter, values: Float64, name: str) -> ir.Value:
    """A constant per channel."""
    return graph.constant(column(values).astype(np.float32), name)


def times(graph: GraphWriter, x: ir.Value, factor: Float64, name: str) -> ir.Value:
    if (factor == 1).all():
        return x
    return graph.op("Mul", x, channels(graph, factor, f"{name}_factor"), name=f"{name}_scaled")


def multiplied(graph: GraphWriter, x: ir.Value, by: Float64, name: str) -> ir.Value:
    """Integers times integers (C,). OpenVINO moves what is added in front of a product, but not across a Floor."""
    product = times(graph, x, by, f"{name}_multiple")
    return product if is_power_of_two(np.abs(by)) else graph.op("Floor", product, name=f"{name}_multiple_kept")


def rounded_up(graph: GraphWriter, x: ir.Value, name: str) -> ir.Value:
    """floor(x + 1/2)."""
    return graph.op("Floor", graph.op("Add", x, graph.scalar(0.5), name=f"{name}_half"), name=f"{name}_floor")
