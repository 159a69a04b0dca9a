"""Layers of random graphs: convolutions and matrix products, float and quantized."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

NEWER = 20_000  # graphs from this number on also have Clip of uint8 and CumSum; those before it stay what they were
NEWEST = 100_000  # and from this one on, taps of quantized pictures side by side


class Tensor(NamedTuple):
    """Of rank 4, (1, C, H, W), float32."""

    name: str
    shape: tuple[int, ...]


class RandomLayers:
    """What is written so far, and the layers that can be written next."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.newer, self.newest = seed >= NEWER, seed >= NEWEST
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.count = 0

    def _op(self, op_type: str, inputs: list[str], **attributes: Any) -> str:
        self.count += 1
        name = f"t{self.count}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], f"{op_type}_{self.count}", **attributes))
        return name

    def _constant(self, value: Any, dtype: Any = np.float32) -> str:
        self.count += 1
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), f"c{self.count}"))
        return f"c{self.count}"

    def _power(self, lowest: int = -8, highest: int = 4) -> float:
        return float(2.0 ** self.rng.integers(lowest, highest))

    def _scale(self) -> float:
        return 0.3 if self.rng.random() < 0.1 else self._power(-6, 8)

    def _zero(self) -> np.integer[Any]:
        if self.rng.random() < 0.7:
            return np.uint8(self.rng.choice([0, 128, 3]))
        return np.int8(self.rng.choice([0, 0, -128]))

    def _pair(self, name: str, scale: float, zero: np.integer[Any]) -> str:
        inputs = [self._constant(scale), self._constant(zero, zero.dtype)]
        stored = self._op("QuantizeLinear", [name, *inputs])
        if self.newer and zero.dtype == np.uint8 and self.rng.random() < 0.4:
            high = int(self.rng.choice([127, 127, 254, 200, 1]))
            low = int(self.rng.choice([0, 0, int(zero), 3])) if high > 128 else 0
            stored = self._op("Clip", [stored, self._constant(low, np.uint8), self._constant(high, np.uint8)])
        return self._op("DequantizeLinear", [stored, *inputs])

    def _weights(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        reach = int(self.rng.choice([1, 7, 64, 127, 255]))
        return self.rng.integers(-reach, reach, shape, np.int64, endpoint=True)

    def _geometry(self, size: int, transposed: bool) -> dict[str, Any]:
        made: dict[str, Any] = {"kernel_shape": [size, size], "strides": [int(self.rng.integers(1, 3))] * 2}
        if self.rng.random() < 0.6:
            made["pads"] = [size // 2] * 4
        if not transposed and self.rng.random() < 0.15:
            made["dilations"] = [2, 2]
        return made

    def _shaped(
        self, name: str, x: Tensor, outputs: int, size: int, attributes: dict[str, Any], transposed: bool
    ) -> Tensor | None:
        stride, pad = attributes["strides"][0], attributes.get("pads", [0])[0]
        grow: Callable[[int], int] = (
            (lambda s: stride * (s - 1) + size - 2 * pad)
            if transposed
            else (lambda s: (s + 2 * pad - size) // stride + 1)
        )
        shape = (1, outputs, grow(x.shape[2]), grow(x.shape[3]))
        return Tensor(name, shape) if min(shape) > 0 and max(shape) <= 64 else None

    def _convolution(self, x: Tensor) -> Tensor | None:
        transposed, channels = bool(self.rng.random() < 0.3), x.shape[1]
        size, outputs = int(self.rng.choice([1, 2, 3])), int(self.rng.choice([1, 2, 4]))
        groups = channels if self.rng.random() < 0.25 and outputs % channels == 0 else 1
        shape = (channels, outputs // groups) if transposed else (outputs, channels // groups)
        weight = self._weights((*shape, size, size)) * self._power()
        scale = np.exp2(self.rng.integers(-3, 3, outputs)) if self.rng.random() < 0.3 and groups == 1 else 1.0
        weight = weight * (np.reshape(scale, (1, -1, 1, 1) if transposed else (-1, 1, 1, 1)) if groups == 1 else 1)
        inputs = [x.name, self._constant(weight)]
        if self.rng.random() < 0.6:
            bias = self.rng.integers(-(2 ** int(self.rng.choice([8, 20]))), 2**8, outputs) * self._power()
            inputs.append(self._constant(bias))
        attributes = self._geometry(size, transposed)
        reached = (size - 1) * attributes.get("dilations", [1])[0] + 1
        if min(x.shape[2:]) < reached:
            return None
        operator = "ConvTranspose" if transposed else "Conv"
        name = self._op(operator, inputs, group=groups, **attributes)
        return self._shaped(name, x, outputs, reached, attributes, transposed)

    def _quantized(self, x: Tensor) -> Tensor:
        return Tensor(self._pair(x.name, self._scale(), self._zero()), x.shape)

    def _stored_weights(
        self, shape: tuple[int, ...], outputs: int, axis: int, unsigned: bool
    ) -> tuple[str, NDArray[np.float32]]:
        """(dequantized int8 or, where `unsigned` allows it, uint8 weights; their scales)."""
        reach = int(self.rng.choice([20, 64, 127]))
        weight = self.rng.integers(-reach, reach, shape, endpoint=True)
        wide = bool(self.rng.random() < 0.5) and unsigned
        per_channel = np.exp2(self.rng.integers(-9, -3, outputs)).astype(np.float32)
        stored = self._constant(weight + 128 * wide, np.uint8 if wide else np.int8)
        zeros = self._constant(np.full(outputs, 128 * wide), np.uint8 if wide else np.int8)
        return self._op("DequantizeLinear", [stored, self._constant(per_channel), zeros], axis=axis), per_channel

    def _integer_layer(self, x: Tensor) -> Tensor | None:
        """Q, DQ, Conv or MatMul with quantized weights, [Relu,] Q, DQ: what ONNX Runtime fuses to integer kernels."""
        e, zero, product = int(self.rng.integers(-4, 3)), self._zero(), bool(self.rng.random() < 0.25)
        real = self._pair(x.name, 2.0**e, zero)
        size, outputs = int(self.rng.choice([1, 3])), int(self.rng.choice([1, 2, 4]))
        shape = (x.shape[3], outputs) if product else (outputs, x.shape[1], size, size)
        weights, per_channel = self._stored_weights(shape, outputs, 1 if product else 0, zero.dtype == np.uint8)
        inputs = [real, weights]
        if not product and self.rng.random() < 0.6:
            bias = self._constant(self.rng.integers(-5000, 5000, outputs), np.int32)
            inputs.append(self._op("DequantizeLinear", [bias, self._constant(per_channel * 2.0**e)], axis=0))
        if product:
            made: Tensor | None = Tensor(self._op("MatMul", inputs), (*x.shape[:3], outputs))
        else:
            attributes = self._geometry(size, True)
            if min(x.shape[2:]) < size:
                return None
            made = self._shaped(self._op("Conv", inputs, **attributes), x, outputs, size, attributes, False)
        if made is None or self.rng.random() < 0.2:
            return made
        name = self._op("Relu", [made.name]) if self.rng.random() < 0.3 else made.name
        return Tensor(
            self._pair(name, self._power(-8, 6), zero if self.rng.random() < 0.8 else self._zero()), made.shape
        )

    def _matmul(self, x: Tensor) -> Tensor:
        outputs = int(self.rng.choice([1, 3, 5]))
        weight = self._weights((x.shape[3], outputs)) * self._power()
        return Tensor(self._op("MatMul", [x.name, self._constant(weight)]), (*x.shape[:3], outputs))

    def _side_by_side(self, x: Tensor) -> Tensor | None:
        """Shifted copies of a quantized picture, channels last, times quantized weights: as the exporter writes it."""
        step, zero = 2.0 ** self.rng.integers(-4, 3), np.uint8(self.rng.choice([0, 0, 64, 128]))
        size, outputs = int(self.rng.integers(1, 4)), int(self.rng.choice([1, 4, 16]))
        _, c, h, w = x.shape
        grid = [self._constant(step), self._constant(zero, np.uint8)]
        stored = self._op("QuantizeLinear", [x.name, *grid])
        if self.rng.random() < 0.8:
            stored = self._op("Transpose", [stored], perm=[0, 2, 3, 1])
        else:
            c, h, w = w, c, h
        if c > 8 or max(h, w) > 64:
            return None
        border = self._constant([0, 0, 0, 0, 0, size - 1, size - 1, 0], np.int64)
        fill = grid[1] if self.rng.random() < 0.8 else self._constant(7, np.uint8)
        taps = self._taps(self._op("Pad", [stored, border, fill], mode="constant"), size)
        wide = self._op("Concat", taps, axis=3) if len(taps) > 1 else taps[0]
        real = self._op("DequantizeLinear", [wide, *grid])
        weights, _ = self._stored_weights((len(taps) * c, outputs), outputs, 1, True)
        made = self._op("MatMul", [real, weights])
        first = self.rng.random() < 0.7
        shape, channels = ((1, outputs, h, w), (1, -1, 1, 1)) if first else ((1, h, w, outputs), (1, 1, 1, -1))
        if first:
            made = self._op("Transpose", [made], perm=[0, 3, 1, 2])
        if self.rng.random() < 0.7:
            steps, bias = np.exp2(self.rng.integers(-3, 4, outputs)), self.rng.integers(-99, 99, outputs) * step
            made = self._op("Mul", [made, self._constant(steps.reshape(channels))])
            made = self._op("Add", [made, self._constant(bias.reshape(channels))])
        return Tensor(made, shape)

    def _taps(self, padded: str, size: int) -> list[str]:
        """size^2 slices along axes 1 and 2."""
        taps = []
        for row in range(size):
            for column in range(size):
                ends = [row - size + 1 or 2**31, column - size + 1 or 2**31]
                edges = [self._constant(v, np.int64) for v in ([row, column], ends, [1, 2])]
                taps.append(self._op("Slice", [padded, *edges]))
        return taps
