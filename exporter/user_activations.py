"""Activations of a user's graph: Relu, LeakyRelu and Clip on integers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.integer_graph import Flavour
from nvc_check.exporter.layers import attribute, constant
from nvc_check.exporter.user_site import Site
from nvc_check.exporter.user_values import (
    HELD,
    Float64,
    Known,
    channels,
    column,
    multiplied,
    rounded_up,
    times,
)
from nvc_check.models.grid import exponent_to_hold

SLOPE_BITS = 7
REFINED_BITS = 8  # 2^15 steps become 2^23, to which a limit is added


def relu(site: Site) -> Known:
    x = site.first()
    made = site.moved(
        x.unit, lambda each: np.maximum(each, 0), lambda graph, value: graph.op("Relu", value, name=site.name)
    )
    return replace(made, low=max(x.low, 0))


def leaky_relu(site: Site) -> Known:
    """max(x, 0) - floor(-min(x, 0) * slope + 1/2), the slope rounded to 7 bits; WebGPU has no Max."""
    x = site.first()
    slope = float(attribute(site.node, "alpha", 0.01))
    if not 0 <= slope <= 1:
        site.refuse(f"alpha {slope:g}, expected 0 to 1")
    step = 2.0 ** (np.frexp(slope)[1] - SLOPE_BITS) if slope else 1.0
    multiple = np.rint(slope / step)

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        above = graph.op("Relu", values[x.name], name=f"{site.name}_above")
        below = graph.op("Sub", above, values[x.name], name=f"{site.name}_below")
        below = multiplied(graph, below, np.array([multiple]), site.name)
        below = graph.op("Mul", below, graph.scalar(step), name=f"{site.name}_slope")
        return graph.op("Sub", above, rounded_up(graph, below, site.name), name=f"{site.name}_leaky")

    site.plan.add(site.name, write)
    integers = [np.maximum(each, 0) - np.floor(np.maximum(-each, 0) * (multiple * step) + 0.5) for each in x.integers]
    real = [np.maximum(each, slope * each) for each in x.real]
    low = -int(np.floor(-x.low * (multiple * step) + 0.5)) if x.low < 0 else x.low
    return Known(site.name, x.unit, real, integers, low, x.high)


def clip(site: Site) -> Known:
    x = site.first()
    given = [index < len(site.node.inputs) and site.node.inputs[index] is not None for index in (1, 2)]
    limits = [float(constant(site.node, index)) if has else None for index, has in zip((1, 2), given, strict=True)]
    low, high = limits
    if low is not None and high is not None:
        x = _refined(site, x, low, high)
    for limit, lower in ((low, True), (high, False)):
        if limit is not None:
            choose: Any = np.maximum if lower else np.minimum
            made = _limited(
                site, x, np.rint(limit / np.exp2(x.unit)), lower, f"{site.name}_{'low' if lower else 'high'}"
            )
            x = replace(made, real=[choose(each, limit) for each in x.real])
    return x


def _refined(site: Site, x: Known, low: float, high: float) -> Known:
    """On units that have the limits at 14 bits: a coarse input, as of symbols, would move them."""
    wanted = float(exponent_to_hold(np.asarray(max(abs(low), abs(high))), HELD))
    unit = np.minimum(x.unit, np.maximum(wanted, x.unit - REFINED_BITS))
    if (unit == x.unit).all():
        return x
    x = _limited(site, x, np.floor(low / np.exp2(x.unit)), True, f"{site.name}_not_below")
    x = _limited(site, x, np.ceil(high / np.exp2(x.unit)), False, f"{site.name}_not_above")
    name, factor = f"{site.name}_refined", np.exp2(x.unit - unit)
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
