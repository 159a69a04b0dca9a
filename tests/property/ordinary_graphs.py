"""Small integer graphs as an engineer would write them for a decoder, each exact in float32 in any order of summation.

Every value is an integer or a multiple of a power of two, and every sum stays far below 2^24. They were written without
a look at the certificate's rules, and none was changed for what the certificate says of it.
"""

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


def signs() -> Rows:
    return {
        "magnitude of a residual": lambda s: s.int32(s.op("Abs", s.read(-255, 255))),
        "magnitude in int32": lambda s: s.op("Abs", s.limited(-1000, 1000)),
        "magnitude of int8, opset 13": lambda s: s.at(13).int32(s.op("Abs", s.byte(of=INT8))),
        "difference of two pictures": lambda s: s.uint8(s.op("Abs", s.op("Sub", s.byte(), s.byte()))),
        "negated residual": lambda s: s.int32(s.op("Neg", s.read(-255, 255))),
        "negated in int32": lambda s: s.op("Neg", s.limited(-1000, 1000)),
        "negative of a picture": lambda s: s.uint8(s.op("Add", s.op("Neg", s.byte()), 255.0)),
        "sign": lambda s: s.int32(s.op("Sign", s.read(-7, 7))),
        "sign in int32": lambda s: s.op("Sign", s.given()),
        "sign of a convolution in int8": lambda s: s.op(
            "Cast", s.op("Sign", s.filtered(s.read(-9, 9), 2, 4, 3, 3)), to=INT8
        ),
        "dead zone": lambda s: s.int32(
            s.op("Mul", s.op("Sign", x := s.read(-100, 100)), s.op("Relu", s.op("Sub", s.op("Abs", x), 2.0)))
        ),
        "halves away from zero": lambda s: s.int32(
            s.op("Mul", s.op("Sign", x := s.op("Mul", s.read(-999, 999), 0.25)),
                 s.op("Floor", s.op("Add", s.op("Abs", x), 0.5)))
        ),
    }  # fmt: skip


def extremes() -> Rows:
    limits = np.array([3, 15, 63, 255], np.float32).reshape(1, CHANNELS, 1, 1)
    return {
        "Min of two inputs": lambda s: s.int32(s.op("Min", s.byte(), s.byte())),
        "Min of three inputs": lambda s: s.int32(s.op("Min", s.read(-9, 9), s.read(-5, 20), s.read(-20, 5))),
        "Min with a limit per channel": lambda s: s.op("Cast", s.op("Min", s.byte(), limits), to=UINT8),
        "Min in int32, opset 13": lambda s: s.at(13).op("Min", s.given(), np.int32(1023)),
        "Max with zero": lambda s: s.int32(s.op("Max", s.read(-300, 300), 0.0)),
        "Max of two inputs": lambda s: s.int32(s.op("Max", s.read(-300, 300), s.byte(of=INT8))),
        "Max in int32 of two inputs, opset 21": lambda s: s.at(21).op("Max", s.given(), s.given()),
        "Max, then Min as a clamp": lambda s: s.op(
            "Cast", s.op("Min", s.op("Max", s.read(-999, 999), 0.0), 255.0), to=UINT8
        ),
        "median of three": lambda s: s.int32(
            s.op("Max", s.op("Min", a := s.byte(), b := s.byte()),
                 s.op("Min", s.op("Max", a, b), s.byte()))
        ),
    }  # fmt: skip


def choices() -> Rows:
    checkers = np.indices(SHAPE[2:]).sum(0)[None, None] % 2 == 0
    thresholds = np.array([-20, -6, -1, 0, 3, 9, 40], np.float32)
    return {
        "threshold": lambda s: s.int32(s.op("Where", s.op("Greater", x := s.read(-99, 99), 3.0), x, 0.0)),
        "the smaller of two": lambda s: s.int32(s.op("Where", s.op("Less", a := s.byte(), b := s.byte()), a, b)),
        "escape value": lambda s: s.int32(
            s.op("Where", s.op("Equal", x := s.byte(), 255.0), s.read(256, 65535), x)
        ),
        "checkerboard of two inputs": lambda s: s.int32(s.op("Where", checkers, s.read(-99, 99), s.byte())),
        "Where in int32, opset 13": lambda s: s.at(13).op(
            "Where", s.op("Less", x := s.limited(-999, 999), np.int32(0)), s.op("Neg", x), x
        ),
        "mask of one channel": lambda s: s.int32(
            s.op("Where", s.op("Cast", s.given((1, 1, 6, 8), UINT8), to=BOOL), s.read(-99, 99), 0.0)
        ),
        "within a range": lambda s: s.int32(
            s.op("And", s.op("Greater", x := s.read(-99, 99), -5.0), s.op("Less", x, 5.0))
        ),
        "outside of a range": lambda s: s.op(
            "Cast", s.op("Or", s.op("Less", x := s.read(-99, 99), -5.0), s.op("Greater", x, 5.0)), to=UINT8
        ),
        "what is not skipped": lambda s: s.int32(
            s.op("Mul", s.read(-99, 99), s.op("Cast", s.op("Not", s.op("Equal", s.byte(), 0.0)), to=FLOAT))
        ),
        "neither of two": lambda s: s.int32(
            s.op("Where", s.op("Not", s.op("Or", s.op("Equal", x := s.byte(), 0.0), s.op("Equal", x, 1.0))), x, 7.0)
        ),
        "a place of the board and a value": lambda s: s.int32(
            s.op("Where", s.op("And", s.op("Less", x := s.read(-9, 9), 0.0), checkers), s.op("Neg", x), x)
        ),
        "even places of the board that are unequal": lambda s: s.int32(
            s.op("And", s.op("Not", s.op("Equal", s.byte(), s.byte())), checkers)
        ),
        "at most and at least": lambda s: s.int32(
            s.op("And", s.op("LessOrEqual", x := s.byte(), 235.0), s.op("GreaterOrEqual", x, 16.0))
        ),
        "number of thresholds below": lambda s: s.int32(
            s.op("ReduceSum",
                 s.op("Cast", s.op("Greater", s.op("Unsqueeze", s.read(-64, 64), [4]), thresholds), to=FLOAT),
                 [4], keepdims=0)
        ),
        "one of two shifts": lambda s: s.int32(
            s.op("Floor", s.op("Mul", x := s.read(-999, 999),
                               s.op("Where", s.op("Less", x, 0.0), np.float32(0.25), np.float32(0.5))))
        ),
    }  # fmt: skip


