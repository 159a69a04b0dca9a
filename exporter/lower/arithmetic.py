"""Sums in integers: terms on a common grid, exact where they fit, else rounded once to 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.flavours import Flavour
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.values import HELD, LIMIT, WIDE, Float64, Int64, Known, Plan, peaks, tied, unit_for
from nvc_check.exporter.lower.writing import channels, column, multiplied, rounded_up, saturated, times
from nvc_check.models.grid import exponent_to_hold

TERM = LIMIT // 2  # a term of a sum, at most, in steps of the common grid; there are two, and a constant
FACTOR_BITS = 8


@dataclass(frozen=True)
class Term:
    """`factor` (C,) integers of at most 8 bits times 2^`shift` (C,) times a tensor."""

    tensor: Known
    factor: Float64
    shift: Float64

    @property
    def reach(self) -> Float64:
        """(C,) in steps of the tensor's unit times 2^shift."""
        return float(max(-self.tensor.low, self.tensor.high)) * np.abs(self.factor)


def whole(tensor: Known, sign: int = 1) -> Term:
    """The tensor itself, or what is subtracted."""
    return Term(tensor, np.full(tensor.channels, float(sign)), np.zeros(tensor.channels))


def scaled(tensor: Known, by: Float64) -> Term:
    """The tensor times constants (C,), rounded to 8 bits."""
    shift = exponent_to_hold(np.abs(by), (1 << FACTOR_BITS) - 1)
    return Term(tensor, np.rint(by / np.exp2(shift)), shift)


def add(site: Site) -> Known:
    sign = -1 if site.node.op_type == "Sub" else 1
    a, b = site.tensor(0), site.tensor(1)
    terms: list[Term] = []
    added: Any = 0.0
    if a is not None and b is not None:
        if a.real[0].shape != b.real[0].shape:
            site.refuse(f"shapes {a.real[0].shape} and {b.real[0].shape}, expected the same one")
        terms = [whole(a), whole(b, sign)]
        real = [x + sign * y for x, y in zip(a.real, b.real, strict=True)]
    elif a is not None:
        added = sign * site.per_channel(1, a.channels)
        terms, real = [whole(a)], [x + column(added) for x in a.real]
    else:
        assert b is not None
        added = site.per_channel(0, b.channels)
        terms, real = [whole(b, sign)], [column(added) + sign * x for x in b.real]
    return linear_of(site, terms, np.broadcast_to(added, terms[0].tensor.channels), real)


def negate(site: Site) -> Known:
    x = site.first()
    return linear_of(site, [whole(x, -1)], np.zeros(x.channels), [-each for each in x.real])


def normalize(site: Site) -> Known:
    """BatchNormalization with the statistics of training, where no convolution could take it in."""
    x = narrowed(site.plan, site.first())
    site.attribute("training_mode", 0)
    site.attribute("momentum", 0.9)
    scale, bias, mean, variance = (np.asarray(site.constant(i)).astype(np.float64) for i in range(1, 5))
    by = scale / np.sqrt(variance + float(site.attribute("epsilon", 1e-5)))
    added = bias - mean * by
    real = [each * column(by) + column(added) for each in x.real]
    return linear_of(site, [scaled(x, by)], added, real)


def linear_of(site: Site, terms: list[Term], added: Float64, real: list[Float64]) -> Known:
    """What the node gives."""
    return linear(site.plan, site.name, terms, added, real, site.asked.labels(terms[0].tensor.channels))


