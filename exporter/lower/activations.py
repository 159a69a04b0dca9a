"""Activations in integers: Relu, LeakyRelu, PRelu, Clip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.arithmetic import narrowed
from nvc_check.exporter.lower.codes import BYTE
from nvc_check.exporter.lower.flavours import Flavour
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.values import HELD, LIMIT, Float64, Known, tied
from nvc_check.exporter.lower.writing import channels, column, multiplied, rounded_up, times
from nvc_check.models.grid import exponent_to_hold

SLOPE_BITS = 8
SLOPE_STEP = -10  # of integers of a byte: what is left is an eighth of a step
REFINED_BITS = 5  # 2^16 steps become 2^21


def relu(site: Site) -> Known:
    x = site.first()

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        return graph.op("Relu", values[x.name], name=site.name)

    site.plan.add(site.name, write)
    real, integers = ([np.maximum(each, 0) for each in arrays] for arrays in (x.real, x.integers))
    return Known(site.name, x.unit, real, integers, max(x.low, 0), max(x.high, 0))


def leaky_relu(site: Site) -> Known:
    x = site.first()
    return _bent(site, x, np.full(x.channels, float(site.attribute("alpha", 0.01))))


def prelu(site: Site) -> Known:
    x = site.first()
    return _bent(site, x, site.per_channel(1, x.channels))


def _bent(site: Site, x: Known, slopes: Float64) -> Known:
    real = [np.where(each < 0, each * column(slopes), each) for each in x.real]
    if not np.isfinite(slopes).all() or np.abs(slopes).max() > 2**SLOPE_BITS:
        site.refuse(f"a slope of {np.abs(slopes).max():g}, expected one of at most {2**SLOPE_BITS}")
    shift = np.maximum(exponent_to_hold(np.abs(slopes), (1 << SLOPE_BITS) - 1), SLOPE_STEP)
    multiple = np.rint(slopes / np.exp2(shift))
    if x.zero is not None:
        return _bent_byte(site, x, multiple, shift, real)
    return _bent_wide(site, narrowed(site.plan, x), multiple, shift, real)


def _bent_byte(site: Site, x: Known, multiple: Float64, shift: Float64, real: list[Float64]) -> Known:
    """Rounded once, half to even, to the input's unit, or a coarser one where a slope is above 1."""
    slopes = multiple * np.exp2(shift)
    more = np.maximum(np.ceil(np.log2(np.maximum(np.abs(slopes), 1))), 0)
    unit = tied(x.unit + more, site.asked.labels(x.channels))
    factor = np.exp2(x.unit - unit)
    assert x.zero is not None
    few = 0 < site.asked.bits < BYTE
    zero, low, high = (x.zero, x.low, x.high) if few else (x.zero, -x.zero, 255 - x.zero)

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        bent = times(graph, style.bent(graph, values[x.name], slopes, site.name), factor, f"{site.name}_coarser")
        return style.dequantized(graph, style.rounded(graph, bent, zero, low, high, site.name), zero, site.name)

    site.plan.add(site.name, write)
    bent = [np.where(each < 0, each * column(slopes), each) * column(factor) for each in x.integers]
    integers = [np.clip(np.rint(each), low, high) for each in bent]
    return Known(site.name, unit, real, integers, low, high, zero)


def _bent_wide(site: Site, x: Known, multiple: Float64, shift: Float64, real: list[Float64]) -> Known:
    """max(x, 0) - floor(-min(x, 0) * slope + 1/2)."""
    step = np.exp2(shift)

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        above = graph.op("Relu", values[x.name], name=f"{site.name}_above")
        below = graph.op("Sub", above, values[x.name], name=f"{site.name}_below")
        below = times(graph, multiplied(graph, below, multiple, site.name), step, f"{site.name}_slope")
        return graph.op("Sub", above, rounded_up(graph, below, site.name), name=f"{site.name}_bent")

    site.plan.add(site.name, write)
    by = column(multiple * step)
    integers = [np.maximum(each, 0) - np.floor(np.maximum(-each, 0) * by + 0.5) for each in x.integers]
    ends = -np.floor(max(-x.low, 0) * multiple * step + 0.5)
    return Known(site.name, x.unit, real, integers, int(min(ends.min(), 0)), int(max(ends.max(), x.high, 0)))