def tables() -> Rows:
    steps = np.arange(64) ** 2 + 1
    return {
        "table of 256 by uint8": lambda s: s.int32(
            s.op("Gather", s.whole(256, reach=999), s.op("Cast", s.given(of=UINT8), to=INT32))
        ),
        "scales by clipped index": lambda s: s.int32(s.op("Gather", steps.astype(np.float32), s.index(64))),
        "table of int32": lambda s: s.op("Gather", steps.astype(np.int32), s.index(64, to=INT32)),
        "table of fractions": lambda s: s.int32(
            s.op("Mul", s.op("Gather", s.whole(16, reach=99) / 16, s.index(16)), 16.0)
        ),
        "table of int8 moved to zero, opset 13": lambda s: s.at(13).int32(
            s.op("Gather", s.whole(256, reach=99), s.op("Cast", s.op("Add", s.byte(of=INT8), 128.0), to=INT64))
        ),
        "rows of a table": lambda s: s.int32(
            s.op("Transpose", s.op("Gather", s.whole(16, 3), s.index(16, (1, 6, 8)), axis=0), perm=[0, 3, 1, 2])
        ),
        "table of two symbols": lambda s: s.int32(
            s.op("Gather", s.whole(256, reach=99), s.op("Cast", s.op(
                "Add", s.op("Mul", s.read(0, 15), 16.0), s.read(0, 15)), to=INT64))
        ),
        "two tables": lambda s: (
            s.int32(s.op("Gather", s.whole(32, reach=99), i := s.index(32))),
            s.op("Gather", np.arange(32, dtype=np.uint8), i),
        ),
        "channels in another order": lambda s: s.int32(s.op("Gather", s.read(-99, 99), [2, 0, 3, 1], axis=1)),
    }  # fmt: skip


def elements() -> Rows:
    turned = np.broadcast_to(np.arange(SHAPE[3])[::-1], SHAPE).copy()
    table = (CHANNELS, 16)
    return {
        "channel by index": lambda s: s.int32(
            s.op("GatherElements", s.read(-99, 99), s.index(CHANNELS, (1, 1, 6, 8)), axis=1)
        ),
        "column by index": lambda s: s.int32(s.op("GatherElements", s.byte(), s.index(SHAPE[3]), axis=3)),
        "columns turned": lambda s: s.int32(s.op("GatherElements", s.read(-99, 99), turned, axis=3)),
        "table per channel": lambda s: s.int32(
            s.op("GatherElements", s.whole(*table, reach=999), s.index(16, (CHANNELS, 48)), axis=1)
        ),
        "table per channel of int32, opset 13": lambda s: s.at(13).op(
            "GatherElements", s.whole(*table, reach=999).astype(np.int32), s.index(16, (CHANNELS, 5), INT32), axis=1
        ),
        "the better of two candidates": lambda s: s.int32(
            s.op("GatherElements", s.op("Concat", a := s.read(-99, 99, (1, 1, 6, 8)), s.read(-99, 99, (1, 1, 6, 8)),
                                        axis=1),
                 s.op("Cast", s.op("Less", a, 0.0), to=INT64), axis=1)
        ),
    }  # fmt: skip


def resized() -> Rows:
    return {
        "twice as large": lambda s: s.int32(s.op("Resize", s.read(-99, 99), "", [1.0, 1.0, 2.0, 2.0], **NEAREST)),
        "twice as large by sizes": lambda s: s.int32(s.op("Resize", s.byte(), "", "", [1, 4, 12, 16], **NEAREST)),
        "three times as wide, opset 13": lambda s: s.at(13).int32(
            s.op("Resize", s.read(-99, 99), "", [1.0, 1.0, 1.0, 3.0], **NEAREST)
        ),
        "half the size": lambda s: s.int32(s.op("Resize", s.read(-99, 99), "", [1.0, 1.0, 0.5, 0.5], **NEAREST)),
        "four times as large, then a convolution": lambda s: s.int32(
            s.filtered(s.op("Resize", s.read(-99, 99), "", [1.0, 1.0, 4.0, 4.0], **NEAREST), 2, 4, 3, 3, **SAME)
        ),
        "convolution, then twice as large": lambda s: s.int32(
            s.op("Resize", s.filtered(s.read(-99, 99), 2, 4, 3, 3), "", [1.0, 1.0, 2.0, 2.0], **NEAREST)
        ),
    }


