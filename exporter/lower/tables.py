"""Functions of one number by a table of integers (Gather): no runtime computes them, so none does it otherwise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.codes import coded
from nvc_check.exporter.lower.flavours import Flavour
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.values import WIDE, Float64, Known, peaks
from nvc_check.exporter.lower.writing import saturated, times
from nvc_check.models.grid import exponent_to_hold

OCTAVES = 3  # grids that are tried
Function = Callable[[Float64], Float64]


def _sigmoid(x: Float64) -> Float64:
    halved: Float64 = np.tanh(0.5 * x)
    return 0.5 * (1 + halved)


FUNCTIONS: dict[str, Function] = {"Sigmoid": _sigmoid, "Tanh": np.tanh}
FLAT = {"Sigmoid": 12.0, "Tanh": 6.0}  # beyond, they stay within 2^-17 of their limits
FLAT_BYTE = {"Sigmoid": 6.0, "Tanh": 3.5}  # and within a quarter of a step of 8 bits


def tabulated(site: Site) -> Known:
    """By a table of 256 integers, or, where the input was not rounded to a byte, of 65,536."""
    x = site.first()
    function = FUNCTIONS[site.node.op_type]
    return _byte(site, x, function) if x.zero is not None else _wide(site, x, function)


def _byte(site: Site, x: Known, function: Function) -> Known:
    if not (x.unit == x.unit[0]).all():
        x = coded(site.plan, x, unit=np.full(x.channels, x.unit.max()))
    assert x.zero is not None
    zeros = (x.zero, 0 if function(np.array([-1e9]))[0] >= 0 else 128)
    step = 2.0 ** float(x.unit[0])
    real = [function(each) for each in x.real]
    low, high = -zeros[1], 255 - zeros[1]
    coarsest = int(exponent_to_hold(peaks(real).max(initial=0), high))
    made = function((np.arange(256) - x.zero) * step)
    exponent = min(range(coarsest, coarsest - OCTAVES, -1), key=lambda e: _error(real, 2.0**e, low, high))
    table = np.clip(np.rint(made * 2.0**-exponent), low, high).astype(np.int64)

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        return style.table(graph, values[x.name], table, zeros, site.name)

    site.plan.add(site.name, write)
    integers = [table[(each + x.zero).astype(np.int64)].astype(np.float64) for each in x.integers]
    return Known(
        site.name, np.full(x.channels, float(exponent)), real, integers, int(table.min()), int(table.max()), zeros[1]
    )


def _error(real: list[Float64], step: float, low: int, high: int) -> float:
    """Of rounding to a byte: a finer grid may be worth that the largest values saturate."""
    return sum(float(((np.clip(np.rint(each / step), low, high) * step - each) ** 2).sum()) for each in real)


def _wide(site: Site, x: Known, function: Function) -> Known:
    """16 bits in and out."""
    reach = min(FLAT[site.node.op_type], float(peaks(x.real).max()) * 2)
    unit = max(float(exponent_to_hold(np.asarray(reach), WIDE)), float(x.unit.min()))
    factor = np.exp2(x.unit - unit)
    exponent = float(exponent_to_hold(np.asarray(1.0), WIDE))
    inputs = np.arange(-WIDE - 1, WIDE + 1)
    table = np.rint(function(inputs * 2.0**unit) * 2.0**-exponent)

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        scaled = times(graph, values[x.name], factor, f"{site.name}_input")
        if (factor < 1).any():
            scaled = graph.op("Floor", scaled, name=f"{site.name}_floor")
        within = saturated(graph, scaled, -WIDE - 1, WIDE, site.name)
        index = graph.op("Add", within, graph.scalar(WIDE + 1), name=f"{site.name}_places")
        index = graph.op("Cast", index, name=f"{site.name}_index", to=ir.DataType.INT32)
        stored = graph.constant(table.astype(np.float32), f"{site.name}_table")
        return graph.op("Gather", stored, index, name=site.name, axis=0)

    site.plan.add(site.name, write)
    scaled = [np.floor(each * factor.reshape(1, -1, 1, 1)) for each in x.integers]
    places = [(np.clip(each, -WIDE - 1, WIDE) + WIDE + 1).astype(np.int64) for each in scaled]
    return Known(
        site.name,
        np.full(x.channels, exponent),
        [function(each) for each in x.real],
        [table[each] for each in places],
        int(table.min()),
        int(table.max()),
    )
