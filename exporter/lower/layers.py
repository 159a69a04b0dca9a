"""A convolution in integers, whatever it reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.codes import BYTE, HALF, SIGNED, UNSIGNED, coded, in_limbs, of_bits
from nvc_check.exporter.lower.flavours import QUANTIZED, Flavour, Form, wide_kernel
from nvc_check.exporter.lower.limb_layers import convolve_in_limbs
from nvc_check.exporter.lower.phases import largest_code, names, together
from nvc_check.exporter.lower.reading import PAIRED, read_form
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.values import HELD, WIDE, Float64, Known, finest_best, likely_peaks, peaks, tied, unit_for
from nvc_check.exporter.lower.writing import channels_read, column, rounded_up, saturated
from nvc_check.exporter.network.geometry import Convolution, Layer
from nvc_check.exporter.parallel import on_all_cores
from nvc_check.exporter.quantize.fitting import IntegerConvolution, fit, fit_split
from nvc_check.exporter.quantize.moments import moments_of
from nvc_check.models.errors import ExportRefusedError

ZEROS = (128, 96, 64, 32, 16)  # even: see the certificate on QuantizeLinear
LIMB_SHARE = 0.01  # of the graph's multiplications: a layer with less is read in limbs, at twice the products


@dataclass(frozen=True)
class _Part:
    """A convolution, and the channels of the tensor that it reads, one behind the other; None: as they are."""

    made: IntegerConvolution
    read: NDArray[np.int32] | None

    def sums(self, x: Float64) -> Float64:
        return self.made.sums(x if self.read is None else x[:, self.read])

    def source(self, graph: GraphWriter, style: Flavour, x: ir.Value, zero: int | None, name: str) -> ir.Value:
        if self.read is None:
            return x
        integers, _ = style.stored(x, zero)
        repeated = channels_read(graph, integers, self.read, f"{name}_repeated")
        return style.dequantized(graph, repeated, zero, f"{name}_repeated")


def convolve(site: Site, layer: Layer, x: Known) -> Known:
    """The layer's sums as integers of a byte, or of the fewer bits that are read; with a Relu behind it, of 7 bits;
    rounded to 16 bits where `final`, or where more than 8 bits are read.

    Raises:
        ExportRefusedError: a bound that cannot hold.
    """
    weights, activations = site.precision.weights, site.precision.activations
    if weights > BYTE or (weights < BYTE < activations):
        return convolve_in_limbs(site, layer, x)
    in_two = x.zero is None and max(-x.low, x.high) > -SIGNED[1] and _cheap(site, x)
    read = in_limbs(site.plan, x) if in_two else _read(site, layer, x)
    if in_two:
        layer = replace(layer, parts=tuple(_twice(part) for part in layer.parts))
    real_sums = [on_all_cores(partial(_real, part, in_two), x.real) for part in layer.parts]
    real = [layer.together(list(each)) for each in zip(*real_sums, strict=True)]
    low, high = site.asked.reach
    shown = [np.clip(each, max(low, 0) if site.relu else low, high) for each in real]
    form, unit, wide = _grid(site, layer, shown)
    fitted = partial(_fitted, site, layer, read, real_sums=real_sums, limbs=in_two, split=in_two and x.given)
    parts = fitted(unit)
    while wide and site.asked.grid is None and any((part.made.exponent > 0).any() for part in parts):
        # a half is added to the sums: they must be as fine as units
        coarser = np.zeros(layer.channels)
        for part in parts:
            np.maximum.at(coarser, part.made.plain.channels, np.maximum(part.made.exponent, 0))
        unit = tied(unit + coarser, site.asked.labels(layer.channels))
        parts = fitted(unit)
    if not wide:
        parts = _without_idle_saturation(parts, max(-read.low, read.high, 0), *form[1:])
    kernels = [(part.made, wide_kernel(part.made) if wide else QUANTIZED) for part in parts]
    site.planned([read], kernels, unit)
    sums = [layer.together([part.sums(each) for part in parts]) for each in read.integers]
    if site.relu:
        real = [np.maximum(each, 0) for each in real]
    zero, low, high = form
    reach, source_of, source_zero = largest_code(read), read.name, read.zero  # not `read`: its arrays would be kept

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        made = []
        for part, name in zip(parts, names(site.name, len(parts)), strict=True):
            source = part.source(graph, style, values[source_of], source_zero, name)
            if not wide:
                made.append(style.convolved(graph, part.made, source, reach, form, name))
                continue
            # rounded first: phases have grids of their own, which nobody can tell apart once they are interleaved
            total = rounded_up(graph, style.wide_sums(graph, part.made, source, reach, name), name)
            made.append(saturated(graph, total, low, high, name))
        whole = together(graph, layer, made, site.name)
        return whole if wide else style.dequantized(graph, whole, zero, site.name)

    site.plan.add(site.name, write)
    integers = [np.clip(np.floor(each + 0.5) if wide else np.rint(each), low, high) for each in sums]
    return Known(site.name, unit, real, integers, low, high, None if wide else zero)


def _read(site: Site, layer: Layer, x: Known) -> Known:
    bits = site.precision.activations
    chosen = read_form(layer, x, bits, site.precision.weights) if site.role.rounded_once else None
    if chosen is None:
        return coded(site.plan, x, bits=bits)
    return coded(site.plan, x, chosen.form, chosen.unit)


def _grid(site: Site, layer: Layer, shown: list[Float64]) -> tuple[Form, Float64, bool]:
    """((zero point, low, high), (C,) units, whether these are more than a byte) of the layer's output."""
    grid, bits, labels = site.asked.grid, site.asked.bits or BYTE, site.asked.labels(layer.channels)
    if grid is not None:
        return (0, grid.low, grid.high), grid.units(layer.channels), not grid.is_byte
    once = site.role.rounded_once and site.asked.slopes is not None
    if site.asked.final or bits > BYTE or ((site.small or once) and bits == BYTE):
        return (0, 0 if site.relu else -WIDE, WIDE), unit_for(peaks(shown), labels, HELD), True
    held = of_bits(UNSIGNED if site.relu else SIGNED, bits)[2]
    unit = unit_for(likely_peaks(shown), labels, held, site.power_of_two)
    form, unit = _byte_form(site, shown, unit, bits)
    return form, tied(unit, labels), False