def cuts() -> Rows:
    return {
        "cropped": lambda s: s.int32(s.op("Slice", s.read(-99, 99), [1, 2], [5, 7], [2, 3])),
        "every other column": lambda s: s.int32(s.op("Slice", s.byte(), [1], [2**31], [3], [2])),
        "rows turned around": lambda s: s.int32(s.op("Slice", s.read(-99, 99), [-1], [-(2**31)], [2], [-1])),
        "first channels of uint8, opset 13": lambda s: s.at(13).op("Slice", s.given(of=UINT8), [0], [2], [1]),
        "horizontal differences": lambda s: s.int32(
            s.op("Sub", s.op("Slice", x := s.byte(), [1], [8], [3]), s.op("Slice", x, [0], [7], [3]))
        ),
        "scales and means": lambda s: [
            s.int32(part) for part in s.parts(s.filtered(s.read(-20, 20), 6, 4, 1, 1), 2, [3, 3], axis=1)
        ],
        "two equal parts, opset 13": lambda s: s.at(13).int32(s.op("Sub", *s.parts(s.byte(), 2, axis=1))),
        "two equal parts by number": lambda s: s.int32(s.op("Max", *s.parts(s.byte(), 2, axis=3, num_outputs=2))),
        "parts of int32": lambda s: s.parts(s.limited(-9, 9), 4, axis=1, num_outputs=4),
    }


def padded() -> Rows:
    ring = [0, 0, 1, 1, 0, 0, 1, 1]
    return {
        "zeros around": lambda s: s.int32(s.op("Pad", s.read(-99, 99), ring)),
        "grey below and to the right": lambda s: s.int32(s.op("Pad", s.byte(), [0, 0, 0, 0, 0, 0, 2, 3], 128.0)),
        "edges repeated": lambda s: s.int32(s.op("Pad", s.read(-99, 99), ring, mode="edge")),
        "edges of uint8 repeated, opset 13": lambda s: s.at(13).op("Pad", s.given(of=UINT8), ring, mode="edge"),
        "reflected": lambda s: s.int32(s.op("Pad", s.byte(), [0, 0, 2, 2, 0, 0, 2, 2], mode="reflect")),
        "reflected, then a convolution": lambda s: s.int32(
            s.filtered(s.op("Pad", s.byte(), ring, mode="reflect"), 4, 4, 3, 3)
        ),
    }


def joined() -> Rows:
    four = (1, 4, 1, 1)
    return {
        "channels of two inputs": lambda s: s.int32(s.op("Concat", s.read(-99, 99), s.byte(), axis=1)),
        "rows of three inputs of uint8": lambda s: s.op("Concat", *(s.given(of=UINT8) for _ in range(3)), axis=2),
        "input and constant": lambda s: s.int32(s.op("Concat", s.read(-99, 99), s.whole(1, 1, 6, 8), axis=1)),
        "two branches": lambda s: s.int32(
            s.op("Concat", s.op("Relu", x := s.read(-99, 99)), s.op("Relu", s.op("Neg", x)), axis=1)
        ),
        "a bias per channel spread out": lambda s: s.int32(
            s.op("Add", s.byte(), s.op("Expand", s.whole(*four), SHAPE))
        ),
        "one value per channel spread out": lambda s: s.int32(s.op("Expand", s.read(-99, 99, four), SHAPE)),
        "one row spread out in uint8": lambda s: s.op("Expand", s.given((1, 1, 1, 8), UINT8), SHAPE),
        "a new first axis, opset 13": lambda s: s.at(13).int32(s.op("Expand", s.byte(four), [3, 1, 4, 1, 1])),
        "a mask spread out": lambda s: s.int32(
            s.op("Where", s.op("Expand", s.op("Greater", s.byte((1, 1, 6, 8)), 99.0), SHAPE), s.read(-9, 9), 0.0)
        ),
        "a pattern repeated": lambda s: s.int32(s.op("Tile", s.read(-99, 99, (1, 4, 2, 2)), [1, 1, 3, 4])),
        "channels repeated": lambda s: s.int32(s.op("Tile", s.byte((1, 1, 6, 8)), [1, 4, 1, 1])),
        "uint8 repeated, opset 13": lambda s: s.at(13).op("Tile", s.given((1, 4, 3, 8), UINT8), [1, 1, 2, 1]),
        "a constant pattern added": lambda s: s.int32(
            s.op("Add", s.byte(), s.op("Tile", s.whole(1, 1, 2, 2), [1, 1, 3, 4]))
        ),
        "repeated behind a convolution": lambda s: s.int32(
            s.op("Tile", s.filtered(s.read(-9, 9), 1, 4, 3, 3), [1, 2, 1, 1])
        ),
    }