def clip(site: Site) -> Known:
    x = site.first()
    low, high = (float(site.constant(i)) if site.has(i) else None for i in (1, 2))
    if low is not None and high is not None and low > high:
        site.refuse(f"limits {low:g} and {high:g}, expected them in order")
    infinite = [limit is None or np.isinf(limit) for limit in (low, high)]
    low, high = (None if endless else limit for limit, endless in zip((low, high), infinite, strict=True))
    if x.zero is not None and (x.unit == x.unit[0]).all():
        return _clipped_byte(site, x, low, high)
    if low is not None and high is not None:
        x = _refined(site, x, low, high)
    for limit, lower in ((low, True), (high, False)):
        if limit is not None:
            choose: Any = np.maximum if lower else np.minimum
            name = f"{site.name}_{'low' if lower else 'high'}"
            made = _limited(site, x, np.rint(limit / np.exp2(x.unit)), lower, name)
            x = replace(made, real=[choose(each, limit) for each in x.real])
    return x


def _clipped_byte(site: Site, x: Known, low: float | None, high: float | None) -> Known:
    """Between integers of the one grid that all channels have."""
    assert x.zero is not None
    step = 2.0 ** float(x.unit[0])
    ends = [
        int(np.clip(end if limit is None else np.rint(limit / step), x.low, x.high))
        for limit, end in ((low, x.low), (high, x.high))
    ]
    zero = x.zero

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        return style.limited(graph, values[x.name], zero, ends[0], ends[1], site.name)

    site.plan.add(site.name, write)
    real = [np.clip(each, -np.inf if low is None else low, np.inf if high is None else high) for each in x.real]
    integers = [np.clip(each, ends[0], ends[1]) for each in x.integers]
    return Known(site.name, x.unit, real, integers, ends[0], ends[1], zero)


def _refined(site: Site, x: Known, low: float, high: float) -> Known:
    """On units that have the limits at 14 bits: a coarse input, as of symbols, would move them."""
    wanted = float(exponent_to_hold(np.asarray(max(abs(low), abs(high))), HELD))
    unit = np.minimum(x.unit, np.maximum(wanted, x.unit - REFINED_BITS))
    if (unit == x.unit).all():
        return x
    x = _limited(site, x, np.floor(low / np.exp2(x.unit)), True, f"{site.name}_not_below")
    x = _limited(site, x, np.ceil(high / np.exp2(x.unit)), False, f"{site.name}_not_above")
    name, factor = f"{site.name}_refined", np.exp2(x.unit - unit)
    if max(-x.low, x.high) * factor.max() > LIMIT:
        return x
    site.plan.add(name, lambda graph, style, values: times(graph, values[x.name], factor, name))
    integers = [each * column(factor) for each in x.integers]
    return Known(name, unit, x.real, integers, int(x.low * factor.max()), int(x.high * factor.max()))


def _limited(site: Site, x: Known, steps: Float64, lower: bool, name: str) -> Known:
    """limit + Relu(x - limit), or limit - Relu(limit - x): in units the limit differs from channel to channel."""
    steps = np.clip(steps, x.low, x.high)

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        bound, value = channels(graph, steps, f"{name}_limit"), values[x.name]
        above = graph.op("Sub", *((value, bound) if lower else (bound, value)), name=f"{name}_beyond")
        within = graph.op("Relu", above, name=f"{name}_within")
        return graph.op("Add" if lower else "Sub", bound, within, name=name)

    site.plan.add(name, write)
    choose: Any = np.maximum if lower else np.minimum
    low, high = (max(x.low, int(steps.min())), x.high) if lower else (x.low, min(x.high, int(steps.max())))
    return Known(name, x.unit, x.real, [choose(each, column(steps)) for each in x.integers], low, high)
