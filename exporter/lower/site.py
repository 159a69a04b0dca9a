"""One node of a float graph: what it reads, what is asked of its output, and where its integer form is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.flavours import Flavour
from nvc_check.exporter.lower.values import FixedGrid, Float64, Int64, Known, Plan, PlannedLayer
from nvc_check.exporter.quantize.fitting import IntegerConvolution
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.precision import Precision


@dataclass(frozen=True)
class Asked:
    """What the rest of the graph asks of a tensor.

    Attributes:
        labels: from its number of channels: those with the same label must share a unit.
        final: it becomes an output of the graph without another convolution, or is one.
        reach: real values beyond (low, high) make no difference to those that read it.
        slopes: (C,) of the one activation that reads it, a LeakyRelu or PRelu; None where there is another reader.
        bits: the most that a layer reads of it.
        grid: it is an output of the graph, and nothing else, that must be on this grid.
    """

    labels: Callable[[int], Int64]
    final: bool
    reach: tuple[float, float]
    slopes: Callable[[int], Float64] | None = None
    bits: int = 8
    grid: FixedGrid | None = None


@dataclass(frozen=True)
class Role:
    """What all sites of a graph are computed with, because of what the graph is for.

    Attributes:
        rounded_once: LeakyRelu and PRelu are computed on sums of 16 bits, not of 8, and read in the form that loses
            least: nearer to float, and slower.
        keeps_peaks: 8 bits behind a Relu hold all that the calibration has, though finer steps had a smaller squared
            error. A lossy codec has made its pictures flatter already; what saturates makes them flatter still, and
            against the original these two errors add up as they are, not as their squares.
    """

    rounded_once: bool = False
    keeps_peaks: bool = False


ORDINARY = Role()


class Site:
    """A node, and its attributes, every one of which has to be read.

    Attributes:
        name: of the node, and of the integer tensor.
        relu: a Relu behind the node is made with it, and only layers read the outcome.
        share: of the multiplications of the whole graph, this node's.
        open_size: the graph takes pictures of any size.
        precision: of a layer.
        small: 16 bits cost next to nothing here.
        power_of_two: of the scales of 8 bits; see Precisions.
        role: of its graph.
    """

    def __init__(
        self,
        plan: Plan,
        node: ir.Node,
        known: dict[str, Known],
        asked: Asked,
        *,
        relu: bool,
        share: float,
        open_size: bool,
        precision: Precision,
        small: bool,
        power_of_two: bool,
        role: Role,
    ) -> None:
        self.plan, self.node, self.asked = plan, node, asked
        self.relu, self.share, self.open_size = relu, share, open_size
        self.precision, self.small = precision, small
        self.power_of_two, self.role = power_of_two, role
        self.name = str(node.name)
        self._known = known
        self._read: set[str] = set()

    def tensor(self, index: int) -> Known | None:
        """The node's input where it is no constant."""
        value = self.node.inputs[index] if index < len(self.node.inputs) else None
        return None if value is None else self._known.get(str(value.name))

    def first(self) -> Known:
        found = self.tensor(0)
        return self.refuse("its first input is a constant, expected a tensor") if found is None else found

    def has(self, index: int) -> bool:
        return index < len(self.node.inputs) and self.node.inputs[index] is not None

    def constant(self, index: int) -> Any:
        value = self.node.inputs[index] if self.has(index) else None
        if value is None or value.const_value is None:
            self.refuse(f"input {index} is computed, expected a constant")
        return value.const_value.numpy()

    def attribute(self, name: str, default: Any) -> Any:
        self._read.add(name)
        found = self.node.attributes.get(name)
        if found is None:
            return default
        value = found.value
        return list(value) if isinstance(value, (tuple, list)) else value

    def check_all_read(self) -> None:
        """Raises ExportRefusedError where the node has an attribute that nothing asked for."""
        left = sorted(set(self.node.attributes) - self._read)
        if left:
            self.refuse(f"attribute {left[0]} has no integer form in this version; export the model without it")

    def per_channel(self, index: int, width: int) -> Float64:
        """A constant input, one number for all or one per channel: (width,)."""
        array = np.asarray(self.constant(index)).astype(np.float64)
        shape = (1,) * (4 - array.ndim) + array.shape
        if self.is_vector() and array.ndim <= 2 and array.size in (1, width):
            return np.broadcast_to(array.reshape(-1), width).copy()
        if array.ndim > 4 or shape[0] != 1 or shape[2:] != (1, 1) or shape[1] not in (1, width):
            self.refuse(f"a constant of shape {array.shape}, expected one number or one per channel, (C, 1, 1)")
        return np.broadcast_to(array.reshape(-1), width).copy()

    def is_vector(self) -> bool:
        """Whether what the node gives has no more than two dimensions, (1, C)."""
        shape = self.node.outputs[0].shape
        return shape is not None and len(shape) <= 2

    def refuse(self, why: str) -> NoReturn:
        raise ExportRefusedError(f"node {self.name} ({self.node.op_type}): {why}")

    def planned(self, read: list[Known], kernels: list[tuple[IntegerConvolution, str]], unit: Float64) -> None:
        """Writes down what stands in this layer's place."""
        inputs = np.concatenate([each.unit for each in read])
        reach = max((each.zero or 0) + max(each.high, 0) for each in read)
        bounds = [
            np.abs(made.weight).reshape(len(made.weight), -1).sum(axis=1).max() * reach + np.abs(made.bias).max()
            for made, _ in kernels
        ]
        layer = PlannedLayer(
            self.name,
            self.node.op_type,
            str(self.precision),
            (int(inputs.min()), int(inputs.max())),
            (int(unit.min()), int(unit.max())),
            int(max(bounds)),
            tuple(kernel for _, kernel in kernels),
            self.share,
        )
        self.plan.layers.append(layer)

    def moved(
        self,
        x: Known,
        unit: Float64,
        move: Callable[[Float64], Float64],
        write: Callable[[GraphWriter, ir.Value, int], ir.Value],  # the last: what stands for 0
        name: str = "",
    ) -> Known:
        """x's values elsewhere; `move` does it to an array, `write` in the graph."""
        name = name or self.name

        def follow(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
            integers, zero = style.stored(values[x.name], x.zero)
            return style.dequantized(graph, write(graph, integers, zero), x.zero, name)

        self.plan.add(name, follow)
        real, integers = [move(each) for each in x.real], [move(each) for each in x.integers]
        return Known(name, unit, real, integers, x.low, x.high, x.zero)
