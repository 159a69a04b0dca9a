"""Tensors as convolutions read them: integers of a byte or less, or two limbs of a byte at most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.flavours import Flavour, Form
from nvc_check.exporter.lower.values import Float64, Known, Plan, Write, finest_best, likely_peaks, peaks, unit_for
from nvc_check.exporter.lower.writing import column, rounded_up, saturated, times
from nvc_check.models.grid import FLOAT32_EXACT

BYTE = 8
# 7 bits: two products with int8 weights then stay below 2^15, where x86 without VNNI saturates (VPMADDUBSW)
UNSIGNED: Form = (0, 0, 127)
SIGNED: Form = (128, -128, 127)  # with weights of 7 bits, or uint8 ones
HALF: Form = (64, -64, 63)  # a limb
WIDEST = 1 << 21  # integers that need no saturation in front
FEW = 200
FINE = 4  # bits of the second limb's grid below the first one's, where one convolution reads both


def of_bits(form: Form, bits: int) -> Form:
    """The form with no more integers than `bits` give."""
    zero, low, high = form
    if bits >= BYTE:
        return form
    if low == 0:
        return zero, 0, min(high, (1 << bits) - 1)
    return HALF[0], -(1 << (bits - 1)), (1 << (bits - 1)) - 1  # codes below 128, which all weights may meet


def coded(plan: Plan, x: Known, form: Form | None = None, unit: Float64 | None = None, bits: int = BYTE) -> Known:
    """x in integers of a byte, or of fewer bits, floor(x + 1/2); itself where it is that already.

    `form` and `unit` are by default what the calibration and the tensor's range ask for.
    """
    zero, low, high = of_bits(form or (UNSIGNED if x.low >= 0 else SIGNED), bits)
    narrow = bits >= BYTE or x.high - x.low < 1 << bits
    if x.zero is not None and (form is None or x.zero == zero) and unit is None and narrow:
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

    kind = ("byte" if zero else "activation") + ("" if bits >= BYTE else f"_{bits}_bits")
    name = plan.form(x.name, kind, unit, written)
    integers = [np.clip(np.floor(each * column(factor) + 0.5), low, high) for each in x.integers]
    return Known(name, unit, x.real, integers, low, high, zero)


def in_limbs(plan: Plan, x: Known) -> Known:
    """(1, 2C, h, w): x in steps of a grid that holds twice the calibration, and behind that what is left of it."""
    # limbs have bits to spare, and saturation costs more
    limbs = _Limbs.of(x, peaks(x.real), HALF, FINE, HALF[2] // 2)
    zero = limbs.form[0]

    def written(name: str) -> Write:
        def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
            scaled = limbs.scaled(graph, values[x.name], name)
            coarse = limbs.coarse(graph, style, scaled, f"{name}_coarse")
            dequantized = style.dequantized(graph, coarse, zero, f"{name}_coarse")
            fine = limbs.fine(graph, style, scaled, dequantized, name)
            # put together as uint8: a Concat between two DequantizeLinear nodes and a Conv would make the Conv float
            both = graph.op("Concat", coarse, fine, name=f"{name}_both", axis=1)
            return style.dequantized(graph, both, zero, name)

        return write

    name = plan.form(x.name, "limbs", limbs.grid, written)
    integers = [np.concatenate(limbs.integers(each), axis=1) for each in x.integers]
    real = [np.concatenate([each, each], axis=1) for each in x.real]
    return Known(name, np.concatenate([limbs.grid, limbs.grid - FINE]), real, integers, *limbs.form[1:], zero)


def apart(plan: Plan, x: Known, bits: int) -> tuple[Known, Known]:
    """x of `bits` in two tensors: in steps of a grid, and what is left of it.

    Up to 14 bits the limbs have 7 each, above 8.
    """
    form = HALF if bits <= 2 * (BYTE - 1) else SIGNED
    below = bits - (form[2] + 1).bit_length()
    # inputs, and what few places were seen of, may be twice as large as in the calibration
    roomy = x.given or sum(each.shape[2] * each.shape[3] for each in x.real) < FEW
    limbs = _Limbs.of(x, likely_peaks(x.real), form, below, form[2] // 2 if roomy else form[2])
    zero, low, high = form

    def steps(name: str) -> Write:
        return lambda graph, style, values: limbs.scaled(graph, values[x.name], name)

    scaled = plan.form(x.name, f"steps_{bits}", limbs.grid, steps)

    def first(name: str) -> Write:
        def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
            return style.dequantized(graph, limbs.coarse(graph, style, values[scaled], name), zero, name)

        return write

    coarse = plan.form(x.name, f"coarse_{bits}", limbs.grid, first)

    def second(name: str) -> Write:
        def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
            fine = limbs.fine(graph, style, values[scaled], values[coarse], name)
            return style.dequantized(graph, fine, zero, name)

        return write

    fine = plan.form(x.name, f"fine_{bits}", limbs.grid, second)
    pairs = [limbs.integers(each) for each in x.integers]
    return (
        Known(coarse, limbs.grid, x.real, [pair[0] for pair in pairs], low, high, zero),
        Known(fine, limbs.grid - below, x.real, [pair[1] for pair in pairs], low, high, zero),
    )


@dataclass(frozen=True)
class _Limbs:
    """A tensor as integers of a byte in steps of `grid`, and of what is left on a grid 2^`below` finer.

    Attributes:
        factor: (C,) of the tensor's integers, to steps.
        bounded: steps may be so large that a half added to them would be lost.
    """

    grid: Float64
    factor: Float64
    form: Form
    below: int
    bounded: bool

    @classmethod
    def of(cls, x: Known, peak: Float64, form: Form, below: int, held: int) -> _Limbs:
        grid = unit_for(peak, np.arange(x.channels), held)
        factor = np.exp2(x.unit - grid)
        reach, most = float(max(-x.low, x.high)), float(factor.max())
        # a half is added to steps, and to what is left of them when a limb is taken away, so many times finer
        left = (reach * factor + form[0]) * np.maximum(2.0 ** (below + 1), 1 / factor)
        bounded = reach * max(most, 1.0) >= WIDEST or float(left.max()) + 1 >= FLOAT32_EXACT
        return cls(grid, factor, form, below, bounded)

    def scaled(self, graph: GraphWriter, x: ir.Value, name: str) -> ir.Value:
        steps = times(graph, x, self.factor, name)
        _, low, high = self.form
        return saturated(graph, steps, low - 2, high + 2, name) if self.bounded else steps

    def coarse(self, graph: GraphWriter, style: Flavour, scaled: ir.Value, name: str) -> ir.Value:
        return style.exactly(graph, rounded_up(graph, scaled, name), *self.form, name)

    def fine(self, graph: GraphWriter, style: Flavour, scaled: ir.Value, coarse: ir.Value, name: str) -> ir.Value:
        left = graph.op("Sub", scaled, coarse, name=f"{name}_left")
        left = graph.op("Mul", left, graph.scalar(2.0**self.below), name=f"{name}_finer")
        return style.exactly(graph, rounded_up(graph, left, f"{name}_fine"), *self.form, f"{name}_fine")

    def integers(self, x: Float64) -> tuple[Float64, Float64]:
        _, low, high = self.form
        steps = x * column(self.factor)
        steps = np.clip(steps, low - 2, high + 2) if self.bounded else steps
        coarse = np.clip(np.floor(steps + 0.5), low, high)
        return coarse, np.clip(np.floor((steps - coarse) * 2.0**self.below + 0.5), low, high)
