"""The operators of a user's float graph, each as what the integer graph does in its place.

Convolutions and Relu behind them become integer layers, linear operators sums on a common grid, activations integer
arithmetic; what moves values is taken over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.integer_graph import Flavour
from nvc_check.exporter.layers import Activation, attribute, constant, read_layer
from nvc_check.exporter.subpixel import interleaved
from nvc_check.exporter.user_layers import convolve
from nvc_check.exporter.user_values import (
    HELD,
    Float64,
    Int64,
    Known,
    Plan,
    Term,
    channels,
    column,
    linear,
    multiplied,
    on_common_units,
    rounded_up,
    scaled,
    times,
    unit_for,
    whole,
)
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.grid import exponent_to_hold

SLOPE_BITS = 7
REFINED_BITS = 8  # 2^15 steps become 2^23, to which a limit is added
PADDINGS = ("constant", "reflect", "edge")  # of ONNX, and of numpy


class Site:
    """One node: what it reads, what is asked of its output, and where the integer form is written down.

    Attributes:
        name: of the node, and of the integer tensor.
        labels: channels of the output with the same label must share a unit; from its number of channels.
        relu: a Relu behind the node is made with it, and only layers read the outcome.
    """

    def __init__(
        self, plan: Plan, node: ir.Node, known: dict[str, Known], labels: Callable[[int], Int64], relu: bool
    ) -> None:
        self.plan, self.node, self.labels, self.relu = plan, node, labels, relu
        self.name = str(node.name)
        self._known = known

    def tensor(self, index: int) -> Known | None:
        """The node's input where it is no constant."""
        value = self.node.inputs[index]
        return None if value is None else self._known.get(str(value.name))

    def first(self) -> Known:
        found = self.tensor(0)
        return self.refuse("its first input is a constant, expected a tensor") if found is None else found

    def per_channel(self, index: int, width: int) -> Float64:
        """A constant input, one number for all or one per channel: (width,)."""
        array = constant(self.node, index).astype(np.float64)
        shape = (1,) * (4 - array.ndim) + array.shape
        if array.ndim > 4 or shape[0] != 1 or shape[2:] != (1, 1) or shape[1] not in (1, width):
            self.refuse(f"a constant of shape {array.shape}, expected one number or one per channel")
        return np.broadcast_to(array.reshape(-1), width).copy()

    def refuse(self, why: str) -> Any:
        raise ExportRefusedError(f"node {self.name} ({self.node.op_type}): {why}")

    def moved(self, unit: Float64, move: Callable[[Float64], Float64], write: Callable[..., ir.Value]) -> Known:
        """The first input's values elsewhere; `move` does it to an array, `write` in the graph."""
        x = self.first()
        self.plan.add(self.name, lambda graph, style, values: write(graph, values[x.name]))
        real, integers = [move(each) for each in x.real], [move(each) for each in x.integers]
        return Known(self.name, unit, real, integers, x.low, x.high)


def _convolution(site: Site) -> Known:
    x = site.first()
    layer = read_layer(site.node, "")
    if layer.in_channels != x.channels:
        site.refuse(f"reads {x.channels} channels, its weights are for {layer.in_channels}")
    layer = replace(layer, activation=Activation(0.0) if site.relu else Activation())
    return convolve(site.plan, layer, x, site.labels(layer.out_channels), site.name)


def _sum(site: Site) -> Known:
    sign = -1 if site.node.op_type == "Sub" else 1
    a, b = site.tensor(0), site.tensor(1)
    terms: list[Term] = []
    added: Any = 0.0
    if a is not None and b is not None:
        if a.channels != b.channels:
            site.refuse(f"{a.channels} and {b.channels} channels, expected the same number")
        terms = [whole(a), whole(b, sign)]
        real = [x + sign * y for x, y in zip(a.real, b.real, strict=True)]
    elif a is not None:
        added = sign * site.per_channel(1, a.channels)
        terms, real = [whole(a)], [x + column(added) for x in a.real]
    else:
        assert b is not None
        added = site.per_channel(0, b.channels)
        terms, real = [whole(b, sign)], [column(added) + sign * x for x in b.real]
    return _linear(site, terms, np.broadcast_to(added, terms[0].tensor.channels), real)


