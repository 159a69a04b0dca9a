"""Products: with constants, and of two tensors, whose integers are so small that nothing is lost, or in limbs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.arithmetic import linear_of, narrowed, scaled, whole
from nvc_check.exporter.lower.codes import BYTE
from nvc_check.exporter.lower.flavours import Flavour
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.values import HELD, LIMIT, WIDE, Float64, Known, Plan, peaks, tied, unit_for
from nvc_check.exporter.lower.writing import column, rounded_up, saturated, times

ROOT, BESIDE = 1447, 8191  # of factors, at most: squared, and times a byte, below LIMIT
LIMB = 128  # what is left below the upper limb of 16 bits
GUARD = 4  # bits below the product's grid, on which limbs are added up
MOST = 1 << 21  # of one limb there
LOST = 27  # bits that the product's grid is coarser: the lower limb makes no difference there


def multiply(site: Site) -> Known:
    inverse = site.node.op_type == "Div"
    a, b = site.tensor(0), site.tensor(1) if len(site.node.inputs) > 1 else None
    if a is not None and b is not None:
        if inverse:
            site.refuse("a quotient of two tensors leaves every grid; expected a constant divisor")
        return product(site, a, b)
    x, index = (a, 1) if a is not None else (b, 0)
    if x is None or (inverse and index == 0):
        site.refuse("divides by a tensor, and a quotient leaves every grid; expected a constant divisor")
    x = narrowed(site.plan, x)
    by = site.per_channel(index, x.channels)
    if inverse:
        if (by == 0).any():
            site.refuse("divides by 0")
        by = 1 / by
    return linear_of(site, [scaled(x, by)], np.zeros(x.channels), [each * column(by) for each in x.real])


def product(site: Site, a: Known, b: Known) -> Known:
    """Of two tensors; one may be a number for each channel, as a gate is."""
    one, other = a.real[0].shape, b.real[0].shape
    if one != other and not (one[:2] == other[:2] and (1, 1) in (one[2:], other[2:])):
        site.refuse(f"shapes {one} and {other}, expected the same one, or a number for each channel")
    if site.precision.activations <= BYTE:
        return _exact(site, *_small(site.plan, a, b))
    a, b = narrowed(site.plan, a), narrowed(site.plan, b)
    fits = max(-a.low, a.high) * max(-b.low, b.high) <= LIMIT
    return _exact(site, a, b) if fits else _in_limbs(site, a, b)


def _small(plan: Plan, a: Known, b: Known) -> tuple[Known, Known]:
    """Both with so few bits that products stay below LIMIT: a byte as it is, anything else as fine as goes then."""
    byte = [each.zero is not None for each in (a, b)]
    if not any(byte):
        return narrowed(plan, a, ROOT), narrowed(plan, b, ROOT)
    return a if byte[0] else narrowed(plan, a, BESIDE), b if byte[1] else narrowed(plan, b, BESIDE)


def _exact(site: Site, x: Known, y: Known) -> Known:
    labels = site.asked.labels(x.channels)
    unit = x.unit + y.unit
    name = site.name if (tied(unit, labels) == unit).all() else f"{site.name}_product"
    of, by = x.name, y.name  # not x and y: their arrays would be kept

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        return graph.op("Mul", values[of], values[by], name=name)

    site.plan.add(name, write)
    corners = [p * q for p in (x.low, x.high) for q in (y.low, y.high)]
    real = [p * q for p, q in zip(x.real, y.real, strict=True)]
    integers = [p * q for p, q in zip(x.integers, y.integers, strict=True)]
    made = Known(name, unit, real, integers, 0 if of == by else min(corners), max(corners))
    return made if name == site.name else linear_of(site, [whole(made)], np.zeros(made.channels), real)


def _in_limbs(site: Site, a: Known, b: Known) -> Known:
    """x = 2^8 upper + lower: both products with y are exact, rounded once, and added up on a grid finer than the
    outcome's, which has 16 bits.
    """
    real = [p * q for p, q in zip(a.real, b.real, strict=True)]
    unit = np.maximum(unit_for(peaks(real), site.asked.labels(a.channels), HELD), a.unit + b.unit)
    step = np.exp2(a.unit + b.unit - unit)  # of the product's integers, to steps of the outcome
    steps = (step * 2.0 ** (BYTE + GUARD), step * 2.0**GUARD)
    x, y, name = replace(a, real=[], integers=[]), replace(b, real=[], integers=[]), site.name
    of_both = 2 if (step > 2.0**-LOST).any() else 1

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        shifted = graph.op("Mul", values[x.name], graph.scalar(1 / (2 * LIMB)), name=f"{name}_shifted")
        upper = rounded_up(graph, shifted, f"{name}_upper")
        back = graph.op("Mul", upper, graph.scalar(2 * LIMB), name=f"{name}_upper_back")
        left = graph.op("Sub", values[x.name], back, name=f"{name}_left")
        limbs = [upper, saturated(graph, left, -LIMB, LIMB, f"{name}_lower")]
        total: ir.Value | None = None
        for limb, factor, which in zip(limbs[:of_both], steps, ("upper", "lower"), strict=False):
            own = f"{name}_{which}_part"
            each = graph.op("Mul", limb, values[y.name], name=f"{own}_product")
            each = saturated(graph, times(graph, each, factor, own), -MOST, MOST, own)
            each = rounded_up(graph, each, f"{own}_guard")
            total = each if total is None else graph.op("Add", total, each, name=f"{name}_total")
        assert total is not None
        total = graph.op("Mul", total, graph.scalar(2.0**-GUARD), name=f"{name}_steps")
        return saturated(graph, rounded_up(graph, total, name), -WIDE, WIDE, name)

    site.plan.add(name, write)

    def integers(p: Float64, q: Float64) -> Float64:
        upper = np.floor(p / (2 * LIMB) + 0.5)
        limbs = [upper, p - 2 * LIMB * upper][:of_both]
        parts = [
            np.floor(np.clip(limb * q * column(factor), -MOST, MOST) + 0.5)
            for limb, factor in zip(limbs, steps, strict=False)
        ]
        total: Float64 = np.floor(np.sum(parts, axis=0) * 2.0**-GUARD + 0.5)
        return np.clip(total, -WIDE, WIDE)

    made = [integers(p, q) for p, q in zip(a.integers, b.integers, strict=True)]
    return Known(name, unit, real, made, -WIDE, WIDE)
