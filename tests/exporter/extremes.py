"""Every sum of products of a graph alone, on the inputs that are hardest for it: python extremes.py PKG...

A layer is cut out with what a runtime fuses with it: the DequantizeLinear nodes in front, the QuantizeLinear behind.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from property.fuzz import on_onnxruntime, on_openvino
from torch.nn import functional

from nvc_check.exporter.certificate.walk import certify, tensor_ranges
from nvc_check.models.artifacts.package import Package
from nvc_check.runtimes.oracle.engine import ExactGraph

SUMS = ("Conv", "ConvTranspose", "MatMul")
SIDE = 6  # of each patch of other inputs beside those that are largest
Array = NDArray[Any]


@dataclass(frozen=True)
class Layer:
    """One node as a model of its own: input `x`, output `y`.

    Attributes:
        bound: largest accumulator that the certificate of the whole graph lets it have, in steps of its grid.
    """

    name: str
    model: onnx.ModelProto
    x: Array
    bound: float


def layers_of(model: onnx.ModelProto) -> Iterator[Layer]:
    """All sums of an exact graph, with their hardest inputs."""
    ranges = tensor_ranges(model)
    bounds = {node.name: node.bound for node in certify(model).nodes}
    constants = {item.name: item for item in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for node in model.graph.node:
        if node.op_type not in SUMS:
            continue
        source = producers[node.input[0]]
        cut = source.input[0] if source.op_type == "DequantizeLinear" else node.input[0]
        before = [source] if source.op_type == "DequantizeLinear" else []
        before += [producers[name] for name in node.input[1:] if name in producers]
        behind = readers.get(node.output[0], [])
        behind = behind if [reader.op_type for reader in behind] == ["QuantizeLinear"] else []
        weight = _value(node.input[1], producers, constants)
        x = _hardest(node, weight, *ranges[node.input[0]])
        if before and before[0] is source:
            scale, zero = (numpy_helper.to_array(constants[name]) for name in source.input[1:3])
            x = (x / scale + zero).astype(zero.dtype)
        result = behind[0] if behind else node
        nodes = [_renamed(each, {cut: "x", result.output[0]: "y"}) for each in (*before, node, *behind)]
        used = {name for each in nodes for name in each.input}
        kind = numpy_helper.to_array(constants[behind[0].input[2]]).dtype if behind else np.dtype(np.float32)
        graph = helper.make_graph(
            nodes,
            node.name,
            [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
            [helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(kind), [None] * 4)],
            [item for name, item in constants.items() if name in used],
        )
        cut_out = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
        onnx.checker.check_model(cut_out, full_check=True)
        yield Layer(node.name, cut_out, x, bounds[node.name])


def _renamed(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    made = onnx.NodeProto()
    made.CopyFrom(node)
    for field in (made.input, made.output):
        field[:] = [names.get(name, name) for name in field]
    return made


def _value(name: str, producers: dict[str, onnx.NodeProto], constants: dict[str, onnx.TensorProto]) -> Array:
    """A constant, dequantized where it is."""
    if name in constants:
        return numpy_helper.to_array(constants[name]).astype(np.float64)
    node = producers[name]
    integers, scale, zero = (numpy_helper.to_array(constants[each]).astype(np.float64) for each in node.input)
    axis = next(attribute.i for attribute in node.attribute if attribute.name == "axis")
    shape = [-1 if i == axis else 1 for i in range(integers.ndim)]
    return (integers - zero.reshape(shape)) * scale.reshape(shape)


def _hardest(node: onnx.NodeProto, weight: Array, low: Array, high: Array) -> Array:
    """The sign pattern of every output channel's weights, of both signs, at places that share no input; beside them all
    zero, all lowest, all highest, single impulses, and random ends and values, many of whose sums are ties.
    """
    rng = np.random.default_rng(0)
    if node.op_type == "MatMul":  # (1, rows, columns, K): every pixel is a sum of its own
        patterns = np.concatenate([np.where(sign * weight.T > 0, high.max(), low.min()) for sign in (1, -1)])
        others = [np.zeros(len(weight)), np.full(len(weight), low.min()), np.full(len(weight), high.max())]
        others += list(rng.integers(int(low.min()), int(high.max()) + 1, (SIDE * SIDE, len(weight))))
        everything = np.concatenate([patterns, others])
        columns = 16
        everything = np.concatenate([everything, np.zeros((-len(everything) % columns, len(weight)))])
        return everything.reshape(1, -1, columns, len(weight)).astype(np.float32)
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    stride = attributes.get("strides", [1, 1])[0]
    transposed = node.op_type == "ConvTranspose"
    inputs, outputs = weight.shape[:2] if transposed else (weight.shape[1], weight.shape[0])
    low, high = (np.broadcast_to(end, inputs).reshape(1, -1, 1, 1) for end in (low, high))
    phases = stride if transposed else 1
    # in inputs: no output reads more than that many
    apart = -(-max(weight.shape[2:]) // phases) + 1 if transposed else max(weight.shape[2:]) + stride - 1
    targets = [
        (o, sign, i, j) for o in range(outputs) for sign in (1, -1) for i in range(phases) for j in range(phases)
    ]
    across = int(np.ceil(len(targets) ** 0.5))
    x = torch.zeros(1, inputs, *[(across + 1) * apart] * 2, dtype=torch.float64, requires_grad=True)
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    if transposed:
        padding = attributes.get("output_padding", [0, 0])[0]
        sums = functional.conv_transpose2d(x, torch.from_numpy(weight), None, stride, top, padding)
    else:
        padded = functional.pad(x, (left, right, top, bottom))
        sums = functional.conv2d(padded, torch.from_numpy(weight), None, stride)
    wanted = torch.zeros_like(sums)
    per_cell = apart * phases // (1 if transposed else stride)
    for number, (output, sign, i, j) in enumerate(targets):
        row, column = (divmod(number, across)[axis] * per_cell + per_cell // 2 for axis in (0, 1))
        wanted[0, output, row // phases * phases + i, column // phases * phases + j] = sign
    (gradient,) = torch.autograd.grad(sums, x, wanted)
    pattern = np.where(gradient.numpy() > 0, high, np.where(gradient.numpy() < 0, low, np.clip(0, low, high)))
    shape = (1, inputs, SIDE, pattern.shape[3])
    impulses = np.where(rng.random(shape) < 0.01, high, np.clip(0, low, high))
    others = [np.broadcast_to(each, shape) for each in (np.clip(0, low, high), low, high)]
    ends = np.where(rng.random(shape) < 0.5, low, high)
    values = np.floor(low + rng.random(shape) * (high - low + 1))
    return np.concatenate([pattern, *others, impulses, ends, np.clip(values, low, high)], axis=2).astype(np.float32)


@dataclass(frozen=True)
class Pushed:
    """What a layer did on its hardest inputs: leg -> values that differ from the oracle's; values on each leg."""

    wrong: dict[str, int]
    values: int
    largest: float


