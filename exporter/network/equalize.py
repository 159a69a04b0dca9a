"""Channels between two layers, scaled alike; activations with a slope as Relus."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.network.affine import back_from, rows_of
from nvc_check.exporter.network.graphs import LAYERS, Float64, array_of, by_channel, only_reader, set_constant

MOST_APART = 60  # bits between the scales of two channels
HOMOGENEOUS = ("LeakyRelu", "PRelu", "Relu")  # f(s x) = s f(x) for s > 0


def equalize(graph: ir.Graph, node: ir.Node) -> None:
    """Scales a layer's output channels by powers of two, and the next layer's weights back, so that these are alike.

    What a channel is worth is seen in its values then (Nagel et al., "Data-free quantization through weight
    equalization and bias correction", ICCV 2019).
    """
    behind = list(_chain(graph, node))
    if len(behind) < 2 or behind[-1].op_type not in LAYERS[:2] or behind[-1].inputs[0] is not behind[-2].outputs[0]:
        return
    last = behind[-1]
    weight, following = array_of(node.inputs[1]), array_of(last.inputs[1])
    has_bias = len(node.inputs) > 2 and node.inputs[2] is not None
    bias = array_of(node.inputs[2]) if has_bias else None
    groups = [int(each.value) if (each := n.attributes.get("group")) is not None else 1 for n in (node, last)]
    if weight is None or following is None or (has_bias and bias is None) or groups[1] != 1:
        return
    columns = np.abs(following.astype(np.float64))
    sizes = columns.max(axis=(0, 2, 3)) if last.op_type == "Conv" else columns.max(axis=(1, 2, 3))
    if not (sizes > 0).any():
        return
    at_least = np.maximum(sizes, sizes.max() * 2.0**-MOST_APART)
    by = np.where(sizes > 0, np.exp2(np.rint(np.log2(at_least / sizes.max()))), 1.0)
    if (by == 1).all():
        return
    rows = rows_of(node, weight.astype(np.float64))
    set_constant(graph, node, 1, back_from(node, rows * by.reshape(-1, 1, 1, 1)))
    if bias is not None:
        set_constant(graph, node, 2, bias.astype(np.float64) * by)
    axis = (1, -1, 1, 1) if last.op_type == "Conv" else (-1, 1, 1, 1)
    set_constant(graph, last, 1, following.astype(np.float64) / by.reshape(axis))


def _chain(graph: ir.Graph, node: ir.Node) -> Iterator[ir.Node]:
    """What reads a layer's output, one behind the other, up to the next layer."""
    reader = only_reader(graph, node.outputs[0])
    while reader is not None:
        yield reader
        if reader.op_type not in HOMOGENEOUS or reader.inputs[0] is None:
            return
        reader = only_reader(graph, reader.outputs[0])


def bends_as_relus(graph: ir.Graph) -> None:
    """Conv, LeakyRelu or PRelu, Conv become Conv, Relu, Conv: x where it is positive, and -x where that is.

    The slopes go into the weights behind. Twice the channels, but each side has a grid of its own, and nothing is left
    between the convolutions.
    """
    for node in list(graph):
        first = (
            node.inputs[0].producer() if node.op_type in ("LeakyRelu", "PRelu") and node.inputs[0] is not None else None
        )
        last = only_reader(graph, node.outputs[0])
        if first is None or last is None or first.op_type != "Conv" or last.op_type != "Conv":
            continue
        weight, behind = array_of(first.inputs[1]), array_of(last.inputs[1])
        has_bias = len(first.inputs) > 2 and first.inputs[2] is not None
        bias = array_of(first.inputs[2]) if has_bias else None
        grouped = any((group := n.attributes.get("group")) is not None and group.value != 1 for n in (first, last))
        if weight is None or behind is None or grouped or (has_bias and bias is None):
            continue
        slopes = _slopes(node, len(weight))
        if only_reader(graph, first.outputs[0]) is not node or slopes is None or last.inputs[0] is not node.outputs[0]:
            continue
        kept = slopes != 0
        shift = np.zeros(len(weight)) if bias is None else bias.astype(np.float64)
        weight, behind = weight.astype(np.float64), behind.astype(np.float64)
        below = -behind[:, kept] * slopes[kept].reshape(1, -1, 1, 1)
        set_constant(graph, first, 1, np.concatenate([weight, -weight[kept]]))
        set_constant(graph, first, 2, np.concatenate([shift, -shift[kept]]))
        set_constant(graph, last, 1, np.concatenate([behind, below], axis=1))
        relu = ir.node("Relu", [first.outputs[0]], name=node.name)
        relu.outputs[0].name, relu.outputs[0].type = node.outputs[0].name, node.outputs[0].type
        for value in (first.outputs[0], relu.outputs[0]):
            value.shape = _wider(node.outputs[0].shape, len(weight) + int(kept.sum()))
        graph.insert_before(node, relu)
        ir.convenience.replace_all_uses_with(node.outputs[0], relu.outputs[0])
        graph.remove(node, safe=True)
    for node in list(graph):
        if node.op_type == "Conv":
            equalize(graph, node)


def _slopes(node: ir.Node, width: int) -> Float64 | None:
    """(C,) of a LeakyRelu or PRelu; None where they are not one for each channel."""
    if node.op_type == "LeakyRelu":
        alpha = node.attributes.get("alpha")
        return np.full(width, 0.01 if alpha is None else float(alpha.value))
    found = array_of(node.inputs[1])
    return None if found is None else by_channel(found, node.outputs[0], width)


def _wider(shape: ir.Shape | None, channels: int) -> ir.Shape | None:
    return None if shape is None else ir.Shape([shape[0], channels, *shape[2:]])