def _product(site: Site) -> Known:
    inverse = site.node.op_type == "Div"
    x = site.tensor(0)
    index = 1
    if x is None and not inverse:
        x, index = site.tensor(1), 0
    if x is None or site.tensor(index) is not None:
        why = "two tensors of 16 bits are no product of 24, and a quotient leaves every grid"
        site.refuse(f"{why}; expected a constant; a gate needs a look-up table of integers (Gather)")
    assert x is not None
    by = site.per_channel(index, x.channels)
    if inverse:
        if (by == 0).any():
            site.refuse("divides by 0")
        by = 1 / by
    return _linear(site, [scaled(x, by)], np.zeros(x.channels), [each * column(by) for each in x.real])


def _negative(site: Site) -> Known:
    x = site.first()
    return _linear(site, [whole(x, -1)], np.zeros(x.channels), [-each for each in x.real])


def _linear(site: Site, terms: list[Term], added: Float64, real: list[Float64]) -> Known:
    labels = site.labels(terms[0].tensor.channels)
    return linear(site.plan, site.name, terms, added, real, unit_for(real, labels), labels)


def _relu(site: Site) -> Known:
    x = site.first()
    made = site.moved(
        x.unit, lambda each: np.maximum(each, 0), lambda graph, value: graph.op("Relu", value, name=site.name)
    )
    return replace(made, low=max(x.low, 0))


def _leaky_relu(site: Site) -> Known:
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


def _clip(site: Site) -> Known:
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


def _concat(site: Site) -> Known:
    parts = [site.tensor(index) for index in range(len(site.node.inputs))]
    if attribute(site.node, "axis", 0) not in (1, -3) or not all(parts):
        site.refuse("expected tensors put together along the channels")
    found = [part for part in parts if part is not None]

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        return graph.op("Concat", *(values[part.name] for part in found), name=site.name, axis=1)

    site.plan.add(site.name, write)
    return Known(
        site.name,
        np.concatenate([part.unit for part in found]),
        [np.concatenate(each, axis=1) for each in zip(*(part.real for part in found), strict=True)],
        [np.concatenate(each, axis=1) for each in zip(*(part.integers for part in found), strict=True)],
        min(part.low for part in found),
        max(part.high for part in found),
    )


def _slice(site: Site) -> Known:
    x = site.first()
    starts, ends, *rest = (constant(site.node, index).reshape(-1) for index in range(1, len(site.node.inputs)))
    axes = rest[0] if rest else np.arange(len(starts))
    steps = rest[1] if len(rest) > 1 else np.ones(len(starts), np.int64)
    if [axis % 4 for axis in axes] != [1] or set(steps) != {1}:
        site.refuse("expected a range of channels")
    return _channels(site, x, *slice(int(starts[0]), int(ends[0])).indices(x.channels)[:2], site.name)