def linear(
    plan: Plan,
    name: str,
    terms: Sequence[Term],
    constant: Float64,
    real: list[Float64],
    labels: Int64 | None,
    most: int = WIDE,
) -> Known:
    """The sum of one or two terms and a constant (C,): exact if it fits, else rounded to integers up to `most`, by
    default of 16 bits.

    `labels` None: rounded whether it fits or not, and each channel on a unit of its own.
    """
    narrow = labels is None
    labels = np.arange(terms[0].tensor.channels) if labels is None else labels
    steps = [term.tensor.unit + term.shift for term in terms]
    # as fine as the finest term, if all fit
    needed = [step + exponent_to_hold(np.maximum(t.reach, 1), TERM) for step, t in zip(steps, terms, strict=True)]
    needed.append(np.where(constant == 0, -np.inf, exponent_to_hold(np.abs(constant), TERM)))
    # a constant alone does not ask for a finer grid than 16 bits of the sum
    common = np.max([np.min(steps, axis=0), *needed], axis=0)
    if constant.any():
        common = np.max([np.minimum(common, unit_for(peaks(real), labels, HELD)), *needed], axis=0)
    shifts = [np.exp2(step - common) for step in steps]
    rounds = [bool((step < common).any()) for step in steps]
    added = np.rint(constant / np.exp2(common))
    bound = np.abs(added) + sum(term.reach * shift for term, shift in zip(terms, shifts, strict=True))
    unit = tied(common, labels)
    exact = not narrow and bool((unit == common).all()) and float(np.max(bound)) + len(terms) <= LIMIT
    if not exact:
        unit = tied(np.maximum(unit_for(peaks(real), labels, most // 2), common), labels)
    last = np.exp2(common - unit)

    def integers(*given: Float64) -> Float64:
        total: Float64 = np.zeros(1)
        for x, term, shift, half in zip(given, terms, shifts, rounds, strict=True):
            product = x * column(term.factor * shift)
            total = total + (np.floor(product + 0.5) if half else product)
        total = total + column(added)
        return total if exact else np.clip(np.floor(total * column(last) + 0.5), -most, most)

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        total: ir.Value | None = None
        for i, (term, shift, half) in enumerate(zip(terms, shifts, rounds, strict=True)):
            x = values[term.tensor.name]
            if half or not (np.abs(term.factor) == 1).all():
                x = multiplied(graph, x, term.factor, f"{name}_term_{i}")
                x = times(graph, x, shift, f"{name}_term_{i}")
            elif i and (term.factor == -1).all():
                x = times(graph, x, shift, f"{name}_term_{i}")
            else:
                x = times(graph, x, term.factor * shift, f"{name}_term_{i}")
            x = rounded_up(graph, x, f"{name}_term_{i}") if half else x
            if total is None:
                total = x
            else:
                less = not half and (np.abs(term.factor) == 1).all() and (term.factor == -1).all()
                total = graph.op("Sub" if less else "Add", total, x, name=f"{name}_total")
        assert total is not None
        if added.any():
            total = graph.op("Add", total, channels(graph, added, f"{name}_constant"), name=f"{name}_shifted")
        if exact:
            return total
        total = times(graph, total, last, name)
        if (last < 1).any():
            total = rounded_up(graph, total, name)
        return saturated(graph, total, -most, most, name)

    plan.add(name, write)
    made = [integers(*each) for each in zip(*(term.tensor.integers for term in terms), strict=True)]
    high = int(np.max(bound)) + len(terms) if exact else most
    low = 0 if exact and not added.any() and all(t.tensor.low >= 0 and (t.factor >= 0).all() for t in terms) else -high
    return Known(name, unit, real, made, low, high, given=all(term.tensor.given for term in terms))


def narrowed(plan: Plan, tensor: Known, most: int = WIDE) -> Known:
    """The tensor in integers up to `most`: in 16 bits products with factors of 8 bits stay exact."""
    if max(-tensor.low, tensor.high) <= most + (most == WIDE):
        return tensor
    nothing = np.zeros(tensor.channels)
    kind = "narrowed" if most == WIDE else f"within_{most}"
    return plan.once(
        tensor.name, kind, b"", lambda name: linear(plan, name, [whole(tensor)], nothing, tensor.real, None, most)
    )


def on_common_units(plan: Plan, tensor: Known, labels: Int64) -> Known:
    """The same tensor, channels with the same label on one unit; itself where they are."""
    if (tied(tensor.unit, labels) == tensor.unit).all():
        return tensor
    nothing = np.zeros(tensor.channels)
    return plan.once(
        tensor.name,
        "together",
        labels.tobytes(),
        lambda name: linear(plan, name, [whole(tensor)], nothing, tensor.real, labels),
    )
