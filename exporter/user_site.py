"""One node of a user's graph: what it reads, and where its integer form is written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.layers import constant
from nvc_check.exporter.user_values import (
    Float64,
    Int64,
    Known,
    Plan,
)
from nvc_check.models.errors import ExportRefusedError


class Site:
    """One node: what it reads, what is asked of its output, and where the integer form is written down.

    Attributes:
        name: of the node, and of the integer tensor.
        labels: channels of the output with the same label must share a unit; from its number of channels.
        relu: a Relu behind the node is made with it, and only layers read the outcome.
    """

    def __init__(
        self, plan: Plan, node: ir.Node, known: dict[str, Known], labels: Callable[[int], Int64], relu: bool
    ) -> None:
        self.plan, self.node, self.labels, self.relu = plan, node, labels, relu
        self.name = str(node.name)
        self._known = known

    def tensor(self, index: int) -> Known | None:
        """The node's input where it is no constant."""
        value = self.node.inputs[index]
        return None if value is None else self._known.get(str(value.name))

    def first(self) -> Known:
        found = self.tensor(0)
        return self.refuse("its first input is a constant, expected a tensor") if found is None else found

    def per_channel(self, index: int, width: int) -> Float64:
        """A constant input, one number for all or one per channel: (width,)."""
        array = constant(self.node, index).astype(np.float64)
        shape = (1,) * (4 - array.ndim) + array.shape
        if array.ndim > 4 or shape[0] != 1 or shape[2:] != (1, 1) or shape[1] not in (1, width):
            self.refuse(f"a constant of shape {array.shape}, expected one number or one per channel")
        return np.broadcast_to(array.reshape(-1), width).copy()

    def refuse(self, why: str) -> Any:
        raise ExportRefusedError(f"node {self.name} ({self.node.op_type}): {why}")

    def moved(self, unit: Float64, move: Callable[[Float64], Float64], write: Callable[..., ir.Value]) -> Known:
        """The first input's values elsewhere; `move` does it to an array, `write` in the graph."""
        x = self.first()
        self.plan.add(self.name, lambda graph, style, values: write(graph, values[x.name]))
        real, integers = [move(each) for each in x.real], [move(each) for each in x.integers]
        return Known(self.name, unit, real, integers, x.low, x.high)