def layouts() -> Rows:
    return {
        "channels last": lambda s: s.int32(s.op("Transpose", s.read(-99, 99), perm=[0, 2, 3, 1])),
        "rows and columns swapped, opset 13": lambda s: s.at(13).op("Transpose", s.given(of=UINT8), perm=[0, 1, 3, 2]),
        "channels last for a product": lambda s: s.int32(
            s.op("MatMul", s.op("Transpose", s.read(-99, 99), perm=[0, 2, 3, 1]), s.whole(4, 3))
        ),
        "one row per channel": lambda s: s.int32(s.op("Reshape", s.read(-99, 99), [1, 4, -1])),
        "groups of channels shuffled": lambda s: s.int32(
            s.op("Reshape", s.op("Transpose", s.op("Reshape", s.byte(), [1, 2, 2, 6, 8]), perm=[0, 2, 1, 3, 4]), SHAPE)
        ),
        "blocks put in place": lambda s: s.int32(
            s.op("Reshape", s.op("Transpose", s.op("Reshape", s.read(-99, 99), [1, 2, 2, 6, 8]),
                                 perm=[0, 3, 1, 4, 2]), [1, 1, 12, 16])
        ),
        "all places of a channel in one row, opset 13": lambda s: s.at(13).int32(s.op("Reshape", s.byte(), [4, 48])),
        "Reshape that keeps the batch, opset 21": lambda s: s.at(21).op("Reshape", s.limited(-9, 9), [0, 2, 2, -1]),
        "flattened": lambda s: s.int32(s.op("Flatten", s.read(-99, 99))),
        "flattened at the third axis": lambda s: s.int32(s.op("Flatten", s.byte(), axis=2)),
        "flattened in uint8, opset 13": lambda s: s.at(13).op("Flatten", s.given(of=UINT8), axis=-1),
        "flattened for a product": lambda s: s.int32(
            s.op("MatMul", s.op("Flatten", s.read(-99, 99, (1, 2, 3, 4))), s.whole(24, 5))
        ),
        "flattened behind a pool": lambda s: s.int32(s.op("Flatten", s.op("MaxPool", s.byte(), **HALVED))),
        "an axis more": lambda s: s.int32(s.op("Unsqueeze", s.read(-99, 99, (4, 6, 8)), [0])),
        "an axis less, opset 13": lambda s: s.at(13).int32(s.op("Squeeze", s.byte((1, 4, 1, 8)), [2])),
        "all axes of one less": lambda s: s.int32(s.op("Squeeze", s.read(-99, 99, (1, 4, 1, 8)))),
        "an axis for the convolution and off again": lambda s: s.int32(
            s.op("Squeeze", s.filtered(s.op("Unsqueeze", s.read(-99, 99, (4, 8)), [0]), 4, 4, 3, pads=[1, 1]), [0])
        ),
        "two frames as one batch": lambda s: s.op(
            "Concat", *(s.op("Unsqueeze", s.given((4, 6, 8), UINT8), [0]) for _ in range(2)), axis=0
        ),
        "sub-pixels": lambda s: s.int32(s.op("DepthToSpace", s.read(-99, 99), blocksize=2)),
        "sub-pixels, column by row": lambda s: s.int32(s.op("DepthToSpace", s.byte(), blocksize=2, mode="CRD")),
        "sub-pixels of a convolution, opset 13": lambda s: s.at(13).int32(
            s.op("DepthToSpace", s.filtered(s.read(-99, 99), 12, 4, 3, 3, **SAME), blocksize=2, mode="CRD")
        ),
        "to blocks": lambda s: s.int32(s.op("SpaceToDepth", s.read(-99, 99), blocksize=2)),
        "to blocks and back": lambda s: s.int32(
            s.op("DepthToSpace", s.op("Add", s.op("SpaceToDepth", s.byte(), blocksize=2), s.whole(1, 16, 1, 1)),
                 blocksize=2)
        ),
    }  # fmt: skip


def casts() -> Rows:
    return {
        "uint8 to float32 and back": lambda s: s.op("Cast", s.byte(), to=UINT8),
        "int8 to int32": lambda s: s.int32(s.given(of=INT8)),
        "uint8 to int32 to float32": lambda s: s.int32(
            s.op("Sub", s.op("Cast", s.int32(s.given(of=UINT8)), to=FLOAT), 128.0)
        ),
        "int32 to int8 by way of float32, opset 13": lambda s: s.at(13).op("Cast", s.read(-128, 127), to=INT8),
        "int32 to uint8": lambda s: s.op("Cast", s.limited(0, 255), to=UINT8),
        "float32 to int32 to float32": lambda s: s.op("Cast", s.int32(s.read(-999, 999)), to=FLOAT),
        "uint8 to int8": lambda s: s.op("Cast", s.op("Sub", s.byte(), 128.0), to=INT8),
        "int32 to int64 and back, opset 21": lambda s: s.at(21).int32(s.op("Cast", s.limited(-999, 999), to=INT64)),
    }


def rounding() -> Rows:
    return {
        "clipped on both sides": lambda s: s.int32(s.op("Clip", s.byte(of=INT8), -16.0, 15.0)),
        "clipped below": lambda s: s.int32(s.op("Clip", s.read(-999, 999), 0.0)),
        "clipped above": lambda s: s.int32(s.op("Clip", s.read(-999, 999), "", 63.0)),
        "clipped uint8, opset 13": lambda s: s.at(13).op("Clip", s.given(of=UINT8), np.uint8(16), np.uint8(235)),
        "eighths down": lambda s: s.int32(s.op("Floor", s.op("Mul", s.read(-999, 999), 0.125))),
        "eighths up": lambda s: s.int32(s.op("Ceil", s.op("Mul", s.read(-999, 999), 0.125))),
        "eighths to even": lambda s: s.int32(s.op("Round", s.op("Mul", s.read(-999, 999), 0.125))),
        "halves up": lambda s: s.int32(s.op("Floor", s.op("Add", s.op("Mul", s.read(-999, 999), 2.0**-6), 0.5))),
        "quarters up by division, opset 13": lambda s: s.at(13).int32(s.op("Ceil", s.op("Div", s.byte(), 4.0))),
        "what is left of a division": lambda s: s.int32(
            s.op("Sub", x := s.byte(), s.op("Mul", s.op("Floor", s.op("Mul", x, 0.0625)), 16.0))
        ),
    }