def _split(site: Site) -> list[Known]:
    x = site.first()
    count = len(site.node.outputs)
    if attribute(site.node, "axis", 0) not in (1, -3):
        site.refuse("expected a split along the channels")
    sizes = attribute(site.node, "split", None)
    if sizes is None and len(site.node.inputs) > 1:
        sizes = constant(site.node, 1).tolist()
    if sizes is None:
        each = -(-x.channels // count)
        sizes = [min(each, x.channels - i * each) for i in range(count)]
    ends = np.cumsum(sizes)
    return [
        _channels(site, x, int(end - size), int(end), f"{site.name}_{i}")
        for i, (end, size) in enumerate(zip(ends, sizes, strict=True))
    ]


def _channels(site: Site, x: Known, start: int, stop: int, name: str) -> Known:
    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        bounds = (graph.constant(np.array([v], np.int64), f"channel_{v}") for v in (start, stop, 1))
        return graph.op("Slice", values[x.name], *bounds, name=name)

    site.plan.add(name, write)
    real, integers = ([each[:, start:stop] for each in arrays] for arrays in (x.real, x.integers))
    return Known(name, x.unit[start:stop], real, integers, x.low, x.high)


def _depth_to_space(site: Site) -> Known:
    x, size = site.first(), int(attribute(site.node, "blocksize", 1))
    mode = attribute(site.node, "mode", "DCR")
    labels = pixel_labels(site.node, x.channels)
    x = on_common_units(site.plan, x, labels)
    count = x.channels // (size * size)

    def move(each: Float64) -> Float64:
        height, width = each.shape[2:]
        blocks = (size, size, count) if mode == "DCR" else (count, size, size)
        order = (2, 3, 0, 4, 1) if mode == "DCR" else (0, 3, 1, 4, 2)
        found = each.reshape(*blocks, height, width).transpose(order)
        return np.ascontiguousarray(found.reshape(1, count, height * size, width * size))

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        phases = values[x.name]
        if mode == "CRD":
            order = np.arange(x.channels, dtype=np.int32).reshape(count, -1).T.reshape(-1)
            phases = graph.op(
                "Gather", phases, graph.constant(order, f"{site.name}_order"), name=f"{site.name}_phases", axis=1
            )
        return interleaved(graph, phases, size, count, site.name)

    site.plan.add(site.name, write)
    units = np.empty(count)
    units[labels] = x.unit
    return Known(site.name, units, [move(each) for each in x.real], [move(each) for each in x.integers], x.low, x.high)


def pixel_labels(node: ir.Node, width: int) -> Int64:
    """(width,) the output channel of DepthToSpace that each input channel goes to."""
    pixels = int(attribute(node, "blocksize", 1)) ** 2
    if width % pixels:
        raise ExportRefusedError(f"node {node.name} (DepthToSpace): {width} channels are not a multiple of {pixels}")
    count = width // pixels
    return np.arange(width) % count if attribute(node, "mode", "DCR") == "DCR" else np.arange(width) // pixels


def _resize(site: Site) -> Known:
    """Nearest neighbour by a whole factor: every pixel is in all phases."""
    x = site.first()
    wanted = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    for name, value in wanted.items():
        if (found := attribute(site.node, name, None)) != value:
            site.refuse(f"{name} {found}, expected {value}: other interpolations are implementation-defined")
    scales = constant(site.node, 2).reshape(-1) if len(site.node.inputs) > 2 else np.zeros(0)
    if scales.size != 4 or tuple(scales[:2]) != (1, 1) or scales[2] != scales[3] or scales[2] not in (1, 2, 3, 4):
        site.refuse(f"scales {scales.tolist()}, expected constant ones: 1, 1 and twice 1, 2, 3 or 4")
    factor = int(scales[2])

    def write(graph: GraphWriter, value: ir.Value) -> ir.Value:
        phases = graph.op("Concat", *[value] * factor**2, name=f"{site.name}_phases", axis=1)
        return interleaved(graph, phases, factor, x.channels, site.name)

    return site.moved(x.unit, lambda each: each.repeat(factor, 2).repeat(factor, 3), write)


def _pad(site: Site) -> Known:
    x = site.first()
    pads = constant(site.node, 1).reshape(2, -1)
    mode = attribute(site.node, "mode", "constant")
    third = site.node.inputs[2] if len(site.node.inputs) > 2 else None
    if pads.shape[1] != 4 or pads[:, :2].any() or pads.min() < 0 or mode not in PADDINGS or len(site.node.inputs) > 3:
        site.refuse("expected rows and columns added, by a constant, edge or reflection")
    if third is not None and constant(site.node, 2).any():
        site.refuse("pads with another constant than 0")

    def write(graph: GraphWriter, value: ir.Value) -> ir.Value:
        return graph.op("Pad", value, graph.constant(pads.reshape(-1), f"{site.name}_pads"), name=site.name, mode=mode)

    around = [(int(before), int(behind)) for before, behind in pads.T]
    made = site.moved(x.unit, lambda each: np.pad(each, around, mode), write)
    return replace(made, low=min(made.low, 0), high=max(made.high, 0)) if mode == "constant" else made


def _cast(site: Site) -> Known:
    if attribute(site.node, "to", 0) != ir.DataType.FLOAT:
        site.refuse("expected a Cast to float32: others round")
    return site.first()


OPERATORS: dict[str, Callable[[Site], Known | list[Known]]] = {
    "Add": _sum,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _convolution,
    "ConvTranspose": _convolution,
    "DepthToSpace": _depth_to_space,
    "Div": _product,
    "Identity": Site.first,
    "LeakyRelu": _leaky_relu,
    "Mul": _product,
    "Neg": _negative,
    "Pad": _pad,
    "Relu": _relu,
    "Resize": _resize,
    "Slice": _slice,
    "Split": _split,
    "Sub": _sum,
}