def _byte_form(site: Site, shown: list[Float64], unit: Float64, bits: int) -> tuple[Form, Float64]:
    """((zero point, low, high), (C,) units) that lose least, by the activation behind where there is only one.

    Where its slope is small, little is lost if large negative values saturate, and all others have finer steps.
    """
    if site.relu or site.asked.slopes is None:
        form = of_bits(UNSIGNED if site.relu else SIGNED, bits)
        kept = site.role.keeps_peaks and bits == BYTE
        return form, unit if kept else finest_best(shown, unit, *form[1:])[1]
    slopes = site.asked.slopes(len(unit))[:, None]
    bent = partial(_bent, slopes)
    lowest = ZEROS if bits == BYTE else [zero >> (BYTE - bits) for zero in ZEROS[:-1]]
    forms = [(zero if bits == BYTE else HALF[0], -zero, (1 << bits) - 1 - zero) for zero in lowest]
    forms = [form for form in forms if bits == BYTE or form[0] + form[2] <= UNSIGNED[2]]
    found = {form: finest_best(shown, unit, *form[1:], bent) for form in forms}
    form = min(found, key=lambda each: found[each][0].sum())
    return form, found[form][1]


def _bent(slopes: Float64, x: Float64) -> Float64:
    return np.where(x < 0, x * slopes, x)


def _cheap(site: Site, x: Known) -> bool:
    """Whether to read two limbs: more than 8 bits are asked for, or they cost little beside 8, as of inputs with few
    channels, or at a low resolution.
    """
    cheap = site.small or x.given or site.share <= LIMB_SHARE
    return site.precision.activations > BYTE or (site.precision.activations == BYTE and cheap)


def _twice(part: Convolution) -> Convolution:
    """Reads both limbs."""
    return replace(part, weight=np.concatenate([part.weight] * 2, axis=1))


def _real(part: Convolution, in_two: bool, x: Float64) -> Float64:
    weight = part.weight[:, : part.weight.shape[1] // 2] if in_two else part.weight
    return part.sums(x, weight, part.bias)


def _fitted(
    site: Site, layer: Layer, read: Known, unit: Float64, *, real_sums: list[list[Float64]], limbs: bool, split: bool
) -> list[_Part]:
    """The layer's parts for outputs in steps of `unit`."""
    assert read.zero is not None
    weight_max = (1 << (site.precision.weights - 1)) - 1
    weight_max = weight_max if largest_code(read) <= 127 else min(weight_max, PAIRED)
    reach = max(-read.low, read.high, 0)
    order = _by_group(read.channels, layer.parts[0].groups) if limbs else np.arange(read.channels)
    given = [each[:, order] for each in read.integers] if layer.parts[0].groups > 1 and limbs else read.integers
    scaled = layer.inputs_scaled(np.exp2(read.unit[order])).outputs_scaled(np.exp2(-unit))
    made = []
    try:
        wanted = [
            [each * np.exp2(-column(unit[part.channels])) for each in sums]
            for part, sums in zip(scaled.parts, real_sums, strict=True)
        ]
        for part, moments in zip(scaled.parts, moments_of(scaled.parts, given, wanted), strict=True):
            if not split or part.groups > 1:
                whole = None if (order == np.arange(len(order))).all() else order.astype(np.int32)
                made.append(_Part(fit(part, moments, reach, weight_max, power_of_two=site.power_of_two), whole))
                continue
            fitted, copies = fit_split(part, moments, reach, weight_max, power_of_two=site.power_of_two)
            channels = np.repeat(np.arange(len(copies), dtype=np.int32), copies)
            made.append(_Part(fitted, None if (copies == 1).all() else channels))
    except ExportRefusedError as error:
        raise ExportRefusedError(f"node {site.name} ({site.node.op_type}): {error}") from error
    return made


def _without_idle_saturation(parts: list[_Part], reach: int, low: int, high: int) -> list[_Part]:
    """Constants instead, where all sums saturate, as behind filters that training has switched off.

    OpenVINO leaves out a saturation that all values meet.
    """
    made = []
    for part in parts:
        end = _end(part.made, reach, low, high)
        if end is None:
            return parts
        made.append(_Part(replace(part.made, weight=np.zeros_like(part.made.weight), bias=end), part.read))
    return made


def _end(made: IntegerConvolution, reach: int, low: int, high: int) -> NDArray[np.int64] | None:
    """(O,) the bias that alone is the end at which all sums saturate; None where some do not, or the grid lacks it."""
    more = np.abs(made.weight).reshape(len(made.weight), -1).sum(axis=1) * reach
    steps = np.exp2(made.exponent)
    below, above = (made.bias + more) * steps <= low, (made.bias - more) * steps >= high
    end: Float64 = np.where(below, low, high) / steps
    if not (below | above).all() or (end != np.rint(end)).any():
        return None
    integers: NDArray[np.int64] = end.astype(np.int64)
    return integers


def _by_group(channels: int, groups: int) -> NDArray[np.int64]:
    """(2C,) both limbs of a group's channels behind each other."""
    return np.arange(channels).reshape(2, groups, -1).swapaxes(0, 1).reshape(-1)
