"""Random small integer graphs out of the operators in use, most of them near the edge of what is exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from property.random_layers import RandomLayers, Tensor

OPSET = 18
SIDE = 6
KINDS = {"int32": TensorProto.INT32, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8}


class RandomGraph(RandomLayers):
    """Draws nodes until there are `size`; `model` is the checked ONNX model, `inputs` one set of hard inputs."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        kind = str(self.rng.choice(list(KINDS)))
        shape = (1, int(self.rng.choice([1, 2, 4])), SIDE, SIDE)
        self.pool = [self._input(kind, shape)]
        for _ in range(int(self.rng.integers(2, 9))):
            self._draw()
        self.model = self._finish(kind, shape)
        limits = np.iinfo(kind)
        x = self.rng.integers(limits.min, limits.max, shape, endpoint=True)
        near = self.rng.integers(-9, 10, shape).clip(limits.min, limits.max)
        x = np.where(self.rng.random(shape) < 0.5, x, near)
        x.reshape(-1)[:2] = limits.min, limits.max
        self.inputs = {"x": x.astype(kind)}

    def _input(self, kind: str, shape: tuple[int, ...]) -> Tensor:
        x = self._op("Cast", ["x"], to=TensorProto.FLOAT)
        reach = int(self.rng.choice([1, 7, 100, 255, 2047]))
        low = int(self.rng.choice([0, -reach]))
        return Tensor(self._op("Clip", [x, self._constant(low), self._constant(reach)]), shape)

    def _one(self) -> Tensor:
        return self.pool[int(self.rng.integers(max(0, len(self.pool) - 3), len(self.pool)))]

    def _draw(self) -> None:
        makers: list[Callable[[Tensor], Tensor | None]] = [
            *(self._affine, self._affine, self._binary, self._round, self._clip, self._activation, self._convolution),
            *(self._convolution, self._quantized, self._quantized, self._integer_layer, self._layout, self._layout),
            *(self._select, self._table, self._matmul, self._sum, self._smooth),
        ]
        makers += [self._side_by_side] * 2 * self.newest
        maker = makers[int(self.rng.integers(len(makers)))]
        if maker.__name__ == "_smooth" and self.rng.random() < 0.7:
            return
        made = maker(self._one())
        if made is not None:
            self.pool.append(made)

    def _affine(self, x: Tensor) -> Tensor:
        if self.rng.random() < 0.3:
            value: Any = self.rng.integers(-9, 10, (x.shape[1], 1, 1)) * self._power()
        else:
            value = float(self.rng.choice([1, 1, 1, 3, -1, 5, 100])) * self._power(-12, 12)
        operator = str(self.rng.choice(["Mul", "Add", "Sub", "Mul", "Div"], p=[0.35, 0.25, 0.2, 0.15, 0.05]))
        if operator == "Mul" and self.rng.random() < 0.6:
            value = self._power()
        if operator == "Div":
            value = self._power()
        constant = self._constant(value)
        swapped = operator in ("Mul", "Add") and self.rng.random() < 0.2
        return Tensor(self._op(operator, [constant, x.name] if swapped else [x.name, constant]), x.shape)

    def _binary(self, x: Tensor) -> Tensor | None:
        same = [t for t in self.pool if t.shape == x.shape]
        other = same[int(self.rng.integers(len(same)))]
        operator = str(self.rng.choice(["Add", "Sub", "Mul", "Min", "Max"]))
        return Tensor(self._op(operator, [x.name, other.name]), x.shape)

    def _round(self, x: Tensor) -> Tensor:
        return Tensor(self._op(str(self.rng.choice(["Floor", "Ceil", "Round"])), [x.name]), x.shape)

    def _clip(self, x: Tensor) -> Tensor:
        high = float(self.rng.choice([1, 15, 127, 255])) * self._power(-3, 3)
        low = float(self.rng.choice([0, -high, -1]))
        if self.rng.random() < 0.2:
            return Tensor(self._op("Clip", [x.name, "", self._constant(high)]), x.shape)
        return Tensor(self._op("Clip", [x.name, self._constant(low), self._constant(high)]), x.shape)

    def _activation(self, x: Tensor) -> Tensor:
        operator = str(self.rng.choice(["Relu", "LeakyRelu", "Abs", "Neg"]))
        slope = {"alpha": float(self.rng.choice([0.125, 0.01, 0.5]))} if operator == "LeakyRelu" else {}
        return Tensor(self._op(operator, [x.name], **slope), x.shape)

    def _layout(self, x: Tensor) -> Tensor | None:
        _, c, h, w = x.shape
        flat = (1, 1, c * h, w)
        choices: list[Callable[[], Tensor | None]] = [
            lambda: Tensor(self._op("Transpose", [x.name], perm=[0, 1, 3, 2]), (1, c, w, h)),
            lambda: Tensor(self._op("Transpose", [x.name], perm=[0, 2, 1, 3]), (1, h, c, w)),
            lambda: (
                Tensor(self._op("Reshape", [x.name, self._constant(flat, np.int64)]), flat) if c * h <= 64 else None
            ),
            lambda: self._pixels(x),
            lambda: self._pad(x),
            lambda: self._sliced(x, 2, 2) if h > 2 else None,
            lambda: self._sliced(x, 1, 1) if c > 1 else None,
            lambda: self._joined(x) if c <= 4 else None,
        ]
        return choices[int(self.rng.integers(len(choices)))]()

    def _pixels(self, x: Tensor) -> Tensor | None:
        _, c, h, w = x.shape
        if c % 4:
            return None
        mode = str(self.rng.choice(["DCR", "CRD"]))
        return Tensor(self._op("DepthToSpace", [x.name], blocksize=2, mode=mode), (1, c // 4, 2 * h, 2 * w))

    def _pad(self, x: Tensor) -> Tensor:
        _, c, h, w = x.shape
        mode = str(self.rng.choice(["constant", "edge", "reflect"])) if min(h, w) > 1 else "edge"
        pads = self._constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
        inputs = [x.name, pads, self._constant(2.5)] if mode == "constant" else [x.name, pads]
        return Tensor(self._op("Pad", inputs, mode=mode), (1, c, h + 2, w + 2))

    def _sliced(self, x: Tensor, axis: int, step: int) -> Tensor:
        vectors = [self._constant([v], np.int64) for v in (1, x.shape[axis], axis, step)]
        kept = len(range(1, x.shape[axis], step))
        shape = tuple(kept if i == axis else size for i, size in enumerate(x.shape))
        return Tensor(self._op("Slice", [x.name, *vectors]), shape)

    def _joined(self, x: Tensor) -> Tensor:
        other = next(t for t in self.pool[::-1] if t.shape[2:] == x.shape[2:])
        _, c, h, w = x.shape
        return Tensor(self._op("Concat", [x.name, other.name], axis=1), (1, c + other.shape[1], h, w))

    def _select(self, x: Tensor) -> Tensor:
        operator = str(self.rng.choice(["Less", "Greater", "Equal", "GreaterOrEqual"]))
        condition = self._op(operator, [x.name, self._constant(self.rng.integers(-3, 4))])
        if self.rng.random() < 0.3:
            condition = self._op("Not", [condition])
        same = [t for t in self.pool if t.shape == x.shape]
        other = same[int(self.rng.integers(len(same)))].name if self.rng.random() < 0.5 else self._constant(7.5)
        return Tensor(self._op("Where", [condition, x.name, other]), x.shape)

    def _table(self, x: Tensor) -> Tensor:
        """Integers within the table as indexes of a Gather."""
        size = int(self.rng.choice([16, 256]))
        whole = self._op("Clip", [self._op("Floor", [x.name]), self._constant(0), self._constant(size - 1)])
        index = self._op("Cast", [whole], to=TensorProto.INT32)
        values = self.rng.integers(-1000, 1000, size) * self._power()
        return Tensor(self._op("Gather", [self._constant(values), index], axis=0), x.shape)

    def _sum(self, x: Tensor) -> Tensor:
        operator, axis = str(self.rng.choice(["ReduceSum", "ReduceMax"])), int(self.rng.choice([1, 2, 3]))
        if self.newer and self.rng.random() < 0.4:
            return Tensor(self._op("CumSum", [x.name, self._constant(axis, np.int64)]), x.shape)
        shape = tuple(1 if i == axis else size for i, size in enumerate(x.shape))
        if operator == "ReduceMax":
            return Tensor(self._op(operator, [x.name, self._constant([axis], np.int64)], keepdims=1), shape)
        return Tensor(self._op(operator, [x.name, self._constant([axis], np.int64)], keepdims=1), shape)

    def _smooth(self, x: Tensor) -> Tensor:
        return Tensor(self._op(str(self.rng.choice(["Sigmoid", "Tanh"])), [x.name]), x.shape)

    def _finish(self, kind: str, shape: tuple[int, ...]) -> onnx.ModelProto:
        """Every tensor that no node reads is an output; nodes behind what was given up are left out."""
        known = {t.name for t in self.pool}
        read = {name for node in self.nodes for name in node.input}
        ends = [t for t in self.pool if t.name not in read] or [self.pool[-1]]
        needed, kept = {t.name for t in ends}, []
        for node in self.nodes[::-1]:
            if set(node.output) & (needed | (known & read)):
                kept.append(node)
                needed.update(node.input)
        used = {name for node in kept for name in node.input}
        graph = helper.make_graph(
            kept[::-1],
            "random",
            [helper.make_tensor_value_info("x", KINDS[kind], shape)],
            [helper.make_tensor_value_info(t.name, TensorProto.FLOAT, t.shape) for t in ends],
            [item for item in self.constants if item.name in used],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        return model
