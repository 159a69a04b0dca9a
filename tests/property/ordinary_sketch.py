"""What the small integer graphs of ordinary_graphs.py are sketched with."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from property.variant_drafts import Arrays, Draft

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
UINT8, INT8, BOOL = TensorProto.UINT8, TensorProto.INT8, TensorProto.BOOL
SHAPE = (1, 4, 6, 8)
CHANNELS = SHAPE[1]
ZERO = np.uint8(0)
NEAREST: dict[str, Any] = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
SAME: dict[str, Any] = {"pads": [1, 1, 1, 1]}  # of a 3x3 kernel
HALVED: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}


@dataclass(frozen=True)
class OrdinaryGraph:
    """A checked model and sets of inputs for it: the whole range of their types, then all lowest, then all highest."""

    kind: str
    name: str
    model: onnx.ModelProto
    inputs: tuple[Arrays, ...]


class Sketch(Draft):
    """A graph on the way, with what integer graphs begin and end with."""

    def at(self, opset: int) -> Self:
        """The same, in another version of the operators."""
        self.opset = opset
        return self

    def given(self, shape: Sequence[int] = SHAPE, of: int = INT32) -> str:
        return self.input(shape=shape, of=of)

    def limited(self, low: int, high: int, shape: Sequence[int] = SHAPE) -> str:
        """An int32 input that stays int32."""
        return self.op("Clip", self.given(shape), np.int32(low), np.int32(high))

    def read(self, low: int, high: int, shape: Sequence[int] = SHAPE) -> str:
        """An int32 input as float32."""
        return self.op("Clip", self.op("Cast", self.given(shape), to=FLOAT), float(low), float(high))

    def byte(self, shape: Sequence[int] = SHAPE, of: int = UINT8) -> str:
        """A uint8 or int8 input as float32."""
        return self.op("Cast", self.given(shape, of), to=FLOAT)

    def index(self, size: int, shape: Sequence[int] = SHAPE, to: int = INT64) -> str:
        """An input as indexes of `size` entries."""
        return self.op("Cast", self.read(0, size - 1, shape), to=to)

    def int32(self, x: str) -> str:
        return self.op("Cast", x, to=INT32)

    def uint8(self, x: str) -> str:
        return self.op("Cast", self.op("Clip", x, 0.0, 255.0), to=UINT8)

    def whole(self, *shape: int, reach: int = 8) -> NDArray[np.float32]:
        return self.rng.integers(-reach, reach, shape, endpoint=True).astype(np.float32)

    def int8(self, *shape: int, reach: int = 60) -> NDArray[np.int8]:
        return self.whole(*shape, reach=reach).astype(np.int8)

    def filtered(self, x: str, *shape: int, bias: bool = False, op_type: str = "Conv", **attributes: Any) -> str:
        """A convolution with weights of `shape`."""
        channels = shape[1] * attributes.get("group", 1) if op_type == "ConvTranspose" else shape[0]
        biases = [self.whole(channels, reach=100)] if bias else []
        return self.op(op_type, x, self.whole(*shape), *biases, **attributes)

    def requantized(self, x: str, shift: int, high: float = 255.0) -> str:
        """x / 2^shift, halves up, clipped."""
        rounded = self.op("Floor", self.op("Add", self.op("Mul", x, 2.0**-shift), 0.5))
        return self.op("Clip", rounded, 0.0, high)

    def parts(self, x: str, count: int, *sizes: Any, **attributes: Any) -> list[str]:
        """Of a Split."""
        names = [f"part_{len(self.nodes)}_{place}" for place in range(count)]
        self.op("Split", x, *sizes, outputs=names, **attributes)
        return names

    def stored(self, x: str, scale: float, zero: Any = ZERO) -> str:
        return self.op("QuantizeLinear", x, scale, zero)

    def real(self, x: Any, scale: Any, zero: Any = ZERO, **attributes: Any) -> str:
        return self.op("DequantizeLinear", x, scale, zero, **attributes)

    def weights(self, *shape: int, scale: float = 2.0**-4) -> str:
        """int8, dequantized."""
        return self.real(self.int8(*shape), scale, np.int8(0))

    def finished(self, outputs: Sequence[str]) -> OrdinaryGraph:
        ends = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(self.nodes, "ordinary", self.inputs, ends, self.constants)
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        del model.graph.value_info[:]
        onnx.checker.check_model(model, full_check=True)
        rng = np.random.default_rng(zlib.crc32(self.what.encode()))
        return OrdinaryGraph(self.kind, self.what, model, tuple(self._inputs(rng)))

    def _inputs(self, rng: np.random.Generator) -> Iterator[Arrays]:
        described = {}
        for value in self.inputs:
            typed = value.type.tensor_type
            dtype = helper.tensor_dtype_to_np_dtype(typed.elem_type)
            described[value.name] = (dtype, np.iinfo(dtype), [side.dim_value for side in typed.shape.dim])
        mixed = {}
        for name, (dtype, limits, shape) in described.items():
            wide = rng.integers(limits.min, limits.max, shape, endpoint=True)
            middle = rng.integers(-300, 300, shape).clip(limits.min, limits.max)
            near = rng.integers(-9, 10, shape).clip(limits.min, limits.max)
            mixed[name] = np.choose(rng.integers(0, 4, shape), [wide, middle, near, near]).astype(dtype)
        yield mixed
        yield {name: np.full(shape, limits.min, dtype) for name, (dtype, limits, shape) in described.items()}
        yield {name: np.full(shape, limits.max, dtype) for name, (dtype, limits, shape) in described.items()}


Rows = dict[str, Callable[[Sketch], str | Sequence[str]]]  # name -> what makes the graph and gives its outputs
