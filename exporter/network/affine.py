"""Factors and shifts of channels, taken into the weights and biases of the layers beside them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.network.graphs import Float64, array_of, by_channel, only_reader, set_constant


def take_in_affine(graph: ir.Graph, node: ir.Node) -> bool:
    """A factor and a shift of each channel behind a layer, into its weights and bias."""
    if node.op_type == "Gemm" and any(n in node.attributes for n in ("transA",)):
        return False
    reader = only_reader(graph, node.outputs[0])
    stored = array_of(node.inputs[1])
    has_bias = len(node.inputs) > 2 and node.inputs[2] is not None
    bias = array_of(node.inputs[2]) if has_bias else None
    if reader is None or stored is None or (has_bias and bias is None):
        return False
    rows = rows_of(node, stored.astype(np.float64))
    found = _affine(reader, node.outputs[0], len(rows))
    if found is None:
        return False
    scale, shift = found
    beta = node.attributes.get("beta") if node.op_type == "Gemm" else None
    if beta is not None and beta.value != 1:
        return False
    before = np.zeros(len(rows)) if bias is None else np.broadcast_to(bias.astype(np.float64).reshape(-1), len(rows))
    scaled = rows * scale.reshape(-1, *[1] * (rows.ndim - 1))
    set_constant(graph, node, 1, back_from(node, scaled))
    set_constant(graph, node, 2, before * scale + shift)
    name = reader.outputs[0].name
    ir.convenience.replace_all_uses_with(reader.outputs[0], node.outputs[0], replace_graph_outputs=True)
    graph.remove(reader, safe=True)
    node.outputs[0].name = name  # an output of the graph may be called so
    return True


def take_in_factor(graph: ir.Graph, node: ir.Node) -> bool:
    """A factor of each channel in front of a Conv or ConvTranspose, into its weights; what pads with zeros stays."""
    source = node.inputs[0]
    factor = None if source is None else source.producer()
    if (
        source is None
        or factor is None
        or only_reader(graph, source) is not node
        or factor.op_type not in ("Mul", "Div")
    ):
        return False
    group, weight = node.attributes.get("group"), array_of(node.inputs[1])
    constants = [array_of(value) for value in factor.inputs]
    before = next((v for v, c in zip(factor.inputs, constants, strict=True) if c is None), None)
    if weight is None or before is None or (factor.op_type == "Div" and constants[1] is None):
        return False
    groups = 1 if group is None else int(group.value)
    width = weight.shape[0] if node.op_type == "ConvTranspose" else weight.shape[1] * groups
    by = by_channel(next((c for c in constants if c is not None), None), before, width)
    if by is None or (by == 0).any() or not np.isfinite(by).all():
        return False
    by = 1 / by if factor.op_type == "Div" else by
    if node.op_type == "ConvTranspose":
        scaled = weight * by.reshape(-1, 1, 1, 1)
    else:  # of each group's outputs, those channels that it reads
        apart = weight.reshape(groups, -1, *weight.shape[1:]) * by.reshape(groups, 1, -1, 1, 1)
        scaled = apart.reshape(weight.shape)
    set_constant(graph, node, 1, scaled)
    node.replace_input_with(0, before)
    graph.remove(factor, safe=True)
    return True


def _affine(node: ir.Node, source: ir.Value, width: int) -> tuple[Float64, Float64] | None:
    """(factor, shift), (C,) each, if the node is that of `source`."""
    one, zero = np.ones(width), np.zeros(width)
    if node.op_type == "BatchNormalization" and node.inputs[0] is source and len(node.outputs) == 1:
        training, epsilon = node.attributes.get("training_mode"), node.attributes.get("epsilon")
        arrays = [array_of(value) for value in node.inputs[1:5]]
        if (training is not None and training.value) or any(each is None or each.size != width for each in arrays):
            return None
        scale, shift, mean, variance = (np.asarray(each, np.float64) for each in arrays)
        by = scale / np.sqrt(variance + (float(epsilon.value) if epsilon is not None else 1e-5))
        return by, shift - mean * by
    if node.op_type not in ("Add", "Div", "Mul", "Sub") or len(node.inputs) != 2:
        return None
    first = node.inputs[0] is source
    constant = by_channel(array_of(node.inputs[1 if first else 0]), source, width)
    if constant is None or (node.op_type == "Div" and (not first or (constant == 0).any())):
        return None
    by_operator = {
        "Add": (one, constant),
        "Div": (1 / np.where(constant == 0, 1, constant), zero),
        "Mul": (constant, zero),
        "Sub": (one, -constant) if first else (-one, constant),
    }
    return by_operator[node.op_type]


def rows_of(node: ir.Node, weight: Float64) -> Float64:
    """The weights with the output channels in front: (O, rest), a view that keeps what belongs together."""
    if node.op_type == "Gemm":
        flipped = node.attributes.get("transB")
        return weight if flipped is not None and flipped.value else weight.T
    if node.op_type == "Conv":
        return weight
    group = node.attributes.get("group")
    groups = 1 if group is None else int(group.value)
    parts = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    return parts.swapaxes(1, 2).reshape(weight.shape[1] * groups, weight.shape[0] // groups, *weight.shape[2:])


def back_from(node: ir.Node, rows: Float64) -> Float64:
    """What rows_of was made of."""
    if node.op_type == "Gemm":
        flipped = node.attributes.get("transB")
        return rows if flipped is not None and flipped.value else rows.T
    if node.op_type == "Conv":
        return rows
    group = node.attributes.get("group")
    groups = 1 if group is None else int(group.value)
    parts = rows.reshape(groups, rows.shape[0] // groups, *rows.shape[1:]).swapaxes(1, 2)
    return parts.reshape(rows.shape[1] * groups, rows.shape[0] // groups, *rows.shape[2:])
