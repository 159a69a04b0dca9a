"""Means of neighbouring pixels as the depthwise convolutions that they are: AveragePool, linear Resize."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.network.graphs import array_of, set_constant

Float64 = NDArray[np.float64]
MOST = 8  # times that a picture is enlarged
CENTRED = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel")  # alike where a picture becomes larger
POOL = {"auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"}


def as_convolution(graph: ir.Graph, node: ir.Node, *, open_size: bool) -> None:
    """Puts a Conv in the node's place where it is the same function; leaves all others as they are."""
    source = node.inputs[0] if node.inputs else None
    shape = None if source is None else source.shape
    if node.domain or source is None or shape is None or len(shape) != 4:
        return
    _, channels, rows, columns = shape
    if not isinstance(channels, int):
        return
    if node.op_type == "AveragePool":
        _pool(graph, node, source, channels)
    elif node.op_type == "GlobalAveragePool" and not open_size and isinstance(rows, int) and isinstance(columns, int):
        _in_place(graph, node, [_mean(graph, node, source, channels, [rows, columns], {})])
    elif node.op_type == "Resize":
        _enlarge(graph, node, source, channels)


def _pool(graph: ir.Graph, node: ir.Node, source: ir.Value, channels: int) -> None:
    """ONNX AveragePool-22. Where what is outside does not count, the divisor changes at the border."""
    given = {name: each.value for name, each in node.attributes.items()}
    taps, pads = list(given.get("kernel_shape", [])), given.get("pads", [0, 0, 0, 0])
    auto = given.get("auto_pad", "NOTSET")
    plain = given.keys() <= POOL and not given.get("ceil_mode") and auto in ("NOTSET", "VALID")
    if not plain or len(taps) != 2 or (any(pads) and not given.get("count_include_pad")):
        return
    kept = {name: each for name, each in node.attributes.items() if name in ("dilations", "pads", "strides")}
    if auto == "VALID":
        kept.pop("pads", None)
    _in_place(graph, node, [_mean(graph, node, source, channels, taps, kept)])


def _mean(
    graph: ir.Graph, node: ir.Node, source: ir.Value, channels: int, taps: list[int], attributes: dict[str, ir.Attr]
) -> ir.Node:
    weight = np.full((channels, 1, *taps), 1 / (taps[0] * taps[1]))
    return _depthwise(graph, node, source, channels, weight, attributes)


def _enlarge(graph: ir.Graph, node: ir.Node, source: ir.Value, channels: int) -> None:
    """ONNX Resize-19, linear, by a whole factor: every new pixel lies between two rows and two columns."""
    given = {name: each.value for name, each in node.attributes.items()}
    where = given.get("coordinate_transformation_mode", "half_pixel")
    factor = _factor(node, source)
    others = {"antialias", "axes", "exclude_outside", "extrapolation_value", "keep_aspect_ratio_policy"} & given.keys()
    if given.get("mode") != "linear" or where not in (*CENTRED, "asymmetric") or factor is None or others:
        return
    along = _between(factor, where in CENTRED)
    phases = np.einsum("ai,bj->abij", along, along).reshape(factor * factor, 1, 3, 3)
    # outside, the outermost pixels count once more
    edge = ir.node("Pad", [source], {"mode": "edge"}, name=f"{node.name}_edge")
    edge.outputs[0].name, edge.outputs[0].type = f"{node.outputs[0].name}_edge", source.type
    edge.outputs[0].shape = _larger(source.shape, 2)
    set_constant(graph, edge, 1, np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    between = _depthwise(graph, node, edge.outputs[0], channels, np.tile(phases, (channels, 1, 1, 1)), {})
    between.outputs[0].name, between.outputs[0].type = f"{node.outputs[0].name}_phases", source.type
    shuffled = ir.node(
        "DepthToSpace", [between.outputs[0]], {"blocksize": factor, "mode": "CRD"}, name=f"{node.name}_pixels"
    )
    _in_place(graph, node, [edge, between, shuffled])


def _factor(node: ir.Node, source: ir.Value) -> int | None:
    """The one whole number by which both sides grow."""
    scales = array_of(node.inputs[2]) if len(node.inputs) > 2 else None
    if scales is None or scales.size == 0:
        sizes = array_of(node.inputs[3]) if len(node.inputs) > 3 else None
        if sizes is None or sizes.size != 4 or not all(isinstance(size, int) for size in source.shape or ["?"]):
            return None
        scales = sizes / np.array([int(str(size)) for size in source.shape or ()])
    if scales.size != 4 or tuple(scales[:2]) != (1, 1) or scales[2] != scales[3]:
        return None
    factor = float(scales[2])
    return int(factor) if factor == int(factor) and 2 <= factor <= MOST else None


def _between(factor: int, centred: bool) -> Float64:
    """(factor, 3): what the pixel before, the pixel itself and the one behind it give to each of its places."""
    places = (np.arange(factor) + 0.5) / factor - 0.5 if centred else np.arange(factor) / factor
    weights: Float64 = np.maximum(0, 1 - np.abs(places[:, None] - np.array([-1, 0, 1])))
    return weights


def _depthwise(
    graph: ir.Graph, node: ir.Node, source: ir.Value, channels: int, weight: Float64, attributes: dict[str, ir.Attr]
) -> ir.Node:
    """A Conv with a group for each channel."""
    made = ir.node("Conv", [source], {"group": channels}, name=node.name)
    for attribute in attributes.values():
        made.attributes.add(attribute)
    set_constant(graph, made, 1, weight)
    return made


def _larger(shape: ir.Shape | None, more: int) -> ir.Shape | None:
    if shape is None:
        return None
    return ir.Shape([*shape[:2], *(size + more if isinstance(size, int) else None for size in shape[2:])])


def _in_place(graph: ir.Graph, node: ir.Node, made: list[ir.Node]) -> None:
    """Of the node, whose output the last one gives."""
    old, new = node.outputs[0], made[-1].outputs[0]
    new.name, new.shape, new.type = old.name, old.shape, old.type
    graph.insert_before(node, made)
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    graph.remove(node, safe=True)