def scaled() -> Rows:
    powers = np.array([0.25, 0.5, 1, 2], np.float32).reshape(1, CHANNELS, 1, 1)
    return {
        "times a power per channel": lambda s: s.int32(s.op("Floor", s.op("Mul", s.byte(), powers))),
        "product of two inputs": lambda s: s.int32(s.op("Mul", s.read(-99, 99), s.byte(of=INT8))),
        "square": lambda s: s.int32(s.op("Mul", x := s.byte(), x)),
        "sum of two inputs": lambda s: s.int32(s.op("Add", s.byte(), s.byte(of=INT8))),
        "residual added and clipped": lambda s: s.uint8(s.op("Add", s.byte(), s.read(-255, 255))),
        "a number per channel added": lambda s: s.int32(s.op("Add", s.read(-99, 99), s.whole(1, 4, 1, 1, reach=99))),
        "added in int32, opset 13": lambda s: s.at(13).op("Add", s.limited(-9999, 9999), s.limited(-9999, 9999)),
        "128 subtracted": lambda s: s.int32(s.op("Sub", s.byte(), 128.0)),
        "divided by 8, down": lambda s: s.int32(s.op("Floor", s.op("Div", s.read(-999, 999), 8.0))),
        "divided by a power per channel": lambda s: s.int32(s.op("Round", s.op("Div", s.byte(), 1 / powers))),
        "divided in int32": lambda s: s.op("Div", s.limited(0, 9999), np.int32(16)),
        "mean of two pictures": lambda s: s.uint8(
            s.op("Floor", s.op("Div", s.op("Add", s.op("Add", s.byte(), s.byte()), 1.0), 2.0))
        ),
    }  # fmt: skip


def products() -> Rows:
    pairs = np.array([[1, 1], [1, -1]], np.float32)
    hadamard = np.kron(pairs, pairs)
    return {
        "MatMul": lambda s: s.int32(s.op("MatMul", s.read(-99, 99, (6, 8)), s.whole(8, 5))),
        "MatMul of many": lambda s: s.int32(s.op("MatMul", s.byte(), s.whole(8, 3))),
        "weights on the left, opset 13": lambda s: s.at(13).int32(
            s.op("MatMul", s.whole(5, 6), s.read(-99, 99, (6, 8)))
        ),
        "Hadamard transform on both sides": lambda s: s.int32(
            s.op("Mul", s.op("MatMul", s.op("MatMul", hadamard, s.read(-99, 99, (3, 4, 4))), hadamard), 4.0)
        ),
        "MatMul of two inputs": lambda s: s.int32(
            s.op("MatMul", s.read(-99, 99, (1, 4, 6, 8)), s.read(-99, 99, (1, 4, 8, 6)))
        ),
        "MatMul, bias, requantized": lambda s: s.op(
            "Cast", s.requantized(s.op("Add", s.op("MatMul", s.byte((6, 8)), s.whole(8, 5)), s.whole(5)), 6), to=UINT8
        ),
        "Gemm": lambda s: s.int32(s.op("Gemm", s.read(-99, 99, (3, 8)), s.whole(8, 5), s.whole(5, reach=99))),
        "Gemm of turned weights": lambda s: s.int32(
            s.op("Gemm", s.byte((3, 8)), s.whole(5, 8), s.whole(5, reach=99), transB=1)
        ),
        "Gemm without bias, opset 13": lambda s: s.at(13).int32(s.op("Gemm", s.byte((3, 8)), s.whole(8, 5))),
        "Gemm, rectified and requantized": lambda s: s.int32(
            s.requantized(s.op("Relu", s.op("Gemm", s.read(-99, 99, (3, 8)), s.whole(5, 8), s.whole(5), transB=1)), 5)
        ),
        "Gemm of half": lambda s: s.int32(
            s.op("Floor", s.op("Gemm", s.read(-99, 99, (3, 8)), s.whole(8, 5), s.whole(5), alpha=0.5, beta=2.0))
        ),
    }  # fmt: skip


def convolutions() -> Rows:
    up: dict[str, Any] = {"op_type": "ConvTranspose", "strides": [2, 2]}
    return {
        "Conv 1x1": lambda s: s.int32(s.filtered(s.read(-99, 99), 3, 4, 1, 1, bias=True)),
        "Conv 3x3": lambda s: s.int32(s.filtered(s.byte(), 3, 4, 3, 3, **SAME)),
        "Conv 3x3 with bias, opset 13": lambda s: s.at(13).int32(s.filtered(s.byte(), 3, 4, 3, 3, bias=True)),
        "Conv 3x3, every other": lambda s: s.int32(s.filtered(s.byte(), 3, 4, 3, 3, strides=[2, 2], **SAME)),
        "Conv 3x3, two groups": lambda s: s.int32(s.filtered(s.read(-99, 99), 4, 2, 3, 3, group=2, **SAME)),
        "Conv 3x3, depthwise": lambda s: s.int32(s.filtered(s.byte(), 4, 1, 3, 3, group=4, bias=True, **SAME)),
        "Conv 3x3, dilated": lambda s: s.int32(s.filtered(s.byte(of=INT8), 3, 4, 3, 3, dilations=[2, 2])),
        "Conv 5x5, every other, opset 21": lambda s: s.at(21).int32(
            s.filtered(s.read(-99, 99), 6, 4, 5, 5, strides=[2, 2], pads=[2, 2, 2, 2])
        ),
        "Conv 1x3, then 3x1": lambda s: s.int32(
            s.filtered(s.filtered(s.read(-9, 9), 4, 4, 1, 3, pads=[0, 1, 0, 1]), 4, 4, 3, 1, pads=[1, 0, 1, 0])
        ),
        "ConvTranspose 2x2": lambda s: s.int32(s.filtered(s.read(-99, 99), 4, 3, 2, 2, **up)),
        "ConvTranspose 4x4": lambda s: s.int32(s.filtered(s.byte(), 4, 2, 4, 4, bias=True, **SAME, **up)),
        "ConvTranspose 5x5, one more": lambda s: s.int32(
            s.filtered(s.read(-99, 99), 4, 2, 5, 5, pads=[2, 2, 2, 2], output_padding=[1, 1], bias=True, **up)
        ),
        "ConvTranspose 3x3 without stride, opset 13": lambda s: s.at(13).int32(
            s.filtered(s.byte(of=INT8), 4, 3, 3, 3, op_type="ConvTranspose", **SAME)
        ),
        "ConvTranspose 4x4, depthwise": lambda s: s.int32(s.filtered(s.byte(), 4, 1, 4, 4, group=4, **SAME, **up)),
    }