def pushed(layer: Layer, core: openvino.Core) -> Pushed:
    """On ONNX Runtime without and with optimization, OpenVINO and the oracle."""
    exact = ExactGraph(layer.model)
    expected = exact({"x": layer.x})["y"]
    data, inputs = layer.model.SerializeToString(), {"x": layer.x}
    results = {level: on_onnxruntime(data, inputs, f"ORT_{level}_ALL")[0] for level in ("DISABLE", "ENABLE")}
    results["openvino"] = on_openvino(core, data, inputs)[0]
    wrong = {leg: int(np.count_nonzero(result != expected)) for leg, result in results.items()}
    (largest,) = exact.largest.values()
    return Pushed({leg: count for leg, count in wrong.items() if count}, expected.size, largest)


def pushed_layers(file: Path) -> list[tuple[Layer, Pushed]]:
    core = openvino.Core()
    return [(layer, pushed(layer, core)) for layer in layers_of(onnx.load(file))]


def main(packages: list[str]) -> int:
    values, wrong, shares = 0, 0, []
    for package in packages:
        root = Path(package)
        for name in sorted(Package.open(root).manifest.files):
            for layer, found in pushed_layers(root / name) if name.startswith("int/") else ():
                values += 3 * found.values
                shares.append(found.largest / layer.bound)
                if found.wrong or shares[-1] > 1:
                    wrong += 1
                    print(f"{name}: {layer.name}: {found.wrong} differ, reached {found.largest} of {layer.bound}")
    reached = f"accumulators at {100 * min(shares):.0f} to {100 * max(shares):.0f} % of the bounds"
    print(f"{len(shares)} layers on their hardest inputs, {values:,} values, {reached}, {wrong} layers differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
