"""Operators of a user's graph that move values: channels put together and taken apart, pixels shuffled, borders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.integer_graph import Flavour
from nvc_check.exporter.layers import attribute, constant
from nvc_check.exporter.subpixel import interleaved
from nvc_check.exporter.user_site import Site
from nvc_check.exporter.user_values import (
    Float64,
    Int64,
    Known,
    on_common_units,
)
from nvc_check.models.errors import ExportRefusedError

PADDINGS = ("constant", "reflect", "edge")  # of ONNX, and of numpy


def concatenate(site: Site) -> Known:
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


def take_channels(site: Site) -> Known:
    x = site.first()
    starts, ends, *rest = (constant(site.node, index).reshape(-1) for index in range(1, len(site.node.inputs)))
    axes = rest[0] if rest else np.arange(len(starts))
    steps = rest[1] if len(rest) > 1 else np.ones(len(starts), np.int64)
    if [axis % 4 for axis in axes] != [1] or set(steps) != {1}:
        site.refuse("expected a range of channels")
    return _channels(site, x, *slice(int(starts[0]), int(ends[0])).indices(x.channels)[:2], site.name)


def split(site: Site) -> list[Known]:
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


def depth_to_space(site: Site) -> Known:
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


def resize(site: Site) -> Known:
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


def pad(site: Site) -> Known:
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