def stored() -> Rows:
    grey, none = np.uint8(128), np.int8(0)
    powers = np.float32(2.0) ** -np.arange(3, 6)
    return {
        "quantized to multiples of 4, opset 21": lambda s: s.at(21).int32(
            s.real(s.stored(s.read(-999, 999), 4.0, grey), 4.0, grey)
        ),
        "requantized to uint8": lambda s: s.stored(s.filtered(s.byte(), 3, 4, 3, 3), 64.0, grey),
        "requantized to int8, opset 13": lambda s: s.at(13).stored(s.read(-9999, 9999), 32.0, none),
        "latents dequantized, opset 21": lambda s: s.at(21).int32(
            s.op("Mul", s.real(s.given(of=INT8), 0.125, none), 8.0)
        ),
        "Conv of dequantized values": lambda s: s.stored(
            s.op("Conv", s.real(s.given(of=UINT8), 0.25, grey), s.weights(3, 4, 3, 3), **SAME), 8.0, grey
        ),
        "Conv of dequantized values with scales per channel": lambda s: s.stored(
            s.op("Conv", s.real(s.given(of=UINT8), 0.5),
                 s.real(s.int8(3, 4, 1, 1), powers, np.zeros(3, np.int8), axis=0)), 4.0, grey,
        ),
        "Conv of dequantized values with int32 bias": lambda s: s.stored(
            s.op("Relu", s.op("Conv", s.real(s.given(of=UINT8), 0.5), s.weights(3, 4, 3, 3), s.op(
                "DequantizeLinear", s.whole(3, reach=999).astype(np.int32), 2.0**-5))), 16.0,
        ),
        "MatMul of dequantized values, opset 21": lambda s: s.at(21).stored(
            s.op("MatMul", s.real(s.given((6, 8), INT8), 0.5, none), s.weights(8, 5)), 2.0, none
        ),
        "sum of dequantized values, opset 21": lambda s: s.at(21).stored(
            s.op("Add", s.real(s.given(of=UINT8), 0.5, grey), s.real(s.given(of=UINT8), 0.25, grey)), 1.0, grey
        ),
        "joined dequantized values": lambda s: s.stored(
            s.op("Concat", s.real(s.given(of=UINT8), 1.0), s.real(s.given(of=UINT8), 2.0), axis=1), 2.0
        ),
    }  # fmt: skip


def integer_kernels() -> Rows:
    return {
        "ConvInteger": lambda s: s.op("ConvInteger", s.given(of=UINT8), s.int8(3, 4, 3, 3)),
        "ConvInteger of grey": lambda s: s.op(
            "ConvInteger", s.given(of=UINT8), s.int8(3, 4, 3, 3), np.uint8(128), **SAME
        ),
        "ConvInteger 1x1 of uint8 weights": lambda s: s.op(
            "ConvInteger", s.given(of=UINT8), (s.int8(3, 4, 1, 1) + 64).astype(np.uint8), np.uint8(0), np.uint8(64)
        ),
        "ConvInteger, every other, bias, opset 13": lambda s: s.at(13).op(
            "Add", s.op("ConvInteger", s.given(of=UINT8), s.int8(2, 4, 3, 3), strides=[2, 2]),
            s.int8(1, 2, 1, 1).astype(np.int32),
        ),
        "ConvInteger, requantized": lambda s: s.op("Cast", s.requantized(s.op("Cast", s.op(
            "ConvInteger", s.given(of=UINT8), s.int8(3, 4, 3, 3), **SAME), to=FLOAT), 9), to=UINT8),
        "MatMulInteger": lambda s: s.op("MatMulInteger", s.given((6, 8), UINT8), s.int8(8, 5)),
        "MatMulInteger of int8": lambda s: s.op("MatMulInteger", s.given((6, 8), INT8), s.int8(8, 5)),
        "MatMulInteger of grey, opset 13": lambda s: s.at(13).op(
            "MatMulInteger", s.given((2, 6, 8), UINT8), s.int8(8, 5), np.uint8(128)
        ),
        "MatMulInteger and bias": lambda s: s.op(
            "Add", s.op("MatMulInteger", s.given((6, 8), UINT8), s.int8(8, 5)), s.int8(5).astype(np.int32)
        ),
        "MatMulInteger, requantized": lambda s: s.op("Cast", s.requantized(s.op("Cast", s.op(
            "MatMulInteger", s.given((6, 8), UINT8), s.int8(8, 5)), to=FLOAT), 8), to=UINT8),
    }  # fmt: skip


def activations() -> Rows:
    return {
        "Relu": lambda s: s.int32(s.op("Relu", s.read(-999, 999))),
        "Relu of int8, opset 13": lambda s: s.at(13).int32(s.op("Relu", s.byte(of=INT8))),
        "Relu between two convolutions": lambda s: s.int32(
            s.filtered(s.op("Relu", s.filtered(s.read(-9, 9), 4, 4, 3, 3, bias=True)), 2, 4, 1, 1)
        ),
        "LeakyRelu of a quarter": lambda s: s.int32(s.op("Floor", s.op("LeakyRelu", s.read(-999, 999), alpha=0.25))),
        "LeakyRelu of an eighth, scaled": lambda s: s.int32(
            s.op("Mul", s.op("LeakyRelu", s.byte(of=INT8), alpha=0.125), 8.0)
        ),
        "LeakyRelu of a half behind Conv, opset 13": lambda s: s.at(13).int32(
            s.op("Round", s.op("LeakyRelu", s.filtered(s.byte(), 3, 4, 3, 3, bias=True), alpha=0.5))
        ),
        "LeakyRelu of 1/64, quantized": lambda s: s.stored(
            s.op("LeakyRelu", s.filtered(s.read(-99, 99), 3, 4, 1, 1), alpha=2.0**-6), 16.0, np.uint8(128)
        ),
        "LeakyRelu by Max": lambda s: s.int32(s.op("Floor", s.op("Max", x := s.read(-99, 99), s.op("Mul", x, 0.125)))),
    }


