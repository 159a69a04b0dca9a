"""Goes through a float graph node by node, and writes what it read in integers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.certificate.refusals import refusal
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.arithmetic import on_common_units
from nvc_check.exporter.lower.flavours import FLAVOURS
from nvc_check.exporter.lower.operators import NAMED, OPERATORS
from nvc_check.exporter.lower.readers import Readers, made_for_steep
from nvc_check.exporter.lower.readout import INDEXES, ScalesOutput, read_as_indexes
from nvc_check.exporter.lower.site import ORDINARY, Role, Site
from nvc_check.exporter.lower.values import HELD, WIDE, FixedGrid, Float64, Known, Plan, PlannedLayer, noise
from nvc_check.exporter.network.graphs import LAYERS
from nvc_check.exporter.network.model import Source
from nvc_check.exporter.network.rewrite import OURS
from nvc_check.models.artifacts.package import GridTensor
from nvc_check.models.artifacts.tables import integer_thresholds
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.grid import exponent_to_hold
from nvc_check.models.precision import Precisions

LOW = -WIDE - 1
Grids = Mapping[str, FixedGrid]
Example = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class SiteLoss:
    """Signal to noise against the float graph, in dB, of what a node gives, all before it included."""

    name: str
    op_type: str
    decibels: float


def as_picture(array: NDArray[np.float32]) -> Float64:
    """(1, C, h, w); a vector (1, C) is (1, C, 1, 1)."""
    shape = (*array.shape, 1, 1) if array.ndim == 2 else array.shape
    return array.astype(np.float64).reshape(shape)


class GraphReader:
    """Goes through a float graph once, in topological order.

    Args:
        given: inputs that are on a grid by their role.
        asked: outputs that must be.
        role: of the graph.

    Raises:
        UsageError: a pattern of `precisions` that fits no layer.
    """

    def __init__(
        self,
        model: ir.Model,
        source: Source,
        examples: list[Example],
        precisions: Precisions,
        given: Grids | None = None,
        asked: Grids | None = None,
        *,
        role: Role = ORDINARY,
    ) -> None:
        self._graph, self._source = model.graph, source
        self._role = role
        self._types = {str(value.name): value.dtype for value in model.graph.inputs}
        self.inputs = {
            str(value.name): _input(value, [as_picture(each[str(value.name)]) for each in examples], given or {})
            for value in model.graph.inputs
        }
        self._plan = Plan()
        self._known = dict(self.inputs)
        self._outputs = [str(value.name) for value in model.graph.outputs]
        names = Counter(list(self.inputs))
        for node in model.graph:
            node.name = _own_name(node, names)
        if not precisions.graph:  # in one graph of several a pattern may be for another
            precisions.check(str(node.name) for node in model.graph if node.op_type in LAYERS)
        precisions = self._precisions = replace(precisions, fine=frozenset(made_for_steep(model.graph)))
        self._asked = asked or {}
        self._readers = Readers(model.graph, lambda name: precisions.of(name).activations, self._asked)
        self._fused: set[str] = set()  # outputs of Relu nodes that were made with the layer in front of them
        self._unread = Counter(str(v.name) for node in model.graph for v in node.inputs if v is not None)
        self.losses: list[SiteLoss] = []

    def read(self, node: ir.Node) -> None:
        made = self._made(node)
        for value, known in zip(node.outputs, made if isinstance(made, list) else [made], strict=False):
            self._known[str(value.name)] = known
            self.losses.append(SiteLoss(str(node.name), node.op_type, noise(known)))
        self._forget(node)

    def _made(self, node: ir.Node) -> Known | list[Known]:
        if str(node.outputs[0].name) in self._fused:
            return self._known[str(getattr(node.inputs[0], "name", ""))]
        operator = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx", OURS) else None
        if operator is None:
            said = refusal(node.op_type, node.domain)
            raise ExportRefusedError(
                f"node {node.name} ({node.op_type}): no exact integer form: {said}; it would need {said.cure}."
                f" This version has {', '.join(NAMED)}"
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
            precision=self._precisions.of(str(node.name)),
            small=self._readers.is_small(node),
            power_of_two=self._precisions.power_of_two,
            role=self._role,
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
        """The outputs, each on one grid.

        Raises:
            ExportRefusedError: a constant among them, or one whose role asks for a grid that its layer cannot give.
        """
        missing = [name for name in self._outputs if name not in self._known]
        if missing:
            raise ExportRefusedError(f"output {missing[0]}: a constant, expected what the graph computes")
        single = {name: np.zeros(self._known[name].channels, np.int64) for name in self._outputs}
        for name, grid in self._asked.items():
            if not (self._known[name].unit == grid.units(self._known[name].channels)).all():
                raise ExportRefusedError(
                    f"output {name}: not made by a layer alone, expected one behind which nothing is"
                )
        return {
            name: self._known[name]
            if name in self._asked
            else on_common_units(self._plan, self._known[name], single[name])
            for name in self._outputs
        }

    @property
    def layers(self) -> tuple[PlannedLayer, ...]:
        return tuple(self._plan.layers)

    def grid(self, name: str, known: Known) -> GridTensor:
        dtype = "int32" if self._types.get(name) == ir.DataType.INT32 else "float32"
        shape = self._source.sizes.get(name)
        return GridTensor(known.channels, int(known.unit[0]), known.low, known.high, dtype, shape)

    def follow(
        self, graph: GraphWriter, flavour: str, inputs: Mapping[str, ir.Value], values: dict[str, ir.Value]
    ) -> None:
        """Writes everything but the outputs' Casts; `values` has what others wrote, and gets all tensors."""
        for name, known in self.inputs.items():
            if name in values:
                continue
            x = graph.op("Cast", inputs[name], name=f"{name}_float", to=ir.DataType.FLOAT)
            x = graph.op("Clip", x, graph.scalar(known.low), graph.scalar(known.high), name=f"{name}_clipped")
            values[name] = self._reshaped(graph, x, [1, known.channels, 1, 1], name, len(self._source.sizes[name]))
        self._plan.follow(graph, FLAVOURS[flavour], values)

    def write(self, flavour: str, outputs: Mapping[str, Known], scales: ScalesOutput | None = None) -> ir.Model:
        """`scales`: the output that is given as indexes, if there is one."""
        inputs = {name: self.integer_input(name) for name in self.inputs}
        graph = GraphWriter(self._graph.name or "decoder", list(inputs.values()))
        values: dict[str, ir.Value] = {}
        self.follow(graph, flavour, inputs, values)
        made = []
        for value in self._graph.outputs:
            name, known = str(value.name), outputs[str(value.name)]
            if scales is not None and name == scales.name:
                steps = integer_thresholds(scales.thresholds, int(known.unit[0]))
                last, shown = read_as_indexes(graph, values[known.name], known, steps, name), INDEXES
            else:
                last = graph.op("Cast", values[known.name], name=f"{name}_int32", to=ir.DataType.INT32)
                shown = name
            rank = len(value.shape) if value.shape is not None else 4
            last = self._reshaped(graph, last, [1, known.channels], name, rank)
            shape: list[int | str] = [1, known.channels, f"{name}_height", f"{name}_width"]
            made.append((last, shown, ir.DataType.INT32, shape[:rank]))
        return graph.finish(made)

    def _reshaped(self, graph: GraphWriter, x: ir.Value, sizes: list[int], name: str, rank: int) -> ir.Value:
        """A vector as a picture, or back; nothing else."""
        if rank != 2:
            return x
        return graph.op("Reshape", x, graph.constant(np.array(sizes, np.int64), f"{name}_sizes"), name=f"{name}_shaped")

    def latent_input(self, name: str) -> ir.Value:
        """An input of a codec's graph: (1, C, height, width)."""
        shape = ir.Shape([1, self.inputs[name].channels, "height", "width"])
        return ir.Value(name=name, type=ir.TensorType(ir.DataType.INT32), shape=shape)

    def integer_input(self, name: str) -> ir.Value:
        given = next(value for value in self._source.prepared.graph.input if value.name == name)
        sizes = [dim.dim_value or dim.dim_param or None for dim in given.type.tensor_type.shape.dim]
        return ir.Value(name=name, type=ir.TensorType(ir.DataType.INT32), shape=ir.Shape(sizes))


def _own_name(node: ir.Node, names: Counter[str]) -> str:
    name = node.name or f"{node.op_type}_{node.outputs[0].name}"
    names[name] += 1
    return name if names[name] == 1 else f"{name}_{names[name]}"


def _input(value: ir.Value, real: list[Float64], given: Grids) -> Known:
    """An input on one grid: of whole numbers where the calibration has no others, else as fine as 15 bits allow."""
    low, high, grid = LOW, WIDE, given.get(str(value.name))
    peak = np.max([np.abs(each).max(initial=0) for each in real])
    unit = float(exponent_to_hold(np.asarray(peak), HELD))
    if grid is not None:
        unit, low, high = float(grid.units(1)[0]), grid.low, grid.high
    elif value.dtype == ir.DataType.INT32:
        unit = 0.0
    elif all((each == np.rint(each)).all() for each in real):
        unit = max(unit, 0.0)
    step = 2.0**unit
    integers: list[Float64] = [np.clip(np.rint(each / step), low, high) for each in real]
    return Known(str(value.name), np.full(real[0].shape[1], unit), real, integers, low, high, given=True)
