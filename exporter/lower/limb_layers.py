"""A convolution whose weights or activations have more than 8 bits: several convolutions of limbs, added up exactly.

Each of them stays below 2^23 and gives an exact sum. These are rounded once, to a grid finer than the output's, so that
together they fit a float32; which limbs and how many input channels one convolution reads follows from its bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.codes import BYTE, apart, coded
from nvc_check.exporter.lower.flavours import Flavour, wide_kernel
from nvc_check.exporter.lower.phases import largest_code, names, together
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.values import HELD, WIDE, Float64, Int64, Known, peaks, unit_for
from nvc_check.exporter.lower.writing import channels, column, rounded_up, saturated, times
from nvc_check.exporter.network.geometry import Convolution, Layer
from nvc_check.exporter.quantize.fitting import LIMIT, IntegerConvolution, fit_finely
from nvc_check.exporter.quantize.moments import Moments, moments_of
from nvc_check.models.errors import ExportRefusedError

GUARD = 4  # bits of the grid on which limbs are added up, below the output's
FINEST = -18.0  # exponent of a convolution's sums: a half is added to them
BYTE_MAX = 127
LEAST = 2.0 ** -(GUARD + 1)  # steps of the output: less than that at most, and a limb is left out


@dataclass(frozen=True)
class _Limb:
    """A convolution of one limb of the weights and one of the input, of the input channels [start, stop)."""

    made: IntegerConvolution
    digit: int
    start: int
    stop: int

    def source(self, graph: GraphWriter, style: Flavour, x: ir.Value, zero: int, width: int, name: str) -> ir.Value:
        if (self.start, self.stop) == (0, width):
            return x
        integers, _ = style.stored(x, zero)
        bounds = (graph.constant(np.array([v], np.int64), f"channel_{v}") for v in (self.start, self.stop, 1))
        part = graph.op("Slice", integers, *bounds, name=f"{name}_channels")
        return style.dequantized(graph, part, zero, f"{name}_channels")


@dataclass(frozen=True)
class _Sum:
    """The limbs of one part of a layer, and what is added to them.

    Attributes:
        bias: (O,) integers on the grid 2^-GUARD of the output's steps.
        limit: of a limb there, so that all fit; None where they do anyway.
    """

    limbs: tuple[_Limb, ...]
    bias: Float64
    limit: int | None

    def integers(self, digits: list[Float64]) -> Float64:
        total = column(self.bias)
        for limb in self.limbs:
            finer = limb.made.sums(digits[limb.digit][:, limb.start : limb.stop]) * 2.0**GUARD
            finer = finer if self.limit is None else np.clip(finer, -self.limit, self.limit)
            total = total + np.floor(finer + 0.5)
        steps: Float64 = np.floor(total * 2.0**-GUARD + 0.5)
        return steps

    def write(
        self, graph: GraphWriter, style: Flavour, digits: list[ir.Value], known: list[Known], name: str
    ) -> ir.Value:
        total: ir.Value | None = None
        for number, limb in enumerate(self.limbs):
            own = name if len(self.limbs) == 1 else f"{name}_limb_{number}"
            read = known[limb.digit]
            assert read.zero is not None
            source = limb.source(graph, style, digits[limb.digit], read.zero, read.channels, own)
            sums = style.wide_sums(graph, limb.made, source, largest_code(read), own)
            finer = times(graph, sums, np.full(1, 2.0**GUARD), f"{own}_guard")
            if self.limit is not None:
                finer = saturated(graph, finer, -self.limit, self.limit, f"{own}_guard")
            whole = rounded_up(graph, finer, f"{own}_guard")
            total = whole if total is None else graph.op("Add", total, whole, name=f"{own}_total")
        assert total is not None
        if self.bias.any():
            total = graph.op("Add", total, channels(graph, self.bias, f"{name}_shift"), name=f"{name}_shifted")
        total = graph.op("Mul", total, graph.scalar(2.0**-GUARD), name=f"{name}_steps")
        return rounded_up(graph, total, name)


def convolve_in_limbs(site: Site, layer: Layer, x: Known) -> Known:
    """The layer's sums, rounded to 16 bits.

    Raises:
        ExportRefusedError: a bound that cannot hold.
    """
    bits = site.precision.activations
    split = bits > BYTE and (x.zero is None or x.high - x.low >= 1 << BYTE)
    read = list(apart(site.plan, x, bits)) if split else [coded(site.plan, x, bits=bits)]
    below = [float(each.unit[0] - read[0].unit[0]) for each in read]
    combined = [
        sum((digit * 2.0**finer for digit, finer in zip(digits, below, strict=True)), np.zeros(1))
        for digits in zip(*(each.integers for each in read), strict=True)
    ]
    real_sums = [[part.sums(each, part.weight, part.bias) for each in x.real] for part in layer.parts]
    real = [layer.together(list(each)) for each in zip(*real_sums, strict=True)]
    real = [np.maximum(each, 0) for each in real] if site.relu else real
    low, high = site.asked.reach
    labels, grid = site.asked.labels(layer.channels), site.asked.grid
    least, most = (0 if site.relu else -WIDE, WIDE) if grid is None else (grid.low, grid.high)
    unit = unit_for(peaks([np.clip(each, low, high) for each in real]), labels, HELD)
    unit = np.maximum(unit, unit_for(_before_bias(layer, real_sums), labels, WIDE))  # or limbs would saturate
    unit = unit if grid is None else grid.units(layer.channels)
    scaled = layer.inputs_scaled(np.exp2(read[0].unit)).outputs_scaled(np.exp2(-unit))
    parts = []
    wanted = [
        [each * np.exp2(-column(unit[part.channels])) for each in sums]
        for part, sums in zip(scaled.parts, real_sums, strict=True)
    ]
    for part, moments in zip(scaled.parts, moments_of(scaled.parts, combined, wanted), strict=True):
        parts.append(_sum(part, moments, read, below, site.precision.weights, (least, most)))
    # not `read` itself: its arrays would be kept
    known = [replace(each, real=[], integers=[]) for each in read]

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        digits = [values[each.name] for each in known]
        made = []
        for part, name in zip(parts, names(site.name, len(parts)), strict=True):
            made.append(saturated(graph, part.write(graph, style, digits, known, name), least, most, name))
        return together(graph, layer, made, site.name)

    site.plan.add(site.name, write)
    site.planned(read, [(limb.made, wide_kernel(limb.made)) for part in parts for limb in part.limbs], unit)
    given = [list(each) for each in zip(*(digit.integers for digit in read), strict=True)]
    integers = [np.clip(layer.together([part.integers(each) for part in parts]), least, most) for each in given]
    return Known(site.name, unit, real, integers, least, most)


def _before_bias(layer: Layer, real_sums: list[list[Float64]]) -> Float64:
    """(channels,) the largest magnitude of what is added to the biases."""
    largest = np.zeros(layer.channels)
    for part, sums in zip(layer.parts, real_sums, strict=True):
        np.maximum.at(largest, part.channels, peaks([each - column(part.bias) for each in sums]))
    return largest


def _sum(
    part: Convolution,
    moments: list[Moments],
    read: list[Known],
    below: list[float],
    bits: int,
    ends: tuple[int, int],
) -> _Sum:
    """`ends`: beyond them sums saturate."""
    upper = max(bits - BYTE, 0)  # bits of the lower limb of the weights
    largest = min((1 << (bits - 1)) - 1, (BYTE_MAX << upper) + (1 << upper >> 1) - 1 if upper else BYTE_MAX)
    weight, exponent, bias = fit_finely(part, moments, largest, FINEST - min(below))
    limbs: list[_Limb] = []
    for number, (digit, finer) in enumerate(zip(read, below, strict=True)):
        for limb, coarser in _digits(weight, upper):
            steps = exponent + coarser + finer
            limbs += _within_bounds(part, limb, steps, number, largest_code(digit))
    # what cannot reach half a step of the common grid is left out
    limbs = [limb for limb in limbs if (_reach(limb.made, largest_code(read[limb.digit])) >= LEAST).any()] or limbs[:1]
    # of all channels alike: a matrix product with channels last has one bound
    reaches = [
        _largest_sum(limb.made, largest_code(read[limb.digit])).max() * 2.0 ** (limb.made.exponent.max() + GUARD) + 1
        for limb in limbs
    ]
    # a bias may be far outside, as of a filter that a Relu switches off: further than what is added to it is far enough
    low, high = (end * 2.0**GUARD for end in ends)
    added = np.clip(np.rint(bias * 2.0**GUARD), low - np.ceil(sum(reaches)), high + np.ceil(sum(reaches)))
    fits = float(sum(reaches) + np.abs(added).max()) < LIMIT
    room = LIMIT - float(np.abs(added).max())
    limit = None if fits else 1 << int(np.log2(room / len(limbs)))
    return _Sum(tuple(limbs), added, limit)


def _digits(weight: Int64, upper: int) -> list[tuple[Int64, float]]:
    """(limb, bits by which its grid is coarser than the weights'): one of at most 8 bits, or two."""
    if not upper:
        return [(weight, 0.0)]
    half = 1 << (upper - 1)
    lower = (weight + half) % (1 << upper) - half
    return [((weight - lower) >> upper, float(upper)), (lower, 0.0)]


def _within_bounds(part: Convolution, weight: Int64, exponent: Float64, digit: int, reach: int) -> list[_Limb]:
    """As few convolutions as the bound of the sums allows, of input channels side by side."""
    width, zeros = part.in_channels, np.zeros(len(weight), np.int64)
    for pieces in range(1, width + 1 if part.groups == 1 else 2):
        ends = [width * i // pieces for i in range(pieces + 1)]
        limbs = []
        for start, stop in pairwise(ends):
            own = weight if pieces == 1 else weight[:, start:stop]
            plain = replace(part, weight=own.astype(np.float64))  # of its geometry
            limbs.append(_Limb(IntegerConvolution(plain, own, exponent, zeros), digit, start, stop))
        if all(_largest_sum(limb.made, reach).max() < LIMIT for limb in limbs):
            return limbs
    raise ExportRefusedError("sums of one limb reach 2^23; expected fewer taps, or fewer bits of weights")


def _reach(made: IntegerConvolution, reach: int) -> Float64:
    """(O,) the largest sum, in steps of the output."""
    steps: Float64 = _largest_sum(made, reach) * np.exp2(made.exponent)
    return steps


def _largest_sum(made: IntegerConvolution, reach: int) -> Float64:
    """(O,) of inputs up to `reach`, in its own steps."""
    total: Float64 = np.abs(made.weight).reshape(len(made.weight), -1).sum(axis=1) * float(reach)
    return total