def pools() -> Rows:
    return {
        "MaxPool 2x2": lambda s: s.int32(s.op("MaxPool", s.read(-99, 99), **HALVED)),
        "MaxPool 3x3 of the same size": lambda s: s.int32(
            s.op("MaxPool", s.byte(of=INT8), kernel_shape=[3, 3], **SAME)
        ),
        "MaxPool of uint8, opset 13": lambda s: s.at(13).op("MaxPool", s.given(of=UINT8), **HALVED),
        "MaxPool behind Conv and Relu": lambda s: s.int32(
            s.op("MaxPool", s.op("Relu", s.filtered(s.byte(), 3, 4, 3, 3, **SAME)), **HALVED)
        ),
        "AveragePool 2x2, down": lambda s: s.int32(s.op("Floor", s.op("AveragePool", s.read(-99, 99), **HALVED))),
        "AveragePool 2x2, quarters": lambda s: s.op("AveragePool", s.byte(), **HALVED),
        "AveragePool 2x2, as a sum, opset 13": lambda s: s.at(13).int32(
            s.op("Mul", s.op("AveragePool", s.byte(of=INT8), kernel_shape=[2, 2]), 4.0)
        ),
        "AveragePool 2x2 behind Conv, to even": lambda s: s.int32(
            s.op("Round", s.op("AveragePool", s.filtered(s.byte(), 3, 4, 3, 3, **SAME), **HALVED))
        ),
        "AveragePool 2x2, quantized": lambda s: s.stored(s.op("AveragePool", s.byte(), **HALVED), 1.0),
    }


def sums() -> Rows:
    return {
        "sum of channels": lambda s: s.int32(s.op("ReduceSum", s.read(-99, 99), [1], keepdims=1)),
        "sum of all places": lambda s: s.int32(s.op("ReduceSum", s.byte(), [2, 3], keepdims=0)),
        "sum in int32, opset 13": lambda s: s.at(13).op("ReduceSum", s.limited(-99, 99), [1], keepdims=1),
        "largest of channels": lambda s: s.int32(s.op("ReduceMax", s.read(-99, 99), [1], keepdims=1)),
        "largest of each row": lambda s: s.int32(s.op("ReduceMax", s.byte(), [3], keepdims=0)),
        "largest by attribute, opset 13": lambda s: s.at(13).int32(
            s.op("ReduceMax", s.byte(of=INT8), axes=[2, 3], keepdims=1)
        ),
        "below the largest": lambda s: s.int32(
            s.op("Sub", s.op("ReduceMax", x := s.read(-99, 99), [1], keepdims=1), x)
        ),
        "sums so far": lambda s: s.int32(s.op("CumSum", s.read(-99, 99), np.int64(3))),
        "sums before": lambda s: s.int32(s.op("CumSum", s.byte(), np.int64(1), exclusive=1)),
        "sums from the end": lambda s: s.int32(s.op("CumSum", s.byte(), np.int64(2), reverse=1)),
        "sums in int32, opset 13": lambda s: s.at(13).op("CumSum", s.limited(0, 999), np.int32(-1)),
        "frequencies to a table of sums": lambda s: s.int32(
            s.op("Pad", s.op("CumSum", s.read(1, 999, (4, 16)), np.int64(1)), [0, 1, 0, 0])
        ),
    }


