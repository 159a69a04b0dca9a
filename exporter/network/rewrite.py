"""Simplifies a float graph without changing what it computes: fewer kinds of nodes, all scales in convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.network.shuffles import recognized

Float64 = NDArray[np.float64]

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
OURS, REARRANGE = "nvc_check", "Rearrange"  # a run of Reshapes and Transposes of constant sizes: meta["steps"]
MOVES = ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
MOST_APART = 60  # bits between the scales of two channels
HOMOGENEOUS = ("LeakyRelu", "PRelu", "Relu")  # f(s x) = s f(x) for s > 0


def simplify(graph: ir.Graph, *, open_size: bool) -> None:
    """Removes nodes that do nothing, joins pixel shuffles, takes borders, factors and shifts into convolutions."""
    for node in list(graph):
        _drop_idle(graph, node)
    for node in list(graph):
        _join_shuffle(graph, node, open_size=open_size)
    for node in list(graph):
        _take_in_pad(graph, node)
    for node in list(graph):
        if node.op_type in LAYERS[:3]:
            while _take_in_affine(graph, node):
                pass
    for node in list(graph):
        if node.op_type in LAYERS[:2]:
            _equalize(graph, node)


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
        _set(graph, first, 1, np.concatenate([weight, -weight[kept]]))
        _set(graph, first, 2, np.concatenate([shift, -shift[kept]]))
        _set(graph, last, 1, np.concatenate([behind, below], axis=1))
        relu = ir.node("Relu", [first.outputs[0]], name=node.name)
        relu.outputs[0].name, relu.outputs[0].type = node.outputs[0].name, node.outputs[0].type
        for value in (first.outputs[0], relu.outputs[0]):
            value.shape = _wider(node.outputs[0].shape, len(weight) + int(kept.sum()))
        graph.insert_before(node, relu)
        ir.convenience.replace_all_uses_with(node.outputs[0], relu.outputs[0])
        graph.remove(node, safe=True)
    for node in list(graph):
        if node.op_type == "Conv":
            _equalize(graph, node)


def _slopes(node: ir.Node, width: int) -> Float64 | None:
    """(C,) of a LeakyRelu or PRelu; None where they are not one for each channel."""
    if node.op_type == "LeakyRelu":
        alpha = node.attributes.get("alpha")
        return np.full(width, 0.01 if alpha is None else float(alpha.value))
    found = array_of(node.inputs[1])
    return None if found is None else _by_channel(found, node.outputs[0], width)


def _wider(shape: ir.Shape | None, channels: int) -> ir.Shape | None:
    return None if shape is None else ir.Shape([shape[0], channels, *shape[2:]])


def array_of(value: ir.Value | None) -> NDArray[Any] | None:
    return None if value is None or value.const_value is None else value.const_value.numpy()


def only_reader(graph: ir.Graph, value: ir.Value) -> ir.Node | None:
    """The one node that reads a tensor; None where there are more, or it is an output of the graph."""
    readers = [use.node for use in value.uses()]
    return readers[0] if len(readers) == 1 and value not in graph.outputs else None


def _replaced(graph: ir.Graph, old: ir.Value, new: ir.Value) -> None:
    """`new` in the place of `old`, whose node goes."""
    node = old.producer()
    assert node is not None
    ir.convenience.replace_all_uses_with(old, new)
    graph.remove(node, safe=True)


def _drop_idle(graph: ir.Graph, node: ir.Node) -> None:
    idle = node.op_type == "Identity" and not node.domain
    if node.op_type == "Dropout":
        training = array_of(node.inputs[2]) if len(node.inputs) > 2 else None
        read = len(node.outputs) > 1 and (node.outputs[1].uses() or node.outputs[1] in graph.outputs)
        idle = not read and (
            len(node.inputs) < 3 or node.inputs[2] is None or (training is not None and not training.any())
        )
    source = node.inputs[0] if node.inputs else None
    if node.op_type == "Cast" and source is not None:
        to = node.attributes.get("to")
        whole = source.dtype == ir.DataType.INT32 and source in graph.inputs
        idle = to is not None and to.value == ir.DataType.FLOAT and (whole or source.dtype == ir.DataType.FLOAT)
    if idle and source is not None and node.outputs[0] not in graph.outputs:
        _replaced(graph, node.outputs[0], source)


def _join_shuffle(graph: ir.Graph, node: ir.Node, *, open_size: bool) -> None:
    """A run of Reshapes and Transposes becomes the pixel shuffle that it is, or, at a fixed size, one node of ours."""
    source = node.inputs[0] if node.inputs else None
    if node.graph is None or node.op_type not in MOVES or source is None or (before := _sizes(source)) is None:
        return
    if len(before) != 4 or before[2] * before[3] == 1:
        return
    run: list[ir.Node] = []
    steps: list[tuple[str, list[int]]] = []
    step: ir.Node | None = node
    while step is not None and step.op_type in MOVES and (sizes := _sizes(step.outputs[0])) is not None:
        run.append(step)
        perm = step.attributes.get("perm")
        if step.op_type == "Transpose":
            steps.append(("Transpose", list(perm.value) if perm is not None else list(range(len(sizes)))[::-1]))
        else:
            steps.append(("Reshape", sizes))
        shuffle = recognized(before, steps)
        if shuffle is not None:
            kind = "SpaceToDepth" if shuffle.apart else "DepthToSpace"
            mode = "CRD" if shuffle.crd else "DCR"
            _joined(graph, source, run, ir.node(kind, [source], {"blocksize": shuffle.size, "mode": mode}))
            return
        step = only_reader(graph, step.outputs[0])
    sizes = _sizes(run[-1].outputs[0]) if run else None
    if sizes is not None and len(sizes) == 4 and len(run) > 1 and not open_size:
        made = ir.node(REARRANGE, [source], domain=OURS)
        made.meta["steps"] = tuple(steps)
        _joined(graph, source, run, made)


def _joined(graph: ir.Graph, source: ir.Value, run: list[ir.Node], made: ir.Node) -> None:
    """`made` in the place of the nodes `run`."""
    last = run[-1].outputs[0]
    made.name = run[0].name or str(last.name)
    made.outputs[0].name, made.outputs[0].shape, made.outputs[0].type = last.name, last.shape, last.type
    graph.insert_before(run[0], made)
    ir.convenience.replace_all_uses_with(last, made.outputs[0], replace_graph_outputs=True)
    graph.remove(run[::-1], safe=True)


def _sizes(value: ir.Value) -> list[int] | None:
    if value.shape is None:
        return None
    sizes = [size for size in value.shape if isinstance(size, int)]
    return sizes if len(sizes) == len(value.shape) else None


def _take_in_pad(graph: ir.Graph, node: ir.Node) -> None:
    """Rows and columns of zeros in front of a Conv become its own."""
    if node.op_type != "Pad" or node.outputs[0] in graph.outputs or len(node.inputs) > 3:
        return
    pads, value = array_of(node.inputs[1]), array_of(node.inputs[2]) if len(node.inputs) > 2 else np.zeros(1)
    mode, source = node.attributes.get("mode"), node.inputs[0]
    plain = (mode is None or mode.value == "constant") and value is not None and not np.any(value)
    readers = [use.node for use in node.outputs[0].uses()]
    if not plain or pads is None or pads.size != 8 or pads.min() < 0 or source is None or not readers:
        return
    top_left, bottom_right = pads[:4], pads[4:]
    fits = all(
        r.op_type == "Conv" and "auto_pad" not in r.attributes and r.inputs[0] is node.outputs[0] for r in readers
    )
    if not fits or top_left[:2].any() or bottom_right[:2].any():
        return
    for reader in readers:
        own = reader.attributes.get("pads")
        before = list(own.value) if own is not None else [0, 0, 0, 0]
        more = [*top_left[2:], *bottom_right[2:]]
        reader.attributes["pads"] = ir.AttrInt64s("pads", [int(a + b) for a, b in zip(before, more, strict=True)])
    _replaced(graph, node.outputs[0], source)


def _rows(node: ir.Node, weight: Float64) -> Float64:
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


def _back(node: ir.Node, rows: Float64) -> Float64:
    """What _rows was made of."""
    if node.op_type == "Gemm":
        flipped = node.attributes.get("transB")
        return rows if flipped is not None and flipped.value else rows.T
    if node.op_type == "Conv":
        return rows
    group = node.attributes.get("group")
    groups = 1 if group is None else int(group.value)
    parts = rows.reshape(groups, rows.shape[0] // groups, *rows.shape[1:]).swapaxes(1, 2)
    return parts.reshape(rows.shape[1] * groups, rows.shape[0] // groups, *rows.shape[2:])


def _take_in_affine(graph: ir.Graph, node: ir.Node) -> bool:
    """A factor and a shift of each channel behind a layer, into its weights and bias."""
    if node.op_type == "Gemm" and any(n in node.attributes for n in ("transA",)):
        return False
    reader = only_reader(graph, node.outputs[0])
    stored = array_of(node.inputs[1])
    has_bias = len(node.inputs) > 2 and node.inputs[2] is not None
    bias = array_of(node.inputs[2]) if has_bias else None
    if reader is None or stored is None or (has_bias and bias is None):
        return False
    rows = _rows(node, stored.astype(np.float64))
    found = _affine(reader, node.outputs[0], len(rows))
    if found is None:
        return False
    scale, shift = found
    beta = node.attributes.get("beta") if node.op_type == "Gemm" else None
    if beta is not None and beta.value != 1:
        return False
    before = np.zeros(len(rows)) if bias is None else np.broadcast_to(bias.astype(np.float64).reshape(-1), len(rows))
    scaled = rows * scale.reshape(-1, *[1] * (rows.ndim - 1))
    _set(graph, node, 1, _back(node, scaled))
    _set(graph, node, 2, before * scale + shift)
    name = reader.outputs[0].name
    ir.convenience.replace_all_uses_with(reader.outputs[0], node.outputs[0], replace_graph_outputs=True)
    graph.remove(reader, safe=True)
    node.outputs[0].name = name  # an output of the graph may be called so
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
    constant = _by_channel(array_of(node.inputs[1 if first else 0]), source, width)
    if constant is None or (node.op_type == "Div" and (not first or (constant == 0).any())):
        return None
    by_operator = {
        "Add": (one, constant),
        "Div": (1 / np.where(constant == 0, 1, constant), zero),
        "Mul": (constant, zero),
        "Sub": (one, -constant) if first else (-one, constant),
    }
    return by_operator[node.op_type]


def _by_channel(array: NDArray[Any] | None, source: ir.Value, width: int) -> Float64 | None:
    """(C,) of a constant that is one number or one per channel."""
    if array is None or source.shape is None:
        return None
    shape = (1,) * (len(source.shape) - array.ndim) + array.shape
    if (
        len(shape) != len(source.shape)
        or shape[0] != 1
        or any(size != 1 for size in shape[2:])
        or shape[1] not in (1, width)
    ):
        return None
    return np.broadcast_to(array.astype(np.float64).reshape(-1), width).copy()


def _set(graph: ir.Graph, node: ir.Node, index: int, array: Float64) -> None:
    """A new constant as the node's input."""
    value = ir.Value(name=f"{node.name or node.outputs[0].name}_constant_{index}")
    while value.name in graph.initializers:
        value.name = f"{value.name}_"
    value.const_value = ir.tensor(np.ascontiguousarray(array.astype(np.float32)), name=value.name)
    value.shape, value.dtype = ir.Shape(array.shape), ir.DataType.FLOAT
    graph.register_initializer(value)
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    node.replace_input_with(index, value)


def _chain(graph: ir.Graph, node: ir.Node) -> Iterator[ir.Node]:
    """What reads a layer's output, one behind the other, up to the next layer."""
    reader = only_reader(graph, node.outputs[0])
    while reader is not None:
        yield reader
        if reader.op_type not in HOMOGENEOUS or reader.inputs[0] is None:
            return
        reader = only_reader(graph, reader.outputs[0])


def _equalize(graph: ir.Graph, node: ir.Node) -> None:
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
    rows = _rows(node, weight.astype(np.float64))
    _set(graph, node, 1, _back(node, rows * by.reshape(-1, 1, 1, 1)))
    if bias is not None:
        _set(graph, node, 2, bias.astype(np.float64) * by)
    axis = (1, -1, 1, 1) if last.op_type == "Conv" else (-1, 1, 1, 1)
    _set(graph, last, 1, following.astype(np.float64) / by.reshape(axis))
