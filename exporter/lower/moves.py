"""Operators that move values: channels put together and taken apart, pixels shuffled, borders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.arithmetic import on_common_units
from nvc_check.exporter.lower.flavours import Flavour
from nvc_check.exporter.lower.interleave import interleaved
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.values import Float64, Int64, Known
from nvc_check.exporter.lower.writing import channels_read
from nvc_check.exporter.network.geometry import Interleave
from nvc_check.exporter.network.shuffles import Shuffle, shuffle_of

PADDINGS = ("constant", "reflect", "edge")  # of ONNX, and of numpy


def concatenate(site: Site) -> Known:
    parts = [site.tensor(index) for index in range(len(site.node.inputs))]
    if site.attribute("axis", 0) not in (1, -3) or not all(parts):
        site.refuse("expected tensors put together along the channels (axis 1)")
    found = [part for part in parts if part is not None]
    zeros = {part.zero for part in found}
    zero = zeros.pop() if len(zeros) == 1 else None

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        # of different zero points: as float32
        stored = [style.stored(values[part.name], zero)[0] for part in found]
        return style.dequantized(graph, graph.op("Concat", *stored, name=f"{site.name}_all", axis=1), zero, site.name)

    site.plan.add(site.name, write)
    return Known(
        site.name,
        np.concatenate([part.unit for part in found]),
        [np.concatenate(each, axis=1) for each in zip(*(part.real for part in found), strict=True)],
        [np.concatenate(each, axis=1) for each in zip(*(part.integers for part in found), strict=True)],
        min(part.low for part in found),
        max(part.high for part in found),
        zero,
    )


def take(site: Site) -> Known:
    """Slice, forwards."""
    x = site.first()
    starts, ends = (np.asarray(site.constant(index)).reshape(-1) for index in (1, 2))
    axes = np.asarray(site.constant(3)).reshape(-1) if site.has(3) else np.arange(len(starts))
    steps = np.asarray(site.constant(4)).reshape(-1) if site.has(4) else np.ones(len(starts), np.int64)
    parts = [slice(None)] * 4
    for axis, start, end, step in zip(axes % 4, starts, ends, steps, strict=True):
        if step < 1 or (axis == 0 and len(range(1)[int(start) : int(end) : int(step)]) != 1):
            site.refuse("expected steps forwards, and not along the batch")
        parts[int(axis)] = slice(int(start), int(end), int(step))
    return _slice(site, x, parts, site.name)


def _slice(site: Site, x: Known, parts: list[slice], name: str) -> Known:
    axes = [axis for axis in (1, 2, 3) if parts[axis] != slice(None)]
    if not axes:
        return x
    if 0 in x.real[0][tuple(parts)].shape:
        site.refuse("leaves nothing, expected at least one row, column and channel")

    def write(graph: GraphWriter, value: ir.Value, zero: int) -> ir.Value:
        columns = [[parts[axis].start, parts[axis].stop, axis, parts[axis].step or 1] for axis in axes]
        bounds = (
            graph.constant(np.array(each, np.int64), f"bounds_{'_'.join(map(str, each))}".replace("-", "less_"))
            for each in zip(*columns, strict=True)
        )
        return graph.op("Slice", value, *bounds, name=f"{name}_part")

    return site.moved(x, x.unit[parts[1]], lambda each: np.ascontiguousarray(each[tuple(parts)]), write, name)


def split(site: Site) -> list[Known]:
    x, count = site.first(), len(site.node.outputs)
    if site.attribute("axis", 0) not in (1, -3):
        site.refuse("expected a split along the channels (axis 1)")
    site.attribute("num_outputs", count)
    sizes = site.attribute("split", None)
    if sizes is None and site.has(1):
        sizes = np.asarray(site.constant(1)).tolist()
    if sizes is None:
        each = -(-x.channels // count)
        sizes = [min(each, x.channels - i * each) for i in range(count)]
    ends = np.cumsum(sizes)
    if ends[-1] != x.channels or min(sizes) < 1:
        site.refuse(f"parts of {sizes} channels, expected {x.channels} in all")
    return [
        _slice(
            site, x, [slice(None), slice(int(end - size), int(end), 1), slice(None), slice(None)], f"{site.name}_{i}"
        )
        for i, (end, size) in enumerate(zip(ends, sizes, strict=True))
    ]


def shuffled(site: Site) -> Known:
    """DepthToSpace, SpaceToDepth, and Reshapes and Transposes that are one of them, or move channels."""
    x = site.first()
    shuffle = shuffle_of(site.node)
    site.attribute("blocksize", 1)
    site.attribute("mode", "DCR")
    if x.channels % shuffle.divisor:
        site.refuse(f"{x.channels} channels, expected a multiple of {shuffle.divisor}")
    labels = shuffle.labels(x.channels)
    x = on_common_units(site.plan, x, labels)
    return site.moved(
        x,
        shuffle.units(x.unit),
        shuffle,
        lambda graph, value, zero: _shuffled(graph, value, shuffle, x.channels, site.name),
    )


def _shuffled(graph: GraphWriter, value: ir.Value, by: Shuffle, width: int, name: str) -> ir.Value:
    read = graph.constant(by.order(width).astype(np.int32), f"{name}_order")
    if by.apart:  # the interleave backwards
        phases = _phases(graph, value, by, width, name)
        return graph.op("Gather", phases, read, name=f"{name}_phases", axis=1) if by.crd else phases
    if by.crd:
        value = graph.op("Gather", value, read, name=f"{name}_phases", axis=1)
    return interleaved(graph, value, Interleave((by.size, by.size), width // by.size**2, (0, 0)), name)


def _phases(graph: GraphWriter, value: ir.Value, by: Shuffle, width: int, name: str) -> ir.Value:
    """(1, C, h, w) -> (1, size^2 C, h / size, w / size), ordered (row, column, channel)."""

    def shape(x: ir.Value, sizes: list[int], step: str) -> ir.Value:
        return graph.op(
            "Reshape", x, graph.constant(np.array(sizes, np.int64), f"{name}_{step}_shape"), name=f"{name}_{step}"
        )

    size = by.size
    x = graph.op("Transpose", value, name=f"{name}_channels_last", perm=[0, 2, 3, 1])
    x = shape(x, [0, 0, -1, size * width], "columns")
    x = graph.op("Transpose", x, name=f"{name}_columns_first", perm=[0, 2, 1, 3])
    x = shape(x, [0, 0, -1, size * size * width], "blocks")
    return graph.op("Transpose", x, name=f"{name}_phases_first", perm=[0, 3, 2, 1])


def rearranged(site: Site) -> Known:
    """Reshapes and Transposes of constant sizes, as they are; any channel may go anywhere."""
    x = on_common_units(site.plan, site.first(), np.zeros(site.first().channels, np.int64))
    steps: tuple[tuple[str, list[int]], ...] = site.node.meta["steps"]

    def move(each: Float64) -> Float64:
        for kind, numbers in steps:
            each = each.reshape(numbers) if kind == "Reshape" else each.transpose(numbers)
        return np.ascontiguousarray(each)

    def write(graph: GraphWriter, value: ir.Value, zero: int) -> ir.Value:
        for i, (kind, numbers) in enumerate(steps):
            name = f"{site.name}_step_{i}"
            if kind == "Transpose":
                value = graph.op("Transpose", value, name=name, perm=list(numbers))
                continue
            sizes = graph.constant(np.array(numbers, np.int64), "shape_" + "_".join(map(str, numbers)))
            value = graph.op("Reshape", value, sizes, name=name)
        return value

    channels = move(x.real[0]).shape[1]
    return site.moved(x, np.full(channels, x.unit[0]), move, write)


def gather(site: Site) -> Known:
    """Some channels, in any order."""
    x = site.first()
    read = np.asarray(site.constant(1))
    if site.attribute("axis", 0) not in (1, -3) or read.ndim != 1 or not read.size:
        site.refuse("expected channels by constant numbers: axis 1, a vector of indices")
    if read.min() < -x.channels or read.max() >= x.channels:
        site.refuse(f"channels {read.min()} to {read.max()}, expected numbers below {x.channels}")
    read = read % x.channels

    def write(graph: GraphWriter, value: ir.Value, zero: int) -> ir.Value:
        return channels_read(graph, value, read, f"{site.name}_channels")

    return site.moved(x, x.unit[read], lambda each: np.ascontiguousarray(each[:, read]), write)


def reshaped(site: Site) -> Known:
    """A vector to a picture, (1, C) to (1, C / (h w), h, w), back, or what changes nothing."""
    x = site.first()
    shape = site.node.outputs[0].shape
    sizes = None if shape is None else [size for size in shape if isinstance(size, int)]
    if shape is None or sizes is None or len(sizes) != len(shape):
        site.refuse("to sizes that are not known; expected DepthToSpace, or a picture made of a vector")
    whole = [*sizes, 1, 1] if len(sizes) == 2 else sizes
    before = list(x.real[0].shape)
    site.attribute("allowzero", 0)
    site.attribute("axis", 1)
    if whole == before:
        return x
    if len(whole) != 4 or whole[0] != 1 or 1 not in (before[2] * before[3], whole[2] * whole[3]):
        site.refuse(f"from {before} to {sizes}: expected DepthToSpace, or a picture made of a vector")
    places = whole[2] * whole[3] // (before[2] * before[3]) if whole[2] * whole[3] > 1 else 1
    labels = np.arange(x.channels) // places
    x = on_common_units(site.plan, x, labels)
    unit = x.unit[::places] if places > 1 else np.repeat(x.unit, before[2] * before[3])

    def write(graph: GraphWriter, value: ir.Value, zero: int) -> ir.Value:
        wanted = graph.constant(np.array(whole, np.int64), "shape_" + "_".join(map(str, whole)))
        return graph.op("Reshape", value, wanted, name=f"{site.name}_moved")

    return site.moved(x, unit, lambda each: each.reshape(whole), write)


def pad(site: Site) -> Known:
    x = site.first()
    pads: Int64 = np.asarray(site.constant(1)).reshape(2, -1)
    mode = site.attribute("mode", "constant")
    if site.has(3):
        axes = np.asarray(site.constant(3)).reshape(-1) % 4
        everywhere = np.zeros((2, 4), np.int64)
        everywhere[:, axes] = pads
        pads = everywhere
    if mode not in PADDINGS or pads.shape[1] != 4 or pads[:, :2].any() or pads.min() < 0:
        site.refuse(f"mode {mode}, pads {pads.tolist()}: expected rows and columns added, by 0, edge or reflection")
    if mode == "constant" and site.has(2) and np.asarray(site.constant(2)).any():
        site.refuse("pads with another constant than 0")

    def write(graph: GraphWriter, value: ir.Value, zero: int) -> ir.Value:
        around = graph.constant(pads.reshape(-1), f"{site.name}_pads")
        more = (graph.constant(np.array(zero, np.uint8), f"uint8_{zero}"),) if zero and mode == "constant" else ()
        return graph.op("Pad", value, around, *more, name=f"{site.name}_padded", mode=mode)

    around = [(int(before), int(behind)) for before, behind in pads.T]
    made = site.moved(x, x.unit, lambda each: _padded(each, around, str(mode)), write)
    return replace(made, low=min(made.low, 0), high=max(made.high, 0)) if mode == "constant" else made


def _padded(each: Float64, around: list[tuple[int, int]], mode: str) -> Float64:
    if mode == "constant":
        return np.pad(each, around)
    return np.pad(each, around, "reflect" if mode == "reflect" else "edge")