def chains() -> Rows:
    return {
        "Conv, bias, Relu, shift, Clip": lambda s: s.op("Cast", s.op("Clip", s.op("Floor", s.op("Mul", s.op(
            "Relu", s.op("Add", s.filtered(s.byte(), 4, 4, 3, 3, **SAME), s.whole(1, 4, 1, 1, reach=99))),
            2.0**-6)), 0.0, 255.0), to=UINT8),
        "two layers": lambda s: s.int32(
            s.filtered(s.requantized(s.filtered(s.byte(), 4, 4, 3, 3, bias=True, **SAME), 6), 2, 4, 3, 3, bias=True)
        ),
        "residual block": lambda s: s.uint8(
            s.op("Add", x := s.byte(), s.op("Floor", s.op("Mul", s.filtered(s.requantized(
                s.filtered(x, 4, 4, 3, 3, **SAME), 5), 4, 4, 3, 3, **SAME), 2.0**-7)))
        ),
        "upsampled and sharpened": lambda s: s.op("Cast", s.requantized(s.filtered(s.op(
            "Resize", s.byte(), "", [1.0, 1.0, 2.0, 2.0], **NEAREST), 3, 4, 3, 3, **SAME), 4), to=UINT8),
        "ConvTranspose, requantized, Conv": lambda s: s.int32(
            s.filtered(s.requantized(s.filtered(s.read(-99, 99), 4, 2, 4, 4, op_type="ConvTranspose", strides=[2, 2],
                                                bias=True, **SAME), 6), 3, 2, 3, 3)
        ),
        "sub-pixel head": lambda s: s.op("Cast", s.op("DepthToSpace", s.requantized(
            s.filtered(s.byte(), 12, 4, 3, 3, bias=True, **SAME), 6), blocksize=2), to=UINT8),
        "hyper decoder to an index of scales": lambda s: s.int32(
            s.op("Gather", (np.arange(64) + 1).astype(np.float32), s.op("Cast", s.requantized(
                s.filtered(s.read(-30, 30), 3, 4, 3, 3, bias=True, **SAME), 5, 63.0), to=INT64))
        ),
        "scales and means of one layer": lambda s: [
            s.op("Cast", s.requantized(part, 4, 63.0), to=UINT8)
            for part in s.parts(s.filtered(s.read(-30, 30), 8, 4, 1, 1, bias=True), 2, axis=1, num_outputs=2)
        ],
        "latent from symbol and mean": lambda s: s.int32(
            s.op("Clip", s.op("Add", s.byte(of=INT8), s.op("Round", s.op("Mul", s.read(-999, 999), 2.0**-4))),
                 -128.0, 127.0)
        ),
        "context of the even places": lambda s: s.int32(
            s.filtered(s.op("Mul", s.read(-30, 30), (np.indices((6, 8)).sum(0) % 2).astype(np.float32)),
                       4, 4, 3, 3, **SAME)
        ),
        "motion as an index of columns": lambda s: s.uint8(
            s.op("GatherElements", s.byte(), s.op("Cast", s.op("Clip", s.op(
                "Add", s.read(-3, 3), np.arange(8, dtype=np.float32)), 0.0, 7.0), to=INT64), axis=3)
        ),
        "pool, Gemm, scale of each channel": lambda s: s.int32(
            s.op("Mul", x := s.byte(), s.op("Unsqueeze", s.requantized(s.op(
                "Gemm", s.op("ReduceMax", x, [2, 3], keepdims=0), s.whole(4, 4), s.whole(4)), 5, 15.0), [2, 3]))
        ),
        "gradient, magnitude, threshold": lambda s: s.op("Cast", s.op("Greater", s.op("Abs", s.op(
            "Conv", s.byte((1, 1, 6, 8)), np.array([[[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]]], np.float32))), 64.0),
            to=UINT8),
        "integer lifting step": lambda s: (
            s.int32(odd := s.op("Sub", (x := s.parts(s.byte(), 2, axis=3, num_outputs=2))[1], x[0])),
            s.int32(s.op("Add", x[0], s.op("Floor", s.op("Mul", odd, 0.5)))),
        ),
        "luma of a picture": lambda s: s.op("Cast", s.requantized(s.op("Conv", s.byte((1, 3, 6, 8)), np.array(
            [77, 150, 29], np.float32).reshape(1, 3, 1, 1)), 8), to=UINT8),
        "leaky layers, opset 21": lambda s: s.at(21).int32(
            s.filtered(s.op("Floor", s.op("LeakyRelu", s.filtered(s.read(-99, 99), 4, 4, 3, 3, bias=True),
                                          alpha=0.125)), 2, 4, 1, 1)
        ),
        "chroma twice as large beside luma": lambda s: s.op(
            "Concat", s.given((1, 1, 12, 16), UINT8),
            s.op("Cast", s.op("Resize", s.byte((1, 2, 6, 8)), "", [1.0, 1.0, 2.0, 2.0], **NEAREST), to=UINT8), axis=1
        ),
    }  # fmt: skip


KINDS: dict[str, Callable[[], Rows]] = {
    "signs": signs, "Min and Max": extremes, "choices": choices, "tables": tables, "GatherElements": elements,
    "Resize": resized, "Slice and Split": cuts, "Pad": padded, "Concat, Expand, Tile": joined, "layouts": layouts,
    "Cast": casts, "rounding": rounding, "scales": scaled, "products": products, "convolutions": convolutions,
    "stored": stored, "integer kernels": integer_kernels, "activations": activations, "pools": pools, "sums": sums,
    "chains": chains,
}  # fmt: skip


def ordinary_graphs() -> Iterator[OrdinaryGraph]:
    for kind, rows in KINDS.items():
        for name, row in rows().items():
            yield drawn(kind, name, row)


def drawn(kind: str, name: str, row: Callable[[Sketch], str | Sequence[str]]) -> OrdinaryGraph:
    sketch = Sketch(kind, name)
    outputs = row(sketch)
    return sketch.finished([outputs] if isinstance(outputs, str) else outputs)


def inexact_graphs() -> Iterator[OrdinaryGraph]:
    """What looks like them and is not exact: factors that are no powers of two, sums beyond 2^24, a function."""
    rows: Rows = {
        "a tenth, down": lambda s: s.int32(s.op("Floor", s.op("Mul", s.read(-999, 999), 0.1))),
        "divided by 3": lambda s: s.int32(s.op("Floor", s.op("Div", s.read(-999, 999), 3.0))),
        "sums beyond 2^24": lambda s: s.int32(
            s.op("Conv", s.read(-65535, 65535), s.rng.integers(150, 200, (2, 4, 3, 3)).astype(np.float32))
        ),
        "LeakyRelu of a hundredth": lambda s: s.int32(s.op("Round", s.op("LeakyRelu", s.read(-999, 999), alpha=0.01))),
        "quantized by 0.3": lambda s: s.stored(s.filtered(s.byte(), 3, 4, 3, 3), 0.3, np.uint8(128)),
        "a sigmoid": lambda s: s.int32(s.op("Floor", s.op("Mul", s.op("Sigmoid", s.read(-9, 9)), 255.0))),
        "input without limits": lambda s: s.op("Mul", s.op("Cast", s.given(), to=FLOAT), 3.0),
    }
    for name, row in rows.items():
        yield drawn("inexact", name, row)
