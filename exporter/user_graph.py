"""A user's float ONNX decoder -> its exact integer graphs: int32 in, int32 out, on grids that the package states.

Any graph of tensors (1, C, h, w) made of the operators in user_operators.OPERATORS; weights are constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import onnxscript.optimizer
from numpy.typing import NDArray
from onnx_ir.passes.common import LiftConstantsToInitializersPass

from nvc_check.exporter.certificate_refusals import refusal
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.integer_graph import FLAVOURS
from nvc_check.exporter.user_moves import pixel_labels
from nvc_check.exporter.user_operators import OPERATORS
from nvc_check.exporter.user_site import Site
from nvc_check.exporter.user_values import (
    HELD,
    HIGH,
    LOW,
    Float64,
    Int64,
    Known,
    Plan,
    column,
    on_common_units,
)
from nvc_check.models.errors import ExportRefusedError, UsageError
from nvc_check.models.grid import exponent_to_hold
from nvc_check.models.package import GridTensor

OPSETS = range(11, 24)
UNARY = ("Cast", "Clip", "Identity", "LeakyRelu", "Pad", "Relu", "Resize")  # channels stay what they are
MOVES = ("Concat", "DepthToSpace", "Pad", "Resize", "Slice", "Split")
LAYERS = ("Conv", "ConvTranspose")


@dataclass(frozen=True)
class UserGraph:
    """What is written: flavour -> graph, and the grids of inputs and outputs.

    `noise`: output -> signal to noise against the float graph over the calibration, dB.
    """

    graphs: dict[str, ir.Model]
    inputs: dict[str, GridTensor]
    outputs: dict[str, GridTensor]
    noise: dict[str, float]


def quantize_user_graph(model: ir.Model, calibration: list[Mapping[str, NDArray[np.float32]]]) -> UserGraph:
    """The integer form.

    Args:
        model: float32 graph; its inputs (1, C, h, w) with C known; weights inside. It is simplified in place.
        calibration: inputs by name, (1, C, h, w) each.

    Raises:
        ExportRefusedError: an operator without exact form, by name, with what would make it exact; a bound that cannot
            hold.
    """
    onnxscript.optimizer.optimize(model)  # folds constants, and BatchNormalization into convolutions
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    opset = model.graph.opset_imports.get("", 0)
    if opset not in OPSETS:
        raise ExportRefusedError(f"opset {opset}, expected {OPSETS.start} to {OPSETS.stop - 1}: convert the model")
    reader = _Reader(model, calibration)
    for node in model.graph:
        reader.read(node)
    outputs = reader.finish()
    return UserGraph(
        {flavour: reader.write(flavour, outputs) for flavour in FLAVOURS},
        {name: _grid(known, reader.dtypes[name]) for name, known in reader.inputs.items()},
        {name: _grid(known, "float32") for name, known in outputs.items()},
        {name: _noise(known) for name, known in outputs.items()},
    )


def _grid(known: Known, dtype: str) -> GridTensor:
    return GridTensor(known.channels, int(known.unit[0]), LOW, HIGH, dtype)


def _noise(known: Known) -> float:
    """Signal to noise in dB, the signal's mean apart."""
    real = np.concatenate([each.reshape(-1) for each in known.real])
    made = np.concatenate([(each * np.exp2(column(known.unit))).reshape(-1) for each in known.integers])
    smallest = 1e-30
    return float(10 * np.log10(max(np.var(real), smallest) / max(np.mean((made - real) ** 2), smallest)))


