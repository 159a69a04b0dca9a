"""Functions of one number by a table of integers (Gather): no runtime computes them, so none does it otherwise."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.codes import coded
from nvc_check.exporter.lower.flavours import Flavour
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.values import WIDE, Float64, Known, peaks
from nvc_check.exporter.lower.writing import saturated, times
from nvc_check.exporter.network.pointwise import Pointwise
from nvc_check.models.grid import exponent_to_hold

OCTAVES = 3  # grids that are tried
BYTES = 256
APART = 16  # bits between two channels, at most


def tabulated(site: Site) -> Known:
    """By a table of 256 integers, or, where the input was not rounded to a byte, of 65,536."""
    x, pointwise = site.first(), site.node.meta["function"]
    with np.errstate(all="ignore"):
        real = [pointwise.function(each) for each in x.real]
    if not all(np.isfinite(each).all() for each in real):
        site.refuse("gives no finite numbers over the calibration")
    return _byte(site, x, pointwise, real) if x.zero is not None else _wide(site, x, pointwise, real)


def _table(pointwise: Pointwise, inputs: Float64, exponent: float, low: int, high: int) -> NDArray[np.int64]:
    """Integers within [low, high] in steps of 2^exponent."""
    with np.errstate(all="ignore"):  # far from the calibration
        steps = pointwise.function(inputs) * 2.0**-exponent
    made: NDArray[np.int64] = np.clip(np.rint(np.nan_to_num(steps)), low, high).astype(np.int64)
    return made


def _largest(pointwise: Pointwise, inputs: Float64) -> float:
    with np.errstate(all="ignore"):
        values = np.abs(pointwise.function(inputs))
    return float(values[np.isfinite(values)].max(initial=0))


def _byte(site: Site, x: Known, pointwise: Pointwise, real: list[Float64]) -> Known:
    if not (x.unit == x.unit[0]).all():
        x = coded(site.plan, x, unit=np.full(x.channels, x.unit.max()))
    assert x.zero is not None
    inputs = (np.arange(BYTES) - x.zero) * 2.0 ** float(x.unit[0])
    zeros = (x.zero, 0 if (_table(pointwise, inputs, 0.0, -1, 1) >= 0).all() and min(map(np.min, real)) >= 0 else 128)
    low, high = -zeros[1], BYTES - 1 - zeros[1]
    coarsest = int(exponent_to_hold(peaks(real).max(initial=0), high))
    exponent = min(range(coarsest, coarsest - OCTAVES, -1), key=lambda e: _error(real, 2.0**e, low, high))
    table = _table(pointwise, inputs, exponent, low, high)

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


def _wide(site: Site, x: Known, pointwise: Pointwise, real: list[Float64]) -> Known:
    """16 bits in and out."""
    unit = _wide_units(x, pointwise)
    base = float(unit.max())
    factor = np.exp2(x.unit - unit)
    inputs = np.arange(-WIDE - 1, WIDE + 1) * 2.0**base
    shift = (unit - base) * (pointwise.degree or 0)  # of what the table gives, channel by channel
    # of all that the table may give, or of twice what the calibration gave
    peak = float((peaks(real) * np.exp2(-shift)).max(initial=0))
    exponent = float(exponent_to_hold(np.asarray(min(_largest(pointwise, inputs), 2 * peak)), WIDE))
    table = _table(pointwise, inputs, exponent, -WIDE, WIDE).astype(np.float64)

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
        exponent + shift,
        real,
        [table[each] for each in places],
        int(table.min()),
        int(table.max()),
    )


def _wide_units(x: Known, pointwise: Pointwise) -> Float64:
    """(C,) of what the table reads, one for all channels; where the function scales with its argument, one for each, an
    even number of bits apart, so that what it gives is on powers of two, too.
    """
    if pointwise.degree is None:
        reach = min(max(map(abs, pointwise.flat)), float(peaks(x.real).max()) * 2)
        return np.full(x.channels, max(float(exponent_to_hold(np.asarray(reach), WIDE)), float(x.unit.min())))
    largest = peaks(x.real) * 2
    largest = np.maximum(largest, largest.max() * 2.0**-APART)
    needed = np.maximum(exponent_to_hold(largest, WIDE), x.unit)
    return np.asarray(needed.max() - 2 * np.floor((needed.max() - needed) / 2))
