"""A float ONNX graph -> its exact integer graphs: int32 in, int32 out, on grids that the package states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.certificate.refusals import refusal
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.arithmetic import on_common_units
from nvc_check.exporter.lower.flavours import FLAVOURS
from nvc_check.exporter.lower.operators import OPERATORS
from nvc_check.exporter.lower.readers import Readers
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.values import HELD, WIDE, Float64, Known, Plan, decibels, noise
from nvc_check.exporter.network.equalize import bends_as_relus
from nvc_check.exporter.network.model import Source, with_sizes
from nvc_check.exporter.network.rewrite import OURS, simplify
from nvc_check.exporter.network.verify import on_onnxruntime, original_outputs, other_size
from nvc_check.models.artifacts.package import GridTensor
from nvc_check.models.errors import ExportRefusedError, UsageError
from nvc_check.models.grid import exponent_to_hold

SAME = 60.0  # dB: what was read of the graph against what ONNX Runtime makes of the file; float32 rounds at 120 or so
TURNED_LEAST = 20.0
TURNED = 12.0  # dB that a picture may lose when it is turned: networks know up from down
FIXED = "sizes are fixed inside the model: export it with a fixed size"
GOOD = 32.0  # dB, over the calibration: less is worth another try
LOW = -WIDE - 1
Example = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class SiteLoss:
    """Signal to noise against the float graph, in dB, of what a node gives, all before it included."""

    name: str
    op_type: str
    decibels: float


@dataclass(frozen=True)
class CompiledGraph:
    """What is written.

    Attributes:
        graphs: flavour -> graph.
        inputs, outputs: their grids.
        noise: output -> signal to noise against ONNX Runtime's run of the original over the calibration, dB.
        losses: of every node, in the order of the graph.
        activation_bits: 8, or 16.
    """

    graphs: dict[str, ir.Model]
    inputs: dict[str, GridTensor]
    outputs: dict[str, GridTensor]
    noise: dict[str, float]
    losses: tuple[SiteLoss, ...]
    activation_bits: int


def compile_graph(source: Source, examples: list[Example], activation_bits: int = 8) -> CompiledGraph:
    """The integer form, with activations of 8 or 16 bits.

    Args:
        examples: inputs by name, each of the shape that the original has, with batch 1.
        activation_bits: 8, or 16, which layers read in limbs: nearer to float, and slower.

    Raises:
        ExportRefusedError: an operator or attribute without exact form, by name, with what would make it exact; a bound
            that cannot hold; a graph that was read as another than ONNX Runtime runs.
        UsageError: an example of a wrong shape.
    """
    _check_examples(source, examples)
    wanted = list(original_outputs(source, examples))
    made = _compiled(source, examples, wanted, fine=activation_bits > 8, apart=False)
    if min(made.noise.values()) < GOOD:
        # LeakyRelu and PRelu as Relus are nearer to float, and slower
        other = _compiled(source, examples, wanted, fine=activation_bits > 8, apart=True)
        made = max(made, other, key=lambda each: min(each.noise.values()))
    if source.open_size:
        _check_other_size(source, made, examples[0])
    return made


def _check_other_size(source: Source, made: CompiledGraph, example: Example) -> None:
    """Raises ExportRefusedError where sizes of the calibration went into the graph."""
    turned = other_size(example)
    if turned is None:
        return
    try:
        wanted = next(original_outputs(source, [turned]))
    except ExportRefusedError:
        return  # ONNX Runtime cannot run the file at that size either
    steps = {
        name: np.clip(np.rint(np.ldexp(turned[name].astype(np.float64), -grid.exponent)), grid.low, grid.high)
        for name, grid in made.inputs.items()
    }
    given = {name: array.astype(np.int32) for name, array in steps.items()}
    sizes = ", ".join(f"{name} {array.shape}" for name, array in turned.items())
    try:
        found = on_onnxruntime(ir.to_proto(made.graphs["qdq"]).SerializeToString(), given)
    except Exception as error:  # ONNX Runtime raises classes of its own
        line = (str(error).splitlines() or [repr(error)])[0]
        raise ExportRefusedError(f"{source.name}: does not run on {sizes} ({line}); {FIXED}") from error
    for (name, grid), integers in zip(made.outputs.items(), found, strict=True):
        if integers.shape != wanted[name].shape:
            raise ExportRefusedError(
                f"output {name}: {integers.shape} of {sizes}, where ONNX Runtime gives {wanted[name].shape}; {FIXED}"
            )
        near = decibels([wanted[name].astype(np.float64)], [np.ldexp(integers.astype(np.float64), grid.exponent)])
        if near < min(made.noise[name] - TURNED, TURNED_LEAST):
            raise ExportRefusedError(
                f"output {name}: {near:.0f} dB from float of {sizes}, {made.noise[name]:.0f} in calibration; {FIXED}"
            )


def _compiled(
    source: Source, examples: list[Example], wanted: list[dict[str, NDArray[np.float32]]], *, fine: bool, apart: bool
) -> CompiledGraph:
    model = with_sizes(source.prepared, examples[0])
    simplify(model.graph, open_size=source.open_size)
    if apart:
        bends_as_relus(model.graph)
    reader = _Reader(model, source, examples, fine=fine)
    for node in list(model.graph):
        reader.read(node)
    outputs = reader.finish()
    for name, known in outputs.items():
        _check_read(name, known, [each[name] for each in wanted])
    return CompiledGraph(
        {flavour: reader.write(flavour, outputs) for flavour in FLAVOURS},
        {name: reader.grid(name, known) for name, known in reader.inputs.items()},
        {name: reader.grid(name, known) for name, known in outputs.items()},
        {name: decibels([_as_picture(each[name]) for each in wanted], known.made()) for name, known in outputs.items()},
        tuple(reader.losses),
        16 if fine else 8,
    )


def _check_examples(source: Source, examples: list[Example]) -> None:
    if not examples:
        raise UsageError("calibration: no examples, expected at least one")
    for example in examples:
        for name, expected in source.sizes.items():
            found = example[name].shape
            fits = len(found) == len(expected) and all(w in (None, f) for w, f in zip(expected, found, strict=True))
            if not fits:
                shown = ", ".join("any" if size is None else str(size) for size in expected)
                raise UsageError(f"input {name}: calibration of shape {found}, expected ({shown})")


def _check_read(name: str, known: Known, wanted: list[NDArray[np.float32]]) -> None:
    expected = [_as_picture(each) for each in wanted]
    for mine, theirs in zip(known.real, expected, strict=True):
        if mine.shape != theirs.shape:
            raise ExportRefusedError(
                f"output {name}: read as {mine.shape}, but ONNX Runtime gives {theirs.shape} for the file as it is"
            )
    # against its size, not its variance: of an output that hardly varies float32's last bits are most of that
    error = sum(float(((a - b) ** 2).sum()) for a, b in zip(expected, known.real, strict=True))
    size = sum(float((each**2).sum()) for each in expected)
    found = 10 * np.log10(max(size, 1e-30) / max(error, 1e-30)) if error else SAME
    if found < SAME:
        raise ExportRefusedError(
            f"output {name}: read as another function than ONNX Runtime runs ({found:.0f} dB apart); export the model"
            " with explicit attributes (pads, scales, coordinate_transformation_mode)"
        )


def _as_picture(array: NDArray[np.float32]) -> Float64:
    """(1, C, h, w); a vector (1, C) is (1, C, 1, 1)."""
    shape = (*array.shape, 1, 1) if array.ndim == 2 else array.shape
    return array.astype(np.float64).reshape(shape)


class _Reader:
    """Goes through a float graph once, in topological order."""

    def __init__(self, model: ir.Model, source: Source, examples: list[Example], *, fine: bool) -> None:
        self._graph, self._source, self._fine = model.graph, source, fine
        self._types = {str(value.name): value.dtype for value in model.graph.inputs}
        self.inputs = {
            str(value.name): _input(value, [_as_picture(each[str(value.name)]) for each in examples])
            for value in model.graph.inputs
        }
        self._plan = Plan()
        self._known = dict(self.inputs)
        self._outputs = [str(value.name) for value in model.graph.outputs]
        self._readers = Readers(model.graph)
        self._fused: set[str] = set()  # outputs of Relu nodes that were made with the layer in front of them
        self._unread = Counter(str(v.name) for node in model.graph for v in node.inputs if v is not None)
        self._names = Counter(list(self.inputs))
        self.losses: list[SiteLoss] = []

    def read(self, node: ir.Node) -> None:
        node.name = self._own_name(node)
        made = self._made(node)
        for value, known in zip(node.outputs, made if isinstance(made, list) else [made], strict=False):
            self._known[str(value.name)] = known
            self.losses.append(SiteLoss(str(node.name), node.op_type, noise(known)))
        self._forget(node)

    def _own_name(self, node: ir.Node) -> str:
        name = node.name or f"{node.op_type}_{node.outputs[0].name}"
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}_{self._names[name]}"

    def _made(self, node: ir.Node) -> Known | list[Known]:
        if str(node.outputs[0].name) in self._fused:
            return self._known[str(getattr(node.inputs[0], "name", ""))]
        operator = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx", OURS) else None
        if operator is None:
            said = refusal(node.op_type, node.domain)
            raise ExportRefusedError(
                f"node {node.name} ({node.op_type}): no exact integer form: {said}; it would need {said.cure}."
                f" This version has {', '.join(OPERATORS)}"
            )
        relu = self._readers.relu_behind(node)
        if relu is not None:
            self._fused.add(str(relu.name))
        asked = self._readers.asked(node.outputs[0] if relu is None else relu)
        share = self._readers.share(node)
        site = Site(
            self._plan,
            node,
            self._known,
            asked,
            relu=relu is not None,
            share=share,
            open_size=self._source.open_size,
            fine=self._fine or self._readers.is_small(node),
        )
        made = operator(site)
        site.check_all_read()
        if not isinstance(made, list) and any(value.uses() for value in node.outputs[1:]):
            site.refuse("a second output that is read, expected the first one only")
        return made

    def _forget(self, node: ir.Node) -> None:
        """Calibration values that nothing reads any more: they are most of the memory."""
        for value in node.inputs:
            name = "" if value is None else str(value.name)
            self._unread[name] -= 1
            if name in self._known and not self._unread[name] and name not in (*self._outputs, *self.inputs):
                gone = self._known.pop(name)
                live = {id(held) for known in self._known.values() for held in (known.real, known.integers)}
                for held in (gone.real, gone.integers):
                    if id(held) not in live:
                        held.clear()

    def finish(self) -> dict[str, Known]:
        """The outputs, each on one grid."""
        missing = [name for name in self._outputs if name not in self._known]
        if missing:
            raise ExportRefusedError(f"output {missing[0]}: a constant, expected what the graph computes")
        single = {name: np.zeros(self._known[name].channels, np.int64) for name in self._outputs}
        return {name: on_common_units(self._plan, self._known[name], single[name]) for name in self._outputs}

    def grid(self, name: str, known: Known) -> GridTensor:
        dtype = "int32" if self._types.get(name) == ir.DataType.INT32 else "float32"
        shape = self._source.sizes.get(name)
        return GridTensor(known.channels, int(known.unit[0]), known.low, known.high, dtype, shape)

    def write(self, flavour: str, outputs: Mapping[str, Known]) -> ir.Model:
        inputs = {name: self._integer_input(name) for name in self.inputs}
        graph = GraphWriter(self._graph.name or "decoder", list(inputs.values()))
        values = {}
        for name, value in inputs.items():
            x = graph.op("Cast", value, name=f"{name}_float", to=ir.DataType.FLOAT)
            known = self.inputs[name]
            x = graph.op("Clip", x, graph.scalar(known.low), graph.scalar(known.high), name=f"{name}_clipped")
            values[name] = self._reshaped(graph, x, [1, known.channels, 1, 1], name, len(self._source.sizes[name]))
        self._plan.follow(graph, FLAVOURS[flavour], values)
        made = []
        for value in self._graph.outputs:
            name, known = str(value.name), outputs[str(value.name)]
            last = graph.op("Cast", values[known.name], name=f"{name}_int32", to=ir.DataType.INT32)
            rank = len(value.shape) if value.shape is not None else 4
            last = self._reshaped(graph, last, [1, known.channels], name, rank)
            shape: list[int | str] = [1, known.channels, f"{name}_height", f"{name}_width"]
            made.append((last, name, ir.DataType.INT32, shape[:rank]))
        return graph.finish(made)

    def _reshaped(self, graph: GraphWriter, x: ir.Value, sizes: list[int], name: str, rank: int) -> ir.Value:
        """A vector as a picture, or back; nothing else."""
        if rank != 2:
            return x
        return graph.op("Reshape", x, graph.constant(np.array(sizes, np.int64), f"{name}_sizes"), name=f"{name}_shaped")

    def _integer_input(self, name: str) -> ir.Value:
        given = next(value for value in self._source.prepared.graph.input if value.name == name)
        sizes = [dim.dim_value or dim.dim_param or None for dim in given.type.tensor_type.shape.dim]
        return ir.Value(name=name, type=ir.TensorType(ir.DataType.INT32), shape=ir.Shape(sizes))


def _input(value: ir.Value, real: list[Float64]) -> Known:
    """An input on one grid: of whole numbers where the calibration has no others, else as fine as 15 bits allow."""
    peak = np.max([np.abs(each).max(initial=0) for each in real])
    unit = float(exponent_to_hold(np.asarray(peak), HELD))
    if value.dtype == ir.DataType.INT32:
        unit = 0.0
    elif all((each == np.rint(each)).all() for each in real):
        unit = max(unit, 0.0)
    step = 2.0**unit
    integers: list[Float64] = [np.clip(np.rint(each / step), LOW, WIDE) for each in real]
    return Known(str(value.name), np.full(real[0].shape[1], unit), real, integers, LOW, WIDE, given=True)