class _Reader:
    """Goes through a float graph once, in topological order."""

    def __init__(self, model: ir.Model, calibration: list[Mapping[str, NDArray[np.float32]]]) -> None:
        self._graph = model.graph
        given = [value for value in model.graph.inputs if value.const_value is None]
        self.inputs = {str(value.name): _input(value, calibration) for value in given}
        self._plan = Plan()
        self.dtypes = {str(v.name): "int32" if v.dtype == ir.DataType.INT32 else "float32" for v in given}
        self._known = dict(self.inputs)
        self._outputs = [str(value.name) for value in model.graph.outputs]
        self._fused: set[str] = set()  # outputs of Relu nodes that were made with the layer in front of them

    def read(self, node: ir.Node) -> None:
        node.name = node.name or f"{node.op_type}_{node.outputs[0].name}"
        if str(node.outputs[0].name) in self._fused:
            self._known[str(node.outputs[0].name)] = self._known[str(getattr(node.inputs[0], "name", ""))]
            return
        operator = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if operator is None:
            said = refusal(node.op_type, node.domain)
            raise ExportRefusedError(
                f"node {node.name} ({node.op_type}): no exact integer form: {said}; it would need {said.cure}."
                f" This version has {', '.join(OPERATORS)}"
            )
        relu = self._relu_behind(node)
        if relu is not None:
            self._fused.add(str(relu.name))
        output = node.outputs[0] if relu is None else relu
        site = Site(self._plan, node, self._known, lambda width: self._labels(output, width), relu is not None)
        made = operator(site)
        for value, known in zip(node.outputs, made if isinstance(made, list) else [made], strict=True):
            self._known[str(value.name)] = known

    def finish(self) -> dict[str, Known]:
        """The outputs, each on one grid."""
        missing = [name for name in self._outputs if name not in self._known]
        if missing:
            raise ExportRefusedError(f"output {missing[0]}: a constant, expected what the graph computes")
        single = {name: np.zeros(self._known[name].channels, np.int64) for name in self._outputs}
        return {name: on_common_units(self._plan, self._known[name], single[name]) for name in self._outputs}

    def write(self, flavour: str, outputs: Mapping[str, Known]) -> ir.Model:
        inputs, values = {}, {}
        for value in self._graph.inputs:
            if value.name in self.inputs:
                typed = ir.TensorType(ir.DataType.INT32)
                inputs[value.name] = ir.Value(name=value.name, type=typed, shape=value.shape)
        graph = GraphWriter(self._graph.name or "decoder", list(inputs.values()))
        for name, value in inputs.items():
            x = graph.op("Cast", value, name=f"{name}_float", to=ir.DataType.FLOAT)
            values[name] = graph.op("Clip", x, graph.scalar(LOW), graph.scalar(HIGH), name=f"{name}_clipped")
        self._plan.follow(graph, FLAVOURS[flavour], values)
        made = []
        for value in self._graph.outputs:
            known = outputs[str(value.name)]
            last = graph.op("Cast", values[known.name], name=f"{value.name}_int32", to=ir.DataType.INT32)
            shape: list[int | str] = [1, known.channels, f"{value.name}_height", f"{value.name}_width"]
            made.append((last, str(value.name), ir.DataType.INT32, shape))
        return graph.finish(made)

    def _relu_behind(self, node: ir.Node) -> ir.Value | None:
        """What a Relu makes of a layer's output, if nothing else reads that and only layers read the outcome."""
        if node.op_type not in LAYERS or str(node.outputs[0].name) in self._outputs:
            return None
        readers = [use.node for use in node.outputs[0].uses()]
        if [reader.op_type for reader in readers] != ["Relu"]:
            return None
        value = readers[0].outputs[0]
        return value if self._only_layers_read(value) else None

    def _only_layers_read(self, value: ir.Value) -> bool:
        if str(value.name) in self._outputs:
            return False
        return all(
            use.node.op_type in LAYERS
            or (use.node.op_type in MOVES and all(self._only_layers_read(moved) for moved in use.node.outputs))
            for use in value.uses()
        )

    def _labels(self, value: ir.Value, width: int) -> Int64:
        """(width,) channels that must share a unit have the same label, counted from 0."""
        labels = np.arange(width)
        if str(value.name) in self._outputs:
            return np.zeros_like(labels)
        for use in value.uses():
            node = use.node
            if node.op_type == "DepthToSpace":
                pixels = pixel_labels(node, width)
                labels = _joined(labels, self._labels(node.outputs[0], int(pixels.max()) + 1)[pixels])
            elif node.op_type in UNARY:
                labels = _joined(labels, self._labels(node.outputs[0], width))
        return labels


def _joined(a: Int64, b: Int64) -> Int64:
    """Labels that are equal wherever those of `a` or of `b` are."""
    joined = np.arange(len(a))
    for _ in range(len(a)):
        before = joined.copy()
        for labels in (a, b):
            lowest = np.full(len(labels), len(labels))
            np.minimum.at(lowest, labels, joined)
            joined = lowest[labels]
        if (joined == before).all():
            break
    found: Int64 = np.unique(joined, return_inverse=True)[1].reshape(-1)
    return found


def _input(value: ir.Value, calibration: list[Mapping[str, NDArray[np.float32]]]) -> Known:
    """An input on one grid: of whole numbers where the calibration has no others, else as fine as 15 bits allow."""
    name, shape = str(value.name), value.shape
    channels = shape[1] if shape is not None and len(shape) == 4 else None
    if not isinstance(channels, int) or (shape is not None and isinstance(shape[0], int) and shape[0] != 1):
        raise ExportRefusedError(f"input {name}: shape {shape}, expected (1, C, h, w) with C a number")
    real = []
    for example in calibration:
        found = example[name].astype(np.float64)
        if found.ndim != 4 or found.shape[:2] != (1, channels):
            raise UsageError(f"input {name}: calibration of shape {found.shape}, expected (1, {channels}, h, w)")
        real.append(found)
    peak = np.max([np.abs(each).max(initial=0) for each in real])
    unit = float(exponent_to_hold(np.asarray(peak), HELD))
    if value.dtype == ir.DataType.INT32:
        unit = 0.0
    elif all((each == np.rint(each)).all() for each in real):
        unit = max(unit, 0.0)
    step = 2.0**unit
    integers: list[Float64] = [np.clip(np.rint(each / step), LOW, HIGH) for each in real]
    return Known(name, np.full(channels, unit), real, integers, LOW, HIGH)
