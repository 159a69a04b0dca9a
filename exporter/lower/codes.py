"""Tensors as convolutions read them: integers of a byte, or, where that is cheap, two limbs of 7 bits."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.flavours import Flavour
from nvc_check.exporter.lower.values import Float64, Known, Plan, Write, finest_best, likely_peaks, peaks, unit_for
from nvc_check.exporter.lower.writing import column, rounded_up, saturated, times

# 7 bits: two products with int8 weights then stay below 2^15, where x86 without VNNI saturates (VPMADDUBSW)
UNSIGNED = (0, 0, 127)  # zero point, low, high
SIGNED = (128, -128, 127)  # with weights of 7 bits
HALF = (64, -64, 63)  # a limb
WIDEST = 1 << 21  # integers that need no saturation in front
FINE = 4  # bits of the second limb's grid below the first one's


def coded(plan: Plan, x: Known, form: tuple[int, int, int] | None = None, unit: Float64 | None = None) -> Known:
    """x in integers of a byte, floor(x + 1/2); itself where it is that already.

    `form` and `unit` are by default what the calibration and the tensor's range ask for.
    """
    zero, low, high = form or (UNSIGNED if x.low >= 0 else SIGNED)
    if x.zero is not None and (form is None or x.zero == zero) and unit is None:
        return x
    if unit is None:
        ready = x.low >= low and x.high <= high
        unit = x.unit
        if not ready:
            unit = unit_for(likely_peaks(x.real), np.arange(x.channels), high)
            unit = finest_best(x.real, unit, low, high)[1]
    factor = np.exp2(x.unit - unit)
    ties = bool((factor < 1).any())

    def written(name: str) -> Write:
        def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
            scaled = times(graph, values[x.name], factor, name)
            # a Floor in any case: OpenVINO takes sums and factors before a QuantizeLinear into it, sends ties to odd
            # integers then, and reads negative factors wrong
            scaled = rounded_up(graph, scaled, name) if ties else graph.op("Floor", scaled, name=f"{name}_whole")
            return style.dequantized(graph, style.exactly(graph, scaled, zero, low, high, name), zero, name)

        return write

    name = plan.form(x.name, "byte" if zero else "activation", unit, written)
    integers = [np.clip(np.floor(each * column(factor) + 0.5), low, high) for each in x.integers]
    return Known(name, unit, x.real, integers, low, high, zero)


def in_limbs(plan: Plan, x: Known) -> Known:
    """(1, 2C, h, w): x in steps of a grid that holds twice the calibration, and behind that what is left of it."""
    zero, low, high = HALF
    # limbs have bits to spare, and saturation costs more
    grid = unit_for(peaks(x.real), np.arange(x.channels), high // 2)
    factor, finer, reach = np.exp2(x.unit - grid), 2.0**FINE, max(-x.low, x.high)

    def written(name: str) -> Write:
        def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
            scaled = times(graph, values[x.name], factor, name)
            if reach * max(float(factor.max()), 1.0) >= WIDEST:  # a half is added
                scaled = saturated(graph, scaled, low - 2, high + 2, name)
            rounded = rounded_up(graph, scaled, f"{name}_coarse")
            coarse = style.exactly(graph, rounded, zero, low, high, f"{name}_coarse")
            left = graph.op(
                "Sub", scaled, style.dequantized(graph, coarse, zero, f"{name}_coarse"), name=f"{name}_left"
            )
            left = graph.op("Mul", left, graph.scalar(finer), name=f"{name}_finer")
            fine = style.exactly(graph, rounded_up(graph, left, f"{name}_fine"), zero, low, high, f"{name}_fine")
            # put together as uint8: a Concat between two DequantizeLinear nodes and a Conv would make the Conv float
            both = graph.op("Concat", coarse, fine, name=f"{name}_both", axis=1)
            return style.dequantized(graph, both, zero, name)

        return write

    name = plan.form(x.name, "limbs", grid, written)
    integers = []
    for each in x.integers:
        steps = each * column(factor)
        if reach * max(float(factor.max()), 1.0) >= WIDEST:
            steps = np.clip(steps, low - 2, high + 2)
        coarse = np.clip(np.floor(steps + 0.5), low, high)
        fine = np.clip(np.floor((steps - coarse) * finer + 0.5), low, high)
        integers.append(np.concatenate([coarse, fine], axis=1))
    real = [np.concatenate([each, each], axis=1) for each in x.real]
    return Known(name, np.concatenate([grid, grid - FINE]), real, integers, low, high, zero)
