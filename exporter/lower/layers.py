"""A convolution in integers, whatever it reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.codes import SIGNED, UNSIGNED, coded, in_limbs
from nvc_check.exporter.lower.flavours import Flavour
from nvc_check.exporter.lower.interleave import interleaved
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.values import HELD, WIDE, Float64, Known, finest_best, likely_peaks, peaks, tied, unit_for
from nvc_check.exporter.lower.writing import channels_read, column, rounded_up, saturated
from nvc_check.exporter.network.geometry import Convolution, Layer
from nvc_check.exporter.parallel import on_all_cores
from nvc_check.exporter.quantize.fitting import IntegerConvolution, fit, fit_split
from nvc_check.models.errors import ExportRefusedError

ZEROS = (128, 96, 64, 32, 16)  # even: see the certificate on QuantizeLinear
WEIGHT_MAX = 127
PAIRED = 64  # weights for inputs above 127: two of them times 255 stay below 2^15
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
    """The layer's sums as integers of a byte; with a Relu behind it, of 7 bits; rounded to 16 bits where `final`.

    Raises:
        ExportRefusedError: a bound that cannot hold.
    """
    in_two = x.zero is None and max(-x.low, x.high) > -SIGNED[1] and _cheap(site, x)
    read = in_limbs(site.plan, x) if in_two else coded(site.plan, x)
    if in_two:
        layer = replace(layer, parts=tuple(_twice(part) for part in layer.parts))
    real_sums = [on_all_cores(partial(_real, part, in_two), x.real) for part in layer.parts]
    real = [layer.together(list(each)) for each in zip(*real_sums, strict=True)]
    low, high = site.asked.reach
    shown = [np.clip(each, max(low, 0) if site.relu else low, high) for each in real]
    labels = site.asked.labels(layer.channels)
    wide = site.asked.final or site.fine
    held = HELD if wide else (UNSIGNED if site.relu else SIGNED)[2]
    form = (0, -WIDE, WIDE)
    unit = unit_for(peaks(shown) if wide else likely_peaks(shown), labels, held)
    if not wide:
        form, unit = _byte_form(site, shown, unit)
        unit = tied(unit, labels)
    parts = _fitted(site, layer, read, unit, real_sums, limbs=in_two, split=in_two and x.given)
    while wide and any((part.made.exponent > 0).any() for part in parts):
        # a half is added to the sums: they must be as fine as units
        coarser = np.zeros(layer.channels)
        for part in parts:
            np.maximum.at(coarser, part.made.plain.channels, np.maximum(part.made.exponent, 0))
        unit = tied(unit + coarser, labels)
        parts = _fitted(site, layer, read, unit, real_sums, limbs=in_two, split=in_two and x.given)
    sums = [layer.together([part.sums(each) for part in parts]) for each in read.integers]
    if site.relu:
        real = [np.maximum(each, 0) for each in real]
    if wide:
        return _wide(site, layer, read, parts, unit, real, sums)
    return _byte(site, layer, read, parts, unit, real, sums, form)


def _byte_form(site: Site, shown: list[Float64], unit: Float64) -> tuple[tuple[int, int, int], Float64]:
    """((zero point, low, high), (C,) units) that lose least, by the activation behind where there is only one.

    Where its slope is small, little is lost if large negative values saturate, and all others have finer steps.
    """
    if site.relu:
        return UNSIGNED, finest_best(shown, unit, *UNSIGNED[1:])[1]
    if site.asked.slopes is None:
        return SIGNED, finest_best(shown, unit, *SIGNED[1:])[1]
    slopes = site.asked.slopes(len(unit))[:, None]
    bent = partial(_bent, slopes)
    found = {zero: finest_best(shown, unit, -zero, 255 - zero, bent) for zero in ZEROS}
    zero = min(found, key=lambda each: found[each][0])
    return (zero, -zero, 255 - zero), found[zero][1]


def _bent(slopes: Float64, x: Float64) -> Float64:
    return np.where(x < 0, x * slopes, x)


def _cheap(site: Site, x: Known) -> bool:
    """Whether two limbs cost little: inputs have few channels, or a low resolution."""
    return site.fine or x.given or site.share <= LIMB_SHARE


def _twice(part: Convolution) -> Convolution:
    """Reads both limbs."""
    return replace(part, weight=np.concatenate([part.weight] * 2, axis=1))


def _real(part: Convolution, in_two: bool, x: Float64) -> Float64:
    weight = part.weight[:, : part.weight.shape[1] // 2] if in_two else part.weight
    return part.sums(x, weight, part.bias)


def _fitted(
    site: Site, layer: Layer, read: Known, unit: Float64, real_sums: list[list[Float64]], *, limbs: bool, split: bool
) -> list[_Part]:
    """The layer's parts for outputs in steps of `unit`."""
    assert read.zero is not None
    weight_max = WEIGHT_MAX if _largest_code(read) <= 127 else PAIRED
    reach = max(-read.low, read.high, 0)
    order = _by_group(read.channels, layer.parts[0].groups) if limbs else np.arange(read.channels)
    given = [each[:, order] for each in read.integers] if layer.parts[0].groups > 1 and limbs else read.integers
    scaled = layer.inputs_scaled(np.exp2(read.unit[order])).outputs_scaled(np.exp2(-unit))
    made = []
    try:
        for part, sums in zip(scaled.parts, real_sums, strict=True):
            wanted = [each * np.exp2(-column(unit[part.channels])) for each in sums]
            if not split or part.groups > 1:
                whole = None if (order == np.arange(len(order))).all() else order.astype(np.int32)
                made.append(_Part(fit(part, given, wanted, reach, weight_max), whole))
                continue
            fitted, copies = fit_split(part, given, wanted, reach, weight_max)
            channels = np.repeat(np.arange(len(copies), dtype=np.int32), copies)
            made.append(_Part(fitted, None if (copies == 1).all() else channels))
    except ExportRefusedError as error:
        raise ExportRefusedError(f"node {site.name} ({site.node.op_type}): {error}") from error
    return made


