"""Simplifies a float graph without changing what it computes: fewer kinds of nodes, all scales in convolutions."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.network.affine import take_in_affine, take_in_factor
from nvc_check.exporter.network.averages import as_convolution
from nvc_check.exporter.network.equalize import equalize
from nvc_check.exporter.network.graphs import LAYERS, array_of, only_reader
from nvc_check.exporter.network.pointwise import join_functions
from nvc_check.exporter.network.shuffles import recognized

OURS, REARRANGE = "nvc_check", "Rearrange"  # a run of Reshapes and Transposes of constant sizes: meta["steps"]
MOVES = ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


def simplify(graph: ir.Graph, *, open_size: bool) -> None:
    """Removes nodes that do nothing, makes convolutions of means, joins pixel shuffles and functions of a number, takes
    borders, factors and shifts into convolutions.
    """
    for node in list(graph):
        _drop_idle(graph, node)
    for node in list(graph):
        as_convolution(graph, node, open_size=open_size)
    for node in list(graph):
        _join_shuffle(graph, node, open_size=open_size)
    for node in list(graph):
        _take_in_pad(graph, node)
    for node in list(graph):
        if node.op_type in LAYERS[:3]:
            while take_in_affine(graph, node):
                pass
    for node in list(graph):
        if node.op_type in LAYERS[:2] and not node.domain:
            while take_in_factor(graph, node):
                pass
    join_functions(graph, OURS)
    for node in list(graph):
        if node.op_type in LAYERS[:2]:
            equalize(graph, node)


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