def _by_group(channels: int, groups: int) -> NDArray[np.int64]:
    """(2C,) both limbs of a group's channels behind each other."""
    return np.arange(channels).reshape(2, groups, -1).swapaxes(0, 1).reshape(-1)


def _byte(
    site: Site,
    layer: Layer,
    read: Known,
    parts: list[_Part],
    unit: Float64,
    real: list[Float64],
    sums: list[Float64],
    form: tuple[int, int, int],
) -> Known:
    zero, low, high = form
    reach, source_of, source_zero = _largest_code(read), read.name, read.zero  # not `read`: its arrays would be kept

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        rounded = []
        for part, name in zip(parts, _names(site.name, len(parts)), strict=True):
            source = part.source(graph, style, values[source_of], source_zero, name)
            rounded.append(style.convolved(graph, part.made, source, reach, form, name))
        return style.dequantized(graph, _together(graph, layer, rounded, site.name), zero, site.name)

    site.plan.add(site.name, write)
    integers = [np.clip(np.rint(each), low, high) for each in sums]
    return Known(site.name, unit, real, integers, low, high, zero)


def _wide(
    site: Site, layer: Layer, read: Known, parts: list[_Part], unit: Float64, real: list[Float64], sums: list[Float64]
) -> Known:
    low = 0 if site.relu else -WIDE
    reach, source_of, source_zero = _largest_code(read), read.name, read.zero  # not `read`: its arrays would be kept

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        totals = []
        for part, name in zip(parts, _names(site.name, len(parts)), strict=True):
            source = part.source(graph, style, values[source_of], source_zero, name)
            # rounded first: phases have grids of their own, which nobody can tell apart once they are interleaved
            total = rounded_up(graph, style.wide_sums(graph, part.made, source, reach, name), name)
            totals.append(saturated(graph, total, low, WIDE, name))
        return _together(graph, layer, totals, site.name)

    site.plan.add(site.name, write)
    integers = [np.clip(np.floor(each + 0.5), low, WIDE) for each in sums]
    return Known(site.name, unit, real, integers, low, WIDE)


def _largest_code(read: Known) -> int:
    """As uint8; a border has the zero point."""
    return (read.zero or 0) + max(read.high, 0)


def _together(graph: GraphWriter, layer: Layer, parts: list[ir.Value], name: str) -> ir.Value:
    phases = parts[0] if len(parts) == 1 else graph.op("Concat", *parts, name=f"{name}_phases", axis=1)
    return phases if layer.interleave is None else interleaved(graph, phases, layer.interleave, name)


def _names(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}_phase_{i}" for i in range(count)]
